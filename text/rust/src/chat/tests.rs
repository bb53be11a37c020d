//! Tests: `value is name`.

use super::machine::{Arguments, Machine};
use super::operators::{contains, equal, order};
use super::value::Value;
use crate::failure::{fail, Code, Outcome};

pub fn holds<'a>(
    machine: &mut Machine<'a>,
    name: &str,
    value: &Value<'a>,
    arguments: &Arguments<'a>,
) -> Outcome<bool> {
    let meter = &mut machine.meter;
    let other = arguments.positional.first().unwrap_or(&Value::Undefined);
    let text = |wanted: fn(char) -> bool| {
        value.as_text().is_some_and(|text| {
            text.chars().any(char::is_alphabetic) && !text.chars().any(wanted)
        })
    };
    Ok(match name {
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
        "sequence" | "iterable" => {
            matches!(value, Value::Map(_) | Value::List(_) | Value::Text(_))
                || (name == "iterable" && matches!(value, Value::Undefined))
        }
        "callable" => matches!(value, Value::Macro(_) | Value::Function(_)),
        "even" | "odd" => match value.as_int() {
            Some(number) => (number % 2 == 0) == (name == "even"),
            None => {
                return fail(
                    Code::Corrupt,
                    format!("chat_template: {} is {name}", value.kind()),
                )
            }
        },
        "divisibleby" => match (value.as_int(), other.as_int()) {
            (Some(number), Some(by)) if by != 0 => number.wrapping_rem(by) == 0,
            _ => return fail(Code::Corrupt, "chat_template: divisibleby"),
        },
        "eq" | "equalto" | "==" | "sameas" => equal(meter, value, other)?,
        "ne" | "!=" => !equal(meter, value, other)?,
        "lt" | "lessthan" | "<" => order(meter, value, other)?.is_lt(),
        "le" | "<=" => order(meter, value, other)?.is_le(),
        "gt" | "greaterthan" | ">" => order(meter, value, other)?.is_gt(),
        "ge" | ">=" => order(meter, value, other)?.is_ge(),
        "in" => contains(meter, other, value)?,
        "lower" | "upper" => {
            meter.text(value.as_text().map_or(0, |text| text.len()))?;
            if name == "lower" {
                text(char::is_uppercase)
            } else {
                text(char::is_lowercase)
            }
        }
        _ => {
            return fail(
                Code::Incompatible,
                format!("chat_template: no test named {name}"),
            )
        }
    })
}
