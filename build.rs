//! Names the shared library, and keeps include/liveness.h in step with the source.
//!
//! The header is checked in, so that nobody needs cbindgen to build the library. Maintainers and
//! CI compare it with the source by `cargo check --features header`, and write it anew by
//! `LIVENESS_HEADER=write cargo check --features header`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if matches!(os.as_str(), "linux" | "android")
        && std::env::var_os("CARGO_FEATURE_CAPI").is_none()
    {
        // Without a name, a program that is linked with a path to the library would look for it
        // at that path for ever. The name has no version: cargo makes no file of such a name.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libliveness.so");
    }
    #[cfg(feature = "header")]
    header::check();
}

#[cfg(feature = "header")]
mod header {
    use std::path::Path;

    const FILE: &str = "include/liveness.h";
    /// In the order of the header.
    const SOURCES: [&str; 2] = ["src/ffi/types.rs", "src/ffi/mod.rs"];

    pub fn check() {
        for path in SOURCES.iter().chain(&[FILE, "cbindgen.toml"]) {
            println!("cargo::rerun-if-changed={path}");
        }
        println!("cargo::rerun-if-env-changed=LIVENESS_HEADER");
        let config = cbindgen::Config::from_file("cbindgen.toml").expect("cbindgen.toml is valid");
        let mut header = Vec::new();
        SOURCES
            .iter()
            .fold(
                cbindgen::Builder::new().with_config(config),
                |builder, path| builder.with_src(path),
            )
            .generate()
            .expect("the C interface is valid for cbindgen")
            .write(&mut header);
        if std::env::var("LIVENESS_HEADER").is_ok_and(|value| value == "write") {
            std::fs::write(FILE, header).expect("include/ is writable");
        } else if std::fs::read(Path::new(FILE)).ok().as_deref() != Some(header.as_slice()) {
            println!(
                "cargo::error={FILE} is stale; run: LIVENESS_HEADER=write cargo check --features header"
            );
        }
    }
}
