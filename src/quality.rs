//! Measures whether the image of a face is good enough to be judged.

use image::RgbImage;

use crate::decode::{Glance, Picture};
use crate::error::{Error, ErrorCode, Findings};
use crate::resample::Rect;
use crate::verdict::{Face, Quality, Reason};

/// Side in pixels of the face on which light and sharpness are measured.
const SIDE: u32 = 128;
/// Decoded pixels per pixel of that face. Fewer would make it look blurred.
const SAMPLES: f64 = 1.25;
/// Luma up to and from which a pixel is clipped.
const BLACK: f32 = 4.0;
const WHITE: f32 = 251.0;

/// Where the nose of a face that looks straight ahead lies between eyes and mouth: the median of
/// 5,621 faces with a yaw under 15 degrees (0.54 to 0.62 by source). The other two say how far it
/// stands out, as a share of that distance and of the distance of the eyes.
const NOSE_BETWEEN: f32 = 0.572;
const NOSE_DEPTH_VERTICAL: f32 = 0.435;
const NOSE_DEPTH_HORIZONTAL: f32 = 0.5;

// The thresholds are judgement: no gate was found to lower an error rate (models/MODEL_CARD.md, "Quality
// gates"). The shares are those of bona fide images of the val split (981; for MAX_OUTSIDE 454 whole
// photographs) that each refuses.

/// Pixels: a smaller face is magnified before the liveness networks see it. 3.4 %.
const MIN_FACE_SIZE: f32 = 80.0;
/// Share of the box: whoever stands wholly in the picture stays below. 0.4 %.
const MAX_OUTSIDE: f32 = 0.1;
/// Degrees, for turning (2.4 %), nodding (0 %) and tilting (0 %): beyond 45 the detector misses two
/// faces in five.
const MAX_ANGLE: f32 = 35.0;
/// Mean luma, 0..1; 0.3 % are darker, none brighter.
const BRIGHTNESS: std::ops::RangeInclusive<f32> = 0.15..=0.9;
/// 0.3 %.
const MIN_CONTRAST: f32 = 0.06;
/// 0.1 %, and 5 % of the attacks, nearly all before one webcam.
const MAX_CLIPPED: f32 = 0.3;
/// 1.5 %, and 10 % of the attacks.
const MIN_SHARPNESS: f32 = 15.0;

/// What [`measure`] looks at, in an image of this size.
pub(crate) fn glance([width, height]: [u32; 2], face: &Face) -> Glance {
    Glance::new(Rect::inside(face.bbox, width, height), SIDE, SIDE, SAMPLES)
}

/// Measures the image of a face.
pub(crate) fn measure(image: &Picture, face: &Face) -> Result<Quality, Error> {
    let [_, _, width, height] = face.bbox;
    let visible = Rect::inside(face.bbox, image.width(), image.height());
    let light = Light::measure(&luma(&image.resize(visible, SIDE, SIDE)?));
    let pose = Pose::estimate(&face.points);
    let quality = Quality {
        face_size: height,
        face_share: height / image.width().max(image.height()) as f32,
        outside: (1.0 - (visible.width * visible.height) as f32 / (width * height)).clamp(0.0, 1.0),
        yaw: pose.yaw,
        pitch: pose.pitch,
        roll: pose.roll,
        brightness: light.mean / 255.0,
        contrast: light.deviation / 255.0,
        clipped: light.clipped,
        sharpness: light.sharpness,
    };
    let values = [
        quality.face_share,
        quality.outside,
        quality.yaw,
        quality.pitch,
        quality.roll,
        quality.brightness,
        quality.contrast,
        quality.sharpness,
    ];
    if !values.iter().all(|value| value.is_finite()) {
        return Err(Error::internal(
            "the quality of the face cannot be measured: its landmarks coincide; check the detector",
        ));
    }
    Ok(quality)
}

/// What is wrong with the quality.
pub(crate) fn reasons(quality: &Quality) -> Vec<Reason> {
    let found = [
        (quality.face_size < MIN_FACE_SIZE, Reason::FaceTooSmall),
        (quality.outside > MAX_OUTSIDE, Reason::FaceCutOff),
        (quality.yaw.abs() > MAX_ANGLE, Reason::HeadTurned),
        (quality.pitch.abs() > MAX_ANGLE, Reason::HeadNodded),
        (quality.roll.abs() > MAX_ANGLE, Reason::HeadTilted),
        (quality.brightness < *BRIGHTNESS.start(), Reason::TooDark),
        (quality.brightness > *BRIGHTNESS.end(), Reason::TooBright),
        (quality.contrast < MIN_CONTRAST, Reason::LowContrast),
        (quality.clipped > MAX_CLIPPED, Reason::Clipped),
        (quality.sharpness < MIN_SHARPNESS, Reason::Blurred),
    ];
    found
        .into_iter()
        .filter(|(wrong, _)| *wrong)
        .map(|(_, reason)| reason)
        .collect()
}

/// Refuses an image for its quality.
pub(crate) fn refuse(
    face: &Face,
    mask_probability: f32,
    quality: Quality,
    reasons: Vec<Reason>,
) -> Error {
    let names: Vec<&str> = reasons.iter().map(|reason| reason.as_str()).collect();
    let detail = format!(
        "the face cannot be judged well: {}; take another selfie",
        names.join(", ")
    );
    Error::new(ErrorCode::FaceCount, detail).with(Findings {
        reasons,
        faces: Some(1),
        face: Some(*face),
        mask_probability: Some(mask_probability),
        quality: Some(quality),
    })
}

fn luma(image: &RgbImage) -> Vec<f32> {
    image
        .pixels()
        .map(|pixel| {
            0.299 * f32::from(pixel.0[0])
                + 0.587 * f32::from(pixel.0[1])
                + 0.114 * f32::from(pixel.0[2])
        })
        .collect()
}

struct Light {
    mean: f32,
    deviation: f32,
    clipped: f32,
    sharpness: f32,
}

impl Light {
    /// Measures a square of SIDE pixels.
    fn measure(luma: &[f32]) -> Self {
        let (mean, variance) = moments(luma.iter().copied());
        let clipped = luma
            .iter()
            .filter(|value| **value <= BLACK || **value >= WHITE)
            .count() as f32
            / luma.len() as f32;
        let side = SIDE as usize;
        let inner = (1..side - 1).flat_map(|y| (1..side - 1).map(move |x| y * side + x));
        let laplacian = inner.map(|at| {
            luma[at - 1] + luma[at + 1] + luma[at - side] + luma[at + side] - 4.0 * luma[at]
        });
        Light {
            mean,
            deviation: variance.sqrt(),
            clipped,
            sharpness: moments(laplacian).1,
        }
    }
}

/// Mean and variance.
fn moments(values: impl Iterator<Item = f32>) -> (f32, f32) {
    let (mut count, mut sum, mut squares) = (0.0_f64, 0.0_f64, 0.0_f64);
    for value in values.map(f64::from) {
        (count, sum, squares) = (count + 1.0, sum + value, squares + value * value);
    }
    let mean = sum / count;
    (mean as f32, (squares / count - mean * mean).max(0.0) as f32)
}

struct Pose {
    yaw: f32,
    pitch: f32,
    roll: f32,
}

impl Pose {
    fn estimate([right_eye, left_eye, nose, right_mouth, left_mouth]: &[[f32; 2]; 5]) -> Self {
        let middle = |a: &[f32; 2], b: &[f32; 2]| [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
        let minus = |a: &[f32; 2], b: &[f32; 2]| [a[0] - b[0], a[1] - b[1]];
        let axis = minus(left_eye, right_eye);
        // Not hypot(), which would need a newer C library than anything else here.
        let distance = (axis[0] * axis[0] + axis[1] * axis[1]).sqrt();
        let along = [axis[0] / distance, axis[1] / distance];
        let across = [-along[1], along[0]];
        let dot = |a: &[f32; 2], b: &[f32; 2]| a[0] * b[0] + a[1] * b[1];
        let eyes = middle(right_eye, left_eye);
        let (nose, mouth) = (
            minus(nose, &eyes),
            minus(&middle(right_mouth, left_mouth), &eyes),
        );
        let sideways = dot(&nose, &along) / distance;
        let between = dot(&nose, &across) / dot(&mouth, &across);
        Pose {
            yaw: (sideways / NOSE_DEPTH_HORIZONTAL).atan().to_degrees(),
            pitch: ((NOSE_BETWEEN - between) / NOSE_DEPTH_VERTICAL)
                .atan()
                .to_degrees(),
            roll: axis[1].atan2(axis[0]).to_degrees(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    const POINTS: [[f32; 2]; 5] = [
        [36.6, 34.5],
        [59.3, 34.5],
        [48.0, 49.4],
        [38.7, 60.6],
        [57.4, 60.6],
    ];

    fn face(bbox: [f32; 4]) -> Face {
        Face {
            bbox,
            points: POINTS,
            score: 0.9,
        }
    }

    /// Noise around mid grey.
    fn lively(shade: fn(u32) -> u8) -> RgbImage {
        RgbImage::from_fn(200, 200, |x, y| {
            Rgb(
                [shade((x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(2_246_822_519)) >> 7 & 0xff);
                    3],
            )
        })
    }

    fn found(image: &RgbImage, face: &Face) -> Vec<Reason> {
        reasons(&measure(&image.clone().into(), face).unwrap())
    }

    #[test]
    fn a_good_face_gives_no_reason() {
        let image = lively(|value| 64 + (value / 2) as u8);
        assert_eq!(found(&image, &face([20.0, 20.0, 120.0, 150.0])), []);
    }

    #[test]
    fn each_fault_is_named() {
        let good = [20.0, 20.0, 120.0, 150.0];
        let lit = |shade| found(&lively(shade), &face(good));
        assert_eq!(
            found(
                &lively(|v| 64 + (v / 2) as u8),
                &face([20.0, 20.0, 60.0, 79.0])
            ),
            [Reason::FaceTooSmall]
        );
        assert_eq!(
            found(
                &lively(|v| 64 + (v / 2) as u8),
                &face([-40.0, 20.0, 120.0, 150.0])
            ),
            [Reason::FaceCutOff]
        );
        assert!(lit(|v| (v / 8) as u8).contains(&Reason::TooDark));
        assert!(lit(|v| 235 + (v / 16) as u8).contains(&Reason::TooBright));
        assert!(lit(|v| 128 + (v / 64) as u8).contains(&Reason::LowContrast));
        assert!(lit(|_| 255).contains(&Reason::Clipped));
        assert!(lit(|_| 0).contains(&Reason::Clipped));
        assert_eq!(
            found(
                &RgbImage::from_fn(200, 200, |x, _| Rgb([x as u8; 3])),
                &face(good)
            ),
            [Reason::Blurred]
        );
    }

    #[test]
    fn pose_follows_the_landmarks() {
        let pose = Pose::estimate(&POINTS);
        assert!(pose.yaw.abs() < 1.0 && pose.pitch.abs() < 1.0 && pose.roll.abs() < 1.0);
        let (sin, cos) = 30.0_f32.to_radians().sin_cos();
        let tilted = Pose::estimate(&POINTS.map(|[x, y]| [x * cos - y * sin, x * sin + y * cos]));
        assert!(
            (tilted.roll - 30.0).abs() < 0.1 && tilted.yaw.abs() < 1.0 && tilted.pitch.abs() < 1.0
        );
        let nose_at = |x, y| Pose::estimate(&[POINTS[0], POINTS[1], [x, y], POINTS[3], POINTS[4]]);
        assert!(nose_at(58.0, 49.4).yaw > 35.0 && nose_at(38.0, 49.4).yaw < -35.0);
        assert!(nose_at(48.0, 38.0).pitch > 30.0 && nose_at(48.0, 57.0).pitch < -30.0);
    }

    #[test]
    fn landmarks_that_coincide_are_an_internal_error() {
        let broken = Face {
            points: [[9.0; 2]; 5],
            ..face([0.0, 0.0, 100.0, 100.0])
        };
        assert_eq!(
            measure(&lively(|v| v as u8).into(), &broken)
                .unwrap_err()
                .code(),
            ErrorCode::Internal
        );
    }
}
