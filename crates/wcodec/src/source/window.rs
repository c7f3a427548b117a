//! Small parts of a file, read through one buffer.

use super::{Found, broken};
use crate::container::read_at::{ReadAt, read};
use std::borrow::Cow;
use std::io;

/// Bytes read at a time: a header and what follows it, not the tensor behind.
const WINDOW: u64 = 4 << 10;

/// A run of bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) at: u64,
    pub(super) end: u64,
}

impl Span {
    /// `len` bytes from `at` on, if they end at `end` or before.
    pub(super) fn within(at: u64, len: u64, end: u64) -> Found<Span> {
        match at.checked_add(len) {
            Some(stop) if stop <= end => Ok(Span { at, end: stop }),
            _ => Err(broken!("{len} bytes at byte {at} end behind byte {end}")),
        }
    }

    pub(super) fn len(self) -> u64 {
        self.end - self.at
    }
}

/// A file and the part of it that was read last.
pub(super) struct Window<'a, R> {
    source: &'a R,
    size: u64,
    at: u64,
    bytes: Cow<'a, [u8]>,
}

impl<'a, R: ReadAt> Window<'a, R> {
    pub(super) fn new(source: &'a R, size: u64) -> Window<'a, R> {
        Window { source, size, at: 0, bytes: Cow::Borrowed(&[]) }
    }

    pub(super) fn source(&self) -> &'a R {
        self.source
    }

    /// Bytes of the file.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// A few bytes. Callers bound their number: all of them are read.
    pub(super) fn bytes(&mut self, at: u64, len: u64) -> Found<&[u8]> {
        Span::within(at, len, self.size)?;
        let inside = |start: u64, bytes: &[u8]| {
            let skip = usize::try_from(at.checked_sub(start)?).ok()?;
            let len = usize::try_from(len).ok()?;
            Some(skip..skip.checked_add(len).filter(|&end| end <= bytes.len())?)
        };
        let range = match inside(self.at, &self.bytes) {
            Some(range) => range,
            None => {
                self.bytes = read(self.source, at, len.max(WINDOW).min(self.size - at))?;
                self.at = at;
                inside(at, &self.bytes)
                    .ok_or(io::ErrorKind::UnexpectedEof)
                    .map_err(io::Error::from)?
            }
        };
        Ok(self.bytes.get(range).unwrap_or_default())
    }

    /// An unsigned little-endian integer of up to 8 bytes.
    pub(super) fn number(&mut self, at: u64, len: u64) -> Found<u64> {
        let bytes = self.bytes(at, len)?;
        Ok(bytes.iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte)))
    }

    /// Text of at most `most` bytes.
    pub(super) fn text(&mut self, span: Span, most: u64) -> Found<&str> {
        if span.len() > most {
            return Err(broken!("text of {} bytes, at most {most} expected", span.len()));
        }
        let bytes = self.bytes(span.at, span.len())?;
        std::str::from_utf8(bytes).map_err(|_| broken!("text at byte {} is not UTF-8", span.at))
    }
}
