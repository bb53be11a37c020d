//! Decoding token by token. The library decodes whole sequences; here each
//! decoder is a small machine that hands on what no later token can change,
//! so a step costs the token's own length and the pieces add up to exactly
//! what `decode` gives.

use crate::failure::{fail, Code, Outcome};
use crate::guard::guarded;
use crate::limits::{inner, MAX_EXPANDED_BYTES};
use crate::tokenizer::Tokenizer;
use serde_json::Value;

pub struct Stream {
    skip_special_tokens: bool,
    steps: Option<Vec<Step>>,
}

enum Step {
    /// No decoder: tokens are words between spaces.
    Words {
        first: bool,
    },
    Replace {
        from: String,
        to: String,
    },
    /// Bytes of <0x..> tokens. A run that is not UTF-8 as a whole becomes one
    /// U+FFFD for every byte of it, so nothing of it is final before its end.
    ByteFallback {
        run: Vec<u8>,
    },
    /// The tail is the start of a character whose end may still come.
    ByteLevel {
        tail: Vec<u8>,
    },
    Metaspace {
        replacement: char,
        prepends: bool,
        first: bool,
    },
    StripEach {
        content: char,
        start: usize,
    },
    /// Behind Fuse or ByteLevel: `left` characters of the text's start.
    StripText {
        content: char,
        left: usize,
    },
}

impl Stream {
    pub fn new(skip_special_tokens: bool) -> Stream {
        Stream {
            skip_special_tokens,
            steps: None,
        }
    }

    pub fn push(&mut self, tokenizer: &Tokenizer, id: i32) -> Outcome<String> {
        guarded(|| {
            let Some(token) = tokenizer.token(id)? else {
                return Ok(String::new());
            };
            if self.skip_special_tokens && tokenizer.is_skipped(&token) {
                return Ok(String::new());
            }
            if tokenizer.decoding().of(token.len()) > MAX_EXPANDED_BYTES {
                return fail(
                    Code::Exhausted,
                    format!("token {id}: its text is over the limit"),
                );
            }
            Ok(self.run(tokenizer, vec![token], false))
        })
    }

    pub fn finish(&mut self, tokenizer: &Tokenizer) -> Outcome<String> {
        guarded(|| {
            let rest = self.run(tokenizer, Vec::new(), true);
            self.steps = None;
            Ok(rest)
        })
    }

    fn run(
        &mut self,
        tokenizer: &Tokenizer,
        mut tokens: Vec<String>,
        end: bool,
    ) -> String {
        let steps = self
            .steps
            .get_or_insert_with(|| machines(tokenizer.decoder()));
        for step in steps {
            let mut out = Vec::new();
            for token in tokens {
                step.take(token, &mut out);
            }
            if end {
                step.end(&mut out);
            }
            tokens = out;
        }
        tokens.concat()
    }
}

/// What one token stands for wherever it is but at a text's start: bytes that
/// may be half a character. A special token is its own spelling, a hole in the
/// vocabulary nothing.
pub fn token_bytes(tokenizer: &Tokenizer, id: i32) -> Outcome<Vec<u8>> {
    let Some(token) = tokenizer.token(id)? else {
        return Ok(Vec::new());
    };
    if tokenizer.is_skipped(&token) {
        return Ok(token.into_bytes());
    }
    if tokenizer.decoding().of(token.len()) > MAX_EXPANDED_BYTES {
        return fail(
            Code::Exhausted,
            format!("token {id}: its text is over the limit"),
        );
    }
    let mut text = token;
    for step in machines(tokenizer.decoder()) {
        match step {
            Step::Words { .. } => text.insert(0, ' '),
            Step::Replace { from, to } => text = text.replace(&from, &to),
            Step::ByteFallback { .. } => {
                if let Some(byte) = byte_of(&text) {
                    return Ok(vec![byte]);
                }
            }
            Step::ByteLevel { .. } => {
                let mut bytes = Vec::new();
                push_bytes(&text, &mut bytes);
                return Ok(bytes);
            }
            Step::Metaspace { replacement, .. } => {
                text = text.replace(replacement, " ");
            }
            Step::StripEach { content, start } => {
                let mut left = start;
                text = strip(&text, content, &mut left).to_string();
            }
            Step::StripText { .. } => {}
        }
    }
    Ok(text.into_bytes())
}

fn machines(decoder: &Value) -> Vec<Step> {
    if decoder.is_null() {
        return vec![Step::Words { first: true }];
    }
    let mut steps = Vec::new();
    let mut fused = false;
    let mut waiting = vec![decoder];
    while let Some(part) = waiting.pop() {
        let character = |key: &str| {
            part[key]
                .as_str()
                .and_then(|text| text.chars().next())
                .unwrap_or(' ')
        };
        let text = |value: &Value| value.as_str().unwrap_or("").to_string();
        match part["type"].as_str().unwrap_or("") {
            "Sequence" => waiting.extend(inner(part).iter().rev()),
            "Fuse" => fused = true,
            "ByteLevel" => {
                fused = true;
                steps.push(Step::ByteLevel { tail: Vec::new() });
            }
            "ByteFallback" => {
                steps.push(Step::ByteFallback { run: Vec::new() })
            }
            "Replace" => steps.push(Step::Replace {
                from: text(&part["pattern"]["String"]),
                to: text(&part["content"]),
            }),
            "Metaspace" => steps.push(Step::Metaspace {
                replacement: character("replacement"),
                prepends: match part["prepend_scheme"].as_str() {
                    Some(scheme) => scheme != "never",
                    None => part["add_prefix_space"].as_bool().unwrap_or(true),
                },
                first: true,
            }),
            _ => {
                let content = character("content");
                let start = part["start"].as_u64().unwrap_or(0) as usize;
                steps.push(if fused {
                    Step::StripText {
                        content,
                        left: start,
                    }
                } else {
                    Step::StripEach { content, start }
                });
            }
        }
    }
    steps
}

impl Step {
    fn take(&mut self, token: String, out: &mut Vec<String>) {
        match self {
            Step::Words { first } => {
                out.push(if *first { token } else { format!(" {token}") });
                *first = false;
            }
            Step::Replace { from, to } => {
                out.push(token.replace(from.as_str(), to));
            }
            Step::ByteFallback { run } => match byte_of(&token) {
                Some(byte) => run.push(byte),
                None => {
                    end_run(run, out);
                    out.push(token);
                }
            },
            Step::ByteLevel { tail } => {
                push_bytes(&token, tail);
                let keep = incomplete(tail);
                let whole = tail.len() - keep;
                out.push(String::from_utf8_lossy(&tail[..whole]).into_owned());
                tail.drain(..whole);
            }
            Step::Metaspace {
                replacement,
                prepends,
                first,
            } => {
                let silent = *first && *prepends;
                *first = false;
                out.push(
                    token
                        .chars()
                        .filter(|&one| !silent || one != *replacement)
                        .map(|one| if one == *replacement { ' ' } else { one })
                        .collect(),
                );
            }
            Step::StripEach { content, start } => {
                let mut left = *start;
                out.push(strip(&token, *content, &mut left).to_string());
            }
            Step::StripText { content, left } => {
                if *left == 0 || token.is_empty() {
                    out.push(token);
                    return;
                }
                let rest = strip(&token, *content, left).to_string();
                if !rest.is_empty() {
                    *left = 0;
                }
                out.push(rest);
            }
        }
    }

    fn end(&mut self, out: &mut Vec<String>) {
        match self {
            Step::ByteFallback { run } => end_run(run, out),
            Step::ByteLevel { tail } => {
                out.push(String::from_utf8_lossy(tail).into_owned());
                tail.clear();
            }
            _ => {}
        }
    }
}

fn strip<'t>(text: &'t str, content: char, left: &mut usize) -> &'t str {
    let mut rest = text;
    while *left > 0 {
        match rest.strip_prefix(content) {
            Some(shorter) => rest = shorter,
            None => break,
        }
        *left -= 1;
    }
    rest
}

/// The byte that a token such as <0x0A> stands for.
fn byte_of(token: &str) -> Option<u8> {
    if token.len() != 6 {
        return None;
    }
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    u8::from_str_radix(digits, 16).ok()
}

fn end_run(run: &mut Vec<u8>, out: &mut Vec<String>) {
    let bytes = std::mem::take(run);
    let count = bytes.len();
    if count > 0 {
        out.push(
            String::from_utf8(bytes)
                .unwrap_or_else(|_| "\u{fffd}".repeat(count)),
        );
    }
}

/// A token in GPT-2's alphabet, in which every byte is a printable character;
/// a token with any other character stands for itself.
fn push_bytes(token: &str, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    for one in token.chars() {
        match gpt2_byte(one) {
            Some(byte) => bytes.push(byte),
            None => {
                bytes.truncate(start);
                bytes.extend_from_slice(token.as_bytes());
                return;
            }
        }
    }
}

fn gpt2_byte(one: char) -> Option<u8> {
    match u32::from(one) {
        // Printable Latin-1 stands for itself.
        code @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => Some(code as u8),
        // The other 68 bytes follow from U+0100 on, in their order.
        code @ 0x100..=0x120 => Some((code - 0x100) as u8),
        code @ 0x121..=0x142 => Some((code - 0x121 + 0x7f) as u8),
        0x143 => Some(0xad),
        _ => None,
    }
}

/// How many bytes at the end start a character that may still be completed.
fn incomplete(bytes: &[u8]) -> usize {
    for keep in 1..=bytes.len().min(3) {
        let tail = &bytes[bytes.len() - keep..];
        if tail[0] >= 0xc0 {
            let unfinished = std::str::from_utf8(tail).is_err_and(|error| {
                error.valid_up_to() == 0 && error.error_len().is_none()
            });
            return if unfinished { keep } else { 0 };
        }
    }
    0
}
