//! Entries in the directory of an archive: the files and empty folders of a folder. FORMAT.md section 13.
//!
//! | at | bytes | field | legal |
//! | --- | --- | --- | --- |
//! | 0 | 32 | BLAKE3 of the file | of a folder 0 |
//! | 32 | 8 | length of the file | of a folder 0 |
//! | 40 | 2 | length of the path | 1 to 4,096 |
//! | 42 | 1 | kind | 0 file, 1 folder |
//! | 43 | 1 | executable | 0 or 1; of a folder 0 |
//! | 44 | 1 | source of the file | that of no archive and no single layer; of a folder 0 |
//! | 45 | 3 | zero | 0 |
//! | 48 | | path (UTF-8) | relative, in order, no folder of another one |

use super::directory::Parts;
use super::fields::Fields;
use super::footer::SourceKind;
use crate::error::{Error, Result, corrupt};
use std::cmp::Ordering;

pub(super) const ENTRY_LEN: usize = 48;
/// Bytes of a path, and of one of its parts: what file systems have.
const MAX_PATH: usize = 4096;
const MAX_PART: usize = 255;
/// Parts of a path: folders around each file are made one by one.
const MAX_PARTS: usize = 64;

/// A file of an archive, or a folder that holds nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Where it is in the folder: names with `/` between them, none of them `..`.
    pub path: String,
    /// Bytes of the file; 0 for a folder.
    pub bytes: u64,
    /// BLAKE3 of the file; zeros for a folder.
    pub blake3: [u8; 32],
    /// Whether the file may be executed.
    pub executable: bool,
    /// What the file was; `None` for a folder.
    pub source: Option<SourceKind>,
}

impl Entry {
    /// Whether it is a folder.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.source.is_none()
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        check_path(&self.path).map_err(Error::argument)?;
        let source = self.source.map_or(0, |source| source as u8);
        out.extend_from_slice(&self.blake3);
        out.extend_from_slice(&self.bytes.to_le_bytes());
        out.extend_from_slice(&(self.path.len() as u16).to_le_bytes());
        out.extend_from_slice(&[u8::from(self.is_folder()), u8::from(self.executable), source]);
        out.extend_from_slice(&[0; 3]);
        out.extend_from_slice(self.path.as_bytes());
        Ok(())
    }

    fn read(fields: &mut Fields<'_>, minor: u16) -> Result<Entry> {
        let (blake3, bytes) = (fields.array()?, fields.u64()?);
        let path_len = usize::from(fields.u16()?);
        let folder = flag(fields.u8()?, "kind")?;
        let executable = flag(fields.u8()?, "executable")?;
        let source = SourceKind::from_code(fields.u8()?, minor)?;
        fields.zero(3)?;
        let path = std::str::from_utf8(fields.bytes(path_len)?);
        let path = path.map_err(|e| corrupt!("path of an entry: {e}"))?.to_owned();
        check_path(&path).map_err(|text| corrupt!("{text}"))?;
        if matches!(source, SourceKind::Archive | SourceKind::Layer) {
            return Err(corrupt!("file {path:?} is of source {}", source.name()));
        }
        let nothing = blake3 == [0; 32] && bytes == 0 && source == SourceKind::Opaque;
        if folder && (executable || !nothing) {
            return Err(corrupt!("folder {path:?} is described as a file"));
        }
        let source = (!folder).then_some(source);
        Ok(Entry { path, bytes, blake3, executable, source })
    }
}

fn flag(value: u8, what: &str) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(corrupt!("{what} of an entry is {value}, at most 1 expected")),
    }
}

/// Reads the entries of an archive, whose files must be whole parts of the original.
pub(super) fn read_entries(
    fields: &mut Fields<'_>,
    count: u32,
    (parts, minor): (&Parts, u16),
) -> Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut at = 0u64;
    for _ in 0..count {
        let entry = Entry::read(fields, minor)?;
        if let Some(before) = entries.last() {
            check_order(&before.path, &entry.path)?;
        }
        at = at.checked_add(entry.bytes).filter(|&end| parts.end_at(end)).ok_or_else(|| {
            corrupt!("file {:?} of {} bytes does not end with a segment", entry.path, entry.bytes)
        })?;
        entries.push(entry);
    }
    if at != parts.bytes() {
        let bytes = parts.bytes();
        return Err(corrupt!("the files of an archive have {at} bytes, its segments {bytes}"));
    }
    Ok(entries)
}

/// The order of paths: part by part.
pub(crate) fn path_order(a: &str, b: &str) -> Ordering {
    a.split('/').cmp(b.split('/'))
}

fn check_order(before: &str, path: &str) -> Result<()> {
    if path_order(before, path) != Ordering::Less {
        return Err(corrupt!("path {path:?} behind {before:?} is not in order"));
    }
    // Whatever lies in a folder comes right behind it in this order.
    if path.strip_prefix(before).is_some_and(|rest| rest.starts_with('/')) {
        return Err(corrupt!("path {path:?} leads through the file or empty folder {before:?}"));
    }
    Ok(())
}

/// Whether a path may be that of an entry; else what is wrong with it.
pub(crate) fn check_path(path: &str) -> std::result::Result<(), String> {
    if path.is_empty() || path.len() > MAX_PATH {
        return Err(format!("path of {} bytes, expected 1 to {MAX_PATH}", path.len()));
    }
    let parts = path.split('/').count();
    if parts > MAX_PARTS {
        return Err(format!("path of {parts} parts, at most {MAX_PARTS} expected"));
    }
    for part in path.split('/') {
        if part.is_empty() || part == "." || part == ".." {
            return Err(format!("path {path:?} has the part {part:?}"));
        }
        if part.len() > MAX_PART {
            let bytes = part.len();
            return Err(format!("path with a part of {bytes} bytes, at most {MAX_PART} expected"));
        }
    }
    if let Some(found) = path.chars().find(|&c| c == '\0' || c == '\\') {
        return Err(format!("path {path:?} has the character {found:?}"));
    }
    // A drive of Windows.
    if path.chars().nth(1) == Some(':') {
        return Err(format!("path {path:?} begins with a drive"));
    }
    Ok(())
}

/// Where the files of an archive lie in its original.
pub(crate) struct FileEnds<'a> {
    entries: &'a [Entry],
    ends: Vec<u64>,
}

impl<'a> FileEnds<'a> {
    pub(crate) fn of(entries: &'a [Entry]) -> FileEnds<'a> {
        let ends = entries.iter().scan(0u64, |end, entry| {
            *end = end.saturating_add(entry.bytes);
            Some(*end)
        });
        FileEnds { entries, ends: ends.collect() }
    }

    /// The number of the file that has this byte of the original.
    pub(crate) fn number(&self, at: u64) -> usize {
        self.ends.partition_point(|&end| end <= at)
    }

    /// Of a layer that begins at this byte: the number of its file, and its name in it.
    pub(crate) fn place<'b>(&self, at: u64, name: &'b str) -> (usize, &'b str) {
        let number = self.number(at);
        // One without bytes may lie at the end of a file.
        let near = [number, self.number(at.saturating_sub(1))];
        let in_file = |number: usize| {
            let name = name.strip_prefix(self.entries.get(number)?.path.as_str())?;
            Some((number, name.strip_prefix(':')?))
        };
        near.into_iter().find_map(in_file).unwrap_or((number, name))
    }

    /// Of such a layer, the path of its file, which is nothing of a single file, and its name in it.
    pub(crate) fn split<'b>(&self, at: u64, name: &'b str) -> (&'a str, &'b str) {
        let (number, name) = self.place(at, name);
        (self.entries.get(number).map_or("", |entry| &entry.path), name)
    }
}

/// The BLAKE3 of each file of an archive, whose bytes come one behind the other.
pub(crate) struct FileHashes {
    lengths: Vec<u64>,
    digests: Vec<[u8; 32]>,
    hasher: blake3::Hasher,
    /// Bytes of the file that is hashed now.
    taken: u64,
}

impl FileHashes {
    pub(crate) fn new(entries: &[Entry]) -> FileHashes {
        FileHashes {
            lengths: entries.iter().map(|entry| entry.bytes).collect(),
            digests: Vec::new(),
            hasher: blake3::Hasher::new(),
            taken: 0,
        }
    }

    /// Hashes the bytes that come next.
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while let Some(&length) = self.lengths.get(self.digests.len()) {
            let left = usize::try_from(length - self.taken).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at(left.min(bytes.len()));
            self.hasher.update_rayon(now);
            self.taken += now.len() as u64;
            bytes = rest;
            if self.taken < length {
                return;
            }
            self.digests.push(*self.hasher.finalize().as_bytes());
            self.hasher.reset();
            self.taken = 0;
        }
    }

    /// Those of all entries, behind the last byte.
    pub(crate) fn finish(mut self) -> Vec<[u8; 32]> {
        self.update(&[]);
        self.digests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_folder() {
        let deepest = "a/".repeat(63) + "a";
        for path in
            ["a", "a/b", "config.json", "..a/b..", "a b/ü", "a/C:", "sha256:0", ".git/x", &deepest]
        {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
        let long = "a/".repeat(2048) + "a";
        let deep = "a/".repeat(64) + "a";
        let wide = "a".repeat(256);
        for path in [
            "", "/a", "a/", "a//b", "..", "a/../b", ".", "a/.", "a\\b", "C:", "c:/a", "a\0", &long,
            &wide, &deep,
        ] {
            assert!(check_path(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn order_is_by_parts() {
        let order = ["a", "a/b", "a/b/c", "a-b", "a-b/c", "b"];
        for (first, second) in order.iter().zip(order.iter().skip(1)) {
            assert_eq!(path_order(first, second), Ordering::Less, "{first} {second}");
        }
        assert!(check_order("a", "a-b").is_ok() && check_order("a/b", "a-b").is_ok());
        assert!(check_order("a", "a/b").is_err() && check_order("a", "a").is_err());
        assert!(check_order("a-b", "a/b").is_err());
    }

    #[test]
    fn files_are_hashed_whatever_pieces_they_come_in() {
        let bytes: Vec<u8> = (0..100).collect();
        let lengths = [0, 3, 0, 50, 47, 0];
        let entry = |bytes| Entry {
            path: String::new(),
            bytes,
            blake3: [0; 32],
            executable: false,
            source: Some(SourceKind::Opaque),
        };
        let entries: Vec<Entry> = lengths.into_iter().map(entry).collect();
        for piece in [1, 7, 50, 100] {
            let mut hashes = FileHashes::new(&entries);
            bytes.chunks(piece).for_each(|piece| hashes.update(piece));
            let mut at = 0;
            for (digest, length) in hashes.finish().into_iter().zip(lengths) {
                let file = bytes.get(at..at + length as usize).unwrap();
                at += length as usize;
                assert_eq!(digest, *blake3::hash(file).as_bytes());
            }
            assert_eq!(at, 100);
        }
    }
}
