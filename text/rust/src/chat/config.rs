//! Where a model folder keeps its template.

use crate::failure::{fail, Code, Outcome};
use serde_json::{Map, Value};

/// `config` is tokenizer_config.json (empty: there is none); the template of
/// a chat_template.jinja file goes before the config's own.
pub fn read(
    config: &[u8],
    jinja_file: Option<&[u8]>,
) -> Outcome<Option<String>> {
    let config = object("tokenizer_config.json", config)?;
    let source = match jinja_file {
        Some(file) => match std::str::from_utf8(file) {
            Ok(source) => Some(source.to_string()),
            Err(_) => {
                return fail(
                    Code::Corrupt,
                    "chat_template.jinja: expected UTF-8",
                )
            }
        },
        None => from_config(config.get("chat_template"))?,
    };
    if let Some(source) = &source {
        super::check(source.as_bytes())?;
    }
    Ok(source)
}

/// The object of a JSON file; an empty one where there is no file.
pub fn object(name: &str, json: &[u8]) -> Outcome<Map<String, Value>> {
    if json.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(json)
        .or_else(|error| fail(Code::Corrupt, format!("{name}: {error}")))
}

fn from_config(value: Option<&Value>) -> Outcome<Option<String>> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(source)) => Ok(Some(source.clone())),
        Some(Value::Array(named)) => {
            let default = named.iter().find(|one| one["name"] == "default");
            match default.and_then(|one| one["template"].as_str()) {
                Some(source) => Ok(Some(source.to_string())),
                None => fail(
                    Code::Corrupt,
                    "tokenizer_config.json: chat_template: expected one \
                     named default in the list",
                ),
            }
        }
        Some(_) => fail(
            Code::Corrupt,
            "tokenizer_config.json: chat_template: expected text or a list",
        ),
    }
}
