//! The walk through what a pickle describes, from its root to its tensors.

use super::tensors::{Dtype, Storage, Text, View};
use crate::container::read_at::ReadAt;
use crate::source::pickle::{Object, Pickle, Value};
use crate::source::window::Window;
use crate::source::{Found, MAX_LAYERS, MAX_NAME, Names, broken};
use std::collections::{BTreeMap, HashMap};

/// Containers around a tensor.
const MAX_DEPTH: u32 = 100;

/// The functions and classes that matter.
#[derive(Clone, Copy)]
enum Global {
    /// Takes a storage, an offset, sizes and strides.
    Tensor,
    /// The same, and a dtype.
    TypedTensor,
    /// Takes a tensor.
    Parameter,
    /// Takes another function and what to call it with.
    FromType,
    /// Takes nothing, or a list of pairs.
    OrderedDict,
    Dtype(Dtype),
    Other,
}

impl Global {
    fn named(module: &str, name: &str) -> Global {
        match (module, name) {
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Global::Tensor,
            ("torch._utils", "_rebuild_tensor_v3") => Global::TypedTensor,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                Global::Parameter
            }
            ("torch._tensor", "_rebuild_from_type_v2") => Global::FromType,
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch" | "torch.storage", name) => {
                Dtype::named(name).map_or(Global::Other, Global::Dtype)
            }
            _ => Global::Other,
        }
    }
}

/// A key and the container that it leads on from.
struct Step {
    parent: u32,
    key: Value,
    depth: u32,
}

pub(super) struct Search<'p, 'w, 'a, R> {
    pickle: &'p Pickle,
    window: &'w mut Window<'a, R>,
    names: &'w mut Names,
    storages: BTreeMap<String, Storage>,
    globals: HashMap<Value, Global>,
    steps: Vec<Step>,
    seen: Vec<bool>,
    /// Values to visit and the steps that lead to them, the next one last.
    waiting: Vec<(Value, u32)>,
    views: usize,
}

impl<'p, 'w, 'a, R: ReadAt> Search<'p, 'w, 'a, R> {
    /// Every storage that the pickle mentions, with the tensors in it.
    pub(super) fn run(
        pickle: &'p Pickle,
        window: &'w mut Window<'a, R>,
        names: &'w mut Names,
    ) -> Found<BTreeMap<String, Storage>> {
        let mut search = Search {
            pickle,
            window,
            names,
            storages: BTreeMap::new(),
            globals: HashMap::new(),
            steps: vec![Step { parent: 0, key: Value::Other, depth: 0 }],
            seen: vec![false; pickle.objects().len()],
            waiting: vec![(pickle.root, 0)],
            views: 0,
        };
        for object in pickle.objects() {
            if let Object::Persistent(id) = object {
                search.storage(*id)?;
            }
        }
        while let Some((value, step)) = search.waiting.pop() {
            search.visit(value, step)?;
        }
        Ok(search.storages)
    }

    fn visit(&mut self, value: Value, step: u32) -> Found<()> {
        let Value::Object(index) = value else { return Ok(()) };
        // Once is enough, and ends circles.
        match self.seen.get_mut(index as usize) {
            Some(seen) if !*seen => *seen = true,
            _ => return Ok(()),
        }
        let first = self.waiting.len();
        match self.pickle.object(value) {
            Some(Object::Items(items)) => self.enter_items(items, step)?,
            Some(Object::Map(map)) => self.enter(map, step)?,
            Some(Object::Call(function, args, rest)) => {
                self.call(*function, *args, step)?;
                self.enter(rest, step)?;
            }
            _ => {}
        }
        // In the order of the pickle.
        self.waiting.get_mut(first..).unwrap_or_default().reverse();
        Ok(())
    }

    fn enter(&mut self, map: &[(Value, Value)], step: u32) -> Found<()> {
        map.iter().try_for_each(|&(key, value)| self.enter_one(key, value, step))
    }

    fn enter_items(&mut self, items: &[Value], step: u32) -> Found<()> {
        let keys = (0..).map(Value::Int);
        keys.zip(items).try_for_each(|(key, &value)| self.enter_one(key, value, step))
    }

    fn enter_one(&mut self, key: Value, value: Value, parent: u32) -> Found<()> {
        if !matches!(value, Value::Object(_)) {
            return Ok(());
        }
        // A state has no key of its own.
        let step = if key == Value::Other { parent } else { self.steps.len() as u32 };
        if step != parent {
            let depth = 1 + self.steps.get(parent as usize).map_or(0, |step| step.depth);
            if depth > MAX_DEPTH {
                return Err(broken!("containers are nested deeper than {MAX_DEPTH}"));
            }
            self.steps.push(Step { parent, key, depth });
        }
        self.waiting.push((value, step));
        Ok(())
    }

    fn call(&mut self, function: Value, args: Value, step: u32) -> Found<()> {
        let pickle = self.pickle;
        let items = pickle.items(args).unwrap_or_default();
        match (self.global(function)?, items) {
            (Global::Tensor, items) => self.tensor(items, None, step),
            (Global::TypedTensor, items) => {
                let dtype = items.get(6).copied().unwrap_or(Value::Other);
                let Global::Dtype(dtype) = self.global(dtype)? else {
                    return Err(broken!("a tensor of unknown dtype"));
                };
                self.tensor(items, Some(dtype), step)
            }
            (Global::Parameter, &[tensor, ..]) => self.enter_one(Value::Other, tensor, step),
            (Global::FromType, &[function, _, args, ..]) => match self.global(function)? {
                Global::FromType => Err(broken!("a tensor is not described as tensors are")),
                _ => self.call(function, args, step),
            },
            (Global::OrderedDict, &[pairs]) => {
                for &pair in pickle.items(pairs).unwrap_or_default() {
                    if let Some(&[key, value]) = pickle.items(pair) {
                        self.enter_one(key, value, step)?;
                    }
                }
                Ok(())
            }
            _ => self.enter_items(items, step),
        }
    }

    fn global(&mut self, value: Value) -> Found<Global> {
        let Some(&Object::Global(module, name)) = self.pickle.object(value) else {
            return Ok(Global::Other);
        };
        if let Some(&global) = self.globals.get(&value) {
            return Ok(global);
        }
        let module = self.window.word(module)?.to_owned();
        let global = Global::named(&module, self.window.word(name)?);
        self.globals.insert(value, global);
        Ok(global)
    }

    /// The storage that an id names: `('storage', class, key, location, elements)`, in the legacy
    /// format a sixth value, the part of another storage that this one is.
    fn storage(&mut self, id: Value) -> Found<&mut Storage> {
        let (&[kind, class, key, _, elements], view) = (match self.pickle.items(id) {
            Some([fields @ .., view]) if fields.len() == 5 => (fields, *view),
            fields => (fields.unwrap_or_default(), Value::Other),
        }) else {
            return Err(broken!("a storage is not described as storages are"));
        };
        let kind = self.window.word(kind)? == "storage";
        let (true, Global::Dtype(dtype), Value::Int(elements)) =
            (kind, self.global(class)?, elements)
        else {
            return Err(broken!("a storage is not described as storages are"));
        };
        let key = self.window.word(key)?;
        let bytes = u64::try_from(elements).ok().and_then(|n| n.checked_mul(dtype.bytes));
        let bytes = bytes.ok_or_else(|| broken!("storage {key:?} has {elements} elements"))?;
        let storage = self.storages.entry(key.to_owned()).or_insert(Storage::new(dtype, bytes));
        if storage.bytes != bytes {
            let before = storage.bytes;
            return Err(broken!("storage {key:?} has {before} bytes and {bytes}"));
        }
        if storage.dtype != dtype || view != Value::Other {
            storage.scatter();
        }
        Ok(storage)
    }

    fn tensor(&mut self, args: &[Value], dtype: Option<Dtype>, step: u32) -> Found<()> {
        let &[storage, Value::Int(offset), sizes, strides, ..] = args else {
            return Err(broken!("a tensor is not described as tensors are"));
        };
        let Some(&Object::Persistent(id)) = self.pickle.object(storage) else {
            return Err(broken!("a tensor is not described as tensors are"));
        };
        let (shape, strides) = (self.dimensions(sizes)?, self.dimensions(strides)?);
        let offset = u64::try_from(offset).map_err(|_| broken!("a tensor begins at {offset}"))?;
        self.views += 1;
        if self.views > MAX_LAYERS {
            return Err(broken!("more than {MAX_LAYERS} tensors"));
        }
        let name = self.name(step)?;
        let storage = self.storage(id)?;
        let dtype = dtype.unwrap_or(storage.dtype);
        storage.add(View::new(name, dtype, shape, &strides, offset)?)
    }

    fn dimensions(&self, value: Value) -> Found<Vec<u64>> {
        let items = self.pickle.items(value).filter(|items| items.len() <= 255);
        let items = items.ok_or_else(|| broken!("a tensor is not described as tensors are"))?;
        let size = |&item: &Value| match item {
            Value::Int(n) => u64::try_from(n).map_err(|_| broken!("a dimension of {n}")),
            _ => Err(broken!("a tensor is not described as tensors are")),
        };
        items.iter().map(size).collect()
    }

    /// The keys that lead to a tensor, joined by dots.
    fn name(&mut self, step: u32) -> Found<String> {
        let mut keys = Vec::new();
        let mut at = step;
        while let Some(step) = self.steps.get(at as usize).filter(|step| step.depth > 0) {
            keys.push(step.key);
            at = step.parent;
        }
        let mut name = String::new();
        for key in keys.into_iter().rev() {
            if !name.is_empty() {
                name.push('.');
            }
            match key {
                Value::Int(number) => name += &number.to_string(),
                Value::Text { .. } => name += self.window.text_of(key, MAX_NAME)?,
                _ => name.push('?'),
            }
            if name.len() as u64 > MAX_NAME {
                return Err(broken!("a name of more than {MAX_NAME} bytes"));
            }
        }
        self.names.take(if name.is_empty() { "tensor" } else { &name })
    }
}
