//! How long a check takes, and each of its stages:
//!
//!     cargo bench                    # some minutes
//!     cargo bench -- --quick         # one or two
//!     cargo bench -- "2 MP JPEG"     # one picture
//!
//! With ONNX Runtime too where the environment variable LIVENESS_ONNXRUNTIME names one. A stage is
//! what `details.timings` says of whole checks: the same that callers see.

#[path = "../bench/pictures.rs"]
mod pictures;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, criterion_group, criterion_main};
use liveness::{Config, Engine, Image, PixelFormat, Pixels, Timings};

const SAMPLES: usize = 20;
/// Checks per sample.
const CHECKS: u32 = 3;

type Stage = (&'static str, fn(&Timings) -> f64);

const STAGES: [Stage; 4] = [
    ("decode", |timings| timings.decode),
    ("detect", |timings| timings.detect),
    ("mask", |timings| timings.mask),
    ("spoof", |timings| timings.spoof),
];

/// A picture and how it is handed in.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    frame: Option<PixelFormat>,
}

impl Case {
    fn file(name: &'static str, bytes: Vec<u8>) -> Self {
        Case {
            name,
            bytes,
            frame: None,
        }
    }

    fn image(&self) -> Image<'_> {
        match self.frame {
            None => Image::Encoded(&self.bytes),
            Some(format) => Image::Pixels(Pixels {
                data: &self.bytes,
                format,
                width: 1280,
                height: 720,
                stride: 0,
                orientation: 1,
            }),
        }
    }
}

fn cases() -> Vec<Case> {
    let selfie = |width, height| pictures::jpeg(&pictures::selfie(width, height));
    let frame = pictures::selfie(1280, 720);
    vec![
        Case::file("512 px PNG", pictures::png().to_vec()),
        Case::file("640x480 JPEG", selfie(640, 480)),
        Case::file("2 MP JPEG", selfie(1600, 1200)),
        Case::file("12 MP JPEG", selfie(4000, 3000)),
        Case {
            frame: Some(PixelFormat::Nv21),
            ..Case::file("1280x720 NV21", pictures::nv21(&frame))
        },
        Case {
            frame: Some(PixelFormat::Rgb),
            ..Case::file("1280x720 RGB", frame.into_raw())
        },
    ]
}

/// The engines by their names, such as `embedded 1`.
fn engines() -> Vec<(String, Engine)> {
    let engine = |onnxruntime| {
        let mut config = Config::default();
        config.onnxruntime = onnxruntime;
        let engine = Engine::new(config).expect("the models load");
        (engine.info().engine, engine)
    };
    let onnxruntime = std::env::var_os("LIVENESS_ONNXRUNTIME").filter(|path| !path.is_empty());
    // A named library is used for every engine that names none, so the variable must go first.
    // SAFETY: no other thread runs yet.
    #[allow(unsafe_code)]
    unsafe {
        std::env::remove_var("LIVENESS_ONNXRUNTIME");
    }
    let mut engines = vec![engine(None)];
    engines.extend(onnxruntime.map(|path| engine(Some(path.into()))));
    engines
}

fn timings(engine: &Engine, image: Image<'_>) -> Timings {
    let verdict = engine.check(black_box(image));
    verdict
        .expect("the picture shows one bare face")
        .details
        .timings
}

/// Samples of a few checks each. Criterion plans by the time that it is told, which for a stage is
/// less than what passes.
fn plan(group: &mut BenchmarkGroup<'_, WallTime>, one: Duration) {
    let one = one.max(Duration::from_nanos(1));
    group
        .sample_size(SAMPLES)
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(one)
        .measurement_time(one * CHECKS * SAMPLES as u32);
}

fn check(criterion: &mut Criterion) {
    let cases = cases();
    for (name, engine) in engines() {
        for case in &cases {
            let mut group = criterion.benchmark_group(format!("{}/{name}", case.name));
            timings(&engine, case.image());
            let start = Instant::now();
            let one = timings(&engine, case.image());
            plan(&mut group, start.elapsed());
            group.bench_function("check", |bencher| {
                bencher.iter(|| timings(&engine, case.image()));
            });
            for (stage, time) in STAGES {
                plan(&mut group, milliseconds(time(&one)));
                group.bench_function(stage, |bencher| {
                    bencher.iter_custom(|checks| {
                        let check = |_| time(&timings(&engine, case.image()));
                        milliseconds((0..checks).map(check).sum())
                    });
                });
            }
        }
    }
}

fn milliseconds(value: f64) -> Duration {
    Duration::from_secs_f64(value / 1e3)
}

criterion_group!(benches, check);
criterion_main!(benches);
