//! See `actiond::fuzzing::ingest_xml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| actiond::fuzzing::ingest_xml(data));
