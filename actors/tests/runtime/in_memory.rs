//! The store in memory, and the file that it writes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use actiond_actors::lifecycle::Command;
use actiond_actors::store::sqlite::{Durability, SqliteStore};
use actiond_actors::store::{Batch, Control, NewAction, QueueId, Store, StoreError};
use actiond_actors::testing::{Script, eventually};
use actiond_actors::{ActionId, Parameters, State, Timestamp};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::common::{NEVER, SOON, end_state, nothing, submit, threads};

const OFTEN: Option<Duration> = Some(Duration::from_millis(20));

fn batch(queue: QueueId) -> Batch {
    Batch::new(queue, Timestamp(7))
}

async fn submit_to(store: &dyn Store, queue: QueueId, text: &str) -> ActionId {
    let new = NewAction::Given {
        parameters: Parameters::from_iter([("Text", text)]),
        priority: 0,
        key: None,
        not_before: None,
        queued_at: Timestamp(1),
        origin: None,
    };
    let reply = store.commit(Batch { submissions: vec![new], ..batch(queue) }).await.unwrap();
    reply.submissions[0].clone().unwrap().id
}

/// Reads the file as it is now, as a server that comes after a `kill -9` would find it.
fn ids_in(data: &Path) -> Vec<i64> {
    let away = tempfile::tempdir().unwrap();
    let copy = away.path().join("actions.db");
    if std::fs::copy(data.join("actions.db"), &copy).is_err() {
        return Vec::new();
    }
    let database = Connection::open(copy).unwrap();
    let check: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let mut ids = database.prepare("SELECT id FROM action ORDER BY id").unwrap();
    let ids = ids.query_map([], |row| row.get(0)).unwrap();
    ids.collect::<rusqlite::Result<_>>().unwrap()
}

#[tokio::test]
async fn a_store_whose_file_can_not_be_written_is_not_available() {
    let home = tempfile::tempdir().unwrap();
    let store = SqliteStore::open_in_memory(home.path(), OFTEN).unwrap();
    let queue = store.open_queue("Work").await.unwrap().id;
    assert!(store.is_available());
    // In the way of the file that is written beside the other one.
    let in_the_way = home.path().join("actions.db.new");
    let mut blocked = false;
    eventually("the directory is in the way", async || {
        blocked |= std::fs::create_dir(&in_the_way).is_ok();
        blocked
    })
    .await;
    let kept = submit_to(&store, queue, "kept").await;
    eventually("it is told", async || !store.is_available()).await;
    std::fs::remove_dir(&in_the_way).unwrap();
    eventually("it is well again", async || store.is_available()).await;
    assert_eq!(ids_in(home.path()), [i64::try_from(kept.get()).unwrap()]);
    store.close().await;
    assert!(store.is_available());
}

#[tokio::test]
async fn actions_go_from_a_file_into_memory_and_back() {
    let home = tempfile::tempdir().unwrap();
    let on_disk = || SqliteStore::open(home.path(), Durability::Normal).unwrap();
    let in_memory = || SqliteStore::open_in_memory(home.path(), None).unwrap();
    let store = on_disk();
    let queue = store.open_queue("Work").await.unwrap().id;
    let first = submit_to(&store, queue, "first").await;
    drop(store);
    // As a server leaves it that was killed: with a log.
    eventually("its lock is free", async || {
        SqliteStore::open_in_memory(home.path(), None).map(drop).is_ok()
    })
    .await;
    let mut opened = None;
    eventually("its lock is free again", async || {
        opened = SqliteStore::open_in_memory(home.path(), None).ok();
        opened.is_some()
    })
    .await;
    let store = opened.unwrap();
    assert_eq!(store.durability(), "memory");
    assert_eq!(store.open_queue("work").await.unwrap().counts.queued(), 1);
    let second = submit_to(&store, queue, "second").await;
    assert!(second > first);
    let refused = SqliteStore::open(home.path(), Durability::Normal).unwrap_err();
    assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
    let refused = SqliteStore::open_in_memory(home.path(), None).unwrap_err();
    assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
    assert_eq!(ids_in(home.path()), [1], "nothing was written yet");
    store.close().await;
    assert_eq!(ids_in(home.path()), [1, 2]);
    for reopened in [false, true] {
        let store: Box<dyn Store> =
            if reopened { Box::new(in_memory()) } else { Box::new(on_disk()) };
        assert_eq!(store.open_queue("WORK").await.unwrap().counts.queued(), 2);
        let read = store.parameters(queue, second).await.unwrap().unwrap();
        assert_eq!(read.get("Text"), Some("second"));
        store.close().await;
    }
    let mut names: Vec<_> = std::fs::read_dir(home.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["actiond.lock", "actions.db", "actions.reserve"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(home.path().join("actions.db")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

/// What was there at an interval is in the file, whatever becomes of the process.
#[tokio::test]
async fn each_interval_is_a_whole_file() {
    let home = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open_in_memory(home.path(), OFTEN).unwrap());
    let queue = store.open_queue("Work").await.unwrap().id;
    let (done, last) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writes = tokio::spawn({
        let (store, done, last) = (Arc::clone(&store), Arc::clone(&done), Arc::clone(&last));
        async move {
            let text = "x".repeat(20_000);
            while !done.load(Ordering::Relaxed) {
                let id = submit_to(&*store, queue, &text).await;
                last.store(id.get(), Ordering::Relaxed);
                // Rows change, too.
                let controls = vec![Control::command(id, Command::ChangePriority(3))];
                store.commit(Batch { controls, ..batch(queue) }).await.unwrap();
            }
        }
    });
    let mut seen = 0;
    let mut files = 0;
    eventually("many files were written while it was written to", async || {
        let ids = ids_in(home.path());
        let whole = (1..=i64::try_from(ids.len()).unwrap()).collect::<Vec<_>>();
        assert_eq!(ids, whole, "all up to one");
        assert!(ids.len() >= seen, "what was written is not lost again");
        assert!(ids.len() as u64 <= last.load(Ordering::Relaxed) + 1);
        files += usize::from(ids.len() > seen);
        seen = ids.len();
        files > 5
    })
    .await;
    done.store(true, Ordering::Relaxed);
    writes.await.unwrap();
    let all = last.load(Ordering::Relaxed);
    eventually("the last is written without a further change", async || {
        ids_in(home.path()).len() as u64 == all
    })
    .await;
    // One more may have been under way.
    let time = || std::fs::metadata(home.path().join("actions.db")).unwrap().modified().unwrap();
    let mut unchanged = (time(), std::time::Instant::now());
    eventually("nothing is written where nothing has changed, for some intervals", async || {
        let now = time();
        if now != unchanged.0 {
            unchanged = (now, std::time::Instant::now());
        }
        unchanged.1.elapsed() > Duration::from_millis(300)
    })
    .await;
    store.close().await;
}

/// Writes so many actions of 20 KB at once.
async fn fill(store: &dyn Store, queue: QueueId, number: usize) {
    let text = "x".repeat(20_000);
    let new = || NewAction::Given {
        parameters: Parameters::from_iter([("Text", &*text)]),
        priority: 0,
        key: None,
        not_before: None,
        queued_at: Timestamp(1),
        origin: None,
    };
    let submissions = (0..number).map(|_| new()).collect();
    store.commit(Batch { submissions, ..batch(queue) }).await.unwrap();
}

/// A copy is whole, and nobody waits for its end: what is acknowledged while it is made is in it.
#[tokio::test]
async fn a_copy_is_made_while_changes_are_written() {
    let home = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open_in_memory(home.path(), None).unwrap());
    let queue = store.open_queue("Work").await.unwrap().id;
    fill(&*store, queue, 1_000).await;
    eventually("a copy during which something was written", async || {
        let away = tempfile::tempdir().unwrap();
        let path = away.path().join("actions.db");
        let mut copying = store.backup(path.clone()).unwrap();
        let mut taken = Vec::new();
        let copied = loop {
            tokio::select! {
                biased;
                copied = &mut copying => break copied,
                id = submit_to(&*store, queue, "meanwhile") => taken.push(id.get()),
            }
        };
        copied.unwrap();
        let ids = ids_in(away.path());
        assert_eq!(ids, (1..).take(ids.len()).collect::<Vec<_>>(), "all up to one");
        // It is as the database stood at its end: the first ones came before that, and the last ones after it.
        taken.iter().filter(|id| ids.contains(&i64::try_from(**id).unwrap())).count() > 3
    })
    .await;
    // One that can't be written is an error, and work goes on.
    let nowhere = home.path().join("none/actions.db");
    assert!(store.backup(nowhere).unwrap().await.is_err());
    submit_to(&*store, queue, "after").await;
    store.close().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_written_stays_as_it_was() {
    let home = tempfile::tempdir().unwrap();
    let store = SqliteStore::open_in_memory(home.path(), OFTEN).unwrap();
    let queue = store.open_queue("Work").await.unwrap().id;
    submit_to(&store, queue, "first").await;
    eventually("it is written", async || ids_in(home.path()) == [1]).await;
    let new = home.path().join("actions.db.new");
    std::fs::create_dir(&new).unwrap();
    let second = submit_to(&store, queue, "second").await;
    let record = store.record(queue, second).await.unwrap().unwrap();
    assert_eq!(record.state, State::Queued, "work goes on");
    assert_eq!(ids_in(home.path()), [1]);
    std::fs::remove_dir(&new).unwrap();
    eventually("it is written again", async || ids_in(home.path()) == [1, 2]).await;
    // What a server has left that was killed while it wrote is no file of ours.
    store.close().await;
    std::fs::write(&new, "half").unwrap();
    let store = SqliteStore::open_in_memory(home.path(), None).unwrap();
    assert_eq!(store.open_queue("Work").await.unwrap().counts.queued(), 2);
    assert!(!new.exists());
    store.close().await;
}

#[tokio::test]
async fn a_database_that_is_not_ours_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("actions.db"), "something else").unwrap();
    let error = SqliteStore::open_in_memory(home.path(), OFTEN).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    let text = std::fs::read_to_string(home.path().join("actions.db")).unwrap();
    assert_eq!(text, "something else");
}

/// Reads and writes are in each other's way for a moment only.
#[tokio::test]
async fn a_system_in_memory_runs_actions_as_any_other() {
    let home: TempDir = tempfile::tempdir().unwrap();
    let start = || {
        actiond_actors::System::builder(home.path())
            .in_memory(Some(NEVER))
            .queue("Work", threads(8), Script::always(nothing()))
            .start()
    };
    let system = start().await.unwrap();
    let work = system.queue("Work").unwrap();
    let each = (0..50).map(|_| async {
        for _ in 0..10 {
            let id = submit(&work, "").await;
            assert_eq!(end_state(&work, id).await, State::Finished);
        }
    });
    futures_util::future::join_all(each).await;
    assert_eq!(work.read_summary().await.unwrap().counts.finished(), 500);
    assert_eq!(system.durability(), "memory");
    system.shutdown(SOON).await;
    drop((system, work));
    let system = start().await.unwrap();
    assert_eq!(system.queue("Work").unwrap().summary().counts.finished(), 500);
    system.shutdown(SOON).await;
}
