//! The networks and the numbers that go with them: embedded, or from a folder.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// The only version of the manifest that this library reads.
const SCHEMA: u32 = 3;
/// Largest manifest and largest network that are read from a folder.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;
const MAX_MODEL_BYTES: u64 = 256 << 20;

const MANIFEST: &str = "manifest.json";
const EMBEDDED_MANIFEST: &[u8] = include_bytes!("../models/manifest.json");
const EMBEDDED: [(&str, &[u8]); 5] = [
    ("detector.onnx", include_bytes!("../models/detector.onnx")),
    ("mask.onnx", include_bytes!("../models/mask.onnx")),
    (
        "liveness_tight.onnx",
        include_bytes!("../models/liveness_tight.onnx"),
    ),
    (
        "liveness_context.onnx",
        include_bytes!("../models/liveness_context.onnx"),
    ),
    (
        "liveness_wide.onnx",
        include_bytes!("../models/liveness_wide.onnx"),
    ),
];

/// What manifest.json says.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Manifest {
    schema: u32,
    pub version: String,
    pub detector: DetectorEntry,
    pub mask: MaskEntry,
    pub spoof: SpoofEntry,
}

/// The face detector.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct DetectorEntry {
    #[serde(flatten)]
    pub source: Source,
    /// Pixels of the long side of the image that the network sees.
    pub long_side: u32,
    /// Score from which on a cell is a face.
    pub score_threshold: f32,
    /// Overlap from which on two boxes are the same face.
    pub nms_iou: f32,
    /// How certain the face that is judged must be; without it `score_threshold` is enough.
    #[serde(default)]
    pub judged: JudgedFace,
    /// How certain a face must be to be upright for sure; without it every one is compared.
    #[serde(default)]
    pub upright: UprightFace,
}

/// Score that the face of a selfie must have: `score` less `slope` times the share of its height in the
/// image's long side, and not less than `least`. What a detector takes for a face where there is none is mostly small.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) struct JudgedFace {
    pub score: f32,
    pub slope: f32,
    #[serde(default)]
    pub least: f32,
}

/// Score from which on a face is upright for sure: `score` and `slope` times the share of its height in the image's
/// long side, which counts as 1 at most. With a lower one it is compared with what there is in the picture turned.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct UprightFace {
    pub score: f32,
    pub slope: f32,
}

impl Default for UprightFace {
    /// No face is.
    fn default() -> Self {
        UprightFace {
            score: 1.0,
            slope: 0.0,
        }
    }
}

/// The mask classifier.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct MaskEntry {
    #[serde(flatten)]
    pub source: Source,
    /// Side of the aligned face in pixels.
    pub size: u32,
    /// Probability from which on a face counts as masked.
    pub threshold: f32,
}

/// The liveness networks and how they are fused.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SpoofEntry {
    pub networks: Vec<SpoofNetworkEntry>,
    /// One after another.
    pub looks: Vec<Look>,
    /// Probability of a bona fide presentation from which on a face counts as live.
    pub threshold: f32,
}

/// One look of the liveness networks at a face.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) struct Look {
    /// It is taken where the fused logit so far leaves this much doubt. The first look is always taken;
    /// without these numbers the others are too.
    #[serde(default)]
    pub doubt: Doubt,
    /// Added to the weighted logits.
    pub bias: f64,
}

/// How far the fused logit may lie on the side of an attack, and of live, and still leave doubt; without a
/// number it always does. A look counts fully where it lies less far by 1.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Doubt {
    pub attack: f64,
    pub live: f64,
}

impl Default for Doubt {
    fn default() -> Self {
        Doubt {
            attack: f64::INFINITY,
            live: f64::INFINITY,
        }
    }
}

impl SpoofEntry {
    fn validate(&self) -> Result<(), String> {
        open_unit("spoof.threshold", self.threshold)?;
        for (name, count) in [
            ("networks", self.networks.len()),
            ("looks", self.looks.len()),
        ] {
            if !(1..=8).contains(&count) {
                return Err(format!("spoof.{name} must be 1 to 8"));
            }
        }
        for (at, look) in self.looks.iter().enumerate() {
            for doubt in [look.doubt.attack, look.doubt.live] {
                range("doubt of a look", doubt, 0.0, f64::INFINITY)?;
            }
            range("bias of a look", look.bias, -1e3, 1e3)?;
            let sees = |network: &SpoofNetworkEntry| matches!(network.views.get(at), Some(Some(_)));
            if !self.networks.iter().any(sees) {
                return Err("at every look a liveness network must have a view".into());
            }
        }
        for (at, network) in self.networks.iter().enumerate() {
            let before = self.networks[..at].iter().map(|other| other.name.as_str());
            if before
                .chain(["detector", "mask"])
                .any(|name| name == network.name)
            {
                return Err(format!("two networks are named '{}'", network.name));
            }
            network.validate(self.looks.len())?;
        }
        Ok(())
    }
}

/// One liveness network.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SpoofNetworkEntry {
    pub name: String,
    #[serde(flatten)]
    pub source: Source,
    /// Side of the crop in pixels.
    pub size: u32,
    pub crop: CropKind,
    /// What it sees at each look, if anything; its logits are the means of those so far.
    pub views: Vec<Option<View>>,
    /// Weight of its live logit after each look; 0 as long as it has seen nothing.
    pub weights: Vec<f64>,
}

impl SpoofNetworkEntry {
    fn validate(&self, looks: usize) -> Result<(), String> {
        range("size of a liveness network", self.size.into(), 16.0, 1024.0)?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !(1..=32).contains(&self.name.len()) || !self.name.bytes().all(plain) {
            return Err(
                "the name of a liveness network must be 1 to 32 of a to z, 0 to 9 and _".into(),
            );
        }
        if [self.views.len(), self.weights.len()] != [looks; 2] {
            return Err(
                "a liveness network must have as many views and weights as there are looks".into(),
            );
        }
        let mut seen = false;
        for (view, weight) in self.views.iter().zip(&self.weights) {
            if let Some(view) = view {
                range("scale of a view", view.scale, 0.5, 16.0)?;
                seen = true;
            }
            // A weight of less would let a network vote for attacks, or not at all.
            let (low, high) = if seen { (1e-6, 1e3) } else { (0.0, 0.0) };
            range("weight of a liveness network", *weight, low, high)?;
        }
        if !seen {
            return Err("a liveness network must have a view".into());
        }
        Ok(())
    }
}

/// One look at a face.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) struct View {
    /// Size of the crop as a multiple of the face box.
    pub scale: f64,
    /// The crop is mirrored, left for right.
    pub mirror: bool,
}

/// How a crop lies around the face.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CropKind {
    /// A square of a multiple of the longer side of the box.
    Square,
    /// A multiple of the box, its aspect kept.
    Box,
}

/// Where a network is and what its bytes must be.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Source {
    pub file: String,
    pub sha256: String,
}

/// The digest of a file.
pub(crate) type Digest = [u8; 32];

/// The file of a network.
pub(crate) struct Model {
    pub bytes: Cow<'static, [u8]>,
    /// SHA-256 of the bytes.
    pub digest: Digest,
}

impl Model {
    pub fn new(bytes: impl Into<Cow<'static, [u8]>>) -> Self {
        let bytes = bytes.into();
        let digest = Sha256::digest(&bytes).into();
        Model { bytes, digest }
    }
}

/// A checked manifest and where its files are.
pub(crate) struct Models {
    pub manifest: Manifest,
    /// Version and digest of the manifest, which holds the digests of all files.
    pub id: String,
    folder: Option<PathBuf>,
}

impl Models {
    /// The embedded models, or those of a folder.
    pub fn open(folder: Option<&Path>) -> Result<Self, Error> {
        let bytes = match folder {
            Some(folder) => read(&folder.join(MANIFEST), MAX_MANIFEST_BYTES)?,
            None => EMBEDDED_MANIFEST.to_vec(),
        };
        let place = folder.map_or("the embedded models".into(), |folder| {
            format!("the models in {}", folder.display())
        });
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| {
            Error::internal(format!("{MANIFEST} of {place} cannot be read: {error}"))
        })?;
        manifest
            .validate()
            .map_err(|cause| Error::internal(format!("{MANIFEST} of {place}: {cause}")))?;
        let id = format!(
            "{}+{}",
            manifest.version,
            &hex(&Sha256::digest(&bytes))[..8]
        );
        Ok(Models {
            manifest,
            id,
            folder: folder.map(Path::to_path_buf),
        })
    }

    /// A network, with the digest that the manifest promises.
    pub fn model(&self, source: &Source) -> Result<Model, Error> {
        let model = match &self.folder {
            Some(folder) => Model::new(read(&folder.join(&source.file), MAX_MODEL_BYTES)?),
            None => Model::new(embedded(&source.file)?),
        };
        let digest = hex(&model.digest);
        if digest != source.sha256 {
            return Err(Error::internal(format!(
                "{} has the SHA-256 {digest}, but {MANIFEST} says {}: the file is damaged or belongs to other models",
                source.file, source.sha256
            )));
        }
        Ok(model)
    }
}

impl Manifest {
    fn validate(&self) -> Result<(), String> {
        if self.schema != SCHEMA {
            return Err(format!(
                "schema is {}, this library reads {SCHEMA}",
                self.schema
            ));
        }
        if self.version.is_empty()
            || self.version.len() > 64
            || !self.version.chars().all(|c| c.is_ascii_graphic())
        {
            return Err("version must be 1 to 64 printable ASCII characters".into());
        }
        range(
            "detector.long_side",
            self.detector.long_side.into(),
            64.0,
            2048.0,
        )?;
        open_unit("detector.score_threshold", self.detector.score_threshold)?;
        open_unit("detector.nms_iou", self.detector.nms_iou)?;
        let judged = self.detector.judged;
        range("detector.judged.score", judged.score.into(), 0.0, 1.0)?;
        range("detector.judged.slope", judged.slope.into(), 0.0, 1.0)?;
        range("detector.judged.least", judged.least.into(), 0.0, 1.0)?;
        let upright = self.detector.upright;
        range("detector.upright.score", upright.score.into(), 0.0, 1.0)?;
        range("detector.upright.slope", upright.slope.into(), 0.0, 1.0)?;
        range("mask.size", self.mask.size.into(), 16.0, 1024.0)?;
        open_unit("mask.threshold", self.mask.threshold)?;
        self.spoof.validate()?;
        self.sources().into_iter().try_for_each(|(name, source)| {
            source
                .validate()
                .map_err(|cause| format!("{name}: {cause}"))
        })
    }

    /// What each network is called, and its source.
    pub fn sources(&self) -> Vec<(&str, &Source)> {
        let fixed = [
            ("detector", &self.detector.source),
            ("mask", &self.mask.source),
        ];
        let spoof = self
            .spoof
            .networks
            .iter()
            .map(|network| (network.name.as_str(), &network.source));
        fixed.into_iter().chain(spoof).collect()
    }
}

impl Source {
    /// A plain file name cannot lead out of the folder.
    fn validate(&self) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if self.file.is_empty()
            || self.file.len() > 128
            || self.file.starts_with('.')
            || !self.file.chars().all(plain)
        {
            return Err(format!(
                "file is '{}'; give a plain file name of letters, digits, '.', '_' and '-'",
                self.file
            ));
        }
        let digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        if self.sha256.len() != 64 || !self.sha256.chars().all(digit) {
            return Err(format!(
                "sha256 of {} is not 64 lowercase hexadecimal digits",
                self.file
            ));
        }
        Ok(())
    }
}

fn range(name: &str, value: f64, low: f64, high: f64) -> Result<(), String> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(format!(
            "{name} is {value}; it must be from {low} to {high}"
        ))
    }
}

fn open_unit(name: &str, value: f32) -> Result<(), String> {
    if value > 0.0 && value < 1.0 {
        Ok(())
    } else {
        Err(format!("{name} is {value}; it must be between 0 and 1"))
    }
}

fn embedded(file: &str) -> Result<&'static [u8], Error> {
    EMBEDDED
        .iter()
        .find(|(name, _)| *name == file)
        .map(|(_, bytes)| *bytes)
        .ok_or_else(|| {
            Error::internal(format!(
                "the embedded models have no file {file}: the library was built wrongly"
            ))
        })
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let fault = |cause: &dyn std::fmt::Display| {
        Error::internal(format!("{} cannot be read: {cause}", path.display()))
    };
    // Asked before opening: to open a pipe could wait forever.
    if !path.metadata().map_err(|error| fault(&error))?.is_file() {
        return Err(fault(&"it is not a regular file"));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| fault(&error))?;
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| fault(&error))?;
    if bytes.len() as u64 > limit {
        return Err(fault(&format!("it has more than {limit} bytes")));
    }
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn manifest(change: impl Fn(&mut Value)) -> Result<(), String> {
        let mut value: Value = serde_json::from_slice(EMBEDDED_MANIFEST).unwrap();
        change(&mut value);
        serde_json::from_value::<Manifest>(value)
            .map_err(|error| error.to_string())?
            .validate()
    }

    #[test]
    fn embedded_files_have_the_promised_digests() {
        let models = Models::open(None).unwrap();
        for (name, source) in models.manifest.sources() {
            assert!(models.model(source).is_ok(), "{name}");
        }
    }

    #[test]
    fn embedded_networks_take_at_most_four_mebibytes() {
        let total: usize = EMBEDDED.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(total <= 4 << 20, "{total} bytes");
    }

    type Change = fn(&mut Value);

    #[test]
    fn a_manifest_that_makes_no_sense_is_refused() {
        assert_eq!(manifest(|_| ()), Ok(()));
        let broken: [(&str, Change); 32] = [
            ("schema", |m| m["schema"] = json!(1)),
            ("file", |m| m["mask"]["file"] = json!("../mask.onnx")),
            ("file", |m| m["mask"]["file"] = json!("/etc/passwd")),
            ("file", |m| m["mask"]["file"] = json!("a\\b.onnx")),
            ("file", |m| m["mask"]["file"] = json!("..")),
            ("sha256", |m| m["mask"]["sha256"] = json!("00")),
            ("score_threshold", |m| {
                m["detector"]["score_threshold"] = json!(0)
            }),
            ("judged.score", |m| {
                m["detector"]["judged"]["score"] = json!(1.5)
            }),
            ("judged.slope", |m| {
                m["detector"]["judged"]["slope"] = json!(-0.1)
            }),
            ("judged.least", |m| {
                m["detector"]["judged"]["least"] = json!(1.5)
            }),
            ("upright.score", |m| {
                m["detector"]["upright"]["score"] = json!(1.1)
            }),
            ("upright.slope", |m| {
                m["detector"]["upright"]["slope"] = json!(-0.1)
            }),
            ("long_side", |m| {
                m["detector"]["long_side"] = json!(1_000_000)
            }),
            ("spoof.threshold", |m| m["spoof"]["threshold"] = json!(1.0)),
            ("networks", |m| m["spoof"]["networks"] = json!([])),
            ("looks", |m| m["spoof"]["looks"] = json!([])),
            ("name", |m| {
                m["spoof"]["networks"][0]["name"] = json!("\u{1b}[2J")
            }),
            ("named", |m| {
                m["spoof"]["networks"][1]["name"] = m["spoof"]["networks"][0]["name"].clone()
            }),
            ("named", |m| {
                m["spoof"]["networks"][0]["name"] = json!("mask")
            }),
            ("bias", |m| m["spoof"]["looks"][1]["bias"] = json!(1e4)),
            ("bias", |m| {
                m["spoof"]["looks"][1] = json!({"doubt": {"attack": 1, "live": 1}})
            }),
            // It has looked, so it has a say.
            ("weight", |m| {
                m["spoof"]["networks"][1]["weights"][0] = json!(0.0)
            }),
            ("weight", |m| {
                m["spoof"]["networks"][1]["weights"][1] = json!(-1.0)
            }),
            // It has not looked yet.
            ("weight", |m| {
                m["spoof"]["networks"][2]["weights"][0] = json!(0.5)
            }),
            ("as many views", |m| {
                m["spoof"]["networks"][0]["views"] = json!([])
            }),
            ("must have a view", |m| {
                m["spoof"]["networks"][2]["views"] = json!([null, null, null, null]);
                m["spoof"]["networks"][2]["weights"] = json!([0.0, 0.0, 0.0, 0.0]);
            }),
            ("at every look", |m| {
                for network in m["spoof"]["networks"].as_array_mut().unwrap() {
                    network["views"][1] = json!(null);
                }
            }),
            ("doubt", |m| {
                m["spoof"]["looks"][1]["doubt"]["attack"] = json!(-1)
            }),
            ("doubt", |m| {
                m["spoof"]["looks"][1]["doubt"]["live"] = json!(-1)
            }),
            ("lives", |m| {
                m["spoof"]["looks"][1]["doubt"] = json!({"lives": 1})
            }),
            ("scale", |m| {
                m["spoof"]["networks"][1]["views"][0]["scale"] = json!(0)
            }),
            ("variant", |m| {
                m["spoof"]["networks"][0]["crop"] = json!("circle")
            }),
        ];
        for (word, change) in broken {
            let cause = manifest(change).unwrap_err();
            assert!(cause.contains(word), "{word}: {cause}");
        }
    }
}
