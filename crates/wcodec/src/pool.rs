//! Buffers that are used again: asking the system for memory block by block costs more than coding
//! some of them.

use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

/// Free buffers, shared by threads.
#[derive(Clone, Default)]
pub(crate) struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

/// A buffer that goes back to its pool.
pub(crate) struct Pooled {
    buffer: Vec<u8>,
    pool: Pool,
}

impl Pool {
    /// A buffer of any content; new if none is free.
    pub(crate) fn take(&self) -> Pooled {
        let free = self.0.lock().ok().and_then(|mut free| free.pop());
        Pooled { buffer: free.unwrap_or_default(), pool: self.clone() }
    }

    /// A buffer of `len` bytes of any content; running out of memory is an error.
    pub(crate) fn take_len(&self, len: usize) -> io::Result<Pooled> {
        let mut buffer = self.take();
        let more = len.saturating_sub(buffer.len());
        buffer.try_reserve_exact(more).map_err(|_| io::ErrorKind::OutOfMemory)?;
        buffer.resize(len, 0);
        Ok(buffer)
    }
}

/// Bytes that lie somewhere already, or in a buffer.
pub(crate) enum Bytes<'a> {
    Borrowed(&'a [u8]),
    Pooled(Pooled),
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Borrowed(bytes) => bytes,
            Bytes::Pooled(bytes) => bytes,
        }
    }
}

impl Deref for Pooled {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.buffer
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        if let Ok(mut free) = self.pool.0.lock() {
            free.push(std::mem::take(&mut self.buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back() {
        let pool = Pool::default();
        let mut first = pool.take();
        first.resize(100, 7);
        let place = first.as_ptr();
        let second = pool.take();
        assert_eq!(second.capacity(), 0);
        drop(first);
        assert_eq!(pool.take().as_ptr(), place);
    }
}
