//! Folders with models, as `liveness_config.models_dir` takes them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const MANIFEST: &str = include_str!("../../models/manifest.json");
const FILES: [(&str, &[u8]); 5] = [
    (
        "detector.onnx",
        include_bytes!("../../models/detector.onnx"),
    ),
    ("mask.onnx", include_bytes!("../../models/mask.onnx")),
    (
        "liveness_tight.onnx",
        include_bytes!("../../models/liveness_tight.onnx"),
    ),
    (
        "liveness_context.onnx",
        include_bytes!("../../models/liveness_context.onnx"),
    ),
    (
        "liveness_wide.onnx",
        include_bytes!("../../models/liveness_wide.onnx"),
    ),
];

/// Networks of some hundred bytes, made by make.py beside them: the interface and the operators of the
/// shipped ones. What is bright is a face.
pub const TINY: [(&str, &[u8]); 5] = [
    (
        "manifest.json",
        include_bytes!("../../tests/fixtures/tiny/manifest.json"),
    ),
    (
        "detector.onnx",
        include_bytes!("../../tests/fixtures/tiny/detector.onnx"),
    ),
    (
        "mask.onnx",
        include_bytes!("../../tests/fixtures/tiny/mask.onnx"),
    ),
    (
        "liveness_tight.onnx",
        include_bytes!("../../tests/fixtures/tiny/liveness_tight.onnx"),
    ),
    (
        "liveness_context.onnx",
        include_bytes!("../../tests/fixtures/tiny/liveness_context.onnx"),
    ),
];

/// Side of what the detector sees, the smallest that a manifest may name.
const LONG_SIDE: u32 = 64;

/// A folder of this process, in memory where the system has such a place.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let shm = Path::new("/dev/shm");
        let parent = if shm.is_dir() {
            shm.to_path_buf()
        } else {
            std::env::temp_dir()
        };
        let path = parent.join(format!("liveness-fuzz-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("the folder can be made");
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, file: &str, bytes: &[u8]) {
        fs::write(self.0.join(file), bytes).expect("the file can be written");
    }

    /// The tiny networks.
    pub fn write_tiny(&self) {
        for (name, bytes) in TINY {
            self.write(name, bytes);
        }
    }

    /// The shipped networks, and a manifest with a fast detector.
    pub fn write_fast(&self) {
        for (name, bytes) in FILES {
            self.write(name, bytes);
        }
        self.write("manifest.json", fast_manifest().to_string().as_bytes());
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The shipped manifest with a fast detector.
pub fn fast_manifest() -> Value {
    let mut manifest: Value = serde_json::from_str(MANIFEST).expect("the manifest is JSON");
    manifest["detector"]["long_side"] = json!(LONG_SIDE);
    manifest
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
