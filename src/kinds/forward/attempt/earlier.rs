//! A sending that was taken for lost, and after which the action was sent again: what comes of it late is ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::outgoing::Outgoing;
use super::super::server::Server;
use super::super::step::Step;
use super::super::trouble::Trouble;
use super::Forwarding;

/// Number of looks for it: one at once, and one a while later.
const LOOKS: u8 = 2;
/// Number of looks with those that fail.
const TRIES: u8 = 5;

/// A sending that came to nothing, as far as is known.
#[derive(Debug)]
pub(super) struct Earlier {
    server: Arc<Server>,
    outgoing: Outgoing,
    looks: u8,
    tries: u8,
    /// Time of the next look; none before the action has arrived.
    next: Option<Instant>,
}

impl Earlier {
    pub(super) fn new(server: &Arc<Server>, outgoing: Outgoing) -> Self {
        Self { server: Arc::clone(server), outgoing, looks: 0, tries: 0, next: None }
    }

    pub(super) fn url(&self) -> &str {
        &self.server.url
    }

    pub(super) fn key(&self) -> &str {
        &self.outgoing.key
    }

    /// Returns the time since which the action may be at a server that it is sent to now.
    pub(super) fn since_at(&self, server: &Arc<Server>, now: i64) -> i64 {
        if self.server.url == server.url { self.outgoing.since } else { now }
    }

    /// Notes a look, and returns false after the last.
    fn note_look(&mut self, is_done: bool, between: Duration) -> bool {
        self.looks = self.looks.saturating_add(u8::from(is_done));
        self.tries = self.tries.saturating_add(1);
        self.next = Some(Instant::now() + between);
        self.looks < LOOKS && self.tries < TRIES
    }
}

impl Forwarding {
    /// Looks for what came late, if it is time for that.
    pub(super) fn seek_earlier(&self, token: &str) -> Option<Step> {
        let earlier = self.earlier.as_ref()?;
        let is_due = earlier.next.is_none_or(|next| next <= Instant::now());
        is_due.then(|| Step::end_earlier(&earlier.server, earlier.outgoing.clone(), token))
    }

    pub(super) fn on_sought_earlier(&mut self, ended: Result<Vec<String>, Trouble>) {
        let Some(mut earlier) = self.earlier.take() else { return };
        for token in ended.iter().flatten() {
            log::warn!(
                "queue {}: {} took an action late that was sent to it again; the late one, {token}, was told to end",
                self.context.queue_name(),
                earlier.server.url
            );
        }
        if earlier.note_look(ended.is_ok(), self.options.doubt) {
            self.earlier = Some(earlier);
        }
    }
}

#[cfg(test)]
mod tests {
    use actiond_actors::Parameters;

    use super::*;
    use crate::aci::client::Client;

    fn server(port: u16) -> Arc<Server> {
        let client = Client::builder("h", port).build().unwrap();
        Arc::new(Server::new(format!("http://h:{port}"), client, 4))
    }

    #[tokio::test]
    async fn it_is_looked_for_twice_and_not_for_ever() {
        let outgoing = Outgoing {
            action: "A".to_owned(),
            came: Parameters::default(),
            marker: "ActionID",
            key: "k".to_owned(),
            since: 5,
        };
        let new = || Earlier::new(&server(1), outgoing.clone());
        let between = Duration::from_secs(1);
        let mut earlier = new();
        assert!(earlier.note_look(true, between) && !earlier.note_look(true, between));
        let mut earlier = new();
        let tries = (1..20).take_while(|_| earlier.note_look(false, between)).count();
        assert_eq!(tries, 4);
        assert_eq!((new().since_at(&server(1), 9), new().since_at(&server(2), 9)), (5, 9));
    }
}
