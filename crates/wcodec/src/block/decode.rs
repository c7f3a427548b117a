//! Decoding a block.

use super::head::{Head, Kind, Plane};
use super::side::Side;
use super::{Mode, scan};
use crate::checksum::{self, BlockId, block_checksum};
use crate::dtype::ElementType;
use crate::error::{Error, Result, corrupt};
use crate::frame;
use crate::geometry::{Rect, Scan, TileConfig};
use crate::planes::{PlaneSource, merge};
use crate::predict::{self, Predictor, Tiling};
use crate::stats::Stats;
use wcodec_kernels::Level;

/// What all blocks of a segment have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockFormat {
    pub(crate) element: ElementType,
    pub(crate) scan: Scan,
    pub(crate) tile: TileConfig,
}

/// One block as it lies in the file.
#[derive(Clone, Copy)]
pub(crate) struct StoredBlock<'a> {
    pub(crate) id: BlockId,
    pub(crate) mode: Mode,
    pub(crate) payload: &'a [u8],
    pub(crate) checksum: u64,
}

/// Values of a plane after entropy decoding.
enum Decoded {
    Ranks(Vec<u8>),
    Symbols(Vec<u16>),
    Stored,
}

/// Buffers that one thread uses for block after block.
#[derive(Default)]
pub(crate) struct Scratch {
    ranks: Vec<Vec<u8>>,
}

/// Decodes a block into `out` (row-major, `rect.elements()` elements) and checks it against its
/// checksum.
pub(crate) fn decode_block(
    level: Level,
    format: &BlockFormat,
    rect: Rect,
    block: &StoredBlock<'_>,
    side: &Side,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Result<Stats> {
    let payload = block.payload;
    let mut stats = Stats {
        elements: rect.elements() as u64,
        original_bytes: out.len() as u64,
        coded_bytes: payload.len() as u64,
        blocks: 1,
        ..Stats::default()
    };
    let head: &[u8] = match block.mode {
        Mode::Raw => {
            if payload.len() != out.len() {
                let (have, want) = (payload.len(), out.len());
                return Err(corrupt!("raw block of {have} bytes, expected {want}"));
            }
            out.copy_from_slice(payload);
            &[]
        }
        Mode::Constant => {
            let size = format.element.size();
            if payload.len() != size {
                let have = payload.len();
                return Err(corrupt!("constant block of {have} bytes, expected {size}"));
            }
            match payload {
                [byte] => out.fill(*byte),
                _ => out.chunks_exact_mut(size).for_each(|e| e.copy_from_slice(payload)),
            }
            &[]
        }
        Mode::Zstd => {
            frame::decompress_into(payload, out)?;
            payload
        }
        Mode::Coded => {
            let head = Head::read(format.element, rect.elements(), payload, payload.len())?;
            head.check_padding(payload)?;
            decode_planes(level, format, rect, &head, payload, side, scratch, out, &mut stats)?;
            &payload[..head.len]
        }
        Mode::Side => return Err(corrupt!("side block where a block of elements is expected")),
    };
    let found = block_checksum(block.id, head, out);
    if !checksum::matches(found, block.checksum) {
        return Err(Error::checksum("block", found, block.checksum));
    }
    Ok(stats)
}

#[expect(clippy::too_many_arguments, reason = "one caller; a struct would only rename them")]
fn decode_planes(
    level: Level,
    format: &BlockFormat,
    rect: Rect,
    head: &Head,
    payload: &[u8],
    side: &Side,
    scratch: &mut Scratch,
    out: &mut [u8],
    stats: &mut Stats,
) -> Result<()> {
    let mut symbols_of_plane: Vec<&[u16]> = Vec::with_capacity(head.planes.len());
    let mut decoded = Vec::with_capacity(head.planes.len());
    for (index, plane) in head.planes.iter().enumerate() {
        let stream = &payload[plane.stream.clone()];
        let mut ranks;
        let (table, verdict) = match &plane.kind {
            Kind::Raw => {
                check_spare_bits(stream, rect.elements(), plane.width)?;
                symbols_of_plane.push(&[]);
                decoded.push(Decoded::Stored);
                continue;
            }
            Kind::Constant(_) => {
                symbols_of_plane.push(&[]);
                decoded.push(Decoded::Stored);
                continue;
            }
            Kind::Shared(number) => {
                let shared = shared_table(side, *number, plane)?;
                ranks = scratch.ranks.pop().unwrap_or_default();
                let decoder = shared.decoder()?;
                (&shared.table, decode_ranks(level, format, rect, decoder, stream, &mut ranks))
            }
            Kind::Own(table) => {
                ranks = scratch.ranks.pop().unwrap_or_default();
                let decoder = table.decoder()?;
                (table, decode_ranks(level, format, rect, &decoder, stream, &mut ranks))
            }
        };
        verdict.map_err(|e| corrupt!("plane {index}: {e}"))?;
        symbols_of_plane.push(table.symbols());
        decoded.push(Decoded::Ranks(ranks));
    }

    let tiling = Tiling::new(rect.rows, rect.cols, format.tile);
    if let Some(map) = count_tiles(level, head, payload, tiling, stats)?
        && let Some(Decoded::Ranks(ranks)) = decoded.first()
    {
        let of_rank = symbols_of_plane[0];
        let mut symbols: Vec<u16> = ranks.iter().map(|&rank| of_rank[usize::from(rank)]).collect();
        predict::restore(&mut symbols, tiling, head.planes[0].width, &map);
        decoded[0] = Decoded::Symbols(symbols);
    }

    let sources: Vec<(u32, PlaneSource<'_>)> = head
        .planes
        .iter()
        .zip(&decoded)
        .zip(&symbols_of_plane)
        .map(|((plane, decoded), symbols)| {
            let source = match (decoded, &plane.kind) {
                (Decoded::Ranks(ranks), _) => PlaneSource::Ranks(ranks, symbols),
                (Decoded::Symbols(symbols), _) => PlaneSource::Symbols(symbols),
                (Decoded::Stored, Kind::Constant(value)) => PlaneSource::Constant(*value),
                (Decoded::Stored, _) => PlaneSource::Raw(&payload[plane.stream.clone()]),
            };
            (plane.width, source)
        })
        .collect();
    merge(format.element, &sources, out);
    drop(sources);
    scratch.ranks.extend(decoded.into_iter().filter_map(|decoded| match decoded {
        Decoded::Ranks(ranks) => Some(ranks),
        Decoded::Symbols(_) | Decoded::Stored => None,
    }));
    Ok(())
}

/// Counts the tiles, tables and map of a head; returns the map if there is one.
fn count_tiles(
    level: Level,
    head: &Head,
    payload: &[u8],
    tiling: Tiling,
    stats: &mut Stats,
) -> Result<Option<Vec<Predictor>>> {
    stats.tiles = tiling.count() as u64;
    stats.table_bytes = head.table_bytes as u64;
    let Some(map) = &head.map else {
        stats.tiles_by_predictor[Predictor::None as usize] = stats.tiles;
        return Ok(None);
    };
    stats.map_bytes = map.len() as u64;
    let map = predict::map::read(level, &payload[map.clone()], tiling.count())?;
    for &p in &map {
        stats.tiles_by_predictor[p as usize] += 1;
    }
    Ok(Some(map))
}

/// What the head of a coded block of `payload_len` bytes tells, without its streams.
pub(crate) fn head_stats(
    level: Level,
    format: &BlockFormat,
    rect: Rect,
    head: &[u8],
    payload_len: usize,
) -> Result<Stats> {
    let parsed = Head::read(format.element, rect.elements(), head, payload_len)?;
    let mut stats = Stats::default();
    let tiling = Tiling::new(rect.rows, rect.cols, format.tile);
    count_tiles(level, &parsed, head, tiling, &mut stats)?;
    Ok(stats)
}

fn shared_table<'a>(
    side: &'a Side,
    number: u16,
    plane: &Plane,
) -> Result<&'a super::side::SharedTable> {
    let count = side.tables.len();
    let Some(shared) = side.tables.get(usize::from(number)) else {
        return Err(corrupt!("shared table {number} of {count} does not exist"));
    };
    if shared.width != plane.width {
        let (have, want) = (shared.width, plane.width);
        return Err(corrupt!("shared table {number} has width {have}, the plane {want}"));
    }
    Ok(shared)
}

fn decode_ranks(
    level: Level,
    format: &BlockFormat,
    rect: Rect,
    table: &wcodec_kernels::DecodeTable,
    stream: &[u8],
    ranks: &mut Vec<u8>,
) -> std::result::Result<(), wcodec_kernels::StreamError> {
    ranks.resize(rect.elements(), 0);
    let steps = scan::steps(format.scan, rect.rows, rect.cols);
    wcodec_kernels::decode(level, table, stream, steps, ranks)?;
    if let Some(turned) = scan::to_row_major(format.scan, ranks, rect.cols) {
        *ranks = turned;
    }
    Ok(())
}

/// Unused bits behind the last element of a raw plane must be zero.
fn check_spare_bits(stream: &[u8], elements: usize, width: u32) -> Result<()> {
    let used = elements * width as usize % 8;
    match stream.last() {
        Some(last) if used > 0 && last >> used != 0 => {
            Err(corrupt!("unused bits of a raw plane are not zero"))
        }
        _ => Ok(()),
    }
}
