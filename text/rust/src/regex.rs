//! Regular expressions whose backtracking is paid for.
//!
//! Oniguruma backtracks, so a pattern such as (a+)+$ takes time exponential in
//! the text, and a*b quadratic. Each attempt here starts with a small allowance
//! of retries; when it runs out, the attempt is repeated with a larger one,
//! which is paid for out of the fuel of the current text, until it ends or the
//! fuel does. counted.rs sees to it that what a pattern reads is retries. No
//! clock is looked at: the same text ends at the same place everywhere.

use crate::counted::counted;
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
/// Characters that are compared in the time of a retry, and so many that a
/// pattern may compare for nothing.
const COMPARED_PER_RETRY: u64 = 64;
const COMPARED_FREELY: u64 = 256;
/// Of oniguruma.h: a stack, a match, a search that ran over its limit.
const OVER_LIMIT: [i32; 3] = [-15, -17, -18];

thread_local! {
    static FUEL: Cell<u64> = const { Cell::new(0) };
}

/// The fuel that a text of `bytes` bytes gets.
pub fn fuel_for(bytes: usize) -> u64 {
    RETRIES_PER_TEXT + RETRIES_PER_BYTE * bytes as u64
}

/// Fills the fuel on this thread.
pub fn refuel(fuel: u64) {
    FUEL.set(fuel);
}

/// False, and nothing is left, where it is more than there is.
pub fn pay(retries: u64) -> bool {
    let left = FUEL.get().checked_sub(retries);
    FUEL.set(left.unwrap_or(0));
    left.is_some_and(|left| left > 0)
}

/// The same for looking for a text of `length` bytes in one of `bytes`.
pub fn pay_for_search(length: usize, bytes: u64) -> bool {
    let costly = (length as u64).saturating_sub(COMPARED_FREELY);
    pay(costly.saturating_mul(bytes) / COMPARED_PER_RETRY)
}

/// True when the text at hand has used up its fuel.
pub fn exhausted() -> bool {
    FUEL.get() == 0
}

pub struct MeteredRegex {
    regex: Regex,
    /// Reads in vain, and counted, what `regex` reads without counting.
    shadow: Option<Regex>,
    weight: u64,
}

fn compile(source: &str) -> Result<Regex, String> {
    Regex::with_options(
        source,
        RegexOptions::REGEX_OPTION_NONE,
        Syntax::default(),
    )
    .map_err(|error| error.to_string())
}

impl MeteredRegex {
    pub fn new(source: &str) -> Result<Self, String> {
        // As it stands first: what is wrong with it is said of the source.
        compile(source)?;
        let counted = counted(source)?;
        Ok(MeteredRegex {
            regex: compile(&counted.pattern)?,
            shadow: counted.shadow.as_deref().map(compile).transpose()?,
            weight: counted.weight,
        })
    }

    /// The end of the match that starts at byte `at`.
    fn match_at(
        &self,
        text: &str,
        at: usize,
        region: &mut Region,
    ) -> tokenizers::Result<Option<usize>> {
        if self.weight > COMPARED_FREELY
            && !pay(self.weight / COMPARED_PER_RETRY)
        {
            return Err("out of fuel".into());
        }
        if let Some(shadow) = &self.shadow {
            self.attempt(shadow, text, at, region)?;
        }
        self.attempt(&self.regex, text, at, region)
    }

    fn attempt(
        &self,
        regex: &Regex,
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
            let error = match regex.match_with_param(
                text,
                at,
                SearchOptions::SEARCH_OPTION_NONE,
                Some(region),
                param,
            ) {
                Ok(length) => return Ok(length.map(|length| at + length)),
                Err(error) => error,
            };
            // Paid before it is spent.
            allowance *= 8;
            let price =
                u64::from(allowance) * (1 + self.weight / COMPARED_FREELY);
            let over = OVER_LIMIT.contains(&error.code());
            if !over || allowance > LAST_ALLOWANCE || !pay(price) {
                FUEL.set(0);
                return Err(error.to_string().into());
            }
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
