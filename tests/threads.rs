//! Thirty-two threads on one handle, and handles on different engines and thresholds side by side.
//! The tests themselves are C programs; `.ci/sanitize.sh` runs them under ThreadSanitizer.
#![cfg(target_os = "linux")]

mod support;

use support::native::{Linking, suite_with};

#[test]
fn threads_do_not_disturb_each_other() {
    suite_with("threads_shared", "threads", Linking::Shared, |command| {
        // The test has both engines open at once, so the environment must not name one for all.
        match std::env::var_os("LIVENESS_ONNXRUNTIME").filter(|path| !path.is_empty()) {
            Some(path) => command
                .env_remove("LIVENESS_ONNXRUNTIME")
                .env("LIVENESS_TEST_ONNXRUNTIME", path),
            None => {
                eprintln!(
                    "SKIPPED: two engines in one process; LIVENESS_ONNXRUNTIME names no second one"
                );
                command
            }
        };
    });
}
