//! Encoding a block, in two steps: a draft that counts its symbols, then, once the tables of its
//! group are chosen, its payload.

use super::decode::BlockFormat;
use super::head::{self, Kind, PlaneOut};
use super::{Mode, scan};
use crate::checksum::{BlockId, block_checksum};
use crate::entropy::cost::BIT;
use crate::entropy::table::Table;
use crate::error::Result;
use crate::geometry::Rect;
use crate::planes::{MAX_RAW_WIDTH, extract};
use crate::predict::{self, Predictor, PredictorSet, Tiling};
use crate::stats::Stats;
use wcodec_kernels::{EncodeTable, Level, Steps};

/// How the elements of a group are split into planes.
#[derive(Clone, Debug)]
pub(crate) struct Split {
    /// Widths from high to low.
    pub(crate) planes: Vec<PlanePlan>,
    /// Predictors worth trying on the first plane.
    pub(crate) predictors: PredictorSet,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct PlanePlan {
    pub(crate) width: u32,
    /// Whether entropy coding may gain.
    pub(crate) coded: bool,
}

/// A finished block.
pub(crate) struct EncodedBlock {
    pub(crate) mode: Mode,
    pub(crate) payload: Vec<u8>,
    pub(crate) checksum: u64,
    pub(crate) stats: Stats,
}

/// A block with its symbols counted.
pub(crate) struct Draft {
    rect: Rect,
    /// Elements in row-major order.
    bytes: Vec<u8>,
    constant: bool,
    pub(crate) planes: Vec<DraftPlane>,
    predictors: Option<Vec<Predictor>>,
}

pub(crate) enum DraftPlane {
    Raw { width: u32, packed: Vec<u8> },
    Constant { width: u32, value: u16 },
    Counted { width: u32, symbols: Vec<u16>, counts: Vec<u32> },
}

/// The table that a plane of a block takes.
#[derive(Clone)]
pub(crate) enum TableChoice<'a> {
    Raw,
    Own(Table),
    Shared(u16, &'a PreparedTable),
}

/// A table ready for encoding.
pub(crate) struct PreparedTable {
    pub(crate) table: Table,
    encoder: EncodeTable,
    ranks: Vec<u8>,
}

impl PreparedTable {
    pub(crate) fn new(table: Table, width: u32) -> Result<PreparedTable> {
        let encoder = table.encoder()?;
        let ranks = table.ranks(width);
        Ok(PreparedTable { table, encoder, ranks })
    }
}

/// Copies a rectangle out of a segment's bytes, the first of them being element `base`.
pub(crate) fn gather(segment: &[u8], base: u64, rect: Rect, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(rect.elements() * size);
    for row in 0..rect.rows {
        let start = (rect.start - base + row as u64 * rect.stride) as usize * size;
        bytes.extend_from_slice(&segment[start..start + rect.cols * size]);
    }
    bytes
}

fn is_constant(bytes: &[u8], size: usize) -> bool {
    bytes.len() >= size && bytes[..bytes.len() - size] == bytes[size..]
}

impl Draft {
    pub(crate) fn new(format: &BlockFormat, rect: Rect, bytes: Vec<u8>, split: &Split) -> Draft {
        let element = format.element;
        let mut draft = Draft {
            rect,
            constant: is_constant(&bytes, element.size()),
            bytes,
            planes: Vec::new(),
            predictors: None,
        };
        if draft.constant {
            return draft;
        }
        let mut shift = element.bits();
        for (index, &PlanePlan { width, coded }) in split.planes.iter().enumerate() {
            shift -= width;
            let mut symbols = extract(element, &draft.bytes, shift, width);
            if symbols.iter().all(|&s| s == symbols[0]) {
                draft.planes.push(DraftPlane::Constant { width, value: symbols[0] });
                continue;
            }
            if !coded && width <= MAX_RAW_WIDTH {
                draft.planes.push(DraftPlane::Raw { width, packed: pack(&symbols, width) });
                continue;
            }
            if index == 0 && split.predictors != PredictorSet::NONE {
                let tiling = Tiling::new(rect.rows, rect.cols, format.tile);
                if let Some(chosen) = predict::choose(&symbols, tiling, width, split.predictors) {
                    symbols = chosen.residuals;
                    draft.predictors = Some(chosen.predictors);
                }
            }
            let mut counts = vec![0; 1 << width];
            wcodec_kernels::histogram(&symbols, &mut counts);
            draft.planes.push(DraftPlane::Counted { width, symbols, counts });
        }
        draft
    }

    /// The lanes of a coded plane: their states are part of its price.
    fn steps(&self, format: &BlockFormat) -> Steps {
        scan::steps(format.scan, self.rect.rows, self.rect.cols)
    }

    /// Price of plane `index` with a table of its own and the table, or raw, whichever is less.
    pub(crate) fn own_choice(
        &self,
        format: &BlockFormat,
        index: usize,
    ) -> (u64, TableChoice<'static>) {
        let raw = match &self.planes[index] {
            DraftPlane::Counted { width, symbols, .. } if *width <= MAX_RAW_WIDTH => {
                symbols.len() as u64 * u64::from(*width) * BIT
            }
            _ => u64::MAX,
        };
        // A plane that is predicted cannot go raw: its symbols are residuals.
        let raw = if index == 0 && self.predictors.is_some() { u64::MAX } else { raw };
        if let DraftPlane::Counted { width, counts, .. } = &self.planes[index]
            && let Some(table) = Table::from_counts(counts)
            && let Some(bits) = table.cost(counts)
        {
            let overhead = table.written_len(*width) + 4 * self.steps(format).lanes();
            let bits = bits + overhead as u64 * 8 * BIT;
            if bits < raw {
                return (bits, TableChoice::Own(table));
            }
        }
        (raw, TableChoice::Raw)
    }

    /// Price of plane `index` under a shared table; `None` if the table lacks one of its symbols.
    pub(crate) fn shared_cost(
        &self,
        format: &BlockFormat,
        index: usize,
        table: &Table,
    ) -> Option<u64> {
        match &self.planes[index] {
            DraftPlane::Counted { counts, .. } => {
                Some(table.cost(counts)? + 32 * self.steps(format).lanes() as u64 * BIT)
            }
            _ => None,
        }
    }

    /// Encodes the block. `choices` has one entry per plane. `zstd` tries that as well.
    pub(crate) fn finish(
        self,
        level: Level,
        format: &BlockFormat,
        id: BlockId,
        choices: Vec<TableChoice<'_>>,
        zstd: bool,
    ) -> Result<EncodedBlock> {
        let size = format.element.size();
        let mut stats = Stats {
            original_bytes: self.bytes.len() as u64,
            elements: self.rect.elements() as u64,
            blocks: 1,
            ..Stats::default()
        };
        let (mut mode, mut payload, mut head) = (Mode::Raw, None, 0);
        if self.constant {
            (mode, payload) = (Mode::Constant, Some(self.bytes[..size].to_vec()));
        } else if let Some((coded, head_len)) = self.code(level, format, choices, &mut stats)? {
            (mode, payload, head) = (Mode::Coded, Some(coded), head_len);
        }
        if zstd && !self.constant {
            let frame = zstd::bulk::compress(&self.bytes, zstd_level(self.bytes.len()))?;
            if frame.len() < payload.as_ref().map_or(self.bytes.len(), Vec::len) {
                head = frame.len();
                (mode, payload) = (Mode::Zstd, Some(frame));
            }
        }
        if mode != Mode::Coded {
            stats.tiles = 0;
            stats.tiles_by_predictor = Default::default();
            (stats.table_bytes, stats.map_bytes) = (0, 0);
        }
        let checksum = match &payload {
            Some(payload) => block_checksum(id, &payload[..head], &self.bytes),
            None => block_checksum(id, &[], &self.bytes),
        };
        let payload = payload.unwrap_or(self.bytes);
        stats.coded_bytes = payload.len() as u64;
        Ok(EncodedBlock { mode, payload, checksum, stats })
    }

    /// The payload of a coded block and the length of its head; `None` if it would not be smaller
    /// than the elements.
    fn code(
        &self,
        level: Level,
        format: &BlockFormat,
        choices: Vec<TableChoice<'_>>,
        stats: &mut Stats,
    ) -> Result<Option<(Vec<u8>, usize)>> {
        let steps = self.steps(format);
        let mut planes = Vec::with_capacity(self.planes.len());
        for (plane, choice) in self.planes.iter().zip(choices) {
            planes.push(match (plane, choice) {
                (DraftPlane::Constant { width, value }, _) => {
                    PlaneOut { width: *width, kind: Kind::Constant(*value), stream: Vec::new() }
                }
                (DraftPlane::Raw { width, packed }, _) => {
                    PlaneOut { width: *width, kind: Kind::Raw, stream: packed.clone() }
                }
                (DraftPlane::Counted { width, symbols, .. }, TableChoice::Raw) => {
                    if *width > MAX_RAW_WIDTH {
                        return Ok(None);
                    }
                    PlaneOut { width: *width, kind: Kind::Raw, stream: pack(symbols, *width) }
                }
                (DraftPlane::Counted { width, symbols, .. }, TableChoice::Own(table)) => {
                    let prepared = PreparedTable::new(table, *width)?;
                    let stream = self.encode_plane(level, format, steps, symbols, &prepared);
                    stats.table_bytes += prepared.table.written_len(*width) as u64;
                    PlaneOut { width: *width, kind: Kind::Own(prepared.table), stream }
                }
                (
                    DraftPlane::Counted { width, symbols, .. },
                    TableChoice::Shared(number, table),
                ) => {
                    let stream = self.encode_plane(level, format, steps, symbols, table);
                    PlaneOut { width: *width, kind: Kind::Shared(number), stream }
                }
            });
        }
        let tiles = Tiling::new(self.rect.rows, self.rect.cols, format.tile).count() as u64;
        stats.tiles = tiles;
        let map = match &self.predictors {
            Some(predictors) => {
                for &p in predictors {
                    stats.tiles_by_predictor[p as usize] += 1;
                }
                predict::map::write(level, predictors)?
            }
            None => {
                stats.tiles_by_predictor[Predictor::None as usize] = tiles;
                Vec::new()
            }
        };
        stats.map_bytes = map.len() as u64;
        let (payload, head) = head::write(&planes, &map);
        Ok((payload.len() < self.bytes.len()).then_some((payload, head)))
    }

    fn encode_plane(
        &self,
        level: Level,
        format: &BlockFormat,
        steps: Steps,
        symbols: &[u16],
        table: &PreparedTable,
    ) -> Vec<u8> {
        let ranks: Vec<u8> = symbols.iter().map(|&s| table.ranks[usize::from(s)]).collect();
        let ranks = scan::to_coding_order(format.scan, &ranks, self.rect.cols).unwrap_or(ranks);
        let mut stream = Vec::new();
        wcodec_kernels::encode(level, &table.encoder, &ranks, steps, &mut stream);
        stream
    }
}

fn pack(symbols: &[u16], width: u32) -> Vec<u8> {
    let narrow: Vec<u8> = symbols.iter().map(|&s| s as u8).collect();
    let mut packed = Vec::new();
    wcodec_kernels::pack_bits(&narrow, width, &mut packed);
    packed
}

/// Small inputs (headers, most of all) can afford a better level.
fn zstd_level(bytes: usize) -> i32 {
    if bytes < 1 << 20 { 15 } else { 3 }
}
