//! The format version.

/// Format version, major and minor, that this crate writes, and the newest that it reads.
pub const FORMAT_VERSION: (u16, u16) = (1, 0);
