//! Files with contexts, put together by hand.

use super::forge::Bits;
use super::packed::{Field, Layout, Packed, packed, segment};
use super::scaled::{Scaled, classes, coded_by_classes, side};

/// Field, terms, zero, codes of a unit; then field, measure, weight and zero of the only term: minus the logarithm.
fn context() -> Vec<u8> {
    vec![1, 1, 0, 0, 32, 0, 0, 0, 0, 0, 0xff, 0]
}

/// A layer of 4 rows of 8 structs of 33 bytes: a scale, 1 and 4 by turns, and 32 codes. Units of the larger scale are of
/// the first class, all others of the second; both classes take equal tables.
pub fn contexts(change: impl FnOnce(&mut Packed, &mut Scaled)) -> Vec<u8> {
    packed(|p| {
        p.minor = 4;
        let bytes = |element, codes, piece| Field {
            element,
            bias: 0,
            more_pivots: 0,
            codes,
            pieces: vec![piece],
            pivots: (32, vec![]),
        };
        let fields = vec![bytes(2, 1, (0, 8, vec![(1, 0)])), bytes(3, 32, (8, 8, vec![(32, 8)]))];
        p.layouts =
            vec![Layout { bytes: 33, values: 32, zero: 0, fields, context: (1, context()) }];
        p.packings = vec![(0, 0, 32)];
        let mut head = coded_by_classes();
        let places = (0..32).map(|unit| if unit % 2 == 1 { unit / 2 } else { 16 + unit / 2 });
        let codes: Vec<u8> =
            places.flat_map(|place| head.decoded[32 * place..][..32].to_vec()).collect();
        head.decoded.clone_from(&codes);
        let scales = [1, 4].repeat(16);
        let structs = scales.iter().zip(codes.chunks(32));
        p.forge.original = structs.flat_map(|(scale, codes)| [&[*scale], codes].concat()).collect();
        let like = p.forge.segments[0].clone();
        p.forge.segments = vec![segment(&like, 2, &scales), segment(&like, 3, &codes)];
        let of_codes = &mut p.forge.segments[1];
        (of_codes.rows, of_codes.cols, of_codes.block) = (4, 256, (4, 256));
        of_codes.side = 1;
        let layer = &mut p.forge.layers[0];
        (layer.shape, layer.length) = (vec![4, 256], 32 * 33);
        let mut scaled = Scaled::sound();
        // The lowest sum, then the tables.
        (scaled.head[2], scaled.map) = (2, vec![0xf8, 0xff, 0b10]);
        change(p, &mut scaled);
        (scaled.planes)(&mut head);
        p.forge.segments[1].blocks = vec![head.block(), side(&scaled.payload())];
    })
}

/// Two such packings, the second of them copies of segments of the first.
pub fn copied(copies: &'static [(u32, u32)]) -> Vec<u8> {
    contexts(|p, _| {
        p.packings.push((2, 0, 32));
        let forge = &mut p.forge;
        forge.original = forge.original.repeat(2);
        (forge.layers[0].shape, forge.layers[0].length) = (vec![8, 256], 64 * 33);
        let scales = forge.segments[0].clone();
        forge.segments.extend([scales, forge.segments[1].clone()]);
        for &(copy, _) in copies {
            forge.segments[copy as usize].blocks.clear();
        }
        forge.edit_directory = Box::new(|directory| {
            let numbers = copies.iter().flat_map(|&(segment, source)| [segment, source]);
            directory.extend(numbers.flat_map(u32::to_le_bytes));
        });
        forge.edit_footer = Box::new(|footer| footer[100] = copies.len() as u8);
    })
}

/// Files that break a rule of contexts.
pub fn cases() -> Vec<(&'static str, Vec<u8>)> {
    let byte = |at: usize, value: u8| contexts(|p, _| p.layouts[0].context.1[at] = value);
    let layout = |change: fn(&mut Layout)| contexts(|p, _| change(&mut p.layouts[0]));
    let scaled = |change: fn(&mut Scaled)| contexts(|_, scaled| change(scaled));
    vec![
        ("context_version", contexts(|p, _| p.minor = 3)),
        ("contexts_many", layout(|l| l.context.0 = 2)),
        ("context_field", byte(0, 2)),
        (
            "context_field_wide",
            layout(|l| {
                let field = &mut l.fields[1];
                (field.element, field.codes, field.pieces[0]) = (8, 16, (8, 16, vec![(16, 16)]));
            }),
        ),
        ("context_terms_none", byte(1, 0)),
        ("context_terms_many", byte(1, 5)),
        ("context_reserved", byte(2, 1)),
        ("context_codes_none", byte(4, 0)),
        ("context_codes_few", byte(4, 4)),
        ("context_codes_part", byte(4, 12)),
        ("context_codes_wrap", byte(7, 0xff)),
        (
            "context_codes_of_groups",
            layout(|l| {
                l.fields[1].pivots.1.push(vec![1]);
                l.context.1[4] = 16;
            }),
        ),
        ("context_term_field", byte(8, 2)),
        ("context_term_itself", byte(8, 1)),
        ("context_term_measure", byte(9, 2)),
        (
            "context_term_element",
            layout(|l| {
                l.fields[0].element = 3;
                l.context.1[9] = 1;
            }),
        ),
        (
            "context_term_codes",
            layout(|l| {
                (l.fields[0].codes, l.fields[0].pieces[0]) = (2, (0, 4, vec![(2, 4)]));
            }),
        ),
        ("context_term_reserved", byte(11, 1)),
        ("context_scan_unknown", scaled(|s| s.head[2] = 3)),
        ("context_scan_lowest", scaled(|s| s.head[3] = 1)),
        (
            "context_scan_short",
            scaled(|s| {
                s.map.truncate(1);
                (s.rows, s.cols) = (vec![], vec![]);
            }),
        ),
        ("context_scan_width", scaled(|s| s.head[4] = 7)),
        (
            "context_scan_map",
            scaled(|s| {
                s.planes = |head| {
                    let table = Bits::default().put(0, 6).put(0b11 | 13 << 2, 6).put(0, 12).0;
                    head.map = [&table[..], &4096u32.to_le_bytes()].concat();
                };
            }),
        ),
        (
            "context_missing",
            classes(|s| {
                (s.minor, s.head[2], s.map) = (4, 2, vec![0, 0, 0b10]);
            }),
        ),
        (
            "context_units_cut",
            contexts(|p, _| {
                let codes = &mut p.forge.segments[1];
                (codes.rows, codes.cols, codes.block) = (64, 16, (64, 16));
            }),
        ),
        ("context_copy_alone", copied(&[(3, 1)])),
    ]
}
