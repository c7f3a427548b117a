//! The command as a user runs it: files, pipes, exit codes, messages, and nothing left behind.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use support::{fails, files, model, ok, testdata, wcodec};
use tempfile::TempDir;

/// A folder with `model.safetensors` in it.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("model.safetensors"), model()).unwrap();
    folder
}

/// Instruction-set levels of this machine.
fn levels(folder: &Path) -> Vec<String> {
    let info = ok(&wcodec(&["info", "--system", "--json"], folder));
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    info["levels"].as_array().unwrap().iter().map(|l| l.as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_level_and_thread_count_writes_the_same_bytes() {
    let folder = folder();
    let at = folder.path();
    let levels = levels(at);
    assert!(levels.contains(&"scalar".to_owned()), "{levels:?}");
    let run = |level: &str, args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wcodec"));
        ok(&command.args(args).env("WCODEC_LEVEL", level).current_dir(at).output().unwrap())
    };
    for scan in ["row", "column"] {
        let mut files = Vec::new();
        for level in &levels {
            for threads in ["1", "2", "5"] {
                let options = ["--scan", scan, "--threads", threads, "--force", "-o", "out.wcodec"];
                let args: Vec<&str> =
                    ["encode", "model.safetensors"].into_iter().chain(options).collect();
                run(level, &args);
                files.push(std::fs::read(at.join("out.wcodec")).unwrap());
                let args = ["decode", "out.wcodec", "-o", "back", "--force", "--threads", threads];
                run(level, &args);
                assert!(std::fs::read(at.join("back")).unwrap() == model(), "{level}");
            }
        }
        assert!(files.windows(2).all(|pair| pair[0] == pair[1]), "{scan}");
    }
    assert!(run("scalar", &["info", "--system"]).contains("level scalar of"));
}

#[test]
fn encode_and_decode_by_their_default_names() {
    let folder = folder();
    let at = folder.path();
    let text = ok(&wcodec(&["encode", "model.safetensors"], at));
    assert!(text.starts_with("model.safetensors.wcodec: 322652 -> "), "{text}");
    std::fs::remove_file(at.join("model.safetensors")).unwrap();
    ok(&wcodec(&["decode", "model.safetensors.wcodec"], at));
    assert!(std::fs::read(at.join("model.safetensors")).unwrap() == model());
    assert_eq!(files(at), ["model.safetensors", "model.safetensors.wcodec"]);
}

#[test]
fn an_existing_file_is_kept_unless_forced() {
    let folder = folder();
    let at = folder.path();
    std::fs::write(at.join("model.safetensors.wcodec"), b"precious").unwrap();
    let output = wcodec(&["encode", "model.safetensors"], at);
    fails(&output, 2, "model.safetensors.wcodec: file exists");
    assert_eq!(std::fs::read(at.join("model.safetensors.wcodec")).unwrap(), b"precious");
    ok(&wcodec(&["encode", "model.safetensors", "--force"], at));
    fails(&wcodec(&["decode", "model.safetensors.wcodec"], at), 2, "file exists");
    assert_eq!(files(at).len(), 2);
}

#[test]
fn pipes_work_in_both_directions() {
    let folder = folder();
    let pipe = |args: &[&str], input: &[u8]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wcodec"))
            .args(args)
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().unwrap();
        let _ = writer.join().unwrap();
        output
    };
    let coded = pipe(&["encode", "-"], &model());
    assert!(coded.status.success());
    assert!(pipe(&["decode", "-"], &coded.stdout).stdout == model());
    ok(&wcodec(&["encode", "model.safetensors"], folder.path()));
    let file = std::fs::read(folder.path().join("model.safetensors.wcodec")).unwrap();
    assert!(file == coded.stdout, "a pipe and a file give the same bytes");
    let damaged = pipe(&["decode", "-"], &coded.stdout[..1000]);
    fails(&damaged, 3, "standard input: file ends after 1000 bytes");
}

#[test]
fn damage_is_reported_with_layer_and_block_and_leaves_nothing() {
    let folder = folder();
    let at = folder.path();
    ok(&wcodec(&["encode", "model.safetensors", "-o", "m.wcodec"], at));
    assert!(ok(&wcodec(&["verify", "m.wcodec"], at)).contains("sound"));
    let mut file = std::fs::read(at.join("m.wcodec")).unwrap();
    let middle = file.len() / 2;
    file[middle] ^= 1;
    std::fs::write(at.join("m.wcodec"), &file).unwrap();
    let before = files(at);
    fails(&wcodec(&["verify", "m.wcodec"], at), 3, "m.wcodec: layer \"");
    fails(&wcodec(&["decode", "m.wcodec", "-o", "out"], at), 3, ", block ");
    fails(&wcodec(&["decode", "m.wcodec", "-o", "-"], at), 3, ", block ");
    assert_eq!(files(at), before);
}

#[test]
fn exit_codes_tell_what_happened() {
    let folder = folder();
    let at = folder.path();
    fails(&wcodec(&["decode", "model.safetensors", "-o", "x"], at), 3, "not a wcodec file");
    fails(&wcodec(&["decode", "model.safetensors"], at), 2, "name the output with -o");
    fails(&wcodec(&["encode", "nothing.safetensors"], at), 1, "nothing.safetensors: ");
    fails(&wcodec(&["encode", "."], at), 2, "is a folder: name another one");
    std::fs::copy(testdata("malformed/minor_version.wcodec"), at.join("new.wcodec")).unwrap();
    fails(&wcodec(&["info", "new.wcodec"], at), 4, "format version 1.5");
    ok(&wcodec(&["encode", "model.safetensors", "-o", "m.wcodec"], at));
    let output = wcodec(&["decode", "m.wcodec", "-o", "x", "--max-size", "1000"], at);
    fails(&output, 4, "original size is 322652, the limit is 1000");
    for bad in [["--tile", "0x4"], ["--block", "9"], ["--predictors", "up"], ["--threads", "0"]] {
        let output = wcodec(&["encode", "model.safetensors", bad[0], bad[1]], at);
        assert_eq!(output.status.code(), Some(2), "{bad:?}");
    }
    let output = wcodec(&["encode", "model.safetensors", "--block", "9000x9000", "-o", "y"], at);
    fails(&output, 2, "block of 9000 x 9000");
    assert_eq!(files(at), ["m.wcodec", "model.safetensors", "new.wcodec"]);
}

#[test]
fn bases_are_given_and_found() {
    let folder = folder();
    let at = folder.path();
    let mut fine = std::fs::read(at.join("model.safetensors")).unwrap();
    let middle = fine.len() / 2;
    fine[middle..].iter_mut().step_by(9).for_each(|byte| *byte ^= 1);
    std::fs::write(at.join("fine.safetensors"), &fine).unwrap();
    let base = ["--base", "model.safetensors"];
    ok(&wcodec(&["encode", "fine.safetensors", "-o", "f.wcodec", base[0], base[1]], at));
    ok(&wcodec(&["encode", "model.safetensors", "-o", "m.wcodec"], at));
    let size = |name: &str| std::fs::metadata(at.join(name)).unwrap().len();
    assert!(size("f.wcodec") < size("m.wcodec") * 2 / 3);

    fails(&wcodec(&["decode", "f.wcodec", "-o", "x"], at), 5, "base \"model.safetensors\" of");
    fails(&wcodec(&["verify", "f.wcodec", "--base", "f.wcodec"], at), 5, "is missing");
    fails(&wcodec(&["verify", "f.wcodec", "--base", "nothing"], at), 1, "nothing: ");
    for found in [base, ["--base", "m.wcodec"], ["--base-path", "."]] {
        ok(&wcodec(&["decode", "f.wcodec", "-o", "x", "--force", found[0], found[1]], at));
        assert!(std::fs::read(at.join("x")).unwrap() == fine);
    }
    let verify = |folders: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wcodec"));
        command.args(["verify", "f.wcodec"]).env("WCODEC_BASE_PATH", folders);
        command.current_dir(at).output().unwrap().status.code()
    };
    assert_eq!((verify("nowhere"), verify(at.to_str().unwrap())), (Some(5), Some(0)));

    let text = ok(&wcodec(&["info", "f.wcodec"], at));
    assert!(
        text.contains("base \"model.safetensors\"") && text.contains("were not found"),
        "{text}"
    );
    let text = ok(&wcodec(&["info", "f.wcodec", "--base", "m.wcodec"], at));
    assert!(text.contains("longest chain of bases: 1"), "{text}");
    let info = ok(&wcodec(&["info", "f.wcodec", "--json", "--layers"], at));
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    assert_eq!((&info["bases"][0]["bytes"], &info["base_depth"]), (&322_652.into(), &().into()));
    let layer = info["layer_list"][0]["name"].as_str().unwrap();
    ok(&wcodec(
        &["extract", "f.wcodec", layer, "--rows", "0:1", "-o", "r.npy", base[0], base[1]],
        at,
    ));
    let bench =
        ["bench", "fine.safetensors", "--base", "model.safetensors", "--runs", "1", "--json"];
    let bench: serde_json::Value = serde_json::from_str(&ok(&wcodec(&bench, at))).unwrap();
    assert_eq!(bench["coded_bytes"], size("f.wcodec"));
}

#[test]
fn diff_tells_what_changed_and_by_its_exit_code_whether_something_did() {
    let folder = folder();
    let at = folder.path();
    let mut fine = model();
    let middle = fine.len() / 2;
    fine[middle..middle + 9000].iter_mut().step_by(9).for_each(|byte| *byte ^= 1);
    std::fs::write(at.join("fine.safetensors"), &fine).unwrap();
    ok(&wcodec(
        &["encode", "fine.safetensors", "-o", "f.wcodec", "--base", "model.safetensors"],
        at,
    ));

    let same = wcodec(&["diff", "fine.safetensors", "fine.safetensors"], at);
    assert!(ok(&same).contains("identical: no layer differs"), "{same:?}");
    // The first file is found as the base of the second one.
    for b in ["fine.safetensors", "f.wcodec"] {
        let output = wcodec(&["diff", "model.safetensors", b], at);
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stderr.is_empty(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("B with A as its base: about "), "{text}");
        let json = wcodec(&["diff", "model.safetensors", b, "--json"], at).stdout;
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["identical"], false);
        assert_eq!(json["changed"], 1000);
        assert_eq!(json["b"]["original_bytes"], fine.len());
        let layers = json["layer_list"].as_array().unwrap();
        assert_eq!(json["b"]["layers"], layers.len());
        let differs = |layer: &&serde_json::Value| layer["relation"] != "identical";
        let shown = |layer: &serde_json::Value| text.contains(layer["b"]["name"].as_str().unwrap());
        assert!(layers.iter().filter(differs).all(shown), "{text}");
        assert!(layers.iter().any(|layer| !differs(&layer) && !shown(layer)), "{text}");
        let all = wcodec(&["diff", "model.safetensors", b, "--layers"], at).stdout;
        assert!(String::from_utf8(all).unwrap().lines().count() > layers.len());
    }
    assert_eq!(wcodec(&["diff", "fine.safetensors", "f.wcodec"], at).status.code(), Some(5));
    let base = ["--base", "model.safetensors"];
    ok(&wcodec(&["diff", "fine.safetensors", "f.wcodec", base[0], base[1]], at));

    // 1 tells that files differ, and nothing else.
    fails(&wcodec(&["diff", "model.safetensors", "nothing"], at), 2, "nothing: ");
    fails(&wcodec(&["diff", ".", "model.safetensors"], at), 2, "a single file, which is");
    let coded = std::fs::read(at.join("f.wcodec")).unwrap();
    std::fs::write(at.join("cut.wcodec"), &coded[..coded.len() - 1]).unwrap();
    fails(&wcodec(&["diff", "model.safetensors", "cut.wcodec"], at), 3, "cut.wcodec: ");
    let output = wcodec(&["diff", "model.safetensors", "f.wcodec", "--max-size", "9"], at);
    fails(&output, 4, "original size is");
}

#[test]
fn every_malformed_file_is_refused_by_the_command_too() {
    let expected = std::fs::read_to_string(testdata("malformed/expected.tsv")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for line in expected.lines() {
        let (name, text) = line.split_once('\t').unwrap();
        let path = testdata(&format!("malformed/{name}.wcodec"));
        let path = path.to_str().unwrap();
        let output = wcodec(&["decode", path, "-o", "out"], folder.path());
        let code = output.status.code().unwrap();
        assert!(code == 3 || code == 4, "{name}: {code}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), format!("wcodec: {path}: {text}\n"));
        assert_eq!(files(folder.path()), [""; 0], "{name}");
    }
}

#[test]
fn info_and_stats_as_json() {
    let folder = folder();
    let at = folder.path();
    let encoded = ok(&wcodec(&["encode", "model.safetensors", "-o", "m.wcodec", "--json"], at));
    let encoded: serde_json::Value = serde_json::from_str(&encoded).unwrap();
    let info = ok(&wcodec(&["info", "m.wcodec", "--json", "--layers"], at));
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    assert_eq!(info["original_bytes"], 322_652);
    assert_eq!(info["coded_bytes"], encoded["coded_bytes"]);
    assert_eq!(info["source"], "safetensors");
    assert_eq!(info["blake3"].as_str().unwrap(), blake3::hash(&model()).to_string());
    let layers = info["layer_list"].as_array().unwrap();
    assert_eq!(info["layers"], layers.len());
    let conv1 = layers.iter().find(|l| l["name"] == "conv1.weight").unwrap();
    assert_eq!(conv1["dtype"], "I8");
    assert_eq!(conv1["shape"], serde_json::json!([128, 129, 3]));
    let sum: u64 = layers.iter().map(|l| l["stats"]["original_bytes"].as_u64().unwrap()).sum();
    assert!(sum < 322_652 && sum > 310_000);
    let text = ok(&wcodec(&["info", "m.wcodec", "--layers"], at));
    assert!(text.contains("conv1.weight") && text.contains("128x129x3"), "{text}");
    // What classes and means saved is the difference to a file without them.
    let saved = ok(&wcodec(&["info", "m.wcodec", "--json", "--layers", "--saved"], at));
    let saved: serde_json::Value = serde_json::from_str(&saved).unwrap();
    let saved = saved["layer_list"].as_array().unwrap().iter();
    let saved: i64 = saved.map(|l| l["saved_bytes"].as_i64().unwrap()).sum();
    let plain = ["--effort", "fast", "--predictors", "none", "--json"];
    let plain = [&["encode", "model.safetensors", "-o", "plain.wcodec"][..], &plain].concat();
    let plain: serde_json::Value = serde_json::from_str(&ok(&wcodec(&plain, at))).unwrap();
    let coded = |value: &serde_json::Value| value["coded_bytes"].as_i64().unwrap();
    assert!(saved > 0 && saved.abs_diff(coded(&plain) - coded(&encoded)) < 2000, "{saved}");
}

#[test]
fn estimate_tells_what_encoding_will_bring() {
    let folder = folder();
    let at = folder.path();
    let encoded = ok(&wcodec(&["encode", "model.safetensors", "-o", "m.wcodec", "--json"], at));
    let encoded: serde_json::Value = serde_json::from_str(&encoded).unwrap();
    let estimate = ok(&wcodec(&["estimate", "model.safetensors", "--json", "--layers"], at));
    let estimate: serde_json::Value = serde_json::from_str(&estimate).unwrap();
    let bytes = |value: &serde_json::Value, key: &str| value[key].as_u64().unwrap();
    let off = bytes(&estimate, "expected_bytes").abs_diff(bytes(&encoded, "coded_bytes"));
    assert!(off < 300, "{estimate} {encoded}");
    assert_eq!(estimate["layers"], estimate["layer_list"].as_array().unwrap().len());
    assert_eq!(estimate["worth_it"], true);
    let text = ok(&wcodec(&["estimate", "model.safetensors", "--layers"], at));
    assert!(
        text.contains("conv1.weight") && !text.lines().nth(1).unwrap().contains("not worth it"),
        "{text}"
    );
    std::fs::write(at.join("coded"), std::fs::read(at.join("m.wcodec")).unwrap()).unwrap();
    let text = ok(&wcodec(&["estimate", "coded"], at));
    assert!(text.contains(": not worth it;"), "what is coded already gains nothing: {text}");
    fails(&wcodec(&["estimate", "missing"], at), 1, "missing");
}

#[test]
fn extract_gives_arrays_and_slices() {
    let folder = folder();
    let at = folder.path();
    ok(&wcodec(&["encode", "model.safetensors", "-o", "m.wcodec"], at));
    ok(&wcodec(&["extract", "m.wcodec", "conv1.weight"], at));
    let whole = std::fs::read(at.join("conv1.weight.npy")).unwrap();
    assert!(whole.starts_with(b"\x93NUMPY"));
    let header = 10 + usize::from(u16::from_le_bytes([whole[8], whole[9]]));
    assert_eq!(whole.len() - header, 128 * 129 * 3);
    let text = String::from_utf8_lossy(&whole[10..header]).into_owned();
    assert!(text.contains("'|i1'") && text.contains("(128, 129, 3)"), "{text}");
    let args =
        ["extract", "m.wcodec", "conv1.weight", "--rows", "3:7", "--cols", "100:250", "-o", "-"];
    let slice = wcodec(&args, at).stdout;
    let expected: Vec<u8> = (3..7)
        .flat_map(|row| whole[header + row * 387 + 100..header + row * 387 + 250].to_vec())
        .collect();
    assert!(slice.ends_with(&expected) && slice.len() < expected.len() + 256);
    for (rows, cols, shape) in
        [("5:5", "3:9", "(0, 6)"), ("5:7", "9:9", "(2, 0)"), ("128:128", "0:387", "(0, 387)")]
    {
        let args =
            ["extract", "m.wcodec", "conv1.weight", "--rows", rows, "--cols", cols, "-o", "-"];
        let empty = wcodec(&args, at).stdout;
        let text = String::from_utf8_lossy(&empty[10..]).into_owned();
        assert!(text.contains(shape) && text.ends_with('\n'), "{text}");
    }
    fails(&wcodec(&["extract", "m.wcodec", "conv9.weight"], at), 2, "no layer \"conv9.weight\"");
    let output = wcodec(&["extract", "m.wcodec", "conv1.weight", "--rows", "3:700", "-o", "x"], at);
    fails(&output, 2, "rows 3:700 are not within 0:128");
}

/// A GGUF file of one tensor of 3 rows of 2 blocks of Q8_0, and the blocks.
fn gguf() -> (Vec<u8>, Vec<u8>) {
    let mut file = b"GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend(b"\x01\0\0\0\0\0\0\0w\x02\0\0\0\x40\0\0\0\0\0\0\0\x80\0\0\0\0\0\0\0\x08\0\0\0");
    file.resize((file.len() + 8).next_multiple_of(32), 0);
    let blocks: Vec<u8> = (0..128 * 2 * 34u32).map(|i| (i * 37 % 29) as u8).collect();
    file.extend(&blocks);
    (file, blocks)
}

#[test]
fn extract_gives_blocks_of_gguf() {
    let folder = folder();
    let at = folder.path();
    let (file, blocks) = gguf();
    std::fs::write(at.join("m.gguf"), &file).unwrap();
    ok(&wcodec(&["encode", "m.gguf"], at));
    let info = ok(&wcodec(&["info", "m.gguf.wcodec", "--layers", "--json"], at));
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    assert_eq!(info["source"], "gguf");
    let layer = &info["layer_list"][0];
    assert_eq!((&layer["name"], &layer["dtype"]), (&"w".into(), &"Q8_0".into()));
    assert_eq!(layer["shape"], serde_json::json!([128, 64]));
    let whole = wcodec(&["extract", "m.gguf.wcodec", "w", "-o", "-"], at).stdout;
    let text = String::from_utf8_lossy(&whole[10..128]).into_owned();
    assert!(
        whole.ends_with(&blocks) && text.contains("'|u1'") && text.contains("(128, 68)"),
        "{text}"
    );
    let args = ["extract", "m.gguf.wcodec", "w", "--rows", "5:7", "--cols", "32:64", "-o", "-"];
    let part = wcodec(&args, at).stdout;
    let expected = [&blocks[5 * 68 + 34..6 * 68], &blocks[6 * 68 + 34..7 * 68]].concat();
    assert!(part.ends_with(&expected), "{part:?}");
    assert!(String::from_utf8_lossy(&part[10..128]).contains("(2, 34)"));
    for (more, shape) in [(None, "(0, 34)"), (Some("--dequantize"), "(0, 32)")] {
        let args = ["extract", "m.gguf.wcodec", "w", "--rows", "5:5", "--cols", "32:64", "-o", "-"];
        let empty = wcodec(&[&args[..], more.as_slice()].concat(), at).stdout;
        assert!(String::from_utf8_lossy(&empty).contains(shape), "{empty:?}");
    }
    let args = ["extract", "m.gguf.wcodec", "w", "--cols", "3:64", "-o", "-"];
    fails(&wcodec(&args, at), 2, "cut blocks of 32 elements");
}

#[test]
fn a_bad_safetensors_file_is_kept_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut bad = model();
    bad.truncate(200_000);
    std::fs::write(at.join("bad.safetensors"), &bad).unwrap();
    let output = wcodec(&["encode", "bad.safetensors"], at);
    ok(&output);
    let warning = String::from_utf8_lossy(&output.stderr);
    assert!(warning.starts_with("wcodec: warning: not a valid safetensors file:"), "{warning}");
    ok(&wcodec(&["decode", "bad.safetensors.wcodec", "-o", "back"], at));
    assert!(std::fs::read(at.join("back")).unwrap() == bad);
}

#[test]
fn demo_bench_and_completions_run() {
    let folder = folder();
    let at = folder.path();
    let demo = ok(&wcodec(&["demo"], at));
    assert!(demo.contains("silero-vad-int8") && demo.contains("byte for byte"), "{demo}");
    let bench = ok(&wcodec(
        &["bench", "model.safetensors", "--json", "--runs", "1", "--threads", "1,2"],
        at,
    ));
    let bench: serde_json::Value = serde_json::from_str(&bench).unwrap();
    assert_eq!(bench["original_bytes"], 322_652);
    assert_eq!(bench["runs"].as_array().unwrap().len(), 2);
    for key in ["memcpy_gbps", "encode_gbps", "decode_gbps"] {
        assert!(bench["by_dtype"]["I8"]["runs"][1][key].as_f64().unwrap() > 0.0);
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(ok(&wcodec(&["completions", shell], at)).contains("wcodec"));
    }
    assert_eq!(files(at), ["model.safetensors"]);
}

/// Killed in the middle of the work by a signal that asks politely, the command leaves no file.
#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut x = 1u64;
    let noise: Vec<u8> = (0..96 << 20)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 32) as u8 & 0x3f
        })
        .collect();
    std::fs::write(at.join("big"), noise).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_wcodec"))
        .args(["encode", "big", "--threads", "1"])
        .current_dir(at)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Wait for the temporary file, so that there is something to leave behind.
    while files(at).len() < 2 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be interrupted");
        std::thread::yield_now();
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let status = child.wait().unwrap();
    assert_eq!(files(at), ["big"]);
    assert_eq!(status.code(), Some(130));
}

#[test]
fn shapes_that_do_not_fit_the_bytes_are_not_dequantized() {
    let folder = tempfile::tempdir().unwrap();
    for (shape, bytes) in [(vec![1, 64], 18), (vec![1, 16], 18), (vec![1, 32], 19)] {
        let mut layer = wcodec::Layer::new("w", wcodec::ElementType::U8, vec![bytes]);
        (layer.dtype, layer.shape) = ("Q4_0".to_owned(), shape);
        let data = vec![0; bytes as usize];
        let coded = wcodec::encode_layer(&data, &layer, &wcodec::EncodeOptions::default());
        std::fs::write(folder.path().join("w.wcodec"), coded.unwrap().0).unwrap();
        let output = wcodec(&["extract", "w.wcodec", "w", "--dequantize"], folder.path());
        fails(&output, 3, "are not of shape");
        assert_eq!(files(folder.path()), ["w.wcodec"]);
    }
}
