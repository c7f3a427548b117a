//! Files of one packing, put together by hand.

use super::forge::{Forge, Segment, raw};

/// A piece: first bit, width, axes.
pub type Piece = (u32, u8, Vec<(u32, u32)>);

#[derive(Clone)]
pub struct Field {
    pub element: u8,
    pub bias: u8,
    /// How many pivots are told of beside those that there are.
    pub more_pivots: u8,
    pub codes: u32,
    pub pieces: Vec<Piece>,
    /// Codes of a group, and the codes of each pivot.
    pub pivots: (u32, Vec<Vec<u8>>),
}

#[derive(Clone)]
pub struct Layout {
    pub bytes: u32,
    pub values: u32,
    pub zero: u8,
    pub fields: Vec<Field>,
    /// How many contexts there are, and their bytes.
    pub context: (u8, Vec<u8>),
}

/// A layer of 8 rows of 2 structs of 3 bytes: a byte, and four nibbles around 8.
pub struct Packed {
    pub minor: u8,
    pub layouts: Vec<Layout>,
    /// First segment, layout, structs.
    pub packings: Vec<(u32, u32, u64)>,
    /// Added to the numbers of layouts and packings.
    pub more: (u32, u32),
    pub forge: Forge,
}

fn layout() -> Layout {
    let field = |bias, codes, piece| Field {
        element: 2,
        bias,
        more_pivots: 0,
        codes,
        pieces: vec![piece],
        pivots: (4, vec![]),
    };
    let nibbles = Field { element: 3, ..field(0xf8, 4, (8, 4, vec![(2, 8), (2, 4)])) };
    Layout {
        bytes: 3,
        values: 4,
        zero: 0,
        fields: vec![field(0, 1, (0, 8, vec![(1, 0)])), nibbles],
        context: (0, vec![]),
    }
}

/// The structs, and the codes of their fields.
fn structs() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let original: Vec<u8> = (0..48u32).map(|i| (i * i + 7 * i) as u8).collect();
    let (mut bytes, mut nibbles) = (vec![], vec![]);
    for one in original.chunks(3) {
        bytes.push(one[0]);
        let codes = [one[1] & 15, one[2] & 15, one[1] >> 4, one[2] >> 4];
        nibbles.extend(codes.map(|code| code.wrapping_sub(8)));
    }
    (original, bytes, nibbles)
}

pub fn segment(like: &Segment, element: u8, codes: &[u8]) -> Segment {
    let cols = codes.len() as u64 / 8;
    let mut segment = like.clone();
    (segment.element, segment.rows, segment.cols, segment.elements) = (element, 8, cols, 8 * cols);
    segment.block = (8, cols as u32);
    segment.blocks = vec![raw(codes)];
    segment
}

fn write(layouts: &[Layout], packings: &[(u32, u32, u64)]) -> Vec<u8> {
    let mut out = Vec::new();
    for layout in layouts {
        out.extend(layout.bytes.to_le_bytes());
        out.extend(layout.values.to_le_bytes());
        out.extend([layout.fields.len() as u8, layout.context.0, layout.zero, 0, 0, 0, 0, 0]);
        for field in &layout.fields {
            out.extend([field.element, field.pieces.len() as u8, field.bias]);
            out.push(field.pivots.1.len() as u8 + field.more_pivots);
            out.extend(field.codes.to_le_bytes());
            for (first, width, axes) in &field.pieces {
                out.extend(first.to_le_bytes());
                out.extend([*width, axes.len() as u8, 0, 0]);
                for (count, stride) in axes {
                    out.extend(count.to_le_bytes());
                    out.extend(stride.to_le_bytes());
                }
            }
            if !field.pivots.1.is_empty() {
                out.extend(field.pivots.0.to_le_bytes());
            }
            for codes in &field.pivots.1 {
                out.extend([codes.len() as u8, 0, 0, 0]);
                out.extend(codes);
                out.resize(out.len() + 4usize.saturating_sub(codes.len()), 0);
            }
        }
        out.extend(&layout.context.1);
    }
    for (segment, layout, structs) in packings {
        out.extend(segment.to_le_bytes());
        out.extend(layout.to_le_bytes());
        out.extend(structs.to_le_bytes());
    }
    out
}

/// A file of one packing.
pub fn packed(change: impl FnOnce(&mut Packed)) -> Vec<u8> {
    let (original, bytes, nibbles) = structs();
    let mut forge = Forge::new(raw(&original));
    let like = forge.segments[0].clone();
    forge.segments = vec![segment(&like, 2, &bytes), segment(&like, 3, &nibbles)];
    let layer = &mut forge.layers[0];
    (layer.dtype, layer.shape, layer.length) = (b"Q4_X".to_vec(), vec![8, 8], 48);
    let mut packed = Packed {
        minor: 3,
        layouts: vec![layout()],
        packings: vec![(0, 0, 16)],
        more: (0, 0),
        forge,
    };
    change(&mut packed);
    let Packed { minor, layouts, packings, more, mut forge } = packed;
    forge.header[10] = minor;
    let counts = (layouts.len() as u32 + more.0, packings.len() as u32 + more.1);
    forge.packings = (counts.0, counts.1, write(&layouts, &packings));
    forge.build()
}

/// As [`packed`], with two packings of 8 structs each.
pub fn two(change: impl FnOnce(&mut Packed)) -> Vec<u8> {
    packed(|p| {
        let like = p.forge.segments[0].clone();
        let (_, bytes, nibbles) = structs();
        let halves = bytes.chunks(8).zip(nibbles.chunks(32));
        p.forge.segments = halves
            .flat_map(|(bytes, nibbles)| [segment(&like, 2, bytes), segment(&like, 3, nibbles)])
            .collect();
        p.packings = vec![(0, 0, 8), (2, 0, 8)];
        change(p);
    })
}

/// As [`packed`], with a pivot of the nibbles, whose place in the first struct is this.
pub fn pivoted(first: u8, change: impl FnOnce(&mut Packed)) -> Vec<u8> {
    packed(|p| {
        p.minor = 4;
        p.layouts[0].fields[1].pivots = (4, vec![vec![6, 7]]);
        let mut places = vec![first];
        // The second code, in any place; none in the last, but a code of its own.
        places.extend((1..16).map(|number| if number == 15 { 8 + 9 } else { 4 + number % 4 }));
        for (one, place) in p.forge.original.chunks_mut(3).zip(&places) {
            let mut codes = [0, 1, 2, 3].map(|code: u8| code + 8);
            if *place >= 8 {
                codes[0] = place - 8;
            } else {
                let at = usize::from(*place % 4);
                codes[0] = codes[at];
                codes[at] = 6 + 8 + place / 4;
            }
            (one[1], one[2]) = (codes[0] & 15 | codes[2] << 4, codes[1] | codes[3] << 4);
        }
        let like = p.forge.segments[0].clone();
        p.forge.segments[1] = segment(&like, 3, &[1, 2, 3].repeat(16));
        p.forge.segments.push(segment(&like, 2, &places));
        change(p);
    })
}

/// The same with two pivots, whose second has a place before itself.
fn pivots_crossed() -> Vec<u8> {
    pivoted(4, |p| {
        p.layouts[0].fields[1].pivots.1.push(vec![5]);
        let like = p.forge.segments[0].clone();
        p.forge.segments[1] = segment(&like, 3, &[2, 3].repeat(16));
        p.forge.segments.push(segment(&like, 2, &[0; 16]));
    })
}

/// Files that break a rule of packings.
#[expect(clippy::too_many_lines, reason = "a list")]
pub fn cases() -> Vec<(&'static str, Vec<u8>)> {
    let layout = |change: fn(&mut Layout)| packed(|p| change(&mut p.layouts[0]));
    let field = |change: fn(&mut Field)| packed(|p| change(&mut p.layouts[0].fields[1]));
    let pivot = |change: fn(&mut Field)| pivoted(4, |p| change(&mut p.layouts[0].fields[1]));
    let piece = |piece: Piece| packed(|p| p.layouts[0].fields[1].pieces = vec![piece]);
    vec![
        ("packing_version", packed(|p| p.minor = 2)),
        (
            "packing_source_version",
            packed(|p| {
                (p.layouts, p.packings, p.minor, p.forge.source) = (vec![], vec![], 2, 4);
            }),
        ),
        ("packing_source", packed(|p| p.forge.source = 7)),
        ("packing_footer_reserved", packed(|p| p.forge.edit_footer = Box::new(|b| b[83] = 1))),
        ("layouts_many", packed(|p| p.layouts = vec![p.layouts[0].clone(); 257])),
        ("layouts_short", packed(|p| p.more.0 = 1)),
        ("layouts_unbacked", packed(|p| p.more = (9999, 9999))),
        (
            "layouts_large",
            packed(|p| {
                let mut large = p.layouts[0].clone();
                large.fields.truncate(1);
                large.fields[0].codes = 1 << 20;
                large.fields[0].pieces = vec![(0, 8, vec![(1 << 20, 8)])];
                large.bytes = 1 << 20;
                p.layouts.push(large);
            }),
        ),
        ("layout_bytes_none", layout(|l| l.bytes = 0)),
        ("layout_bytes_many", layout(|l| l.bytes = (1 << 20) + 1)),
        ("layout_values_none", layout(|l| l.values = 0)),
        ("layout_fields_none", layout(|l| l.fields.clear())),
        ("layout_fields_many", layout(|l| l.fields = vec![l.fields[0].clone(); 17])),
        ("layout_reserved", layout(|l| l.zero = 1)),
        ("layout_bits_left", layout(|l| l.bytes = 4)),
        ("layout_bits_outside", layout(|l| l.bytes = 2)),
        ("layout_bits_twice", layout(|l| l.fields[0].pieces[0].0 = 1)),
        ("field_element", field(|f| f.element = 16)),
        ("field_pieces_none", field(|f| f.pieces.clear())),
        ("field_pieces_many", field(|f| f.pieces = vec![f.pieces[0].clone(); 9])),
        ("field_pivots_version", field(|f| f.more_pivots = 1)),
        ("field_bias", field(|f| f.element = 9)),
        ("field_codes_none", field(|f| f.codes = 0)),
        ("field_codes_many", field(|f| f.codes = u32::MAX)),
        ("field_pivots_many", pivot(|f| f.pivots.1 = vec![vec![6]; 3])),
        ("field_pivots_short", pivot(|f| f.more_pivots = 1)),
        ("field_pivots_wide", pivot(|f| (f.element, f.bias) = (9, 0))),
        ("pivots_group_none", pivot(|f| f.pivots.0 = 0)),
        ("pivots_group_one", pivot(|f| f.pivots.0 = 1)),
        ("pivots_group_part", pivot(|f| f.pivots.0 = 3)),
        ("pivots_group_large", pivot(|f| (f.pivots.0, f.codes) = (65, 65))),
        ("pivots_group_wrap", pivot(|f| f.pivots.0 = u32::MAX)),
        ("pivot_codes_none", pivot(|f| f.pivots.1[0].clear())),
        ("pivot_codes_many", pivot(|f| f.pivots.1[0] = vec![6; 5])),
        ("pivot_places_many", pivot(|f| (f.pivots.0, f.pivots.1[0]) = (64, vec![1, 2, 3, 4]))),
        (
            "pivot_segments",
            pivoted(4, |p| {
                p.forge.segments.pop();
            }),
        ),
        ("pivot_element", pivoted(4, |p| p.forge.segments[2].element = 3)),
        ("pivot_places_crossed", pivots_crossed()),
        ("piece_width_none", piece((8, 0, vec![(2, 8), (2, 4)]))),
        ("piece_width_large", piece((8, 9, vec![(2, 8), (2, 4)]))),
        ("piece_axes_none", piece((8, 4, vec![]))),
        ("piece_axes_many", piece((8, 4, vec![(4, 4), (1, 0), (1, 0), (1, 0), (1, 0)]))),
        ("piece_places", piece((8, 4, vec![(3, 4)]))),
        ("piece_places_wrap", piece((8, 4, vec![(1 << 31, 4), (1 << 31, 4), (4, 4), (4, 4)]))),
        ("piece_places_none", piece((8, 4, vec![(0, 4), (u32::MAX, 4)]))),
        ("piece_strides_wrap", piece((8, 4, vec![(2, u32::MAX), (2, u32::MAX)]))),
        ("packing_segment", packed(|p| p.packings[0].0 = 1)),
        ("packing_segment_far", packed(|p| p.packings[0].0 = u32::MAX)),
        ("packing_layout", packed(|p| p.packings[0].1 = 1)),
        (
            "packing_structs_none",
            packed(|p| {
                p.packings[0].2 = 0;
                for segment in &mut p.forge.segments {
                    (segment.rows, segment.cols, segment.elements) = (0, 0, 0);
                    segment.blocks.clear();
                }
            }),
        ),
        ("packing_structs", packed(|p| p.packings[0].2 = 15)),
        ("packing_structs_wrap", packed(|p| p.packings[0].2 = (1 << 62) + 4)),
        ("packing_element", packed(|p| p.forge.segments[1].element = 2)),
        (
            "packing_large",
            packed(|p| {
                p.packings[0].2 = 1 << 24;
                for (segment, cols) in p.forge.segments.iter_mut().zip([1u64, 4]) {
                    (segment.rows, segment.cols, segment.elements) = (1 << 24, cols, cols << 24);
                    segment.block = (1 << 16, cols as u32);
                }
            }),
        ),
        ("packing_shared", two(|p| p.packings[1].0 = 1)),
        ("packing_order", two(|p| p.packings.reverse())),
        ("packed_layer_segment", packed(|p| p.forge.layers[0].segment = 1)),
        ("packed_layer_offset", packed(|p| p.forge.layers[0].offset = 3)),
        (
            "packed_layer_short",
            packed(|p| {
                (p.forge.layers[0].length, p.forge.layers[0].shape) = (24, vec![4, 8]);
            }),
        ),
        (
            "packed_layer_half",
            two(|p| {
                (p.forge.layers[0].length, p.forge.layers[0].shape) = (36, vec![6, 8]);
            }),
        ),
        (
            "packed_layer_long",
            packed(|p| {
                (p.forge.layers[0].length, p.forge.layers[0].shape) =
                    (u64::MAX / 3 * 3, vec![8, 8]);
            }),
        ),
        (
            "packed_layer_empty",
            packed(|p| {
                (p.forge.layers[0].length, p.forge.layers[0].shape) = (0, vec![0, 8]);
            }),
        ),
        ("packed_layer_shape", packed(|p| p.forge.layers[0].shape = vec![8, 12])),
        ("packed_layer_cut", packed(|p| p.forge.layers[0].shape = vec![32, 2])),
        ("packed_layer_scalar", packed(|p| p.forge.layers[0].shape = vec![])),
        (
            "packed_layer_overlap",
            two(|p| {
                let mut second = p.forge.layers[0].clone();
                (second.name, second.segment, second.shape, second.length) =
                    (b"v".to_vec(), 2, vec![4, 8], 24);
                p.forge.layers.push(second);
            }),
        ),
        (
            "packed_layer_layouts",
            two(|p| {
                let mut other = p.layouts[0].clone();
                other.values = 2;
                p.layouts.push(other);
                p.packings[1].1 = 1;
            }),
        ),
        (
            "packed_layer_beyond",
            two(|p| {
                // The second packing is none: plain segments.
                p.packings.pop();
                p.forge.original.resize(24 + 40, 0);
            }),
        ),
    ]
}
