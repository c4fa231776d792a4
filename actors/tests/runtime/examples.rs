//! The programs in `examples/`, where users begin: each is run as it stands.

use std::path::PathBuf;
use std::process::Command;

use crate::cargo::forget_package;

/// Builds an example as `tests/run` has built it, so that it is there, runs it, and returns what it printed. The features of other
/// packages count: with fewer of them all dependencies would be compiled anew.
fn printed_by(example: &str) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--workspace", "--all-features"]);
    cargo.args(["--example", example]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    forget_package(&mut cargo);
    assert!(cargo.status().expect("cargo runs").success(), "{example} does not build");
    // Tests are in target/PROFILE/deps.
    let test: PathBuf = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let output = Command::new(profile.join("examples").join(example)).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn two_queues_are_embedded() {
    let printed = printed_by("embed");
    let lines: Vec<_> = printed.lines().collect();
    assert!(lines[0].contains("Finished") && lines[0].contains("Hello, Ada"), "{printed}");
    assert!(lines[1].contains("Finished"), "{printed}");
    assert_eq!(lines[2], "asked the long one to stop: Stopping");
    assert!(lines[3].starts_with("Stopped: at "), "{printed}");
}

#[test]
fn observers_count_and_pass_on() {
    let want = "action 2 failed: nobody can divide by that\n\
                action 3 failed: nobody can divide by that\n\
                3 started, 1 finished, 2 failed\n\
                10 changes are durable\n";
    assert_eq!(printed_by("observer"), want);
}
