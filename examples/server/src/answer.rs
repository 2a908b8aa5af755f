//! Answers: the JSON of the contract, whatever happened.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use liveness::{Error, ErrorCode, Verdict, response};

/// What an answer says, for the log and the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Live,
    Attack,
    Error(ErrorCode),
}

impl Outcome {
    /// `"ok"` or the code of the contract.
    pub fn code(self) -> &'static str {
        match self {
            Outcome::Live | Outcome::Attack => "ok",
            Outcome::Error(code) => code.as_str(),
        }
    }

    /// What was decided, if anything was.
    pub fn verdict(self) -> Option<&'static str> {
        match self {
            Outcome::Live => Some("live"),
            Outcome::Attack => Some("attack"),
            Outcome::Error(_) => None,
        }
    }
}

/// Why the server refused, in its own words: nothing of what was sent is in them.
#[derive(Debug, Clone)]
pub struct Reason(pub String);

/// What the library said.
pub fn answer(result: &Result<Verdict, Error>, details: bool) -> Response {
    let (status, outcome) = match result {
        Ok(verdict) if verdict.liveness => (StatusCode::OK, Outcome::Live),
        Ok(_) => (StatusCode::OK, Outcome::Attack),
        Err(error) => (status(error.code()), Outcome::Error(error.code())),
    };
    json(status, outcome, response::to_json(result, details))
}

fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorCode::UnreadableImage | ErrorCode::BadRequest => StatusCode::BAD_REQUEST,
        ErrorCode::ImageTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorCode::FaceCount | ErrorCode::MaskDetected => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

fn json(status: StatusCode, outcome: Outcome, body: String) -> Response {
    let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
    response.extensions_mut().insert(outcome);
    response
}

/// Why the server answers without asking the library.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    error: Error,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// A code of the contract with its usual status, and cause and cure for a person.
    pub fn new(code: ErrorCode, cause: impl Into<String>) -> Self {
        Refusal {
            status: status(code),
            error: Error::new(code, cause),
            header: None,
        }
    }

    pub fn malformed(cause: impl Into<String>) -> Self {
        Refusal::new(ErrorCode::BadRequest, cause)
    }

    pub fn unauthorized() -> Self {
        Refusal::new(
            ErrorCode::Unauthorized,
            "send an API key in the header X-API-Key, or as Authorization: Bearer",
        )
        .with_header(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"liveness\""),
        )
    }

    /// Whether the key is right is not said any more.
    pub fn too_many_keys(wait: Duration) -> Self {
        let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
        Refusal::new(
            ErrorCode::Unauthorized,
            "too many wrong API keys came from this address: wait, then send the right one",
        )
        .with_status(StatusCode::TOO_MANY_REQUESTS)
        .with_header(header::RETRY_AFTER, seconds)
    }

    pub fn too_large() -> Self {
        Refusal::new(
            ErrorCode::ImageTooLarge,
            "the image is larger than 10 MiB, or the request much larger than one with such an image: send a smaller one",
        )
    }

    pub fn wrong_method(allowed: &'static str) -> Self {
        Refusal::malformed(format!("this address answers to {allowed} only"))
            .with_status(StatusCode::METHOD_NOT_ALLOWED)
            .with_header(header::ALLOW, HeaderValue::from_static(allowed))
    }

    pub fn not_found() -> Self {
        Refusal::malformed("nothing is at this address: POST to /liveness/")
            .with_status(StatusCode::NOT_FOUND)
    }

    pub fn too_slow() -> Self {
        Refusal::malformed(
            "the request took too long to arrive: send it faster, or a smaller image",
        )
        .with_status(StatusCode::REQUEST_TIMEOUT)
    }

    /// The same request may succeed a little later.
    pub fn unavailable() -> Self {
        Refusal::internal()
            .with_status(StatusCode::SERVICE_UNAVAILABLE)
            .with_header(header::RETRY_AFTER, 1_u64)
    }

    /// What went wrong inside is for the log, not for the caller.
    pub fn internal() -> Self {
        Refusal::new(ErrorCode::Internal, "")
    }

    /// Ends the connection of HTTP/1: whoever reads the request otherwise may also see its end elsewhere.
    pub fn closing(self) -> Self {
        self.with_header(header::CONNECTION, HeaderValue::from_static("close"))
    }

    fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    fn with_header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.header = Some((name, value.into()));
        self
    }

    pub fn response(self, details: bool) -> Response {
        let outcome = Outcome::Error(self.error.code());
        let reason = Reason(self.error.detail().to_owned());
        let mut response = json(
            self.status,
            outcome,
            response::to_json(&Err(self.error), details),
        );
        response.headers_mut().extend(self.header);
        response.extensions_mut().insert(reason);
        response
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.response(false)
    }
}
