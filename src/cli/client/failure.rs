//! The errors of a client's commands: what happened, and what to do about it.

use super::exit::Exit;
use crate::aci::client::{ClientError, Fault, Refusal};

/// The number of the error by which a server says that a caller may not do something.
const NOT_ALLOWED: u32 = 504;

/// The number of the error for an action that the server does not know.
const NO_SUCH_ACTION: u32 = 1;

/// A command that failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server, or the way to it.
    Client(ClientError),
    /// A command line that can't be used, in a way that clap can't see.
    Usage(String),
    /// Something of this machine, such as a file.
    Local(String),
    /// Nobody was there to say yes.
    Unasked(String),
    /// The user said no.
    Declined,
    /// Whoever read the output has seen enough.
    Closed,
    /// The server lacks something that is needed; this says what.
    Lacking(String),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl Failure {
    /// Tells the user of it, and returns the exit code.
    #[expect(clippy::print_stderr, reason = "what a command has to say beside its result")]
    pub(super) fn tell(&self) -> Exit {
        if let Some((text, hint)) = self.words() {
            eprintln!("error: {text}");
            if let Some(hint) = hint {
                eprintln!("  {hint}");
            }
        }
        self.exit()
    }

    const fn exit(&self) -> Exit {
        match self {
            Self::Client(ClientError { fault, .. }) => match fault {
                Fault::Refused(_) | Fault::Status(401 | 403 | 429) => Exit::Refused,
                Fault::NotConnected(_) | Fault::Unreachable(_) | Fault::TimedOut(_) => {
                    Exit::Unreachable
                }
                Fault::Status(502..=504) => Exit::Unreachable,
                Fault::NotAci(_) | Fault::Status(_) | Fault::Lacks(_) => Exit::NotAci,
                _ => Exit::Failed,
            },
            Self::Usage(_) | Self::Unasked(_) => Exit::Usage,
            Self::Local(_) | Self::Declined => Exit::Failed,
            Self::Closed => Exit::Success,
            Self::Lacking(_) => Exit::NotAci,
        }
    }

    /// Returns the words for it, and for what to do; nothing where there is nothing to say.
    pub(super) fn words(&self) -> Option<(String, Option<&'static str>)> {
        match self {
            Self::Client(error) => Some(of_client(error)),
            Self::Usage(text) | Self::Local(text) | Self::Lacking(text) => {
                Some((text.clone(), None))
            }
            Self::Unasked(what) => {
                Some((format!("{what}: there is no terminal to ask"), Some("--yes says yes")))
            }
            Self::Declined => Some(("nothing was done".to_owned(), None)),
            Self::Closed => None,
        }
    }
}

const USE_KEY: &str = "Who you are is said by --key-file FILE, ACTIOND_KEY or --key KEY; docs/security.md says who may do what.";

fn of_client(ClientError { server, fault }: &ClientError) -> (String, Option<&'static str>) {
    match fault {
        Fault::NotConnected(why) => (
            format!("no connection to {server}: {}", super::show::line(why)),
            Some(match why {
                why if why.contains("InvalidContentType") || why.contains("corrupt message") => {
                    "That port does not speak TLS, it seems: try http:// in --server."
                }
                why if why.contains("certificate") => {
                    "Its certificate is not trusted. --ca FILE names the one of its authority."
                }
                _ => {
                    "Is the server running there? --server URL or ACTIOND_SERVER names another one."
                }
            }),
        ),
        Fault::Unreachable(why) => (
            format!(
                "the connection to {server} broke before the answer was whole: {}",
                super::show::line(why)
            ),
            Some(
                "It may have done what it was asked: look at `actiond list` before you ask again.",
            ),
        ),
        Fault::TimedOut(patience) => (
            format!("{server} did not answer within {} s", patience.as_secs_f64()),
            Some("It may have done what it was asked. --timeout SECONDS has more patience."),
        ),
        Fault::Refused(refusal) => of_refusal(server, refusal),
        Fault::Status(401 | 403) => (format!("{server} does not allow it"), Some(USE_KEY)),
        Fault::Status(429) => (
            format!("{server} takes no more requests of this client now"),
            Some("Try again later."),
        ),
        Fault::Status(400) => (
            format!("{server} did not understand the request, HTTP status 400"),
            Some("Does that port speak TLS? Then write https:// in --server."),
        ),
        Fault::Status(status) => (
            format!("{server} answered with HTTP status {status}, as no ACI server does"),
            Some("Is that the address of an ACI port? --server URL names another one."),
        ),
        Fault::NotAci(answer) => (
            format!("{server} did not answer as an ACI server: {}", super::show::line(answer)),
            Some("Is that the address of an ACI port? --server URL names another one."),
        ),
        other => (format!("{server}: {}", super::show::line(&other.to_string())), None),
    }
}

fn of_refusal(server: &str, refusal: &Refusal) -> (String, Option<&'static str>) {
    let id = match refusal.id.as_str() {
        "" => String::new(),
        id => format!(" ({})", super::show::line(id)),
    };
    let why = super::show::line(&refusal.to_string()).into_owned();
    match refusal.number {
        Some(NOT_ALLOWED) => (format!("{server} does not allow it: {why}{id}"), Some(USE_KEY)),
        Some(NO_SUCH_ACTION) => (
            format!("{server} refused: {why}{id}"),
            Some("`actiond send Help` lists the actions that it knows."),
        ),
        _ => (format!("{server} refused: {why}{id}"), None),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn client(fault: Fault) -> Failure {
        Failure::Client(ClientError { server: "host:7000".to_owned(), fault })
    }

    fn refused(number: u32) -> Failure {
        let refusal = Refusal {
            number: Some(number),
            id: format!("X{number}"),
            description: "why\u{1b}[2J".to_owned(),
            ..Refusal::default()
        };
        client(Fault::Refused(Box::new(refusal)))
    }

    #[test]
    fn each_failure_says_what_happened_and_what_to_do() {
        let text = ToOwned::to_owned;
        let table = [
            (
                client(Fault::NotConnected(text("refused"))),
                7,
                "no connection to host:7000",
                "running",
            ),
            (
                client(Fault::NotConnected(text("invalid peer certificate"))),
                7,
                "certificate",
                "--ca",
            ),
            (client(Fault::NotConnected(text("corrupt message"))), 7, "no connection", "http://"),
            (client(Fault::Unreachable(text("reset"))), 7, "broke", "list"),
            (client(Fault::TimedOut(Duration::from_secs(3))), 7, "within 3 s", "--timeout"),
            (client(Fault::Status(401)), 6, "does not allow", "--key-file"),
            (client(Fault::Status(400)), 8, "400", "https://"),
            (client(Fault::Status(404)), 8, "404", "--server"),
            (client(Fault::Status(503)), 7, "503", "--server"),
            (client(Fault::NotAci(text("<html>"))), 8, "<html>", "--server"),
            (client(Fault::Lacks("a token")), 8, "a token", ""),
            (refused(504), 6, "does not allow it: why\\u{1b}[2J (X504)", "--key-file"),
            (refused(1), 6, "refused: why", "Help"),
            (refused(502), 6, "refused: why", ""),
            (Failure::Unasked(text("delete 3")), 2, "delete 3", "--yes"),
            (Failure::Usage(text("no")), 2, "no", ""),
            (Failure::Local(text("no file")), 1, "no file", ""),
            (Failure::Declined, 1, "nothing was done", ""),
        ];
        for (failure, code, said, hint) in table {
            let (words, hinted) = failure.words().unwrap();
            assert!(words.contains(said), "{words}: {said}");
            assert!(hinted.unwrap_or_default().contains(hint), "{words}: {hinted:?}");
            assert_eq!(hinted.is_some(), !hint.is_empty(), "{words}");
            assert_eq!(failure.exit() as u8, code, "{words}");
        }
    }
}
