//! Progress of work on many files.

use super::walk::Found;
use crate::options::Observer;

/// The observer of one of many files.
pub(crate) struct Part<'a> {
    pub(crate) observer: &'a dyn Observer,
    /// The file's path.
    path: &'a str,
    /// Bytes of the files before, of this one, and of all.
    before: u64,
    len: u64,
    total: u64,
}

impl<'a> Part<'a> {
    /// Those of files with these paths and lengths, one after the other.
    pub(crate) fn in_turn(
        observer: &'a dyn Observer,
        files: impl Iterator<Item = (&'a str, u64)> + Clone,
    ) -> impl Iterator<Item = Part<'a>> {
        let total = files.clone().map(|(_, len)| len).sum();
        files.scan(0, move |before, (path, len)| {
            *before += len;
            Some(Part { observer, path, before: *before - len, len, total })
        })
    }

    /// Those of files that were found.
    pub(crate) fn of_found(
        observer: &'a dyn Observer,
        found: &'a [Found],
    ) -> impl Iterator<Item = (&'a Found, Part<'a>)> {
        let files = found.iter().map(|found| (found.path.as_str(), found.bytes));
        found.iter().zip(Part::in_turn(observer, files))
    }
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
