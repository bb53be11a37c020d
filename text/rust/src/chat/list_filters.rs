//! Filters on what a loop over the value would see.

use super::attributes::{by_path, Key};
use super::machine::{Arguments, Machine};
use super::operators::{binary, contains, order};
use super::signature::{bare, bind};
use super::text::print;
use super::value::Value;
use super::{filters, methods, tests};
use crate::failure::{fail, Code, Outcome};
use minijinja::machinery::ast::BinOpKind;
use std::cmp::Ordering;
use std::rc::Rc;

const NAMES: [&str; 19] = [
    "list",
    "first",
    "last",
    "reverse",
    "items",
    "dictsort",
    "join",
    "sum",
    "min",
    "max",
    "sort",
    "unique",
    "batch",
    "slice",
    "select",
    "reject",
    "selectattr",
    "rejectattr",
    "map",
];

pub fn apply<'a>(
    machine: &mut Machine<'a>,
    name: &str,
    value: &Value<'a>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    if !NAMES.contains(&name) {
        return fail(
            Code::Incompatible,
            format!("chat_template: no filter named {name}"),
        );
    }
    match (name, value) {
        ("items", Value::Map(_)) => {
            bare(name, arguments)?;
            return methods::call(machine, value, "items", arguments);
        }
        ("items", Value::Undefined) => {
            bare(name, arguments)?;
            return Value::list(Vec::new());
        }
        ("items" | "dictsort", other) if !matches!(other, Value::Map(_)) => {
            return fail(
                Code::Corrupt,
                format!("chat_template: {name} of {}", other.kind()),
            )
        }
        ("reverse", Value::Text(text)) => {
            bare(name, arguments)?;
            machine.meter.text(text.len())?;
            return Ok(Value::from(text.chars().rev().collect::<String>()));
        }
        // Jinja asks `if value` before it looks for items.
        ("select" | "reject" | "selectattr" | "rejectattr" | "map", value)
            if !value.truth() =>
        {
            return Value::list(Vec::new())
        }
        _ => {}
    }
    let items = machine.items(value)?;
    let nothing = Value::Undefined;
    match name {
        "list" | "first" | "last" | "reverse" => {
            bare(name, arguments)?;
            match name {
                "first" => Ok(items.first().unwrap_or(&nothing).clone()),
                "last" => Ok(items.last().unwrap_or(&nothing).clone()),
                "list" => Value::list(items),
                _ => Value::list(items.into_iter().rev().collect()),
            }
        }
        "dictsort" => dict_sorted(machine, value, arguments),
        "join" => joined(machine, items, arguments),
        "sum" => summed(machine, items, arguments),
        "min" | "max" => extreme(machine, name, items, arguments),
        "sort" => {
            let names = &["reverse", "case_sensitive", "attribute"];
            let given = bind(name, arguments, names)?;
            let key = Key {
                attribute: given.some(2),
                case_sensitive: given.flag(1),
            };
            let mut keyed = Vec::with_capacity(items.len());
            for item in items {
                keyed.push((key.of_all(machine, &item)?, item));
            }
            sorted(machine, keyed, given.flag(0))
        }
        "unique" => distinct(machine, items, arguments),
        "batch" => batches(machine, items, arguments),
        "slice" => slices(machine, items, arguments),
        "map" => mapped(machine, items, arguments),
        _ => chosen(machine, name, items, arguments),
    }
}

fn dict_sorted<'a>(
    machine: &mut Machine<'a>,
    value: &Value<'a>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    let names = &["case_sensitive", "by", "reverse"];
    let given = bind("dictsort", arguments, names)?;
    let place = match given.value(1) {
        None => 0,
        Some(_) => match &*given.text(1)? {
            "key" => 0,
            "value" => 1,
            other => return given.refuse(1, "key or value", other),
        },
    };
    let place = Value::Int(place);
    let key = Key {
        attribute: Some(&place),
        case_sensitive: given.flag(0),
    };
    let pairs = methods::call(machine, value, "items", &Arguments::default())?;
    let mut keyed = Vec::new();
    for pair in machine.items(&pairs)? {
        keyed.push((key.of(machine, &pair)?, pair));
    }
    sorted(machine, keyed, given.flag(2))
}

fn joined<'a>(
    machine: &mut Machine<'a>,
    items: Vec<Value<'a>>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    let given = bind("join", arguments, &["d", "attribute"])?;
    let between = match given.value(0) {
        Some(value) => print(&mut machine.meter, value)?,
        None => String::new(),
    };
    let mut out = String::new();
    for (index, item) in items.into_iter().enumerate() {
        let item = match given.some(1) {
            Some(path) => by_path(machine, &item, path, None)?,
            None => item,
        };
        let text = print(&mut machine.meter, &item)?;
        machine.meter.text(between.len() + text.len())?;
        if index > 0 {
            out.push_str(&between);
        }
        out.push_str(&text);
    }
    Ok(Value::from(out))
}

fn summed<'a>(
    machine: &mut Machine<'a>,
    items: Vec<Value<'a>>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    let given = bind("sum", arguments, &["attribute", "start"])?;
    let mut total = given.value(1).cloned().unwrap_or(Value::Int(0));
    if let Value::Text(_) = total {
        return given.refuse(1, "a number or a list", "str");
    }
    for item in &items {
        let item = match given.some(0) {
            Some(path) => by_path(machine, item, path, None)?,
            None => item.clone(),
        };
        total = binary(&mut machine.meter, BinOpKind::Add, &total, &item)?;
    }
    Ok(total)
}

/// Of equal ones the first.
fn extreme<'a>(
    machine: &mut Machine<'a>,
    name: &str,
    items: Vec<Value<'a>>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    let given = bind(name, arguments, &["case_sensitive", "attribute"])?;
    let key = Key {
        attribute: given.some(1),
        case_sensitive: given.flag(0),
    };
    let wanted = match name {
        "min" => Ordering::Less,
        _ => Ordering::Greater,
    };
    let mut best: Option<(Value, Value)> = None;
    for item in items {
        let by = key.of(machine, &item)?;
        let better = match &best {
            None => true,
            Some((least, _)) => {
                order(&mut machine.meter, &by, least)? == wanted
            }
        };
        if better {
            best = Some((by, item));
        }
    }
    Ok(best.map_or(Value::Undefined, |(_, item)| item))
}

/// A merge sort by the first of each pair, since comparing may fail and has
/// to be paid for. Equal ones stay in their order, reversed or not.
fn sorted<'a>(
    machine: &mut Machine<'a>,
    mut keyed: Vec<(Value<'a>, Value<'a>)>,
    reverse: bool,
) -> Outcome<Value<'a>> {
    let mut width = 1;
    while width < keyed.len() {
        let mut merged = Vec::with_capacity(keyed.len());
        for run in keyed.chunks(2 * width) {
            let (left, right) = run.split_at(width.min(run.len()));
            let (mut i, mut j) = (0, 0);
            while i < left.len() || j < right.len() {
                let takes_left = j == right.len()
                    || (i < left.len() && {
                        let order =
                            order(&mut machine.meter, &right[j].0, &left[i].0)?;
                        if reverse {
                            order.is_le()
                        } else {
                            order.is_ge()
                        }
                    });
                if takes_left {
                    merged.push(left[i].clone());
                    i += 1;
                } else {
                    merged.push(right[j].clone());
                    j += 1;
                }
            }
        }
        keyed = merged;
        width *= 2;
    }
    Value::list(keyed.into_iter().map(|(_, item)| item).collect())
}

fn distinct<'a>(
    machine: &mut Machine<'a>,
    items: Vec<Value<'a>>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    let given = bind("unique", arguments, &["case_sensitive", "attribute"])?;
    let key = Key {
        attribute: given.some(1),
        case_sensitive: given.flag(0),
    };
    let mut seen = Value::list(Vec::new())?;
    let mut keys = Vec::new();
    let mut kept = Vec::new();
    for item in items {
        let by = key.of(machine, &item)?;
        if let Value::Map(_) = by {
            return fail(Code::Corrupt, "chat_template: unique of dicts");
        }
        if !contains(&mut machine.meter, &seen, &by)? {
            kept.push(item);
            keys.push(by);
            machine.meter.values(keys.len())?;
            seen = Value::list(keys.clone())?;
        }
    }
    Value::list(kept)
}

fn batches<'a>(
    machine: &mut Machine<'a>,
    items: Vec<Value<'a>>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    let given = bind("batch", arguments, &["linecount", "fill_with"])?;
    given.required(0)?;
    let count = given.int(0, 0)?;
    let mut out = Vec::new();
    let mut batch = Vec::new();
    for item in items {
        if batch.len() as i64 == count {
            out.push(Value::list(std::mem::take(&mut batch))?);
        }
        batch.push(item);
    }
    if !batch.is_empty() {
        if let Some(fill) = given.some(1) {
            let size = usize::try_from(count).unwrap_or(0).max(batch.len());
            machine.meter.values(size)?;
            batch.resize(size, fill.clone());
        }
        out.push(Value::list(batch)?);
    }
    Value::list(out)
}

fn slices<'a>(
    machine: &mut Machine<'a>,
    items: Vec<Value<'a>>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    let given = bind("slice", arguments, &["slices", "fill_with"])?;
    given.required(0)?;
    let count = given.int(0, 0)?;
    if count == 0 {
        return given.refuse(0, "a number of slices", "0");
    }
    let count = usize::try_from(count).unwrap_or(0);
    machine.meter.values(count.saturating_mul(2))?;
    let mut out = Vec::new();
    let mut rest = &items[..];
    for number in 0..count {
        let longer = number < items.len() % count;
        let size = items.len() / count + usize::from(longer);
        let (now, after) = rest.split_at(size);
        rest = after;
        let mut slice = now.to_vec();
        if let (Some(fill), false) = (given.some(1), longer) {
            slice.push(fill.clone());
        }
        out.push(Value::list(slice)?);
    }
    Value::list(out)
}

fn chosen<'a>(
    machine: &mut Machine<'a>,
    name: &str,
    items: Vec<Value<'a>>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    let by_attribute = name.ends_with("attr");
    let wanted = name.starts_with("select");
    let at = usize::from(by_attribute);
    let path = match arguments.positional.first() {
        None if by_attribute => {
            return fail(
                Code::Corrupt,
                format!("chat_template: {name}: expected an attribute"),
            )
        }
        path => path.filter(|_| by_attribute),
    };
    let test = name_of(name, "test", arguments.positional.get(at))?;
    if let (None, Some((unknown, _))) = (&test, arguments.named.first()) {
        return fail(
            Code::Corrupt,
            format!("chat_template: {name}: no argument named {unknown}"),
        );
    }
    let rest = after(arguments, at + 1);
    let mut kept = Vec::new();
    for item in items {
        machine.meter.step()?;
        let value = match path {
            Some(path) => by_path(machine, &item, path, None)?,
            None => item.clone(),
        };
        let holds = match &test {
            Some(test) => tests::holds(machine, test, &value, &rest)?,
            None => value.truth(),
        };
        if holds == wanted {
            kept.push(item);
        }
    }
    Value::list(kept)
}

fn mapped<'a>(
    machine: &mut Machine<'a>,
    items: Vec<Value<'a>>,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    let mut out = Vec::with_capacity(items.len());
    let by_attribute = arguments.positional.is_empty()
        && arguments.named.iter().any(|(name, _)| *name == "attribute");
    if by_attribute {
        let given = bind("map", arguments, &["attribute", "default"])?;
        let path = given.required(0)?;
        for item in items {
            machine.meter.step()?;
            out.push(by_path(machine, &item, path, given.some(1))?);
        }
        return Value::list(out);
    }
    let filter = name_of("map", "filter", arguments.positional.first())?;
    let Some(filter) = filter else {
        return fail(
            Code::Corrupt,
            "chat_template: map: expected a filter or attribute=",
        );
    };
    let rest = after(arguments, 1);
    for item in items {
        machine.meter.enter()?;
        out.push(filters::apply(machine, &filter, &item, &rest)?);
        machine.meter.leave();
    }
    Value::list(out)
}

/// The name of a test or a filter among a filter's arguments.
fn name_of(
    filter: &str,
    what: &str,
    given: Option<&Value>,
) -> Outcome<Option<Rc<str>>> {
    match given {
        None => Ok(None),
        Some(Value::Text(name)) => Ok(Some(name.clone())),
        Some(other) => fail(
            Code::Corrupt,
            format!(
                "chat_template: {filter}: expected the name of a {what}, \
                 found {}",
                other.kind()
            ),
        ),
    }
}

/// What is left for the test or the filter that was named.
fn after<'a>(arguments: &Arguments<'a>, taken: usize) -> Arguments<'a> {
    Arguments {
        positional: arguments.positional.iter().skip(taken).cloned().collect(),
        named: arguments.named.clone(),
    }
}
