//! Storms over work that is done elsewhere: programs of `Type=Command` and workers of `Type=Remote`, while clients steer at
//! random, and server, workers and programs are killed with `kill -9`.
//!
//! Whatever does the work writes what it does into the diary of its action ([`diary`]). When all is at rest, the diary, the
//! history that the server shows and what clients were told must fit ([`judge`]).
//!
//! - [`ledger`]: what was asked and told; [`clients`]: who asks;
//! - [`programs`]: the programs, and who kills them; [`workers`]: the workers, processes of their own;
//! - [`rest`]: how a storm is brought to its end, and what must be left then: nothing.
//!
//! Seed and length are set as for other storms.

mod clients;
mod diary;
mod judge;
mod ledger;
mod programs;
mod rest;
mod workers;

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::super::server::Server;
use super::super::shop::Shop;
use super::super::skip::skipped;
use super::client::Dice;
use super::wishes;
use ledger::Ledger;

/// A queue of such a storm.
#[derive(Debug)]
struct Queue {
    name: &'static str,
    /// Its type is Command, else Remote.
    programs: bool,
    threads: u64,
    max_attempts: usize,
    /// Nothing that its actions have begun is begun again: `OnRestart=Fail`, and no client says `retry`.
    once: bool,
    settings: &'static str,
}

const MAX_RESTARTS: usize = 3;

const QUEUES: [Queue; 4] = [
    Queue {
        name: "Work",
        programs: true,
        threads: 4,
        max_attempts: 3,
        once: false,
        settings: "OnRestart=Requeue\nMaxAttempts=3\nRetryDelaySecs=0\nMaxRestarts=3",
    },
    Queue {
        name: "Once",
        programs: true,
        threads: 2,
        max_attempts: 1,
        once: true,
        settings: "OnRestart=Fail",
    },
    Queue {
        name: "Farm",
        programs: false,
        threads: 4,
        max_attempts: 3,
        once: false,
        settings: "LeaseSecs=2\nMaxAttempts=3\nRetryDelaySecs=1\nRetryBackoff=fixed",
    },
    Queue {
        name: "Field",
        programs: false,
        threads: 2,
        max_attempts: 1,
        once: false,
        settings: "LeaseSecs=1",
    },
];

const CLIENTS: u64 = 4;
/// Least number of times that the server is killed.
const KILLS: usize = 6;

fn shop() -> Shop {
    let mut config = String::from("[Actions]\nMaxFinishedSize=-1\n[AsyncActions]\n");
    for (number, queue) in QUEUES.iter().enumerate() {
        config.push_str(&format!("{number}={}\n", queue.name));
    }
    for queue in &QUEUES {
        let kind = match queue.programs {
            true => "Type=Command\nCommand=/bin/sh %HOME%/work.sh {Kind} {Mark}",
            false => "Type=Remote",
        };
        config
            .push_str(&format!("[{}]\n{kind}\nStopGraceSecs=1\n{}\n", queue.name, queue.settings));
    }
    let shop = Shop::new(&config).script("work.sh", programs::SCRIPT);
    std::fs::create_dir(shop.path("diaries")).expect("a directory");
    shop
}

/// A place for a storm.
struct Place {
    shop: Shop,
    /// The place where cgroups are mounted, if the server must not make any.
    no_cgroups_at: Option<String>,
}

impl Place {
    /// The command line of the server.
    fn command(&self) -> Command {
        let plain = self.shop.command();
        let Some(at) = &self.no_cgroups_at else { return plain };
        let mut command = hidden(at);
        command.arg(plain.get_program()).args(plain.get_args()).env("TZ", "UTC");
        command.current_dir(self.shop.path(""));
        command
    }
}

/// Runs the command that is to be added where nobody can make a cgroup.
fn hidden(at: &str) -> Command {
    let mut command = Command::new("unshare");
    let script = "mount -o remount,ro,bind \"$0\" && exec \"$@\"";
    command.args(["--mount", "sh", "-c", script, at]);
    command
}

/// Starts the server and tells the workers where it is.
fn start(place: &Place, ledger: &Ledger) -> Server {
    let server = Server::run(place.command());
    let shop = &place.shop;
    ledger.begin_life();
    std::fs::write(shop.path("address.new"), server.address.to_string()).expect("a file");
    std::fs::rename(shop.path("address.new"), shop.path("address")).expect("a file");
    for queue in &QUEUES {
        // Whoever paused it may have lost the server before the resume.
        server.info(queue.name, "resume", "").success();
    }
    server
}

/// Lets some time go by in which the others act.
fn pace(most_ms: usize, dice: &mut Dice) {
    std::thread::sleep(Duration::from_millis(1 + dice.below(most_ms) as u64));
}

#[test]
fn no_illegal_outcome_and_no_orphan_over_programs_and_workers() {
    storm(4, None);
}

#[test]
fn no_illegal_outcome_and_no_orphan_where_no_cgroup_can_be_made() {
    let mounts = std::fs::read_to_string("/proc/mounts").expect("the mounts");
    let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let Some(at) = mounts.find(|fields| fields[2] == "cgroup2").map(|fields| fields[1].to_owned())
    else {
        return skipped("a storm without cgroups", "none can be made here anyway");
    };
    let mut trial = hidden(&at);
    if !trial.arg("true").output().is_ok_and(|output| output.status.success()) {
        return skipped("a storm without cgroups", "they can't be hidden from a server here");
    }
    storm(5, Some(at));
}

fn storm(seed: u64, no_cgroups_at: Option<String>) {
    let (seed, length) = wishes(seed);
    let (place, ledger) = (Place { shop: shop(), no_cgroups_at }, Ledger::default());
    let mut dice = Dice::new(seed, 500);
    let (resting, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let began = Instant::now();
    std::thread::scope(|scope| {
        let (place, shop, ledger) = (&place, &place.shop, &ledger);
        let (resting, over) = (&resting, &over);
        // A panic must not leave the others waiting for its end.
        let _end = Raised(over);
        scope.spawn(move || workers::supervise(shop, seed, resting, over));
        scope.spawn(move || programs::shoot(shop, &mut Dice::new(seed, 600), resting, over));
        let mut kills = 0;
        while kills < KILLS || length.is_some_and(|length| began.elapsed() < length) {
            if dice.percent(30) {
                die_young(place, &mut dice);
            }
            let server = start(place, ledger);
            let dying = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let (dying, address) = (&dying, server.address);
                for number in 0..CLIENTS {
                    let mut dice = Dice::new(seed, 1_000 * (1 + kills as u64) + number);
                    scope.spawn(move || clients::play(shop, ledger, address, &mut dice, dying));
                }
                let _end = Raised(dying);
                pace(2_000, &mut dice);
                std::thread::sleep(Duration::from_millis(600));
                dying.store(true, Ordering::SeqCst);
                server.kill();
            });
            kills += 1;
        }
        resting.store(true, Ordering::SeqCst);
        let server = start(place, ledger);
        rest::come_to_rest(shop, ledger, &server);
        over.store(true, Ordering::SeqCst);
        rest::nothing_is_left(place, ledger, server);
    });
    ledger.judge(seed);
    ledger.must_have_happened();
}

/// Starts a server and kills it while it may still be tidying up behind the last one.
fn die_young(place: &Place, dice: &mut Dice) {
    let mut server = place.command().stderr(Stdio::null()).spawn().expect("a server");
    pace(200, dice);
    server.kill().expect("killed");
    server.wait().expect("gone");
}

/// Raises its flag when it is dropped.
struct Raised<'a>(&'a AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
