//! From the entropy-coded data to pixels.

use std::ops::Range;

use image::RgbImage;

use super::bits::{Bits, Restarts};
use super::frame::{BLOCK, COEFFICIENTS};
use super::header::{Component, Header};
use super::huffman::{AcCode, DcCode, Shared};
use super::idct::{Transform, ZIGZAG, cut_off, factors, last_needed, sample, transform, uncut};
use crate::deadline::Deadline;
use crate::decode::colour::rgb;
use crate::simd::{self, Work};

/// A mean of a block beyond this is no picture's.
const MAX_MEAN: i32 = 1 << 14;

/// Where the MCUs lie that are wanted.
pub(super) struct Grid {
    /// Columns and rows of MCUs in the picture.
    all: [usize; 2],
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

    /// Columns of samples that the wanted MCUs hold.
    fn stride(&self) -> usize {
        self.wanted[0].len() * self.mcu[0]
    }
}

/// What is decoded of a component.
struct Plane {
    /// Blocks per MCU, and samples per block, across and down.
    blocks: [usize; 2],
    block: [usize; 2],
    dc: usize,
    ac: usize,
    factors: [f32; COEFFICIENTS],
    /// Coefficients beyond this one are too fine.
    last: usize,
    /// Where the mean and all waves together are at most this, the transform alone cuts off what the full size does.
    bound: f32,
    transform: Transform,
    /// Mean of the block before.
    mean: i32,
    /// The samples of one row of MCUs.
    samples: Vec<u8>,
}

/// A scan that is being decoded.
struct Scan<'a> {
    bits: Bits<'a>,
    dc: Shared<'a, DcCode>,
    ac: Shared<'a, AcCode>,
    planes: Vec<Plane>,
    grid: Grid,
    restarts: Restarts,
}

/// The wanted part of a picture; `None` where its data are not what they should be, or there is no time. Where the last
/// row is wanted, all of the data are looked at.
pub(super) fn decode(header: &Header<'_>, grid: Grid, deadline: &Deadline) -> Option<RgbImage> {
    let mut scan = Scan::new(header, grid)?;
    let [width, height] = scan.grid.decoded();
    let mut pixels = vec![0; 3 * width * height];
    let mut parts = pixels.chunks_mut(3 * width * scan.grid.mcu[1]);
    let rows = scan.grid.wanted[1].clone();
    for row in 0..rows.end {
        deadline.check().ok()?;
        let is_wanted = rows.contains(&row);
        scan.mcus(is_wanted)?;
        if is_wanted {
            scan.write(width, parts.next()?);
        }
    }
    if rows.end == scan.grid.all[1] && !scan.bits.is_over() {
        return None;
    }
    RgbImage::from_raw(width as u32, height as u32, pixels)
}

impl<'a> Scan<'a> {
    fn new(header: &Header<'a>, grid: Grid) -> Option<Self> {
        let (mut dc, mut ac) = (Shared::default(), Shared::default());
        let plane = |component: &Component<'a>| {
            let blocks = component.blocks;
            let block = [0, 1].map(|axis| grid.mcu[axis] / blocks[axis]);
            Some(Plane {
                blocks,
                block,
                dc: dc.place(component.dc, DcCode::new),
                ac: ac.place(component.ac, AcCode::new),
                factors: factors(&component.quantization),
                last: last_needed(block),
                bound: uncut(block),
                transform: transform(block)?,
                mean: 0,
                samples: vec![0; grid.stride() * grid.mcu[1]],
            })
        };
        Some(Scan {
            bits: Bits::new(header.data),
            planes: header.components.iter().map(plane).collect::<Option<_>>()?,
            dc,
            ac,
            grid,
            restarts: Restarts::every(header.restart_interval),
        })
    }

    /// Reads a row of MCUs.
    fn mcus(&mut self, wanted: bool) -> Option<()> {
        let columns = self.grid.wanted[0].clone();
        for column in 0..self.grid.all[0] {
            self.restart()?;
            if wanted && columns.contains(&column) {
                self.mcu(column - columns.start)?;
            } else {
                self.skip_mcu()?;
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

    /// Decodes the MCU in this column of the wanted ones.
    fn mcu(&mut self, column: usize) -> Option<()> {
        let stride = self.grid.stride();
        let left = column * self.grid.mcu[0];
        for plane in &mut self.planes {
            let (dc, ac) = (self.dc.get(plane.dc), self.ac.get(plane.ac));
            let [width, height] = plane.block;
            let [across, down] = plane.blocks;
            for block in 0..across * down {
                let at = block / across * height * stride + left + block % across * width;
                plane.block(&mut self.bits, dc, ac, at, stride)?;
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
        let stride = self.grid.stride();
        // The wanted MCUs may reach beyond the picture, but it never reaches beyond them.
        for (at, row) in rgb.chunks_exact_mut(3 * width).enumerate() {
            let part = at * stride..at * stride + width;
            let line = |plane: usize| &self.planes[plane].samples[part.clone()];
            let pixels = row.as_chunks_mut().0;
            if let [_] = *self.planes {
                simd::run(Greys(line(0), pixels));
            } else {
                simd::run(Colours([0, 1, 2].map(line), pixels));
            }
        }
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
            *pixel = rgb(*y, *u, *v);
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
    fn block(
        &mut self,
        bits: &mut Bits<'_>,
        dc: &DcCode,
        ac: &AcCode,
        at: usize,
        stride: usize,
    ) -> Option<()> {
        self.mean(bits, dc)?;
        let mut coefficients = [0.0; COEFFICIENTS];
        coefficients[0] = self.mean as f32 * self.factors[0];
        let mut waves = coefficients[0].abs();
        let mut is_flat = true;
        ac.coefficients(bits, |place, value| {
            let coefficient = value as f32 * self.factors[place];
            waves += coefficient.abs();
            coefficients[usize::from(ZIGZAG[place])] = coefficient;
            is_flat &= place > self.last;
            Some(())
        })?;
        // No sample is farther from mid grey than that.
        if waves > self.bound && cut_off(&mut coefficients)? {
            is_flat = false;
        }
        let samples = &mut self.samples[at..];
        if is_flat {
            for row in samples.chunks_mut(stride).take(self.block[1]) {
                row[..self.block[0]].fill(sample(coefficients[0]));
            }
        } else {
            (self.transform)(&coefficients, samples, stride);
        }
        Some(())
    }
}
