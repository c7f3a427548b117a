//! The format of PyTorch before version 1.6: four pickles (a magic number, the protocol's version,
//! the machine, the object), a fifth with the keys of the storages, and the storages in that order,
//! each behind its number of elements.

use super::search::Search;
use super::tensors::Text;
use super::{Listing, Placed, listing};
use crate::container::read_at::ReadAt;
use crate::source::pickle::{Object, Pickle, Value};
use crate::source::window::{Span, Window};
use crate::source::{Found, Names, broken};

/// Behind the opcode of a protocol, a whole number of ten bytes and the end.
const MAGIC: &[u8; 13] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
const PROTOCOL: i64 = 1001;

pub(super) fn looks_like(start: &[u8]) -> bool {
    matches!(start, [0x80, 2 | 3, rest @ ..] if rest.starts_with(MAGIC))
}

pub(super) fn list(window: &mut Window<'_, impl ReadAt>) -> Found<Listing> {
    let size = window.size();
    let mut at = 2 + MAGIC.len() as u64;
    let mut next = |window: &mut _| {
        let pickle = Pickle::read(window, Span { at, end: size })?;
        at = pickle.end;
        Found::Ok(pickle)
    };
    if next(window)?.root != Value::Int(PROTOCOL) {
        return Err(broken!("another protocol than {PROTOCOL}"));
    }
    little_endian(&next(window)?, window)?;
    let object = next(window)?;
    let keys = next(window)?;
    let mut names = Names::new(size);
    let mut storages = Search::run(&object, window, &mut names)?;
    let mut placed = Vec::new();
    for &key in keys.items(keys.root).ok_or_else(|| broken!("no list of storages"))? {
        let key = window.word(key)?.to_owned();
        let storage = storages.remove(&key);
        let storage = storage.ok_or_else(|| broken!("storage {key:?} has no tensor"))?;
        let elements = window.number(at, 8)?;
        if elements.checked_mul(storage.dtype.bytes) != Some(storage.bytes) {
            let expected = storage.bytes / storage.dtype.bytes;
            return Err(broken!("storage {key:?} has {elements} elements, expected {expected}"));
        }
        let data = Span::within(at + 8, storage.bytes, size)?;
        at = data.end;
        placed.push(Placed { storage, at: data.at, name: format!("data/{key}") });
    }
    match storages.keys().min() {
        Some(key) => Err(broken!("storage {key:?} is missing")),
        None => listing(placed, names, size),
    }
}

fn little_endian(machine: &Pickle, window: &mut Window<'_, impl ReadAt>) -> Found<()> {
    if let Some(Object::Map(map)) = machine.object(machine.root) {
        for &(key, value) in map {
            if window.word(key)? == "little_endian" {
                return match value {
                    Value::Int(1) => Ok(()),
                    _ => Err(broken!("numbers are big-endian")),
                };
            }
        }
    }
    Err(broken!("no byte order"))
}
