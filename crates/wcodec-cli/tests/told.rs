//! What the command tells of: what it refuses, what it warns of, what it names.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use serde_json::Value;
use std::process::Output;
use support::{command, fails, files, folder, model, ok, wcodec};

/// Asserts that it worked, and what it told on standard error, in one line.
fn warns(output: &Output, text: &str) {
    ok(output);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.starts_with("wcodec: warning: ") && told.contains(text), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn verify_tells_of_all_damage() {
    let folder = folder();
    let at = folder.path();
    let mut file = std::fs::read(at.join("m.wcodec")).unwrap();
    let sound: Value =
        serde_json::from_str(&ok(&wcodec(&["verify", "m.wcodec", "--json"], at))).unwrap();
    assert_eq!(sound["sound"], true);
    for eighth in [1, 7] {
        let place = file.len() * eighth / 8;
        file[place] ^= 1;
    }
    std::fs::write(at.join("m.wcodec"), file).unwrap();
    let output = wcodec(&["verify", "m.wcodec"], at);
    assert_eq!(output.status.code(), Some(3));
    let told = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 3, "{told}");
    assert!(lines[..2].iter().all(|line| line.starts_with("wcodec: m.wcodec: layer \"")), "{told}");
    assert!(lines[0] != lines[1] && lines[2] == "wcodec: m.wcodec: damaged in 2 places", "{told}");
    let output = wcodec(&["verify", "m.wcodec", "--json"], at);
    assert_eq!(output.status.code(), Some(3));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["sound"], false);
    let damage = found["damage"].as_array().unwrap();
    assert_eq!(damage.len(), 2);
    assert!(damage.iter().all(|one| one["layer"].is_string() && one["byte"].is_u64()), "{found}");
}

#[test]
fn files_that_break_their_format_are_warned_of() {
    let folder = folder();
    let at = folder.path();
    std::fs::write(at.join("cut.safetensors"), &model()[..100]).unwrap();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n";
    std::fs::write(at.join("pointer.gguf"), pointer).unwrap();
    std::fs::write(at.join("text.bin"), pointer).unwrap();
    let cut = wcodec(&["encode", "cut.safetensors"], at);
    warns(&cut, "not a valid safetensors file: its header of ");
    let called = "not a GGUF file, though called so";
    warns(&wcodec(&["encode", "pointer.gguf"], at), called);
    warns(&wcodec(&["estimate", "pointer.gguf"], at), called);
    warns(&wcodec(&["encode", "m.wcodec", "-o", "twice.wcodec"], at), "a .wcodec file already");
    let silent = wcodec(&["encode", "text.bin"], at);
    ok(&silent);
    assert!(silent.stderr.is_empty(), "{silent:?}");
    std::fs::create_dir(at.join("in")).unwrap();
    std::fs::rename(at.join("pointer.gguf"), at.join("in/pointer.gguf")).unwrap();
    warns(&wcodec(&["encode", "in", "--archive"], at), called);
    warns(&wcodec(&["encode", "in", "-o", "out"], at), called);
}

#[test]
fn paths_are_printed_without_control_characters() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let name = if cfg!(windows) { "a" } else { "a\nb\x1b[31m" };
    let printed = if cfg!(windows) { "a" } else { "a\\nb\\u{1b}[31m" };
    std::fs::write(at.join(name), "x").unwrap();
    let text = ok(&wcodec(&["encode", name], at));
    assert!(text.starts_with(&format!("{printed}.wcodec: 1 -> ")), "{text}");
    fails(&wcodec(&["encode", name], at), 2, &format!("{printed}.wcodec: file exists"));
    fails(&wcodec(&["verify", name], at), 3, &format!("{printed}: not a wcodec file"));
}

#[test]
fn sizes_are_told_in_the_direction_of_the_work() {
    let folder = folder();
    let at = folder.path();
    let size = std::fs::metadata(at.join("m.wcodec")).unwrap().len();
    let text = ok(&wcodec(&["decode", "m.wcodec", "-o", "back"], at));
    assert!(text.starts_with(&format!("back: {size} -> 322652 bytes (")), "{text}");
    std::fs::write(at.join("empty"), "").unwrap();
    let text = ok(&wcodec(&["encode", "empty"], at));
    assert!(text.contains(": 0 -> ") && !text.contains('%'), "{text}");
}

#[test]
fn one_file_of_an_archive_has_the_bytes_of_its_blocks() {
    let folder = folder();
    let at = folder.path();
    std::fs::create_dir(at.join("in")).unwrap();
    std::fs::rename(at.join("model.safetensors"), at.join("in/model.safetensors")).unwrap();
    std::fs::write(at.join("in/text"), "text").unwrap();
    ok(&wcodec(&["encode", "in", "--archive"], at));
    let args = ["decode", "in.wcodec", "--file", "model.safetensors", "--json"];
    let stats: Value = serde_json::from_str(&ok(&wcodec(&args, at))).unwrap();
    let whole = std::fs::metadata(at.join("m.wcodec")).unwrap().len();
    let coded = stats["coded_bytes"].as_u64().unwrap();
    assert!(coded < whole && coded > whole * 9 / 10, "{coded} of {whole}");
}

#[test]
fn base_paths_are_for_bases() {
    let folder = folder();
    let output = wcodec(&["encode", "model.safetensors", "--base-path", "."], folder.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--base <PATH>"), "{output:?}");
}

#[test]
fn extract_prints_where_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (name, file) in
        [("a/b", "a_b.npy"), ("", "layer.npy"), ("..", "layer.npy"), ("x\n", "x_.npy")]
    {
        let layer = wcodec::Layer::new(name, wcodec::ElementType::U8, vec![2]);
        let coded = wcodec::encode_layer(&[1, 2], &layer, &wcodec::EncodeOptions::default());
        std::fs::write(at.join("w.wcodec"), coded.unwrap().0).unwrap();
        assert_eq!(ok(&wcodec(&["extract", "w.wcodec", name], at)), format!("{file}\n"));
        std::fs::remove_file(at.join(file)).unwrap();
    }
}

#[test]
fn ends_of_rows_may_be_left_out() {
    let folder = folder();
    let rows = |rows| {
        let args = ["extract", "m.wcodec", "conv1.weight", "--rows", rows, "-o", "-"];
        wcodec(&args, folder.path()).stdout
    };
    assert!(!rows("120:128").is_empty());
    assert!(
        rows("120:") == rows("120:128") && rows(":9") == rows("0:9") && rows(":") == rows("0:128")
    );
    let args = ["extract", "m.wcodec", "conv1.weight", "--rows", "200:", "-o", "-"];
    fails(&wcodec(&args, folder.path()), 2, "rows 200:128 are not within 0:128");
}

#[test]
fn outputs_that_cannot_be_files_are_refused_first() {
    let folder = folder();
    let at = folder.path();
    let encode = |output| wcodec(&["encode", "model.safetensors", "-o", output], at);
    fails(&encode("out/"), 2, "out/: is the name of a folder");
    fails(&encode("."), 2, ".: is a folder, expected a file");
    fails(&wcodec(&["info", "."], at), 2, ".: is a folder, expected a file");
    fails(&wcodec(&["diff", "-", "-"], at), 2, "standard input twice");
    assert_eq!(files(at), ["m.wcodec", "model.safetensors"]);
}

#[test]
fn files_that_would_get_one_name_are_both_told() {
    let folder = folder();
    let at = folder.path();
    std::fs::create_dir(at.join("in")).unwrap();
    std::fs::rename(at.join("m.wcodec"), at.join("in/m.wcodec")).unwrap();
    std::fs::write(at.join("in/m"), "x").unwrap();
    let output = wcodec(&["decode", "in", "-o", "out"], at);
    fails(&output, 2, "in: \"m\" and \"m.wcodec\" would both become \"m\"");
}

#[test]
fn the_environment_is_heeded_or_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let info = |name: &str, value: &str| {
        let mut command = command(&["info", "--system", "--json"], folder.path());
        command.env(name, value).output().unwrap()
    };
    let told: Value = serde_json::from_str(&ok(&info("RAYON_NUM_THREADS", "3"))).unwrap();
    assert_eq!(told["threads"], 3);
    warns(&info("WCODEC_LEVEL", "fastest"), "WCODEC_LEVEL is \"fastest\"");
    assert!(info("WCODEC_LEVEL", "scalar").stderr.is_empty());
}
