//! EXIF blocks in every container that carries them. Broken metadata makes no image unreadable,
//! and a turned portrait is no stranger.
#![no_main]

use std::sync::LazyLock;

use image::codecs::{jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder};
use image::{ExtendedColorType, ImageEncoder};
use libfuzzer_sys::fuzz_target;
use liveness_fuzz::abi::Input;
use liveness_fuzz::{check, engine, portrait};

/// Largest block that fits into a segment of a JPEG, with its name.
const MAX: usize = 65_535 - 2 - 6;

static FILES: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let image = &*portrait::SMALL;
    let write = |encoder: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        encoder(&mut bytes);
        bytes
    };
    let (width, height, color) = (image.width(), image.height(), ExtendedColorType::Rgb8);
    [
        write(&|bytes| {
            JpegEncoder::new_with_quality(bytes, 92)
                .write_image(image, width, height, color)
                .expect("the image fits")
        }),
        write(&|bytes| {
            PngEncoder::new(bytes)
                .write_image(image, width, height, color)
                .expect("it fits")
        }),
        write(&|bytes| {
            WebPEncoder::new_lossless(bytes)
                .write_image(image, width, height, color)
                .expect("it fits")
        }),
    ]
});

fn jpeg(exif: &[u8]) -> Vec<u8> {
    let length = (exif.len() + 8) as u16;
    let head = [
        &[0xff, 0xd8, 0xff, 0xe1][..],
        &length.to_be_bytes(),
        b"Exif\0\0",
    ]
    .concat();
    [&head, exif, &FILES[0][2..]].concat()
}

fn png(exif: &[u8]) -> Vec<u8> {
    const AFTER_HEADER: usize = 8 + 25;
    let (start, rest) = FILES[1].split_at(AFTER_HEADER);
    let length = (exif.len() as u32).to_be_bytes();
    // The decoder does not look at it in a build for fuzzing, but the library does.
    let checksum = crc32fast::hash(&[b"eXIf", exif].concat()).to_be_bytes();
    [start, &length, b"eXIf", exif, &checksum, rest].concat()
}

fn webp(exif: &[u8]) -> Vec<u8> {
    let image = &portrait::SMALL;
    let [width, height] = [image.width(), image.height()].map(|side| (side - 1).to_le_bytes());
    let extended = [&[0x08, 0, 0, 0][..], &width[..3], &height[..3]].concat();
    let chunk = |name: &[u8], data: &[u8]| {
        let length = (data.len() as u32).to_le_bytes();
        [name, &length, data, &[0][..data.len() % 2]].concat()
    };
    let body = [
        chunk(b"VP8X", &extended),
        FILES[2][12..].to_vec(),
        chunk(b"EXIF", exif),
    ]
    .concat();
    [
        &b"RIFF"[..],
        &(body.len() as u32 + 4).to_le_bytes(),
        b"WEBP",
        &body,
    ]
    .concat()
}

/// Whether the block has room for two entries that turn the picture.
fn may_turn_twice(exif: &[u8]) -> bool {
    let tags = exif
        .windows(2)
        .filter(|bytes| matches!(bytes, [0x01, 0x12] | [0x12, 0x01]));
    tags.count() > 1
}

fuzz_target!(|exif: &[u8]| {
    let exif = &exif[..exif.len().min(MAX)];
    // 051: a face that lies on its side need not be found. 002: viewers heed one of two entries, and not all the same.
    let documented: &[i32] = if may_turn_twice(exif) { &[2, 51] } else { &[51] };
    for file in [jpeg(exif), png(exif), webp(exif)] {
        if let Ok(outcome) = check(engine(), Input::Encoded(&file), documented) {
            portrait::assert_portrait_file(&file, &outcome);
        }
    }
});
