//! Files of every released format version decode for ever, and the encoder's sizes are pinned: a
//! change of `sizes.tsv` wants a line in the changelog. `WCODEC_BLESS=1` writes missing files and
//! the sizes.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use support::gguf::{Gguf, Tensor, blocks, quantised, with_contexts};
use support::{Rng, bf16, bless, f16, f32s, int8, safetensors, scaled, tensor, testdata};
use wcodec::{
    Effort, ElementType, EncodeOptions, Limits, PredictorSet, Reader, Scan, TileConfig,
    encode_archive, encode_bytes, write_npy,
};

/// A name, an original and options.
type Fixture = (&'static str, Vec<u8>, EncodeOptions);

/// Of every version. An entry never changes once a file was made from it.
fn fixtures() -> [(&'static str, Vec<Fixture>); 5] {
    [
        ("v1.0", fixtures_1_0()),
        ("v1.1", fixtures_1_1()),
        ("v1.2", fixtures_1_2()),
        ("v1.3", fixtures_1_3()),
        ("v1.4", fixtures_1_4()),
    ]
}

fn options(effort: Effort, change: fn(&mut EncodeOptions)) -> EncodeOptions {
    let mut options = EncodeOptions::default();
    options.effort = effort;
    change(&mut options);
    options
}

/// Scale classes in both scans, with low bits and without, in several groups, beside a tail.
fn fixtures_1_1() -> Vec<Fixture> {
    let mut rng = Rng::new(20_261_125);
    let mut layer = |element: ElementType, rows, cols| {
        let data = scaled(&mut rng, element, rows, cols);
        safetensors(&[tensor("w", element.name(), &[rows, cols], data)])
    };
    let row = || options(Effort::Default, |o| o.scan = Some(Scan::Row));
    let column = || options(Effort::Default, |o| o.scan = Some(Scan::Column));
    let blocks = || {
        options(Effort::Max, |o| {
            o.scan = Some(Scan::Column);
            o.block = Some((50, 90));
        })
    };
    let mut rng = Rng::new(20_261_126);
    let mut with_means = |element: ElementType, rows, cols| {
        let data = support::with_means(&mut rng, element, rows, cols);
        safetensors(&[tensor("w", element.name(), &[rows, cols], data)])
    };
    vec![
        ("i8_means", with_means(ElementType::I8, 160, 224), row()),
        ("u8_means_blocks", with_means(ElementType::U8, 150, 200), blocks()),
        ("i8_classes", layer(ElementType::I8, 160, 192), column()),
        ("i8_classes_row_scan", layer(ElementType::I8, 200, 96), row()),
        ("u8_classes_blocks", layer(ElementType::U8, 130, 200), blocks()),
        ("bf16_classes", layer(ElementType::Bf16, 160, 120), column()),
        ("bf16_classes_row_scan", layer(ElementType::Bf16, 160, 128), row()),
        ("f16_classes_narrow", layer(ElementType::F16, 2000, 12), column()),
        ("f32_classes_few_rows", layer(ElementType::F32, 20, 1001), column()),
        ("f8_classes_tail", layer(ElementType::F8E4M3, 7, 2741), column()),
    ]
}

/// Predicted signs: both scans, blocks of columns, a tail, floats of all sizes.
fn fixtures_1_2() -> Vec<Fixture> {
    let mut rng = Rng::new(20_261_127);
    let mut layer = |element: ElementType, rows, cols| {
        let data = support::with_signs(&mut rng, element, rows, cols);
        safetensors(&[tensor("w", element.name(), &[rows, cols], data)])
    };
    // Rows of the view are pieces of 256; the last 33 elements are no whole one.
    let mut rng = Rng::new(20_261_128);
    let mut floats = support::with_signs(&mut rng, ElementType::F32, 75, 256);
    floats.extend_from_within(..33 * 4);
    let vector = tensor("w", "F32", &[75 * 256 + 33], floats);
    let with = |scan, block| {
        let mut options = EncodeOptions::default();
        (options.scan, options.block) = (Some(scan), block);
        options
    };
    vec![
        ("f8_signs", layer(ElementType::F8E4M3, 200, 128), with(Scan::Row, None)),
        ("f16_signs_blocks", layer(ElementType::F16, 140, 150), with(Scan::Column, Some((50, 90)))),
        ("bf16_signs", layer(ElementType::Bf16, 160, 128), with(Scan::Column, None)),
        ("f32_signs_tail", safetensors(&[vector]), with(Scan::Row, None)),
    ]
}

/// Files of other software, which `scripts/make_sources.py` made, and
/// GGUF: fields of every shape, rows and a vector, and one of ordinary tensors alone.
fn fixtures_1_3() -> Vec<Fixture> {
    let mut rng = Rng::new(20_261_129);
    let mut file = |names: &[&str], rows, cols| {
        let tensors = names.iter().map(|name| blocks(&mut rng, name, rows, cols));
        let mut file = Gguf::new(tensors.collect());
        if rows == 1 {
            file.tensors.iter_mut().for_each(|tensor| tensor.dims = vec![cols]);
        }
        file.build()
    };
    let mut rng = Rng::new(20_261_130);
    let mut q8 = blocks(&mut rng, "Q8_0", 160, 224);
    let codes = scaled(&mut rng, ElementType::I8, 160, 224);
    for (block, codes) in q8.data.chunks_mut(34).zip(codes.chunks(32)) {
        block[2..].copy_from_slice(codes);
    }
    let floats = |dims: &[u64], kind, data| Tensor {
        name: format!("t{kind}"),
        dims: dims.to_vec(),
        kind,
        data,
        shift: 0,
    };
    let plain = Gguf::new(vec![
        floats(&[40, 30], 0, f32s(&mut rng, 1200)),
        floats(&[64, 32], 1, f16(&mut rng, 2048)),
        floats(&[7], 24, rng.bytes(7)),
    ]);
    let fast = || options(Effort::Fast, |_| ());
    let default = || options(Effort::Default, |_| ());
    let fixture = |name, file: &str| {
        let original = std::fs::read(testdata("sources").join(file)).unwrap();
        (name, original, fast())
    };
    vec![
        fixture("onnx", "small.onnx"),
        fixture("torch_zip", "small.pth"),
        fixture("torch_legacy", "small_legacy.pt"),
        ("gguf_blocks", file(&["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "MXFP4"], 44, 96), fast()),
        ("gguf_k_blocks", file(&["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"], 20, 512), fast()),
        ("gguf_classes", Gguf::new(vec![q8]).build(), default()),
        ("gguf_vector", file(&["Q4_0", "IQ4_XS"], 1, 8192), default()),
        ("gguf_plain", plain.build(), fast()),
    ]
}

/// Pivots: one of two signs, and two.
fn fixtures_of_pivots() -> Vec<Fixture> {
    let mut rng = Rng::new(20_261_131);
    let mut file = |name| Gguf::new(vec![quantised(&mut rng, name, 64, 1024)]).build();
    let options = || options(Effort::Default, |_| ());
    vec![("gguf_pivot", file("Q8_0"), options()), ("gguf_pivots", file("Q4_1"), options())]
}

/// Contexts: of a scale, of scales of sub-blocks, of a scale and a minimum; beside means, and in copies.
fn fixtures_of_contexts() -> Vec<Fixture> {
    let mut rng = Rng::new(20_261_135);
    let tensors = ["Q8_0", "Q4_1", "Q6_K"].map(|name| with_contexts(&mut rng, name, 64, 512));
    let mut file = Gguf::new(tensors.to_vec());
    file.tensors.push(Tensor { name: "again".to_owned(), ..file.tensors[2].clone() });
    vec![("gguf_contexts", file.build(), options(Effort::Default, |_| ()))]
}

/// A base as a file, for other decoders.
fn golden_base(name: &str, base: &[u8]) -> Vec<u8> {
    let path = testdata(&format!("golden/bases/{name}.safetensors"));
    if bless() && !path.exists() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, base).unwrap();
    }
    assert!(std::fs::read(&path).unwrap() == base);
    base.to_vec()
}

/// Blocks that are predicted from a base: by difference and by XOR, flipped, equal, beside a tail and blocks
/// that are not, of a base with a base. `testdata/golden/bases` holds the bases.
fn fixtures_of_bases() -> Vec<Fixture> {
    let mut rng = Rng::new(20_261_129);
    let tensors = |layers: &[(&str, &'static str, u64, &[u8])]| {
        let layers = layers.iter().map(|&(name, dtype, cols, data)| {
            let size = data.len() as u64 / cols;
            let size = size
                / if dtype == "F32" {
                    4
                } else if dtype == "BF16" {
                    2
                } else {
                    1
                };
            tensor(name, dtype, &[size, cols], data.to_vec())
        });
        safetensors(&layers.collect::<Vec<_>>())
    };
    // A difference, or a bit, in one element of four.
    let tuned = |rng: &mut Rng, data: &[u8], size: usize, xor: bool| -> Vec<u8> {
        let mut out = data.to_vec();
        for element in out.chunks_exact_mut(size) {
            match rng.below(8) {
                0 if xor => element[0] ^= 0x40 >> rng.below(3),
                0 | 1 if !xor => element[0] = element[0].wrapping_add(rng.below(5) as u8),
                _ => {}
            }
        }
        out
    };
    let (bytes, shorts) = (int8(&mut rng, 150 * 140), bf16(&mut rng, 130 * 100));
    let floats = support::with_signs(&mut rng, ElementType::F32, 120, 90);
    let base = tensors(&[
        ("b", "U8", 140, &bytes),
        ("s", "BF16", 100, &shorts),
        ("f", "F32", 90, &floats),
    ]);
    let flipped: Vec<u8> = tuned(&mut rng, &bytes, 1, false).iter().map(|b| b ^ 0x80).collect();
    let steps = tensors(&[
        ("f", "F32", 90, &tuned(&mut rng, &floats, 4, false)),
        ("b", "I8", 140, &flipped),
        ("s", "BF16", 100, &shorts),
    ]);
    // Half of each layer is another one.
    let mut mixed = tuned(&mut rng, &shorts, 2, true);
    let half = mixed.len() / 2;
    mixed[half..].copy_from_slice(&bf16(&mut rng, 130 * 50));
    let mixed = tensors(&[("s", "BF16", 100, &mixed), ("f", "F32", 90, &floats)]);
    let last = tensors(&[
        ("f", "F32", 90, &tuned(&mut rng, &floats, 4, true)),
        ("b", "I8", 140, &flipped),
    ]);
    let mut row = EncodeOptions::default();
    row.bases.add_source("base.safetensors", golden_base("base", &base));
    row.scan = Some(Scan::Row);
    let mut column = row.clone();
    (column.scan, column.block) = (Some(Scan::Column), Some((65, 64)));
    let coded = encode_bytes(&steps, &row, &()).unwrap().0;
    let mut chained = row.clone();
    chained.bases.add_source("steps.wcodec", coded);
    vec![("steps", steps.clone(), row), ("mixed", mixed.clone(), column), ("chain", last, chained)]
}

/// Floats that are predicted from a base with base classes: from another file, whose bases then follow each other, and from an
/// earlier file of an archive.
fn fixtures_of_base_classes() -> Vec<Fixture> {
    let steps = noisy_steps();
    let mut row = EncodeOptions::default();
    row.bases.add_source("noisy.safetensors", golden_base("noisy", &steps[0]));
    row.scan = Some(Scan::Row);
    let mut column = row.clone();
    (column.scan, column.block) = (Some(Scan::Column), Some((65, 64)));
    let archive = options(Effort::Default, |_| ());
    vec![
        ("base_classes", steps[1].clone(), row),
        ("base_classes_blocks", steps[2].clone(), column),
        ("archive_of_noisy_steps", steps.concat(), archive),
    ]
}

/// Checkpoints of which each is the one before and noise.
fn noisy_steps() -> Vec<Vec<u8>> {
    let mut rng = Rng::new(20_261_135);
    let types = [ElementType::Bf16, ElementType::F16, ElementType::F32, ElementType::F64];
    let mut layers: Vec<(ElementType, Vec<u8>)> = types
        .into_iter()
        .map(|element| (element, support::scaled(&mut rng, element, 70, 131)))
        .collect();
    let mut steps = Vec::new();
    for _ in 0..3 {
        let tensors = layers.iter().map(|(element, data)| {
            tensor(element.name(), element.name(), &[70, 131], data.clone())
        });
        steps.push(safetensors(&tensors.collect::<Vec<_>>()));
        for (element, data) in &mut layers {
            *data = support::noisy(&mut rng, *element, data);
        }
    }
    steps
}

/// Copies: of layers of other shapes and types, of packings, of what has side blocks; and an archive.
fn fixtures_of_copies() -> Vec<Fixture> {
    let mut rng = Rng::new(20_261_132);
    let (weights, other) = (int8(&mut rng, 150 * 140), bf16(&mut rng, 60 * 70));
    let layers = safetensors(&[
        tensor("a", "I8", &[150, 140], weights.clone()),
        tensor("b", "BF16", &[60, 70], other.clone()),
        tensor("tied", "I8", &[150, 140], weights.clone()),
        tensor("turned", "U8", &[42, 500], weights),
        tensor("words", "I32", &[2100], other),
    ]);
    let mut twice = Gguf::new(vec![blocks(&mut rng, "Q5_1", 44, 96); 2]);
    twice.tensors[1].name = "again".to_owned();
    let default = || options(Effort::Default, |_| ());
    let joined =
        |files: Vec<(&str, Vec<u8>)>| files.into_iter().flat_map(|(_, bytes)| bytes).collect();
    vec![
        ("copies", layers, default()),
        ("copies_of_packings", twice.build(), default()),
        ("archive", joined(files_of_archive()), default()),
        ("archive_of_steps", joined(steps_of_archive()), default()),
    ]
}

/// Files with layers that are alike, and others, in order; a name that ends in `/` is a folder.
fn files_of_archive() -> Vec<(&'static str, Vec<u8>)> {
    let mut rng = Rng::new(20_261_133);
    let weights = int8(&mut rng, 100 * 120);
    let layer = |name: &str| tensor(name, "I8", &[100, 120], weights.clone());
    let mut npy = Vec::new();
    write_npy(&mut npy, ElementType::I8, &[100, 120], &weights).unwrap();
    vec![
        ("config.json", b"{\"model_type\": \"none\"}\n".to_vec()),
        ("empty/folder/", vec![]),
        ("model/run", b"#!/bin/sh\n".to_vec()),
        ("model/weights.npy", npy),
        ("model-2", vec![]),
        ("model.safetensors", safetensors(&[layer("w"), layer("tied")])),
        ("\u{6a21}\u{578b}.txt", b"a name that is not ASCII".to_vec()),
    ]
}

/// A checkpoint and the next one, whose blocks are predicted from it: as floats, and as integers with a sign and without.
fn steps_of_archive() -> Vec<(&'static str, Vec<u8>)> {
    let mut rng = Rng::new(20_261_134);
    let (floats, bytes) = (f32s(&mut rng, 90 * 100), int8(&mut rng, 110 * 120));
    let next: Vec<u8> =
        floats.chunks(4).flat_map(|f| [f[0] ^ (rng.next() & 3) as u8, f[1], f[2], f[3]]).collect();
    let flipped: Vec<u8> =
        bytes.iter().map(|b| (b ^ 0x80).wrapping_add(rng.below(2) as u8)).collect();
    let file = |floats, dtype, bytes| {
        safetensors(&[
            tensor("f", "F32", &[90, 100], floats),
            tensor("b", dtype, &[110, 120], bytes),
        ])
    };
    vec![("step-1", file(floats, "I8", bytes)), ("step-2", file(next, "U8", flipped))]
}

/// The archive of files; those named `run` may be executed.
fn archive(files: Vec<(&str, Vec<u8>)>, options: &EncodeOptions) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    for (path, bytes) in files {
        let place = root.join(path);
        if path.ends_with('/') {
            std::fs::create_dir_all(place).unwrap();
            continue;
        }
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(&place, bytes).unwrap();
        #[cfg(unix)]
        if path.ends_with("run") {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&place, mode).unwrap();
        }
    }
    let coded = folder.path().join("coded");
    encode_archive(&root, &coded, options, &()).unwrap();
    std::fs::read(coded).unwrap()
}

fn encode((name, original, options): &Fixture) -> Vec<u8> {
    match *name {
        "archive" => archive(files_of_archive(), options),
        "archive_of_steps" => archive(steps_of_archive(), options),
        "archive_of_noisy_steps" => {
            archive(["1", "2", "3"].into_iter().zip(noisy_steps()).collect(), options)
        }
        _ => encode_bytes(original, options, &()).unwrap().0,
    }
}

fn fixtures_1_4() -> Vec<Fixture> {
    let parts = [fixtures_of_bases(), fixtures_of_pivots(), fixtures_of_copies()];
    let newer = [fixtures_of_contexts(), fixtures_of_base_classes()];
    parts.into_iter().chain(newer).flatten().collect()
}

fn fixtures_1_0() -> Vec<Fixture> {
    let with = |change: fn(&mut EncodeOptions)| options(Effort::Fast, change);
    let options = || options(Effort::Fast, |_| ());
    let mut rng = Rng::new(20_261_123);
    let slope: Vec<u8> =
        (0..96 * 96u64).map(|i| ((i / 96 + i % 96) / 2 + rng.below(6)) as u8).collect();
    let mut npy = Vec::new();
    write_npy(&mut npy, ElementType::F32, &[40, 30], &f32s(&mut rng, 1200)).unwrap();
    let every = ElementType::all()
        .filter(|&e| e != ElementType::Bytes)
        .map(|e| tensor(e.name(), e.name(), &[30, 40], int8(&mut rng, 1200 * e.size())))
        .collect::<Vec<_>>();
    vec![
        ("empty", vec![], options()),
        ("text", b"The quick brown fox jumps over the lazy dog. ".repeat(40), options()),
        ("noise", rng.bytes(5000), options()),
        ("npy_f32", npy, options()),
        (
            "i8",
            safetensors(&[tensor("w", "I8", &[128, 160], int8(&mut rng, 128 * 160))]),
            options(),
        ),
        (
            "i8_column_blocks",
            safetensors(&[tensor("w", "I8", &[150, 90], int8(&mut rng, 150 * 90))]),
            with(|o| {
                o.scan = Some(Scan::Column);
                o.block = Some((70, 40));
            }),
        ),
        (
            "i8_narrow",
            safetensors(&[tensor("w", "I8", &[3000, 3], int8(&mut rng, 9000))]),
            options(),
        ),
        ("u8_predicted", safetensors(&[tensor("w", "U8", &[96, 96], slope.clone())]), options()),
        (
            "u8_tiles",
            safetensors(&[tensor("w", "U8", &[96, 96], slope)]),
            with(|o| {
                o.tile = TileConfig { rows: 5, cols: 7 };
                o.block = Some((64, 64));
            }),
        ),
        (
            "bf16",
            safetensors(&[tensor("w", "BF16", &[96, 130], bf16(&mut rng, 96 * 130))]),
            options(),
        ),
        (
            "f16_plain",
            safetensors(&[tensor("w", "F16", &[64, 128], f16(&mut rng, 64 * 128))]),
            with(|o| o.predictors = PredictorSet::NONE),
        ),
        ("f32", safetensors(&[tensor("w", "F32", &[64, 96], f32s(&mut rng, 64 * 96))]), options()),
        (
            "f32_from_bf16",
            safetensors(&[tensor("w", "F32", &[64, 96], {
                bf16(&mut rng, 64 * 96).chunks(2).flat_map(|b| [0, 0, b[0], b[1]]).collect()
            })]),
            options(),
        ),
        ("every_dtype", safetensors(&every), options()),
        (
            "vector_and_scalars",
            safetensors(&[
                tensor("v", "BF16", &[9000], bf16(&mut rng, 9000)),
                tensor("s", "F32", &[], f32s(&mut rng, 1)),
                tensor("none", "I64", &[3, 0], vec![]),
                tensor("zero", "F64", &[32, 40], vec![0; 32 * 40 * 8]),
            ]),
            options(),
        ),
        (
            "shared_tables",
            safetensors(&[tensor("w", "BF16", &[256, 256], bf16(&mut rng, 256 * 256))]),
            with(|o| o.block = Some((32, 64))),
        ),
    ]
}

fn decode(file: &[u8], options: &EncodeOptions) -> Vec<u8> {
    let mut out = Vec::new();
    let reader = Reader::open_with(file, &Limits::default(), &options.bases).unwrap();
    reader.restore(&mut out, &()).unwrap();
    out
}

#[test]
fn golden_files_decode() {
    for (version, fixtures) in fixtures() {
        let folder = testdata("golden").join(version);
        for fixture in &fixtures {
            let (name, original, options) = fixture;
            let path = folder.join(format!("{name}.wcodec"));
            if bless() && !path.exists() {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(&path, encode(fixture)).unwrap();
            }
            let file = std::fs::read(&path).unwrap();
            assert_eq!(version, format!("v{}.{}", file[8], file[10]), "{name}");
            assert!(decode(&file, options) == *original, "{name}");
        }
        let files = std::fs::read_dir(&folder).unwrap().count();
        assert_eq!(files, fixtures.len(), "a golden file without a fixture");
    }
}

#[test]
fn sizes_are_pinned() {
    let list = testdata("golden/sizes.tsv");
    let sizes: String = fixtures()
        .iter()
        .flat_map(|(_, fixtures)| fixtures)
        .map(|fixture| {
            let (name, original, _) = fixture;
            format!("{name}\t{}\t{}\n", original.len(), encode(fixture).len())
        })
        .collect();
    if bless() {
        std::fs::write(&list, &sizes).unwrap();
    }
    assert_eq!(sizes, std::fs::read_to_string(&list).unwrap());
}

/// The same bytes whatever the number of threads, run after run.
#[test]
fn output_is_deterministic() {
    for mut fixture in fixtures().into_iter().flat_map(|(_, fixtures)| fixtures) {
        let first = encode(&fixture);
        for threads in [1, 2, 3, 16] {
            fixture.2.threads = Some(threads);
            assert!(encode(&fixture) == first, "{} with {threads} threads", fixture.0);
        }
    }
}

/// Every feature of the format has a golden file.
#[test]
fn golden_files_use_every_feature() {
    let mut modes = [0u32; 5];
    let (mut maps, mut columns, mut scaled, mut means, mut packings) = (0, 0, 0, 0, 0);
    let (mut copies, mut in_archives) = (0, 0);
    let mut predictions = [0u32; 3];
    let mut classed = Vec::new();
    let entries =
        fixtures().map(|(version, _)| std::fs::read_dir(testdata("golden").join(version)));
    for entry in entries.into_iter().flat_map(Result::unwrap) {
        let file = std::fs::read(entry.unwrap().path()).unwrap();
        classed.push(support::planes_with_base_classes(&file));
        let footer = &file[file.len() - 128..];
        packings += u32::from(footer[88]);
        copies += u32::from(footer[100]);
        in_archives += u32::from(footer[104]);
        let number =
            |at: usize| u64::from_le_bytes(footer[at..at + 8].try_into().unwrap()) as usize;
        for record in file[number(0)..].chunks(24).take(number(8)) {
            modes[usize::from(record[20])] += 1;
            let at = u64::from_le_bytes(record[..8].try_into().unwrap()) as usize;
            means += u32::from(record[20] == 4 && file[at + 7] > 0);
            if record[20] == 2 {
                predictions[usize::from(file[at + 1])] += 1;
            }
        }
        let reader = Reader::open(file.as_slice(), &Limits::default()).unwrap();
        for layer in 0..reader.layers().len() {
            let stats = reader.layer_stats(layer).unwrap();
            maps += u32::from(stats.map_bytes > 0);
            scaled += u32::from(stats.scaled_elements > 0);
        }
        columns += u32::from(reader.layers().any(|l| l.shape == [3000, 3]));
    }
    assert!(modes.iter().all(|&n| n > 0), "raw, constant, coded, zstd, side: {modes:?}");
    assert!(maps > 0 && columns > 0);
    assert!(scaled >= 15, "every file of 1.1 and 1.2, and one of 1.3, has scale classes");
    assert_eq!(packings, 22, "a packing for each tensor of blocks");
    // Layers, fields of a packing, layers of an archive.
    assert_eq!((copies, in_archives), (3 + 3 + 2 + 5, 7 + 2 + 3));
    assert_eq!(
        classed.iter().filter(|&&planes| planes > 0).count(),
        3,
        "base classes: {classed:?}"
    );
    assert!(means >= 6, "predicted means");
    assert!(predictions.iter().all(|&n| n > 0), "none, difference, XOR: {predictions:?}");
}
