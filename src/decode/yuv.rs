//! From luma and chroma to RGB, whole rows at a time.

use super::colour::{self, put};
use crate::simd::{self, Work};

/// Converts rows of one width. A chroma sample covers two by two pixels.
pub(super) struct Converter {
    /// For each pixel of a row, what the chroma adds to the luma for red, green and blue.
    terms: [Vec<i16>; 3],
}

/// Where the chroma of a row lies.
#[derive(Clone, Copy)]
pub(super) enum ChromaRow<'a> {
    /// U, V, U, V, ...
    UvPairs(&'a [u8]),
    /// V, U, V, U, ...
    VuPairs(&'a [u8]),
    Planes {
        u: &'a [u8],
        v: &'a [u8],
    },
}

impl Converter {
    pub fn new(width: usize) -> Self {
        let terms = || vec![0; width.next_multiple_of(2)];
        Converter {
            terms: [terms(), terms(), terms()],
        }
    }

    /// Sets the chroma of the rows to come.
    pub fn chroma(&mut self, row: ChromaRow<'_>) {
        simd::run(Chroma {
            terms: &mut self.terms,
            row,
        });
    }

    /// Converts a row: three bytes for each byte of luma.
    pub fn convert(&self, luma: &[u8], rgb: &mut [u8]) {
        simd::run(Pixels {
            terms: &self.terms,
            luma,
            rgb,
        });
    }
}

struct Chroma<'a> {
    terms: &'a mut [Vec<i16>; 3],
    row: ChromaRow<'a>,
}

struct Pixels<'a> {
    terms: &'a [Vec<i16>; 3],
    luma: &'a [u8],
    rgb: &'a mut [u8],
}

impl Work for Chroma<'_> {
    #[inline(always)]
    fn run(self) {
        match self.row {
            ChromaRow::UvPairs(row) => {
                set(self.terms, row.as_chunks().0.iter().map(|[u, v]| [*u, *v]));
            }
            ChromaRow::VuPairs(row) => {
                set(self.terms, row.as_chunks().0.iter().map(|[v, u]| [*u, *v]));
            }
            ChromaRow::Planes { u, v } => {
                set(self.terms, u.iter().zip(v).map(|(u, v)| [*u, *v]));
            }
        }
    }
}

#[inline(always)]
fn set([red, green, blue]: &mut [Vec<i16>; 3], samples: impl Iterator<Item = [u8; 2]>) {
    let [red, green, blue] = [red, green, blue].map(|terms| terms.as_chunks_mut::<2>().0);
    let terms = red.iter_mut().zip(green).zip(blue);
    for (((red, green), blue), [u, v]) in terms.zip(samples) {
        let [r, g, b] = colour::terms(u, v).map(|term| term as i16);
        (*red, *green, *blue) = ([r; 2], [g; 2], [b; 2]);
    }
}

impl Work for Pixels<'_> {
    #[inline(always)]
    fn run(self) {
        let [red, green, blue] = self.terms;
        let pixels = self.rgb.as_chunks_mut::<3>().0.iter_mut();
        let terms = red.iter().zip(green).zip(blue);
        for ((pixel, luma), ((red, green), blue)) in pixels.zip(self.luma).zip(terms) {
            let sample = |term: &i16| (i16::from(*luma) + term).clamp(0, 255) as u8;
            put(pixel, [sample(red), sample(green), sample(blue)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::colour::rgb as plain;
    use super::*;

    #[test]
    fn every_colour_is_that_of_the_formula() {
        let width = 511;
        for u in 0..=255 {
            let samples: Vec<u8> = (0..=255).collect();
            let mut converter = Converter::new(width);
            converter.chroma(ChromaRow::Planes {
                u: &[u; 256],
                v: &samples,
            });
            for y in [0, 1, 16, 100, 128, 200, 254, 255] {
                let mut rgb = vec![7; 3 * width];
                converter.convert(&vec![y; width], &mut rgb);
                for (x, pixel) in rgb.chunks(3).enumerate() {
                    assert_eq!(pixel, plain(y, u, (x / 2) as u8), "{y} {u} {x}");
                }
            }
        }
    }

    #[test]
    fn grey_stays_grey() {
        let luma: Vec<u8> = (0..=255).collect();
        let mut converter = Converter::new(256);
        for row in [
            ChromaRow::UvPairs(&[128; 256]),
            ChromaRow::VuPairs(&[128; 256]),
        ] {
            converter.chroma(row);
            let mut rgb = vec![0; 3 * 256];
            converter.convert(&luma, &mut rgb);
            assert!(rgb.chunks(3).zip(&luma).all(|(pixel, y)| pixel == [*y; 3]));
        }
    }

    #[test]
    fn pairs_and_planes_agree() {
        let (u, v) = ([100u8, 110, 250], [140u8, 20, 160]);
        let pairs = |a: [u8; 3], b: [u8; 3]| -> Vec<u8> {
            a.into_iter().zip(b).flat_map(|(a, b)| [a, b]).collect()
        };
        let convert = |row: ChromaRow<'_>| {
            let mut converter = Converter::new(5);
            converter.chroma(row);
            let mut rgb = [0; 15];
            converter.convert(&[10, 90, 128, 200, 255], &mut rgb);
            rgb
        };
        let expected = convert(ChromaRow::Planes { u: &u, v: &v });
        assert_eq!(convert(ChromaRow::UvPairs(&pairs(u, v))), expected);
        assert_eq!(convert(ChromaRow::VuPairs(&pairs(v, u))), expected);
        assert_eq!(expected[..3], plain(10, 100, 140));
    }
}
