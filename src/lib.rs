//! Tells from one selfie whether a live person, a print or a screen is before the camera.
//!
//! ```no_run
//! use liveness::{Config, Engine, Image};
//!
//! let engine = Engine::new(Config::default())?;
//! let verdict = engine.check(Image::File("selfie.jpg".as_ref()))?;
//! println!("live: {}, confidence {:.2}", verdict.liveness, verdict.score);
//! # Ok::<(), liveness::Error>(())
//! ```
//!
//! An image goes one way through the crate: it is decoded and turned upright, the face is found,
//! a face mask is refused, networks look for signs of a print or a screen, and a decision is made. They look
//! more often where their answer lies near 0.5, whatever the threshold ([`Config::threshold`]). Whatever goes
//! wrong on that way is an [`Error`] with a code of the contract; it is never a verdict.

#![deny(unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

#[cfg(panic = "abort")]
compile_error!(
    "liveness turns panics, such as a decoder's on a damaged image, into error codes: set `panic = \"unwind\"` in the profile of the workspace"
);

mod config;
mod deadline;
mod decision;
mod decode;
mod detect;
mod engine;
mod error;
#[allow(unsafe_code)]
mod ffi;
mod inference;
mod mask;
mod memory;
mod models;
mod pixels;
mod quality;
mod resample;
pub mod response;
mod selftest;
mod simd;
mod spoof;
mod sync;
mod verdict;

pub use config::Config;
#[cfg(fuzzing)]
#[doc(hidden)]
pub use decode::compare_jpeg_decoders;
pub use engine::{Engine, EngineInfo, ModelFile};
pub use error::{Error, ErrorCode, Findings};
pub use pixels::{Image, PixelFormat, Pixels};
pub use verdict::{AttackType, Details, Face, Quality, Reason, Timings, Verdict};

/// Version of this library, the same as in its Cargo.toml.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
