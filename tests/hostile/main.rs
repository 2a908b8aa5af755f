//! Files that are damaged, absurd or made to hurt: each is answered with a code of the contract or
//! a verdict, soon, and in bounded memory.

#[path = "../support/mod.rs"]
mod support;

mod corpus;
mod files;
mod meter;
mod slow;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use liveness::{Config, Engine, Error, Image, Verdict};
use serde_json::{Value, json};

/// Folders with models for tests that need many answers or odd networks.
pub fn models(name: &str, from: &Path, change: impl FnOnce(&mut Value)) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("hostile")
        .join(name);
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    for entry in std::fs::read_dir(from).expect("the models are there") {
        let path = entry.expect("the folder can be read").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "onnx")
        {
            let target = folder.join(path.file_name().expect("a file has a name"));
            std::fs::copy(&path, target).expect("the file can be copied");
        }
    }
    let manifest = std::fs::read(from.join("manifest.json")).expect("the manifest is there");
    let mut manifest = serde_json::from_slice(&manifest).expect("the manifest is JSON");
    change(&mut manifest);
    std::fs::write(folder.join("manifest.json"), manifest.to_string())
        .expect("the manifest can be written");
    folder
}

/// Pixels that a picture of the corpus may have. Some damaged ones claim to be huge, and would be
/// decoded with patience.
const CORPUS_PIXELS: u64 = 4_000_000;

fn engine(models_dir: PathBuf, max_pixels: u64) -> Engine {
    let mut config = Config::default();
    config.models_dir = Some(models_dir);
    config.max_pixels = max_pixels;
    // A busy machine must not decide; what counts is processor time.
    config.time_limit = Duration::from_secs(3600);
    Engine::new(config).expect("the models load")
}

/// The shipped networks with a detector that sees 64 pixels only, which takes a twentieth of the
/// time, and is less certain of what it sees.
pub static REAL: LazyLock<Engine> = LazyLock::new(|| {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let models = models("real", &shipped, |manifest| {
        manifest["detector"]["long_side"] = json!(64);
        manifest["detector"]["judged"]["least"] = json!(0);
    });
    engine(models, CORPUS_PIXELS)
});

static TINY_MODELS: LazyLock<PathBuf> = LazyLock::new(|| {
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny");
    models("tiny", &tiny, |_| ())
});

/// Networks of a thousandth of the work, to which whatever is bright is a face.
pub static TINY: LazyLock<Engine> = LazyLock::new(|| engine(TINY_MODELS.clone(), CORPUS_PIXELS));

/// The same for pictures as large as the library takes them.
pub static LARGE: LazyLock<Engine> =
    LazyLock::new(|| engine(TINY_MODELS.clone(), Config::default().max_pixels));

/// How often each code, or "live" or "attack", was the answer.
pub type Tally = BTreeMap<&'static str, u32>;

/// Checks a file within the bounds, and counts the answer.
pub fn check(
    name: &str,
    engine: &Engine,
    image: Image<'_>,
    most: meter::Bounds,
    tally: &mut Tally,
) -> Result<Verdict, Error> {
    let (result, cost) = meter::measure(|| engine.check(image));
    let outcome = support::outcome(&result);
    assert!(
        matches!(outcome, "002" | "003" | "051" | "052" | "live" | "attack"),
        "{name}: {result:?}"
    );
    assert!(
        cost.within(&most),
        "{name}: {cost:?} for {outcome}, bounds are {most:?}"
    );
    *tally.entry(outcome).or_default() += 1;
    result
}
