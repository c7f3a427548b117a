//! What differs between two folders, file by file.

use super::side::Side;
use super::{Diff, compare};
use crate::container::entries::{Entry, path_order};
use crate::container::footer::SourceKind;
use crate::container::read_at::ReadAt;
use crate::container::reader::work::Work;
use crate::error::{Error, Result};
use crate::file::{open_file, open_regular};
use crate::folder::part::Part;
use crate::folder::tree::decoded_name;
use crate::folder::walk::{Found, walk};
use crate::limits::Limits;
use crate::options::{DecodeOptions, Observer, go_on, with_threads};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A file of either folder, or a folder in it that holds nothing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FileDiff {
    /// Where it is; that of the original of a `.wcodec` file that was decoded.
    pub path: String,
    /// Whether it is in A.
    pub in_a: bool,
    /// Whether it is in B.
    pub in_b: bool,
    /// Whether it is an empty folder.
    pub folder: bool,
    /// Whether both or neither may be executed, if both are there.
    pub executable_same: bool,
    /// What differs; of what is in one folder only, the difference to a file without bytes.
    pub diff: Diff,
}

impl FileDiff {
    /// Whether both folders have it, and nothing of it differs.
    #[must_use]
    pub fn identical(&self) -> bool {
        self.in_a && self.in_b && self.executable_same && self.diff.identical()
    }
}

/// How two folders differ.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FolderDiff {
    /// The files of both, in the order of their paths.
    pub files: Vec<FileDiff>,
    /// Wall-clock time of the call.
    pub elapsed: Duration,
}

impl FolderDiff {
    /// Whether both have the same files and empty folders.
    #[must_use]
    pub fn identical(&self) -> bool {
        self.files.iter().all(FileDiff::identical)
    }

    /// About what encoding each file of B with that of A as its base gives, in bytes.
    #[must_use]
    pub fn expected_bytes(&self) -> u64 {
        let files = self.files.iter().map(|file| file.diff.expected_bytes());
        files.fold(0, u64::saturating_add)
    }
}

/// Whether [`diff_folders`] is what compares these paths: one of them is a folder, or both are archives.
#[must_use]
pub fn are_folders(a: &Path, b: &Path, limits: &Limits) -> bool {
    let is_archive = |path: &Path| {
        let reader = open_file(path, limits);
        reader.is_ok_and(|reader| reader.source_kind() == SourceKind::Archive)
    };
    a.is_dir() || b.is_dir() || (is_archive(a) && is_archive(b))
}

/// Compares two folders file by file, and each as [`diff_files`](super::diff_files) does. Files belong together by their paths. Either folder may be an archive,
/// or have `.wcodec` files instead of some of its files, as [`encode_folder`](crate::encode_folder) leaves them: their originals then count, unless
/// the original lies beside them. Symbolic links are followed.
///
/// Of `options`, limits, bases and threads count; the files of both folders are bases too.
///
/// # Errors
/// If neither a folder nor an archive is given, or a folder has something that
/// [`encode_archive`](crate::encode_archive) refuses, or else as [`diff_files`](super::diff_files).
pub fn diff_folders(
    a: &Path,
    b: &Path,
    options: &DecodeOptions,
    observer: &dyn Observer,
) -> Result<FolderDiff> {
    let started = Instant::now();
    let files = with_threads(options.threads, || {
        let work = Arc::<Work>::default();
        work.allow(0);
        let file =
            |path: &Path| if path.is_dir() { Ok(None) } else { open_regular(path).map(Some) };
        let (of_a, of_b) = (file(a)?, file(b)?);
        let mut options = options.clone();
        let listed = [(a, &of_a), (b, &of_b)].map(|(path, file)| match file {
            None => walk(path, None).map(Some),
            Some(_) => {
                options.bases.add_file(path)?;
                Ok(None)
            }
        });
        let [a_found, b_found] = listed;
        let (a_found, b_found) = (a_found?, b_found?);
        let all = [&a_found, &b_found].into_iter().flatten().flatten();
        let places: BTreeSet<&Path> = all.filter_map(|found| found.place.parent()).collect();
        places.into_iter().for_each(|folder| options.bases.add_folder(folder));
        let with = (&options, &work);
        let a = Root::of((a, of_a.as_ref()), a_found, with, observer)?;
        let b = Root::of((b, of_b.as_ref()), b_found, with, observer)?;
        Pairs { a: &a, b: &b }.compare(with, observer)
    })?;
    Ok(FolderDiff { files, elapsed: started.elapsed() })
}

/// A folder, or what an archive holds.
enum Root<'a> {
    Folder(Vec<Found>),
    Archive { whole: Side<'a>, files: Vec<Side<'a>> },
}

/// A file of it.
struct Item<'a> {
    path: &'a str,
    /// What it is called when it is decoded, or its path if it is not.
    name: &'a str,
    bytes: u64,
    executable: bool,
    folder: bool,
}

impl<'a> Root<'a> {
    fn of(
        (path, file): (&'a Path, Option<&'a File>),
        found: Option<Vec<Found>>,
        with: (&DecodeOptions, &Arc<Work>),
        observer: &dyn Observer,
    ) -> Result<Root<'a>> {
        let Some(file) = file else { return Ok(Root::Folder(found.unwrap_or_default())) };
        let whole = Side::open((path, file), with, observer)?;
        if whole.kind != SourceKind::Archive {
            let text = "a single file, which is not compared with a folder";
            return Err(Error::argument(text).in_file(path));
        }
        let files = whole.files();
        Ok(Root::Archive { whole, files })
    }

    fn items(&self) -> Vec<Item<'_>> {
        let Root::Folder(found) = self else { return self.archived() };
        let mut items: Vec<Item<'_>> = found.iter().map(Item::of).collect();
        // Several suffixes behind each other are those of files that were encoded as often.
        let mut order: Vec<usize> = (0..items.len()).collect();
        order.sort_by_key(|&number| items[number].path.len());
        let mut taken = HashSet::new();
        for number in order {
            let item = &mut items[number];
            let decoded = decoded_name(item.path).filter(|_| !item.folder);
            item.name = decoded.filter(|name| !taken.contains(name)).unwrap_or(item.path);
            taken.insert(item.name);
        }
        items
    }

    /// Files of an archive are what they are.
    fn archived(&self) -> Vec<Item<'_>> {
        let Root::Archive { whole, .. } = self else { return Vec::new() };
        whole.entries.iter().map(Item::archived).collect()
    }
}

impl<'a> Item<'a> {
    fn of(found: &'a Found) -> Item<'a> {
        let Found { path, bytes, executable, .. } = found;
        let folder = found.is_folder();
        Item { path, name: path, bytes: *bytes, executable: *executable, folder }
    }

    fn archived(entry: &'a Entry) -> Item<'a> {
        let Entry { path, bytes, executable, .. } = entry;
        let folder = entry.is_folder();
        Item { path, name: path, bytes: *bytes, executable: *executable, folder }
    }

    fn choose(&self, number: usize) -> Chosen {
        Chosen { number, coded: self.name != self.path }
    }
}

/// The number of a file, and whether it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Chosen {
    number: usize,
    coded: bool,
}

/// Files of both that belong together.
type Pair = (Option<Chosen>, Option<Chosen>);

struct Pairs<'a> {
    a: &'a Root<'a>,
    b: &'a Root<'a>,
}

impl Pairs<'_> {
    fn compare(
        &self,
        with: (&DecodeOptions, &Arc<Work>),
        observer: &dyn Observer,
    ) -> Result<Vec<FileDiff>> {
        let (of_a, of_b) = (self.a.items(), self.b.items());
        let pairs: Vec<_> = pair(&of_a, &of_b)
            .into_iter()
            .map(|(path, (a, b))| {
                let (item_a, item_b) = (a.map(|a| &of_a[a.number]), b.map(|b| &of_b[b.number]));
                let bytes = [item_a, item_b].into_iter().flatten().map(|item| item.bytes);
                (path, bytes.sum::<u64>(), (a, b), (item_a, item_b))
            })
            .collect();
        let mut files = Vec::with_capacity(pairs.len());
        let parts = Part::in_turn(observer, pairs.iter().map(|pair| (pair.0, pair.1)));
        for (&(path, _, (a, b), (item_a, item_b)), part) in pairs.iter().zip(parts) {
            go_on(observer)?;
            let diff = compare_files((self.a, a), (self.b, b), with, &part)?;
            let executable = |item: Option<&Item<'_>>| item.is_some_and(|item| item.executable);
            files.push(FileDiff {
                path: path.to_owned(),
                in_a: a.is_some(),
                in_b: b.is_some(),
                folder: item_a.or(item_b).is_some_and(|item| item.folder),
                executable_same: executable(item_a) == executable(item_b),
                diff,
            });
        }
        Ok(files)
    }
}

/// A file of a root, if there is one.
type Which<'a> = (&'a Root<'a>, Option<Chosen>);

fn compare_files(
    a: Which<'_>,
    b: Which<'_>,
    with: (&DecodeOptions, &Arc<Work>),
    part: &Part<'_>,
) -> Result<Diff> {
    let started = Instant::now();
    let (file_a, file_b) = (opened(a)?, opened(b)?);
    let side_a = side(a, file_a.as_ref(), with, part.observer)?;
    let side_b = side(b, file_b.as_ref(), with, part.observer)?;
    let mut diff = compare::compare(&side_a, &side_b, part)?;
    for found in [found(a), found(b)].into_iter().flatten() {
        found.check_now()?;
    }
    diff.elapsed = started.elapsed();
    Ok(diff)
}

/// A file in a folder.
fn found<'a>((root, chosen): Which<'a>) -> Option<&'a Found> {
    match root {
        Root::Folder(found) => found.get(chosen?.number).filter(|found| !found.is_folder()),
        Root::Archive { .. } => None,
    }
}

fn opened(which: Which<'_>) -> Result<Option<File>> {
    found(which).map(Found::open).transpose()
}

fn side<'a>(
    which: Which<'a>,
    file: Option<&'a File>,
    with: (&DecodeOptions, &Arc<Work>),
    observer: &dyn Observer,
) -> Result<Side<'a>> {
    const NOTHING: &&[u8] = &[].as_slice();
    let (root, chosen) = which;
    if let (Root::Archive { files, .. }, Some(Chosen { number, .. })) = (root, chosen) {
        let file = files.get(number).cloned();
        return file.ok_or_else(|| Error::argument(format!("no file {number} in the archive")));
    }
    let path = found(which).map_or(Path::new(""), |found| &found.place);
    let source: &dyn ReadAt = match file {
        Some(file) => file,
        None => NOTHING,
    };
    match chosen {
        Some(Chosen { coded: true, .. }) => Side::open((path, source), with, observer),
        _ => Side::open_plain((path, source), observer),
    }
}

/// The files that belong together, in the order of their paths: those of the same name, then those of which one is called, when
/// it is decoded, as the other one is when it is not.
fn pair<'a>(a: &[Item<'a>], b: &[Item<'a>]) -> Vec<(&'a str, Pair)> {
    let mut pairs: Vec<(&str, Pair)> = Vec::new();
    let numbered = |items: &[Item<'a>]| (0..items.len()).collect::<BTreeSet<usize>>();
    let (mut left_a, mut left_b) = (numbered(a), numbered(b));
    let as_it_is = |number: usize| Some(Chosen { number, coded: false });
    let by_name = index(a, &left_a, |item| item.name);
    for (number, item) in b.iter().enumerate() {
        if let Some(&partner) = by_name.get(&(item.name, item.folder)) {
            let of_a = Some(a[partner].choose(partner));
            pairs.push((item.name, (of_a, Some(item.choose(number)))));
            left_a.remove(&partner);
            left_b.remove(&number);
        }
    }
    let (by_name, by_path) =
        (index(a, &left_a, |item| item.name), index(a, &left_a, |item| item.path));
    for number in std::mem::take(&mut left_b) {
        let item = &b[number];
        let free = |partner: &&usize| left_a.contains(*partner);
        let named = by_name.get(&(item.path, item.folder)).filter(free);
        let (path, pair) = if let Some(&partner) = named {
            left_a.remove(&partner);
            (item.path, (Some(a[partner].choose(partner)), as_it_is(number)))
        } else if let Some(&partner) = by_path.get(&(item.name, item.folder)).filter(free) {
            left_a.remove(&partner);
            (item.name, (as_it_is(partner), Some(item.choose(number))))
        } else {
            (item.name, (None, Some(item.choose(number))))
        };
        pairs.push((path, pair));
    }
    let only_a = |number: usize| (a[number].name, (Some(a[number].choose(number)), None));
    pairs.extend(left_a.into_iter().map(only_a));
    // An empty folder of one may be a file of the other.
    pairs.sort_by(|x, y| path_order(x.0, y.0).then(x.1.cmp(&y.1)));
    pairs
}

/// The numbers of some files by what each is called, and whether it is a folder.
fn index<'a>(
    items: &[Item<'a>],
    numbers: &BTreeSet<usize>,
    name: impl Fn(&Item<'a>) -> &'a str,
) -> HashMap<(&'a str, bool), usize> {
    let key = |&number: &usize| ((name(&items[number]), items[number].folder), number);
    numbers.iter().map(key).collect()
}
