//! The thin binary: argv, signals, logging.
fn main() {}
