//! Where a model folder keeps its template and the tokens that it prints.

use crate::failure::{fail, Code, Outcome};
use serde_json::{Map, Value};

pub struct Files {
    pub source: Option<String>,
    /// Name and content, such as bos_token and <s>.
    pub tokens: Vec<(String, String)>,
}

/// `config` is tokenizer_config.json (empty: there is none); the template of
/// a chat_template.jinja file goes before the config's own.
pub fn read(config: &[u8], jinja_file: Option<&[u8]>) -> Outcome<Files> {
    let config: Map<String, Value> = if config.is_empty() {
        Map::new()
    } else {
        serde_json::from_slice(config).or_else(|error| {
            fail(Code::Corrupt, format!("tokenizer_config.json: {error}"))
        })?
    };
    let mut tokens = Vec::new();
    for (name, value) in &config {
        let content = value.as_str().or_else(|| value["content"].as_str());
        if let (true, Some(content)) = (name.ends_with("_token"), content) {
            tokens.push((name.clone(), content.to_string()));
        }
    }
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
    Ok(Files { source, tokens })
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
