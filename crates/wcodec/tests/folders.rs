//! Folders come back exactly, as archives and file by file; what cannot be kept is refused.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use support::folders::{fast, set_executable};
use support::sources::{
    checkpoint, dict, field, onnx_model, onnx_tensor, pickle, storage, torch_tensor,
};
use support::{Rng, count, f32s, int8, safetensors, tensor};
use tempfile::TempDir;
use wcodec::{
    DecodeOptions, EncodeOptions, ErrorKind, Limits, Observer, Reader, SourceKind, decode_archive,
    decode_file, decode_folder, encode_archive, encode_file, encode_folder, open_file,
};

/// What a folder holds: of each path a file and whether it may be executed, or a folder.
type Tree = BTreeMap<PathBuf, Option<(Vec<u8>, bool)>>;

fn tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut waiting = vec![root.to_path_buf()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_path_buf();
            if path.is_dir() {
                tree.insert(name, None);
                waiting.push(path);
            } else {
                tree.insert(name, Some((std::fs::read(&path).unwrap(), is_executable(&path))));
            }
        }
    }
    tree
}

fn is_executable(path: &Path) -> bool {
    let mode = std::fs::metadata(path).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::mode(&mode) & 0o111 != 0
}

/// Both ways there and back, in a folder of their own.
fn comes_back(root: &Path) {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let original = tree(root);
    encode_archive(root, &at("archive"), &fast(), &()).unwrap();
    decode_archive(&at("archive"), &at("a"), &DecodeOptions::default(), &()).unwrap();
    assert!(tree(&at("a")) == original);
    encode_folder(root, &at("coded"), &fast(), &()).unwrap();
    decode_folder(&at("coded"), &at("b"), &DecodeOptions::default(), &()).unwrap();
    assert!(tree(&at("b")) == original);
    let mut names = std::fs::read_dir(place.path()).unwrap().count();
    names -= 4;
    assert_eq!(names, 0, "something was left behind");
    // The files one by one.
    let reader = open_file(&at("archive"), &Limits::default()).unwrap();
    assert_eq!(reader.source_kind(), SourceKind::Archive);
    for (number, entry) in reader.files().enumerate() {
        assert_eq!(reader.find_file(&entry.path), Some(number));
        match original.get(Path::new(&entry.path)).unwrap() {
            None => assert!(
                entry.is_folder() && reader.restore_file(number, &mut Vec::new(), &()).is_err()
            ),
            Some((bytes, executable)) => {
                let mut out = Vec::new();
                reader.restore_file(number, &mut out, &()).unwrap();
                assert!(out == *bytes && entry.executable == *executable);
                assert_eq!(entry.blake3, *blake3::hash(bytes).as_bytes());
            }
        }
    }
}

/// A folder of some files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    folder
}

/// Names that sort, look or end in ways that might matter.
const NAMES: [&str; 16] = [
    "a",
    "a-b",
    "a.b",
    "A",
    "a b",
    "ä",
    "模型",
    "..a",
    "...",
    "a..",
    ".hidden",
    "x.wcodec",
    "model.safetensors",
    ".wcodec",
    "ab:c",
    "-",
];

#[test]
fn odd_trees_come_back() {
    let weights = {
        let mut rng = Rng::new(81);
        let layers = ["a", "b"].map(|name| tensor(name, "I8", &[40, 50], int8(&mut rng, 2000)));
        safetensors(&layers)
    };
    for seed in 0..count("WCODEC_TREES", 40) {
        let mut rng = Rng::new(seed + 1000);
        let root = tempfile::tempdir().unwrap();
        let mut folders = vec![root.path().to_path_buf()];
        for _ in 0..rng.below(20) {
            let parent = folders[rng.below(folders.len() as u64) as usize].clone();
            let place = parent.join(NAMES[rng.below(NAMES.len() as u64) as usize]);
            if place.exists() {
                continue;
            }
            let bytes = match rng.below(6) {
                0 => {
                    std::fs::create_dir(&place).unwrap();
                    folders.push(place);
                    continue;
                }
                1 => vec![],
                2 => weights.clone(),
                3 => b"the same text in several files, long enough to be worth a copy of its own"
                    .to_vec(),
                4 => weights[..weights.len() / 2].to_vec(),
                _ => {
                    let len = rng.below(3000) as usize;
                    rng.bytes(len)
                }
            };
            std::fs::write(&place, bytes).unwrap();
            if rng.below(4) == 0 {
                set_executable(&place);
            }
        }
        comes_back(root.path());
    }
}

#[test]
fn the_empty_folder_comes_back() {
    comes_back(tempfile::tempdir().unwrap().path());
}

/// A PyTorch checkpoint of these tensors of 200 columns, a storage for each.
fn torch(layers: &[(String, u64, Vec<u8>)]) -> Vec<u8> {
    let keys: Vec<String> = (0..layers.len()).map(|key| key.to_string()).collect();
    let tensors = layers.iter().zip(&keys).map(|((name, rows, _), key)| {
        let rows = *rows as i64;
        let storage = storage("FloatStorage", key, rows * 200);
        (name.as_str(), torch_tensor(storage, 0, &[rows, 200], &[200, 1]))
    });
    let pickled = pickle(&[dict(&tensors.collect::<Vec<_>>())]);
    let storages = keys.iter().zip(layers).map(|(key, (.., data))| (key.as_str(), data.as_slice()));
    checkpoint(&pickled, &storages.collect::<Vec<_>>())
}

#[test]
fn the_same_weights_in_three_containers_are_stored_once() {
    let mut rng = Rng::new(82);
    let layers: Vec<(String, u64, Vec<u8>)> = (0..6)
        .map(|n| (format!("layer.{n}.weight"), 100 + n, f32s(&mut rng, (100 + n as usize) * 200)))
        .collect();
    let tensors =
        layers.iter().map(|(name, rows, data)| tensor(name, "F32", &[*rows, 200], data.clone()));
    let plain = safetensors(&tensors.collect::<Vec<_>>());
    let graph = layers
        .iter()
        .map(|(name, rows, data)| field(5, &onnx_tensor(name, 1, &[*rows, 200], data)));
    let onnx = onnx_model(&graph.collect::<Vec<_>>().concat());
    let torch = torch(&layers);
    let root =
        folder(&[("m.safetensors", &plain), ("m.onnx", &onnx), ("pytorch_model.bin", &torch)]);
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let alone = encode_file(
        &root.path().join("m.safetensors"),
        &at("alone"),
        &EncodeOptions::default(),
        &(),
    );
    let archive =
        encode_archive(root.path(), &at("archive"), &EncodeOptions::default(), &()).unwrap();
    let (alone, all) = (alone.unwrap().coded_bytes, archive.coded_bytes);
    assert!(all * 100 <= alone * 102, "{alone} {all}");
    let elements: usize = layers.iter().map(|(_, _, data)| data.len() / 4).sum();
    assert_eq!(archive.copied_elements, 2 * elements as u64);
    let reader = open_file(&at("archive"), &Limits::default()).unwrap();
    let kinds: Vec<_> = reader.files().map(|entry| entry.source.unwrap().name()).collect();
    assert_eq!(kinds, ["onnx", "safetensors", "torch"]);
    for file in ["m.safetensors", "m.onnx", "pytorch_model.bin"] {
        for (name, _, data) in &layers {
            let layer = reader.find(&format!("{file}:{name}")).unwrap();
            assert!(reader.decode_layer(layer).unwrap() == *data, "{file} {name}");
        }
    }
    comes_back(root.path());
}

/// Steps of a training run in one folder: the first is the base of the others.
#[test]
fn files_of_an_archive_are_predicted_from_each_other() {
    let mut rng = Rng::new(87);
    let first: Vec<Vec<u8>> = (0..3).map(|_| f32s(&mut rng, 120 * 200)).collect();
    let step = |layers: &[Vec<u8>]| {
        let name = |number: usize| format!("layer.{number}.weight");
        let tensors = layers.iter().enumerate();
        let tensors = tensors.map(|(n, data)| tensor(&name(n), "F32", &[120, 200], data.clone()));
        safetensors(&tensors.collect::<Vec<_>>())
    };
    let mut steps = vec![step(&first)];
    for _ in 0..3 {
        let mut next = first.clone();
        for float in next.iter_mut().flat_map(|layer| layer.chunks_exact_mut(4)) {
            float[0] ^= (rng.next() & 7) as u8;
        }
        steps.push(step(&next));
    }
    let names = ["step-1", "step-2", "step-3", "step-4"];
    let root =
        folder(&names.into_iter().zip(&steps).map(|(n, s)| (n, s.as_slice())).collect::<Vec<_>>());
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let alone =
        encode_file(&root.path().join("step-1"), &at("alone"), &EncodeOptions::default(), &());
    let stats =
        encode_archive(root.path(), &at("archive"), &EncodeOptions::default(), &()).unwrap();
    assert_eq!(stats.base_elements, 3 * 3 * 24_000, "{stats:?}");
    assert!(stats.coded_bytes < alone.unwrap().coded_bytes * 2, "{stats:?}");
    let reader = open_file(&at("archive"), &Limits::default()).unwrap();
    assert_eq!((reader.bases().len(), reader.base_depth()), (0, Some(0)));
    let layer = reader.find("step-3:layer.1.weight").unwrap();
    let start = steps[2].len() - 2 * 96_000;
    let weights = &steps[2][start..start + 96_000];
    assert!(reader.decode_layer(layer).unwrap() == weights);
    let slice = reader.decode_slice(layer, 100..102, 20..30).unwrap();
    assert_eq!(slice[..40], weights[(100 * 200 + 20) * 4..][..40]);
    assert!(reader.layer_stats(layer).unwrap().base_elements == 24_000);
    comes_back(root.path());
    // Damage of the first step is damage of what is predicted from it.
    let mut coded = std::fs::read(at("archive")).unwrap();
    coded[20_000] ^= 1;
    let reader = Reader::open(coded.as_slice(), &Limits::default()).unwrap();
    let broken = (0..12).filter(|&layer| reader.decode_layer(layer).is_err()).count();
    assert_eq!(broken, 4);
}

/// More layers of one shape than are tried: they are found by their names, whatever the files are called, and by the
/// paths of their files before that.
#[test]
fn archives_are_predicted_from_other_files_by_name_and_path() {
    const LAYERS: usize = 70;
    let mut rng = Rng::new(88);
    let base: Vec<Vec<u8>> = (0..LAYERS).map(|_| int8(&mut rng, 2000)).collect();
    let mut fine = base.clone();
    fine.iter_mut().flatten().for_each(|byte| *byte = byte.wrapping_add(rng.below(2) as u8));
    let name = |number: usize| format!("layer.{number}");
    // All in one file, or each under the same name in a file of its own.
    let one = |layers: &[Vec<u8>]| {
        let tensors = layers.iter().enumerate();
        let tensors = tensors.map(|(n, data)| tensor(&name(n), "I8", &[40, 50], data.clone()));
        safetensors(&tensors.collect::<Vec<_>>())
    };
    let many = |layers: &[Vec<u8>]| {
        let files = layers.iter().enumerate();
        let file = |data: &Vec<u8>| safetensors(&[tensor("w", "I8", &[40, 50], data.clone())]);
        let files: Vec<_> = files.map(|(n, data)| (format!("{}/m", name(n)), file(data))).collect();
        folder(&files.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect::<Vec<_>>())
    };
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let archived = |root: &TempDir, name: &str| {
        encode_archive(root.path(), &at(name), &fast(), &()).unwrap();
        at(name)
    };
    std::fs::write(at("plain"), one(&base)).unwrap();
    let in_folder = |file: &[u8]| folder(&[("a/model.safetensors", file)]);
    let (one_base, one_fine) = (in_folder(&one(&base)), in_folder(&one(&fine)));
    let renamed = folder(&[("b/other.safetensors", &one(&fine))]);
    let (many_base, many_fine) = (archived(&many(&base), "many"), many(&fine));
    let one_base = archived(&one_base, "one");
    for (base, fine) in [
        (&at("plain"), &one_fine),
        (&one_base, &one_fine),
        (&one_base, &renamed),
        (&many_base, &many_fine),
    ] {
        let mut options = EncodeOptions::default();
        options.bases.add_file(base).unwrap();
        options.force = true;
        let stats = encode_archive(fine.path(), &at("fine"), &options, &()).unwrap();
        assert_eq!(stats.base_elements, (LAYERS * 2000) as u64, "{}", base.display());
        let mut options = DecodeOptions::default();
        options.bases.add_file(base).unwrap();
        decode_archive(&at("fine"), &at("out"), &options, &()).unwrap();
        assert!(tree(&at("out")) == tree(fine.path()));
        std::fs::remove_dir_all(at("out")).unwrap();
    }
    // And a plain file from an archive.
    let mut options = EncodeOptions::default();
    options.bases.add_file(&one_base).unwrap();
    std::fs::write(at("fine.safetensors"), one(&fine)).unwrap();
    let stats = encode_file(&at("fine.safetensors"), &at("coded"), &options, &()).unwrap();
    assert_eq!(stats.base_elements, (LAYERS * 2000) as u64);
}

#[test]
fn layers_of_several_files_have_names_of_their_own() {
    let mut rng = Rng::new(83);
    let mut file = |name: &str| safetensors(&[tensor(name, "I8", &[30, 40], int8(&mut rng, 1200))]);
    let root = folder(&[("ab:c", &file("d")), ("ab", &file("c:d"))]);
    let archive = root.path().join("archive");
    encode_archive(root.path(), &archive, &fast(), &()).unwrap();
    let reader = open_file(&archive, &Limits::default()).unwrap();
    let names: Vec<_> = reader.layers().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["ab:c:d", "ab:c:d#2"]);
}

/// Many tiny files: the bound counts the entries, and what is known stays known.
#[test]
fn many_small_files_stay_small() {
    let mut rng = Rng::new(84);
    let mut files: Vec<(String, Vec<u8>)> =
        (0..300).map(|n| (format!("files/{n}"), rng.bytes(n % 7))).collect();
    let weights = safetensors(&[tensor("w", "I8", &[40, 50], int8(&mut rng, 2000))]);
    files.push(("w.safetensors".to_owned(), weights));
    let root = folder(&files.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect::<Vec<_>>());
    let archive = root.path().join("archive");
    let stats = encode_archive(root.path(), &archive, &fast(), &()).unwrap();
    assert!(stats.coded_bytes < 300 * 200, "{stats:?}");
    let reader = open_file(&archive, &Limits::default()).unwrap();
    let layer = reader.find("w.safetensors:w").unwrap();
    assert!(reader.layer_stats(layer).unwrap().blocks > 0, "the layer has a segment");
}

#[test]
fn broken_files_are_kept_as_bytes_with_a_warning() {
    struct Warned(std::sync::Mutex<Vec<String>>);
    impl Observer for Warned {
        fn warn(&self, message: &str) {
            self.0.lock().unwrap().push(message.to_owned());
        }
    }
    let whole = safetensors(&[tensor("w", "I8", &[40, 50], vec![7; 2000])]);
    let root = folder(&[("x/broken.safetensors", &whole[..1500]), ("good.safetensors", &whole)]);
    for archive in [true, false] {
        let warned = Warned(std::sync::Mutex::default());
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("out");
        if archive {
            encode_archive(root.path(), &out, &fast(), &warned).unwrap();
        } else {
            encode_folder(root.path(), &out, &fast(), &warned).unwrap();
        }
        let warnings = warned.0.into_inner().unwrap();
        assert_eq!(warnings.len(), 1);
        let text = "x/broken.safetensors: not a valid safetensors file: ";
        assert!(warnings[0].starts_with(text), "{warnings:?}");
    }
    comes_back(root.path());
}

#[test]
fn links_are_followed_and_circles_refused() {
    use std::os::unix::fs::symlink;
    // As a Hugging Face cache has it: the snapshot links to blobs outside.
    let root = folder(&[
        ("blobs/1", b"one"),
        ("blobs/2", b"two"),
        ("snapshots/main/x", b"x"),
        ("more/y", b"y"),
    ]);
    let snapshot = root.path().join("snapshots/main");
    symlink("../../blobs/1", snapshot.join("config.json")).unwrap();
    symlink(root.path().join("blobs/2"), snapshot.join("model.bin")).unwrap();
    symlink("../../more", snapshot.join("more")).unwrap();
    symlink("../../more", snapshot.join("again")).unwrap();
    comes_back(&snapshot);
    let refused = |text: &str| {
        let out = root.path().join("out");
        let archive = encode_archive(&snapshot, &out, &fast(), &()).unwrap_err().to_string();
        let coded = encode_folder(&snapshot, &out, &fast(), &()).unwrap_err().to_string();
        assert!(archive.contains(text) && coded.contains(text), "{archive} {coded}");
        assert!(!out.exists());
    };
    symlink("nowhere", snapshot.join("dangling")).unwrap();
    refused("dangling: symbolic link leads to nothing");
    std::fs::remove_file(snapshot.join("dangling")).unwrap();
    symlink("..", snapshot.join("up")).unwrap();
    refused("leads to a folder around it");
    std::fs::remove_file(snapshot.join("up")).unwrap();
    symlink("../snapshots", root.path().join("more/back")).unwrap();
    refused("leads to a folder around it");
    std::fs::remove_file(root.path().join("more/back")).unwrap();
    symlink("self", snapshot.join("self")).unwrap();
    refused("self: ");
}

#[test]
fn what_is_no_file_and_has_no_name_is_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    let refused = |name: &std::ffi::OsStr, text: &str, make: &dyn Fn(&Path)| {
        let root = folder(&[("a", b"a")]);
        make(&root.path().join(name));
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("out");
        for error in [
            encode_archive(root.path(), &out, &fast(), &()).unwrap_err(),
            encode_folder(root.path(), &out, &fast(), &()).unwrap_err(),
        ] {
            assert!(error.to_string().contains(text), "{error}");
        }
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    };
    let write = |path: &Path| std::fs::write(path, b"x").unwrap();
    refused("a\\b".as_ref(), "has the character '\\\\'", &write);
    refused(std::ffi::OsStr::from_bytes(b"\xff"), "is not UTF-8", &write);
    refused("c:".as_ref(), "begins with a drive", &write);
    let socket = |path: &Path| drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    refused("socket".as_ref(), "socket: neither a file nor a folder", &socket);
    let pipe = |path: &Path| {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    refused("pipe".as_ref(), "pipe: neither a file nor a folder", &pipe);
}

#[test]
fn existing_folders_are_kept() {
    let root = folder(&[("a", b"a")]);
    let place = folder(&[("full/x", b"precious"), ("file", b"precious")]);
    let at = |name: &str| place.path().join(name);
    encode_archive(root.path(), &at("archive"), &fast(), &()).unwrap();
    std::fs::create_dir(at("empty")).unwrap();
    std::os::unix::fs::symlink("full", at("link")).unwrap();
    let mut options = DecodeOptions::default();
    let before = tree(place.path());
    for force in [false, true] {
        options.force = force;
        for name in ["full", "file", "link", "archive"] {
            let error = decode_archive(&at("archive"), &at(name), &options, &()).unwrap_err();
            assert!(error.to_string().contains("exists; only an empty folder"), "{error}");
        }
        if !force {
            assert!(decode_archive(&at("archive"), &at("empty"), &options, &()).is_err());
        }
    }
    assert!(tree(place.path()) == before);
    decode_archive(&at("archive"), &at("empty"), &options, &()).unwrap();
    assert_eq!(std::fs::read(at("empty/a")).unwrap(), b"a");
    // Where a file is expected, an archive is refused, and the other way round.
    let error = decode_file(&at("archive"), &at("x"), &options, &()).unwrap_err();
    assert!(error.to_string().contains("it is decoded into a folder"), "{error}");
    encode_file(&at("file"), &at("coded"), &fast(), &()).unwrap();
    let error = decode_archive(&at("coded"), &at("x"), &options, &()).unwrap_err();
    assert!(error.to_string().contains("not an archive"), "{error}");
    assert!(!at("x").exists());
}

/// Whatever is flipped in an archive, no folder comes of it.
#[test]
fn damaged_archives_make_no_folder() {
    let mut rng = Rng::new(85);
    let weights = safetensors(&[tensor("w", "I8", &[40, 50], int8(&mut rng, 2000))]);
    let root =
        folder(&[("a/w.safetensors", &weights), ("b/w.safetensors", &weights), ("c", b"text")]);
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("archive");
    encode_archive(root.path(), &archive, &fast(), &()).unwrap();
    let coded = std::fs::read(&archive).unwrap();
    for _ in 0..count("WCODEC_ARCHIVE_FLIPS", 300) {
        let mut damaged = coded.clone();
        let at = rng.below(coded.len() as u64) as usize;
        damaged[at] ^= 1 << rng.below(8);
        std::fs::write(&archive, &damaged).unwrap();
        let out = place.path().join("out");
        assert!(decode_archive(&archive, &out, &DecodeOptions::default(), &()).is_err(), "{at}");
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "{at}");
    }
}

/// The original of an archive is the files in order, with the same bytes whatever the number of threads.
#[test]
fn archives_are_deterministic() {
    let mut rng = Rng::new(86);
    let weights = safetensors(&[tensor("w", "I8", &[200, 200], int8(&mut rng, 40_000))]);
    let root = folder(&[("b", &weights), ("a/c", b"c"), ("a-b", b"d"), ("d", &weights)]);
    let place = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for threads in [1, 2, 7] {
        let mut options = EncodeOptions::default();
        (options.threads, options.force) = (Some(threads), true);
        let archive = place.path().join("archive");
        encode_archive(root.path(), &archive, &options, &()).unwrap();
        files.push(std::fs::read(&archive).unwrap());
    }
    assert!(files[0] == files[1] && files[1] == files[2]);
    let reader = Reader::open(files[0].as_slice(), &Limits::default()).unwrap();
    let mut original = Vec::new();
    reader.restore(&mut original, &()).unwrap();
    assert!(original == [&b"cd"[..], &weights, &weights].concat());
}

/// Writes to a file while others are encoded: as many bytes as before.
struct Changes<'a>(&'a Path);

impl Observer for Changes<'_> {
    fn progress(&self, _: u64, _: u64) {
        let bytes = vec![b'x'; std::fs::metadata(self.0).unwrap().len() as usize];
        std::fs::write(self.0, bytes).unwrap();
        let file = std::fs::File::options().write(true).open(self.0).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
}

#[test]
fn a_file_that_changes_meanwhile_is_told() {
    let root = folder(&[("a", b"some text"), ("b", &[7; 100_000])]);
    let place = tempfile::tempdir().unwrap();
    let (a, output) = (root.path().join("a"), place.path().join("out"));
    let told = |error: wcodec::Error| {
        assert!(error.to_string().contains("changed while it was read"), "{error}");
        assert_eq!(error.file(), Some(&*a));
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
        std::fs::write(&a, b"some text").unwrap();
    };
    told(encode_archive(root.path(), &output, &fast(), &Changes(&a)).unwrap_err());
    told(encode_file(&a, &output, &fast(), &Changes(&a)).unwrap_err());
    told(encode_folder(root.path(), &output, &fast(), &Changes(&a)).unwrap_err());
}

#[test]
fn the_output_in_the_folder_is_left_out() {
    let root = folder(&[("a", b"some text"), ("b", b"more")]);
    let output = root.path().join("out.wcodec");
    let mut options = fast();
    options.force = true;
    let encode = || {
        encode_archive(root.path(), &output, &options, &()).unwrap();
        std::fs::read(&output).unwrap()
    };
    assert!(encode() == encode());
    // What is no `.wcodec` file may have no other copy.
    std::fs::write(&output, b"text").unwrap();
    encode();
    let reader = open_file(&output, &Limits::default()).unwrap();
    assert_eq!(
        reader.files().map(|file| file.path.as_str()).collect::<Vec<_>>(),
        ["a", "b", "out.wcodec"]
    );
}

#[test]
fn archives_of_other_paths_and_bits_differ() {
    let place = tempfile::tempdir().unwrap();
    let archive = |name: &str, root: &Path| {
        let path = place.path().join(name);
        encode_archive(root, &path, &fast(), &()).unwrap();
        path
    };
    let same = |a: &Path, b: &Path| {
        wcodec::diff_files(a, b, &DecodeOptions::default(), &()).unwrap().identical()
    };
    let root = folder(&[("a", b"some text")]);
    let first = archive("first", root.path());
    assert!(same(&first, &archive("again", root.path())));
    set_executable(&root.path().join("a"));
    assert!(!same(&first, &archive("executable", root.path())));
    let other = folder(&[("b", b"some text")]);
    assert!(!same(&first, &archive("path", other.path())));
    let more = folder(&[("a", b"some text")]);
    std::fs::create_dir(more.path().join("empty")).unwrap();
    assert!(!same(&first, &archive("empty", more.path())));
}

#[test]
fn an_archive_without_bytes_can_be_stopped_too() {
    struct Stop;
    impl Observer for Stop {
        fn cancelled(&self) -> bool {
            true
        }
    }
    let root = folder(&[("in/a", b""), ("in/b/c", b"")]);
    let at = |name: &str| root.path().join(name);
    encode_archive(&at("in"), &at("archive"), &fast(), &()).unwrap();
    let stopped = decode_archive(&at("archive"), &at("out"), &DecodeOptions::default(), &Stop);
    assert!(matches!(stopped.unwrap_err().kind(), ErrorKind::Interrupted));
    assert!(!at("out").exists());
}

#[test]
fn paths_have_at_most_64_parts() {
    let deepest = "a/".repeat(63) + "f";
    let root = folder(&[(&deepest, b"deep"), ("a/a/b/c", b"beside it"), ("b", b"above it")]);
    comes_back(root.path());
    let root = folder(&[(&format!("a/{deepest}"), b"deeper")]);
    let place = tempfile::tempdir().unwrap();
    let refused = encode_archive(root.path(), &place.path().join("archive"), &fast(), &());
    assert!(refused.unwrap_err().to_string().contains("path of 65 parts, at most 64 expected"));
}

#[test]
fn files_and_folders_count_against_the_limit() {
    let place = tempfile::tempdir().unwrap();
    let (folder, archive) = (place.path().join("deep"), place.path().join("deep.wcodec"));
    for name in ["a", "b"] {
        std::fs::create_dir_all(folder.join(format!("{name}{}", "/x".repeat(20)))).unwrap();
    }
    std::fs::write(folder.join("a/x/file"), b"").unwrap();
    encode_archive(&folder, &archive, &fast(), &()).unwrap();
    // 42 folders and a file.
    let with = |max| {
        let mut options = DecodeOptions::default();
        options.limits.max_original = Some(max);
        options
    };
    let out = place.path().join("out");
    let error = decode_archive(&archive, &out, &with(43 * 4096 - 1), &()).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Limit { asked, .. } if *asked == 43 * 4096),
        "{error}"
    );
    assert!(!out.exists());
    decode_archive(&archive, &out, &with(43 * 4096), &()).unwrap();
    assert_eq!(tree(&out), tree(&folder));
}
