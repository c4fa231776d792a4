//! The command line of a queue: words with places for the values of parameters.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use actiond_actors::{Parameters, Value};

use crate::kinds::shorten;

/// The longest argument that Linux takes, in bytes: 128 KB with the zero behind it.
const MAX_ARGUMENT: usize = 131_071;

/// A command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    /// The program, without places.
    pub(super) program: String,
    words: Vec<Vec<Piece>>,
    /// The parameters that it takes, in the order in which they are named first.
    pub(super) takes: Vec<Taken>,
}

/// A part of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The value of the parameter with this index.
    Value(usize),
}

/// A parameter that a command takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) name: String,
    pub(super) without: Without,
}

/// What becomes of the place of a parameter that was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Without {
    /// The action is refused.
    Refused,
    /// Nothing stands there; a word that is only that is left out.
    LeftOut,
    /// This text stands there.
    Default(String),
}

impl Template {
    /// Makes a command line in place of one that can't be read.
    pub(super) const fn nothing() -> Self {
        Self { program: String::new(), words: Vec::new(), takes: Vec::new() }
    }

    /// Reads a command line.
    ///
    /// # Errors
    ///
    /// The text says what is wrong with it, and what is allowed; it can follow the name of a key.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let words = shell_words::split(text)
            .map_err(|_| "has a quote that is not closed: each ' and \" must have a second one")?;
        let mut template = Self::nothing();
        let mut words = words.iter();
        let Some(program) = words.next().filter(|program| !program.is_empty()) else {
            return Err("names no program: it must be a program and its arguments".to_owned());
        };
        let pieces = template.word(program)?;
        match &pieces[..] {
            [Piece::Text(program)] => template.program.clone_from(program),
            _ => {
                return Err(
                    "lets a parameter name the program: the first word must have none".to_owned()
                );
            }
        }
        for word in words {
            let pieces = template.word(word)?;
            template.words.push(pieces);
        }
        Ok(template)
    }

    /// Reads the places in a word.
    fn word(&mut self, word: &str) -> Result<Vec<Piece>, String> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = word;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            text.push_str(before);
            if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
                text.push_str(from.get(..1).unwrap_or_default());
                rest = after;
            } else if let Some(after) = from.strip_prefix('}') {
                text.push('}');
                rest = after;
            } else {
                let (place, after) = from.split_once('}').ok_or_else(|| {
                    format!(
                        "has a {{ without its }} in the word {:?}: a parameter is {{Name}}, {{Name?}} or {{Name:default}}, \
                         in quotes if it holds spaces, and {{{{ is a brace",
                        shorten(word)
                    )
                })?;
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(Piece::Value(self.place(place.get(1..).unwrap_or_default())?));
                rest = after;
            }
        }
        text.push_str(rest);
        if !text.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(pieces)
    }

    /// Reads what stands between two braces; returns the index of the parameter.
    fn place(&mut self, place: &str) -> Result<usize, String> {
        let (name, without) = match (place.split_once(':'), place.strip_suffix('?')) {
            (Some((name, default)), _) => (name, Without::Default(default.to_owned())),
            (None, Some(name)) => (name, Without::LeftOut),
            (None, None) => (place, Without::Refused),
        };
        let may_be = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || !name.chars().all(may_be) {
            return Err(format!(
                "has {{{}}}, which names no parameter: a name is made of letters, digits, `_`, `-` and `.`; {{{{ is a brace",
                shorten(place)
            ));
        }
        if name.eq_ignore_ascii_case("action") {
            return Err(format!(
                "has {{{}}}, which is the name of the queue in every request: choose another",
                shorten(place)
            ));
        }
        if let Some(known) =
            self.takes.iter().position(|taken| taken.name.eq_ignore_ascii_case(name))
        {
            if self.takes.get(known).is_some_and(|taken| taken.without != without) {
                return Err(format!(
                    "has the parameter {} in two forms: {{Name}}, {{Name?}} and {{Name:default}} differ in what holds \
                     without it, so each place must have the same",
                    shorten(name)
                ));
            }
            return Ok(known);
        }
        self.takes.push(Taken { name: name.to_owned(), without });
        Ok(self.takes.len() - 1)
    }

    /// Makes the arguments of an action.
    ///
    /// # Errors
    ///
    /// The text says why the program can't be given these parameters.
    pub(super) fn arguments(&self, given: &Parameters) -> Result<Vec<OsString>, String> {
        let values: Vec<_> =
            self.takes.iter().map(|taken| taken.value(given)).collect::<Result<_, _>>()?;
        let value = |index: usize| values.get(index).copied().flatten();
        let mut arguments = Vec::with_capacity(self.words.len());
        for word in &self.words {
            if let [Piece::Value(index)] = word[..]
                && value(index).is_none()
            {
                continue;
            }
            let mut argument = Vec::new();
            for piece in word {
                argument.extend_from_slice(match piece {
                    Piece::Text(text) => text.as_bytes(),
                    Piece::Value(index) => value(*index).unwrap_or_default(),
                });
            }
            if argument.len() > MAX_ARGUMENT {
                return Err(self.too_long(word, argument.len()));
            }
            arguments.push(OsStr::from_bytes(&argument).to_owned());
        }
        Ok(arguments)
    }

    fn too_long(&self, word: &[Piece], length: usize) -> String {
        let names = word.iter().filter_map(|piece| match piece {
            Piece::Value(index) => self.takes.get(*index).map(|taken| taken.name.as_str()),
            Piece::Text(_) => None,
        });
        let names: Vec<_> = names.collect();
        format!(
            "the argument with the parameter {} has {length} bytes, and a program takes {MAX_ARGUMENT}; it gets all parameters on \
             its standard input, too",
            names.join(" and ")
        )
    }
}

impl Taken {
    /// Returns the bytes that stand in its place; `None` for nothing.
    fn value<'a>(&'a self, given: &'a Parameters) -> Result<Option<&'a [u8]>, String> {
        let name = &self.name;
        match (given.get_value(name).map(Value::as_bytes), &self.without) {
            // An action may have been queued when the command was another one.
            (Some(value), _) if value.contains(&0) => {
                Err(format!("the parameter {name} holds a NUL byte, which no argument can"))
            }
            (Some(value), _) => Ok(Some(value)),
            (None, Without::LeftOut) => Ok(None),
            (None, Without::Default(text)) => Ok(Some(text.as_bytes())),
            (None, Without::Refused) => Err(format!("the parameter {name} is missing")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(command: &str, given: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let template = Template::parse(command).unwrap();
        let arguments = template.arguments(&Parameters::from_iter(given.iter().copied()))?;
        Ok(arguments.into_iter().map(|a| a.into_string().unwrap()).collect())
    }

    #[test]
    fn values_take_their_places() {
        type Row = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);
        let table: &[Row] = &[
            ("p", &[], &[]),
            ("p a 'b c' \"d\"", &[], &["a", "b c", "d"]),
            ("p {A}", &[("a", "x y; $(z) \" ' * \\ \n -")], &["x y; $(z) \" ' * \\ \n -"]),
            ("p {A}", &[("A", "")], &[""]),
            ("p {A}", &[("A", "1"), ("a", "2")], &["2"]),
            ("p x{A}y{B}z", &[("A", "1"), ("B", "2")], &["x1y2z"]),
            ("p {A}{A}", &[("A", "{B}")], &["{B}{B}"]),
            ("p {A?} b", &[], &["b"]),
            ("p {A?} b", &[("A", "")], &["", "b"]),
            ("p -x{A?}", &[], &["-x"]),
            ("p {A?}{B?}", &[], &[""]),
            ("p {A:1} {A:1}", &[], &["1", "1"]),
            ("p {A:1}", &[("A", "2")], &["2"]),
            ("p {A:} '{B:a b}' {C:x:y?}", &[], &["", "a b", "x:y?"]),
            ("p {{ }} {{A}} a}b {{{A}}}", &[("A", "1")], &["{", "}", "{A}", "a}b", "{1}"]),
            ("p '' \"\"", &[], &["", ""]),
            ("p $HOME `x` ~ *", &[], &["$HOME", "`x`", "~", "*"]),
            ("p {größe} {a.b-c_d}", &[("größe", "1"), ("A.B-C_D", "2")], &["1", "2"]),
        ];
        for (command, given, expected) in table {
            assert_eq!(filled(command, given).unwrap(), *expected, "{command}");
        }
        assert_eq!(Template::parse("'my {{program}}' a").unwrap().program, "my {program}");
    }

    #[test]
    fn bad_command_lines_say_what_is_allowed() {
        for (command, words) in [
            ("", "names no program"),
            ("# only a comment", "names no program"),
            ("'' a", "names no program"),
            ("p 'a", "a quote that is not closed"),
            ("p {A", "a { without its } in the word \"{A\""),
            ("p {A:b c}", "in quotes if it holds spaces"),
            ("p {}", "{} , which names no parameter"),
            ("p {?}", "names no parameter"),
            ("p {:x}", "names no parameter"),
            ("p {a b}", "without its }"),
            ("p '{a b}'", "names no parameter"),
            ("p {Action?}", "the name of the queue in every request"),
            ("p {A} {a?}", "the parameter a in two forms"),
            ("p {A:1} {A:2}", "the parameter A in two forms"),
            ("{A} b", "lets a parameter name the program"),
            ("/bin/{A:x} b", "lets a parameter name the program"),
        ] {
            let error = Template::parse(command).unwrap_err();
            assert!(error.contains(&words.replace("{} ,", "{},")), "{command}: {error}");
        }
    }

    #[test]
    fn what_no_program_can_get_is_refused() {
        let template = Template::parse("p {A} x{B?}").unwrap();
        let refused = |given: &[(&str, Value)]| {
            template.arguments(&Parameters::from_iter(given.iter().cloned())).unwrap_err()
        };
        assert_eq!(refused(&[]), "the parameter A is missing");
        let nul = refused(&[("A", Value::from("a\0b"))]);
        assert_eq!(nul, "the parameter A holds a NUL byte, which no argument can");
        let long = "x".repeat(MAX_ARGUMENT);
        let error = refused(&[("A", Value::from("a")), ("B", Value::from(long.as_str()))]);
        assert!(error.starts_with("the argument with the parameter B has 131072 bytes"), "{error}");
        let whole = Parameters::from_iter([("A", long.as_str())]);
        assert_eq!(template.arguments(&whole).unwrap()[0].len(), MAX_ARGUMENT);
        let bytes = Parameters::from_iter([("A", Value::Bytes(vec![0xFF, b' ']))]);
        assert_eq!(template.arguments(&bytes).unwrap()[0].as_bytes(), [0xFF, b' ']);
    }

    proptest! {
        #[test]
        fn a_value_is_one_argument_whatever_it_holds(value in "[^\\x00]{0,200}", other in "[^\\x00]{0,20}") {
            let given = [("In", value.as_str()), ("Out", other.as_str())];
            let got = filled("p {In} -o{Out} {In}", &given).unwrap();
            prop_assert_eq!(got, [value.clone(), format!("-o{other}"), value]);
        }

        #[test]
        fn no_command_line_makes_it_panic(text in "[ -~]{0,60}|\\PC{0,60}") {
            if let Ok(template) = Template::parse(&text) {
                let _ = template.arguments(&Parameters::default());
            }
        }
    }
}
