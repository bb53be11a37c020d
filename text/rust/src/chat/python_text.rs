//! What Python's str methods do, on plain text.

use super::meter::Meter;
use crate::failure::Outcome;
use std::collections::HashSet;

/// Python's white space: Unicode's, and four separators of ASCII.
pub fn is_space(one: char) -> bool {
    one.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&one)
}

/// `chars`: what goes; none: white space.
pub fn strip<'t>(
    meter: &mut Meter,
    text: &'t str,
    chars: Option<&str>,
    start: bool,
    end: bool,
) -> Outcome<&'t str> {
    let set: Option<HashSet<char>> = match chars {
        Some(chars) => {
            meter.text(chars.len().saturating_mul(8))?;
            Some(chars.chars().collect())
        }
        None => None,
    };
    let goes = |one: char| match &set {
        Some(set) => set.contains(&one),
        None => is_space(one),
    };
    let text = match start {
        true => text.trim_start_matches(goes),
        false => text,
    };
    Ok(match end {
        true => text.trim_end_matches(goes),
        false => text,
    })
}

pub fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => {
            first.to_uppercase().collect::<String>()
                + &letters.as_str().to_lowercase()
        }
        None => String::new(),
    }
}

/// str.title: a word is a run of letters.
pub fn titled(text: &str) -> String {
    let mut out = String::new();
    let mut within = false;
    for one in text.chars() {
        match within {
            true => out.extend(one.to_lowercase()),
            false => out.extend(one.to_uppercase()),
        }
        within = one.is_alphabetic();
    }
    out
}

/// At most `count` times; none or a negative one: everywhere.
pub fn replace(
    meter: &mut Meter,
    text: &str,
    old: &str,
    new: &str,
    count: Option<i64>,
) -> Outcome<String> {
    let most = count.and_then(|count| usize::try_from(count).ok());
    let most = most.unwrap_or(usize::MAX);
    let found = text.matches(old).take(most).count();
    let bytes = text.len().saturating_add(found.saturating_mul(new.len()));
    meter.text(bytes)?;
    Ok(text.replacen(old, new, most))
}

pub fn split(
    text: &str,
    between: Option<&str>,
    most: Option<usize>,
) -> Vec<String> {
    let most = most.unwrap_or(usize::MAX);
    let limit = most.saturating_add(1);
    if let Some(between) = between {
        return text.splitn(limit, between).map(str::to_string).collect();
    }
    let mut parts = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        let end = rest.find(is_space).unwrap_or(rest.len());
        if parts.len() == most {
            parts.push(rest.to_string());
            break;
        }
        parts.push(rest[..end].to_string());
        rest = rest[end..].trim_start_matches(is_space);
    }
    parts
}

pub fn rsplit(
    text: &str,
    between: Option<&str>,
    most: Option<usize>,
) -> Vec<String> {
    let most = most.unwrap_or(usize::MAX);
    let limit = most.saturating_add(1);
    let mut parts = Vec::new();
    if let Some(between) = between {
        parts.extend(text.rsplitn(limit, between).map(str::to_string));
    } else {
        let mut rest = text.trim_end_matches(is_space);
        while !rest.is_empty() {
            let start = rest
                .char_indices()
                .rev()
                .find(|(_, one)| is_space(*one))
                .map_or(0, |(at, one)| at + one.len_utf8());
            if parts.len() == most {
                parts.push(rest.to_string());
                break;
            }
            parts.push(rest[start..].to_string());
            rest = rest[..start].trim_end_matches(is_space);
        }
    }
    parts.reverse();
    parts
}

/// str.splitlines: the ends of lines are Unicode's, and go unless kept.
pub fn lines(text: &str, keeps_ends: bool) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut start = 0;
    let mut rest = text.char_indices().peekable();
    while let Some((at, one)) = rest.next() {
        let ends = matches!(
            one,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        );
        if !ends {
            continue;
        }
        let mut end = at + one.len_utf8();
        if one == '\r' && matches!(rest.peek(), Some((_, '\n'))) {
            rest.next();
            end += 1;
        }
        lines.push(&text[start..if keeps_ends { end } else { at }]);
        start = end;
    }
    if start < text.len() {
        lines.push(&text[start..]);
    }
    lines
}

/// `text` within `width` characters: what of the padding stands before it is
/// `left` of it. None where it is wide enough already.
pub fn padded(
    meter: &mut Meter,
    text: &str,
    width: i64,
    fill: char,
    left: fn(padding: usize, width: usize) -> usize,
) -> Outcome<String> {
    let width = usize::try_from(width).unwrap_or(0);
    let padding = width.saturating_sub(text.chars().count());
    meter.text(text.len().saturating_add(padding.saturating_mul(4)))?;
    let before = left(padding, width);
    let mut out = String::new();
    out.extend(std::iter::repeat_n(fill, before));
    out.push_str(text);
    out.extend(std::iter::repeat_n(fill, padding - before));
    Ok(out)
}

/// Where str.center puts the odd one.
pub fn centered(padding: usize, width: usize) -> usize {
    padding / 2 + (padding & width & 1)
}

/// The bytes of text[start:end], Python's places of characters. None where
/// start is behind the end, where not even nothing is found.
pub fn between(
    text: &str,
    start: Option<i64>,
    end: Option<i64>,
) -> Option<(usize, &str)> {
    if start.is_none() && end.is_none() {
        return Some((0, text));
    }
    let count = text.chars().count() as i64;
    let place = |bound: i64| match bound < 0 {
        true => bound.saturating_add(count).max(0),
        false => bound,
    };
    let start = place(start.unwrap_or(0));
    let end = place(end.unwrap_or(count)).min(count);
    if start > end {
        return None;
    }
    let byte = |place: i64| {
        let mut places = text.char_indices();
        places
            .nth(place as usize)
            .map_or(text.len(), |(byte, _)| byte)
    };
    let first = byte(start);
    Some((first, &text[first..byte(end)]))
}
