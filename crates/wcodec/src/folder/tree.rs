//! Folders that keep their layout: each file with layers becomes a `.wcodec` file.

use super::new::NewFolder;
use super::walk::{Found, walk};
use crate::base::matching::without_own;
use crate::container::commit::sync_in_tree;
use crate::container::read_at::{ReadAt, read_with};
use crate::error::{Error, Result};
use crate::file::{decode_to, encode_listed, open};
use crate::options::{DecodeOptions, EncodeOptions, Observer, go_on, with_threads};
use crate::source::{self, Listing};
use crate::stats::{DecodeStats, EncodeStats, Stats};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

/// What is behind the names of encoded files.
const SUFFIX: &str = ".wcodec";
/// Bytes that are copied at a time.
const PIECE: u64 = 1 << 20;

/// Encodes the files of a folder, each with layers into a file of its own: `NAME` becomes `NAME.wcodec`. All others
/// are copied, but those whose names end in `.wcodec` already, which are encoded as bytes, so that
/// [`decode_folder`] knows what to decode. Folders stay as they are, symbolic links are followed. The output appears under its name
/// only when it is complete, synced and, unless switched off, verified; nothing may have that name, but an empty
/// folder with `force`.
///
/// # Errors
/// As [`encode_archive`](crate::encode_archive).
pub fn encode_folder(
    input: &Path,
    output: &Path,
    options: &EncodeOptions,
    observer: &dyn Observer,
) -> Result<EncodeStats> {
    let inner = EncodeOptions { threads: None, ..options.clone() };
    // Files of the folder could each be predicted from the other.
    let sources = walk(input, None)?.into_iter().filter(|found| !found.is_folder());
    let sources = sources.map(|found| open(&found.place));
    let inner = without_own(&inner, sources, observer)?;
    let encode = |found: &Found, source: &File, new: &mut NewFolder, part: &Part<'_>| {
        let (mut listing, warning) = source::list(source)?;
        if let Some(warning) = warning {
            part.warn(&warning);
        }
        let coded = found.path.ends_with(SUFFIX);
        if listing.layers.is_empty() && !coded {
            return copy(found, source, new, part);
        }
        if coded {
            listing = Listing::opaque();
        }
        let mut file = new.file(&format!("{}{SUFFIX}", found.path), found.executable, 0)?;
        let stats = encode_listed(source, &listing, &mut file, &inner, part)?;
        sync_in_tree(&file)?;
        Ok(stats)
    };
    each_file((input, output, options.force), options.threads, observer, encode)
}

/// Restores a folder that [`encode_folder`] made. It appears under its name only when it is complete, checked
/// against all hashes and synced; nothing may have that name, but an empty folder with `force`.
///
/// # Errors
/// If a file cannot be read or written, one whose name ends in `.wcodec` is not a sound one within the limits, two files
/// get the same name, or the observer stops the call.
pub fn decode_folder(
    input: &Path,
    output: &Path,
    options: &DecodeOptions,
    observer: &dyn Observer,
) -> Result<DecodeStats> {
    let inner = DecodeOptions { threads: None, ..options.clone() };
    let decode = |found: &Found, source: &File, new: &mut NewFolder, part: &Part<'_>| {
        let name = found.path.strip_suffix(SUFFIX);
        let Some(name) = name.filter(|name| !name.is_empty() && !name.ends_with('/')) else {
            return copy(found, source, new, part);
        };
        let mut file = new.file(name, found.executable, 0)?;
        let stats = decode_to(source, &mut file, &inner, part)?;
        sync_in_tree(&file)?;
        Ok(stats)
    };
    each_file((input, output, options.force), options.threads, observer, decode)
}

/// Makes a folder of what `work` makes of each file of another one.
fn each_file(
    (input, output, force): (&Path, &Path, bool),
    threads: Option<usize>,
    observer: &dyn Observer,
    work: impl Fn(&Found, &File, &mut NewFolder, &Part<'_>) -> Result<Stats> + Sync,
) -> Result<Stats> {
    let started = Instant::now();
    let all = walk(input, None)?;
    let total = all.iter().map(|found| found.bytes).sum();
    let mut new = NewFolder::create(output, force)?;
    with_threads(threads, || {
        let (mut sum, mut before) = (Stats::default(), 0);
        for found in &all {
            if found.is_folder() {
                new.folder(&found.path)?;
                continue;
            }
            let part = Part { observer, path: &found.path, before, len: found.bytes, total };
            let source = open(&found.place)?;
            let same = source.metadata().and_then(|meta| found.check(&meta)).map_err(Error::from);
            let stats = same.and_then(|()| work(found, &source, &mut new, &part));
            sum += stats.map_err(|e| e.in_file(&found.place))?;
            found.check_now()?;
            before += found.bytes;
        }
        new.commit()?;
        sum.elapsed = started.elapsed();
        Ok(sum)
    })
}

fn copy(found: &Found, source: &File, new: &mut NewFolder, part: &Part<'_>) -> Result<Stats> {
    let size = source.size()?;
    let mut file = new.file(&found.path, found.executable, size)?;
    let mut buffer = Vec::new();
    for at in (0..size).step_by(PIECE as usize) {
        let bytes = read_with(source, at, PIECE.min(size - at), &mut buffer)?;
        file.write_all(bytes)?;
        part.progress(at, size);
        go_on(part)?;
    }
    sync_in_tree(&file)?;
    Ok(Stats { original_bytes: size, coded_bytes: size, ..Stats::default() })
}

/// The observer of one of many files.
struct Part<'a> {
    observer: &'a dyn Observer,
    path: &'a str,
    /// Bytes of the files before, of this one, and of all.
    before: u64,
    len: u64,
    total: u64,
}

impl Observer for Part<'_> {
    fn progress(&self, done: u64, total: u64) {
        let done = u128::from(self.len) * u128::from(done) / u128::from(total.max(1));
        self.observer.progress(self.before + done as u64, self.total);
    }

    fn warn(&self, message: &str) {
        self.observer.warn(&format!("{}: {message}", self.path));
    }

    fn cancelled(&self) -> bool {
        self.observer.cancelled()
    }
}
