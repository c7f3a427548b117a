//! Finding bases among files that are given and in folders.

use super::original::{Content, OpenBase};
use super::{Base, MAX_DEPTH};
use crate::container::commit::check_kept;
use crate::container::read_at::{ReadAt, read};
use crate::container::reader::Reader;
use crate::container::reader::work::Work;
use crate::error::{Error, ErrorKind, Result};
use crate::file::open_regular;
use crate::limits::Limits;
use crate::options::{Observer, go_on};
use crate::stamp::Stamp;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Environment variable with folders in which bases are looked for.
const VARIABLE: &str = "WCODEC_BASE_PATH";
/// Bytes that are hashed at a time.
const PIECE: u64 = 16 << 20;

/// Files that others are predicted from: those to encode with, or those among which the bases of a file
/// are looked for. Each may be a plain file or a `.wcodec` file, whose original then counts. What it
/// holds tells whether it is a base, never its name.
///
/// # Examples
/// ```
/// use wcodec::{Bases, ElementType, EncodeOptions, Layer, Limits, Reader, encode_layer};
///
/// let base: Vec<u8> = (0..4096u32).map(|i| (i * i % 251) as u8).collect();
/// let mut fine = base.clone();
/// fine[100] += 1;
/// let layer = Layer::new("weight", ElementType::U8, vec![64, 64]);
/// let mut bases = Bases::new();
/// let (coded_base, _) = encode_layer(&base, &layer, &EncodeOptions::default())?;
/// bases.add_source("base.wcodec", coded_base);
///
/// let mut options = EncodeOptions::default();
/// options.bases = bases.clone();
/// let (coded, stats) = encode_layer(&fine, &layer, &options)?;
/// assert_eq!(stats.base_elements, 4096);
/// let reader = Reader::open_with(coded.as_slice(), &Limits::default(), &bases)?;
/// assert_eq!(reader.decode_layer(0)?, fine);
/// # Ok::<(), wcodec::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Bases {
    given: Vec<Arc<Candidate>>,
    folders: Vec<PathBuf>,
}

/// A file that may be a base.
struct Candidate {
    name: String,
    path: Option<PathBuf>,
    source: Arc<dyn ReadAt>,
    /// How it was before any of it was read.
    stamp: Option<Stamp>,
    /// BLAKE3 of a plain file, once someone has asked.
    blake3: OnceLock<[u8; 32]>,
}

impl Bases {
    /// No file and no folder.
    #[must_use]
    pub fn new() -> Bases {
        Bases::default()
    }

    /// The folders that the environment variable `WCODEC_BASE_PATH` lists, as `PATH` lists folders.
    #[must_use]
    pub fn from_env() -> Bases {
        let folders = std::env::var_os(VARIABLE).unwrap_or_default();
        let folders = std::env::split_paths(&folders).filter(|f| !f.as_os_str().is_empty());
        Bases { given: Vec::new(), folders: folders.collect() }
    }

    /// Adds a file.
    ///
    /// # Errors
    /// If it cannot be opened, or is not a regular file.
    pub fn add_file(&mut self, path: &Path) -> Result<()> {
        self.given.push(Arc::new(Candidate::open(path)?));
        Ok(())
    }

    /// Adds what a source holds, under a name that files which it becomes the base of will remember.
    pub fn add_source(&mut self, name: &str, source: impl ReadAt + 'static) {
        let source: Arc<dyn ReadAt> = Arc::new(source);
        let (name, stamp) = (name.to_owned(), Stamp::of_source(&source).ok());
        let blake3 = OnceLock::new();
        self.given.push(Arc::new(Candidate { name, path: None, source, stamp, blake3 }));
    }

    /// Adds a folder, in which files are looked for by name and by length.
    pub fn add_folder(&mut self, path: &Path) {
        self.folders.push(path.to_path_buf());
    }

    /// Whether there is neither a file nor a folder.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.given.is_empty() && self.folders.is_empty()
    }

    /// Opens the files that were given, to predict from them.
    pub(crate) fn open_given(&self, limits: &Limits, observer: &dyn Observer) -> Result<Found> {
        let mut search = Search::new(self, limits, Arc::default(), observer);
        // The file to be written is one of the chain.
        let mut chain = vec![[0; 32]];
        let open = |candidate: &Arc<Candidate>| search.open(candidate, &mut chain);
        let found: Vec<_> = self.given.iter().map(open).collect::<Result<_>>()?;
        Ok((found, search.work))
    }

    /// The same without those files that were given whose originals have these BLAKE3s. `open` has all of them, opened.
    pub(crate) fn without(&self, open: &[Arc<OpenBase>], blake3s: &HashSet<[u8; 32]>) -> Bases {
        let kept = self.given.iter().zip(open);
        let kept = kept.filter(|(_, open)| !blake3s.contains(&open.base.blake3));
        let given = kept.map(|(candidate, _)| Arc::clone(candidate)).collect();
        Bases { given, folders: self.folders.clone() }
    }

    /// Fails if one of the files that were given is another one by now, or was written to.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        self.given.iter().try_for_each(|candidate| candidate.check_unchanged())
    }

    /// Fails if a file that appears as `output` would replace one of those that were given, or one that these are predicted
    /// from: what is predicted from them could not be decoded without.
    ///
    /// # Errors
    /// Then, or if one of them cannot be read or its own bases are missing.
    pub fn check_output(&self, output: &Path) -> Result<()> {
        if self.given.is_empty() || !output.exists() {
            return Ok(());
        }
        let (found, _) = self.open_given(&Limits::unlimited(), &())?;
        let chains = found.iter().flat_map(|base| base.chain());
        check_kept(output, chains.filter_map(|base| Some((base.path.as_deref()?, "a base"))))
    }

    /// Finds the bases of a file whose original has this BLAKE3; `work` bounds what they decode.
    pub(crate) fn find_all(
        &self,
        (blake3, wanted): ([u8; 32], &[Base]),
        limits: &Limits,
        work: &Arc<Work>,
        observer: &dyn Observer,
    ) -> Result<Vec<Arc<OpenBase>>> {
        let mut search = Search::new(self, limits, Arc::clone(work), observer);
        search.find_all(wanted, &mut vec![blake3])
    }
}

impl fmt::Debug for Bases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given: Vec<&str> = self.given.iter().map(|candidate| &*candidate.name).collect();
        f.debug_struct("Bases").field("given", &given).field("folders", &self.folders).finish()
    }
}

impl Candidate {
    fn open(path: &Path) -> Result<Candidate> {
        let place = |e: std::io::Error| Error::from(e).in_file(path);
        let file = open_regular(path)?;
        let meta = file.metadata().map_err(place)?;
        let stamp = Some(Stamp::of(&meta));
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (path, source) = (Some(path.to_path_buf()), Arc::new(file));
        Ok(Candidate { name, path, source, stamp, blake3: OnceLock::new() })
    }

    fn place(&self, error: Error) -> Error {
        match &self.path {
            Some(path) => error.in_file(path),
            None => error,
        }
    }

    /// The `.wcodec` file that it is, if it is one.
    fn reader(&self, limits: &Limits) -> Result<Option<Reader<Arc<dyn ReadAt>>>> {
        Reader::open_if_coded(&self.source, limits)
    }

    fn check_unchanged(&self) -> Result<()> {
        let Some(stamp) = &self.stamp else { return Ok(()) };
        let now = match &self.path {
            Some(path) => std::fs::metadata(path).map(|meta| Stamp::of(&meta)),
            None => Stamp::of_source(&self.source),
        };
        let same = now.and_then(|now| stamp.check(&now)).map_err(Error::from);
        same.map_err(|error| self.place(error))
    }

    fn hash(&self, observer: &dyn Observer) -> Result<[u8; 32]> {
        if let Some(hash) = self.blake3.get() {
            return Ok(*hash);
        }
        let (mut hasher, size) = (blake3::Hasher::new(), self.source.size()?);
        for at in (0..size).step_by(PIECE as usize) {
            go_on(observer)?;
            hasher.update_rayon(&read(&self.source, at, PIECE.min(size - at))?);
        }
        Ok(*self.blake3.get_or_init(|| *hasher.finalize().as_bytes()))
    }
}

/// Bases, and what all of them together may decode.
pub(crate) type Found = (Vec<Arc<OpenBase>>, Arc<Work>);

/// One search for bases and their bases. What was found once is not looked for again, so the work does
/// not grow with the number of ways through the chains.
struct Search<'a> {
    bases: &'a Bases,
    limits: &'a Limits,
    observer: &'a dyn Observer,
    found: HashMap<[u8; 32], Arc<OpenBase>>,
    work: Arc<Work>,
}

impl<'a> Search<'a> {
    fn new(
        bases: &'a Bases,
        limits: &'a Limits,
        work: Arc<Work>,
        observer: &'a dyn Observer,
    ) -> Search<'a> {
        Search { bases, limits, observer, found: HashMap::new(), work }
    }

    /// `chain` holds the originals of the files that lead here, no more than [`MAX_DEPTH`].
    fn find_all(
        &mut self,
        wanted: &[Base],
        chain: &mut Vec<[u8; 32]>,
    ) -> Result<Vec<Arc<OpenBase>>> {
        wanted.iter().map(|base| self.find(base, chain)).collect()
    }

    fn find(&mut self, wanted: &Base, chain: &mut Vec<[u8; 32]>) -> Result<Arc<OpenBase>> {
        let known = self.found.get(&wanted.blake3);
        if let Some(found) = known.filter(|found| found.base.len == wanted.len) {
            let found = Arc::clone(found);
            check_depth(chain.len() + found.depth - 1)?;
            return Ok(found);
        }
        let candidate = self.candidate(wanted)?;
        let found = self.open(&candidate, chain)?;
        self.found.insert(wanted.blake3, Arc::clone(&found));
        Ok(found)
    }

    /// A plain file that is the base, or else a `.wcodec` file of it.
    fn candidate(&self, wanted: &Base) -> Result<Arc<Candidate>> {
        let (mut coded, mut wrong) = (None, None);
        let given = self.bases.given.iter().map(|candidate| Ok(Arc::clone(candidate)));
        let in_folders = self.bases.folders.iter().flat_map(|folder| likely(folder, wanted));
        let in_folders = in_folders.map(|path| Candidate::open(&path).map(Arc::new));
        for (number, candidate) in given.chain(in_folders).enumerate() {
            let is_given = number < self.bases.given.len();
            // Whatever lies in a folder may be unreadable or damaged.
            let matches = candidate.and_then(|c| Ok((self.matches(&c, wanted)?, c)));
            match matches {
                Ok((Match::Plain, candidate)) => return Ok(candidate),
                Ok((Match::Coded, candidate)) => {
                    coded.get_or_insert(candidate);
                }
                Ok((Match::Content, candidate)) => {
                    wrong.get_or_insert(candidate);
                }
                Ok((Match::No, _)) => {}
                Err(error) if is_given || matches!(error.kind(), ErrorKind::Interrupted) => {
                    return Err(error);
                }
                Err(_) => {}
            }
        }
        coded.ok_or_else(|| missing(wanted, wrong.as_deref()))
    }

    fn matches(&self, candidate: &Candidate, wanted: &Base) -> Result<Match> {
        let found = candidate.reader(self.limits).and_then(|reader| match reader {
            Some(reader) if reader.original_blake3() == wanted.blake3 => {
                Ok(if reader.original_len() == wanted.len { Match::Coded } else { Match::No })
            }
            // What counts of a `.wcodec` file is its original.
            Some(_) => Ok(Match::No),
            None if candidate.source.size()? != wanted.len => Ok(Match::No),
            None if candidate.hash(self.observer)? == wanted.blake3 => Ok(Match::Plain),
            None => Ok(Match::Content),
        });
        found.map_err(|error| candidate.place(error))
    }

    /// Opens a candidate, and its own bases if it is a `.wcodec` file.
    fn open(&mut self, candidate: &Candidate, chain: &mut Vec<[u8; 32]>) -> Result<Arc<OpenBase>> {
        let place = |error| candidate.place(error);
        check_depth(chain.len())?;
        let (name, path) = (candidate.name.clone(), candidate.path.clone());
        let Some(mut reader) = candidate.reader(self.limits).map_err(place)? else {
            let len = candidate.source.size().map_err(|e| place(e.into()))?;
            let blake3 = candidate.hash(self.observer).map_err(place)?;
            let base = Base { blake3, len, name };
            let content = Content::Plain(Arc::clone(&candidate.source));
            return Ok(Arc::new(OpenBase::new(base, (1, path), content)));
        };
        let blake3 = reader.original_blake3();
        if chain.contains(&blake3) {
            let text = format!("the bases form a cycle through {name:?}");
            return Err(place(ErrorKind::Base(text).into()));
        }
        chain.push(blake3);
        let bases = self.find_all(&reader.bases().cloned().collect::<Vec<_>>(), chain);
        chain.pop();
        let bases = bases?;
        let depth = 1 + bases.iter().map(|base| base.depth).max().unwrap_or(0);
        reader.become_base(bases, Arc::clone(&self.work));
        let name = name.strip_suffix(".wcodec").unwrap_or(&name).to_owned();
        let base = Base { blake3, len: reader.original_len(), name };
        let content = Content::Coded(Box::new(reader));
        Ok(Arc::new(OpenBase::new(base, (depth, path), content)))
    }
}

/// What a candidate is to a base.
enum Match {
    Plain,
    Coded,
    /// As long, but with other content.
    Content,
    No,
}

fn check_depth(depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Error::limit("length of a chain of bases", depth as u64, MAX_DEPTH as u64));
    }
    Ok(())
}

fn missing(wanted: &Base, wrong: Option<&Candidate>) -> Error {
    let Base { len, name, .. } = wanted;
    let hex = wanted.hex();
    let mut text = format!("base {name:?} of {len} bytes, BLAKE3 {hex}, is missing");
    if let Some(Candidate { name, .. }) = wrong {
        text += &format!("; {name:?} is as long, but another file");
    }
    ErrorKind::Base(text).into()
}

/// The files of a folder that may be a base, those with its name first.
fn likely(folder: &Path, wanted: &Base) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<(bool, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let stem = name.strip_suffix(".wcodec");
            let named = stem.unwrap_or(&name) == wanted.name;
            let meta = std::fs::metadata(entry.path()).ok().filter(std::fs::Metadata::is_file)?;
            let fits = stem.is_some() || meta.len() == wanted.len;
            fits.then(|| (!named, entry.path()))
        })
        .collect();
    paths.sort();
    paths.into_iter().map(|(_, path)| path).collect()
}
