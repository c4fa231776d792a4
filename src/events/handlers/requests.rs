//! The parameters of the actions that events are about, read from the store.

use actiond_actors::{ActionId, Parameters, QueueError, System, TooLarge};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::lua::Requests;
use actiond_actors::outbox::OutboxEvent;
use actiond_actors::store::About;

/// The largest size of parameters that are read, in bytes; of larger ones there are none, and the log says so.
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

    async fn read(&self, queue: &str, id: ActionId) -> Result<Parameters, QueueError> {
        let mut system = self.0.subscribe();
        let system = system.wait_for(Option::is_some).await;
        let system = system.ok().and_then(|system| system.clone());
        let system = system.ok_or(QueueError::ShuttingDown)?;
        let Some(queue) = system.queue(queue) else { return Ok(Parameters::default()) };
        match queue.parameters_within(id, MAX_BYTES, true).await {
            Ok((_, Ok(parameters))) => Ok(parameters.unwrap_or_default()),
            Ok((_, Err(TooLarge { bytes }))) => {
                let name = queue.name();
                log::warn!(
                    "action {id} of {name}: its parameters have {bytes} bytes, and a script is given {MAX_BYTES} at most: its request is empty"
                );
                Ok(Parameters::default())
            }
            // It is gone, and has none.
            Err(QueueError::UnknownAction { .. }) => Ok(Parameters::default()),
            Err(error) => Err(error),
        }
    }
}

impl Requests for StoredRequests {
    fn request<'e>(
        &'e self,
        event: &'e OutboxEvent,
    ) -> BoxFuture<'e, Result<Parameters, QueueError>> {
        Box::pin(async move {
            match &event.about {
                About::Action(record) => self.read(&event.queue, record.id).await,
                About::Queue(_) => Ok(Parameters::default()),
            }
        })
    }
}
