//! Image files of every format and colour type, and metadata in them.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageEncoder, ImageFormat, Rgb, RgbImage};

/// A file and what it is.
pub struct Sample {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    /// Whether its pixels are those of the original, bit by bit.
    pub exact: bool,
}

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    image
        .write_to(&mut Cursor::new(&mut bytes), format)
        .expect("the format takes the image");
    bytes
}

/// The image in every format and colour type that the library reads.
pub fn samples(image: &RgbImage) -> Vec<Sample> {
    let rgb = DynamicImage::from(image.clone());
    let rgba = DynamicImage::from(rgb.to_rgba8());
    let sixteen = DynamicImage::from(rgb.to_rgb16());
    let exact = |name, bytes| Sample {
        name,
        bytes,
        exact: true,
    };
    let near = |name, bytes| Sample {
        name,
        bytes,
        exact: false,
    };
    vec![
        exact("PNG, RGB", encode(&rgb, ImageFormat::Png)),
        exact("PNG, RGBA", encode(&rgba, ImageFormat::Png)),
        exact("PNG, RGB, 16 bits", encode(&sixteen, ImageFormat::Png)),
        exact(
            "PNG, RGBA, 16 bits",
            encode(&DynamicImage::from(rgb.to_rgba16()), ImageFormat::Png),
        ),
        near(
            "PNG, grey",
            encode(&DynamicImage::from(rgb.to_luma8()), ImageFormat::Png),
        ),
        near(
            "PNG, grey, 16 bits",
            encode(&DynamicImage::from(rgb.to_luma16()), ImageFormat::Png),
        ),
        near(
            "PNG, grey and alpha",
            encode(&DynamicImage::from(rgb.to_luma_alpha8()), ImageFormat::Png),
        ),
        near("PNG, palette", palette_png(image)),
        exact("BMP", encode(&rgb, ImageFormat::Bmp)),
        exact("BMP, RGBA", encode(&rgba, ImageFormat::Bmp)),
        exact("WebP without loss", encode(&rgb, ImageFormat::WebP)),
        near(
            "WebP",
            std::fs::read(super::fixture("astronaut.webp")).expect("the fixture is there"),
        ),
        exact("TIFF", encode(&rgb, ImageFormat::Tiff)),
        exact("TIFF, 16 bits", encode(&sixteen, ImageFormat::Tiff)),
        near(
            "TIFF, grey",
            encode(&DynamicImage::from(rgb.to_luma8()), ImageFormat::Tiff),
        ),
        near("TIFF, CMYK", cmyk_tiff(image)),
        near("GIF", encode(&rgb, ImageFormat::Gif)),
        near("JPEG", super::jpeg(image, 92)),
        near("JPEG, grey", grey_jpeg(&rgb.to_luma8())),
        near(
            "JPEG, progressive",
            jpeg(image, |encoder| encoder.set_progressive(true)),
        ),
        near(
            "JPEG, restart markers",
            jpeg(image, |encoder| encoder.set_restart_interval(7)),
        ),
        near("JPEG, CMYK", cmyk_jpeg(image)),
    ]
}

fn grey_jpeg(image: &GrayImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 92)
        .encode_image(image)
        .expect("memory takes every image");
    bytes
}

fn jpeg(image: &RgbImage, set: impl Fn(&mut jpeg_encoder::Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 92);
    set(&mut encoder);
    encoder
        .encode(
            image.as_raw(),
            image.width() as u16,
            image.height() as u16,
            jpeg_encoder::ColorType::Rgb,
        )
        .expect("the image fits");
    bytes
}

fn cmyk(image: &RgbImage) -> Vec<u8> {
    let split = |pixel: &Rgb<u8>| {
        let light = pixel.0.into_iter().max().unwrap_or(0);
        let ink = |value: u8| {
            if light == 0 {
                0
            } else {
                (u32::from(light - value) * 255 / u32::from(light)) as u8
            }
        };
        let [r, g, b] = pixel.0;
        [ink(r), ink(g), ink(b), 255 - light]
    };
    image.pixels().flat_map(split).collect()
}

fn cmyk_jpeg(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut bytes, 92);
    encoder
        .encode(
            &cmyk(image),
            image.width() as u16,
            image.height() as u16,
            jpeg_encoder::ColorType::Cmyk,
        )
        .expect("the image fits");
    bytes
}

fn cmyk_tiff(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder =
        tiff::encoder::TiffEncoder::new(&mut bytes).expect("memory takes every image");
    encoder
        .write_image::<tiff::encoder::colortype::CMYK8>(image.width(), image.height(), &cmyk(image))
        .expect("the image fits");
    bytes.into_inner()
}

/// A palette of 6 x 7 x 6 colours.
fn palette_png(image: &RgbImage) -> Vec<u8> {
    const LEVELS: [u32; 3] = [6, 7, 6];
    let level = |value: u8, levels: u32| (u32::from(value) * (levels - 1) + 127) / 255;
    let index = |pixel: &Rgb<u8>| {
        let [r, g, b] = std::array::from_fn(|channel| level(pixel.0[channel], LEVELS[channel]));
        ((r * LEVELS[1] + g) * LEVELS[2] + b) as u8
    };
    let entry = |index: u32| {
        let levels = [
            index / LEVELS[2] / LEVELS[1],
            index / LEVELS[2] % LEVELS[1],
            index % LEVELS[2],
        ];
        std::array::from_fn::<u8, 3, _>(|channel| {
            (levels[channel] * 255 / (LEVELS[channel] - 1)) as u8
        })
    };
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, image.width(), image.height());
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(
        (0..LEVELS.iter().product())
            .flat_map(entry)
            .collect::<Vec<u8>>(),
    );
    let indices: Vec<u8> = image.pixels().map(index).collect();
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(&indices))
        .expect("the image fits");
    bytes
}

/// The pixels as a camera with this EXIF orientation stores them (EXIF 2.32, tag 0x0112).
pub fn stored(upright: &RgbImage, orientation: u8) -> RgbImage {
    let (right, bottom) = (upright.width() - 1, upright.height() - 1);
    let turned = orientation >= 5;
    let (width, height) = if turned {
        (upright.height(), upright.width())
    } else {
        (upright.width(), upright.height())
    };
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = match orientation {
            1 => (x, y),
            2 => (right - x, y),
            3 => (right - x, bottom - y),
            4 => (x, bottom - y),
            5 => (y, x),
            6 => (right - y, x),
            7 => (right - y, bottom - x),
            8 => (y, bottom - x),
            _ => panic!("EXIF has no orientation {orientation}"),
        };
        *upright.get_pixel(x, y)
    })
}

/// An EXIF block that holds the orientation only, in big or little endian.
fn exif(orientation: u8, big_endian: bool) -> Vec<u8> {
    if big_endian {
        [
            &b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"[..],
            &[orientation],
            &[0; 6],
        ]
        .concat()
    } else {
        [
            &b"II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"[..],
            &[orientation],
            &[0; 7],
        ]
        .concat()
    }
}

/// The upright image in every format that carries an orientation, stored with this one.
pub fn oriented(upright: &RgbImage, orientation: u8) -> Vec<Sample> {
    let image = stored(upright, orientation);
    let (width, height) = image.dimensions();
    let write = |encoder: &mut dyn FnMut(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        encoder(&mut bytes);
        bytes
    };
    let color = image::ExtendedColorType::Rgb8;
    let png = |big_endian| {
        write(&mut |bytes| {
            let mut encoder = image::codecs::png::PngEncoder::new(bytes);
            encoder
                .set_exif_metadata(exif(orientation, big_endian))
                .expect("PNG carries EXIF");
            encoder
                .write_image(&image, width, height, color)
                .expect("the image fits");
        })
    };
    let webp = write(&mut |bytes| {
        let mut encoder = image::codecs::webp::WebPEncoder::new_lossless(bytes);
        encoder
            .set_exif_metadata(exif(orientation, false))
            .expect("WebP carries EXIF");
        encoder
            .write_image(&image, width, height, color)
            .expect("the image fits");
    });
    let jpeg = write(&mut |bytes| {
        let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(bytes, 95);
        encoder
            .set_exif_metadata(exif(orientation, true))
            .expect("JPEG carries EXIF");
        encoder
            .write_image(&image, width, height, color)
            .expect("the image fits");
    });
    let mut tiff = Cursor::new(Vec::new());
    let mut encoder = tiff::encoder::TiffEncoder::new(&mut tiff).expect("memory takes every image");
    let mut writer = encoder
        .new_image::<tiff::encoder::colortype::RGB8>(width, height)
        .expect("the image fits");
    writer
        .encoder()
        .write_tag(tiff::tags::Tag::Orientation, u16::from(orientation))
        .expect("TIFF carries an orientation");
    writer.write_data(&image).expect("the image fits");
    vec![
        Sample {
            name: "PNG, big endian",
            bytes: png(true),
            exact: true,
        },
        Sample {
            name: "PNG, little endian",
            bytes: png(false),
            exact: true,
        },
        Sample {
            name: "WebP",
            bytes: webp,
            exact: true,
        },
        Sample {
            name: "TIFF",
            bytes: tiff.into_inner(),
            exact: true,
        },
        Sample {
            name: "JPEG",
            bytes: jpeg,
            exact: false,
        },
    ]
}
