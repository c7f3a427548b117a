//! Bit packing, fields of 1 to 7 bits.

use crate::Level;
use crate::level::Set;
use std::arch::x86_64::*;

/// Twin of [`crate::unpack_bits`] for most of the values; returns how many, a multiple of 8.
pub(crate) fn unpack(level: Level, packed: &[u8], width: u32, values: &mut [u8]) -> usize {
    assert!((1..8).contains(&width) && level.set() >= Set::Avx2);
    // SAFETY: the level says that the processor has the instructions.
    unsafe {
        match level.set() {
            Set::Avx512 => unpack_avx512(packed, width, values),
            _ => unpack_avx2(packed, width, values),
        }
    }
}

/// 64 fields of `width` bits are 8 groups of `width` bytes.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi2")]
fn unpack_avx512(packed: &[u8], width: u32, values: &mut [u8]) -> usize {
    let width = width as usize;
    let mut spread = [0u8; 64];
    let mut shifts = [0u8; 64];
    for k in 0..64 {
        // Group `k / 8` in a number of 64 bits of its own; in it, field `k % 8`.
        spread[k] = (k / 8 * width + k % 8).min(63) as u8;
        shifts[k] = (k % 8 * width) as u8;
    }
    // SAFETY: both arrays have the 64 bytes that are read.
    let (spread, shifts) = unsafe {
        (_mm512_loadu_si512(spread.as_ptr().cast()), _mm512_loadu_si512(shifts.as_ptr().cast()))
    };
    let mask = _mm512_set1_epi8(i8::MAX >> (7 - width));
    let group = _bzhi_u64(u64::MAX, 8 * width as u32);
    let (chunks, _) = values.as_chunks_mut::<64>();
    let mut done = 0;
    for (out, bytes) in chunks.iter_mut().zip(packed.chunks_exact(8 * width)) {
        // SAFETY: the mask leaves the bytes of one chunk to be read; `out` has 64 bytes.
        unsafe {
            let bytes = _mm512_maskz_loadu_epi8(group, bytes.as_ptr().cast());
            let groups = _mm512_permutexvar_epi8(spread, bytes);
            let fields = _mm512_multishift_epi64_epi8(shifts, groups);
            _mm512_storeu_si512(out.as_mut_ptr().cast(), _mm512_and_si512(fields, mask));
        }
        done += 64;
    }
    done
}

/// Each 128-bit half takes eight fields: the two bytes that hold a field, moved left until what is
/// above it is gone, then right.
#[target_feature(enable = "avx2")]
fn unpack_avx2(packed: &[u8], width: u32, values: &mut [u8]) -> usize {
    let width = width as usize;
    let mut pairs = [0u8; 16];
    let mut left = [0u16; 8];
    for k in 0..8 {
        let bit = k * width;
        pairs[2 * k] = (bit / 8) as u8;
        pairs[2 * k + 1] = (bit / 8 + 1) as u8;
        left[k] = 1 << (16 - width - bit % 8);
    }
    // SAFETY: both arrays have the 16 bytes that are read.
    let (pairs, left) = unsafe {
        (
            _mm256_broadcastsi128_si256(_mm_loadu_si128(pairs.as_ptr().cast())),
            _mm256_broadcastsi128_si256(_mm_loadu_si128(left.as_ptr().cast())),
        )
    };
    let right = _mm_cvtsi32_si128(16 - width as i32);
    let (chunks, _) = values.as_chunks_mut::<16>();
    let mut done = 0;
    for (out, bytes) in chunks.iter_mut().zip(packed.windows(width + 8).step_by(2 * width)) {
        // SAFETY: a window has the 8 bytes from its beginning and the 8 from byte `width` on; `out`
        // has 16 bytes.
        unsafe {
            let upper = _mm_loadl_epi64(bytes.as_ptr().add(width).cast());
            let lower = _mm_loadl_epi64(bytes.as_ptr().cast());
            let bytes = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(lower), upper);
            let fields = _mm256_mullo_epi16(_mm256_shuffle_epi8(bytes, pairs), left);
            let fields = _mm256_srl_epi16(fields, right);
            let bytes = _mm_packus_epi16(
                _mm256_castsi256_si128(fields),
                _mm256_extracti128_si256::<1>(fields),
            );
            _mm_storeu_si128(out.as_mut_ptr().cast(), bytes);
        }
        done += 16;
    }
    done
}

/// Twin of [`crate::pack_bits`] for most of the values; returns how many, a multiple of 8.
pub(crate) fn pack(level: Level, values: &[u8], width: u32, out: &mut Vec<u8>) -> usize {
    assert!((1..8).contains(&width) && level.set() >= Set::Avx2);
    // SAFETY: the level says that the processor has the instructions.
    unsafe { pack_avx2(values, width, out) }
}

/// Neighbours are joined three times: fields to pairs, pairs to fours, fours to eights. The
/// `width` bytes of each eight are then moved together.
#[target_feature(enable = "avx2")]
fn pack_avx2(values: &[u8], width: u32, out: &mut Vec<u8>) -> usize {
    let mut together = [0x80u8; 16];
    for k in 0..width as usize {
        together[k] = k as u8;
        together[width as usize + k] = 8 + k as u8;
    }
    // SAFETY: the array has the 16 bytes that are read.
    let together =
        unsafe { _mm256_broadcastsi128_si256(_mm_loadu_si128(together.as_ptr().cast())) };
    let mask = _mm256_set1_epi8(i8::MAX >> (7 - width));
    let pair = _mm256_set1_epi16((1u16 << (8 + width) | 1) as i16);
    let four = _mm256_set1_epi32(1 << (16 + 2 * width) | 1);
    let eight = _mm_cvtsi32_si128(32 - 4 * width as i32);
    let low = _mm256_set1_epi64x(0xffff_ffff);
    let (chunks, _) = values.as_chunks::<32>();
    let start = out.len();
    let step = 4 * width as usize;
    // The last vector is written whole.
    out.reserve(chunks.len() * step + 16);
    let room = out.spare_capacity_mut();
    for (k, chunk) in chunks.iter().enumerate() {
        let out = &mut room[k * step..][..step / 2 + 16];
        // SAFETY: a chunk has 32 bytes; `out` has 16 bytes from each of the places written.
        unsafe {
            let out = out.as_mut_ptr();
            let values = _mm256_and_si256(_mm256_loadu_si256(chunk.as_ptr().cast()), mask);
            let fours = _mm256_madd_epi16(_mm256_maddubs_epi16(pair, values), four);
            let upper = _mm256_srl_epi64(_mm256_andnot_si256(low, fours), eight);
            let eights = _mm256_or_si256(_mm256_and_si256(fours, low), upper);
            let bytes = _mm256_shuffle_epi8(eights, together);
            _mm_storeu_si128(out.cast(), _mm256_castsi256_si128(bytes));
            let next = out.add(step / 2);
            _mm_storeu_si128(next.cast(), _mm256_extracti128_si256::<1>(bytes));
        }
    }
    // SAFETY: each chunk wrote `step` bytes and more from its place on.
    unsafe { out.set_len(start + chunks.len() * step) };
    chunks.len() * 32
}
