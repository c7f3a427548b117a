//! Whether the pivots of a layout pay for a layer.

use crate::container::read_at::{ReadAt, read};
use crate::entropy::cost;
use crate::error::Result;
use crate::packing::Layout;
use crate::source::Located;
use wcodec_kernels::Level;

/// A layer of fewer groups would pay more for the segments of the places than it can gain.
const MIN_GROUPS: u64 = 1 << 11;
/// Bytes looked at at a time; the first ones tell what pivots gain.
const PIECE_BYTES: u64 = 4 << 20;

/// The layout of a layer: pivots stay where all groups have room for them, and where they make the codes
/// smaller.
pub(crate) fn settled(source: &impl ReadAt, located: &Located, layout: &Layout) -> Result<Layout> {
    let mut settled = layout.clone();
    let structs = layout.structs(&located.layer)?;
    for field in &mut settled.fields {
        let groups = |group: usize| (field.bits.codes / group) as u64 * structs;
        field.pivots.take_if(|pivots| groups(pivots.group) < MIN_GROUPS);
    }
    let (level, len) = (Level::detect(), u64::from(layout.bytes));
    let most = (PIECE_BYTES / len).max(1);
    for first in (0..structs).step_by(most as usize) {
        if !settled.has_pivots() {
            break;
        }
        let count = most.min(structs - first);
        let bytes = read(source, located.at + first * len, count * len)?;
        for number in 0..settled.fields.len() {
            if settled.fields[number].pivots.is_none() {
                continue;
            }
            let with = settled.gather(level, number, &bytes);
            let pivots = settled.fields[number].pivots.take();
            let stays = match with {
                Ok(with) if first == 0 => {
                    price(&with) < price(&settled.gather(level, number, &bytes)?)
                }
                fits => fits.is_ok(),
            };
            settled.fields[number].pivots = pivots.filter(|_| stays);
        }
    }
    Ok(settled)
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
