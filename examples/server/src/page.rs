//! The page at `/`, part of the program.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

/// Nothing but the page's own files, the camera's pictures and this server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob: mediastream:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page.
pub struct File {
    pub path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

pub const FILES: [File; 4] = [
    File {
        path: "/",
        kind: "text/html; charset=utf-8",
        bytes: include_bytes!("../page/index.html"),
    },
    File {
        path: "/page.css",
        kind: "text/css; charset=utf-8",
        bytes: include_bytes!("../page/page.css"),
    },
    File {
        path: "/page.js",
        kind: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../page/page.js"),
    },
    File {
        path: "/icon.svg",
        kind: "image/svg+xml",
        bytes: include_bytes!("../page/icon.svg"),
    },
];

impl File {
    pub fn response(&'static self) -> Response {
        (
            [
                (header::CONTENT_TYPE, HeaderValue::from_static(self.kind)),
                (
                    header::CONTENT_SECURITY_POLICY,
                    HeaderValue::from_static(POLICY),
                ),
                // Asked for anew each time: after an update an old script would meet a new page.
                (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            ],
            self.bytes,
        )
            .into_response()
    }
}
