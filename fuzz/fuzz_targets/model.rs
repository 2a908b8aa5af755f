//! Manifests and networks that nobody should trust: the first byte says which file of a folder of
//! tiny networks the rest replaces.
#![no_main]

use std::sync::LazyLock;

use image::{Rgb, RgbImage};
use libfuzzer_sys::fuzz_target;
use liveness_fuzz::abi::{Engine, Input, Pixels, last_error};
use liveness_fuzz::models::{Folder, TINY, sha256};
use liveness_fuzz::{check, limits, portrait};
use serde_json::Value;

static FOLDER: LazyLock<Folder> = LazyLock::new(|| Folder::new("model"));

fn pixels(image: &RgbImage) -> Pixels {
    Pixels {
        struct_size: size_of::<Pixels>() as u32,
        format: 1,
        data: image.as_ptr(),
        len: image.len(),
        stride: 0,
        width: image.width(),
        height: image.height(),
        orientation: 1,
        reserved: 0,
    }
}

/// The manifest with the digest of a file that was replaced.
fn manifest(file: &str, bytes: &[u8]) -> Vec<u8> {
    let mut manifest: Value = serde_json::from_slice(TINY[0].1).expect("the manifest is JSON");
    let digest = Value::from(sha256(bytes));
    let [detector, mask] = ["detector", "mask"].map(|name| manifest[name]["file"] == file);
    if detector {
        manifest["detector"]["sha256"] = digest;
    } else if mask {
        manifest["mask"]["sha256"] = digest;
    } else {
        let networks = manifest["spoof"]["networks"]
            .as_array_mut()
            .expect("a list");
        let network = networks.iter_mut().find(|network| network["file"] == file);
        network.expect("a file of the manifest")["sha256"] = digest;
    }
    manifest.to_string().into_bytes()
}

fuzz_target!(|data: &[u8]| {
    let Some((which, bytes)) = data.split_first() else {
        return;
    };
    let (file, _) = TINY[usize::from(*which) % TINY.len()];
    FOLDER.write_tiny();
    FOLDER.write(file, bytes);
    if file != TINY[0].0 {
        FOLDER.write(TINY[0].0, &manifest(file, bytes));
    }
    let engine = match Engine::new(limits(), Some(FOLDER.path())) {
        Ok(engine) => engine,
        Err(status) => {
            assert_eq!(status, 5, "{}", last_error());
            assert!(!last_error().is_empty());
            return;
        }
    };
    serde_json::from_str::<Value>(&engine.info()).expect("the description is JSON");
    let wall = RgbImage::from_pixel(64, 48, Rgb([70, 66, 60]));
    for image in [&*portrait::SMALL, &wall] {
        // 005 where a network that loads answers nonsense.
        let _ = check(&engine, Input::Pixels(&pixels(image)), &[5, 51, 52]);
    }
});
