//! From the coefficients of a block to its samples at full size, bit by bit as libjpeg does.
//!
//! This is the accurate integer transform of libjpeg (jidctint.c), which libjpeg-turbo's vector instructions compute alike,
//! and with it nearly every program that shows a JPEG: the algorithm of Loeffler, Ligtenberg and Moschytz (ICASSP 1989) with
//! 12 multiplications for eight samples.

use super::frame::{BLOCK, MAX_ENERGY};
use super::idct::Coefficients;
use crate::simd::{self, Work};

/// What the first coefficient is multiplied with to become the mean of the samples.
pub(super) const MEAN: f32 = 0.125;
/// Where the coefficients together reach no farther, their squares add up to less than [`MAX_ENERGY`].
pub(super) const BOUND: f32 = 2047.0;

/// Bits behind the point of a factor, and those that the first pass leaves behind the point of what it gives.
const FACTOR: u32 = 13;
const FIRST_PASS: u32 = 2;
/// Bits by which both passes together enlarge the samples: each by the root of eight.
const ENLARGED: u32 = 3;

type Rows = [[i32; BLOCK]; BLOCK];

/// Nothing is cut off here. `None` where the coefficients are no picture's.
pub(super) fn check(coefficients: &mut Coefficients) -> Option<bool> {
    let energy: f32 = coefficients.iter().map(|value| value * value).sum();
    (energy < MAX_ENERGY as f32).then_some(false)
}

/// Writes the samples of a block, of which [`check`] has no complaint, into a plane with rows of this stride.
pub(super) fn transform(coefficients: &Coefficients, plane: &mut [u8], stride: usize) {
    simd::run(Block {
        coefficients,
        plane,
        stride,
    });
}

struct Block<'a> {
    coefficients: &'a Coefficients,
    plane: &'a mut [u8],
    stride: usize,
}

impl Work for Block<'_> {
    #[inline(always)]
    fn run(self) {
        let mut rows = [[0; BLOCK]; BLOCK];
        for (at, coefficient) in self.coefficients.iter().enumerate() {
            rows[at / BLOCK][at % BLOCK] = whole_number(*coefficient);
        }
        pass::<{ FACTOR - FIRST_PASS }>(&mut rows);
        let mut columns = transposed(&rows);
        pass::<{ FACTOR + FIRST_PASS + ENLARGED }>(&mut columns);
        let mut samples = [[0; BLOCK]; BLOCK];
        for x in 0..BLOCK {
            for y in 0..BLOCK {
                samples[x][y] = (columns[x][y] + 128).clamp(0, 255) as u8;
            }
        }
        for (row, out) in transposed(&samples)
            .iter()
            .zip(self.plane.chunks_mut(self.stride))
        {
            out[..BLOCK].copy_from_slice(row);
        }
    }
}

/// A whole number of less than 2^22. In contrast to a cast, which looks at what is no number or too large, this becomes
/// vector instructions: with the summand its last bit is that of one.
#[inline(always)]
fn whole_number(value: f32) -> i32 {
    const SUMMAND: f32 = (3 << 22) as f32;
    (value + SUMMAND).to_bits().cast_signed() - SUMMAND.to_bits().cast_signed()
}

#[inline(always)]
fn transposed<T: Copy>(rows: &[[T; BLOCK]; BLOCK]) -> [[T; BLOCK]; BLOCK] {
    let mut columns = *rows;
    for y in 0..BLOCK {
        for x in 0..BLOCK {
            columns[x][y] = rows[y][x];
        }
    }
    columns
}

/// Transforms every column, and rounds off so many bits. With the energy that a picture has nothing overflows: both passes
/// keep the sum of squares but for their scale, so that no product and no sum of four of them reaches 2^31.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // all columns at once, in vectors
fn pass<const OFF: u32>(rows: &mut Rows) {
    for x in 0..BLOCK {
        let samples = inverse(std::array::from_fn(|y| rows[y][x]));
        for y in 0..BLOCK {
            rows[y][x] = (samples[y] + (1 << (OFF - 1))) >> OFF;
        }
    }
}

/// A factor of the algorithm, as libjpeg rounds it.
const fn fixed(factor: f64) -> i32 {
    (factor * (1 << FACTOR) as f64 + 0.5) as i32
}

/// Eight samples of as many coefficients, times the root of eight and 2^13.
#[inline(always)]
fn inverse([c0, c1, c2, c3, c4, c5, c6, c7]: [i32; BLOCK]) -> [i32; BLOCK] {
    // Even ones.
    let turned = (c2 + c6) * const { fixed(0.541_196_100) };
    let low = turned - c6 * const { fixed(1.847_759_065) };
    let high = turned + c2 * const { fixed(0.765_366_865) };
    let (sum, difference) = ((c0 + c4) << FACTOR, (c0 - c4) << FACTOR);
    let even = [sum + high, difference + low, difference - low, sum - high];
    // Odd ones.
    let (a, b, c, d) = (c7 + c1, c5 + c3, c7 + c3, c5 + c1);
    let all = (c + d) * const { fixed(1.175_875_602) };
    let a = a * -const { fixed(0.899_976_223) };
    let b = b * -const { fixed(2.562_915_447) };
    let c = all - c * const { fixed(1.961_570_560) };
    let d = all - d * const { fixed(0.390_180_644) };
    let odd = [
        c1 * const { fixed(1.501_321_110) } + a + d,
        c3 * const { fixed(3.072_711_026) } + b + c,
        c5 * const { fixed(2.053_119_869) } + b + d,
        c7 * const { fixed(0.298_631_336) } + a + c,
    ];
    [
        even[0] + odd[0],
        even[1] + odd[1],
        even[2] + odd[2],
        even[3] + odd[3],
        even[3] - odd[3],
        even[2] - odd[2],
        even[1] - odd[1],
        even[0] - odd[0],
    ]
}
