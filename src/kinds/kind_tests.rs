//! A kind of somebody else's among those that ship: it takes documents, writes to a directory and has sections of its own.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use actiond_actors::{OnRestart, Perform};

use super::echo::Echo;
use super::fetch::{FetchSettings, IngestTarget};
use super::{ConfiguredQueue, ConfiguredQueues, Kind, Kinds, Site, WrittenDirectory};
use crate::aci::catalog::ParamSpec;
use crate::config::{Key, KindReader, Overrides, QueueConfig, Section, Settings, ValueKind};

const DIRECTORY: &Key =
    &Key::optional("ArchiveDirectory", ValueKind::Path, "./a", "Where it writes.");
const DRAWER: &Key = &Key::numbered("0", ValueKind::Name, "A", "The drawers.");
const DRAWERS: &Section = &Section::fixed("Drawers", "Where things are put.", &[DRAWER]);
const COLOUR: &Key =
    &Key::required("Colour", ValueKind::OneOf(&["Red", "Blue"]), "Red", "Its colour.");
const ONE_DRAWER: &Section = &Section::listed("A", "drawer", DRAWERS, &[COLOUR]);

#[derive(Debug)]
struct Archive;

/// One queue, and what it learned of all.
#[derive(Debug)]
struct Archived {
    directory: PathBuf,
    drawers: Vec<(String, Option<&'static str>)>,
    written: Mutex<Vec<String>>,
}

impl Kind for Archive {
    fn word(&self) -> &'static str {
        "Archive"
    }

    fn summary(&self) -> &'static str {
        "Keeps documents."
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[]
    }

    fn takes_documents(&self) -> bool {
        true
    }

    fn keys(&self) -> &'static [&'static Key] {
        &[DIRECTORY]
    }

    fn sections(&self) -> &'static [&'static Section] {
        &[DRAWERS, ONE_DRAWER]
    }

    fn read(&self, config: &mut KindReader<'_, '_>) -> ConfiguredQueues {
        let drawers =
            config.each_listed(ONE_DRAWER, |name, section| (name.to_owned(), section.word(COLOUR)));
        config.each_queue(|section| {
            let default = || PathBuf::from("kept");
            Arc::new(Archived {
                directory: section.directory_to_write(DIRECTORY, default, "always the same"),
                drawers: drawers.clone(),
                written: Mutex::default(),
            })
        })
    }
}

impl ConfiguredQueue for Archived {
    fn writes_to(&self) -> Vec<(&'static Key, PathBuf)> {
        vec![(DIRECTORY, self.directory.clone())]
    }

    fn check(&self, _: &mut KindReader<'_, '_>, written: &[WrittenDirectory]) {
        let told = written
            .iter()
            .map(|one| format!("[{}] {}={}", one.queue, one.key.name(), one.path.display()));
        self.written.lock().unwrap().extend(told);
    }

    fn performer(&self, _: &Site<'_>) -> Arc<dyn Perform> {
        Arc::new(Echo)
    }
}

const CONFIG: &str = "\
[AsyncActions]
0=Fetch
1=Keep
2=Ingest
[Fetch]
Type=FileSystemConnector
[Keep]
Type=archive
[Ingest]
Type=Ingest
[FetchTasks]
0=D
[D]
DirectoryPathCSVs=docs
[Drawers]
0=Top
[top]
Colour=red
";

fn parse(text: &str) -> (Result<Settings, Vec<String>>, Vec<String>) {
    let kinds = Kinds::shipped().with(Archive).unwrap();
    match Settings::parse_with_kinds(text, "t", &Overrides::default(), &kinds) {
        Ok((settings, warnings)) => {
            (Ok(settings), warnings.iter().map(ToString::to_string).collect())
        }
        Err(error) => (Err(error.problems().iter().map(ToString::to_string).collect()), Vec::new()),
    }
}

#[test]
fn kinds_learn_of_one_another_where_documents_go_and_what_is_written() {
    let (settings, warnings) = parse(CONFIG);
    let settings = settings.unwrap();
    assert_eq!(warnings, [""; 0]);
    // The first queue that takes documents gets them, of whatever kind it is.
    let fetch: &FetchSettings = settings.queues.iter().find_map(QueueConfig::settings).unwrap();
    assert_eq!(fetch.ingest, IngestTarget::Queue("Keep".to_owned()));
    let archived: &Archived = settings.queues.iter().find_map(QueueConfig::settings).unwrap();
    assert_eq!(archived.drawers, [("Top".to_owned(), Some("Red"))]);
    assert_eq!(
        *archived.written.lock().unwrap(),
        ["[Keep] ArchiveDirectory=kept", "[Ingest] OutputDirectory=./actions/ingest"]
    );
    assert_eq!(settings.queues[1].kind.on_restart(), OnRestart::Fail);
}

#[test]
fn sections_of_a_kind_are_judged_like_all_others() {
    for (from, to, problem) in [
        (
            "0=Top",
            "0=Keep",
            "t:16: [Drawers] 0=Keep: cannot be taken: there is a queue of that name",
        ),
        ("0=Top", "0=Drawers", "cannot be taken: the section of that name has its own meaning"),
        ("[top]", "[bottom]", "t:16: [Drawers] 0=Top: has no section [Top] with Colour="),
        ("Colour=red", "", "t:17: [top] Colour: is missing: it must be one of Red, Blue"),
        ("Colour=red", "Colour=green", "t:18: [top] Colour=green: must be one of Red, Blue"),
        ("1=Keep", "1=drawers", "t:3: [AsyncActions] 1=drawers: cannot be taken: the section"),
    ] {
        let problems = parse(&CONFIG.replacen(from, to, 1)).0.unwrap_err();
        assert!(problems.iter().any(|found| found.contains(problem)), "{to}: {problems:#?}");
    }
    for (more, warning) in [
        ("Color=red\n", "t:19: [top] Color has no effect: there is no such key. Is Colour meant?"),
        (
            "[D]\nColour=red\n",
            "[D] Colour has no effect here: it belongs into the section of a drawer in [Drawers]",
        ),
        (
            "[Ingest]\nArchiveDirectory=x\n",
            "it belongs into the section of a queue with Type=Archive",
        ),
        ("[Elsewhere]\n", "the tasks listed in [FetchTasks] and the drawers listed in [Drawers]"),
    ] {
        let (settings, warnings) = parse(&format!("{CONFIG}{more}"));
        assert!(settings.is_ok(), "{more}: {settings:?}");
        assert!(warnings.iter().any(|found| found.contains(warning)), "{more}: {warnings:#?}");
    }
}

/// A kind whose actions run elsewhere.
#[derive(Debug)]
struct Far;

impl Kind for Far {
    fn word(&self) -> &'static str {
        "Far"
    }

    fn summary(&self) -> &'static str {
        "Has them run elsewhere."
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[]
    }

    fn on_restart(&self) -> OnRestart {
        OnRestart::Resume
    }

    fn read(&self, config: &mut KindReader<'_, '_>) -> ConfiguredQueues {
        config.each_queue(|_| Arc::new(Echo))
    }
}

#[test]
fn what_runs_elsewhere_has_no_fate_at_a_restart() {
    let kinds = Kinds::shipped().with(Far).unwrap();
    let text = "[Actions]\nOnRestart=Fail\n[AsyncActions]\n0=A\n[A]\nType=far\n";
    let warned = |text: &str| {
        let parsed = Settings::parse_with_kinds(text, "t", &Overrides::default(), &kinds);
        parsed.unwrap().1.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(warned(text), [""; 0], "what holds for all is not about this one");
    let told = warned(&format!("{text}OnRestart=Requeue\nMaxRestarts=1\n"));
    // How many restarts are enough still counts for what nobody speaks of after one.
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("[A] OnRestart has no effect"), "{told:?}");
}
