//! Permissions of what is made of a file: whoever may not read the one may not read the other.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use support::{model, ok, wcodec};

fn set(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn outputs_have_the_permissions_of_their_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let run = |args: &[&str]| ok(&wcodec(args, folder.path()));
    std::fs::write(at("model"), model()).unwrap();
    for (source, expected) in [(0o600, 0o600), (0o640, 0o640), (0o444, 0o444), (0o4755, 0o755)] {
        set(&at("model"), source);
        run(&["encode", "model", "-o", "m.wcodec", "--force"]);
        assert_eq!(mode(&at("m.wcodec")), expected, "{source:o}");
        run(&["decode", "m.wcodec", "-o", "back", "--force"]);
        assert_eq!(mode(&at("back")), expected, "{source:o}");
        wcodec::encode_file(&at("model"), &at("by-library"), &forced(), &()).unwrap();
        assert_eq!(mode(&at("by-library")), expected, "{source:o}");
    }
    set(&at("m.wcodec"), 0o600);
    let mut options = wcodec::DecodeOptions::default();
    options.force = true;
    wcodec::decode_file(&at("m.wcodec"), &at("back"), &options, &()).unwrap();
    assert_eq!(mode(&at("back")), 0o600);
    // What replaces a file is as its input too.
    set(&at("back"), 0o644);
    run(&["decode", "m.wcodec", "-o", "back", "--force"]);
    assert_eq!(mode(&at("back")), 0o600);
}

fn forced() -> wcodec::EncodeOptions {
    let mut options = wcodec::EncodeOptions::default();
    options.force = true;
    options
}

#[test]
fn what_is_made_of_a_pipe_or_a_folder_has_the_usual_permissions() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("in")).unwrap();
    std::fs::write(at("in/model"), model()).unwrap();
    set(&at("in/model"), 0o600);
    std::fs::write(at("usual"), b"").unwrap();
    let usual = mode(&at("usual"));
    ok(&wcodec(&["encode", "in", "--archive", "-o", "a.wcodec"], folder.path()));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_wcodec"));
    let pipe = std::fs::File::open(at("in/model")).unwrap();
    let command = command.args(["encode", "-", "-o", "p.wcodec"]).current_dir(folder.path());
    ok(&command.stdin(pipe).output().unwrap());
    assert_eq!((mode(&at("a.wcodec")), mode(&at("p.wcodec"))), (usual, usual));
}
