//! What is counted, for Prometheus.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use liveness::Timings;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use crate::answer::Outcome;
use crate::log;
use crate::texts::Texts;

/// Seconds; a check takes about ten milliseconds, an upload over a mobile network many seconds.
const BUCKETS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// A step of a request whose duration is measured.
#[derive(Debug, Clone, Copy)]
pub enum Stage {
    /// Reading the body.
    Read,
    /// Waiting for a check.
    Queue,
    /// The whole check, whatever its outcome.
    Check,
}

/// All numbers of one server.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    verdicts: IntCounterVec,
    responses: IntCounterVec,
    latency: HistogramVec,
    stages: HistogramVec,
    queued: IntGauge,
    in_flight: IntGauge,
    uploads: IntGauge,
    engine: IntGaugeVec,
    log_dropped: IntCounter,
    texts: Mutex<Texts>,
}

/// One more as long as it lives.
pub struct Counted(IntGauge);

impl Counted {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Counted(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    pub fn new() -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels)
        };
        let histogram = |name: &str, help: &str, labels: &[&str]| {
            HistogramVec::new(
                HistogramOpts::new(name, help).buckets(BUCKETS.to_vec()),
                labels,
            )
        };
        let metrics = Metrics {
            registry: Registry::new(),
            requests: counter(
                "liveness_requests_total",
                "Liveness requests by code of the answer, ok where there is a verdict.",
                &["code"],
            )?,
            verdicts: counter(
                "liveness_verdicts_total",
                "Verdicts, live or attack.",
                &["verdict"],
            )?,
            responses: counter(
                "liveness_http_responses_total",
                "HTTP responses by route and status; 499 where the connection ended before the answer.",
                &["route", "status"],
            )?,
            latency: histogram(
                "liveness_http_request_seconds",
                "Time from the header of a request to its answer, by route.",
                &["route"],
            )?,
            stages: histogram(
                "liveness_stage_seconds",
                "Time per stage: read, queue and check of every request that gets there; decode, detect, mask and spoof of those that end in a verdict.",
                &["stage"],
            )?,
            queued: IntGauge::new("liveness_queue_depth", "Requests that wait for a check.")?,
            in_flight: IntGauge::new("liveness_checks_in_flight", "Checks that are running.")?,
            uploads: IntGauge::new(
                "liveness_uploads_in_flight",
                "Requests whose body is being read.",
            )?,
            engine: IntGaugeVec::new(
                Opts::new("liveness_engine_info", "What computes; always 1."),
                &["engine", "models"],
            )?,
            log_dropped: IntCounter::new(
                "liveness_log_lines_dropped_total",
                "Lines of the log that nobody read in time.",
            )?,
            texts: Mutex::default(),
        };
        metrics.register()?;
        Ok(metrics)
    }

    fn register(&self) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(self.requests.clone()))?;
        self.registry.register(Box::new(self.verdicts.clone()))?;
        self.registry.register(Box::new(self.responses.clone()))?;
        self.registry.register(Box::new(self.latency.clone()))?;
        self.registry.register(Box::new(self.stages.clone()))?;
        self.registry.register(Box::new(self.queued.clone()))?;
        self.registry.register(Box::new(self.in_flight.clone()))?;
        self.registry.register(Box::new(self.uploads.clone()))?;
        self.registry.register(Box::new(self.engine.clone()))?;
        self.registry.register(Box::new(self.log_dropped.clone()))
    }

    pub fn uploading(&self) -> Counted {
        Counted::new(&self.uploads)
    }

    pub fn waiting(&self) -> Counted {
        Counted::new(&self.queued)
    }

    pub fn checking(&self) -> Counted {
        Counted::new(&self.in_flight)
    }

    pub fn engine(&self, engine: &str, models: &str) {
        self.engine.with_label_values(&[engine, models]).set(1);
    }

    pub fn stage(&self, stage: Stage, time: Duration) {
        let name = match stage {
            Stage::Read => "read",
            Stage::Queue => "queue",
            Stage::Check => "check",
        };
        self.stages
            .with_label_values(&[name])
            .observe(time.as_secs_f64());
    }

    /// The stages inside the library.
    pub fn timings(&self, timings: &Timings) {
        for (name, milliseconds) in [
            ("decode", timings.decode),
            ("detect", timings.detect),
            ("mask", timings.mask),
            ("spoof", timings.spoof),
        ] {
            self.stages
                .with_label_values(&[name])
                .observe(milliseconds / 1e3);
        }
    }

    pub fn response(&self, route: &str, status: u16) {
        self.responses
            .with_label_values(&[route, &status.to_string()])
            .inc();
    }

    pub fn latency(&self, route: &str, time: Duration) {
        self.latency
            .with_label_values(&[route])
            .observe(time.as_secs_f64());
    }

    /// Counts what a liveness request was answered.
    pub fn outcome(&self, outcome: Outcome) {
        self.requests.with_label_values(&[outcome.code()]).inc();
        if let Some(verdict) = outcome.verdict() {
            self.verdicts.with_label_values(&[verdict]).inc();
        }
    }

    /// All of it in Prometheus' text format; some seconds old where earlier texts are not read yet.
    pub fn text(&self) -> Result<Bytes, prometheus::Error> {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.get(Instant::now(), || self.encode())
    }

    fn encode(&self) -> Result<Vec<u8>, prometheus::Error> {
        self.log_dropped.inc_by(log::newly_dropped());
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}
