//! Tables that the classes of a plane take from a side block. FORMAT.md section 9.1.

use super::side::SharedTable;
use crate::entropy::table::Table;
use crate::error::{Result, corrupt};
use crate::scale::plan::base_of;
use std::sync::OnceLock;
use wcodec_kernels::DecodeTable;

/// Most low bits that a table leaves alone.
const MOST_LOW: u32 = 8;

/// The tables of one plane, and what a reader makes of them when it first needs them.
pub(crate) struct ClassTables {
    /// Bits of the plane.
    pub(crate) width: u32,
    /// Low bits of a field that are not coded, by table; empty if there are none.
    pub(crate) low: Vec<u8>,
    /// The tables as those of fields.
    fields: Vec<Table>,
    base: u16,
    decoders: OnceLock<Vec<DecodeTable>>,
}

impl ClassTables {
    /// Of planes of this width. `what` has the classes, for messages; the first table is number `first` of the side block.
    pub(crate) fn of(
        what: &str,
        width: u32,
        tables: &[SharedTable],
        first: usize,
    ) -> Result<ClassTables> {
        let mut low = Vec::with_capacity(tables.len());
        let mut fields = Vec::with_capacity(tables.len());
        let (mut least, mut most) = (u16::MAX, 0);
        for (number, shared) in (first..).zip(tables) {
            let bits =
                width.checked_sub(shared.width).filter(|&bits| bits <= MOST_LOW).ok_or_else(
                    || corrupt!("table {number} has width {}, {what} have {width}", shared.width),
                )?;
            low.push(bits as u8);
            let table = shared.table.shifted(bits);
            let (first, last) = table.range();
            least = least.min(first);
            most = most.max(last | ((1 << bits) - 1));
            fields.push(table);
        }
        let Some(base) = base_of(least, most) else {
            return Err(corrupt!("fields of {what} reach from {least} to {most}"));
        };
        if low.iter().all(|&bits| bits == 0) {
            low.clear();
        }
        Ok(ClassTables { width, low, fields, base, decoders: OnceLock::new() })
    }

    /// What decodes the fields, their low bits 0.
    pub(crate) fn decoders(&self) -> Result<&[DecodeTable]> {
        if let Some(decoders) = self.decoders.get() {
            return Ok(decoders);
        }
        let decoders: Vec<DecodeTable> =
            self.fields.iter().map(|table| table.decoder_from(self.base)).collect::<Result<_>>()?;
        Ok(self.decoders.get_or_init(|| decoders))
    }
}

/// Appends a bit for each class, whether its number in `of_class` is that of the class before and one more.
pub(crate) fn write_map(of_class: &[u8], out: &mut Vec<u8>) {
    let mut map = vec![0u8; of_class.len().div_ceil(8)];
    for (class, pair) in (1..).zip(of_class.windows(2)) {
        map[class / 8] |= u8::from(pair[0] != pair[1]) << (class % 8);
    }
    out.extend_from_slice(&map);
}

/// Reads that of `count` classes from the front of `bytes`; returns the number of each, and the rest.
pub(crate) fn read_map<'b>(
    what: &str,
    count: usize,
    bytes: &'b [u8],
) -> Result<(Vec<u8>, &'b [u8])> {
    let Some((map, rest)) = bytes.split_at_checked(count.div_ceil(8)) else {
        return Err(corrupt!("side block ends before the bits of {count} {what}"));
    };
    let bit = |k: usize| map[k / 8] >> (k % 8) & 1;
    if bit(0) != 0 || (count..map.len() * 8).any(|k| bit(k) != 0) {
        return Err(corrupt!("unused bits of the {what} are not zero"));
    }
    let numbers = (0..count).scan(0, |number, class| {
        *number += bit(class);
        Some(*number)
    });
    Ok((numbers.collect(), rest))
}
