//! What is encoded with a base can still be decoded when only what the encoder was told to keep is left.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use support::{Rng, int8, safetensors, tensor};
use tempfile::TempDir;
use wcodec::{
    Bases, DecodeOptions, EncodeOptions, ErrorKind, Layer, Limits, Observer, ReadAt, Reader,
    Writer, decode_archive, decode_file, decode_folder, encode_archive, encode_file, encode_folder,
};

fn model(seed: u64) -> Vec<u8> {
    safetensors(&[tensor("w", "I8", &[128, 256], int8(&mut Rng::new(seed), 128 * 256))])
}

/// The same weights but for a few.
fn near(model: &[u8]) -> Vec<u8> {
    let mut near = model.to_vec();
    let len = near.len();
    near[len - 1000..].iter_mut().step_by(7).for_each(|byte| *byte ^= 1);
    near
}

fn with(files: &[&Path]) -> EncodeOptions {
    let mut options = EncodeOptions::default();
    files.iter().for_each(|file| options.bases.add_file(file).unwrap());
    options
}

/// Collects warnings.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Observer for Warnings {
    fn warn(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn needs_nothing(file: &Path) {
    let reader = wcodec::open_file(file, &Limits::default()).unwrap();
    assert_eq!(reader.bases().len(), 0, "{}", file.display());
}

#[test]
fn a_file_is_not_its_own_base() {
    let place = Place::new();
    let model = model(1);
    let (file, coded) = (place.put("a.safetensors", &model), place.at("a.wcodec"));
    encode_file(&file, &coded, &EncodeOptions::default(), &()).unwrap();
    let copy = place.put("copy.safetensors", &model);
    for base in [&file, &copy, &coded] {
        let (out, warnings) = (place.at("out"), Warnings::default());
        encode_file(&file, &out, &with(&[base]), &warnings).unwrap();
        needs_nothing(&out);
        let warnings = warnings.0.into_inner().unwrap();
        assert!(
            matches!(&warnings[..], [one] if one.contains("is what is encoded")),
            "{warnings:?}"
        );
        std::fs::remove_file(out).unwrap();
    }
}

#[test]
fn what_is_predicted_from_a_file_is_not_its_base() {
    let place = Place::new();
    let first = model(2);
    let (a, b) = (place.put("a.safetensors", &first), place.put("b.safetensors", &near(&first)));
    let coded = place.at("b.wcodec");
    encode_file(&b, &coded, &with(&[&a]), &()).unwrap();
    assert_eq!(wcodec::open_file(&coded, &Limits::default()).unwrap().bases().len(), 1);
    let mut options = with(&[&coded]);
    options.bases.add_folder(place.0.path());
    let (out, warnings) = (place.at("out"), Warnings::default());
    encode_file(&a, &out, &options, &warnings).unwrap();
    needs_nothing(&out);
    let warnings = warnings.0.into_inner().unwrap();
    assert!(
        matches!(&warnings[..], [one] if one.contains("is predicted from what")),
        "{warnings:?}"
    );
}

#[test]
fn files_of_a_folder_are_not_its_bases() {
    let place = Place::new();
    let first = model(3);
    let a = place.put("models/a.safetensors", &first);
    let b = place.put("models/b.safetensors", &near(&first));
    let (folder, options) = (place.at("models"), with(&[&a, &b]));
    let (archive, coded) = (place.at("models.wcodec"), place.at("coded"));
    encode_archive(&folder, &archive, &options, &()).unwrap();
    encode_folder(&folder, &coded, &options, &()).unwrap();
    std::fs::rename(&folder, place.at("gone")).unwrap();
    needs_nothing(&archive);
    decode_archive(&archive, &place.at("one"), &DecodeOptions::default(), &()).unwrap();
    decode_folder(&coded, &place.at("two"), &DecodeOptions::default(), &()).unwrap();
    for back in ["one", "two"] {
        assert_eq!(std::fs::read(place.at(back).join("a.safetensors")).unwrap(), first);
        assert_eq!(std::fs::read(place.at(back).join("b.safetensors")).unwrap(), near(&first));
    }
}

#[test]
fn no_output_replaces_what_it_needs() {
    let place = Place::new();
    let first = model(4);
    let (a, b) = (place.put("a.safetensors", &first), place.put("b.safetensors", &near(&first)));
    let (latest, next) = (place.at("latest.wcodec"), place.at("next.wcodec"));
    let mut options = with(&[&a]);
    options.force = true;
    encode_file(&b, &latest, &options, &()).unwrap();
    let before = (std::fs::read(&a).unwrap(), std::fs::read(&latest).unwrap());
    // The base itself, what that is predicted from, and the input.
    let third = place.put("c.safetensors", &near(&near(&first)[..]));
    let mut chained = with(&[&latest]);
    chained.bases.add_folder(place.0.path());
    chained.force = true;
    for (output, options, what) in [
        (&latest, &chained, "would replace a base"),
        (&a, &chained, "would replace a base"),
        (&a, &options, "would replace a base"),
        (&third, &options, "would replace its own input"),
    ] {
        let error = encode_file(&third, output, options, &()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Argument(text) if text == what), "{error}");
    }
    let error = encode_archive(place.0.path(), &latest, &chained, &()).unwrap_err();
    assert!(error.to_string().contains("would replace a base"), "{error}");
    let mut decode = DecodeOptions::default();
    decode.force = true;
    decode.bases = options.bases.clone();
    let error = decode_file(&latest, &latest, &decode, &()).unwrap_err();
    assert!(error.to_string().contains("would replace its own input"), "{error}");
    assert_eq!(before, (std::fs::read(&a).unwrap(), std::fs::read(&latest).unwrap()));
    // Any other name may be used again.
    for _ in 0..2 {
        encode_file(&third, &next, &chained, &()).unwrap();
    }
}

/// A base that says it was written to after some reads.
struct Touched(Vec<u8>, Mutex<u32>);

impl ReadAt for Touched {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        *self.1.lock().unwrap() += 1;
        self.0.read_exact_at(buffer, at)
    }

    fn modified(&self) -> io::Result<Option<SystemTime>> {
        let reads = u64::from(*self.1.lock().unwrap() > 4);
        Ok(Some(SystemTime::UNIX_EPOCH + Duration::from_secs(reads)))
    }
}

#[test]
fn a_base_that_changes_is_an_error() {
    let (first, layer) = (model(5), Layer::new("w", wcodec::ElementType::I8, vec![128, 256]));
    let mut options = EncodeOptions::default();
    options.bases.add_source("latest", Arc::new(Touched(first.clone(), Mutex::default())));
    let error = wcodec::encode_bytes(&near(&first), &options, &()).unwrap_err();
    assert!(error.to_string().contains("changed while it was read"), "{error}");

    let mut writer = Writer::new(Vec::new(), &options).unwrap();
    writer.layer(&layer, &near(&first)[first.len() - 128 * 256..]).unwrap();
    let error = writer.finish().unwrap_err();
    assert!(error.to_string().contains("changed while it was read"), "{error}");
}

#[test]
fn another_file_under_the_name_of_the_base_is_a_change() {
    let place = Place::new();
    let first = model(6);
    let (a, b) = (place.put("a.safetensors", &first), place.put("b.safetensors", &near(&first)));
    let options = with(&[&a]);
    let other = place.put("other", &near(&first));
    std::fs::rename(other, &a).unwrap();
    let error = encode_file(&b, &place.at("out"), &options, &()).unwrap_err();
    assert!(error.to_string().contains("changed while it was read"), "{error}");
    assert!(!place.at("out").exists());
}

#[test]
fn what_a_writer_wrote_is_not_its_base() {
    let layer = Layer::new("w", wcodec::ElementType::I8, vec![128, 256]);
    let data = int8(&mut Rng::new(7), 128 * 256);
    let mut options = EncodeOptions::default();
    options.bases.add_source("itself", wcodec::encode_layer(&data, &layer, &options).unwrap().0);
    let mut writer = Writer::new(Vec::new(), &options).unwrap();
    writer.layer(&layer, &data).unwrap();
    let error = writer.finish().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Base(_)), "{error}");

    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, &options).unwrap();
    writer.layer(&layer, &data).unwrap();
    writer.bytes(b"and more").unwrap();
    writer.finish().unwrap();
    let reader = Reader::open_with(out.as_slice(), &Limits::default(), &options.bases).unwrap();
    assert_eq!(reader.decode_layer(0).unwrap(), data);
    assert!(Reader::open_with(out.as_slice(), &Limits::default(), &Bases::new()).is_err());
}
