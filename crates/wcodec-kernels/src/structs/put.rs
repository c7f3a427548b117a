//! Pivots back among their codes.

use super::pivots::{MAX_PIVOTS, Pivots};
use crate::Level;
#[cfg(target_arch = "x86_64")]
use crate::level::Set;

/// How pivots are put back, worked out once for all groups.
pub struct PutPivots {
    group: usize,
    tables: Vec<PutTable>,
}

/// What each value that tells of a pivot means.
pub(crate) struct PutTable {
    /// The place in the group, four times.
    pub(crate) place: [u32; 256],
    /// The code, four times.
    pub(crate) code: [u32; 256],
    /// Whether that is a place before the one that the first code comes from.
    wrong: [bool; 256],
}

impl PutTable {
    fn new(pivots: &Pivots, number: usize) -> PutTable {
        let pivot = &pivots.pivots[number];
        let mut table = PutTable { place: [0; 256], code: [0; 256], wrong: [false; 256] };
        let four = |byte: u8| u32::from_le_bytes([byte; 4]);
        let places = pivots.places(pivot);
        for told in 0..256 {
            // A group without the pivot says what its first code is.
            table.place[told] = four(number as u8);
            table.code[told] = four((told.wrapping_sub(places) as u8).wrapping_add(pivots.bias));
        }
        for (k, &code) in pivot.codes.iter().enumerate() {
            for place in 0..pivots.group {
                let told = k * pivots.group + place;
                table.wrong[told] = place < number;
                table.place[told] = four(place.max(number) as u8);
                table.code[told] = four(code);
            }
        }
        table
    }
}

impl PutPivots {
    /// The pivots must fit their group.
    #[must_use]
    pub fn new(pivots: &Pivots) -> PutPivots {
        let tables = (0..pivots.pivots.len()).map(|number| PutTable::new(pivots, number));
        PutPivots { group: pivots.group, tables: tables.collect() }
    }

    /// Makes whole groups of the codes that are left and, for each pivot, what tells of it in each group.
    /// `false` if a place is not in its group; `codes` are then of no use.
    ///
    /// # Panics
    /// If `codes` are not whole groups, or `left` and `places` not what was taken from as many.
    #[must_use]
    pub fn put(&self, level: Level, left: &[u8], places: &[&[u8]], codes: &mut [u8]) -> bool {
        let (group, count) = (self.group, self.tables.len());
        let groups = codes.len() / group;
        assert!(groups * group == codes.len() && count <= MAX_PIVOTS, "whole groups");
        assert_eq!(left.len(), groups * (group - count), "codes of all groups");
        assert!(places.len() == count && places.iter().all(|p| p.len() == groups), "all places");
        match (level.set(), &self.tables[..], places) {
            #[cfg(target_arch = "x86_64")]
            (Set::Avx512, tables, places) if count > 0 && (group == 16 || group == 32) => {
                crate::x86_64::structs::put_pivots(level, group, tables, left, places, codes);
            }
            (_, [a], [p]) if group == 32 => put::<32, 1>(group, [a], left, [*p], codes),
            (_, [a, b], [p, q]) if group == 32 => {
                put::<32, 2>(group, [a, b], left, [*p, *q], codes);
            }
            (_, [a], [p]) => put::<0, 1>(group, [a], left, [*p], codes),
            (_, [a, b], [p, q]) => put::<0, 2>(group, [a, b], left, [*p, *q], codes),
            _ => codes.copy_from_slice(left),
        }
        let wrong = |(table, places): (&PutTable, &&[u8])| {
            places.iter().any(|&told| table.wrong[usize::from(told)])
        };
        // The first pivot may have any place.
        !self.tables.iter().zip(places).skip(1).any(wrong)
    }
}

/// Groups of `GROUP` codes, or, if that is 0, of `group`.
fn put<const GROUP: usize, const PIVOTS: usize>(
    group: usize,
    tables: [&PutTable; PIVOTS],
    left: &[u8],
    places: [&[u8]; PIVOTS],
    codes: &mut [u8],
) {
    let group = if GROUP > 0 { GROUP } else { group };
    let groups = codes.chunks_exact_mut(group).zip(left.chunks_exact(group - PIVOTS));
    for (number, (codes, left)) in groups.enumerate() {
        codes[PIVOTS..].copy_from_slice(left);
        for first in (0..PIVOTS).rev() {
            let told = usize::from(places[first][number]);
            let place = (tables[first].place[told] as u8) as usize;
            codes[first] = codes[place];
            codes[place] = tables[first].code[told] as u8;
        }
    }
}
