//! Convolution: the arithmetic in which nearly all of the time goes, once for all instruction sets.
//!
//! Activations lie in blocks of [`BLOCK`] channels, `[block][row][column][channel of the block]`,
//! with a border of one zero pixel all around, so that no pixel is a special case. The pictures of
//! a batch lie one after the other. Every sum is formed in one order however the pictures were cut
//! ([`tile`]) and whatever else is in the batch, so a result depends on neither.
//!
//! A convolution is computed as it is written down ([`direct`]), or where it pays with fewer
//! multiplications ([`winograd`]); its sizes alone say which.
//!
//! This is the only folder of the engine with `unsafe`: loads and stores are not checked one by
//! one, but [`convolve`] checks the sizes of all buffers once per layer.
#![allow(unsafe_code)]

mod direct;
mod simd;
mod tile;
mod winograd;

pub(super) use self::simd::InstructionSet;
use self::winograd::Winograd;

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

/// Sizes of a square convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConvShape {
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
}

impl ConvShape {
    /// Numbers that the packed weights take, `None` where a `usize` cannot count them.
    pub fn packed_len(&self) -> Option<usize> {
        let taps = match Winograd::kind(self) {
            Some(kind) => kind.matrices(),
            None => self.kernel.checked_mul(self.kernel)?,
        };
        self.out_channels
            .checked_next_multiple_of(BLOCK)?
            .checked_mul(self.in_channels)?
            .checked_mul(taps)
    }
}

/// A convolution with its weights as the kernels read them.
#[derive(Debug)]
pub(super) struct Conv {
    shape: ConvShape,
    weights: Weights,
    /// One number for each output channel, zeros up to a whole block.
    bias: Vec<f32>,
}

/// Weights, packed for one way to compute.
#[derive(Debug)]
enum Weights {
    /// `[output block][input block][row][column][channel of the input block][BLOCK outputs]`
    Direct(Vec<f32>),
    Winograd(Winograd),
}

impl Conv {
    /// Packs `[out_channels][in_channels][kernel][kernel]` weights and a bias for each output.
    ///
    /// # Panics
    /// Where the numbers of weights are not those that the sizes say.
    pub fn new(shape: ConvShape, weights: &[f32], bias: &[f32]) -> Self {
        assert!(matches!(shape.stride, 1 | 2) && shape.padding <= BORDER && shape.kernel > 0);
        let taps = shape.kernel * shape.kernel;
        assert_eq!(weights.len(), shape.out_channels * shape.in_channels * taps);
        assert_eq!(bias.len(), shape.out_channels);
        let mut bias = bias.to_vec();
        bias.resize(shape.out_channels.next_multiple_of(BLOCK), 0.0);
        let weights = match Winograd::kind(&shape) {
            Some(kind) => Weights::Winograd(Winograd::new(kind, &shape, weights)),
            None => Weights::Direct(direct::pack(&shape, weights)),
        };
        Conv {
            shape,
            weights,
            bias,
        }
    }

    /// The map that comes out, or why there is none.
    pub fn output(&self, input: &Map) -> Result<Map, String> {
        if (input.layout, input.channels) != (self.shape.layout, self.shape.in_channels) {
            return Err(format!(
                "it takes {} channels, but is given {}",
                self.shape.in_channels, input.channels
            ));
        }
        let side = |side: usize| {
            let room = (side + 2 * self.shape.padding).checked_sub(self.shape.kernel)?;
            Some(room / self.shape.stride + 1)
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
            channels: self.shape.out_channels,
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

/// What a convolution reads: the pictures of a batch.
#[derive(Clone, Copy)]
pub(super) struct Batch<'a> {
    pub pictures: usize,
    pub values: &'a [f32],
    /// What one picture is.
    pub map: &'a Map,
    /// As the output; added to it.
    pub residual: Option<&'a [f32]>,
}

/// Convolves a batch into `output`, border included. `work` is memory of the convolution's own,
/// which grows where it is too small.
///
/// # Panics
/// Where a buffer is smaller than its maps, or a map is not that of the convolution.
pub(super) fn convolve(
    set: InstructionSet,
    conv: &Conv,
    batch: Batch<'_>,
    epilogue: Epilogue,
    (output, to): (&mut [f32], &Map),
    work: &mut Vec<f32>,
) {
    // These are all facts that the loads and stores rely on.
    assert_eq!(conv.output(batch.map).as_ref(), Ok(to));
    assert!(batch.values.len() >= batch.pictures * batch.map.len());
    assert!(output.len() >= batch.pictures * to.len());
    let whole = |residual: &[f32]| residual.len() >= batch.pictures * to.len();
    assert!(batch.residual.is_none_or(whole));
    assert_eq!(conv.bias.len(), to.blocks() * BLOCK);

    for output in output.chunks_exact_mut(to.len()).take(batch.pictures) {
        clear_border(output, to);
    }
    match &conv.weights {
        Weights::Direct(weights) => {
            direct::convolve(set, conv, weights, batch, epilogue, (output, to));
        }
        Weights::Winograd(winograd) => {
            winograd.convolve(set, conv, batch, epilogue, (output, to), work);
        }
    }
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
