//! What is not mounted has not gone.

use std::fs;

use rusqlite::Connection;

use super::*;

impl Scene {
    /// Runs, which must fail and remove nothing, and returns why.
    fn refused(&mut self) -> String {
        let (ended, report) = self.synchronize_with(&|_| Ok(()));
        let Err(TaskError::Failed(why)) = ended else { panic!("{ended:?}: {report:?}") };
        assert!(!counts(&report).contains("deleted"), "{report:?}");
        assert!(self.sink.given.iter().all(|(what, _)| *what == "adds"), "{:?}", self.sink.given);
        why
    }

    fn datastore(&self) -> Connection {
        let path = self.options.data_directory.join("connector_Dir1_datastore.db");
        Connection::open(path).unwrap()
    }

    /// Makes the datastore believe that this place was on another device in the last run.
    fn was_on_another_device(&self, place: &Path) {
        let place = place.components().collect::<PathBuf>();
        self.datastore()
            .execute(
                "INSERT INTO places (path, device) VALUES (?1, -7) ON CONFLICT DO UPDATE SET device = -7",
                [place.as_os_str().as_encoded_bytes()],
            )
            .unwrap();
    }

    /// The places that are remembered, relative to the directory, with a mark at those of `was_on_another_device`.
    fn remembered(&self) -> Vec<String> {
        let root = self.path("").to_string_lossy().into_owned();
        let datastore = self.datastore();
        let mut rows = datastore.prepare("SELECT path, device FROM places ORDER BY path").unwrap();
        rows.query_map([], |row| {
            let path = String::from_utf8(row.get(0).unwrap()).unwrap();
            let mark = if row.get::<_, i64>(1).unwrap() == -7 { "!" } else { "" };
            Ok(format!("{}{mark}", format!("{path}/").replace(&root, "")))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect()
    }

    fn empty(&self, name: &str) {
        fs::remove_dir_all(self.path(name)).unwrap();
        fs::create_dir(self.path(name)).unwrap();
    }
}

#[test]
fn a_directory_that_is_empty_where_files_were_fails_its_task() {
    let mut scene = Scene::new();
    for i in 0..40 {
        scene.put(&format!("sub/{i}"), "1");
    }
    assert_eq!(scene.counts(), "added=40 ingestadded=40 seen=40");
    let away = scene.directory.path().join("away");
    fs::rename(scene.path(""), &away).unwrap();
    // An empty one, one with directories only, and one with what the task does not take.
    scene.options.tasks[0].file_match = vec!["?".to_owned(), "??".to_owned()];
    for inside in [None, Some("sub/deep"), Some("readme")] {
        fs::create_dir(scene.path("")).unwrap();
        match inside {
            Some("readme") => scene.put("readme", ""),
            Some(directory) => fs::create_dir_all(scene.path(directory)).unwrap(),
            None => {}
        }
        let why = scene.refused();
        let root = scene.options.tasks[0].directories[0].display().to_string();
        for part in [&*root, "40 known ones", "AllowEmptyRoot=true in [Dir1]"] {
            assert!(why.contains(part), "{part}: {why}");
        }
        fs::remove_dir_all(scene.path("")).unwrap();
    }
    // Once it is back, all is as it was.
    fs::rename(&away, scene.path("")).unwrap();
    assert_eq!(scene.counts(), "seen=40 unchanged=40");

    scene.empty("");
    scene.options.tasks[0].allow_empty_root = true;
    assert_eq!(scene.counts(), "deleted=40 ingestdeleted=40");
    // Nothing is known any more, so nothing can be missed.
    scene.options.tasks[0].allow_empty_root = false;
    assert_eq!(scene.counts(), "");
}

#[test]
fn each_directory_of_a_task_is_judged_by_itself() {
    let mut scene = Scene::new();
    for name in ["one/a", "one/b", "two/a", "two/b"] {
        scene.put(name, "1");
    }
    scene.options.tasks[0].directories = vec![scene.path("one/"), scene.path("two")];
    assert_eq!(scene.counts(), "added=4 ingestadded=4 seen=4");
    fs::remove_file(scene.path("one/a")).unwrap();
    scene.put("one/new", "1");
    scene.empty("two");
    // What is new is taken all the same, and is not taken again.
    let why = scene.refused();
    assert!(why.contains("/in/two: ") && why.contains("2 known ones"), "{why}");
    assert_eq!(scene.given(), ["adds: one/new"]);
    scene.refused();
    assert_eq!(scene.given(), [""; 0]);
    scene.put("two/a", "1");
    assert_eq!(
        scene.counts(),
        "deleted=2 ingestdeleted=2 ingestupdated=1 seen=3 unchanged=2 updated=1"
    );
    assert_eq!(scene.given(), ["adds: two/a", "removes: one/a two/b"]);
}

#[test]
fn directories_within_one_another_are_not_held_for_empty() {
    let mut scene = Scene::new();
    for name in ["sub/a", "sub/b"] {
        scene.put(name, "1");
    }
    let task = &mut scene.options.tasks[0];
    task.directories.push(task.directories[0].join("sub"));
    task.recursive = false;
    assert_eq!(scene.counts(), "added=2 ingestadded=2 seen=2");
    // The upper one yields nothing, as ever; what went was the lower one's.
    fs::remove_file(scene.path("sub/a")).unwrap();
    assert_eq!(scene.counts(), "deleted=1 ingestdeleted=1 seen=1 unchanged=1");
    fs::remove_file(scene.path("sub/b")).unwrap();
    assert!(scene.refused().contains("/in/sub: "));
    // Seen as a part of the upper one it is empty by itself, too.
    scene.options.tasks[0].recursive = true;
    scene.put("top", "1");
    assert!(scene.refused().contains("/in/sub: "));
    scene.options.tasks[0].directories.pop();
    assert_eq!(scene.counts(), "deleted=1 ingestdeleted=1 seen=1 unchanged=1");
}

#[test]
fn where_a_device_has_changed_most_files_must_still_be_there() {
    let mut scene = Scene::new();
    for i in 0..9 {
        scene.put(&i.to_string(), "1");
    }
    scene.counts();
    assert_eq!(scene.remembered(), [""]);
    // Of 9 files 4 may go, not 5; a new one does not count.
    for i in 0..4 {
        fs::remove_file(scene.path(&i.to_string())).unwrap();
    }
    scene.put("new", "1");
    scene.was_on_another_device(&scene.path(""));
    fs::rename(scene.path("4"), scene.directory.path().join("4")).unwrap();
    for _ in 0..2 {
        let why = scene.refused();
        for part in
            ["another file system", " 5 of the 9 known files ", "AllowEmptyRoot=true in [Dir1]"]
        {
            assert!(why.contains(part), "{part}: {why}");
        }
        assert_eq!(scene.remembered(), ["!"], "it stays suspect until it is judged to be well");
    }
    fs::rename(scene.directory.path().join("4"), scene.path("4")).unwrap();
    assert_eq!(scene.counts(), "deleted=4 ingestdeleted=4 seen=6 unchanged=6");
    assert_eq!(scene.remembered(), [""]);
    // On the device that it is on, any may go.
    for name in ["4", "5", "6", "7", "8"] {
        fs::remove_file(scene.path(name)).unwrap();
    }
    assert_eq!(scene.counts(), "deleted=5 ingestdeleted=5 seen=1 unchanged=1");
}

/// The number of a device that was unmounted is given to the next one.
#[cfg(unix)]
#[test]
fn another_file_system_with_the_number_of_the_one_before_is_noticed() {
    let mut scene = Scene::new();
    for i in 0..40 {
        scene.put(&i.to_string(), "1");
    }
    scene.counts();
    let away = scene.directory.path().join("away");
    fs::rename(scene.path(""), &away).unwrap();
    fs::create_dir(scene.path("")).unwrap();
    let set = "UPDATE places SET more = json_set(more, '$.top', json_extract(more, '$.top') + 1)";
    assert_eq!(scene.datastore().execute(set, []).unwrap(), 1);
    scene.put("new", "1");
    for i in 0..9 {
        scene.put(&i.to_string(), "1");
    }
    for gone in ["31 of the 40", "31 of the 40"] {
        let why = scene.refused();
        assert!(why.contains(gone) && why.contains("another file system"), "{why}");
    }
    // It is back, as far as can be seen, but without most of its files.
    let set = set.replace("+ 1", "- 1");
    assert_eq!(scene.datastore().execute(&set, []).unwrap(), 1);
    assert!(scene.refused().contains("31 of the 40"));
    // With them, all is well, and from then on any may go.
    for i in 9..25 {
        fs::rename(away.join(i.to_string()), scene.path(&i.to_string())).unwrap();
    }
    assert!(scene.counts().starts_with("deleted=15 ingestdeleted=15 "));
    for i in 0..20 {
        fs::remove_file(scene.path(&i.to_string())).unwrap();
    }
    assert_eq!(scene.counts(), "deleted=20 ingestdeleted=20 seen=6 unchanged=6");
}

#[test]
fn the_opt_in_holds_for_a_changed_device_too() {
    let mut scene = Scene::new();
    for name in ["a", "b", "c"] {
        scene.put(name, "1");
    }
    scene.counts();
    scene.was_on_another_device(&scene.path(""));
    fs::remove_file(scene.path("a")).unwrap();
    fs::remove_file(scene.path("b")).unwrap();
    scene.refused();
    scene.options.tasks[0].allow_empty_root = true;
    assert_eq!(scene.counts(), "deleted=2 ingestdeleted=2 seen=1 unchanged=1");
    assert_eq!(scene.remembered(), [""]);
}

#[test]
fn a_mount_point_below_that_is_gone_keeps_its_files() {
    let mut scene = Scene::new();
    for name in ["a", "share/1", "share/2", "share/3", "share2/4"] {
        scene.put(name, "1");
    }
    scene.counts();
    scene.was_on_another_device(&scene.path("share"));
    // Only a bare mount point is left, or not even that, or a link.
    let (share, away) = (scene.path("share"), scene.directory.path().join("away"));
    fs::rename(&share, &away).unwrap();
    fs::create_dir(&share).unwrap();
    let why = scene.refused();
    assert!(why.contains("/in/share: ") && why.contains("3 of the 3 known files"), "{why}");
    fs::remove_dir(&share).unwrap();
    scene.refused();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&away, &share).unwrap();
        scene.refused();
        fs::remove_file(&share).unwrap();
    }
    assert_eq!(scene.remembered(), ["", "share/!"]);
    fs::rename(&away, &share).unwrap();
    fs::remove_file(scene.path("share/2")).unwrap();
    assert_eq!(scene.counts(), "deleted=1 ingestdeleted=1 seen=4 unchanged=4");
    // It is no mount point any more, so it is forgotten.
    assert_eq!(scene.remembered(), [""]);
    scene.empty("share");
    assert_eq!(scene.counts(), "deleted=2 ingestdeleted=2 seen=2 unchanged=2");
}

#[cfg(unix)]
#[test]
fn a_mount_point_that_goes_during_the_run_keeps_its_files() {
    use std::os::unix::fs::MetadataExt as _;
    let mut scene = Scene::new();
    for name in ["a", "b", "share/1", "share/2"] {
        scene.put(name, "1");
    }
    scene.counts();
    let (share, away) = (scene.path("share"), scene.directory.path().join("away"));
    let place = share.as_os_str().as_encoded_bytes();
    let device = fs::metadata(&share).unwrap().dev().cast_signed();
    let insert = "INSERT INTO places (path, device) VALUES (?1, ?2)";
    scene.datastore().execute(insert, rusqlite::params![place, device]).unwrap();
    // With the one file that has changed, and so is looked at, it goes.
    scene.put("a", "22");
    let (ended, report) = scene.synchronize_with(&|_| fs::rename(&share, &away));
    let Err(TaskError::Failed(why)) = ended else { panic!("{ended:?}: {report:?}") };
    assert!(why.contains("/in/share: another file system"), "{why}");
    assert!(scene.sink.given.iter().all(|(what, _)| *what == "adds"), "{:?}", scene.sink.given);
    fs::rename(&away, &share).unwrap();
    assert_eq!(scene.counts(), "seen=4 unchanged=4");
}

#[test]
fn places_that_the_settings_no_longer_take_do_not_count() {
    let mut scene = Scene::new();
    for name in ["one/a", "two/b"] {
        scene.put(name, "1");
    }
    scene.options.tasks[0].directories = vec![scene.path("one"), scene.path("two")];
    scene.counts();
    scene.was_on_another_device(&scene.path("two"));
    scene.options.tasks[0].directories.pop();
    assert_eq!(scene.counts(), "deleted=1 ingestdeleted=1 seen=1 unchanged=1");
    assert_eq!(scene.remembered(), ["one/"]);
}

#[test]
fn a_run_that_is_cut_off_remembers_where_it_was() {
    let mut scene = Scene::new();
    for i in 0..300 {
        scene.put(&i.to_string(), "1");
    }
    scene.options.batch_size = 1;
    scene.witness.stop_at = Some(200);
    assert_eq!(scene.run(), Err(Failure::Stopped));
    assert_eq!(scene.remembered(), [""]);
}

#[test]
fn the_reason_stands_on_the_task() {
    let mut scene = Scene::new();
    scene.put("a", "1");
    let other = scene.directory.path().join("other");
    fs::create_dir(&other).unwrap();
    assert_eq!(scene.counts(), "added=1 ingestadded=1 seen=1");
    scene.empty("");
    let second = FetchTask {
        name: "Dir2".to_owned(),
        directories: vec![other],
        ..scene.options.tasks[0].clone()
    };
    scene.options.tasks.push(second);
    let report = scene.run().unwrap();
    let [failed, success] = report[2].nodes() else { panic!("{report:?}") };
    assert_eq!(*success, Node::text("success", "DIR2"));
    assert!(failed.attributes[0].1.contains("AllowEmptyRoot"), "{failed:?}");
}
