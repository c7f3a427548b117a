//! Whole blocks at every level: what they decode to, where it goes, and what is refused.

use super::*;
use crate::predict::subtract;
use crate::{
    EncodeSpace, EncodeTable, Exponent, LANES, SymbolsJob, Transform, encode, pack_bits,
    pack_low_bits,
};
use proptest::prelude::*;

const ELEMENTS: [Element; 9] = [
    Element::new(1, Transform::Identity),
    Element::new(1, Transform::FlipSign),
    Element::new(1, Transform::RotateSign),
    Element::new(2, Transform::RotateSign),
    Element::new(2, Transform::FlipSign),
    Element::new(4, Transform::RotateSign),
    Element::new(4, Transform::Identity),
    Element::new(8, Transform::RotateSign),
    Element::new(8, Transform::FlipSign),
];

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n
    }
}

enum Kind {
    Constant(u16),
    Packed(Vec<u8>),
    Coded(Box<MadeStream>),
}

impl Kind {
    fn tables(&self) -> Vec<&DecodeTable> {
        match self {
            Kind::Coded(coded) => coded.tables.iter().collect(),
            Kind::Constant(_) | Kind::Packed(_) => Vec::new(),
        }
    }
}

/// A coded plane that owns what it is decoded from.
struct MadeStream {
    tables: Vec<DecodeTable>,
    of_step: Vec<u8>,
    stream: Vec<u8>,
    scan: Scan,
    order: Vec<u32>,
    widths: Vec<u8>,
    packed: Vec<u8>,
    sorted: Option<Sorted>,
}

/// A block that owns what it is decoded from, and its fields.
struct Made {
    element: Element,
    rows: usize,
    cols: usize,
    planes: Vec<(u32, Kind)>,
    tiles: Option<(Tiling, Vec<Predictor>)>,
    /// `rows * cols` elements, little-endian.
    bytes: Vec<u8>,
}

fn table(symbols: &[u16], width: u32) -> (Vec<u16>, Vec<u16>) {
    let mut counts = vec![0usize; 1 << width];
    symbols.iter().for_each(|&s| counts[usize::from(s)] += 1);
    let present: Vec<u16> = (0..1u16 << width).filter(|&s| counts[usize::from(s)] > 0).collect();
    let spare = 4096 - present.len();
    let mut f: Vec<u16> = present
        .iter()
        .map(|&s| 1 + (counts[usize::from(s)] * spare / symbols.len()) as u16)
        .collect();
    f[0] += 4096 - f.iter().sum::<u16>();
    (present, f)
}

/// Codes values, in some scan, with one table or several.
fn coded(random: &mut Random, values: &[u16], width: u32, (rows, cols): (usize, usize)) -> Kind {
    let scan = if random.below(2) == 0 { Scan::Row } else { Scan::Column };
    let steps = Steps::of(scan, rows, cols);
    let most = values.iter().max().copied().unwrap_or(0);
    let sorted = (scan == Scan::Row && most < 256 && random.below(2) == 0).then(|| {
        let count = 1 + random.below(8);
        let partners: Vec<u8> = values.iter().map(|_| random.next() as u8).collect();
        let mut sorted = Sorted::default();
        sorted.begin(std::array::from_fn(|_| random.below(count) as u8), count);
        let (element, exponent) = (ELEMENTS[2], Exponent { shift: 2, width: 5, bias: 0 });
        sorted.push(Level::SCALAR, element, exponent, &partners);
        sorted
    });
    let mut order: Vec<u32> = Vec::new();
    let mut taken: Vec<u16> = values.to_vec();
    if scan == Scan::Column {
        order = (0..rows as u32).collect();
        if random.below(2) == 0 {
            order.sort_by_cached_key(|_| random.next());
        }
        taken.clear();
        for strip in order.chunks(LANES) {
            for col in 0..cols {
                taken.extend(strip.iter().map(|&row| values[row as usize * cols + col]));
            }
        }
        if order.is_sorted() {
            order.clear();
        }
    }
    let least = values.iter().min().copied().unwrap_or(0) / 8 * 8;
    let base = if most < 256 { 0 } else { least };
    if let Some(sorted) = &sorted {
        let mut bytes = Vec::new();
        sorted.sort(Level::SCALAR, &taken.iter().map(|&v| v as u8).collect::<Vec<_>>(), &mut bytes);
        taken = bytes.into_iter().map(u16::from).collect();
    }
    // Classes and low bits are for fields that fit bytes.
    let fit = most - base < 256;
    let count = if fit { 1 + random.below(3) } else { 1 };
    let widths: Vec<u8> = match fit && random.below(3) == 0 {
        true => (0..count).map(|_| random.below(4.min(width as usize)) as u8).collect(),
        false => Vec::new(),
    };
    let of_step: Vec<u8> = match count {
        1 => Vec::new(),
        _ => (0..steps.count()).map(|_| random.below(count) as u8).collect(),
    };
    let class = |symbol: usize| {
        let lanes = steps.lanes();
        let full = steps.full_symbols();
        let step = match symbol.checked_sub(full) {
            None => symbol / lanes,
            Some(tail) => steps.full() + tail / steps.tail_lanes().max(1),
        };
        of_step.get(step).map_or(0, |&class| usize::from(class))
    };
    let shift = |class: usize| widths.get(class).map_or(0, |&width| u32::from(width));
    let mut ranks = vec![0; taken.len()];
    let (mut tables, mut encoders) = (Vec::new(), Vec::new());
    for k in 0..count {
        let symbol = |v: u16| v >> shift(k) << shift(k);
        let of_class: Vec<u16> =
            (0..taken.len()).filter(|&i| class(i) == k).map(|i| symbol(taken[i])).collect();
        let of_class = if of_class.is_empty() { vec![symbol(most)] } else { of_class };
        let (present, f) = table(&of_class, width);
        for (i, rank) in ranks.iter_mut().enumerate().filter(|(i, _)| class(*i) == k) {
            *rank = present.binary_search(&symbol(taken[i])).unwrap() as u8;
        }
        tables.push(DecodeTable::new(&present, &f, base).unwrap());
        encoders.push(EncodeTable::new(&f).unwrap());
    }
    let mut packed = Vec::new();
    if !widths.is_empty() {
        let fields: Vec<u8> = taken.iter().map(|&v| v as u8).collect();
        pack_low_bits(Level::SCALAR, steps, &widths, &of_step, &fields, &mut packed);
    }
    let encoders: Vec<&EncodeTable> = encoders.iter().collect();
    let classes = Classes::per_step(&encoders, &of_step);
    let mut stream = Vec::new();
    let job = SymbolsJob { classes, ranks: &ranks, steps, out: &mut stream };
    encode(Level::SCALAR, &mut [job], &mut EncodeSpace::default());
    Kind::Coded(Box::new(MadeStream {
        tables,
        of_step,
        stream,
        scan,
        order,
        widths,
        packed,
        sorted,
    }))
}

fn make(random: &mut Random, element: Element, rows: usize, cols: usize) -> Made {
    let bits = element.bits();
    let mut planes = Vec::new();
    let mut u = vec![0u64; rows * cols];
    let mut tiles = None;
    let mut left = bits;
    while left > 0 {
        let first = planes.is_empty();
        let width = if first {
            1 + random.below(12.min(left as usize)) as u32
        } else {
            // Mostly as encoders cut: what is left down to a multiple of 8, then bytes.
            let even = if left.is_multiple_of(8) { 8 } else { left % 8 };
            if random.below(4) > 0 { even } else { 1 + random.below(8.min(left as usize)) as u32 }
        };
        left -= width;
        let mask = (1u16 << width) - 1;
        let kind = if first { 2 } else { random.below(5) };
        // Some planes have few symbols, some all that fit.
        let most = if random.below(2) == 0 { 60 } else { 250 };
        let spread = 1 + random.below(most);
        let offset = random.below(4096);
        let mut values: Vec<u16> = (0..rows * cols)
            .map(|_| (offset + random.below(spread).min(random.below(spread))) as u16 & mask)
            .collect();
        let plane = match kind {
            0 => {
                let value = values[0];
                values.fill(value);
                Kind::Constant(value)
            }
            1 | 2 if kind == 2 => {
                let mut residuals = values.clone();
                if first && random.below(3) == 0 {
                    let tiling =
                        Tiling::new(rows, cols, 1 + random.below(20), 1 + random.below(20));
                    let predictors: Vec<Predictor> =
                        (0..tiling.count()).map(|_| Predictor::ALL[random.below(5)]).collect();
                    subtract(Level::SCALAR, &mut residuals, tiling, width, &predictors);
                    let distinct: std::collections::BTreeSet<_> = residuals.iter().collect();
                    if distinct.len() <= 256 {
                        tiles = Some((tiling, predictors));
                    } else {
                        residuals.clone_from(&values);
                    }
                }
                coded(random, &residuals, width, (rows, cols))
            }
            _ => {
                values.iter_mut().for_each(|v| *v = random.next() as u16 & mask);
                let narrow: Vec<u8> = values.iter().map(|&v| v as u8).collect();
                let mut packed = Vec::new();
                pack_bits(Level::SCALAR, &narrow, width, &mut packed);
                Kind::Packed(packed)
            }
        };
        u.iter_mut().zip(&values).for_each(|(u, &v)| *u |= u64::from(v) << left);
        planes.push((width, plane));
    }
    let bytes = to_bytes(element, &u);
    Made { element, rows, cols, planes, tiles, bytes }
}

/// The elements of numbers whose informative bits come first.
fn to_bytes(element: Element, u: &[u64]) -> Vec<u8> {
    let bits = element.bits();
    let mask = u64::MAX >> (64 - bits);
    let word = |&u: &u64| {
        let x = match element.transform() {
            Transform::Identity => u,
            Transform::RotateSign => (u >> 1 | u << (bits - 1)) & mask,
            Transform::FlipSign => u ^ 1 << (bits - 1),
        };
        x.to_le_bytes().into_iter().take(element.size())
    };
    u.iter().flat_map(word).collect()
}

/// A block whose first plane is coded in this scan, of up to 60 symbols, without tiles and unsorted; below it are raw planes
/// of these widths.
fn make_plain(
    random: &mut Random,
    element: Element,
    (rows, cols): (usize, usize),
    (scan, raw): (Scan, &[u32]),
    beside: bool,
) -> Made {
    let mut left: u32 = raw.iter().sum();
    let width = element.bits() - left;
    let most = 60.min(1 << width);
    let values: Vec<u16> =
        (0..rows * cols).map(|_| random.below(most).min(random.below(most)) as u16).collect();
    let first = loop {
        match coded(random, &values, width, (rows, cols)) {
            Kind::Coded(made)
                if made.scan == scan
                    && made.sorted.is_none()
                    && made.widths.is_empty() != beside =>
            {
                break Kind::Coded(made);
            }
            _ => {}
        }
    };
    let mut u: Vec<u64> = values.iter().map(|&v| u64::from(v) << left).collect();
    let mut planes = vec![(width, first)];
    for &width in raw {
        left -= width;
        let fields: Vec<u8> =
            u.iter().map(|_| (random.next() & ((1 << width) - 1)) as u8).collect();
        u.iter_mut().zip(&fields).for_each(|(u, &field)| *u |= u64::from(field) << left);
        let mut packed = Vec::new();
        pack_bits(Level::SCALAR, &fields, width, &mut packed);
        planes.push((width, Kind::Packed(packed)));
    }
    let bytes = to_bytes(element, &u);
    Made { element, rows, cols, planes, tiles: None, bytes }
}

/// Verdicts, and what the buffers then hold.
type Found = (Vec<Result<(), BlockError>>, Vec<Vec<u8>>);

/// Decodes blocks side by side at every level, each into rows of a buffer of its own kind, and
/// compares: verdicts, the rows of sound blocks, and every byte around them.
fn check(made: &[Made], random: &mut Random, intact: bool) -> Result<Vec<bool>, TestCaseError> {
    let gaps: Vec<(usize, usize)> =
        made.iter().map(|_| (random.below(100), random.below(3) * random.below(70))).collect();
    let tables: Vec<Vec<Vec<&DecodeTable>>> = made
        .iter()
        .map(|made| made.planes.iter().map(|(_, kind)| kind.tables()).collect())
        .collect();
    let blocks: Vec<Block<'_>> = made
        .iter()
        .zip(&gaps)
        .enumerate()
        .map(|(buffer, (made, &(start, gap)))| {
            let planes = made.planes.iter().zip(&tables[buffer]).map(|((width, kind), tables)| {
                let source = match kind {
                    Kind::Constant(value) => Source::Constant(*value),
                    Kind::Packed(packed) => Source::Packed(packed),
                    Kind::Coded(coded) => {
                        let MadeStream { of_step, stream, order, widths, packed, .. } = &**coded;
                        let classes = Classes::per_step(tables, of_step);
                        let low = LowBits { widths, packed };
                        let (scan, sorted) = (coded.scan, coded.sorted.as_ref());
                        Source::Coded(Coded { classes, stream, scan, order, low, sorted })
                    }
                };
                Plane { width: *width, source }
            });
            let tiles = made.tiles.as_ref();
            Block {
                element: made.element,
                rows: made.rows,
                cols: made.cols,
                planes: planes.collect(),
                tiles: tiles.map(|(tiling, predictors)| Tiles { tiling: *tiling, predictors }),
                place: Place {
                    buffer,
                    start,
                    pitch: made.cols * made.element.size() + gap,
                    streamed: start % 2 == 0,
                },
            }
        })
        .collect();
    let mut first: Option<Found> = None;
    for level in Level::variants() {
        for fill in [0x00, 0xff] {
            let mut space = DecodeSpace::default();
            let mut buffers: Vec<Vec<u8>> = blocks
                .iter()
                .map(|block| {
                    let len = block.place.start + block.rows * block.place.pitch + 64;
                    vec![fill; len]
                })
                .collect();
            let mut views: Vec<&mut [u8]> = buffers.iter_mut().map(Vec::as_mut_slice).collect();
            // Sees everything once, and changes it.
            let mut seen = vec![0; blocks.len()];
            let mut each = |Decoded { block, row, col, bytes }: Decoded<'_>| {
                let width = blocks[block].cols * blocks[block].element.size();
                let at = row * width + col * blocks[block].element.size();
                assert_eq!(at, seen[block], "in order");
                assert!(
                    bytes.len().is_multiple_of(width)
                        || at / width == (at + bytes.len() - 1) / width
                );
                seen[block] += bytes.len();
                bytes.iter_mut().for_each(|byte| *byte = !*byte);
            };
            let verdicts = decode_blocks(level, &blocks, &mut views, &mut space, &mut each);
            for ((seen, block), verdict) in seen.iter().zip(&blocks).zip(&verdicts) {
                let all = block.elements() * block.element.size();
                prop_assert!(verdict.is_err() || *seen == all, "{:?}", level);
            }
            for ((buffer, block), verdict) in buffers.iter_mut().zip(&blocks).zip(&verdicts) {
                let (Place { start, pitch, .. }, rows) = (block.place, block.rows);
                let width = block.cols * block.element.size();
                let inside = |at: usize| {
                    at >= start && (at - start) / pitch < rows && (at - start) % pitch < width
                };
                for (at, byte) in buffer.iter_mut().enumerate() {
                    if !inside(at) {
                        prop_assert_eq!(*byte, fill, "{:?}: byte {} outside", level, at);
                        *byte = 0;
                    } else if verdict.is_err() {
                        *byte = 0;
                    }
                }
            }
            match &first {
                None => first = Some((verdicts, buffers)),
                Some((expected, bytes)) => {
                    prop_assert_eq!(&verdicts, expected, "{:?}", level);
                    for ((found, bytes), block) in buffers.iter().zip(bytes).zip(&blocks) {
                        let kinds: Vec<_> = block.planes.iter().map(|p| p.width).collect();
                        prop_assert!(found == bytes, "{:?} {:?} {:?}", level, block.element, kinds);
                    }
                }
            }
        }
    }
    let Some((verdicts, buffers)) = first else { return Ok(Vec::new()) };
    for (((made, block), buffer), verdict) in made.iter().zip(&blocks).zip(&buffers).zip(&verdicts)
    {
        if intact && verdict.is_ok() {
            let (Place { start, pitch, .. }, rows) = (block.place, block.rows);
            let width = block.cols * block.element.size();
            let found: Vec<u8> = (0..rows)
                .flat_map(|row| &buffer[start + row * pitch..][..width])
                .map(|byte| !byte)
                .collect();
            prop_assert!(found == made.bytes, "{:?}", made.element);
        }
    }
    Ok(verdicts.iter().map(Result::is_ok).collect())
}

/// Shapes that fill whole steps, and others.
fn shape() -> impl Strategy<Value = (usize, usize)> {
    prop_oneof![
        (1usize..40, (1usize..6).prop_map(|c| 32 * c)),
        (32usize..110, (1usize..4).prop_map(|c| 32 * c)),
        (1usize..80, 1usize..90),
        (Just(1), 1usize..3000),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(400)))]

    #[test]
    fn every_level_gives_the_elements(kind in 0usize..ELEMENTS.len(), shape in shape(), count in 1usize..6, seed: u64) {
        let mut random = Random(seed | 1);
        let made: Vec<Made> = (0..count).map(|_| make(&mut random, ELEMENTS[kind], shape.0, shape.1)).collect();
        let verdicts = check(&made, &mut random, true)?;
        prop_assert!(verdicts.iter().all(|&ok| ok));
    }

    #[test]
    fn blocks_of_all_kinds_go_together(parts in prop::collection::vec((0usize..ELEMENTS.len(), shape()), 1..8), seed: u64, damage: bool) {
        let mut random = Random(seed | 1);
        let mut made: Vec<Made> = parts.iter().map(|&(kind, (r, c))| make(&mut random, ELEMENTS[kind], r, c)).collect();
        if damage {
            let at = random.below(made.len());
            for (_, kind) in &mut made[at].planes {
                if let Kind::Coded(coded) = kind {
                    let stream = &mut coded.stream;
                    match random.below(3) {
                        0 => { let at = random.below(stream.len()); stream[at] ^= 1 << random.below(8); }
                        1 => stream.truncate(random.below(stream.len())),
                        _ => stream.extend([0, 0]),
                    }
                    break;
                }
            }
            // A flip may decode to other elements; all levels must then find the same.
            let verdicts = check(&made, &mut random, false)?;
            prop_assert!(verdicts.iter().enumerate().all(|(k, &ok)| ok || k == at));
        } else {
            prop_assert!(check(&made, &mut random, true)?.iter().all(|&ok| ok));
        }
    }
}

/// More blocks of one kind than go side by side, in rows of one piece and of several: where one ends, the next begins.
#[test]
fn blocks_of_one_kind_follow_each_other() {
    let [flipped, bytes, halves, words] = [1, 2, 3, 5].map(|k| ELEMENTS[k]);
    let kinds: [(Element, &[u32], bool); 9] = [
        (flipped, &[], false),
        (flipped, &[], true),
        (flipped, &[2], false),
        (bytes, &[3], false),
        (halves, &[7], false),
        (halves, &[7], true),
        (halves, &[3, 8], false),
        (words, &[7, 8, 8], false),
        (words, &[7, 8, 8], true),
    ];
    let shapes = [
        (1, 33),
        (1, 9001),
        (3, 4128),
        (31, 97),
        (64, 32),
        (40, 64),
        (1, 32),
        (2, 8224),
        (33, 33),
        (5, 320),
    ];
    let mut random = Random(1);
    for (element, raw, beside) in kinds {
        for scan in [Scan::Row, Scan::Column] {
            let make = |&shape| make_plain(&mut random, element, shape, (scan, raw), beside);
            let mut made: Vec<Made> = shapes.iter().map(make).collect();
            assert!(check(&made, &mut random, true).unwrap().iter().all(|&ok| ok));
            // One that does not begin, and one that ends early.
            for (at, len) in [(2, 9), (7, 300)] {
                let Kind::Coded(coded) = &mut made[at].planes[0].1 else { unreachable!() };
                coded.stream.truncate(len);
            }
            let verdicts = check(&made, &mut random, true).unwrap();
            assert!(verdicts.iter().enumerate().all(|(k, &ok)| ok != [2, 7].contains(&k)));
        }
    }
}

/// Blocks whose only step has fewer lanes than a vector, alone and beside larger ones.
#[test]
fn blocks_below_one_step_come_back() {
    for seed in 0..50 {
        let mut random = Random(2 * seed + 1);
        for &element in &ELEMENTS {
            let shapes = [(1, 1), (1, 31), (4, 5), (3, 32)];
            let mut made = |n: usize| make(&mut random, element, shapes[n].0, shapes[n].1);
            let made: Vec<Made> = (0..shapes.len()).map(&mut made).collect();
            for some in [&made[..], &made[1..2], &made[2..3]] {
                assert!(check(some, &mut random, true).unwrap().iter().all(|&ok| ok));
            }
        }
    }
}

/// Places and sizes whose ends wrap around are not in any buffer.
#[test]
fn places_outside_the_buffer_are_refused() {
    let table = DecodeTable::new(&[1], &[4096], 0).unwrap();
    let stream: Vec<u8> = (0..32).flat_map(|_| 4096u32.to_le_bytes()).collect();
    for (scan, rows, cols, start, pitch) in [
        (Scan::Row, 1, 64, usize::MAX - 31, 64),
        (Scan::Row, 1, 64, 1, 64),
        (Scan::Row, 2, 32, 0, usize::MAX / 2 + 40),
        (Scan::Column, 32, 1 << 61, 0, 0),
    ] {
        let (classes, order, low) = (Classes::one(&table), &[][..], LowBits::default());
        let source =
            Source::Coded(Coded { classes, stream: &stream, scan, order, low, sorted: None });
        let block = Block {
            element: Element::new(1, Transform::Identity),
            rows,
            cols,
            planes: vec![Plane { width: 8, source }],
            tiles: None,
            place: Place { buffer: 0, start, pitch, streamed: false },
        };
        for level in Level::available() {
            let refused = std::panic::catch_unwind(|| {
                let mut buffer = [0; 64];
                let block = std::slice::from_ref(&block);
                let space = &mut DecodeSpace::default();
                decode_blocks(level, block, &mut [&mut buffer], space, &mut |_| {})
            });
            assert!(refused.is_err(), "{level:?} {rows} x {cols} at {start}");
        }
    }
}
