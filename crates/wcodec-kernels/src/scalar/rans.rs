//! rANS, one lane after another.

use crate::slots::TABLE_SIZE;
use crate::{
    DecodeTable, EncodeTable, LANES, STATE_MAX, STATE_MIN, Steps, StreamError, TABLE_BITS,
};
use std::hint::select_unpredictable;

const SLOT_MASK: u32 = TABLE_SIZE as u32 - 1;

/// Moves a state one symbol on, before renormalisation. Returns the rank and the state.
#[inline(always)]
fn advance(table: &DecodeTable, state: u32) -> (u8, u32) {
    let slot = &table.slots[(state & SLOT_MASK) as usize];
    let rank = slot.position_and_rank as u8;
    (rank, slot.frequency * (state >> TABLE_BITS) + (slot.position_and_rank >> 8))
}

/// Scalar twin of [`crate::decode`].
pub fn decode(
    table: &DecodeTable,
    stream: &[u8],
    steps: Steps,
    ranks: &mut [u8],
) -> Result<(), StreamError> {
    if !stream.len().is_multiple_of(2) {
        return Err(StreamError::OddLength);
    }
    let lanes = steps.lanes();
    let (heads, words) = stream.split_at_checked(lanes * 4).ok_or(StreamError::Truncated)?;
    let mut states = [STATE_MIN; LANES];
    for (lane, (state, bytes)) in states.iter_mut().zip(heads.chunks_exact(4)).enumerate() {
        *state = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        if !(STATE_MIN..STATE_MAX).contains(state) {
            return Err(StreamError::State(lane));
        }
    }

    let (full, tail) = ranks.split_at_mut(steps.full_symbols());
    let mut rest = words;
    let mut full_steps = full.chunks_exact_mut(lanes);
    if lanes == LANES {
        // A step takes at most 32 words, so inside this loop no word needs a bounds check.
        while let Some(window) = rest.first_chunk::<WINDOW>() {
            let Some(step) = full_steps.next() else { break };
            let mut taken = 0usize;
            // Groups of four are unrolled by the compiler.
            let (groups, _) = step.as_chunks_mut::<4>();
            let (group_states, _) = states.as_chunks_mut::<4>();
            for (group, states) in groups.iter_mut().zip(group_states) {
                for (rank, state) in group.iter_mut().zip(states) {
                    let (symbol, moved) = advance(table, *state);
                    *rank = symbol;
                    let at = 2 * (taken % LANES);
                    let word = u32::from(u16::from_le_bytes([window[at], window[at + 1]]));
                    // Whether a lane needs a word is as good as random: a branch would be
                    // guessed wrong.
                    let low = moved < STATE_MIN;
                    *state = select_unpredictable(low, moved << 16 | word, moved);
                    taken += usize::from(low);
                }
            }
            rest = &rest[2 * taken..];
        }
    }
    for step in full_steps {
        decode_step(table, step, &mut states, &mut rest)?;
    }
    if !tail.is_empty() {
        for step in tail.chunks_exact_mut(steps.tail_lanes()) {
            decode_step(table, step, &mut states, &mut rest)?;
        }
    }

    if !rest.is_empty() {
        return Err(StreamError::Unread(rest.len() / 2));
    }
    match states.iter().position(|&state| state != STATE_MIN) {
        Some(lane) => Err(StreamError::FinalState(lane)),
        None => Ok(()),
    }
}

fn decode_step(
    table: &DecodeTable,
    step: &mut [u8],
    states: &mut [u32; LANES],
    rest: &mut &[u8],
) -> Result<(), StreamError> {
    for (rank, state) in step.iter_mut().zip(states) {
        let (symbol, moved) = advance(table, *state);
        *rank = symbol;
        *state = moved;
        if moved < STATE_MIN {
            let (word, after) = rest.split_first_chunk::<2>().ok_or(StreamError::Truncated)?;
            *state = moved << 16 | u32::from(u16::from_le_bytes(*word));
            *rest = after;
        }
    }
    Ok(())
}

/// Scalar twin of [`crate::encode`].
pub fn encode(
    table: &EncodeTable,
    ranks: &[u8],
    steps: Steps,
    space: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    let lanes = steps.lanes();
    let mut states = [STATE_MIN; LANES];
    // Every symbol writes one word at most. Words are made in reverse, from the end of the space;
    // a window more in front of it takes what a step writes before its words are counted.
    let needed = WINDOW + 2 * ranks.len();
    if space.len() < needed {
        space.resize(needed, 0);
    }
    let words = &mut space[..needed];
    let mut left = &mut words[..];
    let (full, tail) = ranks.split_at(steps.full_symbols());
    if !tail.is_empty() {
        for step in tail.rchunks_exact(steps.tail_lanes()) {
            left = encode_step(table, step, &mut states, left);
        }
    }
    for step in full.rchunks_exact(lanes) {
        left = encode_step(table, step, &mut states, left);
    }
    let unused = left.len();
    out.reserve(4 * lanes + needed - unused);
    out.extend(states[..lanes].iter().flat_map(|state| state.to_le_bytes()));
    out.extend_from_slice(&words[unused..]);
}

/// Bytes of the words of one step.
const WINDOW: usize = 2 * LANES;

/// The words of a step, filled from the end.
struct Words {
    words: [u16; LANES],
    free: usize,
}

impl Words {
    /// Moves a state back by one symbol.
    #[inline(always)]
    fn encode(&mut self, table: &EncodeTable, rank: u8, state: &mut u32) {
        let symbol = &table.symbols[usize::from(rank)];
        let x = *state;
        let emit = x >= symbol.limit;
        self.words[self.free.wrapping_sub(1) % LANES] = x as u16;
        self.free -= usize::from(emit);
        let x = select_unpredictable(emit, x >> 16, x);
        let quotient = ((u64::from(x) * symbol.reciprocal) >> 40) as u32;
        let position = x - quotient * u32::from(symbol.frequency);
        let slot = table.slots[((u32::from(symbol.base) + position) & SLOT_MASK) as usize];
        *state = (quotient << TABLE_BITS) + u32::from(slot);
    }
}

/// Encodes one step and writes its words to the end of `space`; returns what is left of it.
#[inline(always)]
fn encode_step<'a>(
    table: &EncodeTable,
    step: &[u8],
    states: &mut [u32; LANES],
    space: &'a mut [u8],
) -> &'a mut [u8] {
    let mut words = Words { words: [0; LANES], free: LANES };
    // Groups of four are unrolled by the compiler.
    let (groups, rest) = step.as_chunks::<4>();
    let (group_states, rest_states) = states[..step.len()].as_chunks_mut::<4>();
    for (&rank, state) in rest.iter().zip(rest_states).rev() {
        words.encode(table, rank, state);
    }
    for (group, states) in groups.iter().zip(group_states).rev() {
        for (&rank, state) in group.iter().zip(states).rev() {
            words.encode(table, rank, state);
        }
    }
    if let Some(window) = space.last_chunk_mut::<WINDOW>() {
        for (bytes, word) in window.chunks_exact_mut(2).zip(words.words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }
    let left = space.len() - 2 * (LANES - words.free);
    &mut space[..left]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The coder as a mathematician would write it: one step after another, slots found by
    /// search, no windows and no reciprocals.
    fn naive_decode(table: &DecodeTable, stream: &[u8], steps: Steps) -> Option<Vec<u8>> {
        let mut words = stream.chunks_exact(2).map(|w| u32::from(w[0]) | u32::from(w[1]) << 8);
        let mut next = || words.next();
        let mut states = Vec::new();
        for _ in 0..steps.lanes() {
            let low = next()?;
            states.push(low | next()? << 16);
        }
        if states.iter().any(|s| !(4096..1 << 28).contains(s)) {
            return None;
        }
        let mut ranks = Vec::new();
        while ranks.len() < steps.symbols() {
            let active =
                if ranks.len() < steps.full_symbols() { steps.lanes() } else { steps.tail_lanes() };
            for state in &mut states[..active] {
                let slot = table.slots[(*state % 4096) as usize];
                ranks.push((slot.position_and_rank % 256) as u8);
                *state = slot.frequency * (*state / 4096) + slot.position_and_rank / 256;
                if *state < 4096 {
                    *state = *state * 65536 + next()?;
                }
            }
        }
        (next().is_none() && stream.len().is_multiple_of(2) && states.iter().all(|&s| s == 4096))
            .then_some(ranks)
    }

    fn frequencies() -> impl Strategy<Value = Vec<u16>> {
        (prop::collection::vec(1u32..2000, 1..=256)).prop_map(|weights| {
            let total: u32 = weights.iter().sum();
            let spare = TABLE_SIZE as u32 - weights.len() as u32;
            let mut f: Vec<u16> = weights.iter().map(|w| 1 + (w * spare / total) as u16).collect();
            let sum: u32 = f.iter().map(|&x| u32::from(x)).sum();
            f[0] += (TABLE_SIZE as u32 - sum) as u16;
            f
        })
    }

    fn steps() -> impl Strategy<Value = Steps> {
        prop_oneof![
            (0usize..3000).prop_map(Steps::linear),
            (0usize..300).prop_map(Steps::single_lane),
            (1usize..100, 1usize..60).prop_map(|(r, c)| Steps::strips(r, c)),
        ]
    }

    proptest! {
        #[test]
        fn decode_inverts_encode(f in frequencies(), steps in steps(), seed: u64) {
            let mut x = seed | 1;
            let ranks: Vec<u8> = (0..steps.symbols()).map(|_| {
                x ^= x << 13; x ^= x >> 7; x ^= x << 17;
                (x as usize % f.len()) as u8
            }).collect();
            let mut stream = vec![7];
            encode(&EncodeTable::new(&f).unwrap(), &ranks, steps, &mut Vec::new(), &mut stream);
            let stream = &stream[1..];
            let table = DecodeTable::new(&f).unwrap();
            let mut back = vec![0; ranks.len()];
            prop_assert_eq!(decode(&table, stream, steps, &mut back), Ok(()));
            prop_assert_eq!(&back, &ranks);
            prop_assert_eq!(naive_decode(&table, stream, steps), Some(ranks));
        }

        #[test]
        fn agrees_with_the_oracle_on_damage(f in frequencies(), steps in steps(), seed: u64, at: prop::sample::Index, flip in 1u8..=255, cut in 0usize..3) {
            let mut x = seed | 1;
            let ranks: Vec<u8> = (0..steps.symbols()).map(|_| {
                x ^= x << 13; x ^= x >> 7; x ^= x << 17;
                (x as usize % f.len()) as u8
            }).collect();
            let mut stream = Vec::new();
            encode(&EncodeTable::new(&f).unwrap(), &ranks, steps, &mut Vec::new(), &mut stream);
            let at = at.index(stream.len());
            stream[at] ^= flip;
            stream.truncate(stream.len() - cut);
            let table = DecodeTable::new(&f).unwrap();
            let mut back = vec![0; ranks.len()];
            let verdict = decode(&table, &stream, steps, &mut back);
            prop_assert_eq!(verdict.ok().map(|()| back), naive_decode(&table, &stream, steps));
        }
    }
}
