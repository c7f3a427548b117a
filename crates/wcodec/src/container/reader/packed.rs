//! Packings: the segments of their fields are decoded, then the structs are put together.

use super::Reader;
use super::decode::{Job, deal, to_len, zeroed};
use super::runs::{Runs, Window};
use crate::container::directory::LayerEntry;
use crate::container::read_at::ReadAt;
use crate::context::{Context, Contexts};
use crate::dtype::ElementType;
use crate::error::{Error, Result, corrupt};
use crate::geometry::Rect;
use crate::options::{Observer, Watch};
use crate::packing::{Layout, Packing, Stream};
use crate::source::ggml_layout;
use crate::stats::Stats;
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

/// Bytes of codes or structs that one thread deals with at a time: some of the second-level cache.
const PIECE_BYTES: u64 = 1 << 20;

/// Some structs, and what the codes of a field of theirs are decoded from.
struct Piece {
    jobs: Vec<Job>,
    structs: Range<usize>,
}

/// So many bytes of a buffer that is used again. What an earlier use left is overwritten, or an error
/// ends this one.
fn room(buffer: &mut Vec<u8>, bytes: u64) -> Result<&mut [u8]> {
    let bytes = to_len(bytes)?;
    if buffer.len() < bytes {
        buffer.resize(bytes, 0);
    }
    Ok(buffer.get_mut(..bytes).unwrap_or_default())
}

/// What a segment of a packing holds, and its number.
type StreamSegment<'a> = (&'a Stream, usize);

/// Of the codes of all structs those of some; nothing of fields that have none.
fn part_of<'a>(streams: &[Stream], codes: &[&'a [u8]], structs: Range<usize>) -> Vec<&'a [u8]> {
    let part = |(codes, stream): (&&'a [u8], &Stream)| {
        let len = stream.bytes();
        codes.get(structs.start * len..structs.end * len).unwrap_or_default()
    };
    codes.iter().zip(streams).map(part).collect()
}

impl<R: ReadAt> Reader<R> {
    /// A packing and its layout.
    pub(super) fn packing(&self, number: Option<usize>) -> Result<(&Packing, &Layout)> {
        number
            .and_then(|number| self.packings.get(number))
            .and_then(|packing| Some((packing, self.layouts.get(packing.layout as usize)?)))
            .ok_or_else(|| corrupt!("a packing does not exist"))
    }

    /// The layout of a layer of structs: that of its packings, or that of its dtype where it lies in bytes.
    pub(super) fn layout_of(&self, entry: &LayerEntry) -> Result<Option<Cow<'_, Layout>>> {
        if let Some(part) = self.parts.packings_of(entry).first() {
            return Ok(Some(Cow::Borrowed(self.packing(part.packing)?.1)));
        }
        let layout = ggml_layout(&entry.layer.dtype);
        Ok(layout.filter(|layout| layout.structs(&entry.layer).is_ok()).map(Cow::Owned))
    }

    /// The bytes of a layer as an array: element type and shape. That is its own shape where the dtype
    /// is known. Elements that share structs, such as those of GGUF's block types, come as the structs
    /// are, in bytes: the last dimension is the bytes of a row. `None` if neither is known.
    ///
    /// # Errors
    /// If there is no such layer.
    pub fn layer_array(&self, layer: usize) -> Result<Option<(ElementType, Vec<u64>)>> {
        let entry = self.entry(layer)?;
        if let Some(element) = entry.layer.element() {
            return Ok(Some((element, entry.layer.shape.clone())));
        }
        let Some(layout) = self.layout_of(entry)? else { return Ok(None) };
        Ok(Some((ElementType::U8, layout.bytes_of(&entry.layer.shape))))
    }

    /// Decodes a packing. Its largest field is decoded a piece at a time, each into memory that the
    /// processor's cache still holds when the structs are put together.
    pub(super) fn decode_packing(&self, number: usize, out: &mut [u8]) -> Result<Stats> {
        let (packing, layout) = self.packing(Some(number))?;
        let len = layout.bytes as usize;
        let streams = layout.streams();
        // What has a context is decoded when everything else is known.
        let largest = streams.iter().enumerate().max_by_key(|(_, stream)| stream.bytes());
        let main = layout.context().map(|(stream, _)| stream).or(largest.map(|(stream, _)| stream));
        let main = main.and_then(|number| Some((number, streams.get(number)?)));
        let (largest, main) = main.ok_or_else(|| corrupt!("a layout without fields"))?;
        let of_segments = streams.iter().zip(packing.segment as usize..);
        let sizes = of_segments.enumerate().map(|(number, (stream, segment))| {
            let size = if number == largest { 0 } else { stream.bytes() as u64 };
            ((stream, segment), packing.structs * size)
        });
        let mut buffer = self.unpacked.take();
        let buffer = room(&mut buffer, sizes.clone().map(|(_, size)| size).sum())?;
        let mut stats = packing.totals(layout);
        let mut fields = deal(buffer, sizes)?;
        let alike: BTreeSet<u64> = streams.iter().map(|s| layout.codes_of_value(s)).collect();
        for codes_of_value in alike {
            stats += self.decode_fields(packing, layout, codes_of_value, &mut fields)?;
        }
        let codes: Vec<&[u8]> = fields.into_iter().map(|(_, part)| &*part).collect();
        let structs = to_len(packing.structs)?;
        let contexts = layout.context().map(|(_, context)| {
            let values = context.values(self.level, layout, structs, &codes)?;
            Ok::<_, Error>((values, context.unit(&layout.fields)))
        });
        let contexts = contexts.transpose()?;
        let contexts =
            contexts.as_ref().map(|(values, unit)| Contexts { values, first: 0, unit: *unit });
        let pieces = self.pieces(packing.segment as usize + largest, main)?;
        let sized = pieces.iter().map(|piece| (piece, (piece.structs.len() * len) as u64));
        let decoded = deal(out, sized)?
            .into_par_iter()
            .map(|(piece, out)| {
                let codes = part_of(&streams, &codes, piece.structs.clone());
                self.decode_piece(layout, (largest, piece), (&codes, contexts), out)
            })
            .try_reduce(Stats::default, |sum, part| Ok(sum + part))?;
        Ok(stats + packing.of_stream(layout, main, decoded))
    }

    /// Decodes small fields together, so that they fill a kernel: those of which as many codes count as a value.
    fn decode_fields(
        &self,
        packing: &Packing,
        layout: &Layout,
        codes_of_value: u64,
        fields: &mut [(StreamSegment<'_>, &mut [u8])],
    ) -> Result<Stats> {
        let mut jobs: Vec<Vec<Job>> = Vec::new();
        let mut chosen: Vec<(&Stream, &mut [u8])> = Vec::new();
        for ((stream, segment), part) in fields {
            if !part.is_empty() && layout.codes_of_value(stream) == codes_of_value {
                jobs.push(self.jobs(*segment)?);
                chosen.push((*stream, &mut **part));
            }
        }
        let Some(&(stream, _)) = chosen.first() else { return Ok(Stats::default()) };
        let mut parts = Vec::new();
        for (jobs, (_, part)) in jobs.iter().zip(chosen) {
            parts.extend(deal(part, jobs.iter().map(|job| (job, job.bytes)))?);
        }
        let decoded = self.decode_bundles(parts, None, &Watch::new(&(), 0))?;
        Ok(packing.of_stream(layout, stream, decoded))
    }

    /// Decodes a piece of a stream, and puts its structs together with what the others hold.
    fn decode_piece(
        &self,
        layout: &Layout,
        (stream, piece): (usize, &Piece),
        (codes, contexts): (&[&[u8]], Option<Contexts<'_>>),
        out: &mut [u8],
    ) -> Result<Stats> {
        let mut buffer = self.unpacked.take();
        let buffer = room(&mut buffer, piece.jobs.iter().map(|job| job.bytes).sum())?;
        let parts = deal(&mut *buffer, piece.jobs.iter().map(|job| (job, job.bytes)))?;
        let stats = self.decode_bundles(parts, contexts, &Watch::new(&(), 0))?;
        let mut codes = codes.to_vec();
        if let Some(codes) = codes.get_mut(stream) {
            *codes = buffer;
        }
        layout.scatter(self.level, &codes, out)?;
        Ok(stats)
    }

    /// The pieces that a stream is decoded in.
    fn pieces(&self, segment: usize, stream: &Stream) -> Result<Vec<Piece>> {
        let len = stream.bytes() as u64;
        let mut pieces: Vec<Piece> = Vec::new();
        let (mut at, mut structs) = (0, 0);
        let mut jobs = Vec::new();
        let bands = self.placed(segment)?.segment.geometry.bands();
        for job in self.jobs_of(segment, 0..bands, PIECE_BYTES)? {
            at += job.bytes;
            jobs.push(job);
            // Blocks may cut structs; pieces do not.
            if at % len == 0 {
                let end = to_len(at / len)?;
                pieces.push(Piece { jobs: std::mem::take(&mut jobs), structs: structs..end });
                structs = end;
            }
        }
        Ok(pieces)
    }

    /// Makes structs of the codes of their fields.
    fn put_together(&self, layout: &Layout, codes: &[&[u8]], out: &mut [u8]) -> Result<()> {
        let len = layout.bytes as usize;
        let (streams, count) = (layout.streams(), (PIECE_BYTES as usize / len).max(1));
        out.par_chunks_mut(count * len).enumerate().try_for_each(|(task, out)| {
            let structs = task * count..task * count + out.len() / len;
            layout.scatter(self.level, &part_of(&streams, codes, structs), out)
        })
    }

    /// Copies runs of bytes of a packing into `out`, one behind the other.
    pub(super) fn copy_packed(
        &self,
        number: usize,
        window: &Window<'_>,
        out: &mut [u8],
        observer: &dyn Observer,
    ) -> Result<Stats> {
        let (packing, layout) = self.packing(Some(number))?;
        if window.is_whole() {
            return self.decode_packing(number, out);
        }
        let len = u64::from(layout.bytes);
        if !window.is_aligned(len) {
            // Structs are cut: all from the first to the last one are decoded.
            let hull = window.hull(len);
            let runs = Runs::one(hull.start, hull.end - hull.start);
            let mut bytes = zeroed(hull.end - hull.start)?;
            let whole = Window::new(&runs, 0..packing.structs * len);
            let stats = self.copy_packed(number, &whole, &mut bytes, observer)?;
            window.copy(hull.start, &bytes, out);
            return Ok(stats);
        }
        let mut stats = Stats::default();
        let streams = layout.streams();
        let mut buffers = Vec::with_capacity(streams.len());
        let context = layout.context();
        for (number, stream) in streams.iter().enumerate() {
            let segment = packing.segment as usize + number;
            let (runs, range) = window.scaled(len, stream.bytes() as u64);
            let window = Window::new(&runs, range);
            let mut buffer = zeroed(window.bytes())?;
            let contexts = match context {
                Some((of, context)) if of == number => {
                    Some(self.contexts(packing, layout, (number, context), (&window, observer))?)
                }
                _ => None,
            };
            let unit = context.map_or(1, |(_, context)| context.unit(&layout.fields));
            let contexts = contexts.as_ref();
            let contexts = contexts.map(|(first, values)| Contexts { values, first: *first, unit });
            let part = self.copy_runs(segment, &window, &mut buffer, (contexts, observer))?;
            stats += packing.of_stream(layout, stream, part);
            buffers.push(buffer);
        }
        let codes: Vec<&[u8]> = buffers.iter().map(Vec::as_slice).collect();
        self.put_together(layout, &codes, out)?;
        stats.original_bytes += out.len() as u64;
        Ok(stats)
    }

    /// The contexts of the blocks of a stream that hold what a window takes of it, and the number of their first unit. What
    /// they come from is decoded once, of all structs from the first to the last of these blocks: less than the
    /// packing, whatever the file says.
    fn contexts(
        &self,
        packing: &Packing,
        layout: &Layout,
        (number, context): (usize, &Context),
        (window, observer): (&Window<'_>, &dyn Observer),
    ) -> Result<(u64, Vec<i16>)> {
        let (streams, first) = (layout.streams(), packing.segment as usize);
        let codes = streams.get(number).map_or(1, Stream::bytes) as u64;
        let geometry = &self.placed(first + number)?.segment.geometry;
        let blocks = self.blocks_of_runs(first + number, window)?;
        let rects = blocks.iter().map(|&(band, across)| geometry.rect(band, across));
        let of_rect = |rect: Rect| {
            let last = rect.start + rect.stride * (rect.rows as u64 - 1) + rect.cols as u64;
            (rect.start / codes, last.div_ceil(codes))
        };
        let hull = rects.map(of_rect).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let (start, end) = hull.unwrap_or((0, 0));
        let mut decoded = vec![Vec::new(); streams.len()];
        for (number, (stream, decoded)) in streams.iter().zip(&mut decoded).enumerate() {
            if context.needs(stream) {
                let len = stream.bytes() as u64;
                let runs = Runs::one(start * len, (end - start) * len);
                let window = Window::new(&runs, 0..packing.structs * len);
                *decoded = zeroed(window.bytes())?;
                self.copy_runs(first + number, &window, decoded, (None, observer))?;
            }
        }
        let decoded: Vec<&[u8]> = decoded.iter().map(Vec::as_slice).collect();
        let values = context.values(self.level, layout, to_len(end - start)?, &decoded)?;
        let units = codes / context.unit(&layout.fields) as u64;
        Ok((start * units, values))
    }
}
