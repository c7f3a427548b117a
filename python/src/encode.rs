//! Writing `.wcodec` files.

use crate::call::call;
use crate::errors::to_python;
use crate::stats;
use crate::tensors::{self, Pieces, Tensor};
use numpy::PyReadonlyArray1;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::PathBuf;
use wcodec::{AtomicFile, Bases, Effort, ElementType, EncodeOptions, Layer, Predictor, TileConfig};

/// `wcodec._options.Options`.
#[derive(FromPyObject)]
pub(crate) struct Options {
    tile: (u16, u16),
    predictors: Option<Vec<String>>,
    threads: Option<usize>,
    verify: bool,
    effort: String,
    bases: Vec<PathBuf>,
}

impl Options {
    fn build(&self, py: Python<'_>) -> PyResult<EncodeOptions> {
        let mut options = EncodeOptions::default();
        options.tile = TileConfig { rows: self.tile.0, cols: self.tile.1 };
        if let Some(names) = &self.predictors {
            options.predictors = names.iter().map(|n| predictor(n)).collect::<PyResult<_>>()?;
        }
        options.threads = self.threads;
        options.verify = self.verify;
        let mut bases = Bases::from_env();
        let added = self.bases.iter().try_for_each(|path| bases.add_file(path));
        added.map_err(|e| to_python(py, &e))?;
        options.bases = bases;
        options.effort = match self.effort.as_str() {
            "fast" => Effort::Fast,
            "default" => Effort::Default,
            "max" => Effort::Max,
            other => {
                let text = format!("effort is {other:?}, expected 'fast', 'default' or 'max'");
                return Err(PyValueError::new_err(text));
            }
        };
        Ok(options)
    }
}

fn predictor(name: &str) -> PyResult<Predictor> {
    Predictor::from_name(name).ok_or_else(|| {
        let known: Vec<&str> = Predictor::ALL.iter().map(|p| p.name()).collect();
        let known = known.join(", ");
        PyValueError::new_err(format!("predictor_modes: {name:?} is none of {known}"))
    })
}

/// Encodes a file, or a folder as an archive.
#[pyfunction]
pub(crate) fn encode_checkpoint<'py>(
    py: Python<'py>,
    input: PathBuf,
    output: PathBuf,
    options: Options,
    overwrite: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut options = options.build(py)?;
    options.force = overwrite;
    let stats = call(py, None, progress, |observer| {
        if input.is_dir() {
            return wcodec::encode_archive(&input, &output, &options, observer);
        }
        wcodec::encode_file(&input, &output, &options, observer)
    })?;
    stats::to_python(py, &stats)
}

/// Encodes one layer; `dtype` in safetensors' spelling.
#[pyfunction]
pub(crate) fn encode_layer<'py>(
    py: Python<'py>,
    name: String,
    dtype: &str,
    shape: Vec<u64>,
    data: PyReadonlyArray1<'py, u8>,
    options: Options,
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyAny>)> {
    let options = options.build(py)?;
    let element = ElementType::from_name(dtype)
        .ok_or_else(|| PyValueError::new_err(format!("dtype {dtype} is not one of the codec's")))?;
    let layer = Layer::new(name, element, shape);
    let source = Pieces::new([bytes_of(&data)?]);
    let (coded, stats) = call(py, None, None, |observer| {
        wcodec::encode_layer_from(&source, &layer, &options, observer)
    })?;
    Ok((PyBytes::new(py, &coded), stats::to_python(py, &stats)?))
}

/// Encodes tensors as the safetensors file that they would make: to a file, which is replaced if there is one, or to
/// bytes without `output`.
#[pyfunction]
pub(crate) fn encode_tensors<'py>(
    py: Python<'py>,
    mut tensors: Vec<Tensor<'py>>,
    metadata: Option<Vec<(String, String)>>,
    output: Option<PathBuf>,
    options: Options,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let options = options.build(py)?;
    tensors::sort(&mut tensors);
    let header = tensors::header(&tensors, metadata.as_deref())?;
    let mut parts = vec![header.as_slice()];
    for (_, _, _, data) in &tensors {
        parts.push(bytes_of(data)?);
    }
    let source = Pieces::new(parts);
    if let Some(output) = output {
        call(py, Some(&output), None, |observer| {
            options.bases.check_output(&output)?;
            let mut file = AtomicFile::create(&output, true)?;
            let source = (output.as_path(), &source);
            wcodec::encode_to(source, file.file(), &options, observer)?;
            file.commit()
        })?;
        return Ok(None);
    }
    let coded = call(py, None, None, |observer| {
        Ok(wcodec::encode_bytes(&source.to_vec(), &options, observer)?.0)
    })?;
    Ok(Some(PyBytes::new(py, &coded)))
}

/// The memory of an array of bytes.
fn bytes_of<'a>(array: &'a PyReadonlyArray1<'_, u8>) -> PyResult<&'a [u8]> {
    array.as_slice().map_err(|e| PyValueError::new_err(e.to_string()))
}
