//! The parameters of the actions that events are about, read from the store.

use actiond_actors::{ActionId, Parameters, System};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::lua::Requests;
use actiond_actors::outbox::OutboxEvent;
use actiond_actors::store::About;

/// The largest size of parameters that are read, in bytes; of larger ones there are none.
const MAX_BYTES: usize = 4 << 20;

/// Reads parameters from a system, which is there only once its handlers are.
#[derive(Debug)]
pub struct StoredRequests(watch::Sender<Option<System>>);

impl Default for StoredRequests {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl StoredRequests {
    /// Reads from this system from here on; whoever asked before has waited for it.
    pub fn begin(&self, system: System) {
        self.0.send_replace(Some(system));
    }

    /// Lets the system go, which holds the handlers and so this.
    pub fn end(&self) {
        self.0.send_replace(None);
    }

    async fn read(&self, queue: &str, id: ActionId) -> Option<Parameters> {
        let mut system = self.0.subscribe();
        let system = system.wait_for(Option::is_some).await.ok()?.clone()?;
        let queue = system.queue(queue)?;
        // An action that is gone has none.
        let (_, parameters) = queue.parameters_within(id, MAX_BYTES, true).await.ok()?;
        parameters.ok()?
    }
}

impl Requests for StoredRequests {
    fn request<'e>(&'e self, event: &'e OutboxEvent) -> BoxFuture<'e, Parameters> {
        Box::pin(async move {
            let About::Action(record) = &event.about else { return Parameters::default() };
            self.read(&event.queue, record.id).await.unwrap_or_default()
        })
    }
}
