//! What a tokenizer.json may ask for. The file is a stranger's: only parts
//! whose cost is known are let through, and the cost is added up before any
//! of them runs.

use crate::failure::{fail, Code, Outcome};
use crate::vocabulary::{self, Model};
use serde::Deserialize;
use serde_json::Value;

/// The greatest id plus one; today's largest vocabularies hold 262,144.
pub const MAX_VOCABULARY: u32 = 1 << 22;
/// Text after normalisation and pre-tokenisation, in bytes (each of them costs
/// the library some 30 bytes of alignment).
pub const MAX_EXPANDED_BYTES: u64 = 32 << 20;
const MAX_PARTS: usize = 64;
const MAX_PATTERN_BYTES: usize = 8 << 10;
const MAX_ADDED_BYTES: usize = 4 << 20;
const MAX_TEMPLATE_IDS: usize = 256;
const SPACES: &str = " {2,}";

/// The parts of tokenizer.json that need a look before the library builds it.
#[derive(Deserialize)]
pub struct Outline {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    pub decoder: Value,
    #[serde(default)]
    added_tokens: Vec<Added>,
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
}

/// At most `times * bytes + plus` bytes come out of `bytes` bytes.
#[derive(Clone, Copy)]
pub struct Growth {
    times: u64,
    plus: u64,
}

impl Growth {
    const NONE: Growth = Growth { times: 1, plus: 0 };

    fn then(self, next: Growth) -> Growth {
        Growth {
            times: self.times.saturating_mul(next.times),
            plus: self
                .plus
                .saturating_mul(next.times)
                .saturating_add(next.plus),
        }
    }

    pub fn of(self, bytes: usize) -> u64 {
        self.times
            .saturating_mul(bytes as u64)
            .saturating_add(self.plus)
    }
}

pub struct Checked {
    /// Of a text on its way to the model.
    pub encoding: Growth,
    /// Of one token on its way to text.
    pub decoding: Growth,
    /// Bytes of all texts to be replaced and of the longest added token: a text
    /// is searched for them place by place.
    pub longest: usize,
    /// Retries (regex.rs) that the model's search costs for a byte of text,
    /// beyond what is free.
    pub search: u64,
}

pub fn check(outline: &Outline) -> Outcome<Checked> {
    let search = vocabulary::check(&outline.model)?;
    let mut bytes = 0;
    let mut longest = 0;
    for added in &outline.added_tokens {
        bytes += added.content.len();
        longest = longest.max(added.content.len());
        if added.id >= MAX_VOCABULARY {
            return fail(
                Code::Corrupt,
                format!(
                    "added_tokens: id {} is beyond {MAX_VOCABULARY}",
                    added.id
                ),
            );
        }
    }
    if bytes > MAX_ADDED_BYTES {
        return fail(Code::Corrupt, "added_tokens: over 4 MiB of text");
    }
    let mut ids = 0;
    check_post_processor(&outline.post_processor, &mut ids)?;
    let mut parts = 0;
    let normal =
        sum(&outline.normalizer, "normalizer", &mut parts, |kind, part| {
            if kind == "Replace" {
                longest += text(&part["pattern"], "String") as usize;
            }
            normalizer(kind, part)
        })?;
    let split = sum(
        &outline.pre_tokenizer,
        "pre_tokenizer",
        &mut parts,
        pre_tokenizer,
    )?;
    let expanded = outline.added_tokens.iter().fold(0u64, |sum, added| {
        sum.saturating_add(normal.of(added.content.len()))
    });
    if expanded > MAX_EXPANDED_BYTES {
        return fail(
            Code::Exhausted,
            format!(
                "added_tokens: the normalizer could make {expanded} bytes of \
                 them, over the limit of {MAX_EXPANDED_BYTES}"
            ),
        );
    }
    let mut fused = false;
    let decoding =
        sum(&outline.decoder, "decoder", &mut parts, |kind, part| {
            decoder(kind, part, &mut fused)
        })?;
    Ok(Checked {
        encoding: normal.then(split),
        decoding,
        longest,
        search,
    })
}

/// The growth through a part, or through every part of a Sequence.
fn sum(
    part: &Value,
    key: &str,
    parts: &mut usize,
    mut one: impl FnMut(&str, &Value) -> Outcome<Option<Growth>>,
) -> Outcome<Growth> {
    let mut growth = Growth::NONE;
    // Last in, first out, so that a Sequence's parts come in their order.
    let mut waiting = vec![part];
    while let Some(part) = waiting.pop() {
        if part.is_null() {
            continue;
        }
        *parts += 1;
        if *parts > MAX_PARTS {
            return fail(
                Code::Corrupt,
                format!("{key}: over {MAX_PARTS} parts"),
            );
        }
        let kind = part["type"].as_str().unwrap_or("a part without a type");
        if kind == "Sequence" {
            waiting.extend(inner(part).iter().rev());
            continue;
        }
        match one(kind, part)? {
            Some(next) => growth = growth.then(next),
            None => {
                return fail(
                    Code::Incompatible,
                    format!("{key}: no support for {kind}"),
                )
            }
        }
    }
    Ok(growth)
}

/// The parts of a Sequence, whatever it is a sequence of.
pub fn inner(sequence: &Value) -> &[Value] {
    ["normalizers", "pretokenizers", "processors", "decoders"]
        .iter()
        .find_map(|key| sequence[*key].as_array())
        .map_or(&[], Vec::as_slice)
}

fn normalizer(kind: &str, part: &Value) -> Outcome<Option<Growth>> {
    let times = |times| Growth { times, plus: 0 };
    Ok(Some(match kind {
        "StripAccents" | "Strip" | "Nmt" => Growth::NONE,
        "ByteLevel" => times(2),
        "NFC" | "Lowercase" => times(3),
        // U+FDFA: 3 bytes that decompose into 33. Hangul and the rest: less.
        "NFD" | "NFKC" | "NFKD" => times(12),
        "Prepend" => Growth {
            times: 1,
            plus: text(part, "prepend"),
        },
        // What SentencePiece's files say of runs of spaces: linear in the text.
        "Replace" if part["pattern"]["Regex"] == SPACES => {
            times(text(part, "content").div_ceil(2).max(1))
        }
        "Replace" => replacement(part)?,
        "Precompiled" => times(vocabulary::charsmap_growth(part)?),
        _ => return Ok(None),
    }))
}

fn pre_tokenizer(kind: &str, part: &Value) -> Outcome<Option<Growth>> {
    Ok(Some(match kind {
        "Digits" | "Whitespace" | "WhitespaceSplit" | "Punctuation"
        | "CharDelimiterSplit" => Growth::NONE,
        // A space before every piece that has none, then two bytes for one.
        "ByteLevel" => Growth { times: 4, plus: 2 },
        "Metaspace" => Growth { times: 6, plus: 6 },
        "Split" => {
            let pattern = &part["pattern"];
            let source = pattern["Regex"]
                .as_str()
                .or_else(|| pattern["String"].as_str())
                .unwrap_or("");
            if source.is_empty() || source.len() > MAX_PATTERN_BYTES {
                return fail(
                    Code::Corrupt,
                    format!(
                        "pre_tokenizer: a pattern of {} bytes, expected 1 to \
                         {MAX_PATTERN_BYTES}",
                        source.len()
                    ),
                );
            }
            Growth::NONE
        }
        _ => return Ok(None),
    }))
}

/// Also keeps the order to what stream.rs can follow token by token: once the
/// tokens are fused into one text, only its start may still be cut.
fn decoder(
    kind: &str,
    part: &Value,
    fused: &mut bool,
) -> Outcome<Option<Growth>> {
    if *fused && kind != "Strip" && kind != "Fuse" {
        return fail(
            Code::Incompatible,
            format!("decoder: no support for {kind} after Fuse or ByteLevel"),
        );
    }
    Ok(Some(match kind {
        "Fuse" => {
            *fused = true;
            Growth::NONE
        }
        "ByteLevel" => {
            *fused = true;
            Growth { times: 3, plus: 0 }
        }
        "ByteFallback" | "Metaspace" => Growth { times: 3, plus: 0 },
        "Replace" => replacement(part)?,
        "Strip" => {
            let start = part["start"].as_u64().unwrap_or(0);
            let stop = part["stop"].as_u64().unwrap_or(0);
            if stop != 0 || start > 64 {
                return fail(
                    Code::Incompatible,
                    format!(
                        "decoder: Strip of {start} and {stop}, expected at \
                         most 64 and 0"
                    ),
                );
            }
            Growth::NONE
        }
        _ => return Ok(None),
    }))
}

fn replacement(part: &Value) -> Outcome<Growth> {
    let Some(pattern) = part["pattern"]["String"].as_str() else {
        return fail(
            Code::Incompatible,
            "Replace: expected a pattern of kind String",
        );
    };
    if pattern.is_empty() || pattern.len() > MAX_PATTERN_BYTES {
        return fail(
            Code::Corrupt,
            format!(
                "Replace: a pattern of {} bytes, expected 1 to \
                 {MAX_PATTERN_BYTES}",
                pattern.len()
            ),
        );
    }
    let times = text(part, "content").div_ceil(pattern.len() as u64).max(1);
    Ok(Growth { times, plus: 0 })
}

fn text(part: &Value, key: &str) -> u64 {
    part[key].as_str().map_or(0, |text| text.len() as u64)
}

fn check_post_processor(part: &Value, ids: &mut usize) -> Outcome<()> {
    let kind = part["type"].as_str().unwrap_or("a part without a type");
    match kind {
        _ if part.is_null() => {}
        "ByteLevel" => {}
        "Sequence" => {
            for inner in inner(part) {
                *ids += 1;
                check_post_processor(inner, ids)?;
            }
        }
        "TemplateProcessing" => {
            for piece in
                part["single"].as_array().map_or(&[][..], Vec::as_slice)
            {
                *ids += 1;
                if let Some(id) = piece["SpecialToken"]["id"].as_str() {
                    *ids += part["special_tokens"][id]["ids"]
                        .as_array()
                        .map_or(0, Vec::len);
                } else if *ids > MAX_TEMPLATE_IDS {
                    break;
                }
            }
            let sequences = part["single"].as_array().map_or(0, |single| {
                single
                    .iter()
                    .filter(|piece| piece["Sequence"].is_object())
                    .count()
            });
            if sequences != 1 {
                return fail(
                    Code::Corrupt,
                    format!(
                        "post_processor.single: expected the sequence once, \
                         found it {sequences} times"
                    ),
                );
            }
        }
        other => {
            return fail(
                Code::Incompatible,
                format!("post_processor: no support for {other}"),
            )
        }
    }
    if *ids > MAX_TEMPLATE_IDS {
        return fail(
            Code::Corrupt,
            format!("post_processor: adds over {MAX_TEMPLATE_IDS} tokens"),
        );
    }
    Ok(())
}
