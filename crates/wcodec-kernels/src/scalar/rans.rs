//! rANS, one lane after another.

use crate::encode_table::ScalarTable;
use crate::rans::{EncodeSpace, StreamJob, SymbolsJob, append_stream, check_end, states};
use crate::slots::{Slot, TABLE_SIZE};
use crate::{LANES, STATE_MIN, StreamError, TABLE_BITS};
use std::hint::select_unpredictable;

const SLOT_MASK: u32 = TABLE_SIZE as u32 - 1;

/// Moves a state one symbol on, before renormalisation. Returns the output byte and the state.
#[inline(always)]
fn advance(slots: &[Slot; TABLE_SIZE], state: u32) -> (u8, u32) {
    let slot = slots[(state & SLOT_MASK) as usize];
    let high = state >> TABLE_BITS;
    (slot as u8, (slot >> 20) * high + high + (slot >> 8 & SLOT_MASK))
}

/// Scalar twin of [`crate::decode`] for one stream.
pub(crate) fn decode(job: &mut StreamJob<'_>) -> Result<(), StreamError> {
    let StreamJob { classes, stream, steps, out } = job;
    let lanes = steps.lanes();
    let (mut states, mut rest) = states(stream, lanes)?;
    let (full, tail) = out.split_at_mut(steps.full_symbols());
    let mut full_steps = full.chunks_exact_mut(lanes);
    let mut step_number = 0;
    let one = classes.of_step().is_empty().then(|| classes.table(0).direct());
    if lanes == LANES {
        // A step takes at most 32 words, so inside this loop no word needs a bounds check.
        while let Some(window) = rest.first_chunk::<WINDOW>() {
            let Some(step) = full_steps.next() else { break };
            let slots = one.unwrap_or_else(|| classes.table(step_number).direct());
            step_number += 1;
            let mut taken = 0usize;
            // Groups of four are unrolled by the compiler.
            let (groups, _) = step.as_chunks_mut::<4>();
            let (group_states, _) = states.as_chunks_mut::<4>();
            for (group, states) in groups.iter_mut().zip(group_states) {
                for (byte, state) in group.iter_mut().zip(states) {
                    let (symbol, moved) = advance(slots, *state);
                    *byte = symbol;
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
    let tail_lanes = if tail.is_empty() { 1 } else { steps.tail_lanes() };
    for step in full_steps.chain(tail.chunks_exact_mut(tail_lanes)) {
        decode_step(classes.table(step_number).direct(), step, &mut states, &mut rest)?;
        step_number += 1;
    }
    check_end(&states, rest.len())
}

fn decode_step(
    slots: &[Slot; TABLE_SIZE],
    step: &mut [u8],
    states: &mut [u32; LANES],
    rest: &mut &[u8],
) -> Result<(), StreamError> {
    for (byte, state) in step.iter_mut().zip(states) {
        let (symbol, moved) = advance(slots, *state);
        *byte = symbol;
        *state = moved;
        if moved < STATE_MIN {
            let (word, after) = rest.split_first_chunk::<2>().ok_or(StreamError::Truncated)?;
            *state = moved << 16 | u32::from(u16::from_le_bytes(*word));
            *rest = after;
        }
    }
    Ok(())
}

/// Scalar twin of [`crate::encode`] for one stream.
pub(crate) fn encode(job: &mut SymbolsJob<'_>, space: &mut EncodeSpace) {
    let SymbolsJob { classes, ranks, steps, out } = job;
    let lanes = steps.lanes();
    let mut states = [STATE_MIN; LANES];
    // Every symbol writes one word at most. Words are made in reverse, from the end of the space;
    // a window more in front of it takes what a step writes before its words are counted.
    let needed = WINDOW + 2 * ranks.len();
    let space = &mut space.words(1)[0];
    if space.len() < needed {
        space.resize(needed, 0);
    }
    let words = &mut space[..needed];
    let mut left = &mut words[..];
    let (full, tail) = ranks.split_at(steps.full_symbols());
    let tail_lanes = if tail.is_empty() { 1 } else { steps.tail_lanes() };
    let mut step_number = steps.count();
    for step in tail.rchunks_exact(tail_lanes).chain(full.rchunks_exact(lanes)) {
        step_number -= 1;
        left = encode_step(classes.table(step_number).scalar(), step, &mut states, left);
    }
    let unused = left.len();
    append_stream(&states[..lanes], &words[unused..], out);
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
    fn encode(&mut self, table: &ScalarTable, rank: u8, state: &mut u32) {
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
    table: &ScalarTable,
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
