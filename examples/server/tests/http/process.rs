//! The program itself: its greeting, its log, its signals, its complaints.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Answer, expected, file, json, multipart_text, portrait, send, url_encoded};

const KEY: &str = "Correct-Horse-Battery-Staple";
const SOON: Duration = Duration::from_secs(30);

pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_liveness-server"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LIVENESS_") && name != "LIVENESS_ONNXRUNTIME" {
            command.env_remove(name);
        }
    }
    command
        .env("LIVENESS_ADDRESS", "127.0.0.1:0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A running program; it is killed if a test fails before it ends.
pub struct Program {
    child: Child,
    greeting: String,
    pub base: String,
}

impl Program {
    pub fn start(command: &mut Command) -> Program {
        let mut child = command.spawn().expect("the program is built");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut greeting = String::new();
        while !greeting.contains("curl ") {
            let count = output.read_line(&mut greeting).expect("it is text");
            assert!(count > 0, "it ended after {greeting:?}");
        }
        let base = greeting
            .split_whitespace()
            .find(|word| word.starts_with("http://"))
            .expect("the address is printed")
            .trim_end_matches('/')
            .to_owned();
        Program {
            child,
            greeting,
            base,
        }
    }

    /// Resident kilobytes.
    #[cfg(target_os = "linux")]
    pub fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let (_, size) = status.split_once("VmRSS:").expect("Linux tells");
        size.split_whitespace().next().unwrap().parse().unwrap()
    }

    fn signal(&self, name: &str) {
        // The shell has a kill of its own; the program of that name is in a package that may be missing.
        let status = Command::new("sh")
            .args(["-c", r#"kill -s "$0" "$1""#, name])
            .arg(self.child.id().to_string())
            .status()
            .expect("there is a shell");
        assert!(status.success());
    }

    /// Stops it by a signal, and gives what it logged.
    fn stop(mut self, name: &str) -> String {
        self.signal(name);
        let mut log = String::new();
        let mut errors = self.child.stderr.take().expect("it is piped");
        errors.read_to_string(&mut log).expect("the log is text");
        assert!(self.child.wait().expect("it ends").success(), "{log}");
        log
    }
}

impl Program {
    /// Asks so often without a key, and says how often the answer was the one to that.
    async fn ask(&self, times: usize) -> usize {
        let request = Client::new()
            .post(format!("{}/liveness/", self.base))
            .timeout(SOON);
        let mut answered = 0;
        while answered < times {
            match request.try_clone().unwrap().send().await {
                Ok(answer) if answer.status() == 401 => answered += 1,
                _ => break,
            }
        }
        answered
    }

    async fn ends(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(ended) = self.child.try_wait().unwrap() {
                return ended;
            }
            assert!(start.elapsed() < SOON, "it goes on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn without_keys_one_is_made_and_shown_once() {
    let program = Program::start(&mut program());
    let curl = program.greeting.lines().last().unwrap();
    let key = curl
        .split('\'')
        .nth(1)
        .unwrap()
        .strip_prefix("X-API-Key: ")
        .unwrap();
    assert_eq!(key.len(), 48);
    assert_eq!(program.greeting.matches(key).count(), 1);
    assert!(curl.ends_with(&format!(
        "-F image=@tests/fixtures/astronaut.png {}/liveness/",
        program.base
    )));
    let post = |key: &str| {
        Client::new()
            .post(format!("{}/liveness/", program.base))
            .header("X-API-Key", key)
            .multipart(file(portrait()))
    };
    assert_eq!(send(post(key)).await.body, expected(&portrait()));
    assert_eq!(send(post("YOUR-API-KEY")).await.status, 401);
    let key = key.to_owned();
    assert!(!program.stop("INT").contains(&key));
}

/// Every line of the log is JSON, and none holds what was sent; nor does the disk.
#[tokio::test]
async fn nothing_that_was_sent_is_logged_or_stored() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(
        program()
            .env("LIVENESS_API_KEYS", format!("{KEY},another-{KEY}"))
            .env("LIVENESS_LOG", "trace")
            .env("RUST_LOG", "trace")
            .env("TMPDIR", folder.path())
            .current_dir(folder.path()),
    );
    assert!(!program.greeting.contains(KEY));
    let image = portrait();
    let text = STANDARD.encode(&image);
    let client = Client::new();
    let post = |path: &str| {
        client
            .post(format!("{}{path}", program.base))
            .header("X-API-Key", KEY)
            .header("Cookie", "private-cookie")
    };
    let check = "/liveness/?details=true&private=query";
    let requests = [
        post(check).multipart(file(image.clone()).text("private-field", "private-value")),
        post(check).multipart(multipart_text(text.clone())),
        post(check).multipart(multipart_text("private*text")),
        url_encoded(post(check), &[("image_bytes", &text)]),
        json(post(check), &json!({"image_bytes": text})),
        json(
            post(check),
            &json!({"image_bytes": 7, "private": "private"}),
        ),
        post(check)
            .header("Content-Type", "private/type")
            .body("private"),
        post(check).multipart(file(image[..5000].to_vec())),
        client
            .post(format!("{}/liveness/", program.base))
            .bearer_auth("private-wrong-key"),
        post("/private/path"),
        client
            .request("private-method".parse().unwrap(), &program.base)
            .header("X-API-Key", KEY),
    ];
    let mut statuses = Vec::new();
    for request in requests {
        statuses.push(send(request).await.status.as_u16());
    }
    assert_eq!(
        statuses,
        [200, 200, 400, 200, 200, 400, 400, 400, 401, 404, 405]
    );
    let log = program.stop("TERM");
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line} is no JSON")))
        .collect();
    let answers = lines.iter().filter(|line| line["message"] == "answered");
    let logged: Vec<_> = answers
        .map(|line| line["status"].as_u64().unwrap())
        .collect();
    assert_eq!(
        logged,
        [200, 200, 400, 200, 200, 400, 400, 400, 401, 404, 405]
    );
    // As docs/privacy.md has it: nothing else may be added without that page.
    let names =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    for line in lines.iter().filter(|line| line["message"] == "answered") {
        for name in names(line) {
            let known = [
                "code",
                "level",
                "message",
                "milliseconds",
                "span",
                "status",
                "target",
                "timestamp",
                "verdict",
            ];
            assert!(known.contains(&name.as_str()), "{name} is logged");
        }
        for name in names(&line["span"]) {
            assert!(
                ["id", "method", "name", "route"].contains(&name.as_str()),
                "{name} is logged"
            );
        }
    }
    let refused = lines.iter().filter(|line| line["message"] == "refused");
    let reasons: Vec<_> = refused
        .map(|line| line["reason"].as_str().unwrap())
        .collect();
    let said = [
        "no JSON object",
        "content type",
        "X-API-Key",
        "POST to /liveness/",
        "GET, HEAD only",
    ];
    assert_eq!(reasons.len(), said.len(), "{reasons:?}");
    for (reason, said) in reasons.iter().zip(said) {
        assert!(reason.contains(said), "{reason}");
    }
    for line in &lines {
        assert!(
            line["level"].is_string() && line["timestamp"].is_string(),
            "{line}"
        );
    }
    for secret in [
        KEY,
        "private",
        &text[..40],
        &text[5000..5040],
        "IHDR",
        "PNG",
    ] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    assert_eq!(files_below(folder.path()), 0);
}

fn files_below(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn a_hangup_reads_the_keys_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    std::fs::write(&path, "first\n").unwrap();
    let program = Program::start(program().env("LIVENESS_KEYS_FILE", &path));
    let status = async |key: &str| {
        let request = Client::new().post(format!("{}/liveness/", program.base));
        send(request.header("X-API-Key", key)).await.status.as_u16()
    };
    assert_eq!((status("first").await, status("second").await), (400, 401));
    std::fs::write(&path, "second\n").unwrap();
    program.signal("HUP");
    let start = Instant::now();
    while status("first").await != 401 && start.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((status("first").await, status("second").await), (401, 400));
    let log = program.stop("TERM");
    assert!(log.contains("other API keys are valid now"), "{log}");
}

#[tokio::test]
async fn options_come_from_the_environment_too() {
    let program = Program::start(
        program()
            .env("LIVENESS_API_KEYS", KEY)
            .env("LIVENESS_THRESHOLD", "0.125")
            .env("LIVENESS_LOG", "off"),
    );
    let request = Client::new()
        .post(format!("{}/liveness/?details=true", program.base))
        .bearer_auth(KEY);
    let answer = send(request.multipart(file(portrait()))).await;
    assert_eq!(answer.json()["details"]["threshold"], 0.125);
    assert_eq!(program.stop("TERM"), "");
}

/// The line that says that it is ready.
fn ready(log: &str) -> Value {
    let mut lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let ready = lines.find(|line: &Value| line["message"] == "ready");
    ready.expect("it was ready")
}

/// What becomes of a portrait whose face is smaller than is good for it, and what is logged when the program is ready.
async fn small_face(command: &mut Command) -> (Answer, Value) {
    let program = Program::start(command.env("LIVENESS_API_KEYS", KEY));
    let portrait = image::load_from_memory(&portrait()).unwrap();
    let mut small = std::io::Cursor::new(Vec::new());
    let scaled = portrait.thumbnail(200, 200);
    scaled
        .write_to(&mut small, image::ImageFormat::Png)
        .unwrap();
    let url = format!("{}/liveness/?details=true", program.base);
    let request = Client::new().post(url).bearer_auth(KEY);
    let answer = send(request.multipart(file(small.into_inner()))).await;
    (answer, ready(&program.stop("TERM")))
}

#[tokio::test]
async fn what_decides_over_a_face_is_logged_where_it_is_not_the_usual() {
    let chosen = [
        ("threshold", json!(0.7)),
        ("mask_threshold", json!(0.9)),
        ("second_face_ratio", json!(0.25)),
        ("strict_quality", json!(true)),
    ];
    let (answer, line) = small_face(&mut program()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let reasons = json!(["face_too_small"]);
    assert_eq!(answer.json()["details"]["reasons"], reasons);
    for (name, _) in &chosen {
        assert!(line.get(name).is_none(), "{line}");
    }

    let mut command = program();
    for (name, value) in &chosen {
        command.env(
            format!("LIVENESS_{}", name.to_uppercase()),
            value.to_string(),
        );
    }
    let (answer, line) = small_face(&mut command).await;
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert_eq!(answer.json()["error_code"], "051");
    assert_eq!(answer.json()["details"]["reasons"], reasons);
    for (name, value) in chosen {
        assert_eq!(line[name], value, "{line}");
    }
}

#[tokio::test]
async fn variables_that_nobody_reads_are_told_without_their_values() {
    let program = Program::start(
        program()
            .env("LIVENESS_API_KEYS", KEY)
            .env("LIVENESS_API_KEY", "private"),
    );
    let log = program.stop("TERM");
    let told = r#""variable":"LIVENESS_API_KEY""#;
    assert!(log.contains(told) && log.contains("WARN"), "{log}");
    assert!(!log.contains("private"), "{log}");
    assert_eq!(log.matches(r#""variable""#).count(), 1, "{log}");
}

#[tokio::test]
async fn who_tries_keys_is_logged_once_and_no_key_is() {
    let program = Program::start(
        program()
            .env("LIVENESS_API_KEYS", KEY)
            .env("LIVENESS_MAX_WRONG_KEYS", "2"),
    );
    let mut statuses = Vec::new();
    for number in 0..4 {
        let request = Client::new()
            .post(format!("{}/liveness/", program.base))
            .bearer_auth(format!("tried-key-{number}"));
        statuses.push(send(request).await.status.as_u16());
    }
    assert_eq!(statuses, [401, 401, 429, 429]);
    let log = program.stop("TERM");
    assert_eq!(log.matches(r#""peer":"127.0.0.1""#).count(), 1, "{log}");
    assert!(!log.contains("tried-key"), "{log}");
}

/// A sender that never finishes would hold the server for the whole time that it has to stop.
#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    for (signals, status) in [(["TERM", "TERM"], 143), (["TERM", "INT"], 130)] {
        let mut program = Program::start(
            program()
                .env("LIVENESS_API_KEYS", KEY)
                .env("LIVENESS_IDLE_TIMEOUT", "600")
                .env("LIVENESS_UPLOAD_TIMEOUT", "600")
                .env("LIVENESS_SHUTDOWN_TIMEOUT", "600"),
        );
        let address = program.base.trim_start_matches("http://").to_owned();
        let mut slow = tokio::net::TcpStream::connect(&address).await.unwrap();
        let head = crate::support::head("Content-Type: application/json\r\nContent-Length: 9\r\n")
            .replace(crate::support::KEY, KEY);
        crate::support::write(&mut slow, head).await;
        let metrics = async || {
            let answer = reqwest::get(format!("{}/metrics", program.base)).await;
            answer.unwrap().text().await.unwrap()
        };
        while !metrics().await.contains("uploads_in_flight 1") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        program.signal(signals[0]);
        // It stops to accept connections, and goes on to wait.
        while tokio::net::TcpStream::connect(&address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(program.child.try_wait().unwrap().is_none());
        program.signal(signals[1]);
        assert_eq!(program.ends().await.code(), Some(status));
    }
}

/// A pipe holds some hundred lines.
#[tokio::test]
async fn nobody_has_to_read_the_log() {
    let mut program = Program::start(program().env("LIVENESS_API_KEYS", KEY));
    assert_eq!(program.ask(1000).await, 1000);
    program.signal("TERM");
    assert!(program.ends().await.success());
}

#[tokio::test]
async fn lines_that_are_logged_before_the_end_arrive() {
    let program = Program::start(program().env("LIVENESS_API_KEYS", KEY));
    assert_eq!(program.ask(1000).await, 1000);
    let log = program.stop("TERM");
    assert_eq!(log.matches(r#""message":"answered""#).count(), 1000);
    assert!(log.contains(r#""message":"stopping""#));
}

#[tokio::test]
async fn lines_beyond_the_queue_are_counted_and_told() {
    let mut program = Program::start(program().env("LIVENESS_API_KEYS", KEY));
    let (sent, address) = (12_000, program.base.trim_start_matches("http://"));
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let requests = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".repeat(sent);
    let last = "GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let requests = requests + last;
    let mut answers = String::new();
    let asking = async {
        tokio::try_join!(
            writer.write_all(requests.as_bytes()),
            reader.read_to_string(&mut answers),
        )
    };
    let asked = tokio::time::timeout(SOON, asking).await;
    asked.expect("it goes on to answer").unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200").count(), sent);
    let metrics = reqwest::get(format!("{}/metrics", program.base)).await;
    let metrics = metrics.unwrap().text().await.unwrap();
    let dropped: usize = metrics
        .lines()
        .find_map(|line| line.strip_prefix("liveness_log_lines_dropped_total "))
        .unwrap()
        .parse()
        .unwrap();
    assert!((1000..2001).contains(&dropped), "{dropped}");
    // The reader is back.
    let mut log = BufReader::new(program.child.stderr.take().unwrap()).lines();
    let told = log
        .find_map(|line| {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            line["lines"].as_u64()
        })
        .unwrap();
    // And the line of the request for the metrics.
    assert_eq!(told as usize, dropped + 1);
    program.signal("TERM");
    let rest: Vec<_> = log.map(Result::unwrap).collect();
    assert!(rest.iter().any(|line| line.contains("stopping")));
    assert!(program.ends().await.success());
}

fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// The pipe's end for a writer, where somebody reads.
fn writer_of(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
}

#[tokio::test]
async fn keys_from_a_pipe_are_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    make_pipe(&path);
    let pipe = path.clone();
    let writer = std::thread::spawn(move || std::fs::write(pipe, KEY).unwrap());
    let program = Program::start(program().env("LIVENESS_KEYS_FILE", &path));
    writer.join().unwrap();
    let status = async || {
        let request = Client::new().post(format!("{}/liveness/", program.base));
        let request = request.bearer_auth(KEY).timeout(SOON);
        send(request).await.status.as_u16()
    };
    assert_eq!(status().await, 400);
    program.signal("HUP");
    // A file would be looked at every two seconds.
    for _ in 0..50 {
        assert!(writer_of(&path).is_err(), "it is read again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(status().await, 400);
    let log = program.stop("TERM");
    assert!(log.contains("the API keys stay as they are"), "{log}");
    assert!(!log.contains("ERROR"), "{log}");
}

/// As files are on a network that is gone.
#[tokio::test]
async fn files_that_do_not_answer_hold_up_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let [keys, hanging] = ["keys", "hanging"].map(|name| folder.path().join(name));
    std::fs::write(&keys, KEY).unwrap();
    let mut program = Program::start(program().env("LIVENESS_KEYS_FILE", &keys));
    make_pipe(&hanging);
    std::fs::rename(&hanging, &keys).unwrap();
    for _ in 0..5 {
        program.signal("HUP");
    }
    let start = Instant::now();
    let writer = loop {
        match writer_of(&keys) {
            Ok(writer) => break writer,
            Err(cause) => assert!(start.elapsed() < SOON, "{cause}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(program.ask(100).await, 100);
    let request = Client::new().post(format!("{}/liveness/", program.base));
    assert_eq!(send(request.bearer_auth(KEY)).await.status, 400);
    program.signal("TERM");
    assert!(program.ends().await.success());
    drop(writer);
}

#[tokio::test]
async fn it_outlives_a_lack_of_file_descriptors() {
    let server = program();
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 40 && exec \"$0\""])
        .arg(server.get_program())
        .env("LIVENESS_API_KEYS", KEY)
        .env("LIVENESS_ADDRESS", "127.0.0.1:0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let program = Program::start(&mut command);
    let address = program.base.trim_start_matches("http://");
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(tokio::net::TcpStream::connect(address).await.unwrap());
    }
    let refused = Client::new()
        .get(format!("{}/healthz", program.base))
        .timeout(Duration::from_millis(500))
        .send()
        .await;
    assert!(refused.is_err(), "there were enough file descriptors");
    drop(idle);
    let request = Client::new()
        .post(format!("{}/liveness/", program.base))
        .bearer_auth(KEY);
    assert_eq!(
        send(request.multipart(file(portrait()))).await.body,
        expected(&portrait())
    );
    let log = program.stop("TERM");
    assert!(log.contains("a connection was not accepted"), "{log}");
}

fn complaint(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the program is built");
    assert!(!status.success() && stdout.is_empty());
    String::from_utf8(stderr).expect("it is text")
}

#[test]
fn what_cannot_work_is_said_at_once() {
    let missing = Path::new("missing.pem");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (command, cause) in [
        (
            program().args(["--address", &address]),
            "choose another with --address",
        ),
        (
            program().arg("--keys-file").arg(missing),
            "missing.pem, cannot be read",
        ),
        (
            program().args(["--tls-cert", "missing.pem", "--tls-key", "missing.pem"]),
            "missing.pem",
        ),
        (
            program().env("LIVENESS_API_KEYS", "two words"),
            "visible ASCII",
        ),
        (
            program().env("LIVENESS_API_KEYS", ","),
            "LIVENESS_API_KEYS holds no API key",
        ),
        (
            program().env("LIVENESS_API_KEYS", OsStr::from_bytes(b"s\xfc\xdf")),
            "visible ASCII",
        ),
        (
            program().args(["--threshold", "2"]),
            "'--threshold <NUMBER>': give a number between 0 and 1",
        ),
        (
            program().env("LIVENESS_MASK_THRESHOLD", "70"),
            "'--mask-threshold <NUMBER>': give a number between 0 and 1",
        ),
        (
            program().env("LIVENESS_SECOND_FACE_RATIO", "30"),
            "'--second-face-ratio <NUMBER>': give a number from 0 to 1",
        ),
        (
            program().env("LIVENESS_STRICT_QUALITY", "perhaps"),
            "'--strict-quality': give true or false",
        ),
        (
            program().args(["--cors-origin", "https://a.example/"]),
            "give https://a.example",
        ),
        (
            program().args(["--upload-timeout", "0"]),
            "give a positive number",
        ),
        (program().args(["--models-dir", "missing"]), "missing"),
    ] {
        let said = complaint(command);
        assert!(said.contains(cause), "{said}");
    }
}
