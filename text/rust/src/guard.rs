//! Every entry from C++ goes through here: no panic leaves, and code that
//! recurses over a stranger's file runs on a stack of known size.

use crate::failure::{fail, Code, Outcome};
use std::panic::{catch_unwind, set_hook, AssertUnwindSafe};
use std::sync::Once;

/// Enough for the deepest syntax tree that a template of the greatest allowed
/// size can nest to (chains such as a+a+a+… are as deep as they are long).
/// Reserved address space; only what is used becomes memory.
const STACK_BYTES: usize = 128 << 20;

/// Runs `work`, turning a panic into an error.
pub fn guarded<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    static QUIET: Once = Once::new();
    // The error says what happened; a stack trace is not for the user. This
    // crate is all the Rust there is in the process.
    QUIET.call_once(|| set_hook(Box::new(|_| {})));
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => outcome,
        Err(panic) => {
            let what = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            fail(Code::Corrupt, format!("the text library gave up: {what}"))
        }
    }
}

/// `guarded` on a thread with a large stack of its own. The caller waits.
pub fn guarded_deep<T: Send>(
    work: impl FnOnce() -> Outcome<T> + Send,
) -> Outcome<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("t2-text".into())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || guarded(work));
        match thread {
            Ok(thread) => thread.join().unwrap_or_else(|_| {
                fail(Code::Internal, "a text thread ended early")
            }),
            Err(error) => fail(
                Code::Unavailable,
                format!("no thread for the text library: {error}"),
            ),
        }
    })
}
