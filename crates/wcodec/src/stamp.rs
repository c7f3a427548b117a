//! Whether a file is still the one that was opened.

use crate::container::read_at::ReadAt;
use std::fs::Metadata;
use std::io;
use std::time::SystemTime;

pub(crate) fn changed(kind: io::ErrorKind) -> io::Error {
    io::Error::new(kind, "changed while it was read")
}

/// What tells that a file is another one, or was written to.
#[derive(PartialEq, Eq)]
pub(crate) struct Stamp {
    bytes: u64,
    /// `None` where nobody knows it.
    modified: Option<SystemTime>,
    /// Device and inode.
    #[cfg(unix)]
    identity: Option<(u64, u64)>,
}

impl Stamp {
    pub(crate) fn of(meta: &Metadata) -> Stamp {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;
        Stamp {
            bytes: meta.len(),
            modified: meta.modified().ok(),
            #[cfg(unix)]
            identity: Some((meta.dev(), meta.ino())),
        }
    }

    /// Of what has no name.
    pub(crate) fn of_source(source: &(impl ReadAt + ?Sized)) -> io::Result<Stamp> {
        Ok(Stamp {
            bytes: source.size()?,
            modified: source.modified()?,
            #[cfg(unix)]
            identity: None,
        })
    }

    /// Fails unless `now` is the same.
    pub(crate) fn check(&self, now: &Stamp) -> io::Result<()> {
        match self == now {
            true => Ok(()),
            false => Err(changed(io::ErrorKind::Other)),
        }
    }
}
