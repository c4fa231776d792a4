//! A schema as a side of a move: see [`crate::store::moving`].
//!
//! While it is filled, it has a version that no server knows ([`schema::MOVING`]), and a table that says how far it has come,
//! written in the same transactions. On either side a transaction of its own holds the table of servers, so that none begins or
//! renews a lease, and there is no second move.

mod events;
mod guard;
mod read;
mod write;

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_postgres::Client;

use super::columns::text;
use super::connect::Connect;
use super::connection::{Role, Task, begin_session, connect, within};
use super::errors::Failure;
use super::settings::Settings;
use super::setup::Setup;
use super::{rights, schema};
use crate::store::moving::{
    Begun, Cursor, DEFERRED, EventPage, Fault, Mark, Moved, MovedEvent, Outline, Page, Side,
};
use crate::store::{Site, StoreError};
use guard::Guard;

const _: () = assert!(schema::DEFERRED == DEFERRED);

/// Time for a connection to be made, and for its other end to be given up. Nobody waits for an answer meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);

/// A schema that no server uses.
pub(in crate::store) struct Schema {
    client: Client,
    _task: Task,
    guard: Guard,
    name: String,
    database: String,
    ids: Ids,
    /// The numbers of the sites that took what was read.
    read_sites: BTreeSet<i32>,
    reading: read::Statements,
    events: events::Statements,
    /// The site that is written as the one that took the actions, if it is a target.
    taken_by: Option<Site>,
    /// Its writer, once that has begun.
    writing: Option<write::Writing>,
}

/// The numbers of the queues and handlers in the order of the outline.
#[derive(Default)]
struct Ids {
    queues: Vec<i32>,
    handlers: Vec<i64>,
}

impl Schema {
    /// Opens one that is there, as a server would, and brings it to the version of this program.
    pub(in crate::store) async fn source(connect: &Connect, name: &str) -> Result<Self, Fault> {
        Ok(Self::open(connect, name, None).await?)
    }

    /// Opens one that may be there. This site is written as the one that took the actions.
    pub(in crate::store) async fn target(
        connect: &Connect,
        name: &str,
        site: &Site,
    ) -> Result<Self, Fault> {
        Ok(Self::open(connect, name, Some(site)).await?)
    }

    async fn open(way: &Connect, name: &str, target: Option<&Site>) -> Result<Self, Refusal> {
        let settings =
            Settings { schema: name.to_owned(), patience: PATIENCE, ..Settings::new(way.clone()) };
        let setup = Setup::new(settings);
        let (client, task) = session(&setup).await?;
        within(PATIENCE, rights::check(&client, name)).await?;
        let version = schema::version(&client).await?;
        match (version, target) {
            (None, None) => return Err(Refusal(Fault::Missing)),
            (Some(schema::MOVING), Some(_)) => {}
            _ => schema::migrate(&client, name).await?,
        }
        let guard = Guard::of(&setup).await?;
        let database = client.query_one("SELECT current_database()::text", &[]).await?;
        let reading = <read::Statements as super::connection::Prepare>::prepare(&client).await?;
        let events = <events::Statements as super::connection::Prepare>::prepare(&client).await?;
        Ok(Self {
            guard,
            name: name.to_owned(),
            database: database.try_get(0)?,
            ids: Ids::default(),
            read_sites: BTreeSet::new(),
            reading,
            events,
            taken_by: target.cloned(),
            writing: None,
            client,
            _task: task,
        })
    }

    fn writing(&self) -> Result<&write::Writing, Refusal> {
        // Only what has begun is written.
        self.writing.as_ref().ok_or(Refusal(Fault::Store(StoreError::Closed)))
    }
}

/// Connects, for work that may take its time.
async fn session(setup: &Setup) -> Result<(Client, Task), Failure> {
    let (client, dialled) = connect(setup).await?;
    let task = Task::of(dialled, None);
    within(setup.patience, rights::check_version(&client)).await?;
    within(setup.patience, begin_session(&client, setup, Role::Moves)).await?;
    let patient = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;";
    within(setup.patience, client.batch_execute(patient)).await?;
    Ok((client, task))
}

/// The fault of a schema, made of whatever has failed.
struct Refusal(Fault);

impl<E: Into<Failure>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self(Fault::Store(error.into().told()))
    }
}

impl From<Refusal> for Fault {
    fn from(Refusal(fault): Refusal) -> Self {
        fault
    }
}

impl Side for Schema {
    fn place(&self) -> String {
        format!("the schema {} of the database {}", self.name, self.database)
    }

    async fn outline(&mut self) -> Result<Outline, Fault> {
        let (ids, outline) =
            read::outline(&self.client, &self.reading).await.map_err(Refusal::from)?;
        self.ids = ids;
        self.read_sites.clear();
        Ok(outline)
    }

    async fn page(&mut self, from: Cursor) -> Result<Page, Fault> {
        self.guard.check()?;
        let (page, sites) = read::page(&self.client, &self.reading, &self.ids.queues, from)
            .await
            .map_err(Refusal::from)?;
        self.read_sites.extend(sites);
        Ok(page)
    }

    async fn events(&mut self, from: Cursor) -> Result<EventPage, Fault> {
        self.guard.check()?;
        let page = events::page(&self.client, &self.events, &self.ids, from).await;
        Ok(page.map_err(Refusal::from)?)
    }

    async fn keys(&mut self) -> Result<u64, Fault> {
        let row =
            self.client.query_one("SELECT count(*) FROM submission_key WHERE queue > 0", &[]).await;
        let number: i64 = row.and_then(|row| row.try_get(0)).map_err(Refusal::from)?;
        Ok(u64::try_from(number).unwrap_or_default())
    }

    async fn begin(&mut self, mark: &Mark, outline: &Outline) -> Result<Begun, Fault> {
        let begun = self.begin_or_refuse(mark, outline).await?;
        if let Some(site) = &self.taken_by {
            // Its statements need the table of the mark.
            let writing = write::Writing::of(&self.client, site).await.map_err(Refusal::from)?;
            self.writing = Some(writing);
        }
        self.outline().await?;
        Ok(begun)
    }

    async fn write(&mut self, page: &[Moved], next: Cursor) -> Result<(), Fault> {
        self.guard.check()?;
        let writing = self.writing()?;
        Ok(writing.page(&self.client, &self.ids.queues, page, next).await.map_err(Refusal::from)?)
    }

    async fn clear_events(&mut self) -> Result<(), Fault> {
        let cleared = self.client.batch_execute(write::CLEAR_EVENTS).await;
        Ok(cleared.map_err(Refusal::from)?)
    }

    async fn write_events(&mut self, page: &[MovedEvent]) -> Result<(), Fault> {
        self.guard.check()?;
        let to = (&self.ids, self.writing()?.site());
        let written = events::write(&self.client, &self.events, to, page).await;
        Ok(written.map_err(Refusal::from)?)
    }

    async fn complete(&mut self, outline: &Outline) -> Result<(), Fault> {
        Ok(write::complete(&self.client, outline).await.map_err(Refusal::from)?)
    }

    async fn spoil(&mut self) -> Result<(), Fault> {
        let spoiled = self.client.execute("UPDATE moving SET content = ''", &[]).await;
        spoiled.map_err(Refusal::from)?;
        Ok(())
    }

    async fn release(&mut self) -> Result<(), Fault> {
        self.guard.check()?;
        Ok(write::release(&self.client).await.map_err(Refusal::from)?)
    }

    async fn sites(&mut self) -> Result<Vec<(String, u16)>, Fault> {
        let ids: Vec<i32> = self.read_sites.iter().copied().collect();
        Ok(read::sites(&self.client, &ids).await.map_err(Refusal::from)?)
    }
}

impl Schema {
    async fn begin_or_refuse(&self, mark: &Mark, outline: &Outline) -> Result<Begun, Refusal> {
        if schema::version(&self.client).await? == Some(schema::MOVING) {
            let (known, begun) = write::mark(&self.client).await?;
            if known.source != mark.source {
                return Err(Refusal(Fault::OtherSource(known.source)));
            }
            if known == *mark {
                return Ok(begun);
            }
        } else {
            let some = "SELECT EXISTS (SELECT 1 FROM live WHERE queue > 0) OR EXISTS (SELECT 1 FROM done WHERE queue > 0)
                OR EXISTS (SELECT 1 FROM event WHERE handler > 0) OR EXISTS (SELECT 1 FROM failed_event WHERE handler > 0)";
            if self.client.query_one(some, &[]).await?.try_get(0)? {
                return Err(Refusal(Fault::NotEmpty));
            }
        }
        write::begin(&self.client, mark, outline).await?;
        Ok(Begun::NOTHING)
    }
}

/// Reads the name of a server.
fn name(row: &tokio_postgres::Row, column: usize) -> Result<String, Failure> {
    Ok(text(row, column)?.unwrap_or_default())
}
