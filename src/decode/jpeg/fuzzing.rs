//! For the fuzz target `jpeg`.

use std::time::Duration;

use ::image::{ImageFormat, ImageReader};

use super::*;
use crate::decode::encoded;

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
/// where no colours have to be interpolated, other pixels; where a part differs from the whole.
pub fn compare_jpeg_decoders(bytes: &[u8]) {
    let deadline = Deadline::after(Duration::from_secs(5));
    let Ok(plain) = Plain::of(bytes) else {
        return;
    };
    compare_scales(&plain, bytes, &deadline);
    compare_crates(&plain, &deadline);
}

/// What is decoded against what the `image` crate makes of the same. Where colours have to be interpolated, it does so in
/// another way than libjpeg and this library.
fn compare_crates(plain: &Plain, deadline: &Deadline) {
    let reader = ImageReader::with_format(deadline.reader(&plain.bytes), ImageFormat::Jpeg);
    let Ok(decoder) = reader.into_decoder() else {
        return;
    };
    let Ok(ours) = plain.full(&LIMITS, deadline) else {
        return;
    };
    let theirs = DynamicImage::from_decoder(decoder).expect("it reads what is decoded here");
    match Header::of(plain).filter(|header| whole::decode(header, deadline).is_some()) {
        None => assert!(ours == theirs),
        Some(header) if has_fine_colours(&header) => {
            assert_close(ours.as_bytes(), theirs.as_bytes());
        }
        Some(_) => assert_eq!(
            [ours.width(), ours.height()],
            [theirs.width(), theirs.height()]
        ),
    }
}

fn has_fine_colours(header: &Header<'_>) -> bool {
    let mut components = header.components.iter();
    components.all(|component| component.blocks == [1, 1])
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
        if unit == 1 && has_fine_colours(&header) {
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

fn assert_close(ours: &[u8], theirs: &[u8]) {
    for (ours, theirs) in ours.iter().zip(theirs.iter()) {
        assert!(
            ours.abs_diff(*theirs) <= CLOSE,
            "{ours} instead of {theirs}"
        );
    }
}
