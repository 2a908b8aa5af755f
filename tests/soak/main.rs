//! Long use of the library in one process: memory must stay as it is.
//!
//! Ordinarily a short run. `LIVENESS_SOAK=100000` sets the number of checks, `LIVENESS_SOAK_THREADS`
//! that of the threads, and `LIVENESS_SOAK_HANDLES` that of handles made and freed:
//!
//! ```text
//! cargo build --release
//! LIVENESS_TEST_LIBRARY=target/release LIVENESS_SOAK=100000 LIVENESS_SOAK_HANDLES=10000 \
//!     cargo test --test soak -- --nocapture
//! ```
#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::Stdio;

use image::{DynamicImage, ImageFormat, RgbImage, imageops};
use support::native::{Linking, build, root, runner, scratch};

/// The face with its surroundings: small, because most of a check's time does not depend on it.
fn crop(image: &RgbImage) -> RgbImage {
    imageops::crop_imm(image, 90, 0, 256, 256).to_image()
}

fn encoded(image: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(image.clone())
        .write_to(&mut bytes, format)
        .unwrap();
    bytes.into_inner()
}

/// Samples behind a head that says how they lie; see soak.c.
fn raw(format: u32, width: u32, height: u32, samples: &[u8]) -> Vec<u8> {
    let head = [format, width, height, 0].map(u32::to_le_bytes).concat();
    [&head, samples].concat()
}

/// Files of every format and every ending; their names begin with the code they must end in.
fn write_files(folder: &Path) {
    let face = crop(&support::ASTRONAUT);
    let mask = crop(&support::masked());
    let room = imageops::thumbnail(&support::empty_room(), 160, 120);
    let two = imageops::thumbnail(&support::two_people(), 768, 384);
    let png = encoded(&face, ImageFormat::Png);
    let jpeg = support::jpeg(&face, 90);
    let yuv = [vec![128; 64 * 64], vec![128; 64 * 32]].concat();
    let rgba = DynamicImage::from(face.clone()).into_rgba8();
    let files = [
        ("000-face.bmp", encoded(&face, ImageFormat::Bmp)),
        ("000-face.gif", encoded(&face, ImageFormat::Gif)),
        ("000-face.tiff", encoded(&face, ImageFormat::Tiff)),
        ("000-face.webp", encoded(&face, ImageFormat::WebP)),
        ("000-rgb.pixels", raw(1, 256, 256, &face)),
        ("000-rgba.pixels", raw(3, 256, 256, &rgba)),
        ("002-cut.jpg", jpeg[..jpeg.len() / 2].to_vec()),
        ("002-cut.png", png[..png.len() / 2].to_vec()),
        ("002-empty.png", Vec::new()),
        ("002-text.jpg", b"This is no picture.\n".to_vec()),
        ("000-face.jpg", jpeg),
        ("000-face.png", png),
        ("003-large.jpg", vec![0xff; (1 << 20) + 1]),
        ("004-short.pixels", raw(1, 256, 256, &[0; 100])),
        ("051-grey.pixels", raw(5, 64, 64, &[128; 64 * 64])),
        ("051-nv12.pixels", raw(6, 64, 64, &yuv)),
        ("051-room.jpg", support::jpeg(&room, 80)),
        ("051-room.png", encoded(&room, ImageFormat::Png)),
        ("051-two.jpg", support::jpeg(&two, 90)),
        ("052-mask.jpg", support::jpeg(&mask, 92)),
        ("052-mask.png", encoded(&mask, ImageFormat::Png)),
    ];
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

fn number(variable: &str, default: u32) -> String {
    match std::env::var(variable) {
        Ok(number) => number,
        Err(_) => default.to_string(),
    }
}

fn soak(test: &str, arguments: impl FnOnce(&Path) -> Vec<String>) {
    let folder = scratch(test);
    let Some(program) = build(&folder, &[root("tests/soak/soak.c")], Some(Linking::Shared)) else {
        return;
    };
    write_files(&folder);
    let mut command = runner(&program);
    command.args(arguments(&folder));
    // glibc counts freed memory that a thread keeps for later as in use: 40 kB more of it in the first 5,000
    // handles, 1 % of a process that holds nothing else.
    command.env("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0");
    if std::env::var_os("LIVENESS_SOAK").is_none() {
        // ONNX Runtime's arenas grow for longer than a short run lasts.
        command.env_remove("LIVENESS_ONNXRUNTIME");
    }
    // As it comes: a long run shows how far it is.
    let status = command.stdout(Stdio::inherit()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

#[test]
fn memory_does_not_grow_with_checks() {
    soak("soak_checks", |folder| {
        let checks = number("LIVENESS_SOAK", 60);
        let threads = number("LIVENESS_SOAK_THREADS", 2);
        vec![
            "checks".into(),
            folder.display().to_string(),
            checks,
            threads,
        ]
    });
}

#[test]
fn memory_does_not_grow_with_handles() {
    soak("soak_handles", |folder| {
        let handles = number("LIVENESS_SOAK_HANDLES", 60);
        vec!["handles".into(), folder.display().to_string(), handles]
    });
}
