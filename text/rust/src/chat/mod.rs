//! Chat templates: Jinja as transformers sets it up, walked over minijinja's
//! syntax tree. Everything a template does is paid from one fuel (meter.rs).

mod attributes;
mod calls;
pub mod config;
mod filters;
mod json;
mod list_filters;
mod machine;
mod meter;
mod methods;
mod number_filters;
mod operators;
mod python_text;
mod signature;
mod slices;
mod statements;
mod strftime;
mod tests;
mod text;
mod text_filters;
mod text_methods;
mod value;
pub mod variables;

use crate::failure::{fail, Code, Outcome};
use machine::Machine;
use minijinja::machinery::{ast::Stmt, parse, WhitespaceConfig};
use std::borrow::Cow;
use value::{Map, Value};

/// Bytes of a template; the longest published ones are some 20 KiB.
const MAX_SOURCE_BYTES: usize = 128 << 10;

pub struct Request<'a> {
    pub source: &'a [u8],
    /// Role and content.
    pub messages: &'a [(&'a [u8], &'a [u8])],
    /// Name and content, such as bos_token.
    pub tokens: &'a [(&'a [u8], &'a [u8])],
    pub add_generation_prompt: bool,
    /// JSON objects or nothing: what is set for the template, the latter's
    /// members before the former's.
    pub defaults: &'a [u8],
    pub variables: &'a [u8],
    /// For strftime_now: seconds since 1970 on the wall clock of the place.
    pub local_seconds: i64,
    pub fuel: u64,
}

/// An error when the template does not parse.
pub fn check(source: &[u8]) -> Outcome<()> {
    let source = plain_source(source)?;
    parsed(&source).map(|_| ())
}

pub fn render(request: &Request) -> Outcome<String> {
    let source = plain_source(request.source)?;
    let tree = parsed(&source)?;
    let mut variables = variables::read(request.defaults)?;
    variables.extend(variables::read(request.variables)?);
    let mut machine =
        Machine::new(request.fuel, request.local_seconds, &source);
    let mut messages = Vec::new();
    for (role, content) in request.messages {
        messages.push(Value::map(Map::from_pairs(vec![
            ("role", text_of(&mut machine, "role", role)?),
            ("content", text_of(&mut machine, "content", content)?),
        ]))?);
    }
    machine.define("messages", Value::list(messages)?);
    machine.define(
        "add_generation_prompt",
        Value::Bool(request.add_generation_prompt),
    );
    machine.define("tools", Value::None);
    machine.define("documents", Value::None);
    for (name, content) in request.tokens {
        let content = text_of(&mut machine, "token", content)?;
        if let Ok(name) = std::str::from_utf8(name) {
            machine.define(name, content);
        }
    }
    for (name, json) in &variables {
        let value = variables::value_of(&mut machine.meter, json)?;
        machine.define(name, value);
    }
    machine.run(&tree)
}

fn text_of<'a>(
    machine: &mut Machine<'a>,
    what: &str,
    bytes: &[u8],
) -> Outcome<Value<'a>> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return fail(
            Code::InvalidArgument,
            format!("a message's {what}: expected UTF-8"),
        );
    };
    machine.meter.text(text.len())?;
    Ok(Value::from(text))
}

fn plain_source(source: &[u8]) -> Outcome<Cow<'_, str>> {
    if source.len() > MAX_SOURCE_BYTES {
        return fail(
            Code::Corrupt,
            format!(
                "chat_template: {} bytes, expected at most {MAX_SOURCE_BYTES}",
                source.len()
            ),
        );
    }
    match std::str::from_utf8(source) {
        Ok(source) => Ok(without_generation_tags(source)),
        Err(_) => fail(Code::Corrupt, "chat_template: expected UTF-8"),
    }
}

/// transformers' own tag {% generation %} marks the assistant's words for
/// training masks and prints its body; as `if true` it does the same.
fn without_generation_tags(source: &str) -> Cow<'_, str> {
    if !source.contains("endgeneration") {
        return Cow::Borrowed(source);
    }
    let mut out = String::with_capacity(source.len());
    for (index, part) in source.split("{%").enumerate() {
        if index > 0 {
            out.push_str("{%");
        }
        let trimmed = part.trim_start_matches(['-', '+', ' ', '\t', '\n']);
        let sign = &part[..part.len() - trimmed.len()];
        for (tag, instead) in [
            ("generation", "if true"),
            ("endgeneration", "endif"),
            ("", ""),
        ] {
            if let Some(rest) = trimmed.strip_prefix(tag) {
                let ends = rest
                    .trim_start_matches(['-', '+', ' ', '\t', '\n'])
                    .starts_with("%}");
                if ends || tag.is_empty() {
                    out.push_str(sign);
                    out.push_str(instead);
                    out.push_str(rest);
                    break;
                }
            }
        }
    }
    Cow::Owned(out)
}

fn parsed(source: &str) -> Outcome<Stmt<'_>> {
    let whitespace = WhitespaceConfig {
        keep_trailing_newline: false,
        lstrip_blocks: true,
        trim_blocks: true,
    };
    parse(source, "chat_template", Default::default(), whitespace)
        .or_else(|error| fail(Code::Corrupt, error.to_string()))
}
