//! See `actiond::fuzzing::program_lines`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| actiond::fuzzing::program_lines(data));
