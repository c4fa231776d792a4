//! The one table of all settings: section, name, kind, default and meaning of every key.
//!
//! Parsing, the warnings about unknown keys and the printed reference (`describe`) all use it, so
//! they cannot disagree. Default values are told here alone.

use super::kind::Kind;

/// Where a key may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Server,
    /// Known, but it has no key yet.
    Service,
    Paths,
    Actions,
    AsyncActions,
    /// The section of a queue of any type.
    Queue,
    /// The section of a queue with Type=Ingest.
    IngestQueue,
    Ingestion,
    FetchTasks,
    /// The section of a task that `[FetchTasks]` lists.
    Task,
}

impl Scope {
    /// Every scope, in the order in which they are printed.
    pub(super) const ALL: [Self; 10] = [
        Self::Server,
        Self::Service,
        Self::Paths,
        Self::Actions,
        Self::AsyncActions,
        Self::Queue,
        Self::IngestQueue,
        Self::Ingestion,
        Self::FetchTasks,
        Self::Task,
    ];

    /// Returns the name of the section, or `None` where the administrator chooses it.
    pub(super) const fn section(self) -> Option<&'static str> {
        match self {
            Self::Server => Some("Server"),
            Self::Service => Some("Service"),
            Self::Paths => Some("Paths"),
            Self::Actions => Some("Actions"),
            Self::AsyncActions => Some("AsyncActions"),
            Self::Ingestion => Some("Ingestion"),
            Self::FetchTasks => Some("FetchTasks"),
            Self::Queue | Self::IngestQueue | Self::Task => None,
        }
    }

    /// Says which sections these are, for a message.
    pub(super) fn describe(self) -> String {
        match (self, self.section()) {
            (_, Some(name)) => format!("[{name}]"),
            (Self::IngestQueue, None) => "the section of a queue with Type=Ingest".to_owned(),
            (Self::Task, None) => "the section of a task in [FetchTasks]".to_owned(),
            (_, None) => "the section of a queue".to_owned(),
        }
    }

    pub(super) fn keys(self) -> impl Iterator<Item = &'static Key> {
        KEYS.iter().copied().filter(move |key| key.scopes.contains(&self))
    }
}

/// Finds the scope of a section whose name is fixed.
pub(super) fn fixed_scope(section: &str) -> Option<Scope> {
    let is = |scope: &Scope| scope.section().is_some_and(|name| name.eq_ignore_ascii_case(section));
    Scope::ALL.into_iter().find(is)
}

/// One setting.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) scopes: &'static [Scope],
    /// The name; `0` stands for all keys of a numbered list.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) default: Option<&'static str>,
    /// What the reference shows for a key without a default.
    pub(super) example: &'static str,
    /// One sentence, or two.
    pub(super) meaning: &'static str,
}

macro_rules! keys {
    ($($id:ident: [$($scope:ident),+] $name:literal, $kind:expr, $default:expr, $example:literal, $meaning:literal;)+) => {
        $(pub(super) const $id: &Key = &Key {
            scopes: &[$(Scope::$scope),+],
            name: $name,
            kind: $kind,
            default: $default,
            example: $example,
            meaning: $meaning,
        };)+
        /// Every key there is, in the order in which they are printed.
        pub(super) const KEYS: &[&Key] = &[$($id),+];
    };
}

const fn from_to(min: i64, max: i64) -> Kind {
    Kind::Integer { min, max, unlimited: false }
}

const fn or_unlimited(min: i64, max: i64) -> Kind {
    Kind::Integer { min, max, unlimited: true }
}

const BILLION: i64 = 1_000_000_000;
const DAY: i64 = 86_400;
const CENTURY: i64 = 36_525 * DAY;

/// The words of `Type`, in the order of `QueueKind`.
pub(super) const TYPE_ECHO: &str = "Echo";
pub(super) const TYPE_INGEST: &str = "Ingest";
pub(super) const TYPE_FETCH: &str = "FileSystemConnector";

keys! {
    PORT: [Server] "Port", from_to(0, 65_535), Some("7000"), "",
        "The port for ACI requests; 0 takes any free one.";
    BIND_ADDRESS: [Server] "BindAddress", Kind::Address, Some("127.0.0.1"), "",
        "The address to listen on. The default lets in programs on this machine only.";
    TOKEN_HOST: [Server] "TokenHost", Kind::Host, None, "actiond.example.org",
        "The host part of the tokens that are given out. The default is BindAddress, or 127.0.0.1 if that stands for all addresses.";
    ALLOWED_HOSTS: [Server] "AllowedHosts", Kind::Hosts, None, "actions.example.org",
        "Host names, without ports, by which clients may ask for this server. Where it listens on loopback addresses alone, those and TokenHost may be used in any case; elsewhere any name may, unless some are listed. * allows any.";
    ALLOWED_ORIGINS: [Server] "AllowedOrigins", Kind::Origins, None, "https://tools.example.org",
        "Origins of web pages of other servers whose scripts may send requests to this one and read the replies (CORS). * allows any page that is open in a browser to do everything that its user may.";
    THREADS: [Server] "Threads", from_to(0, 1024), Some("0"), "",
        "How many threads answer requests; 0 takes two for each core and one more, at most 32 more than cores. Each needs four open files.";
    MAX_INPUT_STRING: [Server] "MaxInputString", or_unlimited(1, 1_000_000), Some("64000"), "",
        "The longest request target in bytes, where a percent-encoded byte counts once. A request line of over 65000 bytes is refused in any case: send long parameters by POST.";
    MAX_FILE_UPLOAD_SIZE: [Server] "MaxFileUploadSize", or_unlimited(1, 1000 * BILLION), Some("10000000"), "",
        "The largest POST body in bytes.";
    MAX_UPLOAD_MEMORY: [Server] "MaxUploadMemory", or_unlimited(1_000_000, 1000 * BILLION), Some("50000000"), "",
        "How many bytes of POST bodies are held at the same time; of each, 16 KB are not counted. A body that finds no room waits for some seconds and is then refused; meanwhile those of which nothing came for two seconds lose what they hold. There is always room for one of MaxFileUploadSize, if that is not unlimited. While a body is read, stored and performed, it takes up to ten times its size.";
    MAX_REPLY_MEMORY: [Server] "MaxReplyMemory", or_unlimited(1_000_000, 1000 * BILLION), Some("50000000"), "",
        "How many bytes of replies of over 64 KB are held at the same time, until their clients have taken them. One that finds no room waits for some seconds and is then refused; one that is larger has to be alone. Long lists are sent in smaller pieces meanwhile.";
    REQUEST_TIMEOUT: [Server] "RequestTimeout", from_to(1, DAY), Some("30"), "",
        "How many seconds a client may take to send the head of a request, and as many for its body, plus one for each 1000 bytes of it.";
    REPLY_TIMEOUT: [Server] "ReplyTimeout", from_to(1, DAY), Some("60"), "",
        "After how many seconds in which a client takes nothing of its reply the connection is closed. Whatever runs or waits for a client alone ends a second after that has ended its side of the connection.";
    IDLE_TIMEOUT: [Server] "IdleTimeout", from_to(1, DAY), Some("75"), "",
        "How many seconds a connection is kept for the next request, at least 2; replies say two seconds less, at least 1 (Keep-Alive). One on which nothing was ever sent is closed after RequestTimeout.";
    STRICT_ACTION_VALIDATION: [Server] "StrictActionValidation", Kind::Boolean, Some("false"), "",
        "Whether a parameter that an action does not know is an error; otherwise it is ignored.";

    DATA_DIRECTORY: [Paths] "DataDirectory", Kind::Path, Some("./actions"), "",
        "The directory for the queues and all other data, relative to the working directory.";

    MAXIMUM_THREADS: [Actions, Queue] "MaximumThreads", from_to(1, 10_000), Some("1"), "",
        "How many actions of one queue run at the same time.";
    MAX_QUEUE_SIZE: [Actions, Queue] "MaxQueueSize", from_to(0, BILLION), Some("0"), "",
        "How many actions may wait in one queue before new ones are refused; 0 is unlimited.";
    MAX_FINISHED_SIZE: [Actions, Queue] "MaxFinishedSize", or_unlimited(1, BILLION), Some("100000"), "",
        "How many ended actions of one queue are kept for QueueInfo; the oldest go first.";
    MAX_FINISHED_AGE: [Actions, Queue] "MaxFinishedAge", Kind::Seconds { max: CENTURY }, Some("0"), "",
        "How long ended actions are kept, in seconds; 0 is for ever.";
    ON_RESTART: [Actions, Queue] "OnRestart", Kind::OneOf(&["Requeue", "Fail"]), None, "Requeue",
        "What becomes of an action that was running when the server died: it runs again, or it ends in Error. The default is that of the queue's Type.";
    STOP_GRACE_SECS: [Actions, Queue] "StopGraceSecs", Kind::Seconds { max: DAY }, Some("10"), "",
        "How many seconds an action that was asked to stop has before it is stopped by force.";
    SHUTDOWN_GRACE_SECS: [Actions] "ShutdownGraceSecs", Kind::Seconds { max: DAY }, Some("10"), "",
        "How many seconds running actions have to end by themselves when the server shuts down.";
    DURABILITY: [Actions] "Durability", Kind::OneOf(&["full", "normal"]), Some("full"), "",
        "When a request is acknowledged: full waits for the disk; normal survives a crash of the program, but not one of the machine.";

    QUEUE_NUMBER: [AsyncActions] "Number", from_to(1, 1000), None, "3",
        "How many queues are listed. Without it all numbered keys count.";
    QUEUE_NAME: [AsyncActions] "0", Kind::Name, None, "Process",
        "The names of the queues, numbered from 0; each has a section of its own with a Type. Without [AsyncActions] there is one queue, Process, with Type=Echo.";

    TYPE: [Queue] "Type", Kind::OneOf(&[TYPE_ECHO, TYPE_INGEST, TYPE_FETCH]), None, "Echo",
        "What the actions of this queue do. A queue's section may also hold most keys of [Actions], which then apply to this queue only.";

    OUTPUT: [IngestQueue] "Output", Kind::ListOf(&["idx", "json"]), Some("idx,json"), "",
        "The forms in which documents are written.";
    OUTPUT_DIRECTORY: [IngestQueue] "OutputDirectory", Kind::Path, None, "./actions/ingest",
        "The directory for the written documents. The default is the queue's name in lower case, in the DataDirectory.";
    MAX_CONTENT_SIZE: [IngestQueue] "MaxContentSize", from_to(0, BILLION), Some("1000000"), "",
        "How many bytes of text are taken from the source of one document; 0 takes none.";
    MAX_OUTPUT_SIZE: [IngestQueue] "MaxOutputSize", or_unlimited(1, 1000 * BILLION), Some("1000000000"), "",
        "How many bytes one action may write, in all its forms together. One that would write more ends in Error and leaves nothing.";
    ALLOWED_SOURCE_DIRECTORIES: [IngestQueue] "AllowedSourceDirectories", Kind::Paths, None, "./incoming,\"/srv/a, b\"",
        "The directories below which a client may name a file as the source of a document; there it may also have it deleted (lifetime=temporary). No link is followed, and the server's own directories are never read. The default is none; what Fetch finds on this server is read anyway.";

    INGEST_BATCH_SIZE: [Ingestion] "IngestBatchSize", from_to(1, 10_000), Some("100"), "",
        "How many documents a fetch sends to Ingest in one action; fewer once their files hold 100 MB.";
    INGEST_QUEUE: [Ingestion] "IngestQueue", Kind::Name, None, "Ingest",
        "The queue of this server that gets the documents. The default is the first one with Type=Ingest.";
    INGEST_HOST: [Ingestion] "IngestHost", Kind::Host, None, "ingest.example.org",
        "The host of another server that gets the documents instead; needs IngestPort.";
    INGEST_PORT: [Ingestion] "IngestPort", from_to(1, 65_535), None, "7000",
        "The ACI port of that server; needs IngestHost.";

    TASK_NUMBER: [FetchTasks] "Number", from_to(0, 1000), None, "1",
        "How many tasks are listed. Without it all numbered keys count.";
    TASK_NAME: [FetchTasks] "0", Kind::Name, None, "DIR1",
        "The names of the fetch tasks, numbered from 0; each has a section of its own.";

    DIRECTORY_PATH_CSVS: [Task] "DirectoryPathCSVs", Kind::Paths, None, "./docs,\"./a, b\"",
        "The directories to fetch; a path that holds a comma stands in double quotes. Must be given.";
    DIRECTORY_RECURSIVE: [Task] "DirectoryRecursive", Kind::Boolean, Some("true"), "",
        "Whether the directories below them are fetched too.";
    DIRECTORY_FILE_MATCH: [Task] "DirectoryFileMatch", Kind::Wildcards, Some("*"), "",
        "Which file names are fetched: * stands for any characters, ? for one.";
    PATH_NO_CRAWL_REGEX: [Task] "PathNoCrawlRegex", Kind::Regex, None, "/\\.git(/|$)",
        "Files and directories whose path matches this are left out.";
    ALLOW_EMPTY_ROOT: [Task] "AllowEmptyRoot", Kind::Boolean, Some("false"), "",
        "Whether known files are removed even where a directory yields none any more, or where another file system is in its place and more than half of them are gone. Otherwise the task fails then and removes nothing, because something may only not be mounted.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_or_example_is_a_good_value() {
        for key in KEYS {
            let text = key.default.unwrap_or(key.example);
            assert!(key.kind.parse(text).is_ok(), "{} = {text}", key.name);
            assert_eq!(key.default.is_some(), key.example.is_empty(), "{}: either", key.name);
            assert!(key.meaning.ends_with('.'), "{}", key.name);
        }
    }

    #[test]
    fn no_scope_has_a_key_twice() {
        for scope in Scope::ALL {
            let mut names: Vec<_> = scope.keys().map(|key| key.name.to_ascii_lowercase()).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{scope:?}");
        }
    }

    #[test]
    fn sections_are_found_without_regard_to_case() {
        assert_eq!(fixed_scope("asyncACTIONS"), Some(Scope::AsyncActions));
        assert_eq!(fixed_scope("Process"), None);
    }
}
