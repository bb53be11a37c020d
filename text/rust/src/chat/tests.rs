//! Tests: `value is name`.

use super::machine::{Arguments, Machine};
use super::operators::{binary, contains, equal, order};
use super::signature::{bare, bind, bind_places};
use super::text::print;
use super::value::Value;
use crate::failure::{fail, Code, Outcome};
use minijinja::machinery::ast::BinOpKind;
use std::rc::Rc;

pub fn holds<'a>(
    machine: &mut Machine<'a>,
    name: &str,
    value: &Value<'a>,
    arguments: &Arguments<'a>,
) -> Outcome<bool> {
    if let Some(holds) = alone(machine, name, value)? {
        bare(name, arguments)?;
        return Ok(holds);
    }
    let meter = &mut machine.meter;
    let other = match name {
        "divisibleby" => bind(name, arguments, &["num"])?,
        "sameas" => bind(name, arguments, &["other"])?,
        "in" => bind(name, arguments, &["seq"])?,
        _ => bind_places(name, arguments, &["other"])?,
    };
    let known = [
        "divisibleby",
        "sameas",
        "in",
        "eq",
        "equalto",
        "==",
        "ne",
        "!=",
        "lt",
        "lessthan",
        "<",
        "le",
        "<=",
        "gt",
        "greaterthan",
        ">",
        "ge",
        ">=",
    ];
    if !known.contains(&name) {
        return fail(
            Code::Incompatible,
            format!("chat_template: no test named {name}"),
        );
    }
    let other = other.required(0)?;
    Ok(match name {
        "divisibleby" => {
            let rest = binary(meter, BinOpKind::Rem, value, other)?;
            equal(meter, &rest, &Value::Int(0))?
        }
        "sameas" => same(value, other),
        "in" => contains(meter, other, value)?,
        "eq" | "equalto" | "==" => equal(meter, value, other)?,
        "ne" | "!=" => !equal(meter, value, other)?,
        "lt" | "lessthan" | "<" => order(meter, value, other)?.is_lt(),
        "le" | "<=" => order(meter, value, other)?.is_le(),
        "gt" | "greaterthan" | ">" => order(meter, value, other)?.is_gt(),
        _ => order(meter, value, other)?.is_ge(),
    })
}

/// Those without arguments; None for one that is none of these.
fn alone<'a>(
    machine: &mut Machine<'a>,
    name: &str,
    value: &Value<'a>,
) -> Outcome<Option<bool>> {
    let meter = &mut machine.meter;
    Ok(Some(match name {
        "defined" => !matches!(value, Value::Undefined),
        "undefined" => matches!(value, Value::Undefined),
        "none" => matches!(value, Value::None),
        "string" => matches!(value, Value::Text(_)),
        "boolean" => matches!(value, Value::Bool(_)),
        "true" => matches!(value, Value::Bool(true)),
        "false" => matches!(value, Value::Bool(false)),
        "integer" => matches!(value, Value::Int(_)),
        "float" => matches!(value, Value::Float(_)),
        "number" => value.as_float().is_some(),
        "mapping" => matches!(value, Value::Map(_)),
        "sequence" | "iterable" => matches!(
            value,
            Value::Map(_) | Value::List(_) | Value::Text(_) | Value::Undefined
        ),
        "callable" => matches!(value, Value::Macro(_) | Value::Function(_)),
        "escaped" => false,
        "even" | "odd" => {
            let two = Value::Int(2);
            let rest = binary(meter, BinOpKind::Rem, value, &two)?;
            let wanted = Value::Int(i64::from(name == "odd"));
            equal(meter, &rest, &wanted)?
        }
        "lower" | "upper" => {
            let text = print(meter, value)?;
            let (low, high) = (
                text.chars().any(char::is_lowercase),
                text.chars().any(char::is_uppercase),
            );
            match name {
                "lower" => low && !high,
                _ => high && !low,
            }
        }
        _ => return Ok(None),
    }))
}

/// `is` of Python. Small numbers, constants and literal texts are one object
/// there; lists and dicts are what they are.
fn same<'a>(value: &Value<'a>, other: &Value<'a>) -> bool {
    match (value, other) {
        (Value::Undefined, Value::Undefined) | (Value::None, Value::None) => {
            true
        }
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Int(left), Value::Int(right)) => left == right,
        (Value::Float(left), Value::Float(right)) => left == right,
        (Value::Text(left), Value::Text(right)) => left == right,
        (Value::List(left), Value::List(right)) => Rc::ptr_eq(left, right),
        (Value::Map(left), Value::Map(right)) => Rc::ptr_eq(left, right),
        (Value::Namespace(left), Value::Namespace(right)) => {
            Rc::ptr_eq(left, right)
        }
        _ => false,
    }
}
