//! The library's pre-tokenizers, with Split's pattern metered (regex.rs),
//! whether it is an expression or a text.

use crate::limits;
use crate::regex::MeteredRegex;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokenizers::pattern::Invert;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::tokenizer::SplitDelimiterBehavior;
use tokenizers::{PreTokenizedString, PreTokenizer};

pub enum MeteredPreTokenizer {
    Sequence(Vec<MeteredPreTokenizer>),
    Split {
        regex: MeteredRegex,
        behavior: SplitDelimiterBehavior,
        invert: bool,
    },
    Other(Box<PreTokenizerWrapper>),
}

impl MeteredPreTokenizer {
    fn build(value: Value) -> Result<Self, String> {
        if value["type"] == "Sequence" {
            let parts = limits::inner(&value).iter().cloned();
            return parts
                .map(Self::build)
                .collect::<Result<_, _>>()
                .map(Self::Sequence);
        }
        if value["type"] == "Split" {
            let pattern = &value["pattern"];
            let source = match pattern["String"].as_str() {
                Some(text) => Some(::regex::escape(text)),
                None => pattern["Regex"].as_str().map(String::from),
            };
            if let Some(source) = source {
                return Ok(Self::Split {
                    regex: MeteredRegex::new(&source)?,
                    behavior: serde_json::from_value(value["behavior"].clone())
                        .map_err(|error| error.to_string())?,
                    invert: value["invert"].as_bool().unwrap_or(false),
                });
            }
        }
        serde_json::from_value(value)
            .map(|other| Self::Other(Box::new(other)))
            .map_err(|error| error.to_string())
    }
}

impl<'de> Deserialize<'de> for MeteredPreTokenizer {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(input)?;
        Self::build(value).map_err(D::Error::custom)
    }
}

impl PreTokenizer for MeteredPreTokenizer {
    fn pre_tokenize(
        &self,
        pieces: &mut PreTokenizedString,
    ) -> tokenizers::Result<()> {
        match self {
            Self::Sequence(parts) => {
                parts.iter().try_for_each(|part| part.pre_tokenize(pieces))
            }
            Self::Split {
                regex,
                behavior,
                invert: true,
            } => pieces.split(|_, piece| piece.split(Invert(regex), *behavior)),
            Self::Split {
                regex,
                behavior,
                invert: false,
            } => pieces.split(|_, piece| piece.split(regex, *behavior)),
            Self::Other(other) => other.pre_tokenize(pieces),
        }
    }
}
