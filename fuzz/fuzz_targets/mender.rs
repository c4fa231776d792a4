//! See `actiond::fuzzing::mender`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| actiond::fuzzing::mender(data));
