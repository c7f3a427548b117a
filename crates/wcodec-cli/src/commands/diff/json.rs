//! The comparison as JSON. README.md documents the fields.

use super::{Group, all_layers, groups};
use serde_json::{Map, Value, json};
use wcodec::{Diff, DiffFile, FileDiff, FolderDiff, Layer, LayerDiff, Prediction, Relation};

pub(super) fn files(diff: &Diff) -> Value {
    let file = |file: &DiffFile| {
        json!({
            "source": file.source.name(),
            "original_bytes": file.original_bytes,
            "outside_bytes": file.outside_bytes,
            "layers": file.layers,
        })
    };
    let mut value = totals(diff.layers.iter());
    value["identical"] = json!(diff.identical());
    value["a"] = file(&diff.a);
    value["b"] = file(&diff.b);
    value["outside_same"] = json!(diff.outside_same);
    value["expected_bytes"] = json!(diff.expected_bytes());
    value["seconds"] = json!(diff.elapsed.as_secs_f64());
    value["layer_list"] = diff.layers.iter().map(layer_json).collect();
    value
}

pub(super) fn folders(diff: &FolderDiff) -> Value {
    let file = |file: &FileDiff| {
        let mut value = files(&file.diff);
        if !file.in_a {
            value["a"] = Value::Null;
        }
        if !file.in_b {
            value["b"] = Value::Null;
        }
        value["identical"] = json!(file.identical());
        value["path"] = json!(file.path);
        value["folder"] = json!(file.folder);
        value["executable_same"] = json!(file.executable_same);
        value
    };
    let mut value = totals(all_layers(diff));
    value["identical"] = json!(diff.identical());
    value["expected_bytes"] = json!(diff.expected_bytes());
    value["seconds"] = json!(diff.elapsed.as_secs_f64());
    value["files"] = diff.files.iter().map(file).collect();
    value
}

/// What layers are to each other, all of them together.
fn totals<'a>(layers: impl Iterator<Item = &'a LayerDiff> + Clone) -> Value {
    let relations: Map<String, Value> = groups(layers.clone())
        .map(|(relation, group)| {
            let value = json!({ "layers": group.layers, "bytes": group.bytes });
            (relation.name().to_owned(), value)
        })
        .collect();
    let all = Group::of(layers);
    json!({
        "relations": relations,
        "compared": all.compared,
        "changed": all.changed,
        "changed_share": all.changed_share(),
        "bits_per_weight": all.bits_per_weight(),
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
