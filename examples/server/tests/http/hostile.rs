//! Requests that no honest client sends.

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

#[cfg(target_os = "linux")]
use crate::process::{Program, program};
use crate::support::{
    KEY, Running, expected, failure, file, head, portrait, raw, read_answer, send, start, write,
};

const SOON: Duration = Duration::from_secs(20);

/// All that the server says until it ends the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut received = Vec::new();
    // A reset after the answer is an end too.
    let _ = timeout(SOON, stream.read_to_end(&mut received))
        .await
        .expect("the connection ends");
    String::from_utf8_lossy(&received).into_owned()
}

fn chunk(piece: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
}

async fn still_works(server: &Running) {
    let answer = send(server.post().multipart(file(portrait()))).await;
    assert_eq!(answer.body, expected(&portrait()));
    for gauge in [
        "liveness_uploads_in_flight",
        "liveness_queue_depth",
        "liveness_checks_in_flight",
    ] {
        server.until_metric(gauge, 0.0).await;
    }
}

#[tokio::test]
async fn a_form_with_many_parts_is_004() {
    let server = start(&[]).await;
    let form = |parts: usize| {
        (1..parts).fold(file(portrait()), |form, number| {
            form.text(format!("other-{number}"), "x")
        })
    };
    assert_eq!(send(server.post().multipart(form(32))).await.status, 200);
    for parts in [33, 20_000] {
        send(server.post().multipart(form(parts)))
            .await
            .is_failure(400, "004");
    }
}

/// Were it searched for its end from the start with each piece, a header or preamble of the size of
/// the largest image would take minutes.
#[tokio::test]
async fn a_form_without_shape_is_refused_early() {
    let server = start(&[]).await;
    let image = b"--b\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nAAAA\r\n";
    for opening in [
        &b"preamble "[..],
        b"--b\r\nX-Header: ",
        b"--b\r\nX-Header: 1\r\nX-Header: ",
        b"--c\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\n",
        &[
            &image[..],
            b"--b\r\nContent-Disposition: form-data; name=\"",
        ]
        .concat(),
    ] {
        let (mut reader, mut writer) = server.connect().await.into_split();
        let head =
            head("Content-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n");
        let start = [head.as_bytes(), &chunk(opening)].concat();
        let piece = chunk(&[b'A'; 1000]);
        let sending = async {
            let _ = writer.write_all(&start).await;
            // The body would be too large only after 14 MB.
            for _ in 0..(1 << 20) / piece.len() {
                if writer.write_all(&piece).await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await
        };
        tokio::select! {
            answer = timeout(SOON, read_answer(&mut reader)) => {
                let opening = String::from_utf8_lossy(opening);
                assert_eq!(answer.expect(&opening), (400, failure("004")), "{opening}");
            }
            () = sending => unreachable!(),
        }
    }
    still_works(&server).await;
}

#[tokio::test]
async fn headers_and_names_within_reason_are_read() {
    let server = start(&[]).await;
    let image = portrait();
    let body = [
        &b"preamble\r\n--b\r\nX-Other: "[..],
        &[b'x'; 30 << 10],
        b"\r\nContent-Disposition: form-data; name=\"image\"; filename=\"../../etc/passwd\"\r\n\r\n",
        &image,
        b"\r\n--b--\r\nepilogue",
    ]
    .concat();
    let answer = send(raw(server.post(), "multipart/form-data; boundary=b", body)).await;
    assert_eq!(answer.body, expected(&image));
}

#[tokio::test]
async fn a_form_within_a_form_is_no_image() {
    let server = start(&[]).await;
    let inner = [
        &b"--c\r\nContent-Disposition: attachment; name=\"image\"; filename=\"a.png\"\r\n\r\n"[..],
        &portrait(),
        b"\r\n--c--\r\n",
    ]
    .concat();
    let part = Part::bytes(inner)
        .mime_str("multipart/mixed; boundary=c")
        .unwrap();
    send(server.post().multipart(Form::new().part("image", part)))
        .await
        .is_failure(400, "002");
}

#[tokio::test]
async fn nothing_is_decompressed() {
    let server = start(&[]).await;
    for coding in ["gzip", "deflate", "br", "zstd", "identity, gzip", "GZIP"] {
        let request = server
            .post()
            .header("Content-Encoding", coding)
            .multipart(file(portrait()));
        send(request).await.is_failure(400, "004");
    }
    let twice = server
        .post()
        .header("Content-Encoding", "identity")
        .header("Content-Encoding", "gzip")
        .multipart(file(portrait()));
    send(twice).await.is_failure(400, "004");
    for coding in ["gzip, chunked", "gzip", "chunked, gzip", "x"] {
        let mut stream = server.connect().await;
        let headers = format!(
            "Connection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: {coding}\r\n"
        );
        write(
            &mut stream,
            head(&headers) + "4\r\n\x1f\x08\0\0\r\n0\r\n\r\n",
        )
        .await;
        // Not shut down: the server does not answer who has gone away.
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{coding}: {answer}");
    }
}

/// Unknown members are skipped without recursion, and then the image counts, which is none here.
#[tokio::test]
async fn deep_json_is_skipped_or_004() {
    let server = start(&[]).await;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [200, 1_000_000] {
            let value = open.repeat(depth) + "1" + &close.repeat(depth);
            for (body, code) in [
                (
                    format!(r#"{{"other":{value},"image_bytes":"AAAA"}}"#),
                    "002",
                ),
                (
                    format!(r#"{{"image":{value},"image_bytes":"AAAA"}}"#),
                    "004",
                ),
                (format!(r#"{{"image_bytes":{value}}}"#), "004"),
                (value, "004"),
                (format!(r#"{{"other":{}"#, open.repeat(depth)), "004"),
            ] {
                send(raw(server.post(), "application/json", body))
                    .await
                    .is_failure(400, code);
            }
        }
    }
    still_works(&server).await;
}

/// Each is ambiguous: what one program takes for the body, another takes for the next request.
#[tokio::test]
async fn ambiguous_lengths_are_refused_and_end_the_connection() {
    let server = start(&[]).await;
    let body = r#"{"image_bytes":"AAAA"}"#;
    for headers in [
        "Content-Length: 22\r\nContent-Length: 23\r\n",
        "Content-Length: 22, 23\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: +22\r\n",
        "Content-Length: 0x16\r\n",
        "Content-Length: 22 \u{b}\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Content-Length: 22\r\n folded\r\n",
    ] {
        let mut stream = server.connect().await;
        let headers = format!("Content-Type: application/json\r\n{headers}");
        let next = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
        write(&mut stream, head(&headers) + body + next).await;
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{headers}: {answer}");
        assert_eq!(
            answer.matches("HTTP/1.1 ").count(),
            1,
            "{headers}: {answer}"
        );
    }
}

/// A proxy may go by another host than the one that is meant here, and a request that follows may be nobody's.
#[tokio::test]
async fn a_request_says_once_for_which_host_it_is() {
    let server = start(&[]).await;
    let body = r#"{"image_bytes":"AAAA"}"#;
    let headers =
        format!("X-API-Key: {KEY}\r\nContent-Type: application/json\r\nContent-Length: 22\r\n");
    let next = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let ask = async |line: &str, hosts: &str, headers: &str| {
        let mut stream = server.connect().await;
        write(
            &mut stream,
            format!("{line}\r\n{hosts}{headers}\r\n{body}{next}"),
        )
        .await;
        rest(&mut stream).await
    };
    for hosts in [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nhost: b\r\n",
        "Host: a b\r\n",
        "Host:\r\n",
    ] {
        for line in [
            "POST /liveness/ HTTP/1.1",
            "GET /liveness HTTP/1.1",
            "GET / HTTP/1.1",
            "GET /healthz HTTP/1.1",
            "GET /metrics HTTP/1.1",
            "POST /nothing HTTP/1.1",
        ] {
            let answer = ask(line, hosts, &headers).await;
            assert!(
                answer.starts_with("HTTP/1.1 400"),
                "{line} {hosts}: {answer}"
            );
            assert!(
                answer.contains("\r\nconnection: close\r\n"),
                "{line} {hosts}: {answer}"
            );
            // The end of it: what follows is not answered.
            assert!(
                answer.ends_with(&failure("004")),
                "{line} {hosts}: {answer}"
            );
        }
        // Keys come first.
        let answer = ask(
            "POST /liveness/ HTTP/1.1",
            hosts,
            "Connection: close\r\nContent-Length: 22\r\n",
        )
        .await;
        assert!(answer.contains(&failure("001")), "{hosts}: {answer}");
    }
    let answer = ask("POST /liveness/?details=true HTTP/1.1", "", &headers).await;
    assert!(
        answer.contains("the request has no header Host: send one"),
        "{answer}"
    );
    let answer = ask("POST /liveness/ HTTP/1.0", "", &headers).await;
    assert!(answer.contains(&failure("002")), "{answer}");
}

#[tokio::test]
async fn a_request_of_http_2_says_once_for_which_host_it_is() {
    let server = start(&[]).await;
    let host = |host: &[u8]| [&[0, 4][..], b"host", &[host.len() as u8], host].concat();
    let authority = b"\x01\x09localhost";
    let mut nameless = block();
    let at = nameless
        .windows(authority.len())
        .position(|part| part == authority);
    nameless.drain(at.unwrap()..at.unwrap() + authority.len());
    for (block, code) in [
        (block(), "002"),
        ([block(), host(b"LOCALHOST:80")].concat(), "002"),
        ([nameless.clone(), host(b"a")].concat(), "002"),
        (nameless, "004"),
        ([block(), host(b"a")].concat(), "004"),
        (
            [block(), host(b"localhost"), host(b"localhost")].concat(),
            "004",
        ),
    ] {
        let mut client = Http2::connect(&server).await;
        write(&mut client.stream, frame(HEADERS, END_HEADERS, 1, &block)).await;
        let body = br#"{"image_bytes":"AAAA"}"#;
        write(&mut client.stream, frame(DATA, END_STREAM, 1, body)).await;
        let answer = client.frame_of(DATA).await.expect("it is answered");
        assert_eq!(
            String::from_utf8(answer).unwrap(),
            failure(code),
            "{block:?}"
        );
    }
}

/// Chunks count, as the standard has it, and what follows them is no request.
#[tokio::test]
async fn a_length_beside_chunks_is_ignored() {
    let server = start(&[]).await;
    let body = r#"{"image_bytes":"AAAA"}"#;
    for headers in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    ] {
        let mut stream = server.connect().await;
        let headers = format!("Content-Type: application/json\r\n{headers}");
        let next = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
        let chunks = String::from_utf8(chunk(body.as_bytes())).unwrap() + "0\r\n\r\n";
        write(&mut stream, head(&headers) + &chunks + next).await;
        let answer = rest(&mut stream).await;
        assert!(answer.contains(&failure("002")), "{headers}: {answer}");
        assert!(!answer.contains(r#""status":"ok""#), "{headers}: {answer}");
    }
}

#[tokio::test]
async fn a_body_that_is_longer_than_declared_is_cut_there() {
    let server = start(&[]).await;
    let mut stream = server.connect().await;
    let body = r#"{"image_bytes":"AAAA"}"#;
    let headers = format!(
        "Content-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    write(&mut stream, head(&headers) + body + "\0\0more").await;
    let answer = rest(&mut stream).await;
    let (first, second) = answer.split_once("}HTTP/1.1 ").expect("two answers");
    assert!(
        first.ends_with(failure("002").trim_end_matches('}')),
        "{answer}"
    );
    assert!(second.starts_with("400"), "{answer}");
}

#[tokio::test]
async fn chunks_that_are_none_end_the_connection() {
    let server = start(&[]).await;
    for chunks in [
        "fffffffffffffffff\r\nA",
        "-1\r\nA",
        "zz\r\n",
        "5\r\nAAAAAA\r\n0\r\n\r\n",
        &format!("5;{}\r\n", "x".repeat(1 << 20)),
        &format!("0\r\n{}\r\n\r\n", "X: y\r\n".repeat(100_000)),
    ] {
        let mut stream = server.connect().await;
        let headers = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
        write(&mut stream, head(headers) + chunks).await;
        let answer = rest(&mut stream).await;
        let shown = &chunks[..chunks.len().min(20)];
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
            "{shown}: {answer}"
        );
    }
    still_works(&server).await;
}

#[tokio::test]
async fn headers_are_bounded() {
    let server = start(&[]).await;
    let long = server.post().header("X-Other", "y".repeat(15 << 10));
    let answer = send(long.multipart(file(portrait()))).await;
    assert_eq!(answer.body, expected(&portrait()));
    for headers in [
        "X-Other: y\r\n".repeat(100),
        format!("X-Other: {}\r\n", "y".repeat(16 << 10)),
        format!("X-Other: {}", "y".repeat(10 << 20)),
    ] {
        let mut stream = server.connect().await;
        write(&mut stream, head(&headers)).await;
        let answer = rest(&mut stream).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
            "{answer}"
        );
    }
    still_works(&server).await;
}

#[tokio::test]
async fn no_other_spelling_of_a_path_is_an_address() {
    let server = start(&[]).await;
    for path in [
        "//liveness/",
        "/liveness//",
        "/liveness/.",
        "/liveness/../metrics",
        "/./liveness/",
        "/%6civeness/",
        "/liveness%2f",
        "/liveness/%2e%2e/metrics",
        "/liveness/;a=b",
        "/liveness\\",
        "/LIVENESS/",
        "/liveness/%00",
        "/../../etc/passwd",
        "/page.css/../page.js",
        "/src/main.rs",
        "/.git/config",
        "*",
        "liveness/",
        "/liveness/ x",
        "/\u{1}",
    ] {
        let mut stream = server.connect().await;
        let head =
            head("Content-Length: 0\r\nConnection: close\r\n").replacen("/liveness/", path, 1);
        write(&mut stream, head).await;
        let answer = rest(&mut stream).await;
        assert!(
            answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 400"),
            "{path}: {answer}"
        );
        // 004 is what an empty body is to the right address: it must not have got there.
        if answer.starts_with("HTTP/1.1 400") {
            assert!(!answer.contains("x-request-id"), "{path}: {answer}");
        }
    }
}

/// Neither a header nor a body of an answer holds anything of the request but a sane request id.
#[tokio::test]
async fn nothing_comes_back() {
    let server = start(&["--cors-origin", "https://app.example"]).await;
    let canary = "canary-7f3a";
    for path in [
        "/liveness/",
        "/canary-7f3a",
        "/?canary-7f3a",
        "/healthz?details=canary-7f3a",
    ] {
        let request = server
            .client
            .post(format!("{}{path}", server.base))
            .header("X-API-Key", KEY)
            .header("Host", canary)
            .header("Origin", format!("https://{canary}.example"))
            .header("Referer", canary)
            .header("Cookie", canary)
            .header("X-Forwarded-For", canary)
            .header("X-Forwarded-Host", canary)
            .header("X-Request-Id", format!("{canary} <script>"))
            .header("Accept", canary)
            .header("Content-Type", format!("text/{canary}"))
            .body(canary);
        let answer = request.send().await.unwrap();
        let head = format!("{:?}", answer.headers());
        let body = answer.text().await.unwrap();
        assert!(
            !head.contains(canary) && !body.contains(canary),
            "{path}: {head} {body}"
        );
    }
}

#[tokio::test]
async fn a_header_cannot_bring_another() {
    let server = start(&[]).await;
    for value in [
        "a\r\n Set-Cookie: b",
        "a\rSet-Cookie: b",
        "a\0b",
        "a\nSet-Cookie: b",
    ] {
        let mut stream = server.connect().await;
        let request = format!(
            "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Request-Id: {value}\r\nConnection: close\r\n\r\n"
        );
        write(&mut stream, request).await;
        let answer = rest(&mut stream).await.to_ascii_lowercase();
        assert!(!answer.contains("cookie"), "{value:?}: {answer}");
    }
}

/// Frames of HTTP/2, written by hand: no client library lets one misbehave.
struct Http2 {
    stream: TcpStream,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// POST /liveness/ with the key, in HPACK without compression.
fn block() -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat();
    [
        // :method POST, :scheme http
        &[0x83, 0x86][..],
        // :path, :authority
        &[0x04],
        &text("/liveness/"),
        &[0x01],
        &text("localhost"),
        &[0x00],
        &text("x-api-key"),
        &text(KEY),
        &[0x00],
        &text("content-type"),
        &text("application/json"),
    ]
    .concat()
}

impl Http2 {
    async fn connect(server: &Running) -> Http2 {
        let mut stream = server.connect().await;
        write(&mut stream, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        write(&mut stream, frame(SETTINGS, 0, 0, &[])).await;
        Http2 { stream }
    }

    /// The next frame of this kind, if one comes before the connection ends.
    async fn frame_of(&mut self, kind: u8) -> Option<Vec<u8>> {
        loop {
            let mut head = [0; 9];
            timeout(SOON, self.stream.read_exact(&mut head))
                .await
                .expect("there is a frame, or the connection ends")
                .ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.stream.read_exact(&mut payload).await.ok()?;
            if head[3] == kind {
                return Some(payload);
            }
        }
    }

    /// The error of the frame that says that the connection ends, if one comes before it does.
    async fn end(&mut self) -> Option<u32> {
        let payload = self.frame_of(GO_AWAY).await?;
        Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()))
    }
}

const NO_ERROR: u32 = 0;
const ENHANCE_YOUR_CALM: u32 = 11;

/// The attack of CVE-2023-44487: requests that are taken back at once cost their sender nothing.
#[tokio::test]
async fn requests_that_are_taken_back_end_the_connection() {
    let server = start(&[]).await;
    let mut client = Http2::connect(&server).await;
    let block = block();
    let requests: Vec<u8> = (0..2000)
        .flat_map(|number| {
            let stream = 2 * number + 1;
            let cancel = 8_u32.to_be_bytes();
            [
                frame(HEADERS, END_HEADERS, stream, &block),
                frame(RST_STREAM, 0, stream, &cancel),
            ]
            .concat()
        })
        .collect();
    write(&mut client.stream, requests).await;
    // The system may drop the last words when more has been sent than was read.
    let error = client.end().await;
    assert!(matches!(error, None | Some(ENHANCE_YOUR_CALM)), "{error:?}");
    still_works(&server).await;
    let answers = "liveness_http_responses_total{route=\"/liveness/\",status=\"200\"}";
    assert_eq!(server.metric(answers).await, 1.0);
}

#[tokio::test]
async fn headers_without_end_end_the_connection() {
    let server = start(&[]).await;
    let mut client = Http2::connect(&server).await;
    let piece = frame(
        CONTINUATION,
        0,
        1,
        &[&[0x00, 1, b'x', 100][..], &[b'y'; 100]].concat(),
    );
    let frames = [frame(HEADERS, 0, 1, &block()), piece.repeat(10_000)].concat();
    write(&mut client.stream, frames).await;
    client.end().await;
    still_works(&server).await;
}

#[tokio::test]
async fn one_connection_has_so_many_requests_at_once() {
    let server = start(&["--max-uploads", "200"]).await;
    let mut client = Http2::connect(&server).await;
    let block = block();
    let requests: Vec<u8> = (0..100)
        .flat_map(|number| frame(HEADERS, END_HEADERS, 2 * number + 1, &block))
        .collect();
    write(&mut client.stream, requests).await;
    server.until_metric("liveness_uploads_in_flight", 8.0).await;
    write(&mut client.stream, frame(DATA, END_STREAM, 1, b"{}")).await;
    server.until_metric("liveness_uploads_in_flight", 7.0).await;
    drop(client);
    still_works(&server).await;
}

/// The others wait until one of theirs is answered.
#[tokio::test]
async fn a_client_may_have_more_requests_than_a_connection() {
    let server = start(&[]).await;
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let mut answers = JoinSet::new();
    for _ in 0..100 {
        let request = client.get(format!("{}/page.js", server.base));
        answers.spawn(async { request.send().await?.text().await });
    }
    let page = include_str!("../../page/page.js");
    while let Some(answer) = answers.join_next().await {
        assert!(answer.unwrap().unwrap() == page);
    }
}

/// Asks for a path as often as it may, gives no room for a byte of an answer's body, and waits until
/// there are as many answers as a connection may have at once.
#[cfg(target_os = "linux")]
async fn ask_and_never_read(address: &str, path: &str) -> Http2 {
    let window = [0, 4, 0, 0, 0, 0];
    // :method GET, :scheme http, :path, and then
    let mut block = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    block.extend(path.bytes());
    // :authority
    block.extend([0x01, 1, b'a']);
    let ask = |number: u32| frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &block);
    let asked: Vec<u8> = (0..100).flat_map(ask).collect();
    let mut stream = TcpStream::connect(address).await.unwrap();
    write(&mut stream, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    write(&mut stream, frame(SETTINGS, 0, 0, &window)).await;
    write(&mut stream, asked).await;
    let mut client = Http2 { stream };
    for _ in 0..8 {
        client.frame_of(HEADERS).await.expect("it is answered");
    }
    client
}

/// Each of them waits for its reader as long as the connection lives, of which there may be as many as
/// file descriptors.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn answers_that_nobody_reads_take_little_memory() {
    for path in ["/metrics", "/nothing", "/page.js"] {
        let program = Program::start(
            program()
                .env("LIVENESS_API_KEYS", KEY)
                .env("LIVENESS_HEADER_TIMEOUT", "600")
                .env("LIVENESS_LOG", "error"),
        );
        // Until somebody has asked for them, there are no numbers of a route.
        for route in [
            "/",
            "/page.css",
            "/page.js",
            "/icon.svg",
            "/openapi.json",
            "/healthz",
            "/readyz",
            "/metrics",
            "/liveness",
            "/liveness/",
            "/nothing",
        ] {
            let answer = reqwest::get(format!("{}{route}", program.base)).await;
            assert!(answer.is_ok(), "{route}");
        }
        let address = program.base.trim_start_matches("http://");
        let before = program.memory();
        let mut clients = Vec::new();
        for _ in 0..200 {
            clients.push(ask_and_never_read(address, path).await);
        }
        let each = program.memory().saturating_sub(before) / clients.len();
        assert!(each < 100, "{path}: {each} kB a connection");
    }
}

/// To talk is not to ask for something.
#[tokio::test]
async fn an_idle_connection_ends_in_http_2_too() {
    let server = start(&["--header-timeout", "0.3"]).await;
    for requests in [0, 1] {
        let mut client = Http2::connect(&server).await;
        let flags = END_HEADERS | END_STREAM;
        for _ in 0..requests {
            write(&mut client.stream, frame(HEADERS, flags, 1, &block())).await;
        }
        let (mut reader, mut writer) = client.stream.into_split();
        let mut received = Vec::new();
        let talking = async {
            loop {
                let _ = writer.write_all(&frame(PING, 0, 0, &[0; 8])).await;
                sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            read = timeout(SOON, reader.read_to_end(&mut received)) => {
                let _ = read.expect("the connection ends");
            }
            () = talking => unreachable!(),
        }
        // The system may drop the last words where a ping has not been read.
        let error = last_words(&received);
        assert!(
            matches!(error, None | Some(NO_ERROR)),
            "{requests} requests: {error:?}"
        );
    }
    still_works(&server).await;
}

/// The error of the frame that says that the connection ends.
fn last_words(mut received: &[u8]) -> Option<u32> {
    while let [a, b, c, kind, rest @ ..] = received {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let payload = rest.get(5..)?;
        if *kind == GO_AWAY {
            return Some(u32::from_be_bytes(payload.get(4..8)?.try_into().unwrap()));
        }
        received = payload.get(length..)?;
    }
    None
}

#[tokio::test]
async fn wrong_keys_are_limited_for_each_peer() {
    let server = start(&["--max-wrong-keys", "5", "--proxies", "1"]).await;
    let post = async |peer: &str, key: &str| {
        let request = server
            .client
            .post(format!("{}/liveness/", server.base))
            .header("X-Forwarded-For", format!("203.0.113.9, {peer}"));
        let request = match key {
            "" => request,
            key => request.header("X-API-Key", key),
        };
        send(request.multipart(file(portrait()))).await
    };
    assert_eq!(post("192.0.2.1", KEY).await.status, 200);
    for _ in 0..5 {
        post("192.0.2.1", "wrong").await.is_failure(401, "001");
        post("192.0.2.2", "wrong").await.is_failure(401, "001");
    }
    for _ in 0..10 {
        post("192.0.2.3", "").await.is_failure(401, "001");
    }
    for key in ["wrong", KEY, "another"] {
        let answer = post("192.0.2.2", key).await;
        answer.is_failure(429, "001");
        let wait: u64 = answer.headers["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((1..=12).contains(&wait), "{wait}");
    }
    // What was right from there stays right, and other peers are not concerned.
    assert_eq!(post("192.0.2.1", "wrong").await.status, 429);
    assert_eq!(post("192.0.2.1", KEY).await.status, 200);
    assert_eq!(post("192.0.2.3", KEY).await.status, 200);
}

#[tokio::test]
async fn two_wrong_keys_at_once_are_two_guesses() {
    let server = start(&["--max-wrong-keys", "4"]).await;
    let mut statuses = Vec::new();
    for number in 0..3 {
        let request = server
            .client
            .post(format!("{}/liveness/", server.base))
            .header("X-API-Key", format!("one-{number}"))
            .bearer_auth(format!("other-{number}"));
        statuses.push(send(request).await.status.as_u16());
    }
    assert_eq!(statuses, [401, 401, 429]);
}

/// Its caller chooses what stands before the proxy's own entry.
#[tokio::test]
async fn what_a_proxy_adds_to_nonsense_counts() {
    let server = start(&["--max-wrong-keys", "1", "--proxies", "1"]).await;
    let mut statuses = Vec::new();
    for forwarded in [&b"\xfc, 192.0.2.1"[..], b"\xfc, 192.0.2.2"] {
        let request = server
            .client
            .post(format!("{}/liveness/", server.base))
            .header("X-Forwarded-For", forwarded)
            .header("X-API-Key", "wrong");
        statuses.push(send(request).await.status.as_u16());
    }
    assert_eq!(statuses, [401, 401]);
}

#[tokio::test]
async fn an_unknown_proxy_is_not_believed() {
    let server = start(&["--max-wrong-keys", "3"]).await;
    let mut statuses = Vec::new();
    for number in 0..5 {
        let request = server
            .client
            .post(format!("{}/liveness/", server.base))
            .header("X-API-Key", "wrong")
            .header("X-Forwarded-For", format!("192.0.2.{number}"));
        statuses.push(send(request).await.status.as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 429, 429]);
}
