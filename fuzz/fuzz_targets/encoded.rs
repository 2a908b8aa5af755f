//! Files of every format, mutated by their segments.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use liveness_fuzz::abi::Input;
use liveness_fuzz::{check, engine, mutate, portrait};

fuzz_target!(|data: &[u8]| {
    if let Ok(outcome) = check(engine(), Input::Encoded(data), &[2, 51, 52]) {
        portrait::assert_portrait_file(data, &outcome);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::image_file(data, size, max_size, seed)
});
