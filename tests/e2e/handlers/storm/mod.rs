//! A storm of events: clients submit and steer at random, the receiver answers at random, and the server is killed at moments that
//! matter: before a message is answered, just after it was, and at any other. Meanwhile a schedule is due each second.
//!
//! - [`clients`]: what is submitted, and what was told of it; [`receiver`]: who hears of it;
//! - [`judge`]: what must be so at the end;
//! - here: one server that is killed again and again; `tests/e2e/postgres/events.rs`: two servers.
//!
//! Seed and length are set as for other storms (`tests/e2e/storm`).

mod clients;
mod judge;
mod receiver;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actiond_actors::Timestamp;
use actiond_actors::clock::{Clock as _, SystemClock};
use chrono::NaiveDateTime;

use crate::handlers::wait_for_events;
use crate::schedules::check_due;
use crate::server::{Home, Server, wait_until};
use crate::storm::{Dice, wishes};
use clients::Entry;
pub(crate) use clients::Ledger;
pub(crate) use receiver::{Moment, Receiver};

/// The least number of times that the server is killed.
const KILLS: usize = 9;
const CLIENTS: u64 = 3;

/// Two queues of which all is told to this receiver.
pub(crate) fn config(url: &str) -> String {
    let queue = "Type=Echo\nMaximumThreads=3\nStopGraceSecs=1";
    format!(
        "[Actions]\nMaxFinishedSize=-1\nOnStart=H\nOnFinish=H\nOnError=H\nOnCancel=H\nOnStop=H\n\
         [AsyncActions]\n0=Again\n1=Once\n2=Process\n[Again]\n{queue}\nOnRestart=Requeue\n\
         [Once]\n{queue}\nOnRestart=Fail\n[Process]\n{queue}\nOnRestart=Requeue\n\
         [H]\nLibraryName=HttpHandler\nURL={url}\nRetries=2\nRetryInterval=1\nMaxRetryInterval=1\nTimeoutSecs=1\n"
    )
}

/// A schedule that is due each second.
const SCHEDULE: &str = "[Schedules]\nNumber=1\n0=Ticker\n[Ticker]\nAction=Process\nRepeatSecs=1\nOverlap=queue\nCatchUp=once\n";

#[test]
fn all_that_happens_is_told_over_kills() {
    let (seed, length) = wishes(29);
    eprintln!("storm of seed {seed}");
    let mut receiver = Receiver::new(seed);
    let home = Home::new(&(config(&receiver.url()) + SCHEDULE));
    let ledger = Ledger::default();
    let mut dice = Dice::new(seed, 500);
    let mut away = Vec::new();
    let began = Instant::now();
    let mut server = start(&home, &receiver);
    let mut kills = 0;
    while kills < KILLS || length.is_some_and(|length| began.elapsed() < length) {
        let players = (0..CLIENTS).map(|number| (server.address, 1_000 * kills as u64 + number));
        let players: Vec<_> = players.collect();
        // Every fourth life of the server is one without a receiver, and so is the start of the next.
        let closes = kills % 4 == 3;
        if closes {
            receiver.close();
        }
        let killed = play(&ledger, seed, &players, || {
            await_moment(&receiver, &mut dice, closes);
            move || {
                let killed = SystemClock.now();
                server.kill();
                killed
            }
        });
        server = start(&home, &receiver);
        away.push((killed, SystemClock.now()));
        receiver.hold(false);
        receiver.open();
        kills += 1;
    }
    server.change_schedule("pause", "Ticker").success();
    come_to_rest(&server, &mut receiver, &ledger);
    check_schedule(&server, &away);
    server.signal("TERM");
    let (status, said) = server.wait();
    assert!(status.success(), "{status}: {said:#?}");
}

/// Starts the server; its times are told in a zone whose clocks are never set back.
fn start(home: &Home, receiver: &Receiver) -> Server {
    let mut command = home.command();
    command.env("TZ", "UTC");
    receiver.next_life();
    Server::run(command)
}

/// Lets clients play until this returns, then has them know that what follows may cost them their answers, and does that.
pub(crate) fn play<T, D: FnOnce() -> T>(
    ledger: &Ledger,
    seed: u64,
    players: &[(SocketAddr, u64)],
    until: impl FnOnce() -> D,
) -> T {
    let dying = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // A panic must not leave the clients at it.
        let end = Raised(&dying);
        for (address, number) in players {
            let mut dice = Dice::new(seed, *number);
            let dying = &dying;
            scope.spawn(move || ledger.play(*address, &mut dice, dying));
        }
        let deed = until();
        drop(end);
        deed()
    })
}

/// Raises its flag when it is dropped.
struct Raised<'a>(&'a AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Waits for a moment at which a kill tells something.
fn await_moment(receiver: &Receiver, dice: &mut Dice, is_closed: bool) {
    let some = Duration::from_millis(30 + dice.below(200) as u64);
    let most = Duration::from_secs(1);
    match dice.below(100) {
        _ if is_closed => std::thread::sleep(some),
        0..=29 => std::thread::sleep(some),
        30..=59 => {
            std::thread::sleep(some);
            receiver.hold(true);
            receiver.wait_for(Moment::Came, most);
        }
        _ => {
            std::thread::sleep(some);
            receiver.wait_for(Moment::Taken, most);
        }
    }
}

/// Ends the storm, and checks that all was told.
pub(crate) fn come_to_rest(server: &Server, receiver: &mut Receiver, ledger: &Ledger) {
    receiver.calm_down();
    let scheduled = server.list().values("token");
    let scheduled = scheduled.into_iter().map(|token| Entry::found("Process", token));
    ledger.entries().extend(scheduled);
    ledger.come_to_rest(server.address);
    wait_for_events(server, "pending", 0);
    judge::all_is_told(ledger, &receiver.arrivals());
    let failed = judge::what_failed_was_not_taken(server, receiver);
    judge::something_happened(ledger, &receiver.arrivals(), failed);
}

/// Each second has its action, but for those that had passed when the server came back, of which the last has one.
fn check_schedule(server: &Server, away: &[(Timestamp, Timestamp)]) {
    let mut number = 0;
    wait_until("an action that was due", || {
        number = check_due(server);
        number > 0
    });
    let seconds = |time: Timestamp| time.millis().div_euclid(1000);
    let due = server.due().into_iter().map(|due| {
        let due = NaiveDateTime::parse_from_str(&due, "%Y-%b-%d %H:%M:%S");
        due.expect("a time").and_utc().timestamp()
    });
    let mut due: Vec<_> = due.collect();
    due.sort_unstable();
    for pair in due.windows(2) {
        for missing in pair[0] + 1..pair[1] {
            // On a busy machine, what was due just before the kill may not have been queued.
            let is_caught_up = away
                .iter()
                .any(|(killed, back)| seconds(*killed) - 2 <= missing && pair[1] <= seconds(*back));
            assert!(is_caught_up, "{missing} is left out, in {due:?}; it was away {away:?}");
        }
    }
    eprintln!("{number:>6}  actions of a schedule");
}
