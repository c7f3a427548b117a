//! Elements back from classes to their places.

use crate::sorted::SortedPlane;
use std::arch::x86_64::*;

/// Elements of a vector.
const ELEMENTS: usize = 64;

/// Twin of [`Sorted::unsort`](crate::sorted::Sorted): puts bytes of planes that are sorted by class to the places of the
/// elements that have these `classes`, whole vectors of them. `next` has the place of the first byte of each class and, for
/// those that vary in a plane, moves on. Returns how many are done.
///
/// # Safety
/// Each class must be below the length of `next`, from whose place on each plane has as many bytes as elements have it, and
/// a vector more; each `out` is as long as `classes`.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
pub(crate) unsafe fn unsort<const N: usize>(
    classes: &[u8],
    next: &mut [usize],
    planes: &[SortedPlane<'_>; N],
    out: &mut [&mut [u8]; N],
) -> usize {
    let (vectors, _) = classes.as_chunks::<ELEMENTS>();
    let varied = planes.iter().map(|plane| plane.varied).max().unwrap_or(0);
    let next = &mut next[..varied];
    for (number, classes) in vectors.iter().enumerate() {
        // SAFETY: 64 classes are read.
        let classes = unsafe { _mm512_loadu_si512(classes.as_ptr().cast()) };
        let mut elements = planes.each_ref().map(|plane| _mm512_set1_epi8(plane.last as i8));
        let mut of_lane = _mm512_setzero_si512();
        for (class, next) in next.iter_mut().enumerate() {
            let own = _mm512_cmpeq_epi8_mask(classes, of_lane);
            for (plane, elements) in planes.iter().zip(&mut elements) {
                if class < plane.varied {
                    // SAFETY: as the caller promises, a vector can be read from here.
                    let sorted =
                        unsafe { _mm512_loadu_si512(plane.bytes.as_ptr().add(*next).cast()) };
                    *elements = _mm512_mask_expand_epi8(*elements, own, sorted);
                }
            }
            *next += own.count_ones() as usize;
            of_lane = _mm512_add_epi8(of_lane, _mm512_set1_epi8(1));
        }
        for (out, elements) in out.iter_mut().zip(elements) {
            let out = &mut out[number * ELEMENTS..][..ELEMENTS];
            // SAFETY: 64 bytes are written.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), elements) };
        }
    }
    vectors.len() * ELEMENTS
}
