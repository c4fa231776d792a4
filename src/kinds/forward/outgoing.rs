//! An action on its way to another server.

use actiond_actors::Parameters;

use super::find::Sought;
use super::server::Known;
use super::translate;
use crate::aci::request::Pairs;

/// The parameter by which an actiond knows what it has taken before.
pub(super) const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// An action that is sent, or may have been. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    /// Name of the action there.
    pub(super) action: String,
    /// The parameters as they came.
    pub(super) came: Parameters,
    /// The parameter that carries the key to servers other than actiond.
    pub(super) marker: &'static str,
    pub(super) key: String,
    /// Time just before it is sent, by the clock of this server.
    pub(super) since: i64,
}

impl Outgoing {
    /// Returns the parameters to be sent.
    pub(super) fn parameters(&self, known: Known) -> Pairs {
        translate::parameters(&self.came, known.is_actiond, self.marker(known), &self.key)
    }

    /// Returns what is to be searched for.
    pub(super) fn sought(&self, known: Known) -> Sought {
        Sought {
            action: self.action.clone(),
            marker: self.marker(known),
            key: self.key.clone(),
            since: self.since,
            sent: self.parameters(known),
        }
    }

    const fn marker(&self, known: Known) -> &'static str {
        if known.is_actiond { IDEMPOTENCY_KEY } else { self.marker }
    }
}
