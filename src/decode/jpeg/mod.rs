//! JPEGs at the scale that the work needs.
//!
//! A face of a thousand pixels is looked at by networks of a hundred. So a large photograph is decoded at
//! a half, a quarter or an eighth of its size, which leaves out most of the work but the reading of the
//! entropy-coded data, and most of that. This decoder knows what cameras write: sequential Huffman
//! coding, 8 bits, grey or YCbCr. Whatever is unusual or damaged it leaves alone, and the `image` crate
//! decides on it. Only where data are missing this decoder refuses a file that the other would read.

mod bits;
#[cfg(fuzzing)]
mod fuzzing;
mod header;
mod huffman;
mod idct;
mod scan;
mod scans;
mod segments;
mod timed;

use std::ops::Range;

use super::detail::{Glance, Overview, unit_for, unit_of};
use super::picture::{Picture, stored};
use super::{Limits, Rect};
use crate::deadline::Deadline;
use crate::error::Error;
use crate::memory;
use header::{BLOCK, Header};
use scan::{Fault, Grid};

#[cfg(fuzzing)]
pub use fuzzing::compare_jpeg_decoders;
use scans::Markers;
pub(in crate::decode) use scans::image;
pub(in crate::decode) use segments::orientation;
pub(in crate::decode) use timed::decode as decode_timed;

/// A picture of the whole, if it is of use at less than full size. Refuses one whose data end before it does or make no
/// sense, which another decoder would fill with grey.
pub(super) fn overview(
    bytes: &[u8],
    limits: &Limits,
    overview: &Overview,
    deadline: &Deadline,
) -> Result<Option<Picture<'static>>, Error> {
    let Some(header) = Header::parse(bytes) else {
        return Ok(None);
    };
    let [width, height] = header.size();
    if limits.check_size(width, height).is_err() || header.check(bytes).is_err() {
        return Ok(None);
    }
    let picture = match unit_for(overview, width, height) {
        1 => header.check_data(deadline).map(|()| None),
        unit => header.decode(unit, header.whole(), deadline).map(Some),
    };
    match picture {
        Ok(picture) => Ok(picture),
        Err(Fault::Other) => Ok(None),
        Err(Fault::Damaged(cause)) => {
            Err(Error::unreadable(format!("the JPEG is damaged: {cause}")))
        }
    }
}

/// A picture of what the glances look at, as fine as they need.
pub(super) fn detail(
    bytes: &[u8],
    glances: &[Glance],
    deadline: &Deadline,
) -> Option<Picture<'static>> {
    let header = Header::parse(bytes)?;
    header
        .decode(unit_of(glances), header.around(glances), deadline)
        .ok()
}

impl Header<'_> {
    /// Columns and rows, as stored.
    fn size(&self) -> [u32; 2] {
        [self.width as u32, self.height as u32]
    }

    /// Refuses a file that the `image` crate is not given for its metadata either. What looks like scans among those
    /// does not matter here: what is decoded behind the head is a single one.
    fn check(&self, bytes: &[u8]) -> Result<(), Error> {
        Markers::of(&bytes[..bytes.len() - self.data.len()]).check_metadata()
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
    ) -> Result<Picture<'static>, Fault> {
        let grid = Grid::new(self, unit as usize, part);
        // As it is stored, and turned upright.
        memory::expect(2 * grid.bytes()).map_err(|_| Fault::Other)?;
        let origin = grid.origin().map(|start| start as u32 * unit);
        let pixels = scan::decode(self, grid, deadline)?;
        Ok(Picture::part(pixels, self.size(), origin, unit).upright(self.orientation))
    }

    /// Looks whether the data are all there, without a pixel being decoded.
    fn check_data(&self, deadline: &Deadline) -> Result<(), Fault> {
        scan::check(self, Grid::new(self, BLOCK, self.whole()), deadline)
    }
}

#[cfg(test)]
mod tests;
