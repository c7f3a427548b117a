//! How much the bases of a file may decode.
//!
//! Coded bases may be cut in ways that make a reader decode many bytes of one for a few of the next, at each
//! file of a chain anew. So all files behind one that is read share a bound that grows with what is asked of it; in a
//! comparison, all files behind all that are compared.

use crate::error::{Error, Result};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that bases may decode for each one that is asked for, on one thread: some for each file of a chain.
const RATIO: u64 = 64;
/// The same for each call, however little it asks for: some of the largest bands.
const FREE: u64 = 1 << 30;
/// What a block takes beside its bytes, counted in bytes.
const BLOCK: u64 = 1 << 10;

/// What decoding so many blocks costs that have so many bytes, counted in bytes.
pub(super) fn cost(bytes: u64, blocks: u64) -> u64 {
    bytes.saturating_add(BLOCK.saturating_mul(blocks))
}

/// What bases may decode, and what they have decoded.
#[derive(Default)]
pub(crate) struct Work {
    allowed: AtomicU64,
    done: AtomicU64,
}

impl Work {
    /// A call asks for so many bytes. Threads may all decode the same, so each has its share.
    pub(crate) fn allow(&self, asked: u64) {
        self.add(asked.saturating_mul(RATIO).saturating_add(FREE));
    }

    /// A call that has begun asks for more.
    pub(crate) fn allow_more(&self, asked: u64) {
        self.add(asked.saturating_mul(RATIO));
    }

    fn add(&self, of_thread: u64) {
        let more = of_thread.saturating_mul(rayon::current_num_threads() as u64);
        let add = |allowed: u64| Some(allowed.saturating_add(more));
        let _ = self.allowed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Fails if this is more than is allowed.
    pub(super) fn spend(&self, bytes: u64) -> Result<()> {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let allowed = self.allowed.load(Ordering::Relaxed);
        if done > allowed {
            return Err(Error::limit("number of bytes decoded of coded bases", done, allowed));
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn what_is_allowed_grows_with_what_is_asked_for() {
        let work = Work::default();
        assert!(work.spend(1).is_err());
        work.allow(10);
        let allowed = work.allowed.load(Ordering::Relaxed);
        assert!(allowed >= 10 * RATIO + FREE);
        work.spend(allowed - 1).unwrap();
        let error = work.spend(1).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Limit { .. }), "{error}");
        work.allow(0);
        work.spend(FREE - 1).unwrap();
        let before = work.allowed.load(Ordering::Relaxed);
        work.allow_more(10);
        let more = work.allowed.load(Ordering::Relaxed) - before;
        assert!((10 * RATIO..FREE).contains(&more), "{more}");
        work.allow(u64::MAX);
        work.spend(1 << 60).unwrap();
    }
}
