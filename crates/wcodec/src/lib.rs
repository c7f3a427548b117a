//! Lossless codec for neural-network weights.
//!
//! A checkpoint goes in, a smaller `.wcodec` file comes out, and the original comes back byte for
//! byte. Data goes one way through the modules, and the same way back: a `source` file becomes
//! layers (`layer`, `dtype`) and other bytes; `geometry` cuts them into blocks; `planes` splits
//! elements into fields; `predict` subtracts what the neighbouring tiles tell; `entropy` makes
//! frequency tables; `block` codes with interleaved rANS; `group` decides which blocks share
//! tables; `container` holds it all. docs/FORMAT.md describes the file, docs/DESIGN.md the reasons.
//!
//! # Examples
//! ```no_run
//! use std::path::Path;
//! use wcodec::{EncodeOptions, Limits, encode_file, open_file};
//!
//! let (input, output) = (Path::new("model.safetensors"), Path::new("model.safetensors.wcodec"));
//! encode_file(input, output, &EncodeOptions::default(), &())?;
//! let reader = open_file(output, &Limits::default())?;
//! let weight = reader.find("model.embed_tokens.weight").expect("the model has an embedding");
//! let rows = reader.decode_slice(weight, 100..110, 0..512)?;
//! # Ok::<(), wcodec::Error>(())
//! ```
#![forbid(unsafe_code)]

mod base;
mod block;
mod checksum;
mod container;
mod context;
mod copies;
mod dequantize;
mod diff;
mod dtype;
mod encoder;
mod entropy;
mod error;
mod estimate;
mod file;
mod folder;
mod frame;
mod geometry;
mod group;
mod layer;
mod limits;
mod lowbits;
mod options;
mod packing;
mod pivots;
mod planes;
mod pool;
mod predict;
mod scale;
mod source;
mod stamp;
mod stats;
mod version;
mod writer;

/// Inner parts, for the fuzz targets alone.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    /// Reads bytes as a table and as a side block; a table must be written as it was read.
    pub fn table(width: u32, bytes: &[u8]) {
        if let Ok((table, used)) = crate::entropy::table::Table::read(width, bytes) {
            let mut again = Vec::new();
            table.write(width, &mut again);
            assert_eq!(again, &bytes[..used]);
        }
        let level = wcodec_kernels::Level::detect();
        let minor = crate::FORMAT_VERSION.1;
        for (element, minor) in [(crate::ElementType::I8, minor), (crate::ElementType::Bf16, minor)]
        {
            let shape = crate::block::side::GroupShape { element, rows: 64, cols: 64, minor };
            let _ = crate::block::side::read(level, bytes, shape);
        }
    }

    /// Finds the layers of a file, which must lie in it one behind the other, and tells its kind.
    pub fn source(file: &impl crate::ReadAt) -> crate::SourceKind {
        let size = file.size().unwrap();
        let (listing, _) = crate::source::list(file).unwrap();
        let mut end = 0;
        let mut names = std::collections::HashSet::new();
        for crate::source::Located { layer, at, .. } in &listing.layers {
            assert!(*at >= end && at + layer.bytes <= size, "{layer:?} at {at}");
            end = at + layer.bytes;
            layer.check().unwrap();
            assert!(names.insert(&layer.name), "{layer:?} twice");
        }
        listing.kind
    }
}

pub use base::Base;
pub use base::bases::Bases;
pub use container::commit::AtomicFile;
pub use container::entries::Entry;
pub use container::footer::SourceKind;
pub use container::output::OutputFile;
pub use container::read_at::ReadAt;
pub use container::reader::{Reader, Span};
pub use dequantize::{block_size, dequantize};
pub use diff::{
    Diff, DiffFile, FileDiff, FolderDiff, LayerDiff, Relation, are_folders, diff, diff_files,
    diff_folders,
};
pub use dtype::ElementType;
pub use error::{Error, ErrorKind, Result};
pub use estimate::{Estimate, Expected, estimate, estimate_folder};
pub use file::{
    check_input, decode_file, decode_layer, decode_layer_into, decode_to, encode_bytes,
    encode_bytes_into, encode_file, encode_layer, encode_layer_from, encode_to, find_damage,
    max_encoded_len, open_file, open_regular, verify, verify_file,
};
pub use folder::{
    check_file_name, decode_archive, decode_archive_from, decode_folder, encode_archive,
    encode_archive_to, encode_folder, verify_folder,
};
pub use geometry::{Scan, TileConfig};
pub use layer::Layer;
pub use limits::Limits;
pub use options::{DecodeOptions, Effort, EncodeOptions, MAX_THREADS, Observer};
pub use predict::{Predictor, PredictorSet};
pub use source::{ggml_type, write_npy};
pub use stats::{DecodeStats, EncodeStats, Stats};
pub use version::FORMAT_VERSION;
pub use wcodec_kernels::Prediction;
pub use writer::Writer;
