//! Files that are written, and that errors of writing name: what was read is not to blame for a full disk.

use super::read_at::ReadAt;
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A file that is written and can be read back. Its errors name it: as [`Error`], also within those of [`io`].
pub struct OutputFile {
    file: File,
    path: PathBuf,
}

impl OutputFile {
    /// A file, and what it is called.
    pub fn new(file: File, path: impl Into<PathBuf>) -> OutputFile {
        OutputFile { file, path: path.into() }
    }

    /// A file without a name in the folder for temporary files, after which its errors call it.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn temporary() -> Result<OutputFile> {
        let folder = std::env::temp_dir();
        let file = tempfile::tempfile_in(&folder).map_err(|e| Error::from(e).in_file(&folder))?;
        Ok(OutputFile::new(file, folder))
    }

    /// The file alone.
    #[must_use]
    pub fn into_file(self) -> File {
        self.file
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn clear(&mut self) -> io::Result<()> {
        let cleared = self.file.set_len(0).and_then(|()| self.file.rewind());
        self.placed(cleared)
    }

    /// Asks for room for `len` bytes at once: a disk that is full shows before anything is written, and
    /// the file lies in few pieces. Where that cannot be done, nothing is; nor in memory, where it
    /// would only take time.
    pub(crate) fn reserve(&self, len: u64) -> io::Result<()> {
        self.placed(reserve(&self.file, len))
    }

    /// Makes a file durable that lies in a folder which [`sync_tree`](super::commit::sync_tree) makes durable later,
    /// unless that does it.
    pub(crate) fn sync_in_tree(&self) -> io::Result<()> {
        if cfg!(target_os = "linux") { Ok(()) } else { self.placed(self.file.sync_all()) }
    }

    fn placed<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| Error::from(error).in_file(&self.path).into())
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes);
        self.placed(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.file.flush();
        self.placed(flushed)
    }
}

impl Read for OutputFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer);
        self.placed(read)
    }
}

impl Seek for OutputFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let sought = self.file.seek(to);
        self.placed(sought)
    }
}

impl ReadAt for OutputFile {
    fn size(&self) -> io::Result<u64> {
        self.placed(self.file.size())
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.placed(self.file.read_exact_at(buffer, at))
    }
}

fn reserve(file: &File, len: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate, fstatfs};
        use rustix::io::Errno;
        /// `TMPFS_MAGIC` of linux/magic.h.
        const TMPFS: u64 = 0x0102_1994;
        let in_memory = fstatfs(file).is_ok_and(|fs| fs.f_type as u64 == TMPFS);
        if len > 0
            && !in_memory
            && let Err(error @ (Errno::NOSPC | Errno::DQUOT)) =
                fallocate(file, FallocateFlags::empty(), 0, len)
        {
            return Err(error.into());
        }
    }
    let _ = (file, len);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_writing_name_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let unwritable = File::open(file.path()).unwrap();
        let mut out = OutputFile::new(unwritable, "there");
        let buffered = io::BufWriter::new(&mut out).write_all(&[0; 1 << 16]);
        for error in [buffered.unwrap_err(), out.clear().unwrap_err()] {
            let error = Error::from(error).in_file(Path::new("what was read"));
            assert!(error.to_string().starts_with("there: "), "{error}");
            assert!(
                matches!(error.kind(), crate::ErrorKind::Io(io) if io.raw_os_error().is_some())
            );
        }
    }
}
