//! A commit whose answer was lost. The number of the server's last transaction tells whether it was made.
//!
//! If the database does not come back soon, the callers are told that nobody knows. Then it is settled before anything else is
//! written: if the transaction was committed after all, nobody runs what it has started, and that is put back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::decided::{Brought, Decided};
use super::finish::{Unreadable, read_claimed};
use super::{Session, Writer};
use crate::action::Timestamp;
use crate::lifecycle::Ended;
use crate::store::postgres::columns::{Tally, action_id, time};
use crate::store::postgres::connection::within;
use crate::store::postgres::errors::Failure;
use crate::store::postgres::sites::Sites;
use crate::store::{AttemptEnd, Batch, Control, OwnerId, QueueId, Retention, StoreError};

/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// A transaction of which it is not known whether it was committed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unsettled {
    owner: OwnerId,
    batch: i64,
    /// The time of its batches.
    now: Timestamp,
}

impl Writer {
    /// Finds out whether a transaction was committed, and reads what its answer would have told. If that can't be found out soon,
    /// it is left unsettled.
    pub(super) async fn find_out(
        &mut self,
        (owner, batch): (OwnerId, i64),
        reason: String,
        decided: &[Decided<'_>],
        unreadable: &mut Vec<Unreadable>,
    ) -> Result<Vec<Brought>, Failure> {
        // The callers have waited for the answer already.
        let until = Instant::now() + self.settings.patience / 3;
        log::warn!("the answer to a commit was lost: {reason}");
        loop {
            let asked = self.ask(owner, batch, decided, unreadable);
            let left = until.saturating_duration_since(Instant::now()).max(PAUSE);
            let failure = match within(left, asked).await {
                Ok(Some(brought)) => return Ok(brought),
                Ok(None) => return Err(Failure::Lost(reason)),
                Err(failure) => failure,
            };
            self.mind(&failure);
            if Instant::now() > until {
                let now = decided.iter().map(|decided| decided.batch.now).max();
                let now = now.unwrap_or(Timestamp(0));
                self.unsettled = Some(Unsettled { owner, batch, now });
                let reason = format!("{reason}; then: {}", failure.told());
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
        let session = self.session().await?;
        // It waits until the transaction has ended, if the database still has it.
        let found = last_batch(&session, owner);
        if within(self.settings.patience, found).await? != Some(batch) {
            return Ok(None);
        }
        let read = read_again(&session, &self.sites, (owner, batch), decided, unreadable);
        within(self.settings.patience, read).await.map(Some)
    }

    /// Settles the transaction that was left unsettled, if there is one.
    pub(super) async fn settle(&mut self) -> Result<(), Failure> {
        let Some(Unsettled { owner, batch, now }) = self.unsettled else { return Ok(()) };
        let session = self.session().await?;
        let statements = &session.prepared.statements;
        let settled = within(self.settings.patience, async {
            // Nothing but what is put back can have been written since.
            let last = last_batch(&session, owner).await?;
            self.owner.note_batch(owner, last.unwrap_or(batch));
            if last.is_none_or(|last| last < batch) {
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
        self.unsettled = None;
        for (queue, controls) in started {
            log::warn!("{} actions that were started in vain are put back", controls.len());
            let retention = Retention::default();
            let (submissions, claim, max_queued) = (Vec::new(), 0, None);
            let back = Batch { queue, now, controls, submissions, claim, max_queued, retention };
            match self.attempt(&[&back], &mut Vec::new()).await {
                Ok((replies, notices)) => self.tell(&replies, notices),
                Err(failure) => {
                    // The next time those are left out that have been put back.
                    self.unsettled = Some(Unsettled { owner, batch, now });
                    return Err(failure);
                }
            }
        }
        Ok(())
    }

    /// Learns the number of this owner's last transaction from the database.
    pub(super) async fn learn_batch(&mut self) -> Result<(), StoreError> {
        let owner = self.owner.id();
        let session = self.session().await.map_err(Failure::told)?;
        let found = within(self.settings.patience, last_batch(&session, owner)).await;
        match found.map_err(Failure::told)? {
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
        all.push(Brought { claimed, first_due, stands: Some(tally), ..Brought::default() });
    }
    Ok(all)
}
