//! Keeps a bug that one file brings out from stopping the run: the file is left alone and reported, the rest is done.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs the work of one file; a panic becomes its message.
///
/// # Errors
/// What the panic said.
pub(crate) fn contained<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    // Nothing that the work borrows is used again after a panic, except shared values it cannot change.
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "unknown failure".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::contained;

    #[test]
    fn a_panic_becomes_its_message() {
        assert_eq!(contained(|| 1), Ok(1));
        assert_eq!(contained(|| -> u8 { panic!("line {}", 2) }), Err("line 2".to_owned()));
    }
}
