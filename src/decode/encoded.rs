//! JPEG, PNG, WebP, BMP, GIF and TIFF files.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};

use super::{Glance, Limits, Overview, Picture, bmp, gif, jpeg, png, tiff, webp};
use crate::deadline::Deadline;
use crate::error::{Error, panic_text};
use crate::memory;

/// Bytes of a pixel with four samples of 8 bits. Wider pixels count more against the limit of pixels:
/// a PNG or TIFF of some kilobytes would make a decoder take gigabytes and seconds for them.
const MAX_BYTES_PER_PIXEL: u64 = 4;
/// What a decoder may take besides: palettes, profiles, tables.
const DECODER_OVERHEAD: u64 = 64 << 20;
/// What the decoder of a PNG may take for metadata and rows. It unpacks a colour profile as soon as it is
/// made, and its list takes up to three times as much while it grows; [`memory::expect`] asks for that
/// beside every picture. libpng takes 8 MB for a chunk by default.
const PNG_METADATA: u64 = 16 << 20;

/// A file, as the decoders get it.
#[derive(Debug)]
pub(super) enum File<'a> {
    Jpeg(jpeg::Plain),
    Other(ImageFormat, Cow<'a, [u8]>),
}

impl<'a> File<'a> {
    /// Finds out what it is. A JPEG is written anew, and the file let go.
    pub fn open(bytes: Cow<'a, [u8]>, limits: &Limits) -> Result<Self, Error> {
        limits.check_file(bytes.len() as u64)?;
        match sniff(&bytes)? {
            ImageFormat::Jpeg => jpeg::Plain::of(&bytes).map(File::Jpeg),
            format => Ok(File::Other(format, bytes)),
        }
    }

    /// Decodes it, a JPEG no more finely than the overview asks for, if that can be had.
    pub fn decode(
        &self,
        limits: &Limits,
        overview: &Overview,
        deadline: &Deadline,
    ) -> Result<Picture<'static>, Error> {
        let coarse = match self {
            File::Jpeg(plain) => plain.overview(limits, overview, deadline),
            File::Other(..) => None,
        };
        coarse.map_or_else(|| self.full(limits, deadline), Ok)
    }

    /// Decodes a JPEG once more, finely enough for these glances.
    pub fn decode_again(
        &self,
        glances: &[Glance],
        limits: &Limits,
        deadline: &Deadline,
    ) -> Result<Picture<'static>, Error> {
        let fine = match self {
            File::Jpeg(plain) => plain.detail(glances, deadline),
            File::Other(..) => None,
        };
        fine.map_or_else(|| self.full(limits, deadline), Ok)
    }

    fn format(&self) -> &'static str {
        match self {
            File::Jpeg(_) => "JPEG",
            File::Other(format, _) => name(*format),
        }
    }

    /// Decodes all of a file at full resolution.
    fn full(&self, limits: &Limits, deadline: &Deadline) -> Result<Picture<'static>, Error> {
        // A decoder that panics on an input has met a damaged one: the fault is that it did not say so. To
        // the sender it is the same as for any other damage, which trying again does not mend, so it is not
        // an internal error; other panics of a check are.
        let decoded = catch_unwind(AssertUnwindSafe(|| match self {
            File::Jpeg(plain) => Ok((plain.full(limits, deadline)?, plain.orientation)),
            File::Other(format, bytes) => pixels(*format, bytes, limits, deadline),
        }))
        .unwrap_or_else(|panic| {
            let cause = format!("its decoder gave up, {}", panic_text(&*panic));
            Err(Error::undecodable(self.format(), cause))
        });
        // A decoder that ran out of time says that it cannot read its file, or gives a part of it.
        deadline.check()?;
        let (image, orientation) = decoded?;
        let alpha = match self {
            // Where all of a BMP would be transparent, its writer left the fourth byte alone.
            File::Other(ImageFormat::Bmp, _) if is_transparent(&image) => Alpha::Meaningless,
            File::Other(ImageFormat::Tiff, bytes) if tiff::has_associated_alpha(bytes) => {
                Alpha::Associated
            }
            _ => Alpha::Unassociated,
        };
        Ok(Picture::from(to_rgb(image, alpha)).upright(orientation))
    }
}

/// Decodes a file, as callers of the library have it decoded first.
#[cfg(any(test, fuzzing))]
pub(super) fn decode(
    bytes: &[u8],
    limits: &Limits,
    overview: &Overview,
    deadline: &Deadline,
) -> Result<Picture<'static>, Error> {
    File::open(Cow::Borrowed(bytes), limits)?.decode(limits, overview, deadline)
}

/// What the fourth sample of a pixel says of the other three.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alpha {
    /// They are those of the pixel, as far as it covers what is behind it.
    Unassociated,
    /// They are multiplied with it already.
    Associated,
    /// Nothing.
    Meaningless,
}

fn is_transparent(image: &DynamicImage) -> bool {
    image
        .as_rgba8()
        .is_some_and(|image| image.pixels().all(|pixel| pixel.0[3] == 0))
}

/// As people call it.
fn name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Png => "PNG",
        ImageFormat::Gif => "GIF",
        ImageFormat::Bmp => "BMP",
        ImageFormat::Tiff => "TIFF",
        ImageFormat::WebP => "WebP",
        _ => "JPEG",
    }
}

/// The format by the first bytes; names and types that clients state are often wrong.
fn sniff(bytes: &[u8]) -> Result<ImageFormat, Error> {
    use ImageFormat::*;
    if bytes.is_empty() {
        return Err(Error::unreadable("the image is empty"));
    }
    // BigTIFF, of which the guess does not know.
    if bytes.starts_with(b"II+\0") || bytes.starts_with(b"MM\0+") {
        return Ok(Tiff);
    }
    match image::guess_format(bytes) {
        Ok(format @ (Jpeg | Png | WebP | Bmp | Gif | Tiff)) => Ok(format),
        Ok(other) => Err(Error::unreadable(format!(
            "{other:?} is not supported: send JPEG, PNG, WebP, BMP, GIF or TIFF"
        ))),
        Err(_) if is_heif(bytes) => Err(Error::unreadable(
            "HEIC and AVIF are not supported: send JPEG, PNG, WebP, BMP, GIF or TIFF",
        )),
        Err(_) if is_iso_media(bytes) => Err(Error::unreadable(
            "this is a video: send a still picture as JPEG, PNG, WebP, BMP, GIF or TIFF",
        )),
        Err(_) if is_base64(bytes) => Err(Error::unreadable(
            "this is the base64 of an image: hand it in as base64, or decode it first",
        )),
        Err(_) => Err(Error::unreadable(
            "this is no image, or of an unknown format: send JPEG, PNG, WebP, BMP, GIF or TIFF",
        )),
    }
}

/// Whether it begins as the base64 of a JPEG, PNG, WebP or GIF does, or a data URL.
fn is_base64(bytes: &[u8]) -> bool {
    const STARTS: [&[u8]; 5] = [b"/9j/", b"iVBOR", b"UklGR", b"R0lGOD", b"data:"];
    let text = bytes.trim_ascii_start();
    STARTS.iter().any(|start| text.starts_with(start))
}

/// HEIC, AVIF, MP4 and MOV are of one family.
fn is_iso_media(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(b"ftyp")
}

/// Whether the major brand of a file of this family is one of still pictures (ISO/IEC 23008-12, AVIF).
fn is_heif(bytes: &[u8]) -> bool {
    const BRANDS: [&[u8; 4]; 10] = [
        b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis",
    ];
    is_iso_media(bytes)
        && BRANDS
            .iter()
            .any(|brand| bytes.get(8..12) == Some(&brand[..]))
}

/// All of a file that is no JPEG, as it is stored, and how it is to be turned.
fn pixels(
    format: ImageFormat,
    bytes: &[u8],
    limits: &Limits,
    deadline: &Deadline,
) -> Result<(DynamicImage, Orientation), Error> {
    let bytes = match format {
        ImageFormat::WebP => webp::within(bytes),
        _ => bytes,
    };
    let damaged = |error: image::ImageError| Error::undecodable(name(format), error);
    // What a decoder takes as it is made is part of what any check takes.
    memory::expect(0)?;
    check_head(bytes, format)?;
    let most = limits.pixels.saturating_mul(MAX_BYTES_PER_PIXEL);
    let mut decoder_limits = image::Limits::no_limits();
    decoder_limits.max_alloc = Some(match format {
        ImageFormat::Png => PNG_METADATA,
        _ => most.saturating_add(DECODER_OVERHEAD),
    });
    let pieces = match format {
        ImageFormat::Tiff => tiff::pieces(bytes),
        _ => 0,
    };
    let file = deadline.reader_of_pieces(bytes, pieces);
    let mut reader = ImageReader::with_format(file, format);
    reader.limits(decoder_limits);
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    limits.check_size(width, height)?;
    if decoder.total_bytes() > most {
        return Err(Error::unreadable(format!(
            "the image takes {} bytes when decoded; the limit is {most}: send one with fewer pixels or 8 bits per sample",
            decoder.total_bytes()
        )));
    }
    // What the decoder gives, beside copies inside it, or else with alpha and without.
    let given = decoder.total_bytes();
    let area = u64::from(width) * u64::from(height);
    let copies = match format {
        // A picture of an animation, with alpha, is drawn onto a canvas with alpha.
        ImageFormat::WebP => area.saturating_mul(4 + 4),
        ImageFormat::Gif => gif::check_head(bytes, width, height)?,
        _ => given,
    };
    let forms = area.saturating_mul(4 + 3);
    memory::expect(given.saturating_add(copies.max(forms)))?;
    match format {
        ImageFormat::Bmp => bmp::check(bytes)?,
        ImageFormat::Gif => gif::check_palette(bytes, deadline)?,
        ImageFormat::Png => png::check_palette(bytes, deadline)?,
        ImageFormat::Tiff => tiff::check_strips(bytes, deadline)?,
        ImageFormat::WebP => webp::check_frames(bytes, width, height, deadline)?,
        _ => {}
    }
    let orientation = orientation(bytes, format, &mut decoder)?;
    let image = DynamicImage::from_decoder(decoder);
    Ok((image.map_err(damaged)?, orientation))
}

/// Refuses what a decoder would take too much memory for as it is made.
fn check_head(bytes: &[u8], format: ImageFormat) -> Result<(), Error> {
    match format {
        ImageFormat::Png => png::check_chunks(bytes),
        ImageFormat::Tiff => tiff::check_directory(bytes),
        _ => Ok(()),
    }
}

/// How the picture is to be turned.
fn orientation(
    bytes: &[u8],
    format: ImageFormat,
    decoder: &mut impl ImageDecoder,
) -> Result<Orientation, Error> {
    match format {
        ImageFormat::WebP => webp::orientation(bytes),
        ImageFormat::Png => png::orientation(bytes),
        _ => Ok(decoder.orientation().unwrap_or(Orientation::NoTransforms)),
    }
}

/// Eight bits per sample; transparent parts show white, as most viewers would.
fn to_rgb(image: DynamicImage, meaning: Alpha) -> RgbImage {
    if !image.color().has_alpha() || meaning == Alpha::Meaningless {
        return image.into_rgb8();
    }
    let image = image.into_rgba8();
    let mut rgb = RgbImage::new(image.width(), image.height());
    for (to, from) in rgb.pixels_mut().zip(image.pixels()) {
        let [r, g, b, alpha] = from.0;
        to.0 = [r, g, b].map(|value| match meaning {
            Alpha::Associated => value.saturating_add(255 - alpha),
            _ => on_white(value, alpha),
        });
    }
    rgb
}

pub(super) fn on_white(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::time::Duration;

    use super::*;
    use crate::ErrorCode;

    const LIMITS: Limits = Limits {
        file_bytes: 1 << 20,
        pixels: 10_000,
        side: 200,
    };

    fn decode(bytes: &[u8]) -> Result<Picture<'static>, Error> {
        let far = Deadline::after(Duration::from_secs(3600));
        super::decode(bytes, &LIMITS, &Overview::full(), &far)
    }

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let image = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 7]));
        image
            .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)
            .unwrap();
        bytes
    }

    fn code(bytes: &[u8]) -> ErrorCode {
        decode(bytes).unwrap_err().code()
    }

    #[test]
    fn a_tiff_for_more_than_four_gigabytes_is_read() {
        use ::tiff::encoder::{TiffEncoder, colortype::RGB8};

        let mut bytes = Cursor::new(Vec::new());
        let mut encoder = TiffEncoder::new_big(&mut bytes).unwrap();
        encoder
            .write_image::<RGB8>(2, 1, &[1, 2, 3, 4, 5, 6])
            .unwrap();
        let picture = decode(bytes.get_ref()).unwrap();
        assert_eq!(picture.pixels().as_raw().to_vec(), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn colours_that_are_multiplied_with_alpha_are_not_multiplied_again() {
        use ::tiff::encoder::{TiffEncoder, colortype::RGBA8};

        for (kind, expected) in [(1_u16, [227, 127, 127]), (2, [177, 127, 127])] {
            let mut bytes = Cursor::new(Vec::new());
            let mut encoder = TiffEncoder::new(&mut bytes).unwrap();
            let mut image = encoder.new_image::<RGBA8>(1, 1).unwrap();
            let tag = ::tiff::tags::Tag::ExtraSamples;
            image.encoder().write_tag(tag, &[kind][..]).unwrap();
            image.write_data(&[100, 0, 0, 128]).unwrap();
            let picture = decode(bytes.get_ref()).unwrap();
            assert_eq!(picture.pixels().as_raw().to_vec(), expected);
        }
    }

    #[test]
    fn whole_numbers_of_32_bits_are_not_taken_for_fractions() {
        use ::tiff::encoder::{TiffEncoder, colortype::RGB32};

        let mut bytes = Cursor::new(Vec::new());
        let mut encoder = TiffEncoder::new(&mut bytes).unwrap();
        encoder.write_image::<RGB32>(1, 1, &[1 << 30; 3]).unwrap();
        let mut bytes = bytes.into_inner();
        assert_eq!(code(&bytes), ErrorCode::UnreadableImage);
        // The entry for the format becomes one that nobody knows.
        let entry = [0x53, 0x01, 0x03, 0x00];
        let at = bytes.windows(4).position(|found| found == entry).unwrap();
        bytes[at + 1] = 0x7f;
        let error = decode(&bytes).unwrap_err();
        assert!(error.to_string().contains("32 bits"), "{error}");
    }

    #[test]
    fn limits_hold_before_decoding() {
        assert!(decode(&png(100, 100)).is_ok());
        assert!(decode(&png(200, 50)).is_ok());
        assert_eq!(code(&png(101, 100)), ErrorCode::UnreadableImage);
        assert_eq!(code(&png(201, 1)), ErrorCode::UnreadableImage);
        assert_eq!(code(&vec![0; (1 << 20) + 1]), ErrorCode::ImageTooLarge);
        let mut giant = png(1, 1);
        giant[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
        assert_eq!(code(&giant), ErrorCode::UnreadableImage);
    }

    fn tiff_of_floats(side: u32) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        ::tiff::encoder::TiffEncoder::new(&mut bytes)
            .unwrap()
            .write_image::<::tiff::encoder::colortype::RGBA32Float>(
                side,
                side,
                &vec![0.5; (side * side * 4) as usize],
            )
            .unwrap();
        bytes.into_inner()
    }

    #[test]
    fn wide_samples_count_against_the_limit() {
        // 50 x 50 x 16 bytes are 10,000 x 4, 51 x 51 x 16 are more.
        assert!(decode(&tiff_of_floats(50)).is_ok());
        assert_eq!(code(&tiff_of_floats(51)), ErrorCode::UnreadableImage);
    }

    /// The PNG with the chunk behind its header.
    fn with_chunk(png: &[u8], name: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let named = [&name[..], data].concat();
        let mut crc = flate2::Crc::new();
        crc.update(&named);
        let length = (data.len() as u32).to_be_bytes();
        let (head, rest) = png.split_at(33);
        [head, &length, &named, &crc.sum().to_be_bytes(), rest].concat()
    }

    /// An EXIF block that turns the picture by a quarter.
    const TURNED: &[u8] = b"II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";

    #[test]
    fn exif_of_a_png_is_read_with_the_prefix_of_a_jpeg_too() {
        for (prefix, size) in [(&b""[..], (5, 20)), (b"Exif\0\0", (5, 20)), (b"?", (20, 5))] {
            let turned = with_chunk(&png(20, 5), b"eXIf", &[prefix, TURNED].concat());
            let picture = decode(&turned).unwrap();
            assert_eq!((picture.width(), picture.height()), size, "{prefix:?}");
        }
    }

    #[test]
    fn exif_behind_the_picture_of_a_png_counts_too() {
        let before = with_chunk(&png(20, 5), b"eXIf", TURNED);
        let (head, rest) = before.split_at(33);
        let (exif, picture) = rest.split_at(12 + TURNED.len());
        let (data, end) = picture.split_at(picture.len() - 12);
        let picture = decode(&[head, data, exif, end].concat()).unwrap();
        assert_eq!((picture.width(), picture.height()), (5, 20));
    }

    /// A BMP of one row with an alpha channel, which the `image` crate writes for pixels that have one.
    fn bmp(alphas: [u8; 2]) -> Vec<u8> {
        let image =
            image::RgbaImage::from_fn(2, 1, |x, _| image::Rgba([90, 60, 30, alphas[x as usize]]));
        let mut bytes = Vec::new();
        image
            .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Bmp)
            .unwrap();
        bytes
    }

    #[test]
    fn a_bmp_that_would_show_nothing_has_no_alpha() {
        let first = |alphas| decode(&bmp(alphas)).unwrap().pixels().get_pixel(0, 0).0;
        assert_eq!(first([0, 0]), [90, 60, 30]);
        assert_eq!(first([0, 255]), [255; 3]);
    }

    #[test]
    fn a_video_is_told_from_a_still_picture() {
        let reason = |brand: &str| {
            let bytes = [b"\0\0\0\x18ftyp", brand.as_bytes(), &[0; 12]].concat();
            decode(&bytes).unwrap_err().to_string()
        };
        for brand in ["heic", "mif1", "avif"] {
            assert!(reason(brand).contains("not supported"), "{brand}");
        }
        for brand in ["mp42", "qt  ", "isom"] {
            assert!(reason(brand).contains("video"), "{brand}");
        }
    }

    #[test]
    fn base64_is_told_from_a_file() {
        for text in [&b"/9j/4AAQ"[..], b"\n iVBORw0K", b"data:image/png;base64,"] {
            let error = decode(text).unwrap_err();
            assert!(error.detail().contains("base64"), "{error}");
        }
    }

    #[test]
    fn a_decoder_that_is_late_is_not_an_unreadable_image() {
        let late = Deadline::after(Duration::ZERO);
        let error = super::decode(&png(100, 100), &LIMITS, &Overview::full(), &late).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Internal, "{error}");
    }

    #[test]
    fn what_is_no_image_is_unreadable() {
        for bytes in [
            &b""[..],
            b"hello",
            b"\xff\xd8\xff",
            b"GIF89a",
            b"\x89PNG\r\n\x1a\n",
            b"\0\0\0\x18ftypheic",
            b"\0\0\0\x18ftypmp42",
            b"BM",
            b"P6 1 1 255 abc",
        ] {
            assert_eq!(code(bytes), ErrorCode::UnreadableImage, "{bytes:?}");
        }
    }

    #[test]
    fn transparent_pixels_show_white() {
        assert_eq!(
            [
                on_white(0, 0),
                on_white(0, 255),
                on_white(200, 255),
                on_white(0, 128),
                on_white(255, 7)
            ],
            [255, 0, 200, 127, 255]
        );
    }
}
