//! A tile: some neighbouring pixels of a row for some vectors of output channels, with all sums in
//! registers from the bias to the activation.

#[cfg(target_arch = "aarch64")]
use super::simd::Neon;
#[cfg(target_arch = "x86_64")]
use super::simd::{Avx2, Avx512};
use super::simd::{InstructionSet, Portable, Simd};
use super::{BLOCK, Epilogue};

/// What all tiles of a layer have in common. Distances are in numbers, not bytes.
pub(super) struct Layer {
    /// From a column of the input to the next, which is also the number of channels of a block.
    pub column: usize,
    pub row: usize,
    pub plane: usize,
    pub channels: usize,
    pub kernel: usize,
    /// Weights of one output block.
    pub weights: usize,
    /// From weights in use to those that will be used soon.
    pub ahead: usize,
    pub out_plane: usize,
    /// These are the first input channels: the sums start with the bias, else with the output.
    pub starts: bool,
    /// These are the last input channels: what follows the sum is done.
    pub ends: bool,
    pub epilogue: Epilogue,
}

/// Where one tile begins.
pub(super) struct Tile {
    pub input: *const f32,
    pub weights: *const f32,
    pub bias: *const f32,
    pub residual: Option<*const f32>,
    pub output: *mut f32,
}

pub(super) type TileFn = unsafe fn(&Layer, Tile);

/// How the output channels and the columns of a row are cut.
pub(super) struct Shape {
    /// Output blocks of a tile.
    pub blocks: usize,
    /// Tiles of a row, whose widths differ by at most one.
    pub tiles: usize,
}

impl InstructionSet {
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
    pub(super) fn shape(self, blocks: usize, width: usize) -> Shape {
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
                        for block in 0..VECTORS * S::LANES / BLOCK {
                            let soon = block * layer.weights + layer.ahead;
                            S::prefetch(weights.wrapping_add(soon));
                        }
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
            // After the last plane this points nowhere.
            plane = plane.wrapping_add(layer.plane);
            left -= channels;
        }
        for (pixel, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                let at = pixel * BLOCK + lane(v, layer.out_plane);
                let mut value = *sum;
                if layer.ends {
                    let residual = tile.residual.map(|residual| residual.add(at));
                    value = finish::<S>(layer.epilogue, value, residual);
                }
                S::store(tile.output.add(at), value);
            }
        }
    }
}

/// What follows a sum, the residual of its place included.
///
/// # Safety
/// The processor has the instructions of `S`, and the residual reaches as far as a vector.
#[inline(always)]
pub(super) unsafe fn finish<S: Simd>(
    epilogue: Epilogue,
    mut value: S::Vector,
    residual: Option<*const f32>,
) -> S::Vector {
    // SAFETY: as the caller promises.
    unsafe {
        if epilogue.relu_before {
            value = S::relu(value);
        }
        if let Some(residual) = residual {
            value = S::add(value, S::load(residual));
        }
        if epilogue.relu_after {
            value = S::relu(value);
        }
        value
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

            fn tile<const STEP: usize>(blocks: usize, pixels: usize) -> TileFn {
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
    pub(super) fn tile(self, blocks: usize, pixels: usize, step: usize) -> TileFn {
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
compile!(Avx512, "avx512f",
    1: 1 [1 2 3 4 5 6 7 8 9 10 11 12 13 14],
    2: 2 [1 2 3 4 5 6 7 8 9 10 11 12 13 14],
    3: 3 [1 2 3 4 5 6 7 8 9],
    4: 4 [1 2 3 4 5 6]);
#[cfg(target_arch = "x86_64")]
compile!(Avx2, "avx2,fma", 1: 2 [1 2 3 4 5 6]);
#[cfg(target_arch = "aarch64")]
compile!(Neon, "neon", 1: 4 [1 2 3 4 5 6]);

impl Portable {
    fn tile<const STEP: usize>(_blocks: usize, pixels: usize) -> TileFn {
        match pixels {
            1 => tile::<Self, 1, 4, STEP>,
            _ => tile::<Self, 2, 4, STEP>,
        }
    }
}
