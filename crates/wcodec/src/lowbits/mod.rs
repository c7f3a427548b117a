//! Packed low bits: tensors whose integers hold codes of a few bits each. What they may be is suggested
//! by names, dtypes and shapes ([`suggest`]), and is done where a sample gets smaller by it.

mod suggest;

use crate::base::matching::Partners;
use crate::container::footer::SourceKind;
use crate::container::read_at::{ReadAt, read_with};
use crate::dtype::ElementType;
use crate::encoder::{self, Cut};
use crate::entropy::cost;
use crate::error::Result;
use crate::layer::Layer;
use crate::options::{Effort, EncodeOptions, Observer, go_on};
use crate::packing::Structs;
use crate::predict::PredictorSet;
use crate::source::{Listing, Located};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::io;
use suggest::{Kind, Suggestions};
use wcodec_kernels::ByteCounts;

/// Bytes of a layer that suggestions are tried on; a layer of twice as many is tried as a whole.
const SAMPLE_BYTES: u64 = 128 << 10;
/// Layers of the same kind and shape are alike: so many of them are tried.
const ALIKE: usize = 2;
/// Structs must save one part in this of a sample: they take a pass more when decoding.
const GAIN: u64 = 200;
/// The entropy of codes is at most one part in this more than that of those at each place of a byte.
const LIKENESS: u64 = 50;

/// The structs that the layers of a listing are taken apart by: their own, or those found here. Layers with a
/// partner in a base stay as they are, since structs cannot be predicted.
pub(crate) fn settled(
    source: &impl ReadAt,
    listing: &Listing,
    (partners, options): (&Partners, &EncodeOptions),
    observer: &dyn Observer,
) -> Result<Vec<Option<Structs>>> {
    let alone = |number: usize| !matches!(partners.of_layers.get(number), Some(Some(_)));
    let own =
        |(number, located): (usize, &Located)| located.structs.clone().filter(|_| alone(number));
    let mut settled: Vec<Option<Structs>> = listing.layers.iter().enumerate().map(own).collect();
    let may_have = matches!(
        listing.kind,
        SourceKind::Safetensors | SourceKind::Onnx | SourceKind::Torch | SourceKind::Archive
    );
    if !may_have || options.effort == Effort::Fast {
        return Ok(settled);
    }
    // What both ways gain is of no interest.
    let options =
        EncodeOptions { products: Some(0), predictors: PredictorSet::NONE, ..options.clone() };
    let search = Search { source, layers: &listing.layers, options, observer };
    let mut kinds: BTreeMap<Kind, Vec<Candidate>> = BTreeMap::new();
    for (number, suggestions) in suggest::suggestions(&listing.layers) {
        if alone(number) {
            kinds.entry(suggestions.kind.clone()).or_default().push((number, suggestions));
        }
    }
    let found: Vec<_> =
        kinds.into_par_iter().map(|(_, layers)| search.of_kind(&layers)).collect::<Result<_>>()?;
    for (number, structs) in found.into_iter().flatten() {
        settled[number] = Some(structs);
    }
    Ok(settled)
}

/// The number of a layer, and what it may be.
type Candidate = (usize, Suggestions);

/// Tries suggestions on layers.
struct Search<'a, R> {
    source: &'a R,
    layers: &'a [Located],
    options: EncodeOptions,
    observer: &'a dyn Observer,
}

impl<R: ReadAt> Search<'_, R> {
    /// The layers of a kind that get smaller, with their structs.
    fn of_kind(&self, layers: &[Candidate]) -> Result<Vec<(usize, Structs)>> {
        let of = |candidate: &Candidate| &self.layers[candidate.0].layer;
        let best = match layers.iter().max_by_key(|layer| of(layer).bytes) {
            Some(largest) => self.best(largest)?,
            None => None,
        };
        let Some(best) = best else { return Ok(Vec::new()) };
        let mut shapes: BTreeMap<&[u64], Vec<&Candidate>> = BTreeMap::new();
        for layer in layers {
            shapes.entry(&of(layer).shape).or_default().push(layer);
        }
        let mut found = Vec::new();
        for alike in shapes.into_values() {
            let tried = alike.par_iter().step_by(alike.len().div_ceil(ALIKE));
            let sizes = tried.map(|layer| self.sizes(layer, best));
            let (plain, packed) = sizes.try_reduce(|| (0, 0), |a, b| Ok((a.0 + b.0, a.1 + b.1)))?;
            if packed < plain - plain / GAIN {
                let chosen =
                    |(number, all): &Candidate| Some((*number, all.structs.get(best)?.clone()));
                found.extend(alike.into_iter().filter_map(chosen));
            }
        }
        Ok(found)
    }

    /// The number of the suggestion that takes the least; `None` if none is to be thought of.
    fn best(&self, (number, suggestions): &Candidate) -> Result<Option<usize>> {
        let mut buffer = Vec::new();
        let (layer, bytes) = self.sample(*number, suggestions.step, &mut buffer)?;
        let mut counts = ByteCounts::default();
        counts.add(bytes);
        let counts = counts.counts();
        let plausible = |number: &usize| {
            let field = suggestions.structs[*number].layout.fields.first();
            field.is_some_and(|field| looks_like(field.bits.width(), &counts))
        };
        let numbers: Vec<usize> = (0..suggestions.structs.len()).filter(plausible).collect();
        let size = |number: &usize| {
            Ok((self.size(&layer, bytes, Some(&suggestions.structs[*number]))?, *number))
        };
        let sizes: Vec<(u64, usize)> = numbers.par_iter().map(size).collect::<Result<_>>()?;
        Ok(sizes.into_iter().min().map(|(_, number)| number))
    }

    /// What the layer takes as it is, and as suggested.
    fn sizes(&self, (number, suggestions): &Candidate, best: usize) -> Result<(u64, u64)> {
        let mut buffer = Vec::new();
        let (layer, bytes) = self.sample(*number, suggestions.step, &mut buffer)?;
        let plain = self.size(&layer, bytes, None)?;
        Ok((plain, self.size(&layer, bytes, suggestions.structs.get(best))?))
    }

    /// A part from the middle of the layer, of whole steps, as a layer of its own.
    fn sample<'b>(
        &'b self,
        number: usize,
        step: u64,
        buffer: &'b mut Vec<u8>,
    ) -> Result<(Layer, &'b [u8])> {
        let Located { layer: whole, at, .. } = &self.layers[number];
        let Layer { shape, dtype, bytes, .. } = whole;
        let (first, len) = if *bytes <= 2 * SAMPLE_BYTES.max(step) {
            (0, *bytes)
        } else {
            let len = (SAMPLE_BYTES / step).max(1) * step;
            ((bytes - len) / 2 / step * step, len)
        };
        let across = shape.last().copied().unwrap_or(1);
        let size = whole.element().map_or(1, ElementType::size) as u64;
        let rows = len / size.saturating_mul(across).max(1);
        let layer = Layer {
            name: String::new(),
            dtype: dtype.clone(),
            shape: vec![rows, across],
            bytes: len,
        };
        let bytes = read_with(self.source, at + first, len, buffer)?;
        Ok((layer, bytes))
    }

    /// What a layer takes.
    fn size(&self, layer: &Layer, bytes: &[u8], structs: Option<&Structs>) -> Result<u64> {
        go_on(self.observer)?;
        let located = Located { layer: layer.clone(), at: 0, structs: structs.cloned() };
        let listing = Listing::new(SourceKind::Layer, vec![located]);
        let (none, options) = (Partners::default(), &self.options);
        encoder::encode(&bytes, &listing, Cut::Layers, io::sink(), &none, options, &())
            .map(|stats| stats.coded_bytes)
    }
}

/// Whether codes of so many bits are distributed alike wherever in a byte they are, of bytes counted here.
fn looks_like(bits: u32, counts: &[u32; 256]) -> bool {
    let places = (0..8).step_by(bits as usize);
    let (mut all, mut apart) = ([0u32; 256], 0);
    for up in places {
        let mut codes = [0u32; 256];
        for (byte, count) in counts.iter().enumerate() {
            codes[(byte >> up) & ((1 << bits) - 1)] += count;
        }
        apart += cost::entropy(&codes);
        all.iter_mut().zip(codes).for_each(|(all, count)| *all += count);
    }
    cost::entropy(&all) <= apart + apart / LIKENESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_from_integers_of_a_byte() {
        let mut nibbles = [0; 256];
        let mut integers = [0; 256];
        for byte in 0..256usize {
            let bell = |x: usize, middle: usize| 64 >> (x.abs_diff(middle).min(6));
            nibbles[byte] = bell(byte & 15, 8) * bell(byte >> 4, 8);
            integers[byte] = bell(byte / 4, 32);
        }
        assert!(looks_like(4, &nibbles) && !looks_like(2, &nibbles));
        assert!(!looks_like(4, &integers) && !looks_like(2, &integers));
    }
}
