//! A real server on a port of its own, and clients for it.

#![allow(dead_code)] // Every test program uses a part.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use clap::Parser;
use liveness::{Config, Engine, Error, Image, Verdict};
use liveness_server::{Checker, Control, Keys, Options, Server};
use reqwest::header::HeaderMap;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

pub const KEY: &str = "key-of-the-tests";
/// A second key that is valid at the same time.
pub const OTHER_KEY: &str = "other-key-of-the-tests";

pub static ENGINE: LazyLock<Arc<Engine>> =
    LazyLock::new(|| Arc::new(Engine::new(Config::default()).expect("the embedded models load")));

pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub fn portrait() -> Vec<u8> {
    std::fs::read(repository().join("tests/fixtures/astronaut.png")).expect("the fixture is there")
}

/// What the library itself answers.
pub fn expected(image: &[u8]) -> String {
    liveness::response::to_json(&ENGINE.check(Image::Encoded(image)), false)
}

/// The answer of the contract to an error.
pub fn failure(code: &str) -> String {
    let message = match code {
        "001" => "API key is either missing or incorrect.",
        "002" => "Error reading image, please check the request format.",
        "003" => "Image file size is too large.",
        "004" => "Request is not in the correct format.",
        "005" => "Server internal error, please try again.",
        "051" => "No face, or more than one face is detected in the selfie.",
        "052" => "Face mask is detected, please remove the face mask and try again.",
        other => panic!("{other} is no code of the contract"),
    };
    format!(r#"{{"success":false,"error_code":"{code}","error_message":"{message}"}}"#)
}

/// A server that runs until the test ends.
pub struct Running {
    pub address: SocketAddr,
    pub base: String,
    pub control: Control,
    pub client: Client,
    pub serving: JoinHandle<std::io::Result<()>>,
}

/// Starts a server with the engine.
pub async fn start(arguments: &[&str]) -> Running {
    start_with(arguments, ENGINE.clone()).await
}

/// Starts a server with something else in the engine's place.
pub async fn start_with(arguments: &[&str], checker: Arc<dyn Checker>) -> Running {
    let running = start_closed(arguments).await;
    running.control.open(checker);
    running
}

/// Starts a server that has not loaded its engine yet.
pub async fn start_closed(arguments: &[&str]) -> Running {
    let arguments = ["liveness-server", "--address", "127.0.0.1:0"]
        .iter()
        .chain(arguments);
    let options = Options::try_parse_from(arguments).expect("the options are valid");
    let list = format!("{KEY},{OTHER_KEY}");
    let keys = Keys::load(Some(&list), options.keys_file.as_deref())
        .expect("the keys are usable")
        .expect("there are keys");
    let server = Server::bind(options, keys).await.expect("a port is free");
    let address = server.address().expect("it listens");
    let control = server.control();
    Running {
        address,
        base: format!("http://{address}"),
        control,
        client: Client::new(),
        serving: tokio::spawn(server.serve()),
    }
}

impl Running {
    /// A liveness request with the key, and no body yet.
    pub fn post(&self) -> RequestBuilder {
        self.client
            .post(format!("{}/liveness/", self.base))
            .header("X-API-Key", KEY)
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.base))
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address)
            .await
            .expect("the server listens")
    }

    /// The value of a metric, given as it stands before the value.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").send().await.unwrap();
        assert_eq!(text.status(), 200);
        let text = text.text().await.unwrap();
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
            .unwrap_or(0.0)
    }

    /// Waits until a metric has a value.
    pub async fn until_metric(&self, name: &str, value: f64) {
        for _ in 0..500 {
            if self.metric(name).await == value {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{name} is not {value} but {}", self.metric(name).await);
    }
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("every answer is JSON")
    }

    #[track_caller]
    pub fn is_failure(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status.as_u16(), self.body.as_str()),
            (status, failure(code).as_str())
        );
    }
}

pub async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("there is an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    assert_eq!(headers["content-type"], "application/json");
    Answer {
        status,
        headers,
        body: response.text().await.expect("the answer is complete"),
    }
}

pub fn file(bytes: impl Into<Vec<u8>>) -> Form {
    Form::new().part("image", Part::bytes(bytes.into()).file_name("selfie.jpg"))
}

pub fn multipart_text(text: impl Into<String>) -> Form {
    Form::new().text("image_bytes", text.into())
}

pub fn url_encoded(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    request
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(
            form_urlencoded::Serializer::new(String::new())
                .extend_pairs(fields)
                .finish(),
        )
}

pub fn json(request: RequestBuilder, body: &Value) -> RequestBuilder {
    raw(request, "application/json", body.to_string())
}

pub fn raw(
    request: RequestBuilder,
    content_type: &str,
    body: impl Into<reqwest::Body>,
) -> RequestBuilder {
    request.header("Content-Type", content_type).body(body)
}

/// The head of a liveness request with the key, for requests that no client would send.
pub fn head(headers: &str) -> String {
    format!("POST /liveness/ HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}\r\n{headers}\r\n")
}

/// Writes all of it; the server may well stop to read.
pub async fn write(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) {
    let _ = stream.write_all(bytes.as_ref()).await;
}

/// Reads one answer: status and body.
pub async fn read_answer(stream: &mut (impl AsyncReadExt + Unpin)) -> (u16, String) {
    let mut received = Vec::new();
    loop {
        if let Some(answer) = parse(&received) {
            return answer;
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) => panic!("closed after {:?}", String::from_utf8_lossy(&received)),
            Ok(count) => received.extend_from_slice(&piece[..count]),
            Err(cause) => panic!("{cause} after {:?}", String::from_utf8_lossy(&received)),
        }
    }
}

fn parse(received: &[u8]) -> Option<(u16, String)> {
    let text = std::str::from_utf8(received).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length: usize = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length: ")?
            .parse()
            .ok()
    })?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    (body.len() >= length).then(|| (status, body[..length].to_owned()))
}

/// Does something, and then what the engine does.
pub struct Before<F>(pub F);

impl<F: Fn() -> Option<Error> + Send + Sync + 'static> Checker for Before<F> {
    fn check(&self, image: Image<'_>) -> Result<Verdict, Error> {
        match (self.0)() {
            Some(error) => Err(error),
            None => ENGINE.check(image),
        }
    }

    fn describe(&self) -> (String, String) {
        ("test".into(), "test".into())
    }
}
