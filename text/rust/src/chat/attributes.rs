//! What filters on lists compare and take: an item, or one of its attributes.

use super::machine::Machine;
use super::slices;
use super::value::Value;
use crate::failure::Outcome;

/// An attribute such as "function.name" or "0.id", or an index; what is
/// missing on the way is `default` where there is one.
pub fn by_path<'a>(
    machine: &mut Machine<'a>,
    item: &Value<'a>,
    path: &Value<'a>,
    default: Option<&Value<'a>>,
) -> Outcome<Value<'a>> {
    let Value::Text(path) = path else {
        let found = slices::item(&mut machine.meter, item, path)?;
        return Ok(or_default(found, default));
    };
    let mut value = item.clone();
    for name in path.split('.') {
        machine.meter.text(name.len())?;
        let index = match name.bytes().all(|one| one.is_ascii_digit()) {
            true => name.parse().ok(),
            false => None,
        };
        value = match index {
            Some(index) => {
                let index = Value::Int(index);
                slices::item(&mut machine.meter, &value, &index)?
            }
            None => machine.attribute(&value, name)?,
        };
        value = or_default(value, default);
    }
    Ok(value)
}

fn or_default<'a>(found: Value<'a>, default: Option<&Value<'a>>) -> Value<'a> {
    match (found, default) {
        (Value::Undefined, Some(default)) => default.clone(),
        (found, _) => found,
    }
}

/// What an item is compared by.
pub struct Key<'v, 'a> {
    pub attribute: Option<&'v Value<'a>>,
    pub case_sensitive: bool,
}

impl<'v, 'a> Key<'v, 'a> {
    pub fn of(
        &self,
        machine: &mut Machine<'a>,
        item: &Value<'a>,
    ) -> Outcome<Value<'a>> {
        let found = match self.attribute {
            Some(path) => by_path(machine, item, path, None)?,
            None => item.clone(),
        };
        self.folded(machine, found)
    }

    /// Several attributes with commas between them are compared in turn.
    pub fn of_all(
        &self,
        machine: &mut Machine<'a>,
        item: &Value<'a>,
    ) -> Outcome<Value<'a>> {
        let Some(Value::Text(paths)) = self.attribute else {
            return self.of(machine, item);
        };
        if !paths.contains(',') {
            return self.of(machine, item);
        }
        let mut keys = Vec::new();
        for path in paths.split(',') {
            let path = Value::from(path);
            let found = by_path(machine, item, &path, None)?;
            keys.push(self.folded(machine, found)?);
        }
        machine.meter.values(keys.len())?;
        Value::list(keys)
    }

    fn folded(
        &self,
        machine: &mut Machine<'a>,
        value: Value<'a>,
    ) -> Outcome<Value<'a>> {
        match &value {
            Value::Text(text) if !self.case_sensitive => {
                machine.meter.text(text.len().saturating_mul(3))?;
                Ok(Value::from(text.to_lowercase()))
            }
            _ => Ok(value),
        }
    }
}
