//! Writing a container in one pass.

use super::BLOCK_ALIGN;
use super::directory::Directory;
use super::footer::{self, Footer, SourceKind};
use super::header::{self, HEADER_LEN};
use super::index::BlockRecord;
use crate::block::encode::EncodedBlock;
use crate::checksum::hash_pieces;
use crate::error::{Error, Result};
use crate::frame;
use crate::limits::Limits;
use std::io::Write;

/// Directories above this ratio are stored as they are, so that readers can refuse more.
pub(crate) const MAX_DIRECTORY_RATIO: u64 = 16;
/// Decoded directories up to this size are exempt.
pub(crate) const FREE_DIRECTORY: u64 = 1 << 16;

/// Writes header, blocks, block table, directory and footer to anything that takes bytes.
pub(crate) struct ContainerWriter<W> {
    out: W,
    header: [u8; HEADER_LEN],
    minor: u16,
    at: u64,
    table: Vec<u8>,
    blocks: u64,
}

impl<W: Write> ContainerWriter<W> {
    /// Begins a container of this minor version.
    pub(crate) fn new(mut out: W, minor: u16) -> Result<ContainerWriter<W>> {
        let header = header::write(minor);
        out.write_all(&header)?;
        let at = HEADER_LEN as u64;
        Ok(ContainerWriter { out, header, minor, at, table: Vec::new(), blocks: 0 })
    }

    pub(crate) fn block(&mut self, block: &EncodedBlock) -> Result<()> {
        let len = u32::try_from(block.payload.len())
            .map_err(|_| Error::argument("a block is longer than 2^32 bytes"))?;
        self.align()?;
        BlockRecord { at: self.at, checksum: block.checksum, len, mode: block.mode }
            .write(&mut self.table);
        self.blocks += 1;
        self.put(&block.payload)
    }

    /// Writes what follows the blocks. Returns the length of the whole container.
    ///
    /// # Errors
    /// Of a directory that readers refuse; errors of the output.
    pub(crate) fn finish(
        mut self,
        directory: &Directory,
        source: SourceKind,
        original_len: u64,
        blake3: [u8; 32],
    ) -> Result<u64> {
        self.align()?;
        let decoded = directory.write()?;
        if decoded.len() as u64 > Limits::DIRECTORY {
            return Err(Error::limit("directory size", decoded.len() as u64, Limits::DIRECTORY));
        }
        let frame = frame::compress(&decoded, 9)?;
        let ratio_fits =
            decoded.len() as u64 <= MAX_DIRECTORY_RATIO * frame.len() as u64 + FREE_DIRECTORY;
        let zstd = frame.len() < decoded.len() && ratio_fits;
        let stored = if zstd { &frame } else { &decoded };
        let count = |n: usize, what: &str| {
            u32::try_from(n).map_err(|_| Error::argument(format!("more than 2^32 {what}")))
        };
        let footer = Footer {
            table_at: self.at,
            blocks: self.blocks,
            directory_stored: stored.len() as u64,
            directory_len: decoded.len() as u64,
            original_len,
            blake3,
            segments: count(directory.segments.len(), "segments")?,
            layers: count(directory.layers.len(), "layers")?,
            source,
            directory_zstd: zstd,
            layouts: count(directory.layouts.len(), "layouts")?,
            packings: count(directory.packings.len(), "packings")?,
            bases: count(directory.bases.len(), "bases")?,
            references: count(directory.references.len(), "references")?,
            copies: count(directory.copies.len(), "copies")?,
            entries: count(directory.entries.len(), "entries")?,
        };
        // Nothing is written that no reader takes, whether it will be verified or not.
        Directory::read(&decoded, &footer, self.minor)?;
        let footer = footer.write();
        let table = std::mem::take(&mut self.table);
        let hash = hash_pieces(&[&self.header, &table, stored, &footer]);
        for piece in [&table[..], stored, &footer, &hash.to_le_bytes(), &footer::MAGIC] {
            self.put(piece)?;
        }
        self.out.flush()?;
        Ok(self.at)
    }

    fn align(&mut self) -> Result<()> {
        let padding = self.at.next_multiple_of(BLOCK_ALIGN) - self.at;
        let zeros = [0; BLOCK_ALIGN as usize];
        self.put(zeros.get(..padding as usize).unwrap_or_default())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packing::{Layout, MAX_LAYOUTS};
    use crate::version::MINOR_CONTEXTS;

    #[test]
    fn a_directory_that_readers_refuse_is_not_written() {
        let layout = |bytes| Layout { bytes, values: 1, fields: Vec::new(), context: None };
        let layouts = (1..=MAX_LAYOUTS + 1).map(layout).collect();
        let directory = Directory { layouts, ..Directory::default() };
        let mut out = Vec::new();
        let writer = ContainerWriter::new(&mut out, MINOR_CONTEXTS).unwrap();
        let error = writer.finish(&directory, SourceKind::Gguf, 0, [0; 32]).unwrap_err();
        assert_eq!(error.to_string(), "257 layouts, at most 256 expected");
        assert_eq!(out.len(), HEADER_LEN);
    }
}
