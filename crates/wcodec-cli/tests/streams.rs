//! Pipes that nobody reads to their end, and signals: what was cut short never passes for done, and nothing is
//! left behind.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use support::{fails, files, model, ok, wcodec};
use tempfile::TempDir;

/// A folder with `model.safetensors`, and `m.wcodec` that was made of it.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("model.safetensors"), model()).unwrap();
    ok(&wcodec(&["encode", "model.safetensors", "-o", "m.wcodec"], folder.path()));
    folder
}

fn spawn(args: &[&str], folder: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wcodec"));
    command.args(args).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn data_that_nobody_reads_is_a_failure() {
    let folder = folder();
    for args in [
        &["encode", "model.safetensors", "-o", "-"][..],
        &["encode", ".", "--archive", "-o", "-"],
        &["decode", "m.wcodec", "-o", "-"],
        &["extract", "m.wcodec", "conv1.weight", "-o", "-"],
    ] {
        let mut child = spawn(args, folder.path());
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        fails(&output, 1, "wcodec: standard output: ");
    }
    assert_eq!(files(folder.path()), ["m.wcodec", "model.safetensors"]);
}

#[test]
fn reports_that_nobody_reads_are_no_failure() {
    let folder = folder();
    let mut changed = model();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(folder.path().join("changed"), changed).unwrap();
    for (args, code) in [
        (&["info", "m.wcodec", "--layers"][..], 0),
        (&["info", "m.wcodec", "--json"], 0),
        (&["completions", "bash"], 0),
        (&["verify", "m.wcodec"], 0),
        (&["encode", "model.safetensors", "-o", "n.wcodec"], 0),
        (&["diff", "model.safetensors", "m.wcodec", "--layers"], 0),
        (&["diff", "model.safetensors", "changed", "--layers"], 1),
    ] {
        let mut child = spawn(args, folder.path());
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*error), (Some(code), ""), "{args:?}");
    }
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert!(read("n.wcodec") == read("m.wcodec"), "the file is complete though nobody was told");
}

#[test]
fn errors_that_nobody_reads_keep_their_exit_code() {
    let folder = folder();
    for (args, code) in [
        (&["info", "model.safetensors"][..], 3),
        (&["decode", "missing", "-o", "x"], 1),
        (&["decode", "m.wcodec", "-o", "-"], 0),
    ] {
        let mut child = spawn(args, folder.path());
        drop(child.stderr.take());
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(code), "{args:?}");
    }
}
