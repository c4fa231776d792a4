//! See `actiond::fuzzing::result`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| actiond::fuzzing::result(data));
