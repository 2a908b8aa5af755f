//! What surrounds the answers: the page, headers, request ids, metrics, HTTP/2.

use reqwest::{Client, Method, Version};
use serde_json::Value;

use crate::support::{file, portrait, send, start};

const PAGE: &str = include_str!("../../page/index.html");

/// The headers that every file and answer has.
fn protects(answer: &reqwest::Response) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        (
            "permissions-policy",
            "camera=(self), microphone=(), geolocation=()",
        ),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(answer.headers()[name], value, "{}", answer.url());
    }
}

#[tokio::test]
async fn the_page_and_all_its_files_are_there() {
    let server = start(&[]).await;
    let page = server.get("/").send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    for demand in [
        "script-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ] {
        assert!(policy.contains(demand), "{policy}");
    }
    protects(&page);
    assert_eq!(page.text().await.unwrap(), PAGE);
    let mut files = 0;
    for attribute in ["src=\"", "href=\""] {
        for rest in PAGE.split(attribute).skip(1) {
            let name = rest.split('"').next().unwrap();
            if name.starts_with('#') || name.is_empty() {
                continue;
            }
            assert!(
                !name.contains("//") && !name.starts_with("data:"),
                "{name} is from elsewhere"
            );
            let answer = server.get(&format!("/{name}")).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{name}");
            protects(&answer);
            files += 1;
        }
    }
    assert!(files >= 3);
    let head = server
        .client
        .head(format!("{}/", server.base))
        .send()
        .await
        .unwrap();
    assert_eq!(head.status(), 200);
}

#[tokio::test]
async fn every_answer_has_the_protective_headers() {
    let server = start(&[]).await;
    let requests = [
        server.post().multipart(file(portrait())),
        server.post(),
        server.get("/liveness/"),
        server.get("/nothing"),
        server.get("/readyz"),
        server.get("/metrics"),
        server.get("/openapi.json"),
    ];
    for request in requests {
        let answer = request.send().await.unwrap();
        protects(&answer);
        for (name, value) in [
            ("cache-control", "no-store"),
            (
                "content-security-policy",
                "default-src 'none'; frame-ancestors 'none'",
            ),
        ] {
            assert_eq!(answer.headers()[name], value, "{}", answer.url());
        }
        for absent in [
            "access-control-allow-origin",
            "server",
            "strict-transport-security",
        ] {
            assert!(
                !answer.headers().contains_key(absent),
                "{absent} at {}",
                answer.url()
            );
        }
    }
}

#[tokio::test]
async fn request_ids_come_back_if_sane() {
    let server = start(&[]).await;
    let id = async |sent: Option<&str>| {
        let request = server.get("/healthz");
        let request = match sent {
            Some(id) => request.header("X-Request-Id", id),
            None => request,
        };
        send(request).await.headers["x-request-id"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(id(Some("order-7_a.B")).await, "order-7_a.B");
    let generated = [
        id(None).await,
        id(Some("a b\"c")).await,
        id(Some(&"x".repeat(200))).await,
    ];
    for (index, id) in generated.iter().enumerate() {
        assert!(id.len() == 32 && !generated[..index].contains(id), "{id}");
    }
}

#[tokio::test]
async fn foreign_pages_need_permission() {
    const ORIGIN: &str = "https://app.example";
    let preflight = |base: &str, origin: &str| {
        Client::new()
            .request(Method::OPTIONS, format!("{base}/liveness/"))
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "x-api-key")
    };
    let closed = start(&[]).await;
    let answer = send(preflight(&closed.base, ORIGIN)).await;
    answer.is_failure(401, "001");
    assert!(!answer.headers.contains_key("access-control-allow-origin"));

    let open = start(&["--cors-origin", "https://other.example,https://app.example"]).await;
    let answer = preflight(&open.base, ORIGIN).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["access-control-allow-origin"], ORIGIN);
    let headers = answer.headers()["access-control-allow-headers"]
        .to_str()
        .unwrap();
    assert!(headers.contains("x-api-key") && headers.contains("authorization"));
    for request in [open.post().multipart(file(portrait())), open.post()] {
        let answer = send(request.header("Origin", ORIGIN)).await;
        assert_eq!(answer.headers["access-control-allow-origin"], ORIGIN);
    }
    let answer = preflight(&open.base, "https://evil.example")
        .send()
        .await
        .unwrap();
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn foreign_pages_find_nothing_where_nothing_is() {
    for origins in ["https://app.example", "*"] {
        let server = start(&["--cors-origin", origins]).await;
        let preflight = |path: &str| {
            Client::new()
                .request(Method::OPTIONS, format!("{}{path}", server.base))
                .header("Origin", "https://app.example")
                .header("Access-Control-Request-Method", "POST")
        };
        for path in ["/nothing", "/liveness/more", "/Liveness/"] {
            let answer = send(preflight(path)).await;
            answer.is_failure(404, "004");
            assert!(!answer.headers.contains_key("access-control-allow-methods"));
        }
        for path in ["/metrics", "/readyz"] {
            send(preflight(path)).await.is_failure(405, "004");
            let request = server.get(path).header("Origin", "https://app.example");
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 200, "{path}");
            assert!(!answer.headers().contains_key("access-control-allow-origin"));
        }
        for path in ["/liveness", "/liveness/", "/healthz", "/"] {
            let answer = preflight(path).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{path}");
            assert!(answer.headers().contains_key("access-control-allow-origin"));
        }
    }
}

#[tokio::test]
async fn metrics_have_few_labels() {
    let server = start(&[]).await;
    for path in ["/nothing", "/a/b/c", "/liveness/?key=secret", "/%00"] {
        server.get(path).send().await.unwrap();
    }
    let metrics = server.get("/metrics").send().await.unwrap();
    assert_eq!(
        metrics.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let text = metrics.text().await.unwrap();
    assert!(
        text.contains(r#"liveness_http_responses_total{route="other",status="404"} 3"#),
        "{text}"
    );
    assert!(text.contains(r#"liveness_http_responses_total{route="/liveness/",status="401"} 1"#));
    assert!(text.contains(r#"liveness_requests_total{code="001"} 1"#));
    assert!(text.contains("liveness_engine_info{engine=") && !text.contains("secret"));
}

#[tokio::test]
async fn the_description_names_every_address() {
    let server = start(&[]).await;
    let answer = send(server.get("/openapi.json")).await;
    let description: Value = answer.json();
    assert_eq!(description["openapi"], "3.1.0");
    assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
    let paths = description["paths"].as_object().unwrap();
    let mut paths: Vec<_> = paths.keys().map(String::as_str).collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        [
            "/healthz",
            "/liveness",
            "/liveness/",
            "/metrics",
            "/openapi.json",
            "/readyz"
        ]
    );
}

#[tokio::test]
async fn the_description_says_how_a_key_is_asked_for() {
    let server = start(&[]).await;
    let description = send(server.get("/openapi.json")).await.json();
    let header =
        &description["components"]["responses"]["Unauthorized"]["headers"]["WWW-Authenticate"];
    let answer = send(server.get("/liveness/")).await;
    assert_eq!(answer.status, 401);
    assert_eq!(
        header["schema"]["const"],
        answer.headers["www-authenticate"].to_str().unwrap()
    );
}

#[tokio::test]
async fn the_description_says_when_to_come_again() {
    let server = start(&[]).await;
    let description = send(server.get("/openapi.json")).await.json();
    let mut refusals = 0;
    for (path, operations) in description["paths"].as_object().unwrap() {
        for operation in operations.as_object().unwrap().values() {
            for status in ["429", "503"] {
                let Some(response) = operation["responses"].get(status) else {
                    continue;
                };
                let response = match response["$ref"].as_str() {
                    Some(reference) => description.pointer(&reference[1..]).unwrap(),
                    None => response,
                };
                let header = &response["headers"]["Retry-After"];
                assert_eq!(header["required"], true, "{path} {status}");
                refusals += 1;
            }
        }
    }
    assert_eq!(refusals, 5);
}

/// The number that the library's source or the models give for a name.
fn number_in(source: &str, before: &str) -> String {
    let (_, rest) = source
        .split_once(before)
        .unwrap_or_else(|| panic!("{before} is gone"));
    let end = rest
        .find(|sign: char| !sign.is_ascii_digit() && sign != '.')
        .unwrap();
    // Written like a text's: 80 for 80.0.
    rest[..end]
        .trim_end_matches(".0")
        .trim_end_matches('.')
        .to_owned()
}

#[tokio::test]
async fn the_description_and_the_documentation_say_what_causes_each_reason() {
    let quality = include_str!("../../../../src/quality.rs");
    let detect = include_str!("../../../../src/detect.rs");
    let constant = |source, name: &str| number_in(source, &format!("const {name}: f32 = "));
    let manifest: Value =
        serde_json::from_str(include_str!("../../../../models/manifest.json")).unwrap();
    let angle = constant(quality, "MAX_ANGLE");
    let brightness = "RangeInclusive<f32> = ";
    let darkest = number_in(quality, brightness);
    let brightest = number_in(quality, &format!("{brightness}{darkest}..="));
    let detector = &manifest["detector"];
    let seconds = liveness::Config::default().second_face_ratio;
    let of_an_error = [
        (
            "no_face",
            format!("`score` of {} or more", detector["score_threshold"]),
        ),
        (
            "no_face",
            format!("under {} less", detector["judged"]["score"]),
        ),
        (
            "no_face",
            format!("under {} in any case", detector["judged"]["least"]),
        ),
        (
            "not_upright",
            format!(
                "under {} and {} times",
                detector["upright"]["score"], detector["upright"]["slope"]
            ),
        ),
        (
            "not_upright",
            format!("{} times as high", constant(detect, "LYING")),
        ),
        ("several_faces", format!("{seconds} of the tallest")),
        (
            "face_mask",
            format!(
                "`mask_probability` of {} or more",
                manifest["mask"]["threshold"]
            ),
        ),
    ];
    let of_quality = [
        (
            "face_too_small",
            format!("`face_size` under {}", constant(quality, "MIN_FACE_SIZE")),
        ),
        (
            "face_too_small",
            format!("under {} the answer", constant(detect, "SMALLEST")),
        ),
        (
            "face_cut_off",
            format!("`outside` above {}", constant(quality, "MAX_OUTSIDE")),
        ),
        ("head_turned", format!("`yaw` beyond {angle} ")),
        ("head_nodded", format!("`pitch` beyond {angle} ")),
        ("head_tilted", format!("`roll` beyond {angle} ")),
        ("too_dark", format!("`brightness` under {darkest}")),
        ("too_bright", format!("`brightness` above {brightest}")),
        (
            "low_contrast",
            format!("`contrast` under {}", constant(quality, "MIN_CONTRAST")),
        ),
        (
            "clipped",
            format!("`clipped` above {}", constant(quality, "MAX_CLIPPED")),
        ),
        (
            "blurred",
            format!("`sharpness` under {}", constant(quality, "MIN_SHARPNESS")),
        ),
    ];
    assert_eq!(detector["judged"]["slope"], 1.0);

    let server = start(&[]).await;
    let description = send(server.get("/openapi.json")).await.json();
    let reasons = &description["components"]["schemas"]["Reasons"];
    let described = reasons["description"].as_str().unwrap();
    let documented = include_str!("../../../../docs/behaviour.md");
    let says = |text: &str, begin: &str, reason: &str, cause: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{begin} `{reason}`")));
        let line = line.unwrap_or_else(|| panic!("{reason} is missing"));
        assert!(line.contains(cause), "{line} lacks {cause}");
    };
    for (reason, cause) in of_an_error.iter().chain(&of_quality) {
        says(described, "-", reason, cause);
    }
    for (reason, cause) in &of_quality {
        says(documented, "|", reason, cause);
    }
    for reason in reasons["items"]["enum"].as_array().unwrap() {
        says(described, "-", reason.as_str().unwrap(), "");
    }
}

#[tokio::test]
async fn http_2_is_spoken() {
    let server = start(&[]).await;
    let client = Client::builder().http2_prior_knowledge().build().unwrap();
    let post = |key: &str| {
        client
            .post(format!("{}/liveness/", server.base))
            .header("X-API-Key", key)
            .multipart(file(portrait()))
            .send()
    };
    let answer = post(crate::support::KEY).await.unwrap();
    assert_eq!(
        (answer.version(), answer.status().as_u16()),
        (Version::HTTP_2, 200)
    );
    assert_eq!(
        answer.text().await.unwrap(),
        crate::support::expected(&portrait())
    );
    assert_eq!(post("wrong").await.unwrap().status(), 401);
}
