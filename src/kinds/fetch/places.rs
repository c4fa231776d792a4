//! The directories of a task and the mount points below them: whether what was not seen in a run has
//! gone, or only is not mounted. What is not mounted must not be taken for deleted.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::datastore::{Datastore, MAX_PLACES, Remembered};
use super::file_system::FileSystem;
use super::walk::device;

/// The state of a path now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Now {
    /// A directory on this file system.
    On(FileSystem),
    /// No directory.
    Gone,
    /// It can't be seen; nothing follows from that.
    Unknown,
}

/// A directory of the task.
#[derive(Debug)]
struct Root {
    path: PathBuf,
    /// Number of its files that were found in this run.
    found: u64,
    /// Number of known files that were not, of those that lie in no other root further down.
    missed: u64,
}

/// A remembered place that was on another file system, or no directory, when this run or an earlier one began.
#[derive(Debug)]
struct Changed {
    path: PathBuf,
    /// The file system that it was on when all was well.
    was: FileSystem,
    /// Number of files below it that were known when that was first found.
    known: u64,
    /// Number of those that were not found in this run.
    missed: u64,
}

/// The directories and mount points of a task, as far as a run knows them.
#[derive(Debug, Default)]
pub(super) struct Places {
    roots: Vec<Root>,
    changed: Vec<Changed>,
    /// Remembered ones that were as they had been when the run began, or that could not be seen.
    unchanged: BTreeMap<PathBuf, Remembered>,
    /// Those that this run came upon, and what each is on.
    met: BTreeMap<PathBuf, FileSystem>,
}

impl Places {
    /// Makes it of the directories of a task.
    pub(super) fn new(roots: &[PathBuf]) -> Self {
        let root = |path: &PathBuf| Root { path: path.clone(), found: 0, missed: 0 };
        Self { roots: roots.iter().map(root).collect(), ..Self::default() }
    }

    /// Looks at the places that are remembered.
    ///
    /// # Errors
    ///
    /// The datastore can't be read or written.
    pub(super) fn begin(&mut self, store: &mut Datastore) -> Result<(), String> {
        for (path, remembered) in store.places()? {
            if !path.ancestors().any(|p| self.is_root(p)) {
                // The settings no longer take it.
                continue;
            }
            let Remembered { on: was, known } = remembered;
            // One that became suspect stays so until most of its files have been seen again: what
            // looks like the same file system may still be another one.
            let is_well = match now(&path, self.is_root(&path)) {
                Now::On(is) => is.can_be(&was) && known.is_none(),
                Now::Gone => false,
                Now::Unknown => true,
            };
            if is_well {
                self.unchanged.insert(path, remembered);
                continue;
            }
            let known = match known {
                Some(known) => known,
                None => {
                    let known = store.count_below(&path)?;
                    store.suspect(&path, Some(known))?;
                    known
                }
            };
            self.changed.push(Changed { path, was, known, missed: 0 });
        }
        Ok(())
    }

    fn is_root(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| root.path == path)
    }

    /// Notes a place that this run came upon on this device. Returns what it is on, unless there is no
    /// room for it.
    pub(super) fn meet(&mut self, path: &Path, device: u64) -> Option<FileSystem> {
        if self.met.len() >= MAX_PLACES {
            return None;
        }
        let on = FileSystem::of(path, device);
        self.met.insert(path.to_owned(), on);
        Some(on)
    }

    /// Notes a file that was found in a root.
    pub(super) fn found(&mut self, root: &Path) {
        if let Some(root) = self.roots.iter_mut().find(|r| r.path == root) {
            root.found += 1;
        }
    }

    /// Finds out whether something was mounted or unmounted during the run: then nothing can be said of
    /// what was not seen.
    ///
    /// # Errors
    ///
    /// It was; the text says where.
    pub(super) fn are_as_they_were(&self) -> Result<(), String> {
        let unchanged = self.unchanged.iter().map(|(path, remembered)| (path, &remembered.on));
        for (path, was) in unchanged.chain(&self.met) {
            match now(path, self.is_root(path)) {
                Now::On(now) if now.can_be(was) => {}
                Now::Unknown => {}
                Now::On(_) | Now::Gone => {
                    return Err(format!(
                        "directory {}: another file system is there than when the run began, so nothing is removed",
                        path.display()
                    ));
                }
            }
        }
        Ok(())
    }

    /// Makes what notes each known file that was not found.
    pub(super) fn misses(&mut self) -> Misses<'_> {
        let roots = self.roots.iter_mut().map(|root| (root.path.as_path(), &mut root.missed));
        let changed =
            self.changed.iter_mut().map(|place| (place.path.as_path(), &mut place.missed));
        Misses { roots: roots.collect(), changed: changed.collect() }
    }

    /// Judges whether what was not found may count as gone.
    ///
    /// # Errors
    ///
    /// It may not; the text says why, and what to do if it is gone all the same.
    pub(super) fn judge(&self, task: &str) -> Result<(), String> {
        let advice = format!(
            "so nothing is removed: is it mounted? If they are gone for good, set AllowEmptyRoot=true in [{task}]"
        );
        if let Some(root) = self.roots.iter().find(|root| root.found == 0 && root.missed > 0) {
            return Err(format!(
                "directory {}: it holds no file that the task takes, but {} known ones were there, {advice}",
                root.path.display(),
                root.missed
            ));
        }
        // More than half of them.
        if let Some(place) =
            self.changed.iter().find(|p| p.missed > p.known.saturating_sub(p.missed))
        {
            return Err(format!(
                "directory {}: it has been gone or on another file system since the last good run, and {} of the {} known files in it are gone, {advice}",
                place.path.display(),
                place.missed,
                // Some may have become known since.
                place.known.max(place.missed)
            ));
        }
        Ok(())
    }

    /// Returns the places to remember: those of this run, and as they were those that could not be looked
    /// at in it.
    pub(super) fn into_remembered(
        self,
        is_unreadable: impl Fn(&Path) -> bool,
    ) -> BTreeMap<PathBuf, Remembered> {
        let met = self.met.into_iter().map(|(path, on)| (path, Remembered { on, known: None }));
        let changed = self.changed.into_iter().map(|Changed { path, was, known, .. }| {
            (path, Remembered { on: was, known: Some(known) })
        });
        let before = self.unchanged.into_iter().chain(changed);
        met.chain(before.filter(|(path, _)| is_unreadable(path))).collect()
    }
}

/// Counts known files that were not found, each for the places above it.
#[derive(Debug)]
pub(super) struct Misses<'a> {
    roots: HashMap<&'a Path, &'a mut u64>,
    changed: HashMap<&'a Path, &'a mut u64>,
}

impl Misses<'_> {
    pub(super) fn note(&mut self, file: &Path) {
        if let Some(missed) = file
            .ancestors()
            .find(|p| self.roots.contains_key(p))
            .and_then(|p| self.roots.get_mut(p))
        {
            **missed += 1;
        }
        if self.changed.is_empty() {
            return;
        }
        for ancestor in file.ancestors() {
            if let Some(missed) = self.changed.get_mut(ancestor) {
                **missed += 1;
            }
        }
    }
}

/// Looks at a place. Only a root may be a link.
fn now(path: &Path, is_root: bool) -> Now {
    let gone = |kind| match kind {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Now::Gone,
        _ => Now::Unknown,
    };
    if !is_root {
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Now::Gone,
            Err(error) => return gone(error.kind()),
        }
    }
    // With the dot what is mounted only when it is needed is mounted now.
    match fs::metadata(path.join(".")) {
        Ok(metadata) => {
            device(&metadata).map_or(Now::Unknown, |device| Now::On(FileSystem::of(path, device)))
        }
        Err(error) => gone(error.kind()),
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::super::file_system::More;
    use super::*;

    /// A file system of which only the device is known.
    fn on(device: u64) -> FileSystem {
        FileSystem { device, more: None }
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

        fn begin(&mut self) -> Places {
            let mut places = Places::new(&[self.at("")]);
            places.begin(&mut self.store).unwrap();
            places
        }
    }

    #[test]
    fn what_changes_during_a_run_is_seen() {
        let mut scene = Scene::new(&["share", "remembered"]);
        let (share, remembered) = (scene.at("share"), scene.at("remembered"));
        scene.store.meet(&remembered, on(scene.device)).unwrap();
        let mut places = scene.begin();
        assert_eq!(places.are_as_they_were(), Ok(()));
        places.meet(&share, scene.device);
        assert_eq!(places.are_as_they_were(), Ok(()));
        // It was met on another device than the one that is there now.
        places.meet(&share, scene.device ^ 1);
        let why = places.are_as_they_were().unwrap_err();
        assert!(why.contains("root/share: another file system"), "{why}");

        let mut places = scene.begin();
        places.meet(&share, scene.device);
        fs::remove_dir(&share).unwrap();
        assert!(places.are_as_they_were().unwrap_err().contains("root/share: "));

        let places = scene.begin();
        fs::remove_dir(&remembered).unwrap();
        assert!(places.are_as_they_were().unwrap_err().contains("root/remembered: "));
        // Gone before the run began, it is for the judge.
        assert_eq!(scene.begin().are_as_they_were(), Ok(()));
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
            let changed = vec![Changed { path: "/a".into(), was, known, missed }];
            let (unchanged, met) = (BTreeMap::new(), BTreeMap::new());
            let places = Places { roots: Vec::new(), changed, unchanged, met };
            assert_eq!(places.judge("T").is_ok(), is_well, "{missed} of {known}");
        }
        // One more became known after the others had been counted, and all are gone.
        let changed = vec![Changed { path: "/a".into(), was: on(1), known: 40, missed: 41 }];
        let (unchanged, met) = (BTreeMap::new(), BTreeMap::new());
        let places = Places { roots: Vec::new(), changed, unchanged, met };
        let why = places.judge("T").unwrap_err();
        assert!(why.contains("41 of the 41 known files"), "{why}");
    }

    #[test]
    fn a_suspicion_stays_until_a_run_was_good() {
        let mut scene = Scene::new(&["share"]);
        let share = scene.at("share");
        scene.store.meet(&share, on(scene.device)).unwrap();
        assert!(scene.begin().changed.is_empty());
        scene.store.suspect(&share, Some(3)).unwrap();
        // On the device that it was on before, which may have been given to another file system.
        for _ in 0..2 {
            let places = scene.begin();
            assert_eq!((places.changed[0].known, places.unchanged.len()), (3, 0));
        }
        let mut places = scene.begin();
        places.meet(&share, scene.device).unwrap();
        scene.store.remember(&places.into_remembered(|_| false)).unwrap();
        assert!(scene.begin().changed.is_empty());
    }

    #[test]
    fn a_device_that_was_given_to_another_file_system_is_noticed() {
        let mut scene = Scene::new(&["share"]);
        let share = scene.at("share");
        let is = FileSystem::of(&share, scene.device);
        let more = is.more.unwrap();
        let was = FileSystem { more: Some(More { id: more.id ^ 1, ..more }), ..is };
        scene.store.meet(&share, was).unwrap();
        assert_eq!(scene.begin().changed[0].known, 0);
        // As it stays.
        assert_eq!(scene.store.places().unwrap()[&share], Remembered { on: was, known: Some(0) });
        let mut places = scene.begin();
        assert_eq!(places.meet(&share, scene.device), Some(is));
        assert_eq!(places.are_as_they_were(), Ok(()));
        places.met.insert(share, was);
        assert!(places.are_as_they_were().is_err());
    }

    #[test]
    fn what_was_met_is_remembered_and_so_is_what_could_not_be_looked_at() {
        let mut scene = Scene::new(&["a", "b", "c", "d"]);
        for name in ["a", "b", "d"] {
            scene.store.meet(&scene.at(name), on(scene.device)).unwrap();
        }
        scene.store.suspect(&scene.at("d"), Some(3)).unwrap();
        let mut places = scene.begin();
        let (a, c, d) = (scene.at("a"), scene.at("c"), scene.at("d"));
        places.meet(&c, 7).unwrap();
        // That it was met says nothing of what is in it.
        places.meet(&d, 7).unwrap();
        let remembered = |device, known| Remembered { on: on(device), known };
        let expected = BTreeMap::from([
            (a.clone(), remembered(scene.device, None)),
            (c, remembered(7, None)),
            (d.clone(), remembered(scene.device, Some(3))),
        ]);
        assert_eq!(places.into_remembered(|path| path == a || path == d), expected);
    }

    #[test]
    fn no_more_places_are_kept_than_there_is_room_for() {
        let mut scene = Scene::new(&[]);
        let mut places = scene.begin();
        for i in 0..MAX_PLACES {
            assert!(places.meet(Path::new(&format!("/{i}")), 1).is_some());
        }
        assert_eq!(places.meet(Path::new("/more"), 1), None);
        assert_eq!(places.met.len(), MAX_PLACES);
    }

    #[test]
    fn a_link_is_a_place_only_as_a_root() {
        let scene = Scene::new(&["share"]);
        let link = scene.at("link");
        std::os::unix::fs::symlink(scene.at("share"), &link).unwrap();
        fs::write(scene.at("file"), "").unwrap();
        assert_eq!(now(&link, true), Now::On(FileSystem::of(&scene.at("share"), scene.device)));
        for (path, is_root) in [
            (link, false),
            (scene.at("file"), true),
            (scene.at("none"), true),
            (scene.at("none"), false),
        ] {
            assert_eq!(now(&path, is_root), Now::Gone, "{path:?}");
        }
    }
}
