//! Buffers that are used again: asking the system for memory block by block costs more than coding
//! some of them.

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
