//! JPEGs at the scale that the work needs.
//!
//! A face of a thousand pixels is looked at by networks of a hundred. So a large photograph is decoded at
//! a half, a quarter or an eighth of its size, which leaves out most of the work but the reading of the
//! entropy-coded data: fine coefficients count where they reach beyond black and white. A small one is decoded at full
//! size to the pixels that libjpeg gives. This decoder knows what cameras write: sequential Huffman coding, 8 bits, grey
//! or YCbCr. Whatever is unusual or damaged it leaves alone, and another decoder gets it, once its data were looked
//! through. Both read a file that was written anew for them ([`Plain`]).

mod bits;
mod coded;
mod exact;
mod fallback;
mod frame;
#[cfg(fuzzing)]
mod fuzzing;
mod header;
mod huffman;
mod idct;
mod plain;
mod scan;
mod scans;
mod segments;
mod whole;

use std::ops::Range;

use image::DynamicImage;

use super::detail::{Glance, Overview, unit_for, unit_of};
use super::picture::{Picture, stored};
use super::{Limits, Rect};
use crate::deadline::Deadline;
use crate::error::Error;
use crate::memory;
use header::Header;
use scan::Grid;
use scans::check_scans;

#[cfg(fuzzing)]
pub use fuzzing::compare_jpeg_decoders;
pub(in crate::decode) use plain::Plain;

impl Plain {
    /// A picture of the whole, if it is of use at less than full size and can be had so.
    pub(in crate::decode) fn overview(
        &self,
        limits: &Limits,
        overview: &Overview,
        deadline: &Deadline,
    ) -> Option<Picture<'static>> {
        let [width, height] = self.size();
        limits.check_size(width, height).ok()?;
        match unit_for(overview, width, height) {
            1 => None,
            unit => {
                let header = Header::of(self)?;
                header.decode(unit, header.whole(), deadline)
            }
        }
    }

    /// A picture of what the glances look at, as fine as they need.
    pub(in crate::decode) fn detail(
        &self,
        glances: &[Glance],
        deadline: &Deadline,
    ) -> Option<Picture<'static>> {
        let header = Header::of(self)?;
        header.decode(unit_of(glances), header.around(glances), deadline)
    }

    /// All of it at full size, as it is stored.
    pub(in crate::decode) fn full(
        &self,
        limits: &Limits,
        deadline: &Deadline,
    ) -> Result<DynamicImage, Error> {
        let [width, height] = self.size();
        limits.check_size(width, height)?;
        check_scans(self.scan_count, width, height)?;
        // The colours, and the coefficients of a progressive one, two bytes each, of up to four components.
        let area = u64::from(width) * u64::from(height);
        memory::expect(area * (3 + 2 * 4))?;
        if let Some(header) = Header::of(self)
            && let Some(image) = whole::decode(&header, deadline)
        {
            return Ok(image);
        }
        // Where data are missing or make no sense, decoders show what they like.
        coded::check(self, deadline)?;
        self.decode(deadline)
    }
}

impl Header<'_> {
    /// Columns and rows, as stored.
    fn size(&self) -> [u32; 2] {
        [self.width as u32, self.height as u32]
    }

    /// Width and height of the upright image.
    fn upright(&self) -> [u32; 2] {
        let [width, height] = self.size();
        match self.orientation.to_exif() {
            1..=4 => [width, height],
            _ => [height, width],
        }
    }

    fn whole(&self) -> [Range<usize>; 2] {
        [0..self.width, 0..self.height]
    }

    /// The columns and rows that show all that the glances look at; at least one of each.
    fn around(&self, glances: &[Glance]) -> [Range<usize>; 2] {
        let parts = glances
            .iter()
            .map(|glance| stored(glance.part, self.upright(), self.orientation));
        let span = |side: usize, span: fn(&Rect) -> (f64, f64)| {
            let (mut start, mut end) = (side as f64 - 1.0, 1.0);
            for (first, length) in parts.clone().map(|part| span(&part)) {
                (start, end) = (first.min(start), (first + length).max(end));
            }
            let start = start.max(0.0) as usize;
            start..(end.ceil() as usize).clamp(start + 1, side)
        };
        [
            span(self.width, |part| (part.x, part.width)),
            span(self.height, |part| (part.y, part.height)),
        ]
    }

    /// Decodes a part, in columns and rows as stored, and turns it upright.
    fn decode(
        &self,
        unit: u32,
        part: [Range<usize>; 2],
        deadline: &Deadline,
    ) -> Option<Picture<'static>> {
        let grid = Grid::new(self, unit as usize, part);
        // As it is stored, and turned upright.
        memory::expect(2 * grid.bytes()).ok()?;
        let origin = grid.origin().map(|start| start as u32 * unit);
        let pixels = scan::decode(self, grid, deadline)?;
        Some(Picture::part(pixels, self.size(), origin, unit).upright(self.orientation))
    }
}

#[cfg(test)]
mod tests;
