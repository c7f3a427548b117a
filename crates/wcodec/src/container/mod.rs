//! The `.wcodec` container: header, blocks, block table, directory, footer. FORMAT.md section 2.
//!
//! Raw integers of a file live only in this module; they leave it checked.
#![deny(clippy::indexing_slicing)]

pub(crate) mod bases;
pub(crate) mod commit;
pub(crate) mod copies;
pub(crate) mod directory;
pub(crate) mod entries;
mod fields;
pub(crate) mod footer;
pub(crate) mod header;
pub(crate) mod index;
mod layout;
pub(crate) mod output;
pub(crate) mod read_at;
pub(crate) mod reader;
pub(crate) mod writer;

/// Blocks begin at multiples of this.
pub(crate) const BLOCK_ALIGN: u64 = 64;
