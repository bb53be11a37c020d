//! What a folder's files call the special tokens: tokenizer_config.json and
//! special_tokens_map.json spell them, config.json and generation_config.json
//! have ids.

use crate::chat::config::object;
use crate::failure::Outcome;
use serde_json::{Map, Value};

pub struct Special {
    /// Name and spelling, such as bos_token and <s>.
    pub spelled: Vec<(String, String)>,
    /// Name and id of those that no file spells; of several with one name the
    /// first that the tokenizer has counts.
    pub numbered: Vec<(String, i64)>,
    /// Spelling and id, of added_tokens_decoder.
    pub added: Vec<(String, i64)>,
}

/// Empty bytes: there is no such file.
pub fn read(
    config: &[u8],
    map: &[u8],
    model: &[u8],
    generation: &[u8],
) -> Outcome<Special> {
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
    let model = object("config.json", model)?;
    let generation = object("generation_config.json", generation)?;
    let empty = Map::new();
    let inner = model.get("text_config").and_then(Value::as_object);
    let mut numbered = Vec::new();
    for source in [&model, inner.unwrap_or(&empty), &generation] {
        for (key, value) in source {
            let Some(name) = key.strip_suffix("_id") else {
                continue;
            };
            let known = spelled.iter().any(|(known, _)| known == name);
            let first = value.get(0).unwrap_or(value);
            if let (true, false, Some(id)) =
                (name.ends_with("_token"), known, first.as_i64())
            {
                numbered.push((name.to_string(), id));
            }
        }
    }
    // Whether a text gets one is the post-processor's business alone, as in
    // transformers; but null and false together say that there is none.
    let null = config.get("bos_token").is_some_and(Value::is_null);
    if null && config.get("add_bos_token") == Some(&Value::Bool(false)) {
        numbered.retain(|(name, _)| name != "bos_token");
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
        numbered,
        added,
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
