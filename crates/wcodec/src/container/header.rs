//! The header, 64 bytes. FORMAT.md section 2.1.
//!
//! | at | bytes | field | legal |
//! | --- | --- | --- | --- |
//! | 0 | 8 | magic | `89 57 43 4F 44 0D 0A 1A` |
//! | 8 | 2 | major version | 1 |
//! | 10 | 2 | minor version | 0 to 4 |
//! | 12 | 52 | zero | 0 |

use super::fields::Fields;
use crate::error::{ErrorKind, Result};
use crate::version::FORMAT_VERSION;

pub(crate) const HEADER_LEN: usize = 64;
/// A byte above 127, letters, a line end of each kind and Ctrl-Z, as PNG has them: transfers
/// that change text damage it at once.
const MAGIC: [u8; 8] = *b"\x89WCOD\r\n\x1a";

pub(crate) fn write(minor: u16) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    let major = FORMAT_VERSION.0;
    let fields = MAGIC.into_iter().chain(major.to_le_bytes()).chain(minor.to_le_bytes());
    header.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    header
}

/// Whether a file begins as a `.wcodec` file of any version does.
pub(crate) fn is_coded(start: &[u8]) -> bool {
    start.starts_with(&MAGIC)
}

/// Checks the first bytes of a file, as many of the header's as there are. Returns the minor version.
pub(crate) fn check(header: &[u8]) -> Result<u16> {
    let magic = header.iter().zip(&MAGIC);
    if header.is_empty() || magic.clone().any(|(have, want)| have != want) {
        return Err(ErrorKind::NotWcodec.into());
    }
    if header.len() < HEADER_LEN {
        return Err(ErrorKind::Truncated { have: header.len() as u64 }.into());
    }
    let mut fields = Fields::new(header, "header");
    fields.bytes(MAGIC.len())?;
    let (major, minor) = (fields.u16()?, fields.u16()?);
    if major != FORMAT_VERSION.0 || minor > FORMAT_VERSION.1 {
        return Err(ErrorKind::Unsupported { major, minor }.into());
    }
    fields.zero(HEADER_LEN - 12)?;
    Ok(minor)
}
