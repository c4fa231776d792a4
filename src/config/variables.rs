//! Values from the environment: `${NAME}` in a value stands for a variable, `${NAME:-text}` for a variable or this text, and
//! `$${` for `${` itself. A `${` without a name behind it is no more than that.

use std::collections::HashMap;
use std::ffi::OsString;

use super::MAX_FILE_BYTES;
use super::files::{Files, lines_of};
use super::findings::Line;
use super::lines::{self, Content, Include, Part};
use crate::aci::words::shorten;

/// Looks a variable up.
pub(super) type Lookup<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// What begins a variable.
const MARK: &str = "${";
/// What stands for [`MARK`] itself.
const ESCAPED: &str = "$${";

/// The values with variables in them, by their lines: with what those stand for, or with what is wrong.
#[derive(Debug, Default)]
pub(super) struct Expanded(HashMap<Line, Result<String, String>>);

impl Expanded {
    /// Looks up all variables in the values of all files.
    pub(super) fn of(files: &Files<'_>, lookup: &Lookup<'_>) -> Self {
        let mut expanded = HashMap::new();
        let mut bytes = 0_usize;
        for file in 0..files.count() {
            for (index, line) in lines_of(files.text(file).unwrap_or_default()).enumerate() {
                let Some(value) = value_of(line) else { continue };
                let mut result = expand(value, lookup);
                bytes = bytes.saturating_add(result.as_ref().map_or(0, String::len));
                if bytes > MAX_FILE_BYTES {
                    result = Err(format!(
                        "values with variables have at most {MAX_FILE_BYTES} bytes together"
                    ));
                }
                expanded.insert(Line::new(file, index + 1), result);
            }
        }
        Self(expanded)
    }

    /// Returns what became of the value in a line; `None` if it has no variable.
    pub(super) fn at(&self, line: Line) -> Option<Result<&str, &str>> {
        let result = self.0.get(&line)?;
        Some(result.as_deref().map_err(String::as_str))
    }
}

/// Returns the value in a line, if it may have a variable.
fn value_of(line: &str) -> Option<&str> {
    if !line.contains(MARK) {
        return None;
    }
    let value = match lines::read(line) {
        Ok(Some(Content::Pair(_, value))) => Some(value),
        Ok(Some(
            Content::Header(_, Some(Include { part, .. }))
            | Content::Include(Include { part, .. })
            | Content::Taken(_, Include { part, .. }),
        )) => match part {
            Part::Keys { default, .. } => default,
            Part::All | Part::Section(_) => None,
        },
        _ => None,
    };
    value.filter(|value| value.contains(MARK))
}

/// Returns a value with its variables replaced, without the white space that is then around it.
///
/// # Errors
///
/// The text names the variable, and says what to do.
fn expand(value: &str, lookup: &Lookup<'_>) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = value;
    while let Some((before, mark)) = rest.find('$').and_then(|at| rest.split_at_checked(at)) {
        text.push_str(before);
        if let Some(after) = mark.strip_prefix(ESCAPED) {
            text.push_str(MARK);
            rest = after;
        } else if let Some((name, after)) = mark.strip_prefix(MARK).and_then(split_name) {
            let (value, after) = variable(name, after, lookup)?;
            text.push_str(&value);
            rest = after;
        } else {
            text.push('$');
            rest = mark.strip_prefix('$').unwrap_or_default();
        }
    }
    text.push_str(rest);
    Ok(text.trim().to_owned())
}

/// Splits the name of a variable from what is behind it.
fn split_name(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, after) = text.split_at_checked(end)?;
    name.starts_with(|c: char| !c.is_ascii_digit()).then_some((name, after))
}

/// Returns the value of a variable, and what is behind its brace.
fn variable<'t>(
    name: &str,
    after: &'t str,
    lookup: &Lookup<'_>,
) -> Result<(String, &'t str), String> {
    let shown = shorten(name);
    let (default, after) = match (after.strip_prefix('}'), after.strip_prefix(":-")) {
        (Some(after), _) => (None, after),
        (None, Some(text)) => {
            let (default, after) = text.split_once('}').ok_or_else(|| {
                format!("${{{shown}:- has no closing brace; write $${{ for a plain ${{")
            })?;
            if default.contains(MARK) {
                return Err(format!("the text behind ${{{shown}:- can't hold a variable"));
            }
            (Some(default), after)
        }
        (None, None) => {
            return Err(format!(
                "${{{shown} must go on with a brace or with :- and a default, as ${{{shown}}} or ${{{shown}:-text}}; write \
                 $${{ for a plain ${{"
            ));
        }
    };
    let value = match (lookup(name), default) {
        (Some(value), None) => value,
        (Some(value), Some(_)) if !value.is_empty() => value,
        (_, Some(default)) => return Ok((default.to_owned(), after)),
        (None, None) => {
            return Err(format!(
                "the environment has no variable {shown}: set it, give it a default as ${{{shown}:-text}}, or write $${{ for \
                 a plain ${{"
            ));
        }
    };
    let value = value.into_string().ok().filter(|text| !text.contains(char::is_control));
    let value = value.ok_or_else(|| {
        format!(
            "the variable {shown} of the environment must be UTF-8 text without control characters"
        )
    })?;
    Ok((value, after))
}

/// Returns a value as a file has it, so that nothing in it is taken for a variable.
pub(super) fn escape(value: &str) -> String {
    value.replace(MARK, ESCAPED)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::build::BuildInputs;
    use super::super::disk::Disk;
    use super::super::files::Included;
    use super::super::settings::Parsed;
    use super::super::{Overrides, Settings};
    use super::*;
    use crate::kinds::Kinds;

    fn lookup(name: &str) -> Option<OsString> {
        let value = match name {
            "PORT" => "7011",
            "EMPTY" => "",
            "SPACED" => "  a b ",
            "DEEP" => "${PORT}",
            "LINES" => "a\nb",
            _ => return None,
        };
        Some(value.into())
    }

    #[test]
    fn variables_stand_for_their_values() {
        for (value, want) in [
            ("${PORT}", "7011"),
            ("a${PORT}b${PORT}c", "a7011b7011c"),
            ("${PORT:-1}", "7011"),
            ("${NONE:-1}", "1"),
            ("${NONE:-}x", "x"),
            ("${EMPTY:-1}", "1"),
            ("x${EMPTY}", "x"),
            ("${SPACED}", "a b"),
            ("${NONE:-a:-b c}", "a:-b c"),
            // What a variable holds is not read again.
            ("${DEEP}", "${PORT}"),
            ("$${PORT}", "${PORT}"),
            ("$$${PORT}", "$${PORT}"),
            ("$PORT $ $$ {PORT}", "$PORT $ $$ {PORT}"),
            ("${{PORT}} ${1} ${} ${-", "${{PORT}} ${1} ${} ${-"),
            ("^a${2}$", "^a${2}$"),
        ] {
            assert_eq!(expand(value, &lookup).as_deref(), Ok(want), "{value}");
        }
        for (value, want) in [
            (
                "${NONE}",
                "the environment has no variable NONE: set it, give it a default as ${NONE:-text}",
            ),
            ("${port}", "no variable port"),
            ("${PORT", "${PORT must go on with a brace"),
            ("${PORT%.*}", "write $${ for a plain ${"),
            ("${PORT:-1", "has no closing brace"),
            ("${PORT:-${PORT}}", "can't hold a variable"),
            ("${LINES}", "without control characters"),
        ] {
            let error = expand(value, &lookup).unwrap_err();
            assert!(error.contains(want), "{value}: {error}");
        }
    }

    fn parse(text: &str, other: &str) -> Result<Parsed, String> {
        let included = |name: &str| Included { name: name.to_owned(), text: Ok(other.to_owned()) };
        let (overrides, kinds) = (&Overrides::default(), &Kinds::shipped());
        let among = BuildInputs {
            overrides,
            disk: Disk::Unknown,
            kinds,
            included: &included,
            variable: &lookup,
        };
        Settings::parse_among(text, "t", &among).map_err(|error| error.to_string())
    }

    #[test]
    fn any_value_may_have_variables() {
        let text = "[Server]\nPort=${PORT}\n< \"a.cfg\" [S] Threads=${NONE:-3}\nTokenHost=< \"a.cfg\" [S] Host\n\
                    [AsyncActions]\n0=${NONE:-Work}\n[Work]\nType=${NONE:-Echo}\n";
        let parsed = parse(text, "[S]\nHost=h${PORT}\n").unwrap();
        let server = &parsed.settings.server;
        assert_eq!((server.port, server.threads), (7011, Some(3)));
        assert_eq!(server.token_host, "h7011");
        assert_eq!(parsed.settings.queues[0].name, "Work");
        assert_eq!(parsed.warnings, []);
    }

    #[test]
    fn a_variable_that_is_not_set_is_an_error_at_its_key() {
        let no = "the environment has no variable NONE: set it";
        for (text, other, want) in [
            ("[Server]\nPort=${NONE}\n", "", "t:2: [Server] Port=${NONE}: "),
            (
                "[Server] < \"a.cfg\" [S]\n",
                "[S]\n\nPort=${NONE}\n",
                "a.cfg:3: [Server] Port=${NONE}: ",
            ),
            (
                "[Server]\nPort=< \"a.cfg\" [S] P\n",
                "[S]\nP=${NONE}\n",
                "a.cfg:2: [Server] Port=${NONE}: ",
            ),
            ("[AsyncActions]\n0=${NONE}\n", "", "t:2: [AsyncActions] 0=${NONE}: "),
            ("[Process]\nType=${NONE}\n", "", "t:2: [Process] Type=${NONE}: "),
            (
                "[Process]\nType=Command\nCommand=true\nEnvironment0=A=1\nEnvironment1=B=${NONE}\n",
                "",
                "t:5: [Process] Environment1=B=***: ",
            ),
        ] {
            let error = parse(text, other).unwrap_err();
            let first = error.lines().next().unwrap_or_default();
            assert!(first.starts_with(&format!("{want}{no}")), "{text}: {error}");
            assert_eq!(error.matches("NONE: ").count(), 1, "{error}");
        }
        // Keys of other servers may hold anything.
        let parsed = parse("[Server]\nQueryCaches=${NONE}\n[Other]\nA=${NONE}\n", "").unwrap();
        assert_eq!(parsed.warnings.len(), 2);
    }

    #[test]
    fn what_is_printed_means_the_same() {
        let parsed =
            parse("[Paths]\nDataDirectory=./$${PORT}/${DEEP}/${PORT}/${{x}}\n", "").unwrap();
        let printed = parsed.in_force.print();
        assert!(
            printed.contains("\nDataDirectory=./$${PORT}/$${PORT}/7011/$${{x}}\n"),
            "{printed}"
        );
        let again = parse(&printed, "").unwrap().settings;
        assert_eq!(again.paths, parsed.settings.paths);
    }

    proptest! {
        #[test]
        fn an_escaped_value_is_the_value(value in "[${}A-Z:a-]{0,20}") {
            let escaped = escape(&value);
            prop_assert_eq!(expand(&escaped, &|_| None), Ok(value.trim().to_owned()));
        }
    }
}
