//! Folders through the command: archives, folders that keep their layout, and nothing left behind.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::path::Path;
use std::process::Command;
use support::{fails, files, model, ok, wcodec};
use tempfile::TempDir;

/// A folder with `model`, in which a model lies twice.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let model_folder = folder.path().join("model");
    std::fs::create_dir_all(model_folder.join("old")).unwrap();
    std::fs::create_dir_all(model_folder.join("empty")).unwrap();
    std::fs::write(model_folder.join("model.safetensors"), model()).unwrap();
    std::fs::write(model_folder.join("old/model.safetensors"), model()).unwrap();
    std::fs::write(model_folder.join("config.json"), b"{}").unwrap();
    folder
}

fn same(a: &Path, b: &Path) {
    let output = Command::new("diff").arg("-r").args([a, b]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn archives_come_back_and_are_listed() {
    let folder = folder();
    let at = folder.path();
    ok(&wcodec(&["encode", "model/model.safetensors", "-o", "m.wcodec"], at));
    let text = ok(&wcodec(&["encode", "model/", "--archive"], at));
    assert!(text.starts_with("model.wcodec: 645306 -> "), "{text}");
    let size = |name: &str| std::fs::metadata(at.join(name)).unwrap().len();
    assert!(size("model.wcodec") < size("m.wcodec") + 4000, "{}", size("model.wcodec"));

    let info = ok(&wcodec(&["info", "model.wcodec", "--json", "--layers"], at));
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    assert_eq!(info["source"], "archive");
    let listed: Vec<_> = info["files"].as_array().unwrap().iter().collect();
    let paths: Vec<_> = listed.iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["config.json", "empty", "model.safetensors", "old/model.safetensors"]);
    assert_eq!(listed[1]["source"], "folder");
    assert_eq!(
        (&listed[2]["source"], &listed[2]["bytes"]),
        (&"safetensors".into(), &322_652.into())
    );
    assert_eq!(listed[3]["blake3"], blake3::hash(&model()).to_string());
    let layers = info["layer_list"].as_array().unwrap();
    let layer = layers.iter().find(|l| l["name"] == "old/model.safetensors:conv1.weight").unwrap();
    assert_eq!(
        (&layer["stats"]["coded_bytes"], &layer["stats"]["copied_elements"]),
        (&0.into(), &49536.into())
    );
    let text = ok(&wcodec(&["info", "model.wcodec"], at));
    assert!(text.contains("old/model.safetensors") && text.contains("empty"), "{text}");

    assert!(ok(&wcodec(&["verify", "model.wcodec"], at)).contains("sound"));
    ok(&wcodec(&["decode", "model.wcodec", "-o", "back"], at));
    same(&at.join("model"), &at.join("back"));
    let one = ["decode", "model.wcodec", "--file", "old/model.safetensors"];
    ok(&wcodec(&one, at));
    assert!(std::fs::read(at.join("model.safetensors")).unwrap() == model());
    assert!(wcodec(&[&one[..], &["-o", "-"]].concat(), at).stdout == model());
    let layer = "old/model.safetensors:conv1.weight";
    ok(&wcodec(&["extract", "model.wcodec", layer, "-o", "a.npy"], at));
    ok(&wcodec(&["extract", "m.wcodec", "conv1.weight", "-o", "b.npy"], at));
    assert!(std::fs::read(at.join("a.npy")).unwrap() == std::fs::read(at.join("b.npy")).unwrap());
    let piped = wcodec(&["encode", "model", "--archive", "-o", "-"], at).stdout;
    assert!(piped == std::fs::read(at.join("model.wcodec")).unwrap());
}

#[test]
fn folders_keep_their_layout() {
    let folder = folder();
    let at = folder.path();
    ok(&wcodec(&["encode", "model", "-o", "coded"], at));
    let coded = at.join("coded");
    assert_eq!(files(&coded), ["config.json", "empty", "model.safetensors.wcodec", "old"]);
    assert_eq!(files(&coded.join("old")), ["model.safetensors.wcodec"]);
    // What is encoded already is encoded once more, so that it comes back as it is.
    ok(&wcodec(&["encode", "coded", "-o", "twice"], at));
    assert_eq!(files(&at.join("twice/old")), ["model.safetensors.wcodec.wcodec"]);
    ok(&wcodec(&["decode", "twice", "-o", "coded2"], at));
    same(&coded, &at.join("coded2"));
    ok(&wcodec(&["decode", "coded", "-o", "back"], at));
    same(&at.join("model"), &at.join("back"));
}

#[test]
fn nothing_is_replaced_and_nothing_is_left() {
    let folder = folder();
    let at = folder.path();
    ok(&wcodec(&["encode", "model", "--archive", "-o", "m.wcodec"], at));
    let before = files(at);
    for force in [&[][..], &["--force"]] {
        let with = |args: &[&str]| wcodec(&[args, force].concat(), at);
        fails(
            &with(&["decode", "m.wcodec", "-o", "model"]),
            2,
            "model: exists; only an empty folder",
        );
        fails(
            &with(&["decode", "m.wcodec", "-o", "m.wcodec"]),
            2,
            "m.wcodec: would replace its own input",
        );
        fails(&with(&["encode", "model", "-o", "model"]), 2, "model: exists");
    }
    fails(&wcodec(&["decode", "m.wcodec", "-o", "-"], at), 2, "an archive: name the folder");
    fails(&wcodec(&["decode", "m.wcodec", "--file", "../x"], at), 2, "no file \"../x\"");
    fails(
        &wcodec(&["decode", "m.wcodec", "--file", "empty", "-o", "x"], at),
        2,
        "is an empty folder",
    );
    fails(
        &wcodec(&["encode", "model/config.json", "--archive"], at),
        2,
        "--archive is for folders",
    );
    fails(&wcodec(&["decode", "model"], at), 2, "is a folder");
    fails(&wcodec(&["encode", "nowhere", "--archive"], at), 2, "--archive is for folders");
    let mut damaged = std::fs::read(at.join("m.wcodec")).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(at.join("m.wcodec"), &damaged).unwrap();
    fails(&wcodec(&["decode", "m.wcodec", "-o", "out"], at), 3, "m.wcodec: layer \"");
    assert_eq!(files(at), before);

    std::fs::create_dir(at.join("out")).unwrap();
    ok(&wcodec(&["encode", "model", "--archive", "-o", "m.wcodec", "--force"], at));
    fails(&wcodec(&["decode", "m.wcodec", "-o", "out"], at), 2, "out: exists");
    ok(&wcodec(&["decode", "m.wcodec", "-o", "out", "--force"], at));
    same(&at.join("model"), &at.join("out"));
    // An archive in its own folder does not hold what is being written.
    ok(&wcodec(&["encode", "model", "--archive", "-o", "model/m.wcodec"], at));
    let info = ok(&wcodec(&["info", "model/m.wcodec", "--json"], at));
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    assert_eq!(info["files"].as_array().unwrap().len(), 4);
}

/// Killed while files are written, the command leaves no folder.
#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::create_dir(at.join("in")).unwrap();
    let mut x = 1u64;
    let noise: Vec<u8> = (0..64 << 20)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 32) as u8 & 0x3f
        })
        .collect();
    std::fs::write(at.join("in/a"), &noise).unwrap();
    std::fs::write(at.join("in/model.wcodec"), &noise).unwrap();
    ok(&wcodec(&["encode", "in", "--archive", "-o", "a.wcodec", "--no-verify"], at));
    let before = files(at);
    for args in [["encode", "in", "-o", "out"], ["decode", "a.wcodec", "-o", "out"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wcodec"))
            .args(args)
            .args(["--threads", "1"])
            .current_dir(at)
            .spawn()
            .unwrap();
        // Wait for the temporary folder, so that there is something to leave behind.
        while files(at).len() == before.len() {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it could be interrupted");
            std::thread::yield_now();
        }
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert_eq!(files(at), before);
    }
}

#[test]
fn a_new_folder_needs_a_name() {
    let folder = folder();
    ok(&wcodec(&["encode", "model", "--archive"], folder.path()));
    let empty = folder.path().join("here");
    std::fs::create_dir(&empty).unwrap();
    fails(&wcodec(&["decode", "../model.wcodec", "-o", ".", "--force"], &empty), 2, "is no name");
}

#[test]
#[cfg(unix)]
fn control_characters_in_names_are_escaped() {
    let folder = folder();
    std::fs::write(folder.path().join("model/a\u{1b}[2J\n"), b"text").unwrap();
    ok(&wcodec(&["encode", "model", "--archive"], folder.path()));
    let text = ok(&wcodec(&["info", "model.wcodec"], folder.path()));
    assert!(text.contains("a\\u{1b}[2J\\n") && !text.contains('\u{1b}'), "{text}");
}
