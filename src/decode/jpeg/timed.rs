//! JPEGs of many scans, with a look at the clock before each.
//!
//! The `image` crate hands its decoder the whole file at once, which then never asks for more of it. A scan of
//! some bytes can keep that decoder busy for as long as the largest real one does.

use image::error::{DecodingError, ImageFormatHint};
use image::{ColorType, DynamicImage, GrayImage, ImageError, ImageFormat, ImageResult, RgbImage};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::deadline::Deadline;

/// Decodes as the `image` crate does, to the colours that it would give.
pub(in crate::decode) fn decode(
    bytes: &[u8],
    colours: ColorType,
    deadline: &Deadline,
) -> ImageResult<DynamicImage> {
    let damaged = |cause: String| {
        let format = ImageFormatHint::Exact(ImageFormat::Jpeg);
        ImageError::Decoding(DecodingError::new(format, cause))
    };
    let space = match colours {
        ColorType::L8 => ColorSpace::Luma,
        ColorType::Rgb8 => ColorSpace::RGB,
        other => return Err(damaged(format!("it has colours of the kind {other:?}"))),
    };
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
        .jpeg_set_out_colorspace(space);
    let mut decoder = JpegDecoder::new_with_options(deadline.reader(bytes), options);
    let samples = decoder
        .decode()
        .map_err(|error| damaged(error.to_string()))?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let [width, height] = [width, height].map(|side| side as u32);
    let image = match space {
        ColorSpace::Luma => GrayImage::from_raw(width, height, samples).map(DynamicImage::from),
        _ => RgbImage::from_raw(width, height, samples).map(DynamicImage::from),
    };
    image.ok_or_else(|| damaged("it has fewer pixels than it says".into()))
}
