//! Bytes of structs that consist of pieces of several codes, put together in one go: most structs have
//! little else.

use super::CodeField;
use super::runs::Run;
use crate::Level;
#[cfg(target_arch = "x86_64")]
use crate::level::Set;
use crate::level::compiled_for_levels;
#[cfg(target_arch = "x86_64")]
use crate::x86_64::structs::{SpanPart, fill_span};

/// More runs than that are dealt with one by one: a plan of them would take more memory than they are
/// worth.
const MAX_RUNS: usize = 1024;
/// Every byte of a word.
const BYTES: u64 = 0x0101_0101_0101_0101;

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
    /// The bit of a code that subtracting the bias inverts, in every byte.
    flip: u64,
}

impl Plan {
    /// `None` if there is too much of it.
    pub(super) fn new(fields: &[&CodeField]) -> Option<Plan> {
        let runs = fields.iter().flat_map(|field| &field.pieces).map(|piece| piece.runs());
        if runs.fold(0, usize::saturating_add) > MAX_RUNS {
            return None;
        }
        let mut spans: Vec<(Span, Vec<Run>)> = Vec::new();
        let mut rest = Vec::new();
        for (number, field) in fields.iter().enumerate() {
            field.for_each_run(|run| {
                let (words, flip) = (run.words(), run.flip(field.bias));
                let Some(((byte, words), flip)) = words.zip(flip) else {
                    return rest.push((number, run));
                };
                let part = Part {
                    field: number,
                    code: run.code,
                    up: run.up,
                    down: (run.bit % 8) as u32,
                    mask: run.mask() * BYTES,
                    flip: u64::from(flip) * BYTES,
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

    /// `PARTS` parts, or as many as there are.
    #[inline(always)]
    fn fill<const WORDS: usize, const PARTS: usize>(
        &self,
        len: usize,
        structs: &mut [u8],
        fields: &[(usize, &[u8])],
    ) {
        let parts = &self.parts[..if PARTS > 0 { PARTS } else { self.parts.len() }];
        for (number, one) in structs.chunks_exact_mut(len).enumerate() {
            let mut words = [0; WORDS];
            for part in parts {
                let (bytes, codes) = fields[part.field];
                let codes = &codes[number * bytes + part.code..][..8 * WORDS];
                for (word, codes) in words.iter_mut().zip(codes.as_chunks().0) {
                    let codes = u64::from_le_bytes(*codes) ^ part.flip;
                    *word |= (codes >> part.up & part.mask) << part.down;
                }
            }
            let out = one[self.byte..][..8 * WORDS].as_chunks_mut::<8>().0;
            out.iter_mut().zip(words).for_each(|(out, word)| *out = word.to_le_bytes());
        }
    }

    #[inline(always)]
    fn fill_words<const WORDS: usize>(
        &self,
        len: usize,
        structs: &mut [u8],
        fields: &[(usize, &[u8])],
    ) {
        match self.parts.len() {
            2 => self.fill::<WORDS, 2>(len, structs, fields),
            4 => self.fill::<WORDS, 4>(len, structs, fields),
            _ => self.fill::<WORDS, 0>(len, structs, fields),
        }
    }
}

/// Writes a span of structs of `len` bytes; of each field come the bytes of its codes in a struct, and
/// the codes.
pub(super) fn fill(
    level: Level,
    len: usize,
    structs: &mut [u8],
    span: &Span,
    fields: &[(usize, &[u8])],
) {
    #[cfg(target_arch = "x86_64")]
    if level.set() == Set::Avx512 && span.words > 1 {
        let part = |part: &Part| {
            let (stride, codes) = fields[part.field];
            let Part { code, up, down, mask, flip, .. } = *part;
            SpanPart { stride, codes: &codes[code..], up, down, mask, flip }
        };
        let place = (len, span.byte, 8 * span.words);
        match &span.parts[..] {
            [a, b] => return fill_span(level, place, structs, &[part(a), part(b)]),
            [a, b, c, d] => {
                let parts = [part(a), part(b), part(c), part(d)];
                return fill_span(level, place, structs, &parts);
            }
            _ => {}
        }
    }
    fill_portable(level, len, structs, span, fields);
}

compiled_for_levels! {
    fn fill_portable[](len: usize, structs: &mut [u8], span: &Span, fields: &[(usize, &[u8])])[] {
        match span.words {
            1 => span.fill_words::<1>(len, structs, fields),
            2 => span.fill_words::<2>(len, structs, fields),
            4 => span.fill_words::<4>(len, structs, fields),
            _ => span.fill_words::<8>(len, structs, fields),
        }
    }
}
