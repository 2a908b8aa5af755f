//! The pictures that benchmarks check, made from the portrait in tests/fixtures, the same everywhere
//! bit by bit: only whole numbers and exactly rounded operations go into them.
//!
//! A selfie shows the portrait enlarged, so that the face takes 40 % of the height, and grained as a
//! sensor grains: by its light, and less in colour than in brightness. The grain is what makes a
//! JPEG as large as one from a phone, which decides what its decoding costs.

#![allow(dead_code)] // Every program that includes this uses a part.

use std::io::Cursor;

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

const PORTRAIT: &[u8] = include_bytes!("../tests/fixtures/astronaut.png");
/// Height of the portrait in which its face takes 40 %, and the middle of that face.
const VIEW_HEIGHT: u32 = 275;
const FACE: [u32; 2] = [225, 117];
/// Head and shoulders, as shown where several faces are: left, top, width, height.
const HEAD: [u32; 4] = [140, 20, 176, 220];
/// Quality of a phone's camera.
pub const QUALITY: u8 = 93;

/// The portrait as it lies in tests/fixtures: a PNG of 512 x 512 pixels.
pub fn png() -> &'static [u8] {
    PORTRAIT
}

/// Somebody before a camera of this resolution.
pub fn selfie(width: u32, height: u32) -> RgbImage {
    let portrait = portrait();
    let view = [VIEW_HEIGHT * width / height, VIEW_HEIGHT];
    let place = |axis: usize, side: u32| {
        FACE[axis]
            .saturating_sub(view[axis] / 2)
            .min(side - view[axis])
    };
    let from = [
        place(0, portrait.width()),
        place(1, portrait.height()),
        view[0],
        view[1],
    ];
    grained(enlarged(&portrait, from, width, height))
}

/// So many people before a wall, all of one size; nobody is an empty room.
pub fn crowd(faces: u32, width: u32, height: u32) -> RgbImage {
    let portrait = portrait();
    let mut picture = RgbImage::from_fn(width, height, |x, y| {
        let shade = 150 - 40 * y / height - 30 * x / width;
        Rgb([shade, shade * 97 / 100, shade * 90 / 100].map(|value| value as u8))
    });
    // The fewest rows whose cells are at least as wide as a head.
    let rows = (1..=faces.max(1))
        .find(|rows| width * rows * HEAD[3] >= faces.div_ceil(*rows) * height * HEAD[2])
        .unwrap_or(1);
    let columns = faces.div_ceil(rows).max(1);
    let (cell_width, cell_height) = (width / columns, height / rows);
    let head_height = cell_height.min(cell_width * HEAD[3] / HEAD[2]);
    let head_width = head_height * HEAD[2] / HEAD[3];
    let head = enlarged(&portrait, HEAD, head_width, head_height);
    for index in 0..faces {
        let x = index % columns * cell_width + (cell_width - head_width) / 2;
        let y = index / columns * cell_height + (cell_height - head_height) / 2;
        imageops::replace(&mut picture, &head, x.into(), y.into());
    }
    grained(picture)
}

/// A baseline JPEG with halved colour resolution, as phones write it.
pub fn jpeg(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    let [width, height] = [image.width(), image.height()].map(|side| side as u16);
    encoder
        .encode(image.as_raw(), width, height, ColorType::Rgb)
        .expect("the picture has pixels, and memory takes all bytes");
    bytes
}

/// The frame of an Android camera: a plane of luma, then interleaved V and U (BT.601, full range).
pub fn nv21(image: &RgbImage) -> Vec<u8> {
    let weigh = |pixel: &Rgb<u8>, weights: [i32; 3]| {
        let sum: i32 = pixel
            .0
            .iter()
            .zip(weights)
            .map(|(value, weight)| i32::from(*value) * weight)
            .sum();
        (sum + 500) / 1000
    };
    let mut frame: Vec<u8> = image
        .pixels()
        .map(|pixel| weigh(pixel, [299, 587, 114]) as u8)
        .collect();
    for y in (0..image.height()).step_by(2) {
        for x in (0..image.width()).step_by(2) {
            let pixel = image.get_pixel(x, y);
            for weights in [[500, -419, -81], [-169, -331, 500]] {
                frame.push((weigh(pixel, weights) + 128).clamp(0, 255) as u8);
            }
        }
    }
    frame
}

fn portrait() -> RgbImage {
    image::load(Cursor::new(PORTRAIT), image::ImageFormat::Png)
        .expect("the fixture is a PNG")
        .into_rgb8()
}

/// A part (left, top, width, height) of a picture at another size.
fn enlarged(picture: &RgbImage, part: [u32; 4], width: u32, height: u32) -> RgbImage {
    let [left, top, part_width, part_height] = part;
    let part = imageops::crop_imm(picture, left, top, part_width, part_height);
    imageops::resize(&*part, width, height, FilterType::CatmullRom)
}

/// Adds what a sensor adds.
fn grained(mut picture: RgbImage) -> RgbImage {
    let width = picture.width() as usize;
    let mut above = vec![[0; 3]; width];
    for (y, row) in picture.rows_mut().enumerate() {
        let mut left = [0; 3];
        for (x, pixel) in row.enumerate() {
            let fresh = grain(x as u32, y as u32);
            // Demosaicing and noise reduction let the grain of neighbours resemble each other.
            let smooth: [i32; 3] = std::array::from_fn(|channel| {
                2 * fresh[channel] + left[channel] + above[x][channel]
            });
            (left, above[x]) = (fresh, fresh);
            let [luma, blue, red] = smooth;
            let light = i32::from(pixel.0[1]);
            let added = [luma + red / 2, luma - (blue + red) / 8, luma + blue / 2];
            pixel.0 = std::array::from_fn(|channel| {
                let strength = added[channel] * (96 + light) / 8_192;
                (i32::from(pixel.0[channel]) + strength).clamp(0, 255) as u8
            });
        }
    }
    picture
}

/// Three whole numbers of -255..=255 by the place alone, most of them small.
fn grain(x: u32, y: u32) -> [i32; 3] {
    std::array::from_fn(|channel| {
        let mut hash = x.wrapping_mul(0x9e37_79b1)
            ^ y.wrapping_mul(0x85eb_ca77)
            ^ (channel as u32 + 1).wrapping_mul(0xc2b2_ae3d);
        hash = (hash ^ (hash >> 15)).wrapping_mul(0x2c1b_3c6d);
        hash = (hash ^ (hash >> 12)).wrapping_mul(0x297a_2d39);
        hash ^= hash >> 15;
        hash.to_le_bytes()
            .iter()
            .map(|byte| i32::from(*byte))
            .sum::<i32>()
            / 2
            - 255
    })
}
