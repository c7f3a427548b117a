//! Layouts and packings in the directory. FORMAT.md section 10.

use super::directory::Segment;
use super::fields::Fields;
use crate::context::{Context, MAX_TERMS, Measure, Term};
use crate::dtype::ElementType;
use crate::error::{Result, corrupt};
use crate::packing::{
    Field, Layout, MAX_AXES, MAX_FIELDS, MAX_LAYOUTS, MAX_PIECES, MAX_STRUCT_BYTES, Packing,
};
use crate::version::{MINOR_CONTEXTS, MINOR_PIVOTS};
use wcodec_kernels::{Axis, CodeField, MAX_PIVOT_CODES, MAX_PIVOTS, Piece, Pivot, Pivots};

/// Bytes of a layout without its fields.
pub(super) const LAYOUT_LEN: usize = 16;
pub(super) const PACKING_LEN: usize = 16;

/// Reads the layouts of a file.
pub(super) fn read_layouts(fields: &mut Fields<'_>, count: u32, minor: u16) -> Result<Vec<Layout>> {
    if count > MAX_LAYOUTS {
        return Err(corrupt!("{count} layouts, at most {MAX_LAYOUTS} expected"));
    }
    let mut layouts = Vec::new();
    let mut bytes = 0;
    for _ in 0..count {
        let layout = read_layout(fields, minor)?;
        bytes += u64::from(layout.bytes);
        if bytes > MAX_STRUCT_BYTES {
            return Err(corrupt!(
                "structs of {bytes} bytes together, at most {MAX_STRUCT_BYTES} expected"
            ));
        }
        layouts.push(layout);
    }
    Ok(layouts)
}

fn read_layout(fields: &mut Fields<'_>, minor: u16) -> Result<Layout> {
    let (bytes, values) = (fields.u32()?, fields.u32()?);
    let count = read_count(fields, MAX_FIELDS, "fields")?;
    let has_context = match fields.u8()? {
        0 => false,
        1 if minor >= MINOR_CONTEXTS => true,
        contexts => return Err(corrupt!("{contexts} contexts of a layout in version 1.{minor}")),
    };
    fields.zero(6)?;
    let of_layout = (0..count).map(|_| read_field(fields, minor)).collect::<Result<_>>()?;
    let context = if has_context { Some(read_context(fields)?) } else { None };
    Layout { bytes, values, fields: of_layout, context }.checked()
}

fn read_context(fields: &mut Fields<'_>) -> Result<Context> {
    let field = fields.u8()?.into();
    let terms = read_count(fields, MAX_TERMS, "terms of a context")?;
    fields.zero(2)?;
    let codes = fields.u32()? as usize;
    let terms = (0..terms).map(|_| read_term(fields)).collect::<Result<_>>()?;
    Ok(Context { field, codes, terms })
}

fn read_term(fields: &mut Fields<'_>) -> Result<Term> {
    let field = fields.u8()?.into();
    let measure = match fields.u8()? {
        0 => Measure::Log,
        1 => Measure::Exponent,
        measure => return Err(corrupt!("measure of a context is {measure}, at most 1 expected")),
    };
    let weight = fields.u8()? as i8;
    fields.zero(1)?;
    Ok(Term { field, measure, weight })
}

fn read_field(fields: &mut Fields<'_>, minor: u16) -> Result<Field> {
    let element = ElementType::from_code(fields.u8()?)?;
    let pieces = read_count(fields, MAX_PIECES, "pieces of a field")?;
    let bias = fields.u8()?;
    let pivots = match usize::from(fields.u8()?) {
        pivots if pivots == 0 || pivots <= MAX_PIVOTS && minor >= MINOR_PIVOTS => pivots,
        pivots => return Err(corrupt!("{pivots} pivots of a field in version 1.{minor}")),
    };
    let codes = fields.u32()? as usize;
    let pieces = (0..pieces).map(|_| read_piece(fields)).collect::<Result<_>>()?;
    let bits = CodeField { codes, size: element.size(), bias, pieces };
    let pivots = if pivots > 0 { Some(read_pivots(fields, pivots, bias)?) } else { None };
    Ok(Field { element, bits, pivots })
}

fn read_pivots(fields: &mut Fields<'_>, count: usize, bias: u8) -> Result<Pivots> {
    let group = fields.u32()? as usize;
    let pivots = (0..count).map(|_| read_pivot(fields)).collect::<Result<Vec<Pivot>>>()?;
    if let Some(many) = pivots.iter().find(|p| group.saturating_mul(p.codes.len()) > 255) {
        let count = many.codes.len();
        return Err(corrupt!("a pivot has {count} x {group} places, at most 255 expected"));
    }
    Ok(Pivots { group, bias, pivots })
}

fn read_pivot(fields: &mut Fields<'_>) -> Result<Pivot> {
    let count = read_count(fields, MAX_PIVOT_CODES, "codes of a pivot")?;
    fields.zero(3)?;
    let codes = fields.bytes(count)?.to_vec();
    fields.zero(MAX_PIVOT_CODES - count)?;
    Ok(Pivot { codes })
}

fn read_piece(fields: &mut Fields<'_>) -> Result<Piece> {
    let (first, width) = (fields.u32()?, u32::from(fields.u8()?));
    let axes = read_count(fields, MAX_AXES, "axes of a piece")?;
    fields.zero(2)?;
    let axis = |_| Ok(Axis { count: fields.u32()?, stride: fields.u32()? });
    Ok(Piece { first, width, axes: (0..axes).map(axis).collect::<Result<_>>()? })
}

fn read_count(fields: &mut Fields<'_>, most: usize, what: &str) -> Result<usize> {
    match usize::from(fields.u8()?) {
        count if (1..=most).contains(&count) => Ok(count),
        count => Err(corrupt!("{count} {what}, expected 1 to {most}")),
    }
}

pub(super) fn write_layout(layout: &Layout, out: &mut Vec<u8>) {
    let field = |out: &mut Vec<u8>, value: u32| out.extend_from_slice(&value.to_le_bytes());
    field(out, layout.bytes);
    field(out, layout.values);
    let context = u8::from(layout.context.is_some());
    out.extend_from_slice(&[layout.fields.len() as u8, context, 0, 0, 0, 0, 0, 0]);
    for Field { element, bits, pivots } in &layout.fields {
        let count = pivots.as_ref().map_or(0, |pivots| pivots.pivots.len());
        out.extend_from_slice(&[element.code(), bits.pieces.len() as u8, bits.bias, count as u8]);
        field(out, bits.codes as u32);
        for piece in &bits.pieces {
            field(out, piece.first);
            out.extend_from_slice(&[piece.width as u8, piece.axes.len() as u8, 0, 0]);
            for axis in &piece.axes {
                field(out, axis.count);
                field(out, axis.stride);
            }
        }
        if let Some(pivots) = pivots {
            field(out, pivots.group as u32);
            for Pivot { codes } in &pivots.pivots {
                out.extend_from_slice(&[codes.len() as u8, 0, 0, 0]);
                let zeros = std::iter::repeat_n(0, MAX_PIVOT_CODES - codes.len());
                out.extend(codes.iter().copied().chain(zeros));
            }
        }
    }
    if let Some(context) = &layout.context {
        write_context(context, out);
    }
}

fn write_context(context: &Context, out: &mut Vec<u8>) {
    let Context { field, codes, terms } = context;
    out.extend_from_slice(&[*field as u8, terms.len() as u8, 0, 0]);
    out.extend_from_slice(&(*codes as u32).to_le_bytes());
    for &Term { field, measure, weight } in terms {
        let measure = u8::from(measure == Measure::Exponent);
        out.extend_from_slice(&[field as u8, measure, weight as u8, 0]);
    }
}

/// Reads the packings of a file, in order and apart.
pub(super) fn read_packings(
    fields: &mut Fields<'_>,
    count: u32,
    layouts: &[Layout],
    segments: &[Segment],
) -> Result<Vec<Packing>> {
    let mut free = 0;
    (0..count)
        .map(|number| {
            let packing =
                Packing { segment: fields.u32()?, layout: fields.u32()?, structs: fields.u64()? };
            let Some(layout) = layouts.get(packing.layout as usize) else {
                let (layout, count) = (packing.layout, layouts.len());
                return Err(corrupt!(
                    "packing {number}: layout {layout} of {count} does not exist"
                ));
            };
            let first = packing.segment as usize;
            let last = first.saturating_add(layout.segments());
            if first < free {
                return Err(corrupt!("packing {number} shares segments with the one before it"));
            }
            free = last;
            let homes = segments.get(first..last.min(segments.len())).unwrap_or_default();
            let homes = homes.iter().map(|s| (s.geometry.element, s.geometry.elements));
            let check = packing.check(layout, homes);
            check.map_err(|e| e.within(format_args!("packing {number}")))?;
            Ok(packing)
        })
        .collect()
}

pub(super) fn write_packing(packing: &Packing, out: &mut Vec<u8>) {
    out.extend_from_slice(&packing.segment.to_le_bytes());
    out.extend_from_slice(&packing.layout.to_le_bytes());
    out.extend_from_slice(&packing.structs.to_le_bytes());
}
