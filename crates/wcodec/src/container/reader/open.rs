//! Opening: everything but the blocks is read and checked once.

use super::decode::zeroed;
use super::{PlacedSegment, Reader};
use crate::checksum::{self, hash_pieces};
use crate::container::BLOCK_ALIGN;
use crate::container::directory::{Directory, Parts};
use crate::container::footer::{self, FOOTER_LEN, Footer, HASHED_LEN};
use crate::container::header::{self, HEADER_LEN};
use crate::container::index::{BlockTable, RECORD_LEN};
use crate::container::read_at::{ReadAt, read};
use crate::container::writer::{FREE_DIRECTORY, MAX_DIRECTORY_RATIO};
use crate::error::{Error, ErrorKind, Result, corrupt};
use crate::frame;
use crate::limits::Limits;
use crate::pool::Pool;
use std::borrow::Cow;
use std::sync::{Arc, Mutex};
use wcodec_kernels::Level;

/// How far before the end of a file a misplaced footer is looked for.
const TAIL_SEARCH: u64 = 64 << 10;

impl<R: ReadAt> Reader<R> {
    /// Opens a file: reads and checks everything but the blocks. What is predicted from bases decodes only
    /// with [`Reader::open_with`].
    ///
    /// # Errors
    /// If the file is not a `.wcodec` file of a known version, is truncated or damaged, or asks
    /// for more than `limits` allow.
    pub fn open(source: R, limits: &Limits) -> Result<Reader<R>> {
        let size = source.size()?;
        let header = read(&source, 0, size.min(HEADER_LEN as u64))?;
        let minor = header::check(&header)?;
        let Some(footer_at) = size.checked_sub(FOOTER_LEN as u64) else {
            return Err(ErrorKind::Truncated { have: size }.into());
        };
        let footer_bytes = read(&source, footer_at, FOOTER_LEN as u64)?;
        if !footer_bytes.ends_with(&footer::MAGIC) {
            return Err(misplaced_footer(&source, (size, minor))?);
        }
        let in_footer = |e: Error| e.at_byte(footer_at);
        let (footer, stored_hash) = Footer::read(&footer_bytes, minor).map_err(in_footer)?;
        let parts = total_len(&footer);
        if parts != Some(size) || !footer.table_at.is_multiple_of(BLOCK_ALIGN) {
            return Err(in_footer(corrupt!(
                "block table at {}, {} blocks and a directory of {} bytes do not fill {size} bytes",
                footer.table_at,
                footer.blocks,
                footer.directory_stored
            )));
        }
        limits.check_original(size, footer.original_len)?;
        let most = footer
            .directory_stored
            .saturating_mul(MAX_DIRECTORY_RATIO)
            .saturating_add(FREE_DIRECTORY)
            .min(limits.max_directory);
        if footer.directory_len > most {
            return Err(Error::limit("directory size", footer.directory_len, most));
        }
        let table_len = footer.blocks * RECORD_LEN as u64;
        let table = read(&source, footer.table_at, table_len)?;
        let stored = read(&source, footer.table_at + table_len, footer.directory_stored)?;
        let hashed = footer_bytes.get(..HASHED_LEN).unwrap_or_default();
        let hash = hash_pieces(&[&header, &table, &stored, hashed]);
        if !checksum::matches(hash, stored_hash) {
            return Err(in_footer(Error::checksum("index", hash, stored_hash)));
        }

        let table = BlockTable::read(table.into_owned(), footer.table_at)?;
        let decoded = decode_directory(&footer, stored)
            .map_err(|e| e.at_byte(footer.table_at + table_len))?;
        let (directory, parts) = Directory::read(&decoded, &footer, minor)
            .map_err(|e| e.at_byte(footer.table_at + table_len))?;
        let reader = Reader::assemble(source, (size, minor), footer, table, (directory, parts))?;
        let end = match reader.footer.blocks {
            0 => HEADER_LEN as u64,
            blocks => reader.table.get(blocks - 1)?.end(),
        };
        reader.read_padded(end, reader.footer.table_at, &[])?;
        Ok(reader)
    }

    /// Opens what is a `.wcodec` file; `None` for any other.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub(crate) fn open_if_coded(source: &R, limits: &Limits) -> Result<Option<Reader<R>>>
    where
        R: Clone,
    {
        let start = read(source, 0, source.size()?.min(HEADER_LEN as u64))?;
        match header::check(&start) {
            Err(error) if matches!(error.kind(), ErrorKind::NotWcodec) => Ok(None),
            _ => Reader::open(source.clone(), limits).map(Some),
        }
    }

    fn assemble(
        source: R,
        (size, minor): (u64, u16),
        footer: Footer,
        table: BlockTable,
        (directory, parts): (Directory, Parts),
    ) -> Result<Reader<R>> {
        let mut segments = Vec::with_capacity(directory.segments.len());
        let mut first_block = 0u64;
        for (number, &segment) in (0..).zip(&directory.segments) {
            let source = directory.source_of(number);
            let home = source.and_then(|source| segments.get(source as usize));
            let home_block = home.map(|home: &PlacedSegment| home.first_block);
            segments.push(PlacedSegment {
                segment,
                number: source.unwrap_or(number),
                is_copy: source.is_some(),
                first_block: home_block.unwrap_or(first_block),
                base: directory.reference_of(source.unwrap_or(number)),
                layer: None,
            });
            first_block = first_block
                .checked_add(if source.is_some() { 0 } else { segment.blocks() })
                .ok_or_else(|| corrupt!("segments have more than 2^64 blocks or bytes"))?;
        }
        if first_block != footer.blocks {
            let blocks = footer.blocks;
            return Err(corrupt!("segments have {first_block} blocks, the table has {blocks}"));
        }
        let (bytes, original) = (parts.bytes(), footer.original_len);
        if bytes != original {
            return Err(corrupt!("segments have {bytes} bytes, the original has {original}"));
        }
        let by_name = directory.by_name();
        for (index, entry) in directory.layers.iter().enumerate() {
            let packed = parts.packings_of(entry);
            let first = entry.segment as usize;
            let last = packed.last().map_or(first + 1, |part| part.segments.end);
            for placed in segments.get_mut(first..last).into_iter().flatten() {
                placed.layer.get_or_insert(index);
            }
        }
        let level = Level::detect();
        let Directory { layouts, packings, layers, bases, entries, .. } = directory;
        let (pool, unpacked) = (Pool::default(), Pool::default());
        let last_side = Mutex::default();
        Ok(Reader {
            source,
            size,
            minor,
            footer,
            table,
            segments,
            layouts,
            packings,
            parts,
            layers,
            bases,
            entries,
            open_bases: Vec::new(),
            work: Arc::default(),
            kept: None,
            by_name,
            level,
            pool,
            unpacked,
            last_side,
        })
    }
}

fn total_len(footer: &Footer) -> Option<u64> {
    footer
        .blocks
        .checked_mul(RECORD_LEN as u64)?
        .checked_add(footer.table_at)?
        .checked_add(footer.directory_stored)?
        .checked_add(FOOTER_LEN as u64)
}

fn decode_directory<'a>(footer: &Footer, stored: Cow<'a, [u8]>) -> Result<Cow<'a, [u8]>> {
    if !footer.directory_zstd {
        if stored.len() as u64 != footer.directory_len {
            let (have, want) = (stored.len(), footer.directory_len);
            return Err(corrupt!("directory has {have} bytes, expected {want}"));
        }
        return Ok(stored);
    }
    let mut decoded = zeroed(footer.directory_len)?;
    frame::decompress_into(&stored, &mut decoded)?;
    Ok(Cow::Owned(decoded))
}

/// Tells a truncated file from one with something behind its end.
fn misplaced_footer(source: &impl ReadAt, (size, minor): (u64, u16)) -> Result<Error> {
    let start = size.saturating_sub(TAIL_SEARCH + FOOTER_LEN as u64);
    let tail = read(source, start, size - start)?;
    for (at, window) in tail.windows(FOOTER_LEN).enumerate().rev() {
        if window.ends_with(&footer::MAGIC)
            && let Ok((footer, _)) = Footer::read(window, minor)
        {
            let end = start + (at + FOOTER_LEN) as u64;
            if total_len(&footer) == Some(end) {
                return Ok(ErrorKind::TrailingBytes { extra: size - end }.into());
            }
        }
    }
    Ok(ErrorKind::Truncated { have: size }.into())
}
