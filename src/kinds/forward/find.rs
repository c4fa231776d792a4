//! The search for an action at a server that may have taken it: by the parameter that carries its key.

use super::server::Known;
use crate::aci::client::{Client, ClientError};
use crate::aci::request::{PairValue, Pairs};
use crate::aci::token::queued_ms_of;

/// Milliseconds by which clocks may differ beyond what was measured.
const DOUBT_MS: i64 = 10_000;

/// Number of pages of a list that are read.
const MOST_PAGES: usize = 100;

/// What a search came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// The server has it, under this token.
    Token(String),
    /// The server does not have it.
    Nothing,
    /// The server may have it.
    Unclear(&'static str),
}

/// What is searched for.
#[derive(Debug, Clone)]
pub(super) struct Sought {
    /// Name of the action, which is that of its queue there.
    pub(super) action: String,
    /// The parameter that carries the key.
    pub(super) marker: &'static str,
    pub(super) key: String,
    /// Time just before it was sent, by the clock of this server.
    pub(super) since: i64,
    /// The parameters as they were sent.
    pub(super) sent: Pairs,
}

const ENDED: &str = "actions that were queued there at that time have ended, and the server does not tell their parameters any more";
const LIKE_IT: &str =
    "it has one that is like it, but does not tell the parameter that would make it known";
const TOO_MANY: &str = "too many actions were queued there since";

impl Sought {
    /// Searches the queue of the action.
    ///
    /// Those that have not ended tell their parameters. Those that have are known by their times alone: where one of them was
    /// queued since, nothing can be said.
    pub(super) async fn find(&self, client: &Client, known: Known) -> Result<Found, ClientError> {
        let mut like_it = false;
        let mut known_others = Vec::new();
        for (token, parameters) in client.all_parameters(&self.action).await? {
            if self.is_it(&parameters) {
                return Ok(Found::Token(token));
            }
            like_it |= self.is_since(&token, known) && self.is_like(&parameters);
            known_others.push(token);
        }
        if like_it {
            return Ok(Found::Unclear(LIKE_IT));
        }
        let mut list = client.list(&self.action);
        let mut pages: usize = 0;
        let mut has_ended = false;
        while let Some(page) = list.next_page().await? {
            pages = pages.saturating_add(1);
            if pages > MOST_PAGES {
                return Ok(Found::Unclear(TOO_MANY));
            }
            let count = page.len();
            let since: Vec<_> =
                page.into_iter().filter(|action| self.is_since(&action.token, known)).collect();
            let is_last = since.len() < count;
            for action in since {
                if known_others.contains(&action.token) {
                    continue;
                }
                // It came, or ended, since the parameters were read.
                match client.parameters(&action.token).await? {
                    Some(parameters) if self.is_it(&parameters) => {
                        return Ok(Found::Token(action.token));
                    }
                    Some(parameters) => like_it |= self.is_like(&parameters),
                    None => has_ended = true,
                }
            }
            if is_last {
                break;
            }
        }
        Ok(match (has_ended, like_it) {
            (true, _) => Found::Unclear(ENDED),
            (_, true) => Found::Unclear(LIKE_IT),
            (false, false) => Found::Nothing,
        })
    }

    /// Returns those that have not ended and carry the key, but for the one with this token.
    pub(super) async fn find_others(
        &self,
        client: &Client,
        token: &str,
    ) -> Result<Vec<String>, ClientError> {
        let all = client.all_parameters(&self.action).await?;
        let others =
            all.into_iter().filter(|(other, parameters)| other != token && self.is_it(parameters));
        Ok(others.map(|(other, _)| other).collect())
    }

    fn is_it(&self, parameters: &Pairs) -> bool {
        parameters.get(self.marker) == Some(self.key.as_str())
    }

    /// Tells whether an action was queued since this one was sent. One whose token tells no time may have been.
    fn is_since(&self, token: &str, known: Known) -> bool {
        let sent = self.since.saturating_add(known.ahead_ms).saturating_sub(DOUBT_MS);
        queued_ms_of(token).is_none_or(|queued| queued >= sent)
    }

    /// Tells whether these parameters are those that were sent, in a queue that does not tell the key.
    fn is_like(&self, parameters: &Pairs) -> bool {
        let is_marker = |name: &str| name.eq_ignore_ascii_case(self.marker);
        let text = |value: &PairValue| matches!(value, PairValue::Text(_));
        parameters.value(self.marker).is_none()
            && self
                .sent
                .iter()
                .filter(|(name, value)| !is_marker(name) && text(value))
                .all(|(name, value)| parameters.value(name) == Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aci::token;

    fn sought() -> Sought {
        let mut sent = Pairs::from([("Source", "a"), ("Config", "b")]);
        sent.push("Idempotency-Key", "k".into());
        sent.push("File", vec![0xFF].into());
        Sought {
            action: "Process".to_owned(),
            marker: "Idempotency-Key",
            key: "k".to_owned(),
            since: 1_439_829_649_466,
            sent,
        }
    }

    #[test]
    fn an_action_is_known_by_its_key_alone() {
        let sought = sought();
        assert!(sought.is_it(&Pairs::from([("idempotency-key", "k")])));
        assert!(!sought.is_it(&Pairs::from([
            ("idempotency-key", "l"),
            ("Source", "a"),
            ("Config", "b")
        ])));
        assert!(sought.is_like(&Pairs::from([("SOURCE", "a"), ("Config", "b"), ("More", "c")])));
        assert!(!sought.is_like(&Pairs::from([("Source", "a")])));
        // It tells keys, so it would tell this one.
        assert!(!sought.is_like(&sought.sent));
    }

    #[test]
    fn times_go_by_the_clock_of_the_other_server() {
        let sought = sought();
        let at = |queued_ms| token::encode("h", 1, "PROCESS", queued_ms, 1);
        let known = Known { is_actiond: false, ahead_ms: -3_600_000 };
        let there = sought.since - 3_600_000;
        assert!(
            sought.is_since(&at(there), known) && sought.is_since(&at(there - DOUBT_MS), known)
        );
        assert!(!sought.is_since(&at(there - DOUBT_MS - 1), known));
        assert!(sought.is_since("FOO-123", known), "it may be");
    }
}
