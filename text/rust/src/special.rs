//! What tokenizer_config.json and special_tokens_map.json call the special
//! tokens.

use crate::chat::config::object;
use crate::failure::Outcome;
use serde_json::{Map, Value};

pub struct Special {
    /// Name and spelling, such as bos_token and <s>.
    pub spelled: Vec<(String, String)>,
    /// Names of which the tokenizer says that it has none.
    pub without: Vec<String>,
    /// Spelling and id, of added_tokens_decoder.
    pub added: Vec<(String, i64)>,
    /// add_bos_token and add_eos_token, where the file has them.
    pub adds_bos: Option<bool>,
    pub adds_eos: Option<bool>,
}

/// Empty bytes: there is no such file.
pub fn read(config: &[u8], map: &[u8]) -> Outcome<Special> {
    let config = object("tokenizer_config.json", config)?;
    let map = object("special_tokens_map.json", map)?;
    // As in transformers: the map is the older file, and decides beside a
    // config that has no added_tokens_decoder.
    let newer = config.get("added_tokens_decoder").is_some();
    let (first, second) = if newer {
        (&config, &map)
    } else {
        (&map, &config)
    };
    let mut spelled = Vec::new();
    for source in [first, second] {
        collect(source, &mut spelled);
        if let Some(Value::Object(more)) = source.get("extra_special_tokens") {
            collect(more, &mut spelled);
        }
    }
    let adds = |name: &str| config.get(name).and_then(Value::as_bool);
    let adds_bos = adds("add_bos_token");
    let mut without = Vec::new();
    let null = config.get("bos_token").is_some_and(Value::is_null);
    if null && adds_bos == Some(false) {
        without.push("bos_token".to_string());
    }
    let mut added = Vec::new();
    if let Some(Value::Object(decoder)) = config.get("added_tokens_decoder") {
        for (id, token) in decoder {
            if let (Ok(id), Some(spelling)) = (id.parse(), spelling(token)) {
                added.push((spelling.to_string(), id));
            }
        }
    }
    Ok(Special {
        spelled,
        without,
        added,
        adds_bos,
        adds_eos: adds("add_eos_token"),
    })
}

/// Members such as "eos_token", unless an earlier file has named them.
fn collect(source: &Map<String, Value>, spelled: &mut Vec<(String, String)>) {
    for (name, value) in source {
        let known = spelled.iter().any(|(known, _)| known == name);
        if let (true, false, Some(text)) =
            (name.ends_with("_token"), known, spelling(value))
        {
            spelled.push((name.clone(), text.to_string()));
        }
    }
}

/// A token is written as its text, or as an object with `content`.
fn spelling(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value["content"].as_str())
}
