//! Folders that keep their layout: each file with layers becomes a `.wcodec` file.

use super::new::NewFolder;
use super::part::Part;
use super::walk::{Found, walk};
use crate::base::lasting::without_own;
use crate::container::read_at::{ReadAt, read_with};
use crate::error::{Error, Result};
use crate::file::{decode_to, encode_listed, verify};
use crate::options::{DecodeOptions, EncodeOptions, Observer, go_on, with_threads};
use crate::source::{self, Listing};
use crate::stats::{DecodeStats, EncodeStats, Stats};
use std::collections::HashMap;
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
    let all = walk(input, None)?;
    // Files of the folder could each be predicted from the other.
    let sources = all.iter().filter(|found| !found.is_folder()).map(Found::open);
    let bases = without_own(&options.bases, sources, observer)?;
    let inner = EncodeOptions { threads: None, bases, ..options.clone() };
    let encode = |found: &Found, source: &File, new: &mut NewFolder, part: &Part<'_>| {
        let (mut listing, warning) = source::list_named(&found.place, source)?;
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
        file.sync_in_tree()?;
        Ok(stats)
    };
    each_file(&all, (output, options.force), options.threads, observer, encode)
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
        let Some(name) = decoded_name(&found.path) else {
            return copy(found, source, new, part);
        };
        let mut file = new.file(name, found.executable, 0)?;
        let stats = decode_to(source, &mut file, &inner, part)?;
        file.sync_in_tree()?;
        Ok(stats)
    };
    let all = walk(input, None)?;
    let mut names = HashMap::new();
    for path in all.iter().map(|found| &*found.path) {
        let name = decoded_name(path).unwrap_or(path);
        if let Some(other) = names.insert(name, path) {
            let text = format!("{other:?} and {path:?} would both become {name:?}");
            return Err(Error::argument(text).in_file(input));
        }
    }
    each_file(&all, (output, options.force), options.threads, observer, decode)
}

/// Checks every hash of the `.wcodec` files of a folder, as [`encode_folder`] makes it, by decoding them. Tells of each,
/// by its path, what was found. Other files have nothing to check.
///
/// # Errors
/// If the folder cannot be looked through, has no `.wcodec` file, or the observer stops the call. What is wrong with a file is
/// told of that file.
pub fn verify_folder(
    input: &Path,
    options: &DecodeOptions,
    observer: &dyn Observer,
) -> Result<Vec<(String, Result<DecodeStats>)>> {
    let inner = DecodeOptions { threads: None, ..options.clone() };
    let mut all = walk(input, None)?;
    all.retain(|found| !found.is_folder() && decoded_name(&found.path).is_some());
    if all.is_empty() {
        let text = "a folder without a .wcodec file; encode makes one, with --archive or -o";
        return Err(Error::argument(text).in_file(input));
    }
    with_threads(options.threads, || {
        let mut files = Vec::with_capacity(all.len());
        for (found, part) in Part::of_found(observer, &all) {
            let result = found.read(|source| verify(source, &inner, &part));
            go_on(observer)?;
            files.push((found.path.clone(), result));
        }
        Ok(files)
    })
}

/// What an encoded file of this name was called; `None` if the name is not that of one.
pub(crate) fn decoded_name(path: &str) -> Option<&str> {
    path.strip_suffix(SUFFIX).filter(|name| !name.is_empty() && !name.ends_with('/'))
}

/// Makes a folder of what `work` makes of each of the files that were found in another one.
fn each_file(
    all: &[Found],
    (output, force): (&Path, bool),
    threads: Option<usize>,
    observer: &dyn Observer,
    work: impl Fn(&Found, &File, &mut NewFolder, &Part<'_>) -> Result<Stats> + Sync,
) -> Result<Stats> {
    let started = Instant::now();
    let mut new = NewFolder::create(output, force)?;
    with_threads(threads, || {
        let mut sum = Stats::default();
        for (found, part) in Part::of_found(observer, all) {
            if found.is_folder() {
                new.folder(&found.path)?;
                continue;
            }
            sum += found.read(|source| work(found, source, &mut new, &part))?;
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
    file.sync_in_tree()?;
    Ok(Stats { original_bytes: size, coded_bytes: size, ..Stats::default() })
}
