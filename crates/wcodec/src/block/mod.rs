//! One block: the unit of entropy coding, checksum and random access. Bytes in, bytes out.

pub(crate) mod class_tables;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod fields;
mod finish;
pub(crate) mod head;
pub(crate) mod side;
mod tables;

use crate::error::{Result, corrupt};

/// Rows, bytes of a row, and bytes from one row to the next; as one row if they lie one behind the
/// other.
fn join_rows(rows: usize, width: usize, pitch: usize) -> (usize, usize, usize) {
    if rows == 1 || pitch == width {
        let bytes = rows * width;
        return (1, bytes, bytes);
    }
    (rows, width, pitch)
}

/// How the payload of a block is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mode {
    /// The elements as they are.
    Raw = 0,
    /// One element, repeated.
    Constant = 1,
    /// Planes behind a head.
    Coded = 2,
    /// A Zstandard frame of the elements.
    Zstd = 3,
    /// No elements: tables that the blocks of a group share.
    Side = 4,
}

impl Mode {
    pub(crate) fn from_code(code: u8) -> Result<Mode> {
        match code {
            0 => Ok(Mode::Raw),
            1 => Ok(Mode::Constant),
            2 => Ok(Mode::Coded),
            3 => Ok(Mode::Zstd),
            4 => Ok(Mode::Side),
            _ => Err(corrupt!("block mode is {code}, at most 4 expected")),
        }
    }
}
