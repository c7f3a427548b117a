//! The comparison as text.

use super::{Group, all_layers, groups};
use crate::args::DiffArgs;
use crate::report;
use std::cmp::Reverse;
use std::path::Path;
use wcodec::{Diff, DiffFile, FileDiff, FolderDiff, LayerDiff, Relation, SourceKind};

/// Layers, and files, that are shown without `--layers`.
const SHOWN: usize = 40;

pub(super) fn files(diff: &Diff, args: &DiffArgs) -> String {
    let mut text = format!("{}\n{}\n", file(&args.a, &diff.a), file(&args.b, &diff.b));
    text += &relations(diff.layers.iter());
    text += &format!("\n{}", conclusion(diff));
    text + &layers(diff.layers.iter().map(|layer| ("", layer)).collect(), args.layers)
}

pub(super) fn folders(diff: &FolderDiff, args: &DiffArgs) -> String {
    let bytes = |of: fn(&Diff) -> &DiffFile| -> u64 {
        diff.files.iter().map(|file| of(&file.diff).original_bytes).sum()
    };
    let (bytes_a, bytes_b) = (bytes(|diff| &diff.a), bytes(|diff| &diff.b));
    let count = |is: fn(&FileDiff) -> bool| {
        diff.files.iter().filter(|file| !file.folder && is(file)).count()
    };
    let root = |path: &Path, files: usize, bytes: u64| {
        format!("{}: {files} files, {bytes} bytes\n", report::name(path))
    };
    let mut text = root(&args.a, count(|file| file.in_a), bytes_a);
    text += &root(&args.b, count(|file| file.in_b), bytes_b);
    text += &relations(all_layers(diff));
    let seconds = diff.elapsed.as_secs_f64();
    let time = format!("{seconds:.2} s, {:.2} GB/s", report::gbps(bytes_b, seconds));
    if diff.identical() {
        text += &format!("\nidentical: no file differs; {time}");
    } else {
        let both = diff.files.iter().filter(|file| file.in_a && file.in_b);
        text += &format!(
            "\n{} of {} in both differ, {} only in A, {} only in B",
            both.clone().filter(|file| !file.identical()).count(),
            both.count(),
            diff.files.iter().filter(|file| !file.in_b).count(),
            diff.files.iter().filter(|file| !file.in_a).count(),
        );
        text += &changed(Group::of(all_layers(diff)));
        let what = "each file of B with that of A as its base";
        text += &format!("\n{}; {time}", expected(what, diff.expected_bytes(), bytes_b));
    }
    text += &file_table(diff, args.layers);
    // Of a file that is in one folder only, all layers are.
    let files = diff.files.iter().filter(|file| args.layers || file.in_a && file.in_b);
    let of_files = files.flat_map(|file| {
        let path = file.path.as_str();
        file.diff.layers.iter().map(move |layer| (path, layer))
    });
    text + &layers(of_files.collect(), args.layers)
}

/// The files that are shown.
fn file_table(diff: &FolderDiff, all: bool) -> String {
    let files = diff.files.iter().filter(|file| all || !file.identical());
    let files: Vec<&FileDiff> = files.collect();
    let most = if all { files.len() } else { SHOWN };
    let header = ["file", "bytes", "", "changed", "bits/weight"];
    let rows: Vec<Vec<String>> = files.iter().take(most).map(|file| file_cells(file)).collect();
    let mut text = String::new();
    if !rows.is_empty() {
        text += &format!("\n\n{}", report::table(&header, &rows));
    }
    if files.len() > most {
        text += &format!("\n{} more files differ; --layers shows all", files.len() - most);
    }
    text
}

fn file_cells(file: &FileDiff) -> Vec<String> {
    let of = if file.in_b { &file.diff.b } else { &file.diff.a };
    let group = Group::of(file.diff.layers.iter());
    let label = match (file.in_a, file.in_b) {
        (true, false) => label(Relation::OnlyInA),
        (false, _) => label(Relation::OnlyInB),
        _ if file.identical() => label(Relation::Identical),
        _ if file.diff.identical() => "the executable bit differs",
        _ => "differs",
    };
    let path = if file.folder { format!("{}/", file.path) } else { file.path.clone() };
    vec![
        path,
        of.original_bytes.to_string(),
        label.to_owned(),
        percent(group.changed_share()),
        bits(group.bits_per_weight()),
    ]
}

/// A table of the layers by their relation.
fn relations<'a>(layers: impl Iterator<Item = &'a LayerDiff> + Clone) -> String {
    let header = ["", "layers", "bytes", "changed", "bits/weight"];
    let present = groups(layers).filter(|(_, group)| group.layers > 0);
    let rows: Vec<Vec<String>> = present
        .map(|(relation, group)| {
            vec![
                label(relation).to_owned(),
                group.layers.to_string(),
                group.bytes.to_string(),
                percent(group.changed_share()),
                bits(group.bits_per_weight()),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    format!("\n{}\n", report::table(&header, &rows))
}

/// A table of the layers, of each of which the path of the file is told, that are shown.
fn layers(layers: Vec<(&str, &LayerDiff)>, all: bool) -> String {
    let (shown, left) = shown(layers, all);
    let header = [&report::LAYER[..], &["", "changed", "bits/weight", "in A"]].concat();
    let rows: Vec<Vec<String>> = shown.into_iter().map(cells).collect();
    let mut text = String::new();
    if !rows.is_empty() {
        text += &format!("\n\n{}", report::table(&header, &rows));
    }
    if left > 0 {
        text += &format!("\n{left} more, in which less differs; --layers shows all");
    }
    text
}

/// The layers that are shown, in the order of the files, and how many others differ.
fn shown<'a>(
    layers: Vec<(&'a str, &'a LayerDiff)>,
    all: bool,
) -> (Vec<(&'a str, &'a LayerDiff)>, usize) {
    if all {
        return (layers, 0);
    }
    let differs = |diff: &LayerDiff| diff.relation != Relation::Identical || diff.renamed();
    let new_bytes = |diff: &LayerDiff| match diff.relation {
        Relation::OnlyInA => diff.layer().map_or(0, |layer| layer.bytes),
        Relation::Similar => (diff.difference_bits / 8.0) as u64,
        Relation::Identical => 0,
        _ => diff.alone_bytes,
    };
    let layers = layers.into_iter().enumerate().filter(|(_, (_, layer))| differs(layer));
    let mut layers: Vec<(usize, (&str, &LayerDiff))> = layers.collect();
    layers.sort_by_key(|(_, (_, layer))| Reverse(new_bytes(layer)));
    let left = layers.len().saturating_sub(SHOWN);
    layers.truncate(SHOWN);
    layers.sort_by_key(|(place, _)| *place);
    (layers.into_iter().map(|(_, layer)| layer).collect(), left)
}

fn file(path: &Path, file: &DiffFile) -> String {
    let DiffFile { source, layers, original_bytes, .. } = file;
    format!("{}: {}, {layers} layers, {original_bytes} bytes", report::name(path), source.name())
}

/// What the files are to each other.
fn conclusion(diff: &Diff) -> String {
    let outside = match (diff.outside_same, diff.a.source == diff.b.source) {
        (true, _) => "the bytes outside of layers are the same",
        (false, true) if diff.a.source == SourceKind::Archive => {
            "the bytes outside of layers, or the files' paths and executable bits, differ"
        }
        (false, true) => "the bytes outside of layers differ",
        (false, false) => "the bytes outside of layers are those of two formats",
    };
    let seconds = diff.elapsed.as_secs_f64();
    let time = format!("{seconds:.2} s, {:.2} GB/s", report::gbps(diff.b.original_bytes, seconds),);
    if diff.identical() {
        return format!("identical: no layer differs, and {outside}; {time}");
    }
    let changed = changed(Group::of(diff.layers.iter()));
    let changed = changed.strip_prefix("; ").map_or_else(String::new, |text| format!("{text}; "));
    let expected = expected("B with A as its base", diff.expected_bytes(), diff.b.original_bytes);
    format!("{changed}{outside}\n{expected}; {time}")
}

/// How many elements changed, if there are some in both.
fn changed(all: Group) -> String {
    all.changed_share().map_or_else(String::new, |share| {
        format!("; {} of the elements in both changed", percent(Some(share)))
    })
}

fn expected(what: &str, expected: u64, bytes: u64) -> String {
    let ratio = percent(Some(expected as f64 / bytes.max(1) as f64));
    format!("{what}: about {expected} bytes ({ratio})")
}

fn label(relation: Relation) -> &'static str {
    match relation {
        Relation::OtherForm => "other shape or dtype",
        Relation::OnlyInA => "only in A",
        Relation::OnlyInB => "only in B",
        other => other.name(),
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(String::new, |share| format!("{:.2} %", 100.0 * share))
}

fn bits(bits: Option<f64>) -> String {
    bits.map_or_else(String::new, |bits| format!("{bits:.3}"))
}

/// The row of a layer.
fn cells((path, diff): (&str, &LayerDiff)) -> Vec<String> {
    let mut cells: Vec<String> = diff.layer().map(report::layer).into_iter().flatten().collect();
    if let Some(name) = cells.first_mut().filter(|_| !path.is_empty()) {
        *name = format!("{path}:{name}");
    }
    cells.extend([
        label(diff.relation).to_owned(),
        percent(diff.changed_share()),
        bits(diff.bits_per_weight()),
        in_a(diff),
    ]);
    cells
}

/// What a layer of B is in A, as far as it is not the same there.
fn in_a(diff: &LayerDiff) -> String {
    let (Some(a), Some(b)) = (&diff.a, &diff.b) else { return String::new() };
    let [name, dtype, shape] = report::layer(a);
    let mut parts = Vec::new();
    if a.name != b.name {
        parts.push(name);
    }
    if a.dtype != b.dtype {
        parts.push(dtype);
    }
    if a.shape != b.shape {
        parts.push(shape);
    }
    if diff.flipped {
        parts.push("shifted by half the range".to_owned());
    }
    parts.join(" ")
}
