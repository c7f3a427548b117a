//! Checkpoints as zip archives: `NAME/data.pkl`, `NAME/data/KEY` for each storage, and small files.
//! Members are stored, not compressed, so that they can be mapped.

use super::search::Search;
use super::tensors::{Dtype, Storage};
use super::{Answer, Listing, Placed, listing};
use crate::container::read_at::ReadAt;
use crate::source::pickle::Pickle;
use crate::source::window::{Span, Window};
use crate::source::{Fault, Found, MAX_LAYERS, MAX_NAME, Names, broken};
use rawzip::{CompressionMethod, MAX_CENTRAL_DIRECTORY_RECORD_SIZE, ReaderAt, ZipArchive};
use std::collections::HashMap;
use std::io;

pub(super) const MAGIC: &[u8] = b"PK\x03\x04";
const PICKLE: &str = "data.pkl";
/// Before the key of a storage.
const STORAGES: &str = "data/";
/// A local header without its name, and where it says how long that is.
const LOCAL_LEN: u64 = 30;
const LOCAL_NAME_LEN: u64 = 26;

/// A checkpoint's folder, and its members by the rest of their names: where their bytes lie, `None`
/// if not as they are.
struct Archive {
    root: String,
    members: HashMap<String, Option<Span>>,
}

impl Archive {
    fn member(&self, name: &str) -> Found<Span> {
        let span = self.members.get(name).ok_or_else(|| broken!("no member {name:?}"))?;
        span.ok_or_else(|| broken!("member {name:?} is compressed or encrypted"))
    }
}

pub(super) fn list(window: &mut Window<'_, impl ReadAt>) -> Found<Option<Answer>> {
    let archive = match open(window) {
        // The pickle comes first, so a damaged checkpoint can still be told from other archives.
        Err(Fault::Broken(_)) if !first_name(window)?.ends_with("/data.pkl") => return Ok(None),
        archive => archive?,
    };
    let Some(archive) = archive.filter(|archive| archive.members.contains_key(PICKLE)) else {
        return Ok(None);
    };
    match tensors(window, &archive) {
        Ok(listing) => Ok(Some((listing, None))),
        Err(Fault::Broken(reason)) => {
            let warning = format!(
                "unusual PyTorch checkpoint: {reason}; its storages are kept as layers of bytes"
            );
            Ok(Some((storages(window, &archive)?, Some(warning))))
        }
        Err(error) => Err(error),
    }
}

/// The layers as the pickle names them.
fn tensors(window: &mut Window<'_, impl ReadAt>, archive: &Archive) -> Found<Listing> {
    if archive.members.contains_key("byteorder")
        && window.text(archive.member("byteorder")?, MAX_NAME)? != "little"
    {
        return Err(broken!("numbers are big-endian"));
    }
    let pickle = Pickle::read(window, archive.member(PICKLE)?)?;
    let mut names = Names::new(window.size());
    let mut placed = Vec::new();
    for (key, storage) in Search::run(&pickle, window, &mut names)? {
        let name = format!("{STORAGES}{key}");
        let data = archive.member(&name)?;
        if data.len() != storage.bytes {
            let (have, want) = (data.len(), storage.bytes);
            return Err(broken!("storage {key:?} has {have} bytes, expected {want}"));
        }
        placed.push(Placed { storage, at: data.at, name });
    }
    placed.sort_by_key(|placed| placed.at);
    listing(placed, names, window.size())
}

/// The layers without the pickle: storages, as bytes.
fn storages(window: &Window<'_, impl ReadAt>, archive: &Archive) -> Found<Listing> {
    let storages = archive.members.iter().filter(|(name, _)| name.starts_with(STORAGES));
    let mut placed: Vec<Placed> = storages
        .filter_map(|(name, span)| {
            let Span { at, end } = (*span)?;
            let storage = Storage::new(Dtype::BYTES, end - at);
            Some(Placed { storage, at, name: name.clone() })
        })
        .collect();
    placed.sort_by(|a, b| (a.at, &a.name).cmp(&(b.at, &b.name)));
    listing(placed, Names::new(window.size()), window.size())
}

/// An archive that does not contradict itself; `None` if its members lie in several folders.
fn open(window: &mut Window<'_, impl ReadAt>) -> Found<Option<Archive>> {
    let size = window.size();
    let mut buffer = vec![0; MAX_CENTRAL_DIRECTORY_RECORD_SIZE];
    let reader = Source { source: window.source(), size };
    let zip = rawzip::ZipLocator::new()
        .locate_in_reader(reader, &mut buffer, size)
        .map_err(|(_, error)| fault(error))?;
    let mut archive = Archive { root: String::new(), members: HashMap::new() };
    let mut spans = vec![Span { at: zip.directory_offset(), end: size }];
    let mut entries = zip.entries(&mut buffer);
    while let Some(entry) = entries.next_entry().map_err(fault)? {
        let path = entry.file_path().as_bytes().to_vec();
        let path = String::from_utf8(path).map_err(|_| broken!("a name is not UTF-8"))?;
        let Some((root, name)) = path.split_once('/') else { return Ok(None) };
        if archive.members.is_empty() {
            root.clone_into(&mut archive.root);
        } else if archive.root != root {
            return Ok(None);
        }
        let span = place(&zip, entry.wayfinder(), size)?;
        check_local(window, entry.local_header_offset(), &path, span)?;
        spans.push(Span { at: entry.local_header_offset(), end: span.end });
        let plain = entry.compression_method() == CompressionMethod::STORE
            && !entry.flags().is_encrypted()
            && entry.compressed_size_hint() == entry.uncompressed_size_hint();
        if archive.members.insert(name.to_owned(), plain.then_some(span)).is_some() {
            return Err(broken!("member {path:?} is listed twice"));
        }
        if archive.members.len() > MAX_LAYERS {
            return Err(broken!("more than {MAX_LAYERS} members"));
        }
    }
    let (listed, counted) = (archive.members.len() as u64, zip.entries_hint());
    if listed != counted {
        return Err(broken!("{listed} members are listed, {counted} counted"));
    }
    spans.sort_by_key(|span| (span.at, span.end));
    match spans.is_sorted_by(|before, after| before.end <= after.at) {
        true => Ok(Some(archive)),
        false => Err(broken!("members overlap")),
    }
}

/// Where the bytes of a member lie.
fn place<R: ReaderAt>(
    archive: &ZipArchive<R>,
    entry: rawzip::ZipArchiveEntryWayfinder,
    size: u64,
) -> Found<Span> {
    let (at, end) = archive.get_entry(entry).map_err(fault)?.compressed_data_range();
    match at <= end && end <= size {
        true => Ok(Span { at, end }),
        false => Err(broken!("a member ends at byte {end}, the file at byte {size}")),
    }
}

/// Both headers of a member must name it alike.
fn check_local(window: &mut Window<'_, impl ReadAt>, at: u64, name: &str, data: Span) -> Found<()> {
    let name_len = window.number(at + LOCAL_NAME_LEN, 2)?;
    let local = window.bytes(at + LOCAL_LEN, name_len)?;
    match local == name.as_bytes() && data.at >= at + LOCAL_LEN + name_len {
        true => Ok(()),
        false => Err(broken!("member {name:?} has another name before its bytes")),
    }
}

/// The name that the first bytes of the file give their member.
fn first_name(window: &mut Window<'_, impl ReadAt>) -> Found<String> {
    let len = window.number(LOCAL_NAME_LEN, 2);
    match len.and_then(|len| window.bytes(LOCAL_LEN, len)) {
        Ok(name) => Ok(String::from_utf8_lossy(name).into_owned()),
        Err(Fault::Broken(_)) => Ok(String::new()),
        Err(error) => Err(error),
    }
}

fn fault(error: rawzip::Error) -> Fault {
    match error.into_kind() {
        rawzip::ErrorKind::IO(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            Fault::Io(error)
        }
        kind => broken!("{kind}"),
    }
}

/// A source as the zip reader wants it.
struct Source<'a, R> {
    source: &'a R,
    size: u64,
}

impl<R: ReadAt> ReaderAt for Source<'_, R> {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let left = usize::try_from(self.size.saturating_sub(at)).unwrap_or(usize::MAX);
        let len = buffer.len().min(left);
        self.source.read_exact_at(&mut buffer[..len], at)?;
        Ok(len)
    }
}
