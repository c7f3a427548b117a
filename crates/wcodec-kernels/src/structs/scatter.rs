//! Codes back to structs.

use super::runs::Run;
use super::spans::{self, Plan};
use super::{CodeField, TILE_BYTES};
use crate::Level;
use crate::level::compiled_for_levels;

/// How the codes of some fields become structs again, worked out once for all of them.
pub struct Scatter<'f> {
    len: usize,
    fields: Vec<&'f CodeField>,
    plan: Option<Plan>,
    /// Whether the loops write every bit of a struct and do not add to what is there.
    overwrites: bool,
}

impl<'f> Scatter<'f> {
    /// For structs of `len` bytes, within which all fields lie. Fields must not overlap.
    #[must_use]
    pub fn new(len: usize, fields: Vec<&'f CodeField>) -> Scatter<'f> {
        let plan = Plan::new(&fields);
        let overwrites = plan.as_ref().is_some_and(|plan| {
            let bits = |field: &&CodeField| u64::from(field.width()) * field.codes as u64;
            let all = fields.iter().map(bits).sum::<u64>() == 8 * len as u64;
            all && plan.rest.iter().all(|(_, run)| run.overwrites())
        });
        Scatter { len, fields, plan, overwrites }
    }

    /// Puts the codes of all fields back: of a code that has more bits than its field takes, the lowest
    /// ones. Bits of no field are zero.
    ///
    /// # Panics
    /// If a field does not lie within a struct, or its codes have another number than those of all structs.
    pub fn structs(&self, level: Level, codes: &[&[u8]], structs: &mut [u8]) {
        let count = structs.len() / self.len;
        assert_eq!(self.fields.len(), codes.len(), "codes of all fields");
        for (field, codes) in self.fields.iter().zip(codes) {
            assert_eq!(count * field.bytes(), codes.len(), "codes of all structs");
        }
        let tile = (TILE_BYTES / self.len).max(1);
        let mut of_tile: Vec<(usize, &[u8])> = Vec::with_capacity(codes.len());
        for (number, structs) in structs.chunks_mut(tile * self.len).enumerate() {
            let count = structs.len() / self.len;
            of_tile.clear();
            of_tile.extend(self.fields.iter().zip(codes).map(|(field, codes)| {
                (field.bytes(), &codes[number * tile * field.bytes()..][..count * field.bytes()])
            }));
            self.tile(level, &of_tile, structs);
        }
    }

    fn tile(&self, level: Level, codes: &[(usize, &[u8])], structs: &mut [u8]) {
        if !self.overwrites {
            structs.fill(0);
        }
        let Some(plan) = &self.plan else {
            for (field, &codes) in self.fields.iter().zip(codes) {
                let scatter = |run| scatter_run(level, self.len, structs, run, codes, field.bias);
                field.for_each_run(scatter);
            }
            return;
        };
        // Spans first: they do not add to what is there.
        plan.spans.iter().for_each(|span| spans::fill(level, self.len, structs, span, codes));
        for &(field, run) in &plan.rest {
            scatter_run(level, self.len, structs, run, codes[field], self.fields[field].bias);
        }
    }
}

fn scatter_run(
    level: Level,
    len: usize,
    structs: &mut [u8],
    run: Run,
    codes: (usize, &[u8]),
    bias: u8,
) {
    #[cfg(target_arch = "x86_64")]
    if level.set() == crate::level::Set::Avx512
        && let Some((at, up)) = run.bits_of_32()
    {
        let codes = (codes.0, &codes.1[run.code..]);
        crate::x86_64::structs::bits_of_32(level, (len, at), structs, codes, (up, bias));
        return;
    }
    scatter_run_portable(level, len, structs, run, codes, bias);
}

compiled_for_levels! {
    fn scatter_run_portable[](
        len: usize,
        structs: &mut [u8],
        run: Run,
        codes: (usize, &[u8]),
        bias: u8,
    )[] {
        run.scatter(len, structs, codes.0, codes.1, bias);
    }
}
