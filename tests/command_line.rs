//! The example program `check`, as a user calls it.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use support::{empty_room, fixture, jpeg, two_people};

/// cargo builds the examples beside the tests.
fn program() -> Command {
    let test = std::env::current_exe().unwrap();
    Command::new(test.ancestors().nth(2).unwrap().join("examples/check"))
}

fn run(arguments: &[&str]) -> Output {
    program()
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A folder with images in it, removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("liveness-{}-{name}", std::process::id()));
        std::fs::create_dir_all(folder.join("b")).unwrap();
        std::fs::write(folder.join("a.jpg"), jpeg(&empty_room(), 90)).unwrap();
        std::fs::write(folder.join("b/c.JPEG"), jpeg(&two_people(), 90)).unwrap();
        std::fs::write(folder.join("b/d.png"), b"no image").unwrap();
        std::fs::write(folder.join("b/notes.txt"), b"no image either").unwrap();
        Folder(folder)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn one_line_per_image_in_the_order_given() {
    let folder = Folder::new("order");
    let portrait = fixture("astronaut.png");
    let output = run(&[portrait.to_str().unwrap(), folder.path()]);
    assert!(output.status.success(), "{output:?}");
    let found: Vec<(String, Value)> = lines(&output)
        .into_iter()
        .map(|line| {
            let first = line.as_object().unwrap().keys().next().unwrap();
            assert_eq!(first, "file");
            (
                line["file"].as_str().unwrap().to_string(),
                line["error_code"].clone(),
            )
        })
        .collect();
    let inside = |file: &str| format!("{}/{file}", folder.path());
    assert_eq!(
        found[1..],
        [
            (inside("a.jpg"), "051".into()),
            (inside("b/c.JPEG"), "051".into()),
            (inside("b/d.png"), "002".into())
        ]
    );
    assert_eq!(found[0].0, portrait.to_str().unwrap());
    let told = String::from_utf8(output.stderr).unwrap();
    let passed_over = format!("{}: 1 file passed over", folder.path());
    assert!(told.contains(&passed_over), "{told}");
}

#[test]
fn details_and_tables() {
    let folder = Folder::new("details");
    let output = run(&["--details", folder.path()]);
    assert_eq!(lines(&output)[1]["details"]["faces"], 2);
    let output = run(&["--csv", folder.path()]);
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(rows[0], "file,success,liveness,score,error_code");
    assert_eq!(rows[1], format!("{}/a.jpg,false,,,051", folder.path()));
    assert_eq!(rows.len(), 4);
}

#[test]
fn an_image_from_standard_input() {
    let file = std::fs::File::open(fixture("astronaut.png")).unwrap();
    let output = program().arg("-").stdin(file).output().unwrap();
    assert!(output.status.success());
    let piped = &lines(&output)[0];
    let named = &lines(&run(&[fixture("astronaut.png").to_str().unwrap()]))[0];
    assert_eq!(piped["file"], "-");
    assert_eq!(piped["result"], named["result"]);
    assert_eq!(piped["success"], true, "{piped}");
}

#[test]
fn a_path_that_does_not_exist_fails_but_the_rest_is_checked() {
    let folder = Folder::new("missing");
    let output = run(&["/nonexistent.jpg", folder.path()]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output).len(), 4);
}

/// Who starts a program that may do more than they may must not choose the code that it runs.
#[test]
#[cfg(target_os = "linux")]
fn a_privileged_program_does_not_take_onnxruntime_from_its_callers() {
    let answers = |program: &Path| {
        let mut command = Command::new(program);
        // Opened here, as nobody may not be able to.
        command
            .arg("-")
            .stdin(std::fs::File::open(fixture("astronaut.png")).unwrap());
        command.env("LIVENESS_ONNXRUNTIME", "/nonexistent/libonnxruntime.so");
        command.output().unwrap().status.success()
    };
    let folder = Folder::new("privileged");
    let copy = folder.0.join("check");
    std::fs::copy(program().get_program(), &copy).unwrap();
    assert!(!answers(&copy));
    if !gives_rights(&copy) {
        eprintln!(
            "SKIPPED: no privileged program can be made here, so one is NOT tested; run as root"
        );
        return;
    }
    assert!(answers(&copy));
}

/// Lets a program run with the rights of nobody. The system may refuse, or ignore it: on some file systems, in some
/// containers.
#[cfg(target_os = "linux")]
fn gives_rights(program: &Path) -> bool {
    use std::os::unix::fs::{PermissionsExt, chown};

    const NOBODY: u32 = 65_534;
    let give = |program: &Path| {
        chown(program, Some(NOBODY), None).is_ok()
            && std::fs::set_permissions(program, PermissionsExt::from_mode(0o4755)).is_ok()
    };
    let other = program.with_file_name("id");
    let found = Command::new("sh").args(["-c", "command -v id"]).output();
    let found = String::from_utf8(found.unwrap().stdout).unwrap();
    if std::fs::copy(found.trim(), &other).is_err() || !give(&other) {
        return false;
    }
    let id = Command::new(other).arg("-u").output().unwrap();
    id.stdout == b"65534\n" && give(program)
}

#[test]
fn who_has_read_enough_may_go() {
    let folder = Folder::new("pipe");
    for arguments in [&[folder.path()][..], &["--csv", folder.path()]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = program().args(arguments).stdout(writer).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
}

#[test]
fn a_wrong_call_says_how_it_goes() {
    for arguments in [&[][..], &["--unknown"], &["--csv"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8(output.stderr).unwrap().contains("usage"));
    }
}
