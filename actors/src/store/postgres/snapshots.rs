//! Looks each second whether somebody holds an old snapshot, says so in the log, and, as long as that is so, looks for actions that
//! stand before the marks. Beside that it has the [clocks](super::clocks) looked at.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_postgres::{Client, Row};

use super::clocks::{Clocks, Times};
use super::connection::{Link, Open, Prepare, Role};
use super::errors::Failure;
use super::marks::Marks;
use super::message::statements;
use super::setup::Setup;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// Time after which a snapshot is old.
const OLD: Duration = Duration::from_secs(5);

/// Time after which the log tells of it. A dump may take its time.
const TOLD: Duration = Duration::from_mins(1);

/// Number of transactions that have begun since, at least: before, it is in nobody's way.
const MANY: i64 = 1_000;

/// Maximum time for one look. It walks past all that the database can't remove, on a connection that nobody waits for.
const MOST: Duration = Duration::from_secs(60);

/// A look for what stands before the marks is followed by a pause of so many times its own length, so that it leaves the database
/// to others.
const PAUSE: u32 = 3;

statements! {
    /// Statements of the connection that watches.
    Watch {
        // Sessions, also of standby servers; replication slots; prepared transactions. Who may not see other sessions sees these.
        oldest: "SELECT held.who, held.pid, held.xmin::text, age(held.xmin)::int8 FROM (
                SELECT a.application_name AS who, a.pid, a.backend_xmin AS xmin FROM pg_catalog.pg_stat_activity a
                WHERE a.pid <> pg_backend_pid() AND (a.datname IS NULL OR a.datname = current_database())
                UNION ALL
                SELECT s.slot_name::text, s.active_pid, s.xmin FROM pg_catalog.pg_replication_slots s
                UNION ALL
                SELECT p.gid, NULL, p.transaction FROM pg_catalog.pg_prepared_xacts p WHERE p.database = current_database()
            ) AS held WHERE held.xmin IS NOT NULL ORDER BY 4 DESC LIMIT 1",

        first: "SELECT l.id FROM live l WHERE l.queue = $1 AND l.state = 0 AND l.priority = $2 AND l.id <= $3
            ORDER BY l.queue, l.priority DESC, l.id, l.taken_by LIMIT 1",
    }
}

struct Prepared(Watch, Times);

impl Prepare for Prepared {
    async fn prepare(client: &Client) -> Result<Self, Failure> {
        client.batch_execute(&format!("SET statement_timeout = {}", MOST.as_millis())).await?;
        Ok(Self(Watch::prepare(client).await?, Times::prepare(client).await?))
    }
}

/// The oldest snapshot that somebody holds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    who: String,
    pid: Option<i32>,
    xmin: String,
}

impl Held {
    fn read(row: &Row) -> Result<(Self, i64), Failure> {
        let who: Option<String> = row.try_get(0)?;
        let held =
            Self { who: who.unwrap_or_default(), pid: row.try_get(1)?, xmin: row.try_get(2)? };
        Ok((held, row.try_get(3)?))
    }
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid} ({:?})", self.who),
            None => write!(f, "{:?}", self.who),
        }
    }
}

/// The oldest snapshot, as it is known from one look to the next.
#[derive(Debug, Default)]
struct Known {
    held: Option<(Held, Instant)>,
    is_told: bool,
}

impl Known {
    /// Notes what a look has found; tells whether it is old.
    fn note(&mut self, found: Option<(Held, i64)>, now: Instant) -> bool {
        let many = found.as_ref().is_some_and(|(_, age)| *age >= MANY);
        let held = found.map(|(held, _)| held);
        let since = match &self.held {
            Some((known, since)) if Some(known) == held.as_ref() => *since,
            _ => now,
        };
        let lasts = now.saturating_duration_since(since);
        if let Some((known, since)) = &self.held
            && self.is_told
            && Some(known) != held.as_ref()
        {
            log::info!(
                "{known} holds its old snapshot no more, after {} s",
                (now - *since).as_secs()
            );
            self.is_told = false;
        }
        let is_old = held.is_some() && many && lasts >= OLD;
        if let Some(held) = &held
            && is_old
            && lasts >= TOLD
            && !self.is_told
        {
            log::warn!(
                "{held} has held a snapshot for {} s, by a transaction that is open or otherwise. Until it ends, the \
                 database keeps all that is deleted: tables grow, and listings get slower",
                lasts.as_secs()
            );
            self.is_told = true;
        }
        self.held = held.map(|held| (held, since));
        is_old
    }
}

/// Watches as long as the store is open.
pub(super) async fn watch(setup: Arc<Setup>, marks: Arc<Marks>) {
    let mut clocks = Clocks::new(Arc::clone(&setup.wall_clock));
    let mut link: Link<Prepared> = Link::new(setup, Role::Watches);
    let mut known = Known::default();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rests_until = Instant::now();
    loop {
        ticks.tick().await;
        let looked = async {
            let open = link.get().await?;
            if clocks.are_due() {
                ask(clocks.look(&open.client, &open.prepared.1)).await?;
            }
            let rows = ask(open.client.query(&open.prepared.0.oldest, &[])).await?;
            let found = rows.first().map(Held::read).transpose()?;
            let is_old = known.note(found, Instant::now());
            marks.note_old(is_old);
            if is_old && Instant::now() >= rests_until {
                let begin = Instant::now();
                let walked = walk(&open, &marks).await;
                rests_until = Instant::now() + begin.elapsed() * PAUSE;
                walked?;
            }
            Ok::<(), Failure>(())
        };
        let looked = looked.await;
        if let Err(failure) = looked {
            log::debug!("old snapshots are not looked for: {failure:?}");
            // Nothing may be passed over that nobody looks for.
            marks.note_old(false);
            if failure.is_lost() {
                link.give_up();
            }
        }
    }
}

/// Looks for the first action before each mark, and lowers the mark to it.
async fn walk(open: &Open<Prepared>, marks: &Marks) -> Result<(), Failure> {
    for (queue, priority, id) in marks.all() {
        let found =
            ask(open.client.query_opt(&open.prepared.0.first, &[&queue, &priority, &id])).await?;
        if let Some(row) = found {
            marks.lower(queue, priority, row.try_get(0)?);
        }
    }
    Ok(())
}

async fn ask<T>(
    what: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Failure> {
    super::connection::within(MOST, what).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_old_that_lasts_while_many_transactions_begin() {
        let held = |pid, xmin: &str| Held {
            who: "psql".to_owned(),
            pid: Some(pid),
            xmin: xmin.to_owned(),
        };
        let mut known = Known::default();
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert!(!known.note(Some((held(1, "7"), MANY)), at(0)));
        assert!(!known.note(Some((held(1, "7"), MANY)), at(4)));
        assert!(known.note(Some((held(1, "7"), MANY)), at(5)));
        assert!(!known.note(Some((held(1, "7"), MANY - 1)), at(6)), "few have begun since");
        assert!(known.note(Some((held(1, "7"), MANY)), at(60)) && known.is_told);
        assert!(!known.note(Some((held(1, "8"), MANY)), at(61)), "another snapshot");
        assert!(!known.is_told);
        assert!(known.note(Some((held(1, "8"), MANY)), at(66)));
        assert!(!known.note(None, at(67)));
    }
}
