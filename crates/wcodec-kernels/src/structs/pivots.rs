//! Pivots: codes that nearly every group of codes has somewhere, taken out of the others.
//!
//! A scale is mostly chosen so that the largest weight of a group gets the largest code. Where that
//! code stands is told apart, and the first code takes its place: the codes that are left have one less,
//! and none that says what is known already.

/// Codes of which nearly every group has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pivot {
    /// From 1 to [`MAX_PIVOT_CODES`]; a group is asked for the first of them first.
    pub codes: Vec<u8>,
}

/// Pivots, and where they are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pivots {
    /// Codes of a group, at most [`MAX_PIVOT_GROUP`]. The number of groups in a struct is whole.
    pub group: usize,
    /// Subtracted from a code that stands for itself, where a group has none.
    pub bias: u8,
    /// At most [`MAX_PIVOTS`], fewer than the codes of a group.
    pub pivots: Vec<Pivot>,
}

/// Most codes of a group.
pub const MAX_PIVOT_GROUP: usize = 64;
/// Most pivots of a group.
pub const MAX_PIVOTS: usize = 2;
/// Most codes that a pivot may be.
pub const MAX_PIVOT_CODES: usize = 4;

impl Pivots {
    /// Codes of a group that are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.group - self.pivots.len()
    }

    /// The first value that tells of no place.
    pub(super) fn places(&self, pivot: &Pivot) -> usize {
        self.group * pivot.codes.len()
    }

    /// Whether all groups of codes of so many bits have room for what stands in the place of a pivot.
    #[must_use]
    pub fn fit_all(&self, width: u32) -> bool {
        let codes = 1usize.checked_shl(width).unwrap_or(usize::MAX);
        self.pivots.iter().all(|pivot| codes <= 256 - self.places(pivot))
    }

    /// Takes pivots out of groups of codes: appends the codes that are left and, for each pivot, its
    /// place in each group. `false` if a group has no pivot and no room for what stands in its place; what was
    /// appended is then of no use.
    #[must_use]
    pub fn take(&self, codes: &[u8], left: &mut Vec<u8>, places: &mut [Vec<u8>]) -> bool {
        let (start, groups) = (left.len(), codes.len() / self.group);
        left.resize(start + groups * self.left(), 0);
        let left = &mut left[start..];
        let mut places: Vec<&mut [u8]> = places
            .iter_mut()
            .map(|places| {
                let start = places.len();
                places.resize(start + groups, 0);
                &mut places[start..]
            })
            .collect();
        match (self.group, places.len()) {
            (16, 1) => take::<16, 1>(self, codes, left, &mut places),
            (16, 2) => take::<16, 2>(self, codes, left, &mut places),
            (32, 1) => take::<32, 1>(self, codes, left, &mut places),
            (32, 2) => take::<32, 2>(self, codes, left, &mut places),
            (_, 1) => take::<0, 1>(self, codes, left, &mut places),
            (_, 2) => take::<0, 2>(self, codes, left, &mut places),
            _ => {
                left.copy_from_slice(codes);
                true
            }
        }
    }
}

/// [`Pivots::take`] of groups of `GROUP` codes, or, if that is 0, of any.
fn take<const GROUP: usize, const PIVOTS: usize>(
    pivots: &Pivots,
    codes: &[u8],
    left: &mut [u8],
    places: &mut [&mut [u8]],
) -> bool {
    let group = if GROUP > 0 { GROUP } else { pivots.group };
    let mut room = true;
    let mut space = [0; MAX_PIVOT_GROUP];
    let groups = codes.chunks_exact(group).zip(left.chunks_exact_mut(group - PIVOTS));
    for (number, (codes, left)) in groups.enumerate() {
        // Codes are looked at where they are: those that were just moved would have to be waited for.
        let mut whole = codes;
        if GROUP == 0 {
            space[..group].copy_from_slice(codes);
            whole = &space;
        }
        left.copy_from_slice(&codes[PIVOTS..]);
        let mut firsts: [u8; PIVOTS] = std::array::from_fn(|first| codes[first]);
        let mut moved = [0; PIVOTS];
        for first in 0..PIVOTS {
            let pivot = &pivots.pivots[first];
            let one = firsts[first];
            let (mut told, mut place) =
                (pivots.places(pivot) + usize::from(one.wrapping_sub(pivots.bias)), first);
            // The first code that is found counts.
            for (number, &code) in pivot.codes.iter().enumerate().rev() {
                let mut found = places_of(whole, code);
                for (from, to) in moved[..first].iter().enumerate() {
                    found = found & !(1 << to) | (found >> from & 1) << to;
                }
                found &= u64::MAX >> (64 - group) & u64::MAX << first;
                if found != 0 {
                    place = found.trailing_zeros() as usize;
                    told = number * group + place;
                }
            }
            moved[first] = place;
            match place.checked_sub(PIVOTS) {
                Some(place) => left[place] = one,
                None => firsts[place] = one,
            }
            room &= told < 256;
            places[first][number] = told as u8;
        }
    }
    room
}

/// A bit for each of up to 64 codes, whether it is this one; the number of codes is a multiple of 16.
#[inline(always)]
fn places_of(codes: &[u8], code: u8) -> u64 {
    let sixteen = codes.as_chunks::<16>().0.iter().enumerate();
    sixteen.fold(0, |places, (k, codes)| places | u64::from(places_of_16(codes, code)) << (16 * k))
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn places_of_16(codes: &[u8; 16], code: u8) -> u16 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};
    let [low, high] = [0, 8].map(|at| std::array::from_fn(|k| codes[at + k]));
    // SAFETY: SSE2 belongs to the baseline of the architecture.
    unsafe {
        let codes = _mm_set_epi64x(i64::from_le_bytes(high), i64::from_le_bytes(low));
        _mm_movemask_epi8(_mm_cmpeq_epi8(codes, _mm_set1_epi8(code.cast_signed()))) as u16
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn places_of_16(codes: &[u8; 16], code: u8) -> u16 {
    let place = |(k, &found): (usize, &u8)| u16::from(found == code) << k;
    codes.iter().enumerate().map(place).fold(0, |places, place| places | place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Level, PutPivots};
    use proptest::prelude::*;

    fn pivots(group: usize, codes: &[&[u8]]) -> Pivots {
        let pivots = codes.iter().map(|codes| Pivot { codes: codes.to_vec() }).collect();
        Pivots { group, bias: 3, pivots }
    }

    proptest! {
        #[test]
        fn pivots_come_back(codes in prop::collection::vec(3u8..12, 64 * 12), group in 2usize..=64, two: bool) {
            for group in [group, 16, 32] {
                let codes = &codes[..codes.len() / group * group];
                let lists: [&[u8]; 2] = [&[11, 10], &[3]];
                let pivots = pivots(group, &lists[..1 + usize::from(two && group > 2)]);
                let (mut left, mut places) = (vec![9], vec![vec![]; pivots.pivots.len()]);
                prop_assert!(pivots.take(codes, &mut left, &mut places));
                prop_assert_eq!(left.len(), 1 + codes.len() / group * pivots.left());
                let places: Vec<&[u8]> = places.iter().map(Vec::as_slice).collect();
                for level in Level::available() {
                    let mut back = vec![0; codes.len()];
                    prop_assert!(PutPivots::new(&pivots).put(level, &left[1..], &places, &mut back));
                    prop_assert_eq!(&back, codes, "{:?}", level);
                }
            }
        }
    }

    proptest! {
        /// Whatever the places are.
        #[test]
        fn every_level_puts_the_same(left in prop::collection::vec(any::<u8>(), 32 * 9), told in prop::collection::vec(any::<u8>(), 18), wide: bool, two: bool) {
            let lists: [&[u8]; 2] = [&[11, 10], &[3]];
            let pivots = pivots(if wide { 32 } else { 16 }, &lists[..1 + usize::from(two)]);
            let places = [&told[..9], &told[9..]];
            let put = PutPivots::new(&pivots);
            let (left, places) = (&left[..9 * pivots.left()], &places[..pivots.pivots.len()]);
            let mut expected = vec![0; 9 * pivots.group];
            let sound = put.put(Level::SCALAR, left, places, &mut expected);
            for level in Level::available() {
                let mut codes = vec![0; expected.len()];
                prop_assert_eq!(put.put(level, left, places, &mut codes), sound);
                prop_assert_eq!(&codes, &expected, "{:?}", level);
            }
        }
    }

    #[test]
    fn groups_without_a_pivot_say_what_they_have() {
        let pivots = pivots(3, &[&[7, 8]]);
        let (mut left, mut places) = (vec![], [vec![]]);
        let codes = [4, 1, 2, 0, 8, 7];
        assert!(pivots.take(&codes, &mut left, &mut places));
        // No place, and 4 less the bias; the place of the first code before that of the second.
        assert_eq!((left.as_slice(), places[0].as_slice()), (&[1, 2, 8, 0][..], &[7, 2][..]));
        let mut back = [9; 6];
        assert!(PutPivots::new(&pivots).put(Level::SCALAR, &left, &[&places[0]], &mut back));
        assert_eq!(back, codes);
        assert!(pivots.fit_all(7) && !pivots.fit_all(8));
        // -3 less the bias is 250, for which there is no room behind 6 places.
        assert!(!pivots.take(&[253, 0, 0], &mut left, &mut places));
    }

    #[test]
    fn wrong_places_are_told() {
        let pivots = pivots(3, &[&[7, 8], &[9]]);
        let mut codes = [0; 3];
        for (first, second, sound) in [(0, 1, true), (5, 2, true), (2, 0, false), (9, 255, true)] {
            let put = PutPivots::new(&pivots);
            assert_eq!(put.put(Level::SCALAR, &[5], &[&[first], &[second]], &mut codes), sound);
        }
    }
}
