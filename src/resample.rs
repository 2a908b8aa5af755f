//! Resampling parts of an image, and pixels as networks take them.

use std::ops::Deref;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::{ImageBuffer, Rgb, RgbImage};

use crate::error::Error;
use crate::inference::Tensor;
use crate::memory::reserve;

/// A rectangle in pixels: the top left pixel covers 0..1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rect {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

impl Rect {
    /// All of an image of this size.
    pub fn whole(width: u32, height: u32) -> Self {
        Rect {
            x: 0.0,
            y: 0.0,
            width: width.into(),
            height: height.into(),
        }
    }

    /// The part of a face's box inside an image of this size, at least one pixel of it.
    pub fn inside(bbox: [f32; 4], image_width: u32, image_height: u32) -> Self {
        let [x, y, width, height] = bbox.map(f64::from);
        let span = |start: f64, length: f64, side: u32| {
            let side = f64::from(side);
            let first = start.clamp(0.0, side - 1.0);
            (first, (start + length).clamp(first + 1.0, side) - first)
        };
        let ((x, width), (y, height)) =
            (span(x, width, image_width), span(y, height, image_height));
        Rect {
            x,
            y,
            width,
            height,
        }
    }
}

/// Resamples a rectangle inside the image with an antialiased bilinear filter.
pub(crate) fn resize(
    image: &ImageBuffer<Rgb<u8>, impl Deref<Target = [u8]>>,
    from: Rect,
    width: u32,
    height: u32,
) -> Result<RgbImage, Error> {
    let fault =
        |error: &dyn std::fmt::Display| Error::internal(format!("resampling failed: {error}"));
    let mut target = RgbImage::new(width, height);
    // Of one type each: else the library would have the code for all pixels that there are, 2 MB of it.
    let source = TypedImageRef::<U8x3>::from_buffer(image.width(), image.height(), image.as_raw())
        .map_err(|error| fault(&error))?;
    let mut view = TypedImage::<U8x3>::from_buffer(width, height, &mut target)
        .map_err(|error| fault(&error))?;
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .crop(from.x, from.y, from.width, from.height);
    Resizer::new()
        .resize_typed(&source, &mut view, &options)
        .map_err(|error| fault(&error))?;
    Ok(target)
}

/// Each sample as -1..1.
static UNIT: [f32; 256] = {
    let mut values = [0.0; 256];
    let mut sample = 0;
    while sample < values.len() {
        values[sample] = sample as f32 / 127.5 - 1.0;
        sample += 1;
    }
    values
};

/// An image as a tensor of shape 1, 3, height, width: a red, a green and a blue plane with samples as
/// -1..1. Where the tensor is larger, it is zero on the right and below.
///
/// # Errors
/// 005 where there is no memory for it.
pub(crate) fn tensor(image: &RgbImage, width: usize, height: usize) -> Result<Tensor, Error> {
    let plane = width * height;
    let mut data = Vec::new();
    reserve(&mut data, 3 * plane).map_err(Error::internal)?;
    for channel in 0..3 {
        let start = data.len();
        for (y, row) in image
            .as_raw()
            .chunks_exact(3 * image.width() as usize)
            .enumerate()
        {
            data.resize(start + y * width, 0.0);
            let pixels = row.as_chunks::<3>().0.iter();
            data.extend(pixels.map(|pixel| UNIT[usize::from(pixel[channel])]));
        }
        data.resize(start + plane, 0.0);
    }
    Ok(Tensor {
        shape: vec![1, 3, height, width],
        data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_red_green_blue_from_minus_one_to_one() {
        let image = RgbImage::from_fn(2, 1, |x, _| {
            if x == 0 {
                Rgb([255, 0, 51])
            } else {
                Rgb([0, 255, 204])
            }
        });
        assert_eq!(
            tensor(&image, 2, 1).unwrap(),
            Tensor {
                shape: vec![1, 3, 1, 2],
                data: vec![1.0, -1.0, -1.0, 1.0, -0.6, 0.6]
            }
        );
    }

    #[test]
    fn a_fraction_of_a_pixel_is_kept() {
        // A ramp stays a ramp, shifted by the offset of the rectangle.
        let image = RgbImage::from_fn(100, 10, |x, _| Rgb([(2 * x) as u8; 3]));
        let part = resize(
            &image,
            Rect {
                x: 20.5,
                y: 0.0,
                width: 40.0,
                height: 10.0,
            },
            10,
            10,
        )
        .unwrap();
        for (x, pixel) in part.rows().next().unwrap().enumerate() {
            let expected = 2.0 * (20.5 + (x as f64 + 0.5) * 4.0 - 0.5);
            assert!(
                (f64::from(pixel.0[0]) - expected).abs() <= 1.0,
                "{x}: {pixel:?} {expected}"
            );
        }
    }
}
