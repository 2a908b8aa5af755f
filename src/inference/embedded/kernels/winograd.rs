//! Convolution of 3x3 kernels with fewer multiplications (Winograd; Lavin and Gray 2016).
//!
//! A tile of outputs depends on a patch of inputs. Both and the kernel are seen as polynomials, and
//! evaluated at as many points as the patch has inputs: there the convolution is one product each,
//! and the products of all input channels are summed before the way back. A tile of 4x4 outputs
//! takes 36 multiplications instead of 144, one of 2x2 outputs 16 instead of 36, and one of 4x4
//! outputs of every second row and column 81 instead of 144. To the points and back there are only
//! sums along blocks of channels, which are whole vectors.
//!
//! In between lies, for every point, what a convolution of 1x1 kernels does on a row of tiles. A
//! strip of tiles is computed at a time, as many as stay in the second cache.

use std::mem::MaybeUninit;
use std::ops::Range;

#[cfg(target_arch = "aarch64")]
use super::simd::Neon;
#[cfg(target_arch = "x86_64")]
use super::simd::{Avx2, Avx512};
use super::simd::{InstructionSet, Portable, Simd};
use super::tile::{Layer, Shape, Tile, finish};
use super::{BLOCK, BORDER, Batch, Conv, ConvShape, Epilogue, Layout, Map};

/// Side of the kernels.
const KERNEL: usize = 3;
/// Most points along one axis, and most of them at which kernels differ.
const MOST_POINTS: usize = 9;
const MOST_DISTINCT: usize = 6;
/// Most outputs along one axis.
const MOST_SIDE: usize = 4;
/// Points of 4x4 tiles are A, -A, B, -B and others. With these the rounding errors are twice those
/// of a direct convolution, with 1 and 2 four times; and all constants are exact.
const A: f32 = 0.625;
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;
/// Most input and output channels for which 4x4 tiles are used, multiplied: their weights take four
/// times the memory of plain ones, those of 2x2 tiles twice.
const MAX_WEIGHTS: usize = 64 * 64;

/// What tiles are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// 2x2 outputs, at the points 0, 1, -1 and infinity.
    Small,
    /// 4x4 outputs, at 0, A, -A, B, -B and infinity.
    Large,
    /// 4x4 outputs of every second row and column. Every second input meets the outer taps, at A,
    /// -A, B, -B and infinity; each of the other inputs meets the middle tap, as it is.
    Strided,
}

impl Kind {
    /// Outputs of a tile along one axis.
    const fn side(self) -> usize {
        match self {
            Kind::Small => 2,
            Kind::Large | Kind::Strided => 4,
        }
    }

    /// Points of a tile along one axis, which are as many as its inputs.
    const fn points(self) -> usize {
        match self {
            Kind::Small => 4,
            Kind::Large => 6,
            Kind::Strided => 9,
        }
    }

    /// Points along one axis at which kernels differ: at all later ones they are as at the last.
    const fn distinct(self) -> usize {
        match self {
            Kind::Small => 4,
            Kind::Large | Kind::Strided => 6,
        }
    }

    /// Matrices of weights.
    pub fn matrices(self) -> usize {
        self.distinct().pow(2)
    }

    /// The matrix of weights of a point.
    fn matrix(self, point: usize) -> usize {
        let place = |at: usize| at.min(self.distinct() - 1);
        place(point / self.points()) * self.distinct() + place(point % self.points())
    }
}

/// Most numbers of the patches of a strip.
const STRIP: usize = (100 << 10) / size_of::<f32>();
/// Numbers between the points of a strip: without, many would compete for few places in the cache.
const GAP: usize = BLOCK;

/// Weights at the points.
#[derive(Debug)]
pub(super) struct Winograd {
    kind: Kind,
    /// `[output block][matrix][input channel][BLOCK outputs]`
    weights: Vec<f32>,
}

impl Winograd {
    /// The tiles with which a convolution is computed fastest, unless directly.
    pub fn kind(p: &ConvShape) -> Option<Kind> {
        // With few channels the way to the points and back takes longer than what it saves.
        let pays = p.in_channels.min(p.out_channels) >= BLOCK;
        if p.kernel != KERNEL || p.layout != Layout::Blocked || !pays {
            return None;
        }
        let large = p.in_channels.saturating_mul(p.out_channels) <= MAX_WEIGHTS;
        match (p.stride, large) {
            (1, true) => Some(Kind::Large),
            (1, false) => Some(Kind::Small),
            (_, true) => Some(Kind::Strided),
            (_, false) => None,
        }
    }

    /// Takes the weights to the points.
    pub fn new(kind: Kind, p: &ConvShape, plain: &[f32]) -> Self {
        let per_matrix = p.in_channels * BLOCK;
        let per_block = kind.matrices() * per_matrix;
        let mut weights = vec![0.0; p.out_channels.div_ceil(BLOCK) * per_block];
        for (block, packed) in weights.chunks_exact_mut(per_block).enumerate() {
            let outputs = block * BLOCK..p.out_channels.min((block + 1) * BLOCK);
            let mut kernels = Kernels::default();
            for input in 0..p.in_channels {
                for (lane, output) in outputs.clone().enumerate() {
                    let from = (output * p.in_channels + input) * KERNEL * KERNEL;
                    for (tap, weight) in kernels.taps.iter_mut().zip(&plain[from..]) {
                        tap[lane] = f64::from(*weight);
                    }
                }
                kernels.at_points(kind, |matrix, lanes| {
                    let at = matrix * per_matrix + input * BLOCK;
                    packed[at..at + BLOCK].copy_from_slice(lanes);
                });
            }
        }
        Winograd { kind, weights }
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
        let points = self.kind.points().pow(2);
        let per_block = self.kind.matrices() * conv.shape.in_channels * BLOCK;
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
            grid: Grid::new(self.kind.side(), to),
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
        let gather = self.set.transforms(self.winograd.kind).gather;
        for (at, tile) in tiles.enumerate() {
            let place = self.grid.place(tile);
            let [y, x] = place
                .pixel
                .map(|pixel| pixel * self.conv.shape.stride + origin);
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
            // At the next point.
            ahead: in_channels * BLOCK,
            out_plane: count * BLOCK,
            starts: true,
            ends: false,
            epilogue: self.epilogue,
        };
        let patch_point = self.distance(self.batch.map.blocks(), count);
        let sum_point = self.distance(shape.blocks, count);
        for point in 0..self.points {
            let matrix = self.winograd.kind.matrix(point);
            let weights = block * self.per_block + matrix * in_channels * BLOCK;
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
        let scatter = self.set.transforms(self.winograd.kind).scatter;
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

/// 16 numbers of each tap, or at each point.
type Lanes = [f64; BLOCK];

/// 16 kernels on their way to the points: memory that is used again for the next ones.
#[derive(Default)]
struct Kernels {
    taps: [Lanes; KERNEL * KERNEL],
    /// Each row of taps at the points along it.
    rows: [[Lanes; MOST_DISTINCT]; KERNEL],
    /// One point along the rows, at the points along the column.
    column: [Lanes; MOST_DISTINCT],
}

impl Kernels {
    /// Hands out the kernels at every point where they differ.
    fn at_points(&mut self, kind: Kind, mut take: impl FnMut(usize, &[f32; BLOCK])) {
        let distinct = kind.distinct();
        for (row, taps) in self.rows.iter_mut().zip(self.taps.as_chunks().0) {
            at_points(kind, taps.each_ref(), row);
        }
        for x in 0..distinct {
            at_points(
                kind,
                self.rows.each_ref().map(|row| &row[x]),
                &mut self.column,
            );
            for (y, lanes) in self.column.iter().take(distinct).enumerate() {
                take(y * distinct + x, &lanes.map(|value| value as f32));
            }
        }
    }
}

/// Polynomials with the taps as coefficients at the points, divided by what belongs to each.
///
/// At a point and its negative the even part of a polynomial is the same, and the odd part is
/// its negative.
fn at_points(kind: Kind, taps: [&Lanes; KERNEL], to: &mut [Lanes; MOST_DISTINCT]) {
    let [a, b, a2, b2] = [A, B, A2, B2].map(f64::from);
    let (of_a, of_b) = (1.0 / (2.0 * (a2 - b2)), 1.0 / (2.0 * (b2 - a2)));
    let pair = |even: f64, odd: f64| (even + odd, even - odd);
    match kind {
        Kind::Small => each_lane(taps, to, |[first, middle, last]| {
            let (at_1, at_minus_1) = pair(0.5 * (first + last), 0.5 * middle);
            [first, at_1, at_minus_1, last, last, last]
        }),
        Kind::Large => each_lane(taps, to, |[first, middle, last]| {
            let at_0 = 1.0 / (a2 * b2) * first;
            let (at_a, at_minus_a) = pair(of_a * last + of_a / a2 * first, of_a / a * middle);
            let (at_b, at_minus_b) = pair(of_b * last + of_b / b2 * first, of_b / b * middle);
            [at_0, at_a, at_minus_a, at_b, at_minus_b, last]
        }),
        Kind::Strided => each_lane(taps, to, |[first, middle, last]| {
            let (at_a, at_minus_a) = pair(of_a * last, of_a / a * first);
            let (at_b, at_minus_b) = pair(of_b * last, of_b / b * first);
            [at_a, at_minus_a, at_b, at_minus_b, last, middle]
        }),
    }
}

fn each_lane(
    [first, middle, last]: [&Lanes; KERNEL],
    to: &mut [Lanes; MOST_DISTINCT],
    of: impl Fn([f64; KERNEL]) -> [f64; MOST_DISTINCT],
) {
    for lane in 0..BLOCK {
        let values = of([first[lane], middle[lane], last[lane]]);
        for (to, value) in to.iter_mut().zip(values) {
            to[lane] = value;
        }
    }
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

/// What the kinds do along one axis. Of the arrays only the first `POINTS` and `SIDE` count.
///
/// # Safety
/// The processor has the instructions of `S`.
trait Transform {
    const SIDE: usize;
    const POINTS: usize;

    /// Inputs at the points.
    unsafe fn to_points<S: Simd>(d: [S::Vector; MOST_POINTS]) -> [S::Vector; MOST_POINTS];

    /// Outputs of sums at the points.
    unsafe fn from_points<S: Simd>(m: [S::Vector; MOST_POINTS]) -> [S::Vector; MOST_SIDE];
}

struct Small;
struct Large;
struct Strided;

// SAFETY of all functions here: as the caller promises.
impl Transform for Small {
    const SIDE: usize = Kind::Small.side();
    const POINTS: usize = Kind::Small.points();

    #[inline(always)]
    unsafe fn to_points<S: Simd>(mut d: [S::Vector; MOST_POINTS]) -> [S::Vector; MOST_POINTS] {
        unsafe {
            let first = S::subtract(d[0], d[2]);
            let last = S::subtract(d[1], d[3]);
            let (sum, difference) = (S::add(d[1], d[2]), S::subtract(d[2], d[1]));
            [d[0], d[1], d[2], d[3]] = [first, sum, difference, last];
            d
        }
    }

    #[inline(always)]
    unsafe fn from_points<S: Simd>(m: [S::Vector; MOST_POINTS]) -> [S::Vector; MOST_SIDE] {
        unsafe {
            let first = S::add(m[0], S::add(m[1], m[2]));
            let second = S::subtract(S::subtract(m[1], m[2]), m[3]);
            [first, second, first, second]
        }
    }
}

/// `x * a + y * b`
#[inline(always)]
unsafe fn combine<S: Simd>(x: S::Vector, a: f32, y: S::Vector, b: f32) -> S::Vector {
    unsafe {
        let first = S::multiply_add(x, S::splat(a), S::splat(0.0));
        S::multiply_add(y, S::splat(b), first)
    }
}

/// Inputs at A, -A, B and -B, given those before and at each power of x.
#[inline(always)]
unsafe fn at_pairs<S: Simd>([x0, x1, x2, x3]: [S::Vector; 4]) -> [S::Vector; 4] {
    unsafe {
        let by = |square: f32, low, high| S::multiply_add(low, S::splat(-square), high);
        // (x^2 - b^2) (x +- a), and the same with a and b exchanged.
        let (odd_a, even_a) = (by(B2, x0, x2), by(B2, x1, x3));
        let (odd_b, even_b) = (by(A2, x0, x2), by(A2, x1, x3));
        [
            S::multiply_add(odd_a, S::splat(A), even_a),
            S::multiply_add(odd_a, S::splat(-A), even_a),
            S::multiply_add(odd_b, S::splat(B), even_b),
            S::multiply_add(odd_b, S::splat(-B), even_b),
        ]
    }
}

/// `(x^2 - a^2) (x^2 - b^2)`
#[inline(always)]
unsafe fn at_end<S: Simd>([x0, x2, x4]: [S::Vector; 3]) -> S::Vector {
    unsafe {
        let rest = S::multiply_add(x2, S::splat(-(A2 + B2)), x4);
        S::multiply_add(x0, S::splat(A2 * B2), rest)
    }
}

/// Outputs of sums at A, -A, B and -B.
#[inline(always)]
unsafe fn from_pairs<S: Simd>([a, minus_a, b, minus_b]: [S::Vector; 4]) -> [S::Vector; 4] {
    unsafe {
        let (even_a, odd_a) = (S::add(a, minus_a), S::subtract(a, minus_a));
        let (even_b, odd_b) = (S::add(b, minus_b), S::subtract(b, minus_b));
        [
            S::add(even_a, even_b),
            combine::<S>(odd_a, A, odd_b, B),
            combine::<S>(even_a, A2, even_b, B2),
            combine::<S>(odd_a, A * A2, odd_b, B * B2),
        ]
    }
}

impl Transform for Large {
    const SIDE: usize = Kind::Large.side();
    const POINTS: usize = Kind::Large.points();

    #[inline(always)]
    unsafe fn to_points<S: Simd>(mut d: [S::Vector; MOST_POINTS]) -> [S::Vector; MOST_POINTS] {
        unsafe {
            let first = at_end::<S>([d[0], d[2], d[4]]);
            let last = at_end::<S>([d[1], d[3], d[5]]);
            let [a, minus_a, b, minus_b] = at_pairs::<S>([d[1], d[2], d[3], d[4]]);
            [d[0], d[1], d[2], d[3], d[4], d[5]] = [first, a, minus_a, b, minus_b, last];
            d
        }
    }

    #[inline(always)]
    unsafe fn from_points<S: Simd>(m: [S::Vector; MOST_POINTS]) -> [S::Vector; MOST_SIDE] {
        unsafe {
            let mut y = from_pairs::<S>([m[1], m[2], m[3], m[4]]);
            y[0] = S::add(m[0], y[0]);
            y[3] = S::add(m[5], y[3]);
            y
        }
    }
}

impl Transform for Strided {
    const SIDE: usize = Kind::Strided.side();
    const POINTS: usize = Kind::Strided.points();

    #[inline(always)]
    unsafe fn to_points<S: Simd>(d: [S::Vector; MOST_POINTS]) -> [S::Vector; MOST_POINTS] {
        unsafe {
            let [a, minus_a, b, minus_b] = at_pairs::<S>([d[0], d[2], d[4], d[6]]);
            let last = at_end::<S>([d[0], d[4], d[8]]);
            [a, minus_a, b, minus_b, last, d[1], d[3], d[5], d[7]]
        }
    }

    #[inline(always)]
    unsafe fn from_points<S: Simd>(m: [S::Vector; MOST_POINTS]) -> [S::Vector; MOST_SIDE] {
        unsafe {
            let y = from_pairs::<S>([m[0], m[1], m[2], m[3]]);
            [
                S::add(y[0], m[5]),
                S::add(y[1], m[6]),
                S::add(y[2], m[7]),
                S::add(S::add(y[3], m[4]), m[8]),
            ]
        }
    }
}

/// A row of which each of the points was written, zeros after it. To start with zeros everywhere, and
/// not only there, would be a call of memset for every patch.
///
/// # Safety
/// The processor has the instructions of `S`, and the first `T::POINTS` vectors were written.
#[inline(always)]
unsafe fn written<S: Simd, T: Transform>(
    half: &[MaybeUninit<S::Vector>; MOST_POINTS],
) -> [S::Vector; MOST_POINTS] {
    // SAFETY: as the caller promises.
    unsafe {
        let mut row = [S::splat(0.0); MOST_POINTS];
        for (value, half) in row.iter_mut().zip(half).take(T::POINTS) {
            *value = half.assume_init();
        }
        row
    }
}

/// # Safety
/// The processor has the instructions of `S`, and the pointers reach what [`Gather`] says.
#[expect(
    clippy::needless_range_loop,
    reason = "columns of an array of rows are not iterated over"
)]
#[inline(always)]
unsafe fn gather<S: Simd, T: Transform>(tile: &Gather) {
    let whole = tile.rows >= T::POINTS && tile.columns >= T::POINTS;
    for lane in (0..BLOCK).step_by(S::LANES) {
        // SAFETY: as the caller promises.
        unsafe {
            let zero = S::splat(0.0);
            let mut half = [[MaybeUninit::uninit(); MOST_POINTS]; MOST_POINTS];
            for x in 0..T::POINTS {
                let mut column = [zero; MOST_POINTS];
                for (y, value) in column.iter_mut().enumerate().take(T::POINTS) {
                    if whole || (y < tile.rows && x < tile.columns) {
                        *value = S::load(tile.input.add(y * tile.row + x * BLOCK + lane));
                    }
                }
                let column = T::to_points::<S>(column);
                for y in 0..T::POINTS {
                    half[y][x].write(column[y]);
                }
            }
            for (y, half) in half.iter().enumerate().take(T::POINTS) {
                let row = T::to_points::<S>(written::<S, T>(half));
                for (x, value) in row.iter().enumerate().take(T::POINTS) {
                    let point = (y * T::POINTS + x) * tile.point;
                    S::store(tile.patch.add(point + lane), *value);
                }
            }
        }
    }
}

/// # Safety
/// The processor has the instructions of `S`, and the pointers reach what [`Scatter`] says.
#[expect(
    clippy::needless_range_loop,
    reason = "columns of an array of rows are not iterated over"
)]
#[inline(always)]
unsafe fn scatter<S: Simd, T: Transform>(tile: &Scatter) {
    let whole = tile.rows >= T::SIDE && tile.columns >= T::SIDE;
    for lane in (0..BLOCK).step_by(S::LANES) {
        // SAFETY: as the caller promises.
        unsafe {
            let zero = S::splat(0.0);
            let mut half = [[MaybeUninit::uninit(); MOST_POINTS]; MOST_SIDE];
            for x in 0..T::POINTS {
                let mut column = [zero; MOST_POINTS];
                for (y, value) in column.iter_mut().enumerate().take(T::POINTS) {
                    let point = (y * T::POINTS + x) * tile.point;
                    *value = S::load(tile.sums.add(point + lane));
                }
                let column = T::from_points::<S>(column);
                for y in 0..T::SIDE {
                    half[y][x].write(column[y]);
                }
            }
            let bias = S::load(tile.bias.add(lane));
            for (y, half) in half.iter().enumerate().take(T::SIDE) {
                let row = T::from_points::<S>(written::<S, T>(half));
                for (x, value) in row.iter().enumerate().take(T::SIDE) {
                    if whole || (y < tile.rows && x < tile.columns) {
                        let at = y * tile.row + x * BLOCK + lane;
                        let residual = tile.residual.map(|residual| residual.add(at));
                        let value = finish::<S>(tile.epilogue, S::add(*value, bias), residual);
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
            unsafe fn gather<T: Transform>(tile: &Gather) {
                // SAFETY: as the caller promises.
                unsafe { gather::<Self, T>(tile) }
            }

            /// # Safety
            /// As for [`scatter`].
            $(#[target_feature(enable = $feature)])?
            unsafe fn scatter<T: Transform>(tile: &Scatter) {
                // SAFETY: as the caller promises.
                unsafe { scatter::<Self, T>(tile) }
            }

            fn transforms(kind: Kind) -> Transforms {
                fn of<T: Transform>() -> Transforms {
                    Transforms {
                        gather: $simd::gather::<T>,
                        scatter: $simd::scatter::<T>,
                    }
                }
                match kind {
                    Kind::Small => of::<Small>(),
                    Kind::Large => of::<Large>(),
                    Kind::Strided => of::<Strided>(),
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
    fn transforms(self, kind: Kind) -> Transforms {
        match self {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => Avx512::transforms(kind),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => Avx2::transforms(kind),
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => Neon::transforms(kind),
            InstructionSet::Portable => Portable::transforms(kind),
        }
    }
}
