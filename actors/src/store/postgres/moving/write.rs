//! Filling a schema.

use tokio_postgres::Client;

use crate::store::Site;
use crate::store::moving::{Begun, Cursor, Mark, Moved, Outline, is_final};
use crate::store::postgres::connection::Prepare as _;
use crate::store::postgres::errors::Failure;
use crate::store::postgres::message::{Message, statements, values};
use crate::store::postgres::schedules::PUT;
use crate::store::postgres::schema::{MOVING, VERSION};
use crate::store::postgres::sites::Sites;
use crate::store::postgres::write::schedules::columns;

/// The source of the rows, and how far they have come.
const MARK: &str = "
    DROP TABLE IF EXISTS moving;
    CREATE TABLE moving (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        source bytea NOT NULL,
        content text NOT NULL,
        part integer NOT NULL,
        after bigint NOT NULL,
        done bigint NOT NULL
    )";

/// The counts by state of all rows. They belong to no server, as those of servers that were forgotten.
const COUNT: &str = "
    DELETE FROM tally;
    INSERT INTO tally (queue, server, queued, processing, paused, stopping, finished, error, cancelled, stopped, deferred)
    SELECT queue, 0, count(*) FILTER (WHERE state IN (0, 8)), count(*) FILTER (WHERE state = 1),
        count(*) FILTER (WHERE state = 2), count(*) FILTER (WHERE state = 3), count(*) FILTER (WHERE state = 4),
        count(*) FILTER (WHERE state = 5), count(*) FILTER (WHERE state = 6), count(*) FILTER (WHERE state = 7),
        count(*) FILTER (WHERE state = 8)
    FROM (SELECT queue, state FROM live UNION ALL SELECT queue, state FROM done) AS action WHERE queue > 0 GROUP BY queue";

/// Deletes all events, but the rows that are always there.
pub(super) const CLEAR_EVENTS: &str =
    "DELETE FROM event WHERE handler > 0; DELETE FROM failed_event WHERE handler > 0";

const HANDLER: &str = "
    WITH made AS (INSERT INTO handler (folded, name) VALUES ($1, $2) RETURNING id)
    INSERT INTO dropped (handler, number) SELECT id, $3::int8 FROM made WHERE $3 > 0";

statements! {
    /// Statements that write a page.
    Statements {
        begin: "BEGIN",
        commit: "COMMIT",

        // Nobody runs those that ran: the next server recovers them, as if theirs had died.
        live: "INSERT INTO live (id, queue, state, priority, attempt, failures, restarts, queued_at, started_at, not_before,
                worker, error, note, submission_key, taken_by, parameters, action_id, origin)
            SELECT e.id, e.queue, e.state, e.priority, e.attempt, e.failures, e.restarts, e.queued_at, e.started_at,
                e.not_before, e.worker, e.error, e.note, e.key, $1, e.parameters, e.action_id, e.origin
            FROM unnest($2::int8[], $3::int4[], $4::int2[], $5::int4[], $6::int4[], $7::int4[], $8::int4[], $9::int8[],
                $10::int8[], $11::int8[], $12::bytea[], $13::bytea[], $14::bytea[], $15::bytea[], $16::bytea[], $17::bytea[],
                $18::bytea[])
                AS e(id, queue, state, priority, attempt, failures, restarts, queued_at, started_at, not_before, worker,
                    error, note, key, parameters, action_id, origin)",

        done: "INSERT INTO done (id, queue, state, priority, attempt, queued_at, started_at, finished_at, processing_ms,
                percent, worker, error, submission_key, taken_by, report, parameters, action_id, origin)
            SELECT e.id, e.queue, e.state, e.priority, e.attempt, e.queued_at, e.started_at, e.finished_at,
                e.processing_ms, e.percent, e.worker, e.error, e.key, $1, e.report, e.parameters, e.action_id, e.origin
            FROM unnest($2::int8[], $3::int4[], $4::int2[], $5::int4[], $6::int4[], $7::int8[], $8::int8[], $9::int8[],
                $10::int8[], $11::float8[], $12::bytea[], $13::bytea[], $14::bytea[], $15::bytea[], $16::bytea[],
                $17::bytea[], $18::bytea[])
                AS e(id, queue, state, priority, attempt, queued_at, started_at, finished_at, processing_ms, percent,
                    worker, error, key, report, parameters, action_id, origin)",

        history: "INSERT INTO history (id, attempt, started_at, ended_at, ended, worker, error)
            SELECT * FROM unnest($1::int8[], $2::int4[], $3::int8[], $4::int8[], $5::text[], $6::bytea[], $7::bytea[])",

        keys: "INSERT INTO submission_key (queue, digest, id)
            SELECT e.queue, sha256(e.key), e.id FROM unnest($1::int4[], $2::bytea[], $3::int8[]) AS e(queue, key, id)",

        advance: "UPDATE moving SET part = $1, after = $2, done = done + $3",
    }
}

/// The writer of pages.
pub(super) struct Writing {
    statements: Statements,
    site: i32,
}

impl Writing {
    pub(super) async fn of(client: &Client, site: &Site) -> Result<Self, Failure> {
        let site = Sites::open(client, site).await?.own();
        Ok(Self { statements: Statements::prepare(client).await?, site })
    }

    /// Returns the number of the site that took what is written.
    pub(super) const fn site(&self) -> i32 {
        self.site
    }

    /// Writes a page.
    pub(super) async fn page(
        &self,
        client: &Client,
        queues: &[i32],
        page: &[Moved],
        next: Cursor,
    ) -> Result<(), Failure> {
        let mut message = Message::to(client);
        message.add(&self.statements.begin, vec![]);
        let (done, live): (Vec<&Moved>, Vec<&Moved>) =
            page.iter().partition(|row| is_final(row.state));
        self.add_live(&mut message, queues, &live);
        self.add_done(&mut message, queues, &done);
        let past = || page.iter().flat_map(|row| row.past.iter().map(move |past| (row.id, past)));
        if past().next().is_some() {
            let values = values![
                past().map(|(id, _)| id).collect::<Vec<_>>(),
                past().map(|(_, past)| past.attempt).collect::<Vec<_>>(),
                past().map(|(_, past)| past.started_at).collect::<Vec<_>>(),
                past().map(|(_, past)| past.ended_at).collect::<Vec<_>>(),
                past().map(|(_, past)| past.ended.as_deref()).collect::<Vec<_>>(),
                past().map(|(_, past)| past.worker.as_deref()).collect::<Vec<_>>(),
                past().map(|(_, past)| past.error.as_deref()).collect::<Vec<_>>(),
            ];
            message.add(&self.statements.history, values);
        }
        let with_key: Vec<&Moved> = page.iter().filter(|row| row.key.is_some()).collect();
        if !with_key.is_empty() {
            let values = values![
                each(&with_key, |row| queue(queues, row)),
                each(&with_key, |row| row.key.as_deref()),
                each(&with_key, |row| row.id),
            ];
            message.add(&self.statements.keys, values);
        }
        let count = i64::try_from(page.len()).unwrap_or(i64::MAX);
        message.add(&self.statements.advance, values![next.part, next.after, count]);
        message.add(&self.statements.commit, vec![]);
        message.answers().await?;
        Ok(())
    }

    fn add_live<'a>(&'a self, message: &mut Message<'a>, queues: &[i32], rows: &[&'a Moved]) {
        if rows.is_empty() {
            return;
        }
        let values = values![
            self.site,
            each(rows, |row| row.id),
            each(rows, |row| queue(queues, row)),
            each(rows, |row| row.state),
            each(rows, |row| row.priority),
            each(rows, |row| row.attempt),
            each(rows, |row| row.failures),
            each(rows, |row| row.restarts),
            each(rows, |row| row.queued_at),
            each(rows, |row| row.started_at),
            each(rows, |row| row.not_before),
            each(rows, |row| row.worker.as_deref()),
            each(rows, |row| row.error.as_deref()),
            each(rows, |row| row.note.as_deref()),
            each(rows, |row| row.key.as_deref()),
            each(rows, |row| row.parameters.as_slice()),
            each(rows, |row| row.action_id.as_deref()),
            each(rows, |row| row.origin.as_deref()),
        ];
        message.add(&self.statements.live, values);
    }

    fn add_done<'a>(&'a self, message: &mut Message<'a>, queues: &[i32], rows: &[&'a Moved]) {
        if rows.is_empty() {
            return;
        }
        let values = values![
            self.site,
            each(rows, |row| row.id),
            each(rows, |row| queue(queues, row)),
            each(rows, |row| row.state),
            each(rows, |row| row.priority),
            each(rows, |row| row.attempt),
            each(rows, |row| row.queued_at),
            each(rows, |row| row.started_at),
            each(rows, |row| row.finished_at),
            each(rows, |row| row.processing_ms),
            each(rows, |row| row.percent),
            each(rows, |row| row.worker.as_deref()),
            each(rows, |row| row.error.as_deref()),
            each(rows, |row| row.key.as_deref()),
            each(rows, |row| row.report.as_deref()),
            each(rows, |row| row.parameters.as_slice()),
            each(rows, |row| row.action_id.as_deref()),
            each(rows, |row| row.origin.as_deref()),
        ];
        message.add(&self.statements.done, values);
    }
}

fn each<'a, T>(rows: &[&'a Moved], column: impl Fn(&'a Moved) -> T) -> Vec<T> {
    rows.iter().map(|row| column(row)).collect()
}

/// Returns the number of an action's queue. One that is not there breaks a rule of the table.
fn queue(queues: &[i32], row: &Moved) -> Option<i32> {
    queues.get(row.queue).copied()
}

/// Reads the mark.
pub(super) async fn mark(client: &Client) -> Result<(Mark, Begun), Failure> {
    let row =
        client.query_one("SELECT source, content, part, after, done FROM moving", &[]).await?;
    let next = Cursor { part: row.try_get(2)?, after: row.try_get(3)? };
    let done = u64::try_from(row.try_get::<_, i64>(4)?).unwrap_or_default();
    let mark = Mark { source: super::name(&row, 0)?, content: row.try_get(1)? };
    Ok((mark, Begun { next, done }))
}

/// Empties it, marks it, and creates the queues.
pub(super) async fn begin(client: &Client, mark: &Mark, outline: &Outline) -> Result<(), Failure> {
    let transaction = async {
        client
            .batch_execute(
                "BEGIN; TRUNCATE live, done, shown, history, submission_key, tally, queue, schedule, handler, event, failed_event, dropped; SELECT add_ballast()",
            )
            .await?;
        client.batch_execute(MARK).await?;
        let (part, after) = (Cursor::START.part, Cursor::START.after);
        client
            .execute(
                "INSERT INTO moving (source, content, part, after, done) VALUES ($1, $2, $3, $4, 0)",
                &[&mark.source.as_bytes(), &mark.content, &part, &after],
            )
            .await?;
        let mut queues = Vec::with_capacity(outline.queues.len());
        for queue in &outline.queues {
            let folded = queue.name.to_ascii_lowercase();
            let row = client
                .query_one(
                    "INSERT INTO queue (folded, name, paused) VALUES ($1, $2, $3) RETURNING id",
                    &[&folded.as_bytes(), &queue.name.as_bytes(), &queue.paused],
                )
                .await?;
            queues.push(row.try_get::<_, i32>(0)?.into());
        }
        for handler in &outline.handlers {
            let folded = handler.name.to_ascii_lowercase();
            client
                .execute(HANDLER, &[&folded.as_bytes(), &handler.name.as_bytes(), &handler.dropped])
                .await?;
        }
        let schedules = outline.schedules_for(&queues);
        let values = columns(&schedules.iter().collect::<Vec<_>>());
        let values: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
            values.iter().map(|value| &**value as _).collect();
        client.execute(PUT, &values).await?;
        client.execute("UPDATE meta SET version = $1", &[&MOVING]).await?;
        Ok(client.batch_execute("COMMIT").await?)
    };
    // What has failed has ended the command, and the connection with it.
    transaction.await
}

/// Counts the actions, and lets numbers go on behind the highest that were given out: never back.
pub(super) async fn complete(client: &Client, outline: &Outline) -> Result<(), Failure> {
    client.batch_execute(&format!("BEGIN; {COUNT}; COMMIT")).await?;
    for (sequence, last) in [("action_id", outline.last_id), ("event_id", outline.last_event)] {
        let go_on = format!(
            "SELECT setval('{sequence}', greatest($1::int8, last_value), true) FROM {sequence} WHERE $1 > 0"
        );
        client.execute(&go_on, &[&last]).await?;
    }
    Ok(())
}

/// Makes it one that servers open.
pub(super) async fn release(client: &Client) -> Result<(), Failure> {
    let text = format!("BEGIN; DROP TABLE moving; UPDATE meta SET version = {VERSION}; COMMIT");
    Ok(client.batch_execute(&text).await?)
}
