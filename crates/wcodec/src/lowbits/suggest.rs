//! What the integers of a tensor may hold, by its name, dtype and shape, and by the scales beside it.
//!
//! GPTQ, AWQ, compressed-tensors, MLX, MXFP4, NVFP4 and the others differ in the order of the codes in their
//! integers, which does not matter here, and in whether codes that share a scale lie side by side or below each
//! other, which does.

use crate::dtype::ElementType;
use crate::layer::Layer;
use crate::packing::{Field, Layout, Structs, View};
use crate::source::Located;
use std::collections::HashMap;
use wcodec_kernels::{Axis, CodeField, Piece};

/// Smaller layers cannot pay for scale classes.
const MIN_BYTES: u64 = 16 << 10;
/// Scales that are looked at for a tensor.
const MOST_SCALES: usize = 64;
/// Codes that share a scale.
const GROUP: std::ops::RangeInclusive<u64> = 16..=1024;
/// Bytes of a struct. Within it codes lie in an order that is quickly taken apart: the lowest bits of all
/// bytes, then the next ones.
const STRUCT_BYTES: u64 = 16;
/// Bytes of a row of integers that may be one struct: a few such layouts must be within what a file may have.
const MAX_ROW_BYTES: u64 = 128 << 10;
/// Names of tensors of packed codes that have no scales.
const NAMES: [&str; 3] = ["zero", "packed", "qweight"];
/// Bytes that a sample must be able to have several times.
const MAX_STEP: u64 = 4 << 20;

/// Tensors that the same suggestion suits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    /// The last part of their names, without numbers.
    suffix: String,
    dtype: String,
    grouping: Grouping,
    structs: usize,
}

/// Where the codes are that share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Grouping {
    /// Nobody knows.
    Unknown,
    /// Side by side.
    Along,
    /// Below each other.
    Down,
    /// Below each other, and so are the codes of an integer: GPTQ.
    DownInWords,
}

/// What a tensor may be.
#[derive(Clone, Debug)]
pub(super) struct Suggestions {
    pub(super) kind: Kind,
    /// Not empty.
    pub(super) structs: Vec<Structs>,
    /// Parts of so many bytes, and several of them, are to the structs as the whole layer is.
    pub(super) step: u64,
}

/// How codes become elements.
#[derive(Clone, Copy)]
enum Codes {
    /// Counted from 0, so that the mean of some of them tells their scale and their zero point.
    FromZero(u32),
    /// Around the middle of their range.
    Centred(u32),
    /// A sign above a magnitude of three bits, as in E2M1: the sign becomes the lowest bit.
    Signed,
}

/// Suggestions for the layers that may have packed codes, by their numbers.
pub(super) fn suggestions(layers: &[Located]) -> Vec<(usize, Suggestions)> {
    let scales = Scales::of(layers);
    let of = |(number, located): (usize, &Located)| {
        if located.structs.is_some() || located.layer.bytes < MIN_BYTES {
            return None;
        }
        Some((number, of_layer(&located.layer, &scales)?))
    };
    layers.iter().enumerate().filter_map(of).collect()
}

/// The tensors that look like scales by their names, by the module that they are part of.
struct Scales<'a>(HashMap<&'a str, Vec<&'a Layer>>);

impl<'a> Scales<'a> {
    fn of(layers: &'a [Located]) -> Scales<'a> {
        let mut scales: HashMap<&str, Vec<&Layer>> = HashMap::new();
        for Located { layer, .. } in layers {
            let (module, name) = split(&layer.name);
            let name = name.to_ascii_lowercase();
            if name.contains("scale") || name.contains("absmax") {
                // Of `weight.absmax` the tensor is `weight`.
                let outer = split(module.trim_end_matches('.')).0;
                for module in [module, outer] {
                    scales.entry(module).or_default().push(layer);
                }
            }
        }
        Scales(scales)
    }

    /// The scales of a tensor: those whose name has the most in common with its own, and of which there are as many
    /// as its codes may have.
    fn for_layer(&self, layer: &Layer) -> Option<&'a Layer> {
        let known = self.0.get(split(&layer.name).0)?;
        let common = |scale: &&&Layer| {
            let pairs = scale.name.bytes().zip(layer.name.bytes());
            pairs.take_while(|(a, b)| a == b).count()
        };
        let fits = |scale: &&&Layer| {
            let count = scale.elements().unwrap_or(0);
            let group = |bits: u64| layer.bytes.saturating_mul(8 / bits).checked_div(count);
            let usual = [4, 2].iter().any(|bits| group(*bits).is_some_and(|g| GROUP.contains(&g)));
            scale.name != layer.name && usual && layer.bytes.is_multiple_of(count)
        };
        known.iter().take(MOST_SCALES).filter(fits).max_by_key(common).copied()
    }
}

/// The module that a tensor is part of, with the dot behind it, and the rest of its name.
fn split(name: &str) -> (&str, &str) {
    name.split_at(name.rfind('.').map_or(0, |dot| dot + 1))
}

fn of_layer(layer: &Layer, scales: &Scales<'_>) -> Option<Suggestions> {
    let rows = Rows::of(layer)?;
    let (_, name) = split(&layer.name);
    let mut grouping = Grouping::Unknown;
    let mut structs = Vec::new();
    if let Some(scale) = scales.for_layer(layer) {
        for bits in [4, 2] {
            let Some((found, views)) = views(layer, scale, bits) else { continue };
            grouping = found;
            for view in views {
                structs.extend(
                    codes(bits).iter().filter_map(|codes| rows.structs(*codes, found, view)),
                );
            }
        }
    } else if rows.element.size() == 4 && NAMES.iter().any(|known| name.contains(known)) {
        let view = View { cols: rows.bytes * 2, together: None };
        let known = [Codes::FromZero(4), Codes::Centred(4)];
        structs.extend(known.iter().filter_map(|codes| rows.structs(*codes, grouping, view)));
    }
    let step = structs.iter().try_fold(rows.bytes, |step, structs| lcm(step, structs.step()?))?;
    if structs.is_empty() || step > MAX_STEP {
        return None;
    }
    let suffix = name.chars().filter(|c| !c.is_ascii_digit()).collect();
    let kind = Kind { suffix, dtype: layer.dtype.clone(), grouping, structs: structs.len() };
    Some(Suggestions { kind, structs, step })
}

/// How codes of so many bits may become elements.
fn codes(bits: u64) -> &'static [Codes] {
    match bits {
        4 => &[Codes::FromZero(4), Codes::Centred(4), Codes::Signed],
        _ => &[Codes::FromZero(2), Codes::Centred(2)],
    }
}

/// Where the codes of a tensor share scales, and how they may be seen then.
fn views(layer: &Layer, scale: &Layer, bits: u64) -> Option<(Grouping, Vec<View>)> {
    let codes = layer.bytes.checked_mul(8 / bits)?;
    let count = scale.elements().filter(|&count| count > 0 && codes.is_multiple_of(count))?;
    let group = Some(codes / count).filter(|group| GROUP.contains(group))?;
    let along = View { cols: group, together: None };
    if let ([rows, across], [down, all]) = (&layer.shape[..], &scale.shape[..])
        && down < rows
    {
        let down = |grouping, cols| Some((grouping, vec![View { cols, together: Some(group) }]));
        if codes / rows == *all {
            return down(Grouping::Down, *all);
        }
        if across == all {
            return down(Grouping::DownInWords, *all);
        }
    }
    let mut views = vec![along];
    if let [_, .., last] = scale.shape[..]
        && last > 1
    {
        views.push(View { cols: group.checked_mul(last)?, together: None });
    }
    Some((Grouping::Along, views))
}

/// What structs are made of.
struct Rows {
    element: ElementType,
    /// Elements of the last dimension.
    across: u64,
    /// Their bytes.
    bytes: u64,
}

impl Rows {
    fn of(layer: &Layer) -> Option<Rows> {
        use ElementType::{I8, I32, U8, U32};
        let element = layer.element().filter(|element| matches!(element, I8 | U8 | I32 | U32))?;
        let across = layer.shape.last().copied().filter(|&across| across > 0)?;
        Some(Rows { element, across, bytes: across.checked_mul(element.size() as u64)? })
    }

    /// Structs whose codes are seen in this way; `None` if they do not fit the rows.
    fn structs(&self, codes: Codes, grouping: Grouping, view: View) -> Option<Structs> {
        let size = self.element.size() as u64;
        let layout = if grouping == Grouping::DownInWords {
            // A row of integers, so that codes are sorted by their place in them.
            let bytes = Some(self.bytes).filter(|&bytes| bytes <= MAX_ROW_BYTES)?;
            layout(codes, bytes, self.across, size as u32 * 8)
        } else {
            let row = view.cols.checked_mul(codes.bits().into())? / 8;
            let mut sizes = (0..=STRUCT_BYTES.ilog2()).rev().map(|k| 1 << k);
            let bytes: u64 = sizes.find(|&bytes| {
                bytes >= size && row.is_multiple_of(bytes) && self.bytes.is_multiple_of(bytes)
            })?;
            layout(codes, bytes, bytes / size, 8)
        };
        Some(Structs { layout, view: Some(view) })
    }
}

impl Codes {
    fn bits(self) -> u32 {
        match self {
            Codes::FromZero(bits) | Codes::Centred(bits) => bits,
            Codes::Signed => 4,
        }
    }
}

/// Structs of so many bytes and elements, whose codes lie in integers of `width` bits.
fn layout(codes: Codes, bytes: u64, values: u64, width: u32) -> Layout {
    let (bytes, values, bits) = (bytes as u32, values as u32, codes.bits());
    // A piece of the first code of each integer, and of the others above it.
    let piece = |first: u32, of: u32| {
        let integers = Axis { count: bytes * 8 / width, stride: width };
        Piece { first, width: of, axes: vec![integers, Axis { count: width / bits, stride: bits }] }
    };
    let (bias, pieces) = match codes {
        Codes::FromZero(_) => (0, vec![piece(0, bits)]),
        Codes::Centred(_) => ((1u8 << (bits - 1)).wrapping_neg(), vec![piece(0, bits)]),
        Codes::Signed => (0, vec![piece(3, 1), piece(0, 3)]),
    };
    let (element, codes) = (ElementType::I8, (bytes * 8 / bits) as usize);
    let bits = CodeField { codes, size: element.size(), bias, pieces };
    let fields = vec![Field { element, bits, pivots: None }];
    Layout { bytes, values, fields, context: None }
}

/// The least common multiple, if it fits.
fn lcm(a: u64, b: u64) -> Option<u64> {
    let (mut x, mut y) = (a, b);
    while y > 0 {
        (x, y) = (y, x % y);
    }
    a.checked_div(x)?.checked_mul(b)
}
