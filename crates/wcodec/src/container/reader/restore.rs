//! The original as a whole, and the files of an archive.

use super::Reader;
use super::decode::to_len;
use super::units::Unit;
use crate::container::directory::Part;
use crate::container::entries::{Entry, FileHashes, path_order};
use crate::container::read_at::ReadAt;
use crate::error::{Error, ErrorKind, Result, corrupt};
use crate::options::{Observer, Quiet, go_on};
use crate::stats::Stats;
use std::io::Write;

impl<R: ReadAt> Reader<R> {
    /// Restores the original; of an archive that is all files, one behind the other.
    ///
    /// # Errors
    /// If reading or writing fails, a base is missing, a block is damaged, or the BLAKE3 of the whole, or
    /// of a file of an archive, differs; what was written by then is not the original.
    pub fn restore(&self, out: &mut (impl Write + Send), observer: &dyn Observer) -> Result<Stats> {
        let mut files = FileHashes::new(&self.entries);
        let hash = |bytes: &[u8]| files.update(bytes);
        let (found, mut stats) = self.restore_parts(self.parts.all(), hash, out, observer)?;
        if found != self.footer.blake3 {
            let text = |hash| blake3::Hash::from_bytes(hash).to_string();
            let (found, expected) = (text(found), text(self.footer.blake3));
            return Err(ErrorKind::Checksum { what: "BLAKE3", found, expected }.into());
        }
        let files = self.entries.iter().zip(files.finish());
        files.filter(|(entry, _)| !entry.is_folder()).try_for_each(check_hash)?;
        stats.coded_bytes = self.size;
        Ok(stats)
    }

    /// Checks every hash by decoding everything.
    ///
    /// # Errors
    /// As [`Reader::restore`].
    pub fn verify(&self, observer: &dyn Observer) -> Result<Stats> {
        self.restore(&mut std::io::sink(), observer)
    }

    /// All damage: for each layer, or other piece of the file, that does not decode, its first error, in the order of the file.
    /// If all of them decode, what else [`Reader::verify`] finds; nothing if the file is sound.
    ///
    /// # Errors
    /// If reading fails, a base is missing, or the observer stops the call.
    pub fn find_damage(&self, observer: &dyn Observer) -> Result<Vec<Error>> {
        self.check_bases()?;
        let total = self.original_len();
        self.work.allow(total);
        let mut damage: Vec<Error> = Vec::new();
        let mut out = Vec::new();
        for part in self.parts.all() {
            let decoded = self.batches(std::slice::from_ref(part)).try_for_each(|batch| {
                go_on(observer)?;
                let batch = batch?;
                out.resize(to_len(batch.iter().map(Unit::bytes).sum())?, 0);
                self.decode_units(&batch, &mut out).map(|_| ())
            });
            match decoded {
                // A layer may have many pieces.
                Err(error) if error.is_damage() => {
                    let layer = error.layer();
                    if layer.is_none() || damage.last().is_none_or(|last| last.layer() != layer) {
                        damage.push(error);
                    }
                }
                decoded => decoded?,
            }
            observer.progress(part.bytes.end, total);
        }
        if damage.is_empty()
            && let Err(error) = self.verify(&Quiet(observer))
        {
            if !error.is_damage() {
                return Err(error);
            }
            damage.push(error);
        }
        Ok(damage)
    }

    /// The files of an archive, and its folders that hold nothing, in the order of their paths; none if the
    /// file is no archive.
    pub fn files(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Number of the file of this path among [`Reader::files`].
    #[must_use]
    pub fn find_file(&self, path: &str) -> Option<usize> {
        self.entries.binary_search_by(|entry| path_order(&entry.path, path)).ok()
    }

    /// Restores one file of an archive. Its coded bytes are those of its blocks, also of blocks that it shares.
    ///
    /// # Errors
    /// If there is no such file, it is a folder, reading or writing fails, a base is missing, a block is damaged,
    /// or the BLAKE3 of the file differs; what was written by then is not the file.
    pub fn restore_file(
        &self,
        file: usize,
        out: &mut (impl Write + Send),
        observer: &dyn Observer,
    ) -> Result<Stats> {
        let count = self.entries.len();
        let (before, entry) =
            self.entries.get(..file).zip(self.entries.get(file)).ok_or_else(|| {
                Error::argument(format!("no file {file}, the archive has {count}"))
            })?;
        if entry.is_folder() {
            return Err(Error::argument(format!("{:?} is an empty folder", entry.path)));
        }
        let start: u64 = before.iter().map(|entry| entry.bytes).sum();
        let parts = self.parts.within(start..start + entry.bytes);
        let (found, stats) = self.restore_parts(parts, |_| (), out, observer)?;
        check_hash((entry, found))?;
        Ok(stats)
    }

    /// Decodes parts one behind the other. Returns the BLAKE3 of their bytes, which `hash` is given too.
    fn restore_parts(
        &self,
        parts: &[Part],
        mut hash: impl FnMut(&[u8]) + Send,
        out: &mut (impl Write + Send),
        observer: &dyn Observer,
    ) -> Result<([u8; 32], Stats)> {
        self.check_bases()?;
        let total = parts.iter().map(|part| part.bytes.end - part.bytes.start).sum();
        self.work.allow(total);
        let mut stats = Stats::default();
        let mut hasher = blake3::Hasher::new();
        let mut done = 0;
        // While a batch is written, it is hashed and the next one is decoded.
        let (mut ready, mut next) = (Vec::new(), Vec::new());
        for batch in self.batches(parts) {
            let batch = batch?;
            let bytes = to_len(batch.iter().map(Unit::bytes).sum())?;
            // What an earlier batch left is overwritten, or an error ends this.
            next.resize(bytes, 0);
            let (decoded, written) = rayon::join(
                || {
                    hasher.update_rayon(&ready);
                    hash(&ready);
                    self.decode_units(&batch, &mut next)
                },
                || out.write_all(&ready),
            );
            written?;
            done += ready.len() as u64;
            observer.progress(done, total);
            go_on(observer)?;
            stats += decoded?;
            std::mem::swap(&mut ready, &mut next);
        }
        hasher.update_rayon(&ready);
        hash(&ready);
        out.write_all(&ready)?;
        observer.progress(total, total);
        Ok((*hasher.finalize().as_bytes(), stats))
    }
}

fn check_hash((entry, found): (&Entry, [u8; 32])) -> Result<()> {
    if found == entry.blake3 {
        return Ok(());
    }
    let text = |hash| blake3::Hash::from_bytes(hash).to_string();
    let (found, expected) = (text(found), text(entry.blake3));
    Err(corrupt!("file {:?}: BLAKE3 checksum is {found}, expected {expected}", entry.path))
}
