//! The lines of a request, as other ACI servers write them (observed).

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actiond_actors::Subject;

use super::level::Level;
use super::line::{About, Line};
use super::routes::ACTION;
use super::{ACTION_TYPE, Streams};

/// Largest number of bytes of a client's own id of its request.
const MAX_ACTION_ID: usize = 100;
const TARGET: &str = "actiond::requests";

impl Streams {
    /// Writes the first lines of a request, with the text of what it asks for, and returns the subject of all further lines about
    /// it; `None` if there is no stream. `action_id` is the client's own id of it.
    pub(crate) fn begin_request(
        &self,
        action_id: Option<&str>,
        client: Option<IpAddr>,
        text: &str,
    ) -> Option<Arc<Subject>> {
        if !self.is_open() {
            return None;
        }
        let id: Arc<str> = match action_id {
            Some(id) => id.get(..id.floor_char_boundary(MAX_ACTION_ID)).unwrap_or_default().into(),
            None => generated().into(),
        };
        let subject = Arc::new(Subject::of_request(id, client));
        let about = self.about(&subject);
        let text = text.trim_start_matches(['/', '?']);
        let (client, id) = (ShownClient(client), about.action_id.unwrap_or_default());
        let from = format_args!("Request from {client}");
        let what = format_args!("{text} ({client})");
        let given = format_args!("Generated ActionId {id}");
        let [from, what, given] =
            [from, what, given].map(|message| line(Level::Always, message, about));
        match action_id {
            Some(_) => self.log_request(&[from, what]),
            None => self.log_request(&[from, what, given]),
        }
        Some(subject)
    }

    /// Writes the last lines of a request: its outcome, and the time that it took.
    pub(crate) fn end_request(
        &self,
        subject: &Subject,
        outcome: RequestOutcome<'_>,
        took: Duration,
    ) {
        let about = self.about(subject);
        let millis = took.as_millis();
        let (level, outcome) = match outcome {
            RequestOutcome::Success => (Level::Normal, "Success"),
            RequestOutcome::Error(text) => (Level::Warning, text),
            RequestOutcome::Gone => (Level::Normal, "The client has gone"),
        };
        let outcome = format_args!("{outcome}");
        let end = format_args!("Request completed in {millis} ms.");
        let lines = [line(level, outcome, about), line(Level::Normal, end, about)];
        self.log_request(&lines);
    }

    fn log_request(&self, lines: &[Line<'_>]) {
        let open = self.0.open.load();
        if open.routes.taken & ACTION != 0 {
            let echo = self.put(&open, ACTION, lines);
            self.echo(echo, lines);
        }
    }
}

/// The words for the sender of a request.
struct ShownClient(Option<IpAddr>);

impl fmt::Display for ShownClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => write!(f, "{address}"),
            None => f.write_str("a local socket"),
        }
    }
}

/// The outcome of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RequestOutcome<'a> {
    Success,
    /// It was refused, or failed, for this reason.
    Error(&'a str),
    Gone,
}

const fn line<'a>(level: Level, message: fmt::Arguments<'a>, about: About<'a>) -> Line<'a> {
    Line { level, kind: ACTION_TYPE, target: TARGET, message, about }
}

/// Makes an id by which lines are found that belong together: 40 hexadecimal digits, as other servers make them (observed). It is
/// no secret.
fn generated() -> String {
    format!("{:032x}{:08x}", fastrand::u128(..), fastrand::u32(..))
}
