//! The elements of a block where they lie, and the fields of its planes, for encoding.

use super::encode::PreparedTable;
use super::join_rows;
use crate::dtype::ElementType;
use crate::geometry::Rect;
use crate::scale::{BlockClasses, ClassScan};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;
use wcodec_kernels::{
    ByteCounts, FieldCounts, Level, extract, extract_bytes, field_range, map_bytes, pack_bits,
    to_coding_order,
};

/// Memory to be used again.
#[derive(Default)]
pub(crate) struct FieldSpace {
    pub(super) symbols: Vec<u16>,
    pub(super) bytes: Vec<u8>,
    counts: FieldCounts,
}

/// How often each value of the highest bits of a block's elements occurs, for the blocks of a group. Each is
/// counted when it is first asked for; the counts of all narrower planes follow.
pub(crate) struct TopCounts {
    width: u32,
    /// By the first element.
    blocks: HashMap<u64, OnceLock<Vec<u32>>>,
}

impl TopCounts {
    /// Of the highest `width` bits.
    pub(crate) fn new(width: u32, rects: impl Iterator<Item = Rect>) -> TopCounts {
        TopCounts { width, blocks: rects.map(|rect| (rect.start, OnceLock::new())).collect() }
    }

    /// How often each field of this plane of the block at `rect` occurs; `None` if the plane has other
    /// bits as well.
    pub(crate) fn of(
        &self,
        rect: Rect,
        plane: &FieldSource<'_>,
        space: &mut FieldSpace,
    ) -> Option<Vec<u32>> {
        let &FieldSource { element, shift, width, .. } = plane;
        let below = shift.checked_sub(element.bits() - self.width)?;
        let top = self.blocks.get(&rect.start)?.get_or_init(|| {
            let shift = element.bits() - self.width;
            FieldSource { shift, width: self.width, ..*plane }.counts(space)
        });
        if width == self.width {
            return Some(top.clone());
        }
        let mut counts = vec![0; 1 << width];
        for (value, count) in top.iter().enumerate() {
            counts[value >> below & ((1 << width) - 1)] += count;
        }
        Some(counts)
    }
}

/// The elements of a rectangle, where they lie in the bytes of a group.
#[derive(Clone, Copy)]
pub(crate) struct BlockBytes<'a> {
    /// From its first element on.
    bytes: &'a [u8],
    /// As one row if they lie one behind the other.
    rows: usize,
    width: usize,
    pitch: usize,
}

impl<'a> BlockBytes<'a> {
    /// The rectangle `rect` of elements of `size` bytes, the first one in `group` being number
    /// `base`.
    pub(crate) fn new(group: &'a [u8], base: u64, rect: Rect, size: usize) -> BlockBytes<'a> {
        let bytes = &group[(rect.start - base) as usize * size..];
        let pitch = rect.stride as usize * size;
        let (rows, width, pitch) = join_rows(rect.rows, rect.cols * size, pitch);
        BlockBytes { bytes, rows, width, pitch }
    }

    /// Its rows.
    pub(crate) fn rows(self) -> impl Iterator<Item = &'a [u8]> + Clone {
        (0..self.rows).map(move |row| &self.bytes[row * self.pitch..][..self.width])
    }

    /// How its rows lie in [`BlockBytes::bytes`], as [`join_rows`] has it.
    pub(super) fn shape(self) -> (usize, usize, usize) {
        (self.rows, self.width, self.pitch)
    }

    /// From its first element on, up to the end of the group.
    pub(super) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    pub(super) fn len(self) -> usize {
        self.rows * self.width
    }

    /// Whether all elements are the same.
    pub(super) fn constant(self, element: ElementType) -> bool {
        let size = element.size();
        let first = &self.bytes[..size.min(self.bytes.len())];
        self.rows().all(|row| row.chunks_exact(size).all(|element| element == first))
    }

    /// The elements in row-major order.
    pub(crate) fn gathered(self) -> Cow<'a, [u8]> {
        match self.rows {
            1 => Cow::Borrowed(&self.bytes[..self.width]),
            _ => {
                let mut out = Vec::with_capacity(self.len());
                self.append_to(&mut out);
                Cow::Owned(out)
            }
        }
    }

    /// Appends the elements in row-major order.
    pub(crate) fn append_to(self, out: &mut Vec<u8>) {
        self.rows().for_each(|row| out.extend_from_slice(row));
    }
}

/// Bits `shift..shift + width` of each of the 256 elements of one byte.
pub(super) fn fields_of_bytes(element: ElementType, shift: u32, width: u32) -> Vec<u8> {
    let every: Vec<u8> = (0..=u8::MAX).collect();
    let mut fields = Vec::new();
    extract_bytes(Level::SCALAR, element.kernel(), &every, shift, width, &mut fields);
    fields
}

/// One plane of a block's elements.
#[derive(Clone, Copy)]
pub(crate) struct FieldSource<'a> {
    pub(crate) level: Level,
    pub(crate) element: ElementType,
    pub(crate) bytes: BlockBytes<'a>,
    pub(crate) shift: u32,
    pub(crate) width: u32,
}

impl FieldSource<'_> {
    /// Replaces `out` by the fields.
    pub(crate) fn symbols(&self, out: &mut Vec<u16>) {
        out.clear();
        for row in self.bytes.rows() {
            extract(self.level, self.element.kernel(), row, self.shift, self.width, out);
        }
    }

    /// Appends the lowest `width` bits of every field, at most 8.
    fn extract_bytes(&self, width: u32, out: &mut Vec<u8>) {
        for row in self.bytes.rows() {
            extract_bytes(self.level, self.element.kernel(), row, self.shift, width, out);
        }
    }

    /// Replaces `out` by the lowest 8 bits of every field, in the order in which this scan of a block with
    /// these classes codes them.
    pub(crate) fn in_coding_order(
        &self,
        scan: ClassScan,
        cols: usize,
        classes: &BlockClasses,
        space: &mut FieldSpace,
        out: &mut Vec<u8>,
    ) {
        if scan == ClassScan::Row {
            return self.in_row_order(out);
        }
        self.in_row_order(&mut space.bytes);
        out.resize(space.bytes.len(), 0);
        match &classes.units {
            Some(units) => units.in_coding_order(&space.bytes, out),
            None => to_coding_order(self.level, &space.bytes, cols, &classes.order, out),
        }
    }

    /// As [`FieldSource::in_coding_order`], in row-major order.
    pub(crate) fn in_row_order(&self, out: &mut Vec<u8>) {
        out.clear();
        self.extract_bytes(self.width.min(8), out);
    }

    /// The lowest and the highest field.
    pub(crate) fn range(&self) -> (u16, u16) {
        let &FieldSource { level, element, bytes, shift, width } = self;
        bytes.rows().fold((u16::MAX, 0), |(low, high), row| {
            let range = field_range(level, element.kernel(), row, shift, width);
            (low.min(range.0), high.max(range.1))
        })
    }

    /// How often each field occurs.
    pub(super) fn counts(&self, space: &mut FieldSpace) -> Vec<u32> {
        let &FieldSource { level, element, bytes, shift, width } = self;
        if element.size() == 1 {
            // From bytes to fields by one table.
            let mut of_bytes = ByteCounts::default();
            bytes.rows().for_each(|row| of_bytes.add(row));
            let mut counts = vec![0; 1 << width];
            let fields = fields_of_bytes(element, shift, width);
            for (field, count) in fields.into_iter().zip(of_bytes.counts()) {
                counts[usize::from(field)] += count;
            }
            return counts;
        }
        for row in bytes.rows() {
            space.counts.add(level, element.kernel(), row, shift, width);
        }
        space.counts.take(width)
    }

    /// Appends the fields as a bit string.
    pub(super) fn pack(&self, space: &mut FieldSpace, out: &mut Vec<u8>) {
        if self.width == 8 {
            return self.extract_bytes(8, out);
        }
        space.bytes.clear();
        self.extract_bytes(self.width, &mut space.bytes);
        pack_bits(self.level, &space.bytes, self.width, out);
    }

    /// Appends the rank of every field.
    pub(super) fn ranks(&self, table: &PreparedTable, space: &mut FieldSpace, out: &mut Vec<u8>) {
        let &FieldSource { level, element, bytes, shift, width } = self;
        if element.size() == 1 {
            // From bytes to ranks by one table.
            let mut by_byte = [0; 256];
            for (rank, field) in by_byte.iter_mut().zip(fields_of_bytes(element, shift, width)) {
                *rank = table.ranks.get(u16::from(field));
            }
            return bytes.rows().for_each(|row| map_bytes(level, &by_byte, row, out));
        }
        if let Some(ranks) = &table.ranks_by_byte {
            space.bytes.clear();
            self.extract_bytes(width.min(8), &mut space.bytes);
            return map_bytes(level, ranks, &space.bytes, out);
        }
        self.symbols(&mut space.symbols);
        out.extend(space.symbols.iter().map(|&s| table.ranks.get(s)));
    }
}
