//! The partner of each layer in the bases: that of the same name, dtype and shape, or the one that looks
//! most like it among those of its shape.

use super::bases::Found;
use super::original::{OpenBase, Rows};
use super::{Base, BaseRef, MAX_BASES, MAX_NAME, residual};
use crate::container::read_at::{ReadAt, read};
use crate::container::reader::work::Work;
use crate::dtype::ElementType;
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::limits::Limits;
use crate::options::{EncodeOptions, Observer};
use crate::source::{Listing, Located};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use wcodec_kernels::{Level, Prediction, subtract_base};

/// What layers are compared by: pieces at even distances, so many elements each.
const PIECES: u64 = 16;
const PIECE: u64 = 256;
/// Layers of the right shape that are looked at, for each layer.
pub(crate) const MOST_TRIED: usize = 64;
/// A partner of the same name must save more than one part in this of a sample; another one more than
/// one in this.
pub(crate) const NAMED_GAIN: u64 = 200;
pub(crate) const OTHER_GAIN: u64 = 16;

/// Bases that were opened for encoding, and their layers.
#[derive(Default)]
pub(crate) struct Matcher {
    pub(crate) bases: Vec<Arc<OpenBase>>,
    by_shape: HashMap<Shape, Vec<Known>>,
    work: Arc<Work>,
}

/// Bases that were opened for encoding, and the partner of each layer.
#[derive(Default)]
pub(crate) struct Partners {
    pub(crate) bases: Vec<Arc<OpenBase>>,
    /// Of each layer of the listing.
    pub(crate) of_layers: Vec<Option<BaseRef>>,
}

/// A layer of a base.
pub(super) struct Known {
    pub(super) base: u8,
    pub(super) at: u64,
    pub(super) layer: Layer,
    pub(super) element: ElementType,
    /// Pieces of it, once it was compared.
    pub(super) sample: OnceLock<Vec<u8>>,
}

/// What a layer and its partner must have in common: the size of an element and the shape.
pub(super) type Shape = (usize, Vec<u64>);

impl Partners {
    /// Finds the partners of the layers of `source` among the files of `options`. A base that has the content of the source, or
    /// of a file of it, or is predicted from that, is left out: who keeps what is encoded and nothing else could not decode it.
    pub(crate) fn find(
        source: &impl ReadAt,
        listing: &Listing,
        options: &EncodeOptions,
        observer: &dyn Observer,
    ) -> Result<Partners> {
        let (mut bases, work) = open(options, observer)?;
        let own = own_content(source, &listing.files(source.size()?), &bases, &work, observer)?;
        bases.retain(|base| !own.contains(&base.base.blake3));
        let matcher = Matcher::of(bases, work)?;
        let layers = &listing.layers;
        let partner = |Located { layer, at, .. }: &Located| matcher.partner(source, layer, *at);
        let of_layers = layers.iter().map(partner).collect::<Result<_>>()?;
        Ok(Partners { bases: matcher.bases, of_layers })
    }
}

impl Matcher {
    /// Opens the files of `options`.
    pub(crate) fn open(options: &EncodeOptions) -> Result<Matcher> {
        let (bases, work) = open(options, &())?;
        Matcher::of(bases, work)
    }

    fn of(mut bases: Vec<Arc<OpenBase>>, work: Arc<Work>) -> Result<Matcher> {
        // The same content given twice is one base.
        let mut hashes = HashSet::new();
        bases.retain(|base| hashes.insert(base.base.blake3));
        if bases.len() > MAX_BASES {
            let text = format!("{} bases, at most {MAX_BASES} expected", bases.len());
            return Err(Error::argument(text));
        }
        if let Some(base) = bases.iter().find(|base| base.base.name.len() > MAX_NAME) {
            let text = format!("name of base {:?} is longer than {MAX_NAME} bytes", base.base.name);
            return Err(Error::argument(text));
        }
        // For the samples of all layers.
        bases.iter().for_each(|base| work.allow(base.base.len));
        let mut by_shape: HashMap<Shape, Vec<Known>> = HashMap::new();
        for known in known_layers(&bases)? {
            by_shape.entry(shape_of(&known.layer, known.element)).or_default().push(known);
        }
        Ok(Matcher { bases, by_shape, work })
    }

    /// The bases as a file names them.
    pub(crate) fn records(&self) -> Vec<Base> {
        self.bases.iter().map(|base| base.base.clone()).collect()
    }

    /// Whether nothing can have a partner.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_shape.is_empty()
    }

    /// The best partner of a layer that begins at byte `at` of `source`.
    pub(crate) fn partner(
        &self,
        source: &impl ReadAt,
        layer: &Layer,
        at: u64,
    ) -> Result<Option<BaseRef>> {
        let Some(element) = layer.element().filter(|_| layer.bytes > 0) else { return Ok(None) };
        let Some(known) = self.by_shape.get(&shape_of(layer, element)) else { return Ok(None) };
        self.work.allow(layer.bytes);
        let read_base = |base: u8, at: u64, len: u64| -> Result<Vec<u8>> {
            let base = self.bases.get(usize::from(base));
            let base = base.ok_or_else(|| Error::argument("a base is missing"))?;
            Ok(base.read(at, Rows::one(len as usize))?.to_vec())
        };
        partner(source, (layer, at, element), known.iter(), &read_base)
    }
}

/// The files of `options`.
fn open(options: &EncodeOptions, observer: &dyn Observer) -> Result<Found> {
    options.bases.open_given(&Limits::unlimited(), observer)
}

/// The BLAKE3s of the bases that these parts of `source` are, or that are predicted from one. Warns of each.
fn own_content(
    source: &(impl ReadAt + ?Sized),
    parts: &[Range<u64>],
    bases: &[Arc<OpenBase>],
    work: &Work,
    observer: &dyn Observer,
) -> Result<HashSet<[u8; 32]>> {
    let mut own = HashSet::new();
    for base in bases {
        for link in base.chain() {
            work.allow(link.base.len);
            let same = |part: &Range<u64>| link.equals(source, part.clone(), observer);
            let found = parts.iter().map(same).find(|same| !matches!(same, Ok(false)));
            if found.transpose()?.is_some() && own.insert(base.base.blake3) {
                let what = if link.depth == base.depth { "is" } else { "is predicted from" };
                let name = &base.base.name;
                observer.warn(&format!("base {name:?} {what} what is encoded, and is left out"));
            }
        }
    }
    Ok(own)
}

/// `options` without the bases that are one of these sources, or are predicted from one.
pub(crate) fn without_own(
    options: &EncodeOptions,
    sources: impl Iterator<Item = Result<File>>,
    observer: &dyn Observer,
) -> Result<EncodeOptions> {
    let (bases, work) = open(options, observer)?;
    let mut own = HashSet::new();
    for source in sources.filter(|_| !bases.is_empty()) {
        let source = source?;
        let all = Listing::opaque().files(source.size()?);
        own.extend(own_content(&source, &all, &bases, &work, observer)?);
    }
    let bases = options.bases.without(&own, &Limits::unlimited())?;
    Ok(EncodeOptions { bases, ..options.clone() })
}

pub(super) fn shape_of(layer: &Layer, element: ElementType) -> Shape {
    (element.size(), layer.shape.clone())
}

/// The layers of all bases.
fn known_layers(bases: &[Arc<OpenBase>]) -> Result<Vec<Known>> {
    let mut known = Vec::new();
    for (number, base) in (0..).zip(bases) {
        for Located { layer, at, .. } in base.content.listing()?.0.layers {
            if let Some(element) = layer.element() {
                known.push(Known { base: number, at, layer, element, sample: OnceLock::new() });
            }
        }
    }
    Ok(known)
}

/// Reads bytes of a base: its number, where they begin, how many.
type ReadBase<'a> = dyn Fn(u8, u64, u64) -> Result<Vec<u8>> + 'a;

/// The best partner of a layer among those of its shape.
pub(super) fn partner<'a>(
    source: &impl ReadAt,
    (layer, at, element): (&Layer, u64, ElementType),
    known: impl Iterator<Item = &'a Known>,
    read_base: &ReadBase<'_>,
) -> Result<Option<BaseRef>> {
    let level = Level::detect();
    let own =
        sample(layer, element, |offset, len| Ok(read(source, at + offset, len)?.into_owned()))?;
    let plain = residual::price(level, element, &own);
    let (named, others): (Vec<&Known>, Vec<&Known>) = known
        .filter(|known| related(element, known.element))
        .partition(|known| known.layer.name == layer.name);
    for (known, gain) in [(&named[..], NAMED_GAIN), (&others, OTHER_GAIN)] {
        let mut best: Option<(u64, BaseRef)> = None;
        for known in known.iter().take(MOST_TRIED) {
            let theirs = (known.element, known.sample(read_base)?);
            let (bits, flip) = distance(level, (element, &own), theirs);
            if bits < best.as_ref().map_or(plain - plain / gain, |best| best.0) {
                best = Some((bits, BaseRef { base: known.base, flip, at: known.at }));
            }
        }
        if let Some((_, partner)) = best {
            return Ok(Some(partner));
        }
    }
    Ok(None)
}

/// About what the difference of two samples takes, in units of [`cost::BIT`](crate::entropy::cost::BIT),
/// and whether the highest bits of the other are inverted for that.
pub(crate) fn distance(
    level: Level,
    (element, own): (ElementType, &[u8]),
    (other, theirs): (ElementType, &[u8]),
) -> (u64, bool) {
    let with = |flip| {
        let mut left = own.to_vec();
        let how = (Prediction::Difference, flip);
        subtract_base(level, element.kernel(), how, theirs, &mut left);
        residual::price(level, element, &left)
    };
    // Integers without a sign are those with one, shifted by half their range; or they are not.
    let flips = if element == other { &[false][..] } else { &[true, false] };
    let tried = flips.iter().map(|&flip| (with(flip), flip));
    tried.min_by_key(|tried| tried.0).unwrap_or((u64::MAX, false))
}

/// Whether elements of one type may be predicted from those of another of the same size.
fn related(element: ElementType, other: ElementType) -> bool {
    use ElementType::{I8, U8};
    element == other || matches!((element, other), (I8, U8) | (U8, I8))
}

impl Known {
    fn sample(&self, read_base: &ReadBase<'_>) -> Result<&[u8]> {
        if let Some(sample) = self.sample.get() {
            return Ok(sample);
        }
        let bytes = sample(&self.layer, self.element, |offset, len| {
            read_base(self.base, self.at + offset, len)
        })?;
        Ok(self.sample.get_or_init(|| bytes))
    }
}

/// Pieces of a layer, of whose bytes `read` gives so many from one on; all of it if it is small.
pub(crate) fn sample(
    layer: &Layer,
    element: ElementType,
    read: impl Fn(u64, u64) -> Result<Vec<u8>>,
) -> Result<Vec<u8>> {
    let size = element.size() as u64;
    let elements = layer.bytes / size;
    if elements <= PIECES * PIECE {
        return read(0, layer.bytes);
    }
    let step = (elements - PIECE) / (PIECES - 1);
    let pieces = (0..PIECES).map(|k| read(k * step * size, PIECE * size));
    Ok(pieces.collect::<Result<Vec<_>>>()?.concat())
}
