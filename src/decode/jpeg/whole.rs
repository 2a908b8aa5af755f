//! A whole picture at full size, bit by bit as libjpeg decodes it.
//!
//! Colours that are stored more coarsely are enlarged by libjpeg's "fancy upsampling" (jdsample.c), a triangle filter: a
//! sample counts three quarters where it is nearer, the next one a quarter, in each direction.

use image::{DynamicImage, GrayImage, RgbImage};

use super::header::Header;
use super::idct::Method;
use super::scan::{Grid, Plane, Scan, write_row};
use crate::deadline::Deadline;
use crate::simd::{self, Work};

/// Narrower colours than this are repeated instead, across and down.
const NARROWEST: usize = 3;

/// `None` where the data are not what they should be, or there is no time. They may go on behind the picture, which all
/// decoders pass over.
pub(super) fn decode(header: &Header<'_>, deadline: &Deadline) -> Option<DynamicImage> {
    let [columns, rows] = Grid::new(header, 1, header.whole()).all;
    let mut scan = Scan::new(header, [columns, rows], 0..columns, |component| {
        Some(Method::exact(&component.quantization))
    })?;
    for row in 0..rows {
        deadline.check().ok()?;
        scan.mcus(Some(row))?;
    }
    let [width, height] = header.size();
    match scan.planes.as_slice() {
        [luma] => {
            let rows = luma.samples.chunks_exact(luma.stride);
            let rows = rows.take(header.height).map(|row| &row[..header.width]);
            GrayImage::from_raw(width, height, rows.collect::<Vec<_>>().concat()).map(Into::into)
        }
        planes => {
            let rgb = coloured(planes, header);
            RgbImage::from_raw(width, height, rgb).map(Into::into)
        }
    }
}

fn coloured(planes: &[Plane], header: &Header<'_>) -> Vec<u8> {
    let mut rgb = vec![0; 3 * header.width * header.height];
    let colour = |plane| {
        // A component of colour has one block in an MCU.
        let ratio = header.components[0].blocks;
        Colour::new(plane, ratio, [header.width, header.height])
    };
    let mut colours: Vec<_> = planes[1..].iter().map(colour).collect();
    for (at, row) in rgb.chunks_exact_mut(3 * header.width).enumerate() {
        let luma = &planes[0].samples[at * planes[0].stride..][..header.width];
        let lines = colours.iter_mut().map(|colour| colour.line(at));
        write_row(std::iter::once(luma).chain(lines), row);
    }
    rgb
}

/// A component of colour, whose samples are as many as those of luma, or half as many, in each direction.
struct Colour<'a> {
    plane: &'a Plane,
    /// Samples of luma for one of it, across and down: 1 or 2.
    ratio: [usize; 2],
    /// Columns and rows of samples.
    size: [usize; 2],
    sums: Vec<u16>,
    line: Vec<u8>,
}

impl<'a> Colour<'a> {
    fn new(plane: &'a Plane, ratio: [usize; 2], picture: [usize; 2]) -> Self {
        let size = [0, 1].map(|axis| picture[axis].div_ceil(ratio[axis]));
        Colour {
            plane,
            ratio,
            size,
            sums: vec![0; size[0]],
            line: vec![0; size[0] * ratio[0]],
        }
    }

    fn stored(&self, row: usize) -> &'a [u8] {
        &self.plane.samples[row * self.plane.stride..][..self.size[0]]
    }

    /// What belongs to a row of luma.
    fn line(&mut self, at: usize) -> &[u8] {
        let [across, down] = self.ratio.map(|ratio| ratio == 2);
        let row = at / self.ratio[1];
        let nearer = self.stored(row);
        if !across && !down {
            return nearer;
        }
        if across && self.size[0] < NARROWEST {
            let repeated = nearer.iter().flat_map(|sample| [*sample; 2]);
            self.line = repeated.collect();
            return &self.line;
        }
        let is_lower = at % 2 == 1;
        let farther = if is_lower {
            (row + 1).min(self.size[1] - 1)
        } else {
            row.saturating_sub(1)
        };
        simd::run(Enlargement {
            nearer,
            farther: down.then(|| self.stored(farther)),
            is_lower,
            sums: &mut self.sums,
            line: &mut self.line,
        });
        &self.line
    }
}

/// A row of a component that is enlarged across, downwards or both.
struct Enlargement<'a> {
    nearer: &'a [u8],
    /// Where it is enlarged downwards: the row below, of the lower of two rows, or else the one above.
    farther: Option<&'a [u8]>,
    is_lower: bool,
    /// Room for both together.
    sums: &'a mut [u16],
    line: &'a mut [u8],
}

impl Work for Enlargement<'_> {
    #[inline(always)]
    fn run(self) {
        let Enlargement {
            nearer,
            farther,
            is_lower,
            sums,
            line,
        } = self;
        match farther {
            None => set(sums, nearer.iter().map(|near| u16::from(*near))),
            Some(farther) => set(
                sums,
                nearer
                    .iter()
                    .zip(farther)
                    .map(|(near, far)| weighted((*near).into(), (*far).into())),
            ),
        }
        // Halves are rounded down in one of two neighbours, and up in the other.
        match (farther, line.len() > sums.len()) {
            (None, _) => pairs::<2>(sums, [1, 2], line),
            (_, true) => pairs::<4>(sums, [8, 7], line),
            _ if is_lower => set(line, sums.iter().map(|sum| ((sum + 2) >> 2) as u8)),
            _ => set(line, sums.iter().map(|sum| ((sum + 1) >> 2) as u8)),
        }
    }
}

#[inline(always)]
fn set<T>(to: &mut [T], values: impl Iterator<Item = T>) {
    for (to, value) in to.iter_mut().zip(values) {
        *to = value;
    }
}

#[inline(always)]
fn weighted(nearer: u16, farther: u16) -> u16 {
    3 * nearer + farther
}

/// Makes two samples of each, of this many bits too many, which are rounded off when so much was added.
#[inline(always)]
fn pairs<const OFF: u32>(sums: &[u16], added: [u16; 2], line: &mut [u8]) {
    let pairs = line.as_chunks_mut::<2>().0;
    let pair = |before: u16, sum: u16, after: u16| {
        [
            ((weighted(sum, before) + added[0]) >> OFF) as u8,
            ((weighted(sum, after) + added[1]) >> OFF) as u8,
        ]
    };
    let count = sums.len();
    // Beyond the ends there is the same once more.
    let Some(last) = count.checked_sub(2) else {
        return;
    };
    pairs[0] = pair(sums[0], sums[0], sums[1]);
    pairs[count - 1] = pair(sums[last], sums[last + 1], sums[last + 1]);
    let inner = sums.iter().zip(&sums[1..]).zip(&sums[2..]);
    for (to, ((before, sum), after)) in pairs[1..].iter_mut().zip(inner) {
        *to = pair(*before, *sum, *after);
    }
}
