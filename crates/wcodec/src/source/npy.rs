//! NumPy's `.npy`: magic, version, a Python dictionary as text, one array.
//! The format is described in NumPy's documentation, `numpy.lib.format`.

use super::{Listing, Located};
use crate::container::footer::SourceKind;
use crate::container::read_at::{ReadAt, read};
use crate::dtype::ElementType;
use crate::error::{Error, Result};
use crate::layer::Layer;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
const MAX_HEADER: u64 = 1 << 20;

/// Everything before the array, if the file looks like `.npy`.
pub(super) fn header(source: &impl ReadAt, size: u64, start: &[u8]) -> Result<Option<Vec<u8>>> {
    let Some(rest) = start.strip_prefix(MAGIC) else { return Ok(None) };
    let length = match rest {
        [1, _, a, b, ..] => 10 + u64::from(u16::from_le_bytes([*a, *b])),
        [2 | 3, _, a, b, c, d, ..] => 12 + u64::from(u32::from_le_bytes([*a, *b, *c, *d])),
        _ => return Ok(None),
    };
    if length > size || length > MAX_HEADER {
        return Ok(None);
    }
    Ok(Some(read(source, 0, length)?.into_owned()))
}

/// The array, as a layer named `array`; `array.T` with its shape reversed if it is stored in
/// Fortran order.
pub(super) fn list(header: &[u8], size: u64) -> std::result::Result<Listing, String> {
    let text = String::from_utf8_lossy(header.get(10..).unwrap_or_default()).into_owned();
    let value = |key: &str| -> std::result::Result<&str, String> {
        let quoted = format!("'{key}':");
        let start = text.find(&quoted).ok_or_else(|| format!("no {key} in the header"))?;
        Ok(text[start + quoted.len()..].trim_start())
    };
    let descr = value("descr")?;
    let descr = descr.strip_prefix('\'').and_then(|d| d.split('\'').next());
    let descr = descr.ok_or("an array of records is not a layer")?;
    let fortran = match value("fortran_order")? {
        order if order.starts_with("True") => true,
        order if order.starts_with("False") => false,
        _ => return Err("fortran_order is neither True nor False".to_owned()),
    };
    let shape = value("shape")?;
    let shape = shape.strip_prefix('(').and_then(|s| s.split(')').next()).ok_or("no shape")?;
    let mut shape = shape
        .split(',')
        .map(str::trim)
        .filter(|d| !d.is_empty())
        .map(|d| d.parse::<u64>().map_err(|e| format!("dimension {d:?}: {e}")))
        .collect::<std::result::Result<Vec<u64>, String>>()?;
    if fortran {
        shape.reverse();
    }
    let bytes = size - header.len() as u64;
    let dtype = NAMES.iter().find(|row| row.0 == descr).map_or(descr, |row| row.1.name());
    if dtype.is_empty() || dtype.len() > 255 || shape.len() > 255 {
        return Err("unusual dtype or shape".to_owned());
    }
    let name = if fortran && shape.len() > 1 { "array.T" } else { "array" };
    let layer = Layer { name: name.to_owned(), dtype: dtype.to_owned(), shape, bytes };
    layer.check().map_err(|e| e.to_string())?;
    let layers = vec![Located { layer, at: header.len() as u64, structs: None }];
    Ok(Listing::new(SourceKind::Npy, layers))
}

/// NumPy's names. Big-endian types are bytes to the codec.
const NAMES: [(&str, ElementType); 13] = [
    ("|b1", ElementType::Bool),
    ("|u1", ElementType::U8),
    ("|i1", ElementType::I8),
    ("<f2", ElementType::F16),
    ("<u2", ElementType::U16),
    ("<i2", ElementType::I16),
    ("<f4", ElementType::F32),
    ("<u4", ElementType::U32),
    ("<i4", ElementType::I32),
    ("<f8", ElementType::F64),
    ("<u8", ElementType::U64),
    ("<i8", ElementType::I64),
    ("<u2", ElementType::Bf16),
];

/// Writes an array as `.npy`. NumPy has no bfloat16 and no 8-bit floats: those are written as
/// unsigned integers of the same width.
///
/// # Errors
/// If writing fails.
pub fn write_npy(
    out: &mut impl std::io::Write,
    element: ElementType,
    shape: &[u64],
    bytes: &[u8],
) -> Result<()> {
    let descr = NAMES.iter().find(|row| row.1 == element).map_or("|u1", |row| row.0);
    let dims: Vec<String> = shape.iter().map(u64::to_string).collect();
    let comma = if dims.len() == 1 { "," } else { "" };
    let mut header = format!(
        "{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}{comma}), }}",
        dims.join(", ")
    );
    // The array begins at a multiple of 64 and the header ends with a line feed.
    let total = (10 + header.len() + 1).next_multiple_of(64);
    header.extend(std::iter::repeat_n(' ', total - 10 - header.len() - 1));
    header.push('\n');
    let length = u16::try_from(header.len())
        .map_err(|_| Error::argument("too many dimensions for an npy header"))?;
    out.write_all(MAGIC)?;
    out.write_all(&[1, 0])?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    out.write_all(bytes)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_what_it_writes() {
        for element in ElementType::all() {
            let mut file = Vec::new();
            write_npy(&mut file, element, &[3, 4], &vec![7; 12 * element.size()]).unwrap();
            let header = header(&file, file.len() as u64, &file[..16]).unwrap().unwrap();
            assert_eq!(header.len() % 64, 0);
            let listing = list(&header, file.len() as u64).unwrap();
            assert_eq!(listing.layers[0].layer.shape, [3, 4]);
            assert_eq!(listing.layers[0].at, header.len() as u64);
        }
    }

    #[test]
    fn fortran_order_is_the_transpose() {
        let text = b"{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }\n";
        let mut header = b"\x93NUMPY\x01\x00".to_vec();
        header.extend((text.len() as u16).to_le_bytes());
        header.extend(text);
        let listing = list(&header, header.len() as u64 + 12).unwrap();
        let layer = &listing.layers[0].layer;
        assert_eq!((layer.name.as_str(), layer.shape.as_slice()), ("array.T", &[3, 2][..]));
        assert!(list(&header, header.len() as u64 + 11).unwrap_err().contains("expected 6 x 2"));
    }
}
