//! What a template computes with. Lists and maps are immutable and shared.

use crate::failure::{fail, Code, Outcome};
use minijinja::machinery::ast::{Macro, Spanned};
use std::cell::RefCell;
use std::rc::Rc;

/// Lists within lists; keeps walks over a value, and its end, off the depths
/// of the stack.
const MAX_NESTING: u32 = 100;

#[derive(Clone)]
pub enum Value<'a> {
    Undefined,
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Rc<str>),
    List(Rc<List<'a>>),
    Map(Rc<Map<'a>>),
    Namespace(Rc<RefCell<Map<'a>>>),
    Loop(Rc<Loop<'a>>),
    Macro(&'a Spanned<Macro<'a>>),
    Function(&'static str),
}

pub struct List<'a> {
    pub items: Vec<Value<'a>>,
    /// Python prints (1, 2), not [1, 2].
    pub is_tuple: bool,
    nesting: u32,
}

/// In the order of insertion. Keys are text.
#[derive(Clone, Default)]
pub struct Map<'a> {
    pub entries: Vec<(Rc<str>, Value<'a>)>,
    nesting: u32,
}

/// `loop` inside a for.
pub struct Loop<'a> {
    pub index: usize,
    pub items: Rc<List<'a>>,
    /// What `changed` was given last, in any of the loop's turns.
    pub seen: Rc<RefCell<Option<Value<'a>>>>,
}

impl<'a> Map<'a> {
    pub fn from_pairs(pairs: Vec<(&str, Value<'a>)>) -> Map<'a> {
        let entries = pairs
            .into_iter()
            .map(|(key, value)| (key.into(), value))
            .collect();
        Map {
            entries,
            nesting: 0,
        }
    }

    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        let mut entries = self.entries.iter();
        entries
            .find(|(name, _)| **name == *key)
            .map(|(_, value)| value)
    }

    pub fn set(&mut self, key: &str, value: Value<'a>) {
        match self.entries.iter_mut().find(|(name, _)| **name == *key) {
            Some((_, slot)) => *slot = value,
            None => self.entries.push((key.into(), value)),
        }
    }
}

impl<'a> From<&str> for Value<'a> {
    fn from(text: &str) -> Self {
        Value::Text(text.into())
    }
}

impl<'a> From<String> for Value<'a> {
    fn from(text: String) -> Self {
        Value::Text(text.into())
    }
}

impl<'a> Value<'a> {
    pub fn list(items: Vec<Value<'a>>) -> Outcome<Value<'a>> {
        let nesting = nesting_of(items.iter())?;
        Ok(Value::List(Rc::new(List {
            items,
            is_tuple: false,
            nesting,
        })))
    }

    pub fn tuple(items: Vec<Value<'a>>) -> Outcome<Value<'a>> {
        let nesting = nesting_of(items.iter())?;
        Ok(Value::List(Rc::new(List {
            items,
            is_tuple: true,
            nesting,
        })))
    }

    pub fn map(mut map: Map<'a>) -> Outcome<Value<'a>> {
        map.nesting = nesting_of(map.entries.iter().map(|(_, value)| value))?;
        Ok(Value::Map(Rc::new(map)))
    }

    /// True for what may be put into a list, a map or a namespace: data, not
    /// things that refer to others and could close a ring.
    pub fn is_data(&self) -> bool {
        !matches!(self, Value::Namespace(_) | Value::Loop(_))
    }

    pub fn truth(&self) -> bool {
        match self {
            Value::Undefined | Value::None => false,
            Value::Bool(value) => *value,
            Value::Int(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::List(list) => !list.items.is_empty(),
            Value::Map(map) => !map.entries.is_empty(),
            _ => true,
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Value::Undefined => "undefined",
            Value::None => "None",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Text(_) => "str",
            Value::List(_) => "list",
            Value::Map(_) => "dict",
            Value::Namespace(_) => "namespace",
            Value::Loop(_) => "loop",
            Value::Macro(_) => "macro",
            Value::Function(_) => "function",
        }
    }

    pub fn as_text(&self) -> Option<&Rc<str>> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(value) => Some(*value),
            Value::Bool(value) => Some(i64::from(*value)),
            _ => None,
        }
    }

    pub fn as_float(&self) -> Option<f64> {
        match self {
            Value::Float(value) => Some(*value),
            other => other.as_int().map(|value| value as f64),
        }
    }
}

fn nesting_of<'v, 'a: 'v>(
    values: impl Iterator<Item = &'v Value<'a>>,
) -> Outcome<u32> {
    let mut nesting = 0;
    for value in values {
        if !value.is_data() {
            return fail(
                Code::Corrupt,
                format!("chat_template: a {} within a list", value.kind()),
            );
        }
        nesting = nesting.max(match value {
            Value::List(list) => list.nesting,
            Value::Map(map) => map.nesting,
            _ => 0,
        });
    }
    if nesting >= MAX_NESTING {
        return fail(
            Code::Exhausted,
            format!("chat_template: lists nested deeper than {MAX_NESTING}"),
        );
    }
    Ok(nesting + 1)
}
