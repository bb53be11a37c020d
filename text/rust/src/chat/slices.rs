//! Python's indices and slices.

use super::meter::Meter;
use super::value::Value;
use crate::failure::{fail, Code, Outcome};

/// `value[key]`: undefined where there is nothing.
pub fn item<'a>(
    meter: &mut Meter,
    value: &Value<'a>,
    key: &Value<'a>,
) -> Outcome<Value<'a>> {
    Ok(match (value, key) {
        (Value::Undefined, _) => {
            return fail(
                Code::Corrupt,
                "chat_template: an item of an undefined value",
            )
        }
        (Value::Map(map), Value::Text(key)) => {
            meter.values(map.entries.len())?;
            map.get(key).cloned().unwrap_or(Value::Undefined)
        }
        (Value::Namespace(map), Value::Text(key)) => {
            let map = map.borrow();
            meter.values(map.entries.len())?;
            map.get(key).cloned().unwrap_or(Value::Undefined)
        }
        (Value::List(list), _) => match place(key, list.items.len()) {
            Some(index) => list.items[index].clone(),
            None => Value::Undefined,
        },
        (Value::Text(text), _) => {
            meter.text(text.len())?;
            let count = text.chars().count();
            match place(key, count).and_then(|index| text.chars().nth(index)) {
                Some(one) => Value::from(one.to_string()),
                None => Value::Undefined,
            }
        }
        _ => Value::Undefined,
    })
}

fn place(key: &Value, count: usize) -> Option<usize> {
    let index = key.as_int()?;
    let index = if index < 0 {
        index + count as i64
    } else {
        index
    };
    usize::try_from(index).ok().filter(|&index| index < count)
}

/// `value[start:stop:step]`; each bound None or undefined when left out.
pub fn slice<'a>(
    meter: &mut Meter,
    value: &Value<'a>,
    bounds: [Value<'a>; 3],
) -> Outcome<Value<'a>> {
    match value {
        Value::List(list) => {
            let picks = picks(bounds, list.items.len())?;
            meter.values(picks.len())?;
            Value::list(
                picks.into_iter().map(|at| list.items[at].clone()).collect(),
            )
        }
        Value::Text(text) => {
            // Four bytes for a character, eight for its place.
            meter.text(text.len().saturating_mul(12))?;
            let characters: Vec<char> = text.chars().collect();
            let picks = picks(bounds, characters.len())?;
            let picked = picks.into_iter().map(|at| characters[at]);
            Ok(Value::from(picked.collect::<String>()))
        }
        Value::Undefined => Value::list(Vec::new()),
        other => fail(
            Code::Corrupt,
            format!("chat_template: no slice of {}", other.kind()),
        ),
    }
}

fn picks(bounds: [Value; 3], count: usize) -> Outcome<Vec<usize>> {
    let mut numbers = [None; 3];
    for (number, bound) in numbers.iter_mut().zip(&bounds) {
        *number =
            match bound {
                Value::None | Value::Undefined => None,
                other => match other.as_int() {
                    Some(value) => Some(value),
                    None => return fail(
                        Code::Corrupt,
                        "chat_template: a slice by something not an integer",
                    ),
                },
            };
    }
    let [start, stop, step] = numbers;
    let step = step.unwrap_or(1);
    if step == 0 {
        return fail(Code::Corrupt, "chat_template: a slice of step 0");
    }
    let count = count as i64;
    // Going down, the bounds are between -1 and count - 1.
    let (low, high) = if step > 0 {
        (0, count)
    } else {
        (-1, count - 1)
    };
    let clamp = |bound: Option<i64>, default: i64| match bound {
        None => default,
        Some(bound) if bound < 0 => {
            bound.saturating_add(count).clamp(low, high)
        }
        Some(bound) => bound.clamp(low, high),
    };
    let (mut at, end) = if step > 0 {
        (clamp(start, low), clamp(stop, high))
    } else {
        (clamp(start, high), clamp(stop, low))
    };
    let mut picks = Vec::new();
    while (step > 0 && at < end) || (step < 0 && at > end) {
        picks.push(at as usize);
        at = at.saturating_add(step);
    }
    Ok(picks)
}
