//! The end of a storm: everything comes to rest, every action is looked at, and nothing may be left.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use actiond_actors::State;

use super::super::super::calls::id_of;
use super::super::super::server::{PATIENCE, Server};
use super::super::super::shop::Shop;
use super::clients::{Talk, is_final};
use super::ledger::Ledger;
use super::{Place, QUEUES, diary, judge};

/// Time after which an action that has not ended is stuck.
const BOUND: Duration = Duration::from_secs(2 * PATIENCE.as_secs());

/// Sends again what was not answered, lets everything come to its end, and judges every action.
pub(super) fn come_to_rest(shop: &Shop, ledger: &Ledger, server: &Server) {
    let alive = AtomicBool::new(false);
    let mut talk = Talk::new(shop, ledger, server.address, &alive).expect("a connection");
    for queue in &QUEUES {
        let request = format!("QueueInfo&QueueName={}&QueueAction=resume", queue.name);
        talk.ask(&request).expect("a reply").success();
    }
    let all = ledger.books().entries.len();
    for index in 0..all {
        // Under the same key, so those that the server had got are not there twice.
        if ledger.books().entries[index].token.is_none() {
            talk.submit(index).expect("a reply");
        }
    }
    let mut open: Vec<usize> = (0..all).collect();
    let began = Instant::now();
    while !open.is_empty() && began.elapsed() < BOUND {
        open.retain(|index| {
            let status = talk.status(*index).expect("a reply");
            let is_deaf = ledger.books().entries[*index].is_deaf;
            match status.as_str() {
                "Paused" => talk.command(*index, "resume").expect("a reply"),
                "Processing" if is_deaf => talk.command(*index, "stop").expect("a reply"),
                _ => {}
            }
            !is_final(&status) && !status.is_empty()
        });
        // Only to leave the processor to what is waited for.
        std::thread::sleep(Duration::from_millis(50));
    }
    for index in 0..all {
        let entry = ledger.books().entries[index].clone();
        let shown = talk.about(index, "getStatus&History=true").expect("a reply");
        if open.contains(&index) {
            ledger.found("an action is stuck", format!("{entry:?}: {}", shown.0));
        } else if shown.is_success() {
            let diary = diary::read(&shop.path(""), &entry.mark);
            judge::judge(ledger, &entry, &shown, &diary);
        }
    }
}

/// Looks for leases, programs, directories and records that are left, ends the server, and reads its file.
pub(super) fn nothing_is_left(place: &Place, ledger: &Ledger, server: Server) {
    let shop = &place.shop;
    let status = server.ask("GetStatus").success();
    let out = status.with(|document| {
        let workers = document.descendants().find(|node| node.has_tag_name("workers"));
        assert!(workers.is_some(), "no workers are shown: {}", status.0);
        let held = document.descendants().filter(|node| node.has_tag_name("worker"));
        held.filter(|node| node.children().any(|child| child.has_tag_name("token"))).count()
    });
    if out > 0 {
        ledger.found("a lease is out", status.0);
    }
    let left = orphans(place);
    if !left.is_empty() {
        ledger.found("a program is left", left.join("; "));
    }
    server.signal("TERM");
    let (ended, said) = server.wait();
    if !ended.success() {
        ledger.found("the server failed", said.join("\n"));
    }
    files_left(shop, ledger);
    counts_and_rows(shop, ledger);
}

/// Processes with a word of the shop in their command line, with the mark of the server in their environment, or in its cgroup.
fn orphans(place: &Place) -> Vec<String> {
    let shop = &place.shop;
    let mut left: Vec<_> = shop.programs().iter().map(|one| format!("{one:?}")).collect();
    // The worker processes of the test have no path of the shop in their command line, and no mark.
    let system = shop.read("system");
    let mark = format!("ACTIOND_PROCESS={}.", system.trim());
    assert!(mark.len() > 20, "no mark: {mark}");
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    for process in processes {
        let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|entry| entry.starts_with(mark.as_bytes())) {
            left.push(process.path().display().to_string());
        }
    }
    if let Ok(cgroup) = std::fs::read_to_string(shop.path("data/processes/cgroup")) {
        let cgroup = Path::new(cgroup.trim());
        assert!(!(place.no_cgroups_at.is_some() && cgroup.exists()), "it could make a cgroup");
        left.extend(in_cgroup(cgroup));
    }
    left
}

/// Looks for working directories and for records of programs. Each queue keeps the one directory in which its last server made
/// those.
fn files_left(shop: &Shop, ledger: &Ledger) {
    for queue in QUEUES.iter().filter(|queue| queue.programs) {
        let of_servers = entries(&shop.data().join("commands").join(queue.name));
        let left: Vec<_> = of_servers.iter().flat_map(|directory| entries(directory)).collect();
        if of_servers.len() > 1 || !left.is_empty() {
            let name = queue.name;
            ledger.found("directories are left", format!("{name}: {of_servers:?}, {left:?}"));
        }
    }
    // What has ended leaves a blank line.
    let records = shop.read("data/processes/running");
    if !records.trim().is_empty() {
        ledger.found("records of programs are left", records);
    }
}

/// The processes in this cgroup and those below it.
fn in_cgroup(path: &Path) -> Vec<String> {
    let own = std::fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    let mut found: Vec<_> = own.lines().map(|pid| format!("{pid} in {}", path.display())).collect();
    let below = std::fs::read_dir(path).into_iter().flatten().flatten();
    let below = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    below.for_each(|entry| found.extend(in_cgroup(&entry.path())));
    found
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

/// Compares the counts of the file with its rows, and its rows with what was submitted.
fn counts_and_rows(shop: &Shop, ledger: &Ledger) {
    let file = rusqlite::Connection::open(shop.data().join("actions.db")).expect("the file");
    let text = |sql: &str| file.query_row(sql, [], |row| row.get::<_, String>(0)).expect(sql);
    assert_eq!(text("PRAGMA integrity_check"), "ok");
    for (number, queue) in QUEUES.iter().enumerate() {
        let name = queue.name;
        let id = text(&format!("SELECT CAST(id AS TEXT) FROM queue WHERE name = '{name}'"));
        let counts = text(&format!("SELECT counts FROM queue WHERE id = {id}"));
        let counted: Vec<u64> = serde_json::from_str(&counts).expect("counts");
        let mut rows: Vec<u64> = (0..State::ALL.len())
            .map(|state| {
                let rows = format!("FROM action WHERE queue = {id} AND state = {state}");
                text(&format!("SELECT CAST(count(*) AS TEXT) {rows}")).parse().expect("a number")
            })
            .collect();
        // None waits for a time any more.
        rows.push(0);
        if counted != rows {
            ledger.found("counts are wrong", format!("{name}: {counted:?} for {rows:?}"));
        }
        let ids = text(&format!("SELECT json_group_array(id) FROM action WHERE queue = {id}"));
        let stored: BTreeSet<u64> = serde_json::from_str(&ids).expect("ids");
        let books = ledger.books();
        let mine = books.entries.iter().filter(|entry| entry.queue == number);
        let told: BTreeSet<u64> =
            mine.filter_map(|entry| entry.token.as_deref().map(id_of)).collect();
        drop(books);
        if stored != told {
            let both: Vec<_> = stored.symmetric_difference(&told).collect();
            ledger.found("rows are not those that were submitted", format!("{name}: {both:?}"));
        }
    }
    let strays =
        text("SELECT CAST(count(*) AS TEXT) FROM history WHERE id NOT IN (SELECT id FROM action)");
    if strays != "0" {
        ledger.found("history of nothing", strays);
    }
}
