//! The names, hosts and ports of servers, by their numbers.
//!
//! A row holds only the number of the server that took its action. What that stands for never changes, so it is asked for once.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio_postgres::{Client, Row};

use super::columns::text;
use super::errors::{Failure, corrupt};
use crate::store::{Site, SiteId};

const OPEN: &str = "INSERT INTO site (name, host, port) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
const OWN: &str = "SELECT id FROM site WHERE name = $1 AND host = $2 AND port = $3";
const SOME: &str = "SELECT id, name, host, port FROM site WHERE id = ANY($1)";

/// The sites that are known here.
#[derive(Debug)]
pub(super) struct Sites {
    own: i32,
    known: RwLock<HashMap<i32, Arc<Site>>>,
    /// Those that rows have named and that are not known yet.
    missing: Mutex<BTreeSet<i32>>,
    /// True if there are some, so that a look costs nothing where there are none.
    any_missing: AtomicBool,
}

impl Sites {
    /// Finds or makes the number of this server's site.
    pub(super) async fn open(client: &Client, own: &Site) -> Result<Self, Failure> {
        let (name, host, port) = (own.name.as_bytes(), own.host.as_bytes(), i32::from(own.port));
        client.execute(OPEN, &[&name, &host, &port]).await?;
        let id = client.query_one(OWN, &[&name, &host, &port]).await?.try_get(0)?;
        Ok(Self {
            own: id,
            known: RwLock::new(HashMap::from([(id, Arc::new(own.clone()))])),
            missing: Mutex::default(),
            any_missing: AtomicBool::new(false),
        })
    }

    /// Returns the number of this server's own.
    pub(super) const fn own(&self) -> i32 {
        self.own
    }

    /// Returns the site that took an action, unless it is this one.
    pub(super) fn taken_by(&self, id: Option<i32>) -> Option<SiteId> {
        let id = id.filter(|id| *id != self.own)?;
        self.want(id);
        Some(SiteId(id))
    }

    /// Returns the site that ran an action.
    pub(super) fn run_by(&self, id: Option<i32>) -> Option<SiteId> {
        let id = id?;
        self.want(id);
        Some(SiteId(id))
    }

    pub(super) fn get(&self, SiteId(id): SiteId) -> Option<Arc<Site>> {
        // Nothing that holds the lock can leave it half changed.
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    fn want(&self, id: i32) {
        if self.get(SiteId(id)).is_none() {
            self.missing.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
            self.any_missing.store(true, Ordering::Release);
        }
    }

    pub(super) fn are_missing(&self) -> bool {
        self.any_missing.load(Ordering::Acquire)
    }

    /// Asks for the sites that are missing. Called before what has named them is passed on.
    pub(super) async fn learn(&self, client: &Client) -> Result<(), Failure> {
        if !self.are_missing() {
            return Ok(());
        }
        let missing: Vec<i32> = {
            let missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
            missing.iter().copied().collect()
        };
        let rows = client.query(SOME, &[&missing]).await?;
        for row in &rows {
            self.add(row.try_get(0)?, site(row, 1)?);
        }
        let mut left = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        left.retain(|id| !missing.contains(id));
        self.any_missing.store(!left.is_empty(), Ordering::Release);
        Ok(())
    }

    pub(super) fn add(&self, id: i32, site: Site) -> Arc<Site> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(id).or_insert_with(|| Arc::new(site)))
    }
}

/// Reads name, host and port from these columns on.
pub(super) fn site(row: &Row, column: usize) -> Result<Site, Failure> {
    let port: i32 = row.try_get(column + 2)?;
    let port = u16::try_from(port).map_err(|_| corrupt(format!("a server has the port {port}")))?;
    let text = |column| Ok::<_, Failure>(text(row, column)?.unwrap_or_default());
    Ok(Site { name: text(column)?, host: text(column + 1)?, port })
}
