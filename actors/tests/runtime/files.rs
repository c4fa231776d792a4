//! Directories and database files that can't be used: said clearly, and left as they are.

use std::fs;
use std::path::{Path, PathBuf};

use actiond_actors::store::StoreError;
use actiond_actors::testing::{Gate, Script, eventually};
use actiond_actors::{QueueError, StartError, State, System};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::common::{
    Home, SOON, at_gate, builder, end, end_state, nothing, state, submit, threads, to_do,
    until_finished,
};

async fn start(directory: &Path) -> Result<System, StartError> {
    builder(directory).queue("Work", threads(1), Script::always(nothing())).start().await
}

async fn refused(directory: &Path) -> StoreError {
    match start(directory).await {
        Err(StartError::Store(error)) => error,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was started"),
    }
}

fn database(directory: &TempDir) -> PathBuf {
    directory.path().join("actions.db")
}

/// A directory with some actions in it, closed.
async fn used(actions: usize) -> TempDir {
    let home = Home::new(threads(1), &Script::always(nothing())).await;
    let mut last = None;
    for _ in 0..actions {
        last = Some(submit(&home.work, &"x".repeat(300)).await);
    }
    if let Some(id) = last {
        end(&home.work, id).await;
    }
    home.shut_down().await
}

#[tokio::test]
async fn a_directory_has_one_server() {
    let home = Home::new(threads(1), &Script::always(nothing())).await;
    let error = refused(home.directory.path()).await;
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    let process = format!("process {}", std::process::id());
    assert!(error.to_string().contains(&process), "{error}");
    let id = submit(&home.work, "").await;
    assert_eq!(end_state(&home.work, id).await, State::Finished, "the first one goes on");
    let directory = home.shut_down().await;
    start(directory.path()).await.unwrap().shutdown(SOON).await;
}

#[tokio::test]
async fn a_directory_is_made_and_may_not_be_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let deep = directory.path().join("a/b/c");
    start(&deep).await.unwrap().shutdown(SOON).await;
    let file = directory.path().join("file");
    fs::write(&file, "here").unwrap();
    let error = refused(&file).await;
    assert!(matches!(error, StoreError::Io(_)), "{error}");
    assert!(error.to_string().contains("file"), "{error}");
}

#[tokio::test]
async fn a_copy_of_the_file_alone_is_complete_after_a_shutdown() {
    let directory = used(20).await;
    let copy = tempfile::tempdir().unwrap();
    fs::copy(database(&directory), database(&copy)).unwrap();
    let system = start(copy.path()).await.unwrap();
    assert_eq!(system.queue("work").unwrap().summary().counts.finished(), 20);
    system.shutdown(SOON).await;
}

#[tokio::test]
async fn a_damaged_header_is_reported_and_the_file_left_alone() {
    let directory = used(5).await;
    let mut bytes = fs::read(database(&directory)).unwrap();
    for broken in [&b"this is no database at all"[..], &[0; 100]] {
        bytes[..broken.len()].copy_from_slice(broken);
        fs::write(database(&directory), &bytes).unwrap();
        let error = refused(directory.path()).await;
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains("actions.db"), "{error}");
        assert!(fs::read(database(&directory)).unwrap() == bytes, "the file was changed");
    }
}

#[tokio::test]
async fn a_file_cut_short_is_reported() {
    let directory = used(300).await;
    let bytes = fs::read(database(&directory)).unwrap();
    for left in [50, 4_096, bytes.len() / 2] {
        fs::write(database(&directory), &bytes[..left]).unwrap();
        if let Err(error) = start_and_use(directory.path()).await {
            assert!(matches!(error, StoreError::Corrupt { .. }), "{left}: {error:?}");
        } else {
            panic!("{left} of {} bytes pass for a database", bytes.len());
        }
    }
}

/// Reads and changes what a queue holds, until something fails.
async fn start_and_use(directory: &Path) -> Result<(), StoreError> {
    let only = |error| match error {
        QueueError::Store(error) => error,
        other => panic!("{other:?}"),
    };
    let mut started = None;
    eventually("whoever had the directory has let go of it", async || {
        let result = start(directory).await;
        let in_use = matches!(result, Err(StartError::Store(StoreError::InUse { .. })));
        started = Some(result);
        !in_use
    })
    .await;
    let system = match started.unwrap() {
        Ok(system) => system,
        Err(StartError::Store(error)) => return Err(error),
        Err(other) => panic!("{other}"),
    };
    let work = system.queue("work").unwrap();
    let used = async {
        let mut listing = work.list(Default::default(), 0);
        loop {
            let page = listing.next_page(50).await.map_err(only)?;
            if page.is_empty() {
                break;
            }
            for status in page {
                work.status(status.record.id).await.map_err(only)?;
            }
        }
        if let Some(damage) = listing.damage() {
            return Err(damage.clone());
        }
        for _ in 0..20 {
            work.submit(to_do("")).await.map_err(only)?;
        }
        Ok(())
    };
    let used = used.await;
    system.shutdown(SOON).await;
    used
}

#[tokio::test]
async fn zeroed_pages_are_reported_when_they_are_met() {
    let directory = used(300).await;
    let whole = fs::read(database(&directory)).unwrap();
    let page = 4_096;
    let pages = whole.len() / page;
    assert!(pages > 20, "{pages}");
    let mut reported = 0;
    for first in [1, 2, 4, 8, pages / 2, pages - 4] {
        let mut bytes = whole.clone();
        bytes[first * page..(first + 3) * page].fill(0);
        fs::write(database(&directory), &bytes).unwrap();
        for stale in ["actions.db-wal", "actions.db-shm"] {
            let _ = fs::remove_file(directory.path().join(stale));
        }
        // A page that nothing reads may go unseen; one that is read must be reported as what it is.
        if let Err(error) = start_and_use(directory.path()).await {
            assert!(matches!(error, StoreError::Corrupt { .. }), "pages from {first}: {error:?}");
            reported += 1;
        }
    }
    assert!(reported >= 3, "only {reported} were noticed");
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let directory = used(5).await;
    Connection::open(database(&directory))
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let before = fs::read(database(&directory)).unwrap();
    let error = refused(directory.path()).await;
    assert!(matches!(error, StoreError::TooNew { found: 99, .. }), "{error:?}");
    assert!(fs::read(database(&directory)).unwrap() == before, "the file was changed");
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_left_alone() {
    // Other programs number their formats too.
    for version in [0, 1, 2] {
        let directory = tempfile::tempdir().unwrap();
        let foreign = Connection::open(database(&directory)).unwrap();
        foreign
            .execute_batch("CREATE TABLE album (title TEXT); INSERT INTO album VALUES ('x')")
            .unwrap();
        foreign.pragma_update(None, "user_version", version).unwrap();
        drop(foreign);
        let before = fs::read(database(&directory)).unwrap();
        let error = refused(directory.path()).await;
        let untouched = fs::read(database(&directory)).unwrap() == before;
        assert!(untouched, "the file of version {version} was changed: {error:?}");
        let clear = matches!(error, StoreError::Corrupt { .. } | StoreError::TooNew { .. });
        assert!(clear, "version {version}: {error:?}");
    }
}

#[tokio::test]
async fn an_empty_file_is_a_new_database() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(database(&directory), "").unwrap();
    start_and_use(directory.path()).await.unwrap();
}

/// A stored value that can't be read concerns the action it belongs to.
#[tokio::test]
async fn an_unreadable_value_is_reported_as_damage() {
    let directory = used(3).await;
    let connection = Connection::open(database(&directory)).unwrap();
    connection.execute_batch("UPDATE action SET report = '{not json' WHERE id = 2").unwrap();
    connection.execute_batch("UPDATE action SET state = 77 WHERE id = 3").unwrap();
    drop(connection);
    let system = start(directory.path()).await.unwrap();
    let work = system.queue("work").unwrap();
    let id = |n| actiond_actors::ActionId::new(n).unwrap();
    assert_eq!(work.status(id(1)).await.unwrap().record.state, State::Finished);
    for damaged in [2, 3] {
        let error = work.status(id(damaged)).await.map(drop).unwrap_err();
        let clear = matches!(error, QueueError::Store(StoreError::Corrupt { .. }));
        assert!(clear, "{error:?}");
    }
    let next = submit(&work, "").await;
    assert_eq!(end_state(&work, next).await, State::Finished);
    system.shutdown(SOON).await;
}

fn names(error: &QueueError, path: &Path) -> bool {
    let QueueError::Store(StoreError::Io(reason)) = error else { panic!("{error}") };
    reason.contains(&*path.to_string_lossy())
}

#[cfg(unix)]
#[tokio::test]
async fn nothing_is_acknowledged_while_the_file_is_gone_from_its_path() {
    let gate = Gate::new();
    let home = Home::new(threads(1), &at_gate(&gate)).await;
    let runs = submit(&home.work, "wait").await;
    gate.until_waiting(1).await;
    let mut waits = vec![submit(&home.work, "").await];
    let (data, away) = (home.directory.path().to_owned(), tempfile::tempdir().unwrap());
    let away = away.path().join("data");
    fs::rename(&data, &away).unwrap();
    let mut refusal = None;
    eventually("a submission is refused", async || {
        match home.work.submit(to_do("")).await {
            Ok(submitted) => waits.push(submitted.id),
            Err(error) => refusal = Some(error),
        }
        refusal.is_some()
    })
    .await;
    let path = data.join("actions.db");
    assert!(names(&refusal.unwrap(), &path));
    for error in [
        home.work.submit(to_do("")).await.unwrap_err(),
        home.work.cancel(waits[0]).await.unwrap_err(),
        home.work.stop(runs).await.unwrap_err(),
        home.work.pause_queue().await.unwrap_err(),
    ] {
        assert!(names(&error, &path), "{error}");
    }
    assert_eq!(state(&home.work, waits[0]).await, State::Queued, "reads go on");
    gate.open();
    eventually("its work has ended", async || gate.waiting() == 0).await;
    assert_eq!(state(&home.work, runs).await, State::Processing, "what is not durable is not told");

    fs::rename(&away, &data).unwrap();
    eventually("a submission is taken again", async || {
        let submitted = home.work.submit(to_do("")).await;
        submitted.map(|submitted| waits.push(submitted.id)).is_ok()
    })
    .await;
    assert_eq!(end_state(&home.work, runs).await, State::Finished);
    for id in waits {
        assert_eq!(end_state(&home.work, id).await, State::Finished);
    }
    home.shut_down().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_server_whose_file_was_moved_takes_nothing_from_the_next_one() {
    let first = Home::new(threads(1), &Script::always(nothing())).await;
    let id = submit(&first.work, "").await;
    end(&first.work, id).await;
    let (path, away) = (first.directory.path().to_owned(), tempfile::tempdir().unwrap());
    let away = away.path().join("data");
    fs::rename(&path, &away).unwrap();
    let second = start(&path).await.unwrap();
    let work = second.queue("work").unwrap();
    work.submit(to_do("")).await.unwrap();
    until_finished(&work, 1).await;
    let directory = first.shut_down().await;
    assert!(path.join("actions.db-wal").exists(), "its log was deleted");
    work.submit(to_do("")).await.unwrap();
    until_finished(&work, 2).await;
    second.shutdown(SOON).await;

    let copy = tempfile::tempdir().unwrap();
    fs::copy(away.join("actions.db"), database(&copy)).unwrap();
    let moved = start(copy.path()).await.unwrap();
    assert_eq!(
        moved.queue("work").unwrap().summary().counts.finished(),
        1,
        "the moved one is whole"
    );
    moved.shutdown(SOON).await;
    drop(directory);
}
