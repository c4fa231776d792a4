//! Which files whole Ingest actions read and delete, and which they never do.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use actiond_actors::{ActionId, Content, Timestamp};

use super::*;
use crate::documents::beneath::{Root, Stamp};
use crate::documents::found::{FOUND, FoundFiles};
use crate::kinds::testing::RecordingContext;

/// A directory `in` that is allowed, and `away`, which is not.
struct Scene {
    at: PathBuf,
    options: IngestOptions,
    witness: RecordingContext,
    _directory: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Where the system's directory for temporary files is a link itself.
        let at = fs::canonicalize(directory.path()).unwrap();
        for name in ["in", "away"] {
            fs::create_dir(at.join(name)).unwrap();
        }
        let options = IngestOptions {
            output: vec![Output::Json],
            directory: at.join("out"),
            max_content_bytes: 1000,
            max_output_bytes: 1_000_000,
            allowed_sources: vec![at.join("in")],
            avoided: vec![at.join("data")],
        };
        Self { at, options, witness: RecordingContext::default(), _directory: directory }
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn run(&self, id: u64, adds: &str) -> Result<Report, Failure> {
        self.run_with(id, &[("adds", adds)])
    }

    fn run_with(&self, id: u64, pairs: &[(&str, &str)]) -> Result<Report, Failure> {
        let parameters = Parameters::from_iter(pairs.iter().copied());
        let name = write::batch_name(ActionId::new(id), Timestamp(5));
        run(&self.options, "Docs", &parameters, &name, &self.witness)
    }

    /// Returns what an action has written, a line of JSON for each document.
    fn lines(&self, id: u64) -> Vec<serde_json::Value> {
        let path = self.options.directory.join(format!("batch-{id:011}/documents.jsonl"));
        let text = fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Documents with a file each, named as its path.
fn adds<'a>(files: impl IntoIterator<Item = (&'a Path, &'a str)>) -> String {
    let add = |(path, lifetime): (&Path, &str)| {
        let path = path.display();
        format!(
            "<add><reference>{path}</reference><source filename='{path}' lifetime='{lifetime}'/></add>"
        )
    };
    format!("<adds>{}</adds>", files.into_iter().map(add).collect::<String>())
}

fn counts(report: &[actiond_actors::Node]) -> [String; 3] {
    let mut texts = ["documents", "withoutcontent", "failed"].map(str::to_owned);
    for text in &mut texts {
        let node = report.iter().find(|node| node.name == *text).unwrap();
        let Content::Text(count) = &node.content else { panic!("{node:?}") };
        *text = count.clone();
    }
    texts
}

/// The reasons that a result tells.
fn reasons(report: &[actiond_actors::Node]) -> Vec<(String, String)> {
    let list = report.iter().filter(|node| node.name == "importerrors").flat_map(|n| n.nodes());
    list.map(|node| {
        let Content::Text(why) = &node.content else { panic!("{node:?}") };
        (node.attributes[0].1.clone(), why.clone())
    })
    .collect()
}

#[test]
fn a_client_names_no_file_unless_it_is_allowed() {
    let mut scene = Scene::new();
    let (inside, outside) = (scene.put("in/a", "secret"), scene.put("away/a", "secret"));
    scene.options.allowed_sources.clear();
    let refused = |scene: &Scene, path: &Path, why: &str| {
        let error = scene.run(1, &adds([(path, "temporary")])).unwrap_err().to_string();
        assert!(error.contains(why), "{}: {error}", path.display());
        assert!(!scene.options.directory.join("batch-00000000001").exists());
        let report = scene.witness.partial.take().pop().unwrap();
        assert_eq!(counts(&report), ["1", "0", "1"]);
    };
    let not_set = "refused: [Docs] AllowedSourceDirectories is not set";
    for path in [&inside, &outside, Path::new("in/a"), Path::new("/etc/passwd")] {
        refused(&scene, path, not_set);
    }

    scene.options.allowed_sources = vec![scene.at.join("in")];
    symlink(&outside, scene.at.join("in/link")).unwrap();
    symlink(scene.at.join("away"), scene.at.join("in/sub")).unwrap();
    let elsewhere = "refused: it does not lie below a directory of [Docs] AllowedSourceDirectories";
    let link = "a symbolic link stands in its path";
    for (path, why) in [
        (outside.clone(), elsewhere),
        ("/etc/passwd".into(), elsewhere),
        (scene.at.join("in-other/a"), elsewhere),
        (scene.at.join("in/../away/a"), "leads out of the directory"),
        ("../away/a".into(), "leads out of the directory"),
        (scene.at.join("in/link"), link),
        (scene.at.join("in/sub/a"), link),
        ("link".into(), link),
        (scene.at.join("in"), "not a regular file"),
        (scene.at.join("in/none"), "No such file"),
        ("none".into(), "No such file"),
    ] {
        refused(&scene, &path, why);
    }
    // What is told holds no path but the one that was sent.
    let error = scene.run(1, &adds([(Path::new("sub/a"), "permanent")])).unwrap_err().to_string();
    assert!(!error.contains(scene.at.to_str().unwrap()), "{error}");
    assert!(inside.exists() && outside.exists());

    scene.run(1, &adds([(inside.as_path(), "temporary")])).unwrap();
    assert!(!inside.exists());
}

#[test]
fn a_path_is_looked_for_in_the_right_directory() {
    let mut scene = Scene::new();
    scene.put("in/a", "first a");
    scene.put("more/a", "second a");
    scene.put("more/b", "second b");
    scene.put("real/c", "c");
    // A directory of the configuration may be a link, and stand in another one.
    symlink(scene.at.join("real"), scene.at.join("in/link")).unwrap();
    let directories = ["none", "in", "more", "in/link"];
    scene.options.allowed_sources = directories.map(|name| scene.at.join(name)).to_vec();
    let paths = ["a", "./b", "c"].map(PathBuf::from);
    let absolute = ["more/a", "in/link/c", "real/c"].map(|name| scene.at.join(name));
    let all: Vec<_> = paths.iter().chain(&absolute).map(|p| (p.as_path(), "permanent")).collect();
    scene.run(1, &adds(all)).unwrap();
    let contents: Vec<_> = scene.lines(1).iter().map(|line| line["content"].clone()).collect();
    assert_eq!(contents, ["first a", "second b", "c", "second a", "c", "c"]);
}

#[test]
fn the_servers_own_directories_are_never_read() {
    let mut scene = Scene::new();
    scene.options.allowed_sources = vec![scene.at.clone()];
    let own = [scene.put("data/actions.db", "own"), scene.put("out/batch-1/documents.idx", "own")];
    fs::rename(scene.at.join("data"), scene.at.join("in/renamed")).unwrap();
    scene.options.avoided = vec![scene.at.join("in/renamed")];
    let files = [scene.at.join("in/renamed/actions.db"), own[1].clone()];
    for path in &files {
        let error = scene.run(1, &adds([(path.as_path(), "temporary")])).unwrap_err().to_string();
        assert!(error.contains("where the server keeps its own data"), "{error}");
        assert!(path.exists());
    }
    // Nor where one is made only while the action runs.
    fs::remove_dir_all(scene.at.join("out")).unwrap();
    let under_way = scene.at.join("out/.batch-00000000001.tmp/documents.jsonl");
    let given = adds([(under_way.as_path(), "permanent")]);
    let error = scene.run(1, &given).unwrap_err().to_string();
    assert!(error.contains("where the server keeps its own data"), "{error}");
    // Nor where they hold the directory that is allowed.
    scene.options.allowed_sources = vec![scene.at.join("in/renamed")];
    let error = scene.run(1, &adds([(files[0].as_path(), "temporary")])).unwrap_err().to_string();
    assert!(error.contains("AllowedSourceDirectories is the server's own"), "{error}");
    assert!(files[0].exists());
}

#[test]
fn what_was_not_taken_is_told_and_stays() {
    let scene = Scene::new();
    let text = scene.put("in/text", "some text");
    let kept = scene.put("in/kept", "kept text");
    let binary = scene.put("in/binary", b"a\xFF");
    let empty = scene.put("in/empty", "");
    let missing = scene.at.join("in/missing");
    let directory = scene.at.join("in");
    let given = adds([
        (text.as_path(), "temporary"),
        (&kept, "permanent"),
        (&binary, "temporary"),
        (&empty, "temporary"),
        (&missing, "temporary"),
        (&directory, "temporary"),
    ]);
    // Neither is read: one has pages, and an update changes fields only.
    let (paged, updated) = (scene.put("in/paged", "p"), scene.put("in/updated", "u"));
    let page = format!(
        "<add><reference>paged</reference><pages content='page'/><source filename='{}' lifetime='temporary'/></add></adds>",
        paged.display()
    );
    let given = given.replace("</adds>", &page);
    let update = format!(
        "<update><reference>u</reference><source filename='{}' lifetime='temporary'/></update>",
        updated.display()
    );
    let report = scene.run_with(1, &[("adds", &given), ("updates", &update)]).unwrap();
    assert_eq!(counts(&report), ["8", "2", "2"]);
    let told = reasons(&report);
    let expected = [
        (&binary, "not text in UTF-8 (byte 2)"),
        (&missing, "No such file"),
        (&directory, "not a regular file"),
    ];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    let lines = scene.lines(1);
    assert_eq!(lines.len(), 8);
    for ((reference, why), (path, expected)) in told.iter().zip(expected) {
        assert_eq!(*reference, path.display().to_string());
        assert!(why.contains(expected), "{why}");
        let line = lines.iter().find(|line| line["reference"] == **reference).unwrap();
        assert_eq!(line["fields"]["ImportErrorDescription"][0], **why);
        assert!(line["content"].is_null());
    }
    assert_eq!(
        lines.iter().filter(|l| l["fields"]["ImportErrorDescription"].is_array()).count(),
        3
    );
    assert!(!text.exists(), "it was taken");
    for path in [&kept, &binary, &empty, &directory, &paged, &updated] {
        assert!(path.exists(), "{}", path.display());
    }

    // A repeat tells the same, and deletes nothing that it did not read.
    fs::write(&text, "the only copy").unwrap();
    fs::write(&missing, "late").unwrap();
    let again = scene.run_with(1, &[("adds", &given), ("updates", &update)]).unwrap();
    assert_eq!(again, report);
    assert!(text.exists() && missing.exists());
}

#[test]
fn an_attempt_that_was_cut_off_before_the_deletion_is_completed() {
    let scene = Scene::new();
    let file = scene.put("in/file", "text");
    fs::hard_link(&file, scene.at.join("same")).unwrap();
    let given = adds([(file.as_path(), "temporary")]);
    scene.run(1, &given).unwrap();
    assert!(!file.exists());
    fs::rename(scene.at.join("same"), &file).unwrap();
    scene.run(1, &given).unwrap();
    assert!(!file.exists(), "the very file that was read");
}

#[test]
fn an_action_of_which_nothing_could_be_taken_ends_in_error() {
    let scene = Scene::new();
    let (one, two) = (scene.at.join("in/one"), scene.at.join("in/two"));
    let given = adds([(one.as_path(), "temporary"), (&two, "permanent")]);
    let error = scene.run(1, &given).unwrap_err().to_string();
    assert!(error.starts_with("none of 2 documents could be taken; the first: "), "{error}");
    assert!(error.contains("in/one: No such file"), "{error}");
    assert!(!scene.options.directory.join("batch-00000000001").exists());
    assert_eq!(reasons(&scene.witness.partial.take()[0]).len(), 2);
    // Something else was done: then the action is.
    let report = scene.run_with(1, &[("adds", &given), ("removes", "three")]).unwrap();
    assert_eq!(counts(&report), ["2", "0", "2"]);
    assert_eq!(scene.lines(1).len(), 3);
    let empty = format!("<adds>{}<add><reference>bare</reference></add></adds>", "");
    assert_eq!(counts(&scene.run(2, &empty).unwrap()), ["1", "1", "0"]);
}

/// Finds files below `tree`, hands them over as Fetch does, and runs the action after `meanwhile`.
fn fetched(scene: &Scene, names: &[&str], meanwhile: impl FnOnce()) -> Result<Report, Failure> {
    let named = scene.at.join("tree");
    let root = Root::resolve(&named).unwrap();
    let stamps: Vec<Stamp> =
        names.iter().map(|name| root.open(Path::new(name), &[]).unwrap().1).collect();
    let found = FoundFiles::new(&root, &named, stamps).to_value().unwrap();
    let paths: Vec<_> = names.iter().map(|name| named.join(name)).collect();
    let given = adds(paths.iter().map(|path| (path.as_path(), "permanent")));
    meanwhile();
    scene.run_with(1, &[("adds", &given), (FOUND, &found)])
}

#[test]
fn what_fetch_found_is_read_though_no_client_may_name_it() {
    let mut scene = Scene::new();
    scene.options.allowed_sources.clear();
    scene.put("tree/a", "text a");
    let b = scene.put("tree/sub/b", "text b");
    let report = fetched(&scene, &["a", "sub/b"], || fs::write(&b, "written to since").unwrap());
    assert_eq!(counts(&report.unwrap()), ["2", "0", "0"]);
    let contents: Vec<_> = scene.lines(1).iter().map(|line| line["content"].clone()).collect();
    assert_eq!(contents, ["text a", "written to since"]);
}

#[test]
fn nothing_of_what_replaced_a_found_file_is_read() {
    type Meanwhile = fn(&Path);
    let cases: [(&str, Meanwhile, &str); 7] = [
        (
            "the file by a link",
            |at| {
                fs::remove_file(at.join("tree/sub/b")).unwrap();
                symlink(at.join("away/b"), at.join("tree/sub/b")).unwrap();
            },
            "a symbolic link",
        ),
        (
            "its directory by a link",
            |at| {
                fs::rename(at.join("tree/sub"), at.join("was")).unwrap();
                symlink(at.join("away"), at.join("tree/sub")).unwrap();
            },
            "a symbolic link",
        ),
        (
            "the root by a link",
            |at| {
                fs::rename(at.join("tree"), at.join("was")).unwrap();
                symlink(at.join("away"), at.join("tree")).unwrap();
            },
            "a symbolic link",
        ),
        (
            "what is above the root by a link",
            |at| {
                let (up, was) = (at.parent().unwrap(), at.file_name().unwrap());
                let moved = up.join(format!("{}.was", was.to_str().unwrap()));
                fs::rename(at, &moved).unwrap();
                symlink(&moved, at).unwrap();
            },
            "a symbolic link",
        ),
        (
            "the file by another one",
            |at| {
                fs::rename(at.join("away/b"), at.join("tree/sub/b")).unwrap();
            },
            "another file has replaced",
        ),
        (
            "its directory by another one",
            |at| {
                fs::rename(at.join("tree/sub"), at.join("was")).unwrap();
                fs::rename(at.join("away"), at.join("tree/sub")).unwrap();
            },
            "another file has replaced",
        ),
        (
            "the file by nothing",
            |at| {
                fs::remove_file(at.join("tree/sub/b")).unwrap();
            },
            "No such file",
        ),
    ];
    for (what, meanwhile, why) in cases {
        let scene = Scene::new();
        scene.put("tree/sub/b", "found");
        scene.put("tree/c", "c");
        // Files and directories below, so that a link to `away` leads to a file in each case.
        for name in ["away/b", "away/sub/b", "away/c"] {
            scene.put(name, "a secret");
        }
        let moved = PathBuf::from(format!("{}.was", scene.at.display()));
        let ended = fetched(&scene, &["sub/b"], || meanwhile(&scene.at));
        let error = ended.expect_err(what).to_string();
        assert!(error.contains(why), "{what}: {error}");
        assert!(!scene.options.directory.join("batch-00000000001").exists(), "{what}");
        if moved.exists() {
            fs::remove_file(&scene.at).unwrap();
            fs::rename(&moved, &scene.at).unwrap();
        }
    }
}

#[test]
fn what_fetch_found_answers_for_these_files_alone() {
    let mut scene = Scene::new();
    scene.options.allowed_sources.clear();
    let (a, other) = (scene.put("tree/a", "a"), scene.put("away/other", "other"));
    let named = scene.at.join("tree");
    let root = Root::resolve(&named).unwrap();
    let stamp = root.open(Path::new("a"), &[]).unwrap().1;
    let found = FoundFiles::new(&root, &named, [stamp]).to_value().unwrap();
    let given = adds([(a.as_path(), "permanent"), (&a, "permanent"), (&other, "permanent")]);
    let report = scene.run_with(1, &[("adds", &given), (FOUND, &found)]).unwrap();
    assert_eq!(counts(&report), ["3", "0", "2"]);
    assert!(reasons(&report).iter().all(|(_, why)| why.ends_with("Fetch did not find it")));
    // What is temporary is a client's; Fetch says so of nothing.
    let given = adds([(a.as_path(), "temporary")]);
    scene.run_with(2, &[("adds", &given), (FOUND, &found)]).unwrap();
    assert!(a.exists());
    let error = scene.run_with(3, &[("adds", &given), (FOUND, "{")]).unwrap_err().to_string();
    assert!(error.contains("what Fetch handed over cannot be read"), "{error}");
    // Nor does it answer for what the server keeps for itself.
    let mut scene = Scene::new();
    scene.options.avoided = vec![scene.at.join("tree/data")];
    scene.put("tree/data/actions.db", "own");
    let error = fetched(&scene, &["data/actions.db"], || {}).unwrap_err().to_string();
    assert!(error.contains("where the server keeps its own data"), "{error}");
}
