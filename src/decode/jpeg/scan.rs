//! From the entropy-coded data to pixels.

use std::ops::Range;

use image::RgbImage;

use super::bits::{Bits, Restarts};
use super::frame::{BLOCK, COEFFICIENTS};
use super::header::{Component, Header};
use super::huffman::{AcCode, DcCode, Shared};
use super::idct::{Method, ZIGZAG, sample};
use crate::deadline::Deadline;
use crate::decode::colour::{put, rgb};
use crate::simd::{self, Work};

/// A mean of a block beyond this is no picture's.
const MAX_MEAN: i32 = 1 << 14;

/// Where the MCUs lie that are wanted.
pub(super) struct Grid {
    /// Columns and rows of MCUs in the picture.
    pub all: [usize; 2],
    /// Those that are decoded.
    wanted: [Range<usize>; 2],
    /// Columns and rows of samples per MCU, at the scale.
    mcu: [usize; 2],
    /// Columns and rows of samples in the picture, at the scale.
    size: [usize; 2],
}

impl Grid {
    /// The MCUs that cover a part of the picture (its columns and rows), at one `unit`th of its size.
    pub fn new(header: &Header<'_>, unit: usize, part: [Range<usize>; 2]) -> Self {
        let full = [header.width, header.height];
        let blocks = header.components[0].blocks;
        let mcu = blocks.map(|blocks| blocks * BLOCK);
        let [columns, rows] = part;
        let wanted = |axis: usize, part: Range<usize>| {
            part.start / mcu[axis]..part.end.min(full[axis]).div_ceil(mcu[axis])
        };
        Grid {
            all: [0, 1].map(|axis| full[axis].div_ceil(mcu[axis])),
            wanted: [wanted(0, columns), wanted(1, rows)],
            mcu: mcu.map(|side| side / unit),
            size: full.map(|side| side.div_ceil(unit)),
        }
    }

    /// Column and row of the first sample that is decoded.
    pub fn origin(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.wanted[axis].start * self.mcu[axis])
    }

    /// Columns and rows of samples that are decoded.
    fn decoded(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            (self.wanted[axis].end * self.mcu[axis]).min(self.size[axis])
                - self.wanted[axis].start * self.mcu[axis]
        })
    }

    /// Bytes that the decoded samples take as RGB.
    pub fn bytes(&self) -> u64 {
        let [width, height] = self.decoded().map(|side| side as u64);
        3 * width * height
    }
}

/// What is decoded of a component.
pub(super) struct Plane {
    /// Blocks per MCU, across and down.
    blocks: [usize; 2],
    dc: usize,
    ac: usize,
    method: Method,
    /// Mean of the block before.
    mean: i32,
    /// Samples of a row.
    pub stride: usize,
    /// Those of the MCUs that are kept.
    pub samples: Vec<u8>,
}

/// The data of a picture, as far as they were read.
pub(super) struct Scan<'a> {
    bits: Bits<'a>,
    dc: Shared<'a, DcCode>,
    ac: Shared<'a, AcCode>,
    pub planes: Vec<Plane>,
    /// How many MCUs a row has, and those of them that are wanted.
    all: usize,
    wanted: Range<usize>,
    restarts: Restarts,
}

/// The wanted part of a picture; `None` where its data are not what they should be, or there is no time. Where the last
/// row is wanted, all of the data are looked at.
pub(super) fn decode(header: &Header<'_>, grid: Grid, deadline: &Deadline) -> Option<RgbImage> {
    let method = |component: &Component<'_>| {
        let block = [0, 1].map(|axis| grid.mcu[axis] / component.blocks[axis]);
        Method::scaled(block, &component.quantization)
    };
    let [columns, rows] = grid.wanted.clone();
    let mut scan = Scan::new(header, [grid.all[0], 1], columns, method)?;
    let [width, height] = grid.decoded();
    let mut pixels = vec![0; 3 * width * height];
    let mut parts = pixels.chunks_mut(3 * width * grid.mcu[1]);
    for row in 0..rows.end {
        deadline.check().ok()?;
        let is_wanted = rows.contains(&row);
        scan.mcus(is_wanted.then_some(0))?;
        if is_wanted {
            scan.write(width, parts.next()?);
        }
    }
    if rows.end == grid.all[1] && !scan.bits.is_over() {
        return None;
    }
    RgbImage::from_raw(width as u32, height as u32, pixels)
}

impl<'a> Scan<'a> {
    /// Of a picture with so many MCUs in a row: there is room for the wanted ones of so many rows.
    pub fn new(
        header: &Header<'a>,
        [all, rows]: [usize; 2],
        wanted: Range<usize>,
        method: impl Fn(&Component<'a>) -> Option<Method>,
    ) -> Option<Self> {
        let (mut dc, mut ac) = (Shared::default(), Shared::default());
        let plane = |component: &Component<'a>| {
            let method = method(component)?;
            let [across, down] = [0, 1].map(|axis| component.blocks[axis] * method.block[axis]);
            let stride = wanted.len() * across;
            Some(Plane {
                blocks: component.blocks,
                dc: dc.place(component.dc, DcCode::new),
                ac: ac.place(component.ac, AcCode::new),
                method,
                mean: 0,
                stride,
                samples: vec![0; stride * down * rows],
            })
        };
        Some(Scan {
            bits: Bits::new(header.data),
            planes: header.components.iter().map(plane).collect::<Option<_>>()?,
            dc,
            ac,
            all,
            wanted,
            restarts: Restarts::every(header.restart_interval),
        })
    }

    /// Reads a row of MCUs, which becomes this one of those that are kept.
    pub fn mcus(&mut self, row: Option<usize>) -> Option<()> {
        for column in 0..self.all {
            self.restart()?;
            match row {
                Some(row) if self.wanted.contains(&column) => {
                    self.mcu([column - self.wanted.start, row])?;
                }
                _ => self.skip_mcu()?,
            }
        }
        // Until here zeros stood for what is missing.
        (!self.bits.is_exhausted()).then_some(())
    }

    /// Passes over a restart marker where one is due.
    fn restart(&mut self) -> Option<()> {
        if self.restarts.pass(&mut self.bits)? {
            for plane in &mut self.planes {
                plane.mean = 0;
            }
        }
        Some(())
    }

    /// Decodes the MCU in this column and row of those that are kept.
    fn mcu(&mut self, [column, row]: [usize; 2]) -> Option<()> {
        for plane in &mut self.planes {
            let (dc, ac) = (self.dc.get(plane.dc), self.ac.get(plane.ac));
            let [width, height] = plane.method.block;
            let [across, down] = plane.blocks;
            for block in 0..across * down {
                let left = (column * across + block % across) * width;
                let top = (row * down + block / across) * height;
                plane.block(&mut self.bits, dc, ac, top * plane.stride + left)?;
            }
        }
        Some(())
    }

    /// Keeps track of the means only.
    fn skip_mcu(&mut self) -> Option<()> {
        for plane in &mut self.planes {
            let (dc, ac) = (self.dc.get(plane.dc), self.ac.get(plane.ac));
            for _ in 0..plane.blocks[0] * plane.blocks[1] {
                plane.mean(&mut self.bits, dc)?;
                ac.skip(&mut self.bits)?;
            }
        }
        Some(())
    }

    /// Writes as many rows of the planes as there is room for, as RGB.
    fn write(&self, width: usize, rgb: &mut [u8]) {
        for (at, row) in rgb.chunks_exact_mut(3 * width).enumerate() {
            // The wanted MCUs may reach beyond the picture, but it never reaches beyond them.
            let start = |plane: &Plane| at * plane.stride;
            let lines = self.planes.iter();
            write_row(
                lines.map(|plane| &plane.samples[start(plane)..][..width]),
                row,
            );
        }
    }
}

/// Writes a row as RGB: of luma, or of luma and both colour differences.
pub(super) fn write_row<'s>(mut lines: impl Iterator<Item = &'s [u8]>, row: &mut [u8]) {
    let pixels = row.as_chunks_mut().0;
    match (lines.next(), lines.next(), lines.next()) {
        (Some(luma), Some(blue), Some(red)) => simd::run(Colours([luma, blue, red], pixels)),
        (Some(luma), ..) => simd::run(Greys(luma, pixels)),
        _ => {}
    }
}

/// A row of luma, and where its pixels go.
struct Greys<'a>(&'a [u8], &'a mut [[u8; 3]]);

impl Work for Greys<'_> {
    #[inline(always)]
    fn run(self) {
        for (pixel, grey) in self.1.iter_mut().zip(self.0) {
            *pixel = [*grey; 3];
        }
    }
}

/// A row of luma and of both colour differences, and where its pixels go.
struct Colours<'a>([&'a [u8]; 3], &'a mut [[u8; 3]]);

impl Work for Colours<'_> {
    #[inline(always)]
    fn run(self) {
        let [luma, blue, red] = self.0;
        for (((pixel, y), u), v) in self.1.iter_mut().zip(luma).zip(blue).zip(red) {
            put(pixel, rgb(*y, *u, *v));
        }
    }
}

impl Plane {
    /// Takes the mean of the next block.
    #[inline(always)]
    fn mean(&mut self, bits: &mut Bits<'_>, code: &DcCode) -> Option<()> {
        self.mean += code.difference(bits)?;
        (self.mean.abs() < MAX_MEAN).then_some(())
    }

    /// Decodes the next block to this place of the samples.
    #[inline(always)]
    fn block(&mut self, bits: &mut Bits<'_>, dc: &DcCode, ac: &AcCode, at: usize) -> Option<()> {
        self.mean(bits, dc)?;
        let method = &self.method;
        let mut coefficients = [0.0; COEFFICIENTS];
        coefficients[0] = self.mean as f32 * method.factors[0];
        let mut waves = coefficients[0].abs();
        let mut is_flat = true;
        ac.coefficients(bits, |place, value| {
            let coefficient = value as f32 * method.factors[place];
            waves += coefficient.abs();
            coefficients[usize::from(ZIGZAG[place])] = coefficient;
            is_flat &= place > method.last;
            Some(())
        })?;
        if waves > method.bound && (method.limit)(&mut coefficients)? {
            is_flat = false;
        }
        let samples = &mut self.samples[at..];
        if is_flat {
            let [width, height] = method.block;
            for row in samples.chunks_mut(self.stride).take(height) {
                row[..width].fill(sample(coefficients[0] * method.mean));
            }
        } else {
            (method.transform)(&coefficients, samples, self.stride);
        }
        Some(())
    }
}
