//! Bit packing of raw fields: element `i` of width `w` lies in bits `[i * w, i * w + w)` of a
//! little-endian bit string.

/// Bytes that `count` elements of `width` bits take, or `None` if that overflows.
#[must_use]
pub fn packed_len(count: usize, width: u32) -> Option<usize> {
    count.checked_mul(width as usize).map(|bits| bits.div_ceil(8))
}

/// Packs the low `width` bits (1 to 8) of every value; unused bits of the last byte are zero.
pub fn pack_bits(values: &[u8], width: u32, out: &mut Vec<u8>) {
    assert!((1..=8).contains(&width), "width must be 1 to 8");
    if width == 8 {
        out.extend_from_slice(values);
        return;
    }
    let mask = (1u64 << width) - 1;
    let bytes = width as usize;
    let groups = values.chunks_exact(8);
    let tail = groups.remainder();
    let pack = |group: &[u8]| {
        group.iter().rev().fold(0u64, |word, &v| word << width | (u64::from(v) & mask))
    };
    out.reserve(values.len() / 8 * bytes + bytes);
    for group in groups {
        out.extend_from_slice(&pack(group).to_le_bytes()[..bytes]);
    }
    if !tail.is_empty() {
        let used = (tail.len() * bytes).div_ceil(8);
        out.extend_from_slice(&pack(tail).to_le_bytes()[..used]);
    }
}

/// Unpacks `values.len()` elements of `width` bits (1 to 8), the first of them element `first`.
///
/// # Panics
/// If `first` is not a multiple of 8 or `packed` is too short.
pub fn unpack_bits(packed: &[u8], width: u32, first: usize, values: &mut [u8]) {
    assert!((1..=8).contains(&width), "width must be 1 to 8");
    assert_eq!(first % 8, 0, "elements are unpacked from a byte boundary");
    let bytes = width as usize;
    let packed = &packed[first / 8 * bytes..];
    if width == 8 {
        let count = values.len();
        values.copy_from_slice(&packed[..count]);
        return;
    }
    let mask = (1u8 << width) - 1;
    let whole = values.len() / 8;
    let (groups, tail) = values.split_at_mut(whole * 8);
    for (group, source) in groups.chunks_exact_mut(8).zip(packed.chunks_exact(bytes)) {
        let mut word = [0u8; 8];
        word[..bytes].copy_from_slice(source);
        let word = u64::from_le_bytes(word);
        for (k, value) in group.iter_mut().enumerate() {
            *value = (word >> (k as u32 * width)) as u8 & mask;
        }
    }
    if !tail.is_empty() {
        let used = (tail.len() * bytes).div_ceil(8);
        let mut word = [0u8; 8];
        word[..used].copy_from_slice(&packed[whole * bytes..whole * bytes + used]);
        let word = u64::from_le_bytes(word);
        for (k, value) in tail.iter_mut().enumerate() {
            *value = (word >> (k as u32 * width)) as u8 & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn unpack_inverts_pack(values: Vec<u8>, width in 1u32..=8, skip in 0usize..4) {
            let mask = (1u16 << width) - 1;
            let mut packed = Vec::new();
            pack_bits(&values, width, &mut packed);
            prop_assert_eq!(packed.len(), packed_len(values.len(), width).unwrap());
            let first = (skip * 8).min(values.len() / 8 * 8);
            let mut back = vec![0; values.len() - first];
            unpack_bits(&packed, width, first, &mut back);
            for (b, v) in back.iter().zip(&values[first..]) {
                prop_assert_eq!(u16::from(*b), u16::from(*v) & mask);
            }
        }

        #[test]
        fn bits_lie_where_the_format_says(values in prop::collection::vec(any::<u8>(), 1..70), width in 1u32..=8) {
            let mut packed = Vec::new();
            pack_bits(&values, width, &mut packed);
            for (i, v) in values.iter().enumerate() {
                for b in 0..width as usize {
                    let at = i * width as usize + b;
                    prop_assert_eq!(packed[at / 8] >> (at % 8) & 1, v >> b & 1);
                }
            }
        }
    }
}
