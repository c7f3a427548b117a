//! ONNX: tensors inside a protocol buffer, `ModelProto` of onnx.proto (github.com/onnx/onnx).
//!
//! The file is walked once, without a stack that it controls, and only the headers between its
//! arrays are read. Layers are arrays that lie in the file as they lie in memory: `raw_data`, and
//! packed `float_data` and `double_data`. The other typed fields hold numbers of varying length.

use super::window::{Span, Window};
use super::wire::{Field, Fields, Value};
use super::{Fault, Found, Listing, Located, MAX_LAYERS, MAX_NAME, Names, arrange, broken};
use crate::container::footer::SourceKind;
use crate::container::read_at::ReadAt;
use crate::layer::Layer;

/// As the protocol buffers library has it.
const MAX_DEPTH: usize = 100;
/// Fields that may lie before the graph.
const MAX_PREFACE: usize = 64;

/// The messages that lead to tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Model,
    Training,
    Graph,
    Function,
    Node,
    Attribute,
    Sparse,
    Tensor,
}

impl Kind {
    /// The kind of message in a field, if it may hold a tensor.
    fn child(self, number: u64) -> Option<Kind> {
        Some(match (self, number) {
            (Kind::Model, 7) | (Kind::Training, 1 | 2) | (Kind::Attribute, 6 | 11) => Kind::Graph,
            (Kind::Model, 20) => Kind::Training,
            (Kind::Model, 25) => Kind::Function,
            (Kind::Graph, 1) | (Kind::Function, 7) => Kind::Node,
            (Kind::Node, 5) | (Kind::Function, 11) => Kind::Attribute,
            (Kind::Graph, 15) | (Kind::Attribute, 22 | 23) => Kind::Sparse,
            (Kind::Graph, 5) | (Kind::Attribute, 5 | 10) | (Kind::Sparse, 1 | 2) => Kind::Tensor,
            _ => return None,
        })
    }
}

/// Numbers of the elements' types, their names as safetensors spells them, bits of an element.
const DTYPES: [(u64, &str, u64); 25] = [
    (1, "F32", 32),
    (2, "U8", 8),
    (3, "I8", 8),
    (4, "U16", 16),
    (5, "I16", 16),
    (6, "I32", 32),
    (7, "I64", 64),
    (9, "BOOL", 8),
    (10, "F16", 16),
    (11, "F64", 64),
    (12, "U32", 32),
    (13, "U64", 64),
    (14, "C64", 64),
    (15, "C128", 128),
    (16, "BF16", 16),
    (17, "F8_E4M3", 8),
    (18, "F8_E4M3FNUZ", 8),
    (19, "F8_E5M2", 8),
    (20, "F8_E5M2FNUZ", 8),
    (21, "U4", 4),
    (22, "I4", 4),
    (23, "F4", 4),
    (24, "F8_E8M0", 8),
    (25, "U2", 2),
    (26, "I2", 2),
];

/// Whether a file begins as a model does: fields that a model has, its format's version among
/// them, up to a graph that begins as graphs do. The file may end early.
pub(super) fn looks_like(window: &mut Window<'_, impl ReadAt>) -> Found<bool> {
    let all = |at| Fields::of(Span { at, end: u64::MAX });
    let mut versioned = false;
    let mut model = all(0);
    for _ in 0..MAX_PREFACE {
        match peek(&mut model, window)? {
            Some(Field { number: 1, value: Value::Number(1..=255) }) => versioned = true,
            Some(Field { number: 5, value: Value::Number(_) }) => {}
            Some(Field { number: 7, value: Value::Bytes(graph) }) => {
                let first = peek(&mut all(graph.at), window)?;
                let known = |field: Field| {
                    matches!(field.number, 1 | 2 | 5 | 10..=16)
                        && matches!(field.value, Value::Bytes(_))
                };
                return Ok(versioned && first.is_some_and(known));
            }
            Some(Field { number: 2..=4 | 6 | 8 | 14 | 20 | 25 | 26, value: Value::Bytes(_) }) => {}
            _ => return Ok(false),
        }
    }
    Ok(false)
}

/// A field of what may be a message.
fn peek(fields: &mut Fields, window: &mut Window<'_, impl ReadAt>) -> Found<Option<Field>> {
    match fields.next(window) {
        Err(Fault::Broken(_)) => Ok(None),
        other => other,
    }
}

/// The tensors of a model.
pub(super) fn list(window: &mut Window<'_, impl ReadAt>) -> Found<Listing> {
    let size = window.size();
    let mut tensors = Vec::new();
    walk(window, &mut tensors)?;
    tensors.sort_by_key(|tensor| tensor.at);
    let mut names = Names::new(size);
    let mut layers = Vec::new();
    for Tensor { name, dtype, shape, data, at } in tensors {
        let name = name.map_or(Ok("tensor"), |span| window.text(span, MAX_NAME))?;
        let name = names.take(name)?;
        let bytes = data.map_or(0, Span::len);
        let layer = Layer { name, dtype: dtype.to_owned(), shape, bytes };
        layer.check().map_err(|e| broken!("tensor {:?}: {e}", layer.name))?;
        layers.push(Located { layer, at, structs: None });
    }
    Ok(Listing::new(SourceKind::Onnx, arrange(layers, 0, size)?))
}

/// A message that has been entered.
struct Frame {
    kind: Kind,
    fields: Fields,
    /// The first output of the node around it: the name of a value that has none of its own.
    output: Option<Span>,
}

fn walk(window: &mut Window<'_, impl ReadAt>, tensors: &mut Vec<Tensor>) -> Found<()> {
    let fields = Fields::of(Span { at: 0, end: window.size() });
    let mut frames = vec![Frame { kind: Kind::Model, fields, output: None }];
    while let Some(frame) = frames.last_mut() {
        let Some(Field { number, value }) = frame.fields.next(window)? else {
            frames.pop();
            continue;
        };
        let (Some(kind), Value::Bytes(message)) = (frame.kind.child(number), value) else {
            continue;
        };
        let output = match kind {
            Kind::Node => output(message, window)?,
            Kind::Graph => None,
            _ => frame.output,
        };
        if kind == Kind::Tensor {
            if let Some(tensor) = Tensor::read(message, output, window)? {
                tensors.push(tensor);
            }
            if tensors.len() > MAX_LAYERS {
                return Err(broken!("more than {MAX_LAYERS} tensors"));
            }
        } else if frames.len() < MAX_DEPTH {
            frames.push(Frame { kind, fields: Fields::of(message), output });
        } else {
            return Err(broken!("messages are nested deeper than {MAX_DEPTH}"));
        }
    }
    Ok(())
}

/// Where the name of a node's first output lies.
fn output(node: Span, window: &mut Window<'_, impl ReadAt>) -> Found<Option<Span>> {
    let mut fields = Fields::of(node);
    while let Some(field) = fields.next(window)? {
        if let Field { number: 2, value: Value::Bytes(name) } = field {
            return Ok(Some(name).filter(|name| name.len() > 0));
        }
    }
    Ok(None)
}

/// A tensor whose elements lie in the file as they do in memory, or that has none.
struct Tensor {
    name: Option<Span>,
    dtype: &'static str,
    shape: Vec<u64>,
    data: Option<Span>,
    at: u64,
}

/// What the fields of a tensor say.
#[derive(Default)]
struct Fieldset {
    name: Option<Span>,
    dtype: u64,
    shape: Vec<u64>,
    data: Vec<Span>,
    elsewhere: bool,
}

impl Tensor {
    fn read(
        message: Span,
        output: Option<Span>,
        window: &mut Window<'_, impl ReadAt>,
    ) -> Found<Option<Tensor>> {
        let set = Fieldset::read(message, window)?;
        let row = DTYPES.iter().find(|row| row.0 == set.dtype);
        let (Some(&(_, dtype, bits)), false) = (row, set.elsewhere) else { return Ok(None) };
        let bytes = bytes_of(&set.shape, bits)
            .ok_or_else(|| broken!("shape {:?} has more than 2^64 bits", set.shape))?;
        let data = match set.data.as_slice() {
            [] if bytes == 0 => None,
            &[data] => Some(data),
            _ => return Ok(None),
        };
        if let Some(data) = data.filter(|data| data.len() != bytes) {
            let shape = set.shape;
            return Err(broken!(
                "{dtype} of shape {shape:?} has {} bytes, expected {bytes} (byte {})",
                data.len(),
                data.at
            ));
        }
        let at = data.map_or(message.end, |data| data.at);
        Ok(Some(Tensor { name: set.name.or(output), dtype, shape: set.shape, data, at }))
    }
}

/// Bytes of an array; parts of a last byte count.
fn bytes_of(shape: &[u64], bits: u64) -> Option<u64> {
    if shape.contains(&0) {
        return Some(0);
    }
    let bits = shape.iter().try_fold(bits, |n, &dim| n.checked_mul(dim))?;
    Some(bits.div_ceil(8))
}

impl Fieldset {
    fn read(message: Span, window: &mut Window<'_, impl ReadAt>) -> Found<Fieldset> {
        let mut set = Fieldset::default();
        let mut fields = Fields::of(message);
        while let Some(Field { number, value }) = fields.next(window)? {
            match (number, value) {
                (1, Value::Number(dim)) => set.dimension(dim)?,
                (1, Value::Bytes(packed)) => {
                    let mut dims = Fields::of(packed);
                    while !dims.is_empty() {
                        set.dimension(dims.varint(window)?)?;
                    }
                }
                (2, Value::Number(dtype)) => set.dtype = dtype,
                (8, Value::Bytes(name)) => set.name = Some(name).filter(|name| name.len() > 0),
                (14, Value::Number(location)) => set.elsewhere |= location != 0,
                (4 | 9 | 10, Value::Bytes(data)) if data.len() > 0 => set.piece(data),
                // Numbers of varying length, texts, or floats one by one.
                (4 | 10, Value::Fixed) | (5..=7 | 11, Value::Number(_)) => set.elsewhere = true,
                (5..=7 | 11, Value::Bytes(data)) => set.elsewhere |= data.len() > 0,
                _ => {}
            }
        }
        Ok(set)
    }

    fn dimension(&mut self, dim: u64) -> Found<()> {
        if self.shape.len() == 255 {
            return Err(broken!("a tensor of more than 255 dimensions"));
        }
        self.shape.push(dim);
        Ok(())
    }

    /// A piece of the elements; in more than one they are no array.
    fn piece(&mut self, data: Span) {
        self.elsewhere |= !self.data.is_empty();
        self.data = vec![data];
    }
}
