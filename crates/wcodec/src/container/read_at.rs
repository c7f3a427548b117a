//! Reading at positions, without a cursor: several threads may read one file.

use std::borrow::Cow;
use std::fs::File;
use std::io;

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

    /// All bytes, if they lie in memory: they are then not copied.
    fn in_memory(&self) -> Option<&[u8]> {
        None
    }
}

impl ReadAt for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    #[cfg(unix)]
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, at)
    }

    #[cfg(windows)]
    fn read_exact_at(&self, mut buffer: &mut [u8], mut at: u64) -> io::Result<()> {
        use std::os::windows::fs::FileExt as _;
        while !buffer.is_empty() {
            match self.seek_read(buffer, at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
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

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn size(&self) -> io::Result<u64> {
        (**self).size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, at)
    }

    fn in_memory(&self) -> Option<&[u8]> {
        (**self).in_memory()
    }
}

/// The `len` bytes at `at`. The caller has checked them against the size of the source.
pub(crate) fn read<R: ReadAt + ?Sized>(source: &R, at: u64, len: u64) -> io::Result<Cow<'_, [u8]>> {
    let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
    if let Some(bytes) = source.in_memory() {
        let at = usize::try_from(at).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let bytes = bytes.get(at..).and_then(|rest| rest.get(..len));
        return Ok(Cow::Borrowed(bytes.ok_or(io::ErrorKind::UnexpectedEof)?));
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
    bytes.resize(len, 0);
    source.read_exact_at(&mut bytes, at)?;
    Ok(Cow::Owned(bytes))
}
