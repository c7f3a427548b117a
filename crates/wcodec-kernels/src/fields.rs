//! Taking fields out of elements.

use crate::element::{Transform, Word, with_word};
use crate::level::compiled_for_levels;
use crate::{Element, Level};
use std::mem::MaybeUninit;

/// Appends bits `shift..shift + width` of every element to `fields`, the informative bits of an
/// element being its highest. `width` is at most 16; bytes behind the last whole element do not
/// count.
pub fn extract(
    level: Level,
    element: Element,
    bytes: &[u8],
    shift: u32,
    width: u32,
    fields: &mut Vec<u16>,
) {
    let mask = (u32::from(u16::MAX) >> (16 - width)) as u16;
    with_word!(element, append(level, element, bytes, shift, mask, fields));
}

/// As [`extract`]; of each field the lowest `width` bits, at most 8.
pub fn extract_bytes(
    level: Level,
    element: Element,
    bytes: &[u8],
    shift: u32,
    width: u32,
    fields: &mut Vec<u8>,
) {
    let mask = u16::from(u8::MAX >> (8 - width));
    with_word!(element, append(level, element, bytes, shift, mask, fields));
}

/// The lowest and the highest of the fields that [`extract`] takes; 0 and 0 if there are none.
pub fn field_range(
    level: Level,
    element: Element,
    bytes: &[u8],
    shift: u32,
    width: u32,
) -> (u16, u16) {
    let mask = (u32::from(u16::MAX) >> (16 - width)) as u16;
    let mut range = (u16::MAX, 0);
    with_word!(element, span(level, element.transform(), bytes, shift, mask, &mut range));
    if range.0 > range.1 { (0, 0) } else { range }
}

compiled_for_levels! {
    fn span[T: Word](
        transform: Transform,
        bytes: &[u8],
        shift: u32,
        mask: u16,
        range: &mut (u16, u16),
    )[T] {
        let (mut low, mut high) = *range;
        let mut each = |transform: Transform| {
            for bytes in bytes.chunks_exact(T::SIZE) {
                let field = T::read(bytes).forward(transform).shr(shift).to_field() & mask;
                low = low.min(field);
                high = high.max(field);
            }
        };
        match transform {
            Transform::Identity => each(Transform::Identity),
            Transform::RotateSign => each(Transform::RotateSign),
            Transform::FlipSign => each(Transform::FlipSign),
        }
        *range = (low, high);
    }
}

/// The bits that are not the same in all elements as they lie there, before their transform.
#[must_use]
pub fn varying_bits(level: Level, element: Element, bytes: &[u8]) -> u64 {
    let mut varying = 0;
    with_word!(element, vary(level, bytes, &mut varying));
    varying
}

compiled_for_levels! {
    fn vary[T: Word](bytes: &[u8], varying: &mut u64)[T] {
        let mut words = bytes.chunks_exact(T::SIZE).map(T::read);
        let first = words.next().unwrap_or_default();
        *varying = words.fold(T::default(), |varying, word| varying.or(word.xor(first))).to_u64();
    }
}

/// What a field is stored as.
trait Field: Copy {
    fn of(field: u16) -> Self;
}

impl Field for u8 {
    #[inline(always)]
    fn of(field: u16) -> u8 {
        field as u8
    }
}

impl Field for u16 {
    #[inline(always)]
    fn of(field: u16) -> u16 {
        field
    }
}

fn append<T: Word>(
    level: Level,
    element: Element,
    bytes: &[u8],
    shift: u32,
    mask: u16,
    fields: &mut Vec<impl Field>,
) {
    let (start, count) = (fields.len(), bytes.len() / T::SIZE);
    fields.reserve(count);
    let room = &mut fields.spare_capacity_mut()[..count];
    take::<T, _>(level, element.transform(), &bytes[..count * T::SIZE], shift, mask, room);
    // SAFETY: there is room for `count` more, and each was set: there is an element for each.
    unsafe { fields.set_len(start + count) };
}

compiled_for_levels! {
    fn take[T: Word, F: Field](
        transform: Transform,
        bytes: &[u8],
        shift: u32,
        mask: u16,
        fields: &mut [MaybeUninit<F>],
    )[T, F] {
        let mut each = |transform: Transform| {
            for (field, bytes) in fields.iter_mut().zip(bytes.chunks_exact(T::SIZE)) {
                let bits = T::read(bytes).forward(transform).shr(shift).to_field() & mask;
                *field = MaybeUninit::new(F::of(bits));
            }
        };
        // A transform known to each loop lets the compiler vectorise it.
        match transform {
            Transform::Identity => each(Transform::Identity),
            Transform::RotateSign => each(Transform::RotateSign),
            Transform::FlipSign => each(Transform::FlipSign),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fields_are_those_of_the_transformed_element(bytes in prop::collection::vec(any::<u8>(), 0..700), shift in 0u32..64, width in 1u32..=12) {
            for (size, transform) in [(1, Transform::Identity), (1, Transform::FlipSign), (2, Transform::RotateSign), (2, Transform::FlipSign), (4, Transform::RotateSign), (8, Transform::RotateSign), (8, Transform::Identity)] {
                let element = Element::new(size, transform);
                let bits = element.bits();
                let shift = shift % bits;
                let width = width.min(bits - shift);
                let expected: Vec<u16> = bytes.chunks_exact(size).map(|b| {
                    let x = b.iter().rev().fold(0u64, |x, &b| x << 8 | u64::from(b));
                    let u = match transform {
                        Transform::Identity => x,
                        Transform::FlipSign => x ^ 1 << (bits - 1),
                        Transform::RotateSign => x << 1 | x >> (bits - 1),
                    };
                    (u >> shift) as u16 & ((1 << width) - 1)
                }).collect();
                // A rotated element has no bits above its own.
                prop_assume!(shift + width <= bits);
                let words = || bytes.chunks_exact(size).map(|b| b.iter().rev().fold(0u64, |x, &b| x << 8 | u64::from(b)));
                let varying = words().fold(0, |varying, x| varying | (x ^ words().next().unwrap()));
                for level in Level::available() {
                    prop_assert_eq!(varying_bits(level, element, &bytes), varying);
                    let mut found = vec![9];
                    extract(level, element, &bytes, shift, width, &mut found);
                    prop_assert_eq!(&found[1..], &expected, "{:?} {:?}", level, element);
                    let range = expected.iter().min().zip(expected.iter().max());
                    let range = range.map_or((0, 0), |(&low, &high)| (low, high));
                    prop_assert_eq!(field_range(level, element, &bytes, shift, width), range);
                    if width <= 8 {
                        let mut found = Vec::new();
                        extract_bytes(level, element, &bytes, shift, width, &mut found);
                        prop_assert!(found.iter().map(|&b| u16::from(b)).eq(expected.iter().copied()));
                    }
                }
            }
        }
    }
}
