//! Models that are broken in every way that can be thought of: none of them lets anybody pass.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use image::{Rgb, RgbImage};
use liveness::{Config, Engine, Error, Image};
use serde_json::Value;
use sha2::{Digest, Sha256};
use support::NETWORKS;

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

fn read(file: &str) -> Vec<u8> {
    fs::read(shipped().join(file)).expect("the models are there")
}

/// A folder with the shipped models, of which some files are replaced; the manifest has the
/// digests of what is there unless `honest` is false.
fn engine(case: &str, files: &[(&str, Vec<u8>)], honest: bool) -> Result<Engine, Error> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("fail_closed")
        .join(case.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
    fs::create_dir_all(&folder).expect("the folder can be made");
    let manifest = read("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&manifest).expect("the manifest is JSON");
    for file in NETWORKS {
        let replaced = files.iter().find(|(name, _)| *name == file);
        let bytes = replaced.map_or_else(|| read(file), |(_, bytes)| bytes.clone());
        fs::write(folder.join(file), &bytes).expect("the file can be written");
        if honest {
            seal(&mut manifest, file, &bytes);
        }
    }
    fs::write(folder.join("manifest.json"), manifest.to_string()).expect("the file can be written");
    let mut config = Config::default();
    config.models_dir = Some(folder.clone());
    let engine = Engine::new(config);
    fs::remove_dir_all(folder).expect("the folder is ours");
    engine
}

fn seal(manifest: &mut Value, file: &str, bytes: &[u8]) {
    let digest: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let spoof = manifest["spoof"]["networks"].as_array().map_or(0, Vec::len);
    let mut places = vec!["/detector".to_string(), "/mask".to_string()];
    places.extend((0..spoof).map(|index| format!("/spoof/networks/{index}")));
    for place in places {
        let entry = manifest.pointer_mut(&place).expect("the entry is there");
        if entry["file"] == file {
            entry["sha256"] = Value::from(digest.clone());
        }
    }
}

/// A person, a wall, noise, black and white: whoever passes here passes with a broken model, the
/// person too.
static IMAGES: LazyLock<Vec<RgbImage>> = LazyLock::new(|| {
    let noise = |x: u32, y: u32| {
        let value = x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77);
        Rgb((value.wrapping_mul(0x2c1b_3c6d) >> 8).to_le_bytes()[..3]
            .try_into()
            .expect("three"))
    };
    vec![
        support::ASTRONAUT.clone(),
        support::empty_room(),
        RgbImage::from_fn(200, 200, noise),
        RgbImage::new(64, 64),
        RgbImage::from_pixel(64, 64, Rgb([255; 3])),
    ]
});

/// A model set must be refused, with the reason.
fn refused(case: &str, files: &[(&str, Vec<u8>)], honest: bool) {
    match engine(case, files, honest) {
        Ok(_) => panic!("{case}: the models were accepted"),
        Err(error) => {
            assert_eq!(error.code().as_str(), "005", "{case}: {error}");
            assert!(!error.detail().is_empty(), "{case}");
        }
    }
}

/// A model set must be refused, or let nobody pass.
fn lets_nobody_pass(case: &str, files: &[(&str, Vec<u8>)]) {
    let Ok(engine) = engine(case, files, true) else {
        return;
    };
    for (index, image) in IMAGES.iter().enumerate() {
        let result = engine.check(Image::Pixels(support::pixels(image)));
        assert_ne!(
            support::outcome(&result),
            "live",
            "{case}, image {index}: {result:?}"
        );
    }
}

/// Where the float numbers of a model are: kind of element and range of bytes of each weight.
mod weights {
    use std::ops::Range;

    #[derive(Clone, Copy, PartialEq)]
    pub enum Kind {
        Single,
        Half,
    }

    /// A field of a protocol buffer: its number, and its bytes where it is a length-delimited one.
    fn fields(bytes: &[u8], within: Range<usize>) -> Vec<(u64, Range<usize>, u64)> {
        let mut at = within.start;
        let mut found = Vec::new();
        while at < within.end {
            let key = varint(bytes, &mut at);
            match key & 7 {
                0 => {
                    let value = varint(bytes, &mut at);
                    found.push((key >> 3, at..at, value));
                }
                1 => at += 8,
                2 => {
                    let length = varint(bytes, &mut at) as usize;
                    found.push((key >> 3, at..at + length, 0));
                    at += length;
                }
                5 => at += 4,
                kind => panic!("protocol buffers have no kind {kind}"),
            }
        }
        found
    }

    fn varint(bytes: &[u8], at: &mut usize) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = bytes[*at];
            *at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }

    /// The initialisers of an ONNX file that hold floats.
    pub fn find(model: &[u8]) -> Vec<(Kind, Range<usize>)> {
        const GRAPH: u64 = 7;
        const INITIALIZER: u64 = 5;
        const DATA_TYPE: u64 = 2;
        const RAW_DATA: u64 = 9;
        let inside = |range: Range<usize>, number: u64| {
            let all = fields(model, range);
            all.into_iter().filter(move |(field, ..)| *field == number)
        };
        inside(0..model.len(), GRAPH)
            .flat_map(|(_, graph, _)| inside(graph, INITIALIZER))
            .filter_map(|(_, tensor, _)| {
                let kind = match inside(tensor.clone(), DATA_TYPE).next()?.2 {
                    1 => Kind::Single,
                    10 => Kind::Half,
                    _ => return None,
                };
                Some((kind, inside(tensor, RAW_DATA).next()?.1))
            })
            .collect()
    }

    /// A number in both kinds.
    #[derive(Debug, Clone, Copy)]
    pub struct Number(pub u32, pub u16);

    pub fn fill(model: &mut [u8], kind: Kind, range: Range<usize>, number: Number) {
        let place = &mut model[range];
        match kind {
            Kind::Single => {
                for value in place.chunks_exact_mut(4) {
                    value.copy_from_slice(&number.0.to_le_bytes());
                }
            }
            Kind::Half => {
                for value in place.chunks_exact_mut(2) {
                    value.copy_from_slice(&number.1.to_le_bytes());
                }
            }
        }
    }
}

use weights::Number;

/// Numbers as single and half precision bits.
const NUMBERS: [(&str, Number); 13] = [
    ("zero", Number(0, 0)),
    ("a thousandth", Number(0x3a83_126f, 0x1419)),
    ("a tenth", Number(0x3dcc_cccd, 0x2e66)),
    ("one", Number(0x3f80_0000, 0x3c00)),
    ("minus one", Number(0xbf80_0000, 0xbc00)),
    ("minus a hundredth", Number(0xbc23_d70a, 0xa11f)),
    ("a hundred", Number(0x42c8_0000, 0x5640)),
    ("the largest", Number(f32::MAX.to_bits(), 0x7bff)),
    ("the least", Number(f32::MIN.to_bits(), 0xfbff)),
    ("the smallest", Number(1, 1)),
    ("NaN", Number(0x7fc0_0000, 0x7e00)),
    ("infinity", Number(0x7f80_0000, 0x7c00)),
    ("minus infinity", Number(0xff80_0000, 0xfc00)),
];

#[test]
fn constant_weights_are_refused() {
    for file in NETWORKS {
        for (name, number) in NUMBERS {
            let mut model = read(file);
            let weights = weights::find(&model);
            assert!(weights.len() > 5, "{file} has {} weights", weights.len());
            for (kind, range) in weights {
                weights::fill(&mut model, kind, range, number);
            }
            refused(&format!("{file} of {name}"), &[(file, model)], true);
        }
    }
}

#[test]
fn all_networks_of_one_constant_are_refused() {
    for (name, number) in NUMBERS {
        let files = NETWORKS.map(|file| {
            let mut model = read(file);
            for (kind, range) in weights::find(&model) {
                weights::fill(&mut model, kind, range, number);
            }
            (file, model)
        });
        refused(&format!("all of {name}"), &files, true);
    }
}

#[test]
fn numbers_that_are_none_in_any_layer_let_nobody_pass() {
    for file in NETWORKS {
        let count = weights::find(&read(file)).len();
        for (name, number) in &NUMBERS[10..] {
            // Every third layer, and the last.
            for layer in (0..count).step_by(3).chain([count - 1]) {
                let mut model = read(file);
                let (kind, range) = weights::find(&model)[layer].clone();
                // One number is enough.
                let one =
                    range.start..range.start + if kind == weights::Kind::Half { 2 } else { 4 };
                weights::fill(&mut model, kind, one, *number);
                lets_nobody_pass(&format!("{file}, layer {layer}, {name}"), &[(file, model)]);
            }
        }
    }
}

#[test]
fn truncated_models_are_refused() {
    for file in NETWORKS {
        let model = read(file);
        for share in [0, 1, 10, 50, 90, 99] {
            let cut = model[..model.len() * share / 100].to_vec();
            refused(
                &format!("{file}, {share} percent"),
                &[(file, cut.clone())],
                true,
            );
            refused(
                &format!("{file}, {share} percent, not sealed"),
                &[(file, cut)],
                false,
            );
        }
        let short = model[..model.len() - 1].to_vec();
        refused(
            &format!("{file} without its last byte"),
            &[(file, short)],
            false,
        );
    }
}

#[test]
fn swapped_models_are_refused() {
    for file in NETWORKS {
        for other in NETWORKS {
            if file == other {
                continue;
            }
            refused(&format!("{other} as {file}"), &[(file, read(other))], false);
            let both_judge_liveness = [file, other]
                .iter()
                .all(|file| file.starts_with("liveness"));
            if !both_judge_liveness {
                // Of another shape, whatever the manifest says.
                refused(
                    &format!("{other} as {file}, sealed"),
                    &[(file, read(other))],
                    true,
                );
            }
        }
        for (what, bytes) in [
            ("nothing", vec![]),
            ("text", b"no network".to_vec()),
            ("zeros", vec![0; 4096]),
        ] {
            refused(&format!("{what} as {file}"), &[(file, bytes)], true);
        }
    }
}

#[test]
fn a_bit_flip_is_noticed() {
    for file in NETWORKS {
        let mut model = read(file);
        let at = model.len() / 2;
        model[at] ^= 1;
        refused(&format!("{file} with another bit"), &[(file, model)], false);
    }
}

#[test]
fn the_shipped_models_pass() {
    let engine = engine("as they are", &[], true).expect("nothing is wrong with them");
    let verdict = engine.check(Image::Pixels(support::pixels(&support::ASTRONAUT)));
    assert!(verdict.is_ok(), "{verdict:?}");
}
