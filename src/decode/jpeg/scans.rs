//! Whether a JPEG is all there, and what it costs to decode.

use crate::error::Error;

/// Refuses a JPEG without an end, and one with too many scans for its size.
pub(in crate::decode) fn check_scans(bytes: &[u8], width: u32, height: u32) -> Result<(), Error> {
    let scans = scans(bytes)
        .ok_or_else(|| Error::unreadable("the JPEG is truncated: its end is missing"))?;
    if !is_affordable(scans, width, height) {
        return Err(Error::unreadable(format!(
            "the JPEG of {width} x {height} pixels has {scans} scans, which would take too long: save it with fewer"
        )));
    }
    Ok(())
}

/// The decoder fills what is missing of a truncated file with grey, which is no image of a face.
/// So this walks over the markers to the end of the image; what follows it (further pictures,
/// video, padding) does not matter. Gives the number of scans, or `None` where the end is missing.
fn scans(bytes: &[u8]) -> Option<u32> {
    let mut scans = 0;
    let mut rest = bytes.get(2..).unwrap_or_default();
    while let Some(at) = rest.iter().position(|byte| *byte == 0xff) {
        rest = &rest[at..];
        let fill = rest.iter().position(|byte| *byte != 0xff)?;
        let marker = rest[fill];
        rest = &rest[fill + 1..];
        match marker {
            0xd9 => return Some(scans),
            // Stuffed bytes, restart markers and others without a length.
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            _ => {
                scans += u32::from(marker == 0xda);
                let [high, low] = rest.first_chunk()?;
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                rest = rest.get(length.max(2)..)?;
            }
        }
    }
    None
}

/// Scans that every image may have: encoders write ten or so, thorough ones under twenty.
const SCANS: u32 = 64;
/// Pixels times scans that an image may have: 16 scans at 100 megapixels. A scan of some bytes makes
/// a decoder walk over all pixels, so a file of a megabyte could keep it busy for hours.
const SCANNED_PIXELS: u64 = 1_600_000_000;

/// Whether an image of this size may have so many scans.
pub(super) fn is_affordable(scans: u32, width: u32, height: u32) -> bool {
    let pixels = u64::from(width) * u64::from(height);
    scans <= SCANS && pixels.saturating_mul(scans.into()) <= SCANNED_PIXELS
}

#[cfg(test)]
mod tests {
    use super::{is_affordable, scans};

    #[test]
    fn only_the_end_of_the_image_counts() {
        let segment = [0xff, 0xe1, 0x00, 0x06, 0xff, 0xd9, 0xff, 0xd9]; // A thumbnail's end inside a segment.
        let scan = [
            0xff, 0xda, 0x00, 0x03, 0x00, 0x12, 0xff, 0x00, 0xff, 0xd0, 0x34,
        ];
        let whole = [
            &[0xff, 0xd8][..],
            &segment,
            &scan,
            &[0xff, 0xff, 0xd9, 0x00],
        ]
        .concat();
        assert_eq!(scans(&whole), Some(1));
        for end in 0..whole.len() - 1 {
            assert_eq!(scans(&whole[..end]), None, "{end}");
        }
    }

    #[test]
    fn many_scans_are_for_small_images_only() {
        assert!(is_affordable(64, 5000, 5000) && is_affordable(16, 10_000, 10_000));
        assert!(!is_affordable(65, 8, 8) && !is_affordable(17, 10_000, 10_000));
        assert!(!is_affordable(u32::MAX, u32::MAX, u32::MAX));
    }
}
