//! Python's pickles, read and never executed.
//!
//! A pickle is a program for a stack machine. This machine builds containers and notes which
//! functions would be called with what; it imports nothing and calls nothing. The opcodes are those
//! of Python's `pickletools`, protocols 2 to 5, without those that only text protocols have.

use super::window::{Span, Window};
use super::{Found, broken};
use crate::container::read_at::ReadAt;
use std::collections::HashMap;

/// Memory that the objects of one pickle may take. A tensor takes about a kilobyte.
const MAX_MEMORY: usize = 32 << 20;
/// Values on the stack, and marks.
const MAX_STACK: usize = 1 << 18;
/// Bytes of the name of a class or module.
const MAX_LINE: u64 = 1 << 10;

/// A value; texts lie in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Value {
    /// None, a float, bytes: nothing that leads to tensors.
    Other,
    /// A whole number or a boolean.
    Int(i64),
    Text {
        at: u64,
        len: u32,
    },
    /// Number of an object.
    Object(u32),
}

/// What containers and calls are made of.
#[derive(Debug)]
pub(super) enum Object {
    /// A tuple, list or set.
    Items(Vec<Value>),
    Map(Vec<(Value, Value)>),
    /// A class or function, by the names of its module and itself.
    Global(Value, Value),
    /// The function, its arguments, and what is put into its result afterwards.
    Call(Value, Value, Vec<(Value, Value)>),
    /// What lies outside of the pickle.
    Persistent(Value),
}

/// What a pickle describes.
#[derive(Debug)]
pub(super) struct Pickle {
    objects: Vec<Object>,
    pub(super) root: Value,
    /// Where it ends.
    pub(super) end: u64,
}

impl Pickle {
    /// Reads a pickle that begins at the span's start and ends at its end or before.
    pub(super) fn read(window: &mut Window<'_, impl ReadAt>, span: Span) -> Found<Pickle> {
        let mut machine = Machine {
            window,
            at: span.at,
            end: span.end,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            objects: Vec::new(),
            memory: 0,
        };
        while !machine.step()? {}
        let root = machine.pop()?;
        Ok(Pickle { objects: machine.objects, root, end: machine.at })
    }

    pub(super) fn objects(&self) -> &[Object] {
        &self.objects
    }

    pub(super) fn object(&self, value: Value) -> Option<&Object> {
        let Value::Object(index) = value else { return None };
        self.objects.get(index as usize)
    }

    pub(super) fn items(&self, value: Value) -> Option<&[Value]> {
        match self.object(value)? {
            Object::Items(items) => Some(items),
            _ => None,
        }
    }
}

struct Machine<'w, 'a, R> {
    window: &'w mut Window<'a, R>,
    at: u64,
    end: u64,
    stack: Vec<Value>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u64, Value>,
    objects: Vec<Object>,
    memory: usize,
}

impl<R: ReadAt> Machine<'_, '_, R> {
    /// Runs one opcode; returns whether it was the last.
    fn step(&mut self) -> Found<bool> {
        let at = self.at;
        let code = self.number(1)? as u8;
        match code {
            b'.' => return Ok(true),
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.mark()?,
            b'0' => drop(self.pop()?),
            b'1' => drop(self.since_mark()?),
            b'2' => {
                let top = self.top()?;
                self.push(top)?;
            }
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.remember(code)?,
            b'K' | b'M' | b'J' | 0x8a | 0x8b | b'N' | b'G' | 0x88 | 0x89 => self.scalar(code)?,
            b'X' | 0x8c | 0x8d | b'T' | b'U' => self.text(code)?,
            b'B' | b'C' | 0x8e | 0x96 => self.bytes(code)?,
            b')' | b']' | b'}' | 0x8f | b't' | b'l' | b'd' | 0x91 | 0x85..=0x87 => {
                self.container(code)?;
            }
            b'a' | b'e' | 0x90 | b's' | b'u' => self.fill(code)?,
            b'c' | 0x93 | b'R' | 0x81 | 0x92 | b'b' | b'Q' => self.call(code)?,
            _ => return Err(broken!("pickle opcode {code:#04x} at byte {at}")),
        }
        Ok(false)
    }

    fn take(&mut self, len: u64) -> Found<Span> {
        let span = Span::within(self.at, len, self.end)?;
        self.at = span.end;
        Ok(span)
    }

    fn number(&mut self, len: u64) -> Found<u64> {
        let span = self.take(len)?;
        self.window.number(span.at, len)
    }

    /// Reserves memory in words only; the limit is on what the pickle can make grow.
    fn charge(&mut self, bytes: usize) -> Found<()> {
        self.memory = self.memory.saturating_add(bytes);
        if self.memory > MAX_MEMORY {
            return Err(broken!("the pickle takes more than {MAX_MEMORY} bytes of memory"));
        }
        Ok(())
    }

    fn push(&mut self, value: Value) -> Found<()> {
        if self.stack.len() >= MAX_STACK {
            return Err(broken!("the pickle has more than {MAX_STACK} values on its stack"));
        }
        self.stack.push(value);
        Ok(())
    }

    /// The height below which values belong to what was begun before.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Found<Value> {
        let floor = self.floor();
        match self.stack.pop() {
            Some(value) if self.stack.len() >= floor => Ok(value),
            _ => Err(broken!("the pickle takes a value from an empty stack")),
        }
    }

    fn top(&mut self) -> Found<Value> {
        let value = self.pop()?;
        self.stack.push(value);
        Ok(value)
    }

    fn mark(&mut self) -> Found<()> {
        if self.marks.len() >= MAX_STACK {
            return Err(broken!("the pickle has more than {MAX_STACK} marks"));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn since_mark(&mut self) -> Found<Vec<Value>> {
        let mark = self.marks.pop().ok_or_else(|| broken!("the pickle has no mark"))?;
        self.charge(self.stack.len().saturating_sub(mark) * size_of::<Value>())?;
        // The stack never falls below a mark.
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn object(&mut self, object: Object) -> Found<()> {
        self.charge(size_of::<Object>())?;
        let index = self.objects.len() as u32;
        self.objects.push(object);
        self.push(Value::Object(index))
    }

    fn remember(&mut self, code: u8) -> Found<()> {
        let key = match code {
            b'q' | b'h' => self.number(1)?,
            0x94 => self.memo.len() as u64,
            _ => self.number(4)?,
        };
        if matches!(code, b'h' | b'j') {
            let value = self.memo.get(&key).copied();
            return self.push(value.ok_or_else(|| broken!("the pickle has no memo {key}"))?);
        }
        let value = self.top()?;
        if self.memo.insert(key, value).is_none() {
            self.charge(2 * size_of::<(u64, Value)>())?;
        }
        Ok(())
    }

    fn scalar(&mut self, code: u8) -> Found<()> {
        let value = match code {
            b'K' => Value::Int(self.number(1)? as i64),
            b'M' => Value::Int(self.number(2)? as i64),
            b'J' => Value::Int(i64::from(self.number(4)? as u32 as i32)),
            0x88 => Value::Int(1),
            0x89 => Value::Int(0),
            0x8a | 0x8b => {
                let len = self.number(if code == 0x8a { 1 } else { 4 })?;
                self.long(len)?
            }
            b'G' => self.take(8).map(|_| Value::Other)?,
            _ => Value::Other,
        };
        self.push(value)
    }

    /// Two's complement of `len` bytes; what exceeds 64 bits is no size.
    fn long(&mut self, len: u64) -> Found<Value> {
        let span = self.take(len)?;
        if len > 8 {
            return Ok(Value::Other);
        }
        let unused = 64 - 8 * len as u32;
        let number = self.window.number(span.at, len)?;
        Ok(Value::Int((number.checked_shl(unused).unwrap_or(0) as i64) >> unused.min(63)))
    }

    fn text(&mut self, code: u8) -> Found<()> {
        let len = self.number(match code {
            0x8c | b'U' => 1,
            0x8d => 8,
            _ => 4,
        })?;
        let span = self.take(len)?;
        // Longer texts are no names.
        let value = u32::try_from(len).map_or(Value::Other, |len| Value::Text { at: span.at, len });
        self.push(value)
    }

    fn bytes(&mut self, code: u8) -> Found<()> {
        let len = self.number(match code {
            b'C' => 1,
            b'B' => 4,
            _ => 8,
        })?;
        self.take(len)?;
        self.push(Value::Other)
    }

    fn container(&mut self, code: u8) -> Found<()> {
        let object = match code {
            b'}' => Object::Map(Vec::new()),
            b')' | b']' | 0x8f => Object::Items(Vec::new()),
            b'd' => Object::Map(pairs(&self.since_mark()?)?),
            b't' | b'l' | 0x91 => Object::Items(self.since_mark()?),
            _ => {
                let count = usize::from(code - 0x84);
                let mut items = vec![Value::Other; count];
                for item in items.iter_mut().rev() {
                    *item = self.pop()?;
                }
                self.charge(count * size_of::<Value>())?;
                Object::Items(items)
            }
        };
        self.object(object)
    }

    /// Puts values into the container, or what a call made, below them on the stack.
    fn fill(&mut self, code: u8) -> Found<()> {
        let values = match code {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.since_mark()?,
        };
        self.charge(2 * values.len() * size_of::<Value>())?;
        let keyed = matches!(code, b's' | b'u');
        match self.target()? {
            Object::Items(items) if !keyed => items.extend(values),
            Object::Map(map) if keyed => map.extend(pairs(&values)?),
            Object::Call(_, _, map) if keyed => map.extend(pairs(&values)?),
            Object::Call(_, _, map) => {
                let start = map.len() as i64;
                map.extend((start..).map(Value::Int).zip(values));
            }
            _ => return Err(broken!("the pickle fills what is no container")),
        }
        Ok(())
    }

    /// The object on top of the stack.
    fn target(&mut self) -> Found<&mut Object> {
        let top = self.top()?;
        let Value::Object(index) = top else {
            return Err(broken!("the pickle fills what is no container"));
        };
        let object = self.objects.get_mut(index as usize);
        object.ok_or_else(|| broken!("the pickle fills what is no container"))
    }

    fn call(&mut self, code: u8) -> Found<()> {
        match code {
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.object(Object::Global(module, name))
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                self.object(Object::Global(module, name))
            }
            b'Q' => {
                let id = self.pop()?;
                self.object(Object::Persistent(id))
            }
            b'b' => {
                let state = self.pop()?;
                self.charge(2 * size_of::<Value>())?;
                if let Object::Call(_, _, map) = self.target()? {
                    map.push((Value::Other, state));
                }
                Ok(())
            }
            _ => {
                // Keyword arguments lead to no tensors that we know.
                if code == 0x92 {
                    self.pop()?;
                }
                let (args, function) = (self.pop()?, self.pop()?);
                self.object(Object::Call(function, args, Vec::new()))
            }
        }
    }

    /// A text up to the next line feed.
    fn line(&mut self) -> Found<Value> {
        let at = self.at;
        let most = MAX_LINE.min(self.end - at);
        let bytes = self.window.bytes(at, most)?;
        let len = bytes.iter().position(|&byte| byte == b'\n');
        let len = len.ok_or_else(|| broken!("no end of the line at byte {at}"))? as u32;
        self.take(u64::from(len) + 1)?;
        Ok(Value::Text { at, len })
    }
}

fn pairs(values: &[Value]) -> Found<Vec<(Value, Value)>> {
    let (pairs, rest) = values.as_chunks::<2>();
    match rest {
        [] => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
        _ => Err(broken!("the pickle has a key without a value")),
    }
}
