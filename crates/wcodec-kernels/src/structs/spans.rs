//! Bytes of structs that consist of pieces of several codes, put together in one go: most structs have
//! little else.

use super::CodeField;
use super::runs::Run;
use crate::level::compiled_for_levels;

/// More runs than that are dealt with one by one: a plan of them would take more memory than they are
/// worth.
const MAX_RUNS: usize = 1024;
/// Every byte of a word.
const BYTES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x80 * BYTES;

/// How the codes of some fields are put into structs.
pub(super) struct Plan {
    pub(super) spans: Vec<Span>,
    /// What is not part of a span, by field.
    pub(super) rest: Vec<(usize, Run)>,
}

/// Words of a struct, all of whose bits come from codes of one byte.
pub(super) struct Span {
    byte: usize,
    words: usize,
    parts: Vec<Part>,
}

/// The pieces of eight times as many codes as the span has words.
struct Part {
    field: usize,
    code: usize,
    /// Where the piece lies in a code and in a byte, and its bits.
    up: u32,
    down: u32,
    mask: u64,
    /// In every byte.
    bias: u64,
}

impl Plan {
    /// `None` if there is too much of it.
    pub(super) fn new(fields: &[(&CodeField, &[u8])]) -> Option<Plan> {
        let runs = fields.iter().flat_map(|(field, _)| &field.pieces).map(|piece| piece.runs());
        if runs.fold(0, usize::saturating_add) > MAX_RUNS {
            return None;
        }
        let mut spans: Vec<(Span, Vec<Run>)> = Vec::new();
        let mut rest = Vec::new();
        for (number, (field, _)) in fields.iter().enumerate() {
            field.for_each_run(|run| {
                let Some((byte, words)) = run.words() else { return rest.push((number, run)) };
                let part = Part {
                    field: number,
                    code: run.code,
                    up: run.up,
                    down: (run.bit % 8) as u32,
                    mask: run.mask() * BYTES,
                    bias: u64::from(field.bias) * BYTES,
                };
                let known = spans.iter_mut().find(|(s, _)| (s.byte, s.words) == (byte, words));
                match known {
                    Some((span, runs)) => {
                        span.parts.push(part);
                        runs.push(run);
                    }
                    None => spans.push((Span { byte, words, parts: vec![part] }, vec![run])),
                }
            });
        }
        let (whole, cut): (Vec<_>, Vec<_>) = spans.into_iter().partition(|(s, _)| s.is_whole());
        for (span, runs) in cut {
            rest.extend(span.parts.iter().map(|part| part.field).zip(runs));
        }
        Some(Plan { spans: whole.into_iter().map(|(span, _)| span).collect(), rest })
    }
}

impl Span {
    fn is_whole(&self) -> bool {
        self.parts.iter().fold(0, |bits, part| bits | part.mask << part.down) == u64::MAX
    }

    /// Part by part, so that what a part needs stays in registers.
    #[inline(always)]
    fn fill<const WORDS: usize>(&self, len: usize, structs: &mut [u8], fields: &[(usize, &[u8])]) {
        for &Part { field, code, up, down, mask, bias } in &self.parts {
            let (bytes, codes) = fields[field];
            for (one, codes) in structs.chunks_exact_mut(len).zip(codes.chunks_exact(bytes)) {
                let out = &mut one[self.byte..self.byte + 8 * WORDS];
                let codes = &codes[code..code + 8 * WORDS];
                for (out, codes) in out.as_chunks_mut::<8>().0.iter_mut().zip(codes.as_chunks().0) {
                    let piece = less(u64::from_le_bytes(*codes), bias) >> up & mask;
                    *out = (u64::from_le_bytes(*out) | piece << down).to_le_bytes();
                }
            }
        }
    }
}

/// `a - b` in every byte.
#[inline(always)]
fn less(a: u64, b: u64) -> u64 {
    ((a | HIGH_BITS) - (b & !HIGH_BITS)) ^ ((a ^ !b) & HIGH_BITS)
}

compiled_for_levels! {
    /// Adds a span to structs of `len` bytes; of each field come the bytes of its codes in a struct, and
    /// the codes.
    pub(super) fn fill[](len: usize, structs: &mut [u8], span: &Span, fields: &[(usize, &[u8])])[] {
        match span.words {
            1 => span.fill::<1>(len, structs, fields),
            2 => span.fill::<2>(len, structs, fields),
            4 => span.fill::<4>(len, structs, fields),
            _ => span.fill::<8>(len, structs, fields),
        }
    }
}
