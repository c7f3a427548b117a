//! Reading at positions, without a cursor: several threads may read one file.

use crate::pool::{Bytes, Pool};
use crate::stamp::changed;
use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::time::SystemTime;

/// Bytes that can be read at any position.
pub trait ReadAt: Send + Sync {
    /// Number of bytes.
    ///
    /// # Errors
    /// If it cannot be found out.
    fn size(&self) -> io::Result<u64>;

    /// Fills `buffer` from position `at` on.
    ///
    /// # Errors
    /// If reading fails or the bytes end before the buffer is full
    /// ([`io::ErrorKind::UnexpectedEof`]).
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()>;

    /// When the bytes were last written to, if that is known. Encoding fails if this changes
    /// meanwhile.
    ///
    /// # Errors
    /// If it cannot be found out.
    fn modified(&self) -> io::Result<Option<SystemTime>> {
        Ok(None)
    }

    /// All bytes, if they lie in memory: they are then not copied.
    fn in_memory(&self) -> Option<&[u8]> {
        None
    }
}

impl ReadAt for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn modified(&self) -> io::Result<Option<SystemTime>> {
        Ok(self.metadata()?.modified().ok())
    }

    #[cfg(unix)]
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let read = std::os::unix::fs::FileExt::read_exact_at(self, buffer, at);
        // What is read lies within the size that the file had.
        read.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => changed(error.kind()),
            _ => error,
        })
    }

    #[cfg(windows)]
    fn read_exact_at(&self, mut buffer: &mut [u8], mut at: u64) -> io::Result<()> {
        use std::os::windows::fs::FileExt as _;
        while !buffer.is_empty() {
            match self.seek_read(buffer, at) {
                Ok(0) => return Err(changed(io::ErrorKind::UnexpectedEof)),
                Ok(count) => {
                    buffer = buffer.get_mut(count..).unwrap_or_default();
                    at += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl ReadAt for [u8] {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let source = usize::try_from(at)
            .ok()
            .and_then(|at| self.get(at..)?.get(..buffer.len()))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(source);
        Ok(())
    }

    fn in_memory(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> io::Result<u64> {
        self.as_slice().size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.as_slice().read_exact_at(buffer, at)
    }

    fn in_memory(&self) -> Option<&[u8]> {
        Some(self)
    }
}

/// A pointer gives what it points to.
macro_rules! read_through {
    ($($pointer:ty),*) => {$(
        impl<T: ReadAt + ?Sized> ReadAt for $pointer {
            fn size(&self) -> io::Result<u64> {
                (**self).size()
            }

            fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
                (**self).read_exact_at(buffer, at)
            }

            fn modified(&self) -> io::Result<Option<SystemTime>> {
                (**self).modified()
            }

            fn in_memory(&self) -> Option<&[u8]> {
                (**self).in_memory()
            }
        }
    )*};
}
read_through!(&T, std::sync::Arc<T>);

/// The `len` bytes at `at`, read into a buffer of `pool` if they do not lie in memory. The caller has
/// checked them against the size of the source.
pub(crate) fn read_pooled<'a, R: ReadAt + ?Sized>(
    source: &'a R,
    at: u64,
    len: u64,
    pool: &Pool,
) -> io::Result<Bytes<'a>> {
    if let Some(bytes) = in_memory(source, at, len)? {
        return Ok(Bytes::Borrowed(bytes));
    }
    let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let mut buffer = pool.take_len(len)?;
    source.read_exact_at(&mut buffer, at)?;
    Ok(Bytes::Pooled(buffer))
}

/// The `len` bytes at `at`. The caller has checked them against the size of the source.
pub(crate) fn read<R: ReadAt + ?Sized>(source: &R, at: u64, len: u64) -> io::Result<Cow<'_, [u8]>> {
    if let Some(bytes) = in_memory(source, at, len)? {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut bytes = Vec::new();
    fill(source, at, len, &mut bytes)?;
    Ok(Cow::Owned(bytes))
}

/// As [`read`], into memory that is used again.
pub(crate) fn read_with<'a, R: ReadAt + ?Sized>(
    source: &'a R,
    at: u64,
    len: u64,
    buffer: &'a mut Vec<u8>,
) -> io::Result<&'a [u8]> {
    if let Some(bytes) = in_memory(source, at, len)? {
        return Ok(bytes);
    }
    fill(source, at, len, buffer)?;
    Ok(buffer)
}

fn in_memory<R: ReadAt + ?Sized>(source: &R, at: u64, len: u64) -> io::Result<Option<&[u8]>> {
    let Some(bytes) = source.in_memory() else { return Ok(None) };
    let range = usize::try_from(at).ok().zip(usize::try_from(len).ok());
    let bytes = range.and_then(|(at, len)| bytes.get(at..)?.get(..len));
    bytes.map(Some).ok_or(io::ErrorKind::UnexpectedEof.into())
}

fn fill<R: ReadAt + ?Sized>(source: &R, at: u64, len: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
    let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
    if let Some(more) = len.checked_sub(buffer.len()) {
        buffer.try_reserve_exact(more).map_err(|_| io::ErrorKind::OutOfMemory)?;
    }
    buffer.resize(len, 0);
    source.read_exact_at(buffer, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_cut_is_told_so() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(7).unwrap();
        let error = file.read_exact_at(&mut [0; 4], 4).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(error.to_string(), "changed while it was read");
    }
}
