//! `wcodec diff`.

use super::stream::Input;
use crate::args::DiffArgs;
use crate::report;
use crate::terminal::Terminal;
use serde_json::{Map, Value, json};
use std::path::Path;
use wcodec::{
    Bases, DecodeOptions, Diff, DiffFile, Layer, LayerDiff, Prediction, Relation, Result,
    SourceKind,
};

/// Layers that are shown without `--layers`.
const SHOWN: usize = 40;

const IDENTICAL: u8 = 0;
const DIFFERENT: u8 = 1;

pub(super) fn run(args: &DiffArgs) -> Result<u8> {
    let mut options = DecodeOptions::default();
    options.threads = args.run.threads;
    options.limits = super::limits(&args.limits);
    options.bases = bases(args)?;
    let (a, b) = (Input::open(&args.a)?, Input::open(&args.b)?);
    let terminal = Terminal::new(args.run.quiet)?;
    let diff = wcodec::diff((&args.a, &a.file), (&args.b, &b.file), &options, &terminal)?;
    terminal.finish();
    let printed = match args.run.json {
        true => report::print_json(&to_json(&diff)),
        false => report::print(&to_text(&diff, args)),
    };
    match printed {
        // A reader that has seen enough does not make the files equal.
        Err(error) if !crate::is_broken_pipe(&error) => Err(error),
        _ => Ok(if diff.identical() { IDENTICAL } else { DIFFERENT }),
    }
}

/// Either file may be a base of the other.
fn bases(args: &DiffArgs) -> Result<Bases> {
    let mut bases = super::bases(&args.bases)?;
    for path in [&args.a, &args.b].into_iter().filter(|path| path.is_file()) {
        bases.add_file(path)?;
    }
    Ok(bases)
}

/// Layers of a relation, and their bytes.
#[derive(Clone, Copy, Default)]
struct Group {
    layers: u64,
    bytes: u64,
    compared: u64,
    changed: u64,
    elements: u64,
    bits: f64,
}

impl Group {
    fn of<'a>(layers: impl Iterator<Item = &'a LayerDiff>) -> Group {
        layers.fold(Group::default(), |mut group, diff| {
            group.layers += 1;
            group.bytes += diff.layer().map_or(0, |layer| layer.bytes);
            group.compared += diff.compared;
            group.changed += diff.changed;
            if diff.compared > 0 {
                group.elements += diff.layer().and_then(Layer::elements).unwrap_or(0);
                group.bits += diff.difference_bits;
            }
            group
        })
    }

    fn changed_share(&self) -> Option<f64> {
        (self.compared > 0).then(|| self.changed as f64 / self.compared as f64)
    }

    fn bits_per_weight(&self) -> Option<f64> {
        (self.elements > 0).then(|| self.bits / self.elements as f64)
    }
}

fn groups(diff: &Diff) -> impl Iterator<Item = (Relation, Group)> {
    Relation::ALL.into_iter().map(|relation| {
        let of = diff.layers.iter().filter(move |layer| layer.relation == relation);
        (relation, Group::of(of))
    })
}

fn to_json(diff: &Diff) -> Value {
    let relations: Map<String, Value> = groups(diff)
        .map(|(relation, group)| {
            let value = json!({ "layers": group.layers, "bytes": group.bytes });
            (relation.name().to_owned(), value)
        })
        .collect();
    let all = Group::of(diff.layers.iter());
    let file = |file: &DiffFile| {
        json!({
            "source": file.source.name(),
            "original_bytes": file.original_bytes,
            "outside_bytes": file.outside_bytes,
            "layers": file.layers,
        })
    };
    json!({
        "identical": diff.identical(),
        "a": file(&diff.a),
        "b": file(&diff.b),
        "relations": relations,
        "compared": all.compared,
        "changed": all.changed,
        "changed_share": all.changed_share(),
        "bits_per_weight": all.bits_per_weight(),
        "outside_same": diff.outside_same,
        "expected_bytes": diff.expected_bytes(),
        "seconds": diff.elapsed.as_secs_f64(),
        "layer_list": diff.layers.iter().map(layer_json).collect::<Vec<_>>(),
    })
}

fn layer_json(diff: &LayerDiff) -> Value {
    let layer = |layer: &Option<Layer>| {
        layer.as_ref().map(|layer| {
            json!({ "name": layer.name, "dtype": layer.dtype, "shape": layer.shape, "bytes": layer.bytes })
        })
    };
    json!({
        "relation": diff.relation.name(),
        "a": layer(&diff.a),
        "b": layer(&diff.b),
        "compared": diff.compared,
        "changed": diff.changed,
        "changed_share": diff.changed_share(),
        "bits_per_weight": diff.bits_per_weight(),
        "prediction": prediction(diff),
        "flipped": diff.flipped,
        "alone_bytes": diff.alone_bytes,
        "expected_bytes": diff.expected_bytes,
    })
}

/// What the difference of a layer is measured in; nothing if there is none.
fn prediction(diff: &LayerDiff) -> Option<&'static str> {
    let differs = matches!(diff.relation, Relation::Similar | Relation::Unrelated);
    differs.then_some(match diff.prediction {
        Prediction::Difference => "difference",
        Prediction::Xor => "xor",
    })
}

fn to_text(diff: &Diff, args: &DiffArgs) -> String {
    let mut text = format!("{}\n{}\n", file(&args.a, &diff.a), file(&args.b, &diff.b));
    let header = ["", "layers", "bytes", "changed", "bits/weight"];
    let present = groups(diff).filter(|(_, group)| group.layers > 0);
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
    if !rows.is_empty() {
        text += &format!("\n{}\n", report::table(&header, &rows));
    }
    text += &format!("\n{}", conclusion(diff));
    let (shown, left) = shown(diff, args.layers);
    let header = [&report::LAYER[..], &["", "changed", "bits/weight", "in A"]].concat();
    let rows: Vec<Vec<String>> = shown.into_iter().map(cells).collect();
    if !rows.is_empty() {
        text += &format!("\n\n{}", report::table(&header, &rows));
    }
    if left > 0 {
        text += &format!("\n{left} more, in which less differs; --layers shows all");
    }
    text
}

/// The layers that are shown, in the order of the files, and how many others differ.
fn shown(diff: &Diff, all: bool) -> (Vec<&LayerDiff>, usize) {
    if all {
        return (diff.layers.iter().collect(), 0);
    }
    let differs = |diff: &LayerDiff| diff.relation != Relation::Identical || diff.renamed();
    let new_bytes = |diff: &LayerDiff| match diff.relation {
        Relation::OnlyInA => diff.layer().map_or(0, |layer| layer.bytes),
        Relation::Similar => (diff.difference_bits / 8.0) as u64,
        Relation::Identical => 0,
        _ => diff.alone_bytes,
    };
    let layers = diff.layers.iter().enumerate().filter(|(_, layer)| differs(layer));
    let mut layers: Vec<(usize, &LayerDiff)> = layers.collect();
    layers.sort_by_key(|(_, layer)| std::cmp::Reverse(new_bytes(layer)));
    let left = layers.len().saturating_sub(SHOWN);
    layers.truncate(SHOWN);
    layers.sort_by_key(|(place, _)| *place);
    (layers.into_iter().map(|(_, layer)| layer).collect(), left)
}

fn file(path: &Path, file: &DiffFile) -> String {
    let DiffFile { source, layers, original_bytes, .. } = file;
    format!("{}: {}, {layers} layers, {original_bytes} bytes", path.display(), source.name())
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
    let all = Group::of(diff.layers.iter());
    let changed = all.changed_share().map_or_else(String::new, |share| {
        format!("{} of the elements in both changed; ", percent(Some(share)))
    });
    let (expected, bytes) = (diff.expected_bytes(), diff.b.original_bytes);
    let ratio = percent(Some(expected as f64 / bytes.max(1) as f64));
    format!("{changed}{outside}\nB with A as its base: about {expected} bytes ({ratio}); {time}")
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
fn cells(diff: &LayerDiff) -> Vec<String> {
    let mut cells: Vec<String> = diff.layer().map(report::layer).into_iter().flatten().collect();
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
