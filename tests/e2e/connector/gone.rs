//! What is not mounted is not taken for deleted.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;

use rusqlite::Connection;

use super::super::durable::disk::SmallDisk;
use super::super::server::{Home, wait_until};
use super::{
    assert_all_agree, assert_counts, batches, config, count_lines, datastore, failed_fetch, fetch,
    files, grow,
};

#[test]
fn an_empty_directory_in_place_of_a_full_one_removes_nothing() {
    let tasks = |rest: &str| {
        config(
            &[
                ("DIR1", &format!("DirectoryPathCSVs=tree{rest}") as &str),
                ("DIR2", "DirectoryPathCSVs=other"),
            ],
            "",
        )
    };
    let home = Home::new(&tasks(""));
    let (tree, away) = (home.path().join("tree"), home.path().join("away"));
    grow(&tree, 40);
    grow(&home.path().join("other"), 2);
    let server = home.start();
    fetch(&server, "");
    let before = files(&tree);

    fs::rename(&tree, &away).unwrap();
    fs::create_dir(&tree).unwrap();
    // Alone it ends in Error; beside another task it is a failed entry.
    let ended = failed_fetch(&server, "&TaskSections=DIR1");
    let error = ended.must("error");
    for part in ["task DIR1: directory ", "40 known ones", "AllowEmptyRoot=true in [DIR1]"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let ended = fetch(&server, "");
    assert_eq!(
        (ended.values("success"), ended.values("failed")),
        (vec!["DIR2".into()], vec!["DIR1".into()])
    );
    assert_eq!(count_lines(&batches(&home), "remove"), 0);
    assert!(datastore(&home, "DIR1") == before);

    fs::remove_dir(&tree).unwrap();
    fs::rename(&away, &tree).unwrap();
    let ended = fetch(&server, "");
    assert_counts(&ended, "DIR1", &[("seen", 40), ("unchanged", 40)]);

    // With the opt-in they go.
    fs::remove_dir_all(&tree).unwrap();
    fs::create_dir(&tree).unwrap();
    server.kill();
    fs::write(home.path().join("test.cfg"), tasks("\nAllowEmptyRoot=true")).unwrap();
    let server = home.start();
    let ended = fetch(&server, "");
    assert_counts(&ended, "DIR1", &[("deleted", 40), ("ingestdeleted", 40)]);
    assert_eq!(count_lines(&batches(&home), "remove"), 40);
}

/// The places that the datastore of the task remembers.
fn places(home: &Home) -> Vec<PathBuf> {
    let file = Connection::open(home.data().join("connector_DIR1_datastore.db")).unwrap();
    let mut rows = file.prepare("SELECT path FROM places ORDER BY path").unwrap();
    let paths = rows.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    paths.map(|bytes| super::path(&bytes.unwrap()).to_owned()).collect()
}

#[test]
fn a_share_that_is_not_mounted_keeps_its_documents() {
    let home = Home::new(&config(&[("DIR1", "DirectoryPathCSVs=tree")], ""));
    let tree = home.path().join("tree");
    let share = tree.join("share");
    // The mount point holds a file of its own, which is not to be seen while all is well.
    fs::create_dir_all(&share).unwrap();
    fs::write(share.join("not mounted"), "").unwrap();
    grow(&tree.join("here"), 100);
    // Whatever the order, there are some behind the mount point.
    for name in 0..20 {
        fs::create_dir_all(tree.join(name.to_string()).join("deep")).unwrap();
    }
    let Some(disk) = SmallDisk::new(&share, 8) else { return };
    grow(&share, 30);
    let server = home.start();
    let ended = fetch(&server, "");
    assert_counts(&ended, "DIR1", &[("seen", 130), ("added", 130), ("ingestadded", 130)]);
    let before = files(&tree);
    assert_eq!(places(&home), [tree.clone(), share.clone()]);

    drop(disk);
    for added in [1, 0] {
        let ended = failed_fetch(&server, "");
        let error = ended.must("error");
        for part in ["tree/share: ", "another file system", "30 of the 30 known files"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        let counted =
            [("seen", 101), ("added", added), ("ingestadded", added), ("unchanged", 101 - added)];
        assert_counts(&ended, "DIR1", &counted);
    }
    assert_eq!(count_lines(&batches(&home), "remove"), 0);
    assert!(before.is_subset(&datastore(&home, "DIR1")));

    // Mounted again, all goes on; the file of the mount point has gone with it.
    let Some(_disk) = SmallDisk::new(&share, 8) else { panic!("it was mounted before") };
    grow(&share, 30);
    let ended = fetch(&server, "");
    let counted = [
        ("seen", 130),
        ("unchanged", 100),
        ("updated", 30),
        ("ingestupdated", 30),
        ("deleted", 1),
        ("ingestdeleted", 1),
    ];
    assert_counts(&ended, "DIR1", &counted);
    assert_all_agree(&home, "DIR1", &before);
}

#[test]
fn a_root_that_is_not_mounted_keeps_its_documents_though_it_is_not_empty() {
    let home = Home::new(&config(&[("DIR1", "DirectoryPathCSVs=other,share")], ""));
    let share = home.path().join("share");
    grow(&home.path().join("other"), 100);
    fs::create_dir(&share).unwrap();
    fs::write(share.join("not mounted"), "").unwrap();
    let Some(disk) = SmallDisk::new(&share, 8) else { return };
    grow(&share, 30);
    let server = home.start();
    fetch(&server, "");
    drop(disk);
    let error = failed_fetch(&server, "").must("error");
    assert!(error.contains("30 of the 30 known files"), "{error}");
    assert_eq!(count_lines(&batches(&home), "remove"), 0);
}

#[test]
fn a_change_of_a_time_after_2262_is_seen() {
    let home = Home::new(&config(&[("DIR1", "DirectoryPathCSVs=tree")], ""));
    let tree = home.path().join("tree");
    fs::create_dir(&tree).unwrap();
    let touch = |date: &str| {
        let touched = Command::new("touch").args(["-d", date]).arg(tree.join("a")).status();
        assert!(touched.unwrap().success());
    };
    touch("2400-01-01 UTC");
    let server = home.start();
    assert_counts(&fetch(&server, ""), "DIR1", &[("seen", 1), ("added", 1), ("ingestadded", 1)]);
    touch("2401-01-01 UTC");
    let changed = [("seen", 1), ("updated", 1), ("ingestupdated", 1)];
    assert_counts(&fetch(&server, ""), "DIR1", &changed);
    assert_counts(&fetch(&server, ""), "DIR1", &[("seen", 1), ("unchanged", 1)]);
    let batches = batches(&home);
    let times: Vec<_> =
        batches.iter().map(|b| b.lines[0]["fields"]["FILE_MODIFIED"][0].clone()).collect();
    assert_eq!(times, ["13569465600", "13601088000"]);
}

/// The number of a device is free once that is unmounted, and the next share gets it.
#[test]
fn another_share_in_the_place_of_one_removes_nothing() {
    let home = Home::new(&config(&[("DIR1", "DirectoryPathCSVs=share")], ""));
    let share = home.path().join("share");
    fs::create_dir(&share).unwrap();
    let file = |number: usize| share.join(format!("{number}.txt"));
    let Some(disk) = SmallDisk::new(&share, 8) else { return };
    (0..40).for_each(|number| fs::write(file(number), "text").unwrap());
    let server = home.start();
    let ended = fetch(&server, "");
    assert_counts(&ended, "DIR1", &[("seen", 40), ("added", 40), ("ingestadded", 40)]);
    let before = datastore(&home, "DIR1");
    let device = fs::metadata(&share).unwrap().dev();

    drop(disk);
    // With one file more than are known, all of which are gone then.
    fs::write(share.join("not mounted"), "text").unwrap();
    let error = failed_fetch(&server, "").must("error");
    assert!(error.contains("40 of the 40 known files"), "{error}");
    // Other tests mount disks, too.
    let mut disk = None;
    wait_until("the number of the first one", || {
        drop(disk.take());
        disk = SmallDisk::new(&share, 8);
        fs::metadata(&share).unwrap().dev() == device
    });
    let error = failed_fetch(&server, "").must("error");
    assert!(error.contains("it holds no file that the task takes, but 41 known"), "{error}");
    (0..10).for_each(|number| fs::write(file(number), "text").unwrap());
    for _ in 0..2 {
        let error = failed_fetch(&server, "").must("error");
        for part in ["another file system", " 31 of the 40 known files ", "AllowEmptyRoot=true"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
    assert_eq!(count_lines(&batches(&home), "remove"), 0);
    assert!(before.is_subset(&datastore(&home, "DIR1")));
    // Swapped without a run in between.
    server.kill();
    drop(disk);
    let _disk = SmallDisk::new(&share, 8).unwrap();
    fs::write(file(0), "text").unwrap();
    let server = home.start();
    let error = failed_fetch(&server, "").must("error");
    assert!(error.contains("another file system"), "{error}");
    assert_eq!(count_lines(&batches(&home), "remove"), 0);
}
