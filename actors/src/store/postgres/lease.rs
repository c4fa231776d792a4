//! The lease of this server, by the database's clock: opened, renewed, given up. On a connection of its own, so that nothing
//! else holds it up.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard as StdMutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio_postgres::Client;

use super::connection::{Link, Open, Role, within};
use super::errors::{Failure, newer};
use super::message::statements;
use super::notices::Peers;
use super::owner::{Owner, Part};
use super::schema::VERSION;
use super::settings::Settings;
use super::setup::Setup;
use super::sites::Sites;
use crate::store::{OwnerId, Renewal, StoreError};

/// Time after which nothing is kept any more of a dead server that has left nothing behind.
macro_rules! kept_for {
    () => {
        "interval '1 hour'"
    };
}

statements! {
    /// Statements about the lease.
    Lease {
        open: "INSERT INTO server (id, opened_at, seen_at, expires_at, site, slots)
            SELECT nextval('server_id'), now, now, now + $1 * interval '1 microsecond', $2, $3
            FROM (SELECT clock_timestamp() AS now) AS clock RETURNING id",

        renew: "UPDATE server SET seen_at = clock_timestamp(),
                expires_at = clock_timestamp() + $2 * interval '1 microsecond', slots = $3
             WHERE id = $1 AND NOT dead
             RETURNING (SELECT version FROM meta), EXISTS (SELECT 1 FROM server other WHERE other.id <> $1 AND NOT other.dead)",

        give_up: "UPDATE server SET dead = true, closed = closed OR $2 WHERE id = $1",

        // Of attempts that run no more. Who showed it may be gone, too.
        hide: "DELETE FROM shown s WHERE NOT EXISTS (
                SELECT 1 FROM live l WHERE l.id = s.id AND l.attempt = s.attempt AND l.state BETWEEN 1 AND 3)",

        // Of its transactions only the last one counts.
        forget: "WITH gone AS (
                DELETE FROM batch WHERE server = $1 AND number >= $2
                    AND number < (SELECT b.number FROM batch b WHERE b.server = $1 ORDER BY b.number DESC LIMIT 1)
                RETURNING number
            ) SELECT max(number) FROM gone",

        // The counts of servers that are no more are added up, or there would be ever more to add up.
        sweep: concat!(
            "WITH gone AS (
                SELECT s.id FROM server s WHERE s.dead AND s.seen_at < clock_timestamp() - ", kept_for!(), "
                    AND NOT EXISTS (SELECT 1 FROM live l WHERE l.server = s.id AND l.state BETWEEN 1 AND 3)
                ORDER BY s.id LIMIT 20 FOR UPDATE SKIP LOCKED
            ), taken AS (
                DELETE FROM tally t USING gone WHERE t.server = gone.id RETURNING t.*
            ), counted AS (
                INSERT INTO tally AS t SELECT queue, 0, 0, sum(queued), sum(processing), sum(paused), sum(stopping),
                    sum(finished), sum(error), sum(cancelled), sum(stopped), sum(deferred)
                FROM taken GROUP BY queue ORDER BY queue
                ON CONFLICT (queue, server, batch) DO UPDATE SET queued = t.queued + excluded.queued,
                    processing = t.processing + excluded.processing, paused = t.paused + excluded.paused,
                    stopping = t.stopping + excluded.stopping, finished = t.finished + excluded.finished,
                    error = t.error + excluded.error, cancelled = t.cancelled + excluded.cancelled,
                    stopped = t.stopped + excluded.stopped, deferred = t.deferred + excluded.deferred
            ), batches AS (
                DELETE FROM batch b USING gone WHERE b.server = gone.id
            ) DELETE FROM server s USING gone WHERE s.id = gone.id"
        ),
    }
}

/// The lease, and the connection by which it is renewed.
pub(super) struct Keeper {
    setup: Arc<Setup>,
    /// Number of slots, as it is shown from the next renewal on.
    slots: AtomicU32,
    owner: Arc<Owner>,
    sites: Arc<Sites>,
    peers: Arc<Peers>,
    link: Mutex<Link<Lease>>,
    succeeded: mpsc::UnboundedSender<()>,
    /// The number of the last transaction of an owner that was deleted.
    forgotten: StdMutex<(OwnerId, i64)>,
}

fn lock<T>(mutex: &StdMutex<T>) -> StdMutexGuard<'_, T> {
    // Nothing that holds the lock can leave it half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the lease of a new owner.
pub(super) async fn open(
    client: &Client,
    settings: &Settings,
    sites: &Sites,
) -> Result<OwnerId, Failure> {
    let statements = <Lease as super::connection::Prepare>::prepare(client).await?;
    let values = (micros(settings.lease), sites.own(), integer(settings.slots));
    let row = client.query_one(&statements.open, &[&values.0, &values.1, &values.2]).await?;
    Ok(OwnerId(row.try_get(0)?))
}

/// Ends the lease of an owner that can't go on after all. If that fails the lease ends by itself.
pub(super) async fn give_up(client: &Client, owner: OwnerId) -> Result<(), Failure> {
    let statements = <Lease as super::connection::Prepare>::prepare(client).await?;
    client.execute(&statements.give_up, &[&owner.0, &true]).await?;
    Ok(())
}

/// The number of slots as PostgreSQL's integer.
fn integer(slots: u32) -> i32 {
    i32::try_from(slots).unwrap_or(i32::MAX)
}

fn micros(lease: Duration) -> f64 {
    lease.as_secs_f64() * 1e6
}

impl Keeper {
    pub(super) fn new(
        setup: Arc<Setup>,
        owner: Arc<Owner>,
        sites: Arc<Sites>,
        peers: Arc<Peers>,
        succeeded: mpsc::UnboundedSender<()>,
    ) -> Self {
        let link = Mutex::new(Link::new(Arc::clone(&setup), Role::Renews));
        let forgotten = StdMutex::new((OwnerId(0), 0));
        let slots = AtomicU32::new(setup.slots);
        Self { setup, slots, owner, sites, peers, link, succeeded, forgotten }
    }

    /// Sets the number of slots that others are shown.
    pub(super) fn set_slots(&self, slots: u32) {
        self.slots.store(slots, Ordering::Relaxed);
    }

    fn slots(&self) -> i32 {
        integer(self.slots.load(Ordering::Relaxed))
    }

    /// Renews the lease.
    pub(super) async fn renew(&self) -> Result<Renewal, Failure> {
        let owner = self.owner.id();
        // Measured from before it is asked for: from the answer it would last too long.
        let asked = self.setup.clock.now();
        let (micros, slots) = (micros(self.setup.lease), self.slots());
        self.ask(async |open: &Open<Lease>| {
            let (client, lease) = (&open.client, &open.prepared);
            if self.owner.is_given_up(owner) {
                client.execute(&lease.give_up, &[&owner.0, &false]).await?;
                return Ok(Renewal::Lost);
            }
            let Some(row) = client.query_opt(&lease.renew, &[&owner.0, &micros, &slots]).await?
            else {
                return Ok(Renewal::Lost);
            };
            let found: i32 = row.try_get(0)?;
            if found != VERSION {
                return Err(newer(found.into()).into());
            }
            self.owner.hold(owner, asked);
            self.peers.note(row.try_get(1)?);
            self.forget(open, owner).await?;
            client.execute(&lease.sweep, &[]).await?;
            client.execute(&lease.hide, &[]).await?;
            Ok(Renewal::Holds)
        })
        .await
    }

    /// Deletes the numbers of an owner's transactions before the last, from where it has ended the last time: what was deleted may
    /// still be in the way.
    async fn forget(&self, open: &Open<Lease>, owner: OwnerId) -> Result<(), Failure> {
        let from = match *lock(&self.forgotten) {
            (of, number) if of == owner => number,
            _ => 0,
        };
        let gone = open.client.query_one(&open.prepared.forget, &[&owner.0, &from]).await?;
        if let Some(last) = gone.try_get(0)? {
            *lock(&self.forgotten) = (owner, last);
        }
        Ok(())
    }

    /// Begins the lease of another owner, which this server is from now on.
    pub(super) async fn new_owner(&self) -> Result<OwnerId, Failure> {
        let asked = self.setup.clock.now();
        let (micros, slots) = (micros(self.setup.lease), self.slots());
        let owner = self
            .ask(async |open: &Open<Lease>| {
                let row = open
                    .client
                    .query_one(&open.prepared.open, &[&micros, &self.sites.own(), &slots])
                    .await?;
                Ok(OwnerId(row.try_get(0)?))
            })
            .await?;
        self.owner.succeed(owner, asked);
        // The task that listens ends only with the store.
        let _ = self.succeeded.send(());
        Ok(owner)
    }

    /// Gives the lease up.
    pub(super) async fn give_up(&self) -> Result<(), Failure> {
        let owner = self.owner.id();
        self.ask(async |open: &Open<Lease>| {
            open.client.execute(&open.prepared.give_up, &[&owner.0, &true]).await?;
            Ok(())
        })
        .await
    }

    /// Asks the database, and notes whether it was reached.
    async fn ask<T>(
        &self,
        what: impl AsyncFnOnce(&Open<Lease>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut link = self.link.lock().await;
        let answer = async {
            let open = link.get().await?;
            within(self.setup.patience, what(&open)).await
        };
        let answer = answer.await;
        match &answer {
            Err(failure) if failure.is_lost() => {
                link.give_up();
                self.owner.miss(Part::Renews, failure);
            }
            Err(failure @ Failure::Refused(StoreError::TooNew { .. })) => {
                self.owner.miss(Part::Renews, failure);
            }
            Err(_) => {}
            Ok(_) => self.owner.reach(Part::Renews),
        }
        answer
    }

    /// Ends the connection.
    pub(super) async fn close(&self) {
        self.link.lock().await.close();
    }
}
