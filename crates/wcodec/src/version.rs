//! The format version.

/// The newest format version, major and minor, that this crate reads and writes.
pub const FORMAT_VERSION: (u16, u16) = (1, 4);
/// The first minor version with scale classes.
pub(crate) const MINOR_SCALE: u16 = 1;
/// The first one that predicts signs of floats.
pub(crate) const MINOR_SIGNS: u16 = 2;
/// The first one with sources from GGUF on, and with packings.
pub(crate) const MINOR_SOURCES: u16 = 3;
pub(crate) const MINOR_PACKINGS: u16 = 3;
/// The first one with bases.
pub(crate) const MINOR_BASES: u16 = 4;
/// The first one with segments that are copies, and with archives.
pub(crate) const MINOR_COPIES: u16 = 4;
pub(crate) const MINOR_ARCHIVES: u16 = 4;
/// The first one with pivots, and with contexts.
pub(crate) const MINOR_PIVOTS: u16 = 4;
pub(crate) const MINOR_CONTEXTS: u16 = 4;
