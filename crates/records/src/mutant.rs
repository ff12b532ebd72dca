//! Bugs put in on purpose, for the simulator to find: a machine asks [`is`] at the place where the bug would be.
//!
//! Without the feature `mutants`, which only the simulator's own build has, the answer is a constant `false` and
//! nothing of it is compiled in. The table of all of them is in the simulator.

#[cfg(feature = "mutants")]
std::thread_local! {
    static CHOSEN: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}

/// Is the bug of this name in, on this thread?
#[cfg(feature = "mutants")]
pub fn is(name: &str) -> bool {
    CHOSEN.get() == Some(name)
}

/// Is the bug of this name in? Never, in a build without the feature `mutants`.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub const fn is(_name: &str) -> bool {
    false
}

/// Puts a bug in on this thread, in place of the one before.
#[cfg(feature = "mutants")]
pub fn choose(name: Option<&'static str>) {
    CHOSEN.set(name);
}
