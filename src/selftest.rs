//! What an engine tries out before it is handed over.
//!
//! A network whose weights were zeroed, or all made equal, loads and computes, and always gives the
//! same answer: "live", if its biases say so. So each network sees two pictures that differ in
//! nothing but their colours, and must tell them apart. That a network is a good one, this does not
//! show; that it looks at the picture at all, it does.

use image::{Rgb, RgbImage};

use crate::decode::Picture;
use crate::error::Error;
use crate::inference::Network;
use crate::verdict::Face;

/// Two answers that differ by less than this share of their size are the same.
const SAME: f64 = 1e-4;
/// Answers are compared in the numbers of a network, where this is nothing.
const NOTHING: f64 = 1e-9;

/// A low, wide picture, because the detector's work grows with its area; and the same picture with
/// its colours exchanged, which to equal weights is the same picture.
pub(crate) fn pictures() -> [Picture<'static>; 2] {
    let picture = RgbImage::from_fn(256, 32, |x, y| {
        let stripes = if (x / 5 + y / 3) % 2 == 0 { 210 } else { 40 };
        Rgb([x as u8, (y * 7) as u8, stripes])
    });
    let mut exchanged = picture.clone();
    for pixel in exchanged.pixels_mut() {
        pixel.0.rotate_left(1);
    }
    [picture.into(), exchanged.into()]
}

/// Where a face would be in these pictures.
pub(crate) fn face() -> Face {
    Face {
        bbox: [100.0, 2.0, 22.0, 28.0],
        points: [
            [106.0, 12.0],
            [116.0, 12.0],
            [111.0, 17.0],
            [107.0, 23.0],
            [115.0, 23.0],
        ],
        score: 1.0,
    }
}

/// Refuses a network that gave the same answer to both pictures.
pub(crate) fn ensure_different(
    network: &Network,
    answers: [impl IntoIterator<Item = f64>; 2],
) -> Result<(), Error> {
    if differ(answers) {
        return Ok(());
    }
    Err(network.fault("it gives the same answer to different pictures".into()))
}

/// Whether two answers differ by more than rounding does. Those with a NaN do not.
pub(crate) fn differ(answers: [impl IntoIterator<Item = f64>; 2]) -> bool {
    let [first, second] = answers.map(|answer| answer.into_iter().collect::<Vec<f64>>());
    let size = largest(first.iter().chain(&second).copied());
    let difference = largest(first.iter().zip(&second).map(|(a, b)| a - b));
    // Written so that a NaN, which is above nothing, does not differ.
    difference > SAME * size + NOTHING
}

/// The largest absolute value; a NaN is larger than any other.
fn largest(values: impl Iterator<Item = f64>) -> f64 {
    // Not f64::max, which passes over a NaN.
    values.map(f64::abs).max_by(f64::total_cmp).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::Signature;
    use crate::inference::testing::{filled, network};

    fn ensure(first: &[f64], second: &[f64]) -> Result<(), Error> {
        let signature = Signature {
            input: vec![Some(1)],
            outputs: vec![("logit", 2)],
        };
        let network = network(signature, |_| Ok(vec![filled(&[1, 1], 0.0)]));
        ensure_different(&network, [first.to_vec(), second.to_vec()])
    }

    #[test]
    fn the_same_answer_is_refused() {
        for answer in [[0.0, 0.0], [1.0, -3.0], [3e30, 1e-3], [f64::NAN, 0.0]] {
            assert!(ensure(&answer, &answer).is_err(), "{answer:?}");
        }
        for unsound in [[f64::NAN, 1.0], [f64::INFINITY, 1.0]] {
            assert!(ensure(&unsound, &[0.0, 0.0]).is_err(), "{unsound:?}");
            assert!(ensure(&[0.0, 0.0], &unsound).is_err(), "{unsound:?}");
        }
        // Rounding makes no difference.
        assert!(ensure(&[1e6, 5.0], &[1e6 + 1.0, 5.0]).is_err());
        assert!(ensure(&[1.0, 5.0], &[1.0, 5.1]).is_ok());
        assert!(ensure(&[-1e-3], &[1e-3]).is_ok());
    }

    #[test]
    fn the_pictures_differ_in_their_colours_only() {
        let [a, b] = pictures();
        assert_ne!(a, b);
        let light = |pixel: &Rgb<u8>| pixel.0.iter().map(|value| u32::from(*value)).sum::<u32>();
        let lights =
            |picture: &Picture| -> Vec<u32> { picture.pixels().pixels().map(light).collect() };
        assert_eq!(lights(&a), lights(&b));
    }
}
