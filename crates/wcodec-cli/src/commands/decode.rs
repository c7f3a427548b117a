//! `wcodec decode`.

use super::stream::{Input, Output, is_stream, output_path};
use crate::args::DecodeArgs;
use crate::report::{self, Done};
use crate::terminal::Terminal;
use std::path::{Path, PathBuf};
use std::time::Instant;
use wcodec::{DecodeOptions, Error, ErrorKind, Reader, Result, SourceKind, Stats};

pub(super) fn run(mut args: DecodeArgs) -> Result<()> {
    let mut options = DecodeOptions::default();
    options.threads = args.run.threads;
    options.limits = super::limits(&args.limits);
    options.bases = super::bases(&args.bases.bases, &args.bases.folders)?;
    options.force = args.force;
    if args.input.is_dir() {
        return folder(args, &options);
    }
    let output = output_path(&args.input, args.output.take(), |input| match &args.file {
        Some(path) => {
            let name = path.rsplit('/').next().unwrap_or(path);
            wcodec::check_file_name(name).map(|()| PathBuf::from(name))
        }
        None => without_suffix(input),
    })?;
    if !is_stream(&output) {
        wcodec::check_input(&args.input, &output)?;
    }
    let input = Input::open(&args.input)?;
    let reader = Reader::open(&input.file, &options.limits).map_err(|e| input.place(e))?;
    let archive = reader.source_kind() == SourceKind::Archive;
    // Signals are caught before there is anything that they could leave behind.
    let terminal = Terminal::new(args.run.quiet)?;
    match (args.file, archive) {
        (None, true) if is_stream(&output) => {
            let text =
                "an archive: name the folder to make with -o, or one of its files with --file";
            Err(refuse(text, &args.input))
        }
        (None, true) => {
            let decode = wcodec::decode_archive_from(&input.file, &output, &options, &terminal);
            let stats = decode.map_err(|e| input.place(e))?;
            terminal.finish();
            report::finished(Done::Decoded, (&output, &stats), args.run.json, false)
        }
        (Some(_), false) => Err(refuse("no archive, so it has no files", &args.input)),
        (path, _) => {
            let mut target = Output::create_like(&output, args.force, &input)?;
            let decode = match path {
                Some(path) => one_file(&input, &path, &mut target, &options, &terminal),
                None => wcodec::decode_to(&input.file, target.file(), &options, &terminal),
            };
            let stats = decode.map_err(|e| input.place(e))?;
            let to_stdout = target.is_stdout();
            target.commit(&terminal)?;
            terminal.finish();
            report::finished(Done::Decoded, (&output, &stats), args.run.json, to_stdout)
        }
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

/// One file of an archive.
fn one_file(
    input: &Input,
    path: &str,
    target: &mut Output,
    options: &DecodeOptions,
    terminal: &Terminal,
) -> Result<Stats> {
    let started = Instant::now();
    let reader = Reader::open_with(&input.file, &options.limits, &options.bases)?;
    let text = || ErrorKind::Argument(format!("no file {path:?} in the archive; info lists them"));
    let number = reader.find_file(path).ok_or_else(|| Error::from(text()))?;
    let mut stats = reader.restore_file(number, target.file(), terminal)?;
    stats.elapsed = started.elapsed();
    Ok(stats)
}

fn folder(args: DecodeArgs, options: &DecodeOptions) -> Result<()> {
    let text = "is a folder: name the one to make of it with -o";
    let output = args.output.ok_or_else(|| refuse(text, &args.input))?;
    let terminal = Terminal::new(args.run.quiet)?;
    let stats = wcodec::decode_folder(&args.input, &output, options, &terminal)
        .map_err(|e| e.in_file(&args.input))?;
    terminal.finish();
    report::finished(Done::Decoded, (&output, &stats), args.run.json, false)
}
