//! The library's totals as `wcodec.Stats`.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use wcodec::{Predictor, Stats};

/// Builds a `wcodec.Stats`, which is written in Python.
pub(crate) fn to_python<'py>(py: Python<'py>, stats: &Stats) -> PyResult<Bound<'py, PyAny>> {
    let tiles = PyDict::new(py);
    for (predictor, count) in Predictor::ALL.iter().zip(stats.tiles_by_predictor) {
        tiles.set_item(predictor.name(), count)?;
    }
    let fields = PyDict::new(py);
    fields.set_item("original_bytes", stats.original_bytes)?;
    fields.set_item("coded_bytes", stats.coded_bytes)?;
    fields.set_item("elements", stats.elements)?;
    fields.set_item("blocks", stats.blocks)?;
    fields.set_item("tiles", stats.tiles)?;
    fields.set_item("tiles_by_predictor", tiles)?;
    fields.set_item("scaled_elements", stats.scaled_elements)?;
    fields.set_item("predicted_elements", stats.predicted_elements)?;
    fields.set_item("base_elements", stats.base_elements)?;
    fields.set_item("base_class_elements", stats.base_class_elements)?;
    fields.set_item("copied_elements", stats.copied_elements)?;
    fields.set_item("table_bytes", stats.table_bytes)?;
    fields.set_item("map_bytes", stats.map_bytes)?;
    fields.set_item("seconds", stats.elapsed.as_secs_f64())?;
    py.import("wcodec._stats")?.getattr("Stats")?.call((), Some(&fields))
}
