//! Running the command, and what it leaves.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

pub(crate) fn command(args: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wcodec"));
    command.args(args).current_dir(folder);
    command
}

pub(crate) fn wcodec(args: &[&str], folder: &Path) -> Output {
    command(args, folder).output().unwrap()
}

/// A folder with `model.safetensors`, and `m.wcodec` that was made of it.
#[allow(dead_code, reason = "some tests begin with an empty folder")]
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("model.safetensors"), model()).unwrap();
    ok(&wcodec(&["encode", "model.safetensors", "-o", "m.wcodec"], folder.path()));
    folder
}

pub(crate) fn model() -> Vec<u8> {
    std::fs::read(testdata("demo/silero-vad-int8.safetensors")).unwrap()
}

pub(crate) fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name)
}

pub(crate) fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub(crate) fn ok(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {error}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Asserts a failure: its exit code, one line on standard error, nothing on standard output.
pub(crate) fn fails(output: &Output, code: i32, text: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(error.contains(text), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(output.stdout.is_empty());
}
