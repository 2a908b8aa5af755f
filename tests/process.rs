//! What the process around the library does to it: forks, signals, limits on files, descriptors and
//! memory, wrong use of handles, loading and unloading. The tests themselves are C programs.
#![cfg(target_os = "linux")]

mod support;

use support::native::{
    Linking, build, library, root, runner, scratch, succeed, suite, write_images,
};

#[test]
fn a_hostile_process_gets_errors_and_no_abort() {
    suite("process_shared", "process", Linking::Shared);
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
        .arg(folder.join("face.png"))
        .arg("100");
    println!("{}", String::from_utf8_lossy(&succeed(command).stdout));
}
