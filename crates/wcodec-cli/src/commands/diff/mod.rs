//! `wcodec diff`.
//!
//! [`text`] and [`json`] tell what was found, of two files and of the files of two folders.

mod json;
mod text;

use super::stream::{Input, is_stream};
use crate::args::DiffArgs;
use crate::report;
use crate::terminal::Terminal;
use wcodec::{
    Bases, DecodeOptions, Diff, ErrorKind, FolderDiff, Layer, LayerDiff, Relation, Result,
};

const IDENTICAL: u8 = 0;
const DIFFERENT: u8 = 1;

/// What was compared.
enum Found {
    Files(Diff),
    Folders(FolderDiff),
}

pub(super) fn run(args: &DiffArgs) -> Result<u8> {
    let mut options = DecodeOptions::default();
    options.threads = args.run.threads;
    options.limits = super::limits(&args.limits);
    options.bases = super::bases(&args.bases.bases, &args.bases.folders)?;
    let (a, b) = (args.a.as_path(), args.b.as_path());
    let found = if wcodec::are_folders(a, b, &options.limits) {
        let terminal = Terminal::new(args.run.quiet)?;
        Found::Folders(wcodec::diff_folders(a, b, &options, &terminal)?)
    } else {
        add_each_other(args, &mut options.bases)?;
        if is_stream(a) && is_stream(b) {
            return Err(ErrorKind::Argument("standard input twice".to_owned()).into());
        }
        let (a, b) = (Input::open(a)?, Input::open(b)?);
        // Signals are caught when there is nothing more to wait for.
        let terminal = Terminal::new(args.run.quiet)?;
        let (a, b) = ((&*a.name, &a.file as _), (&*b.name, &b.file as _));
        Found::Files(wcodec::diff(a, b, &options, &terminal)?)
    };
    let (printed, identical) = match &found {
        Found::Files(diff) => (
            match args.run.json {
                true => report::print_json(&json::files(diff)),
                false => report::print(&text::files(diff, args)),
            },
            diff.identical(),
        ),
        Found::Folders(diff) => (
            match args.run.json {
                true => report::print_json(&json::folders(diff)),
                false => report::print(&text::folders(diff, args)),
            },
            diff.identical(),
        ),
    };
    printed?;
    Ok(if identical { IDENTICAL } else { DIFFERENT })
}

/// Either file may be a base of the other.
fn add_each_other(args: &DiffArgs, bases: &mut Bases) -> Result<()> {
    let mut files = [&args.a, &args.b].into_iter().filter(|path| path.is_file());
    files.try_for_each(|path| bases.add_file(path))
}

/// Layers, and what differs in them.
#[derive(Clone, Copy, Default)]
struct Group {
    layers: u64,
    bytes: u64,
    compared: u64,
    changed: u64,
    elements: u64,
    bits: f64,
}

impl Group {
    fn of<'a>(layers: impl Iterator<Item = &'a LayerDiff>) -> Group {
        layers.fold(Group::default(), |mut group, diff| {
            group.layers += 1;
            group.bytes += diff.layer().map_or(0, |layer| layer.bytes);
            group.compared += diff.compared;
            group.changed += diff.changed;
            if diff.compared > 0 {
                group.elements += diff.layer().and_then(Layer::elements).unwrap_or(0);
                group.bits += diff.difference_bits;
            }
            group
        })
    }

    fn changed_share(&self) -> Option<f64> {
        (self.compared > 0).then(|| self.changed as f64 / self.compared as f64)
    }

    fn bits_per_weight(&self) -> Option<f64> {
        (self.elements > 0).then(|| self.bits / self.elements as f64)
    }
}

/// The layers by their relation.
fn groups<'a>(
    layers: impl Iterator<Item = &'a LayerDiff> + Clone,
) -> impl Iterator<Item = (Relation, Group)> {
    Relation::ALL.into_iter().map(move |relation| {
        let of = layers.clone().filter(move |layer| layer.relation == relation);
        (relation, Group::of(of))
    })
}

/// The layers of all files.
fn all_layers(diff: &FolderDiff) -> impl Iterator<Item = &LayerDiff> + Clone {
    diff.files.iter().flat_map(|file| &file.diff.layers)
}
