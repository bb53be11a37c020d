//! Python's methods of dict and list that templates call, and loop's.

use super::machine::{Arguments, Machine};
use super::operators::equal;
use super::signature::{bare, bind_places};
use super::text_methods;
use super::value::{List, Loop, Map, Value};
use crate::failure::{fail, Code, Outcome};

pub fn call<'a>(
    machine: &mut Machine<'a>,
    object: &Value<'a>,
    name: &str,
    arguments: &Arguments<'a>,
) -> Outcome<Value<'a>> {
    let found = match object {
        Value::Text(text) => {
            text_methods::call(machine, text, name, arguments)?
        }
        Value::Map(map) => map_method(machine, object, map, name, arguments)?,
        Value::List(list) => list_method(machine, list, name, arguments)?,
        Value::Loop(state) => loop_method(machine, state, name, arguments)?,
        _ => None,
    };
    match found {
        Some(value) => Ok(value),
        None => fail(
            Code::Incompatible,
            format!("chat_template: no .{name}() of {}", object.kind()),
        ),
    }
}

fn map_method<'a>(
    machine: &mut Machine<'a>,
    object: &Value<'a>,
    map: &Map<'a>,
    name: &str,
    arguments: &Arguments<'a>,
) -> Outcome<Option<Value<'a>>> {
    machine.meter.values(map.entries.len().saturating_mul(3))?;
    if matches!(name, "keys" | "values" | "items") {
        bare(name, arguments)?;
    }
    Ok(Some(match name {
        "get" => {
            let given = bind_places(name, arguments, &["key", "default"])?;
            let key = given.required(0)?.as_text();
            let found = key.and_then(|key| map.get(key)).or(given.value(1));
            found.cloned().unwrap_or(Value::None)
        }
        "keys" => Value::list(machine.items(object)?)?,
        "values" => {
            let values = map.entries.iter().map(|(_, value)| value.clone());
            Value::list(values.collect())?
        }
        "items" => {
            let mut pairs = Vec::new();
            for (key, value) in &map.entries {
                let key = Value::Text(key.clone());
                pairs.push(Value::tuple(vec![key, value.clone()])?);
            }
            Value::list(pairs)?
        }
        _ => match map.get(name) {
            Some(value) => super::calls::invoke(machine, value, arguments)?,
            None => return Ok(None),
        },
    }))
}

fn list_method<'a>(
    machine: &mut Machine<'a>,
    list: &List<'a>,
    name: &str,
    arguments: &Arguments<'a>,
) -> Outcome<Option<Value<'a>>> {
    let given = match name {
        "count" => bind_places(name, arguments, &["value"])?,
        "index" => bind_places(name, arguments, &["value", "start", "stop"])?,
        _ => return Ok(None),
    };
    let wanted = given.required(0)?;
    let count = list.items.len() as i64;
    let place = |bound: i64| match bound < 0 {
        true => bound.saturating_add(count).max(0),
        false => bound,
    };
    let (mut start, mut stop) = (0, count);
    if name == "index" {
        start = place(given.int(1, 0)?);
        stop = place(given.int(2, count)?);
    }
    let mut found = 0;
    for (index, item) in list.items.iter().enumerate() {
        let index = index as i64;
        if index < start
            || index >= stop
            || !equal(&mut machine.meter, item, wanted)?
        {
            continue;
        }
        if name == "index" {
            return Ok(Some(Value::Int(index)));
        }
        found += 1;
    }
    match name {
        "count" => Ok(Some(Value::Int(found))),
        _ => fail(Code::Corrupt, "chat_template: not in list"),
    }
}

fn loop_method<'a>(
    machine: &mut Machine<'a>,
    state: &Loop<'a>,
    name: &str,
    arguments: &Arguments<'a>,
) -> Outcome<Option<Value<'a>>> {
    if !matches!(name, "cycle" | "changed") {
        return Ok(None);
    }
    if let Some((unknown, _)) = arguments.named.first() {
        return fail(
            Code::Corrupt,
            format!("chat_template: {name}: no argument named {unknown}"),
        );
    }
    let values = &arguments.positional;
    if name == "cycle" {
        return match values.len() {
            0 => fail(Code::Corrupt, "chat_template: cycle of no values"),
            count => Ok(Some(values[state.index % count].clone())),
        };
    }
    // Lists of data cannot hold the loop itself, so no ring is closed.
    machine.meter.values(values.len())?;
    let now = Value::list(values.clone())?;
    let before = state.seen.replace(Some(now.clone()));
    let same = match &before {
        Some(before) => equal(&mut machine.meter, before, &now)?,
        None => false,
    };
    Ok(Some(Value::Bool(!same)))
}
