//! Tells whether a face mask covers mouth or nose.

use std::ops::Deref;

use image::{ImageBuffer, Rgb, RgbImage};

use crate::decode::{Glance, Picture, Samples};
use crate::error::{Error, ErrorCode, Findings};
use crate::inference::{Network, Runtime, Signature};
use crate::models::Models;
use crate::resample::{Rect, resize, tensor};
use crate::selftest;
use crate::verdict::{Face, Reason};

/// Where the landmarks lie in an aligned face of 96 pixels.
const TEMPLATE: [[f64; 2]; 5] = [
    [36.6, 34.5],
    [59.3, 34.5],
    [48.0, 47.4],
    [38.7, 60.6],
    [57.4, 60.6],
];
const TEMPLATE_SIZE: f64 = 96.0;
/// A larger face is made smaller first, with a filter; interpolating alone would alias.
const MAX_DOWNSAMPLING: f64 = 1.5;
/// Decoded pixels per pixel of an aligned face.
const SAMPLES: f64 = 2.0;

/// The mask classifier.
pub(crate) struct MaskClassifier {
    network: Network,
    size: u32,
    threshold: f32,
}

impl MaskClassifier {
    pub fn load(
        runtime: &dyn Runtime,
        models: &Models,
        threshold: Option<f32>,
    ) -> Result<Self, Error> {
        let entry = &models.manifest.mask;
        let network = Network::load(
            runtime,
            "mask",
            &models.model(&entry.source)?,
            signature(entry.size),
        )?;
        Ok(MaskClassifier {
            network,
            size: entry.size,
            threshold: threshold.unwrap_or(entry.threshold),
        })
    }

    /// Refuses a network that does not look at its pictures.
    pub fn try_out(&self, pictures: &[Picture; 2], face: &Face) -> Result<(), Error> {
        let [first, second] = pictures;
        let answers = [self.logit(first, face)?, self.logit(second, face)?];
        selftest::ensure_different(&self.network, answers.map(|logit| [logit]))
    }

    /// What [`probability`](Self::probability) looks at, in an image of this size.
    ///
    /// # Errors
    /// Landmarks that coincide are 005.
    pub fn glance(&self, [width, height]: [u32; 2], face: &Face) -> Result<Glance, Error> {
        let points = face.points.map(|point| point.map(f64::from));
        let fit = fit(&points, self.size)?;
        let margin = 2.0 / fit.scale();
        let ends = ends(&fit, self.size);
        let span = |axis: usize, side: u32| {
            let [low, high] = ends[axis].map(|end| end + 0.5);
            let (low, high) = (low - margin, high + margin);
            // A face beyond the border still needs the border's pixels.
            let start = low.clamp(0.0, f64::from(side) - 1.0);
            (start, high.clamp(start + 1.0, f64::from(side)) - start)
        };
        let ((x, width), (y, height)) = (span(0, width), span(1, height));
        let part = Rect {
            x,
            y,
            width,
            height,
        };
        let unit = 1.0 / (fit.scale() * SAMPLES);
        Ok(Glance { part, unit })
    }

    /// Probability that a mask covers mouth or nose.
    pub fn probability(&self, image: &Picture, face: &Face) -> Result<f32, Error> {
        let probability = 1.0 / (1.0 + (-self.logit(image, face)?).exp());
        Ok(probability as f32)
    }

    fn logit(&self, image: &Picture, face: &Face) -> Result<f64, Error> {
        let aligned = align(image, &face.points, self.size)?;
        let side = self.size as usize;
        let [logit] = self.network.run(&tensor(&aligned, side, side)?)?;
        self.network.expect_shape(&logit, &[1, 1])?;
        Ok(f64::from(logit.data[0]))
    }

    /// Refuses a masked face.
    pub fn check(&self, face: &Face, probability: f32) -> Result<(), Error> {
        // Written so that anything but a number below the threshold refuses.
        if probability < self.threshold {
            return Ok(());
        }
        let findings = Findings {
            reasons: vec![Reason::FaceMask],
            faces: Some(1),
            face: Some(*face),
            mask_probability: Some(probability),
            ..Findings::default()
        };
        Err(Error::new(
            ErrorCode::MaskDetected,
            "a face mask covers mouth or nose: take it off",
        )
        .with(findings))
    }
}

fn signature(size: u32) -> Signature {
    let side = Some(size as usize);
    Signature {
        input: vec![Some(1), Some(3), side, side],
        outputs: vec![("logit", 2)],
    }
}

/// A rotation, scaling and translation: (x, y) becomes (a x - b y + dx, b x + a y + dy). Integer
/// coordinates are the centres of pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Similarity {
    a: f64,
    b: f64,
    dx: f64,
    dy: f64,
}

impl Similarity {
    /// The least-squares fit (Umeyama 1991, without reflection), unless the points coincide.
    fn fit(from: &[[f64; 2]; 5], to: &[[f64; 2]; 5]) -> Option<Self> {
        let mean = |points: &[[f64; 2]; 5], axis: usize| {
            points.iter().map(|point| point[axis]).sum::<f64>() / 5.0
        };
        let ([fx, fy], [tx, ty]) = ([mean(from, 0), mean(from, 1)], [mean(to, 0), mean(to, 1)]);
        let (mut dot, mut cross, mut norm) = (0.0, 0.0, 0.0);
        for (f, t) in from.iter().zip(to) {
            let ([x, y], [u, v]) = ([f[0] - fx, f[1] - fy], [t[0] - tx, t[1] - ty]);
            dot += x * u + y * v;
            cross += x * v - y * u;
            norm += x * x + y * y;
        }
        let (a, b) = (dot / norm, cross / norm);
        let fit = Similarity {
            a,
            b,
            dx: tx - a * fx + b * fy,
            dy: ty - b * fx - a * fy,
        };
        (fit.scale() > 1e-6 && fit.scale() < 1e6).then_some(fit)
    }

    fn scale(&self) -> f64 {
        // Not hypot(), which would need a newer C library than anything else here.
        (self.a * self.a + self.b * self.b).sqrt()
    }

    /// Where a point of the result comes from.
    #[inline]
    fn source(&self, x: f64, y: f64) -> [f64; 2] {
        let (x, y, norm) = (x - self.dx, y - self.dy, self.a * self.a + self.b * self.b);
        [
            (self.a * x + self.b * y) / norm,
            (self.a * y - self.b * x) / norm,
        ]
    }
}

/// The face turned upright and scaled so that its landmarks meet the template.
fn align(image: &Picture, points: &[[f32; 2]; 5], size: u32) -> Result<RgbImage, Error> {
    let points = points.map(|point| image.place(point.map(f64::from)));
    let image = image.pixels();
    let whole = fit(&points, size)?;
    if whole.scale() >= 1.0 / MAX_DOWNSAMPLING {
        return Ok(warp(image, &whole, size));
    }
    let part = reduce(image, &whole, size)?;
    let points = points.map(|point| part.place(point));
    Ok(warp(&part.image, &fit(&points, size)?, size))
}

/// How these landmarks are brought to the template in an aligned face of this size.
fn fit(points: &[[f64; 2]; 5], size: u32) -> Result<Similarity, Error> {
    let target = TEMPLATE.map(|point| point.map(|value| value * f64::from(size) / TEMPLATE_SIZE));
    Similarity::fit(points, &target)
        .ok_or_else(|| Error::internal("the landmarks of the face coincide; check the detector"))
}

/// From where to where an aligned face of this size reaches where it comes from, across and down.
fn ends(fit: &Similarity, size: u32) -> [[f64; 2]; 2] {
    let last = f64::from(size - 1);
    let corners = [[0.0, 0.0], [last, 0.0], [0.0, last], [last, last]];
    let corners = corners.map(|[x, y]| fit.source(x, y));
    [0, 1].map(|axis| {
        let places = corners.map(|corner| corner[axis]);
        [
            places.into_iter().fold(f64::INFINITY, f64::min),
            places.into_iter().fold(f64::NEG_INFINITY, f64::max),
        ]
    })
}

/// A part of a smaller copy of the image.
struct Part {
    image: RgbImage,
    /// Size of the copy as a share of the image's, per axis.
    ratio: [f64; 2],
    /// Pixel of the copy at which the part starts.
    origin: [f64; 2],
}

impl Part {
    /// Where a point of the image lies in the part.
    fn place(&self, point: [f64; 2]) -> [f64; 2] {
        std::array::from_fn(|axis| (point[axis] + 0.5) * self.ratio[axis] - 0.5 - self.origin[axis])
    }
}

/// The part of the image around the face, made smaller so that little is left to scale.
fn reduce(image: &Samples<'_>, fit: &Similarity, size: u32) -> Result<Part, Error> {
    let factor = fit.scale() * MAX_DOWNSAMPLING;
    let ends = ends(fit, size);
    // Per axis: ratio of the sizes, first pixel and number of pixels of the part in the small copy.
    let span = |axis: usize, side: u32| {
        let small = (f64::from(side) * factor).round().max(1.0);
        let ratio = small / f64::from(side);
        let [low, high] = ends[axis].map(|end| (end + 0.5) * ratio - 0.5);
        let (low, high) = (low.floor() - 1.0, high.ceil() + 2.0);
        // A face beyond the border still needs the border's pixels.
        let start = low.clamp(0.0, small - 1.0);
        let end = high.clamp(start + 1.0, small);
        (ratio, start, end - start)
    };
    let ((rx, x, width), (ry, y, height)) = (span(0, image.width()), span(1, image.height()));
    let from = Rect {
        x: x / rx,
        y: y / ry,
        width: width / rx,
        height: height / ry,
    };
    let small = resize(image, inside(from, image), width as u32, height as u32)?;
    Ok(Part {
        image: small,
        ratio: [rx, ry],
        origin: [x, y],
    })
}

/// Takes off what rounding has put beyond the image.
fn inside(rect: Rect, image: &Samples<'_>) -> Rect {
    let width = rect.width.min(f64::from(image.width()) - rect.x);
    let height = rect.height.min(f64::from(image.height()) - rect.y);
    Rect {
        width,
        height,
        ..rect
    }
}

/// Bilinear; outside the image its edge pixels go on.
fn warp(
    image: &ImageBuffer<Rgb<u8>, impl Deref<Target = [u8]>>,
    fit: &Similarity,
    size: u32,
) -> RgbImage {
    let [last_x, last_y] = [image.width(), image.height()].map(|side| side as usize - 1);
    let pixels = image.as_raw().as_chunks::<3>().0;
    let origin = fit.source(0.0, 0.0);
    let step = |x: f64, y: f64| {
        let [to_x, to_y] = fit.source(x, y);
        [to_x - origin[0], to_y - origin[1]]
    };
    let (right, down) = (step(1.0, 0.0), step(0.0, 1.0));
    let mut target = RgbImage::new(size, size);
    let rows = target.chunks_exact_mut(3 * size as usize);
    for (y, row) in rows.enumerate() {
        for (x, target) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let place = |axis: usize, last: usize| {
                let along = origin[axis] + x as f64 * right[axis] + y as f64 * down[axis];
                along.clamp(0.0, last as f64)
            };
            let (x, y) = (place(0, last_x), place(1, last_y));
            // No number is negative: converting rounds down, which many processors know no other
            // way to do, and after adding a half to the nearest.
            let (column, line) = (x as usize, y as usize);
            let (fx, fy) = ((x - column as f64) as f32, (y - line as f64) as f32);
            let (next_column, next_line) = ((column + 1).min(last_x), (line + 1).min(last_y));
            let corner =
                |line: usize, column: usize| pixels[line * (last_x + 1) + column].map(f32::from);
            let across = |line: usize| {
                let (left, right) = (corner(line, column), corner(line, next_column));
                std::array::from_fn(|channel| left[channel] + fx * (right[channel] - left[channel]))
            };
            let (above, below): ([f32; 3], [f32; 3]) = (across(line), across(next_line));
            *target = std::array::from_fn(|channel| {
                (above[channel] + fy * (below[channel] - above[channel]) + 0.5) as u8
            });
        }
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::testing::{filled, network};

    fn classifier(logit: f32) -> MaskClassifier {
        MaskClassifier {
            network: network(signature(96), move |_| Ok(vec![filled(&[1, 1], logit)])),
            size: 96,
            threshold: 0.5,
        }
    }

    fn face() -> Face {
        Face {
            bbox: [20.0, 20.0, 60.0, 60.0],
            points: TEMPLATE.map(|point| point.map(|value| value as f32)),
            score: 0.9,
        }
    }

    #[test]
    fn the_fit_undoes_a_similarity() {
        let made = Similarity {
            a: 0.3 * 0.5_f64.cos(),
            b: 0.3 * 0.5_f64.sin(),
            dx: 7.0,
            dy: -3.0,
        };
        let from = TEMPLATE.map(|[x, y]| made.source(x, y));
        let fit = Similarity::fit(&from, &TEMPLATE).unwrap();
        for (a, b) in [
            (fit.a, made.a),
            (fit.b, made.b),
            (fit.dx, made.dx),
            (fit.dy, made.dy),
        ] {
            assert!((a - b).abs() < 1e-9, "{fit:?}");
        }
    }

    #[test]
    fn points_that_coincide_are_an_internal_error() {
        let error = align(&RgbImage::new(50, 50).into(), &[[10.0; 2]; 5], 96).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Internal);
    }

    /// Red grows to the right, green downwards, so a colour tells the place it comes from.
    fn map(side: u32) -> RgbImage {
        RgbImage::from_fn(side, side, |x, y| {
            image::Rgb([(x * 255 / side) as u8, (y * 255 / side) as u8, 0])
        })
    }

    #[test]
    fn landmarks_meet_the_template_at_every_size() {
        for (side, scale, angle) in [
            (200, 1.0_f64, 0.3_f64),
            (400, 2.0, -0.4),
            (3000, 20.0, 0.5),
            (100, 0.4, 0.0),
        ] {
            let image = map(side).into();
            let middle = f64::from(side) / 2.0;
            let place = |[x, y]: [f64; 2]| {
                let (x, y) = ((x - 48.0) * scale, (y - 48.0) * scale);
                [
                    (x * angle.cos() - y * angle.sin() + middle) as f32,
                    (x * angle.sin() + y * angle.cos() + middle) as f32,
                ]
            };
            let points = TEMPLATE.map(place);
            let aligned = align(&image, &points, 96).unwrap();
            for ([x, y], [u, v]) in points.iter().zip(TEMPLATE) {
                let pixel = aligned.get_pixel(u.round() as u32, v.round() as u32).0;
                let expected = [*x, *y].map(|value| value * 255.0 / side as f32);
                let reach = 1.5 + 255.0 * scale as f32 / side as f32; // Rounding to a pixel of the template.
                assert!(
                    (f32::from(pixel[0]) - expected[0]).abs() < reach
                        && (f32::from(pixel[1]) - expected[1]).abs() < reach,
                    "{side}: {pixel:?} {expected:?}"
                );
            }
        }
    }

    #[test]
    fn a_face_beyond_the_border_goes_on_with_edge_pixels() {
        let white = RgbImage::from_pixel(2000, 1500, image::Rgb([255; 3])).into();
        for offset in [-30_000.0, -900.0, 1900.0, 30_000.0] {
            let points = face()
                .points
                .map(|[x, y]| [x * 15.0 + offset, y * 15.0 - offset]);
            let aligned = align(&white, &points, 96).unwrap();
            assert!(aligned.pixels().all(|pixel| pixel.0 == [255; 3]));
        }
    }

    #[test]
    fn the_threshold_refuses() {
        let image = RgbImage::new(96, 96).into();
        let masked = classifier(0.1);
        let probability = masked.probability(&image, &face()).unwrap();
        assert!((probability - 0.524_98).abs() < 1e-4);
        let error = masked.check(&face(), probability).unwrap_err();
        assert_eq!(
            (error.code(), error.details().mask_probability),
            (ErrorCode::MaskDetected, Some(probability))
        );
        let bare = classifier(-0.1);
        assert!(
            bare.check(&face(), bare.probability(&image, &face()).unwrap())
                .is_ok()
        );
        assert!(bare.check(&face(), f32::NAN).is_err());
    }

    #[test]
    fn an_unsound_answer_is_an_internal_error() {
        for answer in [filled(&[1, 1], f32::NAN), filled(&[1, 2], 0.0)] {
            let classifier = MaskClassifier {
                network: network(signature(96), move |_| Ok(vec![answer.clone()])),
                size: 96,
                threshold: 0.5,
            };
            assert_eq!(
                classifier
                    .probability(&RgbImage::new(96, 96).into(), &face())
                    .unwrap_err()
                    .code(),
                ErrorCode::Internal
            );
        }
    }
}
