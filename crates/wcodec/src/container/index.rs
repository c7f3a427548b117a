//! The block table: 24 bytes a block, in file order. FORMAT.md section 2.3.
//!
//! | at | bytes | field | legal |
//! | --- | --- | --- | --- |
//! | 0 | 8 | position | the end of the block before, rounded up to 64 |
//! | 8 | 8 | checksum | |
//! | 16 | 4 | length | at least 1 |
//! | 20 | 1 | mode | 0 raw, 1 constant, 2 coded, 3 Zstandard, 4 side |
//! | 21 | 3 | zero | 0 |

use super::BLOCK_ALIGN;
use super::fields::Fields;
use super::header::HEADER_LEN;
use crate::block::Mode;
use crate::error::{Error, Result, corrupt};

pub(crate) const RECORD_LEN: usize = 24;

/// Where a block is and what it must decode to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockRecord {
    pub(crate) at: u64,
    pub(crate) checksum: u64,
    pub(crate) len: u32,
    pub(crate) mode: Mode,
}

impl BlockRecord {
    pub(crate) fn end(&self) -> u64 {
        self.at + u64::from(self.len)
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.at.to_le_bytes());
        out.extend_from_slice(&self.checksum.to_le_bytes());
        out.extend_from_slice(&self.len.to_le_bytes());
        out.extend_from_slice(&[self.mode as u8, 0, 0, 0]);
    }

    fn read(bytes: &[u8]) -> Result<BlockRecord> {
        let mut fields = Fields::new(bytes, "block record");
        let record = BlockRecord {
            at: fields.u64()?,
            checksum: fields.u64()?,
            len: fields.u32()?,
            mode: Mode::from_code(fields.u8()?)?,
        };
        fields.zero(3)?;
        Ok(record)
    }
}

/// The block table as it lies in the file, every record checked once.
pub(crate) struct BlockTable {
    bytes: Vec<u8>,
}

impl BlockTable {
    /// Checks that the blocks follow each other from the header to `table_at` without a hole.
    pub(crate) fn read(bytes: Vec<u8>, table_at: u64) -> Result<BlockTable> {
        let mut expected = HEADER_LEN as u64;
        for (number, chunk) in bytes.chunks_exact(RECORD_LEN).enumerate() {
            let place = |error: Error| error.at_byte(table_at + (number * RECORD_LEN) as u64);
            let record = BlockRecord::read(chunk).map_err(place)?;
            if record.at != expected {
                let at = record.at;
                return Err(place(corrupt!("record {number} is at {at}, expected {expected}")));
            }
            if record.len == 0 {
                return Err(place(corrupt!("record {number} has length 0")));
            }
            // `at` equals a position that is at most `table_at`, so this cannot overflow.
            let end = record.end();
            if end > table_at {
                return Err(place(corrupt!("record {number} ends at {end}, behind {table_at}")));
            }
            expected = end.next_multiple_of(BLOCK_ALIGN);
        }
        if expected != table_at {
            return Err(corrupt!("blocks end at {expected}, the block table is at {table_at}"));
        }
        Ok(BlockTable { bytes })
    }

    /// The record of block `number` of the file.
    pub(crate) fn get(&self, number: u64) -> Result<BlockRecord> {
        let bytes = usize::try_from(number)
            .ok()
            .and_then(|n| n.checked_mul(RECORD_LEN))
            .and_then(|at| self.bytes.get(at..)?.get(..RECORD_LEN))
            .ok_or_else(|| corrupt!("block {number} of the file does not exist"))?;
        BlockRecord::read(bytes)
    }
}
