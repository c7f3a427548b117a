//! The wire format of protocol buffers: fields with a number and a value, one behind the other.
//! What it looks like is described at protobuf.dev, "Encoding".
//!
//! Values stay where they are: a field of bytes is a span of the file.

use super::window::{Span, Window};
use super::{Found, broken};
use crate::container::read_at::ReadAt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Number(u64),
    /// 4 or 8 bytes, for a single float or fixed integer.
    Fixed,
    /// A text, an array or another message.
    Bytes(Span),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) number: u64,
    pub(super) value: Value,
}

/// The fields of a message that have not been read yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields(Span);

impl Fields {
    pub(super) fn of(message: Span) -> Fields {
        Fields(message)
    }

    pub(super) fn next(&mut self, window: &mut Window<'_, impl ReadAt>) -> Found<Option<Field>> {
        if self.0.at >= self.0.end {
            return Ok(None);
        }
        let start = self.0.at;
        let tag = self.varint(window)?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint(window)?),
            1 => self.skip(8).map(|_| Value::Fixed)?,
            2 => {
                let len = self.varint(window)?;
                Value::Bytes(self.skip(len)?)
            }
            5 => self.skip(4).map(|_| Value::Fixed)?,
            kind => return Err(broken!("wire type {kind} at byte {start}")),
        };
        match tag >> 3 {
            0 => Err(broken!("field 0 at byte {start}")),
            number => Ok(Some(Field { number, value })),
        }
    }

    /// The numbers of a packed array.
    pub(super) fn varint(&mut self, window: &mut Window<'_, impl ReadAt>) -> Found<u64> {
        let start = self.0.at;
        let most = (self.0.end - start).min(10).min(window.size().saturating_sub(start));
        let mut number = 0;
        for (&byte, shift) in window.bytes(start, most)?.iter().zip((0..).step_by(7)) {
            self.0.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            // The tenth byte has room for one bit.
            if byte < 0x80 && (shift < 63 || byte < 2) {
                return Ok(number);
            }
        }
        Err(broken!("no whole number at byte {start}"))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.at >= self.0.end
    }

    fn skip(&mut self, len: u64) -> Found<Span> {
        let span = Span::within(self.0.at, len, self.0.end)?;
        self.0.at = span.end;
        Ok(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Fault;

    fn fields(bytes: &[u8]) -> Result<Vec<Field>, String> {
        let mut window = Window::new(&bytes, bytes.len() as u64);
        let mut fields = Fields::of(Span { at: 0, end: bytes.len() as u64 });
        let mut all = Vec::new();
        loop {
            match fields.next(&mut window) {
                Ok(Some(field)) => all.push(field),
                Ok(None) => return Ok(all),
                Err(Fault::Broken(reason)) => return Err(reason),
                Err(Fault::Io(error)) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn reads_every_wire_type() {
        let mut bytes = vec![0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1d, 0, 0, 0, 0];
        bytes.extend([0x21, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend([0x28, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
        let expected = [
            (1, Value::Number(150)),
            (2, Value::Bytes(Span { at: 5, end: 7 })),
            (3, Value::Fixed),
            (4, Value::Fixed),
            (5, Value::Number(u64::MAX)),
        ];
        let expected: Vec<_> =
            expected.into_iter().map(|(number, value)| Field { number, value }).collect();
        assert_eq!(fields(&bytes), Ok(expected));
    }

    #[test]
    fn refuses_what_is_no_field() {
        let cases: [(&[u8], &str); 8] = [
            (&[0x80], "no whole number at byte 0"),
            (&[0x08], "no whole number at byte 1"),
            (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], "no whole"),
            (&[0x0a, 5, 1, 2], "5 bytes at byte 2 end behind byte 4"),
            (&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], "end behind"),
            (&[0x0b], "wire type 3 at byte 0"),
            (&[0x0f], "wire type 7 at byte 0"),
            (&[0x02, 0], "field 0 at byte 0"),
        ];
        for (bytes, reason) in cases {
            let error = fields(bytes).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
