//! Elements of one or two bytes out of coded fields and raw bits below them.

use super::unpack::{MOST_BITS, Unpack, UnpackHalves};
use crate::level::Set;
use crate::merge::{Fields, Plane};
use crate::{Element, LANES, Level, Transform};
use std::arch::x86_64::*;
use std::ops::Range;

/// What elements are put together from.
#[derive(Clone, Copy)]
enum Kind {
    /// One byte: a field, below it 0 to 4 raw bits.
    Byte { raw: u32 },
    /// Two bytes whose sign is rotated: a field, below it 0 to 8 raw bits.
    Half { low: u32 },
}

/// The planes of a block, ready to be put together.
pub(crate) struct Merge<'a> {
    kind: Kind,
    transform: Transform,
    fields: &'a [u8],
    packed: &'a [u8],
    shift: __m512i,
    /// The bits of a byte that a shifted field may have.
    shifted: __m256i,
    /// What all elements have in common, the base of the fields among it.
    constant: __m512i,
    raw: Unpack,
    low: UnpackHalves,
}

impl<'a> Merge<'a> {
    /// Of these planes; `None` if they are of another kind, or no whole steps.
    pub(crate) fn of(level: Level, element: Element, planes: &[Plane<'a>]) -> Option<Merge<'a>> {
        let (&(width, Fields::Bytes(fields, base)), below) = planes.split_first()? else {
            return None;
        };
        if level.set() != Set::Avx512 || element.size() > 2 || !fields.len().is_multiple_of(LANES) {
            return None;
        }
        let field_shift = element.bits() - width;
        let mut shift = field_shift;
        let (mut constant, mut low, mut packed) = (base << shift, 0, &[][..]);
        for &(width, fields) in below {
            shift -= width;
            match fields {
                Fields::Constant(value) => constant |= value << shift,
                Fields::Packed(bits) if shift == 0 => (low, packed) = (width, bits),
                _ => return None,
            }
        }
        let kind = match (element.size(), element.transform()) {
            (1, _) if low <= MOST_BITS => Kind::Byte { raw: low },
            (2, Transform::RotateSign) => Kind::Half { low },
            _ => return None,
        };
        // SAFETY: the level says that the processor has the instructions.
        unsafe { Some(Merge::new(kind, element, (fields, packed), field_shift, constant)) }
    }

    #[target_feature(enable = "avx2,avx512f,avx512bw")]
    fn new(
        kind: Kind,
        element: Element,
        (fields, packed): (&'a [u8], &'a [u8]),
        shift: u32,
        constant: u16,
    ) -> Merge<'a> {
        let (raw, low) = match kind {
            Kind::Byte { raw } => (raw, 0),
            Kind::Half { low } => (0, low),
        };
        Merge {
            kind,
            transform: element.transform(),
            fields,
            packed,
            shift: _mm512_set1_epi16(shift as i16),
            shifted: _mm256_set1_epi8(u8::MAX.unbounded_shl(shift) as i8),
            constant: _mm512_set1_epi16(constant as i16),
            raw: Unpack::new(raw),
            low: UnpackHalves::new(low),
        }
    }

    /// Puts these elements, whole steps, together.
    pub(crate) fn piece(&self, elements: Range<usize>, out: &mut [u8]) {
        let (first, fields) = (elements.start, &self.fields[elements]);
        assert!(first.is_multiple_of(LANES) && fields.len().is_multiple_of(LANES), "whole steps");
        let (size, bits) = match self.kind {
            Kind::Byte { raw } => (1, raw),
            Kind::Half { low } => (2, low),
        };
        assert_eq!(out.len(), size * fields.len(), "room for all elements");
        // Of 32 fields in the packed plane.
        let bytes = LANES / 8 * bits as usize;
        let packed = &self.packed[first / LANES * bytes..][..fields.len() / LANES * bytes];
        // SAFETY: a `Merge` is made at this level only; the packed plane has `bytes` bytes for each 32 fields.
        unsafe { self.steps(fields.as_chunks().0, packed, out) };
    }

    /// # Safety
    /// `packed` and `out` must have what belongs to the fields.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl")]
    unsafe fn steps(&self, fields: &[[u8; LANES]], packed: &[u8], out: &mut [u8]) {
        let bytes = packed.len() / fields.len().max(1);
        let out = out.as_mut_ptr();
        for (k, fields) in fields.iter().enumerate() {
            let packed = packed.as_ptr().wrapping_add(k * bytes);
            // SAFETY: 32 fields, and as the caller promises.
            unsafe {
                let fields = _mm256_loadu_si256(fields.as_ptr().cast());
                match self.kind {
                    Kind::Byte { raw } => {
                        let elements = self.bytes(fields, raw, packed);
                        _mm256_storeu_si256(out.add(k * LANES).cast(), elements);
                    }
                    Kind::Half { low } => {
                        let field = _mm512_sllv_epi16(_mm512_cvtepu8_epi16(fields), self.shift);
                        let u = _mm512_add_epi16(field, self.constant);
                        let u = if low == 8 {
                            let low = _mm256_loadu_si256(packed.cast());
                            _mm512_or_si512(u, _mm512_cvtepu8_epi16(low))
                        } else {
                            self.low.add(packed, u, false)
                        };
                        let elements = _mm512_shldi_epi16::<15>(u, u);
                        _mm512_storeu_si512(out.add(2 * k * LANES).cast(), elements);
                    }
                }
            }
        }
    }

    /// Elements of one byte.
    ///
    /// # Safety
    /// The raw bits of 32 elements must be readable at `packed`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vl")]
    unsafe fn bytes(&self, fields: __m256i, raw: u32, packed: *const u8) -> __m256i {
        let constant = _mm256_broadcastb_epi8(_mm512_castsi512_si128(self.constant));
        let shift = _mm512_castsi512_si256(self.shift);
        // What the shift moves over from the byte below goes again.
        let mut u = _mm256_and_si256(_mm256_sllv_epi16(fields, shift), self.shifted);
        if raw > 0 {
            // SAFETY: the caller's promise.
            u = _mm256_or_si256(u, unsafe { self.raw.bytes(packed) });
        }
        u = _mm256_add_epi8(u, constant);
        match self.transform {
            Transform::Identity => u,
            Transform::FlipSign => _mm256_xor_si256(u, _mm256_set1_epi8(i8::MIN)),
            Transform::RotateSign => {
                let sign = _mm256_and_si256(_mm256_slli_epi16::<7>(u), _mm256_set1_epi8(i8::MIN));
                let rest = _mm256_and_si256(_mm256_srli_epi16::<1>(u), _mm256_set1_epi8(i8::MAX));
                _mm256_or_si256(sign, rest)
            }
        }
    }
}
