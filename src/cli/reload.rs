//! Reading the configuration again while the server runs: what can change takes effect at once, and what needs a restart is told.
//!
//! A configuration with an error, or with files that can't be used, changes nothing. What is new is found by the values of all
//! keys ([`Values`]); each [key](config::Key) says whether it is read again.

mod live_config;

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actiond_actors::QueueSettings;

use super::certificates::Certificates;
use super::endpoint::{access_of, is_local, limit, queue_settings};
use super::log_lines::LogStreams;
use crate::cli::args::ServeArgs;
use crate::config::{self, Change, Overrides, Parsed, Settings, Values, Warning};
use crate::documents::beneath;
use crate::front::Endpoint;
use crate::kinds::Kinds;

/// Largest number of changes that have a line of the log each, or of a reply.
const MAX_LINES: usize = 100;

/// The section that lists the queues.
const LIST_OF_QUEUES: &str = "AsyncActions";
/// The key by which a queue has its kind.
const TYPE: &str = config::TYPE.name();

/// The reason for which a configuration changes nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReloadError {
    #[error(transparent)]
    Config(#[from] config::ConfigError),
    #[error("{0} is gone")]
    FileGone(PathBuf),
    #[error(
        "no role is left, so everybody could do everything: end the server and start it again if that is meant"
    )]
    NoRoleLeft,
    #[error("{0}; that needs a restart")]
    NeedsRestart(String),
    #[error(transparent)]
    Thread(#[from] io::Error),
}

/// The outcome of reading the configuration again.
#[derive(Debug, Default)]
pub(super) struct Reloaded {
    /// The keys whose new values are in force.
    pub(super) changed: Vec<Change>,
    /// What has changed and has no effect before a restart, a sentence each.
    pub(super) needs_restart: Vec<String>,
    warnings: Vec<Warning>,
    roles: usize,
}

/// Reads the configuration, and logs its warnings. Blocks while the names of hosts are looked up.
pub(super) fn load(kinds: &Kinds, args: &ServeArgs) -> Result<Parsed, config::ConfigError> {
    let parsed = parse(kinds, args)?;
    log_warnings(&parsed.warnings);
    Ok(parsed)
}

fn parse(kinds: &Kinds, args: &ServeArgs) -> Result<Parsed, config::ConfigError> {
    let overrides = Overrides { port: args.port, data_directory: args.data.clone() };
    config::load_values(kinds, args.config.as_deref(), &overrides)
}

fn log_warnings(warnings: &[Warning]) {
    for warning in warnings {
        log::warn!("{warning}");
    }
}

/// Puts the configuration in force again.
pub(super) struct Reloader {
    kinds: Kinds,
    args: ServeArgs,
    /// The file that must be there: whoever replaces one may have it away for a moment.
    expected: Option<PathBuf>,
    endpoint: Endpoint,
    certificates: Certificates,
    shutdown_grace: Mutex<Duration>,
    /// True if only programs of this machine reach the server. Where it listens does not change while it runs.
    is_local: bool,
    /// Number of HTTP workers.
    workers: usize,
    log: LogStreams,
    /// Locked while the configuration is read and put in force, so that one comes after the other.
    state: tokio::sync::Mutex<State>,
}

struct State {
    in_force: Values,
    has_roles: bool,
}

impl Reloader {
    /// Makes one for a server that was started with these settings.
    pub(super) fn new(
        kinds: &Kinds,
        args: &ServeArgs,
        endpoint: &Endpoint,
        certificates: Certificates,
        workers: usize,
        log: LogStreams,
        Parsed { settings, in_force, .. }: &Parsed,
    ) -> Self {
        let expected = args.config.clone().or_else(|| {
            let default = PathBuf::from(config::DEFAULT_FILE);
            default.exists().then_some(default)
        });
        let has_roles = !settings.access.roles.is_empty();
        Self {
            kinds: kinds.clone(),
            args: args.clone(),
            expected,
            endpoint: endpoint.clone(),
            certificates,
            shutdown_grace: Mutex::new(settings.actions.shutdown_grace),
            is_local: is_local(settings),
            workers,
            log,
            state: tokio::sync::Mutex::new(State { in_force: in_force.clone(), has_roles }),
        }
    }

    /// Returns the time that running actions have at a shutdown, as it is in force.
    pub(super) fn shutdown_grace(&self) -> Duration {
        *self.shutdown_grace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the configuration and puts it in force, as far as that can be done while the server runs. The log says what came of
    /// it, and `why` it was done.
    ///
    /// # Errors
    ///
    /// The configuration can't be used; nothing has changed.
    pub(super) async fn reload(&self, why: &str) -> Result<Reloaded, ReloadError> {
        let mut state = self.state.lock().await;
        let read = self.read().await.inspect(|parsed| log_warnings(&parsed.warnings));
        match read.and_then(|parsed| self.check(parsed, state.has_roles)) {
            Ok(parsed) => {
                let reloaded = self.put_in_force(&mut state, parsed).await;
                reloaded.log(why);
                Ok(reloaded)
            }
            Err(error) => {
                log::error!("{why}: nothing was changed: {error}");
                Err(error)
            }
        }
    }

    /// Reads the configuration. Names of hosts are looked up, so a thread of its own waits for that.
    async fn read(&self) -> Result<Parsed, ReloadError> {
        if let Some(gone) = self.expected.as_ref().filter(|file| !file.exists()) {
            return Err(ReloadError::FileGone(gone.clone()));
        }
        let (kinds, args) = (self.kinds.clone(), self.args.clone());
        let read = actix_web::rt::task::spawn_blocking(move || parse(&kinds, &args));
        Ok(read.await.map_err(io::Error::other)??)
    }

    /// Returns a configuration that can be put in force while the server runs.
    fn check(&self, parsed: Parsed, had_roles: bool) -> Result<Parsed, ReloadError> {
        if had_roles && parsed.settings.access.roles.is_empty() {
            return Err(ReloadError::NoRoleLeft);
        }
        self.certificates.check(&parsed.settings).map_err(ReloadError::NeedsRestart)?;
        Ok(parsed)
    }

    async fn put_in_force(&self, state: &mut State, parsed: Parsed) -> Reloaded {
        let Parsed { settings, in_force, warnings } = parsed;
        let sorted =
            sort(state.in_force.changes(&in_force), &Queues::of(&self.endpoint, &settings));
        self.log.open(&settings);
        beneath::protect(settings.files.clone());
        self.endpoint.set_access(access_of(&settings));
        let limits =
            limit(&settings, self.is_local, Endpoint::builder(self.endpoint.system().clone()));
        self.endpoint.set_limits(limits);
        *self.shutdown_grace.lock().unwrap_or_else(PoisonError::into_inner) =
            settings.actions.shutdown_grace;
        if let Some(schedules) = self.endpoint.schedules() {
            schedules.replace(&settings.schedules);
        }
        self.endpoint.system().limit_store_bytes(settings.actions.max_datastore_size);
        for queue in settings.queues.iter().filter(|queue| !sorted.is_untouched(&queue.name)) {
            let Some(handle) = self.endpoint.system().queue(&queue.name) else { continue };
            // The system has the handlers with which it was started.
            let handlers = handle.settings().handlers.clone();
            let limits = QueueSettings { handlers, ..queue_settings(queue) };
            if *handle.settings() != limits {
                handle.set_settings(limits);
            }
        }
        #[cfg(unix)]
        if let Some(warning) = super::open_files::warning(&settings, self.workers) {
            log::warn!("{warning}");
        }
        self.certificates.reload(&settings).await;
        state.has_roles = !settings.access.roles.is_empty();
        state.in_force.follow(in_force, &sorted.kept);
        Reloaded {
            changed: sorted.changed,
            needs_restart: sorted.needs_restart,
            warnings,
            roles: settings.access.roles.len(),
        }
    }
}

/// The queues that a configuration lists, and those that run.
struct Queues {
    /// Listed, and not there.
    new: Vec<String>,
    /// There, and not listed.
    gone: Vec<String>,
}

impl Queues {
    fn of(endpoint: &Endpoint, settings: &Settings) -> Self {
        let there: Vec<_> =
            endpoint.system().queues().iter().map(|queue| queue.name().to_owned()).collect();
        let listed: Vec<_> = settings.queues.iter().map(|queue| queue.name.clone()).collect();
        let without = |all: &[String], others: &[String]| {
            let is_there = |name: &&String| !others.iter().any(|o| o.eq_ignore_ascii_case(name));
            all.iter().filter(is_there).cloned().collect()
        };
        Self { new: without(&listed, &there), gone: without(&there, &listed) }
    }
}

/// Changes, by what becomes of them.
#[derive(Debug, Default)]
struct Sorted {
    changed: Vec<Change>,
    needs_restart: Vec<String>,
    /// Those of which the earlier value stays in force.
    kept: Vec<Change>,
    /// The queues that have got another kind, so that none of their settings counts.
    other_kinds: Vec<String>,
}

impl Sorted {
    fn is_untouched(&self, queue: &str) -> bool {
        self.other_kinds.iter().any(|name| name.eq_ignore_ascii_case(queue))
    }
}

/// Sorts changes into those that can be put in force and those that need a restart. A queue that is new or has gone is told once,
/// and not key by key.
fn sort(changes: Vec<Change>, queues: &Queues) -> Sorted {
    let mut sorted = Sorted::default();
    let is_in = |names: &[String], section: &str| {
        names.iter().any(|name| name.eq_ignore_ascii_case(section))
    };
    for name in &queues.new {
        sorted.needs_restart.push(format!("the queue {name} is new: it needs a restart"));
    }
    for name in &queues.gone {
        let told = format!("the queue {name} is not listed any more: it goes on until a restart");
        sorted.needs_restart.push(told);
    }
    let others = !queues.new.is_empty() || !queues.gone.is_empty();
    let of_kind = |change: &Change| change.key.eq_ignore_ascii_case(TYPE);
    let is_told = |change: &Change| {
        let section = change.section.as_str();
        is_in(&queues.new, section)
            || is_in(&queues.gone, section)
            || others && section.eq_ignore_ascii_case(LIST_OF_QUEUES)
    };
    sorted.other_kinds = changes
        .iter()
        .filter(|change| of_kind(change) && !is_told(change))
        .map(|change| change.section.clone())
        .collect();
    for change in changes {
        if is_told(&change) {
            sorted.kept.push(change);
        } else if change.is_read_again && !sorted.is_untouched(&change.section) {
            sorted.changed.push(change);
        } else {
            sorted.needs_restart.push(format!("{change} needs a restart"));
            sorted.kept.push(change);
        }
    }
    sorted
}

impl Reloaded {
    fn log(&self, why: &str) {
        let Self { changed, needs_restart, roles, .. } = self;
        for change in changed.iter().take(MAX_LINES) {
            log::info!("{why}: {change} is in force");
        }
        for told in needs_restart.iter().take(MAX_LINES) {
            log::warn!("{why}: {told}");
        }
        let (changed, later) = (changed.len(), needs_restart.len());
        log::info!(
            "{why}: {roles} roles are in force; settings that have changed: {changed}; that need a restart: {later}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(section: &str, key: &str, is_read_again: bool) -> Change {
        Change {
            section: section.to_owned(),
            key: key.to_owned(),
            before: Some("1".to_owned()),
            now: Some("2".to_owned()),
            is_read_again,
        }
    }

    #[test]
    fn what_can_not_change_is_told_by_its_key_and_stays() {
        let changes = vec![
            change("Server", "Port", false),
            change("Work", "MaximumThreads", true),
            change("Other", "Type", false),
            change("Other", "MaximumThreads", true),
        ];
        let none = Queues { new: Vec::new(), gone: Vec::new() };
        let sorted = sort(changes.clone(), &none);
        assert_eq!(sorted.changed, [changes[1].clone()]);
        assert_eq!(
            sorted.needs_restart,
            [
                "[Server] Port=2 (before: 1) needs a restart",
                "[Other] Type=2 (before: 1) needs a restart",
                "[Other] MaximumThreads=2 (before: 1) needs a restart",
            ]
        );
        assert_eq!(sorted.kept, [0, 2, 3].map(|at| changes[at].clone()));
        assert!(sorted.is_untouched("other") && !sorted.is_untouched("Work"));
    }

    #[test]
    fn a_queue_that_is_new_or_has_gone_is_told_once() {
        let queues = Queues { new: vec!["New".to_owned()], gone: vec!["Old".to_owned()] };
        let changes = vec![
            change("AsyncActions", "0", false),
            change("New", "Type", false),
            change("new", "MaximumThreads", true),
            change("Old", "MaximumThreads", true),
            change("Work", "MaximumThreads", true),
        ];
        let sorted = sort(changes.clone(), &queues);
        assert_eq!(
            sorted.needs_restart,
            [
                "the queue New is new: it needs a restart",
                "the queue Old is not listed any more: it goes on until a restart",
            ]
        );
        assert_eq!(sorted.changed, changes[4..]);
        assert_eq!(sorted.kept, changes[..4]);
    }
}
