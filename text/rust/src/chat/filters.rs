//! Filters: `value | name(…)`, those of Jinja that chat templates use.

use super::machine::{Arguments, Machine};
use super::methods::{self, capitalized, titled};
use super::operators::{binary, contains, order};
use super::tests;
use super::text::{json, print};
use super::value::Value;
use crate::failure::{fail, Code, Outcome};
use minijinja::machinery::ast::BinOpKind;
use std::cmp::Ordering;

pub fn apply<'a>(
    machine: &mut Machine<'a>,
    name: &str,
    value: &Value<'a>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    match name {
        "default" | "d" => {
            let falsy = arguments.get(1, "boolean").is_some_and(Value::truth);
            let missing =
                matches!(value, Value::Undefined) || (falsy && !value.truth());
            let default = arguments.get(0, "default_value").cloned();
            return Ok(match missing {
                true => default.unwrap_or(Value::from("")),
                false => value.clone(),
            });
        }
        "safe" => return Ok(value.clone()),
        "tojson" => return to_json(machine, value, arguments),
        "length" | "count" => return length(machine, value),
        "int" | "float" | "abs" | "round" => {
            return number(machine, name, value, arguments)
        }
        _ => {}
    }
    if let Some(text) = text_filter(machine, name, value, arguments)? {
        return Ok(Value::from(text));
    }
    list_filter(machine, name, value, arguments)
}

fn to_json<'a>(
    machine: &mut Machine<'a>,
    value: &Value<'a>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    let indent = arguments.get(0, "indent").and_then(Value::as_int);
    let indent = indent.map(|indent| indent.max(0) as usize);
    let mut out = String::new();
    json(&mut machine.meter, value, indent, 0, &mut out)?;
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

fn number<'a>(
    machine: &mut Machine<'a>,
    name: &str,
    value: &Value<'a>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    machine
        .meter
        .text(value.as_text().map_or(0, |text| text.len()))?;
    let parsed = value
        .as_text()
        .and_then(|text| text.trim().parse::<f64>().ok())
        .or_else(|| value.as_float());
    Ok(match (name, value) {
        ("int", _) => match value.as_int() {
            Some(whole) => Value::Int(whole),
            None => {
                match value.as_text().and_then(|text| text.trim().parse().ok())
                {
                    Some(whole) => Value::Int(whole),
                    None => Value::Int(parsed.map_or(0, |real| real as i64)),
                }
            }
        },
        ("float", _) => Value::Float(parsed.unwrap_or(0.0)),
        ("abs", Value::Float(real)) => Value::Float(real.abs()),
        ("abs", _) => match value.as_int() {
            Some(whole) => Value::Int(whole.saturating_abs()),
            None => {
                return fail(Code::Corrupt, "chat_template: abs of no number")
            }
        },
        _ => {
            let digits = arguments.get(0, "precision").and_then(Value::as_int);
            let scale = 10f64.powi(digits.unwrap_or(0).clamp(0, 15) as i32);
            Value::Float((parsed.unwrap_or(0.0) * scale).round() / scale)
        }
    })
}

/// Filters on a value's text.
fn text_filter<'a>(
    machine: &mut Machine<'a>,
    name: &str,
    value: &Value<'a>,
    arguments: &Arguments<'a>,
) -> Outcome<Option<String>> {
    let known = [
        "trim",
        "lower",
        "upper",
        "title",
        "capitalize",
        "string",
        "replace",
        "indent",
        "escape",
        "e",
    ];
    if !known.contains(&name) {
        return Ok(None);
    }
    let text = print(&mut machine.meter, value)?;
    // Case and escapes can make a text longer, fivefold at worst.
    machine.meter.text(text.len().saturating_mul(6))?;
    Ok(Some(match name {
        "trim" => {
            let what = arguments.get(0, "chars").and_then(Value::as_text);
            methods::strip(&text, what.map(|text| &**text), true, true)
                .to_string()
        }
        "lower" => text.to_lowercase(),
        "upper" => text.to_uppercase(),
        "title" => titled(&text),
        "capitalize" => capitalized(&text),
        "replace" => {
            let old = arguments.get(0, "old").and_then(Value::as_text);
            let new = arguments.get(1, "new").and_then(Value::as_text);
            let (Some(old), Some(new)) = (old, new) else {
                return fail(
                    Code::Corrupt,
                    "chat_template: replace of no text",
                );
            };
            let count = arguments.get(2, "count").and_then(Value::as_int);
            methods::replace(&mut machine.meter, &text, old, new, count)?
        }
        "indent" => indented(machine, &text, arguments)?,
        "escape" | "e" => text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&#34;")
            .replace('\'', "&#39;"),
        _ => text,
    }))
}

fn indented<'a>(
    machine: &mut Machine<'a>,
    text: &str,
    arguments: &Arguments<'a>,
) -> Outcome<String> {
    let width = match arguments.get(0, "width") {
        Some(Value::Text(text)) => text.to_string(),
        Some(value) => {
            let width = value.as_int().unwrap_or(4).max(0) as usize;
            machine.meter.text(width)?;
            " ".repeat(width)
        }
        None => " ".repeat(4),
    };
    let first = arguments.get(1, "first").is_some_and(Value::truth);
    let blank = arguments.get(2, "blank").is_some_and(Value::truth);
    let mut out = String::new();
    for (index, line) in text.split('\n').enumerate() {
        machine.meter.text(line.len() + width.len() + 1)?;
        if index > 0 {
            out.push('\n');
        }
        if (index > 0 || first) && (blank || !line.is_empty()) {
            out.push_str(&width);
        }
        out.push_str(line);
    }
    Ok(out)
}

/// Filters on what a loop over the value would see.
fn list_filter<'a>(
    machine: &mut Machine<'a>,
    name: &str,
    value: &Value<'a>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    match (name, value) {
        ("items", Value::Map(_)) => {
            return methods::call(machine, value, "items", arguments)
        }
        ("items", Value::Undefined) => return Value::list(Vec::new()),
        ("dictsort", Value::Map(map)) => {
            let mut sorted = (**map).clone();
            machine.meter.values(map.entries.len().saturating_mul(16))?;
            sorted.entries.sort_by_key(|(key, _)| key.to_lowercase());
            let sorted = Value::map(sorted)?;
            return methods::call(
                machine,
                &sorted,
                "items",
                &Arguments::default(),
            );
        }
        ("reverse", Value::Text(text)) => {
            machine.meter.text(text.len())?;
            return Ok(Value::from(text.chars().rev().collect::<String>()));
        }
        _ => {}
    }
    let mut items = machine.items(value)?;
    let undefined = Value::Undefined;
    match name {
        "list" => Value::list(items),
        "first" => Ok(items.first().unwrap_or(&undefined).clone()),
        "last" => Ok(items.last().unwrap_or(&undefined).clone()),
        "reverse" => {
            items.reverse();
            Value::list(items)
        }
        "join" => {
            let between = arguments.get(0, "d");
            let between = match between {
                Some(value) => print(&mut machine.meter, value)?,
                None => String::new(),
            };
            let attribute = arguments.get(1, "attribute").cloned();
            let mut out = String::new();
            for (index, item) in items.into_iter().enumerate() {
                let item = match &attribute {
                    Some(path) => by_path(machine, &item, path)?,
                    None => item,
                };
                let text = print(&mut machine.meter, &item)?;
                machine.meter.text(between.len() + text.len())?;
                if index > 0 {
                    out.push_str(&between);
                }
                out.push_str(&text);
            }
            Ok(Value::from(out))
        }
        "sum" => {
            let mut total = Value::Int(0);
            for item in &items {
                let meter = &mut machine.meter;
                total = binary(meter, BinOpKind::Add, &total, item)?;
            }
            Ok(total)
        }
        "min" | "max" => {
            let wanted = if name == "min" {
                Ordering::Less
            } else {
                Ordering::Greater
            };
            let mut best = items.first().cloned().unwrap_or(undefined);
            for item in &items {
                if order(&mut machine.meter, item, &best)? == wanted {
                    best = item.clone();
                }
            }
            Ok(best)
        }
        "sort" => sorted(machine, items, arguments),
        "unique" => {
            let mut seen = Value::list(Vec::new())?;
            let mut kept = Vec::new();
            for item in items {
                if !contains(&mut machine.meter, &seen, &item)? {
                    kept.push(item);
                    machine.meter.values(kept.len())?;
                    seen = Value::list(kept.clone())?;
                }
            }
            Ok(seen)
        }
        "select" | "reject" | "selectattr" | "rejectattr" => {
            chosen(machine, name, items, arguments)
        }
        "map" => mapped(machine, items, arguments),
        _ => fail(
            Code::Incompatible,
            format!("chat_template: no filter named {name}"),
        ),
    }
}

/// An attribute such as "function.name".
fn by_path<'a>(
    machine: &mut Machine<'a>,
    item: &Value<'a>,
    path: &Value<'a>,
) -> Outcome<Value<'a>> {
    let mut value = item.clone();
    match path {
        Value::Text(path) => {
            for name in path.split('.') {
                machine.meter.text(name.len())?;
                value = machine.attribute(&value, name)?;
            }
            Ok(value)
        }
        index => super::slices::item(&mut machine.meter, &value, index),
    }
}

/// A merge sort, since comparing may fail and has to be paid for.
fn sorted<'a>(
    machine: &mut Machine<'a>,
    items: Vec<Value<'a>>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    let reverse = arguments.get(0, "reverse").is_some_and(Value::truth);
    let attribute = arguments.get(2, "attribute").cloned();
    let folds = !arguments.get(1, "case_sensitive").is_some_and(Value::truth);
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        let mut key = match &attribute {
            Some(path) => by_path(machine, &item, path)?,
            None => item.clone(),
        };
        if let (Value::Text(text), true) = (&key, folds) {
            machine.meter.text(text.len().saturating_mul(3))?;
            key = Value::from(text.to_lowercase());
        }
        keyed.push((key, item));
    }
    let mut width = 1;
    while width < keyed.len() {
        let mut merged = Vec::with_capacity(keyed.len());
        for run in keyed.chunks(2 * width) {
            let (left, right) = run.split_at(width.min(run.len()));
            let (mut i, mut j) = (0, 0);
            while i < left.len() || j < right.len() {
                let takes_left = j == right.len()
                    || (i < left.len() && {
                        let order =
                            order(&mut machine.meter, &right[j].0, &left[i].0)?;
                        if reverse {
                            order.is_le()
                        } else {
                            order.is_ge()
                        }
                    });
                if takes_left {
                    merged.push(left[i].clone());
                    i += 1;
                } else {
                    merged.push(right[j].clone());
                    j += 1;
                }
            }
        }
        keyed = merged;
        width *= 2;
    }
    Value::list(keyed.into_iter().map(|(_, item)| item).collect())
}

fn chosen<'a>(
    machine: &mut Machine<'a>,
    name: &str,
    items: Vec<Value<'a>>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    let by_attribute = name.ends_with("attr");
    let wanted = name.starts_with("select");
    let at = usize::from(by_attribute);
    let test = arguments
        .positional
        .get(at)
        .and_then(Value::as_text)
        .cloned();
    let rest = Arguments {
        positional: arguments.positional.iter().skip(at + 1).cloned().collect(),
        named: Vec::new(),
    };
    let mut kept = Vec::new();
    for item in items {
        machine.meter.step()?;
        let value = match arguments.positional.first() {
            Some(path) if by_attribute => by_path(machine, &item, path)?,
            _ => item.clone(),
        };
        let holds = match &test {
            Some(test) => tests::holds(machine, test, &value, &rest)?,
            None => value.truth(),
        };
        if holds == wanted {
            kept.push(item);
        }
    }
    Value::list(kept)
}

fn mapped<'a>(
    machine: &mut Machine<'a>,
    items: Vec<Value<'a>>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    let named = |name: &str| {
        let mut named = arguments.named.iter();
        named
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.clone())
    };
    let attribute = named("attribute");
    let default = named("default");
    let filter = arguments
        .positional
        .first()
        .and_then(Value::as_text)
        .cloned();
    let rest = Arguments {
        positional: arguments.positional.iter().skip(1).cloned().collect(),
        named: arguments.named.clone(),
    };
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        machine.meter.step()?;
        out.push(match (&attribute, &filter) {
            (Some(path), _) => match by_path(machine, &item, path)? {
                Value::Undefined => default.clone().unwrap_or(Value::Undefined),
                value => value,
            },
            (None, Some(filter)) => {
                machine.meter.enter()?;
                let value = apply(machine, filter, &item, &rest)?;
                machine.meter.leave();
                value
            }
            (None, None) => {
                return fail(Code::Corrupt, "chat_template: map by nothing")
            }
        });
    }
    Value::list(out)
}
