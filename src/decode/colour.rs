//! From luma and colour differences to red, green and blue.

/// What colour differences add to the luma for red, green and blue: BT.601 in full range (JFIF), in 16.16 fixed point,
/// rounded. Luma is a whole number, so that it can be added after rounding.
#[inline(always)]
pub(super) fn terms(u: u8, v: u8) -> [i32; 3] {
    let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
    let round = |value: i32| (value + (1 << 15)) >> 16;
    [
        round(91_881 * v),
        round(-22_554 * u - 46_802 * v),
        round(116_130 * u),
    ]
}

#[inline(always)]
pub(super) fn rgb(y: u8, u: u8, v: u8) -> [u8; 3] {
    terms(u, v).map(|term| (i32::from(y) + term).clamp(0, 255) as u8)
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
    fn colours_are_those_of_the_standard() {
        for (u, v) in (0..=255).flat_map(|u| [0, 1, 77, 127, 128, 200, 255].map(|v| (u, v))) {
            let (blue, red) = (f64::from(u) - 128.0, f64::from(v) - 128.0);
            let exact = [
                1.402 * red,
                -0.344_136 * blue - 0.714_136 * red,
                1.772 * blue,
            ];
            for y in [0, 100, 255] {
                for (sample, term) in rgb(y, u, v).into_iter().zip(exact) {
                    let exact = (f64::from(y) + term).clamp(0.0, 255.0);
                    assert!((f64::from(sample) - exact).abs() < 0.503, "{y} {u} {v}");
                }
            }
        }
    }

    #[test]
    fn grey_stays_grey() {
        for y in 0..=255 {
            assert_eq!(rgb(y, 128, 128), [y; 3]);
        }
    }
}
