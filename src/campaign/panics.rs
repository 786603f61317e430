//! A replica that panics is a violation like others, and not the end of the campaign.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether this thread does a run whose panic is caught.
    static TRIES: Cell<bool> = const { Cell::new(false) };
}

/// Does `work`. Nothing that it has touched may be used after a panic, except what was only read.
///
/// # Errors
/// What a panic said. It is not printed.
pub(super) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !TRIES.get() {
                usual(panic);
            }
        }));
    });
    let outer = TRIES.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    TRIES.set(outer);
    done.map_err(|what| words_of(what.as_ref()).to_owned())
}

fn words_of(what: &(dyn Any + Send)) -> &str {
    let fixed = what.downcast_ref::<&str>().copied();
    fixed.or_else(|| what.downcast_ref().map(String::as_str)).unwrap_or("without words")
}
