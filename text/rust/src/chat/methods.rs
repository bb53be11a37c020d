//! Python's methods of str, dict and list that templates call.

use super::machine::{Arguments, Machine};
use super::meter::Meter;
use super::operators::equal;
use super::text::print;
use super::value::Value;
use crate::failure::{fail, Code, Outcome};

pub fn call<'a>(
    machine: &mut Machine<'a>,
    object: &Value<'a>,
    name: &str,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    let found = match object {
        Value::Text(text) => text_method(machine, text, name, arguments)?,
        Value::Map(_) => map_method(machine, object, name, arguments)?,
        Value::List(list) if name == "index" || name == "count" => {
            let wanted = arguments.positional.first();
            let wanted = wanted.cloned().unwrap_or(Value::Undefined);
            let mut places = Vec::new();
            for (index, item) in list.items.iter().enumerate() {
                if equal(&mut machine.meter, item, &wanted)? {
                    places.push(index as i64);
                }
            }
            match (name, places.first()) {
                ("count", _) => Some(Value::Int(places.len() as i64)),
                (_, Some(index)) => Some(Value::Int(*index)),
                _ => return fail(Code::Corrupt, "chat_template: not in list"),
            }
        }
        Value::Loop(state) if name == "cycle" => {
            let values = &arguments.positional;
            let picked = values.get(state.index % values.len().max(1));
            Some(picked.cloned().unwrap_or(Value::Undefined))
        }
        _ => None,
    };
    match found {
        Some(value) => Ok(value),
        None => fail(
            Code::Incompatible,
            format!("chat_template: no .{name}() of {}", object.kind()),
        ),
    }
}

fn map_method<'a>(
    machine: &mut Machine<'a>,
    object: &Value<'a>,
    name: &str,
    arguments: &Arguments<'a>,
) -> Outcome<Option<Value<'a>>> {
    let Value::Map(map) = object else {
        return Ok(None);
    };
    machine.meter.values(map.entries.len().saturating_mul(3))?;
    Ok(Some(match name {
        "get" => {
            let key = arguments.positional.first().and_then(Value::as_text);
            let default = arguments.positional.get(1);
            let found = key.and_then(|key| map.get(key)).or(default);
            found.cloned().unwrap_or(Value::None)
        }
        "keys" => Value::list(machine.items(object)?)?,
        "values" => {
            let values = map.entries.iter().map(|(_, value)| value.clone());
            Value::list(values.collect())?
        }
        "items" => {
            let mut pairs = Vec::new();
            for (key, value) in &map.entries {
                let key = Value::Text(key.clone());
                pairs.push(Value::tuple(vec![key, value.clone()])?);
            }
            Value::list(pairs)?
        }
        _ => match map.get(name) {
            Some(value) => super::calls::invoke(machine, value, arguments)?,
            None => return Ok(None),
        },
    }))
}

fn text_method<'a>(
    machine: &mut Machine<'a>,
    text: &str,
    name: &str,
    arguments: &Arguments<'a>,
) -> Outcome<Option<Value<'a>>> {
    let meter = &mut machine.meter;
    // Every method looks at the text, and case can make it longer.
    meter.text(text.len().saturating_mul(3))?;
    let first = arguments.positional.first();
    let chars = first.and_then(Value::as_text).map(|text| &**text);
    let given = |index: usize| match arguments
        .positional
        .get(index)
        .and_then(Value::as_text)
    {
        Some(text) => Ok(text.clone()),
        None => fail(
            Code::Corrupt,
            format!("chat_template: .{name}() expects text"),
        ),
    };
    Ok(Some(match name {
        "strip" => Value::from(strip(text, chars, true, true)),
        "lstrip" => Value::from(strip(text, chars, true, false)),
        "rstrip" => Value::from(strip(text, chars, false, true)),
        "lower" | "casefold" => Value::from(text.to_lowercase()),
        "upper" => Value::from(text.to_uppercase()),
        "title" => Value::from(titled(text)),
        "capitalize" => Value::from(capitalized(text)),
        "startswith" | "endswith" => {
            let options = match first {
                Some(Value::List(list)) => list.items.clone(),
                Some(other) => vec![other.clone()],
                None => Vec::new(),
            };
            meter.values(options.len())?;
            let mut holds = false;
            for option in options.iter().filter_map(Value::as_text) {
                meter.text(option.len().min(text.len()))?;
                holds |= match name {
                    "startswith" => text.starts_with(&**option),
                    _ => text.ends_with(&**option),
                };
            }
            Value::Bool(holds)
        }
        "removeprefix" => {
            let what = given(0)?;
            Value::from(text.strip_prefix(&*what).unwrap_or(text))
        }
        "removesuffix" => {
            let what = given(0)?;
            Value::from(text.strip_suffix(&*what).unwrap_or(text))
        }
        "replace" => {
            let count = arguments.get(2, "count").and_then(Value::as_int);
            let (old, new) = (given(0)?, given(1)?);
            Value::from(replace(meter, text, &old, &new, count)?)
        }
        "split" | "rsplit" => {
            let most = arguments.get(1, "maxsplit").and_then(Value::as_int);
            let most = most.and_then(|most| usize::try_from(most).ok());
            let between = match arguments.get(0, "sep") {
                None | Some(Value::None) => None,
                Some(_) => Some(given(0)?),
            };
            if between.as_ref().is_some_and(|text| text.is_empty()) {
                return fail(Code::Corrupt, "chat_template: split at nothing");
            }
            let parts = match name {
                "split" => split(text, between.as_deref(), most),
                _ => rsplit(text, between.as_deref(), most),
            };
            meter.values(parts.len())?;
            Value::list(parts.into_iter().map(Value::from).collect())?
        }
        "splitlines" => {
            meter.values(text.len())?;
            let mut lines: Vec<Value> = Vec::new();
            let normal = text.replace("\r\n", "\n").replace('\r', "\n");
            lines.extend(normal.split('\n').map(Value::from));
            if normal.is_empty() || normal.ends_with('\n') {
                lines.pop();
            }
            Value::list(lines)?
        }
        "join" => {
            let list = first.cloned().unwrap_or(Value::Undefined);
            let mut out = String::new();
            for (index, item) in machine.items(&list)?.iter().enumerate() {
                let part = print(&mut machine.meter, item)?;
                machine.meter.text(text.len() + part.len())?;
                if index > 0 {
                    out.push_str(text);
                }
                out.push_str(&part);
            }
            Value::from(out)
        }
        "find" | "rfind" | "index" => {
            let what = given(0)?;
            meter.text(what.len())?;
            let place = match name {
                "rfind" => text.rfind(&*what),
                _ => text.find(&*what),
            };
            let place = place.map(|at| text[..at].chars().count() as i64);
            match (name, place) {
                ("index", None) => {
                    return fail(Code::Corrupt, "chat_template: not in text")
                }
                (_, place) => Value::Int(place.unwrap_or(-1)),
            }
        }
        "count" => {
            let what = given(0)?;
            let count = match what.is_empty() {
                true => text.chars().count() + 1,
                false => text.matches(&*what).count(),
            };
            Value::Int(count as i64)
        }
        "isdigit" | "isnumeric" => all(text, char::is_numeric),
        "isalpha" => all(text, char::is_alphabetic),
        "isalnum" => all(text, char::is_alphanumeric),
        "isspace" => all(text, char::is_whitespace),
        "isupper" => Value::Bool(
            text.chars().any(char::is_uppercase)
                && !text.chars().any(char::is_lowercase),
        ),
        "islower" => Value::Bool(
            text.chars().any(char::is_lowercase)
                && !text.chars().any(char::is_uppercase),
        ),
        _ => return Ok(None),
    }))
}

fn all<'a>(text: &str, holds: fn(char) -> bool) -> Value<'a> {
    Value::Bool(!text.is_empty() && text.chars().all(holds))
}

/// Python's white space: Unicode's, and four separators of ASCII.
fn is_space(one: char) -> bool {
    one.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&one)
}

pub fn strip<'t>(
    text: &'t str,
    chars: Option<&str>,
    start: bool,
    end: bool,
) -> &'t str {
    let goes = |one: char| match chars {
        Some(chars) => chars.chars().take(64).any(|other| other == one),
        None => is_space(one),
    };
    let text = if start {
        text.trim_start_matches(goes)
    } else {
        text
    };
    if end {
        text.trim_end_matches(goes)
    } else {
        text
    }
}

pub fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => {
            first.to_uppercase().collect::<String>()
                + &letters.as_str().to_lowercase()
        }
        None => String::new(),
    }
}

pub fn titled(text: &str) -> String {
    let mut out = String::new();
    let mut within = false;
    for one in text.chars() {
        match within {
            true => out.extend(one.to_lowercase()),
            false => out.extend(one.to_uppercase()),
        }
        within = one.is_alphabetic();
    }
    out
}

pub fn replace(
    meter: &mut Meter,
    text: &str,
    old: &str,
    new: &str,
    count: Option<i64>,
) -> Outcome<String> {
    let most = count.and_then(|count| usize::try_from(count).ok());
    let most = most.unwrap_or(usize::MAX);
    let found = text.matches(old).take(most).count();
    let bytes = text.len().saturating_add(found.saturating_mul(new.len()));
    meter.text(bytes)?;
    Ok(text.replacen(old, new, most))
}

fn split(
    text: &str,
    between: Option<&str>,
    most: Option<usize>,
) -> Vec<String> {
    let most = most.unwrap_or(usize::MAX);
    let limit = most.saturating_add(1);
    if let Some(between) = between {
        return text.splitn(limit, between).map(str::to_string).collect();
    }
    let mut parts = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        let end = rest.find(is_space).unwrap_or(rest.len());
        if parts.len() == most {
            parts.push(rest.to_string());
            break;
        }
        parts.push(rest[..end].to_string());
        rest = rest[end..].trim_start_matches(is_space);
    }
    parts
}

fn rsplit(
    text: &str,
    between: Option<&str>,
    most: Option<usize>,
) -> Vec<String> {
    let most = most.unwrap_or(usize::MAX);
    let limit = most.saturating_add(1);
    let mut parts = Vec::new();
    if let Some(between) = between {
        parts.extend(text.rsplitn(limit, between).map(str::to_string));
    } else {
        let mut rest = text.trim_end_matches(is_space);
        while !rest.is_empty() {
            let start = rest
                .char_indices()
                .rev()
                .find(|(_, one)| is_space(*one))
                .map_or(0, |(at, one)| at + one.len_utf8());
            if parts.len() == most {
                parts.push(rest.to_string());
                break;
            }
            parts.push(rest[start..].to_string());
            rest = rest[..start].trim_end_matches(is_space);
        }
    }
    parts.reverse();
    parts
}
