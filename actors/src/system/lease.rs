//! The lease of this server on a store that several servers share.
//!
//! A timer renews it. Where it is lost, all that runs here is forced, and the server goes on as another owner once all of
//! it has ended: of two attempts at an action at most one is believed (Q14). A store that nobody else can open has no
//! lease, and none of this runs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::peers::Peers;
use super::{System, WeakSystem};
use crate::moment::{LeaseClock, Moment};
use crate::queue::{LeaseState, Noticed, QueueHandle, lock};
use crate::store::{OwnerId, Renewal, Store, StoreError};

/// Time between two looks for what still runs under a lost lease.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// This server's standing as an owner of its store. A queue asks before it claims actions and before it starts them.
#[derive(Debug)]
pub(crate) struct Tenure {
    held: Mutex<Held>,
    /// Number of leases that were lost.
    lost: AtomicU64,
}

/// An owner, and the end of its lease.
#[derive(Debug, Clone, Copy)]
struct Held {
    owner: OwnerId,
    until: Until,
}

/// The end of a lease.
#[derive(Debug, Clone, Copy)]
enum Until {
    /// Nobody else can open the store.
    ForEver,
    /// The lease was asked for at this moment, and holds for so long, unless it is renewed. The clock goes on while the machine
    /// sleeps: others count that time, too.
    Of(Moment, Duration),
    /// Others have recovered what this owner ran.
    Lost,
}

/// Standing of an owner of a store: may it start actions?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is this server, and its lease holds.
    Holds,
    /// It is this server, and its lease may be over: another server may have started the action meanwhile.
    InDoubt,
    /// It is an owner no longer.
    Over,
}

impl Tenure {
    /// Takes over the lease that a store was opened with, if it has one.
    pub(super) async fn begin(store: &dyn Store) -> Result<Self, StoreError> {
        let Some(lease) = store.lease() else {
            return Ok(Self::of(Held { owner: store.owner(), until: Until::ForEver }));
        };
        // Renewed first: the lease dates from when the store was opened, which is not known here.
        let clock = LeaseClock::default();
        let mut asked = clock.now();
        let owner = match store.renew().await? {
            Renewal::Holds => store.owner(),
            Renewal::Lost => {
                asked = clock.now();
                store.new_owner().await?
            }
        };
        Ok(Self::of(Held { owner, until: Until::Of(asked, lease) }))
    }

    fn of(held: Held) -> Self {
        Self { held: Mutex::new(held), lost: AtomicU64::new(0) }
    }

    /// Returns the standing of an owner at this moment.
    pub(crate) fn standing_of(&self, owner: OwnerId) -> Standing {
        let held = *self.held();
        match held.until {
            _ if held.owner != owner => Standing::Over,
            Until::ForEver => Standing::Holds,
            Until::Of(asked, lease) if !left(asked, lease).is_zero() => Standing::Holds,
            Until::Of(..) => Standing::InDoubt,
            Until::Lost => Standing::Over,
        }
    }

    /// Returns the standing of this server at this moment.
    pub(crate) fn standing(&self) -> Standing {
        let owner = self.held().owner;
        self.standing_of(owner)
    }

    /// Tells whether other servers may have the store open.
    pub(crate) fn is_shared(&self) -> bool {
        !matches!(self.held().until, Until::ForEver)
    }

    /// Returns the time left of the lease.
    fn left(&self) -> Duration {
        match self.held().until {
            Until::Of(asked, lease) => left(asked, lease),
            Until::ForEver | Until::Lost => Duration::ZERO,
        }
    }

    /// Notes that a lease was granted.
    fn hold(&self, owner: OwnerId, asked: Moment, lease: Duration) {
        *self.held() = Held { owner, until: Until::Of(asked, lease) };
    }

    /// Notes that the lease was lost, perhaps again before there was another.
    fn lose(&self) {
        let before = std::mem::replace(&mut self.held().until, Until::Lost);
        if !matches!(before, Until::Lost) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the number of leases that were lost.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing that holds the lock can leave it half changed.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl System {
    /// Renews the lease on the store from now on, if it has one.
    pub(super) fn keep_lease(&self) {
        let store = &self.inner.store;
        if let Some((lease, heartbeat)) = store.lease().zip(store.heartbeat()) {
            // Time must be left for a second try.
            let heartbeat = heartbeat.min(lease / 3);
            let keeper = self.executor().spawn(keep(self.downgrade(), lease, heartbeat));
            lock(&self.inner.sharing).push(keeper.abort_handle());
        }
    }

    /// Has the store tell the queues what other owners change.
    pub(super) fn pass_notices_on(&self) {
        let system = self.downgrade();
        self.inner.store.notices(Arc::new(move |notice| {
            let Some(system) = system.upgrade() else { return };
            if let Some(queue) = system.inner.queues().iter().find(|q| q.id == notice.queue()) {
                queue.shared.tell(Noticed(notice));
            }
        }));
    }
}

/// Returns the time left of a lease that was asked for at `asked`. Measured from the answer it would last too long.
fn left(asked: Moment, lease: Duration) -> Duration {
    lease.saturating_sub(LeaseClock::default().elapsed(asked))
}

/// Renews the lease as long as the system lives.
async fn keep(system: WeakSystem, lease: Duration, heartbeat: Duration) {
    let mut wait = heartbeat;
    let mut failures = 0_u32;
    let (mut is_told, mut is_in_doubt) = (false, false);
    let mut peers = Peers::default();
    loop {
        tokio::time::sleep(wait).await;
        let Some(system) = system.upgrade() else { return };
        let inner = &system.inner;
        let asked = LeaseClock::default().now();
        // A renewal that is not answered in time is tried again. A lease that runs out meanwhile is in doubt at once.
        let left = Some(inner.tenure.left()).filter(|left| !left.is_zero());
        let patience = left.map_or(lease / 3, |left| left.min(lease / 3));
        let answer = tokio::time::timeout(patience, inner.store.renew()).await;
        wait = heartbeat;
        match answer {
            Ok(Ok(Renewal::Holds)) => {
                failures = 0;
                is_in_doubt = false;
                if std::mem::take(&mut is_told) {
                    log::info!("the lease on the store is renewed again");
                }
                inner.tenure.hold(inner.store.owner(), asked, lease);
                tell(&system.queues(), || LeaseState::Renewed);
                peers.look(&*inner.store, heartbeat / 2).await;
            }
            Ok(Ok(Renewal::Lost)) => {
                log::warn!("the lease on the store was lost: what runs here is ended");
                inner.tenure.lose();
                end_all(&system.queues()).await;
                let asked = LeaseClock::default().now();
                match inner.store.new_owner().await {
                    Ok(owner) => {
                        log::info!("this server goes on in the store as owner {owner}");
                        inner.tenure.hold(owner, asked, lease);
                        tell(&system.queues(), || LeaseState::Renewed);
                    }
                    // The next renewal is refused too, and leads here again.
                    Err(error) => log::warn!("the store gives no new lease: {error}"),
                }
            }
            Ok(Err(StoreError::Closed)) => return,
            failed => {
                let why = match failed {
                    Ok(Err(error)) => error.to_string(),
                    _ => "no answer came".to_owned(),
                };
                // Once for as long as it lasts, and only if the store says nothing of it itself, for which it has a second try.
                failures = failures.saturating_add(1);
                let is_news = failures > 1 && !is_told && inner.store.is_available();
                let level = if is_news { log::Level::Warn } else { log::Level::Debug };
                is_told |= is_news;
                log::log!(level, "the lease on the store was not renewed: {why}");
                // Look again no later than the lease ends.
                wait = (lease / 10).min(inner.tenure.left());
                if inner.tenure.standing() == Standing::InDoubt {
                    if !std::mem::replace(&mut is_in_doubt, true) {
                        log::warn!(
                            "the lease on the store is over: what runs here and may be started again elsewhere is ended"
                        );
                    }
                    wait = lease / 10;
                    tell(&system.queues(), || LeaseState::InDoubt);
                }
            }
        }
    }
}

/// Forces what runs under a lease that was lost, and waits until all of it has ended.
async fn end_all(queues: &[QueueHandle]) {
    for queue in queues {
        let (told, heard) = oneshot::channel();
        queue.shared.tell(LeaseState::Over(told));
        // Its actor may just have begun something. One that is being rebuilt hears nothing, and begins nothing either.
        let _ = heard.await;
    }
    while queues.iter().any(|queue| queue.shared.slots().has_unended()) {
        for queue in queues {
            // Here and not by the actor: a queue that was given up has none.
            queue.shared.end_unleased(Standing::Over);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Tells all queues the state of the lease.
fn tell(queues: &[QueueHandle], what: impl Fn() -> LeaseState) {
    for queue in queues {
        queue.shared.tell(what());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(1_000);
    const OWN: OwnerId = OwnerId(7);

    fn tenure(until: Until) -> Tenure {
        Tenure { held: Mutex::new(Held { owner: OWN, until }), lost: AtomicU64::new(0) }
    }

    #[test]
    fn an_owner_stands_as_its_lease_does() {
        let asked = LeaseClock::default().now();
        for (until, standing, is_shared) in [
            (Until::ForEver, Standing::Holds, false),
            (Until::Of(asked, LONG), Standing::Holds, true),
            (Until::Of(asked, Duration::ZERO), Standing::InDoubt, true),
            (Until::Lost, Standing::Over, true),
        ] {
            let tenure = tenure(until);
            assert_eq!(tenure.standing_of(OWN), standing, "{until:?}");
            assert_eq!(tenure.standing(), standing, "{until:?}");
            assert_eq!(tenure.standing_of(OwnerId(6)), Standing::Over, "{until:?}: another owner");
            assert_eq!(tenure.is_shared(), is_shared, "{until:?}");
        }
    }

    #[test]
    fn a_lease_that_is_renewed_holds_from_the_question_and_one_that_is_lost_no_more() {
        let tenure = tenure(Until::Lost);
        assert_eq!(tenure.left(), Duration::ZERO);
        let asked = LeaseClock::default().now();
        tenure.hold(OwnerId(8), asked, LONG);
        assert_eq!(tenure.standing_of(OWN), Standing::Over);
        assert_eq!(tenure.standing_of(OwnerId(8)), Standing::Holds);
        while LeaseClock::default().now() == asked {
            std::thread::yield_now();
        }
        let left = tenure.left();
        assert!(left < LONG && left > LONG - Duration::from_secs(100), "{left:?}");
        tenure.lose();
        assert_eq!((tenure.standing(), tenure.left()), (Standing::Over, Duration::ZERO));
    }
}
