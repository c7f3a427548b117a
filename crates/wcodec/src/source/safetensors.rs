//! safetensors: an 8-byte length, a JSON header, the tensors' bytes.
//!
//! The header is parsed here, not by the `safetensors` crate: that one wants the whole file in
//! memory and refuses dtypes that it does not know, which are bytes like any others to a codec.

use super::{Found, Listing, Located, arrange, broken};
use crate::container::footer::SourceKind;
use crate::container::read_at::{ReadAt, read};
use crate::layer::Layer;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::collections::HashSet;

/// As the safetensors library has it.
const MAX_HEADER: u64 = 100_000_000;

/// The header's length, if the file looks like safetensors.
pub(super) fn header_length(start: &[u8]) -> Option<u64> {
    let (length, rest) = start.split_first_chunk::<8>()?;
    let length = u64::from_le_bytes(*length);
    (rest.first() == Some(&b'{') && length <= MAX_HEADER).then_some(length)
}

/// The header's JSON, `length` bytes of it.
pub(super) fn header(source: &impl ReadAt, size: u64, length: u64) -> Found<Vec<u8>> {
    if length > size.saturating_sub(8) {
        return Err(broken!("its header of {length} bytes ends behind the end of the file"));
    }
    Ok(read(source, 8, length)?.into_owned())
}

/// The tensors that a header lists.
pub(super) fn list(header: &[u8], size: u64) -> std::result::Result<Listing, String> {
    let Tensors(tensors) = serde_json::from_slice(header).map_err(|e| e.to_string())?;
    let data = 8 + header.len() as u64;
    let mut names = HashSet::new();
    let mut layers = Vec::with_capacity(tensors.len());
    for (name, Tensor { dtype, shape, data_offsets: (begin, end) }) in tensors {
        if !names.insert(name.clone()) {
            return Err(format!("tensor {name:?} is listed twice"));
        }
        let at = data.checked_add(begin);
        let (Some(at), Some(bytes)) = (at, end.checked_sub(begin)) else {
            return Err(format!("tensor {name:?} has offsets {begin} to {end}"));
        };
        if dtype.is_empty() || dtype.len() > 255 || shape.len() > 255 {
            return Err(format!("tensor {name:?} has an unusual dtype or shape"));
        }
        let layer = Layer { name, dtype, shape, bytes };
        layer.check().map_err(|e| format!("tensor {:?}: {e}", layer.name))?;
        layers.push(Located { layer, at, structs: None });
    }
    Ok(Listing::new(SourceKind::Safetensors, arrange(layers, data, size)?))
}

#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The header's entries in order, `__metadata__` left out, names that occur twice kept.
struct Tensors(Vec<(String, Tensor)>);

impl<'de> Deserialize<'de> for Tensors {
    fn deserialize<D: Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Tensors, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Tensors;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a safetensors header")
            }

            fn visit_map<M: MapAccess<'de>>(
                self,
                mut map: M,
            ) -> std::result::Result<Tensors, M::Error> {
                let mut tensors = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        tensors.push((name, map.next_value()?));
                    }
                }
                Ok(Tensors(tensors))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_tensors_by_position() {
        let header = br#"{"b":{"dtype":"I8","shape":[2,2],"data_offsets":[4,8]},"__metadata__":{"x":"y"},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"odd":{"dtype":"F4","shape":[3],"data_offsets":[9,11]}}  "#;
        let data = 8 + header.len() as u64;
        let listing = list(header, data + 11).unwrap();
        let names: Vec<_> =
            listing.layers.iter().map(|l| (l.layer.name.as_str(), l.at - data)).collect();
        assert_eq!(names, [("a", 0), ("b", 4), ("odd", 9)]);
    }

    #[test]
    fn refuses_what_breaks_the_rules() {
        let cases: [(&[u8], &str); 7] = [
            (br#"{"a":{"dtype":"I8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"I8","shape":[4],"data_offsets":[4,8]}}"#, "listed twice"),
            (br#"{"a":{"dtype":"I8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"I8","shape":[4],"data_offsets":[3,7]}}"#, "overlaps"),
            (br#"{"a":{"dtype":"I8","shape":[99],"data_offsets":[0,99]}}"#, "behind the end"),
            (br#"{"a":{"dtype":"F16","shape":[4],"data_offsets":[0,4]}}"#, "expected 4 x 2"),
            (br#"{"a":{"dtype":"F16","shape":[18446744073709551615,3],"data_offsets":[0,4]}}"#, "more than 2^64"),
            (br#"{"a":{"dtype":"F16","shape":[2],"data_offsets":[4,0]}}"#, "offsets 4 to 0"),
            (br#"{"a":7}"#, "invalid type"),
        ];
        for (header, reason) in cases {
            let error = list(header, 8 + header.len() as u64 + 16).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
