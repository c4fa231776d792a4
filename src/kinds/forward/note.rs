//! What is kept durably of an attempt, and the key under which it is sent: plain data.
//!
//! A key is random, and kept before anything is sent under it. It goes with the action in a parameter, so that it can be found
//! again in the queue of the other server. It also tells the way that the action has taken, so that a loop is noticed.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// Beginning of each key.
const PREFIX: &str = "actiond-forward";

/// Number of servers through which an action may go.
pub(super) const MOST_HOPS: usize = 8;

/// What is kept with an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// The server, as the configuration names it; missing once it is known that no server has the action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<String>,
    /// Time just before it was sent, in milliseconds since 1970, by the clock of this server.
    #[serde(default)]
    pub(super) since: i64,
    /// The key under which it is sent.
    #[serde(default)]
    pub(super) key: String,
    /// The token there, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<String>,
}

impl Note {
    /// Returns the note of an attempt that no server has.
    pub(super) const fn nowhere() -> Self {
        Self { to: None, since: 0, key: String::new(), token: None }
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(super) fn write(&self) -> String {
        // Texts and numbers can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The name of this run of the server in keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sender(String);

impl Sender {
    pub(super) fn random() -> Self {
        Self(random(8))
    }
}

/// Way of an action through servers that forward, as a key tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Way(Vec<String>);

impl Way {
    /// Reads the way from one of the parameters in which a key may stand.
    pub(super) fn read<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let way = |value: &str| {
            let mut parts = value.split('/');
            let is_key = parts.next() == Some(PREFIX);
            let way = parts.next().filter(|_| is_key)?;
            Some(way.split('.').map(ToOwned::to_owned).collect())
        };
        Self(values.into_iter().find_map(way).unwrap_or_default())
    }

    /// Returns the reason for which an action that came this way may not be sent on.
    pub(super) fn refusal(&self, sender: &Sender) -> Option<String> {
        if self.0.contains(&sender.0) {
            return Some(
                "it came back to the server that forwarded it: ForwardTo leads in a circle"
                    .to_owned(),
            );
        }
        (self.0.len() >= MOST_HOPS).then(|| {
            format!(
                "it went through {MOST_HOPS} servers that forward: ForwardTo may lead in a circle"
            )
        })
    }

    /// Makes a new key for an action that came this way.
    pub(super) fn key(&self, sender: &Sender) -> String {
        let mut key = format!("{PREFIX}/");
        for hop in &self.0 {
            // Writing to a string cannot fail.
            let _ = write!(key, "{hop}.");
        }
        key.push_str(&sender.0);
        key.push('/');
        key.push_str(&random(16));
        key
    }
}

/// Returns random bytes in hexadecimal digits.
fn random(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes.saturating_mul(2));
    for _ in 0..bytes {
        // A system without random bytes is none that a server runs on; fastrand is seeded by other means there.
        let byte = getrandom::u32().unwrap_or_else(|_| fastrand::u32(..)) & 0xFF;
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_come_back_as_they_were_kept() {
        let sent =
            Note { to: Some("http://h:1".to_owned()), since: 5, key: "k".to_owned(), token: None };
        let there = Note { token: Some("MTA=".to_owned()), ..sent.clone() };
        for note in [Note::nowhere(), sent, there] {
            assert_eq!(Note::read(&note.write()), Some(note));
        }
        assert_eq!(Note::read("x"), None);
    }

    #[test]
    fn a_key_tells_the_way() {
        let (a, b) = (Sender::random(), Sender::random());
        let first = Way::default().key(&a);
        assert_ne!(first, Way::default().key(&a));
        let came = Way::read(["another", &first]);
        assert!(came.refusal(&a).is_some_and(|why| why.contains("circle")));
        assert_eq!(came.refusal(&b), None);
        let second = came.key(&b);
        assert!(Way::read([second.as_str()]).refusal(&a).is_some());
        assert_eq!(Way::read(["", "actiond-forwar/x/y", "actiond-forward"]), Way::default());
    }

    #[test]
    fn a_way_has_an_end() {
        let mut key = String::new();
        for hop in 0..MOST_HOPS {
            let way = Way::read([key.as_str()]);
            assert_eq!(way.refusal(&Sender("other".to_owned())), None, "{hop}");
            key = way.key(&Sender::random());
        }
        assert!(Way::read([key.as_str()]).refusal(&Sender::random()).is_some());
    }
}
