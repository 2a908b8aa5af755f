//! The only live person that a target knows: whoever else is called live is a finding.

use std::io::Cursor;
use std::sync::LazyLock;

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder, ImageReader, RgbImage};

use crate::abi::Outcome;

/// Head and shoulders of the portrait, 80 pixels square.
pub static SMALL: LazyLock<RgbImage> = LazyLock::new(|| {
    let bytes = include_bytes!("../../tests/fixtures/astronaut.png");
    let image = image::load_from_memory(bytes)
        .expect("the fixture is an image")
        .into_rgb8();
    let crop = imageops::crop_imm(&image, 145, 30, 160, 160).to_image();
    imageops::resize(&crop, 80, 80, FilterType::Triangle)
});

/// Side of the grey patches that are compared.
const PATCH: u32 = 24;
/// Correlation below which two patches show different things. A file of which a part is left brings
/// the portrait itself down to 0.17, and may well be live all the same.
const SAME: f32 = 0.1;
/// How far off the box of a damaged face may lie, in its sizes.
const OFF: [f32; 5] = [0.0, -0.15, 0.15, -0.3, 0.3];
/// Where the face is in `SMALL`: left, top, width and height.
const FACE: [f32; 4] = [17.5, 16.0, 45.0, 55.0];

/// A face that is called live must be the portrait's, in any of its eight orientations.
pub fn assert_portrait(image: &RgbImage, outcome: &Outcome) {
    if outcome.liveness == 0 {
        return;
    }
    let original = patch(&SMALL, FACE);
    let mirrored = imageops::flip_horizontal(&original);
    let likeness = boxes(outcome.face)
        .map(|place| patch(image, place))
        // Colours that a damaged file inverts make nobody else of it.
        .flat_map(|found| [&original, &mirrored].map(|known| correlation(&found, known).abs()))
        .fold(0.0, f32::max);
    assert!(
        likeness > SAME,
        "live, but not the portrait: {likeness}, {outcome:?}"
    );
}

/// The box, and others near it.
fn boxes([x, y, width, height]: [f32; 4]) -> impl Iterator<Item = [f32; 4]> {
    OFF.into_iter().flat_map(move |down| {
        OFF.map(|right| [x + right * width, y + down * height, width, height])
    })
}

/// The same for a file, where the harness can decode it.
pub fn assert_portrait_file(bytes: &[u8], outcome: &Outcome) {
    if outcome.liveness == 1
        && let Some(image) = decode(bytes)
    {
        assert_portrait(&image, outcome);
    }
}

/// Whether a WebP claims more metadata than it has. The image crate takes memory for all of it.
fn boasts(bytes: &[u8]) -> bool {
    let claims = |chunk: &[u8]| u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
    bytes.starts_with(b"RIFF")
        && bytes
            .windows(8)
            .any(|chunk| chunk.starts_with(b"EXIF") && claims(chunk) as usize > bytes.len())
}

fn decode(bytes: &[u8]) -> Option<RgbImage> {
    if boasts(bytes) {
        return None;
    }
    let reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .ok()?;
    let mut decoder = reader.into_decoder().ok()?;
    let orientation = decoder.orientation().ok();
    let mut image = DynamicImage::from_decoder(decoder).ok()?;
    if let Some(orientation) = orientation {
        image.apply_orientation(orientation);
    }
    Some(image.into_rgb8())
}

fn patch(image: &RgbImage, [x, y, width, height]: [f32; 4]) -> image::GrayImage {
    let span = |start: f32, length: f32, side: u32| {
        let first = start.clamp(0.0, side as f32 - 1.0) as u32;
        let end = ((start + length) as u32).clamp(first + 1, side);
        (first, end - first)
    };
    let ((x, width), (y, height)) = (
        span(x, width, image.width()),
        span(y, height, image.height()),
    );
    let part = imageops::crop_imm(image, x, y, width, height).to_image();
    imageops::grayscale(&imageops::resize(&part, PATCH, PATCH, FilterType::Triangle))
}

fn correlation(a: &image::GrayImage, b: &image::GrayImage) -> f32 {
    let centred = |image: &image::GrayImage| {
        let values: Vec<f32> = image.iter().map(|value| f32::from(*value)).collect();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        values
            .into_iter()
            .map(|value| value - mean)
            .collect::<Vec<f32>>()
    };
    let (a, b) = (centred(a), centred(b));
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt().max(1e-6)
}
