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
    /// The first `given` of them were told with what stands before the text.
    ByteFallback {
        run: Vec<u8>,
        given: usize,
    },
    /// The tail is the start of a character whose end may still come. Of one
    /// that is `given`, U+FFFD was told with what stands before the text.
    ByteLevel {
        tail: Vec<u8>,
        given: bool,
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

/// What a step does once it has its tokens.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    /// More of the same text comes.
    Waits,
    /// The text ends.
    Ends,
    /// Another text begins, which goes on with this one. `whole`: what this
    /// one leaves unfinished is told as if it ended; else it is the next one's.
    Turns { whole: bool },
}

impl Stream {
    pub fn new(skip_special_tokens: bool) -> Stream {
        Stream {
            skip_special_tokens,
            steps: None,
        }
    }

    pub fn push(&mut self, tokenizer: &Tokenizer, id: i32) -> Outcome<String> {
        guarded(|| match self.told(tokenizer, id)? {
            Some(token) => Ok(self.run(tokenizer, vec![token], Then::Waits)),
            None => Ok(String::new()),
        })
    }

    /// Takes what stands before the text, which begins behind it: what comes
    /// then is what `decode` gives for all, without what it gives for `ids`
    /// alone. A character that `ids` leave unfinished is the text's as soon as
    /// it is finished. With `tells` the answer is the text of `ids` up to that
    /// character, and the character the text's whatever becomes of it. Ids
    /// beyond the vocabulary have no text.
    pub fn begin_after(
        &mut self,
        tokenizer: &Tokenizer,
        ids: &[i32],
        tells: bool,
    ) -> Outcome<String> {
        guarded(|| {
            self.steps = None;
            let mut text = String::new();
            for &id in ids {
                if id >= tokenizer.vocab_size() {
                    continue;
                }
                let Some(token) = self.told(tokenizer, id)? else {
                    continue;
                };
                let more = self.run(tokenizer, vec![token], Then::Waits);
                if tells {
                    text.push_str(&more);
                }
                if text.len() as u64 > MAX_EXPANDED_BYTES {
                    return fail(
                        Code::Exhausted,
                        format!(
                            "ids: the text of {} is over the limit of \
                             {MAX_EXPANDED_BYTES} bytes",
                            ids.len()
                        ),
                    );
                }
            }
            let turn = Then::Turns { whole: !tells };
            let rest = self.run(tokenizer, Vec::new(), turn);
            Ok(if tells { text + &rest } else { text })
        })
    }

    pub fn finish(&mut self, tokenizer: &Tokenizer) -> Outcome<String> {
        guarded(|| {
            let rest = self.run(tokenizer, Vec::new(), Then::Ends);
            self.steps = None;
            Ok(rest)
        })
    }

    /// The token as the decoder gets it; none for one that has no text.
    fn told(&self, tokenizer: &Tokenizer, id: i32) -> Outcome<Option<String>> {
        let Some(token) = tokenizer.token(id)? else {
            return Ok(None);
        };
        if self.skip_special_tokens && tokenizer.is_skipped(&token) {
            return Ok(None);
        }
        if tokenizer.decoding().of(token.len()) > MAX_EXPANDED_BYTES {
            return fail(
                Code::Exhausted,
                format!("token {id}: its text is over the limit"),
            );
        }
        Ok(Some(token))
    }

    fn run(
        &mut self,
        tokenizer: &Tokenizer,
        mut tokens: Vec<String>,
        then: Then,
    ) -> String {
        let steps = self
            .steps
            .get_or_insert_with(|| machines(tokenizer.decoder()));
        for step in steps {
            let mut out = Vec::new();
            for token in tokens {
                step.take(token, &mut out);
            }
            match then {
                Then::Waits => {}
                Then::Ends => step.end(&mut out),
                Then::Turns { whole } => step.turn(whole, &mut out),
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
                steps.push(Step::ByteLevel {
                    tail: Vec::new(),
                    given: false,
                });
            }
            "ByteFallback" => steps.push(Step::ByteFallback {
                run: Vec::new(),
                given: 0,
            }),
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
            Step::ByteFallback { run, given } => match byte_of(&token) {
                Some(byte) => run.push(byte),
                None => {
                    end_run(run, given, out);
                    out.push(token);
                }
            },
            Step::ByteLevel { tail, given } => {
                push_bytes(&token, tail);
                let whole = tail.len() - incomplete(tail);
                out.push(end_tail(tail, whole, given));
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
            Step::ByteFallback { run, given } => end_run(run, given, out),
            Step::ByteLevel { tail, given } => {
                let whole = tail.len();
                out.push(end_tail(tail, whole, given));
            }
            _ => {}
        }
    }

    /// Tells what waits and keeps it: the bytes of the next text may still
    /// finish it. Unless `whole`, an unfinished character goes untold.
    fn turn(&mut self, whole: bool, out: &mut Vec<String>) {
        match self {
            Step::ByteFallback { run, given } => {
                let told = if whole {
                    run.len()
                } else {
                    run.len() - unfinished(run)
                };
                let mut before = run[..told].to_vec();
                end_run(&mut before, given, out);
                *given = told;
            }
            Step::ByteLevel { tail, given } if whole => {
                out.push(String::from_utf8_lossy(tail).into_owned());
                *given = !tail.is_empty();
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

/// A character that began among the `given` bytes is told whole.
fn end_run(run: &mut Vec<u8>, given: &mut usize, out: &mut Vec<String>) {
    let bytes = std::mem::take(run);
    let mut from = std::mem::take(given);
    let count = bytes.len() - from;
    if count == 0 {
        return;
    }
    out.push(match std::str::from_utf8(&bytes) {
        Ok(text) => {
            while !text.is_char_boundary(from) {
                from -= 1;
            }
            text[from..].to_string()
        }
        Err(_) => "\u{fffd}".repeat(count),
    });
}

/// How many bytes at the end of a run only lack the rest of their character;
/// none of a run that is no UTF-8 anyway.
fn unfinished(run: &[u8]) -> usize {
    match std::str::from_utf8(run) {
        Err(error) if error.error_len().is_none() => {
            run.len() - error.valid_up_to()
        }
        _ => 0,
    }
}

/// The text of the first `whole` bytes, which are taken away. Where they begin
/// with a character that is `given` and was never finished, its U+FFFD was told.
fn end_tail(tail: &mut Vec<u8>, whole: usize, given: &mut bool) -> String {
    let text = String::from_utf8_lossy(&tail[..whole]);
    let mut from = 0;
    if whole > 0 && std::mem::take(given) {
        let finished = match std::str::from_utf8(&tail[..whole]) {
            Ok(_) => true,
            Err(error) => error.valid_up_to() > 0,
        };
        if !finished {
            from = '\u{fffd}'.len_utf8();
        }
    }
    let text = text[from..].to_string();
    tail.drain(..whole);
    text
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
