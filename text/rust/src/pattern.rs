//! Patterns that search in time linear in the text: no backtracking, no
//! look-around, no back-references. What a pattern compiles to is bounded.

use crate::failure::{fail, Code, Outcome};
use ::regex::RegexBuilder;

const COMPILED_BYTES: usize = 4 << 20;
const NESTING: u32 = 128;

/// Whether `pattern` is found in `text`. InvalidArgument: it is no pattern, or
/// one that compiles to too much.
pub fn found(pattern: &[u8], text: &[u8]) -> Outcome<bool> {
    let Ok(source) = std::str::from_utf8(pattern) else {
        return fail(Code::InvalidArgument, "expected a pattern in UTF-8");
    };
    let compiled = RegexBuilder::new(source)
        .size_limit(COMPILED_BYTES)
        .dfa_size_limit(COMPILED_BYTES)
        .nest_limit(NESTING)
        .build();
    match compiled {
        Ok(regex) => Ok(regex.is_match(&String::from_utf8_lossy(text))),
        Err(problem) => {
            // The library draws the pattern and points; its last line says why.
            let all = problem.to_string();
            let why = all.lines().last().unwrap_or("no pattern");
            fail(
                Code::InvalidArgument,
                why.trim_start_matches("error: ").to_string(),
            )
        }
    }
}
