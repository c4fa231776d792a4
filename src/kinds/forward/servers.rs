//! The servers of a queue, and the choice among them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::server::{Place, Server};

/// Time to the next look for a server where none could be made.
const NO_SERVER: Duration = Duration::from_secs(30);

/// Way to choose a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// The first that takes actions.
    Failover,
    /// The one that has the fewest of ours.
    Balance,
}

/// The servers in the order of the configuration.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) all: Vec<Arc<Server>>,
    /// Why there is none, if there is none.
    pub(super) none: String,
    pub(super) method: Method,
}

/// No server takes an action before this time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoneNow {
    pub(super) until: Instant,
    /// The first server, and why it takes none.
    pub(super) url: String,
    pub(super) why: String,
    /// Waiting alone will not help with any of them.
    pub(super) lasts: bool,
}

impl Servers {
    /// Returns the server of this name.
    pub(super) fn named(&self, url: &str) -> Option<&Arc<Server>> {
        self.all.iter().find(|server| server.url == url)
    }

    /// Takes a place at a server that may take this action.
    pub(super) fn choose(&self, action: &str) -> Result<Place, NoneNow> {
        let mut none_now: Option<NoneNow> = None;
        let mut chosen: Option<&Arc<Server>> = None;
        for server in &self.all {
            match server.takes_no(action) {
                None => {
                    let is_better = chosen.is_none_or(|chosen| {
                        self.method == Method::Balance && server.load() < chosen.load()
                    });
                    if is_better {
                        chosen = Some(server);
                    }
                }
                Some((until, why)) => {
                    let lasts = server.away().is_some() && server.absence_lasts();
                    match &mut none_now {
                        Some(none_now) => {
                            none_now.until = none_now.until.min(until);
                            none_now.lasts &= lasts;
                        }
                        None => {
                            let url = server.url.clone();
                            none_now = Some(NoneNow { until, url, why, lasts });
                        }
                    }
                }
            }
        }
        match (chosen, none_now) {
            (Some(server), _) => Ok(Place::at(server)),
            (None, Some(none_now)) => Err(none_now),
            (None, None) => {
                let until = Instant::now() + NO_SERVER;
                let url = "a server".to_owned();
                Err(NoneNow { until, url, why: self.none.clone(), lasts: false })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aci::client::Client;

    fn servers(method: Method) -> Servers {
        let server = |port: u16| {
            let client = Client::builder("h", port).build().unwrap();
            Arc::new(Server::new(format!("http://h:{port}"), client, 4))
        };
        Servers { all: [1, 2, 3].map(server).into(), none: String::new(), method }
    }

    fn name(place: &Place) -> &str {
        &place.server().url
    }

    #[tokio::test]
    async fn failover_takes_the_first_that_takes_it() {
        let servers = servers(Method::Failover);
        let taken: Vec<_> = (0..3).map(|_| servers.choose("A").unwrap()).collect();
        assert!(taken.iter().all(|place| name(place) == "http://h:1"));
        servers.all[0].note_full("A", Some("full"));
        assert_eq!(name(&servers.choose("A").unwrap()), "http://h:2");
        assert_eq!(name(&servers.choose("B").unwrap()), "http://h:1", "another queue");
        servers.all[1].note_full("A", Some("full"));
        servers.all[2].note_full("A", Some("full too"));
        let none_now = servers.choose("A").unwrap_err();
        assert_eq!((none_now.url.as_str(), none_now.why.as_str()), ("http://h:1", "full"));
        servers.all[1].note_full("A", None);
        assert_eq!(name(&servers.choose("A").unwrap()), "http://h:2");
    }

    #[tokio::test]
    async fn balance_takes_the_one_with_the_fewest() {
        let servers = servers(Method::Balance);
        let mut taken: Vec<_> = (0..6).map(|_| servers.choose("A").unwrap()).collect();
        let loads = || servers.all.iter().map(|server| server.load()).collect::<Vec<_>>();
        assert_eq!(loads(), [2, 2, 2]);
        taken.retain(|place| name(place) != "http://h:3");
        assert_eq!(loads(), [2, 2, 0]);
        assert_eq!(name(&servers.choose("A").unwrap()), "http://h:3");
        servers.all[2].note_full("A", Some("full"));
        assert_eq!(name(&servers.choose("A").unwrap()), "http://h:1");
    }
}
