//! Storms: several clients submit, steer and look at random, all at once, against the real program.
//! What they were told is written down, and afterwards, as well as meanwhile, every pair of answers
//! is looked at for an outcome that must not be ([`seen::Wrong`]).
//!
//! - [`client`]: what the clients do; [`watch`]: who pauses queues, and who counts;
//! - [`ledger`]: what is known; [`seen`]: what may be seen after what; [`audit`]: what holds at the end;
//!   [`enough`]: whether anything was shown at all;
//! - [`crowd`]: a few who steer beside very many who submit;
//! - here: storms of a server that lives; [`kills`]: of one that is killed again and again;
//! - `works`: storms over programs and workers, which are killed too; `findings`: what happened in those, and in storms of several
//!   servers.
//!
//! `ACTIOND_STORM_SEED=N` takes another seed and `ACTIOND_STORM_SECONDS=N` makes each storm last
//! that long. A seed repeats what each client tries, not how the threads happen to run.

mod audit;
mod client;
mod crowd;
mod enough;
pub(crate) mod findings;
mod kills;
mod ledger;
mod seen;
mod watch;
#[cfg(target_os = "linux")]
mod works;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::server::{Home, Server};
pub(crate) use client::Dice;
use client::{Talk, play};
use enough::Least;
use ledger::Ledger;

/// A queue of a storm.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Queue {
    pub(crate) name: &'static str,
    /// Its type is Echo, else Ingest, which can't pause and leaves files behind.
    pub(crate) echo: bool,
    pub(crate) threads: u64,
    /// `OnRestart=Requeue`, else Fail.
    pub(crate) requeues: bool,
    /// How long most of its actions sleep, in milliseconds, from and to.
    pub(crate) sleeps: (usize, usize),
    /// How many in a hundred sleep until they are stopped.
    pub(crate) long: usize,
}

pub(crate) const QUEUES: [Queue; 6] = [
    Queue { name: "Quick", echo: true, threads: 8, requeues: true, sleeps: (0, 0), long: 0 },
    Queue { name: "Single", echo: true, threads: 1, requeues: true, sleeps: (2, 25), long: 0 },
    Queue { name: "Slow", echo: true, threads: 4, requeues: false, sleeps: (50, 250), long: 4 },
    Queue { name: "Pair", echo: true, threads: 2, requeues: false, sleeps: (5, 50), long: 2 },
    Queue { name: "Files", echo: false, threads: 2, requeues: true, sleeps: (0, 0), long: 0 },
    Queue { name: "Papers", echo: false, threads: 1, requeues: false, sleeps: (0, 0), long: 0 },
];

/// How many clients there are.
const CLIENTS: u64 = 6;
/// How many requests each client makes, where no time is given.
const REQUESTS: usize = 300;

/// What must have happened in a storm of a server that lives, of which some three times as much does.
const LEAST: Least = Least {
    requests: 2_000,
    cancelled: 20,
    never_taken_in: 4,
    stopped: 8,
    pauses: 3,
    pauses_of_queues: 12,
    priorities: 7,
};

/// A home for the server of a storm, with a directory for files to take in.
fn home() -> Home {
    let mut config = String::from("[Actions]\nMaxFinishedSize=-1\n[AsyncActions]\n");
    for (number, queue) in QUEUES.iter().enumerate() {
        config.push_str(&format!("{number}={}\n", queue.name));
    }
    for Queue { name, echo, threads, requeues, .. } in QUEUES {
        let kind = if echo { "Echo" } else { "Ingest" };
        let on_restart = if requeues { "Requeue" } else { "Fail" };
        config.push_str(&format!(
            "[{name}]\nType={kind}\nMaximumThreads={threads}\nOnRestart={on_restart}\n"
        ));
        if !echo {
            config.push_str("AllowedSourceDirectories=./sources\n");
        }
    }
    let home = Home::new(&config);
    std::fs::create_dir(home.path().join("sources")).expect("a directory");
    home
}

/// Starts the server; its times are told in a zone whose clocks are never set back.
fn start(home: &Home, ledger: &Ledger) -> Server {
    let mut command = home.command();
    command.env("TZ", "UTC");
    let server = Server::run(command);
    ledger.books().life += 1;
    server
}

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// The seed to use, and how long the storm is to last if that is given.
pub(crate) fn wishes(seed: u64) -> (u64, Option<Duration>) {
    (
        from_environment("ACTIOND_STORM_SEED").unwrap_or(seed),
        from_environment("ACTIOND_STORM_SECONDS").map(Duration::from_secs),
    )
}

#[test]
fn no_illegal_outcome_with_many_requests_at_once() {
    storm(1);
}

#[test]
fn no_illegal_outcome_with_many_requests_at_once_and_other_dice() {
    storm(2);
}

fn storm(seed: u64) {
    let (seed, length) = wishes(seed);
    let home = home();
    let ledger = Ledger::new();
    let server = start(&home, &ledger);
    let dying = AtomicBool::new(false);
    let over = AtomicBool::new(false);
    let began = Instant::now();
    let sources = home.path().join("sources");
    std::thread::scope(|scope| {
        let talk = || Talk::new(server.address, &ledger, &dying);
        let (over, sources) = (&over, &sources);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let talk = talk();
                let mut done = 0;
                scope.spawn(move || {
                    play(&mut talk?, &mut Dice::new(seed, number), sources, || {
                        done += 1;
                        length.map_or(done > REQUESTS, |length| began.elapsed() > length)
                    })
                })
            })
            .collect();
        let (governor, counter) = (talk(), talk());
        scope.spawn(move || watch::govern(&mut governor?, &mut Dice::new(seed, 100), over));
        scope.spawn(move || watch::count(&mut counter?, over));
        for client in clients {
            client.join().expect("a client");
        }
        over.store(true, Ordering::SeqCst);
    });
    audit::calm_down(&server, &ledger);
    audit::finish(server, &home, &ledger);
    let books = ledger.books();
    books.judge(seed);
    enough::must_have_happened(&books);
    enough::often(&books, &LEAST);
}
