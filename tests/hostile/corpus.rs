//! More than ten thousand files that are derived from good ones.

use std::sync::Mutex;
use std::time::Duration;

use image::RgbImage;
use image::imageops::{self, FilterType};
use liveness::Image;

use super::files;
use super::meter::Bounds;
use super::support::{self, ASTRONAUT, files::samples};
use super::{REAL, TINY, Tally, check};

/// On any of our machines a check of such a file takes a few milliseconds, and its memory is that
/// of the largest picture here, 512 x 512, some times over.
const BOUNDS: Bounds = Bounds {
    time: Duration::from_secs(2),
    bytes: 96 << 20,
};

const LIMIT: usize = 10 * 1024 * 1024;

/// A small generator (xorshift64*), so that every run sees the same files.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// Head and shoulders of the portrait.
fn small() -> RgbImage {
    let crop = imageops::crop_imm(&*ASTRONAUT, 145, 30, 160, 160).to_image();
    imageops::resize(&crop, 64, 64, FilterType::Triangle)
}

/// Name and bytes of the good files.
fn seeds() -> Vec<(String, Vec<u8>)> {
    let image = small();
    let mut seeds: Vec<_> = samples(&image)
        .into_iter()
        .map(|sample| (sample.name.to_string(), sample.bytes))
        .collect();
    seeds.push(("animated WebP".into(), files::animated_webp(&image, 6)));
    seeds.push((
        "deep GIF".into(),
        files::gif(64, 64, 20, &files::plain_lzw(64 * 64)),
    ));
    seeds.push((
        "interlaced PNG".into(),
        files::png_bomb(64, 64, 16, 6, true),
    ));
    seeds.push(("JPEG of many scans".into(), files::scans_jpeg(64, 40)));
    seeds
}

/// Damage of one kind to a file, by chance.
type Damage = fn(&mut Vec<u8>, &mut Random);

const DAMAGES: [(&str, usize, Damage); 7] = [
    ("truncated", 70, |bytes, random| {
        // Most of what a decoder decides is at the start.
        let most = if random.below(2) == 0 {
            200
        } else {
            usize::MAX
        };
        let length = random.below(bytes.len().min(most));
        bytes.truncate(length);
    }),
    ("bits flipped", 100, |bytes, random| {
        for _ in 0..=random.below(8) {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
        }
    }),
    ("bits of the head flipped", 45, |bytes, random| {
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len().min(120));
            bytes[at] ^= 1 << random.below(8);
        }
    }),
    ("overwritten", 30, |bytes, random| {
        let (start, length) = part(bytes, 64, random);
        let value = [0, 0xff, 0x7f, 0x80][random.below(4)];
        bytes[start..start + length].fill(value);
    }),
    ("cut out", 22, |bytes, random| {
        let (start, length) = part(bytes, 64, random);
        bytes.drain(start..start + length);
    }),
    ("doubled", 22, |bytes, random| {
        let (start, length) = part(bytes, 64, random);
        let copy = bytes[start..start + length].to_vec();
        bytes.splice(start..start, copy);
    }),
    ("swapped", 36, |bytes, random| {
        let length = 1 + random.below(bytes.len() / 2);
        let first = random.below(bytes.len() - 2 * length + 1);
        let (left, right) = bytes.split_at_mut(first + length);
        left[first..].swap_with_slice(&mut right[..length]);
    }),
];

fn part(bytes: &[u8], most: usize, random: &mut Random) -> (usize, usize) {
    let length = 1 + random.below(most.min(bytes.len()));
    (random.below(bytes.len() - length + 1), length)
}

fn damaged(name: &str, seed: &[u8], each: &mut impl FnMut(&str, &[u8])) {
    let mut random = Random(seed.len() as u64 * 2 + 1);
    for (damage, count, apply) in DAMAGES {
        for index in 0..count {
            let mut bytes = seed.to_vec();
            apply(&mut bytes, &mut random);
            each(&format!("{name}, {damage}, {index}"), &bytes);
        }
    }
}

/// The beginnings of other formats before this one's content.
fn wrong_magic(name: &str, seed: &[u8], each: &mut impl FnMut(&str, &[u8])) {
    const MAGICS: [&[u8]; 10] = [
        b"\xff\xd8\xff\xe0",
        files::PNG,
        b"GIF87a",
        b"GIF89a",
        b"BM",
        b"II\x2a\0\x08\0\0\0",
        b"MM\0\x2a\0\0\0\x08",
        b"RIFF\xff\xff\xff\xffWEBPVP8 ",
        b"RIFF\x10\0\0\0WEBPVP8L",
        b"\0\0\0\x18ftypavif",
    ];
    for magic in MAGICS {
        each(&format!("{name} behind {magic:?}"), &[magic, seed].concat());
        let mut over = seed.to_vec();
        let length = magic.len().min(over.len());
        over[..length].copy_from_slice(&magic[..length]);
        each(&format!("{name} under {magic:?}"), &over);
    }
}

/// Declared sides that the pixels do not have. Where they stand in each format is found by
/// looking for those of the good file.
fn wrong_sides(name: &str, seed: &[u8], each: &mut impl FnMut(&str, &[u8])) {
    const SIDES: [u32; 8] = [0, 1, 63, 16_384, 16_385, 65_535, 0x7fff_ffff, u32::MAX];
    let head = &seed[..seed.len().min(700)];
    // 64 as one, two and four bytes in either order, and as WebP's 63.
    let places: Vec<usize> = (0..head.len())
        .filter(|at| matches!(head[*at], 63 | 64))
        .collect();
    for at in places {
        for side in SIDES {
            for bytes in [side.to_le_bytes(), side.to_be_bytes()] {
                let mut changed = seed.to_vec();
                let start = if bytes == side.to_le_bytes() {
                    at
                } else {
                    at.saturating_sub(3)
                };
                let length = 4.min(changed.len() - start);
                changed[start..start + length].copy_from_slice(&bytes[..length]);
                if changed.starts_with(files::PNG) {
                    mend_header(&mut changed);
                }
                each(&format!("{name} with {side} at {at}"), &changed);
            }
        }
    }
}

/// Makes the checksum of a PNG's header right.
fn mend_header(png: &mut [u8]) {
    let mut crc = flate2::Crc::new();
    crc.update(&png[12..29]);
    png[29..33].copy_from_slice(&crc.sum().to_be_bytes());
}

fn no_images(each: &mut impl FnMut(&str, &[u8])) {
    for length in 0..64 {
        each(&format!("{length} zeros"), &vec![0; length]);
        each(&format!("{length} ones"), &vec![0xff; length]);
    }
    for text in [
        "<svg/>",
        "<?xml?>",
        "%PDF-1.7",
        "PK\x03\x04",
        "#!/bin/sh",
        "P6 9 9 255 ",
    ] {
        each(text, text.as_bytes());
    }
    each("a mebibyte of zeros", &vec![0; 1 << 20]);
}

/// Everything, to whoever wants it.
fn corpus(mut each: impl FnMut(&str, &[u8])) {
    for (name, seed) in seeds() {
        each(&name, &seed);
        each(&format!("{name}, twice"), &seed.repeat(2));
        damaged(&name, &seed, &mut each);
        wrong_magic(&name, &seed, &mut each);
        if !name.starts_with("deep") {
            wrong_sides(&name, &seed, &mut each);
        }
    }
    for (index, exif) in files::odd_exif().iter().enumerate() {
        for file in files::with_exif(&small(), exif) {
            each(&format!("EXIF {index}"), &file);
        }
    }
    no_images(&mut each);
}

#[test]
fn ten_thousand_derived_files() {
    const WORKERS: usize = 2;
    let tally = Mutex::new((Tally::new(), 0_usize));
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let tally = &tally;
            scope.spawn(move || {
                let mut mine = Tally::new();
                let mut files = 0;
                corpus(|name, bytes| {
                    files += 1;
                    if files % WORKERS != worker {
                        return;
                    }
                    // What the tiny networks answer in no time, the real ones are asked as well
                    // now and then; and the same as base64.
                    let engine = if (files / WORKERS).is_multiple_of(64) {
                        &*REAL
                    } else {
                        &*TINY
                    };
                    let _ = check(name, engine, Image::Encoded(bytes), BOUNDS, &mut mine);
                    if (files / WORKERS).is_multiple_of(23) {
                        let text = base64(bytes);
                        let _ = check(name, &TINY, Image::Base64(&text), BOUNDS, &mut mine);
                    }
                });
                let mut all = tally.lock().expect("no worker panics with the lock");
                for (outcome, count) in mine {
                    *all.0.entry(outcome).or_default() += count;
                }
                all.1 = files;
            });
        }
    });
    let (tally, files) = tally.into_inner().expect("no worker panics with the lock");
    println!("{files} files: {tally:?}");
    assert!(files >= 10_000, "{files} files");
    for expected in ["002", "051", "live", "attack"] {
        assert!(
            tally.contains_key(expected),
            "no {expected} among {tally:?}"
        );
    }
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .encode(bytes)
        .into_bytes()
}

#[test]
fn a_file_may_have_ten_mebibytes_and_no_byte_more() {
    let mut tally = Tally::new();
    let bounds = Bounds {
        bytes: 128 << 20,
        ..BOUNDS
    };
    for (name, mut bytes) in seeds() {
        // Most formats end where they say so, and what follows does not matter.
        bytes.resize(LIMIT, 0);
        let code = |result: &Result<_, liveness::Error>| {
            result.as_ref().err().map(|error| error.code().as_str())
        };
        let fits = check(&name, &TINY, Image::Encoded(&bytes), bounds, &mut tally);
        assert_ne!(code(&fits.map(drop)), Some("003"), "{name}");
        bytes.push(0);
        let over = check(&name, &TINY, Image::Encoded(&bytes), bounds, &mut tally);
        assert_eq!(code(&over.map(drop)), Some("003"), "{name}");
    }
    assert!(
        tally.contains_key("live") || tally.contains_key("attack") || tally.contains_key("051")
    );
}

#[test]
fn a_masked_face_is_masked_in_every_file() {
    let mut tally = Tally::new();
    for sample in samples(&support::masked()) {
        if sample.name != "WebP" {
            let _ = check(
                sample.name,
                &REAL,
                Image::Encoded(&sample.bytes),
                BOUNDS,
                &mut tally,
            );
        }
    }
    assert!(tally.contains_key("052"), "{tally:?}");
    assert!(!tally.contains_key("live"), "{tally:?}");
}
