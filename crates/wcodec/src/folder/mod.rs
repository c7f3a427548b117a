//! Folders: as one archive, or file by file.
//!
//! [`walk`] finds the files of a folder, [`joined`] makes one original of them, [`new`] lets a folder appear
//! whole or not at all, under names that [`names`] finds sound, [`tree`] keeps the layout of a folder, [`part`] tells the progress of one of many files.

mod joined;
mod names;
mod new;
pub(crate) mod part;
pub(crate) mod tree;
pub(crate) mod walk;

pub use names::check_file_name;
pub use tree::{decode_folder, encode_folder, verify_folder};

use crate::container::commit::AtomicFile;
use crate::container::entries::Entry;
use crate::container::footer::SourceKind;
use crate::container::output::OutputFile;
use crate::container::read_at::ReadAt;
use crate::container::reader::Reader;
use crate::error::{Error, Result};
use crate::file::{encode_listed, open_regular};
use crate::limits::Limits;
use crate::options::{DecodeOptions, EncodeOptions, Observer, go_on, with_threads};
use crate::stats::{DecodeStats, EncodeStats};
use joined::Joined;
use new::NewFolder;
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

/// Encodes a folder into one file, an archive: layers that several files have are stored once. It holds the
/// files with their paths and whether they may be executed, and folders that hold nothing. Symbolic links
/// are followed. The output appears as [`encode_file`](crate::encode_file)'s does, and on Unix nobody may
/// read it who may not read all of the folder; a `.wcodec` file in the folder
/// that it replaces is left out.
///
/// # Errors
/// If a file cannot be read or written, was changed meanwhile, a link leads nowhere or round in a circle, there is
/// something that is neither a file nor a folder, a name is not UTF-8 or has a backslash, folders lie more than 63 deep,
/// there are more than 2^20 files and folders, an option does not fit, the observer stops the call, or
/// verification fails.
pub fn encode_archive(
    folder: &Path,
    output: &Path,
    options: &EncodeOptions,
    observer: &dyn Observer,
) -> Result<EncodeStats> {
    let joined = Joined::of(folder, Some(output))?;
    options.bases.check_output(output)?;
    let mut file = AtomicFile::create_for(output, options.force, joined.readers())?;
    let stats = encode_joined(&joined, file.file(), options, observer)?;
    file.commit()?;
    Ok(stats)
}

/// Encodes a folder into an empty file that can be read back, as [`encode_archive`] does between two paths.
///
/// # Errors
/// As [`encode_archive`].
pub fn encode_archive_to(
    folder: &Path,
    output: &mut OutputFile,
    options: &EncodeOptions,
    observer: &dyn Observer,
) -> Result<EncodeStats> {
    encode_joined(&Joined::of(folder, None)?, output, options, observer)
}

fn encode_joined(
    joined: &Joined,
    output: &mut OutputFile,
    options: &EncodeOptions,
    observer: &dyn Observer,
) -> Result<EncodeStats> {
    let listing = joined.list(observer)?;
    let stats = encode_listed(joined, &listing, output, options, observer)?;
    joined.check()?;
    // What could not be decoded without asking for it must not be made.
    let places = places(listing.entries.iter());
    Limits::default().check_places(stats.coded_bytes, stats.original_bytes, places)?;
    Ok(stats)
}

/// Restores the folder that an archive holds. It appears under its name only when it is complete, checked against all hashes
/// and synced. There must be nothing of that name; with `force` there may be an empty folder.
///
/// # Errors
/// If a file cannot be read or written, the input is no archive or not sound within the limits, or the
/// observer stops the call.
pub fn decode_archive(
    input: &Path,
    folder: &Path,
    options: &DecodeOptions,
    observer: &dyn Observer,
) -> Result<DecodeStats> {
    let source = open_regular(input)?;
    decode_archive_from(&source, folder, options, observer).map_err(|e| e.in_file(input))
}

/// As [`decode_archive`], of an archive that `source` holds.
///
/// # Errors
/// As [`decode_archive`].
pub fn decode_archive_from(
    source: &impl ReadAt,
    folder: &Path,
    options: &DecodeOptions,
    observer: &dyn Observer,
) -> Result<DecodeStats> {
    let started = Instant::now();
    let new = NewFolder::create(folder, options.force)?;
    with_threads(options.threads, || {
        let (limits, bases) = (&options.limits, &options.bases);
        let reader = Reader::open_observed(source, limits, bases, observer)?;
        if reader.source_kind() != SourceKind::Archive {
            return Err(Error::argument("not an archive, but a single file"));
        }
        let places = places(reader.files());
        options.limits.check_places(source.size()?, reader.original_len(), places)?;
        let mut files = Files::new(new, reader.files(), observer);
        let mut stats = reader.restore(&mut files, observer)?;
        files.finish()?.commit()?;
        stats.elapsed = started.elapsed();
        Ok(stats)
    })
}

/// Files and folders that these entries become.
fn places<'a>(entries: impl Iterator<Item = &'a Entry>) -> u64 {
    let (mut places, mut before) = (0, "");
    for entry in entries {
        // Folders are those of the entry before as far as both paths are the same; those behind are new.
        let (a, b) = (entry.path.split('/'), before.split('/'));
        let known = a.zip(b).take_while(|(a, b)| a == b).count();
        places += entry.path.split('/').skip(known).count() as u64;
        before = &entry.path;
    }
    places
}

/// Deals bytes out to the files that they are, one behind the other.
struct Files<'a, I> {
    folder: NewFolder,
    entries: I,
    /// The file that is written now, and the bytes that it still lacks.
    current: Option<(OutputFile, u64)>,
    observer: &'a dyn Observer,
}

impl<'a, I: Iterator<Item = &'a Entry>> Files<'a, I> {
    fn new(folder: NewFolder, entries: I, observer: &'a dyn Observer) -> Files<'a, I> {
        Files { folder, entries, current: None, observer }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<usize> {
        while self.current.is_none() && self.begin()? {}
        let Some((file, left)) = &mut self.current else {
            return Err(Error::argument("more bytes than the files have"));
        };
        let now = bytes.get(..usize::try_from(*left).unwrap_or(usize::MAX)).unwrap_or(bytes);
        file.write_all(now)?;
        *left -= now.len() as u64;
        if *left == 0 {
            file.sync_in_tree()?;
            self.current = None;
        }
        Ok(now.len())
    }

    /// Begins the next entry, if there is one more; those without bytes are complete with that.
    fn begin(&mut self) -> Result<bool> {
        go_on(self.observer)?;
        let Some(entry) = self.entries.next() else { return Ok(false) };
        if entry.is_folder() {
            self.folder.folder(&entry.path)?;
            return Ok(true);
        }
        let file = self.folder.file(&entry.path, entry.executable, entry.bytes)?;
        if entry.bytes == 0 {
            file.sync_in_tree()?;
        } else {
            self.current = Some((file, entry.bytes));
        }
        Ok(true)
    }

    /// The folder with all files.
    fn finish(mut self) -> Result<NewFolder> {
        while self.begin()? {}
        Ok(self.folder)
    }
}

impl<'a, I: Iterator<Item = &'a Entry>> Write for Files<'a, I> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        Ok(self.put(bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
