//! Row scan and alias tables: symbols, raw bits and the transform in one pass, from streams to
//! elements.

use super::SIDE_BY_SIDE;
use super::alias::{self, Lanes, look_up, look_up_bytes};
use crate::blocks::{Block, BlockError, Coded, Source};
use crate::drive::all_ok;
use crate::element::Word as _;
use crate::level::Set;
use crate::merge::Rows;
use crate::slots::AliasTable;
use crate::{DecodeTable, Element, LANES, Level, Scan, StreamError, Transform};
use std::arch::x86_64::*;

/// What the elements of a block are put together from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One byte: a symbol, below it 0 to 4 raw bits.
    Byte { raw: u32 },
    /// Two bytes whose sign is rotated: a symbol, below it 0 to 8 raw bits.
    Half { low: u32 },
    /// The same with 8 raw bits, and 1 to 7 more above them.
    HalfHigh { high: u32 },
}

/// A block that can be decoded here.
struct Plan<'a> {
    element: Element,
    kind: Kind,
    /// The rows, as one if they lie one behind the other.
    rows: Rows,
    tables: Vec<&'a AliasTable>,
    of_step: &'a [u8],
    stream: &'a [u8],
    low: &'a [u8],
    high: &'a [u8],
    /// Of each class.
    outputs: Vec<Output>,
}

/// What a symbol adds to an element, by rank.
struct Output {
    /// In elements of two bytes, before the sign is rotated to its place.
    halves: [u16; 64],
    /// In elements of one byte.
    bytes: [u8; 64],
}

/// What a step decodes with.
#[derive(Clone, Copy)]
struct Class<'a> {
    table: &'a AliasTable,
    output: &'a Output,
}

impl<'a> Plan<'a> {
    /// The plan of a block; `None` if it is of another kind.
    fn of(block: &Block<'a>) -> Option<Plan<'a>> {
        let element = block.element;
        let rows = block.place_rows().joined();
        let row = rows.width / element.size();
        if block.tiles.is_some() || element.size() > 2 || !row.is_multiple_of(LANES) {
            return None;
        }
        let (first, below) = block.planes.split_first()?;
        let Source::Coded(coded) = first.source else { return None };
        let Coded { classes, stream, scan, low, .. } = coded;
        if scan != Scan::Row || !low.widths.is_empty() {
            return None;
        }
        let tables = classes.tables().map(DecodeTable::alias).collect::<Option<Vec<_>>>()?;
        let mut shift = element.bits() - first.width;
        let symbol_shift = shift;
        let (mut constant, mut low, mut high) = (0, (0, &[][..]), (0, &[][..]));
        for plane in below {
            shift -= plane.width;
            match (plane.source, shift) {
                (Source::Constant(value), _) => constant |= value << shift,
                (Source::Packed(bits), 0) => low = (plane.width, bits),
                (Source::Packed(bits), 8) => high = (plane.width, bits),
                _ => return None,
            }
        }
        let kind = match (element.size(), element.transform(), low.0, high.0) {
            (1, _, raw @ 0..=4, 0) => Kind::Byte { raw },
            (2, Transform::RotateSign, low, 0) => Kind::Half { low },
            (2, Transform::RotateSign, 8, high) => Kind::HalfHigh { high },
            _ => return None,
        };
        let outputs = tables
            .iter()
            .map(|table| {
                let halves = table.symbol.map(|symbol| (symbol << symbol_shift) | constant);
                Output { halves, bytes: halves.map(|u| (u as u8).inverse(element.transform())) }
            })
            .collect();
        Some(Plan {
            element,
            kind,
            rows,
            tables,
            of_step: classes.of_step(),
            stream,
            low: low.1,
            high: high.1,
            outputs,
        })
    }

    /// What a step decodes with.
    #[inline(always)]
    fn class(&self, step: usize) -> Class<'_> {
        let class = self.of_step.get(step).map_or(0, |&class| usize::from(class));
        Class { table: self.tables[class], output: &self.outputs[class] }
    }

    /// Whether both can be decoded side by side.
    fn goes_with(&self, other: &Plan<'_>) -> bool {
        let shape = |plan: &Plan<'_>| (plan.element, plan.kind, plan.rows.rows, plan.rows.width);
        shape(self) == shape(other)
    }
}

/// Twin of [`crate::decode_blocks`] for the first blocks, up to four; `None` if the first one is not of a
/// kind that is known here.
pub(crate) fn decode_fused(
    level: Level,
    blocks: &[Block<'_>],
    buffers: &mut [&mut [u8]],
) -> Option<Vec<Result<(), BlockError>>> {
    assert_eq!(level.set(), Set::Avx512);
    let mut plans = vec![Plan::of(&blocks[0])?];
    for block in blocks.iter().take(SIDE_BY_SIDE).skip(1) {
        match Plan::of(block) {
            Some(plan) if plan.goes_with(&plans[0]) => plans.push(plan),
            _ => break,
        }
    }
    if plans.len() == 3 {
        plans.pop();
    }
    let buffers: Vec<*mut u8> = buffers.iter_mut().map(|buffer| buffer.as_mut_ptr()).collect();
    let out = |n: usize| {
        // SAFETY: `Block::check` has seen that the rows of each block lie in its buffer.
        unsafe { buffers[blocks[n].place.buffer].add(plans[n].rows.start) }
    };
    // SAFETY: the level says that the processor has the instructions; the rows of each plan lie in
    // the buffer of its block.
    let verdicts = unsafe {
        match plans.as_slice() {
            [a, b, c, d] => decode_group([a, b, c, d], [out(0), out(1), out(2), out(3)]).to_vec(),
            [a, b] => decode_group([a, b], [out(0), out(1)]).to_vec(),
            [a, ..] => decode_group([a], [out(0)]).to_vec(),
            [] => Vec::new(),
        }
    };
    let place =
        |verdict: Result<(), StreamError>| verdict.map_err(|error| BlockError { plane: 0, error });
    Some(verdicts.into_iter().map(place).collect())
}

/// Decodes `N` blocks of one kind and shape side by side, each to its place.
///
/// # Safety
/// The rows of each plan must be writable from its `out` on.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
unsafe fn decode_group<const N: usize>(
    plans: [&Plan<'_>; N],
    out: [*mut u8; N],
) -> [Result<(), StreamError>; N] {
    // SAFETY: the caller's promise.
    unsafe {
        if plans.iter().all(|plan| plan.of_step.is_empty()) {
            // Known to the compiler: no look-up of classes in the loop.
            let classes: [Class<'_>; N] = std::array::from_fn(|n| plans[n].class(0));
            decode_with(plans, out, |n, _| classes[n])
        } else {
            decode_with(plans, out, |n, step| plans[n].class(step))
        }
    }
}

/// # Safety
/// As [`decode_group`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
unsafe fn decode_with<'t, const N: usize>(
    plans: [&'t Plan<'_>; N],
    out: [*mut u8; N],
    class: impl Fn(usize, usize) -> Class<'t>,
) -> [Result<(), StreamError>; N] {
    let mut lanes = match all_ok(plans.map(|plan| Lanes::new(plan.stream))) {
        Ok(lanes) => lanes,
        Err(error) if N == 1 => return [Err(error); N],
        // A stream that does not even begin leaves the others to be decoded one by one.
        Err(_) => {
            // SAFETY: the caller's promise.
            let alone = |n: usize| unsafe { decode_group([plans[n]], [out[n]])[0] };
            return std::array::from_fn(alone);
        }
    };
    // SAFETY: the caller's promise.
    unsafe {
        match plans[0].kind {
            Kind::Byte { raw: 0 } => bytes::<N, false>(&plans, &mut lanes, out, class),
            Kind::Byte { .. } => bytes::<N, true>(&plans, &mut lanes, out, class),
            Kind::Half { low: 8 } => halves::<N, true, false>(&plans, &mut lanes, out, class),
            Kind::Half { .. } => halves::<N, false, false>(&plans, &mut lanes, out, class),
            Kind::HalfHigh { .. } => halves::<N, true, true>(&plans, &mut lanes, out, class),
        }
    }
    lanes.map(|lanes| lanes.end())
}

/// Where each of `N` blocks goes on writing.
struct Cursor<const N: usize> {
    at: [*mut u8; N],
    /// Bytes of a step.
    step: usize,
    /// Bytes from the end of a row to the beginning of the next.
    gaps: [usize; N],
    /// Bytes to a place that is written later: the next row, which lies too far away for the
    /// processor to guess.
    ahead: [usize; N],
    row: usize,
    left: usize,
}

impl<const N: usize> Cursor<N> {
    fn new(plans: &[&Plan<'_>; N], out: [*mut u8; N]) -> Cursor<N> {
        let width = plans[0].rows.width;
        let step = LANES * plans[0].element.size();
        let gaps = plans.map(|plan| plan.rows.pitch.saturating_sub(width));
        let ahead = plans.map(|plan| if plan.rows.rows > 1 { plan.rows.pitch } else { 1024 });
        Cursor { at: out, step, gaps, ahead, row: width / step, left: width / step }
    }

    /// The place of block `n` for this step; blocks must come in order.
    #[inline(always)]
    fn next(&mut self, n: usize) -> *mut u8 {
        let at = self.at[n];
        // SAFETY: any address may be prefetched.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(self.ahead[n]).cast()) };
        self.at[n] = at.wrapping_add(self.step);
        if n + 1 == N {
            self.left -= 1;
            if self.left == 0 {
                self.left = self.row;
                for (at, gap) in self.at.iter_mut().zip(self.gaps) {
                    *at = at.wrapping_add(gap);
                }
            }
        }
        at
    }
}

/// Elements of one byte.
///
/// # Safety
/// As [`decode_group`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
unsafe fn bytes<'t, const N: usize, const RAW: bool>(
    plans: &[&Plan<'_>; N],
    lanes: &mut [Lanes<'_>; N],
    out: [*mut u8; N],
    class: impl Fn(usize, usize) -> Class<'t>,
) {
    let Kind::Byte { raw: width } = plans[0].kind else { return };
    let raw = Unpack::new(width);
    // What raw bits add to an element, by their value.
    let transform = plans[0].element.transform();
    let rotate = transform == Transform::RotateSign;
    let of_bits: [u8; 16] =
        std::array::from_fn(|bits| if rotate { (bits as u8).rotate_right(1) } else { bits as u8 });
    // SAFETY: the array has the 16 bytes that are read.
    let of_bits = _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(of_bits.as_ptr().cast()) });
    let mut low: [*const u8; N] = plans.map(|plan| plan.low.as_ptr());
    let mut cursor = Cursor::new(plans, out);
    let steps = 0..plans[0].rows.rows * cursor.row;
    alias::run(
        lanes,
        steps,
        |n, step| class(n, step).table,
        |n, step, _, ranks| {
            let output = class(n, step).output;
            let mut elements = look_up_bytes(&output.bytes, _mm512_cvtepi16_epi8(ranks));
            if RAW {
                // SAFETY: the packed plane has `width` bits for each element, so 4 x `width` bytes for a
                // step.
                let bits = unsafe { raw.bytes(low[n]) };
                low[n] = low[n].wrapping_add(raw.step);
                elements = _mm256_or_si256(elements, _mm256_shuffle_epi8(of_bits, bits));
            }
            // SAFETY: the cursor goes over the rows of the plan, which are writable.
            unsafe { _mm256_storeu_si256(cursor.next(n).cast(), elements) };
        },
    );
}

/// Elements of two bytes, rotated.
///
/// # Safety
/// As [`decode_group`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512vl,bmi2,popcnt")]
unsafe fn halves<'t, const N: usize, const LOW_BYTE: bool, const HIGH: bool>(
    plans: &[&Plan<'_>; N],
    lanes: &mut [Lanes<'_>; N],
    out: [*mut u8; N],
    class: impl Fn(usize, usize) -> Class<'t>,
) {
    let (low_width, high_width) = match plans[0].kind {
        Kind::Half { low } => (low, 0),
        Kind::HalfHigh { high } => (8, high),
        Kind::Byte { .. } => return,
    };
    let low_bits = UnpackHalves::new(low_width, 0);
    let high_bits = UnpackHalves::new(high_width, 8);
    let mut low: [*const u8; N] = plans.map(|plan| plan.low.as_ptr());
    let mut high: [*const u8; N] = plans.map(|plan| plan.high.as_ptr());
    let mut cursor = Cursor::new(plans, out);
    let steps = 0..plans[0].rows.rows * cursor.row;
    alias::run(
        lanes,
        steps,
        |n, step| class(n, step).table,
        |n, step, _, ranks| {
            let output = class(n, step).output;
            let mut u = look_up(&output.halves, ranks);
            if LOW_BYTE {
                // SAFETY: the packed plane has a byte for each element.
                let bytes = unsafe { _mm256_loadu_si256(low[n].cast()) };
                low[n] = low[n].wrapping_add(LANES);
                u = _mm512_or_si512(u, _mm512_cvtepu8_epi16(bytes));
            } else {
                // SAFETY: the packed plane has 4 bytes a step for each bit of a field.
                u = unsafe { low_bits.add(low[n], u) };
                low[n] = low[n].wrapping_add(low_bits.step);
            }
            if HIGH {
                // SAFETY: as above.
                u = unsafe { high_bits.add(high[n], u) };
                high[n] = high[n].wrapping_add(high_bits.step);
            }
            let elements = _mm512_shldi_epi16::<15>(u, u);
            // SAFETY: the cursor goes over the rows of the plan, which are writable.
            unsafe { _mm512_storeu_si512(cursor.next(n).cast(), elements) };
        },
    );
}

/// How 32 fields of up to 4 bits become bytes.
struct Unpack {
    step: usize,
    present: __mmask16,
    /// For each eight fields, the bytes that hold them.
    spread: __m256i,
    shifts: __m256i,
    mask: __m256i,
}

impl Unpack {
    #[target_feature(enable = "avx2,avx512f")]
    fn new(width: u32) -> Unpack {
        let width = width as usize;
        let spread: [u8; LANES] = std::array::from_fn(|k| (k / 8 * width + k % 8) as u8);
        let shifts: [u8; LANES] = std::array::from_fn(|k| (k % 8 * width) as u8);
        // SAFETY: both arrays have the 32 bytes that are read.
        let load = |bytes: &[u8; LANES]| unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
        Unpack {
            step: 4 * width,
            present: ((1u32 << (4 * width)) - 1) as __mmask16,
            spread: load(&spread),
            shifts: load(&shifts),
            mask: _mm256_set1_epi8((1 << width) - 1),
        }
    }

    /// 32 fields.
    ///
    /// # Safety
    /// `step` bytes must be readable at `packed`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vl")]
    unsafe fn bytes(&self, packed: *const u8) -> __m256i {
        // SAFETY: the mask leaves the bytes that the caller promises to be read.
        let bytes = unsafe { _mm_maskz_loadu_epi8(self.present, packed.cast()) };
        let groups = _mm256_permutexvar_epi8(self.spread, _mm256_castsi128_si256(bytes));
        _mm256_and_si256(_mm256_multishift_epi64_epi8(self.shifts, groups), self.mask)
    }
}

/// How 32 fields of up to 8 bits are added to numbers of 16 bits.
struct UnpackHalves {
    step: usize,
    present: __mmask32,
    /// For each field, the two bytes that hold it.
    spread: __m512i,
    right: __m512i,
    left: __m512i,
    mask: __m512i,
}

impl UnpackHalves {
    #[target_feature(enable = "avx512f,avx512bw")]
    fn new(width: u32, shift: u32) -> UnpackHalves {
        let width = width as usize;
        let mut spread = [0u8; 64];
        let (mut right, mut left) = ([0u16; LANES], [0u16; LANES]);
        for k in 0..LANES {
            let bit = k * width;
            spread[2 * k] = (bit / 8) as u8;
            spread[2 * k + 1] = (bit / 8 + 1).min(31) as u8;
            right[k] = (bit % 8) as u16;
            left[k] = shift as u16;
        }
        // SAFETY: the arrays have the 64 bytes that are read.
        unsafe {
            UnpackHalves {
                step: 4 * width,
                present: if width == 0 { 0 } else { u32::MAX >> (32 - 4 * width) },
                spread: _mm512_loadu_si512(spread.as_ptr().cast()),
                right: _mm512_loadu_si512(right.as_ptr().cast()),
                left: _mm512_loadu_si512(left.as_ptr().cast()),
                mask: _mm512_set1_epi16((((1u32 << width) - 1) << shift) as i16),
            }
        }
    }

    /// `numbers` with 32 fields added.
    ///
    /// # Safety
    /// `step` bytes must be readable at `packed`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vl")]
    unsafe fn add(&self, packed: *const u8, numbers: __m512i) -> __m512i {
        // SAFETY: the mask leaves the bytes that the caller promises to be read.
        let bytes = unsafe { _mm256_maskz_loadu_epi8(self.present, packed.cast()) };
        let pairs = _mm512_permutexvar_epi8(self.spread, _mm512_castsi256_si512(bytes));
        let fields = _mm512_sllv_epi16(_mm512_srlv_epi16(pairs, self.right), self.left);
        // numbers | fields & mask
        _mm512_ternarylogic_epi32::<0xf8>(numbers, fields, self.mask)
    }
}
