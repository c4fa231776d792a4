//! No acknowledged change is lost, and no half batch appears, when the machine loses its power.
//!
//! - [`disk`]: a disk whose power can be cut; [`locks`] and [`vfs`] bring SQLite to it;
//! - [`histories`]: random batches, held against a model after each cut;
//! - [`systems`]: a running system, and what its clients were told before each cut;
//! - [`formats`]: a file of an earlier version that is being brought over.
//!
//! The limits of the simulation, and how to run one seed again, are in `docs/powercut.md`.

mod disk;
mod formats;
mod histories;
mod locks;
mod systems;
mod vfs;

use std::ops::Range;
use std::panic::AssertUnwindSafe;

use actiond_actors::store::conformance;
use actiond_actors::store::sqlite::Durability;
use futures_util::FutureExt as _;
use rusqlite::Connection;

use disk::{During, Honesty};
use histories::{SAFE, Setup, Tally};

/// The seeds to run: the one of `POWERCUT_SEED`, or instead of these as many as `POWERCUT_SEEDS`.
fn seeds(usual: Range<u64>) -> Range<u64> {
    let asked = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match (asked("POWERCUT_SEED"), asked("POWERCUT_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(number)) => usual.start..usual.start + number,
        (None, None) => usual,
    }
}

/// Returns true if all seeds of a test run, so that totals over all of them can be checked.
fn as_usual() -> bool {
    std::env::var_os("POWERCUT_SEED").is_none() && std::env::var_os("POWERCUT_SEEDS").is_none()
}

/// Runs something that may panic to its end; a panic is a fault like others.
fn outcome<T, E: ToString>(run: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    match conformance::run(AssertUnwindSafe(run).catch_unwind()) {
        Ok(outcome) => outcome.map_err(|fault| fault.to_string()),
        Err(_) => Err("a check failed, see above".to_owned()),
    }
}

/// Runs one history after the other; a fault ends the test and names its seed.
fn all_histories(usual: Range<u64>, setup: Setup) -> Tally {
    let mut all = Tally::default();
    for seed in seeds(usual) {
        match outcome(histories::run(seed, setup)) {
            Ok(tally) if setup.durability == Durability::Full && tally.losses > 0 => {
                panic!("POWERCUT_SEED={seed}, {setup:?}: acknowledged changes are missing")
            }
            Ok(tally) => all += tally,
            Err(fault) => panic!("POWERCUT_SEED={seed}, {setup:?}: {fault}"),
        }
    }
    println!("{setup:?}: {all:?}");
    all
}

fn nothing_is_lost(usual: Range<u64>) {
    let all = all_histories(usual, SAFE);
    if as_usual() {
        for during in [
            During::LogWrite,
            During::LogSync,
            During::LogLength,
            During::MainWrite,
            During::MainSync,
            During::MainLength,
            During::Names,
        ] {
            assert!(all.cuts.contains_key(&during), "the power was never cut at a {during:?}");
        }
        assert!(all.kept > 0 && all.dropped > 0, "{all:?}");
    }
}

// Two of them, so that they run side by side.
#[test]
fn what_was_acknowledged_is_there_and_no_batch_is_torn() {
    nothing_is_lost(0..110);
}

#[test]
fn and_so_it_is_with_more_seeds() {
    nothing_is_lost(1_000_000..1_000_110);
}

/// Without a sync for each commit the last changes may be missing, as the documentation says; those
/// before them are there, each batch whole.
#[test]
fn with_normal_durability_the_last_changes_can_be_lost_but_no_batch_is_torn() {
    let all = all_histories(0..50, Setup { durability: Durability::Normal, ..SAFE });
    assert!(all.losses > 0 || !as_usual(), "nothing was lost: the disk keeps what was not synced");
}

/// If these were not found, the tests above would say nothing.
#[test]
fn mistakes_are_found() {
    let honesty = |honesty| Setup { honesty, ..SAFE };
    for setup in [
        honesty(Honesty::NeverSyncs),
        honesty(Honesty::NeverSyncsLog),
        honesty(Honesty::NeverSyncsNames),
        Setup { in_pieces: true, ..SAFE },
    ] {
        let found = (0..60).any(|seed| {
            let outcome = outcome(histories::run(seed, setup));
            println!("seed {seed}, {setup:?}: {outcome:?}");
            outcome.map_or(true, |tally| tally.losses > 0)
        });
        assert!(found, "60 seeds have not found {setup:?}");
    }
    let found = (0..60).any(|seed| outcome(systems::run(seed, Honesty::NeverSyncsLog)).is_err());
    assert!(found, "60 seeds of clients have not found a log that is never synced");
}

/// Else a seed would not be worth writing down.
#[test]
fn a_history_runs_the_same_every_time() {
    for seed in seeds(0..4) {
        let first = outcome(histories::run(seed, SAFE));
        assert_eq!(outcome(histories::run(seed, SAFE)), first);
    }
}

#[test]
fn clients_were_told_the_truth() {
    let mut cut_stops = 0;
    for seed in seeds(0..30) {
        match outcome(systems::run(seed, Honesty::Honest)) {
            Ok(number) => cut_stops += number,
            Err(fault) => panic!("POWERCUT_SEED={seed}: {fault}"),
        }
    }
    println!("{cut_stops} actions were to stop when the power was cut");
    assert!(cut_stops > 0 || !as_usual(), "no action was to stop when the power was cut");
}

/// Looks at what no question to a store shows.
fn inspect(database: &Connection) {
    let check: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    for (rule, sql) in [
        (
            "counts equal rows (Q10)",
            // Those that may not start yet, of state 8, are queued, and counted once more apart.
            "SELECT count(*) FROM queue q, json_each(q.counts) c WHERE c.value !=
             (SELECT count(*) FROM action a WHERE a.queue = q.id
              AND (a.state = c.key OR c.key = 0 AND a.state = 8))",
        ),
        (
            // Those of one that has ended need not be kept.
            "each action that goes on has its parameters, and nothing else has any but what has ended",
            "SELECT count(*) FROM action a FULL JOIN parameters p ON a.id = p.id
             WHERE a.id IS NULL OR p.id IS NULL AND a.state NOT BETWEEN 4 AND 7",
        ),
        (
            "a key is an action's, and an action's key is kept",
            "SELECT count(*) FROM submission_key k
             FULL JOIN (SELECT a.queue, p.submission_key AS key, p.id FROM parameters p
                        JOIN action a USING (id) WHERE p.submission_key IS NOT NULL) g
             ON (k.queue, k.key, k.id) = (g.queue, g.key, g.id)
             WHERE k.id IS NULL OR g.id IS NULL",
        ),
        (
            "an action is in a queue",
            "SELECT count(*) FROM action WHERE queue NOT IN (SELECT id FROM queue)",
        ),
    ] {
        let broken: u64 = database.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(broken, 0, "{rule}");
    }
}
