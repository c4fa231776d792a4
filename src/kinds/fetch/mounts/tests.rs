//! What may count as gone, and what may only not be mounted.

use super::super::file_system::Details;
use super::*;

/// A file system of which only the device is known.
fn on(device: u64) -> FileSystem {
    FileSystem { device, details: None }
}

struct Scene {
    directory: tempfile::TempDir,
    store: Datastore,
    /// Of all there is in the directory.
    device: u64,
}

impl Scene {
    /// Makes a root with these directories in it.
    fn new(directories: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in directories {
            fs::create_dir_all(directory.path().join("root").join(name)).unwrap();
        }
        let store = Datastore::open(&directory.path().join("s.db")).unwrap();
        let device = device(&fs::metadata(directory.path()).unwrap()).unwrap();
        Self { directory, store, device }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join("root").join(name).components().collect()
    }

    fn begin(&mut self) -> Mounts {
        let mut mounts = Mounts::new(&[self.at("")]);
        mounts.begin(&mut self.store).unwrap();
        mounts
    }
}

#[test]
fn what_changes_during_a_run_is_seen() {
    let mut scene = Scene::new(&["share", "remembered"]);
    let (share, remembered) = (scene.at("share"), scene.at("remembered"));
    scene.store.note_mount(&remembered, on(scene.device)).unwrap();
    let mut mounts = scene.begin();
    assert_eq!(mounts.check_unchanged(), Ok(()));
    mounts.note(&share, scene.device);
    assert_eq!(mounts.check_unchanged(), Ok(()));
    // It was met on another device than the one that is there now.
    mounts.note(&share, scene.device ^ 1);
    let why = mounts.check_unchanged().unwrap_err();
    assert!(why.contains("root/share: another file system"), "{why}");

    let mut mounts = scene.begin();
    mounts.note(&share, scene.device);
    fs::remove_dir(&share).unwrap();
    assert!(mounts.check_unchanged().unwrap_err().contains("root/share: "));

    let mounts = scene.begin();
    fs::remove_dir(&remembered).unwrap();
    assert!(mounts.check_unchanged().unwrap_err().contains("root/remembered: "));
    // Gone before the run began, it is for the judge.
    assert_eq!(scene.begin().check_unchanged(), Ok(()));
}

#[test]
fn half_of_the_files_may_go_where_the_device_changed_and_no_more() {
    for (known, missed, is_well) in [
        (0, 0, true),
        (1, 0, true),
        (1, 1, false),
        (2, 1, true),
        (4, 2, true),
        (4, 3, false),
        (9, 5, false),
    ] {
        let was = on(1);
        let changed = vec![ChangedMount { path: "/a".into(), was, known, missed }];
        let (unchanged, seen) = (BTreeMap::new(), BTreeMap::new());
        let mounts = Mounts { roots: Vec::new(), changed, unchanged, seen };
        assert_eq!(mounts.judge("T").is_ok(), is_well, "{missed} of {known}");
    }
    // One more became known after the others had been counted, and all are gone.
    let changed = vec![ChangedMount { path: "/a".into(), was: on(1), known: 40, missed: 41 }];
    let (unchanged, seen) = (BTreeMap::new(), BTreeMap::new());
    let mounts = Mounts { roots: Vec::new(), changed, unchanged, seen };
    let why = mounts.judge("T").unwrap_err();
    assert!(why.contains("41 of the 41 known files"), "{why}");
}

#[test]
fn a_suspicion_stays_until_a_run_was_good() {
    let mut scene = Scene::new(&["share"]);
    let share = scene.at("share");
    scene.store.note_mount(&share, on(scene.device)).unwrap();
    assert!(scene.begin().changed.is_empty());
    scene.store.set_suspect(&share, Some(3)).unwrap();
    // On the device that it was on before, which may have been given to another file system.
    for _ in 0..2 {
        let mounts = scene.begin();
        assert_eq!((mounts.changed[0].known, mounts.unchanged.len()), (3, 0));
    }
    let mut mounts = scene.begin();
    mounts.note(&share, scene.device).unwrap();
    scene.store.replace_mounts(&mounts.into_remembered(|_| false)).unwrap();
    assert!(scene.begin().changed.is_empty());
}

#[test]
fn a_device_that_was_given_to_another_file_system_is_noticed() {
    let mut scene = Scene::new(&["share"]);
    let share = scene.at("share");
    let is = FileSystem::of(&share, scene.device);
    let details = is.details.unwrap();
    let was = FileSystem { details: Some(Details { id: details.id ^ 1, ..details }), ..is };
    scene.store.note_mount(&share, was).unwrap();
    assert_eq!(scene.begin().changed[0].known, 0);
    // As it stays.
    assert_eq!(scene.store.mounts().unwrap()[&share], RememberedMount { on: was, known: Some(0) });
    let mut mounts = scene.begin();
    assert_eq!(mounts.note(&share, scene.device), Some(is));
    assert_eq!(mounts.check_unchanged(), Ok(()));
    mounts.seen.insert(share, was);
    assert!(mounts.check_unchanged().is_err());
}

#[test]
fn what_was_met_is_remembered_and_so_is_what_could_not_be_looked_at() {
    let mut scene = Scene::new(&["a", "b", "c", "d"]);
    for name in ["a", "b", "d"] {
        scene.store.note_mount(&scene.at(name), on(scene.device)).unwrap();
    }
    scene.store.set_suspect(&scene.at("d"), Some(3)).unwrap();
    let mut mounts = scene.begin();
    let (a, c, d) = (scene.at("a"), scene.at("c"), scene.at("d"));
    mounts.note(&c, 7).unwrap();
    // That it was met says nothing of what is in it.
    mounts.note(&d, 7).unwrap();
    let remembered = |device, known| RememberedMount { on: on(device), known };
    let expected = BTreeMap::from([
        (a.clone(), remembered(scene.device, None)),
        (c, remembered(7, None)),
        (d.clone(), remembered(scene.device, Some(3))),
    ]);
    assert_eq!(mounts.into_remembered(|path| path == a || path == d), expected);
}

#[test]
fn no_more_places_are_kept_than_there_is_room_for() {
    let mut scene = Scene::new(&[]);
    let mut mounts = scene.begin();
    for i in 0..MAX_MOUNTS {
        assert!(mounts.note(Path::new(&format!("/{i}")), 1).is_some());
    }
    assert_eq!(mounts.note(Path::new("/more"), 1), None);
    assert_eq!(mounts.seen.len(), MAX_MOUNTS);
}

#[test]
fn a_link_is_a_place_only_as_a_root() {
    let scene = Scene::new(&["share"]);
    let link = scene.at("link");
    std::os::unix::fs::symlink(scene.at("share"), &link).unwrap();
    fs::write(scene.at("file"), "").unwrap();
    assert_eq!(
        presence(&link, true),
        Presence::On(FileSystem::of(&scene.at("share"), scene.device))
    );
    for (path, is_root) in [
        (link, false),
        (scene.at("file"), true),
        (scene.at("none"), true),
        (scene.at("none"), false),
    ] {
        assert_eq!(presence(&path, is_root), Presence::Gone, "{path:?}");
    }
}
