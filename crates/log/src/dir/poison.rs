//! Whether a directory still works. Once it does not, it never does again in this process.

use std::sync::OnceLock;

/// The first failure, if there was one.
#[derive(Debug, Default)]
pub(super) struct Poison {
    reason: OnceLock<String>,
}

impl Poison {
    pub(super) fn set(&self, reason: impl FnOnce() -> String) {
        self.reason.get_or_init(reason);
    }

    #[inline]
    pub(super) fn reason(&self) -> Option<&str> {
        self.reason.get().map(String::as_str)
    }
}
