//! What lies before the tensors' bytes: counts, key-values, the list of tensors.

use crate::container::read_at::ReadAt;
use crate::error::{Result, corrupt};

/// ggml has four dimensions; more do no harm.
const MAX_DIMS: u32 = 8;
/// Without the key that says otherwise.
const DEFAULT_ALIGNMENT: u64 = 32;
const ALIGNMENT_KEY: &[u8] = b"general.alignment";
/// Arrays of arrays deeper than that are nobody's.
const MAX_DEPTH: u32 = 4;
/// Longest name of a tensor.
const MAX_NAME: u64 = 64 << 10;
/// Bytes read at a time.
const WINDOW: u64 = 256 << 10;
/// A tensor of the shortest name and no dimensions.
const MIN_TENSOR: u64 = 8 + 4 + 4 + 8;
/// A key-value of the shortest key and value.
const MIN_PAIR: u64 = 8 + 4 + 1;

/// Types of values.
const UINT32: u32 = 4;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

/// An entry of the list of tensors.
pub(super) struct TensorInfo {
    pub(super) name: String,
    /// The fastest dimension first.
    pub(super) shape: Vec<u64>,
    /// Number of its type.
    pub(super) kind: u32,
    /// From where the tensors' bytes begin.
    pub(super) offset: u64,
}

/// Where the tensors' bytes are.
pub(super) struct Place {
    pub(super) data: u64,
    pub(super) alignment: u64,
}

pub(super) struct Header {
    pub(super) tensors: Vec<TensorInfo>,
    pub(super) place: Place,
}

/// Reads everything before the tensors' bytes.
pub(super) fn read(cursor: &mut Cursor<'_, impl ReadAt>) -> Result<Header> {
    cursor.skip(4)?;
    let version = cursor.u32()?;
    if !matches!(version, 2 | 3) {
        return Err(corrupt!("version {version}, 2 or 3 expected"));
    }
    let tensors = cursor.count(MIN_TENSOR, "tensors")?;
    let pairs = cursor.count(MIN_PAIR, "key-values")?;
    let mut alignment = DEFAULT_ALIGNMENT;
    for _ in 0..pairs {
        if let Some(found) = read_pair(cursor)? {
            alignment = found;
        }
    }
    let tensors = (0..tensors).map(|_| read_tensor(cursor)).collect::<Result<_>>()?;
    let data = cursor
        .at
        .checked_next_multiple_of(alignment)
        .ok_or_else(|| corrupt!("alignment {alignment} behind byte {}", cursor.at))?;
    Ok(Header { tensors, place: Place { data, alignment } })
}

/// Reads a key-value; returns the alignment if it is that.
fn read_pair(cursor: &mut Cursor<'_, impl ReadAt>) -> Result<Option<u64>> {
    let length = cursor.u64()?;
    let is_alignment = length == ALIGNMENT_KEY.len() as u64 && {
        let mut key = [0; ALIGNMENT_KEY.len()];
        cursor.peek(&mut key)?;
        key == ALIGNMENT_KEY
    };
    cursor.skip(length)?;
    let kind = cursor.u32()?;
    if !is_alignment {
        skip_value(cursor, kind, 0)?;
        return Ok(None);
    }
    if kind != UINT32 {
        return Err(corrupt!("the alignment has type {kind}, expected {UINT32}"));
    }
    match cursor.u32()? {
        alignment if alignment.is_power_of_two() => Ok(Some(alignment.into())),
        alignment => Err(corrupt!("alignment {alignment} is no power of two")),
    }
}

/// Bytes of a value of a type of a fixed size.
fn size_of(kind: u32) -> Option<u64> {
    Some(match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        _ => return None,
    })
}

fn skip_value(cursor: &mut Cursor<'_, impl ReadAt>, kind: u32, depth: u32) -> Result<()> {
    if let Some(size) = size_of(kind) {
        return cursor.skip(size);
    }
    match kind {
        STRING => {
            let length = cursor.u64()?;
            cursor.skip(length)
        }
        ARRAY if depth < MAX_DEPTH => {
            let kind = cursor.u32()?;
            // An element that is a string or an array has its length at least.
            let size = size_of(kind);
            let count = cursor.count(size.unwrap_or(8), "elements of an array")?;
            match size {
                Some(size) => cursor.skip(count * size),
                None => (0..count).try_for_each(|_| skip_value(cursor, kind, depth + 1)),
            }
        }
        ARRAY => Err(corrupt!("arrays in arrays more than {MAX_DEPTH} deep")),
        _ => Err(corrupt!("a value has the unknown type {kind}")),
    }
}

fn read_tensor(cursor: &mut Cursor<'_, impl ReadAt>) -> Result<TensorInfo> {
    let length = cursor.u64()?;
    if length > MAX_NAME.min(cursor.left()) {
        return Err(corrupt!("a tensor's name has {length} bytes"));
    }
    let mut name = vec![0; length as usize];
    cursor.take(&mut name)?;
    let name = String::from_utf8(name).map_err(|e| corrupt!("a tensor's name: {e}"))?;
    let dims = cursor.u32()?;
    if dims > MAX_DIMS {
        return Err(corrupt!("tensor {name:?} has {dims} dimensions, at most {MAX_DIMS} expected"));
    }
    let shape = (0..dims).map(|_| cursor.u64()).collect::<Result<_>>()?;
    let (kind, offset) = (cursor.u32()?, cursor.u64()?);
    Ok(TensorInfo { name, shape, kind, offset })
}

/// Reads a file front to back, a window at a time.
pub(super) struct Cursor<'a, R> {
    source: &'a R,
    size: u64,
    at: u64,
    window: Vec<u8>,
    /// Where the window begins.
    start: u64,
}

impl<'a, R: ReadAt> Cursor<'a, R> {
    pub(super) fn new(source: &'a R, size: u64) -> Cursor<'a, R> {
        Cursor { source, size, at: 0, window: Vec::new(), start: 0 }
    }

    /// Bytes behind the cursor.
    fn left(&self) -> u64 {
        self.size - self.at
    }

    fn skip(&mut self, bytes: u64) -> Result<()> {
        if bytes > self.left() {
            return Err(corrupt!("{bytes} bytes at byte {} exceed the file", self.at));
        }
        self.at += bytes;
        Ok(())
    }

    /// Reads without moving on.
    fn peek(&mut self, out: &mut [u8]) -> Result<()> {
        let bytes = out.len() as u64;
        if bytes > self.left() {
            return Err(corrupt!("{bytes} bytes at byte {} exceed the file", self.at));
        }
        let end = self.start + self.window.len() as u64;
        if self.at < self.start || self.at + bytes > end {
            let length = self.left().min(WINDOW.max(bytes));
            self.window.resize(length as usize, 0);
            self.source.read_exact_at(&mut self.window, self.at)?;
            self.start = self.at;
        }
        let from = (self.at - self.start) as usize;
        out.copy_from_slice(&self.window[from..from + out.len()]);
        Ok(())
    }

    fn take(&mut self, out: &mut [u8]) -> Result<()> {
        self.peek(out)?;
        self.skip(out.len() as u64)
    }

    fn u32(&mut self) -> Result<u32> {
        let mut bytes = [0; 4];
        self.take(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn u64(&mut self) -> Result<u64> {
        let mut bytes = [0; 8];
        self.take(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// A number of things of at least `size` bytes each, which the rest of the file has room for.
    fn count(&mut self, size: u64, what: &str) -> Result<u64> {
        let count = self.u64()?;
        if count > self.left() / size {
            return Err(corrupt!("{count} {what} do not fit the {} bytes left", self.left()));
        }
        Ok(count)
    }
}
