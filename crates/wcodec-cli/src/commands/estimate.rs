//! `wcodec estimate`.

use super::stream::Input;
use crate::args::EstimateArgs;
use crate::report;
use crate::terminal::Terminal;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use wcodec::{EncodeOptions, Estimate, Expected, Layer, Result};

/// Columns of numbers.
const HEADER: [&str; 6] = ["bytes", "expected", "order 0", "classes save", "means save", ""];

pub(super) fn run(args: &EstimateArgs) -> Result<()> {
    let mut options = super::encode_options(&args.codec);
    options.threads = args.run.threads;
    if args.input.is_dir() {
        return folder(args, &options);
    }
    let input = Input::open(&args.input)?;
    let terminal = Terminal::new(args.run.quiet)?;
    let estimate = wcodec::estimate((&*input.name, &input.file), &options, &terminal)?;
    terminal.finish();
    if args.run.json {
        return report::print_json(&to_json(&estimate, args.layers));
    }
    let (source, count) = (estimate.source.name(), estimate.layers.len());
    report::print(&format!(
        "{}: {source}, {count} layers\n{}",
        report::name(&args.input),
        conclusion(&estimate.total, estimate.sampled_bytes, estimate.elapsed),
    ))?;
    let layers: Vec<_> = estimate.layers.iter().map(|layer| ("", layer)).collect();
    print_layers(&layers, args.layers)
}

fn folder(args: &EstimateArgs, options: &EncodeOptions) -> Result<()> {
    let started = Instant::now();
    let terminal = Terminal::new(args.run.quiet)?;
    let files = wcodec::estimate_folder(&args.input, options, &terminal)
        .map_err(|e| e.in_file(&args.input))?;
    terminal.finish();
    let (mut total, mut sampled) = (Expected::default(), 0);
    for (_, estimate) in &files {
        total += estimate.total;
        sampled += estimate.sampled_bytes;
    }
    let layers = files.iter().flat_map(|(path, estimate)| {
        estimate.layers.iter().map(move |layer| (path.as_str(), layer))
    });
    let layers: Vec<_> = layers.collect();
    if args.run.json {
        let file = |(path, estimate): &(String, Estimate)| {
            let mut value = to_json(estimate, args.layers);
            value["path"] = json!(path);
            value
        };
        let mut value = fields(&total);
        value["sampled_bytes"] = json!(sampled);
        value["seconds"] = json!(started.elapsed().as_secs_f64());
        value["layers"] = json!(layers.len());
        value["by_dtype"] = dtypes_json(&layers);
        value["files"] = files.iter().map(file).collect();
        return report::print_json(&value);
    }
    report::print(&format!(
        "{}: {} files, {} layers\n{}",
        report::name(&args.input),
        files.len(),
        layers.len(),
        conclusion(&total, sampled, started.elapsed()),
    ))?;
    let rows = files.iter().map(|(path, estimate)| {
        let first = [path.clone(), estimate.layers.len().to_string()];
        first.into_iter().chain(cells(&estimate.total)).collect()
    });
    print_table(&["file", "layers"], rows.collect())?;
    print_layers(&layers, args.layers)
}

/// A layer, what it would take, and the path of its file in a folder.
type InFile<'a> = (&'a str, &'a (Layer, Expected));

/// Layers by their dtype: how many, and what they would take.
fn by_dtype<'a>(layers: &[InFile<'a>]) -> BTreeMap<&'a str, (usize, Expected)> {
    let mut by_dtype: BTreeMap<&str, (usize, Expected)> = BTreeMap::new();
    for (_, (layer, expected)) in layers {
        let (count, sum) = by_dtype.entry(&layer.dtype).or_default();
        *count += 1;
        *sum += *expected;
    }
    by_dtype
}

fn to_json(estimate: &Estimate, list: bool) -> Value {
    let layers: Vec<_> = estimate.layers.iter().map(|layer| ("", layer)).collect();
    let mut value = fields(&estimate.total);
    value["source"] = json!(estimate.source.name());
    value["sampled_bytes"] = json!(estimate.sampled_bytes);
    value["seconds"] = json!(estimate.elapsed.as_secs_f64());
    value["layers"] = json!(estimate.layers.len());
    value["by_dtype"] = dtypes_json(&layers);
    if list {
        let layer = |(layer, expected): &(Layer, Expected)| {
            let mut value = fields(expected);
            value["name"] = json!(layer.name);
            value["dtype"] = json!(layer.dtype);
            value["shape"] = json!(layer.shape);
            value
        };
        value["layer_list"] = estimate.layers.iter().map(layer).collect();
    }
    value
}

fn dtypes_json(layers: &[InFile<'_>]) -> Value {
    let dtype = |(dtype, (count, sum)): (&str, (usize, Expected))| {
        (dtype.to_owned(), json!({ "layers": count, "estimate": fields(&sum) }))
    };
    by_dtype(layers).into_iter().map(dtype).collect::<Map<String, Value>>().into()
}

fn conclusion(total: &Expected, sampled: u64, elapsed: Duration) -> String {
    format!(
        "{} -> about {} bytes ({:.2} %){}; {:.0} % of it encoded in {:.1} s",
        total.original_bytes,
        total.expected_bytes,
        100.0 * total.ratio(),
        if total.worth_it() { "" } else { ": not worth it" },
        100.0 * sampled as f64 / total.original_bytes.max(1) as f64,
        elapsed.as_secs_f64(),
    )
}

/// The layers by dtype, and one by one if that is wanted.
fn print_layers(layers: &[InFile<'_>], list: bool) -> Result<()> {
    let rows = by_dtype(layers).into_iter().map(|(dtype, (count, sum))| {
        [dtype.to_owned(), count.to_string()].into_iter().chain(cells(&sum)).collect()
    });
    print_table(&["dtype", "layers"], rows.collect())?;
    if !list {
        return Ok(());
    }
    let rows = layers.iter().map(|(path, (layer, expected))| {
        let [name, dtype, shape] = report::layer(layer);
        let name = if path.is_empty() { name } else { format!("{path}:{name}") };
        [name, dtype, shape].into_iter().chain(cells(expected)).collect()
    });
    print_table(&report::LAYER, rows.collect())
}

/// A table below a blank line, unless it has no rows.
fn print_table(first: &[&str], rows: Vec<Vec<String>>) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    report::print(&format!("\n{}", report::table(&[first, &HEADER].concat(), &rows)))
}

fn fields(expected: &Expected) -> Value {
    json!({
        "original_bytes": expected.original_bytes,
        "expected_bytes": expected.expected_bytes,
        "ratio": expected.ratio(),
        "order0_bytes": expected.order0_bytes,
        "classes_saved_bytes": expected.classes_saved_bytes,
        "means_saved_bytes": expected.means_saved_bytes,
        "worth_it": expected.worth_it(),
    })
}

/// The columns of a table, but the first ones.
fn cells(expected: &Expected) -> [String; 6] {
    let percent = |bytes: u64| {
        format!("{:.2} %", 100.0 * bytes as f64 / expected.original_bytes.max(1) as f64)
    };
    [
        expected.original_bytes.to_string(),
        percent(expected.expected_bytes),
        percent(expected.order0_bytes),
        percent(expected.classes_saved_bytes),
        percent(expected.means_saved_bytes),
        if expected.worth_it() { String::new() } else { "not worth it".to_owned() },
    ]
}
