//! Bases and references, put together by hand.

use super::forge::{Forge, raw};

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
    /// So many times the same base, and the same reference.
    pub repeat: (usize, usize),
}

pub fn based(change: impl FnOnce(&mut Based)) -> Vec<u8> {
    let mut based = Based {
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
        repeat: (1, 1),
    };
    change(&mut based);
    let elements: Vec<u8> = (0..128u32).map(|i| (i * i % 11) as u8).collect();
    let mut forge = Forge::new(raw(&elements));
    forge.header[10] = based.minor;
    let mut base = vec![based.blake3; 32];
    base.extend(based.len.to_le_bytes());
    base.extend((based.name.len() as u16).to_le_bytes());
    base.extend([based.zero, 0]);
    base.extend(&based.name);
    let mut reference = based.segment.to_le_bytes().to_vec();
    reference.extend(based.reference);
    reference.extend(based.at.to_le_bytes());
    let parts = [base.repeat(based.repeat.0), reference.repeat(based.repeat.1)].concat();
    forge.edit_directory = Box::new(move |directory| directory.extend(&parts));
    let (bases, references) = (based.bases, based.references);
    forge.edit_footer = Box::new(move |footer| (footer[92], footer[96]) = (bases, references));
    forge.build()
}
