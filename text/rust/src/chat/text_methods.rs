//! Python's methods of str that templates call.

use super::machine::{Arguments, Machine};
use super::python_text::{
    between, capitalized, centered, lines, padded, replace, rsplit, split,
    strip, titled,
};
use super::signature::{bare, bind, bind_places, Bound};
use super::value::Value;
use crate::failure::{fail, Code, Outcome};
use std::rc::Rc;

const PART: &[&str] = &["sub", "start", "end"];

/// None for a method that is not known here.
pub fn call<'a>(
    machine: &mut Machine<'a>,
    text: &str,
    name: &str,
    arguments: &Arguments<'a>,
) -> Outcome<Option<Value<'a>>> {
    let meter = &mut machine.meter;
    // Every method looks at the text, and case can make it longer.
    meter.text(text.len().saturating_mul(3))?;
    if let Some(plain) = plain(text, name) {
        bare(name, arguments)?;
        return Ok(Some(plain));
    }
    Ok(Some(match name {
        "strip" | "lstrip" | "rstrip" => {
            let given = bind_places(name, arguments, &["chars"])?;
            let chars = given.some_text(0)?;
            let (start, end) = (name != "rstrip", name != "lstrip");
            let kept = strip(meter, text, chars.as_deref(), start, end)?;
            Value::from(kept)
        }
        "startswith" | "endswith" => {
            Value::Bool(has_end(machine, text, name, arguments)?)
        }
        "removeprefix" | "removesuffix" => {
            let given = bind_places(name, arguments, &["affix"])?;
            let what = given.text(0)?;
            let rest = match name {
                "removeprefix" => text.strip_prefix(&*what),
                _ => text.strip_suffix(&*what),
            };
            Value::from(rest.unwrap_or(text))
        }
        "replace" => {
            let given = bind(name, arguments, &["old", "new", "count"])?;
            let (old, new) = (given.text(0)?, given.text(1)?);
            let count = given.int(2, -1)?;
            Value::from(replace(meter, text, &old, &new, Some(count))?)
        }
        "split" | "rsplit" => {
            let given = bind(name, arguments, &["sep", "maxsplit"])?;
            let most = usize::try_from(given.int(1, -1)?).ok();
            let sep = given.some_text(0)?;
            if sep.as_ref().is_some_and(|text| text.is_empty()) {
                return given.refuse(0, "text", "an empty one");
            }
            let parts = match name {
                "split" => split(text, sep.as_deref(), most),
                _ => rsplit(text, sep.as_deref(), most),
            };
            meter.values(parts.len())?;
            Value::list(parts.into_iter().map(Value::from).collect())?
        }
        "partition" | "rpartition" => {
            let given = bind_places(name, arguments, &["sep"])?;
            let sep = given.text(0)?;
            if sep.is_empty() {
                return given.refuse(0, "text", "an empty one");
            }
            let parts = match name {
                "partition" => text
                    .split_once(&*sep)
                    .map_or([text, "", ""], |(before, after)| {
                        [before, &sep, after]
                    }),
                _ => text
                    .rsplit_once(&*sep)
                    .map_or(["", "", text], |(before, after)| {
                        [before, &sep, after]
                    }),
            };
            Value::tuple(parts.into_iter().map(Value::from).collect())?
        }
        "splitlines" => {
            let given = bind(name, arguments, &["keepends"])?;
            meter.values(text.len())?;
            let lines = lines(text, given.flag(0));
            Value::list(lines.into_iter().map(Value::from).collect())?
        }
        "center" | "ljust" | "rjust" => {
            let given = bind_places(name, arguments, &["width", "fillchar"])?;
            given.required(0)?;
            let fill = match given.value(1) {
                None => " ".into(),
                Some(_) => given.text(1)?,
            };
            let mut letters = fill.chars();
            let (Some(fill), None) = (letters.next(), letters.next()) else {
                return given.refuse(1, "one character", &fill);
            };
            let left: fn(usize, usize) -> usize = match name {
                "center" => centered,
                "ljust" => |_, _| 0,
                _ => |padding, _| padding,
            };
            Value::from(padded(meter, text, given.int(0, 0)?, fill, left)?)
        }
        "zfill" => {
            let given = bind_places(name, arguments, &["width"])?;
            given.required(0)?;
            let number = text.strip_prefix(['+', '-']).unwrap_or(text);
            let sign = &text[..text.len() - number.len()];
            let width = given.int(0, 0)?.saturating_sub(sign.len() as i64);
            let padded = padded(meter, number, width, '0', |all, _| all)?;
            Value::from(format!("{sign}{padded}"))
        }
        "join" => join(machine, text, arguments)?,
        "find" | "rfind" | "index" | "rindex" => {
            let given = bind_places(name, arguments, PART)?;
            let (what, part) = part_of(text, &given)?;
            meter.text(what.len())?;
            let place = part.and_then(|(first, part)| {
                let place = match name.starts_with('r') {
                    true => part.rfind(&*what),
                    false => part.find(&*what),
                };
                place.map(|at| text[..first + at].chars().count() as i64)
            });
            match (name, place) {
                ("index" | "rindex", None) => {
                    return fail(Code::Corrupt, "chat_template: not in text")
                }
                (_, place) => Value::Int(place.unwrap_or(-1)),
            }
        }
        "count" => {
            let given = bind_places(name, arguments, PART)?;
            let (what, part) = part_of(text, &given)?;
            let count = part.map_or(0, |(_, part)| match what.is_empty() {
                true => part.chars().count() + 1,
                false => part.matches(&*what).count(),
            });
            Value::Int(count as i64)
        }
        _ => return Ok(None),
    }))
}

/// Those without arguments.
fn plain<'a>(text: &str, name: &str) -> Option<Value<'a>> {
    Some(match name {
        "lower" | "casefold" => Value::from(text.to_lowercase()),
        "upper" => Value::from(text.to_uppercase()),
        "title" => Value::from(titled(text)),
        "capitalize" => Value::from(capitalized(text)),
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
        _ => return None,
    })
}

fn all<'a>(text: &str, holds: fn(char) -> bool) -> Value<'a> {
    Value::Bool(!text.is_empty() && text.chars().all(holds))
}

/// What a search looks for, and where: the byte that the part begins at.
fn part_of<'t>(
    text: &'t str,
    given: &Bound,
) -> Outcome<(Rc<str>, Option<(usize, &'t str)>)> {
    let (start, end) = (given.some_int(1)?, given.some_int(2)?);
    Ok((given.text(0)?, between(text, start, end)))
}

fn has_end<'a>(
    machine: &mut Machine<'a>,
    text: &str,
    name: &str,
    arguments: &Arguments<'a>,
) -> Outcome<bool> {
    let given = bind_places(name, arguments, &["affix", "start", "end"])?;
    let options = match given.required(0)? {
        Value::List(list) => list.items.clone(),
        other => vec![other.clone()],
    };
    machine.meter.values(options.len())?;
    let part = between(text, given.some_int(1)?, given.some_int(2)?);
    for option in &options {
        let Value::Text(option) = option else {
            return given.refuse(0, "text or texts", option.kind());
        };
        machine.meter.text(option.len().min(text.len()))?;
        let holds = part.is_some_and(|(_, part)| match name {
            "startswith" => part.starts_with(&**option),
            _ => part.ends_with(&**option),
        });
        if holds {
            return Ok(true);
        }
    }
    Ok(false)
}

fn join<'a>(
    machine: &mut Machine<'a>,
    text: &str,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    let given = bind_places("join", arguments, &["iterable"])?;
    let mut out = String::new();
    let items = machine.items(given.required(0)?)?;
    for (index, item) in items.iter().enumerate() {
        let Value::Text(part) = item else {
            return given.refuse(0, "texts", item.kind());
        };
        machine.meter.text(text.len() + part.len())?;
        if index > 0 {
            out.push_str(text);
        }
        out.push_str(part);
    }
    Ok(Value::from(out))
}
