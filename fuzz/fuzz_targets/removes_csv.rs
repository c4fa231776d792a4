//! See `actiond::fuzzing::removes_csv`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| actiond::fuzzing::removes_csv(data));
