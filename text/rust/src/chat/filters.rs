//! Filters: `value | name(…)`, those of Jinja that chat templates use.

use super::json::{self, Style};
use super::machine::{Arguments, Machine};
use super::signature::{bare, bind};
use super::value::Value;
use super::{list_filters, number_filters, text_filters};
use crate::failure::{fail, Code, Outcome};

pub fn apply<'a>(
    machine: &mut Machine<'a>,
    name: &str,
    value: &Value<'a>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    match name {
        "default" | "d" => {
            let given = bind(name, arguments, &["default_value", "boolean"])?;
            let missing = matches!(value, Value::Undefined)
                || (given.flag(1) && !value.truth());
            return Ok(match missing {
                true => given.value(0).cloned().unwrap_or(Value::from("")),
                false => value.clone(),
            });
        }
        "safe" => {
            bare(name, arguments)?;
            return Ok(value.clone());
        }
        "tojson" => return to_json(machine, value, arguments),
        "length" | "count" => {
            bare(name, arguments)?;
            return length(machine, value);
        }
        "int" | "float" | "abs" | "round" => {
            return number_filters::apply(machine, name, value, arguments)
        }
        _ => {}
    }
    if let Some(out) = text_filters::apply(machine, name, value, arguments)? {
        return Ok(out);
    }
    list_filters::apply(machine, name, value, arguments)
}

/// transformers' own tojson, which goes before Jinja's.
fn to_json<'a>(
    machine: &mut Machine<'a>,
    value: &Value<'a>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    let names = &["ensure_ascii", "indent", "separators", "sort_keys"];
    let given = bind("tojson", arguments, names)?;
    let indent = match given.some(1) {
        None => None,
        Some(Value::Text(text)) => Some(text.to_string()),
        Some(_) => {
            let width = given.int(1, 0)?.max(0) as usize;
            machine.meter.text(width)?;
            Some(" ".repeat(width))
        }
    };
    let (item, key) = match given.some(2) {
        None if indent.is_some() => (",".into(), ": ".into()),
        None => (", ".into(), ": ".into()),
        Some(Value::List(list)) => match &list.items[..] {
            [Value::Text(item), Value::Text(key)] => {
                (item.clone(), key.clone())
            }
            _ => return given.refuse(2, "two texts", "another list"),
        },
        Some(other) => return given.refuse(2, "two texts", other.kind()),
    };
    let style = Style {
        ascii: given.flag(0),
        indent,
        item,
        key,
        sorted: given.flag(3),
    };
    let mut out = String::new();
    json::write(&mut machine.meter, value, &style, 0, &mut out)?;
    Ok(Value::from(out))
}

fn length<'a>(
    machine: &mut Machine<'a>,
    value: &Value<'a>,
) -> Outcome<Value<'a>> {
    let count = match value {
        Value::Undefined => 0,
        Value::List(list) => list.items.len(),
        Value::Map(map) => map.entries.len(),
        Value::Text(text) => {
            machine.meter.text(text.len())?;
            text.chars().count()
        }
        other => {
            return fail(
                Code::Corrupt,
                format!("chat_template: no length of {}", other.kind()),
            )
        }
    };
    Ok(Value::Int(count as i64))
}
