//! Blocks of one coded plane, with a table of their own or scale classes, put together by hand.

use super::forge::{Bits, Block, Forge, Head};
use wcodec_kernels::{Classes, EncodeSpace, EncodeTable, Level, Steps, SymbolsJob};

/// One plane of 8 bits, coded with an own table: 2 symbols (0x80 and 0x81) at half each.
pub fn coded() -> Head {
    let decoded: Vec<u8> = (0..1024).map(|i| u8::from(i % 3 == 0)).collect();
    let ranks: Vec<u8> = decoded.clone();
    let mut stream = Vec::new();
    let table = EncodeTable::new(&[2048, 2048]).unwrap();
    let (classes, steps) = (Classes::one(&table), Steps::linear(1024));
    let job = SymbolsJob { classes, ranks: &ranks, steps, out: &mut stream };
    wcodec_kernels::encode(Level::SCALAR, &mut [job], &mut EncodeSpace::default());
    Head {
        planes: vec![(8, 3, 0, stream)],
        map: vec![],
        // Class 12 twice: in long form against 9, then the same.
        tables: Bits::default()
            .put(0x80, 8)
            .put(1, 8)
            .put(0b11 | 12 << 2, 6)
            .put(0, 11)
            .put(0, 1)
            .put(0, 11)
            .0,
        decoded,
        edit: |_| (),
    }
}

pub fn side(payload: &[u8]) -> Block {
    Block {
        mode: 4,
        payload: payload.to_vec(),
        head: 0,
        decoded: payload.to_vec(),
        checksum_error: 0,
    }
}

/// The side block of a group of two scale classes, and its parts.
pub struct Scaled {
    /// Classes, scan, lowest sum, width, zero.
    pub head: [u8; 6],
    pub tables: Vec<Vec<u8>>,
    pub map: Vec<u8>,
    pub rows: Vec<u8>,
    pub cols: Vec<u8>,
    pub means: Vec<u8>,
    pub minor: u8,
    pub planes: fn(&mut Head),
    pub corner: fn(&mut Forge),
}

/// All factors 0: a table of one symbol, and the state that it begins and ends in.
fn factors() -> Vec<u8> {
    let table = Bits::default().put(0, 6).put(0, 6).put(0b11 | 13 << 2, 6).put(0, 12).0;
    [&4u32.to_le_bytes()[..], &table, &4096u32.to_le_bytes()].concat()
}

/// A table of width 8 of the symbols 0x80 and 0x81.
pub fn half_and_half() -> Vec<u8> {
    let bits = Bits::default().put(0x80, 8).put(1, 8).put(0b11 | 12 << 2, 6).put(0, 11).put(0, 1);
    [&[8][..], &bits.put(0, 11).0].concat()
}

impl Scaled {
    /// Two classes that take equal tables.
    pub fn sound() -> Scaled {
        Scaled {
            head: [2, 0, 0, 0, 8, 0],
            tables: vec![half_and_half(), half_and_half()],
            map: vec![0b10],
            rows: factors(),
            cols: factors(),
            means: vec![],
            minor: 1,
            planes: |_| (),
            corner: |_| (),
        }
    }

    pub fn payload(&self) -> Vec<u8> {
        let mut payload = vec![self.tables.len() as u8, 0];
        payload.extend(self.head);
        for part in self.tables.iter().chain([&self.map, &self.rows, &self.cols, &self.means]) {
            payload.extend(part);
        }
        payload
    }
}

/// The block of `coded`, whose plane has classes.
pub fn coded_by_classes() -> Head {
    let mut head = coded();
    head.tables.clear();
    head.planes[0].1 = 4;
    head
}

/// A file of one block of scale classes; all steps have class 0, whose table is that of `coded`.
pub fn classes(change: impl FnOnce(&mut Scaled)) -> Vec<u8> {
    let mut made = Scaled::sound();
    change(&mut made);
    let payload = made.payload();
    let mut head = coded_by_classes();
    (made.planes)(&mut head);
    let mut forge = Forge::new(head.block());
    forge.header[10] = made.minor;
    forge.segments[0].side = 1;
    forge.segments[0].blocks.push(side(&payload));
    (made.corner)(&mut forge);
    forge.build()
}

/// As [`classes`], with one product of a mean, whose factors are all 0.
pub fn means(change: impl FnOnce(&mut Scaled)) -> Vec<u8> {
    classes(|c| {
        let table = Bits::default().put(128, 8).put(0, 8).put(0b11 | 13 << 2, 6).put(0, 12).0;
        let list = [&4u32.to_le_bytes()[..], &table, &4096u32.to_le_bytes()].concat();
        c.means = [&[0][..], &list, &list].concat();
        c.head[5] = 1;
        change(c);
    })
}

/// A table of the symbols 8 and 9 of 4 bits.
pub fn eight_and_nine() -> Vec<u8> {
    let bits = Bits::default().put(8, 4).put(1, 4).put(0b11 | 12 << 2, 6).put(0, 11).put(0, 1);
    [&[4][..], &bits.put(0, 11).0].concat()
}

/// As [`classes`], with four low bits a field of zeros.
pub fn low_bits(change: impl FnOnce(&mut Scaled)) -> Vec<u8> {
    classes(|c| {
        c.tables[0] = eight_and_nine();
        c.planes = |h| {
            h.planes[0].3.extend([0; 512]);
            h.decoded.iter_mut().for_each(|byte| *byte <<= 4);
        };
        change(c);
    })
}
