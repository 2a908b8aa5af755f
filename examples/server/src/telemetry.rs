//! Logs, request ids and the accounts of each request.
//!
//! Logged is what happened, never what was sent: no header but the request id, no query, no
//! body, and no other crate's words below a warning.

use std::panic::Location;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use tracing::level_filters::LevelFilter;
use tracing::{Instrument, Span, debug, info, info_span};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::answer::{Outcome, Reason};
use crate::keys::hexadecimal;
use crate::log;
use crate::routes::{App, is_check};

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_REQUEST_ID: usize = 128;

/// Methods that are logged by their name.
static METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
    Method::CONNECT,
    Method::TRACE,
];

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The system gives no thread to write it.
    #[error("there is no thread for the log: {0}")]
    Thread(#[from] std::io::Error),
    /// The program has one already.
    #[error(transparent)]
    Installed(#[from] TryInitError),
}

/// Sends the log to standard error as JSON lines, panics included. Nobody waits for its reader, but
/// whoever ends the process waits a moment with [`end_log`](crate::end_log).
///
/// # Errors
/// See [`TelemetryError`].
pub fn install(level: LevelFilter) -> Result<(), TelemetryError> {
    log::start()?;
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("liveness_server", level);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_writer(|| log::Lines);
    tracing_subscriber::registry()
        .with(targets)
        .with(lines)
        .try_init()?;
    std::panic::set_hook(Box::new(|panic| {
        // The place only: a panic's message may quote what it worked on.
        let place = panic.location().map(Location::to_string);
        tracing::error!(place, "a panic was caught");
    }));
    Ok(())
}

/// Stands in logs and metrics for the status of a request without an answer. No caller gets it;
/// nginx uses it for the same.
const ENDED: u16 = 499;

/// What becomes of a request: an answer or, where it is dropped before one, the end of its
/// connection, by a caller that hung up or a server that has waited long enough to stop.
struct Account {
    app: Arc<App>,
    route: String,
    span: Span,
    start: Instant,
    open: bool,
}

impl Account {
    /// Logs and counts the answer.
    fn close(mut self, response: &Response) {
        self.open = false;
        let outcome = response.extensions().get::<Outcome>().copied();
        let status = response.status().as_u16();
        let time = self.start.elapsed();
        let metrics = &self.app.metrics;
        metrics.response(&self.route, status);
        metrics.latency(&self.route, time);
        if let Some(outcome) = outcome.filter(|_| is_check(&self.route)) {
            metrics.outcome(outcome);
        }
        let reason = response.extensions().get::<Reason>();
        self.span.in_scope(|| {
            if let Some(Reason(reason)) = reason.filter(|reason| !reason.0.is_empty()) {
                debug!(reason, "refused");
            }
            info!(
                status,
                code = outcome.map(Outcome::code),
                verdict = outcome.and_then(Outcome::verdict),
                milliseconds = time.as_millis() as u64,
                "answered"
            );
        });
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        self.app.metrics.response(&self.route, ENDED);
        self.span.in_scope(|| {
            info!(
                status = ENDED,
                milliseconds = self.start.elapsed().as_millis() as u64,
                "not answered: the connection ended"
            );
        });
    }
}

/// Gives each request an id, and logs and counts what becomes of it.
pub async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let id = request_id(request.headers());
    // A path that is no route may hold anything.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "other".to_owned(), |path| path.as_str().to_owned());
    let method = method(request.method());
    let span = info_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        method,
        route
    );
    let account = Account {
        app,
        route,
        span: span.clone(),
        start,
        open: true,
    };
    let mut response = next.run(request).instrument(span).await;
    account.close(&response);
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// A method that is none may hold anything, and be as long as a header.
fn method(method: &Method) -> &'static str {
    METHODS
        .iter()
        .find(|known| *known == method)
        .map_or("other", Method::as_str)
}

/// The caller's id where it is harmless in a log and a header, or a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let sane = |id: &&HeaderValue| {
        (1..=MAX_REQUEST_ID).contains(&id.len())
            && id
                .as_bytes()
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
    };
    headers
        .get(REQUEST_ID)
        .filter(sane)
        .cloned()
        .unwrap_or_else(new_id)
}

fn new_id() -> HeaderValue {
    let mut random = [0; 16];
    // Without random numbers all ids are the same, which is no reason to refuse to work.
    let _ = getrandom::fill(&mut random);
    HeaderValue::from_str(&hexadecimal(&random)).unwrap_or_else(|_| HeaderValue::from_static("0"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;
    use std::time::Duration;

    use axum::body::Body;
    use axum::{Router, middleware, routing};
    use clap::Parser;
    use tower::ServiceExt;

    use super::*;
    use crate::{Keys, Options};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(line)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The log of a request whose caller hangs up after a moment, and what was counted.
    async fn hung_up_on(handler: routing::MethodRouter<Arc<App>>) -> (Vec<String>, String) {
        let log = Lines::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone());
        let _installed = tracing::subscriber::set_default(lines.finish());
        let options = Options::try_parse_from(["liveness-server"]).unwrap();
        let app = Arc::new(App::new(Keys::generate().unwrap().0, &options).unwrap());
        let routes = Router::new()
            .route("/liveness/", handler)
            .layer(middleware::from_fn_with_state(app.clone(), observe))
            .with_state(app.clone());
        let request = Request::post("/liveness/")
            .header(REQUEST_ID, "order-7")
            .body(Body::empty())
            .unwrap();
        let _ = tokio::time::timeout(Duration::from_millis(20), routes.oneshot(request)).await;
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let metrics = String::from_utf8(app.metrics.text().unwrap().to_vec()).unwrap();
        (log.lines().map(str::to_owned).collect(), metrics)
    }

    #[tokio::test]
    async fn who_hangs_up_is_logged_and_counted_once() {
        let responses =
            |status| format!(r#"responses_total{{route="/liveness/",status="{status}"}} 1"#);
        let (log, metrics) = hung_up_on(routing::post(std::future::pending::<()>)).await;
        assert_eq!(log.len(), 1, "{log:?}");
        for part in ["the connection ended", "order-7", "status=499"] {
            assert!(log[0].contains(part), "{log:?}");
        }
        assert!(metrics.contains(&responses(499)), "{metrics}");
        assert!(!metrics.contains("liveness_requests_total{"), "{metrics}");

        let (log, metrics) = hung_up_on(routing::post(async || "an answer")).await;
        assert_eq!(log.len(), 1, "{log:?}");
        assert!(log[0].contains("answered") && log[0].contains("status=200"));
        assert!(metrics.contains(&responses(200)) && !metrics.contains("499\"}"));
    }

    #[test]
    fn methods_that_are_none_are_not_logged() {
        for known in &METHODS {
            assert_eq!(method(known), known.as_str());
        }
        for odd in ["private", "get", "GETS", &"A".repeat(60_000)] {
            assert_eq!(method(&odd.parse().unwrap()), "other");
        }
    }

    #[test]
    fn sane_ids_are_kept() {
        let id = |value: &[u8]| {
            let headers =
                HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_bytes(value).unwrap())]);
            request_id(&headers).to_str().unwrap().to_owned()
        };
        assert_eq!(id(b"order-7_a.B"), "order-7_a.B");
        for odd in [&b""[..], b"a b", b"a\"b", b"\xff", b"a;b", &[b'a'; 129]] {
            let new = id(odd);
            assert!(new.len() == 32 && new.bytes().all(|byte| byte.is_ascii_hexdigit()));
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }
}
