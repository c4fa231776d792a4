//! Looks now and then whether the clock of this server agrees with that of the database, and says so in the log if not.
//!
//! Leases go by the database's clock alone. What is to start later, retries and retention go by the servers' own.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::{Client, Row};

use super::message::statements;
use crate::action::Timestamp;
use crate::clock::Clock;

/// Difference up to which two clocks agree. Machines that keep their time by NTP are some milliseconds apart.
const MOST: Duration = Duration::from_secs(5);

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(30);

statements! {
    /// The database's time, and both times as text.
    Times {
        now: "SELECT (extract(epoch FROM now) * 1000)::int8, to_char(now AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
                to_char(to_timestamp($1::int8 / 1000.0) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
            FROM (SELECT clock_timestamp() AS now) AS clock",
    }
}

/// The clock of this server, beside that of the database.
#[derive(Debug)]
pub(super) struct Clocks {
    own: Arc<dyn Clock>,
    looked: Option<Instant>,
    /// True once it was said that they differ.
    is_told: bool,
}

impl Clocks {
    pub(super) const fn new(own: Arc<dyn Clock>) -> Self {
        Self { own, looked: None, is_told: false }
    }

    /// Tells whether it is time to look.
    pub(super) fn are_due(&self) -> bool {
        self.looked.is_none_or(|looked| looked.elapsed() >= EVERY)
    }

    /// Looks at both clocks. Called when it is time.
    pub(super) async fn look(
        &mut self,
        client: &Client,
        times: &Times,
    ) -> Result<(), tokio_postgres::Error> {
        self.looked = Some(Instant::now());
        let asked = self.own.now();
        let row = client.query_one(&times.now, &[&asked.0]).await?;
        let (database, database_text, own_text) = read(&row)?;
        let off = off(asked, self.own.now(), database);
        match (off, self.is_told) {
            (Some(off), false) => log::warn!(
                "the clock of this server and that of the database differ by {} s: here it is {own_text}, there {database_text} \
                 (UTC). NotBefore, delays of retries and MaxFinishedAge go by the clock here: set both by NTP",
                off.as_secs()
            ),
            (None, true) => {
                log::info!("the clock of this server agrees with that of the database again");
            }
            _ => {}
        }
        self.is_told = off.is_some();
        Ok(())
    }
}

fn read(row: &Row) -> Result<(Timestamp, String, String), tokio_postgres::Error> {
    Ok((Timestamp(row.try_get(0)?), row.try_get(1)?, row.try_get(2)?))
}

/// Returns by how much two clocks differ, if that is too much. The database was asked when the clock here showed `asked`, and had
/// answered when it showed `answered`: what lies between is no difference.
fn off(asked: Timestamp, answered: Timestamp, database: Timestamp) -> Option<Duration> {
    let ahead = database.0.saturating_sub(answered.0);
    let behind = asked.0.saturating_sub(database.0);
    let off = Duration::from_millis(u64::try_from(ahead.max(behind)).unwrap_or_default());
    (off > MOST).then_some(off)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_differ_where_the_time_of_the_question_does_not_explain_it() {
        for (asked, answered, database, want) in [
            (100_000, 100_000, 100_000, None),
            (100_000, 100_100, 105_100, None),
            (100_000, 100_100, 105_101, Some(5_001)),
            (100_000, 100_100, 95_000, None),
            (100_000, 100_100, 94_999, Some(5_001)),
            // The answer took long.
            (100_000, 160_000, 130_000, None),
            (100_000, 160_000, 165_000, None),
            (100_000, 160_000, 3_700_000, Some(3_540_000)),
            // This clock was set back meanwhile.
            (100_000, 90_000, 95_000, None),
            (i64::MIN, i64::MIN, i64::MAX, Some(i64::MAX)),
        ] {
            let off = off(Timestamp(asked), Timestamp(answered), Timestamp(database));
            let want = want.map(|millis| Duration::from_millis(u64::try_from(millis).unwrap()));
            assert_eq!(off, want, "{asked} {answered} {database}");
        }
    }
}
