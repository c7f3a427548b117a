//! Little-endian fields from a byte slice, and onto a byte vector.

use crate::error::{Result, corrupt};

/// Takes fields off the front of a slice.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    what: &'static str,
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8], what: &'static str) -> Fields<'a> {
        Fields { bytes, what }
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(count)
            .ok_or_else(|| corrupt!("{} ends early", self.what))?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Takes bytes that must be zero.
    pub(super) fn zero(&mut self, count: usize) -> Result<()> {
        match self.bytes(count)?.iter().find(|&&b| b != 0) {
            Some(b) => Err(corrupt!("reserved byte of the {} is {b}, expected 0", self.what)),
            None => Ok(()),
        }
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len()
    }
}
