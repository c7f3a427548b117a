//! One file per command.

mod bench;
mod decode;
mod demo;
mod diff;
mod encode;
mod estimate;
mod extract;
mod info;
mod stream;
mod verify;

use crate::args::{Args, CodecArgs, Command, LimitArgs};
use clap::CommandFactory as _;
use std::path::PathBuf;
use wcodec::{Bases, EncodeOptions, Limits, Result};

/// Gives the exit code of a command that did not fail.
pub(crate) fn run(args: Args) -> Result<u8> {
    let done = match args.command {
        Command::Diff(args) => return diff::run(&args),
        Command::Verify(args) => return verify::run(&args),
        Command::Encode(args) => encode::run(args),
        Command::Estimate(args) => estimate::run(&args),
        Command::Decode(args) => decode::run(args),
        Command::Info(args) => info::run(&args),
        Command::Extract(args) => extract::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Demo => demo::run(),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "wcodec", &mut script);
            crate::report::print(String::from_utf8_lossy(&script).trim_end())
        }
    };
    done.map(|()| 0)
}

fn encode_options(codec: &CodecArgs) -> EncodeOptions {
    let mut options = EncodeOptions::default();
    options.effort = codec.effort.into();
    options.products = codec.products;
    options.tile = codec.tile;
    options.predictors = codec.predictors;
    options.block = codec.block;
    options.scan = codec.scan.map(Into::into);
    options
}

fn bases(files: &[PathBuf], folders: &[PathBuf]) -> Result<Bases> {
    let mut bases = Bases::from_env();
    files.iter().try_for_each(|path| bases.add_file(path))?;
    folders.iter().for_each(|folder| bases.add_folder(folder));
    Ok(bases)
}

fn limits(args: &LimitArgs) -> Limits {
    let mut limits = Limits::default();
    limits.max_original = args.max_size;
    limits
}
