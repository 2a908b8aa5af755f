//! How much is done at once, and who has to wait or to come again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::answer::Refusal;
use crate::config::Options;
use crate::metrics::{Counted, Metrics, Stage};

/// Refused bodies that are read to their end at once. Nothing of them is kept, but each holds its
/// connection for as long as an upload may take, and its sender needs no key.
const MAX_DRAINS: usize = 64;

/// Counts uploads and checks, and refuses more of them than the machine can take.
pub struct Admission {
    drains: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
    /// One for each request that waits for a check or is being checked.
    places: Arc<Semaphore>,
    checks: Arc<Semaphore>,
    patience: Duration,
    metrics: Arc<Metrics>,
}

/// The right to send the rest of a refused body within the times of an upload.
pub struct Draining {
    _permit: OwnedSemaphorePermit,
}

/// The right to hold a body in memory while it arrives.
pub struct Uploading {
    // Dropped in this order: what has ended is not counted any more when the next may begin.
    _counted: Counted,
    _permit: OwnedSemaphorePermit,
}

impl Admission {
    pub fn new(options: &Options, metrics: Arc<Metrics>) -> Self {
        let checks = options.checks();
        let semaphore =
            |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Admission {
            drains: semaphore(MAX_DRAINS),
            uploads: semaphore(options.max_uploads.get()),
            places: semaphore(checks.saturating_add(options.queue)),
            checks: semaphore(checks),
            patience: options.queue_timeout,
            metrics,
        }
    }

    /// Without it a refused body is read for a moment only.
    pub fn drain(&self) -> Option<Draining> {
        let permit = self.drains.clone().try_acquire_owned().ok()?;
        Some(Draining { _permit: permit })
    }

    pub fn upload(&self) -> Result<Uploading, Refusal> {
        let permit = self
            .uploads
            .clone()
            .try_acquire_owned()
            .map_err(|_| Refusal::unavailable())?;
        Ok(Uploading {
            _counted: self.metrics.uploading(),
            _permit: permit,
        })
    }

    /// Does heavy work on a thread of its own, when its turn comes. A panic of it is a refusal.
    ///
    /// Work that has started is finished, and holds its place, even if nobody waits for it any more.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let place = self
            .places
            .clone()
            .try_acquire_owned()
            .map_err(|_| Refusal::unavailable())?;
        let waiting = self.metrics.waiting();
        let arrival = Instant::now();
        let check = timeout(self.patience, self.checks.clone().acquire_owned())
            .await
            .map_err(|_| Refusal::unavailable())?
            .map_err(|_| Refusal::unavailable())?;
        self.metrics.stage(Stage::Queue, arrival.elapsed());
        drop(waiting);
        // Dropped in this order: what has ended is not counted any more when the next may begin.
        let held = (self.metrics.checking(), check, place);
        tokio::task::spawn_blocking(move || {
            let _held = held;
            work()
        })
        .await
        .map_err(|_| Refusal::internal())
    }
}
