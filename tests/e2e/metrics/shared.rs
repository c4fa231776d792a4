//! What is there where servers share a database: the lease, and counts of each server.

use super::Scrape;
use crate::postgres::servers::{Database, Servers};
use crate::server::{CONFIG, wait_until};

/// A server that stood still for longer than its lease tells that it has lost that, and that it has another.
#[test]
fn a_lost_lease_is_counted_once_and_the_next_one_is_held() {
    let Some(database) = Database::shared() else { return };
    let config = CONFIG.replace("MaximumThreads=2", "MaximumThreads=1\nOnRestart=Requeue");
    let servers = Servers::start(&database, 2, &config);
    let token = servers[0].submit("&Sleep=600");
    servers[0].wait_for_status(&token, "Processing");
    let attempts = "actiond_attempts_total{queue=\"Process\"}";
    let runs_it = |index: usize| Scrape::of(&servers[index]).value(attempts) > 0.0;
    let mut holder = None;
    wait_until("a server that counts the attempt", || {
        holder = [0, 1].into_iter().find(|index| runs_it(*index));
        holder.is_some()
    });
    let holder = holder.expect("it was found");
    let other = 1 - holder;
    for server in servers.iter() {
        assert_eq!(Scrape::of(server).value("actiond_leases_lost_total"), 0.0);
        assert_eq!(Scrape::of(server).value("actiond_lease_held"), 1.0);
        // Both know of it, and one has started it.
        Scrape::wait_for(server, "actiond_actions{queue=\"Process\",state=\"processing\"}", 1.0);
    }
    servers[holder].signal("STOP");
    Scrape::wait_for(&servers[other], attempts, 1.0);
    servers[holder].signal("CONT");
    Scrape::wait_for(&servers[holder], "actiond_leases_lost_total", 1.0);
    let scrape = Scrape::wait_for(&servers[holder], "actiond_lease_held", 1.0);
    assert_eq!(scrape.value("actiond_leases_lost_total"), 1.0);
    assert_eq!(Scrape::of(&servers[other]).value("actiond_leases_lost_total"), 0.0);
    assert_eq!(
        scrape.value("actiond_actions_submitted_total{queue=\"Process\"}"),
        f64::from(u8::from(holder == 0))
    );
}
