//! The markers of a JPEG, as a tolerant reader finds them.

use image::metadata::Orientation;

use crate::decode::exif;
use crate::error::Error;

const PROGRESSIVE: u8 = 0xc2;
const START_OF_SCAN: u8 = 0xda;
const END_OF_IMAGE: u8 = 0xd9;
const EXIF: u8 = 0xe1;
const ADOBE: u8 = 0xee;
/// Where a frame header has the number of components.
const COMPONENTS: usize = 5;

/// A marker and the data that belong to it.
pub(super) struct Segment<'a> {
    marker: u8,
    data: &'a [u8],
    /// All that follows it.
    rest: &'a [u8],
}

/// The segments of a file, be there fill bytes or others between them. Entropy-coded data show nothing but
/// restart markers.
struct Segments<'a>(&'a [u8]);

impl<'a> Segments<'a> {
    fn of(file: &'a [u8]) -> Self {
        Segments(file.get(2..).unwrap_or_default())
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        let start = self.0.iter().position(|byte| *byte == 0xff)?;
        let rest = &self.0[start..];
        let fill = rest.iter().position(|byte| *byte != 0xff)?;
        let (marker, rest) = rest[fill..].split_first()?;
        let length = match *marker {
            // Stuffed bytes, restart markers and others without a length.
            0x00 | 0x01 | 0xd0..=END_OF_IMAGE => 0,
            _ => usize::from(u16::from_be_bytes(*rest.first_chunk()?)).max(2),
        };
        let (segment, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(Segment {
            marker: *marker,
            data: segment.get(2..).unwrap_or_default(),
            rest,
        })
    }
}

/// What precedes the first scan.
fn head(file: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    Segments::of(file).take_while(|segment| !matches!(segment.marker, START_OF_SCAN | END_OF_IMAGE))
}

/// Where the image ends; what follows it (further pictures, video, padding) does not matter. `None` where the
/// end is missing.
pub(super) fn end(file: &[u8]) -> Option<usize> {
    let end = Segments::of(file).find(|segment| segment.marker == END_OF_IMAGE)?;
    Some(file.len() - end.rest.len())
}

/// The EXIF block of a segment of its kind, if it is one.
pub(super) fn exif_block(segment: &[u8]) -> Option<&[u8]> {
    let block = segment.strip_prefix(exif::JPEG_PREFIX)?;
    (!block.is_empty()).then_some(block)
}

/// How the picture is to be turned. Where a file has several EXIF blocks the first one counts, as for browsers and
/// Pillow: whoever turns the pixels writes a new one before those that are there.
pub(in crate::decode) fn orientation(file: &[u8]) -> Orientation {
    head(file)
        .filter(|segment| segment.marker == EXIF)
        .find_map(|segment| exif_block(segment.data))
        .map_or(Orientation::NoTransforms, exif::orientation)
}

/// Refuses colours whose samples the decoder takes for others: it spreads out every component as if none were finer
/// across than the first; and where a sequential image has several scans, it reads half of what is finer down.
pub(super) fn check_sampling(file: &[u8]) -> Result<(), Error> {
    let frame = head(file).find(|segment| is_frame(segment.marker));
    let scan = Segments::of(file).find(|segment| segment.marker == START_OF_SCAN);
    let (Some(frame), Some(scan)) = (frame, scan) else {
        return Ok(());
    };
    let components = frame.data.get(COMPONENTS + 1..).unwrap_or_default();
    let components = components.as_chunks::<3>().0;
    let [first, _, ..] = components else {
        return Ok(());
    };
    let [across, down] = [|part: &[u8; 3]| part[1] >> 4, |part: &[u8; 3]| part[1] & 15];
    let scanned = scan.data.first().map_or(0, |count| usize::from(*count));
    let is_apart = frame.marker != PROGRESSIVE && scanned < components.len();
    let is_misread = |part: &[u8; 3]| across(part) > across(first) || is_apart && down(part) > 1;
    if components.iter().any(is_misread) {
        return Err(Error::unreadable(
            "the JPEG stores its colours in scans or in a fineness that is not read: save it again",
        ));
    }
    Ok(())
}

/// Whether it begins a frame, of whatever kind.
fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

/// Refuses four inks where the file does not say which way round they are stored. Adobe stores them inverted, and
/// the decoder takes all for Adobe's: it would give a negative.
pub(super) fn check_inks(file: &[u8]) -> Result<(), Error> {
    let mut has_four = false;
    for segment in head(file) {
        has_four |= is_frame(segment.marker) && segment.data.get(COMPONENTS) == Some(&4);
        if segment.marker == ADOBE && segment.data.starts_with(b"Adobe") {
            return Ok(());
        }
    }
    if has_four {
        return Err(Error::unreadable(
            "the JPEG has four inks (CMYK) and does not say how they are stored: save it as RGB",
        ));
    }
    Ok(())
}
