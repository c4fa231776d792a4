//! The settings with which a store is opened.

use std::sync::Arc;
use std::time::Duration;

use super::connect::Connect;
use crate::clock::{Clock, SystemClock};
use crate::moment::LeaseClock;
use crate::store::Site;

/// Settings of a [`PostgresStore`](super::PostgresStore).
#[derive(Debug, Clone)]
pub struct Settings {
    /// The way to the database.
    pub connect: Connect,
    /// Name of the schema that holds the tables. It is created if it is missing.
    pub schema: String,
    /// Time for which this server's lease holds after a renewal. All servers of a schema should have the same.
    pub lease: Duration,
    /// Time between two renewals of the lease, at most a third of it.
    pub heartbeat: Duration,
    /// Maximum time for an answer of the database. After that it counts as unavailable.
    pub patience: Duration,
    /// Maximum number of connections that read.
    pub readers: usize,
    /// This server's name, and the host and port in its tokens: others show them so.
    pub site: Site,
    /// Number of actions that it may run at a time, for others to see.
    pub slots: u32,
    /// The clock by which this server measures its own lease.
    pub clock: LeaseClock,
    /// The clock by which the system goes that has the store: the log tells if that of the database differs from it.
    pub wall_clock: Arc<dyn Clock>,
}

impl Settings {
    /// Default of [`Settings::schema`].
    pub const SCHEMA: &'static str = "actiond";
    /// Default of [`Settings::lease`].
    pub const LEASE: Duration = Duration::from_secs(15);
    /// Default of [`Settings::heartbeat`].
    pub const HEARTBEAT: Duration = Duration::from_secs(5);
    /// Default of [`Settings::patience`].
    pub const PATIENCE: Duration = Duration::from_millis(1_500);
    /// Default of [`Settings::readers`].
    pub const READERS: usize = 4;

    /// Makes the default settings for this database.
    #[must_use]
    pub fn new(connect: Connect) -> Self {
        Self {
            connect,
            schema: Self::SCHEMA.to_owned(),
            lease: Self::LEASE,
            heartbeat: Self::HEARTBEAT,
            patience: Self::PATIENCE,
            readers: Self::READERS,
            site: Site { name: String::new(), host: String::new(), port: 0 },
            slots: 0,
            clock: LeaseClock::default(),
            wall_clock: Arc::new(SystemClock),
        }
    }
}
