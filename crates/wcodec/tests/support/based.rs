//! Bases and references, put together by hand.

use super::forge::{Forge, Head, raw};
use super::packed::packed;
use super::scaled::{coded, half_and_half, side};

/// A file of one segment of 128 elements with a base of 1,000 bytes, and its parts.
pub struct Based {
    pub minor: u8,
    /// As the footer tells.
    pub bases: u8,
    pub references: u8,
    pub blake3: u8,
    pub len: u64,
    pub name: Vec<u8>,
    pub zero: u8,
    pub segment: u32,
    /// Base, flip, zero.
    pub reference: [u8; 4],
    pub at: u64,
    /// Another reference before it: segment and position.
    pub second: Option<(u32, u64)>,
    /// So many times the same base, and the same reference.
    pub repeat: (usize, usize),
}

impl Based {
    pub fn sound() -> Based {
        Based {
            minor: 4,
            bases: 1,
            references: 1,
            blake3: 7,
            len: 1000,
            name: b"base".to_vec(),
            zero: 0,
            segment: 0,
            reference: [0; 4],
            at: 872,
            second: None,
            repeat: (1, 1),
        }
    }

    /// Adds the base and the reference to a file.
    fn add_to(&self, forge: &mut Forge) {
        forge.header[10] = self.minor;
        let parts = self.records();
        forge.edit_directory = Box::new(move |directory| directory.extend(&parts));
        let (bases, references) = (self.bases, self.references);
        forge.edit_footer = Box::new(move |footer| (footer[92], footer[96]) = (bases, references));
    }

    /// The bases and the references, as they lie in the directory.
    pub fn records(&self) -> Vec<u8> {
        let mut base = vec![self.blake3; 32];
        base.extend(self.len.to_le_bytes());
        base.extend((self.name.len() as u16).to_le_bytes());
        base.extend([self.zero, 0]);
        base.extend(&self.name);
        let record = |segment: u32, at: u64| {
            [&segment.to_le_bytes()[..], &self.reference, &at.to_le_bytes()].concat()
        };
        let second = self.second.map(|(segment, at)| record(segment, at)).unwrap_or_default();
        let reference = record(self.segment, self.at);
        [base.repeat(self.repeat.0), second, reference.repeat(self.repeat.1)].concat()
    }
}

pub fn based(change: impl FnOnce(&mut Based)) -> Vec<u8> {
    let mut based = Based::sound();
    change(&mut based);
    let elements: Vec<u8> = (0..128u32).map(|i| (i * i % 11) as u8).collect();
    let mut forge = Forge::new(raw(&elements));
    based.add_to(&mut forge);
    forge.build()
}

/// A file of one packing, one segment of which refers to a base.
pub fn packed_with_base(segment: u32) -> Vec<u8> {
    packed(|p| {
        p.minor = 4;
        Based { segment, ..Based::sound() }.add_to(&mut p.forge);
    })
}

/// The side block of a group of two base classes, and its parts.
pub struct Classed {
    /// Scale classes, planes with base classes, zero.
    pub head: [u8; 6],
    pub tables: Vec<Vec<u8>>,
    /// Lowest exponent, exponents, bits.
    pub map: Vec<u8>,
    /// Number, width, bits.
    pub plane: Vec<u8>,
    pub element: u8,
    pub planes: fn(&mut Head),
}

/// A file of two segments of 1,024 floats of one byte, of which the second is predicted from the first, with base classes:
/// the elements that have the lower class come first. Both classes have the table of `coded`.
pub fn base_classes(change: impl FnOnce(&mut Classed)) -> Vec<u8> {
    let mut made = Classed {
        head: [1, 0, 1, 0, 0, 0],
        tables: vec![half_and_half(), half_and_half()],
        map: vec![7, 2, 0b10],
        plane: vec![0, 8, 0b10],
        element: 4,
        planes: |_| (),
    };
    change(&mut made);
    let partners: Vec<u8> = (0..1024).map(|k| if k < 500 { 3 } else { 0x42 }).collect();
    let mut payload = vec![made.tables.len() as u8, 0];
    payload.extend(made.head);
    for part in made.tables.iter().chain([&made.map, &made.plane]) {
        payload.extend(part);
    }
    let mut head = coded();
    head.tables.clear();
    head.planes[0].1 = 5;
    // By XOR.
    head.edit = |payload| payload[1] = 2;
    for (byte, partner) in head.decoded.iter_mut().zip(&partners) {
        // The sign, which is the lowest bit of a symbol.
        *byte = (*byte << 7 | 0x40) ^ partner;
    }
    (made.planes)(&mut head);
    let mut forge = Forge::new(raw(&partners));
    let mut second = forge.segments[0].clone();
    second.side = 1;
    second.blocks = vec![head.block(), side(&payload)];
    forge.original.extend(&second.blocks[0].decoded);
    forge.segments.push(second);
    forge.segments.iter_mut().for_each(|segment| segment.element = made.element);
    let (bases, repeat) = (0, (0, 1));
    let reference = [255, 0, 0, 0];
    Based { bases, segment: 1, reference, at: 0, repeat, ..Based::sound() }.add_to(&mut forge);
    forge.build()
}

/// As [`base_classes`], with four low bits a field of zeros.
fn low_bits(change: impl FnOnce(&mut Classed)) -> Vec<u8> {
    base_classes(|c| {
        c.tables = vec![super::scaled::eight_and_nine(); 2];
        c.planes = |h| {
            h.planes[0].3.extend([0; 512]);
            for (k, byte) in h.decoded.iter_mut().enumerate() {
                *byte = (if k % 3 == 0 { 0x48 } else { 0x40 }) ^ if k < 500 { 3 } else { 0x42 };
            }
        };
        change(c);
    })
}

/// Sound ones.
pub fn sound_base_classes() -> [Vec<u8>; 3] {
    // Both classes take one table.
    let one = |c: &mut Classed| (c.tables.truncate(1), c.plane[2] = 0).1;
    [base_classes(|_| ()), base_classes(one), low_bits(|_| ())]
}

pub fn cases() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("base_classes_reserved", base_classes(|c| c.head[3] = 1)),
        ("base_classes_many_planes", base_classes(|c| c.head[2] = 17)),
        ("base_classes_of_integers", base_classes(|c| c.element = 3)),
        ("base_classes_short", base_classes(|c| (c.map.truncate(1), c.plane.clear()).1)),
        ("base_classes_one_exponent", base_classes(|c| c.map[1] = 1)),
        ("base_classes_many_exponents", base_classes(|c| c.map = [&[0, 65][..], &[2; 9]].concat())),
        ("base_classes_bits_short", base_classes(|c| (c.map.truncate(2), c.plane.clear()).1)),
        ("base_classes_first_bit", base_classes(|c| c.map[2] = 0b11)),
        ("base_classes_spare_bit", base_classes(|c| c.map[2] = 0b110)),
        ("base_classes_one", base_classes(|c| c.map[2] = 0)),
        ("base_classes_many", base_classes(|c| c.map = vec![0, 25, 0b1111_1110, 255, 255, 1])),
        ("base_classes_planes_short", base_classes(|c| c.plane.truncate(1))),
        ("base_classes_order", base_classes(|c| (c.head[2], c.plane) = (2, c.plane.repeat(2)))),
        ("base_classes_no_width", base_classes(|c| c.plane[1] = 0)),
        ("base_classes_wide", base_classes(|c| c.plane[1] = 9)),
        ("base_classes_plane_bits_short", base_classes(|c| c.plane.truncate(2))),
        ("base_classes_plane_spare_bit", base_classes(|c| c.plane[2] = 0b1010)),
        ("base_classes_without_tables", base_classes(|c| c.tables.truncate(1))),
        (
            "base_classes_without_tables_of_second",
            base_classes(|c| (c.head[2], c.plane) = (2, vec![0, 8, 0b10, 1, 8, 0])),
        ),
        ("base_classes_table_wide", base_classes(|c| c.plane[1] = 7)),
        ("base_classes_trailing", base_classes(|c| c.plane.push(0))),
        (
            "plane_base_classes_missing",
            base_classes(|c| (c.head[2] = 0, c.map.clear(), c.plane.clear()).2),
        ),
        ("plane_base_classes_other_plane", base_classes(|c| c.plane[0] = 1)),
        (
            "plane_base_classes_width",
            base_classes(|c| {
                (c.tables, c.plane[1]) = (vec![super::scaled::eight_and_nine(); 2], 4)
            }),
        ),
        ("plane_base_classes_without_base", base_classes(|c| c.planes = |h| h.edit = |_| ())),
        ("plane_base_classes_value", base_classes(|c| c.planes = |h| h.planes[0].2 = 1)),
        ("plane_base_classes_map", base_classes(|c| c.planes = |h| h.map = vec![0; 8])),
        ("base_classes_stream_short", base_classes(|c| c.planes = |h| h.planes[0].3.truncate(200))),
        ("base_classes_stream_long", base_classes(|c| c.planes = |h| h.planes[0].3.extend([0; 2]))),
        ("base_classes_low_bits_short", low_bits(|c| c.planes = |h| h.planes[0].3.truncate(100))),
        ("base_classes_low_bits_long", low_bits(|c| c.planes = |h| h.planes[0].3.extend([0; 516]))),
        ("base_classes_other_elements", base_classes(|c| c.planes = |h| h.decoded[7] ^= 1)),
    ]
}
