//! What the scans of a JPEG cost to decode.

use crate::error::Error;

/// Scans that every image may have: encoders write ten or so, thorough ones under twenty.
const SCANS: u64 = 64;
/// Pixels times scans that an image may have: ten scans at 100 megapixels, which is what libjpeg writes. A scan of
/// some bytes makes a decoder walk over all pixels, with a search for a code at each coefficient if it is made for that.
const SCANNED_PIXELS: u64 = 1_000_000_000;
/// Of those, what is decoded without a look at the clock: less than two seconds' work.
const UNTIMED_PIXELS: u64 = 100_000_000;

/// Whether the clock has to be looked at while an image of this size is decoded.
pub(super) fn take_time(scans: u64, width: u32, height: u32) -> bool {
    scans > 1 && scanned(scans, width, height) > UNTIMED_PIXELS
}

/// Refuses too many scans for an image of this size.
pub(super) fn check_scans(scans: u64, width: u32, height: u32) -> Result<(), Error> {
    if scans <= SCANS && scanned(scans, width, height) <= SCANNED_PIXELS {
        return Ok(());
    }
    Err(Error::unreadable(format!(
        "the JPEG of {width} x {height} pixels has {scans} scans, which would take too long: save it with fewer"
    )))
}

fn scanned(scans: u64, width: u32, height: u32) -> u64 {
    (u64::from(width) * u64::from(height)).saturating_mul(scans)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_scans_are_for_small_images_only() {
        let is_affordable = |scans, width, height| check_scans(scans, width, height).is_ok();
        assert!(is_affordable(64, 3900, 3900) && is_affordable(10, 10_000, 10_000));
        assert!(!is_affordable(65, 8, 8) && !is_affordable(11, 10_000, 10_000));
        assert!(!is_affordable(u64::MAX, u32::MAX, u32::MAX));
    }

    #[test]
    fn the_clock_is_looked_at_where_scans_take_long() {
        assert!(take_time(5, 5000, 5000) && !take_time(5, 4000, 4000));
        assert!(!take_time(1, 16_000, 16_000));
    }
}
