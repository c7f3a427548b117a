//! Tables of up to 64 symbols: everything is looked up in registers.
//!
//! *Quotient.* With `2^(bits - 1) < f <= 2^bits`, `x >> bits` fits 16 bits, and half of the quotient is
//! the upper half of its product with `floor(2^(15 + bits) / f)`, or up to two less: what is left is
//! below `6 f`, and a second product divides that exactly (a test tries every `f`).
//!
//! *Slot.* Positions below `cut` lie in the bucket of the symbol's own number; the run of slots of any other
//! is found in a tree. `d = before[node] - place` is negative where the place lies behind, so that
//! shifting the sign of `d` into the number of the node gives the next node.

use super::{Alias, EVEN_BYTES, Lanes, Step, ranks_at, vector};
use crate::encode_table::{AliasEncodeTable, Halves};
use crate::{EncodeTable, LANES};
use std::arch::x86_64::*;

/// The rank of each lane in both of its bytes.
const TWICE: [u8; 64] = {
    let mut places = [0; 64];
    let mut byte = 0;
    while byte < 64 {
        places[byte] = (LANES - 1 - byte / 2) as u8;
        byte += 1;
    }
    places
};

/// A number for each rank, which lies in both bytes of its lane.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn number(table: &Halves, ranks: __m512i) -> __m512i {
    let lower = byte(&table[0], ranks);
    _mm512_mask_permutexvar_epi8(lower, !EVEN_BYTES, ranks, vector(&table[1]))
}

/// A byte for each rank.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn byte(table: &[u8; 64], ranks: __m512i) -> __m512i {
    _mm512_maskz_permutexvar_epi8(EVEN_BYTES, ranks, vector(table))
}

/// The slot of each place in the rest.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
fn slot_of_rest(table: &AliasEncodeTable, place: __m512i) -> __m512i {
    let (upper, _) = table.before.as_chunks::<32>();
    let (upper, leaves) = (vector(&upper[0]), vector(&upper[1]));
    let root = _mm512_set1_epi32(i32::from(table.root[1]) << 16 | i32::from(table.root[0]));
    let below = |node, before| _mm512_shldi_epi16::<1>(node, _mm512_sub_epi16(before, place));
    let mut node = below(_mm512_set1_epi16(1), root);
    for _ in 1..5 {
        node = below(node, _mm512_permutexvar_epi16(node, upper));
    }
    let run = below(node, _mm512_permutexvar_epi16(node, leaves));
    let (offset, _) = table.offset.as_chunks::<32>();
    let offset = _mm512_permutex2var_epi16(vector(&offset[0]), run, vector(&offset[1]));
    _mm512_add_epi16(place, offset)
}

/// The same numbers, of which the compiler does not know where they come from: it would make one
/// multiplication to 32 bits, four times as dear, of that to the upper half and the doubling.
#[inline]
#[target_feature(enable = "avx512f")]
fn opaque(mut numbers: __m512i) -> __m512i {
    // SAFETY: there are no instructions.
    unsafe {
        std::arch::asm!("/* {0} */", inout(zmm_reg) numbers, options(pure, nomem, nostack, preserves_flags));
    }
    numbers
}

impl Step for Alias {
    type Table = AliasEncodeTable;

    #[inline(always)]
    fn table(table: &EncodeTable) -> &AliasEncodeTable {
        table.alias().unwrap_or_else(|| unreachable!("at most 64 symbols"))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
    unsafe fn step(
        lanes: &mut Lanes<'_>,
        table: &AliasEncodeTable,
        ranks: &[u8; LANES],
        active: u32,
    ) {
        let ranks = ranks_at(&TWICE, ranks);
        let frequency = number(&table.frequency, ranks);
        let reciprocal = number(&table.reciprocal, ranks);
        let bits = byte(&table.bits, ranks);
        let (high, low) = lanes.emit(frequency, active);

        let half = opaque(_mm512_mulhi_epu16(_mm512_shrdv_epi16(low, high, bits), reciprocal));
        let twice = _mm512_add_epi16(half, half);
        let rest = _mm512_sub_epi16(low, _mm512_mullo_epi16(twice, frequency));
        let scaled = _mm512_sllv_epi16(rest, _mm512_sub_epi16(_mm512_set1_epi16(12), bits));
        let above = _mm512_add_epi16(reciprocal, _mm512_set1_epi16(1));
        let more = _mm512_srli_epi16::<11>(_mm512_mulhi_epu16(scaled, above));
        let quotient = _mm512_add_epi16(twice, more);
        let position = _mm512_sub_epi16(rest, _mm512_mullo_epi16(more, frequency));

        let place = _mm512_add_epi16(number(&table.rest, ranks), position);
        let slot = slot_of_rest(table, place);
        let own = _mm512_cmplt_epu16_mask(position, byte(&table.cut, ranks));
        // 64 slots before its own bucket for each rank: the lower of the bytes counts.
        let bucket = _mm512_maddubs_epi16(ranks, _mm512_set1_epi16(64));
        let slot = _mm512_mask_add_epi16(slot, own, bucket, position);
        lanes.set(quotient, slot, active);
    }
}
