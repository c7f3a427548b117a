//! Bit packing of raw fields: element `i` of width `w` lies in bits `[i * w, i * w + w)` of a
//! little-endian bit string.

use crate::Level;
#[cfg(target_arch = "x86_64")]
use crate::level::Set;

/// Bytes that `count` elements of `width` bits take, or `None` if that overflows.
#[must_use]
pub fn packed_len(count: usize, width: u32) -> Option<usize> {
    count.checked_mul(width as usize).map(|bits| bits.div_ceil(8))
}

/// Calls a function that is compiled for each width: shifts by constants vectorise.
macro_rules! for_width {
    ($width:expr, $function:ident($($argument:expr),*)) => {
        match $width {
            1 => $function::<1>($($argument),*),
            2 => $function::<2>($($argument),*),
            3 => $function::<3>($($argument),*),
            4 => $function::<4>($($argument),*),
            5 => $function::<5>($($argument),*),
            6 => $function::<6>($($argument),*),
            7 => $function::<7>($($argument),*),
            _ => $function::<8>($($argument),*),
        }
    };
}

/// Appends the low `width` bits (1 to 8) of every value; unused bits of the last byte are zero.
///
/// # Panics
/// If `width` is not 1 to 8.
pub fn pack_bits(level: Level, values: &[u8], width: u32, out: &mut Vec<u8>) {
    assert!((1..=8).contains(&width), "width must be 1 to 8");
    let values = match level.set() {
        #[cfg(target_arch = "x86_64")]
        Set::Avx2 | Set::Avx512 if width < 8 => {
            &values[crate::x86_64::pack::pack(level, values, width, out)..]
        }
        _ => values,
    };
    for_width!(width, pack(values, out));
}

fn pack<const WIDTH: usize>(values: &[u8], out: &mut Vec<u8>) {
    if WIDTH == 8 {
        out.extend_from_slice(values);
        return;
    }
    let mask = (1u64 << WIDTH) - 1;
    let word = |group: &[u8]| {
        group.iter().rev().fold(0u64, |word, &v| word << WIDTH | (u64::from(v) & mask))
    };
    let groups = values.chunks_exact(8);
    let tail = groups.remainder();
    let start = out.len();
    out.resize(start + (values.len() * WIDTH).div_ceil(8), 0);
    let (whole, rest) = out[start..].split_at_mut(values.len() / 8 * WIDTH);
    for (bytes, group) in whole.chunks_exact_mut(WIDTH).zip(groups) {
        bytes.copy_from_slice(&word(group).to_le_bytes()[..WIDTH]);
    }
    rest.copy_from_slice(&word(tail).to_le_bytes()[..rest.len()]);
}

/// Unpacks `values.len()` elements of `width` bits (1 to 8), the first of them element `first`.
///
/// # Panics
/// If `width` is not 1 to 8, `first` is not a multiple of 8, or `packed` is too short.
pub fn unpack_bits(level: Level, packed: &[u8], width: u32, first: usize, values: &mut [u8]) {
    assert!((1..=8).contains(&width), "width must be 1 to 8");
    assert_eq!(first % 8, 0, "elements are unpacked from a byte boundary");
    let packed = &packed[first / 8 * width as usize..];
    let done = match level.set() {
        #[cfg(target_arch = "x86_64")]
        Set::Avx2 | Set::Avx512 if width < 8 => {
            crate::x86_64::pack::unpack(level, packed, width, values)
        }
        _ => 0,
    };
    for_width!(width, unpack(&packed[done / 8 * width as usize..], &mut values[done..]));
}

fn unpack<const WIDTH: usize>(packed: &[u8], values: &mut [u8]) {
    if WIDTH == 8 {
        let count = values.len();
        values.copy_from_slice(&packed[..count]);
        return;
    }
    let mask = (1u8 << (WIDTH % 8)) - 1;
    let spread = |bytes: &[u8], group: &mut [u8]| {
        let mut word = [0u8; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        let word = u64::from_le_bytes(word);
        for (k, value) in group.iter_mut().enumerate() {
            *value = (word >> (k * WIDTH)) as u8 & mask;
        }
    };
    let (groups, tail) = values.split_at_mut(values.len() / 8 * 8);
    let (whole, rest) = packed.split_at(groups.len() / 8 * WIDTH);
    for (group, bytes) in groups.chunks_exact_mut(8).zip(whole.chunks_exact(WIDTH)) {
        spread(bytes, group);
    }
    spread(&rest[..(tail.len() * WIDTH).div_ceil(8)], tail);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn unpack_inverts_pack(values in prop::collection::vec(any::<u8>(), 0..600), width in 1u32..=8, skip in 0usize..4, before in 0usize..3) {
            let mask = (1u16 << width) - 1;
            let mut expected = vec![7; before];
            pack_bits(Level::SCALAR, &values, width, &mut expected);
            prop_assert_eq!(expected.len() - before, packed_len(values.len(), width).unwrap());
            for level in Level::available() {
                let mut packed = vec![7; before];
                pack_bits(level, &values, width, &mut packed);
                prop_assert_eq!(&packed, &expected, "{:?}", level);
                let first = (skip * 8).min(values.len() / 8 * 8);
                let mut back = vec![0xff; values.len() - first];
                unpack_bits(level, &packed[before..], width, first, &mut back);
                for (b, v) in back.iter().zip(&values[first..]) {
                    prop_assert_eq!(u16::from(*b), u16::from(*v) & mask, "{:?}", level);
                }
            }
        }

        #[test]
        fn bits_lie_where_the_format_says(values in prop::collection::vec(any::<u8>(), 1..70), width in 1u32..=8) {
            let mut packed = Vec::new();
            pack_bits(Level::SCALAR, &values, width, &mut packed);
            for (i, v) in values.iter().enumerate() {
                for b in 0..width as usize {
                    let at = i * width as usize + b;
                    prop_assert_eq!(packed[at / 8] >> (at % 8) & 1, v >> b & 1);
                }
            }
        }
    }
}
