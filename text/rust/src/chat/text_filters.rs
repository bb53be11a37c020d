//! Filters on a value's text.

use super::machine::{Arguments, Machine};
use super::python_text::{self, capitalized, centered, lines, padded};
use super::signature::{bare, bind};
use super::text::print;
use super::value::Value;
use crate::failure::Outcome;

const NAMES: [&str; 14] = [
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
    "forceescape",
    "center",
    "truncate",
    "wordcount",
];

/// None for a filter that is none of these.
pub fn apply<'a>(
    machine: &mut Machine<'a>,
    name: &str,
    value: &Value<'a>,
    arguments: &Arguments<'a>,
) -> Outcome<Option<Value<'a>>> {
    if !NAMES.contains(&name) {
        return Ok(None);
    }
    let text = print(&mut machine.meter, value)?;
    // Case and escapes can make a text longer, fivefold at worst.
    machine.meter.text(text.len().saturating_mul(6))?;
    let meter = &mut machine.meter;
    let out = match name {
        "trim" => {
            let given = bind(name, arguments, &["chars"])?;
            let chars = given.some_text(0)?;
            python_text::strip(meter, &text, chars.as_deref(), true, true)?
                .to_string()
        }
        "replace" => {
            let given = bind(name, arguments, &["old", "new", "count"])?;
            let old = print(meter, given.required(0)?)?;
            let new = print(meter, given.required(1)?)?;
            let count = given.some_int(2)?;
            python_text::replace(meter, &text, &old, &new, count)?
        }
        "indent" => indented(machine, &text, arguments)?,
        "center" => {
            let given = bind(name, arguments, &["width"])?;
            padded(meter, &text, given.int(0, 80)?, ' ', centered)?
        }
        "truncate" => truncated(text, arguments)?,
        "wordcount" => {
            bare(name, arguments)?;
            return Ok(Some(Value::Int(word_count(&text))));
        }
        _ => {
            bare(name, arguments)?;
            plain(name, text)
        }
    };
    Ok(Some(Value::from(out)))
}

/// Those without arguments.
fn plain(name: &str, text: String) -> String {
    match name {
        "lower" => text.to_lowercase(),
        "upper" => text.to_uppercase(),
        "title" => titled(&text),
        "capitalize" => capitalized(&text),
        "escape" | "e" | "forceescape" => text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&#34;")
            .replace('\'', "&#39;"),
        _ => text,
    }
}

/// Jinja's title, which is not Python's: words begin after white space, a
/// hyphen or an opening bracket only.
fn titled(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for one in text.chars() {
        let parts = super::python_text::is_space(one)
            || matches!(one, '-' | '(' | '{' | '[' | '<');
        if parts {
            out.push_str(&capitalized(&word));
            word.clear();
            out.push(one);
        } else {
            word.push(one);
        }
    }
    out + &capitalized(&word)
}

/// Runs of what Python's \w is: letters, numbers and the underscore.
fn word_count(text: &str) -> i64 {
    let word = regex::Regex::new(r"[\p{L}\p{N}_]+");
    word.map_or(0, |word| word.find_iter(text).count() as i64)
}

fn truncated(text: String, arguments: &Arguments) -> Outcome<String> {
    let names = &["length", "killwords", "end", "leeway"];
    let given = bind("truncate", arguments, names)?;
    let length = given.int(0, 255)?;
    let end = match given.value(2) {
        None => "...".into(),
        Some(_) => given.text(2)?,
    };
    let leeway = given.some_int(3)?.unwrap_or(5);
    let mark = end.chars().count() as i64;
    if length < mark {
        return given.refuse(
            0,
            "no less than the length of end",
            &length.to_string(),
        );
    }
    if leeway < 0 {
        return given.refuse(3, "0 or more", &leeway.to_string());
    }
    if text.chars().count() as i64 <= length.saturating_add(leeway) {
        return Ok(text);
    }
    let kept: String = text.chars().take((length - mark) as usize).collect();
    let kept = match given.flag(1) {
        true => &kept[..],
        false => kept.rsplit_once(' ').map_or(&kept[..], |(words, _)| words),
    };
    Ok(format!("{kept}{end}"))
}

fn indented<'a>(
    machine: &mut Machine<'a>,
    text: &str,
    arguments: &Arguments<'a>,
) -> Outcome<String> {
    let given = bind("indent", arguments, &["width", "first", "blank"])?;
    let width = match given.value(0) {
        Some(Value::Text(text)) => text.to_string(),
        _ => {
            let width = given.int(0, 4)?.max(0) as usize;
            machine.meter.text(width)?;
            " ".repeat(width)
        }
    };
    let (first, blank) = (given.flag(1), given.flag(2));
    let mut out = String::new();
    let closed = format!("{text}\n");
    for (index, line) in lines(&closed, false).into_iter().enumerate() {
        machine.meter.text(line.len() + width.len() + 1)?;
        if index > 0 {
            out.push('\n');
        }
        let wanted = match index {
            0 => first,
            _ => blank || !line.is_empty(),
        };
        if wanted {
            out.push_str(&width);
        }
        out.push_str(line);
    }
    Ok(out)
}
