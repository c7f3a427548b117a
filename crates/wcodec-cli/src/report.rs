//! Results as text and as JSON. README.md documents the fields.

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use wcodec::{Error, Layer, Predictor, Result, Stats};

/// Totals as JSON.
pub(crate) fn stats_json(stats: &Stats) -> Value {
    let tiles: serde_json::Map<String, Value> = Predictor::ALL
        .iter()
        .zip(stats.tiles_by_predictor)
        .map(|(p, count)| (p.name().to_owned(), json!(count)))
        .collect();
    json!({
        "original_bytes": stats.original_bytes,
        "coded_bytes": stats.coded_bytes,
        "ratio": stats.ratio(),
        "elements": stats.elements,
        "bits_per_weight": stats.bits_per_weight(),
        "blocks": stats.blocks,
        "tiles": stats.tiles,
        "tiles_by_predictor": tiles,
        "scaled_elements": stats.scaled_elements,
        "predicted_elements": stats.predicted_elements,
        "base_elements": stats.base_elements,
        "base_class_elements": stats.base_class_elements,
        "copied_elements": stats.copied_elements,
        "table_bytes": stats.table_bytes,
        "map_bytes": stats.map_bytes,
        "seconds": stats.elapsed.as_secs_f64(),
    })
}

/// What became of a file.
#[derive(Clone, Copy)]
pub(crate) enum Done {
    Encoded,
    Decoded,
}

/// One line: sizes, what part of the original the coded one is, time.
fn summary(done: Done, stats: &Stats) -> String {
    let (original, seconds) = (stats.original_bytes, stats.elapsed.as_secs_f64());
    let (from, to) = match done {
        Done::Encoded => (original, stats.coded_bytes),
        Done::Decoded => (stats.coded_bytes, original),
    };
    let share = match original {
        0 => String::new(),
        _ => format!(" ({:.2} %)", 100.0 * stats.ratio()),
    };
    format!("{from} -> {to} bytes{share}, {seconds:.2} s, {:.2} GB/s", gbps(original, seconds))
}

/// Tells how a file was made: on standard output, or on standard error if the file went there.
pub(crate) fn finished(
    done: Done,
    (path, stats): (&Path, &Stats),
    json: bool,
    to_stdout: bool,
) -> Result<()> {
    let text = match json {
        true => format!("{:#}", stats_json(stats)),
        false => format!("{}: {}", name(path), summary(done, stats)),
    };
    if to_stdout {
        tell(&text);
        return Ok(());
    }
    print(&text)
}

/// Share of each predictor among the tiles, those that occur.
pub(crate) fn predictors(stats: &Stats) -> String {
    let share = |count: u64| 100.0 * count as f64 / stats.tiles.max(1) as f64;
    let parts: Vec<String> = Predictor::ALL
        .iter()
        .zip(stats.tiles_by_predictor)
        .filter(|(_, count)| *count > 0)
        .map(|(p, count)| format!("{} {:.0} %", p.name(), share(count)))
        .collect();
    parts.join(", ")
}

/// This part of the elements; nothing for none.
pub(crate) fn share(part: u64, stats: &Stats) -> String {
    match part {
        0 => String::new(),
        part => format!("{:.0} %", 100.0 * part as f64 / stats.elements.max(1) as f64),
    }
}

/// The first columns of a table of layers.
pub(crate) const LAYER: [&str; 3] = ["layer", "dtype", "shape"];

/// Their cells.
pub(crate) fn layer(layer: &Layer) -> [String; 3] {
    let shape: Vec<String> = layer.shape.iter().map(u64::to_string).collect();
    [layer.name.clone(), layer.dtype.clone(), shape.join("x")]
}

/// 10^9 bytes a second.
pub(crate) fn gbps(bytes: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { bytes as f64 / seconds / 1e9 } else { 0.0 }
}

/// A plain table, numbers to the right.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().copied());
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        let numeric = rows.iter().all(|row| {
            row.get(index).is_none_or(|cell| cell.starts_with(|c: char| c.is_ascii_digit()))
        });
        if numeric {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// A path as it is printed.
pub(crate) fn name(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

/// Text without control characters, which would reach the terminal, or break a line: names come from files.
fn printable(text: &str) -> String {
    let escape = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(escape).collect()
}

/// Prints to standard output. A reader that has seen enough (`wcodec info | head`) is no failure.
pub(crate) fn print(text: &str) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints JSON to standard output.
pub(crate) fn print_json(value: &Value) -> Result<()> {
    print(&format!("{value:#}"))
}

/// Tells of a failure, in one line.
pub(crate) fn error(error: &Error) {
    tell(&format!("wcodec: {}", printable(&error.to_string())));
}

/// Tells of something that is no failure, in one line.
pub(crate) fn warn(message: &str) {
    tell(&format!("wcodec: warning: {}", printable(message)));
}

/// Prints to standard error. Where that is closed there is nobody left to tell.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
