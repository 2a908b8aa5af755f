//! Size and time: what is refused, and when.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use liveness::{Error, ErrorCode};
use liveness_server::MAX_IMAGE_BYTES;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{
    Before, KEY, Running, expected, failure, file, head, json, multipart_text, portrait, raw,
    read_answer, send, start, start_with, url_encoded, write,
};

/// The most bytes that this machine's sockets hold on the way to a server that does not read.
const IN_BUFFERS: usize = 16 << 20;

/// Where sending without end ends, so that the test does.
const ENDLESS: usize = 200 << 20;

fn requests(server: &Running, bytes: &[u8]) -> Vec<(&'static str, reqwest::RequestBuilder)> {
    let text = STANDARD.encode(bytes);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    vec![
        ("file", server.post().multipart(file(bytes))),
        (
            "multipart",
            server.post().multipart(multipart_text(text.clone())),
        ),
        (
            "lines",
            server.post().multipart(multipart_text(lines.join("\r\n"))),
        ),
        (
            "form",
            url_encoded(server.post(), &[("image_bytes", &text)]),
        ),
        (
            "lines in a form",
            url_encoded(server.post(), &[("image_bytes", &lines.join("\r\n"))]),
        ),
        ("JSON", json(server.post(), &json!({"image_bytes": text}))),
        (
            "escaped JSON",
            raw(
                server.post(),
                "application/json",
                format!(r#"{{"image_bytes":"{}"}}"#, text.replace('/', "\\/")),
            ),
        ),
    ]
}

#[tokio::test]
async fn ten_mebibytes_are_the_limit_in_every_form() {
    let server = start(&[]).await;
    // Digits of base64 that need no escape, and such that all do.
    for byte in [0, 0xff] {
        let most = vec![byte; MAX_IMAGE_BYTES];
        for (form, request) in requests(&server, &most) {
            let answer = send(request).await;
            assert_eq!(
                (answer.status.as_u16(), answer.body),
                (400, failure("002")),
                "{form}"
            );
        }
        let too_much = vec![byte; MAX_IMAGE_BYTES + 1];
        for (form, request) in requests(&server, &too_much) {
            let answer = send(request).await;
            assert_eq!(
                (answer.status.as_u16(), answer.body),
                (413, failure("003")),
                "{form}"
            );
        }
    }
}

#[tokio::test]
async fn an_image_of_ten_mebibytes_is_checked() {
    let server = start(&[]).await;
    let mut image = portrait();
    let expected = expected(&image);
    // Readers of PNG stop at its end.
    image.resize(MAX_IMAGE_BYTES, 0);
    assert_eq!(
        send(server.post().multipart(file(image))).await.body,
        expected
    );
}

#[tokio::test]
async fn the_content_type_is_judged_before_the_size() {
    let server = start(&[]).await;
    send(server.post().body(vec![0_u8; 30 << 20]))
        .await
        .is_failure(400, "004");
}

/// Sends without end, and gives the answer and how much had been sent when it came.
async fn send_without_end(
    server: &Running,
    head: &str,
    start: &str,
    piece: &[u8],
) -> (u16, String, usize) {
    let (mut reader, mut writer) = server.connect().await.into_split();
    let chunk =
        |piece: &[u8]| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
    let opening = [head.as_bytes(), &chunk(start.as_bytes())].concat();
    let piece = chunk(piece);
    let sent = AtomicUsize::new(0);
    let sending = async {
        let _ = writer.write_all(&opening).await;
        while sent.load(Ordering::SeqCst) < ENDLESS && writer.write_all(&piece).await.is_ok() {
            sent.fetch_add(piece.len(), Ordering::SeqCst);
        }
        std::future::pending().await
    };
    let (status, body) = tokio::select! {
        answer = read_answer(&mut reader) => answer,
        never = sending => never,
    };
    (status, body, sent.load(Ordering::SeqCst))
}

#[tokio::test]
async fn reading_stops_at_the_limit() {
    let server = start(&[]).await;
    let forms = [
        (
            "multipart/form-data; boundary=b",
            "--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\n",
            MAX_IMAGE_BYTES / 3 * 4,
        ),
        (
            "multipart/form-data; boundary=b",
            "--b\r\nContent-Disposition: form-data; name=\"image_bytes\"\r\n\r\n",
            MAX_IMAGE_BYTES / 3 * 4,
        ),
        (
            "multipart/form-data; boundary=b",
            "--b\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\n",
            MAX_IMAGE_BYTES / 3 * 4,
        ),
        (
            "application/x-www-form-urlencoded",
            "image_bytes=",
            MAX_IMAGE_BYTES / 3 * 4,
        ),
        (
            "application/json",
            "{\"image_bytes\":\"",
            MAX_IMAGE_BYTES / 3 * 4,
        ),
    ];
    // Digits, white space, and what is neither.
    for byte in [b'A', b' ', 0xff] {
        let piece = vec![byte; 64 << 10];
        for (content_type, start, limit) in forms {
            let head = head(&format!(
                "Content-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n"
            ));
            let (status, body, sent) = send_without_end(&server, &head, start, &piece).await;
            assert_eq!(
                (status, body),
                (413, failure("003")),
                "{byte} in {content_type} {start}"
            );
            assert!(
                sent < limit + IN_BUFFERS,
                "{sent} bytes of {byte} for {content_type} {start}"
            );
        }
    }
}

/// It would lie in the queue with all its white space, or whatever it holds.
#[tokio::test]
async fn text_beyond_that_of_any_permitted_image_is_refused_before_the_queue() {
    let checker = Before(|| Some(Error::new(ErrorCode::Internal, "it was queued")));
    let server = start_with(&[], Arc::new(checker)).await;
    // More escapes are announced than there are, so that the length is known only after decoding.
    let form = "image_bytes=".to_owned() + &"% ".repeat(7_500_000);
    let json = format!(
        r#"{{"image_bytes":"{}{}"}}"#,
        "\t".repeat(5_000_000),
        " ".repeat(12_000_000)
    );
    for (content_type, body) in [
        ("application/x-www-form-urlencoded", form),
        ("application/json", json),
    ] {
        send(raw(server.post(), content_type, body))
            .await
            .is_failure(413, "003");
    }
}

#[tokio::test]
async fn a_declared_size_is_refused_without_reading() {
    let server = start(&[]).await;
    for content_type in [
        "multipart/form-data; boundary=b",
        "application/x-www-form-urlencoded",
        "application/json",
    ] {
        let mut stream = server.connect().await;
        let headers = format!("Content-Type: {content_type}\r\nContent-Length: 50000000\r\n");
        write(&mut stream, head(&headers)).await;
        assert_eq!(read_answer(&mut stream).await, (413, failure("003")));
    }
}

#[tokio::test]
async fn the_query_is_judged_before_the_declared_size() {
    let server = start(&[]).await;
    let mut stream = server.connect().await;
    let headers = "Content-Type: application/json\r\nContent-Length: 50000000\r\n";
    let head = head(headers).replace("/liveness/", "/liveness/?details=maybe");
    write(&mut stream, head).await;
    assert_eq!(read_answer(&mut stream).await, (400, failure("004")));
}

#[tokio::test]
async fn the_key_is_asked_for_before_the_body() {
    let server = start(&[]).await;
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut stream = server.connect().await;
        write(
            &mut stream,
            format!("POST /liveness/ HTTP/1.1\r\nHost: a\r\nX-API-Key: wrong\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n{expect}\r\n"),
        )
        .await;
        assert_eq!(read_answer(&mut stream).await, (401, failure("001")));
    }
}

/// Sends a request as clients do that read nothing before all is written, and gives the answer.
async fn write_then_read(
    server: &Running,
    head: String,
    mut left: usize,
    pause: Duration,
) -> Result<(u16, String), std::io::Error> {
    let mut stream = server.connect().await;
    stream.write_all(head.as_bytes()).await?;
    let piece = vec![b'A'; 1 << 20];
    while left > 0 {
        let length = left.min(piece.len());
        stream.write_all(&piece[..length]).await?;
        left -= length;
        tokio::time::sleep(pause).await;
    }
    Ok(read_answer(&mut stream).await)
}

/// Java's HttpURLConnection and Python's http.client see a broken pipe where the server stops to
/// read before they stop to write.
#[tokio::test]
async fn who_writes_before_reading_gets_the_refusal() {
    let server = start(&["--max-uploads", "1", "--header-timeout", "1.5"]).await;
    let with_length = |length: usize| {
        head(&format!(
            "Content-Type: application/json\r\nContent-Length: {length}\r\n"
        ))
    };
    let wrong = |length: usize| with_length(length).replace(KEY, "wrong");
    let elsewhere = |length: usize| with_length(length).replace("/liveness/", "/nothing");
    let get_only = |length: usize| with_length(length).replace("/liveness/", "/healthz");
    // Longer than a connection may be idle, and than a sender is waited for beyond the limit.
    let slow = |head: String, length: usize| {
        let pause = Duration::from_millis(4500) / u32::try_from(length >> 20).unwrap();
        write_then_read(&server, head, length, pause)
    };
    let (small, large, larger) = (5 << 20, 50 << 20, 100 << 20);
    let answers = tokio::join!(
        slow(wrong(small), small),
        slow(wrong(large), large),
        write_then_read(&server, wrong(larger), larger, Duration::ZERO),
        slow(with_length(large), large),
        slow(elsewhere(small), small),
        slow(get_only(small), small),
    );
    for (answer, expected) in [
        (answers.0, (401, "001")),
        (answers.1, (401, "001")),
        (answers.2, (401, "001")),
        (answers.3, (413, "003")),
        (answers.4, (404, "004")),
        (answers.5, (405, "004")),
    ] {
        let (status, code) = expected;
        assert_eq!(
            answer.expect("all of it can be sent"),
            (status, failure(code))
        );
    }
    let mut uploading = server.connect().await;
    write(&mut uploading, with_length(1000)).await;
    server.until_metric("liveness_uploads_in_flight", 1.0).await;
    let answer = slow(with_length(small), small).await;
    assert_eq!(
        answer.expect("all of it can be sent"),
        (503, failure("005"))
    );
}

/// Whether the server reads for so long what it has refused.
async fn is_read(stream: &mut TcpStream, time: Duration) -> bool {
    let writing = async {
        while stream.write_all(b"A").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(time, writing).await.is_err()
}

/// A stranger may hold so many connections by bodies without end, and for so long.
#[tokio::test]
async fn refused_bodies_are_read_on_for_so_many_and_so_long() {
    let server = start(&["--upload-timeout", "6"]).await;
    let head = head("Content-Type: application/json\r\nContent-Length: 1000000\r\n")
        .replace("X-API-Key", "X-Other");
    let refused = async || {
        let mut stream = server.connect().await;
        write(&mut stream, &head).await;
        assert_eq!(read_answer(&mut stream).await, (401, failure("001")));
        stream
    };
    let mut streams = Vec::new();
    for _ in 0..65 {
        streams.push(refused().await);
    }
    let [.., last, beyond] = &mut streams[..] else {
        unreachable!();
    };
    // Longer than those beyond the limit are waited for.
    let short = Duration::from_millis(4500);
    let (goes_on, too_many) = tokio::join!(is_read(last, short), is_read(beyond, short));
    assert_eq!((goes_on, too_many), (true, false));
    assert!(!is_read(last, Duration::from_secs(20)).await);
    assert!(is_read(&mut refused().await, short).await);
}

#[tokio::test]
async fn a_slow_head_ends_the_connection() {
    let server = start(&["--header-timeout", "0.3"]).await;
    for start in ["", "P", "POST /liveness/ HTTP/1.1\r\nHost: a\r\nX-API"] {
        let mut stream = server.connect().await;
        let begin = Instant::now();
        write(&mut stream, start).await;
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(begin.elapsed() < Duration::from_secs(20), "{start:?}");
        assert!(!String::from_utf8_lossy(&rest).contains("200"), "{start:?}");
    }
}

/// How long a connection may be idle is asked of HTTP/2 in `hostile`.
#[tokio::test]
async fn a_connection_stays_while_it_is_used() {
    let checker = Before(|| {
        std::thread::sleep(Duration::from_secs(2));
        None
    });
    let server = start_with(&["--header-timeout", "1"], Arc::new(checker)).await;
    let mut stream = server.connect().await;
    // Answered at once, so that none is ever seen to be running.
    for _ in 0..6 {
        write(&mut stream, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(read_answer(&mut stream).await.0, 200);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    for client in [
        reqwest::Client::new(),
        reqwest::Client::builder()
            .http2_prior_knowledge()
            .build()
            .unwrap(),
    ] {
        let request = client
            .post(format!("{}/liveness/", server.base))
            .header("X-API-Key", KEY)
            .multipart(file(portrait()));
        assert_eq!(send(request).await.body, expected(&portrait()));
    }
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest))
        .await
        .expect("it ends when it is not used any more");
}

/// Who asks and does not read the answers is not waited for.
#[tokio::test]
async fn who_does_not_read_is_not_waited_for() {
    let server = start(&["--header-timeout", "0.3"]).await;
    let mut stream = server.connect().await;
    let asking = async {
        let requests = "GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
        while stream.write_all(requests.as_bytes()).await.is_ok() {}
    };
    tokio::time::timeout(Duration::from_secs(20), asking)
        .await
        .expect("the connection ends");
}

#[tokio::test]
async fn a_slow_body_times_out() {
    let server = start(&["--idle-timeout", "0.3"]).await;
    let mut stream = server.connect().await;
    write(
        &mut stream,
        head("Content-Type: application/json\r\nContent-Length: 1000\r\n"),
    )
    .await;
    write(&mut stream, "{\"image_bytes\":\"").await;
    assert_eq!(read_answer(&mut stream).await, (408, failure("004")));
}

#[tokio::test]
async fn a_body_that_trickles_times_out_too() {
    let server = start(&["--idle-timeout", "5", "--upload-timeout", "0.5"]).await;
    let (mut reader, mut writer) = server.connect().await.into_split();
    let trickling = async {
        let headers =
            head("Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n");
        let _ = writer.write_all(headers.as_bytes()).await;
        loop {
            let _ = writer.write_all(b"-").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        answer = read_answer(&mut reader) => assert_eq!(answer, (408, failure("004"))),
        () = trickling => unreachable!(),
    }
}

#[tokio::test]
async fn a_body_that_ends_early_is_004() {
    let server = start(&[]).await;
    for (content_type, body) in [
        ("application/json", "{\"image_bytes\":\"AAAA\"}"),
        ("application/x-www-form-urlencoded", "image_bytes=AAAA"),
        (
            "multipart/form-data; boundary=b",
            "--b\r\nContent-Disposition: form-data; name=\"image_bytes\"\r\n\r\nAAAA\r\n--b--\r\n",
        ),
    ] {
        let mut stream = server.connect().await;
        let headers = format!("Content-Type: {content_type}\r\nContent-Length: 1000\r\n");
        write(&mut stream, head(&headers) + body).await;
        stream.shutdown().await.unwrap();
        assert_eq!(
            read_answer(&mut stream).await,
            (400, failure("004")),
            "{content_type}"
        );
        let mut stream = server.connect().await;
        let headers = format!("Content-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n");
        write(
            &mut stream,
            head(&headers) + &format!("{:x}\r\n{body}\r\nnonsense\r\n", body.len()),
        )
        .await;
        assert_eq!(
            read_answer(&mut stream).await,
            (400, failure("004")),
            "{content_type}"
        );
    }
}

#[tokio::test]
async fn a_sender_that_goes_away_leaves_nothing_behind() {
    let server = start(&[]).await;
    let mut stream = server.connect().await;
    write(
        &mut stream,
        head("Content-Type: application/json\r\nContent-Length: 1000\r\n"),
    )
    .await;
    server.until_metric("liveness_uploads_in_flight", 1.0).await;
    drop(stream);
    server.until_metric("liveness_uploads_in_flight", 0.0).await;
}

#[tokio::test]
async fn a_connection_outlives_refusals() {
    let server = start(&[]).await;
    let mut stream = server.connect().await;
    for _ in 0..2 {
        let body = "{\"image_bytes\":\"AAAA\"}";
        let headers = format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        write(&mut stream, head(&headers) + body).await;
        assert_eq!(read_answer(&mut stream).await, (400, failure("002")));
        let wrong = head(&headers).replace(KEY, "wrong");
        write(&mut stream, wrong + body).await;
        assert_eq!(read_answer(&mut stream).await, (401, failure("001")));
    }
}
