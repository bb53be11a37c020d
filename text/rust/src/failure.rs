//! Errors as they cross the bridge.

use std::fmt;

/// Mirrors t2::ec: the numbers are those of config/result.hpp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    InvalidArgument = 1,
    Corrupt = 4,
    Incompatible = 5,
    Exhausted = 10,
    Unavailable = 11,
    Internal = 12,
}

#[derive(Clone, Debug)]
pub struct Failure {
    pub code: Code,
    pub message: String,
}

pub type Outcome<T> = Result<T, Failure>;

pub fn fail<T>(code: Code, message: impl Into<String>) -> Outcome<T> {
    Err(Failure {
        code,
        message: message.into(),
    })
}

/// What the C++ side reads back from the exception: the code's number, a
/// space, the message on one line.
impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.message.replace(['\n', '\r'], " ");
        write!(out, "{} {}", self.code as u8, line)
    }
}
