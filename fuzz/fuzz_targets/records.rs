//! The fuzz target `records`: see the function of that name.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ottla_fuzz::records(input));
