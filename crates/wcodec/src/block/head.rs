//! The head of a coded block: everything but the streams of its planes. FORMAT.md section 5.2.
//!
//! | at | bytes | field | legal |
//! | --- | --- | --- | --- |
//! | 0 | 1 | planes | 1 to 16 |
//! | 1 | 1 | prediction from a base | 0 none, 1 difference, 2 XOR |
//! | 2 | 2 | zero | 0 |
//! | 4 | 4 | head length | a multiple of 16, at most the payload |
//! | 8 | 4 | tile map length | 0 for no map |
//! | 12 | 8 x planes | plane records | below |
//! | | | tile map, own tables in plane order, zero bytes up to the head length | |
//!
//! | at | bytes | field of a plane record | legal |
//! | --- | --- | --- | --- |
//! | 0 | 1 | width in bits | 1 to 12, raw: to 8; all together the element |
//! | 1 | 1 | kind | 0 raw, 1 constant, 2 shared table, 3 own table, 4 (first plane) scale classes, 5 base classes |
//! | 2 | 2 | constant: value; shared: table number; else 0 | |
//! | 4 | 4 | stream length | raw: width x elements / 8 rounded up; constant: 0 |

use crate::base::{prediction_code, prediction_from_code};
use crate::dtype::ElementType;
use crate::entropy::table::{MAX_WIDTH, Table};
use crate::error::{Result, corrupt};
use crate::planes::{MAX_PLANES, MAX_RAW_WIDTH};
use crate::pool::Pooled;
use std::ops::Range;
use wcodec_kernels::Prediction;

/// Alignment of the head's length and of each stream in a payload.
const ALIGN: usize = 16;
const FIXED: usize = 12;
const RECORD: usize = 8;

/// Where the table or value of a plane is.
#[derive(Debug)]
pub(crate) enum Kind {
    Raw,
    Constant(u16),
    Shared(u16),
    Own(Table),
    /// The tables of the group's scale classes.
    Classes,
    /// The tables of its base classes.
    BaseClasses,
}

#[derive(Debug)]
pub(crate) struct Plane {
    pub(crate) width: u32,
    pub(crate) kind: Kind,
    /// Place of the stream in the payload.
    pub(crate) stream: Range<usize>,
}

#[derive(Debug)]
pub(crate) struct Head {
    /// How it is predicted from a base.
    pub(crate) prediction: Option<Prediction>,
    pub(crate) planes: Vec<Plane>,
    /// Place of the tile map in the payload.
    pub(crate) map: Option<Range<usize>>,
    /// Bytes of own tables.
    pub(crate) table_bytes: usize,
    pub(crate) len: usize,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn check_zero(bytes: &[u8], what: &str) -> Result<()> {
    match bytes.iter().position(|&b| b != 0) {
        Some(at) => Err(corrupt!("{what} byte {at} is {}, expected 0", bytes[at])),
        None => Ok(()),
    }
}

impl Head {
    /// Whether the first plane has scale classes.
    pub(crate) fn has_classes(&self) -> bool {
        matches!(self.planes[0].kind, Kind::Classes)
    }

    /// Whether a plane has base classes.
    pub(crate) fn has_base_classes(&self) -> bool {
        self.planes.iter().any(|plane| matches!(plane.kind, Kind::BaseClasses))
    }

    /// Whether a coded block that begins with these bytes is predicted from a base.
    pub(crate) fn has_base(start: &[u8]) -> bool {
        start.get(1).is_some_and(|&code| code != 0)
    }

    /// Length of the head that begins with these bytes.
    pub(crate) fn len_of(start: &[u8]) -> Result<usize> {
        if start.len() < FIXED {
            return Err(corrupt!("block of {} bytes is too short for a head", start.len()));
        }
        Ok(u32_at(start, 4) as usize)
    }

    /// Parses and checks a head and the layout of the streams behind it. `payload` holds at
    /// least the head of a block of `payload_len` bytes.
    pub(crate) fn read(
        element: ElementType,
        elements: usize,
        payload: &[u8],
        payload_len: usize,
    ) -> Result<Head> {
        let len = Head::len_of(payload)?;
        let count = usize::from(payload[0]);
        if count == 0 || count > MAX_PLANES {
            return Err(corrupt!("block has {count} planes, expected 1 to {MAX_PLANES}"));
        }
        let prediction = prediction_from_code(payload[1])?;
        check_zero(&payload[2..4], "reserved head")?;
        let map_len = u32_at(payload, 8) as usize;
        let map_start = FIXED + RECORD * count;
        if len > payload.len() || !len.is_multiple_of(ALIGN) || len < map_start {
            return Err(corrupt!("head length is {len} in a block of {payload_len} bytes"));
        }
        if map_len > len - map_start {
            return Err(corrupt!("tile map of {map_len} bytes exceeds the head of {len}"));
        }
        let tables_start = map_start + map_len;
        let mut at = tables_start;
        let mut stream_at = len;
        let mut bits = 0;
        let mut planes = Vec::with_capacity(count);
        for (index, record) in payload[FIXED..map_start].chunks_exact(RECORD).enumerate() {
            let width = u32::from(record[0]);
            let value = u16_at(record, 2);
            let stream_len = u32_at(record, 4) as usize;
            if width == 0 || width > MAX_WIDTH {
                let max = MAX_WIDTH;
                return Err(corrupt!("plane {index} has {width} bits, expected 1 to {max}"));
            }
            bits += width;
            let kind = match record[1] {
                0 if width <= MAX_RAW_WIDTH => Kind::Raw,
                0 => {
                    return Err(corrupt!("raw plane {index} has {width} bits, at most 8 expected"));
                }
                1 if u32::from(value) >> width == 0 => Kind::Constant(value),
                1 => {
                    return Err(corrupt!("constant {value} of plane {index} exceeds {width} bits"));
                }
                2 => Kind::Shared(value),
                3 => {
                    let (table, used) = Table::read(width, &payload[at..len])
                        .map_err(|e| corrupt!("plane {index}: {}", e.kind()))?;
                    at += used;
                    Kind::Own(table)
                }
                4 if index == 0 => Kind::Classes,
                4 => return Err(corrupt!("plane {index} has scale classes, only plane 0 may")),
                5 if prediction.is_some() => Kind::BaseClasses,
                5 => {
                    return Err(corrupt!("plane {index} has base classes, the block has no base"));
                }
                kind => return Err(corrupt!("plane {index} has kind {kind}, at most 5 expected")),
            };
            if value != 0 && !matches!(kind, Kind::Constant(_) | Kind::Shared(_)) {
                return Err(corrupt!("plane {index} has value {value}, expected 0"));
            }
            let expected = match kind {
                Kind::Raw => wcodec_kernels::packed_len(elements, width),
                Kind::Constant(_) => Some(0),
                _ => Some(stream_len),
            };
            if expected != Some(stream_len) {
                return Err(corrupt!("plane {index} has a stream of {stream_len} bytes"));
            }
            let start = if stream_len > 0 { stream_at.next_multiple_of(ALIGN) } else { stream_at };
            stream_at = start
                .checked_add(stream_len)
                .filter(|&end| end <= payload_len)
                .ok_or_else(|| corrupt!("stream of plane {index} exceeds the block"))?;
            planes.push(Plane { width, kind, stream: start..stream_at });
        }
        if bits != element.bits() {
            return Err(corrupt!("planes have {bits} bits, expected {}", element.bits()));
        }
        if stream_at != payload_len {
            let extra = payload_len - stream_at;
            return Err(corrupt!("{extra} bytes behind the last stream of the block"));
        }
        if at.next_multiple_of(ALIGN) != len {
            return Err(corrupt!("head length is {len}, its contents take {at} bytes"));
        }
        check_zero(&payload[at..len], "head padding")?;
        let predictable = matches!(planes[0].kind, Kind::Shared(_) | Kind::Own(_) | Kind::Classes);
        if map_len > 0 && !predictable {
            return Err(corrupt!("tile map without a coded first plane"));
        }
        let map = (map_len > 0).then_some(map_start..tables_start);
        Ok(Head { prediction, planes, map, table_bytes: at - tables_start, len })
    }

    /// Checks that the bytes between the streams are zero.
    pub(crate) fn check_padding(&self, payload: &[u8]) -> Result<()> {
        let mut at = self.len;
        for plane in &self.planes {
            check_zero(&payload[at..plane.stream.start], "padding")?;
            at = plane.stream.end;
        }
        Ok(())
    }
}

/// A coded block while it is written: the head, then streams in plane order.
pub(crate) struct PayloadWriter {
    payload: Pooled,
    head: usize,
}

impl PayloadWriter {
    /// Writes the head of planes with these widths, from high to low, and of this tile map, into
    /// `out`, whose content is lost. Lengths of streams come with the streams.
    pub(crate) fn new(
        prediction: Option<Prediction>,
        planes: &[(u32, Kind)],
        map: &[u8],
        mut out: Pooled,
    ) -> PayloadWriter {
        out.clear();
        let (count, prediction) = (planes.len() as u8, prediction_code(prediction));
        out.extend_from_slice(&[count, prediction, 0, 0, 0, 0, 0, 0]);
        out.extend_from_slice(&(map.len() as u32).to_le_bytes());
        for (width, kind) in planes {
            let (kind, value) = match *kind {
                Kind::Raw => (0, 0),
                Kind::Constant(value) => (1, value),
                Kind::Shared(number) => (2, number),
                Kind::Own(_) => (3, 0),
                Kind::Classes => (4, 0),
                Kind::BaseClasses => (5, 0),
            };
            out.extend_from_slice(&[*width as u8, kind]);
            out.extend_from_slice(&value.to_le_bytes());
            out.extend_from_slice(&[0; 4]);
        }
        out.extend_from_slice(map);
        for (width, kind) in planes {
            if let Kind::Own(table) = kind {
                table.write(*width, &mut out);
            }
        }
        let head = out.len().next_multiple_of(ALIGN);
        out.resize(head, 0);
        out[4..8].copy_from_slice(&(head as u32).to_le_bytes());
        PayloadWriter { payload: out, head }
    }

    /// Begins the next stream, which is then appended to the payload.
    pub(crate) fn begin(&mut self) -> &mut Vec<u8> {
        let start = self.payload.len().next_multiple_of(ALIGN);
        self.payload.resize(start, 0);
        &mut self.payload
    }

    /// Appends to the stream that was begun.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.payload.extend_from_slice(bytes);
    }

    /// Ends the stream of plane `plane`, which began at `start` of the payload.
    pub(crate) fn end(&mut self, plane: usize, start: usize) {
        let len = (self.payload.len() - start) as u32;
        self.payload[FIXED + RECORD * plane + 4..][..4].copy_from_slice(&len.to_le_bytes());
    }

    /// Length of the head.
    pub(crate) fn head_len(&self) -> usize {
        self.head
    }

    /// The payload.
    pub(crate) fn finish(self) -> Pooled {
        self.payload
    }
}
