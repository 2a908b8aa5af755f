//! The input files, all made from the portrait.

use std::io::Cursor;
use std::path::Path;
use std::{fs, io};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use image::{DynamicImage, ImageFormat, RgbImage, imageops};

use crate::support::{
    ASTRONAUT, empty_room, files, jpeg, masked, passer_by, recapture, scaled, two_people,
};

const TEN_MEBIBYTES: usize = 10 * 1024 * 1024;

/// Name and content of every input file.
pub fn all() -> Vec<(String, Vec<u8>)> {
    let mut files = encoded();
    let portrait = content(&files, "png-rgb.png").to_vec();
    files.extend(base64(&portrait));
    files.extend(unreadable(&portrait));
    files.extend(pixels());
    files
}

/// Writes what is not there yet. Others may be reading: each file is replaced in one step, and an
/// unchanged one not at all.
pub fn write(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let path = folder.join(name);
    if fs::read(&path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    let draft = folder.join(format!(".{name}.{}", std::process::id()));
    fs::write(&draft, content)?;
    fs::rename(&draft, &path)
}

fn content<'a>(files: &'a [(String, Vec<u8>)], name: &str) -> &'a [u8] {
    match files.iter().find(|(file, _)| file == name) {
        Some((_, content)) => content,
        None => panic!("no input is called {name}"),
    }
}

fn png(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image
        .write_to(&mut bytes, ImageFormat::Png)
        .expect("memory takes every image");
    bytes.into_inner()
}

/// Images of all kinds that can be decoded.
fn encoded() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = files::samples(&ASTRONAUT)
        .into_iter()
        .map(|sample| (file_name("", sample.name), sample.bytes))
        .collect();
    for orientation in 1..=8 {
        let samples = files::oriented(&ASTRONAUT, orientation).into_iter();
        let prefix = format!("exif-{orientation}-");
        files.extend(samples.map(|sample| (file_name(&prefix, sample.name), sample.bytes)));
    }
    // Head and shoulders, as somebody would print or show them.
    let photo = imageops::crop_imm(&*ASTRONAUT, 90, 10, 270, 330).to_image();
    let portrait = content(&files, "png-rgb.png").to_vec();
    let ten_mebibytes = padded(&portrait, TEN_MEBIBYTES);
    let named = [
        ("print-attack.jpg", jpeg(&recapture::on_paper(&photo), 88)),
        ("replay-attack.jpg", jpeg(&recapture::on_screen(&photo), 88)),
        ("two-faces.jpg", jpeg(&two_people(), 90)),
        ("second-face-half-as-large.png", png(&second_face())),
        ("no-face.jpg", jpeg(&empty_room(), 90)),
        ("one-pixel.png", png(&RgbImage::new(1, 1))),
        ("mask.png", png(&masked())),
        ("passer-by.png", png(&passer_by())),
        ("small-face.png", png(&scaled(&ASTRONAUT, 0.5))),
        ("ten-mebibytes.png", ten_mebibytes),
        // A name and an extension that say nothing of the content.
        ("Pörträt 肖像 .jpeg", portrait),
    ];
    files.extend(named.map(|(name, bytes)| (name.to_string(), bytes)));
    files
}

/// Somebody further away, too large to be a passer-by.
fn second_face() -> RgbImage {
    let mut canvas = RgbImage::from_pixel(768, 512, image::Rgb([120, 118, 112]));
    imageops::replace(&mut canvas, &*ASTRONAUT, 0, 0);
    imageops::replace(&mut canvas, &scaled(&ASTRONAUT, 0.5), 512, 128);
    canvas
}

/// "PNG, RGB, 16 bits" is png-rgb-16-bits.png.
fn file_name(prefix: &str, sample: &str) -> String {
    let words = sample.split([' ', ',']).filter(|word| !word.is_empty());
    let stem = words.map(str::to_lowercase).collect::<Vec<_>>().join("-");
    let format = stem.split('-').next().unwrap_or_default();
    let extension = if format == "jpeg" { "jpg" } else { format };
    format!("{prefix}{stem}.{extension}")
}

fn padded(bytes: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(length, 0);
    bytes
}

fn unreadable(portrait: &[u8]) -> Vec<(String, Vec<u8>)> {
    let photo = jpeg(&ASTRONAUT, 92);
    // IHDR begins at 8: length, type, then width and height, and the checksum of type and data.
    let mut absurd = portrait.to_vec();
    absurd[16..24].copy_from_slice(&[0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0]);
    let checksum = crc32(&absurd[12..29]).to_be_bytes();
    absurd[29..33].copy_from_slice(&checksum);
    [
        ("truncated.png", portrait[..portrait.len() / 2].to_vec()),
        ("truncated.jpg", photo[..photo.len() / 2].to_vec()),
        ("header-only.jpg", photo[..20].to_vec()),
        ("empty.jpg", Vec::new()),
        ("text.jpg", b"This is no picture.\n".to_vec()),
        ("absurd-dimensions.png", absurd),
        ("too-large.png", padded(portrait, TEN_MEBIBYTES + 1)),
        ("too-large.txt", vec![b'a'; TEN_MEBIBYTES + 1]),
    ]
    .map(|(name, bytes)| (name.to_string(), bytes))
    .to_vec()
}

/// The checksum of PNG chunks.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc: u32, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

/// Texts as clients send them.
fn base64(portrait: &[u8]) -> Vec<(String, Vec<u8>)> {
    // One byte behind the image, so that there is padding to leave out.
    let unaligned = padded(portrait, portrait.len() / 3 * 3 + 4);
    let standard = STANDARD.encode(portrait);
    let lines: Vec<_> = standard.as_bytes().chunks(76).collect();
    let mut invalid = standard.clone();
    invalid.replace_range(1000..1001, "*");
    [
        ("url-safe", URL_SAFE.encode(portrait)),
        ("without-padding", STANDARD_NO_PAD.encode(unaligned)),
        (
            "with-line-breaks",
            String::from_utf8_lossy(&lines.join(&b"\r\n"[..])).into_owned(),
        ),
        ("data-url", format!("data:image/png;base64,{standard}")),
        (
            "ten-mebibytes",
            STANDARD.encode(padded(portrait, TEN_MEBIBYTES)),
        ),
        (
            "too-large",
            STANDARD.encode(padded(portrait, TEN_MEBIBYTES + 1)),
        ),
        ("invalid", invalid),
        ("empty", String::new()),
        (
            "data-url-without-base64",
            format!("data:image/png,{standard}"),
        ),
        ("no-image", STANDARD.encode("This is no picture.\n")),
        ("standard", standard),
    ]
    .map(|(name, text)| (format!("{name}.base64"), text.into_bytes()))
    .to_vec()
}

/// Raw samples; the layouts are in cases.json.
fn pixels() -> Vec<(String, Vec<u8>)> {
    let packed = |order: &[usize]| -> Vec<u8> {
        let sample = |pixel: &image::Rgb<u8>, at: usize| pixel.0.get(at).copied().unwrap_or(255);
        ASTRONAUT
            .pixels()
            .flat_map(|pixel| order.iter().map(move |at| sample(pixel, *at)))
            .collect()
    };
    let rgb = packed(&[0, 1, 2]);
    let grey = DynamicImage::from(ASTRONAUT.clone())
        .into_luma8()
        .into_raw();
    let [luma, u, v] = yuv420();
    let interleaved =
        |a: &[u8], b: &[u8]| -> Vec<u8> { a.iter().zip(b).flat_map(|(a, b)| [*a, *b]).collect() };
    [
        ("pixels-two-rows-missing.rgb", rgb[..510 * 512 * 3].to_vec()),
        ("pixels.rgb", rgb),
        ("pixels.bgr", packed(&[2, 1, 0])),
        ("pixels.rgba", packed(&[0, 1, 2, 3])),
        ("pixels.bgra", packed(&[2, 1, 0, 3])),
        ("pixels.gray", grey),
        ("pixels.nv12", [&luma[..], &interleaved(&u, &v)].concat()),
        ("pixels.nv21", [&luma[..], &interleaved(&v, &u)].concat()),
        ("pixels.i420", [luma, u, v].concat()),
        ("pixels-6-stride-1549.rgb", with_gaps(1549)),
    ]
    .map(|(name, bytes)| (name.to_string(), bytes))
    .to_vec()
}

/// The portrait as a camera with orientation 6 stores it, with rubbish between the rows.
fn with_gaps(stride: usize) -> Vec<u8> {
    let image = files::stored(&ASTRONAUT, 6);
    let row = image.width() as usize * 3;
    let mut data = vec![77; stride * image.height() as usize];
    for (to, from) in data
        .chunks_mut(stride)
        .zip(image.as_raw().chunks_exact(row))
    {
        to[..row].copy_from_slice(from);
    }
    data
}

/// Luma, U and V: BT.601 in full range, a chroma sample covers two by two pixels.
fn yuv420() -> [Vec<u8>; 3] {
    let weighed = |pixel: &image::Rgb<u8>, weights: [f32; 3]| -> f32 {
        pixel
            .0
            .iter()
            .zip(weights)
            .map(|(value, weight)| f32::from(*value) * weight)
            .sum()
    };
    let chroma = |weights: [f32; 3]| -> Vec<u8> {
        let corner = |x, y| weighed(ASTRONAUT.get_pixel(x, y), weights);
        let places = (0..512)
            .step_by(2)
            .flat_map(|y| (0..512).step_by(2).map(move |x| (x, y)));
        places
            .map(|(x, y)| {
                let sum = corner(x, y) + corner(x + 1, y) + corner(x, y + 1) + corner(x + 1, y + 1);
                (128.0 + sum / 4.0).round().clamp(0.0, 255.0) as u8
            })
            .collect()
    };
    let luma = ASTRONAUT
        .pixels()
        .map(|pixel| weighed(pixel, [0.299, 0.587, 0.114]).round() as u8)
        .collect();
    [
        luma,
        chroma([-0.168_736, -0.331_264, 0.5]),
        chroma([0.5, -0.418_688, -0.081_312]),
    ]
}
