//! A commit whose answer was lost. The number of the server's last transaction tells whether it was made.
//!
//! If the database does not come back soon, the callers are told that nobody knows. Then it is settled before anything else is
//! written: if the transaction was committed after all, nobody runs what it has started, and that is put back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::decided::{Brought, Decided};
use super::finish::{Unreadable, read_claimed};
use super::{Session, Writer};
use crate::action::Timestamp;
use crate::lifecycle::Ended;
use crate::store::postgres::columns::{Tally, action_id, time};
use crate::store::postgres::connection::{by, within};
use crate::store::postgres::errors::Failure;
use crate::store::postgres::owner::Part;
use crate::store::postgres::sites::Sites;
use crate::store::{AttemptEnd, Batch, Control, EventWants, OwnerId, QueueId, StoreError};

/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// A transaction of which it is not known whether it was committed.
#[derive(Debug, Clone)]
pub(super) struct Unsettled {
    owner: OwnerId,
    batch: i64,
    /// The time of its batches.
    now: Timestamp,
    /// The handlers that want the events of their queues.
    wants: BTreeMap<QueueId, Arc<EventWants>>,
    /// True once the log says what became of it.
    is_told: bool,
}

impl Writer {
    /// Finds out whether a transaction was committed whose answer was lost by this failure, and reads what it would have told. If
    /// that can't be found out by this time, it is left unsettled.
    pub(super) async fn find_out(
        &mut self,
        (owner, batch): (OwnerId, i64),
        lost_by: &Failure,
        until: Instant,
        decided: &[Decided<'_>],
        unreadable: &mut Vec<Unreadable>,
    ) -> Result<Vec<Brought>, Failure> {
        let reason = lost_by.reason();
        log::warn!("the answer to commit {batch} was lost: {reason}");
        loop {
            let asked = self.ask(owner, batch, decided, unreadable);
            let until_then = until.max(Instant::now() + PAUSE);
            let failure = match by(until_then, asked).await {
                Ok(found) => {
                    log::info!("{}", found_out(batch, found.is_some()));
                    self.away = None;
                    self.owner.reach(Part::Writes);
                    return found.ok_or(Failure::Lost(reason));
                }
                Err(failure) => failure,
            };
            self.mind(&failure);
            if Instant::now() > until {
                let now = decided.iter().map(|decided| decided.batch.now).max();
                let now = now.unwrap_or(Timestamp(0));
                let wants = |decided: &Decided<'_>| {
                    Some((decided.batch.queue, Arc::clone(decided.batch.wants.as_ref()?)))
                };
                let wants = decided.iter().filter_map(wants).collect();
                self.unsettled = Some(Unsettled { owner, batch, now, wants, is_told: false });
                self.away = Some(failure.clone());
                log::warn!(
                    "it is not known yet whether commit {batch} was made, and its callers are told so"
                );
                let reason = format!("{reason}; then: {}", failure.reason());
                return Err(StoreError::OutcomeUnknown(reason).into());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn ask(
        &mut self,
        owner: OwnerId,
        batch: i64,
        decided: &[Decided<'_>],
        unreadable: &mut Vec<Unreadable>,
    ) -> Result<Option<Vec<Brought>>, Failure> {
        let session = self.link.get().await?;
        // It waits until the transaction has ended, if the database still has it.
        if last_batch(&session, owner).await? != Some(batch) {
            return Ok(None);
        }
        let read = read_again(&session, &self.sites, (owner, batch), decided, unreadable);
        read.await.map(Some)
    }

    /// Settles the transaction that was left unsettled, if there is one.
    pub(super) async fn settle(&mut self) -> Result<(), Failure> {
        let Some(unsettled) = self.unsettled.clone() else { return Ok(()) };
        let Unsettled { owner, batch, now, is_told, .. } = unsettled;
        let session = self.link.get().await?;
        let statements = &session.prepared.statements;
        let settled = within(self.setup.patience, async {
            // Nothing but what is put back can have been written since.
            let last = last_batch(&session, owner).await?;
            self.owner.note_batch(owner, last.unwrap_or(batch));
            let is_made = last.is_some_and(|last| last >= batch);
            if !is_told {
                log::info!("{}", found_out(batch, is_made));
            }
            if !is_made {
                return Ok(BTreeMap::new());
            }
            // What it took over from a dead owner is left to whoever looks next, perhaps this server.
            session.client.execute(&statements.let_go, &[&owner.0, &-batch]).await?;
            let rows = session.client.query(&statements.started, &[&owner.0, &batch]).await?;
            let mut started: BTreeMap<QueueId, Vec<Control>> = BTreeMap::new();
            for row in rows {
                let queue = QueueId(row.try_get::<_, i32>(0)?.into());
                let attempt = u32::try_from(row.try_get::<_, i32>(2)?).unwrap_or_default();
                let end = AttemptEnd {
                    ended: Ended::Released,
                    error: None,
                    ..super::failed("", action_id(&row, 1)?, attempt)
                };
                started.entry(queue).or_default().push(Control::End(Arc::new(end)));
            }
            Ok::<_, Failure>(started)
        });
        let started = match settled.await {
            Ok(started) => started,
            Err(failure) => {
                self.mind(&failure);
                return Err(failure);
            }
        };
        let unsettled = Unsettled { is_told: true, ..unsettled };
        for (queue, controls) in started {
            let number = controls.len();
            let wants = unsettled.wants.get(&queue).cloned();
            let back = Batch { controls, wants, ..Batch::new(queue, now) };
            match Box::pin(self.attempt(&[&back], Instant::now(), &mut Vec::new())).await {
                Ok((replies, notices)) => {
                    log::warn!("{number} actions that were started in vain are put back");
                    self.tell(&replies, notices);
                }
                Err(failure) => {
                    // The next time those are left out that have been put back. The failed attempt may be unsettled itself, and is
                    // that no more if this is.
                    self.unsettled = Some(unsettled);
                    return Err(failure);
                }
            }
        }
        self.unsettled = None;
        Ok(())
    }

    /// Learns the number of this owner's last transaction from the database.
    pub(super) async fn learn_batch(&mut self, until: Instant) -> Result<(), StoreError> {
        let owner = self.owner.id();
        let session = self.session(until).await.map_err(Failure::told)?;
        let found = by(until, last_batch(&session, owner)).await;
        match found.inspect_err(|failure| self.mind(failure)).map_err(Failure::told)? {
            Some(batch) => self.owner.note_batch(owner, batch),
            None => {
                // The database was set back, or the owner has been dead for long.
                self.owner.give_up(owner);
                let reason = format!("it does not know owner {owner}");
                return Err(StoreError::Unavailable(reason));
            }
        }
        Ok(())
    }
}

/// Returns the words for what became of a commit.
fn found_out(batch: i64, is_made: bool) -> String {
    format!("commit {batch} is found {}", if is_made { "made" } else { "not made" })
}

/// Returns the number of an owner's last transaction; `None` if the owner is unknown.
async fn last_batch(session: &Session, owner: OwnerId) -> Result<Option<i64>, Failure> {
    let statements = &session.prepared.statements;
    if session.client.query_opt(&statements.wait, &[&owner.0]).await?.is_none() {
        return Ok(None);
    }
    let found = session.client.query_opt(&statements.last, &[&owner.0]).await?;
    Ok(Some(found.map(|row| row.try_get(0)).transpose()?.unwrap_or_default()))
}

/// Reads what a transaction has started, and how its queues stand. The counts may be newer than those after the transaction.
async fn read_again(
    session: &Session,
    sites: &Sites,
    (owner, batch): (OwnerId, i64),
    decided: &[Decided<'_>],
    unreadable: &mut Vec<Unreadable>,
) -> Result<Vec<Brought>, Failure> {
    let statements = &session.prepared.statements;
    let mut all = Vec::with_capacity(decided.len());
    for decided in decided {
        let rows =
            session.client.query(&statements.claimed, &[&decided.queue, &owner.0, &batch]).await?;
        let mut claimed = read_claimed(&rows, sites, unreadable)?;
        // Those are known that started as they came.
        claimed.retain(|claimed| !decided.has_started(claimed.id));
        let of = vec![decided.queue];
        let queue = session.client.query_one(&statements.queues, &[&of]).await?;
        let tally = Tally::read(&queue, 2)?;
        let first_due = time(&queue, 3)?;
        let events = decided.likely_events(claimed.len());
        all.push(Brought { claimed, first_due, events, stands: Some(tally), ..Brought::default() });
    }
    Ok(all)
}
