//! All surfaces answer alike: the requests of `cases.json` through the Rust API, which gives the
//! reference, the C interface and the command line. The reference and the input files go to
//! `target/conformance`, for the tests of the other surfaces; see `README.md` beside this file.

mod c_abi;
mod cases;
mod inputs;
#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use liveness::{Config, Engine, Error, ErrorCode, Image, Pixels, Verdict, response};
use serde_json::json;

use cases::{Case, Send, TABLE};

/// What is deliberately not there, and the folder itself.
const NOT_FILES: [&str; 2] = ["missing.png", "."];

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    target.expect("below target").join("conformance")
});

/// A case's answer on the reference surface.
struct Answer {
    outcome: String,
    /// Without timings.
    json: String,
}

/// The reference, written to disk before anything is compared with it.
static REFERENCE: LazyLock<HashMap<&str, Answer>> = LazyLock::new(|| {
    write_inputs();
    let engines = engines();
    let answers = TABLE
        .cases
        .iter()
        .map(|case| (case.name.as_str(), reference(case, &engines)))
        .collect();
    write_reference(&answers, engines["{}"].info());
    answers
});

fn write_inputs() {
    let folder = FOLDER.join("inputs");
    fs::create_dir_all(&folder).expect("target can be written");
    let named: BTreeSet<_> = TABLE.cases.iter().flat_map(Case::inputs).collect();
    let made = inputs::all();
    for name in &named {
        let content = made.iter().find(|(made, _)| made == name);
        match content {
            Some((name, content)) => {
                inputs::write(&folder, name, content).expect("target can be written");
            }
            None => assert!(NOT_FILES.contains(name), "nothing makes {name}"),
        }
    }
}

/// One engine per configuration that the table has.
fn engines() -> HashMap<String, Engine> {
    let mut engines = HashMap::new();
    for case in &TABLE.cases {
        engines
            .entry(key(case))
            .or_insert_with(|| Engine::new(case.config()).expect("the embedded models load"));
    }
    engines
}

fn key(case: &Case) -> String {
    json!(case.config).to_string()
}

fn input_path(case: &Case) -> PathBuf {
    FOLDER
        .join("inputs")
        .join(case.input.as_deref().expect("an input"))
}

/// What is sent; nothing for a path, which is not read here.
fn input(case: &Case) -> Vec<u8> {
    if case.send == Send::Path {
        return Vec::new();
    }
    fs::read(input_path(case)).expect("the input is there")
}

fn reference(case: &Case, engines: &HashMap<String, Engine>) -> Answer {
    // HTTP requests that end in a verdict are other ways to send what another case sends.
    if let (Send::Http, Some(code)) = (case.send, case.code()) {
        let result = Err(Error::new(error_code(code), ""));
        return answer(&result, false);
    }
    if let (Send::Http, Some(same)) = (case.send, &case.same_as) {
        return reference(TABLE.case(same), engines);
    }
    let (path, bytes) = (input_path(case), input(case));
    let image = match case.send {
        Send::Encoded => Image::Encoded(&bytes),
        Send::Base64 => Image::Base64(&bytes),
        Send::Path => Image::File(&path),
        Send::Pixels => Image::Pixels(pixels(case, &bytes)),
        Send::Http => panic!("{} has neither an error code nor same_as", case.name),
    };
    answer(&engines[&key(case)].check(image), case.details)
}

fn pixels<'a>(case: &Case, data: &'a [u8]) -> Pixels<'a> {
    let layout = case.pixels.as_ref().expect("a layout");
    Pixels {
        data,
        format: layout.pixel_format(),
        width: layout.width,
        height: layout.height,
        stride: layout.stride,
        orientation: layout.orientation,
    }
}

fn answer(result: &Result<Verdict, Error>, details: bool) -> Answer {
    Answer {
        outcome: support::outcome(result).into(),
        json: without_timings(&response::to_json(result, details)),
    }
}

fn error_code(code: &str) -> ErrorCode {
    let status = code.parse().ok().and_then(ErrorCode::from_status);
    status.unwrap_or_else(|| panic!("{code} is no error code"))
}

/// Cuts the member out of the text, so that all other bytes stay as they were sent.
fn without_timings(json: &str) -> String {
    const START: &str = r#","timings_ms":{"#;
    match json.split_once(START) {
        Some((before, after)) => {
            let (_, after) = after.split_once('}').expect("timings end");
            format!("{before}{after}")
        }
        None => json.into(),
    }
}

/// ONNX Runtime rounds otherwise than the embedded engine, so its answers are a reference of
/// their own.
fn reference_name() -> &'static str {
    match std::env::var_os("LIVENESS_ONNXRUNTIME") {
        Some(path) if !path.is_empty() => "expected-onnxruntime",
        _ => "expected",
    }
}

fn write_reference(answers: &HashMap<&str, Answer>, info: liveness::EngineInfo) {
    let lines: String = TABLE
        .cases
        .iter()
        .map(|case| {
            let Answer { outcome, json } = &answers[case.name.as_str()];
            let line = json!({"name": case.name, "outcome": outcome, "json": json});
            format!("{line}\n")
        })
        .collect();
    let about = json!({
        "version": liveness::VERSION,
        "engine": info.engine,
        "models": info.models,
    });
    let name = reference_name();
    for (file, content) in [
        (format!("{name}.jsonl"), lines),
        (format!("{name}.about.json"), format!("{about}\n")),
    ] {
        inputs::write(&FOLDER, &file, content.as_bytes()).expect("target can be written");
    }
}

/// Runs all comparisons before it fails, so that one run shows every difference.
fn demand<'a>(surface: &str, answers: impl Iterator<Item = (&'a Case, String)>) {
    let mut differences = Vec::new();
    let mut count = 0;
    for (case, json) in answers {
        count += 1;
        let expected = &REFERENCE[case.name.as_str()].json;
        let json = without_timings(&json);
        if json != *expected {
            differences.push(format!("{}:\n  {json}\n  {expected}", case.name));
        }
    }
    println!("{surface}: {count} answers compared");
    assert!(count > 0, "{surface} answers no case");
    assert!(
        differences.is_empty(),
        "{surface} differs from the Rust API in {} of {count} answers:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

#[test]
fn the_rust_api_answers_as_expected() {
    let mut wrong = Vec::new();
    for case in &TABLE.cases {
        let Answer { outcome, json } = &REFERENCE[case.name.as_str()];
        let as_expected = match case.expect.as_str() {
            "verdict" => outcome == "live" || outcome == "attack",
            expect => outcome == expect,
        };
        if !as_expected {
            wrong.push(format!(
                "{}: {} instead of {}",
                case.name, outcome, case.expect
            ));
        }
        if let Some(same) = &case.same_as
            && *json != REFERENCE[TABLE.case(same).name.as_str()].json
        {
            wrong.push(format!("{}: not the JSON of {same}: {json}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the other surfaces rely on while they read the table.
#[test]
fn the_table_is_sound() {
    for case in &TABLE.cases {
        let name = &case.name;
        TABLE.case(name); // Names are unique.
        assert_eq!(case.input.is_some(), case.send != Send::Http, "{name}");
        assert_eq!(case.request.is_some(), case.send == Send::Http, "{name}");
        assert_eq!(case.status.is_some(), case.send == Send::Http, "{name}");
        assert_eq!(case.pixels.is_some(), case.send == Send::Pixels, "{name}");
        assert!(TABLE.status.contains_key(&case.expect), "{name}");
        let configured = case.config() != Config::default();
        assert_eq!(configured, !case.config.is_empty(), "{name}: not a change");
        for surface in case.surfaces.iter().flatten() {
            let known = TABLE.surfaces.values().flat_map(|list| list.as_array());
            assert!(known.flatten().any(|known| known == surface), "{name}");
        }
    }
    let used: BTreeSet<_> = TABLE.cases.iter().map(|case| &case.expect[..]).collect();
    let all = [
        "001", "002", "003", "004", "005", "051", "052", "attack", "live", "verdict",
    ];
    assert!(used.into_iter().eq(all), "an outcome has no case");
}

#[test]
#[cfg(target_os = "linux")]
fn the_c_interface_answers_alike() {
    LazyLock::force(&REFERENCE);
    let mut library = c_abi::CAbi::load(&beside_this_program("libliveness.so"));
    let answers = TABLE.of("c").map(|case| {
        let (status, json) = library.answer(case, &input_path(case), &input(case));
        let code = case.code().map_or(0, |code| error_code(code) as i32);
        assert_eq!(status, code, "{}: {json}", case.name);
        (case, json)
    });
    demand("c", answers);
}

/// cargo builds the library beside the test's program, or one folder above.
fn beside_this_program(name: &str) -> PathBuf {
    let folders = program_folders();
    let mut paths = folders.iter().map(|folder| folder.join(name));
    paths
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("cargo built no {name}"))
}

fn program_folders() -> [PathBuf; 2] {
    let program = std::env::current_exe().expect("the program knows its path");
    [1, 2].map(|level| program.ancestors().nth(level).expect("below target").into())
}

/// `cargo test --test conformance` builds no examples, and an old one must not be tested.
fn built_example() -> PathBuf {
    let [_, profile] = program_folders();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--locked"]);
    cargo.args(["--example", "check", "--target-dir"]);
    cargo.arg(FOLDER.parent().expect("target"));
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().expect("cargo runs").success(), "{cargo:?}");
    profile.join("examples/check")
}

#[test]
fn the_command_line_answers_alike() {
    LazyLock::force(&REFERENCE);
    let program = built_example();
    let cases: Vec<&Case> = TABLE.of("cli").collect();
    let (detailed, plain): (Vec<_>, Vec<_>) = cases.into_iter().partition(|case| case.details);
    let mut answers = command_line(&program, &["--details"], &detailed);
    answers.extend(command_line(&program, &[], &plain));
    demand("cli", answers.into_iter());
}

/// The program's line for each case, without its first member.
fn command_line<'a>(
    program: &Path,
    options: &[&str],
    cases: &[&'a Case],
) -> Vec<(&'a Case, String)> {
    let paths: Vec<_> = cases.iter().map(|case| input_path(case)).collect();
    let output = Command::new(program)
        .args(options)
        .args(&paths)
        .output()
        .expect("the example runs");
    let missing = cases
        .iter()
        .any(|case| case.input.as_deref() == Some("missing.png"));
    assert_eq!(output.status.success(), !missing, "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), cases.len(), "one line per image");
    let answers = cases.iter().zip(&paths).zip(lines);
    answers
        .map(|((case, path), line)| {
            let file = json!(path.to_str().expect("UTF-8"));
            let rest = line.strip_prefix(&format!(r#"{{"file":{file},"#));
            let rest = rest.unwrap_or_else(|| panic!("{}: {line}", case.name));
            (*case, format!("{{{rest}"))
        })
        .collect()
}
