//! What an operator can choose, by flags or by the environment.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use axum::http::{HeaderValue, Uri};
use clap::{CommandFactory, Parser};
use tracing::level_filters::LevelFilter;

use crate::MAX_IMAGE_BYTES;
use crate::host::usual_port;

const AFTER_HELP: &str = "\
API keys: LIVENESS_API_KEYS holds them, separated by commas; a flag would show them to every user
of the machine. Without it and without --keys-file a key is generated and printed once.
In the file of --keys-file, empty lines and those that begin with # are skipped.
LIVENESS_ONNXRUNTIME names an ONNX Runtime library, like --onnxruntime.
Signals: SIGTERM and SIGINT finish what is running and stop, at once if they come again; SIGHUP
reads keys and certificate again.";

/// Checks selfies over HTTP: POST /liveness/, a page at /, /openapi.json, /healthz, /readyz, /metrics.
#[derive(Debug, Clone, Parser)]
#[command(version, after_help = AFTER_HELP)]
pub struct Options {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(
        long,
        env = "LIVENESS_ADDRESS",
        default_value = "127.0.0.1:8080",
        value_name = "IP:PORT"
    )]
    pub address: SocketAddr,

    /// File with one API key per line, read again when it changes; a pipe is read once
    #[arg(long, env = "LIVENESS_KEYS_FILE", value_name = "FILE")]
    pub keys_file: Option<PathBuf>,

    /// Wrong API keys that a peer may try in a row, and then in each minute; further requests are
    /// answered with 429, but for the last 16 keys that it has used with success. 0 for no limit
    #[arg(
        long,
        env = "LIVENESS_MAX_WRONG_KEYS",
        default_value_t = 30,
        value_name = "NUMBER"
    )]
    pub max_wrong_keys: u32,

    /// Reverse proxies before the server, each of which adds its caller to X-Forwarded-For. Without
    /// any, that header is ignored; with one or more, let nobody reach the server past them
    #[arg(
        long,
        env = "LIVENESS_PROXIES",
        default_value_t = 0,
        value_name = "NUMBER"
    )]
    pub proxies: usize,

    /// Live from this live_probability on, between 0 and 1; error rates were measured from 0.1 to 0.9. The models' own
    /// unless given
    #[arg(long, env = "LIVENESS_THRESHOLD", value_parser = threshold, allow_negative_numbers = true, value_name = "NUMBER")]
    pub threshold: Option<f32>,

    /// Masked, which is 052, from this mask_probability on, between 0 and 1; the models' own unless given
    #[arg(long, env = "LIVENESS_MASK_THRESHOLD", value_parser = threshold, allow_negative_numbers = true, value_name = "NUMBER")]
    pub mask_threshold: Option<f32>,

    /// A second face counts, which is 051, from this share of the main face's height on, from 0 to 1
    #[arg(long, env = "LIVENESS_SECOND_FACE_RATIO", default_value = "0.3", value_parser = share, allow_negative_numbers = true, value_name = "NUMBER")]
    pub second_face_ratio: f32,

    /// Refuse with 051 an image whose details give reasons of poor quality, which otherwise are only reported;
    /// the variable is true or false
    #[arg(long, env = "LIVENESS_STRICT_QUALITY", value_parser = flag)]
    pub strict_quality: bool,

    /// ONNX Runtime shared library to use instead of the embedded engine
    #[arg(long, value_name = "FILE")]
    pub onnxruntime: Option<PathBuf>,

    /// Folder of models to use instead of the embedded ones
    #[arg(long, env = "LIVENESS_MODELS_DIR", value_name = "FOLDER")]
    pub models_dir: Option<PathBuf>,

    /// Largest image in pixels; a check takes up to 16 bytes of memory for each. The library's
    /// 100,000,000 unless given
    #[arg(long, env = "LIVENESS_MAX_PIXELS", value_name = "NUMBER")]
    pub max_pixels: Option<NonZeroU64>,

    /// Longest time for a check, from which on it is answered with 500 and 005
    #[arg(long, env = "LIVENESS_TIME_LIMIT", default_value = "10", value_parser = seconds, value_name = "SECONDS")]
    pub time_limit: Duration,

    /// Checks at once; one per core unless given
    #[arg(long, env = "LIVENESS_MAX_CHECKS", value_name = "NUMBER")]
    pub max_checks: Option<NonZeroUsize>,

    /// Requests that may wait for a check; further ones are answered with 503
    #[arg(
        long,
        env = "LIVENESS_QUEUE",
        default_value_t = 32,
        value_name = "NUMBER"
    )]
    pub queue: usize,

    /// Requests whose image may be on its way at once; further ones are answered with 503
    #[arg(
        long,
        env = "LIVENESS_MAX_UPLOADS",
        default_value = "64",
        value_name = "NUMBER"
    )]
    pub max_uploads: NonZeroUsize,

    /// Longest wait for a check
    #[arg(long, env = "LIVENESS_QUEUE_TIMEOUT", default_value = "10", value_parser = seconds, value_name = "SECONDS")]
    pub queue_timeout: Duration,

    /// Longest wait for a request's header, also on an idle connection, in HTTP/1 and HTTP/2; not 0
    #[arg(long, env = "LIVENESS_HEADER_TIMEOUT", default_value = "15", value_parser = patience, value_name = "SECONDS")]
    pub header_timeout: Duration,

    /// Longest pause of a sender within a body; not 0
    #[arg(long, env = "LIVENESS_IDLE_TIMEOUT", default_value = "10", value_parser = patience, value_name = "SECONDS")]
    pub idle_timeout: Duration,

    /// Longest time for a whole body; not 0
    #[arg(long, env = "LIVENESS_UPLOAD_TIMEOUT", default_value = "60", value_parser = patience, value_name = "SECONDS")]
    pub upload_timeout: Duration,

    /// Time from being told to stop, and /readyz saying so, until no connection is accepted any more
    #[arg(long, env = "LIVENESS_SHUTDOWN_DELAY", default_value = "0", value_parser = seconds, value_name = "SECONDS")]
    pub shutdown_delay: Duration,

    /// Longest time after that for what is running
    #[arg(long, env = "LIVENESS_SHUTDOWN_TIMEOUT", default_value = "30", value_parser = seconds, value_name = "SECONDS")]
    pub shutdown_timeout: Duration,

    /// Origins of foreign pages that may call, such as https://app.example, separated by commas, or *
    /// for all; none unless given. None may read /metrics and /readyz
    #[arg(
        long = "cors-origin",
        env = "LIVENESS_CORS_ORIGINS",
        value_delimiter = ',',
        value_parser = origin,
        value_name = "ORIGIN"
    )]
    pub cors_origins: Vec<HeaderValue>,

    /// Certificate chain in PEM: serves HTTPS
    #[arg(
        long,
        env = "LIVENESS_TLS_CERT",
        requires = "tls_key",
        value_name = "FILE"
    )]
    pub tls_cert: Option<PathBuf>,

    /// Private key of the certificate in PEM
    #[arg(
        long,
        env = "LIVENESS_TLS_KEY",
        requires = "tls_cert",
        value_name = "FILE"
    )]
    pub tls_key: Option<PathBuf>,

    /// Least important level that is logged: error, warn, info, debug, trace or off
    #[arg(
        long,
        env = "LIVENESS_LOG",
        default_value = "info",
        value_name = "LEVEL"
    )]
    pub log_level: LevelFilter,
}

/// Variables that no flag stands for: the keys, and those of the library and its bindings.
const OTHER_VARIABLES: [&str; 3] = [
    "LIVENESS_API_KEYS",
    "LIVENESS_ONNXRUNTIME",
    "LIVENESS_LIBRARY",
];

/// Names of environment variables that look as if they were for the server, which knows none of
/// them: a limit with a slip in its name is no limit.
pub fn unknown_variables() -> Vec<String> {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    unknown(std::env::vars_os().map(|(name, value)| (text(name), text(value))))
}

fn unknown(variables: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let command = Options::command();
    let known = |name: &str| {
        OTHER_VARIABLES.contains(&name)
            || command
                .get_arguments()
                .filter_map(|argument| argument.get_env())
                .any(|known| known == name)
    };
    let mut names: Vec<_> = variables
        .filter(|(name, value)| {
            name.starts_with("LIVENESS_") && !known(name) && !of_kubernetes(name, value)
        })
        .map(|(name, _)| name)
        .collect();
    names.sort();
    names
}

/// Kubernetes tells every container where its services are: LIVENESS_PORT and more, for one that is called
/// liveness.
fn of_kubernetes(name: &str, value: &str) -> bool {
    name.contains("_SERVICE_")
        || name.contains("_PORT_")
        || name.ends_with("_PORT") && value.contains("://")
}

impl Options {
    /// The library's configuration.
    pub fn engine(&self) -> liveness::Config {
        let mut config = liveness::Config::default();
        config.threshold = self.threshold;
        config.mask_threshold = self.mask_threshold;
        config.second_face_ratio = self.second_face_ratio;
        config.strict_quality = self.strict_quality;
        config.onnxruntime = self.onnxruntime.clone();
        config.models_dir = self.models_dir.clone();
        config.max_file_bytes = MAX_IMAGE_BYTES as u64;
        if let Some(most) = self.max_pixels {
            config.max_pixels = most.get();
        }
        config.time_limit = self.time_limit;
        config
    }

    /// Checks that may run at once.
    pub(crate) fn checks(&self) -> usize {
        self.max_checks
            .or_else(|| std::thread::available_parallelism().ok())
            .map_or(1, NonZeroUsize::get)
    }
}

fn threshold(text: &str) -> Result<f32, String> {
    // At either end all or nothing would be live, or masked.
    text.parse()
        .ok()
        .filter(|value| *value > 0.0 && *value < 1.0)
        .ok_or_else(|| "give a number between 0 and 1, both excluded, such as 0.5".into())
}

fn share(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|value| (0.0..=1.0).contains(value))
        .ok_or_else(|| "give a number from 0 to 1, such as 0.3".into())
}

fn flag(text: &str) -> Result<bool, String> {
    truth(text.as_bytes()).ok_or_else(|| "give true or false".into())
}

/// The spellings that requests and options may have.
pub fn truth(value: &[u8]) -> Option<bool> {
    match value {
        b"true" | b"True" | b"1" => Some(true),
        b"false" | b"False" | b"0" => Some(false),
        _ => None,
    }
}

/// The clock cannot count to the end of any time.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|time| *time <= LONGEST)
        .ok_or_else(|| "give a number of seconds, such as 10 or 0.5, a year's at most".into())
}

/// A time within which a sender has to get something done.
fn patience(text: &str) -> Result<Duration, String> {
    let patience = seconds(text)?;
    if patience.is_zero() {
        return Err("every request would be refused; give a positive number, such as 0.5".into());
    }
    Ok(patience)
}

/// An origin, which is compared with a browser's byte for byte.
fn origin(text: &str) -> Result<HeaderValue, String> {
    let sent = as_sent(text).ok_or("give scheme and host, such as https://app.example, or *")?;
    if sent != text {
        return Err(format!(
            "no browser sends it so, in which an origin has no path, no capitals and no port that \
             is the scheme's own: give {sent}"
        ));
    }
    HeaderValue::try_from(sent).map_err(|cause| cause.to_string())
}

/// How browsers write an origin.
fn as_sent(text: &str) -> Option<String> {
    // Pages without an origin of their own, such as those out of a file, send null.
    if ["*", "null"].contains(&text) {
        return Some(text.into());
    }
    let url: Uri = text.parse().ok()?;
    let scheme = url.scheme_str()?.to_ascii_lowercase();
    let host = url.host()?.to_ascii_lowercase();
    // None stands for several.
    if host.contains('*') {
        return None;
    }
    let port = url
        .port_u16()
        .filter(|port| Some(*port) != usual_port(&scheme));
    let port = port.map_or_else(String::new, |port| format!(":{port}"));
    Some(format!("{scheme}://{host}{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["liveness-server"], arguments].concat())
    }

    #[test]
    fn defaults_are_local_and_closed() {
        let options = options(&[]).unwrap();
        assert_eq!(options.address, ([127, 0, 0, 1], 8080).into());
        assert!(options.cors_origins.is_empty() && options.checks() >= 1);
        assert_eq!(options.engine(), liveness::Config::default());
        let options = self::options(&["--max-pixels", "1000"]).unwrap();
        assert_eq!(options.engine().max_pixels, 1000);
        let options = self::options(&["--time-limit", "0.5"]).unwrap();
        assert_eq!(options.engine().time_limit, Duration::from_millis(500));
    }

    #[test]
    fn what_decides_over_a_face_reaches_the_library() {
        let options = options(&[
            "--threshold=0.7",
            "--mask-threshold=0.9",
            "--second-face-ratio=0.25",
            "--strict-quality",
        ]);
        let chosen = options.unwrap().engine();
        let mut expected = liveness::Config::default();
        expected.threshold = Some(0.7);
        expected.mask_threshold = Some(0.9);
        expected.second_face_ratio = 0.25;
        expected.strict_quality = true;
        assert_eq!(chosen, expected);
    }

    #[test]
    fn numbers_out_of_range_are_refused_with_the_range() {
        let between = "give a number between 0 and 1, both excluded";
        for (option, wrong, range) in [
            (
                "--threshold",
                &["0", "1", "-0.1", "2", "NaN", "0.99999999", "half", ""][..],
                between,
            ),
            ("--mask-threshold", &["0", "1", "-0.1", "inf"], between),
            (
                "--second-face-ratio",
                &["-0.1", "1.1", "30", "NaN", "0,3"],
                "give a number from 0 to 1",
            ),
        ] {
            for value in wrong {
                let cause = options(&[option, value]).unwrap_err().to_string();
                assert!(cause.contains(option) && cause.contains(range), "{cause}");
            }
        }
        for share in ["0", "1"] {
            assert!(options(&["--second-face-ratio", share]).is_ok(), "{share}");
        }
    }

    #[test]
    fn the_readme_names_every_option() {
        let readme = include_str!("../../../README.md");
        for argument in Options::command().get_arguments() {
            let Some(name) = argument.get_long() else {
                continue;
            };
            assert!(readme.contains(&format!("`--{name}")), "--{name}");
            let usual = format!("LIVENESS_{}", name.to_uppercase().replace('-', "_"));
            let variable = argument.get_env().and_then(|name| name.to_str());
            let told = |variable| readme.contains(&format!("`{variable}`"));
            assert!(
                variable.is_none_or(|variable| variable == usual || told(variable)),
                "{variable:?}"
            );
        }
    }

    #[test]
    fn variables_with_a_slip_are_found() {
        let variables = [
            ("LIVENESS_QUEU", "1"),
            ("LIVENESS_API_KEY", "private"),
            ("LIVENESS_PORT", "9000"),
            ("LIVENESS_QUEUE", "1"),
            ("LIVENESS_LOG", "info"),
            ("LIVENESS_CORS_ORIGINS", "*"),
            ("LIVENESS_MASK_THRESHOLD", "0.9"),
            ("LIVENESS_SECOND_FACE_RATIO", "0.25"),
            ("LIVENESS_STRICT_QUALITY", "true"),
            ("LIVENESS_STRICT", "true"),
            ("LIVENESS_API_KEYS", "private"),
            ("LIVENESS_ONNXRUNTIME", "a.so"),
            ("LIVENESS_SERVER_PORT", "tcp://10.0.0.1:8080"),
            ("LIVENESS_PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("LIVENESS_SERVICE_HOST", "10.0.0.1"),
            ("HOME", "/"),
        ];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        assert_eq!(
            unknown(variables.into_iter()),
            [
                "LIVENESS_API_KEY",
                "LIVENESS_PORT",
                "LIVENESS_QUEU",
                "LIVENESS_STRICT"
            ]
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for arguments in [
            &["--tls-cert", "a.pem"][..],
            &["--max-checks", "0"],
            &["--max-pixels", "0"],
            &["--idle-timeout", "-1"],
            &["--idle-timeout", "NaN"],
            &["--header-timeout", "1e19"],
            &["--log-level", "loud"],
            &["--address", "localhost"],
        ] {
            assert!(options(arguments).is_err(), "{arguments:?}");
        }
        assert_eq!(
            options(&["--cors-origin", "https://a.example,https://b.example"])
                .unwrap()
                .cors_origins
                .len(),
            2
        );
    }

    #[test]
    fn senders_get_some_time() {
        for option in ["--header-timeout", "--idle-timeout", "--upload-timeout"] {
            for none in ["0", "0.0", "1e-12"] {
                let cause = options(&[option, none]).unwrap_err().to_string();
                for part in [option, "would be refused", "give a positive number"] {
                    assert!(cause.contains(part), "{cause}");
                }
            }
            assert!(options(&[option, "0.001"]).is_ok(), "{option}");
        }
        // Nobody has to wait for a check or at the end.
        for option in ["--queue-timeout", "--shutdown-delay", "--shutdown-timeout"] {
            assert!(options(&[option, "0"]).is_ok(), "{option}");
        }
    }

    #[test]
    fn origins_are_as_browsers_send_them() {
        for sent in [
            "*",
            "null",
            "https://a.example",
            "http://localhost:3000",
            "https://a.example:80",
            "http://[::1]:8080",
            "capacitor://localhost",
        ] {
            let options = options(&["--cors-origin", sent]).unwrap();
            assert_eq!(options.cors_origins, [sent]);
        }
        for (given, cure) in [
            ("https://a.example/", "give https://a.example"),
            ("https://a.example/page?x", "give https://a.example"),
            ("https://user@a.example", "give https://a.example"),
            ("HTTPS://A.example:443", "give https://a.example"),
            ("http://a.example:80", "give http://a.example"),
            ("https://a.example:08443", "give https://a.example:8443"),
            (
                "https://a.example, https://b.example",
                "give scheme and host",
            ),
            ("https://a.example,", "give scheme and host"),
            ("https://b\u{fc}ro.example", "give scheme and host"),
            ("a.example", "give scheme and host"),
            ("https://*.example", "give scheme and host"),
            ("", "give scheme and host"),
        ] {
            let cause = options(&["--cors-origin", given]).unwrap_err().to_string();
            assert!(cause.contains(cure), "{given}: {cause}");
        }
    }
}
