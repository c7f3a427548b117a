//! The partner of each layer in the bases: that of the same name, dtype and shape, or the one that looks
//! most like it among those of its shape. Of archives, names are those in their files; the same path comes first.

use super::known::{KnownLayers, Named};
use super::lasting::own_content;
use super::original::{OpenBase, Rows};
use super::{Base, BaseRef, MAX_BASES, MAX_NAME, residual};
use crate::container::entries::FileEnds;
use crate::container::read_at::ReadAt;
use crate::container::reader::work::Work;
use crate::dtype::ElementType;
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::limits::Limits;
use crate::options::{EncodeOptions, Observer};
use crate::source::{Listing, Located};
use std::collections::HashSet;
use std::iter::once;
use std::sync::Arc;
use wcodec_kernels::{Level, Prediction, subtract_base};

/// What layers are compared by: pieces at even distances, so many elements each.
const PIECES: u64 = 16;
const PIECE: u64 = 256;

/// Bases that were opened for encoding, and their layers.
#[derive(Default)]
pub(crate) struct Matcher {
    pub(crate) bases: Vec<Arc<OpenBase>>,
    known: KnownLayers,
    work: Arc<Work>,
}

/// Bases that were opened for encoding, and the partner of each layer.
#[derive(Default)]
pub(crate) struct Partners {
    pub(crate) bases: Vec<Arc<OpenBase>>,
    /// Of each layer of the listing.
    pub(crate) of_layers: Vec<Option<BaseRef>>,
}

impl Partners {
    /// Finds the partners of the layers of `source` among the files of `options`. A base that has the content of the source, or
    /// of a file of it, or is predicted from that, is left out: who keeps what is encoded and nothing else could not decode it.
    pub(crate) fn find(
        source: &impl ReadAt,
        listing: &Listing,
        options: &EncodeOptions,
        observer: &dyn Observer,
    ) -> Result<Partners> {
        let (mut bases, work) = options.bases.open_given(&Limits::unlimited(), observer)?;
        let own = own_content(source, &listing.files(source.size()?), &bases, &work, observer)?;
        bases.retain(|base| !own.contains(&base.base.blake3));
        let matcher = Matcher::of(bases, work)?;
        let files = FileEnds::of(&listing.entries);
        let partner = |Located { layer, at, .. }: &Located| {
            matcher.partner(source, (layer, *at), files.split(*at, &layer.name), observer)
        };
        let of_layers = listing.layers.iter().map(partner).collect::<Result<_>>()?;
        Ok(Partners { bases: matcher.bases, of_layers })
    }
}

impl Matcher {
    /// Opens the files of `options`.
    pub(crate) fn open(options: &EncodeOptions) -> Result<Matcher> {
        let (bases, work) = options.bases.open_given(&Limits::unlimited(), &())?;
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
        Ok(Matcher { known: known_layers(&bases)?, bases, work })
    }

    /// The bases as a file names them.
    pub(crate) fn records(&self) -> Vec<Base> {
        self.bases.iter().map(|base| base.base.clone()).collect()
    }

    /// Whether nothing can have a partner.
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The best partner of a layer that begins at byte `at` of `source`, in the file of an archive that has
    /// this path.
    pub(crate) fn partner(
        &self,
        source: &impl ReadAt,
        (layer, at): (&Layer, u64),
        (path, name): (&str, &str),
        observer: &dyn Observer,
    ) -> Result<Option<BaseRef>> {
        if layer.bytes == 0 {
            return Ok(None);
        }
        let element = layer.element_or_bytes();
        self.work.allow(layer.bytes);
        let read_base = |base: u8, at: u64, len: u64| -> Result<Vec<u8>> {
            let base = self.bases.get(usize::from(base));
            let base = base.ok_or_else(|| Error::argument("a base is missing"))?;
            Ok(base.read(at, Rows::one(len as usize))?.to_vec())
        };
        let named = Named { layer, element, at, path, name };
        self.known.partner(source, &named, &read_base, observer)
    }
}

/// The layers of all bases.
fn known_layers(bases: &[Arc<OpenBase>]) -> Result<KnownLayers> {
    let mut known = KnownLayers::default();
    for (number, base) in (0..).zip(bases) {
        let listing = base.content.listing()?.0;
        let files = FileEnds::of(&listing.entries);
        for Located { layer, at, .. } in &listing.layers {
            let (path, name) = files.split(*at, &layer.name);
            let element = layer.element_or_bytes();
            known.add(number, &Named { layer, element, at: *at, path, name });
        }
    }
    Ok(known)
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
        residual::price(level, element, once(&left[..]))
    };
    // Integers without a sign are those with one, shifted by half their range; or they are not.
    let flips = if element == other { &[false][..] } else { &[true, false] };
    let tried = flips.iter().map(|&flip| (with(flip), flip));
    tried.min_by_key(|tried| tried.0).unwrap_or((u64::MAX, false))
}

/// Pieces of a layer of so many bytes, of which `read` gives so many from one on; all of it if it is small.
pub(crate) fn sample(
    bytes: u64,
    element: ElementType,
    read: impl Fn(u64, u64) -> Result<Vec<u8>>,
) -> Result<Vec<u8>> {
    let size = element.size() as u64;
    let elements = bytes / size;
    if elements <= PIECES * PIECE {
        return read(0, bytes);
    }
    let step = (elements - PIECE) / (PIECES - 1);
    let pieces = (0..PIECES).map(|k| read(k * step * size, PIECE * size));
    Ok(pieces.collect::<Result<Vec<_>>>()?.concat())
}
