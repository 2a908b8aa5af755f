//! From luma and colour differences to red, green and blue.

/// BT.601 in full range (JFIF), in 16.16 fixed point.
#[inline(always)]
pub(super) fn rgb(y: u8, u: u8, v: u8) -> [u8; 3] {
    let (y, u, v) = (i32::from(y) << 16, i32::from(u) - 128, i32::from(v) - 128);
    let round = |value: i32| ((value + (1 << 15)) >> 16).clamp(0, 255) as u8;
    [
        round(y + 91_881 * v),
        round(y - 22_554 * u - 46_802 * v),
        round(y + 116_130 * u),
    ]
}

/// Writes a pixel of a row. Its samples one by one: so the loop over the row becomes vector instructions, and an array does
/// not.
#[inline(always)]
pub(super) fn put(pixel: &mut [u8; 3], [red, green, blue]: [u8; 3]) {
    pixel[0] = red;
    pixel[1] = green;
    pixel[2] = blue;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_stays_grey() {
        for y in 0..=255 {
            assert_eq!(rgb(y, 128, 128), [y; 3]);
        }
    }
}
