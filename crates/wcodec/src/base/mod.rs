//! Bases: other checkpoints that the layers of a file are predicted from. FORMAT.md section 11.
//!
//! A file names its bases by the BLAKE3 and the length of their originals. [`bases`] finds them, as plain
//! files or as `.wcodec` files that may have bases themselves; [`original`] reads the bytes that a block
//! needs. For encoding, [`lasting`] leaves out what must not be a base, [`matching`] finds the partner of each layer, [`own`] one in another file of the same archive,
//! both among those that [`known`] holds, and [`residual`] chooses by bits what each block is predicted by. [`classes`] are tables chosen by the size of the
//! partner, and [`plan`] whether a group has them.

pub(crate) mod bases;
pub(crate) mod classes;
pub(crate) mod known;
pub(crate) mod lasting;
pub(crate) mod matching;
pub(crate) mod original;
pub(crate) mod own;
pub(crate) mod plan;
pub(crate) mod residual;

use crate::error::{Result, corrupt};
use std::fmt::Write as _;
use wcodec_kernels::Prediction;

/// What stands for a base if the partner is in the file's own original.
pub(crate) const OWN: u8 = 255;
/// Most bases of a file.
pub(crate) const MAX_BASES: usize = 16;
/// Most files that follow each other in a chain of bases.
pub(crate) const MAX_DEPTH: usize = 8;
/// Longest hint of a name, in bytes.
pub(crate) const MAX_NAME: usize = 1024;

/// A base as a file names it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Base {
    /// BLAKE3 of its original.
    pub blake3: [u8; 32],
    /// Bytes of its original.
    pub len: u64,
    /// The name that it had, without its folder: a hint. Never use it as a path unchecked.
    pub name: String,
}

impl Base {
    /// The BLAKE3 in hexadecimal.
    #[must_use]
    pub fn hex(&self) -> String {
        self.blake3.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// Where the elements of a segment have their partners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BaseRef {
    /// Number of the base, or [`OWN`].
    pub(crate) base: u8,
    /// Whether the highest bit of each element of the base is inverted.
    pub(crate) flip: bool,
    /// The byte of the base's original at which the partner of the segment's first element begins.
    pub(crate) at: u64,
}

/// What a block is predicted by, as its head tells: byte 1.
pub(crate) fn prediction_code(prediction: Option<Prediction>) -> u8 {
    match prediction {
        None => 0,
        Some(Prediction::Difference) => 1,
        Some(Prediction::Xor) => 2,
    }
}

pub(crate) fn prediction_from_code(code: u8) -> Result<Option<Prediction>> {
    match code {
        0 => Ok(None),
        1 => Ok(Some(Prediction::Difference)),
        2 => Ok(Some(Prediction::Xor)),
        _ => Err(corrupt!("prediction from a base is {code}, at most 2 expected")),
    }
}
