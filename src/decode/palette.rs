//! Pictures whose pixels are places in a palette.

use crate::error::Error;

/// Bytes of a colour of the palette.
pub(super) const COLOUR: usize = 3;

/// Whether a palette of so many colours has one for every value of as many bits, so that no pixel can lack its own.
pub(super) fn is_full(colours: usize, bits: usize) -> bool {
    colours >> bits != 0
}

/// Whether a pixel has a colour beyond the end of the palette. Each row begins with `width` pixels of 1, 2, 4 or 8 bits,
/// the first of a byte on top.
pub(super) fn is_exceeded<'a>(
    mut rows: impl Iterator<Item = &'a [u8]>,
    width: usize,
    bits: usize,
    colours: usize,
) -> bool {
    let colour = |row: &[u8], x: usize| {
        let at = x * bits;
        usize::from(row[at / 8] >> (8 - bits - at % 8)) & ((1 << bits) - 1)
    };
    rows.any(|row| (0..width).any(|x| colour(row, x) >= colours))
}

/// The error for a picture with colours that its palette lacks: some viewers show them black, others leave them out.
pub(super) fn lacking(format: &str) -> Error {
    Error::unreadable(format!(
        "viewers would show different pictures of the {format}, because it has pixels of colours that its palette lacks: save it again"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_of_all_depths_are_unpacked() {
        for (bits, row, most) in [
            (1, [0b0100_0000, 0], 1),
            (2, [0b0001_1011, 0], 3),
            (4, [0x01, 0x2f], 2),
            (8, [0, 2], 2),
        ] {
            let width = if bits == 8 { 2 } else { 3 };
            let exceeds = |colours| is_exceeded([&row[..]].into_iter(), width, bits, colours);
            assert!(exceeds(most.min(2)) && !exceeds(most + 1), "{bits}");
        }
    }

    #[test]
    fn a_full_palette_has_a_colour_for_every_value() {
        assert!(is_full(2, 1) && is_full(256, 8) && is_full(300, 8));
        assert!(!is_full(1, 1) && !is_full(255, 8) && !is_full(0, 4));
    }
}
