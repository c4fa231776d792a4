//! Several servers on one schema of a real PostgreSQL.
//!
//! ```ignore
//! let Some(database) = Database::shared() else { return };
//! let servers = Servers::start(&database, 2, CONFIG);
//! let token = servers[0].submit("&Name=Ada");
//! servers[1].wait_for_status(&token, "Finished");
//! ```

use std::ops::Index;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::cluster::{Cluster, Programs};
use crate::server::{Home, Server};
use crate::skip;

/// Lease of the servers of a test, in seconds: short, so that the death of one is noticed soon.
pub(crate) const LEASE: Duration = Duration::from_secs(3);

/// Returns PostgreSQL's programs, or says that there are none.
pub(crate) fn programs() -> Option<Programs> {
    let found = Programs::find();
    if found.is_none() {
        skip::skipped("servers on PostgreSQL", "there is no initdb");
    }
    found
}

/// A schema of a test's own, in a cluster.
pub(crate) struct Database {
    cluster: ClusterOf,
    pub(crate) schema: String,
}

enum ClusterOf {
    All(&'static Cluster),
    Test(Box<Cluster>),
}

impl Database {
    /// Names a schema in the cluster that the tests share; `None` where there is no PostgreSQL.
    pub(crate) fn shared() -> Option<Self> {
        programs().map(|programs| Self::of(ClusterOf::All(Cluster::shared(&programs))))
    }

    /// Names a schema in a cluster that only this test has, with these settings; it may be killed and started again.
    pub(crate) fn own(settings: &[&str]) -> Option<Self> {
        programs().map(|programs| Self::in_cluster(Cluster::own(&programs, settings)))
    }

    /// Names a schema in this cluster.
    pub(crate) fn in_cluster(cluster: Cluster) -> Self {
        Self::of(ClusterOf::Test(Box::new(cluster)))
    }

    /// Takes this schema in another cluster.
    pub(crate) fn of_schema(cluster: Cluster, schema: &str) -> Self {
        Self { cluster: ClusterOf::Test(Box::new(cluster)), schema: schema.to_owned() }
    }

    fn of(cluster: ClusterOf) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let schema = format!("e2e {} {number} {}", std::process::id(), fastrand::u32(..));
        Self { cluster, schema }
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        match &self.cluster {
            ClusterOf::All(cluster) => cluster,
            ClusterOf::Test(cluster) => cluster,
        }
    }

    /// Returns the cluster, if only this test has it.
    pub(crate) fn cluster_mut(&mut self) -> &mut Cluster {
        match &mut self.cluster {
            ClusterOf::All(_) => panic!("all tests share this cluster"),
            ClusterOf::Test(cluster) => cluster,
        }
    }

    /// The way to the database by its socket.
    pub(crate) fn connection(&self) -> String {
        format!("host={} user=postgres dbname=postgres", self.cluster().directory().display())
    }

    /// The keys of `[Actions]` for a server that reaches the database by this way.
    pub(crate) fn keys(&self, connection: &str) -> String {
        let (schema, lease) = (&self.schema, LEASE.as_secs());
        format!(
            "[Actions]\nAsyncStoreLibraryName=postgres\nConnectionString={connection}\nSchema={schema}\n\
             ServerLeaseSecs={lease}\n"
        )
    }

    /// Makes a home for a server of this name that reaches the database by this way, a proxy perhaps; the rest of its
    /// configuration is `config`.
    pub(crate) fn home_by(&self, connection: &str, name: &str, config: &str) -> Home {
        let keys = self.keys(connection);
        Home::new(&format!("[Server]\nServerName={name}\n{keys}\n{config}"))
    }

    /// Makes a home for a server of this name.
    pub(crate) fn home(&self, name: &str, config: &str) -> Home {
        self.home_by(&self.connection(), name, config)
    }

    /// Runs statements as an administrator, beside all servers, in the schema of the test; returns the rows of the last one.
    pub(crate) fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.try_query(sql).unwrap_or_else(|e| panic!("{sql}: {e:?}"))
    }

    /// The same for statements that may fail.
    pub(crate) fn try_query(
        &self,
        sql: &str,
    ) -> Result<Vec<Vec<Option<String>>>, tokio_postgres::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        runtime.block_on(async {
            let (client, connection) =
                self.cluster().config().connect(NoTls).await.expect("a connection");
            tokio::spawn(connection);
            let sql = format!("SET search_path TO \"{}\"; {sql}", self.schema);
            let messages = client.simple_query(&sql).await?;
            let mut rows = Vec::new();
            for message in messages {
                match message {
                    SimpleQueryMessage::Row(row) => {
                        let column = |index| row.get(index).map(str::to_owned);
                        rows.push((0..row.len()).map(column).collect());
                    }
                    SimpleQueryMessage::RowDescription(_) => rows.clear(),
                    _ => {}
                }
            }
            Ok(rows)
        })
    }
}

/// Servers on one schema, named `server-0`, `server-1` and so on. Each is killed when this is dropped.
pub(crate) struct Servers {
    homes: Vec<Home>,
    servers: Vec<Option<Server>>,
}

impl Servers {
    /// Starts so many servers with this configuration, and waits until all answer.
    pub(crate) fn start(database: &Database, count: usize, config: &str) -> Self {
        Self::start_by(database, &vec![database.connection(); count], config)
    }

    /// Starts a server for each of these ways to the database.
    pub(crate) fn start_by(database: &Database, connections: &[String], config: &str) -> Self {
        let home = |(index, connection): (usize, &String)| {
            database.home_by(connection, &format!("server-{index}"), config)
        };
        let homes: Vec<_> = connections.iter().enumerate().map(home).collect();
        let servers = homes.iter().map(|home| Some(home.start())).collect();
        Self { homes, servers }
    }

    pub(crate) fn len(&self) -> usize {
        self.servers.len()
    }

    /// Returns those that run.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter().flatten()
    }

    /// Returns the home of one, whether it runs or not.
    pub(crate) fn home(&self, index: usize) -> &Home {
        &self.homes[index]
    }

    /// Takes one out, to be killed or waited for.
    pub(crate) fn take(&mut self, index: usize) -> Server {
        self.servers[index].take().expect("it runs")
    }

    /// Ends one by SIGTERM, and waits until it has ended well.
    pub(crate) fn end(&mut self, index: usize) {
        let server = self.take(index);
        server.signal("TERM");
        let (status, said) = server.wait();
        assert!(status.success(), "{status}: {said:#?}");
    }

    /// Starts one again that was taken out.
    pub(crate) fn start_again(&mut self, index: usize) {
        assert!(self.servers[index].is_none(), "it runs");
        self.servers[index] = Some(self.homes[index].start());
    }
}

impl Index<usize> for Servers {
    type Output = Server;

    fn index(&self, index: usize) -> &Server {
        self.servers[index].as_ref().expect("it runs")
    }
}
