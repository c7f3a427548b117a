//! `wcodec extract`.

use super::stream::{Input, Output};
use crate::args::ExtractArgs;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use wcodec::{ElementType, Error, ErrorKind, Layer, Reader, Result};

pub(super) fn run(args: &ExtractArgs) -> Result<()> {
    let input = Input::open(&args.input)?;
    let place = |e| input.place(e);
    let refuse = |text: String| place(Error::from(ErrorKind::Argument(text)));
    let (limits, bases) = (super::limits(&args.limits), super::bases(&args.bases)?);
    let reader = Reader::open_with(&input.file, &limits, &bases).map_err(place)?;
    let found =
        reader.find(&args.layer).and_then(|index| Some((index, reader.layers().nth(index)?)));
    let Some((index, layer)) = found else {
        return Err(refuse(format!("no layer {:?}; info --layers lists them", args.layer)));
    };
    let Some((element, shape)) = reader.layer_array(index).map_err(place)? else {
        return Err(refuse(format!("layer {:?}: npy has no dtype {}", layer.name, layer.dtype)));
    };
    let (bytes, shape) = if args.rows.is_none() && args.cols.is_none() {
        (reader.decode_layer(index).map_err(place)?, shape)
    } else {
        let (rows, cols) = layer.matrix();
        let rows = args.rows.clone().unwrap_or(0..rows);
        let cols = args.cols.clone().unwrap_or(0..cols);
        let height = rows.end.saturating_sub(rows.start);
        let bytes = reader.decode_slice(index, rows, cols).map_err(place)?;
        let elements = (bytes.len() / element.size()) as u64;
        let shape = vec![height, elements.checked_div(height).unwrap_or(0)];
        (bytes, shape)
    };
    let (element, shape, bytes) = if args.dequantize {
        let (values, shape) = dequantized(layer, &bytes, shape, element)
            .map_err(|e| refuse(format!("layer {:?}: {e}", layer.name)))?;
        (ElementType::F32, shape, values)
    } else {
        (element, shape, bytes)
    };
    let output = args.output.clone().unwrap_or_else(|| {
        // A layer's name comes from the file: it must not lead out of the folder.
        let name = layer.name.replace(['/', '\\'], "_");
        PathBuf::from(format!("{}.npy", name.trim_start_matches('.')))
    });
    let mut target = Output::create(&output, args.force)?;
    let mut out = BufWriter::new(target.file());
    wcodec::write_npy(&mut out, element, &shape, &bytes)?;
    out.flush()?;
    drop(out);
    target.commit()
}

/// The numbers that blocks of a layer stand for, as bytes of 32-bit floats, and their shape. That of the
/// blocks is in elements of bytes, or of the dtype.
fn dequantized(
    layer: &Layer,
    blocks: &[u8],
    mut shape: Vec<u64>,
    element: ElementType,
) -> Result<(Vec<u8>, Vec<u64>)> {
    let (count, bytes) = wcodec::block_size(&layer.dtype).unwrap_or((1, element.size()));
    if let Some(last) = shape.last_mut() {
        *last = *last * element.size() as u64 / bytes as u64 * count as u64;
    }
    let mut values = vec![0f32; blocks.len() / bytes * count];
    wcodec::dequantize(&layer.dtype, blocks, &mut values)?;
    Ok((values.iter().flat_map(|value| value.to_le_bytes()).collect(), shape))
}
