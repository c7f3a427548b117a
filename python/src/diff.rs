//! What differs between two checkpoints or folders.

use crate::call::call;
use crate::reader::{bases, limits};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::path::PathBuf;
use wcodec::{DecodeOptions, Diff, FolderDiff, Layer, LayerDiff, Prediction};

/// What was compared.
enum Found {
    Files(Diff),
    Folders(FolderDiff),
}

/// Compares two files, or the files of two folders, and gives a `wcodec.Diff`.
#[pyfunction]
pub(crate) fn diff<'py>(
    py: Python<'py>,
    a: PathBuf,
    b: PathBuf,
    bases: Vec<PathBuf>,
    threads: Option<usize>,
    max_size: Option<u64>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut options = DecodeOptions::default();
    options.threads = threads;
    options.limits = limits(max_size);
    let found = call(py, None, progress, |observer| {
        options.bases = self::bases(&bases)?;
        if wcodec::are_folders(&a, &b, &options.limits) {
            return wcodec::diff_folders(&a, &b, &options, observer).map(Found::Folders);
        }
        // Either may be a base of the other.
        [&a, &b].into_iter().try_for_each(|path| options.bases.add_file(path))?;
        wcodec::diff_files(&a, &b, &options, observer).map(Found::Files)
    })?;
    let module = py.import("wcodec._diff")?;
    let (files, identical, expected, elapsed) = match &found {
        Found::Files(diff) => {
            let place = Place { path: "", in_a: true, in_b: true, folder: false, executable: true };
            let file = file(&module, &place, diff.identical(), diff)?;
            (vec![file], diff.identical(), diff.expected_bytes(), diff.elapsed)
        }
        Found::Folders(diff) => {
            let files = diff.files.iter().map(|of| {
                let place = Place {
                    path: &of.path,
                    in_a: of.in_a,
                    in_b: of.in_b,
                    folder: of.folder,
                    executable: of.executable_same,
                };
                file(&module, &place, of.identical(), &of.diff)
            });
            let files = files.collect::<PyResult<Vec<_>>>()?;
            (files, diff.identical(), diff.expected_bytes(), diff.elapsed)
        }
    };
    let fields = PyDict::new(py);
    fields.set_item("files", PyTuple::new(py, files)?)?;
    fields.set_item("identical", identical)?;
    fields.set_item("expected_bytes", expected)?;
    fields.set_item("seconds", elapsed.as_secs_f64())?;
    module.getattr("Diff")?.call((), Some(&fields))
}

/// Where a file is, and whether it may be executed in both folders or in neither.
struct Place<'a> {
    path: &'a str,
    in_a: bool,
    in_b: bool,
    folder: bool,
    executable: bool,
}

fn file<'py>(
    module: &Bound<'py, PyModule>,
    place: &Place<'_>,
    identical: bool,
    diff: &Diff,
) -> PyResult<Bound<'py, PyAny>> {
    let py = module.py();
    let layers = diff.layers.iter().map(|diff| layer_diff(module, diff));
    let layers = layers.collect::<PyResult<Vec<_>>>()?;
    let fields = PyDict::new(py);
    fields.set_item("path", place.path)?;
    fields.set_item("in_a", place.in_a)?;
    fields.set_item("in_b", place.in_b)?;
    fields.set_item("is_folder", place.folder)?;
    fields.set_item("identical", identical)?;
    fields.set_item("executable_same", place.executable)?;
    fields.set_item("outside_same", diff.outside_same)?;
    fields.set_item("original_bytes", (diff.a.original_bytes, diff.b.original_bytes))?;
    fields.set_item("expected_bytes", diff.expected_bytes())?;
    fields.set_item("layers", PyTuple::new(py, layers)?)?;
    module.getattr("FileDiff")?.call((), Some(&fields))
}

fn layer_diff<'py>(module: &Bound<'py, PyModule>, diff: &LayerDiff) -> PyResult<Bound<'py, PyAny>> {
    let py = module.py();
    let layer = |layer: &Option<Layer>| -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(Layer { name, dtype, shape, bytes, .. }) = layer else { return Ok(None) };
        let shape = PyTuple::new(py, shape)?;
        module.getattr("Layer")?.call1((name, dtype, shape, bytes)).map(Some)
    };
    let prediction = match diff.prediction {
        Prediction::Difference => "difference",
        Prediction::Xor => "xor",
    };
    let fields = PyDict::new(py);
    fields.set_item("relation", diff.relation.name())?;
    fields.set_item("a", layer(&diff.a)?)?;
    fields.set_item("b", layer(&diff.b)?)?;
    fields.set_item("compared", diff.compared)?;
    fields.set_item("changed", diff.changed)?;
    fields.set_item("bits_per_weight", diff.bits_per_weight())?;
    fields.set_item("prediction", (diff.difference_bits > 0.0).then_some(prediction))?;
    fields.set_item("flipped", diff.flipped)?;
    fields.set_item("alone_bytes", diff.alone_bytes)?;
    fields.set_item("expected_bytes", diff.expected_bytes)?;
    module.getattr("LayerDiff")?.call((), Some(&fields))
}
