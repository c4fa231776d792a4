//! A storm of events over two servers: the one that tells of them is killed, and the other goes on.

use std::time::Duration;

use super::servers::{Database, Servers};
use crate::handlers::storm::{Ledger, Moment, Receiver, come_to_rest, config, play};
use crate::server::{Server, wait_until};
use crate::storm::wishes;

fn leads(server: &Server) -> bool {
    server.ask("EventInfo").success().must("leads") == "true"
}

#[test]
fn what_one_server_has_not_told_the_other_tells() {
    let Some(database) = Database::shared() else { return };
    let (seed, _) = wishes(30);
    eprintln!("storm of seed {seed}");
    let mut receiver = Receiver::new(seed);
    let mut servers = Servers::start(&database, 2, &config(&receiver.url()));
    receiver.next_life();
    let ledger = Ledger::default();
    wait_until("a server that tells of events", || servers.iter().any(leads));
    let leader = usize::from(!leads(&servers[0]));
    let [first, other] = [leader, 1 - leader].map(|index| servers[index].address);
    let players = [(first, 0), (first, 1), (other, 2), (other, 3)];
    play(&ledger, seed, &players, || {
        for _ in 0..30 {
            receiver.wait_for(Moment::Came, Duration::from_secs(1));
        }
        // Some have come, and the next will not be answered.
        receiver.hold(true);
        receiver.wait_for(Moment::Came, Duration::from_secs(1));
        || servers.take(leader).kill()
    });
    receiver.next_life();
    receiver.hold(false);
    play(&ledger, seed, &[(other, 4), (other, 5)], || {
        wait_until("the other server", || leads(&servers[1 - leader]));
        || {}
    });
    come_to_rest(&servers[1 - leader], &mut receiver, &ledger);
    servers.end(1 - leader);
}
