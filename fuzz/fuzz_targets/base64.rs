//! Base64 text; the answer is that to the bytes it stands for.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use liveness_fuzz::abi::Input;
use liveness_fuzz::{check, engine, portrait};

fuzz_target!(|text: &[u8]| {
    let found = check(engine(), Input::Base64(text), &[2, 51, 52]);
    // Plain base64, about which there cannot be two opinions.
    let Ok(bytes) = STANDARD.decode(text) else {
        return;
    };
    let direct = check(engine(), Input::Encoded(&bytes), &[2, 51, 52]);
    match (found, direct) {
        (Ok(found), Ok(direct)) => {
            assert_eq!(
                (found.liveness, found.score, found.face),
                (direct.liveness, direct.score, direct.face)
            );
            portrait::assert_portrait_file(&bytes, &found);
        }
        (found, direct) => assert_eq!(found.err(), direct.err()),
    }
});
