//! The writing connection, and what is done with it beside batches.

use tokio_postgres::Client;

use super::events::EventStatements;
use super::statements::Statements;
use crate::store::postgres::columns::Tally;
use crate::store::postgres::connection::{Open, Prepare};
use crate::store::postgres::errors::Failure;
use crate::store::{QueueId, QueueState};

/// The statements of a connection, and the number by which locks of this schema differ from those of others.
pub(in crate::store::postgres) struct Prepared {
    pub(super) statements: Statements,
    pub(super) events: EventStatements,
    pub(super) area: i32,
}

/// The writing connection.
pub(super) type Session = Open<Prepared>;

impl Prepare for Prepared {
    async fn prepare(client: &Client) -> Result<Self, Failure> {
        let (statements, events) =
            tokio::try_join!(Statements::prepare(client), EventStatements::prepare(client))?;
        let area = client
            .query_one(
                "SELECT oid::int8 FROM pg_catalog.pg_namespace WHERE nspname = current_schema()",
                &[],
            )
            .await?;
        // The number is unsigned; what counts is that it is the same for all servers.
        let area = area.try_get::<_, i64>(0)?.to_le_bytes();
        let area = area.first_chunk().copied().map(i32::from_le_bytes).unwrap_or_default();
        Ok(Self { statements, events, area })
    }
}

/// Finds or creates a queue.
pub(super) async fn open_queue(session: &Session, name: &str) -> Result<QueueState, Failure> {
    let (name, folded) = (name.as_bytes(), name.to_ascii_lowercase());
    let statements = &session.prepared.statements;
    session.client.execute(&statements.open_queue, &[&folded.as_bytes(), &name]).await?;
    let row = session.client.query_one(&statements.opened_queue, &[&folded.as_bytes()]).await?;
    let id = QueueId(row.try_get::<_, i32>(0)?.into());
    Ok(QueueState { id, paused: row.try_get(1)?, counts: Tally::read(&row, 2)?.counts() })
}
