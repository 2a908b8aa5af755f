//! That JPEGs decoded at a reduced scale get the verdict of the full decode.

use std::path::Path;

use image::imageops::{self, FilterType};
use image::{DynamicImage, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::*;

/// Most that `live_probability` may differ.
const SAME: f64 = 0.02;

fn engines() -> [Engine; 2] {
    let engine = || Engine::new(Config::default()).unwrap();
    let full = Engine {
        overview: Overview::full(),
        ..engine()
    };
    [engine(), full]
}

fn jpeg(image: &RgbImage, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    let [width, height] = [image.width(), image.height()].map(|side| side as u16);
    encoder
        .encode(image.as_raw(), width, height, ColorType::Rgb)
        .unwrap();
    bytes
}

fn enlarged(image: &RgbImage, factor: u32) -> RgbImage {
    let [width, height] = [image.width(), image.height()].map(|side| side * factor);
    imageops::resize(image, width, height, FilterType::CatmullRom)
}

#[test]
fn a_large_selfie_gets_the_same_verdict_at_any_size_of_the_face() {
    let portrait = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/astronaut.png");
    let portrait = image::open(portrait).unwrap().into_rgb8();
    let close = imageops::crop_imm(&portrait, 120, 20, 240, 200).to_image();
    let [reduced, full] = engines();
    for (image, factor) in [(&close, 8), (&close, 6), (&portrait, 4), (&portrait, 3)] {
        let bytes = jpeg(&enlarged(image, factor), 93);
        let decoded = decode(
            Image::Encoded(&bytes),
            &reduced.limits,
            &reduced.overview,
            &Deadline::after(Duration::MAX),
        );
        assert!(decoded.unwrap().picture.unit() > 1);
        let [a, b] = [&reduced, &full].map(|engine| engine.check(Image::Encoded(&bytes)).unwrap());
        let [a, b] = [a.details, b.details];
        assert!(
            (a.live_probability - b.live_probability).abs() < SAME,
            "{a:?} {b:?}"
        );
        let side = b.face.bbox[3];
        let values = |face: &Face| [face.bbox.to_vec(), face.points.concat()].concat();
        for (a, b) in values(&a.face).into_iter().zip(values(&b.face)) {
            assert!((a - b).abs() < 0.02 * side, "{a} {b}");
        }
        assert!((a.quality.face_share - b.quality.face_share).abs() < 0.02 * b.quality.face_share);
        assert!((a.quality.brightness - b.quality.brightness).abs() < 0.01);
        assert_eq!(a.reasons, b.reasons);
    }
}

/// What became of one image at both scales.
struct Pair {
    path: String,
    unit: u32,
    answers: [Result<Verdict, Error>; 2],
}

impl Pair {
    fn differs(&self) -> bool {
        match &self.answers {
            [Ok(a), Ok(b)] => {
                (a.details.live_probability - b.details.live_probability).abs() >= SAME
            }
            [Err(a), Err(b)] => a.code() != b.code(),
            _ => true,
        }
    }

    fn report(&self) {
        let answer = |answer: &Result<Verdict, Error>| match answer {
            Ok(verdict) => format!(
                "{:.4} sharpness {:.1} mask {:.3} face {:.0}",
                verdict.details.live_probability,
                verdict.details.quality.sharpness,
                verdict.details.mask_probability,
                verdict.details.quality.face_size,
            ),
            Err(error) => error.code().as_str().to_string(),
        };
        let [a, b] = &self.answers;
        println!(
            "{} at 1/{}: {} instead of {}",
            self.path,
            self.unit,
            answer(a),
            answer(b)
        );
    }
}

fn compare(engines: &[Engine; 2], path: String, bytes: &[u8]) -> Pair {
    let [reduced, full] = engines;
    let deadline = Deadline::after(Duration::MAX);
    let first = decode(
        Image::Encoded(bytes),
        &reduced.limits,
        &reduced.overview,
        &deadline,
    );
    Pair {
        path,
        unit: first.map_or(0, |decoded| decoded.picture.unit()),
        answers: [reduced, full].map(|engine| engine.check(Image::Encoded(bytes))),
    }
}

/// How many times larger the labelled images are made: most are too small to be reduced as they are.
const ENLARGED: u32 = 3;

/// Every validation image of liveness and faces, as it is and enlarged, reduced against full:
///
///     LIVENESS_DATA=FOLDER cargo test --lib every_validation_image -- --ignored --nocapture
///
/// FOLDER holds `labels.csv` and the images it names (models/training/README.md).
#[test]
#[ignore = "needs the labelled images, and minutes"]
fn every_validation_image_gets_the_same_verdict() {
    let folder = std::env::var("LIVENESS_DATA").expect("LIVENESS_DATA names the images' folder");
    let labels = std::fs::read_to_string(Path::new(&folder).join("labels.csv")).unwrap();
    let wanted = |line: &&str| {
        let fields: Vec<&str> = line.split(',').take(6).collect();
        matches!(fields[1], "liveness" | "faces") && fields[5] == "val"
    };
    let paths: Vec<&str> = labels
        .lines()
        .skip(1)
        .filter(wanted)
        .filter_map(|line| line.split(',').next())
        .collect();
    let engines = engines();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let pairs = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(path) =
                    paths.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    let bytes = std::fs::read(Path::new(&folder).join(path)).unwrap();
                    let image = image::load_from_memory(&bytes).map(DynamicImage::into_rgb8);
                    let mut found = vec![compare(&engines, path.to_string(), &bytes)];
                    if let Ok(image) = &image
                        && image.width().max(image.height()) * ENLARGED <= 4000
                    {
                        let bytes = jpeg(&enlarged(image, ENLARGED), 93);
                        found.push(compare(&engines, format!("{path} x{ENLARGED}"), &bytes));
                    }
                    pairs.lock().unwrap().extend(found);
                }
            });
        }
    });
    let pairs = pairs.into_inner().unwrap();
    let reduced = pairs.iter().filter(|pair| pair.unit > 1);
    let ratios: Vec<f32> = reduced
        .clone()
        .filter_map(|pair| match &pair.answers {
            [Ok(a), Ok(b)] => Some(a.details.quality.sharpness / b.details.quality.sharpness),
            _ => None,
        })
        .collect();
    let mean = ratios.iter().sum::<f32>() / ratios.len() as f32;
    println!(
        "{} images, {} of them reduced; sharpness on average {mean:.3} of the full decode's",
        pairs.len(),
        reduced.count()
    );
    let different: Vec<&Pair> = pairs.iter().filter(|pair| pair.differs()).collect();
    different.iter().for_each(|pair| pair.report());
    assert!(different.is_empty(), "{} differ", different.len());
}
