//! Whole Fetch actions, run without a runtime.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io;

use actiond_actors::Node;

use super::deliver::{Handover, NotDelivered};
use super::*;
use crate::documents::document::Documents;
use crate::documents::{csv, reference};
use crate::kinds::testing::RecordingContext;

mod changes;
mod failed;
mod gone;
mod own_data;
mod scripted;

/// Stands in for Ingest: notes what it is given, or says no.
#[derive(Debug, Default)]
struct Sink {
    given: Vec<(&'static str, Vec<String>)>,
    answer: Option<NotDelivered>,
    asked: usize,
}

impl Deliver for Sink {
    fn deliver(&mut self, handover: Handover) -> Result<(), NotDelivered> {
        let Handover { parameter, value, .. } = handover;
        self.asked += 1;
        if let Some(answer) = &self.answer {
            return Err(answer.clone());
        }
        let mut references: Vec<String> = match parameter {
            "adds" => Documents::new(&value).unwrap().map(|d| d.unwrap().reference).collect(),
            _ => csv::read(&value).unwrap(),
        };
        references.sort();
        self.given.push((parameter, references));
        Ok(())
    }
}

struct Scene {
    directory: tempfile::TempDir,
    options: FetchOptions,
    sink: Sink,
    witness: RecordingContext,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("in")).unwrap();
        let task = FetchTask {
            name: "Dir1".to_owned(),
            directories: vec![directory.path().join("in")],
            recursive: true,
            file_match: Vec::new(),
            no_crawl: None,
            allow_empty_root: false,
        };
        let options = FetchOptions {
            tasks: vec![task],
            ingest: IngestTarget::Queue("Ingest".to_owned()),
            batch_size: 100,
            data_directory: directory.path().join("data"),
            own_directories: Vec::new(),
        };
        Self { directory, options, sink: Sink::default(), witness: RecordingContext::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("in").join(name)
    }

    fn put(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn run(&mut self) -> Result<Report, Failure> {
        self.sink.given.clear();
        let fetch = Fetch::new(self.options.clone());
        let given = Parameters::from_iter([("FetchAction", "synchronize")]);
        let chosen = fetch.0.choose(&given)?;
        run(&self.options, &chosen, None, &mut self.sink, &self.witness, |_| Ok(()))
    }

    /// Runs, and every task must fail; returns the error of the action, and what is kept beside it.
    fn failed(&mut self) -> (String, Report) {
        let ended = self.run();
        let Err(Failure::Failed(why)) = ended else { panic!("{ended:?}") };
        (why, self.witness.partial.borrow().last().cloned().unwrap())
    }

    /// Runs the first task; `probe` tells which files can be read.
    fn synchronize_with(
        &mut self,
        probe: &dyn Fn(&Path) -> io::Result<()>,
    ) -> (Result<(), TaskError>, Report) {
        self.sink.given.clear();
        let mut board = Board::new(&self.witness, ["Dir1"], None);
        let means = SyncOptions {
            data_directory: &self.options.data_directory,
            batch_size: 100,
            deliver: &mut self.sink,
        };
        let (data, own) = (&self.options.data_directory, &self.options.own_directories);
        let probe = |root: &Root, below: &Path| {
            probe(&root.path().join(below))?;
            // One that is no file, or went meanwhile, is not what this is about.
            Ok(root.open(below, &[]).map_or((0, 0, 0, 0, 0).into(), |(_, stamp)| stamp))
        };
        let ended = Directories::open(&self.options.tasks[0], data, own, &probe)
            .map_err(TaskError::Failed)
            .and_then(|mut source| synchronize("Dir1", &mut source, means, &mut board));
        (ended, board.report())
    }

    /// Runs and returns the counts of the first task that are not zero.
    fn counts(&mut self) -> String {
        counts(&self.run().unwrap())
    }

    /// Returns what Ingest was given, with names relative to the directory.
    fn given(&self) -> Vec<String> {
        let root = self.path("").to_string_lossy().into_owned();
        let line = |(parameter, references): &(&str, Vec<String>)| {
            format!("{parameter}: {}", references.join(" ").replace(&root, ""))
        };
        self.sink.given.iter().map(line).collect()
    }
}

fn counts(report: &Report) -> String {
    let counts = report[0].nodes()[0].attributes.iter();
    let shown = counts.filter(|(name, value)| name != "task" && value != "0");
    shown.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_result_has_the_shape_of_the_sample() {
    let mut scene = Scene::new();
    scene.put("a", "1");
    let missing = FetchTask {
        name: "dir2".to_owned(),
        directories: vec!["/no/such".into()],
        ..scene.options.tasks[0].clone()
    };
    scene.options.tasks.push(missing);
    let report = scene.run().unwrap();
    let names: Vec<_> = report.iter().map(|node| &*node.name).collect();
    assert_eq!(names, ["documentcounts", "fetchaction", "tasks"]);
    let attributes: Vec<_> =
        report[0].nodes()[0].attributes.iter().map(|(n, v)| (&**n, v.as_str())).collect();
    assert_eq!(
        attributes,
        [
            ("added", "1"),
            ("collected", "0"),
            ("deleted", "0"),
            ("errors", "0"),
            ("holds", "0"),
            ("ingestadded", "1"),
            ("ingestdeleted", "0"),
            ("ingestfailed", "0"),
            ("ingestupdated", "0"),
            ("inserted", "0"),
            ("releasedholds", "0"),
            ("seen", "1"),
            ("task", "DIR1"),
            ("unchanged", "0"),
            ("updated", "0"),
        ]
    );
    assert_eq!(report[1], Node::text("fetchaction", "SYNCHRONIZE"));
    let [success, failed] = report[2].nodes() else { panic!("{report:?}") };
    assert_eq!(*success, Node::text("success", "DIR1"));
    assert_eq!((&*failed.name, &failed.content), ("failed", &Node::text("", "DIR2").content));
    assert!(
        matches!(failed.attributes.as_slice(), [(name, why)] if name == "message" && why.contains("/no/such"))
    );
}

#[test]
fn new_changed_unchanged_and_vanished_files_are_told_apart() {
    let mut scene = Scene::new();
    for name in ["a", "b", "sub/c", "x,y \"z\""] {
        scene.put(name, "1");
    }
    assert_eq!(scene.counts(), "added=4 ingestadded=4 seen=4");
    assert_eq!(scene.given(), ["adds: a b sub/c x,y \"z\""]);
    assert_eq!(scene.counts(), "seen=4 unchanged=4");
    assert_eq!(scene.given(), [""; 0]);

    scene.put("a", "changed");
    scene.put("new", "1");
    fs::remove_dir_all(scene.path("sub")).unwrap();
    fs::remove_file(scene.path("x,y \"z\"")).unwrap();
    assert_eq!(
        scene.counts(),
        "added=1 deleted=2 ingestadded=1 ingestdeleted=2 ingestupdated=1 seen=3 unchanged=1 updated=1"
    );
    assert_eq!(scene.given(), ["adds: a new", "removes: sub/c x,y \"z\""]);
    assert_eq!(scene.counts(), "seen=3 unchanged=3");
}

#[test]
fn batches_are_no_larger_than_asked() {
    let mut scene = Scene::new();
    scene.options.batch_size = 2;
    scene.options.tasks[0].allow_empty_root = true;
    for i in 0..5 {
        scene.put(&i.to_string(), "");
    }
    scene.counts();
    let sizes: Vec<_> = scene.sink.given.iter().map(|(_, references)| references.len()).collect();
    assert_eq!(sizes, [2, 2, 1]);
    fs::remove_dir_all(scene.path("")).unwrap();
    fs::create_dir(scene.path("")).unwrap();
    assert_eq!(scene.counts(), "deleted=5 ingestdeleted=5");
    assert_eq!(scene.given(), ["removes: 0 1", "removes: 2 3", "removes: 4"]);
}

#[test]
fn long_paths_make_smaller_batches() {
    let mut scene = Scene::new();
    scene.options.batch_size = 10_000;
    scene.options.tasks[0].allow_empty_root = true;
    let long = format!("{0}/{0}/{0}", "n".repeat(200));
    for i in 0..400 {
        scene.put(&format!("{long}/{i}"), "");
    }
    assert_eq!(scene.counts(), "added=400 ingestadded=400 seen=400");
    assert_eq!(scene.sink.given.len(), 2);
    fs::remove_dir_all(scene.path("n".repeat(200).as_str())).unwrap();
    assert_eq!(scene.counts(), "deleted=400 ingestdeleted=400");
    assert_eq!(scene.sink.given.len(), 2);
}

#[test]
fn large_files_make_smaller_batches() {
    let mut scene = Scene::new();
    for name in ["a", "b", "c", "d", "e"] {
        scene.put(name, "");
        // It has a size, but takes no room on the disk.
        let file = fs::File::options().write(true).open(scene.path(name)).unwrap();
        file.set_len(60_000_000).unwrap();
    }
    assert_eq!(scene.counts(), "added=5 ingestadded=5 seen=5");
    let sizes: Vec<_> = scene.sink.given.iter().map(|(_, names)| names.len()).collect();
    assert_eq!(sizes, [2, 2, 1]);
}

#[test]
fn what_ingest_refuses_comes_again_in_the_next_run() {
    let mut scene = Scene::new();
    for name in ["a", "b", "c"] {
        scene.put(name, "1");
    }
    scene.sink.answer = Some(NotDelivered::Refused("no".to_owned()));
    assert_eq!(scene.counts(), "added=3 ingestfailed=3 seen=3");
    scene.sink.answer = None;
    assert_eq!(scene.counts(), "added=3 ingestadded=3 seen=3");

    scene.put("a", "changed");
    fs::remove_file(scene.path("b")).unwrap();
    scene.sink.answer = Some(NotDelivered::Refused("no".to_owned()));
    let refused = "deleted=1 ingestfailed=2 seen=2 unchanged=1 updated=1";
    assert_eq!(scene.counts(), refused);
    assert_eq!(scene.counts(), refused);
    scene.sink.answer = None;
    assert_eq!(
        scene.counts(),
        "deleted=1 ingestdeleted=1 ingestupdated=1 seen=2 unchanged=1 updated=1"
    );
}

#[test]
fn a_target_that_cannot_be_reached_is_not_asked_for_ever() {
    let mut scene = Scene::new();
    scene.options.batch_size = 1;
    for i in 0..10 {
        scene.put(&i.to_string(), "");
    }
    scene.sink.answer = Some(NotDelivered::Unreachable("down".to_owned()));
    assert_eq!(scene.counts(), "added=10 ingestfailed=10 seen=10");
    assert_eq!(scene.sink.asked, 3);
}

#[test]
fn what_the_settings_no_longer_take_has_vanished() {
    let mut scene = Scene::new();
    scene.put("one/a.txt", "");
    scene.put("two/b.txt", "");
    scene.put("two/b.md", "");
    let roots = vec![scene.path("one"), scene.path("two"), scene.path(""), scene.path("two")];
    scene.options.tasks[0].directories = roots;
    assert_eq!(scene.counts(), "added=3 ingestadded=3 seen=3");
    scene.options.tasks[0].directories = vec![scene.path("two")];
    scene.options.tasks[0].file_match = vec!["*.txt".to_owned()];
    assert_eq!(scene.counts(), "deleted=2 ingestdeleted=2 seen=1 unchanged=1");
    assert_eq!(scene.given(), ["removes: one/a.txt two/b.md"]);
}

#[test]
fn a_missing_directory_fails_its_task_and_nothing_vanishes() {
    let mut scene = Scene::new();
    scene.put("a", "");
    scene.counts();
    fs::rename(scene.path(""), scene.directory.path().join("away")).unwrap();
    let report = scene.failed().1;
    assert_eq!((counts(&report).as_str(), report[2].nodes()[0].name.as_ref()), ("", "failed"));
    fs::write(scene.directory.path().join("in"), "a file").unwrap();
    assert!(scene.failed().0.contains("is not a directory"));
    fs::remove_file(scene.directory.path().join("in")).unwrap();
    fs::rename(scene.directory.path().join("away"), scene.directory.path().join("in")).unwrap();
    assert_eq!(scene.counts(), "seen=1 unchanged=1");
}

/// What becomes of a directory after the run has begun with another one.
#[cfg(unix)]
#[test]
fn a_directory_that_cannot_be_read_fails_its_task_and_nothing_vanishes() {
    let mut scene = Scene::new();
    scene.put("one/a", "");
    scene.put("two/b", "");
    scene.options.tasks[0].directories = vec![scene.path("one"), scene.path("two")];
    assert_eq!(scene.counts(), "added=2 ingestadded=2 seen=2");
    let (two, away) = (scene.path("two"), scene.path("away"));
    for is_loop in [false, true] {
        scene.put("one/a", if is_loop { "1" } else { "22" });
        let probe = |_: &Path| {
            fs::rename(&two, &away)?;
            if is_loop { std::os::unix::fs::symlink(&two, &two) } else { Ok(()) }
        };
        let ended = scene.synchronize_with(&probe).0;
        let Err(TaskError::Failed(why)) = ended else { panic!("{ended:?}") };
        assert!(why.starts_with(&format!("directory {}: ", two.display())), "{why}");
        let given: Vec<_> = scene.sink.given.iter().map(|(parameter, _)| *parameter).collect();
        assert_eq!(given, ["adds"]);
        let _ = fs::remove_file(&two);
        fs::rename(&away, &two).unwrap();
    }
    assert_eq!(scene.counts(), "seen=2 unchanged=2");
}

#[test]
fn a_directory_that_goes_while_it_is_read_fails_its_task_and_nothing_vanishes() {
    let mut scene = Scene::new();
    for name in ["a", "b", "sub/c"] {
        scene.put(name, "1");
    }
    assert_eq!(scene.counts(), "added=3 ingestadded=3 seen=3");
    for name in ["a", "b", "sub/c"] {
        scene.put(name, "22");
    }
    let (root, away) = (scene.path(""), scene.directory.path().join("away"));
    // With the first file that is looked at, all of it goes.
    let (ended, report) = scene.synchronize_with(&|_| fs::rename(&root, &away));
    let Err(TaskError::Failed(why)) = ended else { panic!("{ended:?}: {report:?}") };
    let told = format!("directory {}: ", scene.options.tasks[0].directories[0].display());
    assert!(why.starts_with(&told), "{why}");
    assert_eq!(scene.given(), [""; 0], "{report:?}");
    fs::rename(&away, &root).unwrap();
    assert_eq!(scene.counts(), "ingestupdated=3 seen=3 updated=3");
}

/// Runs the first task with files that fail to open.
fn with_unreadable(scene: &mut Scene, unreadable: &BTreeMap<&str, io::ErrorKind>) -> String {
    let root = scene.path("");
    let probe =
        |path: &Path| match unreadable.get(&*path.strip_prefix(&root).unwrap().to_string_lossy()) {
            Some(&kind) => Err(io::Error::from(kind)),
            None => Ok(()),
        };
    let (ended, report) = scene.synchronize_with(&probe);
    ended.unwrap();
    counts(&report)
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_and_has_not_vanished() {
    let mut scene = Scene::new();
    for name in ["a", "b", "c"] {
        scene.put(name, "1");
    }
    let denied =
        BTreeMap::from([("a", io::ErrorKind::PermissionDenied), ("b", io::ErrorKind::NotFound)]);
    assert_eq!(with_unreadable(&mut scene, &denied), "added=1 errors=1 ingestadded=1 seen=2");
    assert_eq!(
        with_unreadable(&mut scene, &BTreeMap::new()),
        "added=2 ingestadded=2 seen=3 unchanged=1"
    );
    scene.put("a", "changed");
    scene.put("b", "changed");
    assert_eq!(
        with_unreadable(&mut scene, &denied),
        "deleted=1 errors=1 ingestdeleted=1 seen=2 unchanged=1"
    );
    assert_eq!(
        with_unreadable(&mut scene, &BTreeMap::new()),
        "added=1 ingestadded=1 ingestupdated=1 seen=3 unchanged=1 updated=1"
    );
}

#[test]
fn what_lies_in_unreadable_places_is_left_alone() {
    let mut unreadable = directory::Unreadable::default();
    assert!(!unreadable.covers(Path::new("/a/b")));
    unreadable.insert(Some("/a/b".into()));
    for (path, expected) in [("/a/b", true), ("/a/b/c/d", true), ("/a/bc", false), ("/a", false)] {
        assert_eq!(unreadable.covers(Path::new(path)), expected, "{path}");
    }
    unreadable.insert(None);
    assert!(unreadable.covers(Path::new("/x")));
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text_are_taken_and_removed() {
    use std::os::unix::ffi::OsStrExt as _;
    let mut scene = Scene::new();
    let path = scene.path("").join(std::ffi::OsStr::from_bytes(b"x\xFF,\n"));
    fs::write(&path, "").unwrap();
    assert_eq!(scene.counts(), "added=1 ingestadded=1 seen=1");
    let given = scene.sink.given[0].1.clone();
    assert!(given[0].starts_with("bytes:/") && given[0].ends_with("/x%FF%2C%0A"), "{given:?}");
    assert_eq!(reference::to_path(&given[0]), path);
    assert_eq!(scene.counts(), "seen=1 unchanged=1");
    fs::remove_file(path).unwrap();
    scene.options.tasks[0].allow_empty_root = true;
    assert_eq!(scene.counts(), "deleted=1 ingestdeleted=1");
    assert_eq!(scene.sink.given, [("removes", given)]);
}

#[test]
fn a_stop_keeps_the_counts_so_far_and_loses_nothing() {
    let mut scene = Scene::new();
    scene.options.batch_size = 1;
    for i in 0..4 {
        scene.put(&i.to_string(), "");
    }
    let mut whole = 0;
    for at in 1.. {
        scene.witness = RecordingContext { stop_at: Some(at), ..RecordingContext::default() };
        match scene.run() {
            Err(failure) => assert_eq!(failure, Failure::Stopped),
            Ok(_) => break,
        }
        whole += scene.sink.given.len();
        let partial = scene.witness.partial.borrow().last().cloned().unwrap();
        let accepted = scene.sink.given.len();
        let shown = counts(&partial);
        assert!(
            accepted == 0 || shown.contains(&format!("ingestadded={accepted}")),
            "{shown} {accepted}"
        );
        assert_eq!(partial[2], Node::new("tasks"));
    }
    assert_eq!(whole, 4, "each file was accepted once");
}

#[test]
fn progress_goes_by_what_the_last_run_knew() {
    let mut scene = Scene::new();
    for i in 0..250 {
        scene.put(&i.to_string(), "");
    }
    scene.counts();
    assert!(scene.witness.progress.borrow().iter().any(|p| p.measuring));
    assert!(!scene.witness.progress.borrow().last().unwrap().measuring);
    assert!(scene.witness.partial.borrow().iter().any(|p| counts(p).contains("seen=100")));

    scene.witness = RecordingContext::default();
    scene.counts();
    let progress = scene.witness.progress.borrow();
    assert!(progress.iter().all(|p| !p.measuring));
    assert!(progress.iter().any(|p| p.percent() == 40.0));
    assert_eq!(progress.last().unwrap().percent(), 100.0);
    assert_eq!(progress.last().unwrap().stages[0].title, "DIR1");
}

#[test]
fn each_task_is_locked_while_it_runs() {
    let mut scene = Scene::new();
    scene.put("a", "");
    let fetch = Fetch::new(scene.options.clone());
    let given = Parameters::from_iter([("FetchAction", "Synchronize")]);
    let chosen = fetch.0.choose(&given).unwrap();
    let locked = RefCell::new(0);
    let lock = |mutex: &Arc<tokio::sync::Mutex<()>>| {
        *locked.borrow_mut() += 1;
        let guard = Arc::clone(mutex).try_lock_owned().map_err(|_| StopRequested)?;
        assert!(mutex.try_lock().is_err());
        Ok(guard)
    };
    run(&scene.options, &chosen, None, &mut scene.sink, &scene.witness, lock).unwrap();
    assert_eq!(*locked.borrow(), 1);
    let _held = fetch.0.locks[0].try_lock().unwrap();
    let waiting = run(&scene.options, &chosen, None, &mut scene.sink, &scene.witness, |_| {
        Err::<(), _>(StopRequested)
    });
    assert_eq!(waiting, Err(Failure::Stopped));
}

#[test]
fn all_tasks_run_where_none_is_named() {
    let mut scene = Scene::new();
    let second = FetchTask { name: "DIR2".to_owned(), ..scene.options.tasks[0].clone() };
    scene.options.tasks.push(second);
    let fetch = Fetch::new(scene.options.clone());
    let chosen = fetch.0.choose(&Parameters::from_iter([("FetchAction", "Synchronize")])).unwrap();
    let names: Vec<_> = chosen.iter().map(|(task, _)| task.name.as_str()).collect();
    assert_eq!(names, ["Dir1", "DIR2"]);
}

#[test]
fn tasks_are_chosen_by_name() {
    let mut scene = Scene::new();
    let second = FetchTask { name: "DIR2".to_owned(), ..scene.options.tasks[0].clone() };
    scene.options.tasks.push(second);
    let fetch = Fetch::new(scene.options.clone());
    for (sections, expected) in
        [("dir2", &["DIR2"][..]), ("DIR2, dir1,dir2", &["DIR2", "Dir1"]), (",dir1,", &["Dir1"])]
    {
        let given =
            |name| Parameters::from_iter([("fetchaction", "SYNCHRONIZE"), (name, sections)]);
        for name in ["TaskSections", "configSection"] {
            let chosen = fetch.0.choose(&given(name)).unwrap();
            let names: Vec<_> = chosen.iter().map(|(task, _)| task.name.as_str()).collect();
            assert_eq!(names, expected, "{name}={sections}");
        }
    }
    for (pairs, expected) in [
        (
            &[("FetchAction", "Synchronize"), ("configSection", "DIR3")][..],
            "ConfigSection: \"DIR3\" is not a task; allowed are Dir1, DIR2",
        ),
        (
            &[("FetchAction", "Synchronize"), ("TaskSections", "dir1,DIR3")],
            "TaskSections: \"DIR3\" is not a task; allowed are Dir1, DIR2",
        ),
        (
            &[("FetchAction", "Synchronize"), ("TaskSections", " , ")],
            "TaskSections: it names no task; name those to run, or leave it out to run all of them",
        ),
    ] {
        let error = fetch.0.choose(&Parameters::from_iter(pairs.iter().copied())).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}
