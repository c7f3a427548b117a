//! Bytes by a table of 256.

use crate::Level;
#[cfg(target_arch = "x86_64")]
use crate::level::Set;

/// Appends `table[b]` for every byte `b`.
pub fn map_bytes(level: Level, table: &[u8; 256], bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len(), 0);
    let out = &mut out[start..];
    let done = match level.set() {
        #[cfg(target_arch = "x86_64")]
        Set::Avx512 => crate::x86_64::map::map_bytes(level, table, bytes, out),
        _ => 0,
    };
    for (out, &byte) in out[done..].iter_mut().zip(&bytes[done..]) {
        *out = table[usize::from(byte)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
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
