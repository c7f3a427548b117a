//! Elements back from classes to their places.

use std::arch::x86_64::*;

/// Elements of a vector.
const ELEMENTS: usize = 64;

/// Twin of [`Sorted::unsort`](crate::sorted::Sorted): puts bytes of planes that are sorted by class to the places of the
/// elements that have these `classes`, whole vectors of them. `next` has the place of the first byte of each class and moves
/// on. Returns how many are done.
///
/// # Safety
/// Each class must be below the length of `next`, from whose place on each plane has as many bytes as elements have it, and
/// a vector more; each `out` is as long as `classes`.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
pub(crate) unsafe fn unsort<const N: usize>(
    classes: &[u8],
    next: &mut [usize],
    bytes: [&[u8]; N],
    out: &mut [&mut [u8]; N],
) -> usize {
    let (vectors, _) = classes.as_chunks::<ELEMENTS>();
    for (number, classes) in vectors.iter().enumerate() {
        // SAFETY: 64 classes are read.
        let classes = unsafe { _mm512_loadu_si512(classes.as_ptr().cast()) };
        let mut elements = [_mm512_setzero_si512(); N];
        let mut class = _mm512_setzero_si512();
        for next in &mut *next {
            let own = _mm512_cmpeq_epi8_mask(classes, class);
            for n in 0..N {
                // SAFETY: as the caller promises, a vector can be read from here.
                let sorted = unsafe { _mm512_loadu_si512(bytes[n].as_ptr().add(*next).cast()) };
                elements[n] = _mm512_mask_expand_epi8(elements[n], own, sorted);
            }
            *next += own.count_ones() as usize;
            class = _mm512_add_epi8(class, _mm512_set1_epi8(1));
        }
        for n in 0..N {
            let out = &mut out[n][number * ELEMENTS..][..ELEMENTS];
            // SAFETY: 64 bytes are written.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), elements[n]) };
        }
    }
    vectors.len() * ELEMENTS
}
