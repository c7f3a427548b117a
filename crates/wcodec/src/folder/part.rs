//! Progress of work on many files.

use crate::options::Observer;

/// The observer of one of many files.
pub(crate) struct Part<'a> {
    pub(crate) observer: &'a dyn Observer,
    /// The file's path.
    pub(crate) path: &'a str,
    /// Bytes of the files before, of this one, and of all.
    pub(crate) before: u64,
    pub(crate) len: u64,
    pub(crate) total: u64,
}

impl Observer for Part<'_> {
    fn progress(&self, done: u64, total: u64) {
        let done = u128::from(self.len) * u128::from(done) / u128::from(total.max(1));
        self.observer.progress(self.before + done as u64, self.total);
    }

    fn warn(&self, message: &str) {
        self.observer.warn(&format!("{}: {message}", self.path));
    }

    fn cancelled(&self) -> bool {
        self.observer.cancelled()
    }
}
