//! An ONNX Runtime that cannot be used, in a process of its own: one that was loaded stays.
#![cfg(target_os = "linux")]

mod support;

use liveness::{Config, Engine, ErrorCode};
use support::native::{cc, scratch, succeed};

/// Two that fail once they are loaded, as old ones and those of incomplete installations do. Whoever names a good one
/// afterwards, in this process as well, gets it.
#[test]
fn an_onnxruntime_that_cannot_be_used_says_why_and_is_forgotten() {
    const OLD: &str = "
        static const void *get_api(unsigned version) { (void)version; return 0; }
        static const char *get_version(void) { return \"1.24.9\"; }
        static const struct { const void *(*api)(unsigned); const char *(*version)(void); }
            base = { get_api, get_version };
        const void *OrtGetApiBase(void) { return &base; }";
    let folder = scratch("unusable");
    let library = |name: &str, code: &str, with: &[&str]| {
        let (path, source) = (folder.join(name), folder.join("source.c"));
        std::fs::write(&source, code).unwrap();
        let mut cc = cc()?;
        cc.args(["-shared", "-fPIC", "-o"]).arg(&path).arg(source);
        succeed({
            cc.args(with).current_dir(&folder);
            cc
        });
        Some(path)
    };
    let Some(old) = library("old.so", OLD, &[]) else {
        return;
    };
    let part = library("libpart.so", "int part(void) { return 1; }", &[]).unwrap();
    let code = "int part(void); int whole(void) { return part(); }";
    let whole = library("whole.so", code, &["-L.", "-lpart"]).unwrap();
    std::fs::remove_file(part).unwrap();
    for (path, cause) in [(old, "1.17 or newer"), (whole, "libpart.so")] {
        let mut config = Config::default();
        config.onnxruntime = Some(path);
        let error = Engine::new(config).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Internal);
        assert!(error.detail().contains(cause), "{error}");
    }
    assert!(Engine::new(Config::default()).is_ok());
}
