//! Requests and answers as the contract has them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use liveness::{Error, ErrorCode};
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::json;

use crate::support::{
    Before, KEY, OTHER_KEY, Running, expected, failure, file, json, multipart_text, portrait, raw,
    send, start, start_with, url_encoded,
};

fn picture(image: &image::RgbImage) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image
        .write_to(&mut bytes, image::ImageFormat::Png)
        .expect("memory takes every image");
    bytes.into_inner()
}

/// Two people side by side.
fn two_people() -> Vec<u8> {
    let one = image::load_from_memory(&portrait()).unwrap().into_rgb8();
    let mut canvas = image::RgbImage::new(1024, 512);
    image::imageops::replace(&mut canvas, &one, 0, 0);
    image::imageops::replace(&mut canvas, &one, 512, 0);
    picture(&canvas)
}

#[tokio::test]
async fn all_ways_to_send_give_the_same_answer() {
    let server = start(&[]).await;
    let image = portrait();
    let text = STANDARD.encode(&image);
    let without_slash = server
        .client
        .post(format!("{}/liveness", server.base))
        .header("X-API-Key", OTHER_KEY);
    let bearer = server
        .client
        .post(format!("{}/liveness/", server.base))
        .bearer_auth(KEY);
    let ways = [
        server.post().multipart(file(image.clone())),
        server
            .post()
            .multipart(Form::new().part("image", Part::bytes(image.clone()))),
        without_slash.multipart(file(image.clone())),
        bearer.multipart(file(image.clone())),
        server.post().multipart(multipart_text(text.clone())),
        url_encoded(server.post(), &[("image_bytes", &text)]),
        json(server.post(), &json!({"image_bytes": text})),
        // As `curl -d "image_bytes=$(base64 -w0 FILE)"` sends it.
        raw(
            server.post(),
            "application/x-www-form-urlencoded",
            format!("image_bytes={text}"),
        ),
        // As encoders send it that escape what needs none.
        raw(
            server.post(),
            "application/json",
            format!(
                r#"{{"image_bytes":"{}"}}"#,
                text.replace('/', "\\/").replace('+', "\\u002B")
            ),
        ),
    ];
    let expected = expected(&image);
    assert!(expected.contains(r#""liveness":true"#));
    for (way, request) in ways.into_iter().enumerate() {
        let answer = send(request).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body),
            (200, expected.clone()),
            "way {way}"
        );
    }
}

/// What clients send that are not careful, and is still clear.
#[tokio::test]
async fn odd_headers_of_clients_are_understood() {
    let server = start(&[]).await;
    let image = portrait();
    let text = json!({"image_bytes": STANDARD.encode(&image)}).to_string();
    let form = |boundary: &str, disposition: &str| {
        let head = format!("--{boundary}\r\nContent-Disposition: {disposition}\r\n\r\n");
        let end = format!("\r\n--{boundary}--\r\n");
        [head.as_bytes(), &image, end.as_bytes()].concat()
    };
    let java = "----=_Part_1_23.45";
    let named = r#"form-data; name="image"; filename="a.png""#;
    for (content_type, body) in [
        ("application/json ; charset=utf-8", text.into_bytes()),
        (
            "multipart/form-data;boundary=----=_Part_1_23.45",
            form(java, named),
        ),
        (
            "multipart/form-data; boundary=b",
            form(
                "b",
                r#"form-data; filename="a; name=details.png"; name="image""#,
            ),
        ),
        (
            "multipart/form-data; boundary=b",
            form("b", r#"form-data; filename="\"; name=\"x.png"; Name=image"#),
        ),
    ] {
        let answer = send(raw(server.post(), content_type, body)).await;
        assert_eq!(answer.body, expected(&image), "{content_type}");
    }
}

#[tokio::test]
async fn every_spelling_of_base64_is_read() {
    let server = start(&[]).await;
    let image = portrait();
    let standard = STANDARD.encode(&image);
    let lines: Vec<_> = standard
        .as_bytes()
        .chunks(76)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let spellings = [
        URL_SAFE_NO_PAD.encode(&image),
        standard.trim_end_matches('=').to_owned(),
        lines.join("\r\n") + "\r\n",
        lines.join("\n"),
        format!("data:image/png;base64,{standard}"),
    ];
    let expected = expected(&image);
    for text in &spellings {
        for request in [
            server.post().multipart(multipart_text(text.clone())),
            url_encoded(server.post(), &[("image_bytes", text)]),
            json(server.post(), &json!({"image_bytes": text})),
        ] {
            assert_eq!(send(request).await.body, expected, "{}", &text[..40]);
        }
    }
}

#[tokio::test]
async fn details_come_only_when_asked_for() {
    let server = start(&[]).await;
    let image = portrait();
    let text = STANDARD.encode(&image);
    let asked = [
        server
            .post()
            .query("details=true")
            .multipart(file(image.clone())),
        server
            .post()
            .multipart(file(image.clone()).text("details", "true")),
        server.post().multipart(
            Form::new()
                .text("details", "1")
                .part("image", Part::bytes(image.clone())),
        ),
        url_encoded(
            server.post(),
            &[("details", "True"), ("image_bytes", &text)],
        ),
        json(
            server.post(),
            &json!({"image_bytes": text, "details": true}),
        ),
        json(
            server.post().query("details=true"),
            &json!({"image_bytes": text, "details": false}),
        ),
    ];
    for request in asked {
        let answer = send(request).await.json();
        let details = &answer["details"];
        assert!(details["live_probability"].is_number());
        assert_eq!(details["face"]["landmarks"].as_array().unwrap().len(), 5);
        assert!(details["timings_ms"]["total"].as_f64().unwrap() > 0.0);
        assert_eq!(details["reasons"], json!([]));
    }
    let not_asked = [
        server
            .post()
            .query("details=false")
            .multipart(file(image.clone())),
        server
            .post()
            .multipart(file(image.clone()).text("details", "0")),
        json(
            server.post(),
            &json!({"image_bytes": text, "details": false}),
        ),
    ];
    for request in not_asked {
        assert!(send(request).await.json().get("details").is_none());
    }
    let refused = send(
        server
            .post()
            .query("details=true")
            .multipart(file(two_people())),
    )
    .await;
    assert_eq!(refused.status, 422);
    assert_eq!(
        refused.json()["details"]["reasons"],
        json!(["several_faces"])
    );
    let malformed = send(
        server
            .post()
            .query("details=true")
            .multipart(Form::new().text("a", "b")),
    )
    .await;
    assert_eq!(malformed.status, 400);
    assert!(
        malformed.json()["details"]["reason"]
            .as_str()
            .unwrap()
            .contains("image_bytes")
    );
}

trait Query {
    fn query(self, query: &str) -> Self;
}

impl Query for reqwest::RequestBuilder {
    fn query(self, query: &str) -> Self {
        let (client, request) = self.build_split();
        let mut request = request.unwrap();
        request.url_mut().set_query(Some(query));
        reqwest::RequestBuilder::from_parts(client, request)
    }
}

#[tokio::test]
async fn keys_come_first() {
    let server = start(&[]).await;
    let request = |method: Method, path: &str| {
        server
            .client
            .request(method, format!("{}{path}", server.base))
    };
    let post = || request(Method::POST, "/liveness/").multipart(file(portrait()));
    for refused in [
        post(),
        post().header("X-API-Key", "wrong"),
        post().header("X-API-Key", ""),
        post().header("X-API-Key", format!("{KEY},{OTHER_KEY}")),
        post().header("Authorization", "Bearer wrong"),
        post().header("Authorization", format!("Basic {KEY}")),
        post().header("Authorization", KEY),
        request(Method::POST, &format!("/liveness/?X-API-Key={KEY}")).multipart(file(portrait())),
        // Whatever else is wrong.
        request(Method::GET, "/liveness/"),
        request(Method::DELETE, "/liveness"),
        request(Method::POST, "/liveness/?details=perhaps").body("nothing"),
        request(Method::POST, "/liveness/").body(vec![0_u8; 12 << 20]),
    ] {
        let answer = send(refused).await;
        answer.is_failure(401, "001");
        assert_eq!(
            answer.headers["www-authenticate"],
            "Bearer realm=\"liveness\""
        );
    }
    // One of two is enough: a proxy may need the other for itself.
    let both = post().header("X-API-Key", "wrong").bearer_auth(KEY);
    assert_eq!(send(both).await.status, 200);
}

#[tokio::test]
async fn malformed_requests_are_004() {
    let server = start(&[]).await;
    let image = portrait();
    let text = STANDARD.encode(&image);
    let multipart = |body: &str| {
        raw(
            server.post(),
            "multipart/form-data; boundary=b",
            body.replace('\n', "\r\n"),
        )
    };
    let requests = [
        server.post(),
        server.post().body(image.clone()),
        raw(server.post(), "image/png", image.clone()),
        raw(server.post(), "text/plain", format!("image_bytes={text}")),
        raw(server.post(), "multipart/form-data", "--b--"),
        raw(server.post(), "nonsense", text.clone()),
        server.post().multipart(Form::new().text("other", "field")),
        server
            .post()
            .multipart(file(image.clone()).text("image_bytes", text.clone())),
        server
            .post()
            .multipart(multipart_text(text.clone()).part("image", Part::bytes(image.clone()))),
        server
            .post()
            .multipart(file(image.clone()).part("image", Part::bytes(image.clone()))),
        server
            .post()
            .multipart(file(image.clone()).text("details", "perhaps")),
        server
            .post()
            .query("details=perhaps")
            .multipart(file(image.clone())),
        multipart(""),
        multipart("--b--\n"),
        multipart("--b\nContent-Disposition: form-data; name=\"image\"\n\nno end"),
        multipart("--b\nno header\n\nx\n--b--\n"),
        multipart("nothing of the kind"),
        url_encoded(server.post(), &[("image", &text)]),
        url_encoded(
            server.post(),
            &[("image_bytes", &text), ("image_bytes", &text)],
        ),
        raw(server.post(), "application/x-www-form-urlencoded", ""),
        json(server.post(), &json!({"image": text})),
        json(server.post(), &json!([text])),
        json(server.post(), &json!({"image_bytes": null})),
        raw(server.post(), "application/json", "{"),
        json(server.post(), &json!({"image_bytes": text})).header("Content-Encoding", "gzip"),
    ];
    for (index, request) in requests.into_iter().enumerate() {
        let answer = send(request).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body),
            (400, failure("004")),
            "request {index}"
        );
    }
}

/// In the order of the contract, whichever part of the form comes first.
#[tokio::test]
async fn what_is_malformed_is_004_however_large_the_image() {
    let server = start(&[]).await;
    let image = || Part::bytes(vec![0_u8; 11 << 20]).file_name("selfie.jpg");
    let large = || Form::new().part("image", image());
    for (index, form) in [
        large().text("image_bytes", "AAAA"),
        large().part("image", Part::bytes(portrait())),
        large().text("details", "maybe"),
        Form::new().text("details", "maybe").part("image", image()),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = send(server.post().multipart(form)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body),
            (400, failure("004")),
            "form {index}"
        );
    }
    for form in [
        large(),
        large().text("details", "true"),
        Form::new().text("details", "true").part("image", image()),
    ] {
        send(server.post().multipart(form))
            .await
            .is_failure(413, "003");
    }
}

#[tokio::test]
async fn wrong_methods_and_addresses() {
    let server = start(&[]).await;
    let request = |method: Method, path: &str| {
        server
            .client
            .request(method, format!("{}{path}", server.base))
            .header("X-API-Key", KEY)
    };
    for path in ["/liveness", "/liveness/"] {
        for method in [
            Method::GET,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
            Method::OPTIONS,
            Method::TRACE,
        ] {
            let answer = send(request(method, path)).await;
            answer.is_failure(405, "004");
            assert_eq!(answer.headers["allow"], "POST");
        }
        let head = request(Method::HEAD, path).send().await.unwrap();
        assert_eq!(
            (head.status().as_u16(), &head.headers()["allow"]),
            (405, &"POST".parse().unwrap())
        );
    }
    for path in ["/", "/healthz", "/readyz", "/metrics", "/openapi.json"] {
        let answer = send(request(Method::POST, path)).await;
        answer.is_failure(405, "004");
        let allowed: Vec<_> = answer.headers["allow"]
            .to_str()
            .unwrap()
            .split(", ")
            .collect();
        assert_eq!(answer.headers.get_all("allow").iter().count(), 1);
        assert_eq!(allowed.len(), 2);
        assert!(allowed.contains(&"GET") && allowed.contains(&"HEAD"));
    }
    for path in [
        "/nothing",
        "/liveness/more",
        "/Liveness/",
        "/..%2f..%2fetc/passwd",
        "/page",
    ] {
        send(request(Method::GET, path))
            .await
            .is_failure(404, "004");
        send(request(Method::POST, path))
            .await
            .is_failure(404, "004");
    }
}

/// As browsers send a page's form of which only one input was filled in.
#[tokio::test]
async fn an_input_that_was_left_empty_is_absent_beside_the_other() {
    let server = start(&[]).await;
    let image = portrait();
    let file = |name: &'static str, bytes: &[u8]| Part::bytes(bytes.to_vec()).file_name(name);
    let text = || Part::text(STANDARD.encode(&image));
    let (unselected, selected) = (|| file("", b""), || file("a.png", &image));
    let filled = [
        [("image", unselected()), ("image_bytes", text())],
        [("image_bytes", text()), ("image", unselected())],
        [("image", selected()), ("image_bytes", Part::text(""))],
        [("image_bytes", Part::text("")), ("image", selected())],
    ];
    let refused = [
        [("image", unselected()), ("image_bytes", Part::text(""))],
        [("image", unselected()), ("image", selected())],
        [("image_bytes", text()), ("image_bytes", Part::text(""))],
        [("image", file("", &image)), ("image_bytes", text())],
        [("image_bytes", text()), ("image", file("a.png", b""))],
    ];
    let form = |parts: [(&'static str, Part); 2]| {
        let add = |form: Form, (name, part)| form.part(name, part);
        parts.into_iter().fold(Form::new(), add)
    };
    for (index, parts) in filled.into_iter().enumerate() {
        let answer = send(server.post().multipart(form(parts))).await;
        assert_eq!(answer.body, expected(&image), "form {index}");
    }
    for (index, parts) in refused.into_iter().enumerate() {
        let answer = send(server.post().multipart(form(parts))).await;
        assert_eq!(answer.body, failure("004"), "form {index}");
    }
    // Alone they are a picture that cannot be read.
    for alone in [("image", unselected()), ("image_bytes", Part::text(""))] {
        let form = Form::new().part(alone.0, alone.1);
        send(server.post().multipart(form))
            .await
            .is_failure(400, "002");
    }
}

/// Whoever reads the same request otherwise would find another picture in it.
#[tokio::test]
async fn what_is_said_twice_is_004() {
    let server = start(&[]).await;
    let part = |boundary: &str, name: &str, file: &[u8]| {
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; {name}; filename=\"a\"\r\n\r\n"
        );
        let end = format!("\r\n--{boundary}--\r\n");
        [head.as_bytes(), file, end.as_bytes()].concat()
    };
    let image = r#"name="image""#;
    let one = part("x", image, &portrait());
    let both = [&one[..], &part("y", image, b"no image")].concat();
    let two_names = part("x", r#"name="image"; name="other""#, &portrait());
    let sent = |kinds: &[&str], body: &[u8]| {
        let request = server.post().body(body.to_vec());
        let add =
            |request: reqwest::RequestBuilder, kind: &&str| request.header("content-type", *kind);
        kinds.iter().fold(request, add)
    };
    let (x, y) = (
        "multipart/form-data; boundary=x",
        "multipart/form-data; boundary=y",
    );
    assert_eq!(send(sent(&[x], &one)).await.status, 200);
    for (kinds, body) in [
        (&["multipart/form-data; boundary=x; boundary=y"][..], &both),
        (&["multipart/form-data; boundary=y; boundary=x"], &both),
        (&[x, y], &both),
        (&[x], &two_names),
    ] {
        let answer = send(sent(kinds, body)).await;
        assert_eq!(answer.body, failure("004"), "{kinds:?}");
    }
}

#[tokio::test]
async fn an_address_without_anything_says_so_with_details() {
    let server = start(&[]).await;
    for (method, path, said) in [
        (Method::POST, "/nothing", "POST to /liveness/"),
        (Method::DELETE, "/healthz", "GET, HEAD only"),
    ] {
        let url = format!("{}{path}?details=true", server.base);
        let answer = send(server.client.request(method, url)).await.json();
        let reason = answer["details"]["reason"].as_str().unwrap();
        assert!(reason.contains(said), "{reason}");
    }
}

#[tokio::test]
async fn unreadable_images_are_002() {
    let server = start(&[]).await;
    let image = portrait();
    for bytes in [
        &b""[..],
        b"hello",
        &image[..image.len() / 2],
        b"\xff\xd8\xff",
    ] {
        let text = STANDARD.encode(bytes);
        for request in [
            server.post().multipart(file(bytes)),
            server.post().multipart(multipart_text(text.clone())),
            url_encoded(server.post(), &[("image_bytes", &text)]),
            json(server.post(), &json!({"image_bytes": text})),
        ] {
            send(request).await.is_failure(400, "002");
        }
    }
    for text in [
        "*",
        "data:image/png,abcd",
        "\u{fc}",
        &format!("{}!", STANDARD.encode(&image)),
    ] {
        send(json(server.post(), &json!({"image_bytes": text})))
            .await
            .is_failure(400, "002");
    }
    for text in [&b"\xff"[..], b"%FF", b"%C3%BC+", b"AAAA%", b"%zz"] {
        let body = [b"image_bytes=", text].concat();
        send(raw(
            server.post(),
            "application/x-www-form-urlencoded",
            body,
        ))
        .await
        .is_failure(400, "002");
    }
    // A file is no text: base64 in its place is no image.
    let text = STANDARD.encode(&image);
    send(server.post().multipart(file(text)))
        .await
        .is_failure(400, "002");
}

#[tokio::test]
async fn faces_are_counted() {
    let server = start(&[]).await;
    for image in [two_people(), picture(&image::RgbImage::new(300, 400))] {
        send(server.post().multipart(file(image)))
            .await
            .is_failure(422, "051");
    }
}

#[tokio::test]
async fn every_code_of_the_library_has_its_status() {
    for (code, status) in [
        (ErrorCode::UnreadableImage, 400),
        (ErrorCode::ImageTooLarge, 413),
        (ErrorCode::BadRequest, 400),
        (ErrorCode::Internal, 500),
        (ErrorCode::FaceCount, 422),
        (ErrorCode::MaskDetected, 422),
    ] {
        let checker = Before(move || Some(Error::new(code, "/a/secret/path")));
        let server = start_with(&[], Arc::new(checker)).await;
        let answer = send(server.post().multipart(file(portrait()))).await;
        answer.is_failure(status, code.as_str());
        let counted = format!("liveness_requests_total{{code=\"{}\"}}", code.as_str());
        assert_eq!(server.metric(&counted).await, 1.0);
    }
}

#[tokio::test]
async fn what_goes_wrong_inside_stays_inside() {
    let checker = Before(|| Some(Error::new(ErrorCode::Internal, "/a/secret/path")));
    let server = start_with(&[], Arc::new(checker)).await;
    let answer = send(
        server
            .post()
            .query("details=true")
            .multipart(file(portrait())),
    )
    .await;
    assert_eq!(answer.status, 500);
    assert!(!answer.body.contains("secret"), "{}", answer.body);
}

#[tokio::test]
async fn a_panic_is_005_and_no_more() {
    let checker = Before(|| -> Option<Error> { panic!("forced") });
    let server: Running =
        start_with(&["--max-checks", "1", "--queue", "0"], Arc::new(checker)).await;
    // More often than there are places: none is lost.
    for _ in 0..3 {
        send(server.post().multipart(file(portrait())))
            .await
            .is_failure(500, "005");
    }
    assert_eq!(server.metric("liveness_checks_in_flight").await, 0.0);
    assert_eq!(
        server
            .metric("liveness_verdicts_total{verdict=\"live\"}")
            .await,
        0.0
    );
}
