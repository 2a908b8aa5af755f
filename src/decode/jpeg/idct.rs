//! From the coefficients of a block to its samples, at a scale.
//!
//! A block of 8 x 8 coefficients gives 1, 2, 4, 8 or 16 samples across and as many or half or twice as
//! many down: a scale takes the coarse coefficients, as if the block had been transformed at that size.

use super::exact;
use super::frame::{BLOCK, COEFFICIENTS, Factors, MAX_ENERGY};
use crate::simd::{self, Work};

/// Row and column, as one number, of a coefficient in the order of the file.
pub(super) const ZIGZAG: [u8; COEFFICIENTS] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Coefficients, row by row, times the factors of a [`Method`].
pub(super) type Coefficients = [f32; COEFFICIENTS];

/// How the coefficients of a component's blocks become samples.
pub(super) struct Method {
    /// What the coefficients are multiplied with, in the order of the file.
    pub factors: [f32; COEFFICIENTS],
    /// What the first product is multiplied with to become the mean of the samples.
    pub mean: f32,
    /// Coefficients beyond this one, in the order of the file, are too fine.
    pub last: usize,
    /// Where the products together reach no farther than this, `limit` has nothing to do.
    pub bound: f32,
    /// Cuts off what is beyond black and white, where the transform does not, and says whether anything is; `None` where
    /// the coefficients are no picture's.
    pub limit: fn(&mut Coefficients) -> Option<bool>,
    pub transform: Transform,
    /// Samples of a block, across and down.
    pub block: [usize; 2],
}

impl Method {
    /// To so many columns and rows of samples a block: 1, 2, 4, 8 or 16, the one at most twice the other.
    pub fn scaled(block: [usize; 2], quantization: &Factors) -> Option<Self> {
        Some(Method {
            factors: factors(quantization),
            mean: 1.0,
            last: last_needed(block),
            bound: BRIGHTEST,
            limit: cut_off,
            transform: transform(block)?,
            block,
        })
    }

    /// At full size, as libjpeg does.
    pub fn exact(quantization: &Factors) -> Self {
        Method {
            factors: quantization.map(f32::from),
            mean: exact::MEAN,
            last: COEFFICIENTS - 1,
            bound: exact::BOUND,
            limit: exact::check,
            transform: exact::transform,
            block: [BLOCK; 2],
        }
    }
}

/// What the coefficients are multiplied with, in the order of the file: the quantisation, and what makes
/// the transform orthonormal, so that the first one is the mean of the samples.
fn factors(quantization: &Factors) -> [f32; COEFFICIENTS] {
    std::array::from_fn(|at| {
        let place = usize::from(ZIGZAG[at]);
        f32::from(quantization[at]) * norm(place / BLOCK) * norm(place % BLOCK)
    })
}

/// What makes a wave of this frequency one of length 1.
fn norm(frequency: usize) -> f32 {
    match frequency {
        0 => 0.125_f32.sqrt(),
        _ => 0.5,
    }
}

/// The last coefficient, in the order of the file, that samples of so many columns and rows need.
fn last_needed([columns, rows]: [usize; 2]) -> usize {
    ZIGZAG
        .iter()
        .rposition(|place| usize::from(place % 8) < columns && usize::from(place / 8) < rows)
        .unwrap_or(0)
}

/// Writes the samples of a block into a plane with rows of this stride.
pub(super) type Transform = fn(&Coefficients, &mut [u8], usize);

/// The transform to so many columns and rows.
fn transform(size: [usize; 2]) -> Option<Transform> {
    Some(match size {
        [1, 1] => samples::<1, 1>,
        [1, 2] => samples::<1, 2>,
        [2, 1] => samples::<2, 1>,
        [2, 2] => samples::<2, 2>,
        [2, 4] => samples::<2, 4>,
        [4, 2] => samples::<4, 2>,
        [4, 4] => samples::<4, 4>,
        [4, 8] => samples::<4, 8>,
        [8, 4] => samples::<8, 4>,
        [8, 8] => samples::<8, 8>,
        [8, 16] => samples::<8, 16>,
        [16, 8] => samples::<16, 8>,
        [16, 16] => samples::<16, 16>,
        _ => return None,
    })
}

/// cos(n pi / 32) for n of 0..=16.
const COSINES: [f32; 17] = [
    1.0,
    0.995_184_7,
    0.980_785_25,
    0.956_940_35,
    0.923_879_5,
    0.881_921_3,
    0.831_469_6,
    0.773_010_5,
    0.707_106_77,
    0.634_393_3,
    0.555_570_24,
    0.471_396_74,
    0.382_683_43,
    0.290_284_7,
    0.195_090_32,
    0.098_017_14,
    0.0,
];

/// cos(n pi / 32) for any n.
const fn cosine(n: usize) -> f32 {
    let n = n % 64;
    let n = if n > 32 { 64 - n } else { n };
    if n > 16 { -COSINES[32 - n] } else { COSINES[n] }
}

/// Per frequency, its wave at the first half of N samples; the other half mirrors it, with the sign
/// changed where the frequency is odd.
const fn waves<const N: usize>() -> [[f32; BLOCK]; BLOCK] {
    let mut waves = [[0.0; BLOCK]; BLOCK];
    let mut frequency = 0;
    while frequency < BLOCK {
        let mut at = 0;
        while at < N.div_ceil(2) {
            waves[frequency][at] = cosine((2 * at + 1) * frequency * (16 / N));
            at += 1;
        }
        frequency += 1;
    }
    waves
}

/// As far from mid grey as a sample may be, black and white being 128 away: a little beyond are many where coefficients
/// are rounded.
const BRIGHTEST: f32 = 160.0;

/// Makes the coefficients those of what a block shows at full size, where decoders cut off what is darker than black or
/// brighter than white, and says whether anything is. A smaller picture of the coefficients as they stand could be
/// another one than all others see: where fine waves reach far beyond black, what is cut off changes the block's mean.
/// `None` where the coefficients are no picture's.
fn cut_off(coefficients: &mut Coefficients) -> Option<bool> {
    let mut samples = [[0.0; BLOCK]; BLOCK];
    let values = samples.as_flattened_mut();
    inverse::<BLOCK, BLOCK, _>(coefficients, values, BLOCK, |value| value);
    if values.iter().all(|value| value.abs() <= BRIGHTEST) {
        return Some(false);
    }
    let energy: f32 = values.iter().map(|value| value * value).sum();
    if energy >= MAX_ENERGY as f32 {
        return None;
    }
    for value in values {
        *value = value.clamp(-128.0, 127.0);
    }
    let sums = in_waves(&in_waves(&samples));
    let share = |frequency: usize| norm(frequency).powi(2);
    *coefficients = std::array::from_fn(|at| {
        let (row, column) = (at / BLOCK, at % BLOCK);
        sums[row][column] * share(row) * share(column)
    });
    Some(true)
}

type Block = [[f32; BLOCK]; BLOCK];

/// How much of each wave is in the rows of a block; they become columns.
fn in_waves(rows: &Block) -> Block {
    /// All frequencies at all samples.
    const WAVES: Block = {
        let mut waves = [[0.0; BLOCK]; BLOCK];
        let mut at = 0;
        while at < BLOCK * BLOCK {
            let (frequency, sample) = (at / BLOCK, at % BLOCK);
            waves[frequency][sample] = cosine((2 * sample + 1) * frequency * (16 / BLOCK));
            at += 1;
        }
        waves
    };
    let sum = |row: [f32; BLOCK], wave: [f32; BLOCK]| {
        let products = row.iter().zip(wave).map(|(sample, factor)| sample * factor);
        products.sum()
    };
    WAVES.map(|wave| rows.map(|row| sum(row, wave)))
}

fn samples<const COLUMNS: usize, const ROWS: usize>(
    coefficients: &Coefficients,
    plane: &mut [u8],
    stride: usize,
) {
    simd::run(Samples::<COLUMNS, ROWS> {
        coefficients,
        plane,
        stride,
    });
}

struct Samples<'a, const COLUMNS: usize, const ROWS: usize> {
    coefficients: &'a Coefficients,
    plane: &'a mut [u8],
    stride: usize,
}

impl<const COLUMNS: usize, const ROWS: usize> Work for Samples<'_, COLUMNS, ROWS> {
    #[inline(always)]
    fn run(self) {
        inverse::<COLUMNS, ROWS, _>(self.coefficients, self.plane, self.stride, sample);
    }
}

/// Writes what each sample becomes, given as it lies from mid grey.
#[inline(always)]
fn inverse<const COLUMNS: usize, const ROWS: usize, T>(
    coefficients: &Coefficients,
    plane: &mut [T],
    stride: usize,
    sample: impl Fn(f32) -> T,
) {
    let across = const { waves::<COLUMNS>() };
    let down = const { waves::<ROWS>() };
    let width = COLUMNS.min(BLOCK);
    // Down the columns of coefficients, all at once.
    let mut rows = [[0.0_f32; BLOCK]; 16];
    for y in 0..ROWS.div_ceil(2) {
        let (mut even, mut odd) = ([0.0_f32; BLOCK], [0.0_f32; BLOCK]);
        for (frequency, wave) in down.iter().enumerate().take(ROWS.min(BLOCK)) {
            let sum = if frequency % 2 == 0 {
                &mut even
            } else {
                &mut odd
            };
            for x in 0..width {
                sum[x] += wave[y] * coefficients[BLOCK * frequency + x];
            }
        }
        for x in 0..width {
            rows[y][x] = even[x] + odd[x];
            rows[ROWS - 1 - y][x] = even[x] - odd[x];
        }
    }
    // Across the rows.
    let half = COLUMNS.div_ceil(2);
    for (row, out) in rows.iter().take(ROWS).zip(plane.chunks_mut(stride)) {
        let (mut even, mut odd) = ([0.0_f32; BLOCK], [0.0_f32; BLOCK]);
        for (frequency, wave) in across.iter().enumerate().take(width) {
            let sum = if frequency % 2 == 0 {
                &mut even
            } else {
                &mut odd
            };
            for x in 0..half {
                sum[x] += wave[x] * row[frequency];
            }
        }
        for x in 0..half {
            out[COLUMNS - 1 - x] = sample(even[x] - odd[x]);
            out[x] = sample(even[x] + odd[x]);
        }
    }
}

/// A sample of 8 bits; zero is mid grey.
#[inline(always)]
pub(super) fn sample(value: f32) -> u8 {
    (value + 128.5).clamp(0.0, 255.0) as u8
}
