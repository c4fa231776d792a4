//! A commit whose answer was lost. The number of the server's last transaction, in its own row, tells whether it was made.

use std::time::{Duration, Instant};

use super::decided::{Brought, Decided};
use super::finish::{Unreadable, read_claimed};
use super::{Session, Writer};
use crate::store::postgres::columns::{Tally, time};
use crate::store::postgres::connection::within;
use crate::store::postgres::errors::Failure;
use crate::store::{OwnerId, StoreError};

/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Time that is left to the database, as a multiple of the usual patience: as long as that takes, nothing else is answered.
const PATIENCE: u32 = 3;

impl Writer {
    /// Finds out whether a transaction was committed, and reads what its answer would have told. If that can't be found out, this
    /// server gives itself up as an owner: nobody would run the actions that the transaction may have started.
    pub(super) async fn find_out(
        &mut self,
        (owner, batch): (OwnerId, i64),
        reason: String,
        decided: &[Decided<'_>],
        unreadable: &mut Vec<Unreadable>,
    ) -> Result<Vec<Brought>, Failure> {
        let until = Instant::now() + self.settings.patience * PATIENCE;
        log::warn!("the answer to a commit was lost: {reason}");
        loop {
            let failure = match self.ask(owner, batch, decided, unreadable).await {
                Ok(Some(brought)) => return Ok(brought),
                Ok(None) => return Err(Failure::Lost(reason)),
                Err(failure) => failure,
            };
            self.mind(&failure);
            if Instant::now() > until {
                self.owner.give_up(owner);
                let error = StoreError::OutcomeUnknown(format!("{reason}; then: {failure:?}"));
                return Err(error.into());
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
        let read = read_again(&session, owner, batch, decided, unreadable);
        within(self.settings.patience, read).await.map(Some)
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

/// Returns the number of an owner's last transaction.
async fn last_batch(session: &Session, owner: OwnerId) -> Result<Option<i64>, Failure> {
    let found =
        session.client.query_opt(&session.prepared.statements.find_out, &[&owner.0]).await?;
    Ok(found.map(|row| row.try_get(0)).transpose()?)
}

/// Reads what a transaction has started, and how its queues stand. The counts may be newer than those after the transaction.
async fn read_again(
    session: &Session,
    owner: OwnerId,
    batch: i64,
    decided: &[Decided<'_>],
    unreadable: &mut Vec<Unreadable>,
) -> Result<Vec<Brought>, Failure> {
    let statements = &session.prepared.statements;
    let mut all = Vec::with_capacity(decided.len());
    for decided in decided {
        let rows =
            session.client.query(&statements.claimed, &[&decided.queue, &owner.0, &batch]).await?;
        let mut claimed = read_claimed(&rows, unreadable)?;
        // Those are known that started as they came, or go on here.
        claimed.retain(|claimed| !decided.is_known_to_run(claimed.id));
        let of = vec![decided.queue];
        let queue = session.client.query_one(&statements.queues, &[&of]).await?;
        let tally = Tally::read(&queue, 2)?;
        let first_due = time(&queue, 3)?;
        all.push(Brought { claimed, first_due, stands: Some(tally), ..Brought::default() });
    }
    Ok(all)
}
