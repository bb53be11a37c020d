//! Values as text: as Python prints them, and as JSON.

use super::meter::Meter;
use super::value::Value;
use crate::failure::{fail, Code, Outcome};

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
        Value::Float(value) => out.push_str(&format!("{value:?}")),
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
    meter.text(2 * text.len())?;
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
            one => out.push(one),
        }
    }
    out.push(mark);
    Ok(())
}

/// As json.dumps(value, ensure_ascii=False, indent=indent).
pub fn json(
    meter: &mut Meter,
    value: &Value,
    indent: Option<usize>,
    level: usize,
    out: &mut String,
) -> Outcome<()> {
    meter.step()?;
    match value {
        Value::None => out.push_str("null"),
        Value::Bool(value) => out.push_str(&value.to_string()),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Float(value) => out.push_str(&format!("{value:?}")),
        Value::Text(text) => json_text(meter, text, out)?,
        Value::List(list) => {
            out.push('[');
            for (index, item) in list.items.iter().enumerate() {
                separate(meter, index, indent, level + 1, out)?;
                json(meter, item, indent, level + 1, out)?;
            }
            if !list.items.is_empty() {
                line(meter, indent, level, out)?;
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (index, (key, item)) in map.entries.iter().enumerate() {
                separate(meter, index, indent, level + 1, out)?;
                json_text(meter, key, out)?;
                out.push_str(": ");
                json(meter, item, indent, level + 1, out)?;
            }
            if !map.entries.is_empty() {
                line(meter, indent, level, out)?;
            }
            out.push('}');
        }
        other => {
            return fail(
                Code::Corrupt,
                format!("chat_template: no JSON for {}", other.kind()),
            )
        }
    }
    Ok(())
}

fn separate(
    meter: &mut Meter,
    index: usize,
    indent: Option<usize>,
    level: usize,
    out: &mut String,
) -> Outcome<()> {
    match (index, indent) {
        (0, _) => {}
        (_, None) => out.push_str(", "),
        (_, Some(_)) => out.push(','),
    }
    line(meter, indent, level, out)
}

fn line(
    meter: &mut Meter,
    indent: Option<usize>,
    level: usize,
    out: &mut String,
) -> Outcome<()> {
    if let Some(indent) = indent {
        let spaces = indent.saturating_mul(level);
        meter.text(spaces)?;
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', spaces));
    }
    Ok(())
}

fn json_text(meter: &mut Meter, text: &str, out: &mut String) -> Outcome<()> {
    // Six characters for a control character, at worst.
    meter.text(6 * text.len())?;
    let quoted = serde_json::to_string(text).unwrap_or_default();
    out.push_str(&quoted);
    Ok(())
}
