//! Convolution of 3x3 kernels with fewer multiplications (Winograd; Lavin and Gray 2016).
//!
//! A tile of `side * side` outputs depends on a patch of `(side + 2)^2` inputs. Both and the kernel
//! are seen as polynomials, and evaluated at as many points: there the convolution is one product
//! each, and the products of all input channels are summed before the way back. So an output of 4x4
//! tiles takes 36 multiplications instead of 144, and one of 2x2 tiles 16 instead of 36. To the
//! points and back there are only sums along blocks of channels, which are whole vectors.
//!
//! In between lies, for every point, what a convolution of 1x1 kernels does on a row of tiles. A
//! strip of tiles is computed at a time, as many as stay in the second cache.

#[cfg(target_arch = "aarch64")]
use super::simd::Neon;
#[cfg(target_arch = "x86_64")]
use super::simd::{Avx2, Avx512};
use std::ops::Range;

use super::simd::{InstructionSet, Portable, Simd};
use super::tile::{Layer, Shape, Tile};
use super::{BLOCK, BORDER, Batch, Conv, ConvShape, Epilogue, Layout, Map};

/// Side of the kernels.
const KERNEL: usize = 3;
/// Most points along one axis.
const POINTS: usize = 6;
/// Most outputs along one axis.
const SIDE: usize = 4;
/// For 4x4 tiles the points are 0, A, -A, B, -B and infinity. With these the rounding errors are
/// twice those of a direct convolution, with 1 and 2 four times; and all constants are exact.
const A: f32 = 0.625;
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;
/// Most input and output channels for which 4x4 tiles pay, multiplied: their weights take four
/// times the memory of plain ones, those of 2x2 tiles twice.
const MAX_WEIGHTS: usize = 64 * 64;
/// Most numbers of the patches of a strip.
const STRIP: usize = (100 << 10) / size_of::<f32>();
/// Numbers between the points of a strip: without, many would compete for few places in the cache.
const GAP: usize = BLOCK;

/// Points of a tile.
pub(super) fn points(side: usize) -> usize {
    (side + KERNEL - 1).pow(2)
}

/// Weights at the points.
#[derive(Debug)]
pub(super) struct Winograd {
    /// Outputs of a tile along one axis: 2 or 4.
    side: usize,
    /// `[output block][point][input channel][BLOCK outputs]`
    weights: Vec<f32>,
}

impl Winograd {
    /// Side of the tiles with which a convolution is computed fastest, unless directly.
    pub fn side(p: &ConvShape) -> Option<usize> {
        let fits = p.kernel == KERNEL && p.stride == 1 && p.layout == Layout::Blocked;
        // With few channels the way to the points and back takes longer than what it saves.
        let pays = p.in_channels.min(p.out_channels) >= BLOCK;
        let large = p.in_channels.saturating_mul(p.out_channels) <= MAX_WEIGHTS;
        (fits && pays).then_some(if large { 4 } else { 2 })
    }

    /// Takes the weights to the points.
    pub fn new(side: usize, p: &ConvShape, plain: &[f32]) -> Self {
        let points = points(side);
        let out_blocks = p.out_channels.div_ceil(BLOCK);
        let per_point = p.in_channels * BLOCK;
        let per_block = points * per_point;
        let mut weights = vec![0.0; out_blocks * per_block];
        for (block, packed) in weights.chunks_exact_mut(per_block).enumerate() {
            for input in 0..p.in_channels {
                let kernels = std::array::from_fn(|tap| {
                    std::array::from_fn(|lane| {
                        let output = block * BLOCK + lane;
                        let at = (output * p.in_channels + input) * KERNEL * KERNEL + tap;
                        if output < p.out_channels {
                            f64::from(plain[at])
                        } else {
                            0.0
                        }
                    })
                });
                kernels_at_points(side, &kernels, |point, lanes| {
                    let at = point * per_point + input * BLOCK;
                    packed[at..at + BLOCK].copy_from_slice(&lanes);
                });
            }
        }
        Winograd { side, weights }
    }

    /// Convolves maps and buffers that [`super::convolve`] has checked.
    pub fn convolve(
        &self,
        set: InstructionSet,
        conv: &Conv,
        batch: Batch<'_>,
        epilogue: Epilogue,
        (output, to): (&mut [f32], &Map),
        work: &mut Vec<f32>,
    ) {
        let points = points(self.side);
        let per_block = points * conv.shape.in_channels * BLOCK;
        assert_eq!(self.weights.len(), to.blocks() * per_block);
        let run = Run {
            winograd: self,
            points,
            per_block,
            set,
            conv,
            batch,
            epilogue,
            to,
            grid: Grid::new(self.side, to),
        };
        let tiles = batch.pictures * run.grid.tiles();
        let in_blocks = batch.map.blocks();
        let strips = tiles.div_ceil((STRIP / (points * in_blocks * BLOCK)).max(1));
        let most = tiles.div_ceil(strips);
        let patches = points * run.distance(in_blocks, most);
        let sums = points * run.distance(to.blocks().min(MOST_BLOCKS), most);
        if work.len() < patches + sums {
            work.resize(patches + sums, 0.0);
        }
        let (patches, sums) = work.split_at_mut(patches);
        let mut first = 0;
        for strip in 0..strips {
            let count = (tiles - first).div_ceil(strips - strip);
            run.strip(first..first + count, patches, sums, output);
            first += count;
        }
    }
}

/// Most output blocks of a tile, of every instruction set.
const MOST_BLOCKS: usize = 4;
static ZEROS: [f32; MOST_BLOCKS * BLOCK] = [0.0; MOST_BLOCKS * BLOCK];

/// One convolution of a batch.
struct Run<'a> {
    winograd: &'a Winograd,
    points: usize,
    /// Weights of an output block.
    per_block: usize,
    set: InstructionSet,
    conv: &'a Conv,
    batch: Batch<'a>,
    epilogue: Epilogue,
    to: &'a Map,
    grid: Grid,
}

impl Run<'_> {
    /// Numbers from one point to the next where each has so many blocks of tiles.
    fn distance(&self, blocks: usize, tiles: usize) -> usize {
        blocks * tiles * BLOCK + GAP
    }

    /// Computes some tiles, with memory for as many.
    fn strip(
        &self,
        tiles: Range<usize>,
        patches: &mut [f32],
        sums: &mut [f32],
        output: &mut [f32],
    ) {
        let count = tiles.len();
        let (in_blocks, out_blocks) = (self.batch.map.blocks(), self.to.blocks());
        assert!(patches.len() >= self.points * self.distance(in_blocks, count));
        let most = out_blocks.min(MOST_BLOCKS);
        assert!(sums.len() >= self.points * self.distance(most, count));
        self.gather(tiles.clone(), patches);
        let mut block = 0;
        while block < out_blocks {
            let shape = self.set.shape(out_blocks - block, count);
            self.multiply(block, &shape, count, patches, sums);
            self.scatter(block..block + shape.blocks, tiles.clone(), sums, output);
            block += shape.blocks;
        }
    }

    /// Takes inputs to the points: `[point][block][tile][channel of the block]`.
    fn gather(&self, tiles: Range<usize>, patches: &mut [f32]) {
        let (from, count) = (self.batch.map, tiles.len());
        let origin = BORDER - self.conv.shape.padding;
        let gather = self.set.transforms(self.winograd.side).gather;
        for (at, tile) in tiles.enumerate() {
            let place = self.grid.place(tile);
            let [y, x] = place.pixel.map(|pixel| pixel + origin);
            let pixel = place.picture * from.len() + y * from.row() + x * BLOCK;
            for block in 0..from.blocks() {
                // SAFETY: the instruction set is one that this processor has, as is checked where
                // it is chosen. The patch starts inside the map, border included, and reads up to
                // the border's end. It writes a vector of a block and a tile for each point, for
                // which there is memory.
                unsafe {
                    gather(&Gather {
                        input: self.batch.values.as_ptr().add(pixel + block * from.plane()),
                        row: from.row(),
                        rows: from.height + 2 * BORDER - y,
                        columns: from.width + 2 * BORDER - x,
                        patch: patches.as_mut_ptr().add((block * count + at) * BLOCK),
                        point: self.distance(from.blocks(), count),
                    });
                }
            }
        }
    }

    /// Sums the products of all inputs for the output blocks from `block` on, at each point.
    fn multiply(
        &self,
        block: usize,
        shape: &Shape,
        count: usize,
        patches: &[f32],
        sums: &mut [f32],
    ) {
        let in_channels = self.conv.shape.in_channels;
        let layer = Layer {
            column: BLOCK,
            row: 0,
            plane: count * BLOCK,
            channels: in_channels,
            kernel: 1,
            weights: self.per_block,
            out_plane: count * BLOCK,
            starts: true,
            ends: false,
            epilogue: self.epilogue,
        };
        let patch_point = self.distance(self.batch.map.blocks(), count);
        let sum_point = self.distance(shape.blocks, count);
        for point in 0..self.points {
            let weights = block * self.per_block + point * in_channels * BLOCK;
            let mut x = 0;
            for tile in 0..shape.tiles {
                let pixels = (count - x).div_ceil(shape.tiles - tile);
                let compute = self.set.tile(shape.blocks, pixels, BLOCK);
                // SAFETY: the instruction set is one that this processor has. For one point, this
                // reads the patches `x..x + pixels` of `count` and the weights of `shape.blocks`
                // output blocks, and writes as many sums, for which there is memory.
                unsafe {
                    compute(
                        &layer,
                        Tile {
                            input: patches.as_ptr().add(point * patch_point + x * BLOCK),
                            weights: self.winograd.weights.as_ptr().add(weights),
                            bias: ZEROS.as_ptr(),
                            residual: None,
                            output: sums.as_mut_ptr().add(point * sum_point + x * BLOCK),
                        },
                    );
                }
                x += pixels;
            }
        }
    }

    /// Takes sums of some blocks to outputs.
    fn scatter(&self, blocks: Range<usize>, tiles: Range<usize>, sums: &[f32], output: &mut [f32]) {
        let (to, count) = (self.to, tiles.len());
        let scatter = self.set.transforms(self.winograd.side).scatter;
        for (at, tile) in tiles.enumerate() {
            let place = self.grid.place(tile);
            let [y, x] = place.pixel;
            let row = (y + BORDER) * to.row() + (x + BORDER) * BLOCK;
            let pixel = place.picture * to.len() + row;
            for (part, block) in blocks.clone().enumerate() {
                let target = pixel + block * to.plane();
                // SAFETY: the instruction set is one that this processor has. This reads the sums
                // of one tile and one block, and writes (and reads from the residual, which is as
                // large) the rows and columns of the tile that lie inside the map.
                unsafe {
                    scatter(&Scatter {
                        sums: sums.as_ptr().add((part * count + at) * BLOCK),
                        point: self.distance(blocks.len(), count),
                        bias: self.conv.bias.as_ptr().add(block * BLOCK),
                        residual: self.batch.residual.map(|from| from.as_ptr().add(target)),
                        epilogue: self.epilogue,
                        output: output.as_mut_ptr().add(target),
                        row: to.row(),
                        rows: to.height - y,
                        columns: to.width - x,
                    });
                }
            }
        }
    }
}

/// How a map is cut into tiles.
struct Grid {
    side: usize,
    rows: usize,
    columns: usize,
}

/// Where a tile of a batch lies.
struct Place {
    picture: usize,
    /// Row and column of its first pixel.
    pixel: [usize; 2],
}

impl Grid {
    fn new(side: usize, map: &Map) -> Self {
        Grid {
            side,
            rows: map.height.div_ceil(side),
            columns: map.width.div_ceil(side),
        }
    }

    fn tiles(&self) -> usize {
        self.rows * self.columns
    }

    fn place(&self, tile: usize) -> Place {
        let in_picture = tile % self.tiles();
        Place {
            picture: tile / self.tiles(),
            pixel: [in_picture / self.columns, in_picture % self.columns]
                .map(|step| step * self.side),
        }
    }
}

/// Hands out 16 kernels, given by taps, at every point.
fn kernels_at_points(
    side: usize,
    taps: &[[f64; BLOCK]; KERNEL * KERNEL],
    mut take: impl FnMut(usize, [f32; BLOCK]),
) {
    let points = side + KERNEL - 1;
    let rows: [[[f64; BLOCK]; POINTS]; KERNEL] =
        std::array::from_fn(|y| at_points(side, std::array::from_fn(|x| taps[y * KERNEL + x])));
    for x in 0..points {
        let column = at_points(side, std::array::from_fn(|y| rows[y][x]));
        for (y, lanes) in column.iter().take(points).enumerate() {
            take(y * points + x, lanes.map(|value| value as f32));
        }
    }
}

/// Polynomials with these coefficients at the points, divided by what belongs to each.
fn at_points(side: usize, taps: [[f64; BLOCK]; KERNEL]) -> [[f64; BLOCK]; POINTS] {
    let at = |point: f64, divisor: f64| {
        std::array::from_fn(|lane| {
            let [a, b, c] = [taps[0][lane], taps[1][lane], taps[2][lane]];
            (a + point * (b + point * c)) / divisor
        })
    };
    if side == 2 {
        return [
            at(0.0, 1.0),
            at(1.0, 2.0),
            at(-1.0, 2.0),
            taps[2],
            taps[2],
            taps[2],
        ];
    }
    let [a, b, a2, b2] = [A, B, A2, B2].map(f64::from);
    let (of_a, of_b) = (2.0 * a2 * (a2 - b2), 2.0 * b2 * (b2 - a2));
    [
        at(0.0, a2 * b2),
        at(a, of_a),
        at(-a, of_a),
        at(b, of_b),
        at(-b, of_b),
        taps[2],
    ]
}

/// Inputs of a tile, taken to the points.
struct Gather {
    input: *const f32,
    /// Numbers from a row of the input to the next.
    row: usize,
    /// Rows and columns that may be read; what lies beyond is zero.
    rows: usize,
    columns: usize,
    patch: *mut f32,
    /// Numbers from a point to the next.
    point: usize,
}

/// Sums at the points, taken to outputs.
struct Scatter {
    sums: *const f32,
    /// Numbers from a point to the next.
    point: usize,
    bias: *const f32,
    residual: Option<*const f32>,
    epilogue: Epilogue,
    output: *mut f32,
    /// Numbers from a row of the output to the next.
    row: usize,
    /// Rows and columns that may be written.
    rows: usize,
    columns: usize,
}

/// Inputs along one axis at the points.
///
/// # Safety
/// The processor has the instructions of `S`.
#[inline(always)]
unsafe fn to_points<S: Simd, const OUT: usize>(d: [S::Vector; POINTS]) -> [S::Vector; POINTS] {
    // SAFETY: as the caller promises.
    unsafe {
        if OUT == 2 {
            return [
                S::subtract(d[0], d[2]),
                S::add(d[1], d[2]),
                S::subtract(d[2], d[1]),
                S::subtract(d[1], d[3]),
                d[0],
                d[0],
            ];
        }
        // (x^2 - b^2) (x +- a), and the same with a and b exchanged.
        let even_a = S::multiply_add(d[2], S::splat(-B2), d[4]);
        let odd_a = S::multiply_add(d[1], S::splat(-B2), d[3]);
        let even_b = S::multiply_add(d[2], S::splat(-A2), d[4]);
        let odd_b = S::multiply_add(d[1], S::splat(-A2), d[3]);
        // (x^2 - a^2) (x^2 - b^2), and x times that.
        let ends = |low, middle, high| {
            let rest = S::multiply_add(middle, S::splat(-(A2 + B2)), high);
            S::multiply_add(low, S::splat(A2 * B2), rest)
        };
        [
            ends(d[0], d[2], d[4]),
            S::multiply_add(odd_a, S::splat(A), even_a),
            S::multiply_add(odd_a, S::splat(-A), even_a),
            S::multiply_add(odd_b, S::splat(B), even_b),
            S::multiply_add(odd_b, S::splat(-B), even_b),
            ends(d[1], d[3], d[5]),
        ]
    }
}

/// Outputs along one axis.
///
/// # Safety
/// The processor has the instructions of `S`.
#[inline(always)]
unsafe fn from_points<S: Simd, const OUT: usize>(m: [S::Vector; POINTS]) -> [S::Vector; SIDE] {
    // SAFETY: as the caller promises.
    unsafe {
        if OUT == 2 {
            let first = S::add(m[0], S::add(m[1], m[2]));
            let second = S::subtract(S::subtract(m[1], m[2]), m[3]);
            return [first, second, first, second];
        }
        let (even_a, odd_a) = (S::add(m[1], m[2]), S::subtract(m[1], m[2]));
        let (even_b, odd_b) = (S::add(m[3], m[4]), S::subtract(m[3], m[4]));
        let scaled = |a: f32, x, b: f32, y| {
            let first = S::multiply_add(x, S::splat(a), S::splat(0.0));
            S::multiply_add(y, S::splat(b), first)
        };
        [
            S::add(m[0], S::add(even_a, even_b)),
            scaled(A, odd_a, B, odd_b),
            scaled(A2, even_a, B2, even_b),
            S::add(m[5], scaled(A * A2, odd_a, B * B2, odd_b)),
        ]
    }
}

/// # Safety
/// The processor has the instructions of `S`, and the pointers reach what [`Gather`] says.
#[inline(always)]
unsafe fn gather<S: Simd, const OUT: usize>(tile: &Gather) {
    let points = OUT + KERNEL - 1;
    let whole = tile.rows >= points && tile.columns >= points;
    for lane in (0..BLOCK).step_by(S::LANES) {
        // SAFETY: as the caller promises.
        unsafe {
            let zero = S::splat(0.0);
            let mut half = [[zero; POINTS]; POINTS];
            for x in 0..points {
                let mut column = [zero; POINTS];
                for (y, value) in column.iter_mut().enumerate().take(points) {
                    if whole || (y < tile.rows && x < tile.columns) {
                        *value = S::load(tile.input.add(y * tile.row + x * BLOCK + lane));
                    }
                }
                let column = to_points::<S, OUT>(column);
                for y in 0..points {
                    half[y][x] = column[y];
                }
            }
            for (y, row) in half.iter().enumerate().take(points) {
                let row = to_points::<S, OUT>(*row);
                for (x, value) in row.iter().enumerate().take(points) {
                    S::store(tile.patch.add((y * points + x) * tile.point + lane), *value);
                }
            }
        }
    }
}

/// # Safety
/// The processor has the instructions of `S`, and the pointers reach what [`Scatter`] says.
#[inline(always)]
unsafe fn scatter<S: Simd, const OUT: usize>(tile: &Scatter) {
    let points = OUT + KERNEL - 1;
    let whole = tile.rows >= OUT && tile.columns >= OUT;
    for lane in (0..BLOCK).step_by(S::LANES) {
        // SAFETY: as the caller promises.
        unsafe {
            let zero = S::splat(0.0);
            let mut half = [[zero; POINTS]; SIDE];
            for x in 0..points {
                let mut column = [zero; POINTS];
                for (y, value) in column.iter_mut().enumerate().take(points) {
                    *value = S::load(tile.sums.add((y * points + x) * tile.point + lane));
                }
                let column = from_points::<S, OUT>(column);
                for y in 0..OUT {
                    half[y][x] = column[y];
                }
            }
            let bias = S::load(tile.bias.add(lane));
            for (y, row) in half.iter().enumerate().take(OUT) {
                let row = from_points::<S, OUT>(*row);
                for (x, value) in row.iter().enumerate().take(OUT) {
                    if whole || (y < tile.rows && x < tile.columns) {
                        let at = y * tile.row + x * BLOCK + lane;
                        let mut value = S::add(*value, bias);
                        if tile.epilogue.relu_before {
                            value = S::relu(value);
                        }
                        if let Some(residual) = tile.residual {
                            value = S::add(value, S::load(residual.add(at)));
                        }
                        if tile.epilogue.relu_after {
                            value = S::relu(value);
                        }
                        S::store(tile.output.add(at), value);
                    }
                }
            }
        }
    }
}

/// The ways to the points and back, compiled for an instruction set.
struct Transforms {
    gather: unsafe fn(&Gather),
    scatter: unsafe fn(&Scatter),
}

macro_rules! compile {
    ($simd:ident $(, $feature:literal)?) => {
        impl $simd {
            /// # Safety
            /// As for [`gather`].
            $(#[target_feature(enable = $feature)])?
            unsafe fn gather<const OUT: usize>(tile: &Gather) {
                // SAFETY: as the caller promises.
                unsafe { gather::<Self, OUT>(tile) }
            }

            /// # Safety
            /// As for [`scatter`].
            $(#[target_feature(enable = $feature)])?
            unsafe fn scatter<const OUT: usize>(tile: &Scatter) {
                // SAFETY: as the caller promises.
                unsafe { scatter::<Self, OUT>(tile) }
            }

            fn transforms(side: usize) -> Transforms {
                match side {
                    2 => Transforms { gather: Self::gather::<2>, scatter: Self::scatter::<2> },
                    _ => Transforms { gather: Self::gather::<4>, scatter: Self::scatter::<4> },
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
compile!(Avx512, "avx512f");
#[cfg(target_arch = "x86_64")]
compile!(Avx2, "avx2,fma");
#[cfg(target_arch = "aarch64")]
compile!(Neon, "neon");
compile!(Portable);

impl InstructionSet {
    fn transforms(self, side: usize) -> Transforms {
        match self {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => Avx512::transforms(side),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => Avx2::transforms(side),
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => Neon::transforms(side),
            InstructionSet::Portable => Portable::transforms(side),
        }
    }
}
