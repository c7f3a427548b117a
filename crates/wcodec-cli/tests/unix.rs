//! Pipes that nobody reads to their end, signals, and permissions: what was cut short never passes for done, nothing is
//! left behind, and whoever may not read a file may not read what is made of it.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::fs::Permissions;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
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

fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
}

/// The exit code of a process that is to end by itself.
fn code(mut child: Child) -> Option<i32> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        let patient = start.elapsed() < Duration::from_secs(60);
        if !patient {
            child.kill().unwrap();
        }
        assert!(patient, "it did not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_signal_ends_a_run_whose_output_nobody_reads() {
    let folder = folder();
    for args in [
        &["encode", "model.safetensors", "-o", "-"][..],
        &["decode", "m.wcodec", "-o", "-"],
        &["decode", "m.wcodec", "-o", "-", "--quiet"],
    ] {
        for name in ["-INT", "-TERM", "-HUP"] {
            let mut child = spawn(args, folder.path());
            // The rest does not fit the pipe.
            let mut pipe = child.stdout.take().unwrap();
            pipe.read_exact(&mut [0]).unwrap();
            signal(&child, name);
            assert_eq!(code(child), Some(130), "{args:?} {name}");
        }
    }
    assert_eq!(files(folder.path()), ["m.wcodec", "model.safetensors"]);
}

#[test]
fn an_interrupted_extraction_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let layer = wcodec::Layer::new("w", wcodec::ElementType::U8, vec![1 << 14, 1 << 13]);
    let data = vec![0; layer.bytes as usize];
    let mut options = wcodec::EncodeOptions::default();
    options.verify = false;
    let coded = wcodec::encode_layer(&data, &layer, &options).unwrap().0;
    std::fs::write(at.join("w.wcodec"), coded).unwrap();
    for _ in 0..3 {
        let mut child = spawn(&["extract", "w.wcodec", "w"], at);
        while files(at).len() < 2 {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it wrote anything");
            std::thread::yield_now();
        }
        signal(&child, "-INT");
        let code = code(child);
        let left = files(at);
        if code == Some(0) {
            // It was faster than the signal.
            assert_eq!(left, ["w.npy", "w.wcodec"]);
            std::fs::remove_file(at.join("w.npy")).unwrap();
        } else {
            assert_eq!((code, left), (Some(130), vec!["w.wcodec".to_owned()]));
        }
    }
}

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
    let mut command = Command::new(env!("CARGO_BIN_EXE_wcodec"));
    let pipe = std::fs::File::open(at("in/model")).unwrap();
    let command = command.args(["encode", "-", "-o", "p.wcodec"]).current_dir(folder.path());
    ok(&command.stdin(pipe).output().unwrap());
    assert_eq!((mode(&at("a.wcodec")), mode(&at("p.wcodec"))), (usual, usual));
}
