//! The side block of a group: frequency tables that its blocks share. FORMAT.md section 6.4.
//!
//! | at | bytes | field | legal |
//! | --- | --- | --- | --- |
//! | 0 | 2 | tables | at most 256 |
//! | 2 | 2 | scale classes | 1 |
//! | 4 | 4 | zero | 0 |
//! | 8 | | for each table one byte, its width, then the table | width 1 to 12 |

use crate::entropy::table::{MAX_WIDTH, Table};
use crate::error::{Result, corrupt};
use std::sync::OnceLock;
use wcodec_kernels::DecodeTable;

/// Most tables of a side block.
const MAX_TABLES: u16 = 256;
/// Longest payload of a side block.
pub(crate) const MAX_LEN: u32 = 1 << 20;

/// A table, and what decodes it once a block has asked for that: a hostile side block could list
/// many that none uses.
pub(crate) struct SharedTable {
    pub(crate) width: u32,
    table: Table,
    decoder: OnceLock<DecodeTable>,
}

impl SharedTable {
    pub(crate) fn decoder(&self) -> Result<&DecodeTable> {
        if let Some(decoder) = self.decoder.get() {
            return Ok(decoder);
        }
        let decoder = self.table.decoder()?;
        Ok(self.decoder.get_or_init(|| decoder))
    }
}

/// The tables of a group.
#[derive(Default)]
pub(crate) struct Side {
    pub(crate) tables: Vec<SharedTable>,
}

/// Serialises the tables, each with its width.
pub(crate) fn write(tables: &[(u32, Table)]) -> Vec<u8> {
    let mut out = (tables.len() as u16).to_le_bytes().to_vec();
    out.extend_from_slice(&[1, 0, 0, 0, 0, 0]);
    for (width, table) in tables {
        out.push(*width as u8);
        table.write(*width, &mut out);
    }
    out
}

/// Parses and checks a side block.
pub(crate) fn read(bytes: &[u8]) -> Result<Side> {
    let Some((head, mut rest)) = bytes.split_first_chunk::<8>() else {
        return Err(corrupt!("side block of {} bytes, expected at least 8", bytes.len()));
    };
    let count = u16::from_le_bytes([head[0], head[1]]);
    let classes = u16::from_le_bytes([head[2], head[3]]);
    if classes != 1 {
        return Err(corrupt!("side block has {classes} scale classes, expected 1"));
    }
    if head[4..] != [0; 4] {
        return Err(corrupt!("reserved bytes of the side block are not zero"));
    }
    if count > MAX_TABLES {
        return Err(corrupt!("side block has {count} tables, at most {MAX_TABLES} expected"));
    }
    let mut tables = Vec::new();
    for number in 0..count {
        let Some((&width, after)) = rest.split_first() else {
            return Err(corrupt!("side block ends before table {number} of {count}"));
        };
        let width = u32::from(width);
        if width == 0 || width > MAX_WIDTH {
            return Err(corrupt!("table {number} has width {width}, expected 1 to {MAX_WIDTH}"));
        }
        let (table, used) =
            Table::read(width, after).map_err(|e| corrupt!("table {number}: {}", e.kind()))?;
        tables.push(SharedTable { width, table, decoder: OnceLock::new() });
        rest = &after[used..];
    }
    if !rest.is_empty() {
        return Err(corrupt!("{} bytes behind the last table of the side block", rest.len()));
    }
    Ok(Side { tables })
}
