//! Files that are predicted from others: what comes back, what is read, and what is refused.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use support::gguf::{self, Gguf, blocks};
use support::{Rng, Tensor, bf16, int8, safetensors, scaled, tensor};
use wcodec::{
    Bases, DecodeOptions, Effort, ElementType, EncodeOptions, EncodeStats, ErrorKind, Layer,
    Limits, ReadAt, Reader, Span, Writer, decode_file, encode_bytes, encode_file,
};

fn bases(files: &[(&str, &[u8])]) -> Bases {
    let mut bases = Bases::new();
    files.iter().for_each(|(name, file)| bases.add_source(name, file.to_vec()));
    bases
}

fn with(bases: &Bases) -> EncodeOptions {
    let mut options = EncodeOptions::default();
    options.bases = bases.clone();
    options
}

fn encode(original: &[u8], options: &EncodeOptions) -> (Vec<u8>, EncodeStats) {
    encode_bytes(original, options, &()).unwrap()
}

fn open<'a>(file: &'a [u8], bases: &Bases) -> Result<Reader<&'a [u8]>, wcodec::Error> {
    Reader::open_with(file, &Limits::default(), bases)
}

fn restored(file: &[u8], bases: &Bases) -> Vec<u8> {
    let mut out = Vec::new();
    open(file, bases).unwrap().restore(&mut out, &()).unwrap();
    out
}

/// The elements of `data` with a step up or down in one of `rarity`.
fn tuned(rng: &mut Rng, element: ElementType, data: &[u8], rarity: u64) -> Vec<u8> {
    let size = element.size();
    let mut out = data.to_vec();
    for bytes in out.chunks_exact_mut(size) {
        if rng.below(rarity) == 0 {
            let mut word = [0; 8];
            word[..size].copy_from_slice(bytes);
            let step = rng.below(7).wrapping_sub(3);
            let word = u64::from_le_bytes(word).wrapping_add(step);
            bytes.copy_from_slice(&word.to_le_bytes()[..size]);
        }
    }
    out
}

/// A model with a layer of each element type, and a fine-tune of it, in another order.
fn models() -> (Vec<u8>, Vec<u8>) {
    let mut rng = Rng::new(41);
    let elements = || ElementType::all().filter(|&e| e != ElementType::Bytes);
    let layers: Vec<(ElementType, Vec<u8>)> = elements()
        .map(|element| match element.mantissa_bits() {
            Some(_) => (element, scaled(&mut rng, element, 130, 150)),
            None => (element, int8(&mut rng, 130 * 150 * element.size())),
        })
        .collect();
    let file = |layers: &mut dyn Iterator<Item = (ElementType, Vec<u8>)>| {
        let tensors: Vec<Tensor> =
            layers.map(|(e, data)| tensor(e.name(), e.name(), &[130, 150], data)).collect();
        safetensors(&tensors)
    };
    let base = file(&mut layers.clone().into_iter());
    let fine = layers.iter().rev().map(|(e, data)| (*e, tuned(&mut rng, *e, data, 3)));
    let fine: Vec<_> = fine.collect();
    (base, file(&mut fine.into_iter()))
}

/// Whether it is a float, by name.
trait MantissaBits {
    fn mantissa_bits(self) -> Option<u32>;
}

impl MantissaBits for ElementType {
    fn mantissa_bits(self) -> Option<u32> {
        use ElementType::{Bf16, F8E4M3, F8E5M2, F16, F32, F64};
        matches!(self, Bf16 | F8E4M3 | F8E5M2 | F16 | F32 | F64).then_some(0)
    }
}

#[test]
fn layers_of_blocks_are_predicted_byte_by_byte() {
    let mut rng = Rng::new(44);
    let (rows, cols) = (300, 1024);
    let row = cols as usize / 32 * 18;
    let [same, tuned, other, before] = ["same", "tuned", "other", "other"].map(|name| {
        let tensor = blocks(&mut rng, "Q4_0", rows, cols);
        gguf::Tensor { name: name.to_owned(), ..tensor }
    });
    let base = Gguf::new(vec![same.clone(), tuned.clone(), before]).build();
    let mut now = tuned;
    now.data.iter_mut().filter(|_| rng.below(20) == 0).for_each(|byte| *byte ^= 0x11);
    let fine = Gguf::new(vec![other.clone(), now.clone(), same]).build();
    let (alone, _) = encode(&fine, &EncodeOptions::default());
    let given = bases(&[("base.gguf", &base)]);
    let (file, stats) = encode(&fine, &with(&given));
    assert!(file.len() < alone.len() / 2, "{} {}", file.len(), alone.len());
    assert_eq!(stats.base_elements, 2 * rows * row as u64);
    assert!(restored(&file, &given) == fine);
    let reader = open(&file, &given).unwrap();
    for (rows, blocks) in [(0..300, 0..32), (17..18, 3..9), (250..299, 31..32)] {
        let columns = blocks.start as u64 * 32..blocks.end as u64 * 32;
        let found = reader.decode_slice(1, rows.start as u64..rows.end as u64, columns).unwrap();
        let expected = rows.flat_map(|r| &now.data[r * row..][blocks.start * 18..blocks.end * 18]);
        assert!(found.iter().eq(expected), "{blocks:?}");
    }
    // What has no partner is coded by the fields of its blocks, as ever.
    let unrelated = Gguf::new(vec![other]).build();
    let (alone, _) = encode(&unrelated, &EncodeOptions::default());
    assert_eq!(encode(&unrelated, &with(&given)).0, alone);
}

#[test]
fn every_type_comes_back_from_plain_and_coded_bases() {
    let (base, fine) = models();
    let alone = encode(&fine, &EncodeOptions::default()).0;
    let coded_base = encode(&base, &EncodeOptions::default()).0;
    let plain = bases(&[("base.safetensors", &base)]);
    let coded = bases(&[("base.safetensors.wcodec", &coded_base)]);
    let mut options = with(&plain);
    let mut blocks = with(&coded);
    blocks.block = Some((40, 64));
    blocks.effort = Effort::Max;
    options.threads = Some(1);
    for (number, options) in [options, blocks, with(&coded)].into_iter().enumerate() {
        let (file, stats) = encode(&fine, &options);
        assert!(file.len() < alone.len() * 3 / 4, "{number}: {} {}", file.len(), alone.len());
        assert!(stats.base_elements > 12 * 130 * 150, "{number}: {stats:?}");
        for bases in [&plain, &coded] {
            assert!(restored(&file, bases) == fine, "{number}");
        }
        let reader = open(&file, &coded).unwrap();
        assert_eq!(reader.base_depth(), Some(1));
        let named = reader.bases().next().unwrap();
        assert_eq!((&*named.name, named.len), ("base.safetensors", base.len() as u64));
        assert_eq!(named.blake3, *blake3::hash(&base).as_bytes());
    }
    // Plain and coded bases give the same file, at any number of threads.
    let (one, _) = encode(&fine, &with(&plain));
    for threads in [1, 3] {
        let mut options = with(&coded);
        options.threads = Some(threads);
        assert!(encode(&fine, &options).0 == one);
    }
}

#[test]
fn parts_are_those_of_the_whole() {
    let (base, fine) = models();
    let bases = bases(&[("base.wcodec", &encode(&base, &EncodeOptions::default()).0)]);
    let mut options = with(&bases);
    options.block = Some((32, 64));
    let file = encode(&fine, &options).0;
    let reader = open(&file, &bases).unwrap();
    let mut rng = Rng::new(42);
    for (index, layer) in reader.layers().enumerate() {
        let size = layer.element().unwrap().size();
        let whole = reader.decode_layer(index).unwrap();
        let (row, count) = (rng.below(100), 1 + rng.below(30));
        let part = reader.decode_slice(index, row..row + count, 7..90).unwrap();
        let expected = whole.chunks(150 * size).skip(row as usize).take(count as usize);
        let expected: Vec<u8> = expected.flat_map(|r| r[7 * size..90 * size].to_vec()).collect();
        assert!(part == expected, "{}", layer.name);
        let spans = [Span { start: 3, count: 40, step: 3 }, Span::from(0..150)];
        let mut part = vec![1; 40 * 150 * size];
        reader.decode_part_into(index, &spans, &mut part, &()).unwrap();
        let expected = whole.chunks(150 * size).skip(3).step_by(3).take(40);
        assert!(part.chunks(150 * size).eq(expected), "{}", layer.name);
    }
    let middle = fine.len() as u64 / 2;
    let range = reader.decode_range(middle - 3000..middle + 50_000).unwrap();
    assert!(range == fine[middle as usize - 3000..middle as usize + 50_000]);
}

/// A source that counts the bytes read.
struct Counting {
    bytes: Vec<u8>,
    read: Arc<AtomicU64>,
}

impl ReadAt for Counting {
    fn size(&self) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.read.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        self.bytes.read_exact_at(buffer, at)
    }
}

#[test]
fn a_part_reads_only_its_part_of_the_base() {
    let mut rng = Rng::new(43);
    let data = bf16(&mut rng, 1024 * 1024);
    let file = |data: Vec<u8>| safetensors(&[tensor("w", "BF16", &[1024, 1024], data)]);
    let fine = file(tuned(&mut rng, ElementType::Bf16, &data, 4));
    let base = file(data);
    let coded_base = encode(&base, &EncodeOptions::default()).0;
    for bytes in [base, coded_base] {
        let read = Arc::new(AtomicU64::new(0));
        let mut bases = Bases::new();
        bases.add_source("base", Counting { bytes, read: Arc::clone(&read) });
        let mut options = with(&bases);
        options.block = Some((64, 64));
        let file = encode(&fine, &options).0;
        let reader = open(&file, &bases).unwrap();
        read.store(0, Ordering::Relaxed);
        let part = reader.decode_slice(0, 100..101, 64..128).unwrap();
        let start = fine.len() - 1024 * 1024 * 2 + (100 * 1024 + 64) * 2;
        assert!(part == fine[start..start + 128]);
        // A block of the base has 256 Ki elements, one of the file 4,096.
        assert!(read.load(Ordering::Relaxed) < 800 << 10, "{read:?}");
    }
}

#[test]
fn integers_with_and_without_a_sign_find_each_other() {
    let mut rng = Rng::new(44);
    let signed = int8(&mut rng, 300 * 200);
    let shifted: Vec<u8> = signed.iter().map(|b| b ^ 0x80).collect();
    let base = safetensors(&[tensor("other name", "U8", &[300, 200], shifted)]);
    let tuned = tuned(&mut rng, ElementType::I8, &signed, 10);
    let fine = safetensors(&[tensor("w", "I8", &[300, 200], tuned)]);
    let alone = encode(&fine, &EncodeOptions::default()).0;
    let bases = bases(&[("base", &base)]);
    let (file, stats) = encode(&fine, &with(&bases));
    assert_eq!(stats.base_elements, 60_000);
    assert!(file.len() < alone.len() / 4, "{} {}", file.len(), alone.len());
    assert!(restored(&file, &bases) == fine);
}

#[test]
fn equal_layers_cost_next_to_nothing_and_unrelated_ones_nothing() {
    let mut rng = Rng::new(45);
    let mut file = |n: usize| {
        safetensors(&[
            tensor("a", "BF16", &[512, 512], bf16(&mut rng, 512 * 512)),
            tensor("b", "I8", &[512, 512], int8(&mut rng, 512 * 512)),
            tensor("c", "U8", &[n as u64], rng.bytes(n)),
        ])
    };
    let (one, other) = (file(3000), file(3000));
    let same = bases(&[("one", &one)]);
    // Not the same file: that would be no base.
    let longer = |file: &[u8]| [file, b"behind the tensors"].concat();
    let equal = encode(&longer(&one), &with(&same)).0;
    assert!(equal.len() < 2450, "{}", equal.len());
    assert!(restored(&equal, &same) == longer(&one));
    // Of every type.
    let (model, _) = models();
    let same = bases(&[("model", &longer(&model))]);
    let (equal, stats) = encode(&model, &with(&same));
    assert_eq!(stats.base_elements, 15 * 130 * 150);
    assert!(restored(&equal, &same) == model);
    let alone = encode(&other, &EncodeOptions::default()).0;
    let (beside, stats) = encode(&other, &with(&same));
    assert_eq!((beside.len(), stats.base_elements), (alone.len(), 0));
    // It has no base then.
    assert!(restored(&beside, &Bases::new()) == other);
}

#[test]
fn chains_are_followed_to_a_bound() {
    let mut rng = Rng::new(46);
    let mut data = int8(&mut rng, 80 * 100);
    let mut steps = Vec::new();
    for _ in 0..10 {
        data = tuned(&mut rng, ElementType::I8, &data, 20);
        steps.push(safetensors(&[tensor("w", "I8", &[80, 100], data.clone())]));
    }
    // The first one plain, every other one against the one before alone.
    let mut chain = bases(&[("0", &steps[0])]);
    let mut files: Vec<Vec<u8>> = Vec::new();
    for (number, step) in steps.iter().enumerate().skip(1) {
        let mut options = with(&bases(&[("before", &steps[number - 1])]));
        options.verify = false;
        let file = encode(step, &options).0;
        chain.add_source(&format!("{number}.wcodec"), file.clone());
        files.push(file);
    }
    for (number, file) in files.iter().enumerate() {
        let opened = open(file, &chain);
        if number < 8 {
            let reader = opened.unwrap();
            assert_eq!(reader.base_depth(), Some(number + 1));
            let mut out = Vec::new();
            reader.restore(&mut out, &()).unwrap();
            assert!(out == steps[number + 1]);
        } else {
            let error = opened.err().unwrap();
            assert!(matches!(error.kind(), ErrorKind::Limit { asked: 9, max: 8, .. }), "{error}");
        }
    }
    // Nor is a chain written that nobody could follow.
    let error = encode_bytes(&steps[9], &with(&chain), &()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Limit { .. }), "{error}");
    // A plain file cuts the chain.
    let mut short = chain.clone();
    short.add_source("8", steps[8].clone());
    assert_eq!(open(&files[8], &short).unwrap().base_depth(), Some(1));
}

#[test]
fn cycles_are_refused() {
    let (base, fine) = models();
    let from_base = encode(&fine, &with(&bases(&[("base", &base)]))).0;
    let from_fine = encode(&base, &with(&bases(&[("fine", &fine)]))).0;
    let both = bases(&[("base.wcodec", &from_fine), ("fine.wcodec", &from_base)]);
    for file in [&from_base, &from_fine] {
        let error = open(file, &both).err().unwrap();
        assert!(matches!(error.kind(), ErrorKind::Base(_)), "{error}");
        assert!(error.to_string().contains("cycle"), "{error}");
    }
    let error = encode_bytes(&fine, &with(&both), &()).unwrap_err();
    assert!(error.to_string().contains("cycle"), "{error}");
}

#[test]
fn missing_and_wrong_bases_are_told_before_anything_is_written() {
    let (base, fine) = models();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("base"), &base).unwrap();
    std::fs::write(path("fine"), &fine).unwrap();
    let mut given = Bases::new();
    given.add_file(&path("base")).unwrap();
    encode_file(&path("fine"), &path("fine.wcodec"), &with(&given), &()).unwrap();

    let refused = |bases: Bases| {
        let mut options = DecodeOptions::default();
        options.bases = bases;
        let error = decode_file(&path("fine.wcodec"), &path("out"), &options, &()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Base(_)), "{error}");
        assert!(!path("out").exists());
        error.to_string()
    };
    let hex = blake3::hash(&base).to_string();
    let text = refused(Bases::new());
    assert!(text.contains(&format!("base \"base\" of {} bytes, BLAKE3 {hex}", base.len())));
    let mut wrong = base.clone();
    wrong[5000] ^= 1;
    let text = refused(bases(&[("wrong", &wrong)]));
    assert!(text.contains("\"wrong\" is as long, but another file"), "{text}");
    refused(bases(&[("wrong.wcodec", &encode(&wrong, &EncodeOptions::default()).0)]));

    // Without its bases a file opens, but gives only what needs none.
    let file = std::fs::read(path("fine.wcodec")).unwrap();
    let reader = Reader::open(file.as_slice(), &Limits::default()).unwrap();
    assert_eq!((reader.bases().len(), reader.base_depth()), (1, None));
    let header = reader.decode_range(0..100).unwrap();
    assert!(header == fine[..100]);
    let mut out = vec![7; 130 * 150];
    let error = reader.decode_layer_into(reader.find("I8").unwrap(), &mut out).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Base(_)), "{error}");
    assert!(error.layer() == Some("I8") && out.iter().all(|&b| b == 0));
    let mut written = Vec::new();
    assert!(reader.restore(&mut written, &()).is_err() && written.is_empty());

    // A folder is searched by name and by length; what else lies there does not matter.
    std::fs::write(path("a.wcodec"), b"not a wcodec file").unwrap();
    std::fs::rename(path("base"), path("renamed")).unwrap();
    let mut options = DecodeOptions::default();
    options.bases.add_folder(folder.path());
    decode_file(&path("fine.wcodec"), &path("out"), &options, &()).unwrap();
    assert!(std::fs::read(path("out")).unwrap() == fine);
}

/// A base that changes once it was hashed: 1 ends early, 2 has other bytes.
struct Changing {
    bytes: Vec<u8>,
    change: Arc<AtomicU8>,
}

impl ReadAt for Changing {
    fn size(&self) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let change = self.change.load(Ordering::Relaxed);
        if change == 1 && at + buffer.len() as u64 > self.bytes.len() as u64 / 2 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.bytes.read_exact_at(buffer, at)?;
        if change == 2
            && let Some(byte) = buffer.last_mut()
        {
            *byte ^= 1;
        }
        Ok(())
    }
}

#[test]
fn a_base_that_changes_is_an_error_and_never_wrong_output() {
    let (base, fine) = models();
    let change = Arc::new(AtomicU8::new(0));
    let mut bases = Bases::new();
    bases.add_source("base", Changing { bytes: base, change: Arc::clone(&change) });
    let file = encode(&fine, &with(&bases)).0;
    let reader = open(&file, &bases).unwrap();
    for (kind, text) in [(1, "the base was changed"), (2, "or its base was changed")] {
        change.store(kind, Ordering::Relaxed);
        let error = reader.verify(&()).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        let mut failed = 0;
        for (index, layer) in reader.layers().enumerate() {
            let mut out = vec![3; layer.bytes as usize];
            if reader.decode_layer_into(index, &mut out).is_err() {
                assert!(out.iter().all(|&b| b == 0));
                failed += 1;
            }
        }
        assert!(failed > 3);
    }
    change.store(0, Ordering::Relaxed);
    reader.verify(&()).unwrap();
}

#[test]
fn too_many_bases_are_an_argument_that_does_not_fit() {
    let mut many = Bases::new();
    (0..17u8).for_each(|k| many.add_source("base", vec![k; 10]));
    let error = encode_bytes(b"anything", &with(&many), &()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Argument(_)), "{error}");
    // The same one twice is one.
    let (base, fine) = models();
    let twice = bases(&[("one", &base), ("two", &base)]);
    let file = encode(&fine, &with(&twice)).0;
    assert_eq!(open(&file, &twice).unwrap().bases().len(), 1);
}

#[test]
fn every_flipped_bit_is_an_error() {
    let mut rng = Rng::new(47);
    let data = bf16(&mut rng, 40 * 50);
    let file = |data: Vec<u8>| safetensors(&[tensor("w", "BF16", &[40, 50], data)]);
    let fine = file(tuned(&mut rng, ElementType::Bf16, &data, 3));
    let bases = bases(&[("base", &file(data))]);
    let (mut coded, stats) = encode(&fine, &with(&bases));
    assert_eq!(stats.base_elements, 2000);
    for bit in 0..8 * coded.len() {
        coded[bit / 8] ^= 1 << (bit % 8);
        let opened = open(&coded, &bases);
        assert!(opened.and_then(|reader| reader.verify(&())).is_err(), "bit {bit}");
        coded[bit / 8] ^= 1 << (bit % 8);
    }
    for len in 0..coded.len() {
        assert!(open(&coded[..len], &bases).is_err(), "{len} bytes");
    }
}

#[test]
fn layers_given_one_by_one_are_predicted_too() {
    let mut rng = Rng::new(48);
    let (data, other) = (bf16(&mut rng, 96 * 200), bf16(&mut rng, 96 * 200));
    let changed = tuned(&mut rng, ElementType::Bf16, &data, 9);
    let base = safetensors(&[tensor("w", "BF16", &[96, 200], data)]);
    let layer = |name: &str| Layer::new(name, ElementType::Bf16, vec![96, 200]);
    let write = |given: &Bases| {
        let mut file = Vec::new();
        let mut writer = Writer::new(&mut file, &with(given)).unwrap();
        let unrelated = writer.layer(&layer("other"), &other).unwrap();
        writer.bytes(b"between").unwrap();
        let related = writer.layer(&layer("renamed"), &changed).unwrap();
        writer.finish().unwrap();
        (file, [unrelated.base_elements, related.base_elements])
    };
    let (alone, predicted) = write(&Bases::new());
    assert_eq!(predicted, [0, 0]);
    let strange = bases(&[("strange", b"no layers")]);
    assert!(write(&strange).0 == alone);
    let given = bases(&[("strange", b"no layers"), ("base", &base)]);
    let (file, predicted) = write(&given);
    assert_eq!(predicted, [0, 96 * 200]);
    assert!(file.len() < alone.len() * 3 / 4, "{} {}", file.len(), alone.len());
    let reader = open(&file, &given).unwrap();
    assert_eq!(reader.bases().map(|base| &*base.name).collect::<Vec<_>>(), ["base"]);
    assert!(reader.decode_layer(0).unwrap() == other);
    assert!(reader.decode_layer(1).unwrap() == changed);
}

#[test]
fn a_coded_base_may_be_cut_anywhere() {
    let (base, fine) = models();
    let file = encode(&fine, &with(&bases(&[("base", &base)]))).0;
    let mut coded = Vec::new();
    let mut writer = Writer::new(&mut coded, &EncodeOptions::default()).unwrap();
    for (number, piece) in base.chunks(12_345).enumerate() {
        // Layers without elements are parts without bytes.
        let empty = Layer::new(number.to_string(), ElementType::F32, vec![0, 5]);
        writer.layer(&empty, &[]).unwrap();
        writer.bytes(piece).unwrap();
    }
    writer.finish().unwrap();
    let coded = bases(&[("base.wcodec", &coded)]);
    assert!(restored(&file, &coded) == fine);
    let reader = open(&file, &coded).unwrap();
    for (index, layer) in reader.layers().enumerate() {
        let size = layer.element().unwrap().size();
        let whole = reader.decode_layer(index).unwrap();
        let part = reader.decode_slice(index, 50..60, 0..150).unwrap();
        assert!(part == whole[50 * 150 * size..60 * 150 * size], "{}", layer.name);
    }
}
