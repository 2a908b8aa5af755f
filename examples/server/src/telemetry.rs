//! Logs, request ids and the accounts of each answer.
//!
//! Logged is what happened, never what was sent: no header but the request id, no query, no
//! body, and no other crate's words below a warning.

use std::panic::Location;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::level_filters::LevelFilter;
use tracing::{Instrument, info, info_span};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::answer::Outcome;
use crate::keys::hexadecimal;
use crate::routes::{App, is_check};

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_REQUEST_ID: usize = 128;

/// Sends the log to standard error as JSON lines, panics included.
///
/// # Errors
/// Where a log is installed already.
pub fn install(level: LevelFilter) -> Result<(), TryInitError> {
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("liveness_server", level);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_writer(std::io::stderr);
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

/// Gives each request an id, and logs and counts its answer.
pub async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let id = request_id(request.headers());
    // A path that is no route may hold anything.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "other".to_owned(), |path| path.as_str().to_owned());
    let span = info_span!("request", id = id.to_str().unwrap_or_default(), method = %request.method(), route);
    let mut response = next.run(request).instrument(span.clone()).await;
    let outcome = response.extensions().get::<Outcome>().copied();
    let status = response.status().as_u16();
    let time = start.elapsed();
    let counted = outcome.filter(|_| is_check(&route));
    app.metrics.response(&route, status, counted, time);
    span.in_scope(|| {
        info!(
            status,
            code = outcome.map(Outcome::code),
            verdict = outcome.and_then(Outcome::verdict),
            milliseconds = time.as_millis() as u64,
            "answered"
        );
    });
    response.headers_mut().insert(REQUEST_ID, id);
    response
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
    use super::*;

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
