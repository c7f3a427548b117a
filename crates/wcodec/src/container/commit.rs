//! Output that appears whole or not at all: written to a temporary file beside the target, synced,
//! renamed, and the folder synced.

use crate::error::{Error, Result};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file that does not exist under its name until [`AtomicFile::commit`]. Dropped before, it
/// leaves nothing behind.
pub struct AtomicFile {
    temp: NamedTempFile,
    target: PathBuf,
    force: bool,
}

impl AtomicFile {
    /// Begins a file that will appear as `target`; an existing one is replaced only with `force`.
    ///
    /// # Errors
    /// If the target exists and `force` is not set, if it is not a regular file, or if no
    /// temporary file can be made beside it.
    pub fn create(target: &Path, force: bool) -> Result<AtomicFile> {
        let place = |e: Error| e.in_file(target);
        match std::fs::metadata(target) {
            Ok(meta) if !meta.is_file() => {
                return Err(place(Error::argument("not a regular file")));
            }
            Ok(_) if !force => return Err(place(already_exists())),
            _ => {}
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(".wcodec-").suffix(".tmp");
        #[cfg(unix)]
        {
            // As a file opened the usual way; the process's umask applies.
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
            builder.permissions(mode);
        }
        let temp = builder.tempfile_in(parent(target)).map_err(|e| place(e.into()))?;
        Ok(AtomicFile { temp, target: target.to_path_buf(), force })
    }

    /// The file to write to.
    pub fn file(&mut self) -> &mut File {
        self.temp.as_file_mut()
    }

    /// Makes the file durable and gives it its name.
    ///
    /// # Errors
    /// If syncing or renaming fails, or the target has come to exist meanwhile.
    pub fn commit(self) -> Result<()> {
        let AtomicFile { temp, target, force } = self;
        let place = |e: io::Error| Error::from(e).in_file(&target);
        temp.as_file().sync_all().map_err(place)?;
        let renamed = if force { temp.persist(&target) } else { temp.persist_noclobber(&target) };
        renamed.map_err(|e| match e.error.kind() {
            io::ErrorKind::AlreadyExists => already_exists().in_file(&target),
            _ => place(e.error),
        })?;
        sync_folder(parent(&target)).map_err(place)
    }
}

/// Asks for room for `len` bytes at once: a disk that is full shows before anything is written, and
/// the file lies in few pieces. Where that cannot be done, nothing is; nor in memory, where it
/// would only take time.
pub(crate) fn reserve(file: &File, len: u64) -> io::Result<()> {
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

fn already_exists() -> Error {
    Error::argument("file exists (not overwritten without --force)")
}

/// A path without links in the folders around the file, which itself may be one; `None` if there is no such folder.
pub(crate) fn location(path: &Path) -> Option<PathBuf> {
    Some(std::fs::canonicalize(parent(path)).ok()?.join(path.file_name()?))
}

/// Fails if a file that appears as `output` would replace one of these, by this name or where a link of this name leads.
pub(crate) fn check_kept<'a>(
    output: &Path,
    kept: impl Iterator<Item = (&'a Path, &'a str)>,
) -> Result<()> {
    let Some(place) = location(output).filter(|_| output.exists()) else { return Ok(()) };
    for (path, what) in kept {
        let leads_to = std::fs::canonicalize(path).ok();
        if [location(path), leads_to].into_iter().flatten().any(|path| path == place) {
            return Err(Error::argument(format!("would replace {what}")).in_file(output));
        }
    }
    Ok(())
}

/// The folder that a path lies in.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a file durable that lies in a folder which [`sync_tree`] makes durable later, unless that does it.
pub(crate) fn sync_in_tree(file: &File) -> io::Result<()> {
    if cfg!(target_os = "linux") { Ok(()) } else { file.sync_all() }
}

/// As [`sync_in_tree`], of a folder.
pub(crate) fn sync_folder_in_tree(folder: &Path) -> io::Result<()> {
    if cfg!(target_os = "linux") { Ok(()) } else { sync_folder(folder) }
}

/// Makes a folder durable, with everything in it that went through the functions above. On Linux that is one call for the whole
/// file system: one for each of many small files would take most of the time.
pub(crate) fn sync_tree(folder: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        rustix::fs::syncfs(File::open(folder)?)?;
    }
    sync_folder(folder)
}

#[cfg(unix)]
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Other systems have no call for it.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
