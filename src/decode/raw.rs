//! Pixels that are decoded already.

use std::borrow::Cow;

use image::metadata::Orientation;
use image::{ImageBuffer, RgbImage};

use super::encoded::on_white;
use super::yuv::{ChromaRow, Converter};
use super::{Limits, Picture, Samples};
use crate::error::Error;
use crate::memory;
use crate::pixels::{PixelFormat, Pixels};

pub(super) fn decode<'a>(pixels: &Pixels<'a>, limits: &Limits) -> Result<Picture<'a>, Error> {
    let orientation = Orientation::from_exif(pixels.orientation).ok_or_else(|| {
        Error::bad_request(format!(
            "orientation is {}; EXIF knows 1 to 8, 1 is upright",
            pixels.orientation
        ))
    })?;
    if pixels.width == 0 || pixels.height == 0 {
        return Err(Error::bad_request(format!(
            "the pixels are {} x {}; both sides must be positive",
            pixels.width, pixels.height
        )));
    }
    // A wrong call comes before an unreadable image. Only too few data come after it: bindings call without
    // any to learn whether a size is refused.
    let stride = stride(pixels)?;
    limits.check_size(pixels.width, pixels.height)?;
    let layout = Layout::new(pixels, stride)?;
    // As it is stored, and turned upright.
    let rgb = (u64::from(pixels.width) * u64::from(pixels.height)).saturating_mul(3);
    memory::expect(rgb.saturating_mul(2))?;
    let picture = match layout.as_they_are(pixels) {
        Some(samples) => Picture::whole(samples),
        None => layout.read(pixels).into(),
    };
    Ok(picture.upright(orientation))
}

/// Where the rows of the planes lie; made only where all of them lie inside the data.
struct Layout {
    width: usize,
    stride: usize,
    chroma: Option<Chroma>,
}

#[derive(Clone, Copy)]
struct Chroma {
    /// Offset of the first sample of U and of V.
    u: usize,
    v: usize,
    /// Bytes from one row, and from one sample, to the next.
    stride: usize,
    step: usize,
}

fn overflow() -> Error {
    Error::bad_request("the stride is so large that the image's length overflows")
}

/// Bytes from one row of the first plane to the next, at least those of its pixels.
fn stride(pixels: &Pixels<'_>) -> Result<usize, Error> {
    let row = row(pixels)?;
    match pixels.stride {
        0 => Ok(row),
        stride if stride >= row => Ok(stride),
        stride => Err(Error::bad_request(format!(
            "stride is {stride} bytes, but a row of {} pixels takes {row}; 0 means rows without gaps",
            pixels.width
        ))),
    }
}

fn row(pixels: &Pixels<'_>) -> Result<usize, Error> {
    (pixels.width as usize)
        .checked_mul(bytes_per_pixel(pixels.format))
        .ok_or_else(overflow)
}

impl Layout {
    fn new(pixels: &Pixels<'_>, stride: usize) -> Result<Self, Error> {
        let (width, height) = (pixels.width as usize, pixels.height as usize);
        let plane = stride.checked_mul(height).ok_or_else(overflow)?;
        let (chroma, needed) = match pixels.format {
            PixelFormat::Nv12 | PixelFormat::Nv21 | PixelFormat::I420 => {
                let chroma =
                    Chroma::new(pixels.format, stride, plane, height).ok_or_else(overflow)?;
                let last_row = (height.div_ceil(2) - 1)
                    .checked_mul(chroma.stride)
                    .ok_or_else(overflow)?;
                let last = chroma
                    .u
                    .max(chroma.v)
                    .checked_add(last_row)
                    .and_then(|at| at.checked_add((width.div_ceil(2) - 1) * chroma.step));
                (
                    Some(chroma),
                    last.and_then(|at| at.checked_add(1)).ok_or_else(overflow)?,
                )
            }
            // The last row may end where its pixels end.
            _ => (None, plane - stride + row(pixels)?),
        };
        if pixels.data.len() < needed {
            return Err(Error::bad_request(format!(
                "the data has {} bytes, but {width} x {height} pixels in {:?} with a stride of {stride} take {needed}",
                pixels.data.len(),
                pixels.format
            )));
        }
        Ok(Layout {
            width,
            stride,
            chroma,
        })
    }

    /// The caller's own pixels, where they lie as an image of this library does.
    fn as_they_are<'a>(&self, pixels: &Pixels<'a>) -> Option<Samples<'a>> {
        let row = 3 * self.width;
        if pixels.format != PixelFormat::Rgb || self.stride != row {
            return None;
        }
        let samples = &pixels.data[..row * pixels.height as usize];
        ImageBuffer::from_raw(pixels.width, pixels.height, Cow::Borrowed(samples))
    }

    fn read(&self, pixels: &Pixels<'_>) -> RgbImage {
        let row = 3 * self.width;
        let mut image = RgbImage::new(pixels.width, pixels.height);
        let rows = image.chunks_exact_mut(row).enumerate();
        match self.chroma {
            Some(chroma) => {
                let mut converter = Converter::new(self.width);
                for (y, to) in rows {
                    if y % 2 == 0 {
                        converter.chroma(chroma.row(pixels, y / 2));
                    }
                    let luma = &pixels.data[y * self.stride..][..self.width];
                    converter.convert(luma, to);
                }
            }
            None => {
                let length = self.width * bytes_per_pixel(pixels.format);
                for (y, to) in rows {
                    packed(pixels.format, &pixels.data[y * self.stride..][..length], to);
                }
            }
        }
        image
    }
}

impl Chroma {
    fn new(format: PixelFormat, stride: usize, luma: usize, height: usize) -> Option<Self> {
        let half = stride.div_ceil(2);
        Some(match format {
            PixelFormat::I420 => Chroma {
                u: luma,
                v: half.checked_mul(height.div_ceil(2))?.checked_add(luma)?,
                stride: half,
                step: 1,
            },
            PixelFormat::Nv21 => Chroma {
                u: luma.checked_add(1)?,
                v: luma,
                stride: half.checked_mul(2)?,
                step: 2,
            },
            _ => Chroma {
                u: luma,
                v: luma.checked_add(1)?,
                stride: half.checked_mul(2)?,
                step: 2,
            },
        })
    }

    /// A row of samples of an image whose layout was checked.
    fn row<'a>(&self, pixels: &Pixels<'a>, row: usize) -> ChromaRow<'a> {
        let samples = (pixels.width as usize).div_ceil(2) * self.step;
        let from = |plane: usize| &pixels.data[plane + row * self.stride..][..samples];
        match pixels.format {
            PixelFormat::Nv21 => ChromaRow::VuPairs(from(self.v)),
            PixelFormat::Nv12 => ChromaRow::UvPairs(from(self.u)),
            _ => ChromaRow::Planes {
                u: from(self.u),
                v: from(self.v),
            },
        }
    }
}

/// Bytes per pixel of the first plane.
fn bytes_per_pixel(format: PixelFormat) -> usize {
    match format {
        PixelFormat::Rgb | PixelFormat::Bgr => 3,
        PixelFormat::Rgba | PixelFormat::Bgra => 4,
        PixelFormat::Gray | PixelFormat::Nv12 | PixelFormat::Nv21 | PixelFormat::I420 => 1,
    }
}

/// Converts a row of pixels that lie next to each other.
fn packed(format: PixelFormat, from: &[u8], to: &mut [u8]) {
    let to = to.as_chunks_mut::<3>().0;
    match format {
        PixelFormat::Rgb => to.as_flattened_mut().copy_from_slice(from),
        PixelFormat::Bgr => each(from, to, |[b, g, r]| [r, g, b]),
        PixelFormat::Rgba => each(from, to, |[r, g, b, a]| {
            [r, g, b].map(|value| on_white(value, a))
        }),
        PixelFormat::Bgra => each(from, to, |[b, g, r, a]| {
            [r, g, b].map(|value| on_white(value, a))
        }),
        PixelFormat::Gray | PixelFormat::Nv12 | PixelFormat::Nv21 | PixelFormat::I420 => {
            each(from, to, |[grey]| [grey; 3]);
        }
    }
}

fn each<const BYTES: usize>(
    from: &[u8],
    to: &mut [[u8; 3]],
    convert: impl Fn([u8; BYTES]) -> [u8; 3],
) {
    for (to, from) in to.iter_mut().zip(from.as_chunks().0) {
        *to = convert(*from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    const LIMITS: Limits = Limits {
        file_bytes: 1,
        pixels: 10_000,
        side: 200,
    };

    fn pixels(
        data: &[u8],
        format: PixelFormat,
        width: u32,
        height: u32,
        stride: usize,
    ) -> Pixels<'_> {
        Pixels {
            data,
            format,
            width,
            height,
            stride,
            orientation: 1,
        }
    }

    fn read(data: &[u8], format: PixelFormat, width: u32, height: u32, stride: usize) -> Vec<u8> {
        decode(&pixels(data, format, width, height, stride), &LIMITS)
            .unwrap()
            .pixels()
            .to_vec()
    }

    #[test]
    fn packed_formats() {
        assert_eq!(
            read(&[1, 2, 3, 4, 5, 6], PixelFormat::Rgb, 2, 1, 0),
            [1, 2, 3, 4, 5, 6]
        );
        assert_eq!(
            read(&[1, 2, 3, 4, 5, 6], PixelFormat::Bgr, 1, 2, 0),
            [3, 2, 1, 6, 5, 4]
        );
        assert_eq!(
            read(&[1, 2, 3, 255, 9, 9, 9, 0], PixelFormat::Rgba, 2, 1, 0),
            [1, 2, 3, 255, 255, 255]
        );
        assert_eq!(read(&[1, 2, 3, 255], PixelFormat::Bgra, 1, 1, 0), [3, 2, 1]);
        assert_eq!(
            read(&[7, 8], PixelFormat::Gray, 2, 1, 0),
            [7, 7, 7, 8, 8, 8]
        );
    }

    #[test]
    fn rows_may_have_gaps_but_the_last() {
        assert_eq!(
            read(&[1, 9, 9, 2], PixelFormat::Gray, 1, 2, 3),
            [1, 1, 1, 2, 2, 2]
        );
    }

    #[test]
    fn planar_formats_agree() {
        // 3 x 3 pixels, so the chroma planes are 2 x 2.
        let luma = [80u8, 90, 100, 110, 120, 130, 140, 150, 160];
        let (u, v) = ([100u8, 110, 120, 130], [140u8, 150, 160, 170]);
        let i420 = [&luma[..], &u, &v].concat();
        let interleave = |a: [u8; 4], b: [u8; 4]| {
            a.into_iter()
                .zip(b)
                .flat_map(|(a, b)| [a, b])
                .collect::<Vec<u8>>()
        };
        let nv12 = [&luma[..], &interleave(u, v)].concat();
        let nv21 = [&luma[..], &interleave(v, u)].concat();
        let expected = read(&i420, PixelFormat::I420, 3, 3, 0);
        assert_eq!(read(&nv12, PixelFormat::Nv12, 3, 3, 0), expected);
        assert_eq!(read(&nv21, PixelFormat::Nv21, 3, 3, 0), expected);
        // JFIF's formula for the first pixel: y 80, u 100 - 128, v 140 - 128.
        assert_eq!(expected[..3], [97, 81, 30]);
        // And of the last one: y 160, u 130 - 128, v 170 - 128.
        assert_eq!(expected[24..], [219, 129, 164]);
    }

    #[test]
    fn impossible_layouts_are_refused() {
        let data = [0u8; 64];
        let cases = [
            pixels(&data, PixelFormat::Rgb, 0, 4, 0),
            pixels(&data, PixelFormat::Rgb, 4, 0, 0),
            pixels(&data, PixelFormat::Rgb, 4, 4, 11),
            pixels(&data, PixelFormat::Rgba, 4, 5, 0),
            pixels(&data, PixelFormat::Gray, 4, 4, 21),
            pixels(&data, PixelFormat::Gray, 4, 4, usize::MAX),
            pixels(&data, PixelFormat::Nv21, 4, 4, usize::MAX / 4),
            pixels(&data, PixelFormat::I420, 4, 4, usize::MAX / 4 - 1),
            pixels(&data[..23], PixelFormat::I420, 4, 4, 0),
            pixels(&data[..23], PixelFormat::Nv12, 4, 4, 0),
            pixels(&data[..16], PixelFormat::Nv21, 3, 3, 0),
            Pixels {
                orientation: 0,
                ..pixels(&data, PixelFormat::Gray, 4, 4, 0)
            },
            Pixels {
                orientation: 9,
                ..pixels(&data, PixelFormat::Gray, 4, 4, 0)
            },
        ];
        for case in cases {
            let error = decode(&case, &LIMITS).unwrap_err();
            assert_eq!(
                error.code(),
                ErrorCode::BadRequest,
                "{} x {} {:?}",
                case.width,
                case.height,
                case.format
            );
        }
        assert!(decode(&pixels(&data[..24], PixelFormat::I420, 4, 4, 0), &LIMITS).is_ok());
        assert!(decode(&pixels(&data[..17], PixelFormat::Nv21, 3, 3, 0), &LIMITS).is_ok());
    }

    #[test]
    fn absurd_sizes_are_unreadable_where_the_layout_is_valid() {
        let data = [0; 3 * 101 * 100];
        let code = |width, height, stride| {
            let pixels = pixels(&data, PixelFormat::Rgb, width, height, stride);
            decode(&pixels, &LIMITS).unwrap_err().code()
        };
        for (width, height) in [(201, 1), (1, 201), (101, 100)] {
            assert_eq!(code(width, height, 0), ErrorCode::UnreadableImage);
            assert_eq!(code(width, height, 2), ErrorCode::BadRequest);
        }
        // No data are that long, and nobody is asked for them.
        assert_eq!(code(20_000, 10, 0), ErrorCode::UnreadableImage);
        assert_eq!(code(u32::MAX, u32::MAX, 0), ErrorCode::UnreadableImage);
    }

    #[test]
    fn orientation_is_applied() {
        let turned = decode(
            &Pixels {
                orientation: 6,
                ..pixels(&[1, 2], PixelFormat::Gray, 2, 1, 0)
            },
            &LIMITS,
        )
        .unwrap();
        assert_eq!((turned.width(), turned.height()), (1, 2));
    }
}
