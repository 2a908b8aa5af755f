//! Computes a plan for pictures of one size.
//!
//! The pictures of a batch are computed step by step together, so that weights are read once for
//! all of them.

use super::kernels::{BLOCK, BORDER, Batch, InstructionSet, Layout, Map, clear_border, convolve};
use super::plan::{Op, Plan, Pointwise, Pool, Step, ValueId};
use crate::memory::grow;

/// Most numbers that the values of one picture may take at a time: 512 MiB.
const MAX_SCRATCH: usize = 1 << 27;
/// Pictures that are computed together. More read the weights less often still, but take more
/// memory.
pub(super) const TOGETHER: usize = 2;

/// Memory for values, kept from call to call.
#[derive(Default)]
pub(super) struct Scratch {
    slots: Vec<Vec<f32>>,
    /// Memory of the convolutions' own.
    work: Vec<f32>,
    used: bool,
}

impl Scratch {
    /// Whether something is left of pictures.
    pub fn used(&self) -> bool {
        self.used
    }

    #[cfg(test)]
    pub fn numbers(&self) -> impl Iterator<Item = f32> {
        self.slots.iter().chain([&self.work]).flatten().copied()
    }

    /// Overwrites what is left of pictures.
    pub fn forget(&mut self) {
        for values in self.slots.iter_mut().chain([&mut self.work]) {
            values.fill(0.0);
        }
        self.used = false;
    }
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Extent {
    /// Row-major numbers of this shape.
    Flat(Vec<usize>),
    Map(Map),
}

impl Extent {
    fn checked_len(&self) -> Option<usize> {
        match self {
            Extent::Flat(shape) => shape
                .iter()
                .try_fold(1, |product: usize, size| product.checked_mul(*size)),
            Extent::Map(map) => map.checked_len(),
        }
    }

    fn flat(&self) -> Result<&[usize], String> {
        match self {
            Extent::Flat(shape) => Ok(shape),
            Extent::Map(_) => Err("it is given a map".into()),
        }
    }

    fn map(&self) -> Result<&Map, String> {
        match self {
            Extent::Map(map) => Ok(map),
            Extent::Flat(_) => Err("it is given no map".into()),
        }
    }
}

/// A plan with the sizes of all values, and where in the scratch memory each of them is.
pub(super) struct SizedPlan<'a> {
    plan: &'a Plan,
    extents: Vec<Extent>,
    lens: Vec<usize>,
    /// For each value; values that are not needed at the same time share one.
    slots: Vec<usize>,
    slot_lens: Vec<usize>,
}

impl<'a> SizedPlan<'a> {
    /// Sizes for pictures of this many channels, rows and columns.
    pub fn new(plan: &'a Plan, [channels, height, width]: [usize; 3]) -> Result<Self, String> {
        if channels == 0 || height == 0 || width == 0 {
            return Err(format!("a picture of {channels}x{height}x{width} is empty"));
        }
        let mut sized = SizedPlan {
            plan,
            extents: Vec::with_capacity(plan.values),
            lens: Vec::with_capacity(plan.values),
            slots: Vec::new(),
            slot_lens: Vec::new(),
        };
        let too_large =
            || format!("a picture of {height}x{width} takes more than 512 MiB; use a smaller one");
        let picture = Extent::Flat(vec![1, channels, height, width]);
        sized.push(picture).ok_or_else(too_large)?;
        for step in &plan.steps {
            let inputs: Vec<_> = step.inputs.iter().map(|id| &sized.extents[*id]).collect();
            let extent = extent(&step.op, &inputs)
                .map_err(|cause| format!("{} on {height}x{width}: {cause}", step.name))?;
            sized.push(extent).ok_or_else(too_large)?;
        }
        sized.assign();
        let slots = sized.slot_lens.iter();
        let total = slots.fold(0usize, |sum, len| sum.saturating_add(*len));
        if total > MAX_SCRATCH {
            return Err(too_large());
        }
        Ok(sized)
    }

    /// Adds the next value, unless it is too large.
    fn push(&mut self, extent: Extent) -> Option<()> {
        let len = extent.checked_len().filter(|len| *len <= MAX_SCRATCH)?;
        self.extents.push(extent);
        self.lens.push(len);
        Some(())
    }

    /// Gives every value a slot, that of one which is needed no more where there is one.
    fn assign(&mut self) {
        let mut last_use: Vec<usize> = vec![0; self.plan.values];
        for (index, step) in self.plan.steps.iter().enumerate() {
            last_use[step.output] = index;
            for input in &step.inputs {
                last_use[*input] = index;
            }
        }
        for (_, value) in &self.plan.outputs {
            last_use[*value] = usize::MAX;
        }
        self.slots = vec![usize::MAX; self.plan.values];
        let mut free: Vec<usize> = Vec::new();
        for (index, step) in self.plan.steps.iter().enumerate() {
            let len = self.lens[step.output];
            // The smallest that is large enough, or else the largest, which has to grow least.
            let misfit = |slot: usize| match self.slot_lens[slot].checked_sub(len) {
                Some(spare) => (false, spare),
                None => (true, len - self.slot_lens[slot]),
            };
            let best = (0..free.len()).min_by_key(|at| misfit(free[*at]));
            let slot = match best {
                Some(at) => free.swap_remove(at),
                None => {
                    self.slot_lens.push(0);
                    self.slot_lens.len() - 1
                }
            };
            self.slots[step.output] = slot;
            self.slot_lens[slot] = self.slot_lens[slot].max(len);
            let mut done = step.inputs.clone();
            done.push(step.output);
            done.sort_unstable();
            done.dedup();
            free.extend(
                done.into_iter()
                    .filter(|value| *value != 0 && last_use[*value] == index)
                    .map(|value| self.slots[value]),
            );
        }
    }

    /// Shape of an output, for one picture.
    pub fn shape(&self, value: ValueId) -> Result<&[usize], String> {
        self.extents[value].flat()
    }

    /// Computes up to [`TOGETHER`] pictures, and hands each output, picture after picture, to
    /// `take` with its place in `outputs`.
    pub fn run(
        &self,
        set: InstructionSet,
        scratch: &mut Scratch,
        pictures: &[f32],
        outputs: &[ValueId],
        mut take: impl FnMut(usize, &[f32]),
    ) -> Result<(), String> {
        let count = pictures.len() / self.lens[0];
        let Scratch { slots, work, used } = scratch;
        *used = true;
        slots.resize_with(slots.len().max(self.slot_lens.len()), Vec::new);
        for (slot, len) in slots.iter_mut().zip(&self.slot_lens) {
            grow(slot, count * len)?;
        }
        for step in &self.plan.steps {
            let slot = self.slots[step.output];
            let mut output = std::mem::take(&mut slots[slot]);
            let values = Values {
                sized: self,
                slots,
                pictures,
                count,
            };
            values.compute(set, step, &mut output, work);
            slots[slot] = output;
        }
        let values = Values {
            sized: self,
            slots,
            pictures,
            count,
        };
        for (at, output) in outputs.iter().enumerate() {
            take(at, values.get(*output));
        }
        Ok(())
    }
}

/// What a step gives for what it is given.
fn extent(op: &Op, inputs: &[&Extent]) -> Result<Extent, String> {
    let first = *inputs.first().ok_or("it has no input")?;
    let same = |extent: &Extent| match inputs.get(1) {
        Some(other) if *other != extent => Err("it adds values of different shapes".to_string()),
        _ => Ok(()),
    };
    let extent = match op {
        Op::Border => {
            let [1, channels, height, width] = *first.flat()? else {
                return Err(format!("it is given the shape {:?}", first.flat()?));
            };
            Extent::Map(Map {
                layout: Layout::Planar,
                channels,
                height,
                width,
            })
        }
        Op::Convolve(conv, _) => {
            let extent = Extent::Map(conv.output(first.map()?)?);
            same(&extent)?;
            extent
        }
        Op::Upsample(factor) => {
            let map = *first.map()?;
            let larger = |side: usize| side.checked_mul(*factor).ok_or("the picture is too large");
            let extent = Extent::Map(Map {
                height: larger(map.height)?,
                width: larger(map.width)?,
                ..map
            });
            same(&extent)?;
            extent
        }
        Op::Channels { start, end } => {
            let map = first.map()?;
            let end = end.unwrap_or(map.channels).min(map.channels);
            let channels = end.checked_sub(*start).filter(|channels| *channels > 0);
            let channels =
                channels.ok_or_else(|| format!("there are no channels {start} to {end}"))?;
            Extent::Flat(vec![1, channels, map.height, map.width])
        }
        Op::Pool { keep_dims, .. } => {
            let channels = first.map()?.channels;
            Extent::Flat(match keep_dims {
                true => vec![1, channels, 1, 1],
                false => vec![1, channels],
            })
        }
        Op::Pointwise(_) => first.clone(),
        Op::Add => {
            same(first)?;
            first.clone()
        }
        Op::Flatten => Extent::Flat(vec![1, first.checked_len().ok_or("it is too large")?]),
        Op::Concat => {
            let mut shape = first.flat()?.to_vec();
            let mut channels = 0usize;
            for input in inputs {
                let other = input.flat()?;
                let alike =
                    other.len() == shape.len() && other.len() > 1 && other[2..] == shape[2..];
                if !alike {
                    return Err(format!("{other:?} does not go with {shape:?}"));
                }
                channels = channels.checked_add(other[1]).ok_or("it is too large")?;
            }
            shape[1] = channels;
            Extent::Flat(shape)
        }
        Op::Dense { weights, bias } => {
            let inputs = weights.len() / bias.len();
            if first.flat()? != [1, inputs] {
                return Err(format!(
                    "it takes {inputs} numbers, not {:?}",
                    first.flat()?
                ));
            }
            Extent::Flat(vec![1, bias.len()])
        }
    };
    Ok(extent)
}

/// The values that a step may read.
struct Values<'a> {
    sized: &'a SizedPlan<'a>,
    slots: &'a [Vec<f32>],
    pictures: &'a [f32],
    /// Number of pictures.
    count: usize,
}

impl<'a> Values<'a> {
    /// A value of all pictures.
    fn get(&self, value: ValueId) -> &'a [f32] {
        match value {
            0 => self.pictures,
            _ => {
                let len = self.count * self.sized.lens[value];
                &self.slots[self.sized.slots[value]][..len]
            }
        }
    }

    /// The value of one picture.
    fn of(&self, picture: usize, value: ValueId) -> &'a [f32] {
        let len = self.sized.lens[value];
        &self.get(value)[picture * len..][..len]
    }

    /// The map of a value that a step of a sized plan needs to be one.
    fn map(&self, value: ValueId) -> &'a Map {
        match &self.sized.extents[value] {
            Extent::Map(map) => map,
            Extent::Flat(_) => unreachable!("sizes were checked before"),
        }
    }

    /// Computes a step for all pictures.
    fn compute(&self, set: InstructionSet, step: &Step, output: &mut [f32], work: &mut Vec<f32>) {
        let len = self.sized.lens[step.output];
        if let Op::Convolve(conv, epilogue) = &step.op {
            let batch = Batch {
                pictures: self.count,
                values: self.get(step.inputs[0]),
                map: self.map(step.inputs[0]),
                residual: step.inputs.get(1).map(|value| self.get(*value)),
            };
            let output = (&mut output[..self.count * len], self.map(step.output));
            return convolve(set, conv, batch, *epilogue, output, work);
        }
        for (picture, output) in output.chunks_exact_mut(len).take(self.count).enumerate() {
            self.compute_one(step, picture, output);
        }
    }

    /// Computes a step that is no convolution for one picture.
    fn compute_one(&self, step: &Step, picture: usize, output: &mut [f32]) {
        let first = step.inputs[0];
        let input = self.of(picture, first);
        let second = step.inputs.get(1).map(|value| self.of(picture, *value));
        match &step.op {
            Op::Convolve(..) => unreachable!("convolutions compute all pictures together"),
            Op::Border => border(input, output, self.map(step.output)),
            Op::Upsample(factor) => upsample(
                *factor,
                (input, self.map(first)),
                second,
                (output, self.map(step.output)),
            ),
            Op::Channels { start, .. } => channels(input, self.map(first), *start, output),
            Op::Pool { pool, .. } => reduce(*pool, input, self.map(first), output),
            Op::Pointwise(op) => pointwise(*op, input, output),
            Op::Add => {
                for ((sum, a), b) in output.iter_mut().zip(input).zip(second.unwrap_or_default()) {
                    *sum = a + b;
                }
            }
            Op::Flatten => output.copy_from_slice(input),
            Op::Concat => {
                let mut rest = output;
                for value in &step.inputs {
                    let part = self.of(picture, *value);
                    let (start, end) = rest.split_at_mut(part.len());
                    start.copy_from_slice(part);
                    rest = end;
                }
            }
            Op::Dense { weights, bias } => {
                let rows = weights.chunks_exact(input.len());
                for ((sum, row), bias) in output.iter_mut().zip(rows).zip(bias) {
                    *sum = row.iter().zip(input).fold(*bias, |sum, (a, b)| sum + a * b);
                }
            }
        }
    }
}

/// The rows of a map inside its border, block after block.
fn rows<'a>(values: &'a [f32], map: &'a Map) -> impl Iterator<Item = &'a [f32]> {
    let block = map.layout.block();
    values.chunks_exact(map.plane()).flat_map(move |plane| {
        let inside = plane.chunks_exact(map.row()).skip(BORDER).take(map.height);
        inside.map(move |row| &row[BORDER * block..][..map.width * block])
    })
}

fn rows_mut<'a>(values: &'a mut [f32], map: &'a Map) -> impl Iterator<Item = &'a mut [f32]> {
    let block = map.layout.block();
    values.chunks_exact_mut(map.plane()).flat_map(move |plane| {
        let inside = plane
            .chunks_exact_mut(map.row())
            .skip(BORDER)
            .take(map.height);
        inside.map(move |row| &mut row[BORDER * block..][..map.width * block])
    })
}

fn border(input: &[f32], output: &mut [f32], map: &Map) {
    clear_border(output, map);
    for (to, from) in rows_mut(output, map).zip(input.chunks_exact(map.width)) {
        to.copy_from_slice(from);
    }
}

fn upsample(
    factor: usize,
    (input, from): (&[f32], &Map),
    addend: Option<&[f32]>,
    (output, to): (&mut [f32], &Map),
) {
    clear_border(output, to);
    let repeated = rows(input, from).flat_map(|row| std::iter::repeat_n(row, factor));
    for (to, from) in rows_mut(output, to).zip(repeated) {
        let pixels = from.chunks_exact(BLOCK);
        let repeated = pixels.flat_map(|pixel| std::iter::repeat_n(pixel, factor));
        for (to, from) in to.chunks_exact_mut(BLOCK).zip(repeated) {
            to.copy_from_slice(from);
        }
    }
    for (value, addend) in output.iter_mut().zip(addend.unwrap_or_default()) {
        *value += addend;
    }
}

fn channels(input: &[f32], map: &Map, start: usize, output: &mut [f32]) {
    let planes = output.chunks_exact_mut(map.height * map.width);
    for (channel, plane) in (start..).zip(planes) {
        let block = &input[channel / BLOCK * map.plane()..][..map.plane()];
        let targets = plane.chunks_exact_mut(map.width);
        for (to, from) in targets.zip(rows(block, map)) {
            let values = from.iter().skip(channel % BLOCK).step_by(BLOCK);
            for (to, from) in to.iter_mut().zip(values) {
                *to = *from;
            }
        }
    }
}

fn reduce(pool: Pool, input: &[f32], map: &Map, output: &mut [f32]) {
    let blocks = input.chunks_exact(map.plane());
    for (to, block) in output.chunks_mut(BLOCK).zip(blocks) {
        let pixels = rows(block, map).flat_map(|row| row.as_chunks::<BLOCK>().0);
        let result = match pool {
            Pool::Mean => {
                let mut sums = [0.0; BLOCK];
                pixels.for_each(|pixel| {
                    for (sum, value) in sums.iter_mut().zip(pixel) {
                        *sum += value;
                    }
                });
                sums.map(|sum| sum / (map.height * map.width) as f32)
            }
            Pool::Max => {
                let mut largest = [f32::NEG_INFINITY; BLOCK];
                pixels.for_each(|pixel| {
                    for (largest, value) in largest.iter_mut().zip(pixel) {
                        // What is not a number stays so, unlike in f32::max.
                        if *value > *largest || value.is_nan() {
                            *largest = *value;
                        }
                    }
                });
                largest
            }
        };
        to.copy_from_slice(&result[..to.len()]);
    }
}

fn pointwise(op: Pointwise, input: &[f32], output: &mut [f32]) {
    fn each(input: &[f32], output: &mut [f32], function: impl Fn(f32) -> f32) {
        for (to, from) in output.iter_mut().zip(input) {
            *to = function(*from);
        }
    }
    match op {
        Pointwise::Relu => each(input, output, |x| if x < 0.0 { 0.0 } else { x }),
        Pointwise::Clip(low, high) => each(input, output, |x| x.clamp(low, high)),
        Pointwise::Exp => each(input, output, f32::exp),
        Pointwise::Sigmoid => each(input, output, |x| 1.0 / (1.0 + (-x).exp())),
        Pointwise::Multiply(factor) => each(input, output, |x| x * factor),
        Pointwise::Add(addend) => each(input, output, |x| x + addend),
    }
}
