//! `wcodec extract`.

use super::stream::{Input, Output};
use crate::args::{ExtractArgs, Part};
use crate::report;
use crate::terminal::Terminal;
use std::fs::File;
use std::io::Write as _;
use std::ops::Range;
use std::path::PathBuf;
use wcodec::{ElementType, Error, ErrorKind, Layer, Reader, Result};

/// Bytes that are written before a signal is looked for.
const PIECE: usize = 1 << 20;

/// What is written.
struct Array {
    element: ElementType,
    shape: Vec<u64>,
    bytes: Vec<u8>,
}

pub(super) fn run(args: &ExtractArgs) -> Result<()> {
    let input = Input::open(&args.input)?;
    let place = |e| input.place(e);
    let (limits, bases) =
        (super::limits(&args.limits), super::bases(&args.bases.bases, &args.bases.folders)?);
    let reader = Reader::open_with(&input.file, &limits, &bases).map_err(place)?;
    let found =
        reader.find(&args.layer).and_then(|index| Some((index, reader.layers().nth(index)?)));
    let Some((index, layer)) = found else {
        let text = format!("no layer {:?}; info --layers lists them", args.layer);
        return Err(place(refusal(text)));
    };
    let array = if args.dequantize {
        numbers(&reader, index, layer, args).map_err(place)?
    } else {
        elements(&reader, index, layer, args).map_err(place)?
    };
    let output = match &args.output {
        Some(output) => output.clone(),
        None => {
            // A layer's name comes from the file: it must not lead out of the folder.
            let name = layer.name.replace(|c: char| matches!(c, '/' | '\\') || c.is_control(), "_");
            let name = match name.trim_start_matches('.') {
                "" => "layer",
                name => name,
            };
            let name = format!("{name}.npy");
            wcodec::check_file_name(&name)?;
            PathBuf::from(name)
        }
    };
    // Decoding leaves nothing behind; from here on there is something to take away.
    let terminal = Terminal::new(true)?;
    let mut target = Output::create_like(&output, args.force, &input)?;
    let file = target.file();
    wcodec::write_npy(file, array.element, &array.shape, &[])?;
    for piece in array.bytes.chunks(PIECE) {
        terminal.go_on()?;
        file.write_all(piece)?;
    }
    let to_stdout = target.is_stdout();
    target.commit(&terminal)?;
    match to_stdout {
        true => Ok(()),
        false => report::print(&report::name(&output)),
    }
}

fn refusal(text: String) -> Error {
    Error::from(ErrorKind::Argument(text))
}

/// The elements of a layer or of a slice, as they are.
fn elements(
    reader: &Reader<&File>,
    index: usize,
    layer: &Layer,
    args: &ExtractArgs,
) -> Result<Array> {
    let Some((element, shape)) = reader.layer_array(index)? else {
        let Layer { name, dtype, .. } = layer;
        return Err(refusal(format!("layer {name:?}: npy has no dtype {dtype}")));
    };
    if args.rows.is_none() && args.cols.is_none() {
        return Ok(Array { element, shape, bytes: reader.decode_layer(index)? });
    }
    let (all_rows, all_cols) = layer.matrix();
    let rows = args.rows.map_or(0..all_rows, |part| part.of(all_rows));
    let cols = args.cols.map_or(0..all_cols, |part| part.of(all_cols));
    let bytes = reader.decode_slice(index, rows.clone(), cols.clone())?;
    // Blocks come as bytes, of which a row has another number. The slice does not cut them.
    let (_, row) = Layer::new("", element, shape).matrix();
    let width = u128::from(cols.end - cols.start) * u128::from(row) / u128::from(all_cols.max(1));
    let shape = vec![rows.end - rows.start, width as u64];
    Ok(Array { element, shape, bytes })
}

/// The numbers that the blocks of a layer stand for, or those of a slice, which may cut blocks.
fn numbers(
    reader: &Reader<&File>,
    index: usize,
    layer: &Layer,
    args: &ExtractArgs,
) -> Result<Array> {
    let refuse = |text: String| refusal(format!("layer {:?}: {text}", layer.name));
    let Some((count, bytes)) = wcodec::block_size(&layer.dtype) else {
        return Err(refuse(format!("no rule makes floats of dtype {}", layer.dtype)));
    };
    let (all_rows, all_cols) = layer.matrix();
    let within = |part: Option<Part>, all: u64, what: &str| match part
        .map_or(0..all, |part| part.of(all))
    {
        range if range.start <= range.end && range.end <= all => Ok(range),
        Range { start, end } => Err(refuse(format!("{what} {start}:{end} are not within 0:{all}"))),
    };
    let rows = within(args.rows, all_rows, "rows")?;
    let cols = within(args.cols, all_cols, "columns")?;
    // Small layers lie among other bytes, and have no rows there.
    let (blocks, held) = match reader.layer_array(index)? {
        Some(_) => (reader.decode_slice(index, rows.clone(), 0..all_cols)?, rows.clone()),
        None => (reader.decode_layer(index)?, 0..all_rows),
    };
    let whole = blocks.len().is_multiple_of(bytes);
    let len = (blocks.len() / bytes).checked_mul(count).filter(|_| whole);
    // Of dtypes that have no element the container does not tie the shape to the bytes.
    let expected = (held.end - held.start).checked_mul(all_cols);
    let Some(len) = len.filter(|&len| expected == Some(len as u64)) else {
        let Layer { name, dtype, shape, .. } = layer;
        let text =
            format!("layer {name:?}: {} bytes of {dtype} are not of shape {shape:?}", blocks.len());
        return Err(ErrorKind::Corrupt(text).into());
    };
    let mut values = vec![0f32; len];
    wcodec::dequantize(&layer.dtype, &blocks, &mut values)
        .map_err(|error| refuse(error.to_string()))?;
    let range =
        |range: &Range<u64>, less: u64| (range.start - less) as usize..(range.end - less) as usize;
    let part = values
        .chunks(all_cols.max(1) as usize)
        .take(range(&rows, held.start).end)
        .skip(range(&rows, held.start).start)
        .flat_map(|row| row.get(range(&cols, 0)).unwrap_or_default());
    let bytes = part.flat_map(|value| value.to_le_bytes()).collect();
    let shape = match (&args.rows, &args.cols) {
        (None, None) => layer.shape.clone(),
        _ => vec![rows.end - rows.start, cols.end - cols.start],
    };
    Ok(Array { element: ElementType::F32, shape, bytes })
}
