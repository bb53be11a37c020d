//! What a caller sets for a template, such as enable_thinking: JSON values.

use super::meter::Meter;
use super::value::{Map, Value};
use crate::failure::{fail, Code, Outcome};
use serde_json::Value as Json;

/// What render() sets itself.
const TAKEN: [&str; 4] =
    ["messages", "add_generation_prompt", "tools", "documents"];
const MAX_BYTES: usize = 64 << 10;

pub type Variables = serde_json::Map<String, Json>;

/// The members of a JSON object; none of an empty text.
pub fn read(text: &[u8]) -> Outcome<Variables> {
    if text.is_empty() {
        return Ok(Variables::new());
    }
    let wrong = |what: String| {
        fail(
            Code::InvalidArgument,
            format!("chat_template_kwargs: {what}"),
        )
    };
    if text.len() > MAX_BYTES {
        return wrong(format!(
            "{} bytes, expected at most {MAX_BYTES}",
            text.len()
        ));
    }
    let members = match serde_json::from_slice(text) {
        Ok(Json::Object(members)) => members,
        Ok(other) => {
            return wrong(format!("expected a JSON object, found {other:.40}"))
        }
        Err(error) => {
            return wrong(format!("expected a JSON object, found {error}"))
        }
    };
    for name in members.keys() {
        if TAKEN.contains(&name.as_str()) {
            return wrong(format!(
                "expected names other than {}, found {name}",
                TAKEN.join(", ")
            ));
        }
    }
    Ok(members)
}

pub fn value_of<'a>(meter: &mut Meter, json: &Json) -> Outcome<Value<'a>> {
    meter.enter()?;
    let value = match json {
        Json::Null => Value::None,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => {
            meter.text(text.len())?;
            Value::from(text.as_str())
        }
        Json::Array(items) => {
            meter.values(items.len())?;
            let items = items.iter().map(|item| value_of(meter, item));
            Value::list(items.collect::<Outcome<_>>()?)?
        }
        Json::Object(members) => {
            meter.values(members.len())?;
            let mut pairs = Vec::with_capacity(members.len());
            for (key, item) in members {
                meter.text(key.len())?;
                pairs.push((key.as_str(), value_of(meter, item)?));
            }
            Value::map(Map::from_pairs(pairs))?
        }
    };
    meter.leave();
    Ok(value)
}
