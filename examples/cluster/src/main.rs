//! A guided program: three local nodes, running counters, kill -9, and the promises checked.

fn main() {}
