//! The elements of segments, read from the original.

use crate::container::directory::{Directory, Parts};
use crate::container::read_at::{ReadAt, read};
use crate::error::{Result, corrupt};
use crate::packing::Stream;
use crate::writer::PackingContexts;
use std::borrow::Cow;
use std::ops::Range;
use wcodec_kernels::Level;

pub(super) struct Elements<'a, R> {
    pub(super) source: &'a R,
    pub(super) directory: &'a Directory,
    pub(super) parts: &'a Parts,
    pub(super) level: Level,
}

impl<R: ReadAt> Elements<'_, R> {
    /// How many bytes of a segment come of so many bytes of the original.
    pub(super) fn of_original(&self, segment: usize, bytes: u64) -> u64 {
        let packed = self.parts.starting(segment as u32).first().and_then(|part| {
            let packing = self.directory.packings[part.packing?];
            let layout = &self.directory.layouts[packing.layout as usize];
            let stream = *layout.streams().get(segment - part.segments.start)?;
            Some(bytes / u64::from(layout.bytes) * stream.bytes() as u64)
        });
        packed.unwrap_or(bytes)
    }

    /// The contexts of a segment of a packing, if it has some.
    pub(super) fn contexts(&self, segment: usize) -> Result<Option<PackingContexts>> {
        let part = self.parts.starting(segment as u32).first();
        let Some(number) = part.and_then(|part| part.packing) else { return Ok(None) };
        let packing = self.directory.packings[number];
        let layout = &self.directory.layouts[packing.layout as usize];
        let Some((stream, context)) = layout.context() else { return Ok(None) };
        if packing.segment as usize + stream != segment {
            return Ok(None);
        }
        let streams = layout.streams();
        let read = |(number, stream): (usize, &Stream)| match context.needs(stream) {
            true => self.read(
                packing.segment as usize + number,
                &(0..packing.structs * stream.bytes() as u64),
            ),
            false => Ok(Cow::default()),
        };
        let gathered = streams.iter().enumerate().map(read).collect::<Result<Vec<_>>>()?;
        let gathered: Vec<&[u8]> = gathered.iter().map(|bytes| &**bytes).collect();
        PackingContexts::of(packing, layout, self.level, &gathered)
    }

    /// Some bytes of a segment.
    pub(super) fn read(&self, segment: usize, bytes: &Range<u64>) -> Result<Cow<'_, [u8]>> {
        let part = self.parts.starting(segment as u32).first();
        let part = part.ok_or_else(|| corrupt!("segment {segment} does not exist"))?;
        let Some(packing) = part.packing.map(|number| self.directory.packings[number]) else {
            let start = part.bytes.start + bytes.start;
            return Ok(read(self.source, start, bytes.end - bytes.start)?);
        };
        let layout = &self.directory.layouts[packing.layout as usize];
        let number = segment - part.segments.start;
        let stream = layout.streams()[number];
        let codes = stream.bytes() as u64;
        let structs = bytes.start / codes..bytes.end.div_ceil(codes);
        let len = u64::from(layout.bytes);
        let start = part.bytes.start + structs.start * len;
        let structs_read = read(self.source, start, (structs.end - structs.start) * len)?;
        let mut gathered = layout.gather(self.level, stream.field, &structs_read)?;
        let gathered = gathered.swap_remove(stream.pivot.map_or(0, |pivot| pivot + 1));
        let from = (bytes.start - structs.start * codes) as usize;
        Ok(Cow::Owned(gathered[from..from + (bytes.end - bytes.start) as usize].to_vec()))
    }
}
