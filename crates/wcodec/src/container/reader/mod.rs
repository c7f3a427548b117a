//! Reading a container: parsed and checked once when it is opened, decoded block by block.

mod as_base;
mod bases;
mod decode;
mod open;
mod packed;
mod restore;
mod runs;
mod slice;
mod stats;
mod units;
pub(crate) mod work;

pub use runs::Span;

use super::directory::{LayerEntry, Parts, Segment};
use super::entries::Entry;
use super::footer::{Footer, SourceKind};
use super::index::BlockTable;
use super::read_at::ReadAt;
use crate::base::original::OpenBase;
use crate::base::{Base, BaseRef};
use crate::block::side::Side;
use crate::error::{Error, Result, corrupt};
use crate::layer::Layer;
use crate::options::{Observer, Watch};
use crate::packing::{Layout, Packing, Structs};
use crate::pool::Pool;
use crate::source::{Listing, Located};
use crate::stats::Stats;
use as_base::Kept;
use decode::{deal, zeroed};
use std::sync::{Arc, Mutex};
use units::Unit;
use wcodec_kernels::Level;
use work::Work;

/// The side block of a group, by segment and group.
type GroupSide = ((u32, u64), Arc<Side>);

/// An open `.wcodec` file.
pub struct Reader<R> {
    source: R,
    size: u64,
    /// Of the format's version.
    minor: u16,
    footer: Footer,
    table: BlockTable,
    segments: Vec<PlacedSegment>,
    layouts: Vec<Layout>,
    packings: Vec<Packing>,
    parts: Parts,
    layers: Vec<LayerEntry>,
    bases: Vec<Base>,
    entries: Vec<Entry>,
    /// Those that were found: all of them, or none.
    open_bases: Vec<Arc<OpenBase>>,
    /// What they and the bases of theirs may decode.
    work: Arc<Work>,
    /// If the file is a base itself.
    kept: Option<Kept>,
    /// Numbers of the layers in the order of their names.
    by_name: Vec<u32>,
    level: Level,
    /// What blocks are read into.
    pool: Pool,
    /// What the fields of packings are decoded into.
    unpacked: Pool,
    /// The side block that was read last.
    last_side: Mutex<Option<GroupSide>>,
}

struct PlacedSegment {
    segment: Segment,
    /// Its number, or that of the segment that it is a copy of: checksums are made with it.
    number: u32,
    /// Whether its blocks are those of another segment.
    is_copy: bool,
    /// Number of its first block in the file.
    first_block: u64,
    /// Where its elements have their partners.
    base: Option<BaseRef>,
    /// A layer that lies in it, for messages.
    layer: Option<usize>,
}

impl<R: ReadAt> Reader<R> {
    /// The layers of the original and where they lie in it, in the order of the file.
    pub(crate) fn listing(&self) -> Listing {
        let located = |entry: &LayerEntry| {
            let home = self.parts.starting(entry.segment).first()?;
            let packing = home.packing.and_then(|number| self.packings.get(number));
            let layout = packing.and_then(|packing| self.layouts.get(packing.layout as usize));
            let (layer, at) = (entry.layer.clone(), home.bytes.start + entry.offset);
            Some(Located { layer, at, structs: layout.cloned().map(Structs::of_rows) })
        };
        let layers = self.layers.iter().filter_map(located).collect();
        Listing { entries: self.entries.clone(), ..Listing::new(self.footer.source, layers) }
    }

    /// The layers, in the order of the file.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = &Layer> {
        self.layers.iter().map(|entry| &entry.layer)
    }

    /// Number of the layer of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        let name_of = |layer: &u32| Some(self.layers.get(*layer as usize)?.layer.name.as_str());
        let place = self.by_name.binary_search_by_key(&Some(name), name_of).ok()?;
        self.by_name.get(place).map(|&layer| layer as usize)
    }

    /// What the original was.
    #[must_use]
    pub fn source_kind(&self) -> SourceKind {
        self.footer.source
    }

    /// Bytes of the original.
    #[must_use]
    pub fn original_len(&self) -> u64 {
        self.footer.original_len
    }

    /// BLAKE3 of the original.
    #[must_use]
    pub fn original_blake3(&self) -> [u8; 32] {
        self.footer.blake3
    }

    /// Bytes of the `.wcodec` file.
    #[must_use]
    pub fn coded_len(&self) -> u64 {
        self.size
    }

    /// Blocks of the file, side blocks counted.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.footer.blocks
    }

    fn entry(&self, layer: usize) -> Result<&LayerEntry> {
        self.layers.get(layer).ok_or_else(|| {
            Error::argument(format!("no layer {layer}, the file has {}", self.layers.len()))
        })
    }

    fn placed(&self, segment: usize) -> Result<&PlacedSegment> {
        self.segments.get(segment).ok_or_else(|| corrupt!("segment {segment} does not exist"))
    }

    /// Adds the layer of a segment to an error.
    fn locate(&self, placed: &PlacedSegment, error: Error) -> Error {
        match placed.layer.and_then(|layer| self.layers.get(layer)) {
            Some(entry) => error.in_layer(&entry.layer.name),
            None => error,
        }
    }

    /// Decodes a layer.
    ///
    /// # Errors
    /// If there is no such layer, reading fails, a base that it is predicted from is missing, or a block
    /// is damaged.
    pub fn decode_layer(&self, layer: usize) -> Result<Vec<u8>> {
        let bytes = self.entry(layer)?.layer.bytes;
        let mut out = zeroed(bytes)?;
        self.decode_layer_into(layer, &mut out)?;
        Ok(out)
    }

    /// Decodes a layer into `out`, which must have its size; if not, it stays as it is. After any other error `out` is
    /// all zero.
    ///
    /// # Errors
    /// As [`Reader::decode_layer`], or if `out` has another size.
    pub fn decode_layer_into(&self, layer: usize, out: &mut [u8]) -> Result<Stats> {
        self.decode_layers_into(&mut [(layer, out)])
    }

    /// Decodes layers, each into a buffer of its size, in parallel. That is faster than one after
    /// another: small ones are decoded side by side. If a buffer has another size or there is no such layer, all stay
    /// as they are; after any other error all are all zero.
    ///
    /// # Errors
    /// As [`Reader::decode_layer_into`].
    pub fn decode_layers_into(&self, layers: &mut [(usize, &mut [u8])]) -> Result<Stats> {
        self.decode_layers_observed(layers, &())
    }

    /// As [`Reader::decode_layers_into`], with an observer that is told of the progress and may stop
    /// it. It is called by any of the threads that decode.
    ///
    /// # Errors
    /// As [`Reader::decode_layers_into`], or if the observer stops the call.
    pub fn decode_layers_observed(
        &self,
        layers: &mut [(usize, &mut [u8])],
        observer: &dyn Observer,
    ) -> Result<Stats> {
        for (layer, out) in layers.iter() {
            let entry = self.entry(*layer)?;
            if out.len() as u64 != entry.layer.bytes {
                let (have, want) = (out.len(), entry.layer.bytes);
                return Err(Error::argument(format!("buffer of {have} bytes, expected {want}"))
                    .in_layer(&entry.layer.name));
            }
        }
        let result = self.decode_all(layers, observer);
        if result.is_err() {
            layers.iter_mut().for_each(|(_, out)| out.fill(0));
        }
        result
    }

    /// Decodes layers into buffers of their sizes.
    fn decode_all(
        &self,
        layers: &mut [(usize, &mut [u8])],
        observer: &dyn Observer,
    ) -> Result<Stats> {
        let total = layers.iter().map(|(_, out)| out.len() as u64).sum();
        self.work.allow(total);
        let watch = Watch::new(observer, total);
        let mut units: Vec<(Vec<Unit>, &mut [u8])> = Vec::new();
        let mut shares = Vec::new();
        for (layer, out) in layers {
            let entry = self.entry(*layer)?;
            if out.is_empty() {
                continue;
            }
            match self.units_of(entry)? {
                Some(of_layer) => units.push((of_layer, out)),
                None => shares.push((entry, &mut **out)),
            }
        }
        let mut parts = Vec::new();
        for (units, out) in &mut units {
            parts.extend(deal(out, units.iter().map(|unit| (unit, unit.bytes())))?);
        }
        let stats = self.decode_parts(parts, &watch)? + self.copy_shares(shares)?;
        observer.progress(total, total);
        Ok(stats)
    }
}
