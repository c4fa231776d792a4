//! One attempt at a transaction: its two messages, and what follows from them in memory.

use tokio::time::Instant;

use super::decided::{Brought, Decided};
use super::finish::{self, Unreadable};
use super::session::Session;
use super::{Writer, begin};
use crate::store::postgres::connection::{by, within};
use crate::store::postgres::errors::Failure;
use crate::store::postgres::notices::To;
use crate::store::postgres::owner::Part;
use crate::store::{Batch, BatchReply, Control, Notice, OutboxChange, OwnerId, Resumed};

impl Writer {
    /// Makes one attempt at a transaction of batches that were begun at this time.
    pub(super) async fn attempt(
        &mut self,
        batches: &[&Batch],
        begun: Instant,
        unreadable: &mut Vec<Unreadable>,
    ) -> Result<(Vec<BatchReply>, Vec<(To, Notice)>), Failure> {
        let patience = self.setup.patience;
        // One patience for all of it: who waits for the batches behind waits for this, too. One that is tried again has some
        // time left.
        let until = (begun + patience).max(Instant::now() + patience / 3);
        let session = self.session(until).await?;
        let (owner, last) = self.owner.last_batch();
        let this = (owner, last + 1);
        let prepare = Box::pin(self.prepare(&session, this, batches, unreadable));
        let prepared = by(until, prepare).await;
        let (decided, resumed) = match prepared {
            Ok(prepared) => prepared,
            Err(failure) => {
                self.mind(&failure);
                self.roll_back(&session, &failure).await;
                return Err(failure);
            }
        };
        let finish = Box::pin(self.finish(&session, this, &decided, unreadable));
        let brought = match by(until, finish).await {
            Ok(brought) => brought,
            Err(failure) if failure.is_lost() => {
                drop(session);
                self.mind(&failure);
                // Its callers have waited for the answer already.
                let until = (until + patience / 5).min(Instant::now() + patience / 3);
                Box::pin(self.find_out(this, &failure, until, &decided, unreadable)).await?
            }
            Err(failure) => {
                // The commit behind what has failed has rolled back, if it was sent.
                self.roll_back(&session, &failure).await;
                return Err(failure);
            }
        };
        self.owner.note_batch(owner, this.1);
        self.owner.reach(Part::Writes);
        self.mark(&decided, &brought);
        self.learn_sites(until).await;
        let mut notices = Vec::new();
        let replies = decided
            .into_iter()
            .zip(brought)
            .zip(resumed)
            .map(|((decided, mut brought), resumed)| {
                brought.resumed = resumed;
                decided.reply(brought, owner, &mut notices)
            })
            .collect();
        Ok((replies, notices))
    }

    /// Writes all that was decided, and commits.
    async fn finish(
        &self,
        session: &Session,
        this: (OwnerId, i64),
        decided: &[Decided<'_>],
        unreadable: &mut Vec<Unreadable>,
    ) -> Result<Vec<Brought>, Failure> {
        finish::finish(session, (&self.sites, &self.marks), this, decided, unreadable).await
    }

    /// Notes from where the next claims have to begin.
    fn mark(&self, decided: &[Decided<'_>], brought: &[Brought]) {
        if !self.marks.is_old() {
            return;
        }
        let now = std::time::Instant::now();
        for (decided, brought) in decided.iter().zip(brought) {
            self.marks.advance(decided.queue, &brought.claimed, now);
            if let Some(ended) = brought.pruned_to {
                self.marks.note_pruned(decided.queue, ended.0);
            }
            for (priority, id) in decided.queued_again().chain(brought.first_queued.iter().copied())
            {
                self.marks.lower(decided.queue, priority, id);
            }
            for control in &decided.batch.controls {
                if let Control::Outbox { handler, change: OutboxChange::Retry } = control {
                    self.marks.events.forget(handler.0);
                }
            }
        }
    }

    /// Learns what the rows of a batch have named. The batch is committed, so that must not fail.
    async fn learn_sites(&mut self, until: Instant) {
        if !self.sites.are_missing() {
            return;
        }
        let learned = async {
            let session = self.link.get().await?;
            self.sites.learn(&session.client).await
        };
        let learned = by(until, learned).await;
        if let Err(failure) = learned {
            self.mind(&failure);
        }
    }

    /// Begins a transaction, and decides all of it.
    async fn prepare<'b>(
        &self,
        session: &Session,
        this: (OwnerId, i64),
        batches: &[&'b Batch],
        unreadable: &mut Vec<Unreadable>,
    ) -> Result<(Vec<Decided<'b>>, Vec<Vec<Resumed>>), Failure> {
        let owner = &self.owner;
        let mut known =
            begin::begin(session, &self.sites, this, owner.may_declare(), batches).await?;
        known.is_dead |= owner.is_given_up(this.0);
        let is_leased = known.is_leased && owner.may_start(this.0);
        let mut decided = batches
            .iter()
            .map(|batch| Decided::of(batch, &mut known, this.0, is_leased))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(last) = decided.last_mut() {
            last.schedules = std::mem::take(&mut known.schedules);
        }
        let resumed = finish::read_resumed(session, &decided, unreadable).await?;
        Ok((decided, resumed))
    }

    /// Ends a transaction that has failed, unless its connection is given up, which ends it too.
    async fn roll_back(&mut self, session: &Session, failure: &Failure) {
        if failure.is_lost() {
            return;
        }
        let rollback = session.client.query(&session.prepared.statements.rollback, &[]);
        if let Err(failure) = within(self.setup.patience / 3, rollback).await {
            log::debug!("a transaction was not rolled back: {failure}");
            self.link.give_up();
            self.mind(&failure);
        }
    }
}
