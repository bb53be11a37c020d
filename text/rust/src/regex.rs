//! Regular expressions whose backtracking is paid for.
//!
//! Oniguruma backtracks, so a pattern such as (a+)+$ takes time exponential in
//! the text. Each attempt here starts with a small allowance of retries; when
//! it runs out, the attempt is charged to the fuel of the current text and
//! repeated with a larger one, until it ends or the fuel does.

use onig::{MatchParam, Regex, RegexOptions, Region, SearchOptions, Syntax};
use std::cell::Cell;
use tokenizers::pattern::Pattern;
use tokenizers::Offsets;

const FIRST_ALLOWANCE: u32 = 512;
const LAST_ALLOWANCE: u32 = 1 << 24;
/// Entries of the backtracking stack, some 50 bytes each.
const STACK_ENTRIES: u32 = 4 << 20;
const RETRIES_PER_BYTE: u64 = 64;
const RETRIES_PER_TEXT: u64 = 32 << 20;
/// Of oniguruma.h: a stack, a match, a search that ran over its limit.
const OVER_LIMIT: [i32; 3] = [-15, -17, -18];

thread_local! {
    static FUEL: Cell<u64> = const { Cell::new(0) };
}

/// Fills the fuel for a text of `bytes` bytes on this thread.
pub fn refuel(bytes: usize) {
    FUEL.set(RETRIES_PER_TEXT + RETRIES_PER_BYTE * bytes as u64);
}

/// True when the text at hand has used up its fuel.
pub fn exhausted() -> bool {
    FUEL.get() == 0
}

pub struct MeteredRegex {
    regex: Regex,
}

impl MeteredRegex {
    pub fn new(source: &str) -> Result<Self, onig::Error> {
        let regex = Regex::with_options(
            source,
            RegexOptions::REGEX_OPTION_NONE,
            Syntax::default(),
        )?;
        Ok(MeteredRegex { regex })
    }

    /// The end of the match that starts at byte `at`.
    fn match_at(
        &self,
        text: &str,
        at: usize,
        region: &mut Region,
    ) -> tokenizers::Result<Option<usize>> {
        let mut allowance = FIRST_ALLOWANCE;
        loop {
            let mut param = MatchParam::default();
            param.set_retry_limit_in_match(allowance);
            param.set_match_stack_limit(STACK_ENTRIES);
            region.clear();
            let error = match self.regex.match_with_param(
                text,
                at,
                SearchOptions::SEARCH_OPTION_NONE,
                Some(region),
                param,
            ) {
                Ok(None) => return Ok(None),
                Ok(Some(length)) => {
                    return Ok(Some(at + length));
                }
                Err(error) => error,
            };
            let left = FUEL.get().saturating_sub(u64::from(allowance));
            FUEL.set(left);
            let over = OVER_LIMIT.contains(&error.code());
            if !over || left == 0 || allowance >= LAST_ALLOWANCE {
                FUEL.set(0);
                return Err(error.to_string().into());
            }
            allowance *= 8;
        }
    }
}

impl Pattern for &MeteredRegex {
    /// As the library's own: matches from left to right, and no empty match
    /// right behind another one.
    fn find_matches(
        &self,
        inside: &str,
    ) -> tokenizers::Result<Vec<(Offsets, bool)>> {
        if inside.is_empty() {
            return Ok(vec![((0, 0), false)]);
        }
        let mut region = Region::new();
        let mut splits = Vec::new();
        let mut covered = 0;
        let mut last_end = None;
        let mut at = 0;
        while at <= inside.len() {
            let found = self.match_at(inside, at, &mut region)?;
            match found {
                Some(end) if end > at || last_end != Some(at) => {
                    if covered != at {
                        splits.push(((covered, at), false));
                    }
                    splits.push(((at, end), true));
                    covered = end;
                    last_end = Some(end);
                    at = end;
                    if !matches!(splits.last(), Some(((a, b), _)) if a == b) {
                        continue;
                    }
                }
                _ => {}
            }
            at += inside[at..].chars().next().map_or(1, char::len_utf8);
        }
        if covered != inside.len() {
            splits.push(((covered, inside.len()), false));
        }
        Ok(splits)
    }
}
