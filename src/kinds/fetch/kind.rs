//! `Type=FileSystemConnector`: the configuration of the queues that fetch. They share the tasks of `[FetchTasks]` and the
//! target of `[Ingestion]`.

use std::sync::Arc;

use actiond_actors::{OnRestart, Perform};

use super::super::{ConfiguredQueue, ConfiguredQueues, Kind, Site, WrittenDirectory};
use super::own::{self, Overlap};
use super::schedule;
use super::{Fetch, FetchOptions, FetchTask, IngestTarget, PARAMS};
use crate::aci::catalog::ParamSpec;
use crate::config::{Key, KindReader, Section, SectionReader, TYPE, ValueKind};
use crate::schedules::Schedule;

const INGESTION: &Section = &Section::fixed(
    "Ingestion",
    "Where fetched documents go.",
    &[INGEST_BATCH_SIZE, INGEST_QUEUE, INGEST_HOST, INGEST_PORT],
);

const CONNECTOR: &Section = &Section::fixed(
    "Connector",
    "What holds for all fetch tasks.",
    &[schedule::ENABLE_SCHEDULED_TASKS],
);

pub(super) const FETCH_TASKS: &Section = &Section::fixed(
    "FetchTasks",
    "What queues with Type=FileSystemConnector do.",
    &[
        TASK_NUMBER,
        TASK_NAME,
        schedule::SCHEDULE_START_TIME,
        schedule::SCHEDULE_CYCLES,
        schedule::SCHEDULE_REPEAT_SECS,
    ],
);

const TASK: &Section = &Section::listed(
    "DIR1",
    "task",
    FETCH_TASKS,
    &[
        DIRECTORY_PATH_CSVS,
        DIRECTORY_RECURSIVE,
        DIRECTORY_FILE_MATCH,
        PATH_NO_CRAWL_REGEX,
        ALLOW_EMPTY_ROOT,
        schedule::SCHEDULE_START_TIME,
        schedule::SCHEDULE_CYCLES,
        schedule::SCHEDULE_REPEAT_SECS,
    ],
);

const INGEST_BATCH_SIZE: &Key = &Key::with_default(
    "IngestBatchSize",
    ValueKind::from_to(1, 10_000),
    "100",
    "How many documents a fetch sends to Ingest in one action; fewer once their files hold 100 MB.",
);

const INGEST_QUEUE: &Key = &Key::optional(
    "IngestQueue",
    ValueKind::Name,
    "Ingest",
    "The queue of this server that gets the documents. The default is the first one with Type=Ingest.",
);

const INGEST_HOST: &Key = &Key::optional(
    "IngestHost",
    ValueKind::Host,
    "ingest.example.org",
    "The host of another server that gets the documents instead; needs IngestPort.",
);

const INGEST_PORT: &Key = &Key::optional(
    "IngestPort",
    ValueKind::from_to(1, 65_535),
    "7000",
    "The ACI port of that server; needs IngestHost.",
);

const TASK_NUMBER: &Key = &Key::optional(
    "Number",
    ValueKind::from_to(0, 1000),
    "1",
    "How many tasks are listed. Without it all numbered keys count.",
);

const TASK_NAME: &Key = &Key::numbered(
    "0",
    ValueKind::Name,
    "DIR1",
    "The names of the fetch tasks, numbered from 0; each has a section of its own.",
);

const DIRECTORY_PATH_CSVS: &Key = &Key::required(
    "DirectoryPathCSVs",
    ValueKind::Paths,
    "./docs,\"./a, b\"",
    "The directories to fetch; a path that holds a comma stands in double quotes. Must be given.",
);

const DIRECTORY_RECURSIVE: &Key = &Key::with_default(
    "DirectoryRecursive",
    ValueKind::Boolean,
    "true",
    "Whether the directories below them are fetched too.",
);

const DIRECTORY_FILE_MATCH: &Key = &Key::with_default(
    "DirectoryFileMatch",
    ValueKind::Wildcards,
    "*",
    "Which file names are fetched: * stands for any characters, ? for one.",
);

const PATH_NO_CRAWL_REGEX: &Key = &Key::optional(
    "PathNoCrawlRegex",
    ValueKind::Regex,
    "/\\.git(/|$)",
    "Files and directories whose path matches this are left out.",
);

const ALLOW_EMPTY_ROOT: &Key = &Key::with_default(
    "AllowEmptyRoot",
    ValueKind::Boolean,
    "false",
    "Whether known files are removed even where a directory yields none any more, or where another file system is in its place and more than half of them are gone. Otherwise the task fails then and removes nothing, because something may only not be mounted.",
);

/// `Type=FileSystemConnector`.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileSystemConnector;

impl Kind for FileSystemConnector {
    fn word(&self) -> &'static str {
        "FileSystemConnector"
    }

    /// Its own word, and those of other servers for what it does.
    fn log_types(&self) -> Vec<&'static str> {
        vec!["fetch", "synchronize", self.word()]
    }

    fn remembers(&self) -> Option<&'static str> {
        Some("which documents it has sent")
    }

    fn summary(&self) -> &'static str {
        "Finds new, changed and vanished files and hands them to Ingest."
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn on_restart(&self) -> OnRestart {
        OnRestart::Requeue
    }

    fn sections(&self) -> &'static [&'static Section] {
        &[CONNECTOR, INGESTION, FETCH_TASKS, TASK]
    }

    fn example(&self) -> (&'static str, &'static str) {
        ("Fetch", "A queue that fetches files; [FetchTasks] says which.")
    }

    fn read(&self, config: &mut KindReader<'_, '_>) -> ConfiguredQueues {
        let fetches = !config.own_queues().is_empty();
        // Tasks of other connectors have other keys, and need not have those of these.
        let tasks = if fetches || !config.knows_all_queues() {
            config.each_listed(TASK, |name, section| {
                (FetchTask::read(name, section), schedule::read(name, section))
            })
        } else {
            config.skip_listed(TASK);
            Vec::new()
        };
        let (tasks, schedules): (Vec<FetchTask>, Vec<_>) = tasks.into_iter().unzip();
        let is_enabled = config.section(CONNECTOR).boolean(schedule::ENABLE_SCHEDULED_TASKS);
        let schedules: Vec<Schedule> = schedules.into_iter().flatten().collect();
        let (ingest, batch_size) = ingestion(config);
        let lists_tasks = config.lists_any(TASK);
        if fetches && !lists_tasks {
            config.warning("[FetchTasks] lists no task, so a fetch has nothing to do");
        } else if !fetches && lists_tasks && config.knows_all_queues() {
            let what = "has no effect, because no queue has Type=FileSystemConnector";
            config.section(FETCH_TASKS).warning_about_all(what);
        }
        let settings =
            FetchSettings { tasks: tasks.into(), ingest, batch_size, schedules: Vec::new() };
        // One queue does them, though all share the tasks.
        let mut schedules = Some(schedules);
        config.each_queue(|queue| {
            let schedules = schedules.take().unwrap_or_default().into_iter();
            let schedules =
                schedules.map(|it| schedule::of_queue(it, queue.name(), is_enabled)).collect();
            Arc::new(FetchSettings { schedules, ..settings.clone() })
        })
    }
}

/// A queue with Type=FileSystemConnector; all of them share `[FetchTasks]` and `[Ingestion]`.
#[derive(Debug, Clone)]
pub struct FetchSettings {
    /// The tasks of `[FetchTasks]`, in that order; may be empty. All queues share them.
    pub tasks: Arc<[FetchTask]>,
    /// The target of documents.
    pub ingest: IngestTarget,
    /// `IngestBatchSize`: documents in one Ingest action, from 1 to 10,000.
    pub batch_size: usize,
    /// The schedules of tasks, each with the name of its task. One queue has them all.
    pub schedules: Vec<Schedule>,
}

impl ConfiguredQueue for FetchSettings {
    fn check(&self, config: &mut KindReader<'_, '_>, written: &[WrittenDirectory]) {
        if config.may_look_at_disk() {
            for task in self.tasks.iter() {
                for directory in &task.directories {
                    config.named(&task.name).warn_if_absent(DIRECTORY_PATH_CSVS, directory);
                }
            }
            warn_of_own_data(&self.tasks, config, written);
        }
    }

    fn schedules(&self) -> Vec<Schedule> {
        self.schedules.clone()
    }

    fn performer(&self, site: &Site<'_>) -> Arc<dyn Perform> {
        // One for all queues: they share the tasks, and it keeps two runs of a task apart.
        Arc::new(site.shared(|| {
            Fetch::new(FetchOptions {
                tasks: self.tasks.to_vec(),
                ingest: self.ingest.clone(),
                batch_size: self.batch_size,
                data_directory: site.data_directory().to_owned(),
                own_directories: site.written().to_vec(),
            })
        }))
    }
}

impl FetchTask {
    fn read(name: &str, section: &mut SectionReader<'_, '_>) -> Self {
        Self {
            name: name.to_owned(),
            directories: section.paths(DIRECTORY_PATH_CSVS),
            recursive: section.boolean(DIRECTORY_RECURSIVE),
            file_match: section.texts(DIRECTORY_FILE_MATCH),
            no_crawl: section.regex(PATH_NO_CRAWL_REGEX),
            allow_empty_root: section.boolean(ALLOW_EMPTY_ROOT),
        }
    }
}

/// Returns the target of documents and the size of a batch.
///
/// Without a good target it returns a queue with an empty name, and reports a problem if a fetch would use it.
fn ingestion(config: &mut KindReader<'_, '_>) -> (IngestTarget, usize) {
    let mut section = config.section(INGESTION);
    let batch_size = section.size(INGEST_BATCH_SIZE);
    let gives =
        (section.gives(INGEST_HOST), section.gives(INGEST_PORT), section.gives(INGEST_QUEUE));
    let host = section.text(INGEST_HOST);
    let port = u16::try_from(section.integer(INGEST_PORT)).unwrap_or_default();
    let wanted = section.text(INGEST_QUEUE);

    match gives {
        (true, true, queue) => {
            if queue {
                let what = "has no effect: the documents go to IngestHost and IngestPort";
                section.warning(INGEST_QUEUE, what);
            }
            return (IngestTarget::Remote { host: host.unwrap_or_default(), port }, batch_size);
        }
        (true, false, _) => section.problem(INGEST_HOST, "needs IngestPort too"),
        (false, true, _) => section.problem(INGEST_PORT, "needs IngestHost too"),
        (false, false, _) => {}
    }

    let mut local = config.queues_for_documents().into_iter();
    let all_good = config.knows_all_queues();
    let found = match &wanted {
        Some(wanted) => local.find(|name| name.eq_ignore_ascii_case(wanted)),
        None => local.next(),
    };
    let mut section = config.section(INGESTION);
    match (&wanted, found) {
        (Some(_), None) if all_good => {
            let reason = "must be the name of a queue of [AsyncActions] with Type=Ingest";
            section.problem(INGEST_QUEUE, reason);
        }
        (None, Some(found)) => {
            section.derived(INGEST_QUEUE, found, "the first queue with Type=Ingest");
        }
        (None, None) if all_good && gives == (false, false, false) => {
            if let Some(name) = config.own_queues().first() {
                let reason = "has nowhere to send its documents: list a queue with Type=Ingest in \
                              [AsyncActions], or set IngestHost and IngestPort in [Ingestion]";
                config.named(name).problem(TYPE, reason);
            }
        }
        _ => {}
    }
    (IngestTarget::Queue(found.unwrap_or_default().to_owned()), batch_size)
}

/// Warns of directories to fetch that overlap with the server's own files.
fn warn_of_own_data(
    tasks: &[FetchTask],
    config: &mut KindReader<'_, '_>,
    written: &[WrittenDirectory],
) {
    let data = config.data_directory().to_owned();
    // Directories in the DataDirectory are reported with it.
    let written = written.iter().filter(|written| !written.path.starts_with(&data));
    let mut own = vec![(format!("DataDirectory {}", data.display()), data.clone())];
    own.extend(written.map(|WrittenDirectory { queue, key, path, .. }| {
        (format!("{} {} of [{queue}]", key.name(), path.display()), path.clone())
    }));
    own.extend(own::output_paths().into_iter().map(|p| (format!("log {}", p.display()), p)));
    for task in tasks {
        for directory in &task.directories {
            for (name, path) in &own {
                let (directory, overlap) = (directory.display(), own::overlap(directory, path));
                let what = match overlap {
                    Some(Overlap::Above) => {
                        format!("is {directory}, which holds the {name}: no task enters that")
                    }
                    Some(Overlap::Within) => format!(
                        "is {directory}, which lies in the {name}: no task enters that, so this one fails"
                    ),
                    None => continue,
                };
                config.named(&task.name).warning(DIRECTORY_PATH_CSVS, &what);
            }
        }
    }
}
