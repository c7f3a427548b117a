//! A folder that appears whole or not at all: made beside the target, synced, and renamed.

use super::names::check_file_name;
use crate::container::commit::{parent, sync_folder, sync_folder_in_tree, sync_tree};
use crate::container::entries::check_path;
use crate::container::output::OutputFile;
use crate::error::{Error, Result};
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder that does not exist under its name until [`NewFolder::commit`]. Dropped before, it leaves nothing
/// behind. Its files and folders are made in the order of their paths, part by part.
pub(super) struct NewFolder {
    /// Nobody else may look into it, so nobody can change what is made in it.
    temp: TempDir,
    /// The folder in it that will be the target.
    root: PathBuf,
    target: PathBuf,
    /// The path of the folder that was made last, unless it was left. It and those around it are not synced yet.
    current: String,
}

impl NewFolder {
    /// Begins a folder that will appear as `target`. Nothing may have that name, but an empty folder with
    /// `force`.
    pub(super) fn create(target: &Path, force: bool) -> Result<NewFolder> {
        let place = |e: io::Error| Error::from(e).in_file(target);
        if target.file_name().is_none() {
            return Err(Error::argument("is no name for a new folder").in_file(target));
        }
        match std::fs::symlink_metadata(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(place(error)),
            Ok(meta) => {
                let empty = || std::fs::read_dir(target).map(|mut names| names.next().is_none());
                if !(force && meta.is_dir() && empty().map_err(place)?) {
                    let text = "exists; only an empty folder is replaced, if forced";
                    return Err(Error::argument(text).in_file(target));
                }
            }
        }
        let mut builder = tempfile::Builder::new();
        let temp = builder.prefix(".wcodec-").suffix(".tmp").tempdir_in(parent(target));
        let temp = temp.map_err(place)?;
        let root = temp.path().join("folder");
        std::fs::create_dir(&root).map_err(place)?;
        let target = target.to_path_buf();
        Ok(NewFolder { temp, root, target, current: String::new() })
    }

    /// Makes an empty file, with room for so many bytes, and the folders around it. The caller ends with
    /// [`OutputFile::sync_in_tree`].
    pub(super) fn file(&mut self, path: &str, executable: bool, bytes: u64) -> Result<OutputFile> {
        self.check(path)?;
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.folders(folder)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        {
            // As files are made the usual way; the process's umask applies.
            let mode = if executable { 0o777 } else { 0o666 };
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        }
        let _ = executable;
        let file = options.open(self.root.join(path)).map_err(|e| self.place(e, path))?;
        let file = OutputFile::new(file, self.target.join(path));
        file.reserve(bytes)?;
        Ok(file)
    }

    /// Makes a folder and those around it.
    pub(super) fn folder(&mut self, path: &str) -> Result<()> {
        self.check(path)?;
        self.folders(path)
    }

    /// Makes those of the folders that a path names that were not made yet.
    fn folders(&mut self, path: &str) -> Result<()> {
        while !lies_in(path, &self.current) {
            self.leave()?;
        }
        let known = self.current.len();
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for folder in ends.filter(|&end| end > known).filter_map(|end| path.get(..end)) {
            // That there is none yet tells apart names that the system takes for the same.
            std::fs::create_dir(self.root.join(folder)).map_err(|e| self.place(e, folder))?;
            folder.clone_into(&mut self.current);
        }
        Ok(())
    }

    /// Makes the current folder durable, in which nothing more will be made, and goes to the one around it.
    fn leave(&mut self) -> Result<()> {
        let folder = self.root.join(&self.current);
        sync_folder_in_tree(&folder).map_err(|e| self.place(e, &self.current))?;
        self.current.truncate(self.current.rfind('/').unwrap_or(0));
        Ok(())
    }

    /// Once more where it matters most: a path must not lead out of the folder, nor to a device.
    fn check(&self, path: &str) -> Result<()> {
        check_path(path).map_err(Error::argument)?;
        check_file_name(path)
    }

    fn place(&self, error: io::Error, path: &str) -> Error {
        let error = match error.kind() {
            io::ErrorKind::AlreadyExists => {
                Error::argument("another file has this name, as the system sees it")
            }
            _ => error.into(),
        };
        error.in_file(&self.target.join(path))
    }

    /// Makes the folder durable and gives it its name.
    pub(super) fn commit(mut self) -> Result<()> {
        while !self.current.is_empty() {
            self.leave()?;
        }
        let NewFolder { temp, root, target, .. } = self;
        let place = |e: io::Error| Error::from(e).in_file(&target);
        sync_tree(&root).map_err(place)?;
        // This replaces an empty folder at most.
        std::fs::rename(&root, &target).map_err(place)?;
        drop(temp);
        sync_folder(parent(&target)).map_err(place)
    }
}

/// Whether a path is that of a folder or of something in it; all are in the one without a path.
fn lies_in(path: &str, folder: &str) -> bool {
    let rest = path.strip_prefix(folder);
    folder.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
