//! What went wrong at another server, as far as it matters here.

use crate::aci::client::{Fault, Refusal};

/// Beginning of the error ids of an actiond.
const OURS: &str = "ACTIOND";

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It did not answer, or not as a server does that works. `maybe` is true if it may have done what it was asked, `lasts` if
    /// waiting alone will not help: it is no ACI server, or does not let this one in.
    Away { why: String, maybe: bool, lasts: bool },
    /// It takes nothing now, and did nothing.
    Busy(String),
    /// It said no, and will do so again.
    Refused(String),
    /// It said no for a reason that may pass.
    Failed(String),
    /// It does not know the action.
    Unknown,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// To take an action.
    Submit,
    /// About an action, by its token.
    Token,
    /// Anything else.
    Other,
}

impl Trouble {
    pub(super) fn of(fault: Fault, asked: Asked) -> Self {
        let lasts = lasts(&fault);
        let away = |why: String, maybe| Self::Away { why, maybe, lasts };
        match fault {
            Fault::NotConnected(_) => away(fault.to_string(), false),
            Fault::Status(status) if status < 500 => away(fault.to_string(), false),
            Fault::Refused(refusal) => Self::of_refusal(&refusal, asked),
            Fault::Lacks("the action") => Self::Unknown,
            // It did it, or has it, and says so in a way that can't be read.
            Fault::Lacks(_) if asked == Asked::Submit => {
                Self::Refused(format!("{fault}: the action there may not be one that is queued"))
            }
            Fault::TooLong(_) if asked == Asked::Token => Self::Refused(fault.to_string()),
            Fault::TooLong(_) if asked == Asked::Other => Self::Failed(fault.to_string()),
            _ => away(fault.to_string(), true),
        }
    }

    fn of_refusal(refusal: &Refusal, asked: Asked) -> Self {
        let text = refusal.to_string();
        let is_of_parameter = refusal.code.starts_with("ERRORPARAM");
        match refusal.code.as_str() {
            "ERRORQUEUEFULL" => Self::Busy(text),
            // What may have been taken is told apart from what surely was not by the words of a shutdown alone.
            "ERRORUNAVAILABLE" if text.contains("takes no new actions") => Self::Busy(text),
            "ERRORUNAVAILABLE" => Self::Away { why: text, maybe: true, lasts: false },
            _ if is_of_parameter && asked == Asked::Token => Self::Unknown,
            _ if is_of_parameter || refusal.code == "ERRORNOTIMPLEMENTED" => Self::Refused(text),
            _ => Self::Failed(text),
        }
    }

    /// Returns the words for it.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Away { why, .. } => why,
            Self::Busy(text) | Self::Refused(text) | Self::Failed(text) => text,
            Self::Unknown => "it does not know the action any more",
        }
    }
}

/// Beginnings of what is said of a connection to something that is not what it was taken for.
const OTHER_THAN_THOUGHT: [&str; 4] = [
    "invalid peer certificate",
    "received corrupt message",
    "received fatal alert",
    "invalid HTTP",
];

/// Tells whether waiting alone will not help.
fn lasts(fault: &Fault) -> bool {
    match fault {
        // It asks for patience.
        Fault::Status(408 | 425 | 429) => false,
        Fault::Status(status) => *status < 500,
        Fault::NotAci(_) => true,
        Fault::NotConnected(why) | Fault::Unreachable(why) => {
            OTHER_THAN_THOUGHT.iter().any(|beginning| why.starts_with(beginning))
        }
        _ => false,
    }
}

/// Tells whether a refusal is one of an actiond.
pub(super) fn is_ours(fault: &Fault) -> bool {
    matches!(fault, Fault::Refused(refusal) if refusal.id.starts_with(OURS))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn refused(code: &str, description: &str) -> Fault {
        Fault::Refused(Box::new(Refusal {
            code: code.to_owned(),
            description: description.to_owned(),
            ..Refusal::default()
        }))
    }

    #[test]
    fn what_may_have_been_done_is_told_apart() {
        let maybe = |fault| match Trouble::of(fault, Asked::Submit) {
            Trouble::Away { maybe, .. } => Some(maybe),
            _ => None,
        };
        let text = || "x".to_owned();
        for (fault, expected) in [
            (Fault::NotConnected(text()), Some(false)),
            (Fault::Unreachable(text()), Some(true)),
            (Fault::TimedOut(Duration::from_secs(1)), Some(true)),
            (Fault::Status(404), Some(false)),
            (Fault::Status(503), Some(true)),
            (Fault::NotAci(text()), Some(true)),
            (Fault::TooLong(1), Some(true)),
            (Fault::Lacks("a token"), None),
            (refused("ERRORUNAVAILABLE", "Not available now: the disk."), Some(true)),
            (
                refused("ERRORUNAVAILABLE", "the server is shutting down and takes no new actions"),
                None,
            ),
            (refused("ERRORQUEUEFULL", ""), None),
        ] {
            assert_eq!(maybe(fault.clone()), expected, "{fault:?}");
        }
    }

    #[test]
    fn what_waiting_does_not_mend_is_told_apart() {
        let text = |text: &str| text.to_owned();
        for (fault, expected) in [
            (Fault::NotConnected(text("Connection refused (os error 111)")), false),
            (Fault::NotConnected(text("invalid peer certificate: UnknownIssuer")), true),
            (Fault::Unreachable(text("invalid HTTP version parsed")), true),
            (Fault::Unreachable(text("connection reset")), false),
            (Fault::Status(301), true),
            (Fault::Status(401), true),
            (Fault::Status(404), true),
            (Fault::Status(429), false),
            (Fault::Status(500), false),
            (Fault::Status(503), false),
            (Fault::NotAci(text("<html>")), true),
            (Fault::TimedOut(Duration::from_secs(1)), false),
        ] {
            let trouble = Trouble::of(fault.clone(), Asked::Other);
            let is_so = matches!(trouble, Trouble::Away { lasts, .. } if lasts == expected);
            assert!(is_so, "{fault:?}: {trouble:?}");
        }
    }

    #[test]
    fn refusals_are_final_where_another_try_would_be_refused_too() {
        let of = |code, asked| Trouble::of(refused(code, "no"), asked);
        let no = || "no".to_owned();
        for code in ["ERRORPARAMINVALID", "ERRORPARAMMISSING", "ERRORNOTIMPLEMENTED"] {
            assert_eq!(of(code, Asked::Submit), Trouble::Refused(no()), "{code}");
        }
        assert_eq!(of("ERRORPERMISSION", Asked::Submit), Trouble::Failed(no()));
        assert_eq!(of("", Asked::Submit), Trouble::Failed(no()));
        assert_eq!(of("ERRORPARAMINVALID", Asked::Token), Trouble::Unknown);
        assert_eq!(of("ERRORQUEUEFULL", Asked::Submit), Trouble::Busy(no()));
    }
}
