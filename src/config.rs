//! What a caller can choose.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;

/// Choices for an [`Engine`](crate::Engine); every default is safe for production.
///
/// ```
/// let mut config = liveness::Config::default();
/// config.threshold = Some(0.7);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Path of an ONNX Runtime shared library (1.17 or newer). Where it is `None`, the environment
    /// variable `LIVENESS_ONNXRUNTIME` is asked; where that is unset or empty too, the embedded
    /// engine is used. A library that is named but cannot be loaded is an error. One process can
    /// load one ONNX Runtime only. An empty path is 004. A process with more rights than its caller
    /// has (set-user-ID, file capabilities) does not ask the variable.
    pub onnxruntime: Option<PathBuf>,
    /// Folder with a `manifest.json` and the networks it names, instead of the embedded ones. An
    /// empty path is 004; the current directory is `"."`.
    pub models_dir: Option<PathBuf>,
    /// `live_probability` from which on a face counts as live, in 0..1 exclusive. `None` takes the
    /// calibrated threshold of the models, which is 0.5 for the embedded ones.
    ///
    /// It does not change `live_probability`: how often the networks look at a face depends on fixed
    /// ranges around 0.5. With the embedded models the first look, by one network, is the only one
    /// where it gives 0.92 or more: a higher threshold can refuse a face on that network's word
    /// alone. Error rates were measured for thresholds of 0.1 to 0.9 (models/MODEL_CARD.md).
    pub threshold: Option<f32>,
    /// Probability of a face mask from which on an image is refused with 052, in 0..1 exclusive.
    /// `None` takes the threshold of the models.
    pub mask_threshold: Option<f32>,
    /// Largest encoded file in bytes, counted after base64 decoding; above it is 003. 10 MiB.
    pub max_file_bytes: u64,
    /// Largest number of pixels an image may declare; above it is 002. 100,000,000.
    pub max_pixels: u64,
    /// Largest width and height an image may declare; above it is 002. 16,384.
    pub max_side: u32,
    /// Longest time for a check; a longer one is 005. 10 seconds, several times what the slowest
    /// honest image takes. The clock is looked at between the steps of a check and while a file is
    /// decoded, so an answer can be late by the time of one step. Some formats are decoded in one
    /// such step; their cost is bounded by the limits above.
    pub time_limit: Duration,
    /// A second face counts, and the image is refused with 051, when its box has at least this
    /// share of the main face's height, be it beside it or before it; in 0..=1. 0.3.
    pub second_face_ratio: f32,
    /// Refuse an image whose quality gives a [`Reason`](crate::Reason), with 051 after the look for a
    /// mask. Otherwise reasons are reported only; a face under 40 pixels is always refused. `false`.
    pub strict_quality: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            onnxruntime: None,
            models_dir: None,
            threshold: None,
            mask_threshold: None,
            max_file_bytes: 10 * 1024 * 1024,
            max_pixels: 100_000_000,
            max_side: 16_384,
            time_limit: Duration::from_secs(10),
            second_face_ratio: 0.3,
            strict_quality: false,
        }
    }
}

impl Config {
    /// Refuses values that would make the checks meaningless.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        for (name, path) in [
            ("onnxruntime", &self.onnxruntime),
            ("models_dir", &self.models_dir),
        ] {
            if path
                .as_ref()
                .is_some_and(|path| path.as_os_str().is_empty())
            {
                return Err(Error::bad_request(format!(
                    "configuration: {name} is an empty path; give a path, or None for the default"
                )));
            }
        }
        for (name, value) in [
            ("threshold", self.threshold),
            ("mask_threshold", self.mask_threshold),
        ] {
            if let Some(value) = value
                && !(value > 0.0 && value < 1.0)
            {
                return Err(Error::bad_request(format!(
                    "configuration: {name} is {value}; give a number between 0 and 1, both excluded"
                )));
            }
        }
        if !(0.0..=1.0).contains(&self.second_face_ratio) {
            return Err(Error::bad_request(format!(
                "configuration: second_face_ratio is {}; give a number from 0 to 1",
                self.second_face_ratio
            )));
        }
        for (name, value) in [
            ("max_file_bytes", self.max_file_bytes),
            ("max_pixels", self.max_pixels),
            ("max_side", self.max_side.into()),
        ] {
            if value == 0 {
                return Err(Error::bad_request(format!(
                    "configuration: {name} is 0, so every image would be refused; give a positive number"
                )));
            }
        }
        if self.time_limit.is_zero() {
            return Err(Error::bad_request(
                "configuration: time_limit is 0, so every check would be refused; give a positive time",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    #[test]
    fn defaults_are_valid() {
        assert!(Config::default().validate().is_ok());
    }

    #[test]
    fn meaningless_values_are_refused() {
        let broken: [fn(&mut Config); 11] = [
            |c| c.onnxruntime = Some(PathBuf::new()),
            |c| c.models_dir = Some(PathBuf::new()),
            |c| c.threshold = Some(0.0),
            |c| c.threshold = Some(1.0),
            |c| c.threshold = Some(f32::NAN),
            |c| c.mask_threshold = Some(-0.1),
            |c| c.second_face_ratio = f32::NAN,
            |c| c.second_face_ratio = 1.1,
            |c| c.max_file_bytes = 0,
            |c| c.max_side = 0,
            |c| c.time_limit = Duration::ZERO,
        ];
        for change in broken {
            let mut config = Config::default();
            change(&mut config);
            let error = config.validate().unwrap_err();
            assert_eq!(error.code(), ErrorCode::BadRequest, "{config:?}");
        }
    }
}
