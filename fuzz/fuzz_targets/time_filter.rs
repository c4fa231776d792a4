//! See `actiond::fuzzing::time_filter`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| actiond::fuzzing::time_filter(data));
