//! The engine: from a configuration to verdicts.

use crate::config::Config;
use crate::error::Error;
use crate::pixels::Image;
use crate::verdict::Verdict;

/// Checks images. Build one per process and share it: `check` may be called from many threads
/// at once, each call works on the calling thread only.
#[derive(Debug)]
pub struct Engine {
    info: EngineInfo,
}

/// What an [`Engine`] computes with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineInfo {
    /// Name and version of the inference engine, such as `"rten 0.27"` or `"onnxruntime 1.24.1"`.
    pub engine: String,
    /// Version and digest of the models, such as `"2026.11.0+1a2b3c4d"`.
    pub models: String,
    /// The networks.
    pub files: Vec<ModelFile>,
}

/// One network of the models.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelFile {
    /// What it does: `detector`, `mask`, or the name of a liveness network.
    pub name: String,
    /// Its file name.
    pub file: String,
    /// SHA-256 of its bytes, 64 lowercase hexadecimal digits.
    pub sha256: String,
}

impl Engine {
    /// Loads the networks. An invalid configuration is 004; networks or an ONNX Runtime that
    /// cannot be loaded are 005 with the cause in [`Error::detail`].
    pub fn new(config: Config) -> Result<Engine, Error> {
        config.validate()?;
        Ok(Engine {
            info: EngineInfo {
                engine: String::new(),
                models: String::new(),
                files: Vec::new(),
            },
        })
    }

    /// Says whether the person in the image is live.
    pub fn check(&self, _image: Image<'_>) -> Result<Verdict, Error> {
        Err(Error::internal("no networks"))
    }

    /// Names the inference engine and the models.
    pub fn info(&self) -> EngineInfo {
        self.info.clone()
    }
}
