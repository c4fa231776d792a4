//! Every input of every target, and that none is without.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use actiond::fuzzing::{TARGETS, Target};

/// What a target may keep.
const MOST_FILES: usize = 60;
const MOST_BYTES: usize = 300_000;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The kept inputs of a target, with the names of their files.
pub fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = fuzz().join("corpus").join(target);
    let files = fs::read_dir(&directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let mut inputs: Vec<_> = files
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read(&path).unwrap())
        })
        .collect();
    inputs.sort();
    inputs
}

/// Runs a target on each input, and tells all that failed.
fn replay(name: &str) {
    let (_, target): &(&str, Target) = TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    let inputs = inputs(name);
    let failed: Vec<_> = inputs
        .iter()
        .filter(|(_, data)| catch_unwind(|| target(data)).is_err())
        .map(|(file, _)| format!("fuzz/corpus/{name}/{file}"))
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

macro_rules! replays {
    ($($name:ident)*) => {
        const REPLAYED: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*
    };
}

replays! {
    command_line config ingest_xml mender multipart program_lines reference removes_csv render reply request result
    time_filter token
}

#[test]
fn every_target_is_fuzzed_and_replayed() {
    let known: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let files = fs::read_dir(fuzz().join("fuzz_targets")).unwrap();
    let files: BTreeSet<_> = files
        .map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(files, known);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in &known {
        // A target that calls another function fuzzes that one twice, and one that is no binary is never built.
        let file = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        let call =
            format!("libfuzzer_sys::fuzz_target!(|data: &[u8]| actiond::fuzzing::{name}(data));");
        assert!(file.lines().any(|line| line == call), "no {call} in fuzz_targets/{name}.rs");
        let binary = format!("[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n");
        assert!(manifest.contains(&binary), "fuzz/Cargo.toml has no binary {name} of that file");
    }
    assert_eq!(REPLAYED.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), known);
}

#[test]
fn what_is_kept_is_small() {
    for (name, _) in TARGETS {
        let inputs = inputs(name);
        let bytes: usize = inputs.iter().map(|(_, data)| data.len()).sum();
        assert!((5..=MOST_FILES).contains(&inputs.len()), "{name}: {} files", inputs.len());
        assert!(bytes <= MOST_BYTES, "{name}: {bytes} bytes");
    }
}
