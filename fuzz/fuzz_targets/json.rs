//! Configurations and JSON answers: what the JSON says is what the struct says.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use liveness_fuzz::abi::{Config, Engine, Input, last_error};
use liveness_fuzz::{MAX_PIXELS, MAX_SIDE, TIME_LIMIT_MS, check, check_json, models};
use serde_json::Value;

#[derive(Debug, Arbitrary)]
struct Case<'a> {
    threshold: f32,
    mask_threshold: f32,
    second_face_ratio: f32,
    max_file_bytes: u16,
    max_pixels: u32,
    max_side: u16,
    strict_quality: u8,
    struct_size: u16,
    flags: u32,
    /// Bit by bit: whether the field is set at all.
    set: u8,
    base64: bool,
    data: &'a [u8],
}

impl Case<'_> {
    fn config(&self) -> Config {
        let set = |bit: u8| self.set & 1 << bit != 0;
        let number = |bit, value: f32| if set(bit) { value } else { 0.0 };
        Config {
            struct_size: match self.set & 0x80 {
                0 => size_of::<Config>() as u32,
                _ => u32::from(self.struct_size).min(size_of::<Config>() as u32),
            },
            threshold: number(0, self.threshold),
            mask_threshold: number(1, self.mask_threshold),
            second_face_ratio: number(2, self.second_face_ratio),
            max_file_bytes: if set(3) {
                self.max_file_bytes.into()
            } else {
                0
            },
            // A host that allows larger pictures has asked for the memory that they take.
            max_pixels: if set(4) {
                u64::from(self.max_pixels).min(MAX_PIXELS)
            } else {
                MAX_PIXELS
            },
            max_side: if set(5) {
                self.max_side.into()
            } else {
                MAX_SIDE
            },
            strict_quality: u32::from(self.strict_quality) & if set(6) { 3 } else { 1 },
            time_limit_ms: TIME_LIMIT_MS,
            ..Config::default()
        }
    }
}

thread_local! {
    static FOLDER: models::Folder = {
        let folder = models::Folder::new("json");
        folder.write_tiny();
        folder
    };
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(bytes)) else {
        return;
    };
    let started = FOLDER.with(|folder| Engine::new(case.config(), Some(folder.path())));
    let engine = match started {
        Ok(engine) => engine,
        // A struct that ends before models_dir leaves the embedded models, which start too.
        Err(status) => {
            assert_eq!(status, 4, "{}", last_error());
            return;
        }
    };
    serde_json::from_str::<Value>(&engine.info()).expect("the description is JSON");
    let input = if case.base64 {
        Input::Base64(case.data)
    } else {
        Input::Encoded(case.data)
    };
    let flags = if case.flags % 4 == 3 {
        case.flags
    } else {
        case.flags % 2
    };
    let found = check(&engine, input, &[2, 3, 51, 52]);
    let (status, json) = if flags > 1 {
        let (status, text) = engine.check_json(input, flags);
        assert_eq!(status, 4);
        (
            status,
            serde_json::from_str::<Value>(&text).expect("the answer is JSON"),
        )
    } else {
        check_json(&engine, input, flags)
    };
    match found {
        Ok(outcome) if status == 0 => {
            assert_eq!(
                json["result"]["liveness"],
                Value::from(outcome.liveness == 1)
            );
            let score = json["result"]["score"].as_f64().expect("a number");
            assert!((score - outcome.score).abs() < 2e-4, "{json} {outcome:?}");
            let read_back = if outcome.liveness == 1 {
                score
            } else {
                1.0 - score
            };
            assert_eq!(
                read_back >= outcome.threshold,
                outcome.liveness == 1,
                "{json}"
            );
        }
        _ => assert!(flags > 1 || found.err() == Some(status)),
    }
});
