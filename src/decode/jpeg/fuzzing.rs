//! For the fuzz target `jpeg`.

use std::time::Duration;

use ::image::{ImageFormat, ImageReader};

use super::*;
use crate::decode::{Samples, encoded};

/// So that an input costs milliseconds.
const LIMITS: Limits = Limits {
    file_bytes: 1 << 20,
    pixels: 1 << 18,
    side: 1 << 12,
};
/// Most that a sample may differ which both decoders take from the same coefficients.
const CLOSE: u8 = 4;

/// Decodes a file at every scale, and once by the `image` crate.
///
/// # Panics
/// Where the other decoder refuses what this one reads, sees another size, or, at full size and
/// where no colours have to be interpolated, other pixels; where a part differs from the whole; where the
/// `image` crate sees another picture in what is decoded.
pub fn compare_jpeg_decoders(bytes: &[u8]) {
    let deadline = Deadline::after(Duration::from_secs(5));
    let Ok(plain) = Plain::of(bytes) else {
        return;
    };
    compare_scales(&plain, bytes, &deadline);
    compare_crates(&plain, &deadline);
}

/// What is decoded against what the `image` crate makes of the same.
fn compare_crates(plain: &Plain, deadline: &Deadline) {
    let reader = ImageReader::with_format(deadline.reader(&plain.bytes), ImageFormat::Jpeg);
    let Ok(decoder) = reader.into_decoder() else {
        return;
    };
    if let Ok(ours) = plain.full(&LIMITS, deadline) {
        let theirs = DynamicImage::from_decoder(decoder);
        assert!(theirs.is_ok_and(|theirs| theirs == ours));
    }
}

fn compare_scales(plain: &Plain, bytes: &[u8], deadline: &Deadline) {
    let Some(header) = Header::of(plain) else {
        return;
    };
    let [width, height] = header.size();
    if LIMITS.check_size(width, height).is_err() {
        return;
    }
    for unit in [1, 2, 4, 8] {
        let Some(picture) = header.decode(unit, header.whole(), deadline) else {
            return;
        };
        let full = encoded::decode(bytes, &LIMITS, &Overview::full(), deadline)
            .expect("what this decoder reads, the other one reads");
        assert_eq!(
            [picture.width(), picture.height()],
            [full.width(), full.height()]
        );
        let middle = [0, 1].map(|axis| header.size()[axis] as usize / 2);
        let part = middle.map(|at| at / 2..at + 1);
        let part = header
            .decode(unit, part, deadline)
            .expect("a part of what can be read");
        assert_is_part(&part, &picture);
        if unit == 1
            && header
                .components
                .iter()
                .all(|component| component.blocks == [1, 1])
        {
            assert_close(picture.pixels(), full.pixels());
        }
    }
}

fn assert_is_part(part: &Picture, whole: &Picture) {
    let unit = f64::from(whole.unit());
    let [left, top] = [
        part.extent().x - whole.extent().x,
        part.extent().y - whole.extent().y,
    ]
    .map(|start| (start / unit).round() as u32);
    for (x, y, pixel) in part.pixels().enumerate_pixels() {
        assert_eq!(pixel, whole.pixels().get_pixel(left + x, top + y));
    }
}

fn assert_close(ours: &Samples<'_>, theirs: &Samples<'_>) {
    for (ours, theirs) in ours.iter().zip(theirs.iter()) {
        assert!(
            ours.abs_diff(*theirs) <= CLOSE,
            "{ours} instead of {theirs}"
        );
    }
}
