//! Builds the C programs under tests/c and examples/c against the library and runs them.
//!
//! `LIVENESS_TEST_CFLAGS` adds flags for the C compiler (such as `-fsanitize=address`, as in CI), and
//! `LIVENESS_TEST_RUNNER` a program to run the tests under (such as `valgrind`).
#![cfg(target_os = "linux")]

mod support;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What Rust's standard library needs beside the archive.
const STATIC_LIBS: [&str; 7] = [
    "-lgcc_s",
    "-lutil",
    "-lrt",
    "-lpthread",
    "-lm",
    "-ldl",
    "-lc",
];
const SUITE: [&str; 4] = ["suite.c", "interface.c", "verdicts.c", "panic.c"];

#[derive(Clone, Copy)]
enum Linking {
    Shared,
    Static,
}

/// A folder of its own for each test, below the one cargo gives to integration tests.
fn scratch(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("c_abi")
        .join(test);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Writes what the C programs read.
fn write_images(folder: &Path) {
    let face = &*support::ASTRONAUT;
    face.save(folder.join("face.png")).unwrap();
    support::masked().save(folder.join("masked.png")).unwrap();
    support::two_people()
        .save(folder.join("two_faces.png"))
        .unwrap();
    support::empty_room()
        .save(folder.join("no_face.png"))
        .unwrap();

    let mut raw = face.width().to_le_bytes().to_vec();
    raw.extend(face.height().to_le_bytes());
    raw.extend(face.as_raw());
    fs::write(folder.join("face.rgb"), raw).unwrap();

    let png = fs::read(folder.join("face.png")).unwrap();
    fs::write(folder.join("truncated.png"), &png[..png.len() / 2]).unwrap();
    let mut large = png;
    large.resize(10 * 1024 * 1024 + 1, 0);
    fs::write(folder.join("too_large.png"), large).unwrap();
    fs::write(folder.join("empty.png"), "").unwrap();
    fs::write(folder.join("text.jpg"), "This is no picture.\n").unwrap();
    fs::write(folder.join("header.jpg"), [0xff, 0xd8, 0xff, 0xe0, 0, 16]).unwrap();
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The library that cargo built for this very test run: it lies beside the test's program.
fn library(name: &str) -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("no {name} beside {}", program.display()))
}

/// A compiler command with the strictest flags, or None, said aloud, where there is no compiler.
fn compiler(variable: &str, default: &str, standard: &str) -> Option<Command> {
    let name = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    if Command::new(&name).arg("--version").output().is_err() {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI needs a compiler, {name} cannot be run"
        );
        eprintln!(
            "SKIPPED: {name} cannot be run, so the C interface is NOT tested; install it or set {variable}"
        );
        return None;
    }
    let mut command = Command::new(name);
    command.args([standard, "-Wall", "-Wextra", "-Werror", "-pedantic", "-g"]);
    command.arg("-I").arg(root("include"));
    command.arg(format!(
        "-DEXPECTED_VERSION=\"{}\"",
        env!("CARGO_PKG_VERSION")
    ));
    if let Ok(flags) = std::env::var("LIVENESS_TEST_CFLAGS") {
        command.args(flags.split_whitespace());
    }
    Some(command)
}

fn cc() -> Option<Command> {
    compiler("CC", "cc", "-std=c99")
}

fn link(compiler: &mut Command, linking: Linking) {
    match linking {
        Linking::Shared => {
            let library = library("libliveness.so");
            let folder = library.parent().unwrap().display().to_string();
            compiler
                .arg(&library)
                .arg(format!("-Wl,-rpath,{folder}"))
                .arg("-lpthread");
        }
        Linking::Static => {
            compiler.arg(library("libliveness.a")).args(STATIC_LIBS);
        }
    }
    compiler.arg("-lm");
}

fn succeed(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Builds a program of tests/c or examples/c; None where there is no compiler.
fn build(folder: &Path, sources: &[PathBuf], linking: Option<Linking>) -> Option<PathBuf> {
    let program = folder.join("program");
    let mut compiler = cc()?;
    compiler.args(sources).arg("-o").arg(&program);
    match linking {
        Some(linking) => link(&mut compiler, linking),
        None => {
            compiler.arg("-ldl");
        }
    }
    succeed(compiler);
    Some(program)
}

/// A program to run, under LIVENESS_TEST_RUNNER where that is set.
fn runner(program: &Path) -> Command {
    let runner = std::env::var("LIVENESS_TEST_RUNNER").unwrap_or_default();
    let mut words = runner
        .split_whitespace()
        .map(OsStr::new)
        .chain([program.as_os_str()]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    // cargo puts the folder of an earlier `cargo build` there, before the program's own rpath.
    command.env_remove("LD_LIBRARY_PATH");
    command
}

/// Runs a group of the C test suite. The library must not have written anything itself.
fn suite(test: &str, group: &str, linking: Linking) {
    let folder = scratch(test);
    let sources = SUITE.map(|source| root("tests/c").join(source));
    let Some(program) = build(&folder, &sources, Some(linking)) else {
        return;
    };
    write_images(&folder);
    let mut command = runner(&program);
    command.arg(group).arg(&folder);
    let output = succeed(command);
    println!("{}", String::from_utf8_lossy(&output.stdout));
    if std::env::var_os("LIVENESS_TEST_RUNNER").is_none() {
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "",
            "the library wrote to standard error"
        );
    }
}

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

#[test]
#[cfg(feature = "panic-test")]
fn a_forced_panic_arrives_as_005() {
    suite("panic_shared", "panic", Linking::Shared);
}

#[test]
fn the_library_can_be_unloaded_and_loaded_again() {
    let folder = scratch("reload");
    let Some(program) = build(&folder, &[root("tests/c/reload.c")], None) else {
        return;
    };
    write_images(&folder);
    let mut command = runner(&program);
    command
        .arg(library("libliveness.so"))
        .arg(folder.join("face.png"));
    succeed(command);
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
