//! `wcodec verify`.

use super::stream::Input;
use crate::args::VerifyArgs;
use crate::report;
use crate::terminal::Terminal;
use serde_json::{Value, json};
use wcodec::{DecodeOptions, DecodeStats, Result, Stats};

/// Gives the exit code: that of the first damaged file of a folder.
pub(super) fn run(args: &VerifyArgs) -> Result<u8> {
    let mut options = DecodeOptions::default();
    options.threads = args.run.threads;
    options.limits = super::limits(&args.limits);
    options.bases = super::bases(&args.bases)?;
    if args.input.is_dir() {
        return folder(args, &options);
    }
    let input = Input::open(&args.input)?;
    let terminal = Terminal::new(args.run.quiet)?;
    let stats = wcodec::verify(&input.file, &options, &terminal).map_err(|e| input.place(e))?;
    terminal.finish();
    if args.run.json {
        report::print_json(&report::stats_json(&stats))?;
    } else {
        let (name, blocks) = (args.input.display(), stats.blocks);
        report::print(&format!("{name}: sound, {blocks} blocks, all hashes match"))?;
    }
    Ok(0)
}

fn folder(args: &VerifyArgs, options: &DecodeOptions) -> Result<u8> {
    let terminal = Terminal::new(args.run.quiet)?;
    let files = wcodec::verify_folder(&args.input, options, &terminal)?;
    terminal.finish();
    let mut sum = Stats::default();
    let mut codes = Vec::new();
    for (_, result) in &files {
        match result {
            Ok(stats) => sum += *stats,
            Err(error) => {
                report::tell(&format!("wcodec: {error}"));
                codes.push(crate::exit_code(error.kind()));
            }
        }
    }
    if args.run.json {
        let mut value = report::stats_json(&sum);
        value["sound"] = json!(codes.is_empty());
        value["files"] = files.iter().map(file_json).collect();
        report::print_json(&value)?;
    } else {
        let (count, blocks) = (files.len(), sum.blocks);
        let found = match codes.len() {
            0 => format!("sound, {count} files, {blocks} blocks, all hashes match"),
            failed => format!("{failed} of {count} files failed"),
        };
        report::print(&format!("{}: {found}", args.input.display()))?;
    }
    Ok(codes.first().copied().unwrap_or(0))
}

fn file_json((path, result): &(String, Result<DecodeStats>)) -> Value {
    let mut value = match result {
        Ok(stats) => report::stats_json(stats),
        Err(error) => json!({ "error": error.to_string() }),
    };
    value["path"] = json!(path);
    value["sound"] = json!(result.is_ok());
    value
}
