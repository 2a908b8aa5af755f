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
/// Correlation below which two patches show different things. A box that lies a few pixels off, or a
/// file of which a part is left, brings the portrait itself down to 0.17.
const SAME: f32 = 0.1;
/// Where the face is in `SMALL`: left, top, width and height.
const FACE: [f32; 4] = [17.5, 16.0, 45.0, 55.0];

/// A face that is called live must be the portrait's, in any of its eight orientations.
pub fn assert_portrait(image: &RgbImage, outcome: &Outcome) {
    if outcome.liveness == 0 {
        return;
    }
    let found = patch(image, outcome.face);
    let mirrored = imageops::flip_horizontal(&found);
    let original = patch(&SMALL, FACE);
    let likeness = [&found, &mirrored].map(|patch| correlation(patch, &original));
    assert!(
        likeness.iter().any(|likeness| *likeness > SAME),
        "live, but not the portrait: {likeness:?}, {outcome:?}"
    );
}

/// The same for a file, where the harness can decode it.
pub fn assert_portrait_file(bytes: &[u8], outcome: &Outcome) {
    if outcome.liveness == 1
        && let Some(image) = decode(bytes)
    {
        assert_portrait(&image, outcome);
    }
}

fn decode(bytes: &[u8]) -> Option<RgbImage> {
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
