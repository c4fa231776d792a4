//! Figures of the attempts that run here, shown to other servers: on a connection of its own, in a table that need not survive
//! a crash.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::columns::id_number;
use super::connection::{Link, Prepare, Role, within};
use super::errors::Failure;
use super::message::statements;
use super::owner::Owner;
use super::setup::Setup;
use crate::report::Written;
use crate::store::{Shown, StoreError};

statements! {
    /// Statements of the connection that shows.
    Show {
        // In the order of ids: two servers may show the same action when one has just lost it.
        show: "INSERT INTO shown AS s (id, attempt, server, shown_at, figures, partial)
            SELECT e.id, e.attempt, $1, clock_timestamp(), e.figures, e.partial
            FROM unnest($2::int8[], $3::int4[], $4::bytea[], $5::bytea[]) AS e(id, attempt, figures, partial)
            ORDER BY e.id
            ON CONFLICT (id) DO UPDATE SET attempt = excluded.attempt, server = excluded.server,
                shown_at = excluded.shown_at, figures = excluded.figures, partial = excluded.partial
            WHERE s.attempt <= excluded.attempt",
    }
}

/// The connection, and its statements.
struct Prepared(Show);

impl Prepare for Prepared {
    async fn prepare(client: &Client) -> Result<Self, Failure> {
        client.batch_execute("SET synchronous_commit = off").await?;
        Ok(Self(Show::prepare(client).await?))
    }
}

/// The connection that shows. It is made when there is something to show.
pub(super) struct Showing {
    setup: Arc<Setup>,
    owner: Arc<Owner>,
    link: Mutex<Link<Prepared>>,
}

impl Showing {
    pub(super) fn new(setup: Arc<Setup>, owner: Arc<Owner>) -> Self {
        let link = Mutex::new(Link::new(Arc::clone(&setup), Role::Shows));
        Self { setup, owner, link }
    }

    /// Shows these attempts.
    pub(super) async fn show(&self, shown: Vec<Shown>) -> Result<(), Failure> {
        let owner = self.owner.id();
        let (mut ids, mut attempts, mut figures, mut partials) = (vec![], vec![], vec![], vec![]);
        for shown in shown {
            let json = serde_json::to_vec(&shown.figures);
            let json = json.map_err(|error| StoreError::Io(error.to_string()))?;
            // What is too deep to be kept is not shown either.
            let partial = Written::of(&shown.partial).ok();
            ids.push(id_number(shown.id));
            attempts.push(i32::try_from(shown.attempt).unwrap_or(i32::MAX));
            figures.push(json);
            let text = partial.as_ref().and_then(Written::as_str);
            partials.push(text.map(|text| text.as_bytes().to_vec()));
        }
        let mut link = self.link.lock().await;
        let sent = async {
            let open = link.get().await?;
            let values: [&(dyn ToSql + Sync); 5] = [&owner.0, &ids, &attempts, &figures, &partials];
            within(self.setup.patience, open.client.execute(&open.prepared.0.show, &values)).await
        };
        let sent = sent.await;
        if sent.as_ref().is_err_and(Failure::is_lost) {
            link.give_up();
        }
        sent.map(drop)
    }

    /// Ends the connection.
    pub(super) async fn close(&self) {
        self.link.lock().await.close();
    }
}
