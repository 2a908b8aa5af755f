//! Configuration, models from a folder, threads.

mod support;

use std::path::{Path, PathBuf};

use liveness::{Config, Engine, ErrorCode, Image};
use serde_json::{Value, json};
use support::{ASTRONAUT, ENGINE, NETWORKS, answer, check, fixture, pixels};

/// A folder with a copy of the models, removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("liveness-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        for file in NETWORKS.into_iter().chain(["manifest.json"]) {
            std::fs::copy(models.join(file), folder.join(file)).unwrap();
        }
        Folder(folder)
    }

    fn manifest(&self, change: impl Fn(&mut Value)) {
        let path = self.0.join("manifest.json");
        let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut manifest);
        std::fs::write(path, manifest.to_string()).unwrap();
    }

    fn engine(&self) -> Result<Engine, liveness::Error> {
        let mut config = Config::default();
        config.models_dir = Some(self.0.clone());
        Engine::new(config)
    }

    /// What the engine says of the folder.
    fn fault(&self) -> String {
        let error = self.engine().expect_err("the models are broken");
        assert_eq!(error.code(), ErrorCode::Internal, "{error}");
        error.detail().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn models_of_a_folder_answer_like_the_embedded_ones() {
    let engine = Folder::new("same").engine().unwrap();
    assert_eq!(engine.info(), ENGINE.info());
    assert_eq!(
        answer(&engine.check(Image::Pixels(pixels(&ASTRONAUT)))),
        answer(&check(&ASTRONAUT))
    );
}

#[test]
fn the_verdict_names_engine_and_models() {
    let info = ENGINE.info();
    let names: Vec<&str> = info.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["detector", "mask", "tight", "context", "wide"]);
    let given = std::env::var("LIVENESS_ONNXRUNTIME").is_ok_and(|path| !path.is_empty());
    assert!(
        info.engine
            .starts_with(if given { "onnxruntime 1." } else { "embedded " }),
        "{}",
        info.engine
    );
    assert!(
        info.models.starts_with("20") && info.models.contains('+'),
        "{}",
        info.models
    );
}

#[test]
fn damaged_models_are_refused() {
    let folder = Folder::new("damaged");
    let path = folder.0.join("mask.onnx");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert!(folder.fault().contains("SHA-256"));
    std::fs::remove_file(&path).unwrap();
    assert!(folder.fault().contains("mask.onnx"));
}

#[test]
fn swapped_models_are_refused() {
    let folder = Folder::new("swapped");
    folder.manifest(|manifest| {
        let (mask, detector) = (manifest["mask"].clone(), manifest["detector"].clone());
        for key in ["file", "sha256"] {
            manifest["mask"][key] = detector[key].clone();
            manifest["detector"][key] = mask[key].clone();
        }
    });
    let fault = folder.fault();
    assert!(
        fault.contains("detector") && fault.contains("shape"),
        "{fault}"
    );
}

#[test]
fn files_outside_the_folder_are_refused() {
    let folder = Folder::new("outside");
    for file in ["../secret.onnx", "/etc/hostname", "..", "a/b.onnx"] {
        folder.manifest(|manifest| manifest["mask"]["file"] = json!(file));
        assert!(folder.fault().contains("plain file name"), "{file}");
    }
}

#[test]
fn a_folder_without_models_is_refused() {
    let mut config = Config::default();
    config.models_dir = Some("/nonexistent".into());
    let error = Engine::new(config).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Internal);
    assert!(
        error.detail().contains("/nonexistent/manifest.json"),
        "{error}"
    );
}

#[test]
fn a_meaningless_configuration_is_refused() {
    let mut config = Config::default();
    config.threshold = Some(f32::NAN);
    assert_eq!(
        Engine::new(config).unwrap_err().code(),
        ErrorCode::BadRequest
    );
}

#[test]
fn an_onnxruntime_that_is_not_there_is_an_error() {
    for path in ["/nonexistent/libonnxruntime.so", "/", "libonnxruntime.so"] {
        let mut config = Config::default();
        config.onnxruntime = Some(path.into());
        let error = Engine::new(config).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Internal);
        assert!(error.detail().contains("ONNX Runtime"), "{error}");
    }
    let mut config = Config::default();
    config.onnxruntime = Some(fixture("README.md"));
    assert_eq!(Engine::new(config).unwrap_err().code(), ErrorCode::Internal);
}

#[test]
fn a_second_onnxruntime_in_one_process_is_an_error() {
    let Some(path) = std::env::var_os("LIVENESS_ONNXRUNTIME").filter(|path| !path.is_empty())
    else {
        return; // CI runs all tests once more with one.
    };
    let expected = answer(&check(&ASTRONAUT));
    let folder = Folder::new("second");
    let copy = folder.0.join("libonnxruntime.so.1");
    std::fs::copy(&path, &copy).unwrap();
    let mut config = Config::default();
    config.onnxruntime = Some(copy);
    let error = Engine::new(config.clone()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Internal);
    assert!(error.detail().contains("cannot load another"), "{error}");
    config.onnxruntime = Some(path.into());
    let again = Engine::new(config).unwrap();
    assert_eq!(
        answer(&again.check(Image::Pixels(pixels(&ASTRONAUT)))),
        expected
    );
}

#[test]
fn the_threshold_moves_the_answer() {
    let mut config = Config::default();
    config.mask_threshold = Some(0.999_999);
    let probability = {
        let engine = Engine::new(config.clone()).unwrap();
        engine
            .check(Image::Pixels(pixels(&ASTRONAUT)))
            .unwrap()
            .details
            .live_probability as f32
    };
    for (threshold, live) in [(probability - 1e-4, true), (probability + 1e-4, false)] {
        if !(threshold > 0.0 && threshold < 1.0) {
            continue;
        }
        config.threshold = Some(threshold);
        let verdict = Engine::new(config.clone())
            .unwrap()
            .check(Image::Pixels(pixels(&ASTRONAUT)))
            .unwrap();
        assert_eq!(
            (verdict.liveness, verdict.details.threshold),
            (live, f64::from(threshold))
        );
    }
}

#[test]
fn many_threads_get_the_same_answer() {
    let expected = answer(&check(&ASTRONAUT));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(answer(&check(&ASTRONAUT)), expected);
                }
            });
        }
    });
}
