//! Bases of an open file: which they are, and what they give for the blocks that are decoded.

use super::Reader;
use super::decode::{Run, to_len};
use super::runs::Runs;
use super::work;
use crate::base::bases::Bases;
use crate::base::original::{OpenBase, Rows};
use crate::base::{Base, BaseRef, OWN};
use crate::block::Mode;
use crate::block::decode::BaseRows;
use crate::block::head::Head;
use crate::container::index::BlockRecord;
use crate::container::read_at::ReadAt;
use crate::error::{Error, ErrorKind, Result, corrupt};
use crate::geometry::Rect;
use crate::limits::Limits;
use crate::options::Observer;
use crate::pool::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// The partners of blocks, read.
pub(super) struct LoadedBase<'a> {
    bytes: Bytes<'a>,
    /// The byte of the segment that they begin at, if they are of whole bands; else they are the rows of
    /// one block.
    bands_at: Option<u64>,
    flip: bool,
}

impl LoadedBase<'_> {
    /// Those of the block at `rect`, whose elements have `size` bytes.
    pub(super) fn rows(&self, rect: Rect, size: usize) -> Result<BaseRows<'_>> {
        let (at, pitch) = match self.bands_at {
            Some(start) => ((rect.start * size as u64).checked_sub(start), rect.stride as usize),
            None => (Some(0), rect.cols),
        };
        let at = at.and_then(|at| usize::try_from(at).ok());
        let bytes = at.and_then(|at| self.bytes.get(at..));
        let bytes = bytes.ok_or_else(|| corrupt!("bytes of the base were not read"))?;
        Ok(BaseRows { bytes, pitch: pitch * size, flip: self.flip })
    }
}

impl<R: ReadAt> Reader<R> {
    /// As [`Reader::open`], with everything among which the bases of the file may be found: without them,
    /// what is predicted from them cannot be decoded. All of them are looked for at once; a plain file as
    /// long as a base is hashed for that.
    ///
    /// # Errors
    /// As [`Reader::open`], or if a base is missing ([`ErrorKind::Base`]), its own bases are, or the
    /// chain of bases is longer than 8 files or leads back to one of them.
    pub fn open_with(source: R, limits: &Limits, bases: &Bases) -> Result<Reader<R>> {
        Reader::open_observed(source, limits, bases, &())
    }

    /// As [`Reader::open_with`]; hashing bases can be stopped.
    pub(crate) fn open_observed(
        source: R,
        limits: &Limits,
        bases: &Bases,
        observer: &dyn Observer,
    ) -> Result<Reader<R>> {
        let mut reader = Reader::open(source, limits)?;
        reader.look_for_bases(limits, bases, observer)?;
        Ok(reader)
    }

    /// Looks for the bases of a file that is open already, as [`Reader::open_with`] does.
    ///
    /// # Errors
    /// As [`Reader::open_with`]; the reader then stays as it was.
    pub fn find_bases(&mut self, limits: &Limits, bases: &Bases) -> Result<()> {
        self.look_for_bases(limits, bases, &())
    }

    fn look_for_bases(
        &mut self,
        limits: &Limits,
        bases: &Bases,
        observer: &dyn Observer,
    ) -> Result<()> {
        (self.open_bases, self.work) =
            bases.find_all(self.original_blake3(), &self.bases, limits, observer)?;
        Ok(())
    }

    /// The bases that layers of the file are predicted from.
    pub fn bases(&self) -> impl ExactSizeIterator<Item = &Base> {
        self.bases.iter()
    }

    /// Those that were found: all of them, or none.
    pub(crate) fn open_bases(&self) -> &[Arc<OpenBase>] {
        &self.open_bases
    }

    /// How many bases follow each other from this file on: 0 if it has none, `None` if they were not
    /// looked for.
    #[must_use]
    pub fn base_depth(&self) -> Option<usize> {
        let found = self.bases.len() == self.open_bases.len();
        found.then(|| self.open_bases.iter().map(|base| base.depth).max().unwrap_or(0))
    }

    /// Fails if bases are needed that were not looked for.
    pub(super) fn check_bases(&self) -> Result<()> {
        (0..self.bases.len()).try_for_each(|base| self.base(base as u8).map(|_| ()))
    }

    fn base(&self, number: u8) -> Result<&OpenBase> {
        let number = usize::from(number);
        self.open_bases.get(number).map(|base| &**base).ok_or_else(|| {
            let text = self.bases.get(number).map_or_else(String::new, |base| {
                let Base { name, len, .. } = base;
                format!(
                    "predicted from base {name:?} of {len} bytes, BLAKE3 {}, which was not given",
                    base.hex()
                )
            });
            ErrorKind::Base(text).into()
        })
    }

    /// The partners of whole bands of a segment, if one of their blocks needs them.
    pub(super) fn base_of_bands(
        &self,
        segment: usize,
        (blocks, run): (Range<u64>, &Run<'_>),
        bytes: Range<u64>,
    ) -> Result<Option<LoadedBase<'_>>> {
        if self.placed(segment)?.base.is_none() {
            return Ok(None);
        }
        let records = self.records(segment, blocks)?;
        let rows = Rows::one(to_len(bytes.end - bytes.start)?);
        self.load_base(segment, (&records, run), bytes.start, rows, Some(bytes.start))
    }

    /// The partners of one block, if it needs them.
    pub(super) fn base_of_block(
        &self,
        segment: usize,
        (record, run): (BlockRecord, &Run<'_>),
        rect: Rect,
    ) -> Result<Option<LoadedBase<'_>>> {
        let size = self.placed(segment)?.segment.geometry.element.size();
        let (width, pitch) = (rect.cols * size, rect.stride as usize * size);
        let rows = Rows { count: rect.rows, width, pitch };
        self.load_base(segment, (&[record], run), rect.start * size as u64, rows, None)
    }

    fn load_base(
        &self,
        segment: usize,
        (records, run): (&[BlockRecord], &Run<'_>),
        at: u64,
        rows: Rows,
        bands_at: Option<u64>,
    ) -> Result<Option<LoadedBase<'_>>> {
        let Some(BaseRef { base, flip, at: first }) = self.placed(segment)?.base else {
            return Ok(None);
        };
        let mut needed = false;
        for record in records.iter().filter(|record| record.mode == Mode::Coded) {
            needed |= Head::has_base(run.payload(record)?);
        }
        if !needed {
            return Ok(None);
        }
        // That the segment's partner lies within the base was checked when the file was opened.
        let bytes = if base == OWN {
            self.decode_own(first + at, rows, records.len())?
        } else {
            self.base(base)?.read(first + at, rows)?
        };
        Ok(Some(LoadedBase { bytes, bands_at, flip }))
    }

    /// Rows of the original that so many blocks of it are predicted from. They are those of as many blocks, which
    /// are cut alike and need no others of the original.
    fn decode_own(&self, at: u64, rows: Rows, blocks: usize) -> Result<Bytes<'_>> {
        if self.kept.is_some() {
            self.work.spend(work::cost(rows.bytes() as u64, blocks as u64))?;
        }
        let (runs, hull) = self.runs_of_rows(at, rows)?;
        let mut out = self.unpacked.take_len(rows.bytes())?;
        self.copy_parts(self.parts.within(hull).iter(), 0, &runs, &mut out, &())?;
        Ok(Bytes::Pooled(out))
    }

    /// Rows of the original, as runs of its bytes, and from the first to the last of these.
    pub(super) fn runs_of_rows(&self, at: u64, rows: Rows) -> Result<(Runs, Range<u64>)> {
        let Rows { count, width, pitch } = rows;
        let span = (count.saturating_sub(1) * pitch + width) as u64;
        let end = at.checked_add(span).filter(|&end| end <= self.original_len());
        let end = end.ok_or_else(|| Error::argument("rows behind the end of the original"))?;
        let runs = if rows.joined() {
            Runs::one(at, span)
        } else {
            Runs::rows(at, (count as u64, pitch as u64), width as u64)
        };
        Ok((runs, at..end))
    }
}
