//! What differs between two checkpoints, layer by layer.
//!
//! Of folders, [`folders`] finds the files that belong together.
//! [`pairs`] finds the layers that belong together: by name, then by what they look like. Pieces of them
//! are read ([`side`]) and compared side by side ([`work`]); how often each byte of the elements and of
//! their differences occurs is counted ([`tally`]), and its entropy tells how much of a layer is new
//! ([`compare`]).

mod compare;
mod folders;
mod pairs;
mod side;
mod tally;
mod work;

use crate::container::footer::SourceKind;
use crate::container::read_at::ReadAt;
use crate::container::reader::work::Work;
use crate::error::Result;
use crate::file::open_regular;
use crate::layer::Layer;
use crate::options::{DecodeOptions, Observer, with_threads};
pub use folders::{FileDiff, FolderDiff, are_folders, diff_folders};
use side::Side;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wcodec_kernels::Prediction;

/// What a layer of one file is to its partner in the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Relation {
    /// No element differs.
    Identical,
    /// The difference takes at least 0.5 % less than the layer alone, or no more than half of the
    /// elements differ.
    Similar,
    /// Partners in all but their elements.
    Unrelated,
    /// Of the same name, but of another shape or dtype.
    OtherForm,
    /// Without a partner in B.
    OnlyInA,
    /// Without a partner in A.
    OnlyInB,
}

impl Relation {
    /// Every relation.
    pub const ALL: [Relation; 6] = [
        Relation::Identical,
        Relation::Similar,
        Relation::Unrelated,
        Relation::OtherForm,
        Relation::OnlyInA,
        Relation::OnlyInB,
    ];

    /// The name used in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Relation::Identical => "identical",
            Relation::Similar => "similar",
            Relation::Unrelated => "unrelated",
            Relation::OtherForm => "other_form",
            Relation::OnlyInA => "only_in_a",
            Relation::OnlyInB => "only_in_b",
        }
    }
}

/// A layer of B and its partner in A, or a layer that has none.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LayerDiff {
    /// The layer of A; at least one of both is there.
    pub a: Option<Layer>,
    /// The layer of B.
    pub b: Option<Layer>,
    /// What they are to each other.
    pub relation: Relation,
    /// Elements that were compared. Of GGUF's block types these are all codes of the blocks, scales and
    /// mins among them; of dtypes that the codec does not know, bytes. 0 if the layers cannot be compared.
    pub compared: u64,
    /// Elements among them that do not have the same bits.
    pub changed: u64,
    /// How the difference is the smallest: in steps of the type's order, or by XOR.
    pub prediction: Prediction,
    /// Whether the highest bit of A's elements is inverted for that: int8 against uint8.
    pub flipped: bool,
    /// About what the difference takes, in bits: the entropies of its bytes, and tables. 0 of identical
    /// layers, and of those that cannot be compared.
    pub difference_bits: f64,
    /// About what the layer of B takes alone, in bytes, told in the same way; 0 if there is none.
    pub alone_bytes: u64,
    /// About what it takes with A as the base of B, in bytes.
    pub expected_bytes: u64,
}

impl LayerDiff {
    /// The layer of B, or that of A if there is none in B.
    #[must_use]
    pub fn layer(&self) -> Option<&Layer> {
        self.b.as_ref().or(self.a.as_ref())
    }

    /// Whether the partners have different names.
    #[must_use]
    pub fn renamed(&self) -> bool {
        self.a.as_ref().zip(self.b.as_ref()).is_some_and(|(a, b)| a.name != b.name)
    }

    /// Bits of the difference by element, from 0 to a little over those of an element; `None` if nothing was compared.
    #[must_use]
    pub fn bits_per_weight(&self) -> Option<f64> {
        let elements = self.b.as_ref().and_then(Layer::elements).filter(|&n| n > 0)?;
        (self.compared > 0).then(|| self.difference_bits / elements as f64)
    }

    /// Share of the elements that differ, from 0 to 1; `None` if nothing was compared.
    #[must_use]
    pub fn changed_share(&self) -> Option<f64> {
        (self.compared > 0).then(|| self.changed as f64 / self.compared as f64)
    }
}

/// One of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiffFile {
    /// What its original is.
    pub source: SourceKind,
    /// Bytes of its original.
    pub original_bytes: u64,
    /// Those of them that belong to no layer: headers, metadata, padding.
    pub outside_bytes: u64,
    /// Layers.
    pub layers: u64,
}

/// How two files differ.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Diff {
    /// The first file.
    pub a: DiffFile,
    /// The second one.
    pub b: DiffFile,
    /// The layers of B in their order in the file, then those only in A in theirs.
    pub layers: Vec<LayerDiff>,
    /// Whether the bytes outside of layers are the same and, of archives, the paths and lengths of their files,
    /// whether these may be executed, and empty folders.
    pub outside_same: bool,
    /// About what the bytes of B outside of layers take, in bytes.
    pub outside_expected_bytes: u64,
    /// Wall-clock time of the call.
    pub elapsed: Duration,
}

impl Diff {
    /// Whether all layers are identical under the same names and, of files of the same kind or without
    /// layers, the bytes outside of layers too.
    #[must_use]
    pub fn identical(&self) -> bool {
        let same = |layer: &LayerDiff| layer.relation == Relation::Identical && !layer.renamed();
        let comparable = self.a.source == self.b.source || self.layers.is_empty();
        self.layers.iter().all(same) && (self.outside_same || !comparable)
    }

    /// About what encoding B with A as its base gives, in bytes.
    #[must_use]
    pub fn expected_bytes(&self) -> u64 {
        let layers = self.layers.iter().map(|layer| layer.expected_bytes);
        layers.fold(self.outside_expected_bytes, u64::saturating_add)
    }
}

/// Compares two files: safetensors, GGUF, npy, ONNX, PyTorch, or a `.wcodec` file, whose original then
/// counts. Each comes with a path that names it in errors. Elements are compared bit by bit: a NaN equals
/// itself, and 0 is not -0.
///
/// Layers belong together by name if shape and dtype agree, and else by samples of their elements. int8 and
/// uint8 agree if their elements are shifted by 128.
///
/// Of `options`, limits, bases and threads count.
///
/// # Errors
/// If a file cannot be read, is a damaged `.wcodec` file or one beyond the limits, a base of it is missing,
/// or the observer stops the call.
///
/// # Examples
/// ```
/// use std::path::Path;
/// use wcodec::{DecodeOptions, ElementType, EncodeOptions, Layer, Relation, diff, encode_layer};
///
/// let layer = Layer::new("weight", ElementType::U8, vec![64, 64]);
/// let before: Vec<u8> = (0..4096u32).map(|i| (i * i % 251) as u8).collect();
/// let mut after = before.clone();
/// after[100] += 1;
/// let a = encode_layer(&before, &layer, &EncodeOptions::default())?.0;
/// let b = encode_layer(&after, &layer, &EncodeOptions::default())?.0;
/// let (a, b) = ((Path::new("a"), &a as _), (Path::new("b"), &b as _));
/// let diff = diff(a, b, &DecodeOptions::default(), &())?;
/// assert!(!diff.identical());
/// assert_eq!((diff.layers[0].relation, diff.layers[0].changed), (Relation::Similar, 1));
/// # Ok::<(), wcodec::Error>(())
/// ```
pub fn diff(
    a: (&Path, &dyn ReadAt),
    b: (&Path, &dyn ReadAt),
    options: &DecodeOptions,
    observer: &dyn Observer,
) -> Result<Diff> {
    let started = Instant::now();
    let mut diff = with_threads(options.threads, || {
        let work = Arc::<Work>::default();
        work.allow(0);
        let a = Side::open(a, (options, &work), observer)?;
        let b = Side::open(b, (options, &work), observer)?;
        compare::compare(&a, &b, observer)
    })?;
    diff.elapsed = started.elapsed();
    Ok(diff)
}

/// As [`diff`], of two files by their paths.
///
/// # Errors
/// As [`diff`].
pub fn diff_files(
    a: &Path,
    b: &Path,
    options: &DecodeOptions,
    observer: &dyn Observer,
) -> Result<Diff> {
    diff((a, &open_regular(a)?), (b, &open_regular(b)?), options, observer)
}
