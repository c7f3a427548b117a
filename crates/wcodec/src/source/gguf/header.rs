//! What lies before the tensors' bytes: counts, key-values, the list of tensors.

use crate::container::read_at::ReadAt;
use crate::source::window::{Span, Window};
use crate::source::{Found, MAX_NAME, broken};

/// ggml has four dimensions; more do no harm.
const MAX_DIMS: u32 = 8;
/// Without the key that says otherwise.
const DEFAULT_ALIGNMENT: u64 = 32;
const ALIGNMENT_KEY: &[u8] = b"general.alignment";
/// Arrays of arrays deeper than that are nobody's.
const MAX_DEPTH: u32 = 4;
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
pub(super) fn read(cursor: &mut Cursor<'_, '_, impl ReadAt>) -> Found<Header> {
    cursor.skip(4)?;
    let version = cursor.u32()?;
    if !matches!(version, 2 | 3) {
        return Err(broken!("version {version}, 2 or 3 expected"));
    }
    let tensors = cursor.count(MIN_TENSOR, "tensors")?;
    let pairs = cursor.count(MIN_PAIR, "key-values")?;
    let mut alignment = DEFAULT_ALIGNMENT;
    for _ in 0..pairs {
        if let Some(found) = read_pair(cursor)? {
            alignment = found;
        }
    }
    let tensors = (0..tensors).map(|_| read_tensor(cursor)).collect::<Found<_>>()?;
    let data = cursor
        .at
        .checked_next_multiple_of(alignment)
        .ok_or_else(|| broken!("alignment {alignment} behind byte {}", cursor.at))?;
    Ok(Header { tensors, place: Place { data, alignment } })
}

/// Reads a key-value; returns the alignment if it is that.
fn read_pair(cursor: &mut Cursor<'_, '_, impl ReadAt>) -> Found<Option<u64>> {
    let length = cursor.u64()?;
    let is_alignment = if length == ALIGNMENT_KEY.len() as u64 {
        cursor.take(length)? == ALIGNMENT_KEY
    } else {
        cursor.skip(length)?;
        false
    };
    let kind = cursor.u32()?;
    if !is_alignment {
        skip_value(cursor, kind, 0)?;
        return Ok(None);
    }
    if kind != UINT32 {
        return Err(broken!("the alignment has type {kind}, expected {UINT32}"));
    }
    match cursor.u32()? {
        alignment if alignment.is_power_of_two() => Ok(Some(alignment.into())),
        alignment => Err(broken!("alignment {alignment} is no power of two")),
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

fn skip_value(cursor: &mut Cursor<'_, '_, impl ReadAt>, kind: u32, depth: u32) -> Found<()> {
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
        ARRAY => Err(broken!("arrays in arrays more than {MAX_DEPTH} deep")),
        _ => Err(broken!("a value has the unknown type {kind}")),
    }
}

fn read_tensor(cursor: &mut Cursor<'_, '_, impl ReadAt>) -> Found<TensorInfo> {
    let length = cursor.u64()?;
    if length > MAX_NAME {
        return Err(broken!("a tensor's name has {length} bytes"));
    }
    let name = std::str::from_utf8(cursor.take(length)?);
    let name = name.map_err(|e| broken!("a tensor's name: {e}"))?.to_owned();
    let dims = cursor.u32()?;
    if dims > MAX_DIMS {
        return Err(broken!("tensor {name:?} has {dims} dimensions, at most {MAX_DIMS} expected"));
    }
    let shape = (0..dims).map(|_| cursor.u64()).collect::<Found<_>>()?;
    let (kind, offset) = (cursor.u32()?, cursor.u64()?);
    Ok(TensorInfo { name, shape, kind, offset })
}

/// Reads a file front to back.
pub(super) struct Cursor<'w, 'a, R> {
    window: &'w mut Window<'a, R>,
    at: u64,
}

impl<'w, 'a, R: ReadAt> Cursor<'w, 'a, R> {
    pub(super) fn new(window: &'w mut Window<'a, R>) -> Cursor<'w, 'a, R> {
        Cursor { window, at: 0 }
    }

    /// Bytes behind the cursor.
    fn left(&self) -> u64 {
        self.window.size() - self.at
    }

    fn skip(&mut self, bytes: u64) -> Found<()> {
        self.at = Span::within(self.at, bytes, self.window.size())?.end;
        Ok(())
    }

    /// Reads some bytes, few enough to hold.
    fn take(&mut self, bytes: u64) -> Found<&[u8]> {
        let at = self.at;
        self.skip(bytes)?;
        self.window.bytes(at, bytes)
    }

    fn u32(&mut self) -> Found<u32> {
        let at = self.at;
        self.skip(4)?;
        Ok(self.window.number(at, 4)? as u32)
    }

    fn u64(&mut self) -> Found<u64> {
        let at = self.at;
        self.skip(8)?;
        self.window.number(at, 8)
    }

    /// A number of things of at least `size` bytes each, which the rest of the file has room for.
    fn count(&mut self, size: u64, what: &str) -> Found<u64> {
        let count = self.u64()?;
        if count > self.left() / size {
            return Err(broken!("{count} {what} do not fit the {} bytes left", self.left()));
        }
        Ok(count)
    }
}
