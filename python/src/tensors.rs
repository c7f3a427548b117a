//! Tensors in memory as the safetensors file that they would make, which is never put together.

use numpy::PyReadonlyArray1;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::fmt::Write as _;
use std::io;
use wcodec::ReadAt;

/// A tensor: name, dtype in safetensors' spelling, shape, and its bytes.
pub(crate) type Tensor<'py> = (String, String, Vec<u64>, PyReadonlyArray1<'py, u8>);

/// dtypes as the safetensors library ranks them: it writes the last of these first, so that wide
/// elements are aligned.
const RANKS: [&str; 20] = [
    "BOOL",
    "F4",
    "U8",
    "I8",
    "F8_E5M2",
    "F8_E4M3",
    "F8_E8M0",
    "F8_E4M3FNUZ",
    "F8_E5M2FNUZ",
    "I16",
    "U16",
    "F16",
    "BF16",
    "I32",
    "U32",
    "F32",
    "C64",
    "F64",
    "I64",
    "U64",
];

/// The longest header that the safetensors library reads.
const MAX_HEADER: usize = 100_000_000;

/// The pieces that a file consists of. Reading copies, so that the encoder sees bytes that do not
/// change, whatever other threads do with the arrays.
pub(crate) struct Pieces<'a> {
    /// Each with its place in the file.
    pieces: Vec<(u64, &'a [u8])>,
    size: u64,
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(parts: impl IntoIterator<Item = &'a [u8]>) -> Pieces<'a> {
        let mut size = 0;
        let mut pieces = Vec::new();
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            pieces.push((size, part));
            size += part.len() as u64;
        }
        Pieces { pieces, size }
    }

    /// Everything, in one piece.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.size as usize);
        self.pieces.iter().for_each(|(_, piece)| bytes.extend_from_slice(piece));
        bytes
    }
}

impl ReadAt for Pieces<'_> {
    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn read_exact_at(&self, mut buffer: &mut [u8], mut at: u64) -> io::Result<()> {
        let first = self.pieces.partition_point(|(start, piece)| start + piece.len() as u64 <= at);
        for (start, piece) in self.pieces.iter().skip(first) {
            let rest = piece.get((at - start) as usize..).unwrap_or_default();
            let (now, later) = buffer.split_at_mut(rest.len().min(buffer.len()));
            now.copy_from_slice(&rest[..now.len()]);
            at += now.len() as u64;
            buffer = later;
            if buffer.is_empty() {
                return Ok(());
            }
        }
        if buffer.is_empty() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// The order in which the safetensors library writes tensors: wide dtypes first, then by name.
pub(crate) fn sort(tensors: &mut [Tensor<'_>]) {
    let rank = |dtype: &str| RANKS.iter().position(|&known| known == dtype);
    tensors.sort_by(|a, b| rank(&b.1).cmp(&rank(&a.1)).then_with(|| a.0.cmp(&b.0)));
}

/// The start of the file, up to the first tensor's bytes.
pub(crate) fn header(
    tensors: &[Tensor<'_>],
    metadata: Option<&[(String, String)]>,
) -> PyResult<Vec<u8>> {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut entries = Vec::with_capacity(tensors.len() + 1);
    if let Some(metadata) = metadata {
        let pairs: Vec<String> =
            metadata.iter().map(|(k, v)| format!("{}:{}", quoted(k), quoted(v))).collect();
        entries.push(format!("\"__metadata__\":{{{}}}", pairs.join(",")));
    }
    let mut at = 0;
    for (name, dtype, shape, data) in tensors {
        let end = at + data.len()?;
        let shape: Vec<String> = shape.iter().map(u64::to_string).collect();
        let mut entry = String::new();
        let _ = write!(
            entry,
            "{}:{{\"dtype\":{},\"shape\":[{}],\"data_offsets\":[{at},{end}]}}",
            quoted(name),
            quoted(dtype),
            shape.join(","),
        );
        entries.push(entry);
        at = end;
    }
    let mut text = format!("{{{}}}", entries.join(","));
    text.extend(std::iter::repeat_n(' ', text.len().next_multiple_of(8) - text.len()));
    if text.len() > MAX_HEADER {
        let text =
            format!("tensors: header of {} bytes, at most {MAX_HEADER} expected", text.len());
        return Err(PyValueError::new_err(text));
    }
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    Ok(bytes)
}
