//! A database that goes away under servers that run.

use std::time::{Duration, Instant};

use super::servers::{Database, Servers};
use super::starting::refused;
use crate::server::{CONFIG, wait_until};

/// Maximum time for the reply to a request while the database is away, on a machine that is busy.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Settings of a primary that acknowledges only what its standby has, too.
const PRIMARY: [&str; 2] = ["synchronous_standby_names=*", "synchronous_commit=on"];

/// The primary dies, and a standby takes its place: servers find it by the connection string, without a restart, and nothing
/// that was acknowledged is lost.
#[test]
fn a_failover_to_another_primary_is_survived() {
    let Some(mut database) = Database::own(&[]) else { return };
    let standby = database.cluster().standby(&["wal_retrieve_retry_interval=100ms"]);
    // Only now: without a standby it would wait for one.
    database.cluster_mut().restart(&PRIMARY);
    wait_until("the standby", || {
        !database.query("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'").is_empty()
    });
    let (first, second) = (database.cluster().directory(), standby.directory());
    let hosts = format!("host={},{}", first.display(), second.display());
    let connection = format!("{hosts} user=postgres dbname=postgres");
    let servers = Servers::start_by(&database, &vec![connection; 2], CONFIG);
    let ended = servers[0].submit("&Name=Ada");
    servers[0].wait_for_status(&ended, "Finished");
    let runs = servers[1].submit("&Sleep=2&Name=Grace");
    servers[1].wait_for_status(&runs, "Processing");

    database.cluster_mut().kill();
    for server in servers.iter() {
        let begun = Instant::now();
        let (code, told) = server.ask("Process&Name=Edsger").error();
        assert_eq!(code, "ERRORUNAVAILABLE", "{told}");
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    }
    let database = Database::of_schema(standby, &database.schema);
    database.query("SELECT pg_promote()");
    for server in servers.iter() {
        wait_until("the other primary", || server.ask("Process&Name=Edsger").is_success());
        wait_until("what was acknowledged", || {
            let answer = server.about("Process", "getStatus", &ended);
            answer.is_success() && answer.must("status") == "Finished"
        });
    }
    // It was running all the time, or runs again: in any case it ends.
    servers[0].wait_for_status(&runs, "Finished");
}

/// A server does not start while its database is away, and says so; once that is back it starts.
#[test]
fn a_start_while_the_database_is_away_is_refused() {
    let Some(mut database) = Database::own(&[]) else { return };
    let home = database.home("a", CONFIG);
    database.cluster_mut().kill();
    let (code, said) = refused(home.command());
    assert_eq!(code, 1, "{said}");
    let socket = database.cluster().socket();
    let told = format!("can't be reached: {}: Connection refused", socket.display());
    assert!(said.contains(&told), "{said}");
    database.cluster_mut().start();
    let server = home.start();
    let token = server.submit("&Name=Ada");
    server.wait_for_status(&token, "Finished");
}
