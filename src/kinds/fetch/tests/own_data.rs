//! What the server itself writes is never fetched.

use std::fs;

use super::*;

#[test]
fn data_and_output_directories_are_never_entered() {
    let mut scene = Scene::new();
    scene.put("a", "1");
    scene.put("data/a", "1");
    scene.options.data_directory = scene.path("data");
    scene.options.own_directories = vec![scene.path("out/deep"), scene.path("sub/../late")];
    scene.put("out/a", "1");
    scene.put("out/deep/more/b", "1");
    assert_eq!(scene.counts(), "added=2 ingestadded=2 seen=2");
    assert_eq!(scene.given(), ["adds: a out/a"]);
    // One that is made later, and one that was moved: the path says nothing.
    scene.put("sub/c", "1");
    scene.put("late/c", "1");
    let moved = scene.path("moved");
    fs::rename(scene.path("data"), &moved).unwrap();
    scene.options.data_directory = moved;
    assert_eq!(scene.counts(), "added=1 ingestadded=1 seen=3 unchanged=2");
    assert_eq!(scene.given(), ["adds: sub/c"]);
}

/// The first batch makes the directory, in the middle of the run.
#[test]
fn a_directory_that_is_made_during_the_run_is_not_entered() {
    let mut scene = Scene::new();
    for i in 0..20 {
        scene.put(&format!("{i}/a"), "1");
    }
    let out = scene.path("10/out");
    scene.options.own_directories = vec![out.clone()];
    let probe = |_: &Path| {
        fs::create_dir_all(&out)?;
        fs::write(out.join("batch"), "1")
    };
    // In whatever order the directories come, the last ones are found with it in place.
    let (ended, report) = scene.synchronize_with(&probe);
    assert_eq!((ended, counts(&report).as_str()), (Ok(()), "added=20 ingestadded=20 seen=20"));
    assert_eq!(scene.counts(), "seen=20 unchanged=20");
}

#[test]
fn what_was_taken_of_it_before_is_removed() {
    let mut scene = Scene::new();
    for name in ["a", "out/1", "out/2"] {
        scene.put(name, "1");
    }
    assert_eq!(scene.counts(), "added=3 ingestadded=3 seen=3");
    scene.options.own_directories = vec![scene.path("out")];
    assert_eq!(scene.counts(), "deleted=2 ingestdeleted=2 seen=1 unchanged=1");
}

#[cfg(unix)]
#[test]
fn a_directory_that_lies_in_it_fails_its_task() {
    let mut scene = Scene::new();
    scene.put("out/deep/b", "1");
    scene.options.own_directories = vec![scene.path("out")];
    let link = scene.directory.path().join("link");
    std::os::unix::fs::symlink(scene.path("out/deep"), &link).unwrap();
    for directory in
        [scene.path("out"), scene.path("out/deep"), link, scene.options.data_directory.clone()]
    {
        scene.options.tasks[0].directories = vec![directory.clone()];
        let ended = scene.synchronize_with(&|_| Ok(())).0;
        let Err(TaskError::Failed(why)) = ended else { panic!("{directory:?}: {ended:?}") };
        // The path of the task's directory is the configuration's; that of the server's own is not told.
        let told = "it lies in one into which this server writes, and that is never fetched";
        assert_eq!(why, format!("directory {}: {told}", directory.display()));
    }
}

/// Who may send requests need not know where the server keeps its data.
#[cfg(unix)]
#[test]
fn errors_name_no_path_of_the_data() {
    use std::os::unix::fs::symlink;

    type Put = fn(&Path);
    let table: [(Put, &str); 4] = [
        (|store| fs::create_dir(store).unwrap(), "it cannot be opened"),
        (|store| symlink("none/at/all", store).unwrap(), "it cannot be opened"),
        (|store| fs::write(store, "junk".repeat(1_000)).unwrap(), "is damaged"),
        (
            |store| {
                let data = store.parent().unwrap();
                fs::remove_dir(data).unwrap();
                fs::write(data, "").unwrap();
            },
            "DataDirectory cannot be made: ",
        ),
    ];
    for (put, told) in table {
        let mut scene = Scene::new();
        scene.put("a", "1");
        let data = scene.options.data_directory.clone();
        fs::create_dir(&data).unwrap();
        put(&data.join("connector_Dir1_datastore.db"));
        let (why, kept) = scene.failed();
        let all = format!("{why} {kept:?}");
        assert!(why.contains(told), "{why}");
        assert!(!all.contains(&*scene.directory.path().to_string_lossy()), "{all}");
        assert!(!all.contains("datastore.db"), "{all}");
    }
}

/// Makes hard links of all files of a directory in another one, as `cp -al` does.
#[cfg(unix)]
fn link_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => link_all(&entry.path(), &to),
            false => fs::hard_link(entry.path(), to).unwrap(),
        }
    }
}

#[cfg(unix)]
#[test]
fn hard_links_of_what_lies_in_them_are_not_taken() {
    let mut scene = Scene::new();
    scene.put("a", "1");
    fs::hard_link(scene.path("a"), scene.path("b")).unwrap();
    let (data, out) = (scene.options.data_directory.clone(), scene.directory.path().join("out"));
    scene.options.own_directories = vec![out.clone()];
    for file in ["batch-1/documents.idx", "batch-1/batch.json"] {
        fs::create_dir_all(out.join("batch-1")).unwrap();
        fs::write(out.join(file), "1").unwrap();
    }
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("actions.db"), "1").unwrap();
    assert_eq!(scene.counts(), "added=2 ingestadded=2 seen=2");
    link_all(&data, &scene.path("backup/data"));
    link_all(&out, &scene.path("backup/data/out"));
    fs::hard_link(data.join("actions.db"), scene.path("called differently")).unwrap();
    for _ in 0..3 {
        assert_eq!(scene.counts(), "seen=2 unchanged=2");
    }
    // What only has such a name is a file like others, and so is a plain copy.
    scene.put("batch-1/documents.idx", "1");
    fs::hard_link(scene.path("batch-1/documents.idx"), scene.path("batch-1/batch.json")).unwrap();
    fs::copy(data.join("actions.db"), scene.path("copy")).unwrap();
    assert_eq!(scene.counts(), "added=3 ingestadded=3 seen=5 unchanged=2");
}
