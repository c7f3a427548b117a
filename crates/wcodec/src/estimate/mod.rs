//! What encoding a file would bring, told from samples in a few seconds.
//!
//! Every segment's order-0 bound is found on evenly spaced pieces. Some groups, drawn with a
//! probability that grows with their size, are encoded; how far they stay above or below the bound
//! tells what the others of their element type take. A file that is small enough is encoded as a
//! whole, so that its estimate is exact but for rounding.

mod elements;
mod folder;
mod sample;

use crate::base::matching::Partners;
use crate::container::directory::{LayerEntry, Segment};
use crate::container::footer::SourceKind;
use crate::container::read_at::ReadAt;
use crate::container::writer::ContainerWriter;
use crate::encoder::{self, Cut};
use crate::entropy::{cost, count};
use crate::error::Result;
use crate::file::max_encoded_len;
use crate::layer::Layer;
use crate::options::{EncodeOptions, Observer, Watch, with_threads};
use crate::planes::extract;
use crate::pool::Pool;
use crate::source::{self, Listing};
use crate::version::FORMAT_VERSION;
use crate::writer::{Job, PackingContexts};
use elements::Elements;
pub use folder::estimate_folder;
use rayon::prelude::*;
use sample::{Costs, choose, extrapolate};
use std::ops::AddAssign;
use std::path::Path;
use std::time::{Duration, Instant};
use wcodec_kernels::Level;

/// Bytes of groups that are encoded.
const ENCODED_BYTES: u64 = 96 << 20;
/// Bytes that are read for the order-0 bounds.
const READ_BYTES: u64 = 256 << 20;
/// Bytes of the original that a piece is read from, and most pieces of a segment, that a bound is found
/// on.
const PIECE_BYTES: u64 = 32 << 10;
/// A small field of structs has at least so many bytes in a piece.
const MIN_PIECE_BYTES: u64 = 2 << 10;
const MAX_PIECES: u64 = 32;
/// What saves less than this part of a layer or a file is not worth the trouble.
const WORTH: f64 = 0.01;

/// What a file or a layer would take.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Expected {
    /// Bytes of the original.
    pub original_bytes: u64,
    /// Bytes that they would take in the `.wcodec` file; of a whole file, everything counted.
    pub expected_bytes: u64,
    /// Bytes that an ideal coder would take that knows how often each byte of an element occurs in the
    /// layer, and nothing else; tables not counted.
    pub order0_bytes: u64,
    /// Bytes that scale classes save, part of the expected ones.
    pub classes_saved_bytes: u64,
    /// Bytes that predicted means and signs save, part of the expected ones.
    pub means_saved_bytes: u64,
}

impl Expected {
    /// Expected bytes by original bytes; 1 if there are none.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        match self.original_bytes {
            0 => 1.0,
            original => self.expected_bytes as f64 / original as f64,
        }
    }

    /// Whether encoding saves at least one part in a hundred.
    #[must_use]
    pub fn worth_it(&self) -> bool {
        self.ratio() <= 1.0 - WORTH
    }
}

impl AddAssign for Expected {
    fn add_assign(&mut self, other: Expected) {
        self.original_bytes += other.original_bytes;
        self.expected_bytes += other.expected_bytes;
        self.order0_bytes += other.order0_bytes;
        self.classes_saved_bytes += other.classes_saved_bytes;
        self.means_saved_bytes += other.means_saved_bytes;
    }
}

/// What encoding a file would bring.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Estimate {
    /// What the file is.
    pub source: SourceKind,
    /// The file as a whole.
    pub total: Expected,
    /// Its layers, in its order.
    pub layers: Vec<(Layer, Expected)>,
    /// Bytes of the original that were encoded to find out.
    pub sampled_bytes: u64,
    /// Wall-clock time of the call.
    pub elapsed: Duration,
}

/// Estimates what [`encode_to`](crate::encode_to) would make of the source, without bases. The
/// result is the same on every machine.
///
/// # Errors
/// If the source cannot be read, an option does not fit, or the observer stops the call.
pub fn estimate(
    (path, source): (&Path, &impl ReadAt),
    options: &EncodeOptions,
    observer: &dyn Observer,
) -> Result<Estimate> {
    let started = Instant::now();
    options.check()?;
    let estimate = || {
        let (listing, warning) = source::list_named(path, source)?;
        if let Some(warning) = warning {
            observer.warn(&warning);
        }
        estimate_listed(source, &listing, options, observer)
    };
    let mut estimate =
        with_threads(options.threads, estimate).map_err(|error| error.in_file(path))?;
    estimate.elapsed = started.elapsed();
    Ok(estimate)
}

fn estimate_listed(
    source: &impl ReadAt,
    listing: &Listing,
    options: &EncodeOptions,
    observer: &dyn Observer,
) -> Result<Estimate> {
    let size = source.size()?;
    let none = Partners::default();
    let plan = (&none, options);
    let directory = encoder::directory(source, listing, size, Cut::Layers, plan, observer)?;
    let is_copy = |segment: usize| directory.source_of(segment as u32).is_some();
    let level = Level::detect();
    let parts = directory.parts()?;
    let elements = Elements { source, directory: &directory, parts: &parts, level };
    let pieces = READ_BYTES / PIECE_BYTES / directory.segments.len().max(1) as u64;
    let pieces = pieces.clamp(1, MAX_PIECES);
    let bounds: Vec<f64> = directory
        .segments
        .par_iter()
        .enumerate()
        .map(|(number, segment)| order0_bytes(&elements, number, segment, pieces))
        .collect::<Result<_>>()?;

    let jobs = choose(&directory.segments, is_copy, ENCODED_BYTES);
    let size_of = |job: &Job| job.bytes.end - job.bytes.start;
    let chosen: u64 = jobs.iter().map(size_of).sum();
    let watch = Watch::new(observer, chosen);
    let pool = Pool::default();
    let encoded: Vec<(Job, Costs)> = jobs
        .into_par_iter()
        .map(|job| {
            watch.step(size_of(&job), || {
                let bytes = elements.read(job.segment, &job.bytes)?;
                let segment = &directory.segments[job.segment];
                let contexts = elements.contexts(job.segment)?;
                let elements = (&*bytes, contexts.as_ref().map(PackingContexts::group));
                let costs = Costs::of((&job, segment), elements, (level, &pool), options)?;
                Ok((job, costs))
            })
        })
        .collect::<Result<_>>()?;
    let mut segments = extrapolate(&directory.segments, &bounds, &encoded);
    for copy in &directory.copies {
        segments[copy.segment as usize] = Costs::default();
    }

    let container = ContainerWriter::new(std::io::sink(), FORMAT_VERSION.1)?.finish(
        &directory,
        listing.kind,
        size,
        [0; 32],
    )?;
    let mut total = expected(size, segments.iter().copied().sum(), bounds.iter().sum());
    total.expected_bytes = (total.expected_bytes + container).min(max_encoded_len(size));
    let layer = |entry: &LayerEntry| {
        let (layer, index) = (&entry.layer, entry.segment as usize);
        let packed = parts.packings_of(entry).iter().flat_map(|part| part.segments.clone());
        let packed = packed.map(|index| (segments[index], bounds[index]));
        if let Some((costs, bound)) = packed.reduce(|a, b| (a.0 + b.0, a.1 + b.1)) {
            return (layer.clone(), expected(layer.bytes, costs, bound));
        }
        // A small layer takes its share of the segment that it lies in.
        let whole = directory.segments[index].geometry.bytes().max(1);
        let share = layer.bytes as f64 / whole as f64;
        let costs = segments[index].scaled(share);
        (layer.clone(), expected(layer.bytes, costs, bounds[index] * share))
    };
    // Codes of packed bits take more bytes than in the original.
    let codes: u64 = directory.segments.iter().map(|segment| segment.geometry.bytes()).sum();
    let sampled = u128::from(size) * u128::from(chosen) / u128::from(codes.max(1));
    Ok(Estimate {
        source: listing.kind,
        total,
        layers: directory.layers.iter().map(layer).collect(),
        sampled_bytes: sampled as u64,
        elapsed: Duration::ZERO,
    })
}

fn expected(original_bytes: u64, costs: Costs, order0_bytes: f64) -> Expected {
    Expected {
        original_bytes,
        expected_bytes: costs.coded as u64,
        order0_bytes: order0_bytes as u64,
        classes_saved_bytes: costs.classes_saved() as u64,
        means_saved_bytes: costs.means_saved() as u64,
    }
}

/// The order-0 bound of a segment: the entropy of each byte of its elements, their transform applied,
/// on evenly spaced pieces.
fn order0_bytes(
    elements: &Elements<'_, impl ReadAt>,
    number: usize,
    segment: &Segment,
    pieces: u64,
) -> Result<f64> {
    let element = segment.geometry.element;
    let size = element.size() as u64;
    let bytes = segment.geometry.bytes();
    let mut counts = vec![[0u32; 256]; element.size()];
    let mut seen = 0;
    let most = elements.of_original(number, PIECE_BYTES).clamp(MIN_PIECE_BYTES, PIECE_BYTES);
    let (pieces, length) = match bytes > pieces * most {
        true => (pieces, most / size * size),
        false => (1, bytes),
    };
    for piece in 0..pieces {
        let at = (bytes - length) / pieces.saturating_sub(1).max(1) * piece / size * size;
        let data = elements.read(number, &(at..at + length))?;
        seen += length;
        for (byte, counts) in counts.iter_mut().enumerate() {
            let symbols = extract(elements.level, element, &data, 8 * byte as u32, 8);
            for (sum, found) in counts.iter_mut().zip(count(&symbols, 8)) {
                *sum += found;
            }
        }
    }
    let bits: u64 = counts.iter().map(|counts| cost::entropy(counts)).sum();
    let bits = bits as f64 / cost::BIT as f64;
    Ok(bits / 8.0 * bytes as f64 / seen.max(1) as f64)
}
