//! The footer, the last 128 bytes. FORMAT.md section 2.5.
//!
//! | at | bytes | field | legal |
//! | --- | --- | --- | --- |
//! | 0 | 8 | position of the block table | a multiple of 64, at least 64 |
//! | 8 | 8 | blocks | |
//! | 16 | 8 | stored length of the directory | the four parts fill the file |
//! | 24 | 8 | decoded length of the directory | at most 16 times the stored one + 65,536 |
//! | 32 | 8 | length of the original | the sum of the segments |
//! | 40 | 32 | BLAKE3 of the original | |
//! | 72 | 4 | segments | |
//! | 76 | 4 | layers | |
//! | 80 | 1 | source | 0 opaque, 1 safetensors, 2 npy, 3 a single layer; from version 1.3 on 4 GGUF, 5 ONNX, 6 PyTorch; from 1.4 on 7 archive |
//! | 81 | 1 | directory coding | 0 as it is, 1 Zstandard |
//! | 82 | 2 | zero | 0 |
//! | 84 | 4 | layouts | at most 256, 0 before version 1.3 |
//! | 88 | 4 | packings | 0 before version 1.3 |
//! | 92 | 4 | bases | at most 16; 0 before version 1.4 |
//! | 96 | 4 | references to bases | 0 before version 1.4 |
//! | 100 | 4 | copies | 0 before version 1.4 |
//! | 104 | 4 | entries | 0 if the source is not 7 |
//! | 108 | 4 | zero | 0 |
//! | 112 | 8 | XXH3-64 of header, block table, directory and the footer up to here | |
//! | 120 | 8 | magic | `57 43 4F 44 45 4E 44 0A` |

use super::fields::Fields;
use crate::error::{Result, corrupt};
use crate::version::{MINOR_ARCHIVES, MINOR_BASES, MINOR_COPIES, MINOR_PACKINGS, MINOR_SOURCES};

pub(crate) const FOOTER_LEN: usize = 128;
/// Bytes of the footer that its hash covers.
pub(crate) const HASHED_LEN: usize = 112;
pub(crate) const MAGIC: [u8; 8] = *b"WCODEND\n";

/// Where the original came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u8)]
pub enum SourceKind {
    /// Bytes of no known structure.
    Opaque = 0,
    /// A safetensors file.
    Safetensors = 1,
    /// A NumPy array file.
    Npy = 2,
    /// One layer, encoded from memory.
    Layer = 3,
    /// A GGUF file.
    Gguf = 4,
    /// An ONNX model.
    Onnx = 5,
    /// A PyTorch checkpoint.
    Torch = 6,
    /// The files of a folder.
    Archive = 7,
}

impl SourceKind {
    /// The name used in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SourceKind::Opaque => "opaque",
            SourceKind::Safetensors => "safetensors",
            SourceKind::Npy => "npy",
            SourceKind::Layer => "layer",
            SourceKind::Gguf => "gguf",
            SourceKind::Onnx => "onnx",
            SourceKind::Torch => "torch",
            SourceKind::Archive => "archive",
        }
    }

    /// The first minor version that has it.
    pub(crate) fn minor(self) -> u16 {
        match self {
            SourceKind::Archive => MINOR_ARCHIVES,
            kind if kind > SourceKind::Layer => MINOR_SOURCES,
            _ => 0,
        }
    }

    pub(super) fn from_code(code: u8, minor: u16) -> Result<SourceKind> {
        use SourceKind::{Archive, Gguf, Layer, Npy, Onnx, Opaque, Safetensors, Torch};
        let known = [Opaque, Safetensors, Npy, Layer, Gguf, Onnx, Torch, Archive];
        let mut known = known.into_iter().filter(|kind| kind.minor() <= minor);
        let most = known.clone().count() - 1;
        known
            .find(|&kind| kind as u8 == code)
            .ok_or_else(|| corrupt!("source is {code}, at most {most} expected"))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Footer {
    pub(crate) table_at: u64,
    pub(crate) blocks: u64,
    pub(crate) directory_stored: u64,
    pub(crate) directory_len: u64,
    pub(crate) original_len: u64,
    pub(crate) blake3: [u8; 32],
    pub(crate) segments: u32,
    pub(crate) layers: u32,
    pub(crate) source: SourceKind,
    pub(crate) directory_zstd: bool,
    pub(crate) layouts: u32,
    pub(crate) packings: u32,
    pub(crate) bases: u32,
    pub(crate) references: u32,
    pub(crate) copies: u32,
    pub(crate) entries: u32,
}

impl Footer {
    /// The part that the hash covers.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FOOTER_LEN);
        for field in [
            self.table_at,
            self.blocks,
            self.directory_stored,
            self.directory_len,
            self.original_len,
        ] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.extend_from_slice(&self.blake3);
        out.extend_from_slice(&self.segments.to_le_bytes());
        out.extend_from_slice(&self.layers.to_le_bytes());
        out.push(self.source as u8);
        out.push(u8::from(self.directory_zstd));
        out.extend_from_slice(&[0; 2]);
        let Footer { layouts, packings, bases, references, copies, entries, .. } = *self;
        for count in [layouts, packings, bases, references, copies, entries] {
            out.extend_from_slice(&count.to_le_bytes());
        }
        out.resize(HASHED_LEN, 0);
        out
    }

    /// Reads the fields of a file of this minor version; returns them and the stored hash.
    pub(crate) fn read(bytes: &[u8], minor: u16) -> Result<(Footer, u64)> {
        let mut fields = Fields::new(bytes, "footer");
        let mut footer = Footer {
            table_at: fields.u64()?,
            blocks: fields.u64()?,
            directory_stored: fields.u64()?,
            directory_len: fields.u64()?,
            original_len: fields.u64()?,
            blake3: fields.array()?,
            segments: fields.u32()?,
            layers: fields.u32()?,
            source: SourceKind::from_code(fields.u8()?, minor)?,
            directory_zstd: match fields.u8()? {
                0 => false,
                1 => true,
                coding => return Err(corrupt!("directory coding is {coding}, at most 1 expected")),
            },
            layouts: 0,
            packings: 0,
            bases: 0,
            references: 0,
            copies: 0,
            entries: 0,
        };
        if footer.directory_zstd && footer.directory_len == 0 {
            return Err(corrupt!("an empty directory is not coded"));
        }
        fields.zero(2)?;
        (footer.layouts, footer.packings) = (fields.u32()?, fields.u32()?);
        if minor < MINOR_PACKINGS && (footer.layouts, footer.packings) != (0, 0) {
            return Err(corrupt!("packings in a file of version 1.{minor}"));
        }
        (footer.bases, footer.references) = (fields.u32()?, fields.u32()?);
        if minor < MINOR_BASES && (footer.bases, footer.references) != (0, 0) {
            return Err(corrupt!("bases in a file of version 1.{minor}"));
        }
        (footer.copies, footer.entries) = (fields.u32()?, fields.u32()?);
        if minor < MINOR_COPIES && footer.copies != 0 {
            return Err(corrupt!("copies in a file of version 1.{minor}"));
        }
        if footer.source != SourceKind::Archive && footer.entries != 0 {
            return Err(corrupt!("entries in a file of source {}", footer.source.name()));
        }
        fields.zero(HASHED_LEN - 108)?;
        Ok((footer, fields.u64()?))
    }
}
