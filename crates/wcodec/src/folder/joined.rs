//! The files of a folder as one original.

use super::walk::{ANYBODY, Found, walk};
use crate::container::entries::Entry;
use crate::container::footer::SourceKind;
use crate::container::read_at::ReadAt;
use crate::error::{Error, Result};
use crate::options::{Observer, go_on};
use crate::source::{self, Listing};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Files that are kept open.
const MOST_OPEN: usize = 64;

/// All files of a folder, one behind the other.
pub(super) struct Joined {
    found: Vec<Found>,
    /// Where each of them ends.
    ends: Vec<u64>,
    open: Mutex<HashMap<usize, Arc<File>>>,
}

impl Joined {
    pub(super) fn of(folder: &Path, output: Option<&Path>) -> Result<Joined> {
        let found = walk(folder, output)?;
        let mut end = 0u64;
        let ends = found.iter().map(|found| {
            end = end.checked_add(found.bytes)?;
            Some(end)
        });
        let ends = ends.collect::<Option<Vec<u64>>>();
        let ends = ends.ok_or_else(|| Error::argument("more than 2^64 bytes").in_file(folder))?;
        Ok(Joined { found, ends, open: Mutex::default() })
    }

    /// The layers of all files, and the files.
    pub(super) fn list(&self, observer: &dyn Observer) -> Result<Listing> {
        let mut listing = Listing::new(SourceKind::Archive, Vec::new());
        let mut names = HashSet::new();
        for (number, (found, &end)) in self.found.iter().zip(&self.ends).enumerate() {
            go_on(observer)?;
            let source = if found.is_folder() {
                None
            } else {
                // Of a file without bytes nothing will be read.
                self.file(number)?;
                let part = Part { joined: self, start: end - found.bytes, len: found.bytes };
                Some(self.list_file(found, &part, (&mut listing, &mut names), observer)?)
            };
            listing.entries.push(Entry {
                path: found.path.clone(),
                bytes: found.bytes,
                blake3: [0; 32],
                executable: found.executable,
                source,
            });
        }
        Ok(listing)
    }

    fn list_file(
        &self,
        found: &Found,
        part: &Part<'_>,
        (listing, names): (&mut Listing, &mut HashSet<String>),
        observer: &dyn Observer,
    ) -> Result<SourceKind> {
        let (of_file, warning) = source::list_named(&found.place, part)?;
        if let Some(warning) = warning {
            observer.warn(&format!("{}: {warning}", found.path));
        }
        for mut located in of_file.layers {
            let name = format!("{}:{}", found.path, located.layer.name);
            // `a:b` and `c` make the same name as `a` and `b:c`.
            let numbered = (2..).map(|number| format!("{name}#{number}"));
            let free = [name.clone()].into_iter().chain(numbered).find(|n| !names.contains(n));
            located.layer.name = free.unwrap_or(name);
            names.insert(located.layer.name.clone());
            located.at += part.start;
            listing.layers.push(located);
        }
        Ok(of_file.kind)
    }

    /// Who may read all of it: permission bits of the group and the others.
    pub(super) fn readers(&self) -> u32 {
        self.found.iter().fold(ANYBODY, |readers, found| readers & found.readers)
    }

    /// Checks that no file was changed since the folder was looked through.
    pub(super) fn check(&self) -> Result<()> {
        self.found.iter().try_for_each(Found::check_now)
    }

    fn file(&self, number: usize) -> Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&number) {
            return Ok(Arc::clone(file));
        }
        if open.len() >= MOST_OPEN {
            open.clear();
        }
        let file = Arc::new(self.found[number].open()?);
        open.insert(number, Arc::clone(&file));
        Ok(file)
    }
}

impl ReadAt for Joined {
    fn size(&self) -> io::Result<u64> {
        Ok(self.ends.last().copied().unwrap_or(0))
    }

    fn read_exact_at(&self, mut buffer: &mut [u8], mut at: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            let number = self.ends.partition_point(|&end| end <= at);
            let (Some(found), Some(&end)) = (self.found.get(number), self.ends.get(number)) else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            let most = usize::try_from(end - at).unwrap_or(usize::MAX);
            let (now, rest) = buffer.split_at_mut(most.min(buffer.len()));
            let read = self.file(number)?.read_exact_at(now, at + found.bytes - end);
            read.map_err(|e| Error::from(e).in_file(&found.place))?;
            at += now.len() as u64;
            buffer = rest;
        }
        Ok(())
    }
}

/// One of the files.
struct Part<'a> {
    joined: &'a Joined,
    start: u64,
    len: u64,
}

impl ReadAt for Part<'_> {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        if at.checked_add(buffer.len() as u64).is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.joined.read_exact_at(buffer, self.start + at)
    }
}
