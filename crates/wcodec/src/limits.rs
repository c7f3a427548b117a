//! What a reader is willing to do for a file that it does not trust.

use crate::error::{Error, Result};

/// Bounds on what a `.wcodec` file may ask for. They are checked before anything is allocated
/// or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Largest original size in bytes, if one is set. Without it a file may declare
    /// [`Limits::EXPANSION`] times its own size, or 1 GiB, whichever is larger.
    pub max_original: Option<u64>,
    /// Largest decoded directory (segments and layers) in bytes. Default 64 MiB, which the encoder
    /// never exceeds.
    pub max_directory: u64,
}

impl Limits {
    /// Times its own size that a file may declare as its original size. The encoder reaches at most
    /// 11,916: a MiB of one repeated byte in a block of 64 bytes and its record of 24.
    pub const EXPANSION: u64 = 12_000;
    const FLOOR: u64 = 1 << 30;
    pub(crate) const DIRECTORY: u64 = 64 << 20;

    /// Accepts any original size.
    #[must_use]
    pub fn unlimited() -> Limits {
        Limits { max_original: Some(u64::MAX), ..Limits::default() }
    }

    pub(crate) fn check_original(&self, file_len: u64, original: u64) -> Result<()> {
        let max = self
            .max_original
            .unwrap_or_else(|| file_len.saturating_mul(Limits::EXPANSION).max(Limits::FLOOR));
        if original > max {
            return Err(Error::limit("original size", original, max));
        }
        Ok(())
    }

    /// As [`Limits::check_original`] for an archive of so many files and folders: each takes about a page of the file
    /// system, however few bytes of the archive name it.
    pub(crate) fn check_places(&self, file_len: u64, original: u64, places: u64) -> Result<()> {
        const PLACE: u64 = 4096;
        let bytes = original.saturating_add(places.saturating_mul(PLACE));
        self.check_original(file_len, bytes)
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { max_original: None, max_directory: Limits::DIRECTORY }
    }
}
