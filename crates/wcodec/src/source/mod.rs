//! A file as layers and other bytes.

mod gguf;
mod npy;
mod onnx;
mod pickle;
mod safetensors;
mod torch;
mod window;
mod wire;

pub(crate) use gguf::ggml_layout;
pub use gguf::ggml_type;
pub use npy::write_npy;

use crate::container::entries::Entry;
use crate::container::footer::SourceKind;
use crate::container::header;
use crate::container::read_at::{ReadAt, read};
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::packing::Structs;
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::Path;
use window::Window;

/// Layers of one file.
const MAX_LAYERS: usize = 1 << 18;
/// Bytes of a layer's name.
const MAX_NAME: u64 = 1 << 16;
/// Bytes of names that a file of any size may have.
const NAMES: u64 = 1 << 20;

/// A layer and where its bytes begin in the original.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    pub(crate) layer: Layer,
    pub(crate) at: u64,
    /// What its bytes consist of, if they are known to be structs.
    pub(crate) structs: Option<Structs>,
}

/// The layers of an original, sorted by position and not overlapping. Everything between them is
/// kept as it is.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    pub(crate) kind: SourceKind,
    pub(crate) layers: Vec<Located>,
    /// The files of an archive, and its empty folders; their hashes are not known yet.
    pub(crate) entries: Vec<Entry>,
}

impl Listing {
    /// The layers of a single file.
    pub(crate) fn new(kind: SourceKind, layers: Vec<Located>) -> Listing {
        Listing { kind, layers, entries: Vec::new() }
    }

    /// Where the files of an original of so many bytes are: all of it, and those of an archive.
    pub(crate) fn files(&self, size: u64) -> Vec<Range<u64>> {
        let mut end = 0;
        let files = self.entries.iter().filter(|entry| !entry.is_folder()).map(|entry| {
            end += entry.bytes;
            end - entry.bytes..end
        });
        let files: Vec<_> = files.collect();
        std::iter::once(0..size).chain(files).collect()
    }

    pub(crate) fn opaque() -> Listing {
        Listing::new(SourceKind::Opaque, Vec::new())
    }
}

/// Why layers were not found.
#[derive(Debug)]
enum Fault {
    Io(io::Error),
    /// The file breaks the rules of its format, or uses them in a way that is not known.
    Broken(String),
}

type Found<T> = std::result::Result<T, Fault>;

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

impl From<String> for Fault {
    fn from(reason: String) -> Fault {
        Fault::Broken(reason)
    }
}

/// Builds a [`Fault::Broken`] from a format string.
macro_rules! broken {
    ($($text:tt)*) => {
        $crate::source::Fault::Broken(format!($($text)*))
    };
}
use broken;

/// The listing of a format named `format`; broken files are opaque, with the reason as a warning.
fn settle(found: Found<Listing>, format: &str) -> Result<(Listing, Option<String>)> {
    match found {
        Ok(listing) => Ok((listing, None)),
        Err(Fault::Broken(reason)) => {
            let warning = format!("not a valid {format} file: {reason}; kept as opaque bytes");
            Ok((Listing::opaque(), Some(warning)))
        }
        Err(Fault::Io(error)) => Err(Error::from(error)),
    }
}

/// Finds the layers of a file by its content. A file that looks like a known format but breaks its
/// rules is opaque, and the reason is given for a warning.
pub(crate) fn list(source: &impl ReadAt) -> Result<(Listing, Option<String>)> {
    let size = source.size()?;
    let start = read(source, 0, size.min(16))?;
    if header::is_coded(&start) {
        let warning = "a .wcodec file already; encoded once more as opaque bytes";
        return Ok((Listing::opaque(), Some(warning.to_owned())));
    }
    if let Some(length) = safetensors::header_length(&start) {
        let listing = safetensors::header(source, size, length)
            .and_then(|header| Ok(safetensors::list(&header, size)?));
        return settle(listing, "safetensors");
    }
    let mut window = Window::new(source, size);
    if gguf::is_gguf(&start) {
        return gguf::list(&mut window).or_else(|fault| settle(Err(fault), "GGUF"));
    }
    if let Some(header) = npy::header(source, size, &start)? {
        return settle(npy::list(&header, size).map_err(Fault::from), "npy");
    }
    match torch::list(&mut window, &start) {
        Ok(Some(answer)) => return Ok(answer),
        Ok(None) => {}
        Err(fault) => return settle(Err(fault), "PyTorch"),
    }
    match onnx::looks_like(&mut window) {
        Ok(true) => settle(onnx::list(&mut window), "ONNX"),
        Ok(false) => Ok((Listing::opaque(), None)),
        Err(fault) => settle(Err(fault), "ONNX"),
    }
}

/// What files of these endings are by their names. Other endings are of several formats, or of none.
const ENDINGS: [(&str, &str); 6] = [
    ("safetensors", "safetensors"),
    ("gguf", "GGUF"),
    ("npy", "npy"),
    ("onnx", "ONNX"),
    ("pt", "PyTorch"),
    ("pth", "PyTorch"),
];

/// As [`list`], of a file with a name: if that tells of a format that the content is not, a warning does too.
pub(crate) fn list_named(path: &Path, source: &impl ReadAt) -> Result<(Listing, Option<String>)> {
    let (listing, warning) = list(source)?;
    let ending = path.extension().unwrap_or_default();
    let promised = ENDINGS.iter().find(|(of, _)| ending.eq_ignore_ascii_case(of));
    let warning = warning.or_else(|| match (listing.kind, promised) {
        (SourceKind::Opaque, Some((_, format))) => {
            Some(format!("not a {format} file, though called so; kept as opaque bytes"))
        }
        _ => None,
    });
    Ok((listing, warning))
}

/// Names that no other layer of the file has. Some are made from a few bytes of the file, so all
/// together are bounded by its size.
struct Names {
    /// How often each name was asked for.
    taken: HashMap<String, u32>,
    left: u64,
}

impl Names {
    fn new(size: u64) -> Names {
        Names { taken: HashMap::new(), left: size.saturating_add(NAMES) }
    }

    /// The name, or the name with the first number from 2 on that makes it another.
    fn take(&mut self, name: &str) -> Found<String> {
        let spend = (name.len() as u64).saturating_add(8);
        let left = self.left.checked_sub(spend);
        self.left = left.ok_or_else(|| broken!("names are longer than the file"))?;
        let mut unique = name.to_owned();
        while self.taken.contains_key(&unique) {
            let count = self.taken.entry(name.to_owned()).or_insert(0);
            *count += 1;
            unique = format!("{name}#{}", *count + 1);
        }
        self.taken.insert(unique.clone(), 0);
        Ok(unique)
    }
}

/// Sorts layers by position and refuses overlaps and bytes outside `data..size`.
fn arrange(
    mut layers: Vec<Located>,
    data: u64,
    size: u64,
) -> std::result::Result<Vec<Located>, String> {
    layers.sort_by_key(|a| (a.at, a.layer.bytes));
    let mut end = data;
    for Located { layer, at, .. } in &layers {
        let name = &layer.name;
        if *at < end {
            return Err(format!("tensor {name:?} overlaps what lies before it"));
        }
        end = at
            .checked_add(layer.bytes)
            .filter(|&end| end <= size)
            .ok_or_else(|| format!("tensor {name:?} ends behind the end of the file"))?;
    }
    Ok(layers)
}
