//! `wcodec estimate`.

use super::stream::Input;
use crate::args::EstimateArgs;
use crate::report;
use crate::terminal::Terminal;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use wcodec::{Expected, Result};

pub(super) fn run(args: &EstimateArgs) -> Result<()> {
    let mut options = super::encode_options(&args.codec);
    options.threads = args.run.threads;
    let input = Input::open(&args.input)?;
    let terminal = Terminal::new(args.run.quiet)?;
    let estimate =
        wcodec::estimate(&input.file, &options, &terminal).map_err(|e| input.place(e))?;
    terminal.finish();
    let mut by_dtype: BTreeMap<&str, (usize, Expected)> = BTreeMap::new();
    for (layer, expected) in &estimate.layers {
        let (count, sum) = by_dtype.entry(&layer.dtype).or_default();
        *count += 1;
        *sum += *expected;
    }
    if args.run.json {
        let mut value = fields(&estimate.total);
        value["source"] = json!(estimate.source.name());
        value["sampled_bytes"] = json!(estimate.sampled_bytes);
        value["seconds"] = json!(estimate.elapsed.as_secs_f64());
        value["layers"] = json!(estimate.layers.len());
        let dtype = |(dtype, (count, sum)): (&&str, &(usize, Expected))| {
            ((*dtype).to_owned(), json!({ "layers": count, "estimate": fields(sum) }))
        };
        value["by_dtype"] = by_dtype.iter().map(dtype).collect::<Map<String, Value>>().into();
        if args.layers {
            let layer = |(layer, expected): &(wcodec::Layer, Expected)| {
                let mut value = fields(expected);
                value["name"] = json!(layer.name);
                value["dtype"] = json!(layer.dtype);
                value["shape"] = json!(layer.shape);
                value
            };
            value["layer_list"] = estimate.layers.iter().map(layer).collect();
        }
        return report::print_json(&value);
    }

    let total = &estimate.total;
    report::print(&format!(
        "{}: {}, {} layers\n{} -> about {} bytes ({:.2} %){}; {:.0} % of it encoded in {:.1} s",
        args.input.display(),
        estimate.source.name(),
        estimate.layers.len(),
        total.original_bytes,
        total.expected_bytes,
        100.0 * total.ratio(),
        if total.worth_it() { "" } else { ": not worth it" },
        100.0 * estimate.sampled_bytes as f64 / total.original_bytes.max(1) as f64,
        estimate.elapsed.as_secs_f64(),
    ))?;
    let header = ["bytes", "expected", "order 0", "classes save", "means save", ""];
    let rows: Vec<Vec<String>> = by_dtype
        .iter()
        .map(|(dtype, (count, sum))| {
            [(*dtype).to_owned(), count.to_string()].into_iter().chain(cells(sum)).collect()
        })
        .collect();
    if !rows.is_empty() {
        let header = [&["dtype", "layers"][..], &header].concat();
        report::print(&format!("\n{}", report::table(&header, &rows)))?;
    }
    if args.layers {
        let rows: Vec<Vec<String>> = estimate
            .layers
            .iter()
            .map(|(layer, expected)| {
                report::layer(layer).into_iter().chain(cells(expected)).collect()
            })
            .collect();
        let header = [&report::LAYER[..], &header].concat();
        report::print(&format!("\n{}", report::table(&header, &rows)))?;
    }
    Ok(())
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
