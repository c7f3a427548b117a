//! `wcodec decode`.

use super::stream::{Input, Output, is_stream, output_path};
use crate::args::DecodeArgs;
use crate::report;
use crate::terminal::Terminal;
use std::path::{Path, PathBuf};
use std::time::Instant;
use wcodec::{DecodeOptions, Error, ErrorKind, ReadAt, Reader, Result, SourceKind};

pub(super) fn run(args: DecodeArgs) -> Result<()> {
    let mut options = DecodeOptions::default();
    options.threads = args.run.threads;
    options.limits = super::limits(&args.limits);
    options.bases = super::bases(&args.bases)?;
    options.force = args.force;
    if args.input.is_dir() {
        return folder(args, &options);
    }
    let input = Input::open(&args.input)?;
    let archive = is_archive(&input.file, &options).map_err(|e| input.place(e))?;
    match (&args.file, archive) {
        (Some(path), true) => {
            let path = path.clone();
            one_file(args, &input, &path, &options)
        }
        (None, true) => whole_archive(args, &input, &options),
        (Some(_), false) => Err(refuse("is no archive, so it has no files", &args.input)),
        (None, false) => file(args, &input, &options),
    }
}

fn refuse(text: &str, path: &Path) -> Error {
    Error::from(ErrorKind::Argument(text.to_owned())).in_file(path)
}

fn without_suffix(input: &Path) -> Result<PathBuf> {
    if input.extension().is_some_and(|e| e == "wcodec") {
        return Ok(input.with_extension(""));
    }
    Err(refuse("name does not end in .wcodec; name the output with -o", input))
}

fn is_archive(file: &impl ReadAt, options: &DecodeOptions) -> Result<bool> {
    Ok(Reader::open(file, &options.limits)?.source_kind() == SourceKind::Archive)
}

fn file(args: DecodeArgs, input: &Input, options: &DecodeOptions) -> Result<()> {
    let output = output_path(&args.input, args.output, without_suffix)?;
    // Signals are caught before there is anything that they could leave behind.
    let terminal = Terminal::new(args.run.quiet)?;
    let mut target = Output::create(&output, args.force)?;
    let stats = wcodec::decode_to(&input.file, target.file(), options, &terminal)
        .map_err(|e| input.place(e))?;
    terminal.finish();
    let to_stdout = target.is_stdout();
    target.commit()?;
    report::finished(&output, &stats, args.run.json, to_stdout)
}

/// One file of an archive.
fn one_file(args: DecodeArgs, input: &Input, path: &str, options: &DecodeOptions) -> Result<()> {
    let started = Instant::now();
    let name = |_: &Path| Ok(PathBuf::from(path.rsplit('/').next().unwrap_or(path)));
    let output = output_path(&args.input, args.output, name)?;
    let terminal = Terminal::new(args.run.quiet)?;
    let place = |e| input.place(e);
    let reader = Reader::open_with(&input.file, &options.limits, &options.bases).map_err(place)?;
    let text = || refuse(&format!("no file {path:?} in the archive; info lists them"), &args.input);
    let number = reader.find_file(path).ok_or_else(text)?;
    let mut target = Output::create(&output, args.force)?;
    let mut stats = reader.restore_file(number, target.file(), &terminal).map_err(place)?;
    stats.elapsed = started.elapsed();
    terminal.finish();
    let to_stdout = target.is_stdout();
    target.commit()?;
    report::finished(&output, &stats, args.run.json, to_stdout)
}

fn whole_archive(args: DecodeArgs, input: &Input, options: &DecodeOptions) -> Result<()> {
    let output = output_path(&args.input, args.output, without_suffix)?;
    if is_stream(&output) {
        let text =
            "is an archive: name the folder to make with -o, or one of its files with --file";
        return Err(refuse(text, &args.input));
    }
    let terminal = Terminal::new(args.run.quiet)?;
    let stats = wcodec::decode_archive_from(&input.file, &output, options, &terminal)
        .map_err(|e| input.place(e))?;
    terminal.finish();
    report::finished(&output, &stats, args.run.json, false)
}

fn folder(args: DecodeArgs, options: &DecodeOptions) -> Result<()> {
    let text = "is a folder: name the one to make of it with -o";
    let output = args.output.ok_or_else(|| refuse(text, &args.input))?;
    let terminal = Terminal::new(args.run.quiet)?;
    let stats = wcodec::decode_folder(&args.input, &output, options, &terminal)
        .map_err(|e| e.in_file(&args.input))?;
    terminal.finish();
    report::finished(&output, &stats, args.run.json, false)
}
