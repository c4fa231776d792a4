//! `kill -9` under load, ten times in a row on the same data.
//!
//! The clients write down only what the server has acknowledged. Three queues: `Safe` runs its actions
//! again, `Once` never does, and `Held` is paused, so that commands find their actions queued.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::calls::{Caller, id_of};
use super::super::server::{Home, Server, wait_until};

const CONFIG: &str = "
[AsyncActions]
0=Safe
1=Once
2=Held
[Safe]
Type=Echo
MaximumThreads=2
OnRestart=Requeue
[Once]
Type=Echo
MaximumThreads=4
OnRestart=Fail
[Held]
Type=Echo
MaximumThreads=2
";

const RUNS: usize = 10;
/// So many acknowledgements come in one run before the server is killed.
const ACKNOWLEDGED: usize = 100;

/// What a client did to an action of `Held`, and whether it was told that it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Nothing,
    /// Cancelled or stopped: both end a queued action.
    Ended {
        acknowledged: bool,
    },
    Priority {
        priority: i32,
        acknowledged: bool,
    },
}

/// What all clients were told, over all runs.
#[derive(Default)]
struct Notes {
    safe: Vec<String>,
    once: Vec<String>,
    held: HashMap<String, Done>,
    /// Actions of `Once` that were seen running.
    seen_running: HashSet<String>,
}

#[test]
fn nothing_acknowledged_is_lost_over_ten_kills() {
    let home = Home::new(CONFIG);
    let notes = Mutex::new(Notes::default());
    let mut final_states: HashMap<String, String> = HashMap::new();
    let mut highest = 0;
    let server = home.start();
    server.info("Held", "pause", "").success();
    let mut server = Some(server);
    for run in 0..RUNS {
        let known = ids(&notes).len();
        let running = server.take().unwrap_or_else(|| home.start());
        let acknowledged = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let address = running.address;
            for number in 0..3 {
                let (notes, acknowledged) = (&notes, &acknowledged);
                scope.spawn(move || load(address, run * 3 + number, notes, acknowledged));
            }
            let notes = &notes;
            scope.spawn(move || watch(address, notes));
            wait_until("enough acknowledgements", || {
                acknowledged.load(Ordering::Relaxed) >= ACKNOWLEDGED + 37 * (run % 3)
            });
            running.kill();
        });
        let all = ids(&notes);
        assert_eq!(all.len(), notes.lock().unwrap().total(), "an id was given out twice");
        assert!(all.len() > known, "nothing was submitted in run {run}");
        let newest = *all.iter().max().unwrap();
        assert!(newest > highest, "ids went back");
        highest = newest;

        let restarted = home.start();
        check(&restarted, &notes.lock().unwrap(), &mut final_states);
        server = Some(restarted);
    }
    let server = server.unwrap();
    finish(&server, &notes.lock().unwrap(), &final_states);
    server.signal("TERM");
    assert!(server.wait().0.success());
    check_file(&home, notes.lock().unwrap().total());
}

impl Notes {
    fn total(&self) -> usize {
        self.safe.len() + self.once.len() + self.held.len()
    }
}

fn ids(notes: &Mutex<Notes>) -> HashSet<u64> {
    let notes = notes.lock().unwrap();
    notes.safe.iter().chain(&notes.once).chain(notes.held.keys()).map(|t| id_of(t)).collect()
}

/// Submits and steers until the connection breaks.
fn load(address: SocketAddr, seed: usize, notes: &Mutex<Notes>, acknowledged: &AtomicUsize) {
    let Ok(mut caller) = Caller::new(address) else { return };
    for number in seed.. {
        let count = || acknowledged.fetch_add(1, Ordering::Relaxed);
        let kind = number % 4;
        let what = match kind {
            0 => "Safe&Name=quick",
            1 => "Safe&Sleep=0.05",
            2 => "Once&Sleep=0.04",
            _ => "Held&Name=held",
        };
        let Ok(answer) = caller.ask(what) else { return };
        let token = answer.success().must("token");
        count();
        match kind {
            0 | 1 => notes.lock().unwrap().safe.push(token),
            2 => notes.lock().unwrap().once.push(token),
            _ => {
                let priority = i32::try_from(number % 50).unwrap() + 1;
                let (command, asked) = match number / 4 % 4 {
                    0 => ("cancel".to_owned(), Done::Ended { acknowledged: false }),
                    1 => ("stop".to_owned(), Done::Ended { acknowledged: false }),
                    2 => (
                        format!("changePriority&Priority={priority}"),
                        Done::Priority { priority, acknowledged: false },
                    ),
                    _ => (String::new(), Done::Nothing),
                };
                // Noted before it is sent: it may be done though its reply is lost.
                notes.lock().unwrap().held.insert(token.clone(), asked);
                if asked == Done::Nothing {
                    continue;
                }
                let Ok(answer) = caller.about("Held", &command, &token) else { return };
                answer.success();
                count();
                let done = match asked {
                    Done::Priority { priority, .. } => {
                        Done::Priority { priority, acknowledged: true }
                    }
                    _ => Done::Ended { acknowledged: true },
                };
                notes.lock().unwrap().held.insert(token, done);
            }
        }
    }
}

/// Notes which actions of `Once` were seen running, until the connection breaks.
fn watch(address: SocketAddr, notes: &Mutex<Notes>) {
    let Ok(mut caller) = Caller::new(address) else { return };
    let list = "QueueInfo&QueueName=Once&QueueAction=getStatus&State=Processing";
    while let Ok(answer) = caller.ask(list) {
        notes.lock().unwrap().seen_running.extend(answer.success().values("token"));
    }
}

fn status(caller: &mut Caller, queue: &str, token: &str) -> String {
    caller.about(queue, "getStatus", token).unwrap().success().must("status")
}

/// Checks everything that clients were told, right after a restart.
fn check(server: &Server, notes: &Notes, final_states: &mut HashMap<String, String>) {
    let mut caller = Caller::new(server.address).unwrap();
    let mut seen_running: HashSet<u64> = HashSet::new();
    seen_running.extend(notes.seen_running.iter().map(|token| id_of(token)));
    let caller = &mut caller;
    for (queue, tokens) in [("Once", &notes.once), ("Safe", &notes.safe)] {
        for token in tokens {
            let answer = caller.about(queue, "getStatus", token).unwrap().success();
            let status = answer.must("status");
            assert_eq!(id_of(&answer.must("token")), id_of(token));
            if queue == "Safe" {
                assert!(
                    ["Queued", "Processing", "Finished"].contains(&&*status),
                    "Safe: {}",
                    answer.0
                );
            } else if status == "Error" {
                assert_eq!(answer.must("error"), "interrupted by server restart");
            }
            if seen_running.contains(&id_of(token)) {
                // It had started before the kill, so it must never start again.
                assert!(["Finished", "Error"].contains(&&*status), "ran twice: {}", answer.0);
            }
            if let Some(before) = final_states.get(token) {
                assert_eq!(&status, before, "a final state changed: {}", answer.0);
            } else if ["Finished", "Error"].contains(&&*status) {
                final_states.insert(token.clone(), status);
            }
        }
    }
    assert_eq!(server.info("Held", "queueStatus", "").success().must("paused"), "true");
    for (token, done) in &notes.held {
        let answer = caller.about("Held", "getStatus", token).unwrap().success();
        assert_eq!(answer.value("process_start_time"), None, "a paused queue started something");
        let status = answer.must("status");
        match done {
            Done::Ended { acknowledged: true } => assert_eq!(status, "Cancelled"),
            Done::Ended { acknowledged: false } => {
                assert!(["Queued", "Cancelled"].contains(&&*status), "{status}");
            }
            Done::Priority { priority, acknowledged } => {
                assert_eq!(status, "Queued");
                let shown: i32 = answer.must("priority").parse().unwrap();
                assert!(shown == *priority || (!acknowledged && shown == 0), "{shown} {done:?}");
            }
            Done::Nothing => assert_eq!(status, "Queued"),
        }
    }
}

/// Lets everything run to its end and checks how it ended.
fn finish(server: &Server, notes: &Notes, final_states: &HashMap<String, String>) {
    server.info("Held", "resume", "").success();
    for queue in ["Safe", "Once", "Held"] {
        wait_until(&format!("the end of all in {queue}"), || {
            let counts = server.info(queue, "queueStatus", "").success();
            counts.number("pending") + counts.number("running") == 0
        });
    }
    let mut caller = Caller::new(server.address).unwrap();
    for token in &notes.safe {
        assert_eq!(status(&mut caller, "Safe", token), "Finished");
    }
    let mut interrupted = 0;
    for token in &notes.once {
        let status = status(&mut caller, "Once", token);
        interrupted += usize::from(status == "Error");
        assert!(["Finished", "Error"].contains(&&*status), "{status}");
        if let Some(before) = final_states.get(token) {
            assert_eq!(&status, before, "a final state changed");
        }
    }
    assert!(interrupted > 0, "no kill hit a running action: the test shows nothing");
    assert!(!notes.seen_running.is_empty(), "nothing was seen running: the test shows nothing");
    for (token, done) in &notes.held {
        let status = status(&mut caller, "Held", token);
        match done {
            Done::Ended { acknowledged: true } => assert_eq!(status, "Cancelled"),
            Done::Ended { acknowledged: false } => {
                assert!(["Finished", "Cancelled"].contains(&&*status), "{status}");
            }
            Done::Priority { .. } | Done::Nothing => assert_eq!(status, "Finished"),
        }
    }
}

/// Checks the file itself once the server has ended: sound, and its counts equal its rows.
fn check_file(home: &Home, at_least: usize) {
    let file = rusqlite::Connection::open(home.data().join("actions.db")).unwrap();
    let text = |sql: &str| file.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(text("PRAGMA integrity_check"), "ok");
    let mut total = 0;
    for queue in 1..=3 {
        let counted: Vec<u64> =
            serde_json::from_str(&text(&format!("SELECT counts FROM queue WHERE id = {queue}")))
                .unwrap();
        for (state, counted) in counted.into_iter().enumerate() {
            let sql =
                format!("SELECT count(*) FROM action WHERE queue = {queue} AND state = {state}");
            let rows: u64 = file.query_row(&sql, [], |row| row.get(0)).unwrap();
            assert_eq!(counted, rows, "queue {queue}, state {state}");
            total += rows;
        }
    }
    assert!(usize::try_from(total).unwrap() >= at_least);
}
