//! The segments of a JPEG, to the letter of ITU-T T.81, B.1.
//!
//! Decoders do not agree on what is none: where one passes over a marker that it does not know, another stops or
//! takes the next bytes for its length, and finds another picture in the same file. So only what all read alike is
//! read here: segments with their lengths, fill bytes before a marker, zeros behind a segment (which some cameras
//! write to align the next one).

use crate::error::Error;

const RESTARTS: std::ops::RangeInclusive<u8> = 0xd0..=0xd7;
pub(super) const START_OF_SCAN: u8 = 0xda;
pub(super) const END_OF_IMAGE: u8 = 0xd9;
pub(super) const QUANTIZATION: u8 = 0xdb;
pub(super) const HUFFMAN: u8 = 0xc4;
pub(super) const RESTART_INTERVAL: u8 = 0xdd;
pub(super) const BASELINE: u8 = 0xc0;
pub(super) const SEQUENTIAL: u8 = 0xc1;
pub(super) const PROGRESSIVE: u8 = 0xc2;
pub(super) const JFIF: u8 = 0xe0;
pub(super) const EXIF: u8 = 0xe1;
pub(super) const ADOBE: u8 = 0xee;
const LAST_APPLICATION: u8 = 0xef;
const COMMENT: u8 = 0xfe;

/// A marker and what belongs to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment<'a> {
    pub marker: u8,
    /// Without its length.
    pub data: &'a [u8],
    /// The entropy-coded data behind the header of a scan, with their restart markers.
    pub coded: &'a [u8],
}

/// The segments between the start and the end of an image. What follows the end (further pictures, a video, padding)
/// does not matter; where it is missing, the last item says so.
pub(super) struct Segments<'a>(&'a [u8]);

impl<'a> Segments<'a> {
    pub fn of(file: &'a [u8]) -> Self {
        Segments(file.strip_prefix(&[0xff, 0xd8]).unwrap_or_default())
    }

    fn segment(&mut self) -> Result<Option<Segment<'a>>, Error> {
        let marker = self.marker()?;
        if marker == END_OF_IMAGE {
            return Ok(None);
        }
        let data = self.data()?;
        let coded = match marker {
            START_OF_SCAN => self.coded()?,
            _ => &[],
        };
        Ok(Some(Segment {
            marker,
            data,
            coded,
        }))
    }

    fn marker(&mut self) -> Result<u8, Error> {
        let padding = self.0.iter().position(|byte| *byte != 0);
        let rest = &self.0[padding.ok_or_else(truncated)?..];
        let fill = rest.iter().position(|byte| *byte != 0xff);
        let (marker, rest) = match fill.ok_or_else(truncated)? {
            0 => return Err(damaged("it has bytes between its segments")),
            fill => (rest[fill], &rest[fill + 1..]),
        };
        self.0 = rest;
        match marker {
            BASELINE..=PROGRESSIVE
            | HUFFMAN
            | END_OF_IMAGE..=QUANTIZATION
            | RESTART_INTERVAL
            | JFIF..=LAST_APPLICATION
            | COMMENT => Ok(marker),
            other => Err(Error::unreadable(format!(
                "the JPEG has a marker that not all decoders read alike (FF{other:02X}): save it again"
            ))),
        }
    }

    fn data(&mut self) -> Result<&'a [u8], Error> {
        let length = self.0.first_chunk().ok_or_else(truncated)?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length < 2 {
            return Err(damaged("a segment is shorter than its length"));
        }
        let (segment, rest) = self.0.split_at_checked(length).ok_or_else(truncated)?;
        self.0 = rest;
        Ok(&segment[2..])
    }

    /// Up to a marker that restarts nothing.
    fn coded(&mut self) -> Result<&'a [u8], Error> {
        let mut end = 0;
        loop {
            end += first_ff(&self.0[end..]).ok_or_else(truncated)?;
            let rest = &self.0[end..];
            let fill = rest.iter().position(|byte| *byte != 0xff);
            let fill = fill.ok_or_else(truncated)?;
            match rest[fill] {
                0 if fill == 1 => {}
                0 => return Err(damaged("it has fill bytes before no marker")),
                marker if RESTARTS.contains(&marker) => {}
                _ => break,
            }
            end += fill + 1;
        }
        let (coded, rest) = self.0.split_at(end);
        self.0 = rest;
        Ok(coded)
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Result<Segment<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.segment().transpose()
    }
}

/// Entropy-coded data are most of a file, so they are looked through by whole vectors.
fn first_ff(bytes: &[u8]) -> Option<usize> {
    const STEP: usize = 32;
    let is_free = |step: &&[u8]| {
        !step
            .iter()
            .fold(false, |found, byte| found | (*byte == 0xff))
    };
    let free = STEP * bytes.chunks_exact(STEP).take_while(is_free).count();
    let next = bytes[free..].iter().position(|byte| *byte == 0xff)?;
    Some(free + next)
}

fn truncated() -> Error {
    Error::unreadable("the JPEG is truncated: its end is missing")
}

pub(super) fn damaged(cause: &str) -> Error {
    Error::unreadable(format!("the JPEG is damaged: {cause}"))
}
