//! `wcodec verify`.

use super::stream::Input;
use crate::args::VerifyArgs;
use crate::report;
use crate::terminal::Terminal;
use serde_json::{Value, json};
use wcodec::{DecodeOptions, DecodeStats, Error, ErrorKind, Result, Stats};

/// Gives the exit code: that of the first damaged file of a folder.
pub(super) fn run(args: &VerifyArgs) -> Result<u8> {
    let mut options = DecodeOptions::default();
    options.threads = args.run.threads;
    options.limits = super::limits(&args.limits);
    options.bases = super::bases(&args.bases.bases, &args.bases.folders)?;
    if args.input.is_dir() {
        return folder(args, &options);
    }
    let input = Input::open(&args.input)?;
    let terminal = Terminal::new(args.run.quiet)?;
    let stats = match wcodec::verify(&input.file, &options, &terminal) {
        Err(error) if error.is_damage() => {
            // Whatever the search may come to, this was found.
            let all = wcodec::find_damage(&input.file, &options, &terminal).ok();
            let all = all.filter(|all| !all.is_empty()).unwrap_or_else(|| vec![error]);
            terminal.finish();
            return damaged(&input, all, args);
        }
        result => result.map_err(|e| input.place(e))?,
    };
    terminal.finish();
    if args.run.json {
        let mut value = report::stats_json(&stats);
        value["sound"] = json!(true);
        report::print_json(&value)?;
    } else {
        let (name, blocks) = (report::name(&args.input), stats.blocks);
        report::print(&format!("{name}: sound, {blocks} blocks, all hashes match"))?;
    }
    Ok(0)
}

/// Tells of all that is damaged.
fn damaged(input: &Input, damage: Vec<Error>, args: &VerifyArgs) -> Result<u8> {
    let place = |error: &Error| {
        let (layer, block, byte) = (error.layer(), error.block(), error.byte());
        json!({ "layer": layer, "block": block, "byte": byte, "error": error.to_string() })
    };
    if args.run.json {
        let places: Vec<Value> = damage.iter().map(place).collect();
        report::print_json(&json!({ "sound": false, "damage": places }))?;
    }
    let count = damage.len();
    damage.into_iter().for_each(|error| report::error(&input.place(error)));
    let text = format!("damaged in {count} places");
    let total = input.place(ErrorKind::Corrupt(text).into());
    if count > 1 {
        report::error(&total);
    }
    Ok(crate::exit_code(&total))
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
                report::error(error);
                codes.push(crate::exit_code(error));
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
        report::print(&format!("{}: {found}", report::name(&args.input)))?;
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
