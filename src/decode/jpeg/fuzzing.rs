//! For the fuzz target `jpeg`.

use std::time::Duration;

use ::image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

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

/// Decodes a file at every scale, and as if it had many scans.
///
/// # Panics
/// Where the `image` crate refuses what this decoder reads, sees another size, or, at full size and
/// where no colours have to be interpolated, other pixels; where a part differs from the whole; where the
/// clock makes a difference.
pub fn compare_jpeg_decoders(bytes: &[u8]) {
    let deadline = Deadline::after(Duration::from_secs(5));
    compare_scales(bytes, &deadline);
    compare_timed(bytes, &deadline);
}

/// What is decoded with a look at the clock before each scan against the same without.
fn compare_timed(bytes: &[u8], deadline: &Deadline) {
    let Ok((bytes, markers)) = image(bytes) else {
        return;
    };
    let reader = ImageReader::with_format(deadline.reader(bytes), ImageFormat::Jpeg);
    let Ok(decoder) = reader.into_decoder() else {
        return;
    };
    let (width, height) = decoder.dimensions();
    if LIMITS.check_size(width, height).is_err() || markers.check_scans(width, height).is_err() {
        return;
    }
    let ours = decode_timed(bytes, decoder.color_type(), deadline).ok();
    let theirs = DynamicImage::from_decoder(decoder).ok();
    assert!(ours == theirs || deadline.check().is_err());
}

fn compare_scales(bytes: &[u8], deadline: &Deadline) {
    let Some(header) = Header::parse(bytes) else {
        return;
    };
    let [width, height] = header.size();
    let markers = Markers::of(bytes);
    if LIMITS.check_size(width, height).is_err()
        || header.check(bytes).is_err()
        || markers.check_scans(width, height).is_err()
    {
        return;
    }
    for unit in [8, 4, 2, 1] {
        let Ok(picture) = header.decode(unit, header.whole(), deadline) else {
            return;
        };
        let full = encoded::decode(bytes, &LIMITS, &Overview::full(), deadline)
            .expect("what this decoder reads, the image crate reads");
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
