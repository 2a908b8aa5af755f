//! An upright picture, at the resolution that the work needs.

use std::borrow::Cow;

use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer, Rgb, RgbImage};

use crate::error::Error;
use crate::resample::{Rect, resize};

/// RGB pixels that were decoded, or that are the caller's own.
pub(crate) type Samples<'a> = ImageBuffer<Rgb<u8>, Cow<'a, [u8]>>;

/// An image, or a part of one, at full resolution or a coarser one. Whoever looks at it speaks of
/// pixels of the whole image at full resolution, upright, and need not know how much was decoded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Picture<'a> {
    pixels: Samples<'a>,
    /// Width and height of the image.
    size: [u32; 2],
    /// Left and top edge of the first of the pixels. A little outside of the image where coarse pixels
    /// reach beyond its border.
    origin: [f64; 2],
    /// Width and height of one of the pixels.
    unit: u32,
}

impl From<RgbImage> for Picture<'_> {
    /// All of an image at full resolution.
    fn from(pixels: RgbImage) -> Self {
        Self::whole(samples(pixels))
    }
}

fn samples(pixels: RgbImage) -> Samples<'static> {
    let (width, height) = pixels.dimensions();
    ImageBuffer::from_raw(width, height, Cow::Owned(pixels.into_raw()))
        .expect("the samples are as many as they were")
}

impl<'a> Picture<'a> {
    /// All of an image at full resolution.
    pub(super) fn whole(pixels: Samples<'a>) -> Self {
        Picture {
            size: [pixels.width(), pixels.height()],
            origin: [0.0; 2],
            unit: 1,
            pixels,
        }
    }

    /// A part of an image of this size that starts at this column and row, in pixels of `unit` by `unit`.
    pub(super) fn part(pixels: RgbImage, size: [u32; 2], origin: [u32; 2], unit: u32) -> Self {
        Picture {
            pixels: samples(pixels),
            size,
            origin: origin.map(f64::from),
            unit,
        }
    }

    /// Width of the image.
    pub fn width(&self) -> u32 {
        self.size[0]
    }

    /// Height of the image.
    pub fn height(&self) -> u32 {
        self.size[1]
    }

    /// Pixels of the image per pixel that was decoded, across and down.
    pub fn unit(&self) -> u32 {
        self.unit
    }

    /// What was decoded.
    pub fn pixels(&self) -> &Samples<'a> {
        &self.pixels
    }

    /// The part of the image that was decoded.
    #[cfg(any(test, fuzzing))]
    pub fn extent(&self) -> Rect {
        let unit = f64::from(self.unit);
        Rect {
            x: self.origin[0],
            y: self.origin[1],
            width: unit * f64::from(self.pixels.width()),
            height: unit * f64::from(self.pixels.height()),
        }
    }

    /// Resamples a rectangle inside the part that was decoded.
    pub fn resize(&self, from: Rect, width: u32, height: u32) -> Result<RgbImage, Error> {
        resize(&self.pixels, self.inside(from), width, height)
    }

    /// A rectangle of the image in pixels that were decoded.
    fn inside(&self, rect: Rect) -> Rect {
        let unit = f64::from(self.unit);
        let span = |axis: usize, start: f64, length: f64, side: u32| {
            let start = ((start - self.origin[axis]) / unit).max(0.0);
            (start, (length / unit).min(f64::from(side) - start))
        };
        let (x, width) = span(0, rect.x, rect.width, self.pixels.width());
        let (y, height) = span(1, rect.y, rect.height, self.pixels.height());
        Rect {
            x,
            y,
            width,
            height,
        }
    }

    /// Where a point of the image lies among the pixels that were decoded. Integer coordinates are the
    /// centres of pixels, on both sides.
    pub fn place(&self, point: [f64; 2]) -> [f64; 2] {
        let unit = f64::from(self.unit);
        std::array::from_fn(|axis| (point[axis] + 0.5 - self.origin[axis]) / unit - 0.5)
    }

    /// Turns the image upright, which was stored in this orientation.
    pub(super) fn upright(self, orientation: Orientation) -> Self {
        if orientation == Orientation::NoTransforms {
            return self;
        }
        let (width, height) = self.pixels.dimensions();
        let pixels = RgbImage::from_raw(width, height, self.pixels.into_raw().into_owned())
            .expect("the samples are as many as they were");
        let mut picture = DynamicImage::ImageRgb8(pixels);
        picture.apply_orientation(orientation);
        let mut turned = Picture {
            pixels: samples(picture.into_rgb8()),
            ..self
        };
        let turn = Turn::of(orientation);
        if turn.transpose {
            turned.size.swap(0, 1);
            turned.origin.swap(0, 1);
        }
        let sides = [turned.pixels.width(), turned.pixels.height()];
        for axis in (0..2).filter(|axis| turn.mirror[*axis]) {
            let end = turned.origin[axis] + f64::from(turned.unit * sides[axis]);
            turned.origin[axis] = f64::from(turned.size[axis]) - end;
        }
        turned
    }
}

/// An orientation in two steps.
struct Turn {
    /// First columns become rows.
    transpose: bool,
    /// Then the order of columns, and of rows, is reversed.
    mirror: [bool; 2],
}

impl Turn {
    fn of(orientation: Orientation) -> Self {
        let (transpose, mirror) = match orientation {
            Orientation::NoTransforms => (false, [false, false]),
            Orientation::FlipHorizontal => (false, [true, false]),
            Orientation::FlipVertical => (false, [false, true]),
            Orientation::Rotate180 => (false, [true, true]),
            Orientation::Rotate90FlipH => (true, [false, false]),
            Orientation::Rotate90 => (true, [true, false]),
            Orientation::Rotate270 => (true, [false, true]),
            Orientation::Rotate270FlipH => (true, [true, true]),
        };
        Turn { transpose, mirror }
    }
}

/// Where a part of the upright image, of this size, lies in the image as it is stored.
pub(super) fn stored(part: Rect, [width, height]: [u32; 2], orientation: Orientation) -> Rect {
    let turn = Turn::of(orientation);
    let mut part = part;
    if turn.mirror[0] {
        part.x = f64::from(width) - part.x - part.width;
    }
    if turn.mirror[1] {
        part.y = f64::from(height) - part.y - part.height;
    }
    if turn.transpose {
        part = Rect {
            x: part.y,
            y: part.x,
            width: part.height,
            height: part.width,
        };
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIENTATIONS: [Orientation; 8] = [
        Orientation::NoTransforms,
        Orientation::FlipHorizontal,
        Orientation::FlipVertical,
        Orientation::Rotate180,
        Orientation::Rotate90FlipH,
        Orientation::Rotate90,
        Orientation::Rotate270,
        Orientation::Rotate270FlipH,
    ];

    /// 23 x 14 pixels whose colours tell their place.
    fn map() -> RgbImage {
        RgbImage::from_fn(23, 14, |x, y| Rgb([x as u8, y as u8, 0]))
    }

    /// A part of the map in which each pixel stands for 4 x 4 of it, by their first one's place.
    fn coarse_part() -> Picture<'static> {
        // From column 8 and row 4 on, to the border and beyond.
        let pixels = RgbImage::from_fn(4, 3, |x, y| Rgb([8 + 4 * x as u8, 4 + 4 * y as u8, 0]));
        Picture::part(pixels, [23, 14], [8, 4], 4)
    }

    #[test]
    fn every_orientation_turns_places_as_it_turns_pixels() {
        for orientation in ORIENTATIONS {
            let whole = Picture::from(map()).upright(orientation);
            let part = coarse_part().upright(orientation);
            assert_eq!(part.size, [whole.width(), whole.height()]);
            for (x, y, pixel) in whole.pixels().enumerate_pixels() {
                let [column, row] = part.place([f64::from(x), f64::from(y)]).map(f64::round);
                let inside = column >= 0.0
                    && row >= 0.0
                    && column < part.pixels.width().into()
                    && row < part.pixels.height().into();
                let [fine_x, fine_y, _] = pixel.0;
                assert_eq!(
                    inside,
                    fine_x >= 8 && fine_y >= 4,
                    "{orientation:?} {x} {y}"
                );
                if inside {
                    let coarse = part.pixels.get_pixel(column as u32, row as u32);
                    assert_eq!(
                        coarse.0,
                        [fine_x & !3, fine_y & !3, 0],
                        "{orientation:?} {x} {y}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_part_is_found_where_it_is_stored() {
        let part = Rect {
            x: 3.0,
            y: 2.0,
            width: 5.0,
            height: 4.0,
        };
        for orientation in ORIENTATIONS {
            let whole = Picture::from(map()).upright(orientation);
            let stored = stored(part, whole.size, orientation);
            let colours = |axis: usize| {
                let inside =
                    |(x, y, _): &(u32, u32, &Rgb<u8>)| (3..8).contains(x) && (2..6).contains(y);
                let pixels = whole.pixels().enumerate_pixels().filter(inside);
                let values = pixels.map(move |(_, _, pixel)| pixel.0[axis]);
                let ends = [values.clone().min(), values.max()];
                ends.map(|end| f64::from(end.unwrap()))
            };
            assert_eq!(
                [stored.x, stored.y],
                [colours(0)[0], colours(1)[0]],
                "{orientation:?}"
            );
            assert_eq!(
                [
                    stored.x + stored.width - 1.0,
                    stored.y + stored.height - 1.0
                ],
                [colours(0)[1], colours(1)[1]],
                "{orientation:?}"
            );
        }
    }

    #[test]
    fn a_coarse_picture_is_resampled_by_places_of_the_fine_one() {
        let fine = RgbImage::from_fn(160, 160, |x, y| Rgb([x as u8, y as u8, 0]));
        let coarse = RgbImage::from_fn(20, 20, |x, y| {
            Rgb([(42 + 4 * x) as u8, (62 + 4 * y) as u8, 0])
        });
        let part = Rect {
            x: 50.0,
            y: 70.0,
            width: 60.0,
            height: 50.0,
        };
        let from_fine = Picture::from(fine).resize(part, 10, 10).unwrap();
        let coarse = Picture::part(coarse, [160, 160], [40, 60], 4);
        let from_coarse = coarse.resize(part, 10, 10).unwrap();
        for (a, b) in from_fine.pixels().zip(from_coarse.pixels()) {
            assert!(
                a.0.iter().zip(b.0).all(|(a, b)| a.abs_diff(b) <= 1),
                "{a:?} {b:?}"
            );
        }
    }
}
