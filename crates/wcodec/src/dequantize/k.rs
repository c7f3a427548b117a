//! Blocks of 256 values with a scale, and sometimes a minimum, for each 16 or 32 of them.

use super::{half, raised, signed};

/// Codes from 0 on, in parts with a scale and a minimum each.
fn shifted(codes: &[u8], middle: u8, scales: impl Iterator<Item = (f32, f32)>, out: &mut [f32]) {
    let parts = scales.size_hint().0.max(1);
    let len = out.len() / parts;
    let parts = out.chunks_exact_mut(len).zip(codes.chunks_exact(len));
    for ((out, codes), (d, m)) in parts.zip(scales) {
        out.iter_mut().zip(codes).for_each(|(out, &code)| *out = d * raised(code, middle) - m);
    }
}

/// Codes around 0, in parts of 16 with a scale each.
fn scaled(codes: &[u8], d: f32, scales: &[u8], out: &mut [f32]) {
    let parts = out.chunks_exact_mut(16).zip(codes.chunks_exact(16));
    for ((out, codes), &scale) in parts.zip(scales) {
        let d = d * signed(scale);
        out.iter_mut().zip(codes).for_each(|(out, &code)| *out = d * signed(code));
    }
}

/// The scale and the minimum of each part.
fn scales(d: f32, scales: &[u8], m: f32, mins: &[u8]) -> impl ExactSizeIterator<Item = (f32, f32)> {
    scales.iter().zip(mins).map(move |(&scale, &min)| (d * f32::from(scale), m * f32::from(min)))
}

pub(super) fn q2_k(fields: &[&[u8]], out: &mut [f32]) {
    let of_parts = scales(half(fields[3]), fields[0], half(fields[4]), fields[1]);
    shifted(fields[2], 2, of_parts, out);
}

pub(super) fn q3_k(fields: &[&[u8]], out: &mut [f32]) {
    scaled(fields[0], half(fields[2]), fields[1], out);
}

pub(super) fn q4_k(fields: &[&[u8]], out: &mut [f32]) {
    let of_parts = scales(half(fields[0]), fields[2], half(fields[1]), fields[3]);
    shifted(fields[4], 8, of_parts, out);
}

pub(super) fn q5_k(fields: &[&[u8]], out: &mut [f32]) {
    let of_parts = scales(half(fields[0]), fields[2], half(fields[1]), fields[3]);
    shifted(fields[4], 16, of_parts, out);
}

pub(super) fn q6_k(fields: &[&[u8]], out: &mut [f32]) {
    scaled(fields[0], half(fields[2]), fields[1], out);
}
