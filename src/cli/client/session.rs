//! The things that each command works with: the client, and the places where output goes.

use std::io::{self, IsTerminal as _, Write as _};

use super::args::FormArgs;
use super::connection::ConnectionArgs;
use super::failure::Failure;
use super::show;
use crate::aci::client::Client;
use crate::aci::element::Element;
use crate::aci::json::{JsonStyle, write_members};

/// A command's client and its output.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: Client,
}

/// The form in which a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For people.
    Text,
    /// JSON with the names of `ResponseFormat=simplejson`.
    Json,
    /// XML.
    Xml,
}

impl From<FormArgs> for Form {
    fn from(args: FormArgs) -> Self {
        match args {
            FormArgs { json: true, .. } => Self::Json,
            FormArgs { xml: true, .. } => Self::Xml,
            FormArgs { .. } => Self::Text,
        }
    }
}

impl Session {
    /// Begins a command; `queue` is the one of tokens that name none.
    pub(super) fn new(connection: &ConnectionArgs, queue: Option<&str>) -> Result<Self, Failure> {
        let client = connection.client()?;
        let client = queue.map(|queue| client.for_queue(queue)).unwrap_or(client);
        Ok(Self { client })
    }
}

/// Prints text as a result. Colours are left out where it is no terminal, or with `NO_COLOR`.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| {
        match error.kind() {
            // Such as `head`, which has seen enough.
            io::ErrorKind::BrokenPipe => Failure::Closed,
            _ => Failure::Local(format!("the standard output can't be written: {error}")),
        }
    })
}

/// Says something beside the result.
pub(super) fn say(text: &str) {
    // Nobody listens any more.
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Returns true if there is somebody to ask: answers come in and questions go out by a terminal.
pub(super) fn has_user() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Returns true if the result goes to a terminal.
pub(super) fn shows_to_user() -> bool {
    io::stdout().is_terminal()
}

/// Prints elements in a form. In JSON they are the members of one object.
pub(super) fn print_elements(
    parent: &str,
    elements: &[Element],
    form: Form,
) -> Result<(), Failure> {
    print(&match form {
        Form::Text => show::tree(elements),
        Form::Json => format!("{}\n", json(parent, elements)),
        Form::Xml => format!("{}\n", xml(Element::new("responsedata").children(elements.to_vec()))),
    })
}

/// Writes the children of an element of this name as a JSON object in one line.
pub(super) fn json(parent: &str, children: &[Element]) -> String {
    let mut out = vec![b'{'];
    write_members(parent, children, JsonStyle::Simple, &mut out);
    out.push(b'}');
    String::from_utf8(out).unwrap_or_default()
}

/// Writes an element as XML in one line.
pub(super) fn xml(element: Element) -> String {
    let mut out = Vec::new();
    element.write_xml(&mut out);
    String::from_utf8(out).unwrap_or_default()
}
