//! The original of a base, read in ranges.

use super::Base;
use crate::container::read_at::{ReadAt, read, read_pooled};
use crate::container::reader::Reader;
use crate::error::{Error, ErrorKind, Result};
use crate::options::{Observer, go_on};
use crate::pool::{Bytes, Pool};
use crate::source::{self, Listing};
use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes that are compared at a time.
const COMPARED: usize = 1 << 20;

/// Rows of bytes at regular places.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    pub(crate) count: usize,
    /// Bytes of a row.
    pub(crate) width: usize,
    /// Bytes from one row to the next, at least `width`.
    pub(crate) pitch: usize,
}

impl Rows {
    pub(crate) fn one(width: usize) -> Rows {
        Rows { count: 1, width, pitch: width }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.count * self.width
    }

    /// Whether they lie one behind the other.
    pub(crate) fn joined(&self) -> bool {
        self.count <= 1 || self.width == self.pitch
    }
}

/// A base that was found.
pub(crate) struct OpenBase {
    pub(crate) base: Base,
    /// Files that follow each other in its chain, itself counted.
    pub(crate) depth: usize,
    pub(crate) path: Option<PathBuf>,
    pub(crate) content: Content,
    /// What parts of it are read into.
    pool: Pool,
}

/// What holds an original: the file itself, or a `.wcodec` file of it.
pub(crate) enum Content<R = Arc<dyn ReadAt>> {
    Plain(R),
    Coded(Box<Reader<R>>),
}

impl<R: ReadAt> Content<R> {
    /// The layers of the original; for those that a broken file does not have, the reason.
    pub(crate) fn listing(&self) -> Result<(Listing, Option<String>)> {
        match self {
            Content::Plain(source) => source::list(source),
            Content::Coded(reader) => Ok((reader.listing(), None)),
        }
    }
}

impl OpenBase {
    pub(crate) fn new(
        base: Base,
        (depth, path): (usize, Option<PathBuf>),
        content: Content,
    ) -> OpenBase {
        OpenBase { base, depth, path, content, pool: Pool::default() }
    }

    /// It and all that it is predicted from in turn.
    pub(crate) fn chain(&self) -> Vec<&OpenBase> {
        let mut chain = vec![self];
        let mut known = HashSet::from([self.base.blake3]);
        let mut at = 0;
        while let Some(base) = chain.get(at) {
            if let Content::Coded(reader) = &base.content {
                let bases = reader.open_bases().iter().map(|base| &**base);
                chain.extend(bases.filter(|base| known.insert(base.base.blake3)));
            }
            at += 1;
        }
        chain
    }

    /// Whether this part of `source` is its original.
    pub(crate) fn equals(
        &self,
        source: &(impl ReadAt + ?Sized),
        part: Range<u64>,
        observer: &dyn Observer,
    ) -> Result<bool> {
        if part.end - part.start != self.base.len {
            return Ok(false);
        }
        // Most differ early.
        for at in (0..self.base.len).step_by(COMPARED) {
            go_on(observer)?;
            let len = (self.base.len - at).min(COMPARED as u64);
            let theirs = self.read(at, Rows::one(len as usize))?;
            if *read(source, part.start + at, len)? != *theirs {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Rows of the original, one behind the other, from byte `at` on. The caller has checked them against
    /// its length.
    pub(crate) fn read(&self, at: u64, rows: Rows) -> Result<Bytes<'_>> {
        let bytes = match &self.content {
            Content::Plain(source) => self.read_rows(source, at, rows).map_err(|e| self.changed(e)),
            Content::Coded(reader) => self.decode_rows(reader, at, rows),
        };
        bytes.map_err(|error| match &self.path {
            Some(path) => error.in_file(path),
            None => error,
        })
    }

    fn decode_rows(
        &self,
        reader: &Reader<Arc<dyn ReadAt>>,
        at: u64,
        rows: Rows,
    ) -> Result<Bytes<'_>> {
        let mut out = self.pool.take_len(rows.bytes())?;
        reader.decode_rows(at, rows, &mut out)?;
        Ok(Bytes::Pooled(out))
    }

    fn read_rows<'a>(
        &self,
        source: &'a Arc<dyn ReadAt>,
        at: u64,
        rows: Rows,
    ) -> io::Result<Bytes<'a>> {
        if rows.joined() {
            return read_pooled(source, at, rows.bytes() as u64, &self.pool);
        }
        let mut out = self.pool.take_len(rows.bytes())?;
        for (row, out) in out.chunks_exact_mut(rows.width).enumerate() {
            source.read_exact_at(out, at + (row * rows.pitch) as u64)?;
        }
        Ok(Bytes::Pooled(out))
    }

    /// The length was checked when the base was opened.
    fn changed(&self, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                let text = format!("base {:?} ends early: the base was changed", self.base.name);
                ErrorKind::Base(text).into()
            }
            _ => error.into(),
        }
    }
}
