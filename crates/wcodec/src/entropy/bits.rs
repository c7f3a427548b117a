//! Bit strings, least significant bit first.

use crate::error::{Result, corrupt};

/// Appends fields of up to 16 bits to a byte vector.
pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    held: u64,
    count: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> BitWriter<'a> {
        BitWriter { out, held: 0, count: 0 }
    }

    pub(super) fn put(&mut self, value: u32, bits: u32) {
        self.held |= u64::from(value) << self.count;
        self.count += bits;
        while self.count >= 8 {
            self.out.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    /// Writes the last byte, filled with zero bits.
    pub(super) fn finish(self) {
        if self.count > 0 {
            self.out.push(self.held as u8);
        }
    }
}

/// Reads what [`BitWriter`] wrote.
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> BitReader<'a> {
        BitReader { bytes, at: 0 }
    }

    /// The next `bits` bits, at most 16.
    pub(super) fn take(&mut self, bits: u32) -> Result<u32> {
        let rest = self.bytes.get(self.at / 8..).unwrap_or_default();
        let offset = (self.at % 8) as u32;
        if u64::from(offset + bits) > 8 * rest.len() as u64 {
            return Err(corrupt!("frequency table ends early"));
        }
        // 7 bits that were read and 16 that are wanted lie in four bytes.
        let window = match rest.first_chunk::<4>() {
            Some(window) => u32::from_le_bytes(*window),
            None => rest.iter().rev().fold(0, |window, &byte| window << 8 | u32::from(byte)),
        };
        self.at += bits as usize;
        Ok(window >> offset & ((1 << bits) - 1))
    }

    /// Bytes read; the unused bits of the last one must be zero.
    pub(super) fn finish(mut self) -> Result<usize> {
        let spare = (8 - self.at % 8) as u32 % 8;
        if self.take(spare)? != 0 {
            return Err(corrupt!("frequency table is padded with bits that are not zero"));
        }
        Ok(self.at / 8)
    }
}
