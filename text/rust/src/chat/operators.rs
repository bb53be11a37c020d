//! Python's operators on template values.

use super::meter::Meter;
use super::text::print;
use super::value::Value;
use crate::failure::{fail, Code, Outcome};
use minijinja::machinery::ast::BinOpKind;
use std::cmp::Ordering;

pub fn binary<'a>(
    meter: &mut Meter,
    op: BinOpKind,
    left: &Value<'a>,
    right: &Value<'a>,
) -> Outcome<Value<'a>> {
    Ok(match op {
        BinOpKind::Eq => Value::Bool(equal(meter, left, right)?),
        BinOpKind::Ne => Value::Bool(!equal(meter, left, right)?),
        BinOpKind::Lt => Value::Bool(order(meter, left, right)?.is_lt()),
        BinOpKind::Lte => Value::Bool(order(meter, left, right)?.is_le()),
        BinOpKind::Gt => Value::Bool(order(meter, left, right)?.is_gt()),
        BinOpKind::Gte => Value::Bool(order(meter, left, right)?.is_ge()),
        BinOpKind::In => Value::Bool(contains(meter, right, left)?),
        BinOpKind::Concat => {
            let mut text = print(meter, left)?;
            let more = print(meter, right)?;
            meter.text(text.len() + more.len())?;
            text.push_str(&more);
            Value::from(text)
        }
        BinOpKind::Add => return add(meter, left, right),
        BinOpKind::Mul => return multiply(meter, left, right),
        // The machine evaluates these two without their right side.
        BinOpKind::ScAnd | BinOpKind::ScOr => Value::Undefined,
        _ => return arithmetic(op, left, right),
    })
}

fn add<'a>(
    meter: &mut Meter,
    left: &Value<'a>,
    right: &Value<'a>,
) -> Outcome<Value<'a>> {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) => {
            meter.text(left.len() + right.len())?;
            Ok(Value::from([&**left, &**right].concat()))
        }
        (Value::List(left), Value::List(right)) => {
            meter.values(left.items.len() + right.items.len())?;
            let items = left.items.iter().chain(&right.items);
            Value::list(items.cloned().collect())
        }
        _ => arithmetic(BinOpKind::Add, left, right),
    }
}

fn multiply<'a>(
    meter: &mut Meter,
    left: &Value<'a>,
    right: &Value<'a>,
) -> Outcome<Value<'a>> {
    let (sequence, times) = match (left, right) {
        (Value::Text(_) | Value::List(_), _) => (left, right.as_int()),
        (_, Value::Text(_) | Value::List(_)) => (right, left.as_int()),
        _ => return arithmetic(BinOpKind::Mul, left, right),
    };
    let Some(times) = times.map(|times| times.max(0) as usize) else {
        return unsupported("*", left, right);
    };
    match sequence {
        Value::Text(text) => {
            meter.text(text.len().saturating_mul(times))?;
            Ok(Value::from(text.repeat(times)))
        }
        Value::List(list) => {
            meter.values(list.items.len().saturating_mul(times))?;
            let copies = std::iter::repeat_n(&list.items, times);
            Value::list(copies.flatten().cloned().collect())
        }
        _ => unsupported("*", left, right),
    }
}

fn arithmetic<'a>(
    op: BinOpKind,
    left: &Value<'a>,
    right: &Value<'a>,
) -> Outcome<Value<'a>> {
    if let (Some(a), Some(b)) = (left.as_int(), right.as_int()) {
        let whole = match op {
            BinOpKind::Add => a.checked_add(b),
            BinOpKind::Sub => a.checked_sub(b),
            BinOpKind::Mul => a.checked_mul(b),
            BinOpKind::FloorDiv | BinOpKind::Rem if b == 0 => {
                return fail(Code::Corrupt, "chat_template: division by zero")
            }
            BinOpKind::FloorDiv => a.checked_div(b).map(|quotient| {
                quotient - i64::from(a % b != 0 && (a < 0) != (b < 0))
            }),
            BinOpKind::Rem => a.checked_rem(b).map(|rest| {
                if rest != 0 && (rest < 0) != (b < 0) {
                    rest + b
                } else {
                    rest
                }
            }),
            BinOpKind::Pow if b >= 0 => {
                u32::try_from(b).ok().and_then(|b| a.checked_pow(b))
            }
            _ => return real(op, a as f64, b as f64),
        };
        return match whole {
            Some(value) => Ok(Value::Int(value)),
            None => fail(
                Code::Exhausted,
                "chat_template: an integer beyond 64 bits",
            ),
        };
    }
    match (left.as_float(), right.as_float()) {
        (Some(a), Some(b)) => real(op, a, b),
        _ => unsupported(symbol(op), left, right),
    }
}

fn real<'a>(op: BinOpKind, a: f64, b: f64) -> Outcome<Value<'a>> {
    let divides =
        matches!(op, BinOpKind::Div | BinOpKind::FloorDiv | BinOpKind::Rem);
    if divides && b == 0.0 {
        return fail(Code::Corrupt, "chat_template: division by zero");
    }
    Ok(Value::Float(match op {
        BinOpKind::Add => a + b,
        BinOpKind::Sub => a - b,
        BinOpKind::Mul => a * b,
        BinOpKind::Div => a / b,
        BinOpKind::FloorDiv => (a / b).floor(),
        BinOpKind::Rem => a - b * (a / b).floor(),
        _ => a.powf(b),
    }))
}

pub fn equal(meter: &mut Meter, left: &Value, right: &Value) -> Outcome<bool> {
    meter.step()?;
    Ok(match (left, right) {
        (Value::Undefined, Value::Undefined) | (Value::None, Value::None) => {
            true
        }
        (Value::Text(left), Value::Text(right)) => {
            meter.text(left.len().min(right.len()))?;
            left == right
        }
        (Value::List(left), Value::List(right)) => {
            if left.items.len() != right.items.len() {
                return Ok(false);
            }
            for (left, right) in left.items.iter().zip(&right.items) {
                if !equal(meter, left, right)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Map(left), Value::Map(right)) => {
            if left.entries.len() != right.entries.len() {
                return Ok(false);
            }
            for (key, left) in &left.entries {
                meter.values(right.entries.len())?;
                match right.get(key) {
                    Some(right) if equal(meter, left, right)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        _ => match (left.as_int(), right.as_int()) {
            (Some(left), Some(right)) => left == right,
            _ => match (left.as_float(), right.as_float()) {
                (Some(left), Some(right)) => left == right,
                _ => false,
            },
        },
    })
}

pub fn order(
    meter: &mut Meter,
    left: &Value,
    right: &Value,
) -> Outcome<Ordering> {
    meter.step()?;
    if let (Value::Text(left), Value::Text(right)) = (left, right) {
        meter.text(left.len().min(right.len()))?;
        return Ok(left.cmp(right));
    }
    if let (Some(left), Some(right)) = (left.as_int(), right.as_int()) {
        return Ok(left.cmp(&right));
    }
    if let (Value::List(left), Value::List(right)) = (left, right) {
        // The first items that differ decide, else the length.
        for (left, right) in left.items.iter().zip(&right.items) {
            if !equal(meter, left, right)? {
                return order(meter, left, right);
            }
        }
        return Ok(left.items.len().cmp(&right.items.len()));
    }
    match (left.as_float(), right.as_float()) {
        (Some(left), Some(right)) => {
            Ok(left.partial_cmp(&right).unwrap_or(Ordering::Equal))
        }
        _ => unsupported("<", left, right).map(|_: Value| Ordering::Equal),
    }
}

pub fn contains(
    meter: &mut Meter,
    container: &Value,
    item: &Value,
) -> Outcome<bool> {
    match (container, item) {
        (Value::Undefined, _) => Ok(false),
        (Value::Text(text), Value::Text(part)) => {
            meter.text(text.len() + part.len())?;
            Ok(text.contains(&**part))
        }
        (Value::List(list), _) => {
            for one in &list.items {
                if equal(meter, one, item)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (Value::Map(map), Value::Text(key)) => {
            meter.values(map.entries.len())?;
            Ok(map.get(key).is_some())
        }
        (Value::Map(_), _) => Ok(false),
        _ => unsupported("in", item, container).map(|_: Value| false),
    }
}

fn symbol(op: BinOpKind) -> &'static str {
    match op {
        BinOpKind::Add => "+",
        BinOpKind::Sub => "-",
        BinOpKind::Mul => "*",
        BinOpKind::Div => "/",
        BinOpKind::FloorDiv => "//",
        BinOpKind::Rem => "%",
        _ => "**",
    }
}

fn unsupported<'a>(
    symbol: &str,
    left: &Value,
    right: &Value,
) -> Outcome<Value<'a>> {
    fail(
        Code::Corrupt,
        format!(
            "chat_template: no {symbol} between {} and {}",
            left.kind(),
            right.kind()
        ),
    )
}
