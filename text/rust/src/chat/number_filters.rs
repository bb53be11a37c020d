//! int, float, abs, round.

use super::machine::{Arguments, Machine};
use super::python_text::is_space;
use super::signature::{bare, bind};
use super::value::Value;
use crate::failure::{fail, Code, Outcome};

pub fn apply<'a>(
    machine: &mut Machine<'a>,
    name: &str,
    value: &Value<'a>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    machine
        .meter
        .text(value.as_text().map_or(0, |text| text.len()))?;
    if matches!(value, Value::Undefined) {
        return fail(
            Code::Corrupt,
            format!("chat_template: {name} of an undefined value"),
        );
    }
    match name {
        "int" => {
            let given = bind(name, arguments, &["default", "base"])?;
            let default = given.value(0).cloned().unwrap_or(Value::Int(0));
            integer(value, default, given.int(1, 10)?)
        }
        "float" => {
            let given = bind(name, arguments, &["default"])?;
            let real = match value {
                Value::Text(text) => parse_float(text),
                other => other.as_float(),
            };
            let default = given.value(0).cloned();
            Ok(real
                .map(Value::Float)
                .or(default)
                .unwrap_or(Value::Float(0.0)))
        }
        "abs" => {
            bare(name, arguments)?;
            match (value, value.as_int()) {
                (Value::Float(real), _) => Ok(Value::Float(real.abs())),
                (_, Some(whole)) => whole_or_fail(whole.checked_abs()),
                _ => fail(
                    Code::Corrupt,
                    format!("chat_template: abs of {}", value.kind()),
                ),
            }
        }
        _ => round(value, arguments),
    }
}

fn whole_or_fail<'a>(whole: Option<i64>) -> Outcome<Value<'a>> {
    match whole {
        Some(value) => Ok(Value::Int(value)),
        None => {
            fail(Code::Exhausted, "chat_template: an integer beyond 64 bits")
        }
    }
}

fn integer<'a>(
    value: &Value<'a>,
    default: Value<'a>,
    base: i64,
) -> Outcome<Value<'a>> {
    let real = match value {
        Value::Text(text) => match parse_int(text, base) {
            Parsed::Whole(whole) => return Ok(Value::Int(whole)),
            Parsed::TooLarge => return whole_or_fail(None),
            Parsed::NoNumber => match parse_float(text) {
                Some(real) if real.is_finite() => real,
                _ => return Ok(default),
            },
        },
        Value::Float(real) if real.is_nan() => return Ok(default),
        Value::Float(real) => *real,
        other => return Ok(other.as_int().map_or(default, Value::Int)),
    };
    // 2^63 itself is a double, and no i64.
    const LIMIT: f64 = 9223372036854775808.0;
    let whole = real.trunc();
    whole_or_fail((-LIMIT..LIMIT).contains(&whole).then_some(whole as i64))
}

enum Parsed {
    Whole(i64),
    TooLarge,
    NoNumber,
}

/// int(text, base).
fn parse_int(text: &str, base: i64) -> Parsed {
    let text = text.trim_matches(is_space);
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let negative = text.starts_with('-');
    let prefixed = |base: i64| match base {
        2 => unsigned.strip_prefix("0b").or(unsigned.strip_prefix("0B")),
        8 => unsigned.strip_prefix("0o").or(unsigned.strip_prefix("0O")),
        16 => unsigned.strip_prefix("0x").or(unsigned.strip_prefix("0X")),
        _ => None,
    };
    let (digits, radix) = match base {
        0 => match [2, 8, 16]
            .into_iter()
            .find_map(|base| prefixed(base).map(|rest| (rest, base as u32)))
        {
            Some(found) => found,
            // Python takes no 010 for either ten or eight.
            None if unsigned.starts_with('0')
                && unsigned.contains(|one| !matches!(one, '0' | '_')) =>
            {
                return Parsed::NoNumber
            }
            None => (unsigned, 10),
        },
        2..=36 => (prefixed(base).unwrap_or(unsigned), base as u32),
        _ => return Parsed::NoNumber,
    };
    // After a prefix one underscore may stand before the digits.
    let digits = match digits.len() < unsigned.len() {
        true => digits.strip_prefix('_').unwrap_or(digits),
        false => digits,
    };
    let Some(digits) = without_underscores(digits) else {
        return Parsed::NoNumber;
    };
    let mut whole: Option<i64> = Some(0);
    for one in digits.chars() {
        let Some(digit) = one.to_digit(radix) else {
            return Parsed::NoNumber;
        };
        let digit = i64::from(digit) * if negative { -1 } else { 1 };
        whole = whole
            .and_then(|value| value.checked_mul(i64::from(radix)))
            .and_then(|value| value.checked_add(digit));
    }
    whole.map_or(Parsed::TooLarge, Parsed::Whole)
}

/// float(text).
fn parse_float(text: &str) -> Option<f64> {
    without_underscores(text.trim_matches(is_space))?
        .parse()
        .ok()
}

/// Python's 1_000: underscores stand between two digits, one at a time. None
/// where there is nothing, or one stands elsewhere.
fn without_underscores(text: &str) -> Option<String> {
    let digit =
        |one: Option<char>| one.is_some_and(|one| one.is_ascii_alphanumeric());
    let mut out = String::new();
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(one) = rest.next() {
        if one != '_' {
            out.push(one);
        } else if !digit(before) || !digit(rest.peek().copied()) {
            return None;
        }
        before = Some(one);
    }
    (!out.is_empty()).then_some(out)
}

fn round<'a>(
    value: &Value<'a>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    let given = bind("round", arguments, &["precision", "method"])?;
    let digits = given.int(0, 0)?.clamp(-400, 400) as i32;
    let method = match given.value(1) {
        None => "common".into(),
        Some(_) => given.text(1)?,
    };
    let Some(real) = value.as_float() else {
        return fail(
            Code::Corrupt,
            format!("chat_template: round of {}", value.kind()),
        );
    };
    let scale = 10f64.powi(digits);
    Ok(match (&*method, value.as_int()) {
        ("common", Some(whole)) => Value::Int(round_whole(whole, digits)),
        ("common", None) => Value::Float(round_real(real, digits)),
        // An integer in between: there is no -0.0.
        ("ceil", _) => Value::Float(((real * scale).ceil() + 0.0) / scale),
        ("floor", _) => Value::Float(((real * scale).floor() + 0.0) / scale),
        _ => return given.refuse(1, "common, ceil or floor", &method),
    })
}

/// round(whole, digits): half goes to even.
fn round_whole(whole: i64, digits: i32) -> i64 {
    if digits >= 0 {
        return whole;
    }
    // Beyond this everything is nearer to nothing.
    let Some(unit) = 10i128.checked_pow(digits.unsigned_abs().min(30)) else {
        return 0;
    };
    let whole = i128::from(whole);
    let below = whole.div_euclid(unit);
    let twice = 2 * whole.rem_euclid(unit);
    let up = twice > unit || (twice == unit && below % 2 != 0);
    ((below + i128::from(up)) * unit) as i64
}

/// round(real, digits): of the decimals with so many digits the one nearest to
/// the exact value, half to even.
fn round_real(real: f64, digits: i32) -> f64 {
    if !real.is_finite() {
        return real;
    }
    if digits >= 0 {
        let text = format!("{real:.*}", digits as usize);
        return text.parse().unwrap_or(real);
    }
    let unit = 10f64.powi(-digits);
    match unit.is_finite() {
        true => (real / unit).round_ties_even() * unit,
        false => 0.0 * real,
    }
}
