//! json.dumps on template values.

use super::meter::Meter;
use super::text::real;
use super::value::Value;
use crate::failure::{fail, Code, Outcome};
use std::borrow::Cow;
use std::rc::Rc;

/// What json.dumps takes.
pub struct Style {
    /// Everything beyond ASCII as \uXXXX.
    pub ascii: bool,
    /// Lines, each level indented by this; none: one line.
    pub indent: Option<String>,
    /// Between two items, and between a key and its value.
    pub item: Rc<str>,
    pub key: Rc<str>,
    pub sorted: bool,
}

pub fn write(
    meter: &mut Meter,
    value: &Value,
    style: &Style,
    level: usize,
    out: &mut String,
) -> Outcome<()> {
    meter.step()?;
    match value {
        Value::None => out.push_str("null"),
        Value::Bool(value) => out.push_str(&value.to_string()),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Float(value) => out.push_str(&number(*value)),
        Value::Text(text) => quote(meter, text, style, out)?,
        Value::List(list) => {
            out.push('[');
            for (index, item) in list.items.iter().enumerate() {
                separate(meter, index, style, level + 1, out)?;
                write(meter, item, style, level + 1, out)?;
            }
            if !list.items.is_empty() {
                line(meter, style, level, out)?;
            }
            out.push(']');
        }
        Value::Map(map) => {
            let mut entries: Vec<_> = map.entries.iter().collect();
            if style.sorted {
                meter.values(entries.len().saturating_mul(16))?;
                entries.sort_by(|(left, _), (right, _)| left.cmp(right));
            }
            out.push('{');
            for (index, (key, item)) in entries.into_iter().enumerate() {
                separate(meter, index, style, level + 1, out)?;
                quote(meter, key, style, out)?;
                meter.text(style.key.len())?;
                out.push_str(&style.key);
                write(meter, item, style, level + 1, out)?;
            }
            if !map.entries.is_empty() {
                line(meter, style, level, out)?;
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

fn number(value: f64) -> Cow<'static, str> {
    match value {
        value if value.is_nan() => "NaN".into(),
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        value => real(value).into(),
    }
}

fn separate(
    meter: &mut Meter,
    index: usize,
    style: &Style,
    level: usize,
    out: &mut String,
) -> Outcome<()> {
    if index > 0 {
        meter.text(style.item.len())?;
        out.push_str(&style.item);
    }
    line(meter, style, level, out)
}

fn line(
    meter: &mut Meter,
    style: &Style,
    level: usize,
    out: &mut String,
) -> Outcome<()> {
    if let Some(indent) = &style.indent {
        meter.text(indent.len().saturating_mul(level))?;
        out.push('\n');
        out.extend(std::iter::repeat_n(indent.as_str(), level));
    }
    Ok(())
}

fn quote(
    meter: &mut Meter,
    text: &str,
    style: &Style,
    out: &mut String,
) -> Outcome<()> {
    // Six characters for a control character, at worst.
    meter.text(6 * text.len())?;
    let quoted = serde_json::to_string(text).unwrap_or_default();
    if !style.ascii {
        out.push_str(&quoted);
        return Ok(());
    }
    for one in quoted.chars() {
        if (' '..='~').contains(&one) {
            out.push(one);
        } else {
            for unit in one.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    Ok(())
}
