//! Elements predicted from those of a base: what is left of them is an element of the same type.

use crate::Level;
use crate::element::{Element, Transform, Word, with_word};
use crate::level::compiled_for_levels;

/// How an element is predicted from that of a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prediction {
    /// The distance in steps of the type's order, from its middle: 0, or 2^(bits - 1) of integers
    /// without a sign.
    Difference,
    /// The bits in which both differ.
    Xor,
}

/// Makes a row of elements of what a prediction from `base` left of them. `flip` inverts the highest bit
/// of each element of the base before.
///
/// # Panics
/// If both are not equally long.
pub fn add_base(
    level: Level,
    element: Element,
    (prediction, flip): (Prediction, bool),
    base: &[u8],
    bytes: &mut [u8],
) {
    apply(level, element, (prediction, flip), true, base, bytes);
}

/// The other way.
///
/// # Panics
/// As [`add_base`].
pub fn subtract_base(
    level: Level,
    element: Element,
    (prediction, flip): (Prediction, bool),
    base: &[u8],
    bytes: &mut [u8],
) {
    apply(level, element, (prediction, flip), false, base, bytes);
}

fn apply(
    level: Level,
    element: Element,
    (prediction, flip): (Prediction, bool),
    add: bool,
    base: &[u8],
    bytes: &mut [u8],
) {
    assert_eq!(base.len(), bytes.len(), "an element of the base for each element");
    let step = match (prediction, element.transform()) {
        (Prediction::Xor, _) => Step::Xor,
        (Prediction::Difference, Transform::RotateSign) => Step::Ordered,
        (Prediction::Difference, Transform::FlipSign) => Step::Signed,
        (Prediction::Difference, Transform::Identity) => Step::Unsigned,
    };
    with_word!(element, combine(level, step, flip, add, base, bytes));
}

#[derive(Clone, Copy)]
enum Step {
    Xor,
    Unsigned,
    Signed,
    /// Floats by the order of their values.
    Ordered,
}

compiled_for_levels! {
    fn combine[T: Word](step: Step, flip: bool, add: bool, base: &[u8], bytes: &mut [u8])[T] {
        let flip = if flip { T::top_bit() } else { T::default() };
        let pairs = || base.chunks_exact(T::SIZE).map(|b| T::read(b).xor(flip));
        let each = bytes.chunks_exact_mut(T::SIZE).zip(pairs());
        // A step known to each loop lets the compiler vectorise it.
        match (step, add) {
            (Step::Xor, _) => each.for_each(|(x, b)| T::read(x).xor(b).write(x)),
            (Step::Signed, true) => each.for_each(|(x, b)| T::read(x).plus(b).write(x)),
            (Step::Signed, false) => each.for_each(|(x, b)| T::read(x).minus(b).write(x)),
            (Step::Unsigned, true) => {
                each.for_each(|(x, b)| T::read(x).plus(b).plus(T::top_bit()).write(x));
            }
            (Step::Unsigned, false) => {
                each.for_each(|(x, b)| T::read(x).minus(b).plus(T::top_bit()).write(x));
            }
            (Step::Ordered, true) => each.for_each(|(x, b)| {
                unordered(ordered(T::read(x)).plus(ordered(b)).plus(T::top_bit())).write(x);
            }),
            (Step::Ordered, false) => each.for_each(|(x, b)| {
                unordered(ordered(T::read(x)).minus(ordered(b)).plus(T::top_bit())).write(x);
            }),
        }
    }
}

/// The place of a float among all floats of its type.
#[inline(always)]
fn ordered<T: Word>(x: T) -> T {
    let negative = T::default().minus(x.shr(T::BITS - 1));
    x.xor(negative.or(T::top_bit()))
}

/// The other way.
#[inline(always)]
fn unordered<T: Word>(place: T) -> T {
    let negative = place.shr(T::BITS - 1).minus(T::from_field(1));
    place.xor(negative.or(T::top_bit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As FORMAT.md has it, in integers of any size.
    fn residual(element: Element, prediction: Prediction, x: u64, b: u64) -> u64 {
        let top = 1u128 << (element.bits() - 1);
        let (x, b) = (u128::from(x), u128::from(b));
        if prediction == Prediction::Xor {
            return (x ^ b) as u64;
        }
        let place = |x: u128| match element.transform() {
            Transform::Identity => x,
            Transform::FlipSign => x ^ top,
            Transform::RotateSign if x < top => top + x,
            Transform::RotateSign => 2 * top - 1 - x,
        };
        let place = (place(x) + 2 * top - place(b) + top) % (2 * top);
        let residual = match element.transform() {
            Transform::Identity => place,
            Transform::FlipSign => place ^ top,
            Transform::RotateSign if place < top => 2 * top - 1 - place,
            Transform::RotateSign => place - top,
        };
        residual as u64
    }

    proptest! {
        #[test]
        fn residuals_follow_the_definition(pairs in prop::collection::vec((any::<u64>(), any::<u64>(), any::<bool>()), 0..200), flip: bool, xor: bool) {
            let prediction = if xor { Prediction::Xor } else { Prediction::Difference };
            for (size, transform) in [(1, Transform::Identity), (1, Transform::FlipSign), (1, Transform::RotateSign), (2, Transform::RotateSign), (2, Transform::Identity), (4, Transform::RotateSign), (4, Transform::FlipSign), (8, Transform::RotateSign), (8, Transform::Identity)] {
                let element = Element::new(size, transform);
                let cut = |x: u64| x & (u64::MAX >> (64 - element.bits()));
                let bytes = |of: &dyn Fn(&(u64, u64, bool)) -> u64| -> Vec<u8> {
                    pairs.iter().flat_map(|pair| of(pair).to_le_bytes()[..size].to_vec()).collect()
                };
                // Some are neighbours of their base.
                let b = |&(x, b, near): &(u64, u64, bool)| cut(if near { x.wrapping_add(b % 5) } else { b });
                let x = |&(x, ..): &(u64, u64, bool)| cut(x);
                let flipped = |b: u64| if flip { b ^ 1 << (element.bits() - 1) } else { b };
                let (base, elements) = (bytes(&b), bytes(&x));
                let expected = bytes(&|pair| residual(element, prediction, x(pair), flipped(b(pair))));
                for level in Level::available() {
                    let mut found = elements.clone();
                    subtract_base(level, element, (prediction, flip), &base, &mut found);
                    prop_assert_eq!(&found, &expected, "{:?} {:?}", level, element);
                    add_base(level, element, (prediction, flip), &base, &mut found);
                    prop_assert_eq!(&found, &elements, "{:?} {:?}", level, element);
                }
            }
        }
    }

    #[test]
    fn equal_elements_leave_the_middle() {
        for (transform, middle) in
            [(Transform::Identity, 0x80), (Transform::FlipSign, 0), (Transform::RotateSign, 0)]
        {
            for byte in 0..=255 {
                let mut found = [byte];
                let how = (Prediction::Difference, false);
                subtract_base(Level::SCALAR, Element::new(1, transform), how, &[byte], &mut found);
                assert_eq!(found, [middle]);
            }
        }
    }
}
