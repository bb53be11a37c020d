//! Calls: the functions that transformers puts in reach of a template,
//! macros, and methods.

use super::machine::{Arguments, Machine};
use super::methods;
use super::strftime::strftime;
use super::text::print;
use super::value::{Map, Value};
use crate::failure::{fail, Code, Outcome};
use minijinja::machinery::ast::{Call, Expr};
use std::cell::RefCell;
use std::rc::Rc;

const FUNCTIONS: [&str; 5] = [
    "range",
    "namespace",
    "dict",
    "raise_exception",
    "strftime_now",
];

/// The function of that name; undefined when there is none.
pub fn function<'a>(name: &str) -> Value<'a> {
    let known = FUNCTIONS.iter().find(|known| **known == name);
    known.map_or(Value::Undefined, |known| Value::Function(known))
}

pub fn call<'a>(
    machine: &mut Machine<'a>,
    call: &'a Call<'a>,
) -> Outcome<Value<'a>> {
    if let Expr::GetAttr(get) = &call.expr {
        let object = machine.evaluate(&get.expr)?;
        let arguments = machine.arguments(&call.args)?;
        if let Value::Namespace(_) = object {
            let value = machine.attribute(&object, get.name)?;
            return invoke(machine, &value, &arguments);
        }
        return methods::call(machine, &object, get.name, &arguments);
    }
    let value = machine.evaluate(&call.expr)?;
    let arguments = machine.arguments(&call.args)?;
    if let (Value::Undefined, Expr::Var(var)) = (&value, &call.expr) {
        return fail(
            Code::Corrupt,
            format!("chat_template: {} is undefined", var.id),
        );
    }
    invoke(machine, &value, &arguments)
}

pub fn invoke<'a>(
    machine: &mut Machine<'a>,
    value: &Value<'a>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    match value {
        Value::Macro(declared) => machine.run_macro(declared, arguments),
        Value::Function(name) => builtin(machine, name, arguments),
        other => fail(
            Code::Corrupt,
            format!("chat_template: a call of {}", other.kind()),
        ),
    }
}

fn builtin<'a>(
    machine: &mut Machine<'a>,
    name: &str,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    match name {
        "range" => range(machine, arguments),
        "namespace" => {
            let map = named(machine, arguments)?;
            Value::map(map.clone())?;
            Ok(Value::Namespace(Rc::new(RefCell::new(map))))
        }
        "dict" => Value::map(named(machine, arguments)?),
        "raise_exception" => {
            let message = match arguments.positional.first() {
                Some(value) => print(&mut machine.meter, value)?,
                None => String::new(),
            };
            let short: String = message.chars().take(1000).collect();
            fail(
                Code::InvalidArgument,
                format!("chat_template: the template refuses: {short}"),
            )
        }
        _ => {
            let format = arguments.positional.first().and_then(Value::as_text);
            let format = format.map_or("", |format| format);
            machine.meter.text(format.len().saturating_mul(16))?;
            match strftime(format, machine.local_seconds) {
                Some(text) => Ok(Value::from(text)),
                None => fail(
                    Code::Incompatible,
                    format!("chat_template: no support for the date {format}"),
                ),
            }
        }
    }
}

fn named<'a>(
    machine: &mut Machine<'a>,
    arguments: &Arguments<'a>,
) -> Outcome<Map<'a>> {
    let mut map = match arguments.positional.first() {
        None => Map::default(),
        Some(Value::Map(map)) => {
            machine.meter.values(map.entries.len())?;
            (**map).clone()
        }
        Some(other) => {
            return fail(
                Code::Corrupt,
                format!("chat_template: a dict of {}", other.kind()),
            )
        }
    };
    for (name, value) in &arguments.named {
        machine.meter.values(map.entries.len() + 1)?;
        map.set(name, value.clone());
    }
    Ok(map)
}

fn range<'a>(
    machine: &mut Machine<'a>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    let mut numbers = Vec::new();
    for value in &arguments.positional {
        match value.as_int() {
            Some(number) => numbers.push(number),
            None => {
                return fail(
                    Code::Corrupt,
                    format!("chat_template: a range of {}", value.kind()),
                )
            }
        }
    }
    let (start, stop, step) = match numbers[..] {
        [stop] => (0, stop, 1),
        [start, stop] => (start, stop, 1),
        [start, stop, step] if step != 0 => (start, stop, step),
        _ => return fail(Code::Corrupt, "chat_template: not a range"),
    };
    let span = if step > 0 {
        i128::from(stop) - i128::from(start)
    } else {
        i128::from(start) - i128::from(stop)
    };
    let size = i128::from(step).abs();
    let count = (span.max(0) + size - 1) / size;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    machine.meter.values(count)?;
    let at = |index: usize| Value::Int(start + index as i64 * step);
    Value::list((0..count).map(at).collect())
}
