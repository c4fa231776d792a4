//! The fuzz targets of the command line and of the lines of a program; see `crate::fuzzing`.
#![allow(
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "to panic is how a target says that a rule is broken"
)]

use std::os::unix::ffi::OsStrExt as _;

use actiond_actors::{Parameters, Value};

use super::lines::{Line, Lines, MAX_LINE, MAX_TITLE, Told, read};
use super::template::{Template, Without};

/// Longest line for the server, in bytes, with which lines are cut here.
const MAX_TOLD: usize = 3_000;
/// Longest reason for which a command line is refused, in bytes.
const MAX_REASON: usize = 2_000;

/// Input: a command line and then the values of its parameters in their order, each after a NUL.
pub fn command_line(data: &[u8]) {
    let mut parts = data.split(|byte| *byte == 0);
    let line = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let values: Vec<_> = parts.collect();
    let template = match Template::parse(&line) {
        Ok(template) => template,
        Err(reason) => {
            assert!(!reason.is_empty() && !reason.contains('\0'), "{reason:?}");
            assert!(reason.len() <= MAX_REASON, "{} bytes", reason.len());
            return;
        }
    };
    assert!(!template.program.is_empty(), "{line:?}");

    let given: Parameters = template
        .takes
        .iter()
        .zip(&values)
        .map(|(taken, value)| (taken.name.as_str(), Value::Bytes(value.to_vec())))
        .collect();
    // All that are given are "x" here: how many words there are depends on none of the values.
    let plain: Parameters = template
        .takes
        .iter()
        .zip(&values)
        .map(|(taken, _)| (taken.name.as_str(), Value::from("x")))
        .collect();
    let missing = template.takes.iter().skip(values.len());
    let is_missing = missing.clone().any(|taken| taken.without == Without::Refused);
    match (template.arguments(&given), template.arguments(&plain)) {
        (Ok(with), Ok(plain)) => {
            assert!(!is_missing, "{line:?} takes what is not given");
            assert_eq!(with.len(), plain.len(), "{line:?}");
            for (taken, value) in template.takes.iter().zip(&values) {
                let has = |argument: &std::ffi::OsString| {
                    value.is_empty()
                        || argument.as_bytes().windows(value.len()).any(|part| part == *value)
                };
                assert!(with.iter().any(has), "{} has lost its value: {line:?}", taken.name);
            }
        }
        (Err(reason), Ok(_)) => {
            // Values have no NUL here, so one is too long for an argument.
            assert!(reason.contains(" bytes, and a program takes "), "{reason}");
        }
        (with, Err(reason)) => {
            let is_long = reason.contains(" bytes, and a program takes ");
            assert!(with.is_err() && (is_missing || is_long), "{line:?}: {reason}");
        }
    }
}

/// Input: the number of bytes that come at once, and then a stream of lines.
pub fn program_lines(data: &[u8]) {
    let Some((size, stream)) = data.split_first() else { return };
    for make in [Lines::of_errors, Lines::of_progress] {
        let whole = cut(make(MAX_TOLD), stream, stream.len().max(1));
        let pieces = cut(make(MAX_TOLD), stream, usize::from(*size).max(1));
        assert_eq!(whole, pieces);
    }
}

/// Cuts a stream that comes in pieces of this size, and checks each line.
fn cut(mut lines: Lines, stream: &[u8], size: usize) -> Vec<(Vec<u8>, bool)> {
    let mut all = Vec::new();
    let mut show = |line: Line<'_>| {
        let most = if line.told.is_some() { MAX_TOLD } else { MAX_LINE };
        assert!(!line.bytes.is_empty() && line.bytes.len() <= most);
        assert!(!line.bytes.contains(&b'\n') && !line.bytes.contains(&b'\r'));
        assert!(!line.is_cut || line.bytes.len() == most);
        line.told.and_then(read).iter().for_each(check);
        all.push((line.bytes.to_vec(), line.is_cut));
    };
    for piece in stream.chunks(size) {
        lines.push(piece, &mut show);
    }
    lines.end(&mut show);
    all
}

fn check(told: &Told<'_>) {
    let Told::Progress(progress) = told else { return };
    assert!((0.0..=100.0).contains(&progress.percent()), "{progress:?}");
    for stage in &progress.stages {
        assert!(stage.title.chars().count() <= MAX_TITLE, "{stage:?}");
    }
}
