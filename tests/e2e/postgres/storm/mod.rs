//! Storms over several servers: three of them on one PostgreSQL, each behind a proxy of its own, while clients submit and steer at
//! any of them. Servers are killed or stand still, lines fail in every way, and the database is killed and started again.
//!
//! Programs write down what they do; clients write down what they were told. At the end both must fit: nothing that was
//! acknowledged is lost, nothing has two ends, nothing begins once its cancel is confirmed, and what may run once has run once.
//!
//! - [`load`]: the clients; [`chaos`]: what goes wrong; [`ledger`] and [`diary`]: what is written down;
//! - [`rest`]: the end, and what must be so then.
//!
//! Seed and length are set as for other storms (`tests/e2e/storm`).

mod chaos;
mod diary;
mod ledger;
mod load;
mod rest;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::line::Proxy;
use super::servers::Database;
use crate::server::Home;
use crate::storm::{Dice, wishes};
use chaos::Chaos;
use ledger::Ledger;
use load::Client;

const SERVERS: usize = 3;
const CLIENTS: u64 = 12;

/// A queue of such a storm.
#[derive(Debug)]
struct Queue {
    name: &'static str,
    /// Its type is Command, else Echo.
    programs: bool,
    /// `OnRestart=Fail`, else Requeue.
    once: bool,
}

const QUEUES: [Queue; 4] = [
    Queue { name: "Again", programs: true, once: false },
    Queue { name: "Once", programs: true, once: true },
    Queue { name: "Echoes", programs: false, once: false },
    Queue { name: "Single", programs: false, once: true },
];

/// Events that must have happened in a storm, or it has shown nothing.
const MUST: [&str; 6] = [
    "Again: Finished",
    "Once: Finished",
    "a server was killed",
    "a server stood still, longer than its lease",
    "a line was Deaf",
    "PostgreSQL was started again",
];

/// The places of servers, proxies and diaries.
struct Place {
    directory: tempfile::TempDir,
    homes: [Home; SERVERS],
    proxies: [Proxy; SERVERS],
    addresses: Mutex<[Option<SocketAddr>; SERVERS]>,
}

impl Place {
    fn new(database: &Database) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().display();
        std::fs::create_dir(directory.path().join("diaries")).expect("a directory");
        let script = format!("D='{path}'\n{}", diary::SCRIPT);
        std::fs::write(directory.path().join("work.sh"), script).expect("a script");
        let mut config = String::from("MaxFinishedSize=-1\n[AsyncActions]\n");
        for (number, queue) in QUEUES.iter().enumerate() {
            config.push_str(&format!("{number}={}\n", queue.name));
        }
        for Queue { name, programs, once } in QUEUES {
            let kind = match programs {
                true => format!("Type=Command\nCommand=/bin/sh {path}/work.sh {{Mark}} {{Sleep}}"),
                false => "Type=Echo".to_owned(),
            };
            let on_restart = if once { "Fail" } else { "Requeue" };
            config.push_str(&format!(
                "[{name}]\n{kind}\nMaximumThreads=3\nStopGraceSecs=1\nOnRestart={on_restart}\n"
            ));
        }
        let socket = database.cluster().socket();
        let proxies: [Proxy; SERVERS] = std::array::from_fn(|_| Proxy::before(socket.clone()));
        let homes = std::array::from_fn(|number| {
            let name = format!("server-{number}");
            database.home_by(&proxies[number].connection(), &name, &config)
        });
        Self { directory, homes, proxies, addresses: Mutex::default() }
    }

    fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn proxy(&self, number: usize) -> &Proxy {
        &self.proxies[number]
    }

    fn command(&self, number: usize) -> Command {
        self.homes[number].command()
    }

    fn address(&self, number: usize) -> Option<SocketAddr> {
        self.addresses.lock().expect("addresses")[number]
    }

    fn set_address(&self, number: usize, address: Option<SocketAddr>) {
        self.addresses.lock().expect("addresses")[number] = address;
    }

    /// The command lines of the programs that run.
    fn programs(&self) -> Vec<String> {
        let script = self.directory().join("work.sh");
        let script = script.to_str().expect("a path of UTF-8");
        let entries = std::fs::read_dir("/proc").expect("/proc");
        let lines = entries.filter_map(|entry| {
            let line = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
            Some(String::from_utf8_lossy(&line).replace('\0', " "))
        });
        lines.filter(|line| line.contains(script)).collect()
    }
}

#[test]
fn no_illegal_outcome_whatever_fails() {
    storm(6, Duration::from_secs(8));
}

fn storm(seed: u64, length: Duration) {
    let (seed, wished) = wishes(seed);
    let length = wished.unwrap_or(length);
    let Some(mut database) = Database::own(&[]) else { return };
    let (place, ledger) = (Place::new(&database), Ledger::default());
    let mut chaos = Chaos::new(&place, &mut database, &ledger);
    let client = Client { place: &place, ledger: &ledger };
    let resting = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (client, resting) = (&client, &resting);
        // A panic must not leave the clients at it.
        let _end = Raised(resting);
        for number in 0..CLIENTS {
            scope.spawn(move || client.play(&mut Dice::new(seed, number), resting));
        }
        chaos.rage(&mut Dice::new(seed, 500), length, resting);
    });
    rest::come_to_rest(&client);
    rest::all_agree(&client);
    rest::nothing_runs(&place, &ledger);
    let servers = std::mem::take(&mut chaos.servers);
    drop(chaos);
    rest::all_is_counted(&place, &database, &ledger);
    rest::diaries_fit(&place, &database, &ledger);
    for server in servers.into_iter().flatten() {
        server.signal("TERM");
        let (status, said) = server.wait();
        assert!(status.success(), "{status}: {said:#?}");
    }
    ledger.judge(seed, &MUST);
}

/// Raises its flag when it is dropped.
struct Raised<'a>(&'a AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
