//! Convolution: the arithmetic in which nearly all of the time goes, once for all instruction sets.
//!
//! Activations lie in blocks of [`BLOCK`] channels, `[block][row][column][channel of the block]`,
//! with a border of one zero pixel all around, so that no pixel is a special case. A tile computes
//! some neighbouring pixels of a row for some vectors of output channels, with all sums in
//! registers from the bias to the activation. Every sum is formed in one order whatever the tile,
//! so a result does not depend on how the picture was cut.
//!
//! This is the only file of the engine with `unsafe`: the loads and stores of a tile are not
//! checked one by one, but [`convolve`] checks the sizes of all buffers once per layer.
#![allow(unsafe_code)]

/// Channels of a block. Every supported vector length divides it.
pub(super) const BLOCK: usize = 16;
/// Zero pixels on each side of a map, the largest padding that a convolution may ask for.
pub(super) const BORDER: usize = 1;

/// How the values of a map lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// `[channel][row][column]`: what a network is given.
    Planar,
    /// `[block][row][column][channel of the block]`, unused channels zero.
    Blocked,
}

impl Layout {
    /// Channels that lie next to each other.
    pub fn block(self) -> usize {
        match self {
            Layout::Planar => 1,
            Layout::Blocked => BLOCK,
        }
    }
}

/// Size and layout of activations, border included in memory but not in `height` and `width`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Map {
    pub layout: Layout,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl Map {
    /// Numbers from a pixel to the one below it.
    pub fn row(&self) -> usize {
        (self.width + 2 * BORDER) * self.layout.block()
    }

    /// Numbers from a block to the next.
    pub fn plane(&self) -> usize {
        (self.height + 2 * BORDER) * self.row()
    }

    pub fn blocks(&self) -> usize {
        self.channels.div_ceil(self.layout.block())
    }

    /// Numbers in memory, `None` where a `usize` cannot count them.
    pub fn checked_len(&self) -> Option<usize> {
        let row = self
            .width
            .checked_add(2 * BORDER)?
            .checked_mul(self.layout.block())?;
        self.height
            .checked_add(2 * BORDER)?
            .checked_mul(row)?
            .checked_mul(self.blocks())
    }

    /// Numbers in memory of a map whose size was checked before.
    pub fn len(&self) -> usize {
        self.blocks() * self.plane()
    }
}

/// A square convolution with its weights as the kernels read them.
#[derive(Debug)]
pub(super) struct Conv {
    layout: Layout,
    in_channels: usize,
    out_channels: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    /// `[output block][input block][row][column][channel of the input block][BLOCK outputs]`
    weights: Vec<f32>,
    /// One number for each output channel, zeros up to a whole block.
    bias: Vec<f32>,
}

/// What a convolution is made of, as a model file states it.
pub(super) struct ConvParameters<'a> {
    /// Layout of the input.
    pub layout: Layout,
    pub in_channels: usize,
    pub out_channels: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// 1 or 2.
    pub stride: usize,
    /// 0 or 1 on all sides.
    pub padding: usize,
    /// `[out_channels][in_channels][kernel][kernel]`
    pub weights: &'a [f32],
    /// `[out_channels]`
    pub bias: &'a [f32],
}

impl Conv {
    /// Packs the weights.
    ///
    /// # Panics
    /// Where the numbers of weights are not those that the sizes say.
    pub fn new(parameters: &ConvParameters<'_>) -> Self {
        let p = parameters;
        assert!(matches!(p.stride, 1 | 2) && p.padding <= BORDER && p.kernel > 0);
        let taps = p.kernel * p.kernel;
        assert_eq!(p.weights.len(), p.out_channels * p.in_channels * taps);
        assert_eq!(p.bias.len(), p.out_channels);
        let out_blocks = p.out_channels.div_ceil(BLOCK);
        let mut bias = p.bias.to_vec();
        bias.resize(out_blocks * BLOCK, 0.0);
        let per_output = p.in_channels * taps;
        let mut weights = vec![0.0; out_blocks * per_output * BLOCK];
        let mut packed = weights.chunks_exact_mut(BLOCK);
        for out_block in 0..out_blocks {
            let first_output = out_block * BLOCK;
            let outputs = BLOCK.min(p.out_channels - first_output);
            for first_input in (0..p.in_channels).step_by(p.layout.block()) {
                let inputs = p.layout.block().min(p.in_channels - first_input);
                for tap in 0..taps {
                    for input in first_input..first_input + inputs {
                        let Some(lanes) = packed.next() else { break };
                        for (lane, weight) in lanes.iter_mut().take(outputs).enumerate() {
                            *weight =
                                p.weights[(first_output + lane) * per_output + input * taps + tap];
                        }
                    }
                }
            }
        }
        Conv {
            layout: p.layout,
            in_channels: p.in_channels,
            out_channels: p.out_channels,
            kernel: p.kernel,
            stride: p.stride,
            padding: p.padding,
            weights,
            bias,
        }
    }

    /// The map that comes out, or why there is none.
    pub fn output(&self, input: &Map) -> Result<Map, String> {
        if (input.layout, input.channels) != (self.layout, self.in_channels) {
            return Err(format!(
                "it takes {} channels, but is given {}",
                self.in_channels, input.channels
            ));
        }
        let side = |side: usize| {
            let room = (side + 2 * self.padding).checked_sub(self.kernel)?;
            Some(room / self.stride + 1)
        };
        let size = side(input.height).zip(side(input.width));
        let (height, width) = size.ok_or_else(|| {
            format!(
                "a picture of {}x{} is smaller than the kernel",
                input.height, input.width
            )
        })?;
        Ok(Map {
            layout: Layout::Blocked,
            channels: self.out_channels,
            height,
            width,
        })
    }
}

/// What follows the sum before it is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Epilogue {
    /// ReLU before the residual is added.
    pub relu_before: bool,
    /// ReLU at the end.
    pub relu_after: bool,
}

/// Convolves `input` into `output`, border included.
///
/// # Panics
/// Where a buffer is smaller than its map, or a map is not that of the convolution.
pub(super) fn convolve(
    set: InstructionSet,
    conv: &Conv,
    (input, from): (&[f32], &Map),
    residual: Option<&[f32]>,
    epilogue: Epilogue,
    (output, to): (&mut [f32], &Map),
) {
    // These are all facts that the loads and stores of the tiles rely on.
    assert_eq!(conv.output(from).as_ref(), Ok(to));
    assert!(input.len() >= from.len() && output.len() >= to.len());
    assert!(residual.is_none_or(|residual| residual.len() >= to.len()));
    let blocks = to.blocks();
    let per_block = conv.in_channels * conv.kernel * conv.kernel * BLOCK;
    assert_eq!(conv.weights.len(), blocks * per_block);
    assert_eq!(conv.bias.len(), blocks * BLOCK);

    clear_border(output, to);
    let mut layer = Layer {
        column: from.layout.block(),
        row: from.row(),
        plane: from.plane(),
        channels: conv.in_channels,
        kernel: conv.kernel,
        weights: per_block,
        out_plane: to.plane(),
        starts: true,
        ends: true,
        epilogue,
    };
    let step = conv.stride * layer.column;
    let origin = BORDER - conv.padding;
    let mut block = 0;
    while block < blocks {
        let shape = set.shape(blocks - block, to.width);
        let per_channel = conv.kernel * conv.kernel * BLOCK;
        let part = part(shape.blocks * per_channel, layer.column);
        for first in (0..conv.in_channels).step_by(part) {
            layer.channels = part.min(conv.in_channels - first);
            layer.starts = first == 0;
            layer.ends = first + layer.channels == conv.in_channels;
            let plane = first / layer.column * layer.plane;
            for y in 0..to.height {
                let row = (y * conv.stride + origin) * layer.row + origin * layer.column;
                let mut x = 0;
                for tile in 0..shape.tiles {
                    let pixels = (to.width - x).div_ceil(shape.tiles - tile);
                    let at = block * to.plane() + (y + BORDER) * to.row() + (x + BORDER) * BLOCK;
                    let compute = set.tile(shape.blocks, pixels, step);
                    // SAFETY: the instruction set is one that this processor has, as is checked
                    // where it is chosen. The tile covers output blocks `block..block +
                    // shape.blocks`, row `y` and columns `x..x + pixels`, and input channels
                    // `first..first + layer.channels`, all inside the maps whose sizes were
                    // checked above: it reads the weights and the biases of these, and writes
                    // (and reads from the residual, which has the same shape) inside the border.
                    // The last input row it reads is (height - 1) * stride + origin + kernel - 1,
                    // which by the definition of the output's height is at most the input's
                    // height + 1: the border below. The same holds for columns.
                    unsafe {
                        compute(
                            &layer,
                            Tile {
                                input: input.as_ptr().add(plane + row + x * step),
                                weights: conv
                                    .weights
                                    .as_ptr()
                                    .add(block * per_block + first * per_channel),
                                bias: conv.bias.as_ptr().add(block * BLOCK),
                                residual: residual.map(|residual| residual.as_ptr().add(at)),
                                output: output.as_mut_ptr().add(at),
                            },
                        );
                    }
                    x += pixels;
                }
            }
        }
        block += shape.blocks;
    }
}

/// Input channels whose weights stay in the first cache while a whole picture goes by: whole
/// blocks of `column` channels with `per_channel` weights each.
fn part(per_channel: usize, column: usize) -> usize {
    const CACHE: usize = (24 << 10) / size_of::<f32>();
    (CACHE / per_channel / column).max(1) * column
}

/// Makes the pixels around a map zero.
pub(super) fn clear_border(values: &mut [f32], map: &Map) {
    let (row, side) = (map.row(), BORDER * map.layout.block());
    for plane in values[..map.len()].chunks_exact_mut(map.plane()) {
        plane[..BORDER * row].fill(0.0);
        plane[(map.height + BORDER) * row..].fill(0.0);
        for row in plane.chunks_exact_mut(row) {
            row[..side].fill(0.0);
            let end = row.len() - side;
            row[end..].fill(0.0);
        }
    }
}

/// What all tiles of a layer have in common. Distances are in numbers, not bytes.
struct Layer {
    /// From a column of the input to the next, which is also the number of channels of a block.
    column: usize,
    row: usize,
    plane: usize,
    channels: usize,
    kernel: usize,
    /// Weights of one output block.
    weights: usize,
    out_plane: usize,
    /// These are the first input channels: the sums start with the bias, else with the output.
    starts: bool,
    /// These are the last input channels: what follows the sum is done.
    ends: bool,
    epilogue: Epilogue,
}

/// Where one tile begins.
struct Tile {
    input: *const f32,
    weights: *const f32,
    bias: *const f32,
    residual: Option<*const f32>,
    output: *mut f32,
}

type TileFn = unsafe fn(&Layer, Tile);

/// How the output channels and the columns of a row are cut.
struct Shape {
    /// Output blocks of a tile.
    blocks: usize,
    /// Tiles of a row, whose widths differ by at most one.
    tiles: usize,
}

/// The vector instructions that a kernel may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InstructionSet {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Portable,
}

impl InstructionSet {
    /// All that this processor has, the fastest first.
    pub fn available() -> Vec<Self> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                sets.push(InstructionSet::Avx512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                sets.push(InstructionSet::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            sets.push(InstructionSet::Neon);
        }
        sets.push(InstructionSet::Portable);
        sets
    }

    /// The fastest that this processor has.
    pub fn best() -> Self {
        Self::available()[0]
    }

    /// The most pixels of a tile with 1, 2, ... output blocks: as many sums as there are
    /// registers, less those for weights and input.
    fn widths(self) -> &'static [usize] {
        match self {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => &[14, 14, 9, 6],
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => &[6],
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => &[6],
            InstructionSet::Portable => &[2],
        }
    }

    /// The cheapest way to cut `blocks` output blocks and `width` columns, for the next blocks.
    fn shape(self, blocks: usize, width: usize) -> Shape {
        let costs = self
            .widths()
            .iter()
            .zip(1..=blocks)
            .map(|(pixels, blocks)| {
                let tiles = width.div_ceil(*pixels);
                let cost = |tile: usize| {
                    let pixels = width / tiles + usize::from(tile < width % tiles);
                    // Multiplications, loads, and the latency of a multiplication bound a tile.
                    (pixels * blocks).max(pixels + blocks).max(8) as f32 + 0.5 * blocks as f32
                };
                let cost = (0..tiles).map(cost).sum::<f32>() / blocks as f32;
                (cost, Shape { blocks, tiles })
            });
        costs.min_by(|(a, _), (b, _)| a.total_cmp(b)).map_or(
            Shape {
                blocks: 1,
                tiles: width,
            },
            |(_, shape)| shape,
        )
    }
}

/// The few operations of which a tile is made.
trait Simd {
    type Vector: Copy;
    const LANES: usize;

    unsafe fn load(from: *const f32) -> Self::Vector;
    unsafe fn broadcast(from: *const f32) -> Self::Vector;
    unsafe fn store(to: *mut f32, value: Self::Vector);
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b + c`
    unsafe fn multiply_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// The larger of the value and zero; what is not a number stays so.
    unsafe fn relu(value: Self::Vector) -> Self::Vector;
}

/// Computes `PIXELS` pixels, `STEP` numbers of the input apart, for `VECTORS` vectors of output
/// channels.
///
/// # Safety
/// The processor has the instructions of `S`. All that the layer's distances reach from the
/// pointers of the tile lies inside their buffers; `output` is written by nobody else.
#[inline(always)]
unsafe fn tile<S: Simd, const PIXELS: usize, const VECTORS: usize, const STEP: usize>(
    layer: &Layer,
    tile: Tile,
) {
    // Numbers from the first lane of the first vector to that of vector `v`.
    let lane = |v: usize, block: usize| {
        let per_block = BLOCK / S::LANES;
        v / per_block * block + v % per_block * S::LANES
    };
    // SAFETY: as the caller promises.
    unsafe {
        let mut sums = [[S::load(tile.bias); VECTORS]; PIXELS];
        for (pixel, sums) in sums.iter_mut().enumerate() {
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = match layer.starts {
                    true => S::load(tile.bias.add(lane(v, BLOCK))),
                    false => S::load(tile.output.add(pixel * BLOCK + lane(v, layer.out_plane))),
                };
            }
        }
        let mut weights = tile.weights;
        let mut plane = tile.input;
        let mut left = layer.channels;
        while left > 0 {
            let channels = left.min(layer.column);
            for y in 0..layer.kernel {
                for x in 0..layer.kernel {
                    let input = plane.add(y * layer.row + x * layer.column);
                    for channel in 0..channels {
                        let input = input.add(channel);
                        let mut factors = [S::load(weights); VECTORS];
                        for (v, factor) in factors.iter_mut().enumerate() {
                            *factor = S::load(weights.add(lane(v, layer.weights)));
                        }
                        for (pixel, sums) in sums.iter_mut().enumerate() {
                            let value = S::broadcast(input.add(pixel * STEP));
                            for (sum, factor) in sums.iter_mut().zip(factors) {
                                *sum = S::multiply_add(value, factor, *sum);
                            }
                        }
                        weights = weights.add(BLOCK);
                    }
                }
            }
            plane = plane.add(layer.plane);
            left -= channels;
        }
        for (pixel, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                let at = pixel * BLOCK + lane(v, layer.out_plane);
                let mut value = *sum;
                if layer.ends {
                    if layer.epilogue.relu_before {
                        value = S::relu(value);
                    }
                    if let Some(residual) = tile.residual {
                        value = S::add(value, S::load(residual.add(at)));
                    }
                    if layer.epilogue.relu_after {
                        value = S::relu(value);
                    }
                }
                S::store(tile.output.add(at), value);
            }
        }
    }
}

/// Compiles [`tile`] for an instruction set: `blocks: vectors [pixels...]` for each tile shape.
macro_rules! compile {
    ($simd:ident, $feature:literal, $($blocks:literal: $vectors:literal [$($pixels:literal)*]),*) => {
        impl $simd {
            /// # Safety
            /// As for [`tile`].
            #[target_feature(enable = $feature)]
            unsafe fn compiled<const PIXELS: usize, const VECTORS: usize, const STEP: usize>(
                layer: &Layer,
                at: Tile,
            ) {
                // SAFETY: as the caller promises.
                unsafe { tile::<Self, PIXELS, VECTORS, STEP>(layer, at) }
            }

            pub(super) fn tile<const STEP: usize>(blocks: usize, pixels: usize) -> TileFn {
                match (blocks, pixels) {
                    $($(($blocks, $pixels) => Self::compiled::<$pixels, $vectors, STEP>,)*)*
                    _ => unreachable!("there is no tile of {blocks} blocks and {pixels} pixels"),
                }
            }
        }
    };
}

impl InstructionSet {
    /// The kernel for a tile of so many output blocks and pixels.
    fn tile(self, blocks: usize, pixels: usize, step: usize) -> TileFn {
        match step {
            1 => self.tile_of_step::<1>(blocks, pixels),
            2 => self.tile_of_step::<2>(blocks, pixels),
            BLOCK => self.tile_of_step::<BLOCK>(blocks, pixels),
            _ => self.tile_of_step::<{ 2 * BLOCK }>(blocks, pixels),
        }
    }

    fn tile_of_step<const STEP: usize>(self, blocks: usize, pixels: usize) -> TileFn {
        match self {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => Avx512::tile::<STEP>(blocks, pixels),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => Avx2::tile::<STEP>(blocks, pixels),
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => Neon::tile::<STEP>(blocks, pixels),
            InstructionSet::Portable => Portable::tile::<STEP>(blocks, pixels),
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Layer, Simd, Tile, TileFn, tile};

    pub struct Avx512;
    pub struct Avx2;

    // SAFETY of all functions here: the caller promises the instructions, and valid pointers; no
    // operation asks for alignment.
    impl Simd for Avx512 {
        type Vector = __m512;
        const LANES: usize = 16;

        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m512 {
            unsafe { _mm512_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn broadcast(from: *const f32) -> __m512 {
            unsafe { _mm512_set1_ps(*from) }
        }

        #[inline(always)]
        unsafe fn store(to: *mut f32, value: __m512) {
            unsafe { _mm512_storeu_ps(to, value) }
        }

        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_add_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn multiply_add(a: __m512, b: __m512, c: __m512) -> __m512 {
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }

        #[inline(always)]
        unsafe fn relu(value: __m512) -> __m512 {
            // Where one is not a number the instruction gives the second.
            unsafe { _mm512_max_ps(_mm512_setzero_ps(), value) }
        }
    }

    impl Simd for Avx2 {
        type Vector = __m256;
        const LANES: usize = 8;

        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m256 {
            unsafe { _mm256_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn broadcast(from: *const f32) -> __m256 {
            unsafe { _mm256_set1_ps(*from) }
        }

        #[inline(always)]
        unsafe fn store(to: *mut f32, value: __m256) {
            unsafe { _mm256_storeu_ps(to, value) }
        }

        #[inline(always)]
        unsafe fn add(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_add_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn multiply_add(a: __m256, b: __m256, c: __m256) -> __m256 {
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }

        #[inline(always)]
        unsafe fn relu(value: __m256) -> __m256 {
            // Where one is not a number the instruction gives the second.
            unsafe { _mm256_max_ps(_mm256_setzero_ps(), value) }
        }
    }

    compile!(Avx512, "avx512f",
        1: 1 [1 2 3 4 5 6 7 8 9 10 11 12 13 14],
        2: 2 [1 2 3 4 5 6 7 8 9 10 11 12 13 14],
        3: 3 [1 2 3 4 5 6 7 8 9],
        4: 4 [1 2 3 4 5 6]);
    compile!(Avx2, "avx2,fma", 1: 2 [1 2 3 4 5 6]);
}

#[cfg(target_arch = "x86_64")]
use x86::{Avx2, Avx512};

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::*;

    use super::{Layer, Simd, Tile, TileFn, tile};

    pub struct Neon;

    // SAFETY of all functions here: the caller promises the instructions, and valid pointers.
    impl Simd for Neon {
        type Vector = float32x4_t;
        const LANES: usize = 4;

        #[inline(always)]
        unsafe fn load(from: *const f32) -> float32x4_t {
            unsafe { vld1q_f32(from) }
        }

        #[inline(always)]
        unsafe fn broadcast(from: *const f32) -> float32x4_t {
            unsafe { vdupq_n_f32(*from) }
        }

        #[inline(always)]
        unsafe fn store(to: *mut f32, value: float32x4_t) {
            unsafe { vst1q_f32(to, value) }
        }

        #[inline(always)]
        unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            unsafe { vaddq_f32(a, b) }
        }

        #[inline(always)]
        unsafe fn multiply_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
            unsafe { vfmaq_f32(c, a, b) }
        }

        #[inline(always)]
        unsafe fn relu(value: float32x4_t) -> float32x4_t {
            // This instruction keeps what is not a number.
            unsafe { vmaxq_f32(vdupq_n_f32(0.0), value) }
        }
    }

    compile!(Neon, "neon", 1: 4 [1 2 3 4 5 6]);
}

#[cfg(target_arch = "aarch64")]
use arm::Neon;

/// What every processor can do: the compiler makes vectors of the target's least common kind.
struct Portable;

// SAFETY of all functions here: the caller promises valid pointers.
impl Simd for Portable {
    type Vector = [f32; 4];
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 4] {
        unsafe { from.cast::<[f32; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn broadcast(from: *const f32) -> [f32; 4] {
        unsafe { [*from; 4] }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, value: [f32; 4]) {
        unsafe { to.cast::<[f32; 4]>().write_unaligned(value) }
    }

    #[inline(always)]
    unsafe fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|lane| a[lane] + b[lane])
    }

    #[inline(always)]
    unsafe fn multiply_add(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
    }

    #[inline(always)]
    unsafe fn relu(value: [f32; 4]) -> [f32; 4] {
        value.map(|value| if value < 0.0 { 0.0 } else { value })
    }
}

impl Portable {
    fn tile<const STEP: usize>(_blocks: usize, pixels: usize) -> TileFn {
        match pixels {
            1 => tile::<Self, 1, 4, STEP>,
            _ => tile::<Self, 2, 4, STEP>,
        }
    }
}
