//! The engine: from a configuration to verdicts.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::deadline::Deadline;
use crate::decision::decide;
use crate::decode::{Glance, Limits, Overview, decode};
use crate::detect::Detector;
use crate::error::Error;
use crate::inference::{Runtime, runtime};
use crate::mask::MaskClassifier;
use crate::memory;
use crate::models::Models;
use crate::pixels::Image;
use crate::quality;
use crate::selftest;
use crate::spoof::SpoofDetector;
use crate::verdict::{Details, Face, Timings, Verdict};

/// Names an ONNX Runtime where the configuration names none.
const ONNXRUNTIME_VARIABLE: &str = "LIVENESS_ONNXRUNTIME";

/// Height of a face, as a share of the image's short side, for which the first decoding is fine enough;
/// a smaller one is decoded again. Selfies show 0.25 to 0.5.
const LIKELY_FACE: f32 = 0.36;

/// Checks images. Build one per process and share it: [`check`](Engine::check) may be called from
/// many threads at once, each call computes on one thread, and no call waits for another.
///
/// The same image gives the same answer, bit by bit, on one machine and inference engine.
pub struct Engine {
    limits: Limits,
    overview: Overview,
    time_limit: Duration,
    threshold: f64,
    second_face_ratio: f32,
    strict_quality: bool,
    detector: Detector,
    mask: MaskClassifier,
    spoof: SpoofDetector,
    runtime: Box<dyn Runtime>,
    info: EngineInfo,
}

/// What an [`Engine`] computes with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineInfo {
    /// Name and version of the inference engine, such as `"embedded 2"` or `"onnxruntime 1.24.1"`.
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
    /// Loads the networks and tries them out.
    ///
    /// # Errors
    /// An invalid configuration is 004. Networks or an ONNX Runtime that cannot be used are 005,
    /// with cause and cure in [`Error::detail`]; there is no fallback to others.
    pub fn new(config: Config) -> Result<Engine, Error> {
        config.validate()?;
        memory::expect(0)?;
        let runtime = runtime(onnxruntime(&config).as_deref())?;
        let models = Models::open(config.models_dir.as_deref())?;
        let engine = Engine::load(runtime, &models, &config)?;
        engine.try_out()?;
        Ok(engine)
    }

    fn load(runtime: Box<dyn Runtime>, models: &Models, config: &Config) -> Result<Engine, Error> {
        let networks = runtime.as_ref();
        let detector = Detector::load(networks, models)?;
        let mask = MaskClassifier::load(networks, models, config.mask_threshold)?;
        let spoof = SpoofDetector::load(networks, models)?;
        Ok(Engine {
            limits: Limits::new(config),
            overview: overview(&detector, &mask, &spoof)?,
            time_limit: config.time_limit,
            threshold: config
                .threshold
                .unwrap_or(models.manifest.spoof.threshold)
                .into(),
            second_face_ratio: config.second_face_ratio,
            strict_quality: config.strict_quality,
            detector,
            mask,
            spoof,
            info: info(networks, models),
            runtime,
        })
    }

    /// A network that loads but cannot compute, or does not look at what it is given, is found now
    /// rather than at the first selfie.
    fn try_out(&self) -> Result<(), Error> {
        let pictures = selftest::pictures();
        let face = selftest::face();
        self.detector.try_out(&pictures)?;
        self.mask.try_out(&pictures, &face)?;
        self.spoof.try_out(&pictures, &face)
    }

    /// Says whether the person in the image is live.
    ///
    /// # Errors
    /// In this order: 004 for an impossible pixel layout, 003 for a file that is too large, 002
    /// for what cannot be read as an image or has an absurd size (of pixels before 004 for too few
    /// bytes), 051 unless there is exactly one face, upright and of 40 pixels or more, 052 for a face mask, 051 for
    /// poor quality where [`Config::strict_quality`] asks for it. Where anything goes wrong inside, or
    /// takes longer than the time limit, it is 005, never a verdict.
    pub fn check(&self, image: Image<'_>) -> Result<Verdict, Error> {
        let _forget = Forget(self.runtime.as_ref());
        let mut clock = Clock::start();
        let deadline = Deadline::after(self.time_limit);
        let decoded = decode(image, &self.limits, &self.overview, &deadline)?;
        let decode = clock.lap();
        deadline.check()?;
        let size = [decoded.picture.width(), decoded.picture.height()];
        let face = self
            .detector
            .face(&decoded.picture, self.second_face_ratio, &deadline)?;
        let detect = clock.lap();
        deadline.check()?;
        let glances = glances(&self.mask, &self.spoof, size, &face)?;
        let image = decoded.detailed(&glances, &self.limits, &deadline)?;
        let decode = decode + clock.lap();
        deadline.check()?;
        let mask_probability = self.mask.probability(&image, &face)?;
        self.mask.check(&face, mask_probability)?;
        let quality = quality::measure(&image, &face)?;
        let reasons = quality::reasons(&quality);
        if self.strict_quality && !reasons.is_empty() {
            return Err(quality::refuse(&face, mask_probability, quality, reasons));
        }
        let mask = clock.lap();
        deadline.check()?;
        let evidence = self.spoof.evidence(&image, &face, &deadline)?;
        let (liveness, score) = decide(&evidence, self.threshold)?;
        let spoof = clock.lap();
        Ok(Verdict {
            liveness,
            score,
            details: Details {
                live_probability: evidence.live_probability,
                threshold: self.threshold,
                face,
                faces: 1,
                attack_type: evidence.attack_type,
                mask_probability,
                quality,
                reasons,
                models: self.info.models.clone(),
                engine: self.info.engine.clone(),
                timings: Timings {
                    decode,
                    detect,
                    mask,
                    spoof,
                    total: decode + detect + mask + spoof,
                },
            },
        })
    }

    /// Names the inference engine and the models.
    pub fn info(&self) -> EngineInfo {
        self.info.clone()
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("info", &self.info)
            .field("threshold", &self.threshold)
            .finish_non_exhaustive()
    }
}

/// Overwrites what a check leaves in the memory that the networks keep, however the check ends: that of the embedded
/// engine. What ONNX Runtime keeps is its own.
struct Forget<'a>(&'a dyn Runtime);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.forget();
    }
}

/// What is looked at closely, in an image of this size.
fn glances(
    mask: &MaskClassifier,
    spoof: &SpoofDetector,
    size: [u32; 2],
    face: &Face,
) -> Result<Vec<Glance>, Error> {
    let mut glances = spoof.glances(size, face);
    glances.extend([mask.glance(size, face)?, quality::glance(size, face)]);
    Ok(glances)
}

/// What the first look at an image needs.
fn overview(
    detector: &Detector,
    mask: &MaskClassifier,
    spoof: &SpoofDetector,
) -> Result<Overview, Error> {
    let face = selftest::face();
    let short_side = face.bbox[3] / LIKELY_FACE;
    // Wide enough that no view ends at its border.
    let size = [8.0 * short_side, short_side].map(|side| side as u32);
    let units = glances(mask, spoof, size, &face)?
        .into_iter()
        .map(|glance| glance.unit);
    Ok(Overview {
        long_side: detector.long_side(),
        short_side: f64::from(short_side) / units.fold(f64::INFINITY, f64::min),
    })
}

/// The configured path, or that of the environment; an empty variable counts as unset.
fn onnxruntime(config: &Config) -> Option<PathBuf> {
    let variable = || {
        std::env::var_os(ONNXRUNTIME_VARIABLE)
            .filter(|path| !path.is_empty() && !is_privileged())
            .map(PathBuf::from)
    };
    config.onnxruntime.clone().or_else(variable)
}

/// Whether this process may do more than who started it (set-user-ID, file capabilities): whose environment
/// must not name code for it to run then.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[allow(unsafe_code)]
fn is_privileged() -> bool {
    // SAFETY: the function looks a number up that the system gave this process.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// As above.
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
))]
#[allow(unsafe_code)]
fn is_privileged() -> bool {
    // SAFETY: the function takes nothing and asks the system about this process.
    unsafe { libc::issetugid() != 0 }
}

/// There is no such thing on Windows, or nobody to ask.
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
)))]
fn is_privileged() -> bool {
    false
}

fn info(runtime: &dyn Runtime, models: &Models) -> EngineInfo {
    let file = |(name, source): (&str, &crate::models::Source)| ModelFile {
        name: name.into(),
        file: source.file.clone(),
        sha256: source.sha256.clone(),
    };
    EngineInfo {
        engine: runtime.name(),
        models: models.id.clone(),
        files: models.manifest.sources().into_iter().map(file).collect(),
    }
}

/// Milliseconds from lap to lap.
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Clock(Instant::now())
    }

    fn lap(&mut self) -> f64 {
        let now = Instant::now();
        let lap = now.duration_since(self.0);
        self.0 = now;
        lap.as_secs_f64() * 1e3
    }
}

#[cfg(test)]
mod reduced;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Condvar, Mutex};

    use super::*;
    use crate::inference::{Dim, Session, Tensor};

    #[test]
    fn engines_are_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Engine>();
    }

    const CALLS: usize = 4;

    /// A place that nobody leaves before all calls are there.
    #[derive(Default)]
    struct Meeting {
        /// Calls that wait, and how often all have met.
        state: Mutex<(usize, usize)>,
        met: Condvar,
        /// How often the inference engine was told to forget.
        forgotten: AtomicUsize,
    }

    impl Meeting {
        fn wait(&self) -> Result<(), String> {
            let mut state = self.state.lock().unwrap();
            state.0 += 1;
            if state.0 == CALLS {
                *state = (0, state.1 + 1);
                self.met.notify_all();
                return Ok(());
            }
            let round = state.1;
            let (_state, waited) = self
                .met
                .wait_timeout_while(state, Duration::from_secs(60), |state| state.1 == round)
                .unwrap();
            if waited.timed_out() {
                return Err("one call waits for another".into());
            }
            Ok(())
        }
    }

    /// An inference engine in which all calls meet before each network.
    struct Together {
        runtime: Box<dyn Runtime>,
        meeting: Arc<Meeting>,
    }

    struct SessionTogether {
        session: Box<dyn Session>,
        meeting: Arc<Meeting>,
    }

    impl Runtime for Together {
        fn name(&self) -> String {
            self.runtime.name()
        }

        fn load(&self, model: &crate::models::Model) -> Result<Box<dyn Session>, String> {
            Ok(Box::new(SessionTogether {
                session: self.runtime.load(model)?,
                meeting: self.meeting.clone(),
            }))
        }

        fn forget(&self) {
            self.meeting.forgotten.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Session for SessionTogether {
        fn inputs(&self) -> Vec<(String, Vec<Dim>)> {
            self.session.inputs()
        }

        fn outputs(&self) -> Vec<String> {
            self.session.outputs()
        }

        fn run(&self, input: &Tensor, outputs: &[&str]) -> Result<Vec<Tensor>, String> {
            self.meeting.wait()?;
            self.session.run(input, outputs)
        }
    }

    #[test]
    fn no_call_waits_for_another() {
        let meeting = Arc::new(Meeting::default());
        let together = Together {
            runtime: runtime(None).unwrap(),
            meeting: meeting.clone(),
        };
        let models = Models::open(None).unwrap();
        let engine = Engine::load(Box::new(together), &models, &Config::default()).unwrap();
        let portrait = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/astronaut.png");
        std::thread::scope(|scope| {
            for _ in 0..CALLS {
                scope.spawn(|| engine.check(Image::File(portrait.as_ref())).unwrap());
            }
        });
        // Detector, mask classifier and those liveness networks that look first: of the portrait there is no
        // doubt.
        let networks = &models.manifest.spoof.networks;
        let first = networks.iter().filter(|network| network.views[0].is_some());
        assert_eq!(meeting.state.lock().unwrap().1, 2 + first.count());
        // However a check ends, it leaves nothing behind.
        assert!(engine.check(Image::Encoded(b"no image")).is_err());
        let forgotten = meeting.forgotten.load(Ordering::Relaxed);
        assert_eq!(forgotten, CALLS + 1);
    }
}
