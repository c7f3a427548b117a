//! Whole files and single layers: what most callers need.

use crate::base::matching::Partners;
use crate::container::commit::{AtomicFile, check_kept};
use crate::container::footer::SourceKind;
use crate::container::output::OutputFile;
use crate::container::read_at::ReadAt;
use crate::container::reader::Reader;
use crate::encoder::{self, Cut};
use crate::error::{Error, ErrorKind, Result};
use crate::layer::Layer;
use crate::limits::Limits;
use crate::options::{DecodeOptions, EncodeOptions, Observer, Quiet, with_threads};
use crate::source::{self, Listing, Located};
use crate::stamp::Stamp;
use crate::stats::{DecodeStats, EncodeStats};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

/// Where a container is made: it can be read back and begun again.
pub(crate) trait Target: Write + ReadAt {
    fn clear(&mut self) -> std::io::Result<()>;
}

impl Target for OutputFile {
    fn clear(&mut self) -> std::io::Result<()> {
        OutputFile::clear(self)
    }
}

impl Target for Vec<u8> {
    fn clear(&mut self) -> std::io::Result<()> {
        Vec::clear(self);
        Ok(())
    }
}

/// Largest container for a single file of this size; the encoder falls back to storing bytes as
/// they are before it exceeds this. Archives may have 512 bytes and twice the path more for each of their files.
#[must_use]
pub fn max_encoded_len(original: u64) -> u64 {
    original + original / 1000 + 4096
}

/// What an entry of an archive may take beside its bytes and its path: its records, and a block.
const ENTRY_BYTES: u64 = 512;

/// Gathers records and padding; blocks are larger and pass it by.
const WRITE_BUFFER: usize = 16 << 10;

/// Encodes what was found in `source` into an empty target.
pub(crate) fn encode_listed<T: Target + Send>(
    source: &impl ReadAt,
    listing: &Listing,
    target: &mut T,
    options: &EncodeOptions,
    observer: &dyn Observer,
) -> Result<EncodeStats> {
    let started = Instant::now();
    options.check()?;
    with_threads(options.threads, || {
        let partners = Partners::find(source, listing, options, observer)?;
        let mut run = |cut: Cut| {
            target.clear()?;
            let out = BufWriter::with_capacity(WRITE_BUFFER, &mut *target);
            encoder::encode(source, listing, cut, out, &partners, options, observer)
        };
        // Blocks or layers may be so many and small that their records outweigh them, or exceed
        // what a reader takes: the next cut has fewer.
        let cuts = [Cut::Layers, Cut::Bytes, Cut::Opaque];
        // What was encoded as a layer stays one.
        let cuts = if listing.kind == SourceKind::Layer { &cuts[..2] } else { &cuts };
        let entries = listing.entries.iter().map(|entry| ENTRY_BYTES + 2 * entry.path.len() as u64);
        let entries: u64 = entries.sum();
        let mut result = run(cuts[0]);
        for &cut in &cuts[1..] {
            let fits = match &result {
                Ok(stats) => {
                    let (coded, original) = (stats.coded_bytes, stats.original_bytes);
                    let readable = Limits::default().check_original(coded, original);
                    coded <= max_encoded_len(original) + entries && readable.is_ok()
                }
                Err(error) => !matches!(error.kind(), ErrorKind::Limit { .. }),
            };
            if fits {
                break;
            }
            if let Err(error) = &result {
                observer.warn(&format!("{error}; fewer parts are told apart"));
            }
            result = run(cut);
        }
        let mut stats = result?;
        if options.verify {
            let (limits, quiet) = (Limits::unlimited(), Quiet(observer));
            let reader = Reader::open_observed(&*target, &limits, &options.bases, &quiet)?;
            reader.verify(&quiet)?;
        }
        // Their hashes are stored; some of their bytes were read later.
        options.bases.check_unchanged()?;
        stats.elapsed = started.elapsed();
        Ok(stats)
    })
}

fn encode_found<T: Target + Send>(
    path: &Path,
    source: &impl ReadAt,
    target: &mut T,
    options: &EncodeOptions,
    observer: &dyn Observer,
) -> Result<EncodeStats> {
    let before = Stamp::of_source(source)?;
    let (listing, warning) = source::list_named(path, source)?;
    if let Some(warning) = warning {
        observer.warn(&warning);
    }
    let stats = encode_listed(source, &listing, target, options, observer)?;
    // Some bytes are read more than once.
    before.check(&Stamp::of_source(source)?)?;
    Ok(stats)
}

/// Encodes a file. The output appears under its name only when it is complete, synced and, unless
/// switched off, verified by decoding it. On Unix it has the input's permission bits.
///
/// # Errors
/// If a file cannot be read or written, the input was changed meanwhile, an option does not fit, the observer stops the call, or
/// verification fails.
pub fn encode_file(
    input: &Path,
    output: &Path,
    options: &EncodeOptions,
    observer: &dyn Observer,
) -> Result<EncodeStats> {
    let source = open_regular(input)?;
    check_input(input, output)?;
    options.bases.check_output(output)?;
    let mut file = AtomicFile::create_like(output, options.force, &source)?;
    let stats = encode_to((input, &source), file.file(), options, observer)?;
    file.commit()?;
    Ok(stats)
}

/// Encodes what the source holds into an empty file that can be read back, as [`encode_file`] does
/// between two paths. The path is what errors of reading call the source, and what it is by its ending. For pipes: spool the
/// input, encode, copy the result.
///
/// # Errors
/// As [`encode_file`].
pub fn encode_to(
    (path, source): (&Path, &impl ReadAt),
    output: &mut OutputFile,
    options: &EncodeOptions,
    observer: &dyn Observer,
) -> Result<EncodeStats> {
    encode_found(path, source, output, options, observer).map_err(|e| e.in_file(path))
}

/// Encodes a file that lies in memory.
///
/// # Errors
/// If an option does not fit, the observer stops the call, or verification fails.
pub fn encode_bytes(
    original: &[u8],
    options: &EncodeOptions,
    observer: &dyn Observer,
) -> Result<(Vec<u8>, EncodeStats)> {
    let mut out = Vec::with_capacity(original.len());
    let stats = encode_bytes_into(original, &mut out, options, observer)?;
    Ok((out, stats))
}

/// As [`encode_bytes`], into memory that is used again. What `out` held is lost.
///
/// # Errors
/// As [`encode_bytes`].
pub fn encode_bytes_into(
    original: &[u8],
    out: &mut Vec<u8>,
    options: &EncodeOptions,
    observer: &dyn Observer,
) -> Result<EncodeStats> {
    encode_found(Path::new(""), &original, out, options, observer)
}

/// Encodes one layer into a `.wcodec` file of its own. [`max_encoded_len`] bounds it if name and
/// shape take less than 3 KiB.
///
/// # Errors
/// If `data` does not have the layer's size, an option does not fit, or verification fails.
///
/// # Examples
/// ```
/// use wcodec::{ElementType, EncodeOptions, Layer, decode_layer, encode_layer};
///
/// let layer = Layer::new("weight", ElementType::I8, vec![64, 64]);
/// let data: Vec<u8> = (0..64 * 64).map(|i| (i % 7) as u8).collect();
/// let (coded, stats) = encode_layer(&data, &layer, &EncodeOptions::default())?;
/// assert!(stats.ratio() < 0.6);
/// assert_eq!(decode_layer(&coded)?, (layer, data));
/// # Ok::<(), wcodec::Error>(())
/// ```
pub fn encode_layer(
    data: &[u8],
    layer: &Layer,
    options: &EncodeOptions,
) -> Result<(Vec<u8>, EncodeStats)> {
    encode_layer_from(&data, layer, options, &())
}

/// As [`encode_layer`], with data that any source gives, and an observer.
///
/// # Errors
/// As [`encode_layer`], or if reading fails or the observer stops the call.
pub fn encode_layer_from(
    source: &impl ReadAt,
    layer: &Layer,
    options: &EncodeOptions,
    observer: &dyn Observer,
) -> Result<(Vec<u8>, EncodeStats)> {
    layer.check_len(source.size()?)?;
    let layers = vec![Located { layer: layer.clone(), at: 0, structs: None }];
    let listing = Listing::new(SourceKind::Layer, layers);
    let mut out = Vec::new();
    let stats = encode_listed(source, &listing, &mut out, options, observer)?;
    Ok((out, stats))
}

fn open_layer(coded: &[u8]) -> Result<Reader<&[u8]>> {
    let reader = Reader::open(coded, &Limits::default())?;
    let layers = reader.layers().len();
    match layers {
        1 => Ok(reader),
        n => Err(Error::argument(format!("the file holds {n} layers, expected 1"))),
    }
}

/// Decodes what [`encode_layer`] made.
///
/// # Errors
/// If `coded` is not a `.wcodec` file of one layer, is damaged, or exceeds [`Limits::default`].
pub fn decode_layer(coded: &[u8]) -> Result<(Layer, Vec<u8>)> {
    let reader = open_layer(coded)?;
    let data = reader.decode_layer(0)?;
    let layer = reader.layers().next().cloned();
    layer.map(|layer| (layer, data)).ok_or_else(|| Error::argument("the file holds no layer"))
}

/// Decodes what [`encode_layer`] made into memory of the right size. After an error `out` is all
/// zero.
///
/// # Errors
/// As [`decode_layer`], or if `out` has another size than the layer.
pub fn decode_layer_into(coded: &[u8], out: &mut [u8]) -> Result<DecodeStats> {
    let result = open_layer(coded).and_then(|reader| reader.decode_layer_into(0, out));
    if result.is_err() {
        out.fill(0);
    }
    result
}

/// Restores the original file, byte for byte. The output appears under its name only when it is
/// complete, checked against all hashes and synced. On Unix it has the input's permission bits.
///
/// # Errors
/// If a file cannot be read or written, the input is not a sound `.wcodec` file within the
/// limits, or the observer stops the call.
pub fn decode_file(
    input: &Path,
    output: &Path,
    options: &DecodeOptions,
    observer: &dyn Observer,
) -> Result<DecodeStats> {
    let source = open_regular(input)?;
    check_input(input, output)?;
    let mut file = AtomicFile::create_like(output, options.force, &source)?;
    let stats = decode_to(&source, file.file(), options, observer).map_err(|e| e.in_file(input))?;
    file.commit()?;
    Ok(stats)
}

/// Restores the original of a `.wcodec` file that `source` holds into an empty file. What was written
/// before an error is not the original. Archives are refused: [`decode_archive`](crate::decode_archive) restores their files.
///
/// # Errors
/// As [`decode_file`].
pub fn decode_to(
    source: &impl ReadAt,
    out: &mut OutputFile,
    options: &DecodeOptions,
    observer: &dyn Observer,
) -> Result<DecodeStats> {
    let started = Instant::now();
    with_threads(options.threads, || {
        let (limits, bases) = (&options.limits, &options.bases);
        let reader = Reader::open_observed(source, limits, bases, observer)?;
        if reader.source_kind() == SourceKind::Archive {
            return Err(Error::argument("an archive; it is decoded into a folder"));
        }
        out.reserve(reader.original_len())?;
        let mut stats = reader.restore(out, observer)?;
        stats.elapsed = started.elapsed();
        Ok(stats)
    })
}

/// Checks every hash of the `.wcodec` file that `source` holds by decoding it.
///
/// # Errors
/// As [`decode_file`]; the error names the damaged layer and block.
pub fn verify(
    source: &impl ReadAt,
    options: &DecodeOptions,
    observer: &dyn Observer,
) -> Result<DecodeStats> {
    let started = Instant::now();
    with_threads(options.threads, || {
        let (limits, bases) = (&options.limits, &options.bases);
        let reader = Reader::open_observed(source, limits, bases, observer)?;
        let mut stats = reader.verify(observer)?;
        stats.elapsed = started.elapsed();
        Ok(stats)
    })
}

/// All damage of the `.wcodec` file that `source` holds, as [`Reader::find_damage`] tells of it.
///
/// # Errors
/// As [`decode_file`], if the file cannot even be opened.
pub fn find_damage(
    source: &impl ReadAt,
    options: &DecodeOptions,
    observer: &dyn Observer,
) -> Result<Vec<Error>> {
    with_threads(options.threads, || {
        let (limits, bases) = (&options.limits, &options.bases);
        Reader::open_observed(source, limits, bases, observer)?.find_damage(observer)
    })
}

/// Checks every hash of a file by decoding it.
///
/// # Errors
/// As [`decode_file`]; the error names the damaged layer and block.
pub fn verify_file(
    input: &Path,
    options: &DecodeOptions,
    observer: &dyn Observer,
) -> Result<DecodeStats> {
    verify(&open_regular(input)?, options, observer).map_err(|e| e.in_file(input))
}

/// Opens a `.wcodec` file for reading layers and slices.
///
/// # Errors
/// As [`Reader::open`].
pub fn open_file(input: &Path, limits: &Limits) -> Result<Reader<File>> {
    Reader::open(open_regular(input)?, limits).map_err(|e| e.in_file(input))
}

/// Fails if a file that appears as `output` would replace `input`.
///
/// # Errors
/// Then.
pub fn check_input(input: &Path, output: &Path) -> Result<()> {
    check_kept(output, [(input, "its own input")].into_iter())
}

/// Opens a file that can be read at positions. It waits for nothing: folders, pipes and devices are refused before they
/// are opened.
///
/// # Errors
/// If the file cannot be opened, is not a regular one, or holds more than its size tells, as those do that a system makes up.
pub fn open_regular(path: &Path) -> Result<File> {
    let open = || {
        let meta = std::fs::metadata(path)?;
        if !meta.is_file() {
            let what =
                if meta.is_dir() { "is a folder, expected a file" } else { "not a regular file" };
            return Err(Error::argument(what));
        }
        let file = File::open(path)?;
        let size = file.size()?;
        if file.read_exact_at(&mut [0], size).is_ok() {
            let text = format!("holds more than the {size} bytes that its size tells");
            return Err(std::io::Error::other(text).into());
        }
        Ok(file)
    };
    open().map_err(|e| e.in_file(path))
}
