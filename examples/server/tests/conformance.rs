//! The server's part of the conformance suite: each request of tests/conformance/cases.json is
//! answered with the reference's JSON, byte for byte but for timings.
//!
//! The reference and the images are written by `cargo test -p liveness --test conformance`, which
//! plain `cargo test` runs before.

mod support;

use std::collections::HashMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Map, Value};

use support::{
    ENGINE, KEY, Running, file, json, multipart_text, raw, repository, start, url_encoded,
};

#[derive(Deserialize)]
struct Table {
    surfaces: HashMap<String, Vec<String>>,
    status: HashMap<String, u16>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    send: String,
    input: Option<String>,
    #[serde(default)]
    details: bool,
    surfaces: Option<Vec<String>>,
    request: Option<Request>,
    status: Option<u16>,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    path: String,
    key: Option<String>,
    key_header: String,
    body: String,
    fields: Vec<Field>,
    content_type: Option<String>,
    text: Option<String>,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    file: Option<String>,
    base64: Option<String>,
    text: Option<String>,
    json: Option<Value>,
}

#[derive(Deserialize)]
struct Reference {
    name: String,
    outcome: String,
    json: String,
}

fn folder() -> PathBuf {
    let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    target.expect("below target").join("conformance")
}

fn read(name: &str) -> String {
    let path = folder().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|cause| {
        panic!(
            "{}: {cause}; run: cargo test -p liveness --test conformance",
            path.display()
        )
    })
}

fn input(name: &str) -> Vec<u8> {
    std::fs::read(folder().join("inputs").join(name)).expect("the suite has written its inputs")
}

/// The reference of the inference engine that the tests run with.
fn references() -> HashMap<String, Reference> {
    let onnxruntime = std::env::var_os("LIVENESS_ONNXRUNTIME").is_some_and(|path| !path.is_empty());
    let name = if onnxruntime {
        "expected-onnxruntime"
    } else {
        "expected"
    };
    let about: Value = serde_json::from_str(&read(&format!("{name}.about.json"))).unwrap();
    assert_eq!(
        about["models"],
        ENGINE.info().models,
        "the reference is of other models; run: cargo test -p liveness --test conformance"
    );
    read(&format!("{name}.jsonl"))
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of the reference"))
        .map(|reference: Reference| (reference.name.clone(), reference))
        .collect()
}

/// All the ways to send a case's input.
fn requests(server: &Running, case: &Case) -> Vec<RequestBuilder> {
    if let Some(request) = &case.request {
        return vec![described(server, request)];
    }
    let bytes = input(case.input.as_deref().expect("an input"));
    let details = if case.details { "true" } else { "false" };
    if case.send == "encoded" {
        return vec![
            server
                .post()
                .multipart(file(bytes).text("details", details)),
        ];
    }
    let text = String::from_utf8(bytes).expect("base64 is text");
    vec![
        server
            .post()
            .multipart(multipart_text(text.clone()).text("details", details)),
        url_encoded(
            server.post(),
            &[("image_bytes", &text), ("details", details)],
        ),
        json(
            server.post(),
            &serde_json::json!({"image_bytes": text, "details": case.details}),
        ),
    ]
}

fn described(server: &Running, request: &Request) -> RequestBuilder {
    let method = Method::from_bytes(request.method.as_bytes()).expect("a method");
    let mut builder = server
        .client
        .request(method, format!("{}{}", server.base, request.path));
    if let Some(key) = &request.key {
        let key = if key == "valid" { KEY } else { "a-wrong-key" };
        let bearer = if request.key_header == "Authorization" {
            "Bearer "
        } else {
            ""
        };
        builder = builder.header(&request.key_header, format!("{bearer}{key}"));
    }
    match request.body.as_str() {
        "none" => builder,
        "raw" => raw(
            builder,
            request.content_type.as_deref().expect("a content type"),
            request.text.clone().expect("a text"),
        ),
        "multipart" => builder.multipart(request.fields.iter().fold(Form::new(), |form, field| {
            match &field.file {
                Some(name) => form.part(
                    field.name.clone(),
                    Part::bytes(input(name)).file_name(name.clone()),
                ),
                None => form.text(
                    field.name.clone(),
                    field.value().as_str().expect("text").to_owned(),
                ),
            }
        })),
        "urlencoded" => {
            let values: Vec<_> = request
                .fields
                .iter()
                .map(|field| (&field.name, field.value()))
                .collect();
            let pairs: Vec<_> = values
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str().expect("text")))
                .collect();
            url_encoded(builder, &pairs)
        }
        "json" => {
            let object: Map<_, _> = request
                .fields
                .iter()
                .map(|field| (field.name.clone(), field.value()))
                .collect();
            json(builder, &object.into())
        }
        other => panic!("{other} is no kind of body"),
    }
}

impl Field {
    fn value(&self) -> Value {
        match (&self.base64, &self.text, &self.json) {
            (Some(name), ..) => STANDARD.encode(input(name)).into(),
            (_, Some(text), _) => text.clone().into(),
            (_, _, Some(value)) => value.clone(),
            _ => panic!("{} has no value", self.name),
        }
    }
}

/// Cuts the timings out of the text, so that all other bytes stay as they were sent.
fn without_timings(text: &str) -> String {
    match text.split_once(r#","timings_ms":{"#) {
        Some((before, after)) => {
            let (_, after) = after.split_once('}').expect("timings end");
            format!("{before}{after}")
        }
        None => text.into(),
    }
}

#[tokio::test]
async fn the_server_answers_like_every_other_surface() {
    let table =
        std::fs::read(repository().join("tests/conformance/cases.json")).expect("the table");
    let table: Table = serde_json::from_slice(&table).expect("the table is valid");
    let references = references();
    let server = start(&["--queue", "64"]).await;
    let mut sent = 0;
    let mut wrong = Vec::new();
    for case in &table.cases {
        let surfaces = case
            .surfaces
            .as_ref()
            .unwrap_or(&table.surfaces[&case.send]);
        if !surfaces.iter().any(|surface| surface == "http") {
            continue;
        }
        let reference = &references[&case.name];
        let status = case
            .status
            .unwrap_or_else(|| table.status[&reference.outcome]);
        for (way, request) in requests(&server, case).into_iter().enumerate() {
            let answer = support::send(request).await;
            let body = without_timings(&answer.body);
            if (answer.status.as_u16(), body.as_str()) != (status, reference.json.as_str()) {
                wrong.push(format!(
                    "{} (way {way}): {} {body}\n  instead of {status} {}",
                    case.name, answer.status, reference.json
                ));
            }
            sent += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{sent} requests of {} cases", table.cases.len());
    assert!(sent > 80, "only {sent} requests were sent");
}
