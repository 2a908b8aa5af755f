//! The fixture, images made from it, and answers in a form that can be compared.

#![allow(dead_code)] // Every test program uses a part.

pub mod files;
#[cfg(target_os = "linux")]
pub mod native;
pub mod recapture;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use image::imageops::{self, FilterType};
use image::{DynamicImage, Rgb, RgbImage};
use liveness::{Config, Engine, Error, Face, Image, PixelFormat, Pixels, Verdict};

/// One engine for all tests of a program, as a service would have it.
pub static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::new(Config::default()).expect("the embedded models load"));

/// The networks that ship, beside their manifest.json.
pub const NETWORKS: [&str; 5] = [
    "detector.onnx",
    "mask.onnx",
    "liveness_tight.onnx",
    "liveness_context.onnx",
    "liveness_wide.onnx",
];

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// The portrait, 512 x 512; the face is about 90 x 110 at (180, 62).
pub static ASTRONAUT: LazyLock<RgbImage> = LazyLock::new(|| {
    image::open(fixture("astronaut.png"))
        .expect("the fixture is an image")
        .into_rgb8()
});

pub fn check(image: &RgbImage) -> Result<Verdict, Error> {
    ENGINE.check(Image::Pixels(pixels(image)))
}

pub fn pixels(image: &RgbImage) -> Pixels<'_> {
    Pixels {
        data: image.as_raw(),
        format: PixelFormat::Rgb,
        width: image.width(),
        height: image.height(),
        stride: 0,
        orientation: 1,
    }
}

/// The main face, whether the check ended in a verdict or not.
pub fn face(result: &Result<Verdict, Error>) -> Face {
    let face = match result {
        Ok(verdict) => Some(verdict.details.face),
        Err(error) => error.details().face,
    };
    face.unwrap_or_else(|| panic!("no face: {result:?}"))
}

/// All of an answer but the times.
pub fn answer(result: &Result<Verdict, Error>) -> serde_json::Value {
    let mut value = liveness::response::to_value(result, true);
    if let Some(details) = value["details"].as_object_mut() {
        details.remove("timings_ms");
    }
    value
}

/// How far the box of one face is from that of another, as a share of its size.
pub fn distance(a: &Face, b: &Face) -> f32 {
    a.bbox
        .iter()
        .zip(b.bbox)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
        / a.bbox[3]
}

/// The error code, or "live" or "attack".
pub fn outcome(result: &Result<Verdict, Error>) -> &'static str {
    match result {
        Ok(verdict) if verdict.liveness => "live",
        Ok(_) => "attack",
        Err(error) => error.code().as_str(),
    }
}

pub fn scaled(image: &RgbImage, factor: f32) -> RgbImage {
    let side = |side: u32| (side as f32 * factor).round() as u32;
    imageops::resize(
        image,
        side(image.width()),
        side(image.height()),
        FilterType::Triangle,
    )
}

/// The same scene with more or less light.
pub fn relit(image: &RgbImage, gain: f32) -> RgbImage {
    let mut image = image.clone();
    for value in image.iter_mut() {
        *value = recapture::to_srgb(recapture::to_linear(*value) * gain);
    }
    image
}

/// Two people side by side.
pub fn two_people() -> RgbImage {
    let mut canvas = RgbImage::new(1024, 512);
    imageops::replace(&mut canvas, &*ASTRONAUT, 0, 0);
    imageops::replace(&mut canvas, &*ASTRONAUT, 512, 0);
    canvas
}

/// Somebody small in the background, a sixth of the size.
pub fn passer_by() -> RgbImage {
    let mut canvas = RgbImage::from_pixel(720, 512, Rgb([120, 118, 112]));
    imageops::replace(&mut canvas, &*ASTRONAUT, 0, 0);
    let small = imageops::resize(&*ASTRONAUT, 85, 85, FilterType::Triangle);
    imageops::replace(&mut canvas, &small, 580, 200);
    canvas
}

/// A wall in soft light.
pub fn empty_room() -> RgbImage {
    RgbImage::from_fn(640, 480, |x, y| {
        let shade = 90.0
            + 60.0 * (x as f32 / 640.0)
            + 30.0 * (y as f32 / 480.0)
            + 8.0 * recapture::noise(x, y, 1);
        Rgb([shade as u8, (shade * 0.97) as u8, (shade * 0.9) as u8])
    })
}

/// The portrait with a pleated surgical mask drawn from the bridge of the nose to the chin.
pub fn masked() -> RgbImage {
    const OUTLINE: [[f32; 2]; 9] = [
        [185.0, 116.0],
        [205.0, 112.0],
        [223.0, 109.0],
        [243.0, 116.0],
        [262.0, 126.0],
        [254.0, 160.0],
        [234.0, 178.0],
        [208.0, 175.0],
        [189.0, 152.0],
    ];
    // Drawn four times as large, so that the edges come out smooth.
    let mut large = imageops::resize(&*ASTRONAUT, 2048, 2048, FilterType::CatmullRom);
    let straps = [
        ([186.0, 122.0], [178.0, 112.0]),
        ([260.0, 130.0], [270.0, 118.0]),
        ([190.0, 154.0], [179.0, 138.0]),
        ([253.0, 161.0], [269.0, 142.0]),
    ];
    for y in 0..2048 {
        for x in 0..2048 {
            let at = [x as f32 / 4.0, y as f32 / 4.0];
            if inside(&OUTLINE, at) {
                large.put_pixel(x, y, Rgb(cloth(at, recapture::noise(x, y, 2))));
            } else if straps.iter().any(|(from, to)| near(*from, *to, at) < 0.9) {
                large.put_pixel(x, y, Rgb([226, 228, 230]));
            }
        }
    }
    imageops::resize(&large, 512, 512, FilterType::Triangle)
}

/// Blue cloth with three pleats that turns away from the light at its sides.
fn cloth([x, y]: [f32; 2], noise: f32) -> [u8; 3] {
    let down = y - 0.11 * (x - 222.0);
    let pleat = if [130.0, 142.0, 154.0]
        .iter()
        .any(|at| (down - at).abs() < 0.8)
    {
        0.78
    } else {
        1.0
    };
    let bulge = 1.0 - 0.3 * ((x - 222.0) / 40.0).powi(2) - 0.12 * ((y - 138.0) / 35.0).powi(2);
    let light = bulge * pleat * (1.0 + 0.015 * noise);
    [152.0, 196.0, 220.0].map(|value| (value * light).clamp(0.0, 255.0) as u8)
}

fn inside(outline: &[[f32; 2]], [x, y]: [f32; 2]) -> bool {
    let edges = outline.iter().zip(outline.iter().cycle().skip(1));
    edges
        .filter(|(a, b)| {
            (a[1] > y) != (b[1] > y) && x < (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]) + a[0]
        })
        .count()
        % 2
        == 1
}

/// Distance of a point from a line segment.
fn near(from: [f32; 2], to: [f32; 2], at: [f32; 2]) -> f32 {
    let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
    let along =
        (((at[0] - from[0]) * dx + (at[1] - from[1]) * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
    (at[0] - from[0] - along * dx).hypot(at[1] - from[1] - along * dy)
}

/// The image as a JPEG file.
pub fn jpeg(image: &RgbImage, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality);
    DynamicImage::from(image.clone())
        .write_with_encoder(encoder)
        .expect("memory takes every image");
    bytes
}
