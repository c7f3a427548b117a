//! `wcodec encode`.

use super::stream::{Input, Output, is_stream, output_path};
use crate::args::EncodeArgs;
use crate::report::{self, Done};
use crate::terminal::Terminal;
use std::path::{Path, PathBuf};
use wcodec::{EncodeOptions, Error, ErrorKind, Result};

pub(super) fn run(args: EncodeArgs) -> Result<()> {
    let mut options = super::encode_options(&args.codec);
    options.threads = args.run.threads;
    options.verify = !args.no_verify;
    options.bases = super::bases(&args.bases, &args.folders)?;
    match (args.input.is_dir(), args.archive) {
        (true, true) => archive(args, options),
        (true, false) => folder(args, options),
        (false, true) => Err(refuse("--archive is for folders", &args.input)),
        (false, false) => file(args, &options),
    }
}

fn refuse(text: &str, path: &Path) -> Error {
    Error::from(ErrorKind::Argument(text.to_owned())).in_file(path)
}

fn with_suffix(input: &Path) -> Result<PathBuf> {
    let name =
        input.file_name().ok_or_else(|| refuse("has no name; name the output with -o", input))?;
    let mut name = name.to_owned();
    name.push(".wcodec");
    Ok(input.with_file_name(name))
}

fn file(args: EncodeArgs, options: &EncodeOptions) -> Result<()> {
    let output = output_path(&args.input, args.output, with_suffix)?;
    if !is_stream(&output) {
        wcodec::check_input(&args.input, &output)?;
        options.bases.check_output(&output)?;
    }
    let input = Input::open(&args.input)?;
    // Signals are caught before there is anything that they could leave behind.
    let terminal = Terminal::new(args.run.quiet)?;
    let mut target = Output::create_like(&output, args.force, &input)?;
    let source = (&*input.name, &input.file);
    let stats = wcodec::encode_to(source, target.file(), options, &terminal)?;
    let to_stdout = target.is_stdout();
    target.commit(&terminal)?;
    terminal.finish();
    report::finished(Done::Encoded, (&output, &stats), args.run.json, to_stdout)
}

fn archive(args: EncodeArgs, mut options: EncodeOptions) -> Result<()> {
    let output = output_path(&args.input, args.output, with_suffix)?;
    options.force = args.force;
    let terminal = Terminal::new(args.run.quiet)?;
    let place = |e: Error| e.in_file(&args.input);
    if is_stream(&output) {
        let mut target = Output::create(&output, args.force)?;
        let encode = wcodec::encode_archive_to(&args.input, target.file(), &options, &terminal);
        let stats = encode.map_err(place)?;
        target.commit(&terminal)?;
        return report::finished(Done::Encoded, (&output, &stats), args.run.json, true);
    }
    // The output may lie in the folder, which is looked through before there is one.
    let encode = wcodec::encode_archive(&args.input, &output, &options, &terminal);
    let stats = encode.map_err(place)?;
    terminal.finish();
    report::finished(Done::Encoded, (&output, &stats), args.run.json, false)
}

fn folder(args: EncodeArgs, mut options: EncodeOptions) -> Result<()> {
    let text = "is a folder: name another one for its encoded files with -o, or make one file of it with --archive";
    let output = args.output.ok_or_else(|| refuse(text, &args.input))?;
    options.force = args.force;
    let terminal = Terminal::new(args.run.quiet)?;
    let stats = wcodec::encode_folder(&args.input, &output, &options, &terminal)
        .map_err(|e| e.in_file(&args.input))?;
    terminal.finish();
    report::finished(Done::Encoded, (&output, &stats), args.run.json, false)
}
