//! What every fuzz target shares: the C interface, an engine that answers fast, and the
//! invariants. A broken one is a panic, which libFuzzer reports as a crash.

pub mod abi;
pub mod models;
pub mod mutate;
pub mod portrait;

use std::sync::OnceLock;

use abi::{Config, Engine, Input, Outcome, contract, last_error};
use serde_json::Value;

/// Small, so that an input costs milliseconds; what is larger is 002 all the same.
pub const MAX_PIXELS: u64 = 1 << 20;
pub const MAX_SIDE: u32 = 4096;
pub const TIME_LIMIT_MS: u32 = 600_000;

/// The shipped networks with a detector that looks at 64 pixels: a twentieth of the work, the same
/// code.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let folder = models::Folder::new("shared");
        folder.write_fast();
        Engine::new(limits(), Some(folder.path())).unwrap_or_else(|status| {
            panic!("the engine starts, but {status}: {}", last_error());
        })
    })
}

pub fn limits() -> Config {
    Config {
        max_pixels: MAX_PIXELS,
        max_side: MAX_SIDE,
        // A busy machine must not decide; what hangs is libFuzzer's to find.
        time_limit_ms: TIME_LIMIT_MS,
        ..Config::default()
    }
}

/// Checks an input by both forms of the call and holds the answers against the contract. Gives
/// the verdict, or the status.
pub fn check(engine: &Engine, input: Input<'_>, documented: &[i32]) -> Result<Outcome, i32> {
    let (status, outcome) = engine.check(input);
    assert!(
        status == 0 || documented.contains(&status),
        "status {status} is not documented here: {}",
        last_error()
    );
    if status == 0 {
        sound(&outcome);
        return Ok(outcome);
    }
    assert_eq!(outcome, Outcome::ZERO, "a failed call leaves zeros");
    assert!(!last_error().is_empty(), "a failed call says why");
    Err(status)
}

/// Whether a verdict's numbers make sense.
fn sound(outcome: &Outcome) {
    let Outcome {
        liveness,
        score,
        live_probability,
        threshold,
        ..
    } = *outcome;
    assert!(liveness == 0 || liveness == 1);
    assert_eq!(liveness == 1, live_probability >= threshold, "{outcome:?}");
    let expected = if liveness == 1 {
        live_probability
    } else {
        1.0 - live_probability
    };
    assert_eq!(score, expected);
    let attack = outcome.print_probability + outcome.replay_probability;
    assert!(
        (live_probability + attack - 1.0).abs() < 1e-6,
        "{outcome:?}"
    );
    let shares = [
        score,
        outcome.face_score.into(),
        outcome.mask_probability.into(),
    ];
    assert!(
        shares.iter().all(|share| (0.0..=1.0).contains(share)),
        "{outcome:?}"
    );
    assert_eq!(outcome.faces, 1);
    assert!(outcome.face[2] > 0.0 && outcome.face[3] > 0.0);
    let numbers = outcome
        .face
        .iter()
        .chain(outcome.landmarks.as_flattened())
        .chain(&outcome.quality);
    assert!(
        numbers
            .chain(&outcome.timings)
            .all(|number| number.is_finite()),
        "{outcome:?}"
    );
}

/// Checks an input by the JSON form of the call. Gives the status.
pub fn check_json(engine: &Engine, input: Input<'_>, flags: u32) -> (i32, Value) {
    let (status, json) = engine.check_json(input, flags);
    let value: Value = serde_json::from_str(&json).expect("the answer is JSON");
    let mut members: Vec<&str> = value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    members.retain(|member| *member != "details");
    members.sort_unstable();
    assert_eq!(value["success"], Value::from(status == 0));
    if status == 0 {
        assert_eq!(members, ["result", "success"]);
        assert_eq!(
            value["result"].as_object().map(|result| result.len()),
            Some(2)
        );
        assert!(value["result"]["liveness"].is_boolean());
        let score = value["result"]["score"].as_f64().expect("a number");
        assert!((0.0..=1.0).contains(&score));
    } else {
        let (code, message) = contract(status);
        assert_eq!(members, ["error_code", "error_message", "success"]);
        assert_eq!(value["error_code"], Value::from(code));
        assert_eq!(value["error_message"], Value::from(message));
    }
    assert_eq!(value.get("details").is_some(), flags == 1, "{json}");
    (status, value)
}
