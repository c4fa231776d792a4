//! Whole Ingest actions, run without a runtime.

use std::fs;
use std::path::Path;

use actiond_actors::{ActionId, Node, Timestamp, Value};

use super::*;
use crate::kinds::testing::RecordingContext;

const ADDS: &str = "<adds><add><document><reference>one</reference><metadata name='A' value='1'/>\
                    <pages content='text'/></document></add></adds>";
const UPDATES: &str = "<updates><update><reference>two</reference></update></updates>";

struct Scene {
    directory: tempfile::TempDir,
    settings: IngestOptions,
    witness: RecordingContext,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = IngestOptions {
            output: vec![Output::Idx, Output::Json],
            directory: directory.path().join("deep/out"),
            max_content_bytes: 1000,
            max_output_bytes: 100_000,
            allowed_sources: vec![directory.path().to_owned()],
            avoided: Vec::new(),
        };
        Self { directory, settings, witness: RecordingContext::default() }
    }

    fn run(&self, id: u64, pairs: &[(&str, &str)]) -> Result<Report, Failure> {
        let parameters = Parameters::from_iter(pairs.iter().copied());
        run(&self.settings, "Ingest", &parameters, &name(Some(id)), &self.witness)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.settings.directory.join(file)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        names(&self.settings.directory)
    }
}

fn name(id: Option<u64>) -> String {
    write::batch_name(id.and_then(ActionId::new), Timestamp(5))
}

/// The result of an action that has no reasons to tell.
fn counts(documents: u64, withoutcontent: u64, failed: u64) -> Report {
    let names = ["documents", "withoutcontent", "failed", "cut"];
    let texts = [documents, withoutcontent, failed, 0].map(|number| number.to_string());
    names.into_iter().zip(texts).map(|(name, text)| Node::text(name, text)).collect()
}

fn names(directory: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(directory).map(|d| d.map(|e| e.unwrap().file_name()).collect::<Vec<_>>());
    let mut names: Vec<_> =
        entries.unwrap_or_default().iter().map(|n| n.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_batch_holds_adds_updates_and_removes() {
    let scene = Scene::new();
    let given = [("Adds", ADDS), ("UPDATES", UPDATES), ("removes", "three,\"fo,ur\"")];
    assert_eq!(scene.run(7, &given), Ok(counts(2, 0, 0)));
    assert_eq!(scene.names(), ["batch-00000000007"]);
    assert_eq!(
        names(&scene.settings.directory.join("batch-00000000007")),
        ["batch.json", "documents.idx", "documents.jsonl", "removes.txt"]
    );
    assert_eq!(
        scene.read("batch-00000000007/documents.idx"),
        "#DREREFERENCE one\n#DREFIELD A=\"1\"\n#DRESECTION 0\n#DRECONTENT\ntext\n#DREENDDOC\n\
         #DREREFERENCE two\n#DREENDDOC\n#DREENDDATANOOP\n\n"
    );
    assert_eq!(
        scene.read("batch-00000000007/documents.jsonl"),
        "{\"action\":\"add\",\"reference\":\"one\",\"fields\":{\"A\":[\"1\"]},\"content\":\"text\"}\n\
         {\"action\":\"update\",\"reference\":\"two\",\"fields\":{}}\n\
         {\"action\":\"remove\",\"reference\":\"three\"}\n{\"action\":\"remove\",\"reference\":\"fo,ur\"}\n"
    );
    assert_eq!(scene.read("batch-00000000007/removes.txt"), "three\nfo,ur\n");
    let progress = scene.witness.progress.borrow();
    let titles: Vec<_> =
        progress.iter().flat_map(|p| p.stages.iter().map(|s| s.title.as_str())).collect();
    assert_eq!(&titles[..2], ["Parse", "Write"]);
}

#[test]
fn only_the_chosen_forms_are_written() {
    let mut scene = Scene::new();
    scene.settings.output = vec![Output::Json];
    scene.run(1, &[("adds", ADDS)]).unwrap();
    assert_eq!(
        names(&scene.settings.directory.join("batch-00000000001")),
        ["batch.json", "documents.jsonl"]
    );
}

#[test]
fn a_repeat_does_not_double_a_batch() {
    let scene = Scene::new();
    scene.run(1, &[("adds", ADDS)]).unwrap();
    let file = scene.settings.directory.join("batch-00000000001/documents.idx");
    fs::write(&file, "taken over").unwrap();
    assert_eq!(scene.run(1, &[("adds", ADDS)]), Ok(counts(1, 0, 0)));
    assert_eq!(fs::read_to_string(&file).unwrap(), "taken over");
    assert_eq!(scene.names(), ["batch-00000000001"]);
}

#[test]
fn a_batch_of_another_action_is_not_taken_for_this_one() {
    let scene = Scene::new();
    scene.run(1, &[("adds", ADDS)]).unwrap();
    let error = scene.run(1, &[("updates", UPDATES)]).unwrap_err().to_string();
    assert!(error.contains("batch-00000000001 is there already"), "{error}");
    fs::create_dir(scene.settings.directory.join("batch-00000000002")).unwrap();
    assert!(scene.run(2, &[("adds", ADDS)]).is_err());
}

#[test]
fn what_an_earlier_attempt_left_half_written_is_removed() {
    let scene = Scene::new();
    let left = scene.settings.directory.join(".batch-00000000001.tmp");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("removes.txt"), "half").unwrap();
    scene.run(1, &[("adds", ADDS)]).unwrap();
    assert_eq!(scene.names(), ["batch-00000000001"]);
    assert!(!scene.settings.directory.join("batch-00000000001/removes.txt").exists());
}

#[test]
fn a_stop_at_any_checkpoint_leaves_nothing() {
    let given = [("adds", ADDS), ("updates", UPDATES), ("removes", "a")];
    let whole = Scene::new();
    whole.run(1, &given).unwrap();
    let checkpoints = whole.witness.checkpoints.get();
    assert!(checkpoints >= 6, "{checkpoints}");
    for at in 1..=checkpoints {
        let mut scene = Scene::new();
        scene.witness.stop_at = Some(at);
        assert_eq!(scene.run(1, &given), Err(Failure::Stopped), "{at}");
        assert_eq!(scene.names(), Vec::<String>::new(), "{at}");
    }
}

#[test]
fn an_error_leaves_nothing_and_tells_parameter_and_place() {
    let scene = Scene::new();
    for (pairs, expected) in [
        (&[("adds", "<adds>\n<add/></adds>")][..], "adds: line 2, column 1: add has no reference"),
        (&[("adds", ADDS), ("updates", "<x/>")], "updates: line 1, column 1: root element \"x\""),
        (&[("removes", "a,\"b")], "removes: line 1, column 3: "),
        (&[], "adds (XML), updates (XML) or removes"),
        (&[("adds", ""), ("removes", " ")], "adds (XML), updates (XML) or removes"),
    ] {
        let error = scene.run(1, pairs).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let bytes = Parameters::from_iter([("adds", Value::Bytes(vec![b'<', 0xFF]))]);
    let error = run(&scene.settings, "Ingest", &bytes, &name(None), &scene.witness)
        .unwrap_err()
        .to_string();
    assert!(error.contains("adds: byte 2 is not UTF-8"), "{error}");
    assert_eq!(scene.names(), Vec::<String>::new());
}

#[test]
fn an_output_directory_that_cannot_be_made_is_named() {
    let mut scene = Scene::new();
    let file = scene.directory.path().join("file");
    fs::write(&file, "").unwrap();
    scene.settings.directory = file.join("out");
    let error = scene.run(1, &[("adds", ADDS)]).unwrap_err().to_string();
    assert!(error.contains("OutputDirectory: Not a directory"), "{error}");
    assert!(!error.contains(&*scene.directory.path().to_string_lossy()), "{error}");
}

#[test]
fn actions_without_an_id_have_batches_of_their_own() {
    let scene = Scene::new();
    let parameters = Parameters::from_iter([("removes", "a")]);
    for _ in 0..2 {
        run(&scene.settings, "Ingest", &parameters, &name(None), &scene.witness).unwrap();
    }
    let names = scene.names();
    assert_eq!(names.len(), 2);
    assert!(names.iter().all(|n| n.starts_with("batch-now-5-")), "{names:?}");
}

#[test]
fn what_would_be_more_than_an_action_may_write_is_not_written() {
    let mut scene = Scene::new();
    let given = [("adds", ADDS), ("updates", UPDATES), ("removes", "three,four")];
    scene.run(1, &given).unwrap();
    let written: u64 = names(&scene.settings.directory.join("batch-00000000001"))
        .iter()
        .map(|name| fs::metadata(scene.settings.directory.join("batch-00000000001").join(name)))
        .map(|metadata| metadata.unwrap().len())
        .sum();
    for (max, fits) in [(0, false), (written - 1, false), (written, true), (u64::MAX, true)] {
        scene.settings.max_output_bytes = max;
        let ended = scene.run(2, &given);
        if fits {
            assert_eq!(ended, Ok(counts(2, 0, 0)), "{max}");
            assert_eq!(scene.names(), ["batch-00000000001", "batch-00000000002"]);
            fs::remove_dir_all(scene.settings.directory.join("batch-00000000002")).unwrap();
        } else {
            let error = ended.unwrap_err().to_string();
            assert!(error.contains(&format!("MaxOutputSize allows, {max} bytes")), "{error}");
            assert_eq!(scene.names(), ["batch-00000000001"]);
        }
    }
}

/// The texts of the result by their names.
fn texts(report: &Report, name: &str) -> Vec<String> {
    let named = report.iter().filter(|node| node.name == name);
    let text = |node: &Node| match &node.content {
        actiond_actors::Content::Text(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    named.map(text).collect()
}

#[cfg(unix)]
#[test]
fn what_was_cut_is_told_and_its_source_stays() {
    let scene = Scene::new();
    let path = |name: &str| scene.directory.path().join(name);
    fs::write(path("long"), "x".repeat(1_001)).unwrap();
    fs::write(path("whole"), "x".repeat(1_000)).unwrap();
    let add = |name: &str| {
        let path = path(name);
        format!(
            "<add><reference>{name}</reference><source filename='{}' lifetime='temporary'/></add>",
            path.display()
        )
    };
    let adds = format!("<adds>{}{}</adds>", add("long"), add("whole"));
    // A second attempt says and does the same.
    for _ in 0..2 {
        let report = scene.run(1, &[("adds", &adds)]).unwrap();
        let told = ["documents", "withoutcontent", "failed", "cut"].map(|n| texts(&report, n));
        assert_eq!(told.concat(), ["2", "0", "0", "1"]);
        assert!(path("long").exists() && !path("whole").exists());
    }
    let lines = scene.read("batch-00000000001/documents.jsonl");
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        lines[0]["fields"]["ImportContentTruncated"][0],
        "only the first 1000 bytes were taken, as MaxContentSize says"
    );
    assert_eq!(lines[0]["content"].as_str().unwrap().len(), 1_000);
    assert_eq!(lines[1]["fields"], serde_json::json!({}));
}

#[cfg(unix)]
#[test]
fn what_is_not_used_is_named() {
    let scene = Scene::new();
    let path = scene.directory.path().join("source");
    fs::write(&path, "text").unwrap();
    let source = format!("<source filename='{}' lifetime='temporary'/>", path.display());
    let updates = format!(
        "<updates><update><reference>a</reference></update>\
         <update><reference>b</reference>{source}</update>\
         <update><reference>c</reference><pages content='x'/></update></updates>"
    );
    let adds = format!("<add><reference>d</reference><pages content='x'/>{source}</add>");
    for (id, pairs, told) in [
        (1, &[("updates", &*updates)][..], "the sources or pages of 2 documents, first \"b\""),
        (2, &[("adds", &*adds)], "the source or pages of \"d\""),
        (3, &[("adds", &*adds), ("updates", &*updates)], "pages of 3 documents, first \"d\""),
    ] {
        for _ in 0..2 {
            let report = scene.run(id, pairs).unwrap();
            let warnings = texts(&report, "warning");
            assert!(warnings.len() == 1 && warnings[0].contains(told), "{warnings:?}");
        }
    }
    assert!(path.exists());
}
