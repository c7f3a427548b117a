//! The field split: an element as planes, from its highest bits to its lowest, and back.
//! FORMAT.md section 5.

use crate::dtype::{ElementType, Transform};

/// Most planes of a block.
pub(crate) const MAX_PLANES: usize = 16;
/// Widest raw plane.
pub(crate) const MAX_RAW_WIDTH: u32 = 8;

/// An element as an unsigned integer of its size.
trait Word:
    Copy + Default + std::ops::BitOr<Output = Self> + std::ops::Shl<u32, Output = Self>
{
    const SIZE: usize;
    fn read(bytes: &[u8]) -> Self;
    fn write(self, bytes: &mut [u8]);
    /// Informative bits first.
    fn forward(self, transform: Transform) -> Self;
    fn inverse(self, transform: Transform) -> Self;
    /// Bits `shift..shift + 16`.
    fn field(self, shift: u32) -> u16;
    fn from_field(field: u16) -> Self;
}

macro_rules! word {
    ($type:ty, $shifted:ty) => {
        impl Word for $type {
            const SIZE: usize = size_of::<$type>();

            #[inline(always)]
            fn read(bytes: &[u8]) -> $type {
                // Callers pass chunks of exactly this size; the compiler sees it and drops the check.
                bytes.try_into().map_or(0, <$type>::from_le_bytes)
            }

            #[inline(always)]
            fn write(self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.to_le_bytes());
            }

            #[inline(always)]
            fn forward(self, transform: Transform) -> $type {
                match transform {
                    Transform::Identity => self,
                    Transform::RotateSign => self.rotate_left(1),
                    Transform::FlipSign => self ^ (1 << (<$type>::BITS - 1)),
                }
            }

            #[inline(always)]
            fn inverse(self, transform: Transform) -> $type {
                match transform {
                    Transform::RotateSign => self.rotate_right(1),
                    Transform::Identity | Transform::FlipSign => self.forward(transform),
                }
            }

            #[inline(always)]
            fn field(self, shift: u32) -> u16 {
                // Bytes are shifted as words: there is no vector instruction that shifts bytes.
                (<$shifted>::from(self) >> shift) as u16
            }

            #[inline(always)]
            fn from_field(field: u16) -> $type {
                field as $type
            }
        }
    };
}
word!(u8, u16);
word!(u16, u16);
word!(u32, u32);
word!(u64, u64);

/// Calls a generic function with the word type of an element size.
macro_rules! with_word {
    ($element:expr, $function:ident($($argument:expr),*)) => {
        match $element.size() {
            1 => $function::<u8>($($argument),*),
            2 => $function::<u16>($($argument),*),
            4 => $function::<u32>($($argument),*),
            _ => $function::<u64>($($argument),*),
        }
    };
}

/// Bits `shift..shift + width` of every element, the informative bits of an element first.
pub(crate) fn extract(element: ElementType, bytes: &[u8], shift: u32, width: u32) -> Vec<u16> {
    let mut symbols = Vec::new();
    extract_onto(element, bytes, shift, width, &mut symbols);
    symbols
}

/// Bits `shift..shift + width` of each of the 256 elements of one byte.
pub(crate) fn fields_of_bytes(element: ElementType, shift: u32, width: u32) -> Vec<u16> {
    let every: Vec<u8> = (0..=u8::MAX).collect();
    extract(element, &every, shift, width)
}

/// As [`extract`], behind what `symbols` holds.
pub(crate) fn extract_onto(
    element: ElementType,
    bytes: &[u8],
    shift: u32,
    width: u32,
    symbols: &mut Vec<u16>,
) {
    with_word!(element, extract_as(bytes, element.transform(), shift, width, symbols));
}

fn extract_as<T: Word>(
    bytes: &[u8],
    transform: Transform,
    shift: u32,
    width: u32,
    symbols: &mut Vec<u16>,
) {
    let mask = ((1u32 << width) - 1) as u16;
    let start = symbols.len();
    symbols.resize(start + bytes.len() / T::SIZE, 0);
    let symbols = &mut symbols[start..];
    let mut field = |transform: Transform| {
        for (symbol, b) in symbols.iter_mut().zip(bytes.chunks_exact(T::SIZE)) {
            *symbol = T::read(b).forward(transform).field(shift) & mask;
        }
    };
    // A transform known to each loop lets the compiler vectorise it.
    match transform {
        Transform::Identity => field(Transform::Identity),
        Transform::RotateSign => field(Transform::RotateSign),
        Transform::FlipSign => field(Transform::FlipSign),
    }
}

/// The bits of an element that are not the same in all elements, the informative bits first.
pub(crate) fn varying_bits(element: ElementType, bytes: &[u8]) -> u64 {
    let size = element.size();
    let word = |b: &[u8]| b.iter().rev().fold(0u64, |word, &byte| word << 8 | u64::from(byte));
    let mut words = bytes.chunks_exact(size).map(word);
    let Some(first) = words.next() else { return 0 };
    let varying = words.fold(0, |varying, w| varying | (w ^ first));
    match element.transform() {
        Transform::RotateSign => {
            let bits = element.bits();
            let mask = u64::MAX >> (64 - bits);
            (varying << 1 | varying >> (bits - 1)) & mask
        }
        Transform::Identity | Transform::FlipSign => varying,
    }
}

/// Where the values of a plane come from when a block is put together.
pub(crate) enum PlaneSource<'a> {
    Constant(u16),
    /// Packed bits.
    Raw(&'a [u8]),
    /// Ranks, and the symbol of each rank.
    Ranks(&'a [u8], &'a [u16]),
    Symbols(&'a [u16]),
}

/// Puts the elements of a block together; `planes` from high to low with their widths.
pub(crate) fn merge(element: ElementType, planes: &[(u32, PlaneSource<'_>)], out: &mut [u8]) {
    with_word!(element, merge_as(element, planes, out));
}

/// Elements that are put together at a time: small enough to stay in the first-level cache.
const CHUNK: usize = 1024;

fn merge_as<T: Word>(element: ElementType, planes: &[(u32, PlaneSource<'_>)], out: &mut [u8]) {
    let mut shift = element.bits();
    let planes: Vec<(u32, u32, &PlaneSource<'_>, Vec<T>)> = planes
        .iter()
        .map(|(width, source)| {
            shift -= width;
            let by_rank = match source {
                PlaneSource::Ranks(_, symbols) => {
                    let mut by_rank = vec![T::default(); 256];
                    for (word, &symbol) in by_rank.iter_mut().zip(*symbols) {
                        *word = T::from_field(symbol) << shift;
                    }
                    by_rank
                }
                _ => Vec::new(),
            };
            (shift, *width, source, by_rank)
        })
        .collect();
    let transform = element.transform();
    let mut words = [T::default(); CHUNK];
    let mut raw = [0u8; CHUNK];
    for (chunk, bytes) in out.chunks_mut(CHUNK * T::SIZE).enumerate() {
        let start = chunk * CHUNK;
        let count = bytes.len() / T::SIZE;
        let words = &mut words[..count];
        for (index, (shift, width, source, by_rank)) in planes.iter().enumerate() {
            let first = index == 0;
            match source {
                PlaneSource::Constant(value) => {
                    let value = T::from_field(*value) << *shift;
                    fill(words, first, std::iter::repeat_n(value, count));
                }
                PlaneSource::Raw(packed) => {
                    let raw = &mut raw[..count];
                    wcodec_kernels::unpack_bits(packed, *width, start, raw);
                    let fields = raw.iter().map(|&r| T::from_field(u16::from(r)) << *shift);
                    fill(words, first, fields);
                }
                PlaneSource::Ranks(ranks, _) => {
                    if let Some(by_rank) = by_rank.first_chunk::<256>() {
                        let ranks = ranks[start..start + count].iter();
                        fill(words, first, ranks.map(|&r| by_rank[usize::from(r)]));
                    }
                }
                PlaneSource::Symbols(symbols) => {
                    let symbols = symbols[start..start + count].iter();
                    fill(words, first, symbols.map(|&s| T::from_field(s) << *shift));
                }
            }
        }
        for (b, &w) in bytes.chunks_exact_mut(T::SIZE).zip(&*words) {
            w.inverse(transform).write(b);
        }
    }
}

/// Sets the words to the fields of the first plane, adds those of any other.
#[inline(always)]
fn fill<T: Word>(words: &mut [T], first: bool, fields: impl Iterator<Item = T>) {
    if first {
        words.iter_mut().zip(fields).for_each(|(w, field)| *w = field);
    } else {
        words.iter_mut().zip(fields).for_each(|(w, field)| *w = *w | field);
    }
}

/// Widths of the planes below the first one of `first` bits: runs of bits that never change are
/// cut off, the rest goes in bytes counted from the lowest bit.
pub(crate) fn low_widths(element: ElementType, first: u32, varying: u64) -> Vec<u32> {
    /// A shorter run of constant bits is not worth a plane.
    const MIN_RUN: u32 = 4;
    // Where runs are many, the shorter ones stay with their neighbours.
    (MIN_RUN..element.bits())
        .map(|least| cut_runs(element.bits() - first, varying, least))
        .find(|widths| widths.len() < MAX_PLANES)
        .unwrap_or_default()
}

/// Cuts the lowest `bits` bits at runs of at least `least` constant bits.
fn cut_runs(bits: u32, varying: u64, least: u32) -> Vec<u32> {
    let mut runs: Vec<(bool, u32)> = Vec::new();
    for bit in (0..bits).rev() {
        let constant = varying >> bit & 1 == 0;
        match runs.last_mut() {
            Some((kind, length)) if *kind == constant => *length += 1,
            _ => runs.push((constant, 1)),
        }
    }
    let mut merged: Vec<(bool, u32)> = Vec::new();
    for (constant, length) in runs {
        let constant = constant && length >= least;
        match merged.last_mut() {
            Some((kind, sum)) if *kind == constant => *sum += length,
            _ => merged.push((constant, length)),
        }
    }
    let mut widths = Vec::new();
    for (_, length) in merged {
        if length % MAX_RAW_WIDTH > 0 {
            widths.push(length % MAX_RAW_WIDTH);
        }
        widths.extend((0..length / MAX_RAW_WIDTH).map(|_| MAX_RAW_WIDTH));
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn merge_inverts_extract(bytes in prop::collection::vec(any::<u8>(), 0..9000), first in 1u32..=8) {
            for element in ElementType::all() {
                let bytes = &bytes[..bytes.len() / element.size() * element.size()];
                let varying = varying_bits(element, bytes);
                let mut widths = vec![first];
                widths.extend(low_widths(element, first, varying));
                prop_assert_eq!(widths.iter().sum::<u32>(), element.bits());
                prop_assert!(widths.len() <= MAX_PLANES);
                let mut shift = element.bits();
                let mut fields = Vec::new();
                for &width in &widths {
                    shift -= width;
                    let field = extract(element, bytes, shift, width);
                    let narrow: Vec<u8> = field.iter().map(|&v| v as u8).collect();
                    let mut packed = Vec::new();
                    wcodec_kernels::pack_bits(&narrow, width, &mut packed);
                    fields.push((width, field, packed));
                }
                let planes: Vec<_> = fields.iter().enumerate().map(|(k, (width, field, packed))| {
                    let source = if k % 2 == 0 { PlaneSource::Symbols(field) } else { PlaneSource::Raw(packed) };
                    (*width, source)
                }).collect();
                let mut back = vec![0; bytes.len()];
                merge(element, &planes, &mut back);
                prop_assert_eq!(&back, bytes, "{:?}", element);
            }
        }
    }

    proptest! {
        #[test]
        fn planes_are_never_too_many(varying: u64, holes: u64, first in 1u32..=12) {
            for element in ElementType::all().filter(|e| e.bits() > first) {
                for pattern in [varying, varying & holes, 0x8421_0842_1084_2108, 0x1041_0410_4104_1041] {
                    let widths = low_widths(element, first, pattern);
                    prop_assert!(widths.len() < MAX_PLANES);
                    prop_assert_eq!(widths.iter().sum::<u32>(), element.bits() - first);
                }
            }
        }
    }

    #[test]
    fn constant_runs_are_cut_off() {
        // bf16 values in fp32: 16 low mantissa bits are zero, the sign below them is not.
        let bytes: Vec<u8> = (0..200u32).flat_map(|i| ((i * 0x9e37) << 16).to_le_bytes()).collect();
        let varying = varying_bits(ElementType::F32, &bytes);
        assert_eq!(low_widths(ElementType::F32, 9, varying), [6, 8, 8, 1]);
        assert_eq!(low_widths(ElementType::F32, 9, u64::MAX), [7, 8, 8]);
        assert_eq!(low_widths(ElementType::Bf16, 8, u64::MAX), [8]);
        assert!(low_widths(ElementType::I8, 8, u64::MAX).is_empty());
    }
}
