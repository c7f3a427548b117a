//! Pivots: codes that every struct has somewhere, taken out of the others.
//!
//! A scale is mostly chosen so that the largest weight of a struct gets the largest code. Where that
//! code stands is told apart, and the first code takes its place: the codes that are left have one less,
//! and none that says what is known already.

/// A code that a struct has at least once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pivot {
    /// It is one of these.
    pub codes: [u8; 2],
    /// What the code in its place is in structs that do not have it.
    pub rest: u8,
}

/// Most codes of a struct with pivots.
pub const MAX_PIVOT_CODES: usize = 64;
/// Most pivots of a struct.
pub const MAX_PIVOTS: usize = 2;
/// Added to the place of the second code.
const SECOND: u8 = 64;
/// In place of a place: there is no such code.
const NONE: u8 = 128;

/// Takes pivots out of structs of `count` codes each, at most [`MAX_PIVOT_CODES`]: appends the codes that
/// are left and, for each pivot, its place in each struct. `false` if a struct has neither a pivot nor
/// its rest; what was appended is then of no use.
#[must_use]
pub fn take_pivots(
    pivots: &[Pivot],
    count: usize,
    codes: &[u8],
    left: &mut Vec<u8>,
    places: &mut [Vec<u8>],
) -> bool {
    let mut space = [0; MAX_PIVOT_CODES];
    for codes in codes.chunks_exact(count) {
        let space = &mut space[..count];
        space.copy_from_slice(codes);
        for (number, (pivot, places)) in pivots.iter().zip(&mut *places).enumerate() {
            let found = space[number..].iter().position(|code| pivot.codes.contains(code));
            match found.map(|place| number + place) {
                Some(place) => {
                    let second = if space[place] == pivot.codes[0] { 0 } else { SECOND };
                    places.push(place as u8 + second);
                    space[place] = space[number];
                }
                None if space[number] == pivot.rest => places.push(NONE),
                None => return false,
            }
        }
        left.extend_from_slice(&space[pivots.len()..]);
    }
    true
}

/// Puts pivots back. `false` if a place is none, or outside its struct.
///
/// # Panics
/// If `codes` are not `count` for each struct, and `left` not as many less one for each pivot.
#[must_use]
pub fn put_pivots(
    pivots: &[Pivot],
    count: usize,
    left: &[u8],
    places: &[&[u8]],
    codes: &mut [u8],
) -> bool {
    let structs = codes.chunks_exact_mut(count).zip(left.chunks_exact(count - pivots.len()));
    let mut sound = true;
    for (number, (codes, left)) in structs.enumerate() {
        codes[pivots.len()..].copy_from_slice(left);
        for (first, (pivot, places)) in pivots.iter().zip(places).enumerate().rev() {
            let told = places[number];
            if told >= NONE {
                sound &= told == NONE;
                codes[first] = pivot.rest;
                continue;
            }
            let place = usize::from(told % SECOND);
            sound &= (first..count).contains(&place);
            // A place that is wrong is told of at the end.
            let place = place.clamp(first, count - 1);
            codes[first] = codes[place];
            codes[place] = pivot.codes[usize::from(told / SECOND)];
        }
    }
    sound
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pivots_come_back(mut codes in prop::collection::vec(0u8..9, 12 * 20), places in prop::collection::vec((0usize..12, any::<bool>()), 20), two: bool) {
            let pivots = [Pivot { codes: [20, 21], rest: 3 }, Pivot { codes: [4, 4], rest: 0 }];
            let pivots = &pivots[..1 + usize::from(two)];
            for (codes, (place, second)) in codes.chunks_mut(12).zip(places) {
                codes[place] = 20 + u8::from(second);
                codes[(place + 5) % 12] = 4;
            }
            let (mut left, mut places) = (vec![9], vec![vec![]; pivots.len()]);
            prop_assert!(take_pivots(pivots, 12, &codes, &mut left, &mut places));
            prop_assert_eq!(left.len(), 1 + 20 * (12 - pivots.len()));
            let places: Vec<&[u8]> = places.iter().map(Vec::as_slice).collect();
            let mut back = vec![0; codes.len()];
            prop_assert!(put_pivots(pivots, 12, &left[1..], &places, &mut back));
            prop_assert_eq!(back, codes);
        }
    }

    #[test]
    fn structs_without_a_pivot_have_the_rest() {
        let pivots = [Pivot { codes: [7, 8], rest: 0 }];
        let (mut left, mut places) = (vec![], [vec![]]);
        assert!(take_pivots(&pivots, 3, &[0, 1, 2, 0, 8, 7], &mut left, &mut places));
        assert_eq!((left.as_slice(), places[0].as_slice()), (&[1, 2, 0, 7][..], &[128, 65][..]));
        let mut back = [9; 6];
        assert!(put_pivots(&pivots, 3, &left, &[&places[0]], &mut back));
        assert_eq!(back, [0, 1, 2, 0, 8, 7]);
        assert!(!take_pivots(&pivots, 3, &[1, 0, 0], &mut left, &mut places));
    }

    #[test]
    fn wrong_places_are_told() {
        let pivots = [Pivot { codes: [7, 8], rest: 0 }; 2];
        let mut codes = [0; 3];
        for (first, second, sound) in
            [(0, 1, true), (128, 2, true), (3, 1, false), (129, 1, false), (0, 0, false)]
        {
            assert_eq!(put_pivots(&pivots, 3, &[5], &[&[first], &[second]], &mut codes), sound);
        }
    }
}
