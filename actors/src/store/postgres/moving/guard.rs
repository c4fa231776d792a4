//! The guard that keeps servers away while a schema is moved.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::{Refusal, name, session};
use crate::store::moving::Fault;
use crate::store::postgres::connection::Task;
use crate::store::postgres::errors::Failure;
use crate::store::postgres::setup::Setup;

/// The servers whose lease holds, and for how many seconds it does.
const SERVING: &str = "
    SELECT t.name, ceil(extract(epoch FROM s.expires_at - clock_timestamp()))::int8
    FROM server s JOIN site t ON t.id = s.site WHERE NOT s.dead AND s.expires_at > clock_timestamp() ORDER BY s.id";

/// Time for which the lock is waited for: a server may hold it for a moment.
const LOCK: &str = "SET lock_timeout = '3s'";

/// A transaction that locks the tables of servers and batches: none can begin a lease, renew one, or write a batch.
pub(super) struct Guard {
    client: Client,
    _task: Task,
}

impl Guard {
    /// Takes the lock, unless a server has a lease.
    pub(super) async fn of(setup: &Setup) -> Result<Self, Refusal> {
        let (client, task) = session(setup).await?;
        client.batch_execute(LOCK).await?;
        let locked = "BEGIN; LOCK TABLE server, batch IN SHARE ROW EXCLUSIVE MODE";
        if let Err(error) = client.batch_execute(locked).await {
            return Err(match error.code() {
                Some(code) if *code == SqlState::LOCK_NOT_AVAILABLE => {
                    Refusal(Fault::InUse("another \"actiond migrate\"".to_owned()))
                }
                _ => error.into(),
            });
        }
        let mut servers = Vec::new();
        for row in client.query(SERVING, &[]).await? {
            let seconds: i64 = row.try_get(1)?;
            servers.push(format!("{} (its lease holds for {seconds} s)", name(&row, 0)?));
        }
        if servers.is_empty() {
            return Ok(Self { client, _task: task });
        }
        Err(Refusal(Fault::InUse(format!("the server {}", servers.join(" and the server ")))))
    }

    /// Refuses to go on if the lock is lost.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.client.is_closed() { Err(Failure::Silent.into()) } else { Ok(()) }
    }
}
