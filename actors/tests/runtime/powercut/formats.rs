//! A file of an earlier version that is being brought over when the power goes, or the disk is full.

use std::path::Path;
use std::sync::Arc;

use actiond_actors::store::conformance::run;
use actiond_actors::store::query::Query;
use actiond_actors::store::sqlite::{Durability, SqliteStore};
use actiond_actors::store::{Store as _, StoreError};
use fastrand::Rng;
use rusqlite::{Connection, OpenFlags};

use super::disk::{Cut, Disk, Honesty};
use super::vfs::{mount, unmount};
use crate::formats::OldFile;

fn connect(directory: &Path, vfs: &str) -> Connection {
    let path = directory.join("actions.db");
    Connection::open_with_flags_and_vfs(path, OpenFlags::default(), vfs).unwrap()
}

/// A disk with a file of this format on it.
fn old_disk(directory: &Path, format: u8, file: &OldFile) -> Arc<Disk> {
    let disk = Arc::new(Disk::new(512, Honesty::Honest));
    file.write(format, &connect(directory, mount(directory, &disk)));
    disk
}

async fn opened(directory: &Path, vfs: &str, file: &OldFile) -> Result<(), StoreError> {
    let store = SqliteStore::open_with_vfs(directory, Durability::Full, vfs, 100, true)?;
    let checked = file.check(&store, &[Query::default()]).await;
    store.close().await;
    checked
}

#[test]
fn a_file_that_is_being_brought_over_survives_a_power_cut() {
    is_cut_on_its_way(1, 10);
    // Its rows stay as they are: that is done in a few operations.
    is_cut_on_its_way(2, 4);
    is_cut_on_its_way(3, 4);
}

/// Cuts the power at each operation of the way from this format, in turn; that must be so many before and after the change.
fn is_cut_on_its_way(format: u8, least: u32) {
    let file = OldFile::new(30);
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let mut random = Rng::with_seed(1);
    // How often it was found in which format.
    let mut found = [0; 5];
    for nth in 1.. {
        let disk = old_disk(directory, format, &file);
        disk.cut_at(Cut { kind: None, nth, late: nth.is_multiple_of(2) });
        let vfs = mount(directory, &disk);
        if let Ok(store) = SqliteStore::open_with_vfs(directory, Durability::Full, vfs, 100, true) {
            run(store.close());
        }
        let done = disk.cut_during().is_none();
        disk.cut_now();
        let disk = Arc::new(disk.after_cut(&mut random));
        let vfs = mount(directory, &disk);
        let connection = connect(directory, vfs);
        let version: usize =
            connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        drop(connection);
        found[version] += 1;
        run(opened(directory, vfs, &file)).unwrap();
        if done {
            break;
        }
    }
    unmount(directory);
    let (before, after) = (found[usize::from(format)], found[4]);
    println!("found in format {format} after {before} cuts, in format 4 after {after}");
    assert!(before > least && after > least, "{found:?}");
}

#[test]
fn a_file_that_cannot_be_brought_over_on_a_full_disk_is_left_as_it_was() {
    let file = OldFile::new(150);
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let disk = old_disk(directory, 1, &file);
    let vfs = mount(directory, &disk);
    let before = disk.content("actions.db");
    let mut refused = 0;
    for spare in (0..).step_by(50_000) {
        disk.set_room(Some(before.len() + spare));
        match run(opened(directory, vfs, &file)) {
            Ok(()) => break,
            Err(error) => assert_eq!(error, StoreError::Full),
        }
        refused += 1;
        assert!(
            disk.content("actions.db") == before,
            "the file was changed with {spare} bytes free"
        );
    }
    assert!(refused > 5, "{refused}");
    disk.set_room(None);
    run(opened(directory, vfs, &file)).unwrap();
    unmount(directory);
}
