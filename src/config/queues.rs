//! Makes the settings of the queues of `[AsyncActions]` and of the tasks of `[FetchTasks]`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::build;
use super::disk::{Disk, Overlap};
use super::kind::Value;
use super::reader::{Listed, Reader};
use super::settings::{
    FetchSettings, FetchTask, IngestSettings, IngestTarget, Output, QueueKind, QueueSettings,
};
use super::table::{self, TYPE_ECHO, TYPE_FETCH, TYPE_INGEST};
use crate::aci::catalog::builtin;

/// The queue that there is without `[AsyncActions]`.
const DEFAULT_QUEUE: &str = "Process";

/// What becomes of an action of any kind that was running when the server died, unless `OnRestart` says so.
pub(super) const ON_RESTART_OF_KINDS: &str = "Requeue";

/// What the sections with chosen names are for, so that `unknown` can judge their keys.
#[derive(Debug, Default)]
pub(super) struct Roles<'r> {
    /// The listed queues and, where it is good, the word of their type.
    pub(super) queues: Vec<(&'r str, Option<&'static str>)>,
    pub(super) tasks: Vec<&'r str>,
    /// Whether all that was listed is here: else a section without a part may have one.
    pub(super) are_whole: bool,
}

/// Makes the queues; data of an Ingest queue goes below `data_directory` by default, and only where
/// `disk` says that there can be a directory.
pub(super) fn queues<'r>(
    reader: &mut Reader<'r>,
    data_directory: &Path,
    disk: &dyn Disk,
) -> (Vec<QueueSettings>, Roles<'r>) {
    let before = reader.findings.problem_count();
    let listed = listed_queues(reader);
    // A queue that is refused may be the one that a fetch needs: then that is not told as well.
    let all_good = reader.findings.problem_count() == before;

    let before = reader.findings.problem_count();
    let (tasks, task_names) = tasks(reader, &listed);
    let are_whole = all_good && reader.findings.problem_count() == before;
    let tasks: Arc<[FetchTask]> = tasks.into();
    let (target, batch_size) = ingestion(reader, &listed, all_good);
    let fetches = listed.iter().any(|(_, word)| *word == Some(TYPE_FETCH));
    if fetches && task_names.is_empty() {
        reader.findings.warning(None, || {
            "[FetchTasks] lists no task, so a fetch has nothing to do".to_owned()
        });
    } else if !fetches && !task_names.is_empty() && all_good {
        let line = reader.ini.section("FetchTasks").map(|section| section.line);
        reader.findings.warning(line, || {
            "[FetchTasks] has no effect, because no queue has Type=FileSystemConnector".to_owned()
        });
    }

    let mut queues = Vec::new();
    for (name, word) in &listed {
        let kind = match *word {
            Some(TYPE_ECHO) => QueueKind::Echo,
            Some(TYPE_INGEST) => {
                let ingest = ingest(reader, name, data_directory);
                // What lies in a DataDirectory that can't be one was told with it.
                let told = ingest.output_directory.starts_with(data_directory)
                    && !disk.can_be(data_directory);
                if !told && let Some(reason) = build::no_directory(disk, &ingest.output_directory) {
                    reader.problem_at(name, table::OUTPUT_DIRECTORY, reason);
                }
                for directory in &ingest.allowed_source_directories {
                    warn_if_absent(
                        reader,
                        disk,
                        name,
                        table::ALLOWED_SOURCE_DIRECTORIES,
                        directory,
                    );
                }
                QueueKind::Ingest(ingest)
            }
            Some(TYPE_FETCH) => QueueKind::Fetch(FetchSettings {
                tasks: Arc::clone(&tasks),
                ingest: target.clone(),
                batch_size,
            }),
            _ => continue,
        };
        let limits = build::limits(reader, &[name, "Actions"]);
        if limits.on_restart.is_none() {
            reader.derived(name, table::ON_RESTART, ON_RESTART_OF_KINDS, "that of its Type");
        }
        queues.push(QueueSettings { name: (*name).to_owned(), kind, limits });
    }
    if fetches {
        for task in tasks.iter() {
            for directory in &task.directories {
                warn_if_absent(reader, disk, &task.name, table::DIRECTORY_PATH_CSVS, directory);
            }
        }
        warn_of_own_data(reader, disk, data_directory, &queues, &tasks);
    }
    (queues, Roles { queues: listed, tasks: task_names, are_whole })
}

/// Warns of a directory to read from that is not there. It may come later, so it stops nothing.
fn warn_if_absent(
    reader: &mut Reader<'_>,
    disk: &dyn Disk,
    section: &str,
    key: &table::Key,
    directory: &Path,
) {
    if let Some(why) = disk.lacks(directory) {
        reader.warn_at(section, key, &format!("names {}: {why}", directory.display()));
    }
}

/// Warns of directories to fetch that have something in common with what this server writes itself.
fn warn_of_own_data(
    reader: &mut Reader<'_>,
    disk: &dyn Disk,
    data_directory: &Path,
    queues: &[QueueSettings],
    tasks: &[FetchTask],
) {
    let mut own =
        vec![(format!("DataDirectory {}", data_directory.display()), data_directory.to_owned())];
    own.extend(queues.iter().filter_map(|queue| match &queue.kind {
        // What lies in the DataDirectory was told with it.
        QueueKind::Ingest(ingest) if !ingest.output_directory.starts_with(data_directory) => {
            let path = &ingest.output_directory;
            Some((format!("OutputDirectory {} of [{}]", path.display(), queue.name), path.clone()))
        }
        _ => None,
    }));
    own.extend(disk.output_files().into_iter().map(|p| (format!("log {}", p.display()), p)));
    for task in tasks {
        for directory in &task.directories {
            for (name, path) in &own {
                let (directory, overlap) = (directory.display(), disk.overlap(directory, path));
                let what = match overlap {
                    Some(Overlap::Above) => {
                        format!("is {directory}, which holds the {name}: no task enters that")
                    }
                    Some(Overlap::Within) => format!(
                        "is {directory}, which lies in the {name}: no task enters that, so this one fails"
                    ),
                    None => continue,
                };
                reader.warn_at(&task.name, table::DIRECTORY_PATH_CSVS, &what);
            }
        }
    }
}

/// Returns names and types of the queues.
fn listed_queues<'r>(reader: &mut Reader<'r>) -> Vec<(&'r str, Option<&'static str>)> {
    let Some(list) = reader.ini.section("AsyncActions") else {
        let how = "without [AsyncActions] there is this queue";
        reader.derived("AsyncActions", table::QUEUE_NAME, DEFAULT_QUEUE, how);
        let there = reader.ini.section(DEFAULT_QUEUE).and_then(|s| s.get(table::TYPE.name));
        let word = match there {
            Some(_) => reader.word(&[DEFAULT_QUEUE], table::TYPE),
            None => {
                reader.derived(DEFAULT_QUEUE, table::TYPE, TYPE_ECHO, how);
                Some(TYPE_ECHO)
            }
        };
        return vec![(DEFAULT_QUEUE, word)];
    };
    let before = reader.findings.problem_count();
    let names = reader.list(list, table::QUEUE_NUMBER, table::QUEUE_NAME, |name| {
        builtin(name).is_some().then(|| "cannot be taken: that action answers at once".to_owned())
    });
    if names.is_empty() && reader.findings.problem_count() == before {
        reader.problem_at(
            "AsyncActions",
            table::QUEUE_NAME,
            "is missing: at least one queue is needed",
        );
    }
    let mut queues = Vec::new();
    for listed in names {
        let word = reader
            .section_of(list, listed, table::TYPE)
            .filter(|section| reader.require(section, table::TYPE))
            .and_then(|section| reader.word(&[section.name], table::TYPE));
        queues.push((listed.name, word));
    }
    queues
}

fn ingest(reader: &mut Reader<'_>, name: &str, data_directory: &Path) -> IngestSettings {
    let output = match reader.value(&[name], table::OUTPUT) {
        Some(Value::Words(words)) => words,
        _ => Vec::new(),
    };
    IngestSettings {
        output: output
            .into_iter()
            .map(|word| if word == "idx" { Output::Idx } else { Output::Json })
            .collect(),
        output_directory: match reader.text(&[name], table::OUTPUT_DIRECTORY) {
            Some(given) => PathBuf::from(given),
            None => {
                let below = data_directory.join(name.to_ascii_lowercase());
                let (shown, how) = (below.to_string_lossy(), "below DataDirectory");
                reader.derived(name, table::OUTPUT_DIRECTORY, &shown, how);
                below
            }
        },
        max_content_size: reader.size(&[name], table::MAX_CONTENT_SIZE),
        max_output_size: reader.size(&[name], table::MAX_OUTPUT_SIZE),
        allowed_source_directories: reader
            .texts(&[name], table::ALLOWED_SOURCE_DIRECTORIES)
            .into_iter()
            .map(PathBuf::from)
            .collect(),
    }
}

/// Returns the tasks, and the names of all that were listed, good or not.
fn tasks<'r>(
    reader: &mut Reader<'r>,
    queues: &[(&'r str, Option<&'static str>)],
) -> (Vec<FetchTask>, Vec<&'r str>) {
    let Some(list) = reader.ini.section("FetchTasks") else {
        return (Vec::new(), Vec::new());
    };
    let names = reader.list(list, table::TASK_NUMBER, table::TASK_NAME, |name| {
        queues
            .iter()
            .any(|(queue, _)| queue.eq_ignore_ascii_case(name))
            .then(|| "cannot be taken: there is a queue of that name".to_owned())
    });
    let tasks = names
        .iter()
        .filter_map(|listed: &Listed<'r>| {
            let section = reader.section_of(list, *listed, table::DIRECTORY_PATH_CSVS)?;
            reader.require(section, table::DIRECTORY_PATH_CSVS);
            let own = &[section.name];
            Some(FetchTask {
                name: listed.name.to_owned(),
                directories: reader
                    .texts(own, table::DIRECTORY_PATH_CSVS)
                    .into_iter()
                    .map(PathBuf::from)
                    .collect(),
                recursive: reader.boolean(own, table::DIRECTORY_RECURSIVE),
                file_match: reader.texts(own, table::DIRECTORY_FILE_MATCH),
                no_crawl: match reader.value(own, table::PATH_NO_CRAWL_REGEX) {
                    Some(Value::Regex(regex)) => Some(regex),
                    _ => None,
                },
                allow_empty_root: reader.boolean(own, table::ALLOW_EMPTY_ROOT),
            })
        })
        .collect();
    (tasks, names.into_iter().map(|listed| listed.name).collect())
}

/// Returns where documents go and how many go at once.
///
/// Without a good target the answer is a queue with an empty name, and there is a problem if a fetch
/// would use it.
fn ingestion(
    reader: &mut Reader<'_>,
    queues: &[(&str, Option<&'static str>)],
    all_good: bool,
) -> (IngestTarget, usize) {
    let section = "Ingestion";
    let batch_size = reader.size(&[section], table::INGEST_BATCH_SIZE);
    let given =
        |key: &table::Key| reader.ini.section(section).is_some_and(|s| s.get(key.name).is_some());
    let there = (given(table::INGEST_HOST), given(table::INGEST_PORT), given(table::INGEST_QUEUE));
    let host = reader.text(&[section], table::INGEST_HOST);
    let port = u16::try_from(reader.integer(&[section], table::INGEST_PORT)).unwrap_or_default();
    let wanted = reader.text(&[section], table::INGEST_QUEUE);

    match there {
        (true, true, queue) => {
            if queue {
                let what = "has no effect: the documents go to IngestHost and IngestPort";
                reader.warn_at(section, table::INGEST_QUEUE, what);
            }
            return (IngestTarget::Remote { host: host.unwrap_or_default(), port }, batch_size);
        }
        (true, false, _) => reader.problem_at(section, table::INGEST_HOST, "needs IngestPort too"),
        (false, true, _) => reader.problem_at(section, table::INGEST_PORT, "needs IngestHost too"),
        (false, false, _) => {}
    }

    let mut local =
        queues.iter().filter(|(_, word)| *word == Some(TYPE_INGEST)).map(|(name, _)| *name);
    let found = match &wanted {
        Some(wanted) => {
            let found = local.find(|name| name.eq_ignore_ascii_case(wanted));
            if found.is_none() && all_good {
                let reason = "must be the name of a queue of [AsyncActions] with Type=Ingest";
                reader.problem_at(section, table::INGEST_QUEUE, reason);
            }
            found
        }
        None => local.next(),
    };
    if let (None, Some(found)) = (&wanted, found) {
        let how = "the first queue with Type=Ingest";
        reader.derived(section, table::INGEST_QUEUE, found, how);
    }
    let fetch = queues.iter().find(|(_, word)| *word == Some(TYPE_FETCH));
    if let (None, None, Some((name, _)), true, (false, false, false)) =
        (found, &wanted, fetch, all_good, there)
    {
        let reason = "has nowhere to send its documents: list a queue with Type=Ingest in \
                      [AsyncActions], or set IngestHost and IngestPort in [Ingestion]";
        reader.problem_at(name, table::TYPE, reason);
    }
    (IngestTarget::Queue(found.unwrap_or_default().to_owned()), batch_size)
}
