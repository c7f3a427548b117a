//! Elements sorted by class, and back from classes to their places.

use crate::sorted::SortedPlane;
use std::arch::x86_64::*;

/// Elements of a vector.
const ELEMENTS: usize = 64;

/// Twin of [`Sorted::sort`](crate::sorted::Sorted): puts bytes of elements that have these `classes` behind those of their
/// class, whole vectors of them. `next` has the place of the first byte of each class and moves on. Returns how many are
/// done.
///
/// # Safety
/// `bytes` must be as long as `classes`. Each class must be below the length of `next`, from whose place on `out` has room for
/// as many bytes as elements have it.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,bmi2,popcnt")]
pub(crate) unsafe fn sort(
    classes: &[u8],
    next: &mut [usize],
    bytes: &[u8],
    out: &mut [u8],
) -> usize {
    let (vectors, _) = classes.as_chunks::<ELEMENTS>();
    let (of_bytes, _) = bytes.as_chunks::<ELEMENTS>();
    for (classes, bytes) in vectors.iter().zip(of_bytes) {
        // SAFETY: 64 classes and 64 bytes are read.
        let (classes, bytes) = unsafe {
            let classes = _mm512_loadu_si512(classes.as_ptr().cast());
            (classes, _mm512_loadu_si512(bytes.as_ptr().cast()))
        };
        let mut class = _mm512_setzero_si512();
        for next in &mut *next {
            let own = _mm512_cmpeq_epi8_mask(classes, class);
            let (count, together) = (own.count_ones(), _mm512_maskz_compress_epi8(own, bytes));
            let written = _bzhi_u64(u64::MAX, count);
            // SAFETY: the caller promises that so many bytes have room there.
            unsafe {
                _mm512_mask_storeu_epi8(out.as_mut_ptr().add(*next).cast(), written, together)
            };
            *next += count as usize;
            class = _mm512_add_epi8(class, _mm512_set1_epi8(1));
        }
    }
    vectors.len() * ELEMENTS
}

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
