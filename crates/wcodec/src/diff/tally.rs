//! What is counted of pieces that are compared.

use crate::base::residual::plane_price;
use crate::dtype::ElementType;
use crate::entropy::cost::BIT;
use crate::packing::Layout;
use wcodec_kernels::{
    ByteCounts, CodeField, Level, Prediction, extract_bytes, gather_codes, subtract_base,
};

/// Bytes that are counted while they are in the first-level cache.
const CHUNK: usize = 16 << 10;
/// Of chunks that are equal, one in so many is counted, to tell what the layer takes alone.
const SAMPLED: usize = 16;

/// What bytes consist of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parts<'a> {
    Elements(ElementType),
    Structs(&'a Layout),
}

impl Parts<'_> {
    /// Bytes of an element or of a struct.
    pub(super) fn size(self) -> usize {
        match self {
            Parts::Elements(element) => element.size(),
            Parts::Structs(layout) => layout.bytes as usize,
        }
    }

    /// Elements of one, of the field of this number.
    fn codes(self, field: usize) -> u64 {
        match self {
            Parts::Elements(_) => 1,
            Parts::Structs(layout) => layout.fields[field].bits.codes as u64,
        }
    }
}

/// How often each byte of the elements of one kind occurs, from the lowest byte on.
struct Planes {
    element: ElementType,
    counts: Vec<ByteCounts>,
}

/// The same, of any number of pieces.
struct PlaneSums {
    element: ElementType,
    sums: Vec<[u64; 256]>,
}

impl Planes {
    fn new(element: ElementType) -> Planes {
        let counts = (0..element.size()).map(|_| ByteCounts::default()).collect();
        Planes { element, counts }
    }

    fn add(&mut self, level: Level, bytes: &[u8], fields: &mut Vec<u8>) {
        let element = self.element.kernel();
        for (counts, shift) in self.counts.iter_mut().zip((0..).step_by(8)) {
            fields.clear();
            extract_bytes(level, element, bytes, shift, 8, fields);
            counts.add(fields);
        }
    }
}

impl PlaneSums {
    fn new(element: ElementType) -> PlaneSums {
        PlaneSums { element, sums: vec![[0; 256]; element.size()] }
    }

    fn add(&mut self, planes: &Planes) {
        for (sums, counts) in self.sums.iter_mut().zip(&planes.counts) {
            for (sum, count) in sums.iter_mut().zip(counts.counts()) {
                *sum += u64::from(count);
            }
        }
    }

    /// Elements that were counted.
    fn elements(&self) -> u64 {
        self.sums.first().map_or(0, |sums| sums.iter().sum())
    }

    /// Adds what the prediction leaves of an element that equals its partner, so many times.
    fn repeat(&mut self, level: Level, prediction: Prediction, times: u64) {
        let (element, size) = (self.element.kernel(), self.element.size());
        let (mut left, mut field) = ([0; 8], Vec::with_capacity(1));
        let left = &mut left[..size];
        subtract_base(level, element, (prediction, false), &[0; 8][..size], left);
        for (sums, shift) in self.sums.iter_mut().zip((0..).step_by(8)) {
            field.clear();
            extract_bytes(level, element, left, shift, 8, &mut field);
            field.iter().for_each(|&byte| sums[usize::from(byte)] += times);
        }
    }

    /// About what they take. A byte that is always the same must be told once.
    fn bits(&self) -> f64 {
        let bytes = self.elements();
        let price = |sums| plane_price(sums, bytes).max(8 * BIT);
        let bits: u64 = self.sums.iter().map(price).sum();
        if bytes > 0 { bits as f64 / BIT as f64 } else { 0.0 }
    }
}

/// Elements of one kind, or the codes of a field: `P` counts each of three views of them.
struct Views<P> {
    alone: P,
    difference: P,
    xor: P,
}

impl<P> Views<P> {
    fn new(element: ElementType, planes: fn(ElementType) -> P) -> Views<P> {
        Views { alone: planes(element), difference: planes(element), xor: planes(element) }
    }
}

/// What was counted of a piece.
pub(super) struct Tally {
    views: Vec<Views<Planes>>,
    /// Elements or structs in equal chunks that were not looked at.
    equal: u64,
    changed: u64,
}

/// Memory that is used again.
#[derive(Default)]
pub(super) struct Space {
    left: Vec<u8>,
    fields: Vec<u8>,
    codes: [Vec<u8>; 2],
}

impl Tally {
    pub(super) fn new(parts: Parts<'_>) -> Tally {
        let views = match parts {
            Parts::Elements(element) => vec![Views::new(element, Planes::new)],
            Parts::Structs(layout) => {
                layout.fields.iter().map(|f| Views::new(f.element, Planes::new)).collect()
            }
        };
        Tally { views, equal: 0, changed: 0 }
    }

    /// Compares a piece of B with one of A, or looks at B alone.
    pub(super) fn add(
        &mut self,
        (level, parts, flip): (Level, Parts<'_>, bool),
        a: Option<&[u8]>,
        b: &[u8],
        space: &mut Space,
    ) {
        let size = parts.size();
        let len = (CHUNK / size).max(1) * size;
        let mut theirs = a.map(|a| a.chunks(len));
        for (number, b) in b.chunks(len).enumerate() {
            let a = theirs.as_mut().and_then(Iterator::next);
            if !flip && a == Some(b) && number % SAMPLED > 0 {
                self.equal += (b.len() / size) as u64;
                continue;
            }
            match parts {
                Parts::Elements(_) => self.look(0, (level, flip), a, b, space),
                Parts::Structs(layout) => {
                    for (number, field) in layout.fields.iter().enumerate() {
                        let mut codes = std::mem::take(&mut space.codes);
                        let [own, other] = &mut codes;
                        gather(level, size, b, &field.bits, own);
                        if let Some(a) = a {
                            gather(level, size, a, &field.bits, other);
                        }
                        self.look(number, (level, flip), a.map(|_| &other[..]), own, space);
                        space.codes = codes;
                    }
                }
            }
        }
    }

    /// Counts a chunk of elements, or of codes of a field.
    fn look(
        &mut self,
        view: usize,
        (level, flip): (Level, bool),
        a: Option<&[u8]>,
        b: &[u8],
        space: &mut Space,
    ) {
        let Views { alone, difference, xor } = &mut self.views[view];
        alone.add(level, b, &mut space.fields);
        let Some(a) = a else { return };
        let element = alone.element;
        for (prediction, planes) in [(Prediction::Difference, difference), (Prediction::Xor, xor)] {
            space.left.clear();
            space.left.extend_from_slice(b);
            subtract_base(level, element.kernel(), (prediction, flip), a, &mut space.left);
            planes.add(level, &space.left, &mut space.fields);
        }
        // The last view is that of XOR.
        self.changed += not_zero(&space.left, element.size());
    }
}

fn gather(level: Level, len: usize, structs: &[u8], field: &CodeField, codes: &mut Vec<u8>) {
    codes.clear();
    codes.resize(structs.len() / len * field.bytes(), 0);
    gather_codes(level, len, structs, field, codes);
}

/// Elements that have a bit.
fn not_zero(bytes: &[u8], size: usize) -> u64 {
    fn count<const N: usize>(bytes: &[u8]) -> u64 {
        bytes.as_chunks::<N>().0.iter().map(|element| u64::from(*element != [0; N])).sum()
    }
    match size {
        1 => count::<1>(bytes),
        2 => count::<2>(bytes),
        4 => count::<4>(bytes),
        _ => count::<8>(bytes),
    }
}

/// What was counted of all pieces of a layer.
pub(super) struct Sums<'a> {
    parts: Parts<'a>,
    views: Vec<Views<PlaneSums>>,
    equal: u64,
    changed: u64,
}

/// What a layer of B is to its partner.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measured {
    /// Elements or codes that were compared, and those of them that differ.
    pub(super) compared: u64,
    pub(super) changed: u64,
    /// About what the layer takes alone, its difference and its XOR, in bits.
    pub(super) alone: f64,
    pub(super) difference: f64,
    pub(super) xor: f64,
}

impl<'a> Sums<'a> {
    pub(super) fn new(parts: Parts<'a>) -> Sums<'a> {
        let tally = Tally::new(parts);
        let sums = |views: &Views<Planes>| Views::new(views.alone.element, PlaneSums::new);
        let views = tally.views.iter().map(sums).collect();
        Sums { parts, views, equal: 0, changed: 0 }
    }

    pub(super) fn add(&mut self, tally: &Tally) {
        for (sums, views) in self.views.iter_mut().zip(&tally.views) {
            sums.alone.add(&views.alone);
            sums.difference.add(&views.difference);
            sums.xor.add(&views.xor);
        }
        self.equal += tally.equal;
        self.changed += tally.changed;
    }

    pub(super) fn measured(mut self, level: Level) -> Measured {
        let mut measured = Measured { changed: self.changed, ..Measured::default() };
        for (number, views) in self.views.iter_mut().enumerate() {
            let equal = self.equal * self.parts.codes(number);
            let Views { alone, difference, xor } = views;
            let seen = alone.elements();
            measured.alone += alone.bits() * (seen + equal) as f64 / seen.max(1) as f64;
            measured.compared += difference.elements() + equal;
            difference.repeat(level, Prediction::Difference, equal);
            xor.repeat(level, Prediction::Xor, equal);
            measured.difference += difference.bits();
            measured.xor += xor.bits();
        }
        measured
    }
}
