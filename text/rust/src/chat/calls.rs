//! Calls: the functions that transformers puts in reach of a template,
//! macros, and methods.

use super::machine::{Arguments, Machine};
use super::methods;
use super::signature::{bind, bind_places};
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
            let map = named(machine, name, arguments)?;
            Value::map(map.clone())?;
            Ok(Value::Namespace(Rc::new(RefCell::new(map))))
        }
        "dict" => Value::map(named(machine, name, arguments)?),
        "raise_exception" => {
            let given = bind(name, arguments, &["message"])?;
            let message = print(&mut machine.meter, given.required(0)?)?;
            let short: String = message.chars().take(1000).collect();
            fail(
                Code::InvalidArgument,
                format!("chat_template: the template refuses: {short}"),
            )
        }
        _ => {
            let given = bind(name, arguments, &["format"])?;
            let format = given.text(0)?;
            machine.meter.text(format.len().saturating_mul(16))?;
            match strftime(&format, machine.local_seconds) {
                Some(text) => Ok(Value::from(text)),
                None => fail(
                    Code::Incompatible,
                    format!("chat_template: no support for the date {format}"),
                ),
            }
        }
    }
}

/// What dict(…) and namespace(…) hold: a dict, then names.
fn named<'a>(
    machine: &mut Machine<'a>,
    what: &str,
    arguments: &Arguments<'a>,
) -> Outcome<Map<'a>> {
    let mut map = match &arguments.positional[..] {
        [] => Map::default(),
        [Value::Map(map)] => {
            machine.meter.values(map.entries.len())?;
            (**map).clone()
        }
        [other] => {
            return fail(
                Code::Corrupt,
                format!("chat_template: {what}: a dict of {}", other.kind()),
            )
        }
        more => {
            return fail(
                Code::Corrupt,
                format!(
                    "chat_template: {what}: expected at most 1 argument \
                     without a name, found {}",
                    more.len()
                ),
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
    let given = bind_places("range", arguments, &["start", "stop", "step"])?;
    given.required(0)?;
    let (start, stop) = match given.value(1) {
        None => (0, given.int(0, 0)?),
        Some(_) => (given.int(0, 0)?, given.int(1, 0)?),
    };
    let step = given.int(2, 1)?;
    if step == 0 {
        return given.refuse(2, "a number", "0");
    }
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
