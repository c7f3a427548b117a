//! Bases and references, put together by hand.

use super::forge::{Forge, raw};
use super::packed::packed;

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
