//! Hostile files get little memory and little time. This binary counts every allocation.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::forge::{Bits, Block, Forge, raw};
use support::scaled::coded;
use support::{Rng, safetensors, sources, tensor, testdata};
use wcodec::{EncodeOptions, ErrorKind, Limits, Reader, encode_bytes};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// Tests of this binary run one after another: they share the counters.
static TURN: Mutex<()> = Mutex::new(());

// SAFETY: every call goes to the system allocator with the arguments that it came with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller keeps to the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps to the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `work`; returns its result, the bytes it had allocated at most, and the time it took.
fn measured<T>(work: impl FnOnce() -> T) -> (T, usize, Duration) {
    let before = NOW.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let started = Instant::now();
    let result = work();
    (result, PEAK.load(Ordering::Relaxed) - before, started.elapsed())
}

fn verify(file: &[u8]) -> wcodec::Result<()> {
    Reader::open(file, &Limits::default())?.verify(&()).map(|_| ())
}

fn field(at: usize, value: u64) -> Vec<u8> {
    let mut forge = Forge::new(raw(&[1; 128]));
    forge.edit_footer = Box::new(move |b| b[at..at + 8].copy_from_slice(&value.to_le_bytes()));
    forge.build()
}

#[test]
fn absurd_claims_cost_nothing() {
    let _turn = TURN.lock();
    let mut files: Vec<Vec<u8>> = Vec::new();
    for value in [1 << 40, 1 << 62, 1 << 63, u64::MAX, u64::MAX - 127] {
        for at in [0, 8, 16, 24, 32, 72] {
            files.push(field(at, value));
        }
    }
    let change = |edit: fn(&mut Forge)| {
        let mut forge = Forge::new(raw(&[1; 128]));
        edit(&mut forge);
        forge.build()
    };
    files.push(change(|f| f.layers[0].shape = vec![1 << 32; 200]));
    files.push(change(|f| f.edit_directory = Box::new(|b| b[48..52].fill(0xff))));
    files.push(change(|f| f.segments[0].elements = 1 << 62));
    files.push(change(|f| {
        let s = &mut f.segments[0];
        (s.rows, s.cols, s.elements, s.block) = (1 << 20, 1 << 20, 1 << 40, (1, 1 << 20));
    }));
    for entry in std::fs::read_dir(testdata("malformed")).unwrap() {
        files.push(std::fs::read(entry.unwrap().path()).unwrap());
    }
    // The first use of the thread pool is not the file's fault.
    let _ = verify(&change(|_| ()));
    for file in files {
        let (result, peak, time) = measured(|| verify(&file));
        assert!(result.is_err());
        assert!(peak < 64 << 20, "{peak} bytes for {:?}", result);
        if matches!(result.as_ref().unwrap_err().kind(), ErrorKind::Limit { .. }) {
            assert!(time < Duration::from_secs(1), "{time:?} for {result:?}");
        }
    }
}

#[test]
fn a_file_that_declares_a_tebibyte_is_refused_before_anything_is_written() {
    let _turn = TURN.lock();
    // 1 KiB of constant blocks of 4 MiB each, and a footer that claims 1 TiB.
    let block =
        Block { mode: 1, payload: vec![0], head: 0, decoded: vec![0; 4 << 20], checksum_error: 0 };
    let mut forge = Forge::new(block.clone());
    forge.segments[0].blocks = vec![block; 8];
    let s = &mut forge.segments[0];
    (s.element, s.rows, s.cols, s.elements, s.block) = (2, 8, 4 << 20, 32 << 20, (1, 4 << 20));
    forge.layers.clear();
    forge.original = vec![0; 32 << 20];
    assert!(verify(&forge.build()).is_ok(), "within the limits it is a file like others");
    forge.edit_footer = Box::new(|b| b[32..40].copy_from_slice(&(1u64 << 40).to_le_bytes()));
    let mut out = Vec::new();
    let file = forge.build();
    let result =
        Reader::open(file.as_slice(), &Limits::default()).and_then(|r| r.restore(&mut out, &()));
    assert!(matches!(
        result.unwrap_err().kind(),
        ErrorKind::Limit { asked: 1_099_511_627_776, .. }
    ));
    assert!(out.is_empty());
    let mut limits = Limits::default();
    limits.max_original = Some(1 << 20);
    forge.edit_footer = Box::new(|_| ());
    let file = forge.build();
    let error = Reader::open(file.as_slice(), &limits).err().unwrap();
    assert_eq!(error.to_string(), "original size is 33554432, the limit is 1048576");
}

#[test]
fn memory_stays_bounded_however_long_the_file_is() {
    let _turn = TURN.lock();
    let mut rng = Rng::new(4);
    let row = rng.bytes(4096);
    let data: Vec<u8> = (0..24_576)
        .flat_map(|i| {
            let mut row = row.clone();
            row.rotate_left(i % 4096);
            row.iter_mut().for_each(|b| *b &= 0x9f);
            row
        })
        .collect();
    let original = safetensors(&[tensor("w", "I8", &[24_576, 4096], data)]);
    let mut options = EncodeOptions::default();
    options.verify = false;
    let (result, peak, _) = measured(|| encode_bytes(&original, &options, &()));
    let (coded, _) = result.unwrap();
    // The output itself is in memory here.
    let most = original.len() + (160 << 20);
    assert!(peak < most, "encoding held {peak} bytes of at most {most}");
    let reader = Reader::open(coded.as_slice(), &Limits::default()).unwrap();
    let (result, peak, _) = measured(|| reader.verify(&()));
    result.unwrap();
    assert!(peak < 100 << 20, "decoding held {peak} bytes");
}

/// A band of blocks as large as may be, whose planes are a bit each.
#[test]
fn many_coded_planes_take_little_memory() {
    let _turn = TURN.lock();
    let table = Bits::default().put(0, 1).put(0, 1).put(0b11 | 13 << 2, 6).put(0, 12).0;
    let states = 4096u32.to_le_bytes().repeat(32);
    let mut head = coded();
    head.planes = vec![(1, 3, 0, states); 8];
    head.tables = table.repeat(8);
    head.decoded = vec![0; 4 << 20];
    let block = head.block();
    let mut forge = Forge::new(block.clone());
    let s = &mut forge.segments[0];
    (s.element, s.rows, s.cols, s.elements, s.block) = (2, 1, 64 << 20, 64 << 20, (1, 4 << 20));
    s.blocks = vec![block; 16];
    forge.layers.clear();
    forge.original = vec![0; 64 << 20];
    let file = forge.build();
    drop(forge);
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let (result, peak, _) = measured(|| one_thread.install(|| verify(&file)));
    result.unwrap();
    assert!(peak < 150 << 20, "decoding held {peak} bytes");
}

/// Pickles and models that ask for as many objects as they can.
#[test]
fn hostile_originals_cost_little() {
    let _turn = TURN.lock();
    let memo = (0..1u32 << 20).flat_map(|k| [&b"r"[..], &k.to_le_bytes()].concat());
    let pickles = [
        b"}0".repeat(1 << 20),
        [&b"]("[..], &b"N".repeat(1000), b"l0"].concat().repeat(2000),
        [b"N".to_vec(), memo.collect()].concat(),
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec(),
    ];
    let mut files: Vec<Vec<u8>> = Vec::new();
    for pickle in pickles {
        let pickle = [b"\x80\x02", &pickle[..], b"."].concat();
        files.push(sources::checkpoint(&pickle, &[("0", &[1; 64])]));
        files.push(sources::legacy(&pickle, &[("0", 16, &[1; 64])]));
    }
    let tensor = sources::field(5, &sources::onnx_tensor("", 2, &[1], &[0]));
    files.push(sources::onnx_model(&tensor.repeat(100_000)));
    files.push(sources::onnx_model(&sources::field(1, &[]).repeat(1 << 20)));
    let options = EncodeOptions::default();
    for (k, file) in files.iter().enumerate() {
        let (result, peak, time) = measured(|| encode_bytes(file, &options, &()));
        result.unwrap();
        assert!(peak < 128 << 20, "file {k} took {peak} bytes");
        assert!(time < Duration::from_secs(20), "file {k} took {time:?}");
    }
}
