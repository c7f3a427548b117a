//! Elements of up to four bytes out of coded fields and what lies below them.

use super::alias::look_up;
use super::unpack::{Placed, rotate_lower, start};
use crate::level::Set;
use crate::merge::{Fields, Plane};
use crate::{Element, LANES, Level, Transform};
use std::arch::x86_64::*;
use std::ops::Range;

/// What elements are put together from.
#[derive(Clone, Copy)]
enum Kind {
    /// One byte: a field, below it raw bits.
    Byte { rotate: bool },
    /// Two bytes whose sign is rotated: a field, below it 0 to 8 raw bits. The sign comes to its place with the planes, or
    /// at last.
    Half { rotate: bool },
    /// Four bytes whose sign is rotated: the upper two as in `Half`, below them two planes of bytes.
    Word,
}

/// The planes of a block, ready to be put together.
pub(crate) struct Merge<'a> {
    kind: Kind,
    fields: Coded<'a>,
    /// A coded plane below that one; empty for none.
    second: Coded<'a>,
    packed: &'a [u8],
    /// The bytes of the lower half of a word, from the lowest; empty where all are the same.
    lower: [&'a [u8]; 2],
    /// What all elements have in common, the base of the fields among it.
    constant: __m512i,
    lower_constant: __m512i,
    /// The packed bits.
    low: Placed,
}

/// A coded plane.
#[derive(Clone, Copy, Default)]
struct Coded<'a> {
    bytes: &'a [u8],
    /// The symbols of ranks; `None` if the bytes are the fields.
    symbols: Option<[u16; 64]>,
    /// Where the field begins in its byte or half.
    shift: u32,
}

impl<'a> Coded<'a> {
    /// What such fields are made of, the base, which all have in common, apart; `None` if they are of another kind.
    fn of(fields: Fields<'a>, shift: u32) -> Option<(Coded<'a>, u16)> {
        match fields {
            Fields::Bytes(bytes, base) => Some((Coded { bytes, symbols: None, shift }, base)),
            Fields::Ranks(bytes, symbols) if symbols.len() <= 64 => {
                let mut all = [0; 64];
                all[..symbols.len()].copy_from_slice(symbols);
                Some((Coded { bytes, symbols: Some(all), shift }, 0))
            }
            _ => None,
        }
    }

    /// As numbers of 16 bits, in their place.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn numbers(&self, bytes: &[u8; LANES]) -> __m512i {
        // SAFETY: 32 bytes are read.
        let bytes = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
        let fields = _mm512_cvtepu8_epi16(bytes);
        let fields = match &self.symbols {
            Some(symbols) => look_up(symbols, fields),
            None => fields,
        };
        _mm512_sllv_epi16(fields, _mm512_set1_epi16(self.shift as i16))
    }
}

/// What one pass over the planes finds.
#[derive(Default)]
struct Parts<'a> {
    second: Coded<'a>,
    constant: u32,
    /// Raw bits right above `begin`, and how many there are.
    packed: (u32, &'a [u8]),
    lower: [&'a [u8]; 2],
}

impl<'a> Parts<'a> {
    /// Of planes below the first, of which the last ones from `begin` on are bytes; `None` if they are not.
    fn of(planes: &[Plane<'a>], mut shift: u32, begin: u32) -> Option<Parts<'a>> {
        let mut parts = Parts::default();
        for &(width, fields) in planes {
            shift -= width;
            let lower = (shift < begin).then_some((shift as usize / 8, width, shift % 8));
            match (fields, lower) {
                (Fields::Constant(value), _) => parts.constant |= u32::from(value) << shift,
                (Fields::Packed(bits), None) if shift == begin => parts.packed = (width, bits),
                (Fields::Packed(bytes), Some((place, 8, 0))) => parts.lower[place] = bytes,
                (Fields::Bytes(bytes, base), Some((place, 8, 0))) => {
                    parts.lower[place] = bytes;
                    parts.constant |= u32::from(base) << shift;
                }
                (_, None) if parts.second.bytes.is_empty() => {
                    let (coded, base) = Coded::of(fields, shift - begin)?;
                    parts.second = coded;
                    parts.constant |= u32::from(base) << shift;
                }
                _ => return None,
            }
        }
        Some(parts)
    }
}

impl<'a> Merge<'a> {
    /// Of these planes; `None` if they are of another kind, or no whole steps.
    pub(crate) fn of(level: Level, element: Element, planes: &[Plane<'a>]) -> Option<Merge<'a>> {
        let (&(width, fields), below) = planes.split_first()?;
        if level.set() != Set::Avx512 || element.size() > 4 {
            return None;
        }
        let begin = element.bits() - element.bits().min(16);
        let shift = element.bits().checked_sub(width).filter(|&shift| shift >= begin)?;
        let (fields, base) = Coded::of(fields, shift - begin)?;
        let mut parts = Parts::of(below, shift, begin)?;
        if !fields.bytes.len().is_multiple_of(LANES) {
            return None;
        }
        parts.constant |= u32::from(base) << shift;
        let kind = match (element.size(), element.transform()) {
            (1, Transform::RotateSign) => Kind::Byte { rotate: true },
            (1, Transform::Identity) => Kind::Byte { rotate: false },
            (1, Transform::FlipSign) => {
                // Adding the highest bit inverts it; what it carries is dropped.
                parts.constant += 0x80;
                Kind::Byte { rotate: false }
            }
            (2, Transform::RotateSign) => Kind::Half { rotate: !parts.second.bytes.is_empty() },
            (4, Transform::RotateSign) => Kind::Word,
            _ => return None,
        };
        // SAFETY: the level says that the processor has the instructions.
        unsafe { Some(Merge::new(kind, fields, &parts)) }
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    fn new(kind: Kind, mut fields: Coded<'a>, parts: &Parts<'a>) -> Merge<'a> {
        let Parts { second, constant, packed: (low, packed), lower } = *parts;
        // Numbers of two coded planes, and of other sizes, are rotated at last.
        let (constant, lower_constant, right) = match kind {
            Kind::Byte { .. } | Kind::Half { rotate: true } => (constant as u16, 0, 0),
            Kind::Half { rotate: false } => ((constant as u16).rotate_right(1), 0, 1),
            Kind::Word => ((constant >> 16) as u16, constant as u16, 0),
        };
        fields.shift -= right;
        Merge {
            kind,
            fields,
            second,
            packed,
            lower,
            constant: _mm512_set1_epi16(constant as i16),
            lower_constant: _mm512_set1_epi16(lower_constant as i16),
            low: Placed::new(low, 16 - right),
        }
    }

    /// Puts these elements, whole steps, together.
    pub(crate) fn piece(&self, elements: Range<usize>, out: &mut [u8]) {
        let (first, fields) = (elements.start, &self.fields.bytes[elements.clone()]);
        assert!(first.is_multiple_of(LANES) && fields.len().is_multiple_of(LANES), "whole steps");
        let size = match self.kind {
            Kind::Byte { .. } => 1,
            Kind::Half { .. } => 2,
            Kind::Word => 4,
        };
        assert_eq!(out.len(), size * fields.len(), "room for all elements");
        let (step, steps) = (self.low.step, fields.len() / LANES);
        let packed = &self.packed[first / LANES * step..][..steps * step];
        let lower = self.lower.map(|bytes| bytes.get(elements.clone()).unwrap_or_default());
        let second = self.second.bytes.get(elements.clone()).unwrap_or_default();
        let fits = |bytes: &&[u8]| bytes.is_empty() || bytes.len() == fields.len();
        assert!(lower.iter().chain([&second]).all(fits));
        let fields = (fields.as_chunks().0, second.as_chunks().0);
        // SAFETY: a `Merge` is made at this level only; there are as many raw bits,
        // bytes and room as the fields need.
        unsafe { self.steps(fields, packed, lower, out) };
    }

    /// # Safety
    /// `packed`, `lower` and the second fields unless empty, and `out` must have what belongs to the fields.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl")]
    unsafe fn steps(
        &self,
        (fields, second): (&[[u8; LANES]], &[[u8; LANES]]),
        packed: &[u8],
        lower: [&[u8]; 2],
        out: &mut [u8],
    ) {
        let out = out.as_mut_ptr();
        for (k, fields) in fields.iter().enumerate() {
            let packed = start(packed).wrapping_add(k * self.low.step);
            // SAFETY: as the caller promises.
            unsafe {
                let numbers = self.half((fields, second.get(k)), packed);
                match self.kind {
                    Kind::Byte { rotate } => {
                        let numbers = if rotate { rotate_lower(numbers) } else { numbers };
                        let bytes = _mm512_cvtepi16_epi8(numbers);
                        _mm256_storeu_si256(out.add(k * LANES).cast(), bytes);
                    }
                    Kind::Half { rotate } => {
                        let turned = _mm512_shrdi_epi16::<1>(numbers, numbers);
                        let numbers = if rotate { turned } else { numbers };
                        _mm512_storeu_si512(out.add(2 * k * LANES).cast(), numbers);
                    }
                    Kind::Word => {
                        let lower = lower.map(|bytes| bytes.get(k * LANES..).unwrap_or_default());
                        let [first, second] = words(self.lower(lower), numbers);
                        let out = out.add(4 * k * LANES);
                        _mm512_storeu_si512(out.cast(), _mm512_ror_epi32::<1>(first));
                        _mm512_storeu_si512(out.add(64).cast(), _mm512_ror_epi32::<1>(second));
                    }
                }
            }
        }
    }

    /// Fields and raw bits as numbers of 16 bits.
    ///
    /// # Safety
    /// The raw bits of 32 elements must be readable at `packed`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vl")]
    unsafe fn half(
        &self,
        (fields, second): (&[u8; LANES], Option<&[u8; LANES]>),
        packed: *const u8,
    ) -> __m512i {
        let mut sum = _mm512_add_epi16(self.fields.numbers(fields), self.constant);
        if let Some(second) = second {
            sum = _mm512_add_epi16(sum, self.second.numbers(second));
        }
        // SAFETY: the caller's promise.
        unsafe { self.low.put(packed, sum) }
    }

    /// The lower halves of words.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn lower(&self, bytes: [&[u8]; 2]) -> __m512i {
        let wide = |bytes: &[u8]| match bytes.first_chunk::<LANES>() {
            // SAFETY: there are 32 bytes.
            Some(bytes) => unsafe {
                _mm512_cvtepu8_epi16(_mm256_loadu_si256(bytes.as_ptr().cast()))
            },
            None => _mm512_setzero_si512(),
        };
        let second = _mm512_slli_epi16::<8>(wide(bytes[1]));
        _mm512_add_epi16(_mm512_add_epi16(self.lower_constant, wide(bytes[0])), second)
    }
}

/// The numbers of halves that make up words, lower ones first; upper ones begin at 32.
const WORDS: [[u16; LANES]; 2] = {
    let mut indices = [[0; LANES]; 2];
    let mut k = 0;
    while k < LANES {
        indices[0][k] = (k / 2 + k % 2 * LANES) as u16;
        indices[1][k] = indices[0][k] + LANES as u16 / 2;
        k += 1;
    }
    indices
};

/// Words of these halves, in order.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn words(lower: __m512i, upper: __m512i) -> [__m512i; 2] {
    WORDS.map(|indices| {
        // SAFETY: the array has the 64 bytes that are read.
        let indices = unsafe { _mm512_loadu_si512(indices.as_ptr().cast()) };
        _mm512_permutex2var_epi16(lower, indices, upper)
    })
}
