//! Bytes by a table of 256.

#[cfg(target_arch = "x86_64")]
use crate::level::Set;
use crate::{Level, Steps};
use std::mem::MaybeUninit;

/// Appends `table[b]` for every byte `b`.
pub fn map_bytes(level: Level, table: &[u8; 256], bytes: &[u8], out: &mut Vec<u8>) {
    let write = |out: &mut [MaybeUninit<u8>]| {
        let done = match level.set() {
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 | Set::Avx512 => crate::x86_64::map::map_bytes(level, table, bytes, out),
            _ => 0,
        };
        map(table, &bytes[done..], &mut out[done..]);
    };
    // SAFETY: each byte of `bytes` writes one.
    unsafe { append(bytes.len(), out, write) };
}

/// As [`map_bytes`], of bytes in the order of the steps, by the table of the class of each step.
///
/// # Panics
/// If a step has no class, or a class no table.
pub fn map_steps(
    level: Level,
    steps: Steps,
    tables: &[&[u8; 256]],
    of_step: &[u8],
    bytes: &[u8],
    out: &mut Vec<u8>,
) {
    assert_eq!(of_step.len(), steps.count(), "a class for each step");
    assert_eq!(bytes.len(), steps.symbols(), "a byte for each symbol");
    let write = |out: &mut [MaybeUninit<u8>]| {
        let done = match level.set() {
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 | Set::Avx512 if steps.lanes() == crate::LANES => {
                let (full, _) = bytes[..steps.full_symbols()].as_chunks();
                crate::x86_64::map::map_steps(level, tables, of_step, full, out.as_chunks_mut().0)
            }
            _ => 0,
        };
        let mut rest = &mut out[done * steps.lanes()..];
        for (&class, bytes) in of_step.iter().zip(steps.chunks(bytes)).skip(done) {
            let (now, later) = rest.split_at_mut(bytes.len());
            map(tables[usize::from(class)], bytes, now);
            rest = later;
        }
    };
    // SAFETY: each byte of the steps writes one, and all bytes belong to steps.
    unsafe { append(bytes.len(), out, write) };
}

/// Appends `count` bytes.
///
/// # Safety
/// `write` must write all of them.
unsafe fn append(count: usize, out: &mut Vec<u8>, write: impl FnOnce(&mut [MaybeUninit<u8>])) {
    out.reserve(count);
    write(&mut out.spare_capacity_mut()[..count]);
    // SAFETY: there is room for them, and the caller's function has written them.
    unsafe { out.set_len(out.len() + count) };
}

fn map(table: &[u8; 256], bytes: &[u8], out: &mut [MaybeUninit<u8>]) {
    for (out, &byte) in out.iter_mut().zip(bytes) {
        out.write(table[usize::from(byte)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_level_looks_up_by_class(tables in prop::collection::vec(prop::collection::vec(any::<u8>(), 256), 1..5), rows in 1usize..70, cols in 1usize..50, seed: u64) {
            let tables: Vec<&[u8; 256]> = tables.iter().map(|table| table.as_slice().try_into().unwrap()).collect();
            let steps = Steps::strips(rows, cols);
            let random = |i: usize| (seed | 1).wrapping_mul(i as u64 * 2 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            let of_step: Vec<u8> = (0..steps.count()).map(|s| (random(s) % tables.len() as u64) as u8).collect();
            let bytes: Vec<u8> = (0..rows * cols).map(|i| random(i + 99) as u8).collect();
            let expected: Vec<u8> = of_step.iter().zip(steps.chunks(&bytes)).flat_map(|(&class, step)| step.iter().map(move |&b| (class, b))).map(|(class, b)| tables[usize::from(class)][usize::from(b)]).collect();
            for level in Level::available() {
                let mut out = vec![1];
                map_steps(level, steps, &tables, &of_step, &bytes, &mut out);
                prop_assert_eq!(&out[1..], &expected, "{:?}", level);
            }
        }

        #[test]
        fn every_level_looks_up(table in prop::collection::vec(any::<u8>(), 256), bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let table: &[u8; 256] = table.as_slice().try_into().unwrap();
            for level in Level::available() {
                let mut out = vec![1];
                map_bytes(level, table, &bytes, &mut out);
                prop_assert!(out[1..].iter().eq(bytes.iter().map(|&b| &table[usize::from(b)])), "{:?}", level);
            }
        }
    }
}
