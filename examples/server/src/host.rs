//! The host that a request is for.
//!
//! The server answers to every name. But a proxy before it may go by one, and where the two can read different
//! ones a caller gets past what the proxy permits, so the standards have such a request refused (RFC 9112, section
//! 3.2; RFC 9113, section 8.3.1).

use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Version, header};

use crate::answer::Refusal;

/// Refuses a request that does not say for which host it is, or says so in two ways.
pub fn ensure_one(parts: &Parts) -> Result<(), Refusal> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let fault = match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => Some("the request has more than one header Host"),
        (Some(host), None) => fault(host, parts),
        (None, _) => lacks_host(parts).then_some("the request has no header Host"),
    };
    let Some(fault) = fault else { return Ok(()) };
    let refusal = Refusal::malformed(format!(
        "{fault}: send one, as HTTP clients do by themselves"
    ));
    Err(match parts.version {
        // There the connection's other requests cannot be taken for a part of this one.
        Version::HTTP_2 => refusal,
        _ => refusal.closing(),
    })
}

/// HTTP/1.0 knows no hosts, and HTTP/2 has another place for them.
fn lacks_host(parts: &Parts) -> bool {
    match parts.version {
        Version::HTTP_2 => parts.uri.authority().is_none(),
        version => version >= Version::HTTP_11,
    }
}

fn fault(host: &HeaderValue, parts: &Parts) -> Option<&'static str> {
    let Some(host) = readable(host) else {
        return Some("the request's header Host names no host");
    };
    // In HTTP/1.1 the address counts where it has a host, whatever the header says.
    let other = parts
        .uri
        .authority()
        .filter(|_| parts.version == Version::HTTP_2)?;
    let scheme = parts.uri.scheme_str().unwrap_or_default();
    (named(&host, scheme) != named(other, scheme))
        .then_some("the request's header Host is not its :authority")
}

fn readable(host: &HeaderValue) -> Option<Authority> {
    let host = Authority::try_from(host.as_bytes()).ok()?;
    // Of an address there may be a user before it, and anything for a port.
    let rest = host.as_str().strip_prefix(host.host())?;
    let number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    (rest.is_empty() || rest.strip_prefix(':').is_some_and(number)).then_some(host)
}

fn named(authority: &Authority, scheme: &str) -> (String, Option<u16>) {
    let port = authority.port_u16().or(usual_port(scheme));
    (authority.host().to_ascii_lowercase(), port)
}

/// The port of an address without one.
pub fn usual_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn accepted(version: Version, uri: &str, hosts: &[&str]) -> bool {
        let request = Request::builder().version(version).uri(uri);
        let add =
            |request: axum::http::request::Builder, host: &&str| request.header("host", *host);
        let request = hosts.iter().fold(request, add).body(()).unwrap();
        ensure_one(&request.into_parts().0).is_ok()
    }

    #[test]
    fn one_host_is_enough_and_needed() {
        let host = |hosts: &[&str]| accepted(Version::HTTP_11, "/", hosts);
        for name in ["a", "A.example:8080", "127.0.0.1", "[::1]:80", "a_b", "a:"] {
            assert!(host(&[name]), "{name}");
        }
        for name in [
            "", "a b", "a:b", "a/b", "user@a", "a@a", "http://a", "[::1", "[::1]80", "\u{fc}",
        ] {
            assert!(!host(&[name]), "{name}");
        }
        assert!(!host(&[]) && !host(&["a", "a"]) && !host(&["a", "b"]));
    }

    #[test]
    fn versions_have_their_own_rules() {
        assert!(accepted(Version::HTTP_10, "/", &[]));
        assert!(!accepted(Version::HTTP_10, "/", &["a", "a"]));
        // As a proxy is asked.
        assert!(accepted(Version::HTTP_11, "http://a/", &["b"]));
        assert!(!accepted(Version::HTTP_11, "http://a/", &[]));
        let in_2 = |uri, hosts: &[&str]| accepted(Version::HTTP_2, uri, hosts);
        assert!(in_2("http://a/", &[]) && in_2("/", &["a"]) && !in_2("/", &[]));
        assert!(in_2("http://a/", &["A:80"]) && in_2("https://a:443/", &["a"]));
        for host in ["b", "a:81", "a:443", ""] {
            assert!(!in_2("http://a/", &[host]), "{host}");
        }
        assert!(!in_2("http://a/", &["a", "a"]));
    }
}
