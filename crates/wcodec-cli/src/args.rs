//! What the command line accepts.

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use std::ops::Range;
use std::path::PathBuf;
use wcodec::{Effort, MAX_THREADS, Predictor, PredictorSet, Scan, TileConfig};

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    reading or writing failed
  2    an argument does not fit
  3    the file is not a wcodec file, or is damaged
  4    the file needs a newer wcodec, or more than the limits allow
  5    a base of the file is missing or was changed
  130  interrupted

`diff` tells by 1 that the files differ, and by 2 that reading failed.";

/// Lossless codec for neural-network weights
#[derive(Debug, Parser)]
#[command(name = "wcodec", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Encode a file or a folder; safetensors, GGUF, ONNX, PyTorch and npy by tensor, anything else as bytes
    Encode(EncodeArgs),
    /// Tell in a few seconds what encoding a file, or the files of a folder, would bring, from samples
    Estimate(EstimateArgs),
    /// Restore the original file or folder, byte for byte
    Decode(DecodeArgs),
    /// Show what a file holds
    Info(InfoArgs),
    /// Check every hash of a file, or of the files of a folder, by decoding it
    Verify(VerifyArgs),
    /// Show what differs between two files of any kind, or two folders, layer by layer; exit code 0 if nothing
    /// does, 1 if something does
    Diff(DiffArgs),
    /// Write one layer, or rows and columns of it, as npy; of GGUF's block types the blocks, as bytes
    Extract(ExtractArgs),
    /// Measure encoding and decoding in memory beside memcpy
    Bench(BenchArgs),
    /// Encode, verify and decode a small trained model that comes with the program
    Demo,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct EncodeArgs {
    /// File to encode, `-` for standard input; or a folder, each file of it
    pub(crate) input: PathBuf,
    /// File to write, `-` for standard output [default: INPUT.wcodec]; for a folder without --archive the
    /// folder to make
    #[arg(short, long)]
    pub(crate) output: Option<PathBuf>,
    /// Make one file of a folder, in which layers that several files have are stored once; a .wcodec file in
    /// it that the output replaces is left out
    #[arg(long)]
    pub(crate) archive: bool,
    #[command(flatten)]
    pub(crate) codec: CodecArgs,
    /// Checkpoint to predict from, itself or its .wcodec file, without which the output cannot be decoded then;
    /// may be given several times
    #[arg(long = "base", value_name = "PATH")]
    pub(crate) bases: Vec<PathBuf>,
    /// Folder in which bases are looked for that those of --base have in turn, beside those that WCODEC_BASE_PATH
    /// lists; may be given several times
    #[arg(long = "base-path", value_name = "FOLDER", requires = "bases")]
    pub(crate) folders: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Do not decode and compare what was written
    #[arg(long)]
    pub(crate) no_verify: bool,
    /// Replace an existing file, or an empty folder; write to a terminal
    #[arg(long)]
    pub(crate) force: bool,
}

/// What the encoder may do; the defaults are right for nearly everything.
#[derive(Debug, ClapArgs)]
pub(crate) struct CodecArgs {
    /// How much to try
    #[arg(long, value_enum, default_value = "default")]
    pub(crate) effort: EffortArg,
    /// Most products of a predicted mean, 0 to 32 [default: 4, or 32 with --effort max]
    #[arg(long, value_name = "N")]
    pub(crate) products: Option<usize>,
    /// Rows and columns of the tiles that share a predictor
    #[arg(long, value_name = "RxC", default_value = "16x16", value_parser = parse_tile)]
    pub(crate) tile: TileConfig,
    /// Predictors that tiles may take: none, left, top, avg, planar
    #[arg(
        long,
        value_name = "LIST",
        default_value = "none,left,top,avg,planar",
        value_parser = parse_predictors
    )]
    pub(crate) predictors: PredictorSet,
    /// Rows and columns of a block [default: 256x256 to 512x512, by the size of the layer]
    #[arg(long, value_name = "RxC", value_parser = parse_block)]
    pub(crate) block: Option<(u32, u32)>,
    /// Scan of every layer [default: chosen]
    #[arg(long)]
    pub(crate) scan: Option<ScanArg>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct EstimateArgs {
    /// File to look at, `-` for standard input; or a folder, each file of it
    pub(crate) input: PathBuf,
    /// Show every layer
    #[arg(long)]
    pub(crate) layers: bool,
    #[command(flatten)]
    pub(crate) codec: CodecArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum EffortArg {
    /// A frequency table for each block, or one for all
    Fast,
    /// Tables by the scale of rows and columns as well
    Default,
    /// The same, on all of the data instead of samples
    Max,
}

impl From<EffortArg> for Effort {
    fn from(effort: EffortArg) -> Effort {
        match effort {
            EffortArg::Fast => Effort::Fast,
            EffortArg::Default => Effort::Default,
            EffortArg::Max => Effort::Max,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ScanArg {
    Row,
    Column,
}

impl From<ScanArg> for Scan {
    fn from(scan: ScanArg) -> Scan {
        match scan {
            ScanArg::Row => Scan::Row,
            ScanArg::Column => Scan::Column,
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RunArgs {
    /// Threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub(crate) threads: Option<usize>,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Show no progress
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// Where the bases of files that are read are.
#[derive(Debug, ClapArgs)]
pub(crate) struct BaseArgs {
    /// Checkpoint that the file was predicted from, itself or its .wcodec file; may be given several times
    #[arg(long = "base", value_name = "PATH")]
    pub(crate) bases: Vec<PathBuf>,
    /// Folder in which bases are looked for, beside those that WCODEC_BASE_PATH lists; may be given
    /// several times
    #[arg(long = "base-path", value_name = "FOLDER")]
    pub(crate) folders: Vec<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LimitArgs {
    /// Largest original size to accept, in bytes; 10G and 10GiB are 10 x 2^30, 10GB is 10 x 10^9
    /// [default: 12000 times the file, or 1 GiB]
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub(crate) max_size: Option<u64>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DecodeArgs {
    /// File to decode, `-` for standard input; or a folder that encode made
    pub(crate) input: PathBuf,
    /// File to write, `-` for standard output, or folder to make [default: INPUT without .wcodec]
    #[arg(short, long)]
    pub(crate) output: Option<PathBuf>,
    /// Restore only this file of an archive; info lists them
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<String>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) bases: BaseArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    /// Replace an existing file, or an empty folder; write to a terminal
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct InfoArgs {
    /// File to look at, `-` for standard input
    #[arg(required_unless_present = "system")]
    pub(crate) input: Option<PathBuf>,
    /// Show what this machine offers instead: instruction sets, threads, versions
    #[arg(long, conflicts_with_all = ["input", "layers"])]
    pub(crate) system: bool,
    /// Show every layer
    #[arg(long)]
    pub(crate) layers: bool,
    /// Show what classes, means and tiles saved in each layer, by coding it without them as well
    #[arg(long, requires = "layers")]
    pub(crate) saved: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) bases: BaseArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct VerifyArgs {
    /// File to check, `-` for standard input; or folder that encode made, each .wcodec file of it
    pub(crate) input: PathBuf,
    #[command(flatten)]
    pub(crate) bases: BaseArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DiffArgs {
    /// File to compare with, of any kind or a .wcodec file, `-` for standard input; or a folder or an archive,
    /// each file of it
    pub(crate) a: PathBuf,
    /// What is compared; what it has and A does not is what counts
    pub(crate) b: PathBuf,
    /// Show every file and layer, identical ones too
    #[arg(long)]
    pub(crate) layers: bool,
    #[command(flatten)]
    pub(crate) bases: BaseArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ExtractArgs {
    /// File to read
    pub(crate) input: PathBuf,
    /// Name of the layer
    pub(crate) layer: String,
    /// Rows (first dimension), from A up to and not including B; without A from the first, without B to the last
    #[arg(long, value_name = "A:B", value_parser = parse_part)]
    pub(crate) rows: Option<Part>,
    /// Columns (all other dimensions), in the same way
    #[arg(long, value_name = "A:B", value_parser = parse_part)]
    pub(crate) cols: Option<Part>,
    /// Write the numbers that GGUF's blocks stand for, by ggml's definition, as 32-bit floats
    #[arg(long)]
    pub(crate) dequantize: bool,
    /// File to write, `-` for standard output [default: LAYER.npy, with _ for what is not for a file's name]
    #[arg(short, long)]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) bases: BaseArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    /// Replace an existing file; write to a terminal
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct BenchArgs {
    /// File to measure, `-` for standard input
    pub(crate) input: PathBuf,
    #[command(flatten)]
    pub(crate) codec: CodecArgs,
    /// Checkpoint to predict from, held in memory; may be given several times
    #[arg(long = "base", value_name = "PATH")]
    pub(crate) bases: Vec<PathBuf>,
    /// Numbers of threads to measure with
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "1", value_parser = parse_threads)]
    pub(crate) threads: Vec<usize>,
    /// Runs of each measurement; medians are shown
    #[arg(long, value_name = "N", default_value = "5", value_parser = parse_count)]
    pub(crate) runs: usize,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("expected at least 1".to_owned()),
        Ok(count) => Ok(count),
        Err(_) => Err("expected a number".to_owned()),
    }
}

fn parse_threads(text: &str) -> Result<usize, String> {
    match parse_count(text)? {
        threads if threads > MAX_THREADS => Err(format!("expected at most {MAX_THREADS}")),
        threads => Ok(threads),
    }
}

fn parse_pair<T: std::str::FromStr>(text: &str) -> Result<(T, T), String> {
    text.split_once(['x', 'X'])
        .and_then(|(rows, cols)| Some((rows.parse().ok()?, cols.parse().ok()?)))
        .ok_or_else(|| "expected ROWSxCOLUMNS, as in 16x16".to_owned())
}

fn parse_tile(text: &str) -> Result<TileConfig, String> {
    let (rows, cols) = parse_pair(text)?;
    if rows == 0 || cols == 0 {
        return Err("expected at least 1x1".to_owned());
    }
    Ok(TileConfig { rows, cols })
}

fn parse_block(text: &str) -> Result<(u32, u32), String> {
    parse_pair(text)
}

fn parse_predictors(text: &str) -> Result<PredictorSet, String> {
    let names = text.split(',').map(str::trim);
    let predictor = |name| {
        Predictor::from_name(name).ok_or_else(|| {
            format!("unknown predictor {name:?}, expected none, left, top, avg or planar")
        })
    };
    names.map(predictor).collect()
}

/// A part of some rows or columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    start: u64,
    /// `None` for that of the whole.
    end: Option<u64>,
}

impl Part {
    /// The rows or columns that these are of so many.
    pub(crate) fn of(self, all: u64) -> Range<u64> {
        self.start..self.end.unwrap_or(all)
    }
}

fn parse_part(text: &str) -> Result<Part, String> {
    let end = |text: &str| match text {
        "" => Some(None),
        text => text.parse().ok().map(Some),
    };
    text.split_once(':')
        .and_then(|(a, b)| Some(Part { start: end(a)?.unwrap_or(0), end: end(b)? }))
        .ok_or_else(|| "expected A:B, A: or :B, as in 0:128".to_owned())
}

fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.to_ascii_uppercase();
    let (letter, base) = match unit.strip_suffix("IB").or(unit.strip_suffix('B')) {
        None => (&*unit, 1024u64),
        Some(letter) if unit.ends_with("IB") => (letter, 1024),
        Some(letter) => (letter, 1000),
    };
    let power = ["", "K", "M", "G", "T"].into_iter().position(|known| known == letter);
    let power = power.filter(|&power| power > 0 || unit.is_empty() || unit == "B");
    let size = power.zip(number.parse::<u64>().ok());
    size.and_then(|(power, number)| number.checked_mul(base.checked_pow(power as u32)?))
        .ok_or_else(|| "expected a number of bytes, or one as in 500M, 10GiB or 10GB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }

    #[test]
    fn sizes_have_units() {
        let sizes = [
            ("1000", 1000),
            ("7B", 7),
            ("10k", 10 << 10),
            ("500M", 500 << 20),
            ("10G", 10 << 30),
            ("10gib", 10 << 30),
            ("10GB", 10_000_000_000),
            ("2TiB", 2 << 40),
        ];
        for (text, size) in sizes {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for bad in ["", "G", "-1", "1.5G", "1X", "1iB", "1GG", "1 G", "99999999999T"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn values_are_parsed_or_refused() {
        assert_eq!(parse_tile("1x300"), Ok(TileConfig { rows: 1, cols: 300 }));
        assert!(
            parse_tile("0x3").is_err() && parse_tile("3").is_err() && parse_tile("ax3").is_err()
        );
        let parts = ["3:9", "3:", ":9", ":"].map(|text| parse_part(text).unwrap().of(12));
        assert_eq!(parts, [3..9, 3..12, 0..9, 0..12]);
        for bad in ["3-9", "-3:9", "3", "", "3:9:1", "a:"] {
            assert!(parse_part(bad).is_err(), "{bad}");
        }
        assert_eq!(
            parse_predictors("top, avg").unwrap(),
            [Predictor::Top, Predictor::Average].into_iter().collect()
        );
        assert!(
            parse_predictors("sideways").unwrap_err().contains("unknown predictor \"sideways\"")
        );
    }
}
