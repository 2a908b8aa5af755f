//! Both engines against outputs that ONNX Runtime computed in Python (models/training/golden.py).

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::{Tensor, runtime};
use crate::models::Models;
use crate::resample::tensor;

const TOLERANCE: f32 = 1e-3;
const UPDATE: &str = "run `python -m training.golden` in models/";

#[derive(Deserialize)]
struct Row {
    network: String,
    sha256: String,
    input: String,
    height: usize,
    width: usize,
    left: u32,
    top: u32,
    outputs: BTreeMap<String, Output>,
}

#[derive(Deserialize)]
struct Output {
    shape: Vec<usize>,
    data: Vec<f32>,
}

impl Row {
    fn input(&self) -> Tensor {
        match self.input.as_str() {
            "hash" => {
                let shape = vec![1, 3, self.height, self.width];
                let value =
                    |index: u32| ((index.wrapping_mul(2_654_435_761) >> 24) as f32 - 128.0) / 128.0;
                let count = shape.iter().product::<usize>() as u32;
                Tensor {
                    shape,
                    data: (0..count).map(value).collect(),
                }
            }
            "portrait" => {
                let path =
                    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/astronaut.png");
                let image = image::open(path).unwrap().into_rgb8();
                let (width, height) = (self.width as u32, self.height as u32);
                let part = image::imageops::crop_imm(&image, self.left, self.top, width, height);
                tensor(&part.to_image(), self.width, self.height).unwrap()
            }
            other => panic!("{UPDATE}: unknown input {other}"),
        }
    }
}

fn compare(onnxruntime: Option<&Path>) {
    let runtime = runtime(onnxruntime).unwrap();
    let models = Models::open(None).unwrap();
    let sources = models.manifest.sources();
    let text =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/outputs.json"))
            .unwrap();
    let rows: Vec<Row> = serde_json::from_slice(&text).unwrap();
    assert_eq!(rows.len(), 2 * sources.len(), "{UPDATE}");
    for row in rows {
        let (_, source) = sources
            .iter()
            .find(|(name, _)| *name == row.network)
            .expect(UPDATE);
        assert_eq!(
            source.sha256, row.sha256,
            "{} has changed: {UPDATE}",
            row.network
        );
        let session = runtime.load(&models.model(source).unwrap()).unwrap();
        let names: Vec<&str> = row.outputs.keys().map(String::as_str).collect();
        let outputs = session.run(&row.input(), &names).unwrap();
        for (output, (name, expected)) in outputs.iter().zip(&row.outputs) {
            assert_eq!(output.shape, expected.shape, "{} {name}", row.network);
            for (value, expected) in output.data.iter().zip(&expected.data) {
                // Distances in pixels are far larger than one; there it is a relative tolerance.
                let tolerance = TOLERANCE * expected.abs().max(1.0);
                assert!(
                    (value - expected).abs() <= tolerance,
                    "{} {name} on {}: {value} instead of {expected}",
                    row.network,
                    row.input
                );
            }
        }
    }
}

#[test]
fn the_embedded_engine_computes_what_onnx_runtime_does() {
    compare(None);
}

#[test]
fn a_given_onnx_runtime_computes_the_same() {
    if let Some(path) = std::env::var_os("LIVENESS_ONNXRUNTIME").filter(|path| !path.is_empty()) {
        compare(Some(Path::new(&path)));
    }
}
