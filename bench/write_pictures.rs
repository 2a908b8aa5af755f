//! Writes the benchmarks' pictures into a folder, for programs in other languages:
//!
//!     cargo run --example bench_pictures -- FOLDER [NAME...]
//!
//! Without names all are written; what is there already stays.

mod pictures;

use std::path::Path;

use image::RgbImage;
use pictures::{crowd, jpeg, nv21, selfie};

/// Selfies by their megapixels, 4:3.
const SELFIES: [(&str, u32, u32); 10] = [
    ("selfie-0.3mp.jpg", 640, 480),
    ("selfie-0.5mp.jpg", 816, 612),
    ("selfie-1mp.jpg", 1152, 864),
    ("selfie-2mp.jpg", 1600, 1200),
    ("selfie-4mp.jpg", 2304, 1728),
    ("selfie-8mp.jpg", 3264, 2448),
    ("selfie-12mp.jpg", 4000, 3000),
    ("selfie-20mp.jpg", 5184, 3888),
    ("selfie-30mp.jpg", 6320, 4740),
    ("selfie-50mp.jpg", 8160, 6120),
];
const CROWDS: [(&str, u32); 7] = [
    ("faces-0.jpg", 0),
    ("faces-1.jpg", 1),
    ("faces-2.jpg", 2),
    ("faces-5.jpg", 5),
    ("faces-10.jpg", 10),
    ("faces-20.jpg", 20),
    ("faces-50.jpg", 50),
];
type Layout = fn(&RgbImage) -> Vec<u8>;
const FRAMES: [(&str, Layout); 2] = [
    ("frame-1280x720.nv21", nv21),
    ("frame-1280x720.rgb", |image| image.as_raw().clone()),
];

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let folder = match arguments.next() {
        Some(folder) if !folder.as_encoded_bytes().starts_with(b"-") => folder,
        _ => {
            return Err(std::io::Error::other(
                "usage: bench_pictures FOLDER [NAME...]",
            ));
        }
    };
    let folder = Path::new(&folder);
    let names: Vec<_> = arguments.collect();
    let wanted = |name: &str| {
        (names.is_empty() || names.iter().any(|other| other == name)) && !folder.join(name).exists()
    };
    std::fs::create_dir_all(folder)?;
    for (name, width, height) in SELFIES.into_iter().filter(|(name, ..)| wanted(name)) {
        write(&folder.join(name), &jpeg(&selfie(width, height)))?;
    }
    for (name, faces) in CROWDS.into_iter().filter(|(name, _)| wanted(name)) {
        write(&folder.join(name), &jpeg(&crowd(faces, 1600, 1200)))?;
    }
    for (name, convert) in FRAMES.into_iter().filter(|(name, _)| wanted(name)) {
        write(&folder.join(name), &convert(&selfie(1280, 720)))?;
    }
    Ok(())
}

/// All or nothing, so that what is there is whole.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let part = path.with_extension("part");
    std::fs::write(&part, bytes)?;
    std::fs::rename(&part, path)
}
