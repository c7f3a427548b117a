//! What differs between two folders, whatever holds them.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::path::{Path, PathBuf};
use support::folders::{fast, set_executable};
use support::{Rng, int8, safetensors, tensor};
use tempfile::TempDir;
use wcodec::{
    DecodeOptions, Error, ErrorKind, FileDiff, FolderDiff, Observer, Relation, encode_archive,
    encode_bytes, encode_folder,
};

const BYTES: usize = 60 * 50;

fn weights(seed: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let layers = ["a", "b"].map(|name| tensor(name, "I8", &[60, 50], int8(&mut rng, BYTES)));
    safetensors(&layers)
}

/// A folder of some files; a path that ends with `/` is an empty folder.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let place = folder.path().join(path);
        if path.ends_with('/') {
            std::fs::create_dir_all(place).unwrap();
            continue;
        }
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, bytes).unwrap();
    }
    folder
}

fn with(a: &Path, b: &Path, options: &DecodeOptions) -> Result<FolderDiff, Error> {
    wcodec::diff_folders(a, b, options, &())
}

fn diff(a: &Path, b: &Path) -> FolderDiff {
    with(a, b, &DecodeOptions::default()).unwrap()
}

/// A folder, the same as an archive, and the same file by file.
fn forms(root: &Path, place: &Path, name: &str) -> [PathBuf; 3] {
    let (archive, coded) = (place.join(format!("{name}.wcodec")), place.join(name));
    encode_archive(root, &archive, &fast(), &()).unwrap();
    encode_folder(root, &coded, &fast(), &()).unwrap();
    [root.to_path_buf(), archive, coded]
}

fn paths(diff: &FolderDiff) -> Vec<&str> {
    diff.files.iter().map(|file| file.path.as_str()).collect()
}

fn file<'a>(diff: &'a FolderDiff, path: &str) -> &'a FileDiff {
    diff.files.iter().find(|file| file.path == path).unwrap()
}

#[test]
fn a_folder_is_identical_to_itself_whatever_holds_it() {
    let (first, second) = (weights(1), weights(2));
    let coded = encode_bytes(&second, &fast(), &()).unwrap().0;
    let root = folder(&[
        ("model.safetensors", &first),
        ("old/model.safetensors", &second),
        ("old/again.safetensors.wcodec", &coded),
        ("config.json", b"{}"),
        ("nothing", b""),
        ("empty/", b""),
        ("run", b"#!/bin/sh"),
    ]);
    set_executable(&root.path().join("run"));
    let place = tempfile::tempdir().unwrap();
    let forms = forms(root.path(), place.path(), "coded");
    for a in &forms {
        for b in &forms {
            let diff = diff(a, b);
            let differs: Vec<_> = diff.files.iter().filter(|file| !file.identical()).collect();
            assert!(differs.is_empty(), "{} {} {differs:?}", a.display(), b.display());
            assert!(diff.identical());
            assert_eq!(diff.files.len(), 7);
            let layers = diff.files.iter().flat_map(|file| &file.diff.layers);
            // The coded file has layers where it lies in a folder as it is.
            assert!([4, 6].contains(&layers.count()));
            assert_eq!(file(&diff, "model.safetensors").diff.layers.len(), 2);
            assert!(file(&diff, "empty").folder && !file(&diff, "nothing").folder);
        }
    }
}

#[test]
fn every_difference_is_told() {
    let first = weights(1);
    let mut changed = first.clone();
    let end = changed.len() - 1;
    changed[end] ^= 1;
    let a = folder(&[
        ("m/changed.safetensors", &first),
        ("m/same.safetensors", &first),
        ("m/gone.safetensors", &first),
        ("config.json", b"{}"),
        ("run", b"#!/bin/sh"),
        ("full", b"file"),
        ("empty/", b""),
    ]);
    let b = folder(&[
        ("m/changed.safetensors", &changed),
        ("m/same.safetensors", &first),
        ("m/new.safetensors", &changed),
        ("config.json", b"[]"),
        ("run", b"#!/bin/sh"),
        ("full/", b""),
    ]);
    set_executable(&a.path().join("run"));
    let place = tempfile::tempdir().unwrap();
    let all_a = forms(a.path(), place.path(), "a");
    let all_b = forms(b.path(), place.path(), "b");
    for a in &all_a {
        for b in &all_b {
            let diff = diff(a, b);
            assert!(!diff.identical());
            let expected = [
                "config.json",
                "empty",
                "full",
                "full",
                "m/changed.safetensors",
                "m/gone.safetensors",
                "m/new.safetensors",
                "m/same.safetensors",
                "run",
            ];
            assert_eq!(paths(&diff), expected, "{} {}", a.display(), b.display());
            let sides: Vec<_> = diff.files.iter().map(|file| (file.in_a, file.in_b)).collect();
            let (both, only_a, only_b) = ((true, true), (true, false), (false, true));
            let expected = [both, only_a, only_b, only_a, both, only_a, only_b, both, both];
            assert_eq!(sides, expected);
            let same: Vec<_> = diff.files.iter().filter(|file| file.identical()).collect();
            assert_eq!(same.len(), 1);
            assert_eq!(same[0].path, "m/same.safetensors");

            let layers = &file(&diff, "m/changed.safetensors").diff.layers;
            let found: Vec<_> = layers.iter().map(|l| (l.relation, l.changed)).collect();
            assert_eq!(found, [(Relation::Identical, 0), (Relation::Similar, 1)]);
            assert!(file(&diff, "run").diff.identical() && !file(&diff, "run").executable_same);
            let relations = |path: &str| -> Vec<Relation> {
                file(&diff, path).diff.layers.iter().map(|layer| layer.relation).collect()
            };
            assert_eq!(relations("m/gone.safetensors"), [Relation::OnlyInA; 2]);
            assert_eq!(relations("m/new.safetensors"), [Relation::OnlyInB; 2]);
            let new = file(&diff, "m/new.safetensors").diff.expected_bytes();
            assert!((BYTES as u64..=2 * BYTES as u64 + 1000).contains(&new), "{new}");
            assert_eq!(file(&diff, "m/gone.safetensors").diff.expected_bytes(), 0);
        }
    }
}

#[test]
fn coded_files_of_one_folder_stand_for_those_of_the_other() {
    let (first, second) = (weights(1), weights(2));
    let encode = |file: &[u8]| encode_bytes(file, &fast(), &()).unwrap().0;
    let a = folder(&[
        ("x", &first),
        ("y", &first),
        ("y.wcodec", &encode(&second)),
        (".wcodec", b""),
        ("z.wcodec", b"text"),
        ("text.wcodec", b"text"),
    ]);
    let b = folder(&[
        ("x.wcodec", &encode(&first)),
        ("y", &first),
        ("y.wcodec", &second),
        ("z.wcodec.wcodec", &encode(b"text")),
        ("text.wcodec", b"text"),
    ]);
    let diff = diff(a.path(), b.path());
    assert_eq!(paths(&diff), [".wcodec", "text", "x", "y", "y.wcodec", "z.wcodec"]);
    let differ: Vec<_> = diff.files.iter().map(|file| !file.identical()).collect();
    // Beside its original a `.wcodec` file is what it is.
    assert_eq!(differ, [true, false, false, false, true, false]);
}

/// The files of either folder are bases of those of the other.
#[test]
fn bases_are_found_among_the_files() {
    let first = weights(1);
    let fine: Vec<u8> =
        first.iter().enumerate().map(|(n, b)| b ^ u8::from(n % 997 == 996)).collect();
    let a = folder(&[("base/model.safetensors", &first)]);
    let b = folder(&[("base/model.safetensors", &fine)]);
    let place = tempfile::tempdir().unwrap();
    let mut options = fast();
    options.bases.add_file(&a.path().join("base/model.safetensors")).unwrap();
    let coded = place.path().join("coded");
    let stats = encode_folder(b.path(), &coded, &options, &()).unwrap();
    assert_eq!(stats.base_elements as usize, 2 * BYTES);
    assert!(!diff(a.path(), &coded).identical());
    let error = with(b.path(), &coded, &DecodeOptions::default()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Base(_)), "{error}");
    let mut options = DecodeOptions::default();
    options.bases.add_folder(&a.path().join("base"));
    assert!(with(b.path(), &coded, &options).unwrap().identical());
}

#[test]
fn what_cannot_be_compared_is_refused() {
    struct Stop;
    impl Observer for Stop {
        fn cancelled(&self) -> bool {
            true
        }
    }
    let root = folder(&[("model.safetensors", &weights(1)), ("x", b"text")]);
    let place = tempfile::tempdir().unwrap();
    let [_, archive, coded] = forms(root.path(), place.path(), "coded");
    let single = coded.join("model.safetensors.wcodec");
    for file in [root.path().join("x"), single.clone()] {
        let error = with(root.path(), &file, &DecodeOptions::default()).unwrap_err();
        assert!(error.to_string().contains("a single file, which is not"), "{error}");
        assert_eq!(error.file(), Some(file.as_path()));
    }
    for form in [root.path(), &archive, &coded] {
        let stopped = wcodec::diff_folders(form, &coded, &DecodeOptions::default(), &Stop);
        assert!(matches!(stopped.unwrap_err().kind(), ErrorKind::Interrupted));
    }
    for damaged in [&single, &archive] {
        let mut bytes = std::fs::read(damaged).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(damaged, bytes).unwrap();
    }
    for (a, b, file) in [(root.path(), &coded, &single), (root.path(), &archive, &archive)] {
        let error = with(a, b, &DecodeOptions::default()).unwrap_err();
        assert_eq!(error.file(), Some(file.as_path()), "{error}");
        assert!(matches!(error.kind(), ErrorKind::Checksum { .. } | ErrorKind::Corrupt(_)));
    }
}
