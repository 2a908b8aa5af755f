//! Whether a JPEG is all there, and what it costs to decode.
//!
//! The `image` crate's decoder does not read markers as the standard says: it gives a length to some
//! that have none, and misses a byte of others. So what it meets cannot be found out by walking over the
//! file. It can be bounded: the decoder gets nothing behind the end of the image, and whatever could be
//! a marker before that end counts as one, even inside a segment. Entropy-coded data hold no such bytes.

use super::segments::{check_inks, check_sampling, end};
use crate::error::Error;

/// The file up to the end of the image, for a decoder to read and no more, and what that may meet in it.
/// Refuses a file without that end, for a decoder fills what is missing with grey, which is no image of a
/// face; one whose metadata would keep a decoder busy; and one whose colours cannot be told, or would be misread.
pub(in crate::decode) fn image(bytes: &[u8]) -> Result<(&[u8], Markers), Error> {
    let end =
        end(bytes).ok_or_else(|| Error::unreadable("the JPEG is truncated: its end is missing"))?;
    let image = &bytes[..end];
    let markers = Markers::of(image);
    markers.check_metadata()?;
    check_inks(image)?;
    check_sampling(image)?;
    Ok((image, markers))
}

/// Segments of the kind that holds extended XMP, times markers, that an image may have. At each marker
/// the decoder looks at all the parts of extended XMP that it has met, so ten megabytes of small ones
/// would keep it busy for a quarter of an hour. Phones write a hundred large ones with a depth map.
const METADATA_STEPS: u64 = 1 << 25;
/// Scans that every image may have: encoders write ten or so, thorough ones under twenty, and previews
/// in the metadata have as many once more.
const SCANS: u64 = 64;
/// Pixels times scans that an image may have: ten scans at 100 megapixels, which is what libjpeg writes. A scan of
/// some bytes makes a decoder walk over all pixels, with a search for a code at each coefficient if it is made for that.
const SCANNED_PIXELS: u64 = 1_000_000_000;
/// Of those, what is decoded without a look at the clock: less than two seconds' work.
const UNTIMED_PIXELS: u64 = 100_000_000;

/// How many markers there can be for any decoder, however it finds them.
#[derive(Default)]
pub(in crate::decode) struct Markers {
    all: u64,
    /// Of the segments that hold EXIF and XMP.
    metadata: u64,
    scans: u64,
}

impl Markers {
    /// Those of an image, or of what precedes its data.
    pub(super) fn of(image: &[u8]) -> Self {
        let mut found = Markers::default();
        for pair in image.windows(2).filter(|pair| pair[0] == 0xff) {
            found.all += u64::from(!matches!(pair[1], 0x00 | 0xff));
            found.metadata += u64::from(pair[1] == 0xe1);
            found.scans += u64::from(pair[1] == 0xda);
        }
        found
    }

    /// Refuses too many pieces of metadata.
    pub(super) fn check_metadata(&self) -> Result<(), Error> {
        let (parts, markers) = (self.metadata, self.all);
        if parts.saturating_mul(markers) > METADATA_STEPS {
            return Err(Error::unreadable(format!(
                "the JPEG has {parts} pieces of metadata among {markers} markers, which would take too long: save it without metadata"
            )));
        }
        Ok(())
    }

    /// Whether the clock has to be looked at while an image of this size is decoded.
    pub(in crate::decode) fn take_time(&self, width: u32, height: u32) -> bool {
        self.scans > 1 && scanned(self.scans, width, height) > UNTIMED_PIXELS
    }

    /// Refuses too many scans for an image of this size.
    pub(in crate::decode) fn check_scans(&self, width: u32, height: u32) -> Result<(), Error> {
        let scans = self.scans;
        if !is_affordable(scans, width, height) {
            return Err(Error::unreadable(format!(
                "the JPEG of {width} x {height} pixels has {scans} scans, those of previews in its metadata included, which would take too long: save it with fewer"
            )));
        }
        Ok(())
    }
}

/// Whether an image of this size may have so many scans.
fn is_affordable(scans: u64, width: u32, height: u32) -> bool {
    scans <= SCANS && scanned(scans, width, height) <= SCANNED_PIXELS
}

fn scanned(scans: u64, width: u32, height: u32) -> u64 {
    (u64::from(width) * u64::from(height)).saturating_mul(scans)
}

#[cfg(test)]
mod tests {
    use super::super::tests::segment;
    use super::*;

    const START: [u8; 2] = [0xff, 0xd8];
    const SCAN: [u8; 11] = [
        0xff, 0xda, 0x00, 0x03, 0x00, 0x12, 0xff, 0x00, 0xff, 0xd0, 0x34,
    ];
    const END: [u8; 2] = [0xff, 0xd9];

    #[test]
    fn only_the_end_of_the_image_counts() {
        // A thumbnail's end inside a segment.
        let preview = segment(0xe1, &[END, END].concat());
        let whole = [&START[..], &preview, &SCAN, &[0xff], &END].concat();
        assert_eq!(
            end(&[&whole[..], &START, &SCAN, &END].concat()),
            Some(whole.len())
        );
        for end in 0..whole.len() {
            assert!(image(&whole[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn a_scan_counts_wherever_a_decoder_may_find_it() {
        let hidden = segment(0xfe, &SCAN.repeat(3));
        let file = [&START[..], &hidden, &SCAN.repeat(2), &END, &SCAN].concat();
        let (_, markers) = image(&file).unwrap();
        assert_eq!(markers.scans, 5);
        assert!(markers.check_scans(14_000, 14_000).is_ok());
        assert!(markers.check_scans(16_000, 16_000).is_err());
        assert!(markers.take_time(5000, 5000) && !markers.take_time(4000, 4000));
    }

    #[test]
    fn many_scans_are_for_small_images_only() {
        assert!(is_affordable(64, 3900, 3900) && is_affordable(10, 10_000, 10_000));
        assert!(!is_affordable(65, 8, 8) && !is_affordable(11, 10_000, 10_000));
        assert!(!is_affordable(u64::MAX, u32::MAX, u32::MAX));
    }

    #[test]
    fn metadata_may_be_large_but_not_in_very_many_pieces() {
        let is_taken = |pieces: usize, length: usize, comments: usize| {
            let pieces = segment(0xe1, &vec![b'x'; length]).repeat(pieces);
            let comments = segment(0xfe, &[]).repeat(comments);
            image(&[&START[..], &pieces, &comments, &SCAN, &END].concat()).is_ok()
        };
        assert!(is_taken(160, 65_000, 10) && is_taken(30, 9, 1_000_000));
        assert!(is_taken(4000, 9, 4000) && !is_taken(4000, 9, 5000));
    }
}
