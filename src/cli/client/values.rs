//! Parameters of an action on the command line: `Name=Value`, where a value may be a file or the standard input.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use super::connection::unread;
use super::failure::Failure;
use crate::aci::request::{PairValue, Pairs};

/// Number of bytes up to which the content of a file is sent as text of a form. What is longer is a part of a multipart body,
/// which takes it as it is, while a form can make three bytes of one.
const SHORT: usize = 16 << 10;

/// Origin of a value.
#[derive(Debug, PartialEq, Eq)]
enum Source<'a> {
    /// The argument itself.
    Text(&'a str),
    /// The content of a file.
    File(&'a str),
    /// The standard input.
    Stdin,
}

/// Reads parameters, with the files that they name.
pub(super) fn read(arguments: &[String]) -> Result<Pairs, Failure> {
    let split = arguments.iter().map(|argument| split(argument)).collect::<Result<Vec<_>, _>>();
    let split = split.map_err(Failure::Usage)?;
    let stdins = split.iter().filter(|(_, source)| *source == Source::Stdin).count();
    if stdins > 1 {
        let why = "only one parameter can be @-: there is one standard input";
        return Err(Failure::Usage(why.to_owned()));
    }
    let mut pairs = Pairs::default();
    for (name, source) in split {
        pairs.push(name, value(&source)?);
    }
    Ok(pairs)
}

fn value(source: &Source<'_>) -> Result<PairValue, Failure> {
    Ok(match source {
        Source::Text(text) => PairValue::Text((*text).to_owned()),
        Source::File(name) => {
            let file = Path::new(name);
            sent(fs::read(file).map_err(|error| unread(file, &error))?)
        }
        Source::Stdin => {
            let mut content = Vec::new();
            let read = io::stdin().lock().read_to_end(&mut content);
            read.map_err(|error| {
                Failure::Local(format!("the standard input can't be read: {error}"))
            })?;
            sent(content)
        }
    })
}

/// Decides how the content of a file is sent.
fn sent(content: Vec<u8>) -> PairValue {
    if content.len() > SHORT {
        return PairValue::Bytes(content);
    }
    match String::from_utf8(content) {
        Ok(text) => PairValue::Text(text),
        Err(error) => PairValue::Bytes(error.into_bytes()),
    }
}

/// Splits an argument at its first `=`. `@FILE` names a file, `@-` the standard input, and `@@` begins a value with one `@`.
fn split(argument: &str) -> Result<(&str, Source<'_>), String> {
    let (name, value) =
        argument.split_once('=').filter(|(name, _)| !name.trim().is_empty()).ok_or_else(|| {
            format!("'{}' is no parameter: write Name=Value", super::show::cut(argument, 100))
        })?;
    let source = match value.strip_prefix('@') {
        None => Source::Text(value),
        Some("-") => Source::Stdin,
        Some("") => return Err(format!("{name}=@ names no file; {name}=@@ is the value @")),
        // The first of the two marks the second as text.
        Some(rest) if rest.starts_with('@') => Source::Text(rest),
        Some(file) => Source::File(file),
    };
    Ok((name, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_split() {
        let good = [
            ("Name=Ada", ("Name", Source::Text("Ada"))),
            ("Name=", ("Name", Source::Text(""))),
            ("a=b=c", ("a", Source::Text("b=c"))),
            ("adds=@docs.xml", ("adds", Source::File("docs.xml"))),
            ("adds=@-", ("adds", Source::Stdin)),
            ("to=@@ada", ("to", Source::Text("@ada"))),
            ("to=@@@x", ("to", Source::Text("@@x"))),
            ("to=a@b", ("to", Source::Text("a@b"))),
        ];
        for (argument, want) in good {
            assert_eq!(split(argument), Ok(want), "{argument}");
        }
        for bad in ["Name", "=x", "", "a=@"] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn content_is_text_while_it_is_short() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = directory.path().join(name);
            fs::write(&path, content).unwrap();
            format!("x=@{}", path.display())
        };
        let short = file("short", "<a/>\n".as_bytes());
        let binary = file("binary", &[0xFF]);
        let long = file("long", &vec![b'a'; SHORT + 1]);
        let pairs = read(&[short, binary, long]).unwrap();
        let values: Vec<_> = pairs.iter().map(|(_, value)| value.clone()).collect();
        assert_eq!(values[0], PairValue::Text("<a/>\n".to_owned()));
        assert_eq!(values[1], PairValue::Bytes(vec![0xFF]));
        assert_eq!(values[2], PairValue::Bytes(vec![b'a'; SHORT + 1]));
        let missing = read(&["x=@/no/such/file".to_owned()]);
        assert!(matches!(missing, Err(Failure::Local(text)) if text.contains("/no/such/file")));
        let twice = read(&["x=@-".to_owned(), "y=@-".to_owned()]);
        assert!(matches!(twice, Err(Failure::Usage(_))));
    }
}
