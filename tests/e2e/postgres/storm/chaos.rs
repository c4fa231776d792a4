//! The faults of a storm: servers that are killed or stand still, lines that fail, and a database that is killed.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::ledger::Ledger;
use super::{Place, SERVERS};
use crate::postgres::line::{HalfClosed, Line};
use crate::postgres::servers::{Database, LEASE};
use crate::server::{Server, wait_until};
use crate::storm::Dice;

/// A fault that is mended when its time has come.
#[derive(Debug, Clone, Copy)]
enum Mend {
    Start(usize),
    Continue(usize),
    Open(usize),
}

pub(super) struct Chaos<'a> {
    pub(super) place: &'a Place,
    pub(super) database: &'a mut Database,
    pub(super) ledger: &'a Ledger,
    /// Those that run, or stand still.
    pub(super) servers: [Option<Server>; SERVERS],
    mends: Vec<(Instant, Mend)>,
    /// The faults with which a storm begins, the last first, so that each has some of it.
    opening: Vec<usize>,
}

fn signal(name: &str, pid: u32) {
    // It may have ended meanwhile.
    let _ = Command::new("kill").args([name, &pid.to_string()]).output();
}

impl<'a> Chaos<'a> {
    pub(super) fn new(place: &'a Place, database: &'a mut Database, ledger: &'a Ledger) -> Self {
        let servers = std::array::from_fn(|_| None);
        let opening = vec![99, 70, 20, 0];
        let mut chaos = Self { place, database, ledger, servers, mends: Vec::new(), opening };
        (0..SERVERS).for_each(|number| chaos.start(number));
        chaos
    }

    /// Somebody looks after the database, as an operator does.
    fn keep_the_database(&mut self) {
        let cluster = self.database.cluster_mut();
        if cluster.has_ended() {
            cluster.start();
            self.ledger.happened("PostgreSQL had ended by itself");
        }
    }

    /// Starts a server; the database is there, but may be starting, and the way to it slow.
    fn start(&mut self, number: usize) {
        let began = Instant::now();
        loop {
            self.keep_the_database();
            match Server::try_run(self.place.command(number)) {
                Ok(server) => {
                    self.place.set_address(number, Some(server.address));
                    self.servers[number] = Some(server);
                    return;
                }
                Err(said) => {
                    let text = said.join("\n");
                    assert!(began.elapsed() < Duration::from_secs(60), "no server: {text}");
                }
            }
        }
    }

    fn is_touched(&self, number: usize) -> bool {
        self.mends.iter().any(|(_, mend)| match *mend {
            Mend::Start(of) | Mend::Continue(of) | Mend::Open(of) => of == number,
        })
    }

    fn mend(&mut self, mend: Mend) {
        match mend {
            Mend::Start(number) => self.start(number),
            Mend::Continue(number) => {
                if let Some(server) = &self.servers[number] {
                    signal("-CONT", server.pid());
                }
            }
            Mend::Open(number) => self.place.proxy(number).set(Line::Open),
        }
    }

    fn mend_what_is_due(&mut self) {
        let now = Instant::now();
        let (due, later) = self.mends.drain(..).partition(|(when, _)| *when <= now);
        self.mends = later;
        for (_, mend) in due as Vec<(Instant, Mend)> {
            self.mend(mend);
        }
    }

    /// Lets something go wrong.
    fn strike(&mut self, dice: &mut Dice) {
        let number = dice.below(SERVERS);
        // From much shorter than a lease to longer than one.
        let most = LEASE.as_millis() as usize * 2;
        let mut time = Duration::from_millis(50 + dice.below(most) as u64);
        let what = dice.below(100);
        let what = match self.opening.last() {
            Some(opening) => {
                time = LEASE + time / 4;
                *opening
            }
            None => what,
        };
        if what >= 96 {
            self.opening.pop();
            return self.strike_the_database(what >= 98, dice);
        }
        // One thing at a time, and one server is left alone.
        if self.is_touched(number) || (0..SERVERS).filter(|n| self.is_touched(*n)).count() >= 2 {
            return;
        }
        self.opening.pop();
        let until = Instant::now() + time;
        let line = match what {
            0..=19 => {
                self.place.set_address(number, None);
                self.servers[number].take().expect("it runs").kill();
                self.ledger.happened("a server was killed");
                self.mends.push((until, Mend::Start(number)));
                return;
            }
            20..=44 => {
                signal("-STOP", self.servers[number].as_ref().expect("it runs").pid());
                let how = if time > LEASE { "longer" } else { "shorter" };
                self.ledger.happened(format!("a server stood still, {how} than its lease"));
                self.mends.push((until, Mend::Continue(number)));
                return;
            }
            45..=49 => {
                let which = dice.one_of(&[HalfClosed::ToDatabase, HalfClosed::ToServer]);
                self.place.proxy(number).half_close(which);
                self.ledger.happened(format!("half closed: {which:?}"));
                return;
            }
            50..=59 => Line::Cut,
            60..=69 => Line::Silent,
            70..=81 => Line::Deaf,
            _ => Line::Slow(Duration::from_millis(20 + dice.below(200) as u64)),
        };
        self.place.proxy(number).set(line);
        let word = format!("{line:?}");
        self.ledger.happened(format!("a line was {}", word.split('(').next().unwrap_or_default()));
        self.mends.push((until, Mend::Open(number)));
    }

    fn strike_the_database(&mut self, restarts: bool, dice: &mut Dice) {
        let cluster = self.database.cluster_mut();
        // Where it is not up yet, that which recovers would be killed, and the whole ends.
        if !restarts {
            if !cluster.answers() {
                return;
            }
            let children = &cluster.processes()[1..];
            if !children.is_empty() {
                signal("-KILL", dice.one_of(children));
                self.ledger.happened("a process of PostgreSQL was killed");
            }
            return;
        }
        // As `pg_ctl stop -m immediate` does.
        cluster.stop_at_once();
        std::thread::sleep(Duration::from_millis(dice.below(2_000) as u64));
        cluster.start();
        self.ledger.happened("PostgreSQL was started again");
    }

    /// Goes on for so long, and then mends all.
    pub(super) fn rage(&mut self, dice: &mut Dice, length: Duration, resting: &AtomicBool) {
        let began = Instant::now();
        while began.elapsed() < length || !self.opening.is_empty() {
            std::thread::sleep(Duration::from_millis(20 + dice.below(400) as u64));
            self.keep_the_database();
            self.mend_what_is_due();
            self.strike(dice);
        }
        resting.store(true, Ordering::SeqCst);
        let mends = std::mem::take(&mut self.mends);
        // The lines first: a server needs one to start.
        let (starts, others): (Vec<_>, Vec<_>) =
            mends.into_iter().partition(|(_, mend)| matches!(mend, Mend::Start(_)));
        others.into_iter().chain(starts).for_each(|(_, mend)| self.mend(mend));
        self.keep_the_database();
        wait_until("a database that answers", || self.database.cluster().answers());
    }
}
