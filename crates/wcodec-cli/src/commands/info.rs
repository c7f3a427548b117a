//! `wcodec info`.

use super::stream::Input;
use crate::args::InfoArgs;
use crate::report;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use wcodec::{
    Base, Effort, EncodeOptions, Entry, ErrorKind, Layer, PredictorSet, ReadAt, Reader, Result,
    SourceKind, Stats, Writer,
};
use wcodec_kernels::Level;

/// The columns of what layers take, in both tables.
const SIZES: [&str; 8] =
    ["bytes", "size", "bits/weight", "classes", "means", "base", "copies", "tiles"];

pub(super) fn run(args: &InfoArgs) -> Result<()> {
    match &args.input {
        Some(path) => file(path, args),
        None => system(args.json),
    }
}

/// What decides how fast this machine is.
fn system(json: bool) -> Result<()> {
    let level = Level::detect().name();
    let levels: Vec<&str> = Level::available().map(Level::name).collect();
    let threads = rayon::current_num_threads();
    let (major, minor) = wcodec::FORMAT_VERSION;
    let version = env!("CARGO_PKG_VERSION");
    if json {
        return report::print_json(&json!({
            "version": version,
            "format": format!("{major}.{minor}"),
            "level": level,
            "levels": levels,
            "threads": threads,
        }));
    }
    report::print(&format!(
        "wcodec {version}, format {major}.{minor}\nlevel {level} of {} (WCODEC_LEVEL lowers it), {threads} threads",
        levels.join(", ")
    ))
}

fn file(path: &Path, args: &InfoArgs) -> Result<()> {
    let input = Input::open(path)?;
    let place = |e| input.place(e);
    let (limits, bases) =
        (super::limits(&args.limits), super::bases(&args.bases.bases, &args.bases.folders)?);
    let mut reader = Reader::open(&input.file, &limits).map_err(place)?;
    match reader.find_bases(&limits, &bases) {
        // They are not needed to look at a file, unless they were named.
        Err(e) if args.bases.bases.is_empty() && matches!(e.kind(), ErrorKind::Base(_)) => {}
        found => found.map_err(place)?,
    }
    let layers = reader
        .layers()
        .enumerate()
        .map(|(index, layer)| Ok((layer, reader.layer_stats(index)?)))
        .collect::<Result<Vec<(&Layer, Stats)>>>()
        .map_err(place)?;
    let saved = if args.saved { saved(&reader, &layers).map_err(place)? } else { Vec::new() };
    let mut by_dtype: BTreeMap<&str, (u64, Stats)> = BTreeMap::new();
    for (layer, stats) in &layers {
        let (count, sum) = by_dtype.entry(&layer.dtype).or_default();
        *count += 1;
        *sum += *stats;
    }
    let (original, coded) = (reader.original_len(), reader.coded_len());
    let ratio = coded as f64 / original.max(1) as f64;
    let blake3: String = reader.original_blake3().iter().map(|b| format!("{b:02x}")).collect();

    if args.json {
        let mut value = json!({
            "source": reader.source_kind().name(),
            "original_bytes": original,
            "coded_bytes": coded,
            "ratio": ratio,
            "blocks": reader.blocks(),
            "blake3": blake3,
            "bases": reader.bases().map(base_json).collect::<Vec<_>>(),
            "base_depth": reader.base_depth(),
            "files": reader.files().map(file_json).collect::<Vec<_>>(),
            "layers": layers.len(),
            "by_dtype": by_dtype.iter().map(|(dtype, (count, stats))| {
                ((*dtype).to_owned(), json!({ "layers": count, "stats": report::stats_json(stats) }))
            }).collect::<serde_json::Map<String, Value>>(),
        });
        if args.layers {
            value["layer_list"] = layers
                .iter()
                .enumerate()
                .map(|(index, (layer, stats))| {
                    let mut value = json!({
                        "name": layer.name,
                        "dtype": layer.dtype,
                        "shape": layer.shape,
                        "stats": report::stats_json(stats),
                    });
                    if let Some(saved) = saved.get(index) {
                        value["saved_bytes"] = json!(saved);
                    }
                    value
                })
                .collect();
        }
        return report::print_json(&value);
    }

    report::print(&format!(
        "{}: {}, {} layers, {} blocks\n{original} -> {coded} bytes ({:.2} %)\nBLAKE3 {blake3}",
        report::name(path),
        reader.source_kind().name(),
        layers.len(),
        reader.blocks(),
        100.0 * ratio,
    ))?;
    print_bases(&reader)?;
    print_files(&reader)?;
    let sizes = |stats: &Stats| {
        [
            stats.original_bytes.to_string(),
            format!("{:.2} %", 100.0 * stats.ratio()),
            format!("{:.3}", stats.bits_per_weight()),
            report::share(stats.scaled_elements + stats.base_class_elements, stats),
            report::share(stats.predicted_elements, stats),
            report::share(stats.base_elements, stats),
            report::share(stats.copied_elements, stats),
            report::predictors(stats),
        ]
    };
    let rows: Vec<Vec<String>> = by_dtype
        .iter()
        .map(|(dtype, (count, stats))| {
            [(*dtype).to_owned(), count.to_string()].into_iter().chain(sizes(stats)).collect()
        })
        .collect();
    if !rows.is_empty() {
        let header = [&["dtype", "layers"][..], &SIZES].concat();
        report::print(&format!("\n{}", report::table(&header, &rows)))?;
    }
    if args.layers {
        let rows: Vec<Vec<String>> = layers
            .iter()
            .enumerate()
            .map(|(index, (layer, stats))| {
                report::layer(layer)
                    .into_iter()
                    .chain(sizes(stats))
                    .chain(saved.get(index).map(|saved| {
                        format!("{:.2} %", 100.0 * *saved as f64 / layer.bytes.max(1) as f64)
                    }))
                    .collect()
            })
            .collect();
        let mut header = [&report::LAYER[..], &SIZES].concat();
        if args.saved {
            header.push("saved");
        }
        report::print(&format!("\n{}", report::table(&header, &rows)))?;
    }
    Ok(())
}

fn base_json(base: &Base) -> Value {
    json!({ "name": base.name, "bytes": base.len, "blake3": base.hex() })
}

/// A file of an archive, or a folder that holds nothing.
fn file_json(entry: &Entry) -> Value {
    let blake3: String = entry.blake3.iter().map(|b| format!("{b:02x}")).collect();
    json!({
        "path": entry.path,
        "bytes": entry.bytes,
        "source": kind(entry),
        "executable": entry.executable,
        "blake3": blake3,
    })
}

fn kind(entry: &Entry) -> &'static str {
    entry.source.map_or("folder", SourceKind::name)
}

fn print_files(reader: &Reader<impl ReadAt>) -> Result<()> {
    if reader.files().len() == 0 {
        return Ok(());
    }
    let row = |entry: &Entry| {
        let executable = if entry.executable { "executable" } else { "" };
        let cells = [entry.path.as_str(), &entry.bytes.to_string(), kind(entry), executable];
        cells.map(str::to_owned).to_vec()
    };
    let rows: Vec<Vec<String>> = reader.files().map(row).collect();
    report::print(&format!("\n{}", report::table(&["file", "bytes", "source", ""], &rows)))
}

fn print_bases(reader: &Reader<impl ReadAt>) -> Result<()> {
    for base in reader.bases() {
        report::print(&format!("base {:?}, {} bytes, BLAKE3 {}", base.name, base.len, base.hex()))?;
    }
    match reader.base_depth() {
        Some(0) => Ok(()),
        Some(depth) => report::print(&format!("longest chain of bases: {depth}")),
        None => report::print("bases were not found; --base and --base-path tell where they are"),
    }
}

/// Bytes by which each layer is smaller than with plain tables and no prediction, by coding it so.
fn saved(reader: &Reader<impl ReadAt>, layers: &[(&Layer, Stats)]) -> Result<Vec<i64>> {
    let mut options = EncodeOptions::default();
    options.effort = Effort::Fast;
    options.predictors = PredictorSet::NONE;
    let saved = |(index, (layer, stats)): (usize, &(&Layer, Stats))| {
        let data = reader.decode_layer(index)?;
        let plain = Writer::new(std::io::sink(), &options)?.layer(layer, &data)?;
        Ok(plain.coded_bytes as i64 - stats.coded_bytes as i64)
    };
    layers.iter().enumerate().map(saved).collect()
}
