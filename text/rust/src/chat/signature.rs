//! Arguments held against a signature: what a filter, a test, a method or a
//! function cannot take is refused by name, never passed over.

use super::machine::Arguments;
use super::value::Value;
use crate::failure::{fail, Code, Outcome};
use std::rc::Rc;

/// The arguments of one call in the order of the signature's names.
pub struct Bound<'v, 'a> {
    what: &'v str,
    names: &'static [&'static str],
    values: Vec<Option<&'v Value<'a>>>,
}

/// Each argument by its place or its name. `what` is called, in errors.
pub fn bind<'v, 'a>(
    what: &'v str,
    given: &'v Arguments<'a>,
    names: &'static [&'static str],
) -> Outcome<Bound<'v, 'a>> {
    let mut bound = bind_positional_part(what, given, names)?;
    for (name, value) in &given.named {
        let Some(index) = names.iter().position(|known| known == name) else {
            return unknown(what, name);
        };
        if bound.values[index].is_some() {
            return fail(
                Code::Corrupt,
                format!("chat_template: {what}: {name} is given twice"),
            );
        }
        bound.values[index] = Some(value);
    }
    Ok(bound)
}

/// For what Python calls by place only; the names are for errors.
pub fn bind_places<'v, 'a>(
    what: &'v str,
    given: &'v Arguments<'a>,
    names: &'static [&'static str],
) -> Outcome<Bound<'v, 'a>> {
    match given.named.first() {
        Some((name, _)) => unknown(what, name),
        None => bind_positional_part(what, given, names),
    }
}

/// For what takes no argument at all.
pub fn bare(what: &str, given: &Arguments) -> Outcome<()> {
    bind_places(what, given, &[]).map(|_| ())
}

fn bind_positional_part<'v, 'a>(
    what: &'v str,
    given: &'v Arguments<'a>,
    names: &'static [&'static str],
) -> Outcome<Bound<'v, 'a>> {
    if given.positional.len() > names.len() {
        return fail(
            Code::Corrupt,
            format!(
                "chat_template: {what}: expected at most {} arguments, found \
                 {}",
                names.len(),
                given.positional.len()
            ),
        );
    }
    let mut values: Vec<_> = given.positional.iter().map(Some).collect();
    values.resize(names.len(), None);
    Ok(Bound {
        what,
        names,
        values,
    })
}

fn unknown<T>(what: &str, name: &str) -> Outcome<T> {
    fail(
        Code::Corrupt,
        format!("chat_template: {what}: no argument named {name}"),
    )
}

impl<'v, 'a> Bound<'v, 'a> {
    pub fn value(&self, index: usize) -> Option<&'v Value<'a>> {
        self.values[index]
    }

    /// The value unless it is left out or None.
    pub fn some(&self, index: usize) -> Option<&'v Value<'a>> {
        self.values[index].filter(|value| !matches!(value, Value::None))
    }

    pub fn required(&self, index: usize) -> Outcome<&'v Value<'a>> {
        match self.values[index] {
            Some(value) => Ok(value),
            None => self.refuse(index, "a value", "none"),
        }
    }

    pub fn flag(&self, index: usize) -> bool {
        self.values[index].is_some_and(Value::truth)
    }

    pub fn int(&self, index: usize, default: i64) -> Outcome<i64> {
        match self.values[index] {
            None => Ok(default),
            Some(value) => self.int_of(index, value),
        }
    }

    /// None is as good as nothing.
    pub fn some_int(&self, index: usize) -> Outcome<Option<i64>> {
        self.some(index)
            .map(|value| self.int_of(index, value))
            .transpose()
    }

    pub fn text(&self, index: usize) -> Outcome<Rc<str>> {
        let value = self.required(index)?;
        self.text_of(index, value)
    }

    /// None is as good as nothing.
    pub fn some_text(&self, index: usize) -> Outcome<Option<Rc<str>>> {
        self.some(index)
            .map(|value| self.text_of(index, value))
            .transpose()
    }

    pub fn refuse<T>(
        &self,
        index: usize,
        expected: &str,
        found: &str,
    ) -> Outcome<T> {
        fail(
            Code::Corrupt,
            format!(
                "chat_template: {}: {}: expected {expected}, found {found}",
                self.what, self.names[index]
            ),
        )
    }

    fn int_of(&self, index: usize, value: &Value<'a>) -> Outcome<i64> {
        match value.as_int() {
            Some(number) => Ok(number),
            None => self.refuse(index, "an integer", value.kind()),
        }
    }

    fn text_of(&self, index: usize, value: &Value<'a>) -> Outcome<Rc<str>> {
        match value.as_text() {
            Some(text) => Ok(text.clone()),
            None => self.refuse(index, "text", value.kind()),
        }
    }
}
