//! Reading `.wcodec` files.

use crate::call::call;
use crate::stats;
use numpy::PyReadwriteArray1;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use wcodec::{Bases, DecodeOptions, ErrorKind, Limits, ReadAt, SourceKind, Span};

/// Where the bytes of a `.wcodec` file are.
enum Source {
    File(File),
    Bytes(PyBackedBytes),
}

impl ReadAt for Source {
    fn size(&self) -> io::Result<u64> {
        match self {
            Source::File(file) => file.size(),
            Source::Bytes(bytes) => bytes.as_ref().size(),
        }
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        match self {
            Source::File(file) => file.read_exact_at(buffer, at),
            Source::Bytes(bytes) => bytes.as_ref().read_exact_at(buffer, at),
        }
    }

    fn in_memory(&self) -> Option<&[u8]> {
        match self {
            Source::File(_) => None,
            Source::Bytes(bytes) => Some(bytes),
        }
    }
}

pub(crate) fn limits(max_size: Option<u64>) -> Limits {
    let mut limits = Limits::default();
    limits.max_original = max_size;
    limits
}

/// Checkpoints among which bases are found, beside the folders of `WCODEC_BASE_PATH`: files, and folders.
pub(crate) fn bases(paths: &[PathBuf]) -> wcodec::Result<Bases> {
    let mut bases = Bases::from_env();
    for path in paths {
        if path.is_dir() {
            bases.add_folder(path);
        } else {
            bases.add_file(path)?;
        }
    }
    Ok(bases)
}

/// Opens a file with its bases; without them if none was given: much of a file can be told without.
fn open(
    source: Source,
    max: Option<u64>,
    given: &[PathBuf],
) -> wcodec::Result<wcodec::Reader<Source>> {
    let (limits, bases) = (limits(max), bases(given)?);
    let mut reader = wcodec::Reader::open(source, &limits)?;
    match reader.find_bases(&limits, &bases) {
        Err(error) if given.is_empty() && matches!(error.kind(), ErrorKind::Base(_)) => Ok(reader),
        found => found.map(|()| reader),
    }
}

/// An open `.wcodec` file. Any thread may use it, several at once too.
#[pyclass(frozen, module = "wcodec._wcodec")]
pub(crate) struct Reader {
    reader: wcodec::Reader<Source>,
    path: Option<PathBuf>,
}

impl Reader {
    fn new(
        py: Python<'_>,
        source: impl FnOnce() -> wcodec::Result<Source> + Send,
        path: Option<PathBuf>,
        max: Option<u64>,
        bases: &[PathBuf],
    ) -> PyResult<Reader> {
        let reader = call(py, path.as_deref(), None, |_| open(source()?, max, bases))?;
        Ok(Reader { reader, path })
    }
}

#[pymethods]
impl Reader {
    /// Opens a file.
    #[staticmethod]
    fn open(
        py: Python<'_>,
        path: PathBuf,
        max_size: Option<u64>,
        bases: Vec<PathBuf>,
    ) -> PyResult<Reader> {
        let file = || wcodec::open_regular(&path).map(Source::File);
        Reader::new(py, file, Some(path.clone()), max_size, &bases)
    }

    /// Opens a file that lies in memory; it is not copied.
    #[staticmethod]
    fn from_bytes(
        py: Python<'_>,
        data: PyBackedBytes,
        max_size: Option<u64>,
        bases: Vec<PathBuf>,
    ) -> PyResult<Reader> {
        Reader::new(py, || Ok(Source::Bytes(data)), None, max_size, &bases)
    }

    /// Name, dtype, shape and bytes of each layer, in the order of the file.
    fn layers(&self) -> Vec<(String, String, Vec<u64>, u64)> {
        let row = |l: &wcodec::Layer| (l.name.clone(), l.dtype.clone(), l.shape.clone(), l.bytes);
        self.reader.layers().map(row).collect()
    }

    /// Number and path of each file of an archive.
    fn files(&self) -> Vec<(usize, String)> {
        let files = self.reader.files().enumerate().filter(|(_, entry)| !entry.is_folder());
        files.map(|(number, entry)| (number, entry.path.clone())).collect()
    }

    /// The bytes of a file of an archive.
    fn read_file<'py>(&self, py: Python<'py>, file: usize) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = call(py, self.path.as_deref(), None, |observer| {
            let mut out = Vec::new();
            self.reader.restore_file(file, &mut out, observer)?;
            Ok(out)
        })?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// What the original was.
    #[getter]
    fn source(&self) -> &'static str {
        self.reader.source_kind().name()
    }

    /// Bytes of the original.
    #[getter]
    fn original_bytes(&self) -> u64 {
        self.reader.original_len()
    }

    /// Name, bytes and BLAKE3 of each base.
    fn bases(&self) -> Vec<(String, u64, [u8; 32])> {
        self.reader.bases().map(|base| (base.name.clone(), base.len, base.blake3)).collect()
    }

    /// Bytes of the `.wcodec` file.
    #[getter]
    fn coded_bytes(&self) -> u64 {
        self.reader.coded_len()
    }

    /// Number of blocks.
    #[getter]
    fn blocks(&self) -> u64 {
        self.reader.blocks()
    }

    /// BLAKE3 of the original.
    #[getter]
    fn blake3<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.reader.original_blake3())
    }

    /// Decodes layers, by number, each into an array of bytes of its size. Nothing else may touch
    /// the arrays meanwhile.
    fn decode_into<'py>(
        &self,
        py: Python<'py>,
        mut layers: Vec<(usize, PyReadwriteArray1<'py, u8>)>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let mut wanted = layers
            .iter_mut()
            .map(|(layer, array)| Ok((*layer, slice_of(array)?)))
            .collect::<PyResult<Vec<_>>>()?;
        call(py, self.path.as_deref(), progress, |observer| {
            self.reader.decode_layers_observed(&mut wanted, observer)
        })?;
        Ok(())
    }

    /// Decodes part of a layer: of each dimension so many indices, from a start, by a step.
    fn decode_part_into(
        &self,
        py: Python<'_>,
        layer: usize,
        spans: Vec<(u64, u64, u64)>,
        mut out: PyReadwriteArray1<'_, u8>,
    ) -> PyResult<()> {
        let span = |(start, count, step)| Span { start, count, step };
        let spans: Vec<Span> = spans.into_iter().map(span).collect();
        let out = slice_of(&mut out)?;
        call(py, self.path.as_deref(), None, |observer| {
            self.reader.decode_part_into(layer, &spans, out, observer)
        })?;
        Ok(())
    }

    /// Bytes of the original.
    fn decode_range<'py>(
        &self,
        py: Python<'py>,
        start: u64,
        stop: u64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let work = |_: &dyn wcodec::Observer| self.reader.decode_range(start..stop);
        Ok(PyBytes::new(py, &call(py, self.path.as_deref(), None, work)?))
    }

    /// What a layer takes in the file.
    fn layer_stats<'py>(&self, py: Python<'py>, layer: usize) -> PyResult<Bound<'py, PyAny>> {
        let stats = call(py, self.path.as_deref(), None, |_| self.reader.layer_stats(layer))?;
        stats::to_python(py, &stats)
    }

    /// Checks every hash by decoding everything.
    fn verify<'py>(
        &self,
        py: Python<'py>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let stats = call(py, self.path.as_deref(), progress, |observer| {
            let started = std::time::Instant::now();
            let mut stats = self.reader.verify(observer)?;
            stats.elapsed = started.elapsed();
            Ok(stats)
        })?;
        stats::to_python(py, &stats)
    }
}

/// The memory of an array of bytes.
fn slice_of<'a>(array: &'a mut PyReadwriteArray1<'_, u8>) -> PyResult<&'a mut [u8]> {
    array.as_slice_mut().map_err(|e| PyValueError::new_err(e.to_string()))
}

/// Restores the original file, or the folder that an archive holds.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "those of the function in Python")]
pub(crate) fn decode_checkpoint<'py>(
    py: Python<'py>,
    input: PathBuf,
    output: PathBuf,
    bases: Vec<PathBuf>,
    threads: Option<usize>,
    max_size: Option<u64>,
    overwrite: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut options = DecodeOptions::default();
    options.threads = threads;
    options.limits = limits(max_size);
    options.force = overwrite;
    let (input, output): (&Path, &Path) = (&input, &output);
    let stats = call(py, None, progress, |observer| {
        options.bases = self::bases(&bases)?;
        if wcodec::open_file(input, &options.limits)?.source_kind() == SourceKind::Archive {
            return wcodec::decode_archive(input, output, &options, observer);
        }
        wcodec::decode_file(input, output, &options, observer)
    })?;
    stats::to_python(py, &stats)
}
