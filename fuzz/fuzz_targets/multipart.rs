//! See `actiond::fuzzing::multipart`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| actiond::fuzzing::multipart(data));
