//! Layers that may be partners, found by what they are called and by what they are.

use super::BaseRef;
use super::matching::{distance, sample};
use super::residual;
use crate::container::read_at::{ReadAt, read};
use crate::dtype::ElementType;
use crate::error::Result;
use crate::layer::Layer;
use crate::options::{Observer, go_on};
use std::collections::{HashMap, HashSet};
use std::iter::once;
use std::sync::OnceLock;
use wcodec_kernels::Level;

/// Layers that a layer is compared with: so many that have its name in the same file, so many that have it in any,
/// and so many others.
pub(crate) const MOST_TRIED: usize = 64;
/// A partner of the same name must save more than one part in this of a sample; another one more than
/// one in this.
pub(crate) const NAMED_GAIN: u64 = 200;
pub(crate) const OTHER_GAIN: u64 = 16;
/// The same for layers of blocks and others whose bytes are predicted: coded as what they are, they become smaller too.
pub(crate) const BYTES_GAIN: u64 = 3;

/// A layer, and what it is called.
#[derive(Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) layer: &'a Layer,
    /// As what it is predicted.
    pub(super) element: ElementType,
    /// Its first byte in the original.
    pub(super) at: u64,
    /// The path of its file in an archive; nothing of a single file.
    pub(super) path: &'a str,
    /// Its name in that file.
    pub(super) name: &'a str,
}

/// What a layer and its partner must have in common: the dtype, but for a sign, and the shape.
type Form = (String, Vec<u64>);

/// What layers are looked for by.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Path(Form, String, String),
    Name(Form, String),
    Form(Form),
}

impl Named<'_> {
    /// From the closest to the widest, with what a partner must gain.
    fn keys(&self) -> [(Key, u64); 3] {
        let dtype = match self.element {
            ElementType::U8 => ElementType::I8.name(),
            _ => &self.layer.dtype,
        };
        let form = || (dtype.to_owned(), self.layer.shape.clone());
        let (path, name) = (self.path.to_owned(), self.name.to_owned());
        let [named, other] = match self.element {
            ElementType::Bytes => [BYTES_GAIN; 2],
            _ => [NAMED_GAIN, OTHER_GAIN],
        };
        [
            (Key::Path(form(), path, name.clone()), named),
            (Key::Name(form(), name), named),
            (Key::Form(form()), other),
        ]
    }
}

/// A layer that may be a partner.
struct Known {
    base: u8,
    at: u64,
    bytes: u64,
    element: ElementType,
    /// Pieces of it, once it was compared.
    sample: OnceLock<Vec<u8>>,
}

/// Reads bytes of a base: its number, where they begin, how many.
pub(super) type ReadBase<'a> = dyn Fn(u8, u64, u64) -> Result<Vec<u8>> + 'a;

impl Known {
    fn sample(&self, read_base: &ReadBase<'_>) -> Result<&[u8]> {
        if let Some(sample) = self.sample.get() {
            return Ok(sample);
        }
        let read = |offset, len| read_base(self.base, self.at + offset, len);
        let bytes = sample(self.bytes, self.element, read)?;
        Ok(self.sample.get_or_init(|| bytes))
    }
}

/// Layers that may be partners: of each key the first ones, so that looking takes the same time however
/// many there are.
#[derive(Default)]
pub(super) struct KnownLayers {
    known: Vec<Known>,
    by_key: HashMap<Key, Vec<usize>>,
    #[cfg(test)]
    pub(super) compared: std::sync::atomic::AtomicUsize,
}

impl KnownLayers {
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub(super) fn add(&mut self, base: u8, named: &Named<'_>) {
        let Named { layer, element, at, .. } = *named;
        let mut used = false;
        for (key, _) in named.keys() {
            let of_key = self.by_key.entry(key).or_default();
            if of_key.len() < MOST_TRIED {
                of_key.push(self.known.len());
                used = true;
            }
        }
        if used {
            let sample = OnceLock::new();
            self.known.push(Known { base, at, bytes: layer.bytes, element, sample });
        }
    }

    /// The best partner of a layer of `source`.
    pub(super) fn partner(
        &self,
        source: &impl ReadAt,
        named: &Named<'_>,
        read_base: &ReadBase<'_>,
        observer: &dyn Observer,
    ) -> Result<Option<BaseRef>> {
        let Named { layer, element, at, .. } = *named;
        let of_keys = named.keys().map(|(key, gain)| (self.by_key.get(&key), gain));
        if of_keys.iter().all(|(of_key, _)| of_key.is_none()) {
            return Ok(None);
        }
        let level = Level::detect();
        let read_own = |offset, len| Ok(read(source, at + offset, len)?.into_owned());
        let own = sample(layer.bytes, element, read_own)?;
        let plain = residual::price(level, element, once(&own[..]));
        let mut tried = HashSet::new();
        for (of_key, gain) in of_keys {
            let mut best: Option<(u64, BaseRef)> = None;
            for &number in of_key.into_iter().flatten().filter(|number| tried.insert(**number)) {
                go_on(observer)?;
                let Some(known) = self.known.get(number) else { continue };
                #[cfg(test)]
                self.compared.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
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
}
