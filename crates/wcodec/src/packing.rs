//! Packings: runs of structs of packed bits whose fields are segments of their own. FORMAT.md
//! section 10.

use crate::context::Context;
use crate::dtype::ElementType;
use crate::error::{Error, Result, corrupt};
use crate::layer::Layer;
use crate::stats::Stats;
use crate::version::{MINOR_CONTEXTS, MINOR_PACKINGS, MINOR_PIVOTS};
use wcodec_kernels::{CodeField, Level, MAX_PIVOT_GROUP, Pivots, PutPivots, Scatter, gather_codes};

/// Bytes that the segments of one packing may have together: it bounds what a reader must hold.
pub(crate) const MAX_PACKING_BYTES: u64 = 64 << 20;
/// Bytes that the structs of all layouts may have together: it bounds what checking them takes.
pub(crate) const MAX_STRUCT_BYTES: u64 = 1 << 20;
/// Most layouts of a file.
pub(crate) const MAX_LAYOUTS: u32 = 256;
/// Most fields of a layout, pieces of a field, and axes of a piece.
pub(crate) const MAX_FIELDS: usize = 16;
pub(crate) const MAX_PIECES: usize = 8;
pub(crate) const MAX_AXES: usize = 4;

/// Bytes of structs whose pivots are taken out or put back at a time.
const AT_ONCE: usize = 8 << 10;

/// What a struct of a fixed size consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Bytes of a struct.
    pub(crate) bytes: u32,
    /// Elements of a layer that a struct holds.
    pub(crate) values: u32,
    pub(crate) fields: Vec<Field>,
    /// What the others tell of the codes of one of them.
    pub(crate) context: Option<Context>,
}

/// The structs of a layer, and how an encoder looks at them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Structs {
    pub(crate) layout: Layout,
    /// How the codes are seen, where it is not by the rows of the layer; only of layouts of one field.
    pub(crate) view: Option<View>,
}

/// Rows and columns of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Codes of a row.
    pub(crate) cols: u64,
    /// Rows whose columns share their scales.
    pub(crate) together: Option<u64>,
}

/// A list of codes of a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// What the codes are in their segment.
    pub(crate) element: ElementType,
    pub(crate) bits: CodeField,
    /// Codes that nearly every group of them has somewhere.
    pub(crate) pivots: Option<Pivots>,
}

/// What a segment of a packing holds of each struct.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    pub(crate) element: ElementType,
    /// Elements of a struct.
    pub(crate) count: usize,
    pub(crate) field: usize,
    /// The pivot of the field whose places it holds; without one, the codes.
    pub(crate) pivot: Option<usize>,
}

impl Stream {
    /// Bytes of a struct.
    pub(crate) fn bytes(&self) -> usize {
        self.count * self.element.size()
    }
}

impl Structs {
    /// Structs that are seen by the rows of their layer.
    pub(crate) fn of_rows(layout: Layout) -> Structs {
        Structs { layout, view: None }
    }

    /// Bytes that must not be cut: rows of the view, or those that share their scales. A multiple of the
    /// bytes of a struct; `None` if it does not fit.
    pub(crate) fn step(&self) -> Option<u64> {
        let Layout { bytes, fields, .. } = &self.layout;
        let (Some(view), Some(field)) = (self.view, fields.first()) else {
            return Some((*bytes).into());
        };
        let codes = view.cols.checked_mul(view.together.unwrap_or(1))?;
        codes.div_ceil(field.bits.codes as u64).checked_mul((*bytes).into())
    }
}

impl Layout {
    /// Checks that the fields take every bit of a struct once.
    pub(crate) fn checked(self) -> Result<Layout> {
        let Layout { bytes, values, .. } = self;
        if bytes == 0 || values == 0 || u64::from(bytes) > MAX_STRUCT_BYTES {
            return Err(corrupt!("struct of {bytes} bytes and {values} values"));
        }
        let mut used = vec![0u8; bytes as usize];
        for (number, field) in self.fields.iter().enumerate() {
            field.check(&mut used).map_err(|e| e.within(format_args!("field {number}")))?;
        }
        if let Some(byte) = used.iter().position(|&byte| byte != 0xff) {
            return Err(corrupt!("byte {byte} of a struct has bits of no field"));
        }
        if let Some(context) = &self.context {
            context.check(&self.fields)?;
        }
        Ok(self)
    }

    /// The shape of a layer in bytes: the last dimension is the bytes of a row.
    pub(crate) fn bytes_of(&self, shape: &[u64]) -> Vec<u64> {
        let mut shape = shape.to_vec();
        if let Some(last) = shape.last_mut() {
            *last = *last / u64::from(self.values) * u64::from(self.bytes);
        }
        shape
    }

    /// What the segments of a packing hold.
    pub(crate) fn streams(&self) -> Vec<Stream> {
        let mut streams = Vec::new();
        for (number, field) in self.fields.iter().enumerate() {
            let stream = |element, count, pivot| Stream { element, count, field: number, pivot };
            let codes = field.bits.codes;
            let Some(pivots) = &field.pivots else {
                streams.push(stream(field.element, codes, None));
                continue;
            };
            let groups = codes / pivots.group;
            streams.push(stream(field.element, groups * pivots.left(), None));
            let places = 0..pivots.pivots.len();
            streams.extend(places.map(|pivot| stream(ElementType::U8, groups, Some(pivot))));
        }
        streams
    }

    /// Number of the first segment of a field.
    pub(crate) fn first_stream(&self, field: usize) -> usize {
        self.fields.iter().take(field).map(Field::segments).sum()
    }

    /// Number of the segment whose codes have a context, and the context.
    pub(crate) fn context(&self) -> Option<(usize, &Context)> {
        self.context.as_ref().map(|context| (self.first_stream(context.field), context))
    }

    /// Codes of a struct, of its first field.
    pub(crate) fn codes(&self) -> usize {
        self.fields.first().map_or(0, |field| field.bits.codes)
    }

    /// Codes of a stream that count as one value of a struct; 0 if they do not count.
    pub(crate) fn codes_of_value(&self, stream: &Stream) -> u64 {
        let codes = self.fields.get(stream.field).map_or(0, |field| field.bits.codes as u64);
        if stream.pivot.is_some() { 0 } else { codes / u64::from(self.values) }
    }

    /// Number of the segments of a packing.
    pub(crate) fn segments(&self) -> usize {
        self.first_stream(self.fields.len())
    }

    /// Whether a field has pivots.
    pub(crate) fn has_pivots(&self) -> bool {
        self.fields.iter().any(|field| field.pivots.is_some())
    }

    /// The lowest minor version that has it.
    pub(crate) fn minor(&self) -> u16 {
        let newer = self.has_pivots() || self.context.is_some();
        if newer { MINOR_PIVOTS.max(MINOR_CONTEXTS) } else { MINOR_PACKINGS }
    }

    /// Number of structs that a layer consists of.
    pub(crate) fn structs(&self, layer: &Layer) -> Result<u64> {
        let values = u64::from(self.values);
        let last = layer.shape.last().copied().unwrap_or(1);
        let structs = layer.elements().filter(|_| last.is_multiple_of(values)).map(|n| n / values);
        structs
            .filter(|structs| structs.checked_mul(u64::from(self.bytes)) == Some(layer.bytes))
            .ok_or_else(|| {
                corrupt!(
                    "shape {:?} of {} bytes, in structs of {values} values and {} bytes",
                    layer.shape,
                    layer.bytes,
                    self.bytes
                )
            })
    }

    /// What the streams of a field hold of all structs.
    pub(crate) fn gather(
        &self,
        level: Level,
        field: usize,
        structs: &[u8],
    ) -> Result<Vec<Vec<u8>>> {
        let len = self.bytes as usize;
        let Field { bits, pivots, .. } = &self.fields[field];
        let count = structs.len() / len;
        let Some(pivots) = pivots else {
            let mut codes = vec![0; count * bits.bytes()];
            gather_codes(level, len, structs, bits, &mut codes);
            return Ok(vec![codes]);
        };
        let groups = count * (bits.codes / pivots.group);
        let mut left = Vec::with_capacity(groups * pivots.left());
        let places = |_| Vec::with_capacity(groups);
        let mut streams: Vec<Vec<u8>> = (0..pivots.pivots.len()).map(places).collect();
        // Of so few structs that their codes stay in the first-level cache.
        let at_once = (AT_ONCE / len).max(1);
        let mut codes = vec![0; at_once.min(count) * bits.bytes()];
        for structs in structs.chunks(at_once * len) {
            let codes = &mut codes[..structs.len() / len * bits.bytes()];
            gather_codes(level, len, structs, bits, codes);
            if !pivots.take(codes, &mut left, &mut streams) {
                return Err(corrupt!("a group does not have the code that all others have"));
            }
        }
        streams.insert(0, left);
        Ok(streams)
    }

    /// The structs whose streams hold this, that of each stream for all of them.
    pub(crate) fn scatter(
        &self,
        level: Level,
        streams: &[&[u8]],
        structs: &mut [u8],
    ) -> Result<()> {
        let len = self.bytes as usize;
        let scatter = Scatter::new(len, self.fields.iter().map(|field| &field.bits).collect());
        if !self.has_pivots() {
            scatter.structs(level, streams, structs);
            return Ok(());
        }
        let put: Vec<Option<PutPivots>> =
            self.fields.iter().map(|field| field.pivots.as_ref().map(PutPivots::new)).collect();
        let at_once = (AT_ONCE / len).max(1);
        let bytes: Vec<usize> = self.streams().iter().map(Stream::bytes).collect();
        // Codes with their pivots, of so few structs that the first-level cache holds them.
        let mut space = vec![Vec::new(); self.fields.len()];
        for (task, structs) in structs.chunks_mut(at_once * len).enumerate() {
            let (first, count) = (task * at_once, structs.len() / len);
            let mut rest = streams
                .iter()
                .zip(&bytes)
                .map(|(stream, bytes)| &stream[first * bytes..(first + count) * bytes]);
            let mut codes: Vec<&[u8]> = Vec::with_capacity(self.fields.len());
            for ((field, put), space) in self.fields.iter().zip(&put).zip(&mut space) {
                let left = rest.next().unwrap_or_default();
                let (Some(put), Some(pivots)) = (put, &field.pivots) else {
                    codes.push(left);
                    continue;
                };
                let places: Vec<&[u8]> = rest.by_ref().take(pivots.pivots.len()).collect();
                space.resize(count * field.bits.codes, 0);
                if !put.put(level, left, &places, space) {
                    return Err(corrupt!("the place of a code is outside its group"));
                }
                codes.push(space);
            }
            scatter.structs(level, &codes, structs);
        }
        Ok(())
    }
}

impl Field {
    /// Number of its segments.
    fn segments(&self) -> usize {
        1 + self.pivots.as_ref().map_or(0, |pivots| pivots.pivots.len())
    }

    /// Checks the field of a struct, and marks its bits in `used`.
    fn check(&self, used: &mut [u8]) -> Result<()> {
        let CodeField { codes, size, bias, pieces } = &self.bits;
        let bits = used.len() as u64 * 8;
        let width = self.bits.width();
        let taken = (*codes as u64).saturating_mul(width.into());
        if taken > bits || width > self.element.bits() || pieces.iter().any(|p| p.width == 0) {
            return Err(corrupt!("{codes} codes of {width} bits in a struct of {bits}"));
        }
        if *bias != 0 && *size != 1 {
            return Err(corrupt!("bias {bias} of elements of {size} bytes, expected 0"));
        }
        if let Some(Pivots { group, pivots, .. }) = &self.pivots {
            let fits = (pivots.len() + 1..=MAX_PIVOT_GROUP).contains(group);
            if *size != 1 || !fits || !codes.is_multiple_of(*group) {
                let count = pivots.len();
                return Err(corrupt!("{count} pivots of {group} of {codes} codes of {size} bytes"));
            }
        }
        for piece in pieces {
            let counts = piece.axes.iter().try_fold(1u64, |n, a| n.checked_mul(a.count.into()));
            if counts != Some(*codes as u64) {
                return Err(corrupt!("a piece does not have {codes} places"));
            }
            if piece.end().is_none_or(|end| end > bits) {
                return Err(corrupt!("a piece lies outside the struct of {bits} bits"));
            }
            let run = piece.run();
            let mut twice = false;
            for first in (0..piece.runs()).map(|run| piece.start(run).1) {
                for code in 0..run.count as usize {
                    let start = first + code * run.stride as usize;
                    for bit in start..start + piece.width as usize {
                        twice |= used[bit / 8] >> (bit % 8) & 1 == 1;
                        used[bit / 8] |= 1 << (bit % 8);
                    }
                }
            }
            if twice {
                return Err(corrupt!("a bit of the struct is taken twice"));
            }
        }
        Ok(())
    }
}

/// A run of structs of the original.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packing {
    /// Its first segment; the others follow.
    pub(crate) segment: u32,
    pub(crate) layout: u32,
    pub(crate) structs: u64,
}

impl Packing {
    /// The part of a stream's statistics that counts for the structs: elements only once, where each of
    /// their values has codes.
    pub(crate) fn of_stream(&self, layout: &Layout, stream: &Stream, stats: Stats) -> Stats {
        let codes = layout.codes_of_value(stream);
        let once = |elements: u64| elements.checked_div(codes).unwrap_or(0);
        Stats {
            original_bytes: 0,
            elements: 0,
            scaled_elements: once(stats.scaled_elements),
            predicted_elements: once(stats.predicted_elements),
            ..stats
        }
    }

    /// What all structs are, beside what their fields take.
    pub(crate) fn totals(&self, layout: &Layout) -> Stats {
        Stats {
            original_bytes: self.structs * u64::from(layout.bytes),
            elements: self.structs.saturating_mul(layout.values.into()),
            ..Stats::default()
        }
    }

    /// Checks that a packing of this layout fits its segments: the type and number of elements of each.
    pub(crate) fn check(
        &self,
        layout: &Layout,
        segments: impl ExactSizeIterator<Item = (ElementType, u64)>,
    ) -> Result<()> {
        let streams = layout.streams();
        if segments.len() != streams.len() {
            let (have, want) = (segments.len(), streams.len());
            return Err(corrupt!("{have} segments for {want} fields"));
        }
        let mut bytes = 0u64;
        for ((element, elements), stream) in segments.zip(&streams) {
            let want = self.structs.checked_mul(stream.count as u64);
            if element != stream.element || want != Some(elements) {
                return Err(corrupt!(
                    "segment of {elements} elements {}, expected {} x {} {}",
                    element.name(),
                    self.structs,
                    stream.count,
                    stream.element.name()
                ));
            }
            bytes = bytes.saturating_add(elements.saturating_mul(element.size() as u64));
        }
        if self.structs == 0 {
            return Err(corrupt!("a packing without structs"));
        }
        if bytes > MAX_PACKING_BYTES {
            return Err(Error::limit("size of a packing", bytes, MAX_PACKING_BYTES));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wcodec_kernels::{Axis, Piece};

    fn piece(first: u32, width: u32, axes: &[(u32, u32)]) -> Piece {
        let axes = axes.iter().map(|&(count, stride)| Axis { count, stride }).collect();
        Piece { first, width, axes }
    }

    /// A byte, and four nibbles in two bytes.
    fn layout(change: impl FnOnce(&mut Layout)) -> Result<Layout> {
        let field = |codes, pieces| Field {
            element: ElementType::U8,
            bits: CodeField { codes, size: 1, bias: 0, pieces },
            pivots: None,
        };
        let mut layout = Layout {
            bytes: 3,
            values: 4,
            fields: vec![
                field(1, vec![piece(0, 8, &[(1, 8)])]),
                field(4, vec![piece(8, 4, &[(2, 8), (2, 4)])]),
            ],
            context: None,
        };
        change(&mut layout);
        layout.checked()
    }

    #[test]
    fn layouts_take_every_bit_once() {
        assert!(layout(|_| ()).is_ok());
        let refused = |change: fn(&mut Layout)| layout(change).unwrap_err().to_string();
        let nibbles = |l: &mut Layout, piece: Piece| l.fields[1].bits.pieces = vec![piece];
        assert_eq!(refused(|l| l.values = 0), "struct of 3 bytes and 0 values");
        assert_eq!(refused(|l| l.bytes = 2 << 20), "struct of 2097152 bytes and 4 values");
        assert_eq!(refused(|l| l.bytes = 4), "byte 3 of a struct has bits of no field");
        let text = "field 1: a piece lies outside the struct of 16 bits";
        assert_eq!(refused(|l| l.bytes = 2), text);
        let text = "field 1: a bit of the struct is taken twice";
        assert_eq!(
            layout(|l| nibbles(l, piece(8, 4, &[(2, 8), (2, 3)]))).unwrap_err().to_string(),
            text
        );
        assert_eq!(layout(|l| nibbles(l, piece(8, 4, &[(4, 0)]))).unwrap_err().to_string(), text);
        let text = "field 1: a piece does not have 4 places";
        assert_eq!(layout(|l| nibbles(l, piece(8, 4, &[(3, 4)]))).unwrap_err().to_string(), text);
        assert_eq!(
            layout(|l| nibbles(l, piece(8, 4, &[(u32::MAX, 1), (u32::MAX, 1), (u32::MAX, 1)])))
                .unwrap_err()
                .to_string(),
            text
        );
        let text = "field 1: 4 codes of 9 bits in a struct of 24";
        assert_eq!(layout(|l| nibbles(l, piece(8, 9, &[(4, 1)]))).unwrap_err().to_string(), text);
        let text = "field 1: 4 codes of 0 bits in a struct of 24";
        assert_eq!(layout(|l| nibbles(l, piece(8, 0, &[(4, 1)]))).unwrap_err().to_string(), text);
    }

    #[test]
    fn structs_come_back() {
        let layout = layout(|_| ()).unwrap();
        let structs = [0x12, 0x34, 0x56, 0xfe, 0xdc, 0xba];
        let codes: Vec<Vec<u8>> = (0..2)
            .flat_map(|field| layout.gather(Level::SCALAR, field, &structs).unwrap())
            .collect();
        assert_eq!(codes, [vec![0x12, 0xfe], vec![4, 6, 3, 5, 0xc, 0xa, 0xd, 0xb]]);
        let codes: Vec<&[u8]> = codes.iter().map(Vec::as_slice).collect();
        let mut back = [0; 6];
        layout.scatter(Level::SCALAR, &codes, &mut back).unwrap();
        assert_eq!(back, structs);
    }
}
