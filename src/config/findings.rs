//! Findings about a configuration: problems, which stop the start, and warnings.
//!
//! All of them are collected, so that one look at the output is enough to mend a file; both lists
//! are bounded, because a file of nonsense may hold millions.

use std::fmt;

use crate::aci::words::shorten;

use super::MAX_FILE_BYTES;
use super::secrets::masked;

/// Number of problems, and of warnings, that are kept; the rest are only counted.
const KEPT: usize = 100;

/// A line of one of a configuration's files; in the order of the files, then of their lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Line {
    /// 0 is the file itself; the others are those that it includes.
    file: usize,
    /// From 1.
    number: usize,
}

impl Line {
    pub(super) const fn new(file: usize, number: usize) -> Self {
        Self { file, number }
    }

    pub(super) const fn file(self) -> usize {
        self.file
    }
}

/// The location of a problem: the line, section, key and value, as far as they apply.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Location<'a> {
    pub(super) line: Option<Line>,
    pub(super) section: Option<&'a str>,
    pub(super) key: Option<&'a str>,
    pub(super) value: Option<&'a str>,
}

/// One thing in a configuration that stops the start.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Name of the file, as it was given.
    pub file: String,
    /// The line, from 1; `None` when the file as a whole is meant.
    pub line: Option<usize>,
    /// Name of the section.
    pub section: Option<String>,
    /// Name of the key.
    pub key: Option<String>,
    /// The value, shortened to 100 characters; `***` for a secret.
    pub value: Option<String>,
    /// The error, and what is allowed.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        f.write_str(":")?;
        if let Some(section) = &self.section {
            write!(f, " [{section}]")?;
        }
        match (&self.key, &self.value) {
            (Some(key), Some(value)) => write!(f, " {key}={value}:")?,
            (Some(key), None) => write!(f, " {key}:")?,
            (None, _) if self.section.is_some() => f.write_str(":")?,
            (None, _) => {}
        }
        write!(f, " {}", self.reason)
    }
}

/// One thing in a configuration that has no effect and was perhaps meant to have one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// Name of the file, as it was given.
    pub file: String,
    /// The line, from 1; `None` when the file as a whole is meant.
    pub line: Option<usize>,
    /// The finding, and what came of it.
    pub message: String,
}

impl Warning {
    pub(super) fn about_file(file: &str, message: &str) -> Self {
        Self { file: file.to_owned(), line: None, message: message.to_owned() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

/// A configuration that cannot be used: every problem found in it, at least one.
///
/// It prints one line for each problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
    more: usize,
    warnings: Vec<Warning>,
}

impl ConfigError {
    /// Returns the problems in the order of the file's lines; never empty, at most 100.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Returns the number of problems beyond those that are listed.
    #[must_use]
    pub fn more(&self) -> usize {
        self.more
    }

    /// Returns the warnings, which alone would not stop the start.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    pub(super) fn about_file(file: &str, line: Option<usize>, reason: String) -> Self {
        let file = file.to_owned();
        let problem = Problem { file, line, section: None, key: None, value: None, reason };
        Self { problems: vec![problem], more: 0, warnings: Vec::new() }
    }

    pub(super) fn too_large(file: &str) -> Self {
        let reason = format!("is too large: a configuration has at most {MAX_FILE_BYTES} bytes");
        Self::about_file(file, None, reason)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more {}", self.more, counted(self.more, "problem"))?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// The problems and warnings found so far in a file and those that it includes.
#[derive(Debug)]
pub(super) struct Findings {
    /// Never empty.
    files: Vec<String>,
    problems: Vec<(Option<Line>, Problem)>,
    more_problems: usize,
    warnings: Vec<(Option<Line>, Warning)>,
    more_warnings: usize,
}

impl Findings {
    pub(super) fn new(file: &str) -> Self {
        let files = vec![file.to_owned()];
        Self { files, problems: vec![], more_problems: 0, warnings: vec![], more_warnings: 0 }
    }

    /// Adds the name of the next file that is included.
    pub(super) fn add_file(&mut self, file: &str) {
        self.files.push(file.to_owned());
    }

    /// Returns the names of all files.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str)
    }

    /// Returns the words for a line in a message about line `from`.
    pub(super) fn describe(&self, line: Line, from: Line) -> String {
        if line.file == from.file { format!("line {}", line.number) } else { self.place(line) }
    }

    /// Returns the words for a line, with its file.
    pub(super) fn place(&self, line: Line) -> String {
        format!("{}:{}", self.file(Some(line)), line.number)
    }

    /// Returns the name of a line's file; of the file itself for what has no line.
    pub(super) fn file(&self, line: Option<Line>) -> &str {
        self.files.get(line.map_or(0, Line::file)).map_or("", String::as_str)
    }

    /// Adds a problem, unless it is there already: a value of `[Actions]` is read for each queue.
    pub(super) fn problem(&mut self, place: Location<'_>, reason: impl Into<String>) {
        let problem = Problem {
            file: self.file(place.line).to_owned(),
            line: place.line.map(|line| line.number),
            section: place.section.map(shown),
            key: place.key.map(shown),
            value: place.value.map(|value| {
                place.key.and_then(|key| masked(key, value)).unwrap_or_else(|| shown(value))
            }),
            reason: reason.into(),
        };
        if self.problems.iter().any(|(_, known)| *known == problem) {
            return;
        }
        if self.problems.len() >= KEPT {
            self.more_problems += 1;
            return;
        }
        self.problems.push((place.line, problem));
    }

    /// Adds a warning, unless it is there already; its text is made only if there is room for it.
    pub(super) fn warning(&mut self, line: Option<Line>, message: impl FnOnce() -> String) {
        if self.warnings.len() >= KEPT {
            self.more_warnings += 1;
            return;
        }
        let file = self.file(line).to_owned();
        let warning = Warning { file, line: line.map(|line| line.number), message: message() };
        if !self.warnings.iter().any(|(_, known)| *known == warning) {
            self.warnings.push((line, warning));
        }
    }

    /// Returns the number of problems, so that a caller can see if a step added one.
    pub(super) fn problem_count(&self) -> usize {
        self.problems.len() + self.more_problems
    }

    /// Tells whether a line has a problem, so that it needs no warning besides.
    pub(super) fn has_problem_at(&self, line: Line) -> bool {
        self.problems.iter().any(|(at, _)| *at == Some(line))
    }

    /// Returns the warnings, as those of an error if there is a problem; both are in the order of the files.
    pub(super) fn finish(mut self) -> Result<Vec<Warning>, ConfigError> {
        self.problems.sort_by_key(|(line, _)| *line);
        self.warnings.sort_by_key(|(line, _)| *line);
        let file = self.file(None).to_owned();
        let mut warnings: Vec<_> = self.warnings.into_iter().map(|(_, warning)| warning).collect();
        if self.more_warnings > 0 {
            let more = self.more_warnings;
            let message = format!("and {more} more {}", counted(more, "warning"));
            warnings.push(Warning { file, line: None, message });
        }
        if !self.problems.is_empty() {
            let problems = self.problems.into_iter().map(|(_, problem)| problem).collect();
            return Err(ConfigError { problems, more: self.more_problems, warnings });
        }
        Ok(warnings)
    }
}

/// Returns a noun in the form that follows a number.
fn counted(number: usize, noun: &str) -> String {
    if number == 1 { noun.to_owned() } else { format!("{noun}s") }
}

fn shown(text: &str) -> String {
    shorten(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_file_line_section_key_and_value() {
        let mut findings = Findings::new("a.cfg");
        let full = Location {
            line: Some(Line::new(0, 3)),
            section: Some("Server"),
            key: Some("Port"),
            value: Some("x"),
        };
        findings.problem(full, "must be a number");
        findings.problem(Location { key: None, value: None, ..full }, "is odd");
        findings.problem(Location { line: Some(Line::new(0, 4)), ..Location::default() }, "is odd");
        findings.problem(Location::default(), "is odd");
        findings.problem(full, "must be a number");
        for key in ["SSLPrivateKeyPassword", "sslprivatekeypasword", "Keys"] {
            let line = Some(Line::new(0, 5));
            let secret = Location { line, section: None, key: Some(key), value: Some("secret") };
            findings.problem(secret, "is odd");
        }
        assert_eq!(
            findings.finish().unwrap_err().to_string(),
            "a.cfg: is odd\na.cfg:3: [Server] Port=x: must be a number\n\
             a.cfg:3: [Server]: is odd\na.cfg:4: is odd\n\
             a.cfg:5: SSLPrivateKeyPassword=***: is odd\na.cfg:5: sslprivatekeypasword=***: is odd\n\
             a.cfg:5: Keys=***: is odd"
        );
    }

    #[test]
    fn both_lists_are_bounded() {
        let mut findings = Findings::new("a.cfg");
        for line in 0..250 {
            findings.warning(Some(Line::new(0, line)), || format!("w{line}"));
        }
        let warnings = findings.finish().unwrap();
        assert_eq!(warnings.len(), 101);
        assert_eq!(warnings[100].to_string(), "a.cfg: and 150 more warnings");

        let mut findings = Findings::new("a.cfg");
        for line in 0..250 {
            findings
                .problem(Location { line: Some(Line::new(0, line)), ..Location::default() }, "p");
        }
        assert_eq!(findings.problem_count(), 250);
        let error = findings.finish().unwrap_err();
        assert_eq!((error.problems().len(), error.more()), (100, 150));
        assert!(error.to_string().ends_with("and 150 more problems"));

        let mut findings = Findings::new("a.cfg");
        for line in 0..101 {
            let line = Line::new(0, line);
            findings.problem(Location { line: Some(line), ..Location::default() }, "p");
            findings.warning(Some(line), || format!("w{line:?}"));
        }
        let error = findings.finish().unwrap_err();
        assert!(error.to_string().ends_with("and 1 more problem"), "{error}");
        assert_eq!(error.warnings()[100].to_string(), "a.cfg: and 1 more warning");
    }
}
