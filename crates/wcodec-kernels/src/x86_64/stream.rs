//! Copying around the caches.

use crate::Level;
use crate::level::Set;
use std::arch::x86_64::*;

/// Bytes of a line of the cache: a whole one is written without being read.
const LINE: usize = 64;

/// Copies bytes to memory that will not be read soon. [`fence`] must be called before another thread may
/// read it.
pub(crate) fn copy(level: Level, from: &[u8], to: &mut [u8]) {
    assert!(level.set() >= Set::Avx2);
    assert_eq!(from.len(), to.len(), "as many bytes as there is room for");
    let skip = to.as_ptr().align_offset(LINE).min(to.len());
    let ((from_head, from), (to_head, to)) = (from.split_at(skip), to.split_at_mut(skip));
    to_head.copy_from_slice(from_head);
    let (from, from_tail) = from.as_chunks::<LINE>();
    let (to, to_tail) = to.as_chunks_mut::<LINE>();
    // SAFETY: the level says that the processor has the instructions; lines begin where they are aligned.
    unsafe { copy_lines(from, to) };
    to_tail.copy_from_slice(from_tail);
}

/// # Safety
/// `to` must be aligned to lines.
#[target_feature(enable = "avx2")]
unsafe fn copy_lines(from: &[[u8; LINE]], to: &mut [[u8; LINE]]) {
    for (from, to) in from.iter().zip(to) {
        // SAFETY: both are the 64 bytes of a line, of which the caller promises that `to` is aligned.
        unsafe {
            let first = _mm256_loadu_si256(from.as_ptr().cast());
            let second = _mm256_loadu_si256(from.as_ptr().add(LINE / 2).cast());
            _mm256_stream_si256(to.as_mut_ptr().cast(), first);
            _mm256_stream_si256(to.as_mut_ptr().add(LINE / 2).cast(), second);
        }
    }
}

/// Makes what was copied around the caches visible to other threads, in order with what this one writes
/// later.
pub(crate) fn fence() {
    // SAFETY: SSE is part of x86-64.
    unsafe { _mm_sfence() };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_copied_at_any_alignment() {
        let Some(level) = Level::available().find(|level| level.set() >= Set::Avx2) else {
            return;
        };
        for (start, len) in [(0, 0), (0, 64), (1, 64), (3, 7), (5, 1000), (63, 129), (64, 4096)] {
            let from: Vec<u8> = (0..len).map(|k| (k * 7 + k / 256) as u8).collect();
            let mut to = vec![0; start + len + 64];
            copy(level, &from, &mut to[start..start + len]);
            fence();
            assert!(to[start..start + len] == from);
            assert!(to[..start].iter().chain(&to[start + len..]).all(|&byte| byte == 0));
        }
    }
}
