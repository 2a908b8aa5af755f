//! Every way an image can come gives the same answer.

mod support;

use image::{DynamicImage, ImageFormat, RgbImage, Rgba, RgbaImage, imageops};
use liveness::{ErrorCode, Image, PixelFormat, Pixels};
use support::{ASTRONAUT, ENGINE, answer, check, distance, face, files, fixture, jpeg};

#[test]
fn formats_and_colour_types() {
    let original = check(&ASTRONAUT);
    for sample in files::samples(&ASTRONAUT) {
        let result = ENGINE.check(Image::Encoded(&sample.bytes));
        if sample.exact {
            assert_eq!(answer(&result), answer(&original), "{}", sample.name);
        } else {
            let moved = distance(&face(&original), &face(&result));
            assert!(moved < 0.08, "{}: the face moved by {moved}", sample.name);
        }
    }
}

/// What docs/c-abi.md says that a thread needs, with room for the frames of this test.
const STACK: usize = 256 << 10;

#[test]
fn a_small_stack_is_enough_for_every_format() {
    let samples = files::samples(&ASTRONAUT);
    let check = move || {
        for sample in samples {
            assert!(
                ENGINE.check(Image::Encoded(&sample.bytes)).is_ok(),
                "{}",
                sample.name
            );
        }
    };
    // Made on this stack: loading the networks is another matter.
    let _ = &*ENGINE;
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(check);
    thread
        .expect("there is memory for a thread")
        .join()
        .unwrap();
}

#[test]
fn exif_orientations_in_every_format_that_has_them() {
    let original = check(&ASTRONAUT);
    for orientation in 1..=8 {
        for sample in files::oriented(&ASTRONAUT, orientation) {
            let result = ENGINE.check(Image::Encoded(&sample.bytes));
            if sample.exact {
                assert_eq!(
                    answer(&result),
                    answer(&original),
                    "{} {orientation}",
                    sample.name
                );
            } else {
                let moved = distance(&face(&original), &face(&result));
                assert!(
                    moved < 0.05,
                    "{} {orientation}: the face moved by {moved}",
                    sample.name
                );
            }
        }
    }
}

#[test]
fn files_and_base64() {
    use base64::Engine as _;
    let original = answer(&check(&ASTRONAUT));
    let path = fixture("astronaut.png");
    assert_eq!(answer(&ENGINE.check(Image::File(&path))), original);
    let bytes = std::fs::read(&path).unwrap();
    let standard = base64::engine::general_purpose::STANDARD.encode(&bytes);
    let url = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&bytes);
    let lines: Vec<&str> = standard
        .as_bytes()
        .chunks(76)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    for text in [
        format!("data:image/jpeg;base64,{standard}"),
        lines.join("\r\n"),
        standard,
        url,
    ] {
        assert_eq!(
            answer(&ENGINE.check(Image::Base64(text.as_bytes()))),
            original
        );
    }
}

#[test]
fn raw_pixels_of_every_format() {
    let original = check(&ASTRONAUT);
    let (width, height) = ASTRONAUT.dimensions();
    let packed = |order: &[usize]| -> Vec<u8> {
        let sample = |pixel: &image::Rgb<u8>, at: usize| pixel.0.get(at).copied().unwrap_or(255);
        ASTRONAUT
            .pixels()
            .flat_map(|pixel| order.iter().map(move |at| sample(pixel, *at)))
            .collect()
    };
    let exact = [
        (PixelFormat::Rgb, packed(&[0, 1, 2])),
        (PixelFormat::Bgr, packed(&[2, 1, 0])),
        (PixelFormat::Rgba, packed(&[0, 1, 2, 3])),
        (PixelFormat::Bgra, packed(&[2, 1, 0, 3])),
    ];
    for (format, data) in &exact {
        let pixels = Pixels {
            data,
            format: *format,
            width,
            height,
            stride: 0,
            orientation: 1,
        };
        assert_eq!(
            answer(&ENGINE.check(Image::Pixels(pixels))),
            answer(&original),
            "{format:?}"
        );
    }
    let grey = DynamicImage::from(ASTRONAUT.clone())
        .into_luma8()
        .into_raw();
    let (luma, u, v) = yuv420();
    let interleaved = |a: &[u8], b: &[u8]| {
        a.iter()
            .zip(b)
            .flat_map(|(a, b)| [*a, *b])
            .collect::<Vec<u8>>()
    };
    let near = [
        (PixelFormat::Gray, grey),
        (PixelFormat::I420, [&luma[..], &u, &v].concat()),
        (
            PixelFormat::Nv12,
            [&luma[..], &interleaved(&u, &v)].concat(),
        ),
        (
            PixelFormat::Nv21,
            [&luma[..], &interleaved(&v, &u)].concat(),
        ),
    ];
    for (format, data) in &near {
        let pixels = Pixels {
            data,
            format: *format,
            width,
            height,
            stride: 0,
            orientation: 1,
        };
        let moved = distance(
            &face(&original),
            &face(&ENGINE.check(Image::Pixels(pixels))),
        );
        assert!(moved < 0.06, "{format:?}: the face moved by {moved}");
    }
}

/// The planes of the portrait as JFIF defines them.
fn yuv420() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (width, height) = ASTRONAUT.dimensions();
    let luma = |[r, g, b]: [f32; 3]| 0.299 * r + 0.587 * g + 0.114 * b;
    let planes = ASTRONAUT
        .pixels()
        .map(|pixel| luma(pixel.0.map(f32::from)).round() as u8)
        .collect();
    let chroma = |channel: usize, factor: f32| {
        let mut plane = Vec::new();
        for y in (0..height).step_by(2) {
            for x in (0..width).step_by(2) {
                let corners = [(0, 0), (1, 0), (0, 1), (1, 1)]
                    .map(|(dx, dy)| ASTRONAUT.get_pixel(x + dx, y + dy).0.map(f32::from));
                let mean: f32 = corners
                    .iter()
                    .map(|rgb| (rgb[channel] - luma(*rgb)) * factor)
                    .sum::<f32>()
                    / 4.0;
                plane.push((128.0 + mean).round().clamp(0.0, 255.0) as u8);
            }
        }
        plane
    };
    (planes, chroma(2, 0.564), chroma(0, 0.713))
}

#[test]
fn raw_pixels_with_stride_and_orientation() {
    let original = answer(&check(&ASTRONAUT));
    for orientation in 1..=8 {
        let image = files::stored(&ASTRONAUT, orientation);
        let stride = image.width() as usize * 3 + 13;
        let mut data = vec![77; stride * image.height() as usize];
        for (row, pixels) in data
            .chunks_mut(stride)
            .zip(image.as_raw().chunks(image.width() as usize * 3))
        {
            row[..pixels.len()].copy_from_slice(pixels);
        }
        let pixels = Pixels {
            data: &data,
            format: PixelFormat::Rgb,
            width: image.width(),
            height: image.height(),
            stride,
            orientation,
        };
        assert_eq!(
            answer(&ENGINE.check(Image::Pixels(pixels))),
            original,
            "{orientation}"
        );
    }
}

#[test]
fn transparent_pixels_show_white() {
    let hole = |x: u32, y: u32| x >= 350 && y < 300;
    let transparent = RgbaImage::from_fn(512, 512, |x, y| {
        let [r, g, b] = ASTRONAUT.get_pixel(x, y).0;
        Rgba([r, g, b, if hole(x, y) { 0 } else { 255 }])
    });
    let mut white = ASTRONAUT.clone();
    for (x, y, pixel) in white.enumerate_pixels_mut() {
        if hole(x, y) {
            pixel.0 = [255; 3];
        }
    }
    let mut bytes = Vec::new();
    transparent
        .write_to(&mut std::io::Cursor::new(&mut bytes), ImageFormat::Png)
        .unwrap();
    assert_eq!(
        answer(&ENGINE.check(Image::Encoded(&bytes))),
        answer(&check(&white))
    );
}

#[test]
fn truncated_files_are_unreadable() {
    for sample in files::samples(&ASTRONAUT) {
        for share in [0.02, 0.3, 0.6, 0.9] {
            let end = (sample.bytes.len() as f64 * share) as usize;
            let error = ENGINE
                .check(Image::Encoded(&sample.bytes[..end]))
                .expect_err(sample.name);
            assert_eq!(
                error.code(),
                ErrorCode::UnreadableImage,
                "{} cut at {share}: {error}",
                sample.name
            );
        }
    }
}

#[test]
fn what_phones_put_around_a_jpeg_does_not_matter() {
    let segment = |data: &[u8]| {
        let length = (data.len() as u16 + 2).to_be_bytes();
        [&[0xff, 0xe1][..], &length, data].concat()
    };
    let named = |image: &RgbImage, name| {
        let mut samples = files::samples(image).into_iter();
        samples.find(|sample| sample.name == name).unwrap().bytes
    };
    let small = imageops::thumbnail(&*ASTRONAUT, 160, 160);
    let preview = named(&small, "JPEG, progressive");
    // A depth map of four megabytes: which one, its length, where the part lies in it.
    let depth_map: Vec<u8> = (0..60_u32)
        .flat_map(|part| {
            let numbers = [60 * 65_000, part * 65_000].map(u32::to_be_bytes).concat();
            segment(
                &[
                    &b"http://ns.adobe.com/xmp/extension/\0"[..],
                    &[b'A'; 32],
                    &numbers,
                    &[b'A'; 65_000],
                ]
                .concat(),
            )
        })
        .collect();
    let video = [0xff, 0xda, 0x00].repeat(1000);
    for name in ["JPEG", "JPEG, progressive"] {
        let plain = named(&ASTRONAUT, name);
        let exif = segment(&[b"Exif\0\0II\x2a\0\x08\0\0\0\0\0\0\0\0\0", &preview[..]].concat());
        let photo = [
            &plain[..2],
            &exif,
            &depth_map,
            &plain[2..],
            &preview,
            &video,
        ]
        .concat();
        assert_eq!(
            answer(&ENGINE.check(Image::Encoded(&photo))),
            answer(&ENGINE.check(Image::Encoded(&plain))),
            "{name}"
        );
    }
}

#[test]
fn names_and_types_do_not_matter() {
    let path = std::env::temp_dir().join(format!("liveness-{}-astronaut.png", std::process::id()));
    std::fs::write(&path, jpeg(&ASTRONAUT, 95)).unwrap();
    let result = ENGINE.check(Image::File(&path));
    std::fs::remove_file(&path).unwrap();
    assert!(distance(&face(&check(&ASTRONAUT)), &face(&result)) < 0.05);
}

#[test]
fn what_is_no_file_is_unreadable() {
    for path in ["/nonexistent/selfie.jpg", "/", "/dev/zero"] {
        let error = ENGINE.check(Image::File(path.as_ref())).unwrap_err();
        assert_eq!(error.code(), ErrorCode::UnreadableImage, "{path}: {error}");
    }
}

#[test]
fn ten_mebibytes_are_read_and_one_byte_more_is_not() {
    let mut bytes = std::fs::read(fixture("astronaut.png")).unwrap();
    bytes.resize(10 * 1024 * 1024, 0);
    let original = answer(&check(&ASTRONAUT));
    assert_eq!(answer(&ENGINE.check(Image::Encoded(&bytes))), original);
    bytes.push(0);
    assert_eq!(
        ENGINE.check(Image::Encoded(&bytes)).unwrap_err().code(),
        ErrorCode::ImageTooLarge
    );
    let path = std::env::temp_dir().join(format!("liveness-{}-large.png", std::process::id()));
    std::fs::write(&path, &bytes).unwrap();
    let result = ENGINE.check(Image::File(&path));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(result.unwrap_err().code(), ErrorCode::ImageTooLarge);
}
