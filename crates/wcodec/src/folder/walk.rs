//! The files of a folder, through symbolic links.

use crate::container::commit::location;
use crate::container::entries::{check_path, path_order};
use crate::error::{Error, Result};
use crate::file::{open_file, open_regular};
use crate::limits::Limits;
use crate::stamp::Stamp;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// Files and folders that a folder may hold: links can make few of them many.
const MOST: usize = 1 << 20;

/// The permission bits with which the group and the others may read a file.
pub(super) const ANYBODY: u32 = 0o044;

/// A file, or a folder that holds nothing.
pub(crate) struct Found {
    /// Where it is in the folder, with `/` between the names.
    pub(crate) path: String,
    /// Where it is read.
    pub(crate) place: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) executable: bool,
    /// Who may read it, the folders around it being as they are: permission bits of the group and the others.
    pub(super) readers: u32,
    /// `None` for a folder.
    stamp: Option<Stamp>,
}

impl Found {
    pub(crate) fn is_folder(&self) -> bool {
        self.stamp.is_none()
    }

    /// Checks that a file with this metadata is the one that was found, as it was then.
    pub(crate) fn check(&self, meta: &Metadata) -> io::Result<()> {
        self.stamp.as_ref().map_or(Ok(()), |stamp| stamp.check(&Stamp::of(meta)))
    }

    /// Does work on the file, which must stay as it was found.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&File) -> Result<T>) -> Result<T> {
        let file = self.open()?;
        let done = work(&file).map_err(|e| e.in_file(&self.place))?;
        self.check_now()?;
        Ok(done)
    }

    /// Opens the file, if it is as it was found.
    pub(crate) fn open(&self) -> Result<File> {
        let file = open_regular(&self.place)?;
        let same = file.metadata().and_then(|meta| self.check(&meta));
        same.map_err(|e| Error::from(e).in_file(&self.place))?;
        Ok(file)
    }

    /// As [`Found::check`], of what has its name now. Folders are not looked at.
    pub(crate) fn check_now(&self) -> Result<()> {
        if self.is_folder() {
            return Ok(());
        }
        let checked = std::fs::metadata(&self.place).and_then(|meta| self.check(&meta));
        checked.map_err(|e| Error::from(e).in_file(&self.place))
    }
}

/// A folder that is to be looked into.
struct Waiting {
    path: String,
    place: PathBuf,
    /// What it and the folders around it are called without links, the outermost first.
    real: Vec<PathBuf>,
    /// Who may come to what is in it.
    readers: u32,
}

/// All files of a folder and all empty folders in it, in the order of their paths; without the `.wcodec` file
/// that is to be replaced by the output.
pub(crate) fn walk(root: &Path, output: Option<&Path>) -> Result<Vec<Found>> {
    let replaced = output.and_then(replaced);
    let place = |e: io::Error| Error::from(e).in_file(root);
    let real = std::fs::canonicalize(root).map_err(place)?;
    let readers = readers(&std::fs::metadata(root).map_err(place)?);
    let (path, place) = (String::new(), root.to_path_buf());
    let mut waiting = vec![Waiting { path, place, real: vec![real], readers }];
    let (mut found, mut looked_into) = (Vec::new(), 0);
    while let Some(folder) = waiting.pop() {
        looked_into += 1;
        let mut names = names(&folder.place).map_err(|e| e.in_file(&folder.place))?;
        if let (Some(replaced), Some(real)) = (&replaced, folder.real.last()) {
            names.retain(|name| real.join(name) != *replaced);
        }
        if names.is_empty() && !folder.path.is_empty() {
            let Waiting { path, place, readers, .. } = folder;
            found.push(Found { path, place, bytes: 0, executable: false, readers, stamp: None });
            continue;
        }
        for name in names {
            let place = folder.place.join(&name);
            look(&folder, &name, &place, (&mut waiting, &mut found))
                .map_err(|e| e.in_file(&place))?;
        }
        if found.len() + looked_into + waiting.len() > MOST {
            let text = format!("more than {MOST} files and folders");
            return Err(Error::argument(text).in_file(root));
        }
    }
    found.sort_by(|a, b| path_order(&a.path, &b.path));
    Ok(found)
}

/// The name that the output takes from a `.wcodec` file, without links in the folders around it. A file of
/// another kind is kept: it might have no other copy.
fn replaced(output: &Path) -> Option<PathBuf> {
    open_file(output, &Limits::unlimited()).ok()?;
    location(output)
}

/// The names in a folder.
fn names(folder: &Path) -> Result<Vec<String>> {
    std::fs::read_dir(folder)?
        .map(|entry| {
            let name = entry?.file_name();
            let text = || format!("name {name:?} is not UTF-8");
            name.to_str().map(str::to_owned).ok_or_else(|| Error::argument(text()))
        })
        .collect()
}

/// Looks at what has a name in a folder.
fn look(
    folder: &Waiting,
    name: &str,
    place: &Path,
    (waiting, found): (&mut Vec<Waiting>, &mut Vec<Found>),
) -> Result<()> {
    let path = match folder.path.as_str() {
        "" => name.to_owned(),
        path => format!("{path}/{name}"),
    };
    check_path(&path).map_err(Error::argument)?;
    let is_link = std::fs::symlink_metadata(place)?.is_symlink();
    let meta = std::fs::metadata(place).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound if is_link => {
            Error::argument("symbolic link leads to nothing that exists")
        }
        _ => error.into(),
    })?;
    let place = place.to_path_buf();
    let readers = folder.readers & readers(&meta);
    if meta.is_dir() {
        let mut real = folder.real.clone();
        let own = match real.last() {
            Some(parent) if !is_link => parent.join(name),
            _ => std::fs::canonicalize(&place)?,
        };
        if real.contains(&own) {
            return Err(Error::argument("symbolic link leads to a folder around it"));
        }
        real.push(own);
        waiting.push(Waiting { path, place, real, readers });
    } else if meta.is_file() {
        let (bytes, executable) = (meta.len(), is_executable(&meta));
        let stamp = Some(Stamp::of(&meta));
        found.push(Found { path, place, bytes, executable, readers, stamp });
    } else {
        return Err(Error::argument("neither a file nor a folder"));
    }
    Ok(())
}

/// Who of the group and the others may read a file, or come to what is in a folder.
#[cfg(unix)]
fn readers(meta: &Metadata) -> u32 {
    let mode = std::os::unix::fs::PermissionsExt::mode(&meta.permissions());
    let bits = if meta.is_dir() { mode << 2 } else { mode };
    bits & ANYBODY
}

/// Other systems have no such bits.
#[cfg(not(unix))]
fn readers(_: &Metadata) -> u32 {
    ANYBODY
}

#[cfg(unix)]
fn is_executable(meta: &Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o111 != 0
}

/// Other systems tell by the name.
#[cfg(not(unix))]
fn is_executable(_: &Metadata) -> bool {
    false
}
