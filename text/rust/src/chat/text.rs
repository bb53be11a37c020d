//! Values as text, as Python prints them.

use super::meter::Meter;
use super::value::Value;
use crate::failure::Outcome;
use regex::Regex;
use std::sync::OnceLock;

/// As {{ value }} and str(value).
pub fn print(meter: &mut Meter, value: &Value) -> Outcome<String> {
    let mut out = String::new();
    match value {
        Value::Undefined => {}
        Value::Text(text) => {
            meter.text(text.len())?;
            out.push_str(text);
        }
        other => repr(meter, other, &mut out)?,
    }
    Ok(out)
}

fn repr(meter: &mut Meter, value: &Value, out: &mut String) -> Outcome<()> {
    meter.step()?;
    match value {
        Value::Undefined => out.push_str("Undefined"),
        Value::None => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Float(value) => out.push_str(&real(*value)),
        Value::Text(text) => quote(meter, text, out)?,
        Value::List(list) => {
            out.push(if list.is_tuple { '(' } else { '[' });
            for (index, item) in list.items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                repr(meter, item, out)?;
            }
            out.push_str(match (list.is_tuple, list.items.len()) {
                (true, 1) => ",)",
                (true, _) => ")",
                (false, _) => "]",
            });
        }
        Value::Map(map) => {
            out.push('{');
            for (index, (key, item)) in map.entries.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                quote(meter, key, out)?;
                out.push_str(": ");
                repr(meter, item, out)?;
            }
            out.push('}');
        }
        other => out.push_str(&format!("<{}>", other.kind())),
    }
    Ok(())
}

fn quote(meter: &mut Meter, text: &str, out: &mut String) -> Outcome<()> {
    // Four for a control character, at worst.
    meter.text(4 * text.len())?;
    let mark = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(mark);
    for one in text.chars() {
        match one {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            one if one == mark => {
                out.push('\\');
                out.push(one);
            }
            one if (' '..='~').contains(&one) || is_printable(one) => {
                out.push(one)
            }
            one => match one as u32 {
                code @ ..=0xff => out.push_str(&format!("\\x{code:02x}")),
                code @ ..=0xffff => out.push_str(&format!("\\u{code:04x}")),
                code => out.push_str(&format!("\\U{code:08x}")),
            },
        }
    }
    out.push(mark);
    Ok(())
}

/// Not of Unicode's categories C (control, unassigned) and Z (separators).
fn is_printable(one: char) -> bool {
    static OTHER: OnceLock<Option<Regex>> = OnceLock::new();
    let other = OTHER.get_or_init(|| Regex::new(r"[\p{C}\p{Z}]").ok());
    let mut bytes = [0; 4];
    let text = one.encode_utf8(&mut bytes);
    other.as_ref().is_none_or(|other| !other.is_match(text))
}

/// A float as Python's repr writes it: the shortest that reads back the same.
pub fn real(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    let text = format!("{value:?}");
    match text.split_once('e') {
        None => text,
        Some((digits, power)) => match power.strip_prefix('-') {
            Some(power) => format!("{digits}e-{power:0>2}"),
            None => format!("{digits}e+{power:0>2}"),
        },
    }
}
