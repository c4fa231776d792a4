//! A source that has no files: a mailbox with folders, whose messages hold their text themselves. What a run does with
//! it is what it does with directories.

use std::collections::VecDeque;

use super::super::datastore::Datastore;
use super::super::source::{Item, Missed, Moment, Pending, Source, Step};
use super::*;

use Line::{Broken, Closed, Fails, Folder, Message};

/// What the next run comes upon.
#[derive(Debug, Clone)]
enum Line {
    /// A message with this text.
    Message(&'static str, &'static str),
    /// One that went, or can't be read, once it was found.
    Broken(&'static str, io::ErrorKind),
    /// A folder that can't be opened.
    Closed(&'static str),
    /// The end of a folder.
    Folder,
    /// The connection breaks.
    Fails(&'static str),
}

#[derive(Debug, Default)]
struct Mailbox {
    script: VecDeque<Line>,
    /// Those found in this run, with their texts or why there is none.
    found: BTreeMap<PathBuf, Result<&'static str, io::ErrorKind>>,
    closed: Vec<PathBuf>,
    missed: Vec<PathBuf>,
    /// What is said of all that was missed.
    verdict: Option<&'static str>,
    has_ended: bool,
}

impl Source for Mailbox {
    type Content = &'static str;

    fn begin(&mut self, _: &mut Datastore) -> Result<(), String> {
        self.found.clear();
        self.closed.clear();
        self.missed.clear();
        self.has_ended = false;
        Ok(())
    }

    fn next(&mut self, _: &mut Datastore) -> Result<Option<Step>, String> {
        let (path, text) = match self.script.pop_front() {
            None => return Ok(None),
            Some(Folder) => return Ok(Some(Step::HandOver)),
            Some(Fails(why)) => return Err(why.to_owned()),
            Some(Closed(folder)) => {
                self.closed.push(folder.into());
                let error = io::ErrorKind::PermissionDenied.into();
                return Ok(Some(Step::Unreadable(folder.into(), error)));
            }
            Some(Message(path, text)) => (path, Ok(text)),
            Some(Broken(path, kind)) => (path, Err(kind)),
        };
        self.found.insert(path.into(), text);
        let size = text.map_or(0, |text| i64::try_from(text.len()).unwrap());
        Ok(Some(Step::Item(Item { path: path.into(), size, modified: Moment::default() })))
    }

    fn probe(&mut self, item: &Item) -> io::Result<(&'static str, u64)> {
        let text = self.found[&item.path]?;
        // As if each held as much as makes two of them a batch.
        Ok((text, 50_000_000))
    }

    fn hand_over(&mut self, items: &[Pending<&'static str>]) -> Result<Handover, String> {
        let document = |pending: &Pending<&str>| {
            let (reference, text) = (self.reference(&pending.item.path), pending.content);
            format!(
                "<add><document><reference>{reference}</reference><pages content='{text}'/></document></add>"
            )
        };
        let value = format!("<adds>{}</adds>", items.iter().map(document).collect::<String>());
        Ok(Handover { parameter: "adds", value, found: None })
    }

    fn reference(&self, path: &Path) -> String {
        format!("mail:{}", path.display())
    }

    fn is_unknown(&self, path: &Path) -> bool {
        self.closed.iter().any(|closed| path.starts_with(closed))
    }

    fn judge(&mut self, missed: &mut Missed<'_>) -> Result<(), TaskError> {
        for path in missed {
            self.missed.push(path?);
        }
        self.verdict.map_or(Ok(()), |why| Err(TaskError::Failed(why.to_owned())))
    }

    fn end(&mut self, _: &mut Datastore) -> Result<(), String> {
        self.has_ended = true;
        Ok(())
    }
}

/// Runs with this script; returns how it ended, what was counted and what Ingest was given.
fn run(
    scene: &mut Scene,
    mailbox: &mut Mailbox,
    script: &[Line],
) -> (Result<(), TaskError>, String, Vec<String>) {
    mailbox.script = script.iter().cloned().collect();
    scene.sink.given.clear();
    let mut board = Board::new(&scene.witness, ["Mail"], None);
    let means = SyncOptions {
        data_directory: &scene.options.data_directory,
        batch_size: 3,
        deliver: &mut scene.sink,
    };
    let ended = synchronize("Mail", mailbox, means, &mut board);
    let counts = counts(&board.report());
    (ended, counts, scene.given())
}

#[test]
fn what_has_no_files_is_synchronised_as_well() {
    let (mut scene, mut mailbox) = (Scene::new(), Mailbox::default());
    let all = [Message("in/1", "one"), Message("in/2", "two"), Folder, Message("out/1", "three")];
    let (ended, counted, given) = run(&mut scene, &mut mailbox, &all);
    assert_eq!((ended, counted.as_str()), (Ok(()), "added=3 ingestadded=3 seen=3"));
    // Folders are handed over apart.
    assert_eq!(given, ["adds: mail:in/1 mail:in/2", "adds: mail:out/1"]);
    assert!(mailbox.has_ended);

    let some = [Message("in/1", "changed"), Message("out/1", "three"), Message("out/2", "four")];
    let (_, counted, given) = run(&mut scene, &mut mailbox, &some);
    let want = "added=1 deleted=1 ingestadded=1 ingestdeleted=1 ingestupdated=1 seen=3 unchanged=1 updated=1";
    assert_eq!(counted, want);
    assert_eq!(given, ["adds: mail:in/1 mail:out/2", "removes: mail:in/2"]);
    assert_eq!(mailbox.missed, [PathBuf::from("in/2")]);
}

#[test]
fn what_the_source_does_not_trust_is_not_removed() {
    let (mut scene, mut mailbox) = (Scene::new(), Mailbox::default());
    let all = [Message("in/1", "one"), Message("in/2", "two"), Message("out/1", "three")];
    assert_eq!(run(&mut scene, &mut mailbox, &all).1, "added=3 ingestadded=3 seen=3");

    mailbox.verdict = Some("it was moved");
    let (ended, counted, given) = run(&mut scene, &mut mailbox, &all[..1]);
    assert_eq!(ended, Err(TaskError::Failed("it was moved".to_owned())));
    assert_eq!((counted.as_str(), given), ("seen=1 unchanged=1", Vec::new()));
    assert!(!mailbox.has_ended);
    mailbox.verdict = None;

    let (ended, _, given) = run(&mut scene, &mut mailbox, &[Fails("it hung up")]);
    assert_eq!((ended, given), (Err(TaskError::Failed("it hung up".to_owned())), Vec::new()));

    // A folder that can't be read is an error, and all in it stays; what is not found there has vanished.
    let (_, counted, given) = run(&mut scene, &mut mailbox, &[Closed("in")]);
    assert_eq!(counted, "deleted=1 errors=1 ingestdeleted=1");
    assert_eq!(given, ["removes: mail:out/1"]);
    assert_eq!(mailbox.missed.len(), 3);
}

#[test]
fn an_item_that_cannot_be_read_stays_and_one_that_went_is_removed() {
    let (mut scene, mut mailbox) = (Scene::new(), Mailbox::default());
    let all = [Message("in/1", "one"), Message("in/2", "two"), Message("in/3", "three")];
    assert_eq!(run(&mut scene, &mut mailbox, &all).0, Ok(()));
    // Two of them hold enough for a batch.
    let sizes: Vec<_> = scene.sink.given.iter().map(|(_, references)| references.len()).collect();
    assert_eq!(sizes, [2, 1]);

    let next = [
        Message("in/1", "one"),
        Broken("in/2", io::ErrorKind::PermissionDenied),
        Broken("in/3", io::ErrorKind::NotFound),
    ];
    let (ended, counted, given) = run(&mut scene, &mut mailbox, &next);
    assert_eq!(ended, Ok(()));
    assert_eq!(counted, "deleted=1 errors=1 ingestdeleted=1 seen=2 unchanged=1");
    assert_eq!(given, ["removes: mail:in/3"]);
}
