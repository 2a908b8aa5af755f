//! Answers over HTTP whether a selfie shows a live person, a print or a screen.
//!
//! A request goes one way through the modules: it comes on one of the [`connections`], [`routes`]
//! asks [`keys`] who calls, [`guesses`] whether it has tried too many keys and [`mod@host`] whether it says
//! once for which host it is, [`forms`] reads the body within its limits, [`admission`] lets it wait for one of the few places where images are
//! checked, and [`answer`] says what came out, in the JSON of the contract whatever happened.

#![warn(missing_docs)]

mod admission;
mod answer;
mod apart;
mod config;
mod connections;
mod forms;
mod guesses;
mod host;
mod keys;
mod log;
mod metrics;
mod page;
mod parameters;
mod reader;
mod routes;
mod server;
mod telemetry;
mod texts;

pub use config::{Options, unknown_variables};
pub use keys::{Keys, KeysError};
pub use log::{end as end_log, line as log_line};
pub use server::{Control, Server, StartError};
pub use telemetry::{TelemetryError, install as install_telemetry};

use liveness::{Engine, Error, Image, Verdict};

/// Largest image in bytes, as a file, counted after base64 decoding.
pub const MAX_IMAGE_BYTES: usize = 10 * 1024 * 1024;

/// What checks an image: the engine, or what a test puts in its place.
pub trait Checker: Send + Sync + 'static {
    /// Says whether the person in the image is live; see [`Engine::check`].
    ///
    /// # Errors
    /// Those of [`Engine::check`].
    fn check(&self, image: Image<'_>) -> Result<Verdict, Error>;

    /// Name and version of what computes, and of the models.
    fn describe(&self) -> (String, String);
}

impl Checker for Engine {
    fn check(&self, image: Image<'_>) -> Result<Verdict, Error> {
        Engine::check(self, image)
    }

    fn describe(&self) -> (String, String) {
        let info = self.info();
        (info.engine, info.models)
    }
}
