//! Whether the pivots of a layout pay for a layer.

use crate::container::read_at::{ReadAt, read};
use crate::entropy::cost;
use crate::error::Result;
use crate::packing::Layout;
use crate::source::Located;
use wcodec_kernels::Level;

/// A layer of fewer structs would pay more for the segments of the places than it can gain.
const MIN_STRUCTS: u64 = 1 << 11;
/// Bytes looked at at a time; the first ones tell what pivots gain.
const PIECE_BYTES: u64 = 4 << 20;

/// The layout of a layer: with its pivots if all structs have them and they make the codes smaller,
/// without them otherwise.
pub(crate) fn settled(source: &impl ReadAt, located: &Located, layout: &Layout) -> Result<Layout> {
    if !layout.has_pivots() {
        return Ok(layout.clone());
    }
    let mut plain = layout.clone();
    plain.fields.iter_mut().for_each(|field| field.pivots.clear());
    let len = u64::from(layout.bytes);
    let structs = layout.structs(&located.layer)?;
    if structs < MIN_STRUCTS {
        return Ok(plain);
    }
    let level = Level::detect();
    let most = (PIECE_BYTES / len).max(1);
    for first in (0..structs).step_by(most as usize) {
        let count = most.min(structs - first);
        let bytes = read(source, located.at + first * len, count * len)?;
        for (number, field) in layout.fields.iter().enumerate() {
            if field.pivots.is_empty() {
                continue;
            }
            let Ok(with) = layout.gather(level, number, &bytes) else { return Ok(plain) };
            if first == 0 && price(&with) >= price(&plain.gather(level, number, &bytes)?) {
                return Ok(plain);
            }
        }
    }
    Ok(layout.clone())
}

/// The entropy of streams of bytes.
fn price(streams: &[Vec<u8>]) -> u64 {
    let entropy = |stream: &Vec<u8>| {
        let mut counts = [0u32; 256];
        stream.iter().for_each(|&code| counts[usize::from(code)] += 1);
        cost::entropy(&counts)
    };
    streams.iter().map(entropy).sum()
}
