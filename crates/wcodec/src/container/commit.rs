//! Output that appears whole or not at all: written to a temporary file beside the target, synced,
//! renamed, and the folder synced.

use super::output::OutputFile;
use crate::error::{Error, Result};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf, is_separator};
#[cfg(unix)]
use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};
use tempfile::TempPath;

/// A file that does not exist under its name until [`AtomicFile::commit`]. Dropped before, it
/// leaves nothing behind.
pub struct AtomicFile {
    /// Called after what it will appear as.
    file: OutputFile,
    temp: TempPath,
    force: bool,
    /// The permissions that it appears with; without them those that it was made with.
    mode: Option<u32>,
}

impl AtomicFile {
    /// Begins a file that will appear as `target`; an existing one is replaced only with `force`, and a symbolic link
    /// itself, not what it leads to.
    ///
    /// # Errors
    /// If the target exists and `force` is not set, if it is not a regular file, or if no
    /// temporary file can be made beside it.
    pub fn create(target: &Path, force: bool) -> Result<AtomicFile> {
        AtomicFile::begin(target, force, (0o666, None))
    }

    /// As [`AtomicFile::create`]. On Unix only those of the group and of the others may read it whose bits `readers` has.
    pub(crate) fn create_for(target: &Path, force: bool, readers: u32) -> Result<AtomicFile> {
        AtomicFile::begin(target, force, (0o600 | readers | readers >> 1, None))
    }

    /// As [`AtomicFile::create`]. On Unix the file gets the permission bits of `source`, which it is made of, and
    /// before it appears it is its owner's alone.
    ///
    /// # Errors
    /// As [`AtomicFile::create`], or if the permissions of `source` cannot be read.
    pub fn create_like(target: &Path, force: bool, source: &File) -> Result<AtomicFile> {
        AtomicFile::begin(target, force, (0o600, mode_of(source)?))
    }

    /// The permission bits are those that the file is made with, which the process's umask lowers, and those that it
    /// appears with if they are others.
    fn begin(target: &Path, force: bool, (made, mode): (u32, Option<u32>)) -> Result<AtomicFile> {
        let place = |e: Error| e.in_file(target);
        if target.as_os_str().as_encoded_bytes().last().is_some_and(|&b| is_separator(b.into())) {
            return Err(place(Error::argument("is the name of a folder, expected that of a file")));
        }
        match std::fs::metadata(target) {
            Ok(meta) if meta.is_dir() => {
                return Err(place(Error::argument("is a folder, expected a file")));
            }
            Ok(meta) if !meta.is_file() => {
                return Err(place(Error::argument("not a regular file")));
            }
            // A link that leads nowhere has the name all the same.
            _ if !force && target.symlink_metadata().is_ok() => {
                return Err(place(already_exists()));
            }
            _ => {}
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(".wcodec-").suffix(".tmp");
        #[cfg(unix)]
        builder.permissions(Permissions::from_mode(made));
        let _ = made;
        let temp = builder.tempfile_in(parent(target)).map_err(|e| place(e.into()))?;
        let (file, temp) = temp.into_parts();
        Ok(AtomicFile { file: OutputFile::new(file, target), temp, force, mode })
    }

    /// The file to write to.
    pub fn file(&mut self) -> &mut OutputFile {
        &mut self.file
    }

    /// Makes the file durable and gives it its name.
    ///
    /// # Errors
    /// If syncing or renaming fails, or the target has come to exist meanwhile.
    pub fn commit(self) -> Result<()> {
        let AtomicFile { file, temp, force, mode } = self;
        let target = file.path();
        let place = |e: io::Error| Error::from(e).in_file(target);
        set_mode(file.file(), mode);
        file.file().sync_all().map_err(place)?;
        let renamed = if force { temp.persist(target) } else { temp.persist_noclobber(target) };
        renamed.map_err(|e| match e.error.kind() {
            io::ErrorKind::AlreadyExists => already_exists().in_file(target),
            _ => place(e.error),
        })?;
        sync_folder(parent(target)).map_err(place)
    }
}

/// Permission bits, without those that let a program run as somebody else.
#[cfg(unix)]
fn mode_of(file: &File) -> io::Result<Option<u32>> {
    Ok(Some(file.metadata()?.permissions().mode() & 0o777))
}

#[cfg(not(unix))]
fn mode_of(_: &File) -> io::Result<Option<u32>> {
    Ok(None)
}

/// Where there are no permissions to set, the file stays as it is.
#[cfg(unix)]
fn set_mode(file: &File, mode: Option<u32>) {
    if let Some(mode) = mode {
        let _ = file.set_permissions(Permissions::from_mode(mode));
    }
}

#[cfg(not(unix))]
fn set_mode(_: &File, _: Option<u32>) {}

fn already_exists() -> Error {
    Error::argument("file exists (not replaced unless forced)")
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

/// Makes a folder durable in one which [`sync_tree`] makes durable later, unless that does it.
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
