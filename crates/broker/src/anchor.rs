//! A timer that is always set: others may then be set without a system call.
//!
//! A runtime is woken, by way of its own event descriptor, whenever a timer is set that is due before all others it
//! knows: it might be asleep already. Where each request sets a timer that is due late and takes it back soon, there is
//! often no other, and each costs a `write` and one `epoll_wait` more. With one that is due sooner none does.

use std::time::Duration;

/// Shorter than what requests wait for by default (`replica.fetch.wait.max.ms`, a consumer's `fetch.max.wait.ms`), and
/// long enough that an idle thread does not notice it.
const PERIOD: Duration = Duration::from_millis(400);

/// Keeps a timer set for as long as the runtime runs.
pub(crate) async fn hold() {
    loop {
        tokio::time::sleep(PERIOD).await;
    }
}
