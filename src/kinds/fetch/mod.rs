//! Fetch: a connector to directories. Each task crawls its directories and tells Ingest what is new,
//! changed or gone since the last run.
//!
//! | module | contents |
//! |---|---|
//! | `kind` | the configuration |
//! | `parameters` | the parameters of an action |
//! | `sync` | one run of one task over a source; read this first |
//! | `source` | the trait of sources |
//! | `datastore` | the items that a task knows from its last run |
//! | `deliver`, `remote` | delivery to Ingest, here or on another server |
//! | `board` | progress and results |
//! | `directory` | the source of this connector: directories |
//! | `walk` | the files in a directory |
//! | `own` | the server's own files, which are never fetched |
//! | `mounts`, `file_system` | mount points: what is not mounted must not count as deleted |

use std::path::{Path, PathBuf};
use std::sync::Arc;

use actiond_actors::{
    ActionContext, Failure, Node, OnRestart, Parameters, Perform, Report, StopRequested, Work,
};
use regex::Regex;

use super::{WorkContext, shorten};
use crate::aci::words::list;
use crate::documents::beneath::Root;
use board::Board;
use deliver::{Deliver, Delivery};
use directory::Directories;
use sync::{SyncOptions, TaskError, synchronize};

mod board;
mod datastore;
mod deliver;
mod directory;
mod file_system;
mod kind;
mod mounts;
mod own;
mod parameters;
mod remote;
mod schedule;
mod source;
mod sync;
#[cfg(test)]
mod tests;
mod walk;

pub use kind::{FetchSettings, FileSystemConnector};
pub use parameters::PARAMS;

/// One task: the directories to crawl, and the files to take there.
#[derive(Debug, Clone)]
pub struct FetchTask {
    /// Its name, that of its section in the configuration.
    pub name: String,
    /// The directories to crawl; relative ones start at the working directory.
    pub directories: Vec<PathBuf>,
    /// True to crawl the directories below them as well.
    pub recursive: bool,
    /// Patterns for the names of files, with the wildcards `*` and `?`; none takes any file.
    pub file_match: Vec<String>,
    /// Files and directories whose path matches are passed over.
    pub no_crawl: Option<Regex>,
    /// True to count known files as gone even where a directory holds no file any more, or where most are gone since another
    /// file system is there. Otherwise the task fails then, because the right one may only not be mounted.
    pub allow_empty_root: bool,
}

/// The target of documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IngestTarget {
    /// The queue of this name, in this server. Beside `adds` it is given a parameter whose name begins
    /// with `actiond:`, which says what was found; a program that puts requests of clients into such
    /// a queue by itself must not take that from them.
    Queue(String),
    /// Another server, over ACI. It reads the files itself, as far as its configuration lets it.
    Remote {
        /// Its name or address.
        host: String,
        /// Its ACI port.
        port: u16,
    },
}

/// Options of Fetch.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// The tasks, in the order in which they run.
    pub tasks: Vec<FetchTask>,
    /// The target of documents.
    pub ingest: IngestTarget,
    /// Number of documents in one Ingest action, from 1.
    pub batch_size: usize,
    /// The directory for the tasks' datastores; created when it is needed.
    pub data_directory: PathBuf,
    /// Directories into which this program writes beside that one, such as those of Ingest. No task
    /// enters one of them, wherever it is met.
    pub own_directories: Vec<PathBuf>,
}

/// The performer of Fetch actions.
#[derive(Debug, Clone)]
pub struct Fetch(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: FetchOptions,
    /// One for each task: two actions on the same task wait for one another. An action holds one
    /// of them at a time, so they cannot wait in a ring.
    locks: Vec<Arc<tokio::sync::Mutex<()>>>,
}

impl Fetch {
    /// Makes a performer. Of several for the same data directory, no two may have the same tasks.
    #[must_use]
    pub fn new(options: FetchOptions) -> Self {
        let locks = options.tasks.iter().map(|_| Arc::default()).collect();
        Self(Arc::new(Inner { options, locks }))
    }

    /// Returns its options.
    #[must_use]
    pub fn options(&self) -> &FetchOptions {
        &self.0.options
    }
}

impl Perform for Fetch {
    fn perform(&self, context: ActionContext) -> Work {
        let inner = Arc::clone(&self.0);
        Work::blocking(move || {
            let warning = parameters::check(context.parameters())?;
            let chosen = inner.choose(context.parameters())?;
            let mut delivery = Delivery::new(&context, &inner.options.ingest);
            let lock = |lock: &Arc<tokio::sync::Mutex<()>>| {
                context.wait_for(Arc::clone(lock).lock_owned())
            };
            run(&inner.options, &chosen, warning, &mut delivery, &context, lock)
        })
    }

    fn can_pause(&self) -> bool {
        true
    }

    fn on_restart(&self) -> OnRestart {
        OnRestart::Requeue
    }
}

/// A task and its lock.
type Chosen<'a> = (&'a FetchTask, &'a Arc<tokio::sync::Mutex<()>>);

impl Inner {
    /// Returns the tasks that an action asks for, each once.
    fn choose(&self, parameters: &Parameters) -> Result<Vec<Chosen<'_>>, Failure> {
        let all = || self.options.tasks.iter().zip(&self.locks);
        let Some((parameter, sections)) = parameters::sections(parameters)? else {
            return Ok(all().collect());
        };
        let mut chosen: Vec<Chosen<'_>> = Vec::new();
        for name in list(sections) {
            let Some(found) = all().find(|(task, _)| task.name.eq_ignore_ascii_case(name)) else {
                let known: Vec<_> =
                    self.options.tasks.iter().map(|task| task.name.as_str()).collect();
                return Err(Failure::fatal(format!(
                    "{parameter}: \"{}\" is not a task; allowed are {}",
                    shorten(name),
                    known.join(", ")
                )));
            };
            if !chosen.iter().any(|(task, _)| std::ptr::eq(*task, found.0)) {
                chosen.push(found);
            }
        }
        if chosen.is_empty() {
            return Err(parameters::names_none(parameter));
        }
        Ok(chosen)
    }
}

/// Runs tasks one after another. If one fails, the others still run; the action fails only if all have failed.
fn run<G>(
    options: &FetchOptions,
    chosen: &[Chosen<'_>],
    warning: Option<Node>,
    deliver: &mut dyn Deliver,
    context: &dyn WorkContext,
    mut lock: impl FnMut(&Arc<tokio::sync::Mutex<()>>) -> Result<G, StopRequested>,
) -> Result<Report, Failure> {
    let mut board = Board::new(context, chosen.iter().map(|(task, _)| task.name.as_str()), warning);
    for (task, mutex) in chosen {
        let _guard = lock(mutex)?;
        context.checkpoint()?;
        let means = SyncOptions {
            data_directory: &options.data_directory,
            batch_size: options.batch_size,
            deliver: &mut *deliver,
        };
        let (data, own) = (&options.data_directory, &options.own_directories);
        let probe = |root: &Root, below: &Path| root.open(below, &[]).map(|(_, stamp)| stamp);
        let ended = Directories::open(task, data, own, &probe)
            .map_err(TaskError::Failed)
            .and_then(|mut source| synchronize(&task.name, &mut source, means, &mut board));
        match ended {
            Ok(()) => board.end(Ok(())),
            Err(TaskError::Failed(why)) => {
                log::warn!("task {} failed: {why}", task.name);
                context.report_error(&format!("task {} failed: {why}", task.name));
                board.end(Err(why));
            }
            Err(TaskError::Stopped) => return Err(Failure::Stopped),
        }
    }
    match board.all_failed() {
        // What the tasks have counted, and why each failed, was shown by the board and is kept.
        Some(why) => Err(Failure::Failed(why)),
        None => Ok(board.report()),
    }
}
