//! Simulated attack presentations: a photo on paper, and on a screen, seen by another camera.
//!
//! Light is mixed in linear units: what a camera sees of a dot, a sub-pixel or an edge is a mean
//! of light, not of the numbers in a file.

use image::RgbImage;

type Light = [f32; 3];

pub fn to_linear(value: u8) -> f32 {
    let value = f32::from(value) / 255.0;
    if value <= 0.04045 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

pub fn to_srgb(light: f32) -> u8 {
    let light = light.clamp(0.0, 1.0);
    let value = if light <= 0.003_130_8 {
        light * 12.92
    } else {
        1.055 * light.powf(1.0 / 2.4) - 0.055
    };
    (value * 255.0).round() as u8
}

/// Noise of about -1..1 that depends on the place only.
pub fn noise(x: u32, y: u32, seed: u32) -> f32 {
    let mut sum = 0.0;
    for round in 0..3_u32 {
        let mut hash = x.wrapping_mul(0x9e37_79b1)
            ^ y.wrapping_mul(0x85eb_ca77)
            ^ (seed * 3 + round).wrapping_mul(0xc2b2_ae3d);
        hash = (hash ^ (hash >> 15)).wrapping_mul(0x2c1b_3c6d);
        hash = (hash ^ (hash >> 12)).wrapping_mul(0x297a_2d39);
        sum += (hash >> 8) as f32 / (1 << 23) as f32 - 1.0;
    }
    sum / 1.5
}

/// A picture as light, and where its pixels are.
struct Picture {
    width: usize,
    height: usize,
    light: Vec<Light>,
}

impl Picture {
    fn new(image: &RgbImage) -> Self {
        let light = image.pixels().map(|pixel| pixel.0.map(to_linear)).collect();
        Picture {
            width: image.width() as usize,
            height: image.height() as usize,
            light,
        }
    }

    /// Light at a place in 0..1, bilinear.
    fn at(&self, u: f32, v: f32) -> Light {
        let place = |along: f32, size: usize| {
            let along = (along * size as f32 - 0.5).clamp(0.0, (size - 1) as f32);
            let low = along as usize;
            (low, (low + 1).min(size - 1), along.fract())
        };
        let ((x0, x1, fx), (y0, y1, fy)) = (place(u, self.width), place(v, self.height));
        let row = |y: usize| {
            mix(
                self.light[y * self.width + x0],
                self.light[y * self.width + x1],
                fx,
            )
        };
        mix(row(y0), row(y1), fy)
    }
}

fn mix(a: Light, b: Light, share: f32) -> Light {
    std::array::from_fn(|channel| a[channel] + (b[channel] - a[channel]) * share)
}

fn scaled(light: Light, gain: Light) -> Light {
    std::array::from_fn(|channel| light[channel] * gain[channel])
}

/// How the second camera sees the flat thing with the photo.
struct Camera {
    width: u32,
    height: u32,
    /// Width of the thing as a share of the frame's width.
    share: f32,
    /// Tilt in the image plane, and towards the camera.
    roll: f32,
    lean: [f32; 2],
    /// Standard deviation of the lens blur in pixels, and of the sensor noise.
    blur: f32,
    noise: f32,
    /// Samples per pixel and axis.
    samples: u32,
}

impl Camera {
    /// Takes a picture of a scene; its coordinates are 0..1 over the width of the thing, from its
    /// middle, and the same unit for the height.
    fn shoot(&self, scene: impl Fn(f32, f32) -> Light) -> RgbImage {
        let (sin, cos) = self.roll.sin_cos();
        let unit = self.share * self.width as f32;
        let mut film = Vec::with_capacity((self.width * self.height) as usize);
        for y in 0..self.height {
            for x in 0..self.width {
                let mut sum = [0.0; 3];
                for sample in 0..self.samples * self.samples {
                    let offset = |index: u32| (index as f32 + 0.5) / self.samples as f32;
                    let px =
                        (x as f32 + offset(sample % self.samples) - self.width as f32 / 2.0) / unit;
                    let py = (y as f32 + offset(sample / self.samples) - self.height as f32 / 2.0)
                        / unit;
                    let depth = 1.0 + self.lean[0] * px + self.lean[1] * py;
                    let seen = scene((cos * px - sin * py) / depth, (sin * px + cos * py) / depth);
                    sum = std::array::from_fn(|channel| sum[channel] + seen[channel]);
                }
                film.push(sum.map(|light| light / (self.samples * self.samples) as f32));
            }
        }
        self.develop(&blurred(
            film,
            self.width as usize,
            self.height as usize,
            self.blur,
        ))
    }

    fn develop(&self, film: &[Light]) -> RgbImage {
        RgbImage::from_fn(self.width, self.height, |x, y| {
            let light = film[(y * self.width + x) as usize];
            image::Rgb(std::array::from_fn(|channel| {
                let grain =
                    noise(x, y, channel as u32 + 10) * self.noise * light[channel].max(0.01).sqrt();
                to_srgb(light[channel] + grain)
            }))
        })
    }
}

/// A separable Gaussian.
fn blurred(film: Vec<Light>, width: usize, height: usize, sigma: f32) -> Vec<Light> {
    let reach = (3.0 * sigma).ceil() as isize;
    let kernel: Vec<f32> = (-reach..=reach)
        .map(|at| (-0.5 * (at as f32 / sigma).powi(2)).exp())
        .collect();
    let total: f32 = kernel.iter().sum();
    let pass = |film: &[Light], horizontal: bool| -> Vec<Light> {
        let pixel = |index: usize| {
            let (x, y) = (index % width, index / width);
            let mut sum = [0.0; 3];
            for (weight, step) in kernel.iter().zip(-reach..=reach) {
                let move_to = |at: usize, size: usize| {
                    (at as isize + step).clamp(0, size as isize - 1) as usize
                };
                let from = if horizontal {
                    film[y * width + move_to(x, width)]
                } else {
                    film[move_to(y, height) * width + x]
                };
                sum = std::array::from_fn(|channel| sum[channel] + from[channel] * weight / total);
            }
            sum
        };
        (0..film.len()).map(pixel).collect()
    };
    pass(&pass(&film, true), false)
}

/// A soft-edged step: 0 below, 1 above.
fn step(at: f32, edge: f32, softness: f32) -> f32 {
    ((at - edge) / softness + 0.5).clamp(0.0, 1.0)
}

/// The photo printed on paper with a white border, held before a wall.
pub fn on_paper(photo: &RgbImage) -> RgbImage {
    const BORDER: f32 = 0.045;
    /// Dots of the halftone over the width of the print; C, M and Y screens at their angles.
    const DOTS: f32 = 260.0;
    const ANGLES: [f32; 3] = [15.0, 75.0, 0.0];
    let picture = Picture::new(photo);
    let aspect = photo.height() as f32 / photo.width() as f32;
    let angles = ANGLES.map(|degrees: f32| degrees.to_radians().sin_cos());
    let ink = move |u: f32, v: f32| {
        let light = picture.at(u, v / aspect);
        let grey = light.iter().sum::<f32>() / 3.0;
        std::array::from_fn(|channel| {
            // Ink on paper holds less colour and less contrast than the photo.
            let wanted = (grey + (light[channel] - grey) * 0.72).clamp(0.0, 1.0);
            let (sin, cos) = angles[channel];
            let (a, b) = ((cos * u - sin * v) * DOTS, (sin * u + cos * v) * DOTS);
            let screen = 0.5
                + 0.25 * ((a * std::f32::consts::TAU).cos() + (b * std::f32::consts::TAU).cos());
            let dotted = step(wanted.sqrt(), screen, 0.6);
            0.055 + 0.66 * (0.55 * dotted + 0.45 * wanted)
        })
    };
    let scene = move |u: f32, v: f32| {
        let (u, v) = (u + 0.5, v + aspect / 2.0);
        let (outer, height) = (-BORDER..1.0 + BORDER, -BORDER..aspect + BORDER);
        // Light falls from the upper left, with a soft gloss where the paper bends.
        let lamp = 0.95 - 0.22 * u - 0.14 * v;
        let gloss = 0.10 * (-((u - 0.78).powi(2) + (v - 0.2).powi(2)) / 0.03).exp();
        if outer.contains(&u) && height.contains(&v) {
            let on_photo = (0.0..1.0).contains(&u) && (0.0..aspect).contains(&v);
            let paper = if on_photo {
                ink(u, v)
            } else {
                [0.80, 0.80, 0.77]
            };
            return scaled(paper, [lamp, lamp * 0.97, lamp * 0.90]).map(|light| light + gloss);
        }
        // The sheet's shadow on the wall.
        let shadow = 1.0
            - 0.45
                * step(0.09 + BORDER, (u - 0.5).abs() - 0.5, 0.12)
                * step(0.09 + BORDER, (v - aspect / 2.0).abs() - aspect / 2.0, 0.12);
        [
            0.36 * lamp * shadow,
            0.33 * lamp * shadow,
            0.28 * lamp * shadow,
        ]
    };
    let camera = Camera {
        width: 720,
        height: 960,
        share: 0.72,
        roll: 0.05,
        lean: [0.10, -0.14],
        blur: 0.9,
        noise: 0.012,
        samples: 3,
    };
    camera.shoot(scene)
}

/// The photo on the screen of a tablet in a dim room.
pub fn on_screen(photo: &RgbImage) -> RgbImage {
    /// Pixels of the screen over the width of the photo: nearly as many as the camera has there,
    /// which beats against them.
    const PIXELS: f32 = 470.0;
    const BEZEL: f32 = 0.07;
    let picture = Picture::new(photo);
    let aspect = photo.height() as f32 / photo.width() as f32;
    let panel = move |u: f32, v: f32| {
        let (column, row) = (u * PIXELS, v * PIXELS);
        let light = picture.at(
            (column.floor() + 0.5) / PIXELS,
            (row.floor() + 0.5) / PIXELS / aspect,
        );
        let (across, down) = (column.fract(), row.fract());
        let lit = if down < 0.86 { 1.0 / 0.86 } else { 0.0 };
        std::array::from_fn(|channel| {
            // Three stripes per pixel, each lit over a bit more than two thirds of its third.
            let stripe = (across * 3.0 - channel as f32).clamp(0.0, 1.0);
            let open = if (0.14..0.86).contains(&stripe) {
                3.0 / 0.72
            } else {
                0.0
            };
            // A screen shows a steeper curve, and its black still glows.
            0.012 + 0.98 * light[channel].powf(1.12) * (0.35 + 0.65 * open * lit)
        })
    };
    let scene = move |u: f32, v: f32| {
        let (u, v) = (u + 0.5, v + aspect / 2.0);
        let reflection = 0.035 * step(u + 0.4 * v, 0.95, 0.25);
        if (0.0..1.0).contains(&u) && (0.0..aspect).contains(&v) {
            return scaled(panel(u, v), [0.86, 0.97, 1.16]).map(|light| light * 1.05 + reflection);
        }
        // Light of the screen that the lens scatters over its surroundings.
        let away = ((u - 0.5).abs() - 0.5)
            .max((v - aspect / 2.0).abs() - aspect / 2.0)
            .max(0.0);
        let glow = 0.035 * (-away / 0.06).exp();
        let body = if away < BEZEL {
            [0.010; 3]
        } else {
            [0.045, 0.040, 0.036]
        };
        std::array::from_fn(|channel| body[channel] + glow * [0.8, 0.95, 1.2][channel])
    };
    let camera = Camera {
        width: 720,
        height: 960,
        share: 0.74,
        roll: -0.04,
        lean: [-0.08, 0.10],
        blur: 0.55,
        noise: 0.015,
        samples: 4,
    };
    camera.shoot(scene)
}
