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
use support::{command, fails, files, folder, model, ok, wcodec};

fn spawn(args: &[&str], folder: &Path) -> Child {
    let mut command = command(args, folder);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn data_that_nobody_reads_is_a_failure() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    std::fs::write(folder.path().join("in/model"), model()).unwrap();
    for args in [
        &["encode", "model.safetensors", "-o", "-"][..],
        &["encode", "in", "--archive", "-o", "-"],
        &["decode", "m.wcodec", "-o", "-"],
        &["extract", "m.wcodec", "conv1.weight", "-o", "-"],
    ] {
        let mut child = spawn(args, folder.path());
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        fails(&output, 1, "wcodec: standard output: ");
    }
    assert_eq!(files(folder.path()), ["in", "m.wcodec", "model.safetensors"]);
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
fn a_layer_has_the_permissions_of_its_file() {
    let folder = folder();
    set(&folder.path().join("m.wcodec"), 0o600);
    ok(&wcodec(&["extract", "m.wcodec", "conv1.weight", "-o", "x.npy"], folder.path()));
    assert_eq!(mode(&folder.path().join("x.npy")), 0o600);
}

#[test]
fn an_archive_is_for_those_who_may_read_all_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("in/inner")).unwrap();
    std::fs::write(at("in/model"), model()).unwrap();
    std::fs::write(at("in/inner/text"), b"text").unwrap();
    std::fs::write(at("usual"), b"").unwrap();
    let usual = mode(&at("usual"));
    for (path, private, open) in
        [("in", 0o700, 0o755), ("in/inner", 0o700, 0o755), ("in/model", 0o600, 0o644)]
    {
        for (given, expected) in [(private, usual & 0o600), (open, usual)] {
            set(&at(path), given);
            ok(&wcodec(&["encode", "in", "--archive", "--force"], folder.path()));
            assert_eq!(mode(&at("in.wcodec")), expected, "{path} {given:o}");
        }
    }
}

/// Runs the command where no file may have more than 32 KiB.
fn run_in_little_room(args: &str, folder: &Path) -> std::process::Output {
    let command = format!("trap '' XFSZ; ulimit -f 64; exec \"$0\" {args}");
    let mut sh = Command::new("sh");
    sh.args(["-c", &command, env!("CARGO_BIN_EXE_wcodec")]).env("TMPDIR", folder.join("tmp"));
    sh.current_dir(folder).output().unwrap()
}

#[test]
fn what_could_not_be_written_is_named() {
    let folder = folder();
    let at = folder.path();
    std::fs::create_dir_all(at.join("in")).unwrap();
    std::fs::create_dir_all(at.join("tmp")).unwrap();
    std::fs::write(at.join("in/model"), model()).unwrap();
    ok(&wcodec(&["encode", "in", "--archive", "-o", "a.wcodec"], at));
    ok(&wcodec(&["encode", "in", "-o", "coded"], at));
    let tmp = at.join("tmp");
    let tmp = tmp.to_str().unwrap();
    for (args, name) in [
        ("encode model.safetensors -o x", "x"),
        ("encode in --archive -o x", "x"),
        ("encode in -o x", "x/model.wcodec"),
        ("decode m.wcodec -o x", "x"),
        ("decode a.wcodec -o x", "x/model"),
        ("decode a.wcodec --file model -o x", "x"),
        ("decode coded -o x", "x/model"),
        ("extract m.wcodec conv1.weight -o x", "x"),
        ("encode model.safetensors -o -", tmp),
        ("decode - < m.wcodec", tmp),
    ] {
        fails(&run_in_little_room(args, at), 1, &format!("wcodec: {name}: File too large"));
    }
    assert!(!at.join("x").exists());
    let mut demo = Command::new(env!("CARGO_BIN_EXE_wcodec"));
    let demo = demo.arg("demo").env("TMPDIR", at.join("nowhere")).output().unwrap();
    fails(&demo, 1, "nowhere: ");
}

#[test]
fn pipes_by_path_are_refused_and_not_waited_for() {
    let folder = folder();
    let at = folder.path();
    assert!(Command::new("mkfifo").arg(at.join("pipe")).status().unwrap().success());
    for args in [
        &["encode", "pipe"][..],
        &["estimate", "pipe"],
        &["verify", "pipe"],
        &["info", "pipe"],
        &["decode", "pipe", "-o", "x"],
        &["bench", "pipe"],
        &["diff", "pipe", "model.safetensors"],
        &["encode", "model.safetensors", "--base", "pipe"],
    ] {
        let child = spawn(args, at);
        assert_eq!(code(child), Some(2), "{args:?}");
    }
    fails(&wcodec(&["encode", "pipe"], at), 2, "pipe: not a regular file");
}

#[test]
fn bench_reads_standard_input() {
    let folder = folder();
    let pipe = std::fs::File::open(folder.path().join("model.safetensors")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wcodec"));
    let command = command.args(["bench", "-", "--runs", "1", "--json"]).stdin(pipe);
    assert!(ok(&command.output().unwrap()).contains("322652"));
}

#[test]
fn a_signal_ends_a_comparison_that_waits_for_its_input() {
    let folder = folder();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wcodec"));
    command.args(["diff", "-", "model.safetensors"]).current_dir(folder.path());
    let child = command.stdin(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    // Ended by the signal itself: nothing was begun. (What runs in the background may ignore SIGINT.)
    signal(&child, "-TERM");
    assert_eq!(code(child), None);
}

/// The memory that a process may see of the system has files that tell no size.
#[cfg(target_os = "linux")]
#[test]
fn files_that_hold_more_than_their_size_are_refused() {
    let folder = folder();
    let at = folder.path();
    fails(&wcodec(&["encode", "/proc/cpuinfo", "-o", "x"], at), 1, "holds more than the 0 bytes");
    std::fs::create_dir(at.join("in")).unwrap();
    std::os::unix::fs::symlink("/proc/cpuinfo", at.join("in/cpuinfo")).unwrap();
    for args in [&["encode", "in", "--archive"][..], &["encode", "in", "-o", "x"]] {
        fails(&wcodec(args, at), 1, "in/cpuinfo: holds more than the 0 bytes");
    }
    assert_eq!(files(at), ["in", "m.wcodec", "model.safetensors"]);
}

#[cfg(target_os = "linux")]
#[test]
fn data_goes_to_a_terminal_only_by_force() {
    let folder = folder();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wcodec"));
        // The master of a terminal is one too.
        let terminal = std::fs::File::options().read(true).write(true).open("/dev/ptmx").unwrap();
        command.args(args).current_dir(folder.path()).stdout(terminal).output().unwrap()
    };
    for args in [
        &["encode", "model.safetensors", "-o", "-"][..],
        &["encode", ".", "--archive", "-o", "-"],
        &["decode", "m.wcodec", "-o", "-"],
        &["extract", "m.wcodec", "conv1.weight", "-o", "-"],
    ] {
        fails(&run(args), 2, "standard output: is a terminal");
    }
    let small = ["extract", "m.wcodec", "conv1.weight", "--rows", ":1", "--cols", ":9", "-o", "-"];
    ok(&run(&[&small[..], &["--force"]].concat()));
}

#[test]
fn a_link_that_leads_nowhere_has_its_name() {
    let folder = folder();
    let at = folder.path();
    std::os::unix::fs::symlink("nowhere", at.join("link")).unwrap();
    fails(&wcodec(&["encode", "missing", "-o", "link"], at), 1, "missing: ");
    fails(&wcodec(&["encode", "model.safetensors", "-o", "link"], at), 2, "link: file exists");
    ok(&wcodec(&["encode", "model.safetensors", "-o", "link", "--force"], at));
    assert!(at.join("link").symlink_metadata().unwrap().is_file(), "the link itself is replaced");
    assert_eq!(files(at), ["link", "m.wcodec", "model.safetensors"]);
}

#[test]
fn what_is_made_of_a_pipe_or_a_folder_has_the_usual_permissions() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("in")).unwrap();
    std::fs::write(at("in/model"), model()).unwrap();
    std::fs::write(at("usual"), b"").unwrap();
    let usual = mode(&at("usual"));
    ok(&wcodec(&["encode", "in", "--archive", "-o", "a.wcodec"], folder.path()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_wcodec"));
    let pipe = std::fs::File::open(at("in/model")).unwrap();
    let command = command.args(["encode", "-", "-o", "p.wcodec"]).current_dir(folder.path());
    ok(&command.stdin(pipe).output().unwrap());
    assert_eq!((mode(&at("a.wcodec")), mode(&at("p.wcodec"))), (usual, usual));
}
