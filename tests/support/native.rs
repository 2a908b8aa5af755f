//! Builds C programs against the library that cargo built for this test run, and runs them.
//!
//! `LIVENESS_TEST_CFLAGS` adds flags for the C compiler (such as `-fsanitize=address`, as in CI),
//! `LIVENESS_TEST_RUNNER` is a program to run the C programs under (such as `valgrind`), and
//! `LIVENESS_TEST_LIBRARY` the folder of another build of the library.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const LIBRARY_VARIABLE: &str = "LIVENESS_TEST_LIBRARY";

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

const SUITE: [&str; 7] = [
    "suite.c",
    "interface.c",
    "verdicts.c",
    "process.c",
    "threads.c",
    "memory_check.c",
    "panic.c",
];

#[derive(Clone, Copy)]
pub enum Linking {
    Shared,
    Static,
}

/// A folder of its own for each test, below the one cargo gives to integration tests.
pub fn scratch(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("c_abi")
        .join(test);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Writes what the C programs read.
pub fn write_images(folder: &Path) {
    let face = &*super::ASTRONAUT;
    face.save(folder.join("face.png")).unwrap();
    super::masked().save(folder.join("masked.png")).unwrap();
    super::two_people()
        .save(folder.join("two_faces.png"))
        .unwrap();
    super::empty_room()
        .save(folder.join("no_face.png"))
        .unwrap();

    image::GrayImage::from_pixel(6000, 6000, image::Luma([128]))
        .save(folder.join("large.png"))
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

pub fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The library that cargo built for this very test run: it lies beside the test's program.
pub fn library(name: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os(LIBRARY_VARIABLE) {
        return root("").join(folder).join(name);
    }
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
pub fn compiler(variable: &str, default: &str, standard: &str) -> Option<Command> {
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
    // Of another build it is not known.
    if std::env::var_os(LIBRARY_VARIABLE).is_none() {
        command.arg(format!(
            "-DLIBRARY_IS_DEBUG_BUILD={}",
            i32::from(cfg!(debug_assertions))
        ));
    }
    if let Ok(flags) = std::env::var("LIVENESS_TEST_CFLAGS") {
        command.args(flags.split_whitespace());
    }
    Some(command)
}

pub fn cc() -> Option<Command> {
    compiler("CC", "cc", "-std=c99")
}

pub fn link(compiler: &mut Command, linking: Linking) {
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

pub fn succeed(mut command: Command) -> Output {
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
pub fn build(folder: &Path, sources: &[PathBuf], linking: Option<Linking>) -> Option<PathBuf> {
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
pub fn runner(program: &Path) -> Command {
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
pub fn suite(test: &str, group: &str, linking: Linking) {
    suite_with(test, group, linking, |_| ());
}

/// `suite`, with a change to how it is started.
pub fn suite_with(test: &str, group: &str, linking: Linking, change: impl FnOnce(&mut Command)) {
    let folder = scratch(test);
    let sources = SUITE.map(|source| root("tests/c").join(source));
    let Some(program) = build(&folder, &sources, Some(linking)) else {
        return;
    };
    write_images(&folder);
    let mut command = runner(&program);
    command.arg(group).arg(&folder);
    change(&mut command);
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
