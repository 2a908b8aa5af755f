//! The addresses of the server and what they do.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use liveness::{Error, ErrorCode, Verdict};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tracing::error;

use crate::Checker;
use crate::admission::Admission;
use crate::answer::{Refusal, answer};
use crate::config::Options;
use crate::forms::{self, Form};
use crate::guesses::Guesses;
use crate::host;
use crate::keys::Keys;
use crate::metrics::{Metrics, Stage};
use crate::page;
use crate::reader::{Patience, Reader};
use crate::telemetry::{REQUEST_ID, observe};

const CHECK: [&str; 2] = ["/liveness", "/liveness/"];

const OPENAPI: &str = include_str!("../openapi.json");

/// What all requests share.
pub struct App {
    pub keys: Keys,
    pub guesses: Guesses,
    pub metrics: Arc<Metrics>,
    pub admission: Admission,
    pub patience: Patience,
    /// Empty until the networks are loaded.
    pub checker: OnceLock<Arc<dyn Checker>>,
    /// Whether the server has been told to stop.
    pub stopping: AtomicBool,
}

/// Whether a route is that of liveness requests.
pub fn is_check(route: &str) -> bool {
    CHECK.contains(&route)
}

/// All routes, and what surrounds each of them.
pub fn router(app: Arc<App>, options: &Options) -> Router {
    let mut routes = Router::new()
        .route(CHECK[0], any(check))
        .route(CHECK[1], any(check))
        .route("/healthz", get(healthz))
        .route("/openapi.json", get(openapi))
        .fallback(|State(app): State<Arc<App>>, request: Request| async move {
            app.refuse(request, Refusal::not_found())
        });
    for file in &page::FILES {
        routes = routes.route(file.path, get(|| async { file.response() }));
    }
    // They need no key and are for operators: no foreign page may read them.
    let inside = Router::new()
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics));
    let mut routes = safe(routes);
    if let Some(cors) = cors(&options.cors_origins) {
        // It answers whatever asks for permission, and where nothing is there is none to give.
        routes = routes.route_layer(cors);
    }
    surrounded(routes.merge(safe(inside)), app, options)
}

/// Refuses wrong methods, and answers after a panic.
fn safe(routes: Router<Arc<App>>) -> Router<Arc<App>> {
    routes
        .method_not_allowed_fallback(|State(app): State<Arc<App>>, request: Request| async move {
            app.refuse(request, Refusal::wrong_method("GET, HEAD"))
        })
        .layer(CatchPanicLayer::custom(|_| {
            Refusal::internal().into_response()
        }))
}

fn surrounded(routes: Router<Arc<App>>, app: Arc<App>, options: &Options) -> Router {
    let https = options.tls_cert.is_some();
    routes
        .layer(middleware::from_fn_with_state(app.clone(), hosted))
        .layer(middleware::map_response(move |response| async move {
            secured(response, https)
        }))
        .layer(middleware::from_fn_with_state(app.clone(), observe))
        .with_state(app)
}

/// Refuses a request that does not say once for which host it is. One for a check has to show its key before.
async fn hosted(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let route = parts.extensions.get::<MatchedPath>();
    let named = match route {
        Some(route) if is_check(route.as_str()) => Ok(()),
        _ => host::ensure_one(&parts),
    };
    let request = Request::from_parts(parts, body);
    match named {
        Ok(()) => next.run(request).await,
        Err(refusal) => app.refuse(request, refusal),
    }
}

fn cors(origins: &[HeaderValue]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let origins = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().cloned())
    };
    Some(
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::POST, Method::GET])
            .allow_headers([
                HeaderName::from_static("x-api-key"),
                header::AUTHORIZATION,
                header::CONTENT_TYPE,
                REQUEST_ID,
            ])
            .expose_headers([REQUEST_ID, header::RETRY_AFTER]),
    )
}

/// Adds the headers that keep browsers and caches from doing more than they should.
fn secured(mut response: Response, https: bool) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(self), microphone=(), geolocation=()",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    if https {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
    response
}

async fn check(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let details = forms::details(parts.uri.query());
    let asked = matches!(details, Ok(true));
    let admitted = app.admit(&parts, details);
    let most = admitted.as_ref().map_or(0, |(form, _)| form.most());
    let mut reader = Reader::new(&parts, body, most, app.patience);
    let result = match admitted {
        Ok((form, details)) => app.check(&form, &mut reader, details).await,
        Err(refusal) => Err((refusal, asked)),
    };
    result.unwrap_or_else(|(refusal, details)| {
        reader.drain(app.admission.drain());
        refusal.response(details)
    })
}

impl App {
    pub fn new(keys: Keys, options: &Options) -> Result<Self, prometheus::Error> {
        let metrics = Arc::new(Metrics::new()?);
        Ok(App {
            keys,
            guesses: Guesses::new(options.max_wrong_keys, options.proxies),
            admission: Admission::new(options, metrics.clone()),
            metrics,
            patience: Patience {
                idle: options.idle_timeout,
                whole: options.upload_timeout,
            },
            checker: OnceLock::new(),
            stopping: AtomicBool::new(false),
        })
    }

    /// Refuses what asks for nothing that could be done.
    fn refuse(&self, request: Request, refusal: Refusal) -> Response {
        let (parts, body) = request.into_parts();
        let details = matches!(forms::details(parts.uri.query()), Ok(true));
        Reader::new(&parts, body, 0, self.patience).drain(self.admission.drain());
        refusal.response(details)
    }

    /// All that can be told before the body is read, in the order of the contract.
    fn admit(
        &self,
        parts: &Parts,
        details: Result<bool, Refusal>,
    ) -> Result<(Form, bool), Refusal> {
        let socket = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|info| info.0);
        let credentials = self.keys.credentials(&parts.headers);
        self.guesses.judge(socket, &parts.headers, &credentials)?;
        host::ensure_one(parts)?;
        if parts.method != Method::POST {
            return Err(Refusal::wrong_method("POST"));
        }
        let form = Form::of(&parts.headers)?;
        let details = details?;
        if declared(&parts.headers).is_some_and(|length| length > form.most() as u64) {
            return Err(Refusal::too_large());
        }
        Ok((form, details))
    }

    /// Reads the body and has its image checked; a refusal comes with what is known about the
    /// wish for details.
    async fn check(
        self: &Arc<Self>,
        form: &Form,
        reader: &mut Reader,
        details: bool,
    ) -> Result<Response, (Refusal, bool)> {
        let Some(checker) = self.checker.get().cloned() else {
            return Err((Refusal::unavailable(), details));
        };
        let uploading = self
            .admission
            .upload()
            .map_err(|refusal| (refusal, details))?;
        let start = Instant::now();
        let upload = form
            .read(reader, uploading)
            .await
            .map_err(|refusal| (refusal, details))?;
        self.metrics.stage(Stage::Read, start.elapsed());
        let details = details | upload.details;
        let app = self.clone();
        self.admission
            .run(move || {
                let start = Instant::now();
                let result = checker.check(upload.payload.image());
                app.metrics.stage(Stage::Check, start.elapsed());
                app.account(&result);
                answer(&result, details)
            })
            .await
            .map_err(|refusal| (refusal, details))
    }

    fn account(&self, result: &Result<Verdict, Error>) {
        match result {
            Ok(verdict) => self.metrics.timings(&verdict.details.timings),
            Err(error) if error.code() == ErrorCode::Internal => {
                error!(cause = error.detail(), "a check failed");
            }
            Err(_) => {}
        }
    }

    fn ready(&self) -> bool {
        self.checker.get().is_some() && !self.stopping.load(Ordering::SeqCst)
    }
}

fn declared(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn state(status: StatusCode, state: &'static str) -> Response {
    let body = format!(r#"{{"status":"{state}"}}"#);
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn healthz() -> Response {
    state(StatusCode::OK, "ok")
}

async fn readyz(State(app): State<Arc<App>>) -> Response {
    if app.ready() {
        state(StatusCode::OK, "ready")
    } else {
        // Not of this server while it stops, but of the one that takes its place.
        let soon = [(header::RETRY_AFTER, "1")];
        (soon, state(StatusCode::SERVICE_UNAVAILABLE, "not ready")).into_response()
    }
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    match app.metrics.text() {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "text/plain; version=0.0.4; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(cause) => {
            error!(%cause, "the metrics cannot be written");
            Refusal::internal().into_response()
        }
    }
}

async fn openapi() -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        Body::from(OPENAPI),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_in_a_handler_is_005() {
        let options = Options::try_parse_from(["liveness-server"]).unwrap();
        let (keys, _) = Keys::generate().unwrap();
        let app = Arc::new(App::new(keys, &options).unwrap());
        let routes = Router::new().route(
            "/",
            get(|| async {
                if true {
                    panic!("forced");
                }
            }),
        );
        let response = surrounded(safe(routes), app, &options)
            .oneshot(
                Request::get("/")
                    .header("Host", "a")
                    .body(Body::empty())
                    .unwrap(),
            )
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(response.headers().contains_key(REQUEST_ID));
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let body = axum::body::to_bytes(response.into_body(), 1000)
            .await
            .unwrap();
        assert_eq!(
            body,
            r#"{"success":false,"error_code":"005","error_message":"Server internal error, please try again."}"#
        );
    }
}
