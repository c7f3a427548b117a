//! Commands that look at each file of a folder: `diff`, `verify` and `estimate`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use serde_json::Value;
use std::path::Path;
use std::process::Output;
use support::{fails, files, model, ok, wcodec};
use tempfile::TempDir;

/// A folder with `a`, which holds two models and a text, and `b`, in which one of the models has another last byte and the text
/// another name.
fn folders() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, bytes: &[u8]| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let mut fine = model();
    *fine.last_mut().unwrap() ^= 1;
    write("a/model.safetensors", &model());
    write("a/old/model.safetensors", &model());
    write("a/config.json", b"{}");
    write("b/model.safetensors", &fine);
    write("b/old/model.safetensors", &model());
    write("b/settings.json", b"{}");
    folder
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn diff_compares_folders_file_by_file() {
    let folder = folders();
    let at = folder.path();
    for (name, args) in [("a", ["a.wcodec", "a-coded"]), ("b", ["b.wcodec", "b-coded"])] {
        ok(&wcodec(&["encode", name, "--archive", "-o", args[0]], at));
        ok(&wcodec(&["encode", name, "-o", args[1]], at));
    }
    let forms = |name: &str| [name.to_owned(), format!("{name}.wcodec"), format!("{name}-coded")];
    for a in &forms("a") {
        let same = ok(&wcodec(&["diff", "a", a], at));
        assert!(same.contains("identical: no file differs"), "{same}");
        for b in &forms("b") {
            let output = wcodec(&["diff", a, b, "--json"], at);
            assert_eq!(output.status.code(), Some(1));
            let found = json(&output);
            assert_eq!(found["identical"], false);
            assert_eq!(found["relations"]["similar"]["layers"], 1);
            assert_eq!(found["changed"], 1);
            let files = found["files"].as_array().unwrap();
            let told: Vec<_> = files
                .iter()
                .map(|file| {
                    let path = file["path"].as_str().unwrap();
                    (path, file["a"].is_null(), file["b"].is_null(), file["identical"] == true)
                })
                .collect();
            let expected = [
                ("config.json", false, true, false),
                ("model.safetensors", false, false, false),
                ("old/model.safetensors", false, false, true),
                ("settings.json", true, false, false),
            ];
            assert_eq!(told, expected, "{a} {b}");
            assert_eq!(files[1]["a"]["original_bytes"], model().len());
            assert_eq!(files[1]["changed"], 1);
        }
    }
    let output = wcodec(&["diff", "a", "b"], at);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("1 of 2 in both differ, 1 only in A, 1 only in B"), "{text}");
    for line in ["settings.json", "config.json", "model.safetensors:"] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!text.contains("old/model.safetensors"), "{text}");
    let all = String::from_utf8(wcodec(&["diff", "a", "b", "--layers"], at).stdout).unwrap();
    assert!(all.contains("old/model.safetensors:conv1.weight"), "{all}");

    fails(&wcodec(&["diff", "a", "a/model.safetensors"], at), 2, "a single file, which is not");
    fails(&wcodec(&["diff", "a", "nowhere"], at), 2, "nowhere: ");
    damage(&at.join("b-coded/model.safetensors.wcodec"));
    let damaged = wcodec(&["diff", "a", "b-coded"], at);
    fails(&damaged, 3, "b-coded/model.safetensors.wcodec: ");
}

#[test]
fn verify_checks_each_file_of_a_folder() {
    let folder = folders();
    let at = folder.path();
    ok(&wcodec(&["encode", "a", "-o", "coded"], at));
    let text = ok(&wcodec(&["verify", "coded"], at));
    assert!(text.starts_with("coded: sound, 2 files, ") && text.contains("all hashes"), "{text}");
    let found = json(&wcodec(&["verify", "coded", "--json"], at));
    assert_eq!((&found["sound"], &found["original_bytes"]), (&true.into(), &(2 * 322_652).into()));
    let file = &found["files"][1];
    assert_eq!(
        (&file["path"], &file["sound"]),
        (&"old/model.safetensors.wcodec".into(), &true.into())
    );

    damage(&at.join("coded/old/model.safetensors.wcodec"));
    let output = wcodec(&["verify", "coded", "--json"], at);
    assert_eq!(output.status.code(), Some(3));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let place = Path::new("coded").join("old/model.safetensors.wcodec");
    assert!(error.starts_with(&format!("wcodec: {}: ", place.display())), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    let found = json(&output);
    assert_eq!((&found["sound"], &found["files"][0]["sound"]), (&false.into(), &true.into()));
    assert_eq!(found["files"][1]["sound"], false);
    assert!(error.contains(found["files"][1]["error"].as_str().unwrap()));
    let output = wcodec(&["verify", "coded"], at);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "coded: 1 of 2 files failed\n");

    // What has another name than an encoded file is not one; what has such a name must be one.
    fails(&wcodec(&["verify", "a"], at), 2, "a: a folder without a .wcodec file");
    std::fs::write(at.join("a/text.wcodec"), b"text").unwrap();
    assert_eq!(wcodec(&["verify", "a"], at).status.code(), Some(3));
}

#[test]
fn estimates_of_a_folder_are_those_of_its_files() {
    let folder = folders();
    let at = folder.path();
    ok(&wcodec(&["encode", "a/model.safetensors", "-o", "a/coded.wcodec"], at));
    let found = json(&wcodec(&["estimate", "a", "--json", "--layers"], at));
    let listed = found["files"].as_array().unwrap();
    let paths: Vec<_> = listed.iter().map(|file| file["path"].as_str().unwrap()).collect();
    let expected = ["coded.wcodec", "config.json", "model.safetensors", "old/model.safetensors"];
    assert_eq!(paths, expected);
    for field in ["original_bytes", "expected_bytes", "layers", "sampled_bytes"] {
        let sum: u64 = listed.iter().map(|file| file[field].as_u64().unwrap()).sum();
        assert_eq!(found[field], sum, "{field}");
    }
    let one = json(&wcodec(&["estimate", "a/model.safetensors", "--json", "--layers"], at));
    for field in ["expected_bytes", "by_dtype", "layer_list", "source"] {
        assert_eq!(listed[2][field], one[field]);
    }
    assert_eq!(listed[1]["expected_bytes"], 2);
    let encoded = json(&wcodec(&["encode", "a", "-o", "coded", "--json"], at));
    let made = ["coded.wcodec.wcodec", "config.json", "model.safetensors.wcodec", "old"];
    assert_eq!(files(&at.join("coded")), made);
    let bytes = |value: &Value, field: &str| value[field].as_u64().unwrap();
    let off = bytes(&found, "expected_bytes").abs_diff(bytes(&encoded, "coded_bytes"));
    assert!(off < 1000, "{off}");
    let text = ok(&wcodec(&["estimate", "a", "--layers"], at));
    assert!(
        text.starts_with("a: 4 files, ") && text.contains("old/model.safetensors:conv1"),
        "{text}"
    );
}
