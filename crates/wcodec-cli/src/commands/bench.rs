//! `wcodec bench`: everything in memory, memcpy, encode and decode in turn, medians.
//!
//! Both write to memory that is there already. Encoding makes a whole `.wcodec` file without
//! verifying it. Decoding gives every layer, with the checksum of every block; a file without
//! layers is restored as a whole, with its BLAKE3.

use super::stream::Input;
use crate::args::BenchArgs;
use crate::report::{self, gbps};
use rayon::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Instant;
use wcodec::{EncodeOptions, Error, ErrorKind, Layer, Limits, Reader, Result, ggml_type};

/// Bytes copied to measure memcpy: far above any cache.
const COPY_BYTES: usize = 128 << 20;

/// Medians in 10^9 bytes of original a second.
struct Run {
    threads: usize,
    memcpy: f64,
    encode: f64,
    decode: f64,
}

struct Measured {
    original: u64,
    coded: u64,
    runs: Vec<Run>,
}

pub(super) fn run(args: &BenchArgs) -> Result<()> {
    let original = Input::open(&args.input)?.bytes()?;
    let mut options = super::encode_options(&args.codec);
    options.verify = false;
    for path in &args.bases {
        let base = Input::open(path)?.bytes()?;
        options.bases.add_source(&path.to_string_lossy(), base);
    }
    let all = measure(&original, &options, args)?;
    let mut by_dtype = BTreeMap::new();
    for (dtype, bytes) in split_by_dtype(&original, &options)? {
        by_dtype.insert(dtype, measure(&bytes, &options, args)?);
    }
    let level = wcodec_kernels::Level::detect().name();
    if args.json {
        let mut value = all.json();
        let by_dtype: Map<String, Value> =
            by_dtype.iter().map(|(dtype, m)| (dtype.clone(), m.json())).collect();
        value["by_dtype"] = by_dtype.into();
        let mut top = json!({ "level": level });
        if let (Value::Object(top), Value::Object(value)) = (&mut top, value) {
            top.extend(value);
        }
        return report::print_json(&top);
    }
    let mut rows = Vec::new();
    for (dtype, measured) in by_dtype.iter().chain([(&"all".to_owned(), &all)]) {
        for run in &measured.runs {
            rows.push(vec![
                dtype.clone(),
                measured.original.to_string(),
                format!("{:.2} %", 100.0 * measured.coded as f64 / measured.original.max(1) as f64),
                run.threads.to_string(),
                format!("{:.2}", run.memcpy),
                format!("{:.3}", run.encode),
                format!("{:.3}", run.encode / run.memcpy),
                format!("{:.3}", run.decode),
                format!("{:.3}", run.decode / run.memcpy),
            ]);
        }
    }
    let header = [
        "dtype",
        "bytes",
        "size",
        "threads",
        "memcpy GB/s",
        "encode GB/s",
        "x memcpy",
        "decode GB/s",
        "x memcpy",
    ];
    report::print(&format!(
        "{}: level {level}, medians of {} runs\n{}",
        report::name(&args.input),
        args.runs,
        report::table(&header, &rows)
    ))
}

impl Measured {
    fn json(&self) -> Value {
        let runs: Vec<Value> = self
            .runs
            .iter()
            .map(|run| {
                json!({
                    "threads": run.threads,
                    "memcpy_gbps": run.memcpy,
                    "encode_gbps": run.encode,
                    "decode_gbps": run.decode,
                })
            })
            .collect();
        json!({ "original_bytes": self.original, "coded_bytes": self.coded, "runs": runs })
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let started = Instant::now();
    let result = work();
    (started.elapsed().as_secs_f64(), result)
}

fn measure(original: &[u8], options: &EncodeOptions, args: &BenchArgs) -> Result<Measured> {
    let mut measured = Measured { original: original.len() as u64, coded: 0, runs: Vec::new() };
    for &threads in &args.threads {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|e| Error::from(ErrorKind::Argument(e.to_string())))?;
        let run = pool
            .install(|| measure_once(original, options, args.runs, threads, &mut measured.coded));
        measured.runs.push(run?);
    }
    Ok(measured)
}

fn measure_once(
    original: &[u8],
    options: &EncodeOptions,
    runs: usize,
    threads: usize,
    coded_len: &mut u64,
) -> Result<Run> {
    let source = vec![1u8; COPY_BYTES];
    let mut target = vec![0u8; COPY_BYTES];
    let piece = COPY_BYTES / threads;
    let (mut coded, _) = wcodec::encode_bytes(original, options, &())?;
    let sizes = layer_sizes(&coded)?;
    let mut layers: Vec<Vec<u8>> = sizes.iter().map(|&size| vec![1; size]).collect();
    let mut whole = vec![1u8; if layers.is_empty() { original.len() } else { 0 }];
    let bytes = whole.len() + sizes.iter().sum::<usize>();
    let (mut copy, mut encode, mut decode) = (Vec::new(), Vec::new(), Vec::new());
    // In turn, so that all see the machine in the same moods. Copying and decoding are timed warm, each
    // behind a run of its own kind that does not count.
    for _ in 0..runs {
        let mut copy_once = || {
            let pieces = target.par_chunks_mut(piece).zip(source.par_chunks(piece));
            pieces.for_each(|(to, from)| to.copy_from_slice(from));
        };
        copy_once();
        copy.push(gbps(COPY_BYTES as u64, timed(copy_once).0));
        let (seconds, result) =
            timed(|| wcodec::encode_bytes_into(original, &mut coded, options, &()));
        result?;
        encode.push(gbps(original.len() as u64, seconds));
        let reader = Reader::open_with(coded.as_slice(), &Limits::unlimited(), &options.bases)?;
        let mut wanted: Vec<(usize, &mut [u8])> =
            layers.iter_mut().map(Vec::as_mut_slice).enumerate().collect();
        let mut decode_once = || match wanted.as_mut_slice() {
            [] => reader.restore(&mut whole.as_mut_slice(), &()).map(|_| ()),
            layers => reader.decode_layers_into(layers).map(|_| ()),
        };
        decode_once()?;
        let (seconds, result) = timed(decode_once);
        result?;
        decode.push(gbps(bytes as u64, seconds));
    }
    *coded_len = coded.len() as u64;
    Ok(Run { threads, memcpy: median(copy), encode: median(encode), decode: median(decode) })
}

fn layer_sizes(coded: &[u8]) -> Result<Vec<usize>> {
    let reader = Reader::open(coded, &Limits::unlimited())?;
    Ok(reader.layers().map(|layer| layer.bytes as usize).collect())
}

/// The layers of each dtype as a file of their own: of safetensors, or of GGUF if they are of its blocks.
/// Other dtypes are left out.
fn split_by_dtype(original: &[u8], options: &EncodeOptions) -> Result<BTreeMap<String, Vec<u8>>> {
    let (coded, _) = wcodec::encode_bytes(original, options, &())?;
    let reader = Reader::open_with(coded.as_slice(), &Limits::unlimited(), &options.bases)?;
    let mut parts: BTreeMap<String, Vec<(Layer, Vec<u8>)>> = BTreeMap::new();
    for (index, layer) in reader.layers().enumerate() {
        if layer.element().is_some() || ggml_type(&layer.dtype).is_some() {
            let layers = parts.entry(layer.dtype.clone()).or_default();
            layers.push((layer.clone(), reader.decode_layer(index)?));
        }
    }
    let file = |(dtype, layers): (String, Vec<(Layer, Vec<u8>)>)| {
        let file = match ggml_type(&dtype) {
            Some(number) if layers.iter().all(|(layer, _)| layer.element().is_none()) => {
                gguf(number, &layers)
            }
            _ => safetensors(&layers),
        };
        (dtype, file)
    };
    Ok(parts.into_iter().map(file).collect())
}

fn safetensors(layers: &[(Layer, Vec<u8>)]) -> Vec<u8> {
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (layer, bytes) in layers {
        let start = data.len();
        data.extend_from_slice(bytes);
        let place = [start, data.len()];
        let entry = json!({ "dtype": layer.dtype, "shape": layer.shape, "data_offsets": place });
        header.insert(layer.name.clone(), entry);
    }
    let header = Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(&data);
    file
}

/// GGUF of version 3 without key-values.
fn gguf(number: u32, layers: &[(Layer, Vec<u8>)]) -> Vec<u8> {
    const ALIGNMENT: usize = 32;
    let pad = |bytes: &mut Vec<u8>| bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    file.extend((layers.len() as u64).to_le_bytes());
    file.extend(0u64.to_le_bytes());
    let mut data = Vec::new();
    for (layer, bytes) in layers {
        file.extend((layer.name.len() as u64).to_le_bytes());
        file.extend_from_slice(layer.name.as_bytes());
        file.extend((layer.shape.len() as u32).to_le_bytes());
        file.extend(layer.shape.iter().rev().flat_map(|dim| dim.to_le_bytes()));
        file.extend(number.to_le_bytes());
        file.extend((data.len() as u64).to_le_bytes());
        data.extend_from_slice(bytes);
        pad(&mut data);
    }
    pad(&mut file);
    file.extend_from_slice(&data);
    file
}
