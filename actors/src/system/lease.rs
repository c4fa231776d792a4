//! The lease of this server on its store: kept up by a timer, and what becomes of what runs where it can't be.
//!
//! A store that nobody else can open has no lease, and none of this runs.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::WeakSystem;
use crate::queue::{Lease as Told, QueueHandle};
use crate::store::{OwnerId, Renewal, Store, StoreError};

/// How often the system looks whether what ran under a lost lease has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What this server may do as an owner of its store. Asked by each queue when it hears what it may start.
#[derive(Debug)]
pub(crate) struct Tenure(Mutex<Held>);

#[derive(Debug, Clone, Copy)]
struct Held {
    owner: OwnerId,
    until: Until,
}

#[derive(Debug, Clone, Copy)]
enum Until {
    /// Nobody else can open the store.
    ForEver,
    /// The lease is over then, unless it is renewed.
    Then(Instant),
    /// Others have recovered what this owner ran.
    Lost,
}

/// How an owner stands that claimed an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is this server, and its lease holds.
    Holds,
    /// It is this server, and its lease may be over: others may have started the action meanwhile.
    InDoubt,
    /// It is none any more.
    Over,
}

impl Tenure {
    /// Enters on the lease that a store was opened with, if it has one.
    pub(super) async fn begin(store: &dyn Store) -> Result<Self, StoreError> {
        let Some(lease) = store.lease() else {
            return Ok(Self(Mutex::new(Held { owner: store.owner(), until: Until::ForEver })));
        };
        // How long ago the store was opened is not known here.
        let mut asked = Instant::now();
        let owner = match store.renew().await? {
            Renewal::Holds => store.owner(),
            Renewal::Lost => {
                asked = Instant::now();
                store.new_owner().await?
            }
        };
        Ok(Self(Mutex::new(Held { owner, until: after(asked, lease) })))
    }

    /// Tells how an owner stands at this moment.
    pub(crate) fn standing_of(&self, owner: OwnerId) -> Standing {
        let held = *self.held();
        match held.until {
            _ if held.owner != owner => Standing::Over,
            Until::ForEver => Standing::Holds,
            Until::Then(end) if Instant::now() < end => Standing::Holds,
            Until::Then(_) => Standing::InDoubt,
            Until::Lost => Standing::Over,
        }
    }

    /// Tells how this server stands at this moment.
    pub(crate) fn standing(&self) -> Standing {
        let owner = self.held().owner;
        self.standing_of(owner)
    }

    /// Returns how much of the lease is left.
    fn left(&self) -> Duration {
        match self.held().until {
            Until::Then(end) => end.saturating_duration_since(Instant::now()),
            Until::ForEver | Until::Lost => Duration::ZERO,
        }
    }

    fn hold(&self, owner: OwnerId, asked: Instant, lease: Duration) {
        *self.held() = Held { owner, until: after(asked, lease) };
    }

    fn lose(&self) {
        self.held().until = Until::Lost;
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing that holds the lock can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a lease that was asked for at this moment: measured from the answer it would last too long.
fn after(asked: Instant, lease: Duration) -> Until {
    asked.checked_add(lease).map_or(Until::ForEver, Until::Then)
}

/// Keeps the lease up as long as the system lives.
pub(super) async fn keep(system: WeakSystem, lease: Duration) {
    let mut wait = lease / 3;
    loop {
        tokio::time::sleep(wait).await;
        let Some(system) = system.upgrade() else { return };
        let inner = &system.inner;
        let asked = Instant::now();
        // One that is not answered in the time of a renewal is asked for again, and what is in doubt is in doubt at once.
        let left = Some(inner.tenure.left()).filter(|left| !left.is_zero());
        let patience = left.map_or(lease / 3, |left| left.min(lease / 3));
        let answer = tokio::time::timeout(patience, inner.store.renew()).await;
        wait = lease / 3;
        match answer {
            Ok(Ok(Renewal::Holds)) => {
                inner.tenure.hold(inner.store.owner(), asked, lease);
                tell(&system.queues(), || Told::Renewed);
            }
            Ok(Ok(Renewal::Lost)) => {
                log::warn!("the lease on the store was lost: what runs here is ended");
                inner.tenure.lose();
                end_all(&system.queues()).await;
                let asked = Instant::now();
                match inner.store.new_owner().await {
                    Ok(owner) => {
                        log::info!("this server goes on in the store as owner {owner}");
                        inner.tenure.hold(owner, asked, lease);
                        tell(&system.queues(), || Told::Renewed);
                    }
                    // The next renewal is refused too, and leads here again.
                    Err(error) => log::warn!("the store gives no new lease: {error}"),
                }
            }
            Ok(Err(StoreError::Closed)) => return,
            failed => {
                match failed {
                    Ok(Err(error)) => log::warn!("the lease on the store was not renewed: {error}"),
                    _ => log::warn!("the lease on the store was not renewed: no answer came"),
                }
                // Not later than its end.
                wait = (lease / 10).min(inner.tenure.left());
                if inner.tenure.standing() == Standing::InDoubt {
                    wait = lease / 10;
                    tell(&system.queues(), || Told::InDoubt);
                }
            }
        }
    }
}

/// Forces what runs under a lease that was lost, and waits until all of it has ended.
async fn end_all(queues: &[QueueHandle]) {
    for queue in queues {
        let (told, heard) = oneshot::channel();
        queue.shared.tell(Told::Over(told));
        // It may just have begun something. One that is being rebuilt hears nothing, and begins nothing either.
        let _ = heard.await;
    }
    while queues.iter().any(|queue| queue.shared.slots().has_unended()) {
        for queue in queues {
            // Also of a queue that was given up, and has nobody who could do it.
            queue.shared.end_unleased(Standing::Over);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn tell(queues: &[QueueHandle], what: impl Fn() -> Told) {
    for queue in queues {
        queue.shared.tell(what());
    }
}
