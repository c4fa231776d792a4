//! Reads the handlers of events: the keys of `[Actions]` and of queues that name them, and the section of each.

mod command;
mod http;
mod lua;

use std::path::{Path, PathBuf};

use actiond_actors::outbox::HandlerSettings;
use actiond_actors::store::EventKind;

use super::disk::Disk;
use super::key::{Key, Section};
use super::kind_reader::SectionReader;
use super::queues::Purposes;
use super::reader::Reader;
use super::settings::QueueConfig;
use super::table::events as keys;
use super::table::fixed_section;
use super::value::Value;
use crate::aci::words::shorten;
use crate::events::handlers::{
    CALLBACKS, CallbackSettings, EventSettings, Format, HandlerConfig, HostPattern, Library,
    TextFileSettings,
};
use crate::logging::{StreamSettings, is_old_name};

const ACTIONS: &str = "Actions";

/// Largest number of handlers: each has an actor.
const MAX_HANDLERS: usize = 64;

/// The keys that name handlers, and the events of which those hear.
const KINDS: [(&Key, EventKind); 7] = [
    (keys::ON_START, EventKind::Start),
    (keys::ON_FINISH, EventKind::Finish),
    (keys::ON_ERROR, EventKind::Error),
    (keys::ON_ERROR_REPORT, EventKind::ErrorReport),
    (keys::ON_CANCEL, EventKind::Cancel),
    (keys::ON_STOP, EventKind::Stop),
    (keys::ON_QUEUE_EVENT, EventKind::Queue),
];

/// Makes the handlers, and tells the queues which of them hear of what. The sections of handlers are added to `purposes`.
pub(super) fn events<'r>(
    reader: &mut Reader<'r>,
    queues: &mut [QueueConfig],
    purposes: &mut Purposes<'r>,
    data: &Path,
    disk: Disk,
) -> EventSettings {
    let mut found = Found { purposes, data, disk, handlers: Vec::new() };
    let of_all: Vec<_> = KINDS.iter().map(|(key, _)| reader.given_texts(&[ACTIONS], key)).collect();
    // Of a handler that no queue hears of, mistakes are told, too.
    for ((key, _), names) in KINDS.iter().zip(&of_all) {
        for name in names.iter().flatten() {
            found.handler(reader, ACTIONS, key, name);
        }
    }
    thresholds(reader, &[ACTIONS]);
    for queue in &mut *queues {
        let sections = [&*queue.name, ACTIONS];
        let (filling, emptying) = thresholds(reader, &sections);
        queue.limits.filling_threshold = filling;
        queue.limits.emptying_threshold = emptying;
        for (key, kind) in KINDS {
            let names = reader.texts(&sections, key);
            let is_own = reader.gives(&queue.name, key);
            let section = if is_own { &*queue.name } else { ACTIONS };
            let has_limit = queue.limits.max_queue_size.is_some();
            if kind == EventKind::Queue && is_own && !names.is_empty() && !has_limit {
                let what =
                    "hears of nothing but QueueEmpty: a queue without MaxQueueSize is never full";
                reader.warn_at(section, key, what);
            }
            for name in names {
                if let Some(handler) = found.handler(reader, section, key, &name) {
                    let handlers = std::mem::take(&mut queue.limits.handlers);
                    queue.limits.handlers = handlers.on(kind, handler);
                }
            }
        }
    }
    let callbacks = callbacks(reader, &mut found);
    if callbacks.is_some() {
        for queue in queues {
            let handlers = std::mem::take(&mut queue.limits.handlers);
            queue.limits.handlers = handlers.callbacks(CALLBACKS);
        }
    }
    EventSettings { handlers: found.handlers, callbacks }
}

/// Reads the thresholds of queue events.
fn thresholds(reader: &mut Reader<'_>, sections: &[&str]) -> (f64, f64) {
    let mut part = |key| match reader.value(sections, key) {
        Some(Value::Fraction(part)) => Some(part),
        _ => None,
    };
    let parts = (part(keys::QUEUE_FILLING_THRESHOLD), part(keys::QUEUE_EMPTYING_THRESHOLD));
    // What is wrong with one alone is told already.
    let (Some(filling), Some(emptying)) = parts else { return (0.0, 0.0) };
    let key = keys::QUEUE_EMPTYING_THRESHOLD;
    let gives = |key| sections.iter().find(|section| reader.gives(section, key)).copied();
    // The section to blame gives the key itself, or the other one.
    let place = gives(key).or_else(|| gives(keys::QUEUE_FILLING_THRESHOLD));
    if let Some(place) = place.filter(|_| emptying >= filling) {
        let reason = format!("must be less than QueueFillingThreshold, which is {filling}");
        reader.problem_at(place, key, reason);
    }
    (filling, emptying)
}

/// The handlers that were found by now.
struct Found<'a, 'r> {
    purposes: &'a mut Purposes<'r>,
    data: &'a Path,
    disk: Disk,
    handlers: Vec<HandlerConfig>,
}

impl<'r> Found<'_, 'r> {
    /// Returns the name of a handler as its section has it; reads that when it is named for the first time. `None` if it can't be
    /// used.
    fn handler(
        &mut self,
        reader: &mut Reader<'r>,
        by_section: &str,
        by: &Key,
        name: &str,
    ) -> Option<String> {
        let known = self.handlers.iter().find(|known| known.name.eq_ignore_ascii_case(name));
        if let Some(known) = known {
            return Some(known.name.clone());
        }
        let (section, form) = self.section(reader, by_section, by, name)?;
        if self.handlers.len() >= MAX_HANDLERS {
            let reason = format!("there may be {MAX_HANDLERS} handlers at most");
            reader.problem_at(by_section, by, reason);
            return None;
        }
        let Self { purposes, data, disk, .. } = self;
        let mut own = SectionReader::new(reader, section, data, *disk);
        let delivery = delivery(&mut own);
        let at_once = delivery.max_in_flight;
        let library = if form.name == keys::HTTP_HANDLER.name {
            Library::Http(Box::new(http::read(
                reader,
                section,
                http::Use::Handler,
                at_once,
                purposes,
                *disk,
            )))
        } else if form.name == keys::TEXT_FILE_HANDLER.name {
            let settings = text_file(&mut own);
            self.check_file(reader, section, &settings);
            Library::TextFile(settings)
        } else if form.name == keys::LUA_HANDLER.name {
            Library::Lua(lua::read(&mut own, at_once))
        } else {
            command::read(&mut own)?
        };
        self.handlers.push(HandlerConfig { name: section.to_owned(), library, delivery });
        Some(section.to_owned())
    }

    /// Finds the section of a handler, and what its library is.
    fn section(
        &mut self,
        reader: &mut Reader<'r>,
        by_section: &str,
        by: &Key,
        name: &str,
    ) -> Option<(&'r str, &'static Section)> {
        let Some(section) = reader.ini.section(name) else {
            let reason =
                format!("names {}, and there is no section [{}]", shorten(name), shorten(name));
            reader.problem_at(by_section, by, reason);
            return None;
        };
        let form = |word: Option<&str>| match word {
            Some("TextFileHandler") => keys::TEXT_FILE_HANDLER,
            Some("LuaHandler") => keys::LUA_HANDLER,
            Some("CommandHandler") => keys::COMMAND_HANDLER,
            _ => keys::HTTP_HANDLER,
        };
        let is_known = self.purposes.is_handler(section.name);
        let is_taken = fixed_section(reader.kinds, name).is_some()
            || name.eq_ignore_ascii_case(CALLBACKS)
            || self.purposes.names().any(|taken| taken.eq_ignore_ascii_case(name));
        if is_taken && !is_known {
            let reason = format!(
                "names {}, and the section of that name has another meaning",
                shorten(name)
            );
            reader.problem_at(by_section, by, reason);
            return None;
        }
        let is_there = section.get(keys::LIBRARY_NAME.name).is_some();
        let word = if is_there { reader.word(&[section.name], keys::LIBRARY_NAME) } else { None };
        let form = form(word);
        if !is_known {
            self.purposes.listed.push((section.name, form));
            reader.require(section, keys::LIBRARY_NAME, &keys::LIBRARY_NAME.kind.allowed());
            if word.is_some() {
                let required = form.keys.iter().filter(|key| key.is_required());
                for key in required.filter(|key| key.name != keys::LIBRARY_NAME.name) {
                    reader.require(section, key, &key.kind.allowed());
                }
            }
        }
        word.map(|_| (section.name, form))
    }

    /// Refuses a file that another handler writes, or that would be taken for an old one of its.
    fn check_file(&self, reader: &mut Reader<'_>, section: &str, settings: &TextFileSettings) {
        let others = self.handlers.iter().filter_map(|other| match &other.library {
            Library::TextFile(file) => Some((&*other.name, &*file.path)),
            _ => None,
        });
        for (other, path) in others {
            if is_one_of(path, &settings.path) || is_one_of(&settings.path, path) {
                let reason = format!("is the file of the handler {other}, or one of its old files");
                reader.problem_at(section, keys::FILE_PATH, reason);
            }
        }
    }
}

/// Returns true if the two are one file, or the second would be taken for an old one of the first.
fn is_one_of(file: &Path, other: &Path) -> bool {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    file == other
        || file.parent() == other.parent()
            && name(file).zip(name(other)).is_some_and(|(file, other)| is_old_name(&file, &other))
}

/// Returns the files of handlers as those of log streams, which must not be theirs.
pub(super) fn files(events: &EventSettings) -> Vec<StreamSettings> {
    let of_handler = |handler: &HandlerConfig| match &handler.library {
        Library::TextFile(file) => Some(file.as_stream(&handler.name)),
        _ => None,
    };
    events.handlers.iter().filter_map(of_handler).collect()
}

/// Adds a problem for each handler whose file is that of a log stream.
pub(super) fn check_streams(
    reader: &mut Reader<'_>,
    files: &[StreamSettings],
    streams: &[StreamSettings],
) {
    for file in files {
        let is_one = |stream: &&StreamSettings| {
            is_one_of(&stream.path, &file.path) || is_one_of(&file.path, &stream.path)
        };
        if let Some(stream) = streams.iter().find(is_one) {
            let reason =
                format!("is the file of the log stream {}, or one of its old files", stream.name);
            reader.problem_at(&file.name, keys::FILE_PATH, reason);
        }
    }
}

/// Reads the keys about delivery.
fn delivery(own: &mut SectionReader<'_, '_>) -> HandlerSettings {
    HandlerSettings {
        retries: u32::try_from(own.integer(keys::RETRIES)).unwrap_or_default(),
        retry_interval: own.seconds(keys::RETRY_INTERVAL),
        max_retry_interval: own.seconds(keys::MAX_RETRY_INTERVAL),
        max_in_flight: own.size(keys::MAX_IN_FLIGHT),
        max_pending: u64::try_from(own.integer(keys::MAX_PENDING)).unwrap_or(u64::MAX),
    }
}

fn text_file(own: &mut SectionReader<'_, '_>) -> TextFileSettings {
    let max_kb = u64::try_from(own.integer(keys::MAX_SIZE_KBS)).ok();
    TextFileSettings {
        path: own.text(keys::FILE_PATH).map(PathBuf::from).unwrap_or_default(),
        format: Format::of_word(own.word(keys::FORMAT)),
        max_bytes: max_kb.map(|size| size.saturating_mul(1_024)),
        max_old_files: usize::try_from(own.integer(keys::MAX_OLD_FILES)).ok(),
    }
}

/// Reads the hosts of a list. One that is none is a problem.
fn hosts(reader: &mut Reader<'_>, section: &str, key: &Key) -> Option<Vec<HostPattern>> {
    let given = reader.given_texts(&[section], key)?;
    let mut hosts = Vec::new();
    for text in given {
        match HostPattern::parse(&text) {
            Some(host) => hosts.push(host),
            None => {
                let reason = format!("has {}: it must be {}", shorten(&text), key.kind.allowed());
                reader.problem_at(section, key, reason);
            }
        }
    }
    Some(hosts)
}

/// Number of callbacks under way unless it is set: they go to many receivers, of which some hang.
const CALLBACKS_IN_FLIGHT: usize = 16;

/// Reads whether submissions may name an address, and how those are told.
fn callbacks<'r>(reader: &mut Reader<'r>, found: &mut Found<'_, 'r>) -> Option<CallbackSettings> {
    let hosts = hosts(reader, ACTIONS, keys::ALLOWED_CALLBACK_HOSTS);
    let by = keys::CALLBACK_HANDLER;
    let named = reader.text(&[ACTIONS], by);
    let section = named.as_deref().and_then(|name| {
        let (section, form) = found.section(reader, ACTIONS, by, name)?;
        if form.name == keys::HTTP_HANDLER.name {
            return Some(section);
        }
        reader.problem_at(ACTIONS, by, "must name a section with LibraryName=HttpHandler");
        None
    });
    let hosts = hosts.filter(|hosts| !hosts.is_empty());
    if hosts.is_none() && named.is_some() {
        reader.warn_at(
            ACTIONS,
            by,
            "has no effect: without AllowedCallbackHosts no submission may name an address",
        );
    }
    if hosts.iter().flatten().any(HostPattern::is_any) {
        let what = "lets whoever may submit an action have this server send requests to any host that it reaches";
        reader.warn_at(ACTIONS, keys::ALLOWED_CALLBACK_HOSTS, what);
    }
    if hosts.is_none() && section.is_none() {
        return None;
    }
    // Without a section the defaults hold; no section has this name.
    let section = section.unwrap_or_default();
    let mut delivery = delivery(&mut SectionReader::new(reader, section, found.data, found.disk));
    if !reader.gives(section, keys::MAX_IN_FLIGHT) {
        delivery.max_in_flight = CALLBACKS_IN_FLIGHT;
    }
    let receiver = http::Use::Callbacks(hosts.clone().unwrap_or_default());
    let http =
        http::read(reader, section, receiver, delivery.max_in_flight, found.purposes, found.disk);
    Some(CallbackSettings { allowed_hosts: hosts?, http: Box::new(http), delivery })
}

#[cfg(test)]
mod tests;
