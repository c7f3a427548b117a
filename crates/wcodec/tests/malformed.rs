//! Files that break one rule each, and the exact text of each refusal. `testdata/malformed` holds
//! the files and `expected.tsv`; the folder and the list must agree. `WCODEC_BLESS=1` writes both.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use support::archived::{self, archived, copied};
use support::based::{self, based, packed_with_base};
use support::contexts;
use support::forge::{Bits, Block, Forge, Head, raw};
use support::packed;
use support::scaled::{classes, coded, low_bits, means, side};
use support::{Rng, bless, testdata};
use wcodec::{Limits, Reader};

fn verdict(file: &[u8]) -> Result<(), String> {
    let open = Reader::open(file, &Limits::default()).map_err(|e| e.to_string())?;
    open.verify(&()).map(|_| ()).map_err(|e| e.to_string())
}

fn elements() -> Vec<u8> {
    (0..128u32).map(|i| (i * i % 11) as u8).collect()
}

/// A raw plane below a constant one.
fn planes() -> Head {
    let decoded: Vec<u8> = elements().iter().map(|b| b & 15).collect();
    let packed = decoded.chunks(2).map(|p| p[0] | p[1] << 4).collect();
    Head {
        planes: vec![(4, 1, 8, vec![]), (4, 0, 0, packed)],
        map: vec![],
        tables: vec![],
        decoded,
        edit: |_| (),
    }
}

type Case = (&'static str, Vec<u8>);

fn forge(change: impl FnOnce(&mut Forge)) -> Vec<u8> {
    let mut forge = Forge::new(raw(&elements()));
    change(&mut forge);
    forge.build()
}

fn head(change: impl FnOnce(&mut Head)) -> Vec<u8> {
    let mut head = coded();
    change(&mut head);
    Forge::new(head.block()).build()
}

fn footer(at: usize, value: u8) -> Vec<u8> {
    forge(|f| f.edit_footer = Box::new(move |b| b[at] = value))
}

fn table(at: usize, value: u8) -> Vec<u8> {
    forge(|f| f.edit_table = Box::new(move |b| b[at] = value))
}

fn with_side(payload: &[u8]) -> Vec<u8> {
    forge(|f| {
        f.segments[0].side = 1;
        f.segments[0].blocks.push(side(payload));
    })
}

/// A block of one coded plane whose own table is these bits.
fn own_table(bits: Bits) -> Vec<u8> {
    head(|h| h.tables = bits.0)
}

#[expect(clippy::too_many_lines, reason = "a list")]
fn cases() -> Vec<Case> {
    let first = || Bits::default().put(0x80, 8).put(1, 8);
    let mut noise = Rng::new(9);
    vec![
        ("empty", vec![]),
        ("not_wcodec", b"PK\x03\x04 something else entirely".to_vec()),
        ("header_only", forge(|f| f.edit_file = Box::new(|b| b.truncate(64)))),
        ("truncated", forge(|f| f.edit_file = Box::new(|b| b.truncate(b.len() - 9)))),
        ("trailing", forge(|f| f.edit_file = Box::new(|b| b.extend(b"more")))),
        ("major_version", forge(|f| f.header[8] = 2)),
        ("minor_version", forge(|f| f.header[10] = wcodec::FORMAT_VERSION.1 as u8 + 1)),
        ("header_reserved", forge(|f| f.header[40] = 7)),
        (
            "index_hash",
            forge(|f| {
                f.edit_file = Box::new(|b| {
                    let n = b.len();
                    b[n - 12] ^= 1
                })
            }),
        ),
        ("footer_reserved", footer(108, 1)),
        ("footer_source", footer(80, 4)),
        (
            "footer_source_large",
            forge(|f| {
                f.header[10] = 3;
                f.source = 7;
            }),
        ),
        ("footer_coding", footer(81, 2)),
        ("footer_parts", footer(8, 2)),
        (
            "footer_table_unaligned",
            forge(|f| {
                f.edit_file = Box::new(|b| {
                    let n = b.len();
                    b[n - 128] += 1
                });
            }),
        ),
        (
            "footer_blocks_wrap",
            forge(|f| {
                f.edit_footer =
                    Box::new(|b| b[8..16].copy_from_slice(&(u64::MAX / 24 + 2).to_le_bytes()));
            }),
        ),
        (
            "original_too_large",
            forge(|f| {
                f.edit_footer =
                    Box::new(|b| b[32..40].copy_from_slice(&(1u64 << 40).to_le_bytes()));
            }),
        ),
        ("original_length", footer(32, 127)),
        ("original_blake3", footer(50, 1)),
        (
            "directory_bomb",
            forge(|f| {
                f.zstd = true;
                f.edit_footer =
                    Box::new(|b| b[24..32].copy_from_slice(&(1u64 << 33).to_le_bytes()));
            }),
        ),
        (
            "directory_length",
            forge(|f| {
                f.zstd = true;
                f.edit_footer = Box::new(|b| b[24] += 1);
            }),
        ),
        ("directory_length_plain", footer(24, 84)),
        (
            "directory_empty_zstd",
            forge(|f| {
                f.edit_footer = Box::new(|b| {
                    b[24..32].fill(0);
                    b[81] = 1;
                });
            }),
        ),
        ("directory_not_zstd", footer(81, 1)),
        ("directory_short", footer(76, 9)),
        ("directory_trailing", forge(|f| f.edit_directory = Box::new(|b| b.push(0)))),
        ("record_mode", table(20, 5)),
        ("record_reserved", table(22, 1)),
        ("record_position", table(0, 65)),
        ("record_length_zero", forge(|f| f.edit_table = Box::new(|b| b[16..20].fill(0)))),
        ("record_length_beyond", table(17, 16)),
        ("record_length_short", table(16, 32)),
        ("segment_element", forge(|f| f.segments[0].element = 16)),
        ("segment_scan", forge(|f| f.segments[0].scan = 2)),
        ("segment_side_flag", forge(|f| f.segments[0].side = 2)),
        ("segment_reserved", forge(|f| f.segments[0].zero = 1)),
        ("segment_reserved_2", forge(|f| f.segments[0].zero2 = 1)),
        ("segment_tile", forge(|f| f.segments[0].tile = (16, 0))),
        ("segment_block_zero", forge(|f| f.segments[0].block = (0, 32))),
        ("segment_group_zero", forge(|f| f.segments[0].group_bands = 0)),
        ("segment_block_large", forge(|f| f.segments[0].block = (1 << 20, 32))),
        ("segment_elements_wrap", forge(|f| f.segments[0].elements = 1 << 63)),
        (
            "segment_view_wrap",
            forge(|f| {
                f.segments[0].rows = 1 << 40;
                f.segments[0].cols = 1 << 40
            }),
        ),
        ("segment_view_large", forge(|f| f.segments[0].rows = 5)),
        ("segment_view_empty_side", forge(|f| f.segments[0].rows = 0)),
        (
            "segment_tail_large",
            forge(|f| {
                f.segments[0].elements = 5 << 20;
                f.segments[0].rows = 0;
                f.segments[0].cols = 0
            }),
        ),
        (
            "segment_band_large",
            forge(|f| {
                let s = &mut f.segments[0];
                (s.rows, s.cols, s.elements, s.block) = (1 << 10, 1 << 20, 1 << 30, (128, 1024));
            }),
        ),
        (
            "segment_blocks_many",
            forge(|f| {
                let s = &mut f.segments[0];
                (s.rows, s.cols, s.elements, s.block) = (1 << 20, 1 << 20, 1 << 40, (1, 1));
            }),
        ),
        ("segment_blocks_count", forge(|f| f.segments[0].block = (2, 32))),
        ("layer_segment", forge(|f| f.layers[0].segment = 1)),
        ("layer_outside", forge(|f| f.layers[0].offset = 1)),
        ("layer_offset_wrap", forge(|f| f.layers[0].offset = u64::MAX)),
        ("layer_shape", forge(|f| f.layers[0].shape = vec![4, 31])),
        ("layer_shape_wrap", forge(|f| f.layers[0].shape = vec![1 << 40, 1 << 40])),
        (
            "layer_twice",
            forge(|f| {
                let mut l = f.layers[0].clone();
                (l.shape, l.offset, l.length) = (vec![0], 128, 0);
                f.layers.push(l)
            }),
        ),
        (
            "layer_overlap",
            forge(|f| {
                let mut second = f.layers[0].clone();
                (second.name, second.shape, second.offset, second.length) =
                    (b"v".to_vec(), vec![4], 124, 4);
                f.layers.push(second);
            }),
        ),
        (
            "layer_order",
            forge(|f| {
                let mut first = f.layers[0].clone();
                (first.name, first.shape, first.offset, first.length) =
                    (b"v".to_vec(), vec![0], 128, 0);
                f.layers.insert(0, first);
            }),
        ),
        ("layer_name_utf8", forge(|f| f.layers[0].name = vec![0xff, b'w'])),
        ("layer_name_long", forge(|f| f.edit_directory = Box::new(|b| b[51] = 0x7f))),
        ("layer_dtype_empty", forge(|f| f.layers[0].dtype = vec![])),
        ("layer_reserved", forge(|f| f.layers[0].zero = 1)),
        ("layer_reserved_2", forge(|f| f.layers[0].zero2 = 1)),
        ("block_checksum", forge(|f| f.segments[0].blocks[0].checksum_error = 1)),
        ("block_padding", {
            let mut forge = Forge::new(coded().block());
            let end = 64 + coded().block().payload.len();
            forge.edit_file = Box::new(move |b| b[end.next_multiple_of(64) - 1] = 1);
            forge.build()
        }),
        (
            "raw_length",
            forge(|f| {
                f.segments[0].blocks[0].payload.pop();
            }),
        ),
        ("block_longer_than_elements", forge(|f| f.segments[0].blocks[0].payload.push(0))),
        (
            "constant_length",
            forge(|f| {
                let block = &mut f.segments[0].blocks[0];
                (block.mode, block.payload) = (1, vec![0, 0]);
            }),
        ),
        (
            "zstd_garbage",
            forge(|f| {
                let block = &mut f.segments[0].blocks[0];
                (block.mode, block.payload) = (3, vec![9; 40]);
            }),
        ),
        (
            "zstd_length",
            forge(|f| {
                let block = &mut f.segments[0].blocks[0];
                (block.mode, block.payload) = (3, zstd::bulk::compress(&[0; 100], 3).unwrap());
            }),
        ),
        (
            "zstd_two_frames",
            forge(|f| {
                let frame = zstd::bulk::compress(&[0; 64], 3).unwrap();
                let block = &mut f.segments[0].blocks[0];
                (block.mode, block.payload) = (3, [frame.clone(), frame].concat());
            }),
        ),
        ("side_where_elements", forge(|f| f.segments[0].blocks[0].mode = 4)),
        (
            "elements_where_side",
            forge(|f| {
                f.segments[0].side = 1;
                f.segments[0].blocks.push(raw(&[1, 0, 1, 0, 0, 0, 0, 0]));
            }),
        ),
        (
            "side_checksum",
            forge(|f| {
                f.segments[0].side = 1;
                f.segments[0]
                    .blocks
                    .push(Block { checksum_error: 5, ..side(&[0, 0, 1, 0, 0, 0, 0, 0]) });
            }),
        ),
        ("side_short", with_side(&[0, 0, 1, 0])),
        ("side_classes", with_side(&[0, 0, 2, 0, 0, 0, 0, 0])),
        ("side_reserved", with_side(&[0, 0, 1, 0, 0, 0, 9, 0])),
        ("side_tables_missing", with_side(&[1, 0, 1, 0, 0, 0, 0, 0])),
        ("side_table_width", with_side(&[1, 0, 1, 0, 0, 0, 0, 0, 13, 0, 0])),
        ("side_table_short", with_side(&[1, 0, 1, 0, 0, 0, 0, 0, 8, 0])),
        ("side_tables_many", with_side(&[1, 1, 1, 0, 0, 0, 0, 0])),
        ("side_long", with_side(&vec![0; (1 << 20) + 1])),
        ("side_trailing", with_side(&[0, 0, 1, 0, 0, 0, 0, 0, 0])),
        (
            "head_short",
            forge(|f| {
                let block = &mut f.segments[0].blocks[0];
                (block.mode, block.payload) = (2, vec![1, 0, 0, 0]);
            }),
        ),
        ("head_planes_none", head(|h| h.edit = |b| b[0] = 0)),
        ("head_planes_many", head(|h| h.edit = |b| b[0] = 17)),
        ("head_reserved", head(|h| h.edit = |b| b[2] = 1)),
        ("head_length_unaligned", head(|h| h.edit = |b| b[4] += 1)),
        ("head_length_beyond", head(|h| h.edit = |b| b[6] = 1)),
        ("head_length_loose", head(|h| h.tables.extend([0; 16]))),
        ("head_padding", head(|h| h.edit = |b| b[31] = 1)),
        ("map_length", head(|h| h.edit = |b| b[8] = 200)),
        ("map_without_coded_plane", {
            let mut h = planes();
            h.map = vec![0; 8];
            Forge::new(h.block()).build()
        }),
        ("map_garbage", head(|h| h.map = vec![0xff; 9])),
        (
            "map_predictor",
            head(|h| {
                // One symbol, 5, at 4096: class 13 in long form. No words: the state stays 2^12.
                h.map = Bits::default().put(5, 3).put(0, 3).put(0b11 | 13 << 2, 6).put(0, 12).0;
                h.map.extend(4096u32.to_le_bytes());
            }),
        ),
        ("plane_width_zero", head(|h| h.planes[0].0 = 0)),
        ("plane_width_large", head(|h| h.planes[0].0 = 13)),
        ("plane_widths_sum", {
            let mut h = planes();
            h.planes[0].0 = 5;
            Forge::new(h.block()).build()
        }),
        ("plane_kind", head(|h| h.planes[0].1 = 6)),
        ("plane_value", head(|h| h.planes[0].2 = 1)),
        ("plane_raw_wide", {
            let mut h = planes();
            h.planes[1].0 = 9;
            Forge::new(h.block()).build()
        }),
        ("plane_raw_length", {
            let mut h = planes();
            h.planes[1].3.push(0);
            Forge::new(h.block()).build()
        }),
        ("plane_constant_large", {
            let mut h = planes();
            h.planes[0].2 = 16;
            Forge::new(h.block()).build()
        }),
        ("plane_constant_stream", {
            let mut h = planes();
            h.planes[0].3 = vec![0; 2];
            Forge::new(h.block()).build()
        }),
        (
            "plane_shared_missing",
            head(|h| {
                h.planes[0].1 = 2;
                h.tables = vec![]
            }),
        ),
        ("plane_shared_width", {
            let mut h = coded();
            let mut tables = vec![1, 0, 1, 0, 0, 0, 0, 0, 7];
            tables.extend(Bits::default().put(3, 7).put(0, 7).put(0b11 | 13 << 2, 6).put(0, 12).0);
            (h.planes[0].1, h.tables) = (2, vec![]);
            let mut forge = Forge::new(h.block());
            forge.segments[0].side = 1;
            forge.segments[0].blocks.push(side(&tables));
            forge.build()
        }),
        ("raw_spare_bits", {
            // 128 elements leave no spare bits; a segment of 127 does.
            let mut h = planes();
            h.decoded.pop();
            let mut forge = Forge::new(h.block());
            let s = &mut forge.segments[0];
            (s.elements, s.rows, s.cols) = (127, 1, 127);
            s.block = (1, 127);
            forge.layers[0].shape = vec![127];
            forge.layers[0].length = 127;
            forge.segments[0].blocks[0].payload[47 + 48] |= 0x10;
            forge.build()
        }),
        ("stream_beyond", head(|h| h.edit = |b| b[17] = 0x7f)),
        ("stream_trailing", head(|h| h.edit = |b| b.extend([0, 0]))),
        (
            "stream_odd",
            head(|h| {
                h.planes[0].3.push(0);
            }),
        ),
        ("stream_unread", head(|h| h.planes[0].3.extend([0, 0]))),
        (
            "stream_short",
            head(|h| {
                let n = h.planes[0].3.len();
                h.planes[0].3.truncate(n - 2)
            }),
        ),
        ("stream_no_states", head(|h| h.planes[0].3.truncate(20))),
        ("stream_state_low", head(|h| h.planes[0].3[..4].copy_from_slice(&4095u32.to_le_bytes()))),
        (
            "stream_state_high",
            head(|h| h.planes[0].3[8..12].copy_from_slice(&(1u32 << 28).to_le_bytes())),
        ),
        ("stream_final_state", head(|h| *h.planes[0].3.last_mut().unwrap() ^= 1)),
        ("table_short", own_table(first())),
        ("table_beyond", own_table(Bits::default().put(0xff, 8).put(1, 8))),
        ("table_class_large", own_table(first().put(0b11 | 14 << 2, 6))),
        ("table_class_long_form", own_table(first().put(0b11 | 10 << 2, 6).put(0, 11))),
        (
            "table_class_below_0",
            own_table(
                Bits::default()
                    .put(0x80, 8)
                    .put(3, 8)
                    .put(0b11 | 12 << 2, 6)
                    .put(0, 11)
                    .put(0b11, 6)
                    .put(0b101, 3),
            ),
        ),
        ("table_begins_empty", own_table(first().put(0b11, 6))),
        ("table_ends_empty", own_table(first().put(0b11 | 13 << 2, 6).put(0, 12).put(0b11, 6))),
        (
            "table_sum_low",
            own_table(first().put(0b11 | 12 << 2, 6).put(0, 11).put(0b101, 3).put(0, 10)),
        ),
        (
            "table_sum_high",
            own_table(first().put(0b11 | 12 << 2, 6).put(0, 11).put(0, 1).put(1, 11)),
        ),
        (
            "table_padding",
            own_table(first().put(0b11 | 12 << 2, 6).put(0, 11).put(0, 1).put(0, 11).put(1, 3)),
        ),
        ("classes_version", classes(|c| c.minor = 0)),
        ("classes_none", classes(|c| c.head[0] = 0)),
        ("classes_many", classes(|c| c.head[0] = 65)),
        ("classes_scan", classes(|c| c.head[2] = 2)),
        ("classes_width_none", classes(|c| c.head[4] = 0)),
        ("classes_width_large", classes(|c| c.head[4] = 13)),
        ("classes_width_of_plane", classes(|c| c.head[4] = 9)),
        ("means_many", means(|c| c.head[5] = 33)),
        ("means_more_than_elements", means(|c| c.head[5] = 4)),
        ("means_missing", means(|c| c.head[5] = 2)),
        ("means_of_floats", means(|c| c.corner = |f| f.segments[0].element = 4)),
        (
            "means_of_flags",
            means(|c| {
                c.minor = 2;
                c.corner = |f| f.segments[0].element = 1;
            }),
        ),
        ("means_exponent", means(|c| c.means[0] = 9)),
        ("means_without_classes", with_side(&[0, 0, 1, 0, 0, 0, 0, 1])),
        ("means_factors_short", means(|c| c.means.truncate(c.means.len() - 1))),
        ("classes_map_begins", classes(|c| c.map = vec![0b11])),
        ("classes_map_unused", classes(|c| c.map = vec![0b110])),
        ("classes_map_missing", {
            classes(|c| (c.map, c.rows, c.cols) = (vec![], vec![], vec![]))
        }),
        ("classes_tables_missing", classes(|c| c.tables.truncate(1))),
        ("classes_table_wider", {
            classes(|c| {
                let bits = Bits::default().put(1, 9).put(0, 9).put(0b11 | 13 << 2, 6).put(0, 12);
                c.tables[1] = [&[9][..], &bits.0].concat();
            })
        }),
        ("classes_table_narrow", {
            classes(|c| {
                c.head[4] = 12;
                let bits = Bits::default().put(1, 3).put(0, 3).put(0b11 | 13 << 2, 6).put(0, 12);
                c.tables[1] = [&[3][..], &bits.0].concat();
            })
        }),
        ("classes_fields_far_apart", {
            classes(|c| {
                c.head[4] = 9;
                let bits = Bits::default().put(7, 9).put(0, 9).put(0b11 | 13 << 2, 6).put(0, 12);
                c.tables[1] = [&[9][..], &bits.0].concat();
            })
        }),
        ("classes_factors_missing", { classes(|c| (c.rows, c.cols) = (vec![0, 0], vec![])) }),
        ("classes_factors_table", classes(|c| c.cols[4] = 0xff)),
        ("classes_factors_short", classes(|c| c.cols[0] = 5)),
        ("classes_factors_state", { classes(|c| *c.rows.last_mut().unwrap() = 0x20) }),
        ("classes_factors_end", {
            classes(|c| {
                let at = c.cols.len() - 4;
                c.cols[at] = 1;
            })
        }),
        ("classes_trailing", classes(|c| c.cols.push(0))),
        ("classes_without_view", {
            classes(|c| {
                c.corner = |f| {
                    let s = &mut f.segments[0];
                    (s.rows, s.cols) = (0, 0);
                }
            })
        }),
        (
            "classes_rows_many",
            classes(|c| {
                c.corner = |f| {
                    let zeros = vec![0; 1 << 21];
                    let s = &mut f.segments[0];
                    (s.rows, s.cols, s.elements, s.block) = (1 << 21, 1, 1 << 21, (1 << 21, 1));
                    s.blocks[0] = Block { mode: 1, payload: vec![0], head: 0, ..raw(&zeros) };
                    (f.layers[0].shape, f.layers[0].length) = (vec![1 << 21], 1 << 21);
                    f.original = zeros;
                }
            }),
        ),
        ("plane_classes_value", classes(|c| c.planes = |h| h.planes[0].2 = 1)),
        ("plane_classes_second", {
            classes(|c| {
                c.planes = |h| {
                    h.planes[0].0 = 4;
                    h.planes.insert(0, (4, 1, 8, vec![]));
                }
            })
        }),
        (
            "plane_classes_where_none_are",
            head(|h| {
                h.tables.clear();
                h.planes[0].1 = 4;
            }),
        ),
        ("plane_classes_in_tail", {
            classes(|c| {
                c.corner = |f| {
                    let s = &mut f.segments[0];
                    // The view is the first 4 of 1,028 elements.
                    (s.rows, s.cols, s.elements, s.block) = (1, 4, 1028, (1, 4));
                    let tail = s.blocks.remove(0);
                    f.original = [&[9; 4][..], &tail.decoded].concat();
                    s.blocks.insert(0, raw(&[9; 4]));
                    s.group_bands = 2;
                    s.blocks.insert(1, tail);
                    f.layers[0].shape = vec![1028];
                    f.layers[0].length = 1028;
                }
            })
        }),
        ("plane_low_bits_short", { low_bits(|c| c.planes = |h| h.planes[0].3.truncate(500)) }),
        ("plane_low_bits_odd", { low_bits(|c| c.planes = |h| h.planes[0].3.extend([0; 511])) }),
        ("plane_low_bits_end", {
            low_bits(|c| {
                // 7 x 143 elements of 3 low bits are 375 bytes and 3 bits.
                let bits = Bits::default().put(16, 5).put(0, 5).put(0b11 | 13 << 2, 6).put(0, 12);
                c.tables[0] = [&[5][..], &bits.0].concat();
                c.planes = |h| {
                    h.planes[0].3 = 4096u32.to_le_bytes().repeat(32);
                    h.planes[0].3.extend([0; 375]);
                    h.planes[0].3.push(8);
                    h.decoded = vec![0; 1001];
                };
                c.corner = |f| {
                    let s = &mut f.segments[0];
                    (s.rows, s.cols, s.block) = (7, 143, (7, 143));
                    f.layers[0].shape = vec![7, 143];
                };
            })
        }),
        ("base_version", based(|b| b.minor = 2)),
        ("base_many", based(|b| (b.bases, b.repeat.0) = (17, 17))),
        ("base_twice", based(|b| (b.bases, b.repeat.0) = (2, 2))),
        ("base_short", based(|b| b.bases = 16)),
        ("base_name_long", based(|b| b.name = vec![b'n'; 1025])),
        ("base_name_utf8", based(|b| b.name = vec![0xff])),
        ("base_reserved", based(|b| b.zero = 1)),
        ("base_trailing", based(|b| b.references = 0)),
        ("reference_segment", based(|b| b.segment = 1)),
        ("reference_base", based(|b| b.reference[0] = 1)),
        ("reference_flip", based(|b| b.reference[1] = 2)),
        ("reference_reserved", based(|b| b.reference[3] = 1)),
        ("reference_outside", based(|b| b.at = 873)),
        ("reference_outside_wrap", based(|b| b.at = u64::MAX)),
        ("reference_order", based(|b| (b.references, b.repeat.1) = (2, 2))),
        ("reference_packing", packed_with_base(0)),
        ("reference_packing_inside", packed_with_base(1)),
        ("head_prediction", head(|h| h.edit = |b| b[1] = 3)),
        ("head_prediction_without_base", head(|h| h.edit = |b| b[1] = 1)),
        ("noise", {
            let mut b = forge(|_| ());
            let n = b.len();
            b[64..n - 8].copy_from_slice(&noise.bytes(n - 72));
            b
        }),
    ]
}

#[test]
fn the_files_that_the_forge_starts_from_are_sound() {
    for block in [raw(&elements()), coded().block(), planes().block()] {
        assert_eq!(verdict(&Forge::new(block).build()), Ok(()));
    }
    assert!(verdict(&based(|_| ())).unwrap_err().contains("which was not given"));
    assert_eq!(verdict(&with_side(&[0, 0, 1, 0, 0, 0, 0, 0])), Ok(()));
    assert_eq!(verdict(&classes(|_| ())), Ok(()));
    assert_eq!(verdict(&low_bits(|_| ())), Ok(()));
    assert_eq!(verdict(&means(|_| ())), Ok(()));
    assert_eq!(verdict(&packed::packed(|_| ())), Ok(()));
    assert_eq!(verdict(&copied(3, |_| ())), Ok(()));
    assert_eq!(verdict(&archived::most_blocks_of_copies()), Ok(()));
    assert_eq!(verdict(&archived(|_| ())), Ok(()));
    assert_eq!(verdict(&archived::own(|_, _| ())), Ok(()));
    assert_eq!(verdict(&packed::two(|_| ())), Ok(()));
    assert_eq!(verdict(&contexts::contexts(|_, _| ())), Ok(()));
    assert_eq!(verdict(&contexts::copied(&[(2, 0), (3, 1)])), Ok(()));
    for file in based::sound_base_classes() {
        assert_eq!(verdict(&file), Ok(()));
    }
    for place in [0, 3, 4, 7, 8, 23] {
        assert_eq!(verdict(&packed::pivoted(place, |_| ())), Ok(()));
    }
}

#[test]
fn every_malformed_file_is_refused_with_its_text() {
    let folder = testdata("malformed");
    let list = folder.join("expected.tsv");
    if bless() {
        let mut lines = Vec::new();
        let others = [packed::cases(), archived::cases(), contexts::cases(), based::cases()];
        for (name, file) in cases().into_iter().chain(others.into_iter().flatten()) {
            let text = verdict(&file).expect_err(name);
            std::fs::write(folder.join(format!("{name}.wcodec")), &file).unwrap();
            lines.push(format!("{name}\t{text}\n"));
        }
        std::fs::write(&list, lines.concat()).unwrap();
    }
    let expected = std::fs::read_to_string(&list).unwrap();
    let expected: BTreeMap<&str, &str> =
        expected.lines().map(|line| line.split_once('\t').unwrap()).collect();
    assert!(expected.len() >= 40);
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "wcodec") {
            let name = path.file_stem().unwrap().to_str().unwrap();
            let text = verdict(&std::fs::read(&path).unwrap()).unwrap_err();
            assert_eq!(expected.get(name), Some(&text.as_str()), "{name}");
            files += 1;
        }
    }
    assert_eq!(files, expected.len(), "the list names files that are not there");
}
