//! Builds the C programs under tests/c and examples/c against the library and runs them.
#![cfg(target_os = "linux")]

mod support;

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use support::native::{
    Linking, build, cc, compiler, library, root, runner, scratch, succeed, suite,
};

#[test]
fn interface_with_the_shared_library() {
    suite("interface_shared", "interface", Linking::Shared);
}

#[test]
fn interface_with_the_static_library() {
    suite("interface_static", "interface", Linking::Static);
}

#[test]
fn verdicts_with_the_shared_library() {
    suite("verdicts_shared", "verdicts", Linking::Shared);
}

#[test]
fn verdicts_with_the_static_library() {
    suite("verdicts_static", "verdicts", Linking::Static);
}

/// Few checks, so that it can run under Valgrind.
#[test]
fn one_check_of_each_kind_in_the_shared_library() {
    suite("memcheck_shared", "memcheck", Linking::Shared);
}

#[test]
#[cfg(feature = "panic-test")]
fn a_forced_panic_arrives_as_005() {
    suite("panic_shared", "panic", Linking::Shared);
}

#[test]
fn the_header_is_clean_c_and_cpp() {
    let source = root("tests/c/header.c");
    for standard in ["-std=c99", "-std=c11"] {
        let Some(mut compiler) = compiler("CC", "cc", standard) else {
            return;
        };
        compiler
            .args(["-Wconversion", "-Wshadow", "-fsyntax-only"])
            .arg(&source);
        succeed(compiler);
    }
    for standard in ["-std=c++11", "-std=c++17"] {
        let Some(mut compiler) = compiler("CXX", "c++", standard) else {
            return;
        };
        compiler
            .args([
                "-Wconversion",
                "-Wold-style-cast",
                "-fsyntax-only",
                "-x",
                "c++",
            ])
            .arg(&source);
        succeed(compiler);
    }
}

#[test]
fn ignoring_a_status_is_a_warning() {
    let Some(mut compiler) = cc() else { return };
    compiler.arg("-c").arg(root("tests/c/unused_result.c"));
    let output = compiler
        .arg("-o")
        .arg(scratch("unused").join("unused.o"))
        .output()
        .unwrap();
    assert!(
        !output.status.success(),
        "a program that ignores a status compiled"
    );
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(
        message.contains("unused-result") || message.contains("unused_result"),
        "{message}"
    );
}

/// Names of the symbols that `nm` lists as defined and global.
fn symbols(arguments: &[&str], library: &Path) -> Option<Vec<String>> {
    let mut command = Command::new("nm");
    command.args(arguments).arg(library);
    if Command::new("nm").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI needs nm");
        eprintln!("SKIPPED: nm cannot be run, so the exported symbols are NOT checked");
        return None;
    }
    let output = succeed(command);
    let mut names: Vec<_> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2).map(str::to_owned))
        .collect();
    names.sort();
    names.dedup();
    Some(names)
}

#[test]
fn only_the_interface_is_exported() {
    let listed = fs::read_to_string(root("tests/c/symbols.txt")).unwrap();
    let listed: Vec<_> = listed.lines().map(str::to_owned).collect();
    let header = fs::read_to_string(root("include/liveness.h")).unwrap();
    for name in &listed {
        assert!(
            header.contains(&format!("{name}(")),
            "{name} is not in the header"
        );
    }
    let Some(shared) = symbols(&["-D", "--defined-only"], &library("libliveness.so")) else {
        return;
    };
    assert_eq!(shared, listed);
    // The archive holds Rust's own symbols too; of those of C's kind it adds none of ours.
    let archive = symbols(&["-g", "--defined-only"], &library("libliveness.a")).unwrap();
    let ours: Vec<_> = archive
        .into_iter()
        .filter(|name| name.starts_with("liveness_"))
        .collect();
    assert_eq!(ours, listed);
}

#[test]
fn the_shared_library_has_a_name() {
    let mut command = Command::new("readelf");
    if command.arg("--version").output().is_err() {
        eprintln!("SKIPPED: readelf cannot be run, so the SONAME is NOT checked");
        return;
    }
    let mut command = Command::new("readelf");
    command.arg("-d").arg(library("libliveness.so"));
    let output = succeed(command);
    assert!(String::from_utf8_lossy(&output.stdout).contains("[libliveness.so]"));
}

/// The C program of the README, linked both ways as the README says.
#[test]
fn the_example_answers() {
    for (test, linking) in [
        ("example", Linking::Shared),
        ("example_static", Linking::Static),
    ] {
        let folder = scratch(test);
        let Some(program) = build(&folder, &[root("examples/c/check.c")], Some(linking)) else {
            return;
        };
        let run = |file: &OsStr| runner(&program).arg(file).output().unwrap();
        let live = run(root("tests/fixtures/astronaut.png").as_os_str());
        let said = String::from_utf8_lossy(&live.stdout);
        assert!(
            live.status.success() && said.contains("astronaut.png: live (score 0."),
            "{said}"
        );
        let missing = run(OsStr::new("missing.png"));
        assert!(!missing.status.success());
        assert_eq!(
            String::from_utf8_lossy(&missing.stdout),
            "missing.png: error 002: Error reading image, please check the request format.\n"
        );
    }
}
