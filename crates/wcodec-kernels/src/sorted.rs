//! Elements of a block sorted by class: a class is what the partner of an element in a base tells. A stream of a
//! plane then has its symbols class after class, in each of them in row-major order.

use crate::element::{Element, Word, with_word};
#[cfg(target_arch = "x86_64")]
use crate::level::Set;
use crate::level::compiled_for_levels;
use crate::{Level, Steps, map_bytes};

/// Most classes.
pub const MAX_SORTED: usize = 32;
/// Bytes that kernels may read behind the symbols.
pub(crate) const PADDING: usize = 64;
/// Elements that are looked at at a time: they stay in the first-level cache.
const PIECE: usize = 1 << 12;

/// The exponents of floats.
#[derive(Clone, Copy, Debug)]
pub struct Exponent {
    /// Bits below it.
    pub shift: u32,
    /// Its bits, at most 11.
    pub width: u32,
    /// What is subtracted from it; what then is not in a byte becomes the next byte.
    pub bias: u16,
}

/// Appends the exponent of each element, as a byte.
pub fn exponents(
    level: Level,
    element: Element,
    exponent: Exponent,
    bytes: &[u8],
    out: &mut Vec<u8>,
) {
    let (start, count) = (out.len(), bytes.len() / element.size());
    out.resize(start + count, 0);
    with_word!(element, take(level, exponent, bytes, &mut out[start..]));
}

compiled_for_levels! {
    fn take[T: Word](exponent: Exponent, bytes: &[u8], out: &mut [u8])[T] {
        let Exponent { shift, width, bias } = exponent;
        let mask = (1u16 << width) - 1;
        for (out, bytes) in out.iter_mut().zip(bytes.chunks_exact(T::SIZE)) {
            let field = T::read(bytes).shr(shift).to_field() & mask;
            *out = field.saturating_sub(bias).min(255) as u8;
        }
    }
}

/// The class of each element of a block, and how many elements each class has. It may be used again.
#[derive(Debug)]
pub struct Sorted {
    of_exponent: [u8; 256],
    classes: Vec<u8>,
    counts: Vec<usize>,
    exponents: Vec<u8>,
}

impl Default for Sorted {
    fn default() -> Sorted {
        let (classes, counts, exponents) = (Vec::new(), Vec::new(), Vec::new());
        Sorted { of_exponent: [0; 256], classes, counts, exponents }
    }
}

impl Sorted {
    /// Begins a block, of no elements so far; `of_exponent` has the class of each exponent.
    ///
    /// # Panics
    /// If a class is not below `count`, or that exceeds [`MAX_SORTED`].
    pub fn begin(&mut self, of_exponent: [u8; 256], count: usize) {
        assert!(count <= MAX_SORTED, "at most {MAX_SORTED} classes");
        assert!(of_exponent.iter().all(|&class| usize::from(class) < count), "classes exist");
        self.of_exponent = of_exponent;
        self.classes.clear();
        self.counts.clear();
        self.counts.resize(count, 0);
    }

    /// Adds elements by the exponents of their partners.
    pub fn push(&mut self, level: Level, element: Element, exponent: Exponent, partners: &[u8]) {
        for piece in partners.chunks(PIECE * element.size()) {
            let count = piece.len() / element.size();
            self.exponents.resize(self.exponents.len().max(count), 0);
            let exponents = &mut self.exponents[..count];
            with_word!(element, take(level, exponent, piece, exponents));
            let start = self.classes.len();
            map_bytes(level, &self.of_exponent, exponents, &mut self.classes);
            tally(level, &self.classes[start..], &mut self.counts);
        }
    }

    /// Elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// The place of the first element of each class in the sorted order.
    fn starts(&self) -> [usize; MAX_SORTED] {
        let mut starts = [0; MAX_SORTED];
        let mut sum = 0;
        for (start, count) in starts.iter_mut().zip(&self.counts) {
            *start = sum;
            sum += count;
        }
        starts
    }

    /// What `of_class` has for the class of the first element of each step.
    ///
    /// # Panics
    /// If a class has nothing there, or the steps are of another number of symbols.
    #[must_use]
    pub fn of_steps(&self, steps: Steps, of_class: &[u8]) -> Vec<u8> {
        assert_eq!(steps.symbols(), self.len(), "a symbol for each element");
        let mut of_step = Vec::with_capacity(steps.count());
        let mut end = 0;
        for (&count, &of_class) in self.counts.iter().zip(&of_class[..self.counts.len()]) {
            end += count;
            of_step.resize(steps.beginning_before(end), of_class);
        }
        of_step
    }

    /// Replaces `out` by a byte for each element, of those in row-major order.
    ///
    /// # Panics
    /// If there is not one for each.
    pub fn sort(&self, level: Level, bytes: &[u8], out: &mut Vec<u8>) {
        assert_eq!(bytes.len(), self.len(), "a byte for each element");
        out.clear();
        out.resize(bytes.len(), 0);
        let mut next = self.starts();
        let done = match level.set() {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => {
                let next = &mut next[..self.counts.len()];
                // SAFETY: the level says that the processor has the instructions; as many elements have a class
                // as its place and that of the next one are apart.
                unsafe { crate::x86_64::avx512::sort(&self.classes, next, bytes, out) }
            }
            _ => 0,
        };
        for (&class, &byte) in self.classes.iter().zip(bytes).skip(done) {
            let next = &mut next[usize::from(class)];
            out[*next] = byte;
            *next += 1;
        }
    }

    /// The other way, for several planes at once. Behind the bytes there is some padding.
    ///
    /// # Panics
    /// If a plane has not as many bytes as there are elements and [`PADDING`], or no room for them.
    pub(crate) fn unsort<const N: usize>(
        &self,
        level: Level,
        bytes: [&[u8]; N],
        mut out: [&mut [u8]; N],
    ) {
        let padded = |bytes: &&[u8]| bytes.len() == self.len() + PADDING;
        assert!(bytes.iter().all(padded), "a byte for each element, and padding");
        assert!(out.iter().all(|out| out.len() == self.len()), "room for all");
        let mut next = self.starts();
        let planes = bytes.map(|bytes| self.plane(bytes));
        let done = match level.set() {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => {
                let next = &mut next[..self.counts.len()];
                // SAFETY: the level says that the processor has the instructions; as many elements have a class
                // as its place and that of the next one are apart, and padding follows.
                unsafe { crate::x86_64::avx512::unsort(&self.classes, next, &planes, &mut out) }
            }
            _ => 0,
        };
        for (element, &class) in self.classes.iter().enumerate().skip(done) {
            let class = usize::from(class);
            for (plane, out) in planes.iter().zip(&mut out) {
                out[element] =
                    if class < plane.varied { plane.bytes[next[class]] } else { plane.last };
            }
            next[class] += 1;
        }
    }

    /// What is to be known of a plane to undo the sorting.
    fn plane<'a>(&self, bytes: &'a [u8]) -> SortedPlane<'a> {
        let sorted = &bytes[..self.len()];
        let last = sorted.last().copied().unwrap_or_default();
        let varied = self.len() - equal_at_end(sorted, last);
        let before = |&&start: &&usize| start < varied;
        let varied = self.starts()[..self.counts.len()].iter().take_while(before).count();
        SortedPlane { bytes, varied, last }
    }
}

/// A plane in sorted order.
pub(crate) struct SortedPlane<'a> {
    pub(crate) bytes: &'a [u8],
    /// Classes from this one on, which often have one symbol alone, have nothing but `last`.
    pub(crate) varied: usize,
    pub(crate) last: u8,
}

/// How many bytes at the end are this one.
fn equal_at_end(bytes: &[u8], byte: u8) -> usize {
    const VECTOR: usize = 64;
    let (rest, vectors) = bytes.as_rchunks::<VECTOR>();
    let equal = |vector: &[u8]| vector.iter().fold(0, |differ, &b| differ | (b ^ byte)) == 0;
    let whole = vectors.iter().rev().take_while(|vector| equal(&vector[..])).count() * VECTOR;
    let before = rest.iter().chain(vectors.as_flattened()).rev().skip(whole);
    whole + before.take_while(|&&b| b == byte).count()
}

compiled_for_levels! {
    /// Counts the classes of no more than [`PIECE`] elements.
    fn tally[](classes: &[u8], counts: &mut [usize])[] {
        const { assert!(PIECE / 64 < 256) };
        let (vectors, rest) = classes.as_chunks::<64>();
        let Some((last, counts)) = counts.split_last_mut() else { return };
        let mut others = classes.len();
        for (class, count) in (0u8..).zip(counts) {
            let mut sums = [0u8; 64];
            for vector in vectors {
                for (sum, &of) in sums.iter_mut().zip(vector) {
                    *sum += u8::from(of == class);
                }
            }
            let found = usize::from(sums.iter().map(|&sum| u16::from(sum)).sum::<u16>())
                + rest.iter().filter(|&&of| of == class).count();
            *count += found;
            others -= found;
        }
        *last += others;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Transform;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn elements_come_back_from_their_classes(exponents in prop::collection::vec(any::<u8>(), 0..1500), count in 1usize..=MAX_SORTED, few: bool, seed: u64) {
            let random = |k: usize| ((seed | 1).wrapping_mul(2 * k as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize;
            let of_exponent: [u8; 256] = std::array::from_fn(|k| (random(k) % if few { 1 + count / 8 } else { count }) as u8);
            let partners: Vec<u8> = exponents.iter().flat_map(|&exponent| (u16::from(exponent) << 7).to_le_bytes()).collect();
            let varied = random(900) % (count + 1);
            let byte = |k: usize| if usize::from(of_exponent[usize::from(exponents[k])]) < varied { random(1000 + k) as u8 } else { 7 };
            let bytes: Vec<u8> = (0..exponents.len()).map(byte).collect();
            let steps = Steps::linear(bytes.len());
            let mut order: Vec<usize> = (0..bytes.len()).collect();
            order.sort_by_key(|&k| of_exponent[usize::from(exponents[k])]);
            let of_class: Vec<u8> = (0..count).map(|k| random(5000 + k) as u8).collect();
            let expected: Vec<u8> = order.chunks(32).map(|step| of_class[usize::from(of_exponent[usize::from(exponents[step[0]])])]).collect();
            for level in Level::available() {
                let mut sorted = Sorted::default();
                sorted.begin(of_exponent, count);
                let (first, second) = partners.split_at(partners.len() / 4 * 2);
                let bf16 = (Element::new(2, Transform::RotateSign), Exponent { shift: 7, width: 8, bias: 0 });
                sorted.push(level, bf16.0, bf16.1, first);
                sorted.push(level, bf16.0, bf16.1, second);
                let mut found = Vec::new();
                sorted.sort(level, &bytes, &mut found);
                prop_assert!(order.iter().map(|&k| bytes[k]).eq(found.iter().copied()), "{:?}", level);
                prop_assert_eq!(&sorted.of_steps(steps, &of_class), &expected, "{:?}", level);
                found.resize(bytes.len() + PADDING, 0x55);
                let inverse: Vec<u8> = found.iter().map(|byte| !byte).collect();
                let mut back = [vec![0xaa; bytes.len()], vec![0xaa; bytes.len()]];
                let [one, two] = &mut back;
                sorted.unsort(level, [&found, &inverse], [&mut one[..], &mut two[..]]);
                prop_assert_eq!(&back[0], &bytes, "{:?}", level);
                prop_assert!(back[1].iter().zip(&bytes).all(|(a, b)| *a == !b), "{:?}", level);
                back[0].fill(0xaa);
                sorted.unsort(level, [&found], [&mut back[0][..]]);
                prop_assert_eq!(&back[0], &bytes, "{:?}", level);
            }
        }

        #[test]
        fn exponents_are_those_of_the_words(words in prop::collection::vec(any::<u64>(), 0..300)) {
            for (size, shift, width, bias) in [(1, 3, 4, 0), (1, 2, 5, 0), (2, 10, 5, 0), (2, 7, 8, 0), (4, 23, 8, 0), (8, 52, 11, 896)] {
                let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()[8 - size..].to_vec()).collect();
                let expected: Vec<u8> = words.iter().map(|word| {
                    let exponent = word >> (64 - 8 * size) >> shift & ((1 << width) - 1);
                    exponent.saturating_sub(u64::from(bias)).min(255) as u8
                }).collect();
                for level in Level::available() {
                    let (element, exponent) = (Element::new(size, Transform::RotateSign), Exponent { shift, width, bias });
                    let mut found = vec![7];
                    exponents(level, element, exponent, &bytes, &mut found);
                    prop_assert_eq!(&found[1..], &expected[..], "{:?}", level);
                }
            }
        }
    }
}
