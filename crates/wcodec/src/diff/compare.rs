//! From two files to what differs between them: what is to be measured, and what that says of each layer.

use super::pairs::{Pairs, Partner};
use super::side::Side;
use super::tally::{Measured, Parts};
use super::work::{Outcome, Task, Work};
use super::{Diff, DiffFile, LayerDiff, Relation};
use crate::base::known::{BYTES_GAIN, NAMED_GAIN};
use crate::dtype::ElementType;
use crate::error::Result;
use crate::layer::Layer;
use crate::options::{Observer, Watch};
use crate::packing::Layout;
use crate::source::Located;
use std::ops::Range;
use std::time::Duration;
use wcodec_kernels::{Level, Prediction};

pub(super) fn compare(a: &Side<'_>, b: &Side<'_>, observer: &dyn Observer) -> Result<Diff> {
    let pairs = Pairs::find(a, b, observer)?;
    let layers = b.layers.iter().zip(&pairs.of_b);
    let mut tasks: Vec<Task<'_>> = layers.map(|(own, &partner)| task(own, partner, a)).collect();
    let aligned = outside(a, b, &mut tasks);
    let watch = Watch::new(observer, tasks.iter().map(|task| task.bytes).sum());
    let outcomes = Work { a, b, level: Level::detect() }.run(&tasks, &watch)?;

    let (of_layers, of_outside) = outcomes.split_at(b.layers.len());
    let of_b = b.layers.iter().zip(&pairs.of_b).zip(of_layers);
    let mut layers: Vec<LayerDiff> =
        of_b.map(|((own, &partner), outcome)| layer_diff(own, partner, a, outcome)).collect();
    layers.extend(pairs.only_a.iter().map(|&number| only_in_a(&a.layers[number].layer)));
    let changed = of_outside.iter().any(|outcome| outcome.measured.changed > 0);
    let expected: f64 = of_outside.iter().map(|outcome| outcome.compressed).sum();
    Ok(Diff {
        a: file(a),
        b: file(b),
        layers,
        outside_same: aligned && !changed && a.same_entries(b),
        outside_expected_bytes: expected as u64,
        elapsed: Duration::ZERO,
    })
}

fn file(side: &Side<'_>) -> DiffFile {
    let layers: u64 = side.layers.iter().map(|located| located.layer.bytes).sum();
    DiffFile {
        source: side.kind,
        original_bytes: side.bytes,
        outside_bytes: side.bytes.saturating_sub(layers),
        layers: side.layers.len() as u64,
    }
}

/// What is to be measured of a layer of B.
fn task<'a>(own: &'a Located, partner: Partner, a: &'a Side<'_>) -> Task<'a> {
    let (theirs, flip) = match partner {
        Partner::Same { a: number, flip } => (a.layers.get(number), flip),
        Partner::None | Partner::OtherForm(_) => (None, false),
    };
    // Small layers of a `.wcodec` file have lost their layouts.
    let located = [Some(own), theirs].into_iter().flatten();
    let layouts = located.filter_map(|l| Some(&l.structs.as_ref()?.layout));
    let fits = |layout: &&Layout| layout.structs(&own.layer).is_ok();
    let parts = match layouts.filter(|_| own.layer.element().is_none()).find(fits) {
        Some(layout) => Parts::Structs(layout),
        None => Parts::Elements(own.layer.element_or_bytes()),
    };
    let a = theirs.map(|theirs| theirs.at);
    Task { parts, bytes: own.layer.bytes, b: own.at, a, flip, outside: false }
}

/// Adds what is to be measured of the bytes outside of layers; whether those of both files lie between
/// equally many layers and are equally many.
fn outside<'a>(a: &Side<'_>, b: &Side<'_>, tasks: &mut Vec<Task<'a>>) -> bool {
    let (theirs, own) = (a.outside(), b.outside());
    let lengths = |ranges: &[Range<u64>]| -> Vec<u64> {
        ranges.iter().map(|range| range.end - range.start).collect()
    };
    let aligned = lengths(&theirs) == lengths(&own);
    let parts = Parts::Elements(ElementType::Bytes);
    tasks.extend(own.iter().enumerate().map(|(number, range)| {
        let a = theirs.get(number).filter(|_| aligned).map(|range| range.start);
        let bytes = range.end - range.start;
        Task { parts, bytes, b: range.start, a, flip: false, outside: true }
    }));
    aligned
}

fn layer_diff(own: &Located, partner: Partner, a: &Side<'_>, outcome: &Outcome) -> LayerDiff {
    let Measured { compared, changed, alone, difference, xor } = outcome.measured;
    let theirs = |number: usize| a.layers.get(number).map(|located| located.layer.clone());
    let alone_bytes = (alone / 8.0) as u64;
    let diff = LayerDiff {
        b: Some(own.layer.clone()),
        alone_bytes,
        expected_bytes: alone_bytes,
        ..unpaired(Relation::OnlyInB)
    };
    let (number, flipped) = match partner {
        Partner::None => return diff,
        Partner::OtherForm(a) => {
            return LayerDiff { a: theirs(a), relation: Relation::OtherForm, ..diff };
        }
        Partner::Same { a, flip } => (a, flip),
    };
    let bits = difference.min(xor);
    let gains = bits < alone * (1.0 - 1.0 / NAMED_GAIN as f64);
    // The same numbers as another dtype are other bytes.
    let same_dtype = theirs(number).is_some_and(|theirs| theirs.dtype == own.layer.dtype);
    let relation = match changed {
        0 if same_dtype && !flipped => Relation::Identical,
        _ if gains || changed <= compared / 2 => Relation::Similar,
        _ => Relation::Unrelated,
    };
    let difference_bits = if relation == Relation::Identical { 0.0 } else { bits };
    let prediction = if xor < difference { Prediction::Xor } else { Prediction::Difference };
    // Layers of packed bits are coded by their fields or predicted as bytes.
    let gain = own.layer.element().map_or(alone / BYTES_GAIN as f64, |_| 0.0);
    let with_base = if difference_bits < alone - gain { difference_bits } else { alone };
    LayerDiff {
        a: theirs(number),
        relation,
        compared,
        changed,
        prediction,
        flipped,
        difference_bits,
        expected_bytes: (with_base / 8.0) as u64,
        ..diff
    }
}

fn only_in_a(layer: &Layer) -> LayerDiff {
    LayerDiff { a: Some(layer.clone()), ..unpaired(Relation::OnlyInA) }
}

/// Neither of both layers, and nothing measured.
fn unpaired(relation: Relation) -> LayerDiff {
    LayerDiff {
        a: None,
        b: None,
        relation,
        compared: 0,
        changed: 0,
        prediction: Prediction::Difference,
        flipped: false,
        difference_bits: 0.0,
        alone_bytes: 0,
        expected_bytes: 0,
    }
}
