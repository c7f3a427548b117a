//! One block: the unit of entropy coding, checksum and random access. Bytes in, bytes out.

pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod fields;
pub(crate) mod head;
pub(crate) mod side;

use crate::error::{Result, corrupt};

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
