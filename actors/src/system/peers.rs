//! What becomes of the other servers that share the store: the log names those that have stopped answering.
//!
//! Looked at after each renewal of the own lease, by every server that has others beside it. What was taken over of one is told by
//! the queues of whichever server has done that.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::store::{OwnerId, Server, Site, Store};

/// The other servers, as they were last seen.
#[derive(Debug, Default)]
pub(super) struct Peers {
    alive: BTreeMap<OwnerId, Arc<Site>>,
}

/// A server that was declared dead.
#[derive(Debug, PartialEq, Eq)]
struct Death {
    site: Arc<Site>,
    /// Time since it last renewed its lease.
    silence: Duration,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Site { name, host, port }, silence) = (&*self.site, self.silence.as_secs());
        write!(
            f,
            "the server {name} ({host}:{port}) has stopped answering: it has not renewed its lease for {silence} s, and \
             what it ran is taken over"
        )
    }
}

impl Peers {
    /// Looks at the others, if there are any or were, and logs who has died. It takes no longer than `most`.
    pub(super) async fn look(&mut self, store: &dyn Store, most: Duration) {
        if !store.has_peers() && self.alive.is_empty() {
            return;
        }
        // What is not known now is known after the next renewal.
        let Ok(Ok(servers)) = tokio::time::timeout(most, store.servers()).await else { return };
        for death in self.note(store.owner(), &servers) {
            log::warn!("{death}");
        }
    }

    /// Notes who is there, and returns those that have died since.
    fn note(&mut self, own: OwnerId, servers: &[Server]) -> Vec<Death> {
        let mut before = std::mem::take(&mut self.alive);
        let mut died = Vec::new();
        for server in servers.iter().filter(|server| server.owner != own) {
            let was_alive = before.remove(&server.owner).is_some();
            let site = Arc::clone(&server.site);
            if !server.is_dead {
                self.alive.insert(server.owner, site);
            } else if was_alive {
                died.push(Death { site, silence: server.seen });
            }
        }
        died
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(owner: i64, is_dead: bool) -> Server {
        let site = Site { name: format!("s{owner}"), host: "h".to_owned(), port: 7 };
        Server {
            owner: OwnerId(owner),
            site: Arc::new(site),
            slots: 1,
            running: 0,
            up: Duration::from_secs(100),
            seen: Duration::from_secs(17),
            // Over, as that of one that was not declared dead yet may be.
            lease: None,
            is_dead,
        }
    }

    #[test]
    fn a_death_is_told_once_of_those_that_were_seen_alive() {
        let mut peers = Peers::default();
        let mut note = |servers: &[(i64, bool)]| {
            let servers: Vec<_> =
                servers.iter().map(|(owner, is_dead)| server(*owner, *is_dead)).collect();
            let died = peers.note(OwnerId(1), &servers);
            died.iter().map(|death| death.site.name.clone()).collect::<Vec<_>>()
        };
        let none: [&str; 0] = [];
        assert_eq!(note(&[(1, false), (2, false), (3, true)]), none, "the third died before");
        assert_eq!(note(&[(1, false), (2, false), (4, false)]), none);
        assert_eq!(note(&[(1, true), (2, true), (3, true), (4, false)]), ["s2"]);
        assert_eq!(note(&[(1, false), (2, true), (4, false)]), none, "that is known");
        assert_eq!(note(&[(1, false), (2, true)]), none, "the fourth was ended in order");
        assert_eq!(note(&[(1, false), (4, true)]), none);
    }

    #[test]
    fn a_death_names_the_server() {
        let Server { site, seen: silence, .. } = server(2, true);
        let told = Death { site, silence }.to_string();
        assert!(told.contains("the server s2 (h:7) has stopped answering"), "{told}");
        assert!(told.contains(" 17 s"), "{told}");
    }
}
