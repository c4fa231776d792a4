//! The last stop: what is sent to the other server when the work of an attempt is dropped before its end there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actiond_actors::ActionContext;
use tokio::time::Instant;

use super::find::Found;
use super::outgoing::Outgoing;
use super::server::Server;
use super::trouble::{Asked, Trouble};

/// Time that a last stop may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Time for which a server may still take what it was sent.
const DOUBT: Duration = Duration::from_secs(10);
/// Time between its tries.
const BETWEEN: Duration = Duration::from_millis(500);

/// Where the action is.
#[derive(Debug, Clone)]
pub(super) enum Where {
    /// At no server; or its end has come.
    Nowhere,
    /// A server may have it.
    Perhaps { server: Arc<Server>, outgoing: Outgoing },
    /// A server has it under this token. `asked` tells whether it was asked to stop there.
    There { server: Arc<Server>, token: String, action: String, asked: bool },
}

/// Sends the last stop when it is dropped, unless the action is nowhere by then, or outlives this server.
#[derive(Debug)]
pub(super) struct LastStop {
    context: ActionContext,
    place: Mutex<Where>,
}

impl LastStop {
    pub(super) fn new(context: ActionContext) -> Self {
        Self { context, place: Mutex::new(Where::Nowhere) }
    }

    pub(super) fn set(&self, place: Where) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }
}

/// May run while a panic unwinds, so it must not panic itself.
impl Drop for LastStop {
    fn drop(&mut self) {
        let place = self.place.get_mut().unwrap_or_else(PoisonError::into_inner);
        let place = std::mem::replace(place, Where::Nowhere);
        if matches!(place, Where::Nowhere) || self.context.is_detached() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let id = self.context.id();
            let queue = self.context.queue_name().to_owned();
            runtime.spawn(async move {
                let url = match &place {
                    Where::There { server, .. } | Where::Perhaps { server, .. } => server.url.clone(),
                    Where::Nowhere => return,
                };
                let stopped = tokio::time::timeout(PATIENCE, stop(place)).await;
                if !matches!(stopped, Ok(true)) {
                    let id = id.map_or(0, |id| id.get());
                    log::warn!("queue {queue}: action {id} could not be stopped at {url}, and may run there");
                }
            });
        }
    }
}

/// Stops it where it is; returns false if that can't be done.
async fn stop(place: Where) -> bool {
    let (server, token, action, asked) = match place {
        Where::Nowhere => return true,
        Where::There { server, token, action, asked } => (server, token, action, asked),
        Where::Perhaps { server, outgoing } => match find(&server, &outgoing).await {
            Found::Token(token) => (server, token, outgoing.action, false),
            Found::Nothing => return true,
            Found::Unclear(_) => return false,
        },
    };
    // The first stop asks, the second forces.
    for _ in usize::from(asked)..2 {
        loop {
            let sent = server
                .order(Asked::Other, async |client| client.for_queue(&action).stop(&token).await)
                .await;
            match sent {
                Ok(status) if status.as_ref().is_some_and(|status| status.has_ended()) => {
                    return true;
                }
                Ok(_) => break,
                Err(Trouble::Away { .. } | Trouble::Busy(_) | Trouble::Failed(_)) => {
                    tokio::time::sleep(BETWEEN).await;
                }
                // It has ended by itself.
                Err(Trouble::Refused(_) | Trouble::Unknown) => return true,
            }
        }
    }
    true
}

/// Searches until it is found, or can't come any more.
async fn find(server: &Arc<Server>, outgoing: &Outgoing) -> Found {
    let until = Instant::now() + DOUBT;
    loop {
        let is_last = Instant::now() >= until;
        match server.find(outgoing).await {
            Ok(found) if is_last || matches!(found, Found::Token(_)) => return found,
            Ok(_) | Err(_) => tokio::time::sleep(BETWEEN).await,
        }
    }
}
