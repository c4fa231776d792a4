//! The part of the table about handlers of events: the keys of queues that name them, and their sections.

mod http;

use super::super::key::{Key, Section};
use super::super::value::ValueKind;
use super::{ACTIONS, BILLION, DAY};
use crate::events::handlers::{Format, HOST_FORMS};
pub(in crate::config) use http::*;

/// The keys of `[Actions]` and of a queue that name the handlers of an event.
const NAMES: ValueKind = ValueKind::Texts("names of sections of handlers");

pub(in crate::config) const ON_START: &Key = &Key::optional(
    "OnStart",
    NAMES,
    "EventFile",
    "The handlers that hear when an action begins to be processed, each attempt anew. In the section of a queue, a key of these without a value is none.",
);

pub(in crate::config) const ON_FINISH: &Key = &Key::optional(
    "OnFinish",
    NAMES,
    "Receiver,EventFile",
    "The handlers that hear when an action has ended well.",
);

pub(in crate::config) const ON_ERROR: &Key = &Key::optional(
    "OnError",
    NAMES,
    "Receiver",
    "The handlers that hear when an action has ended in Error.",
);

pub(in crate::config) const ON_ERROR_REPORT: &Key = &Key::optional(
    "OnErrorReport",
    NAMES,
    "EventScript",
    "The handlers that hear when an error has happened and the action goes on: it is tried again, or its work goes on with the rest.",
);

pub(in crate::config) const ON_CANCEL: &Key = &Key::optional(
    "OnCancel",
    NAMES,
    "EventProgram",
    "The handlers that hear when a queued action was cancelled.",
);

pub(in crate::config) const ON_STOP: &Key = &Key::optional(
    "OnStop",
    NAMES,
    "EventProgram",
    "The handlers that hear when an action has ended because it was stopped.",
);

pub(in crate::config) const ON_QUEUE_EVENT: &Key = &Key::optional(
    "OnQueueEvent",
    NAMES,
    "EventScript",
    "The handlers that hear when a queue is full, fills, empties or is empty. A queue without MaxQueueSize is never full.",
);

pub(in crate::config) const QUEUE_FILLING_THRESHOLD: &Key = &Key::with_default(
    "QueueFillingThreshold",
    ValueKind::Fraction,
    "0.75",
    "The part of MaxQueueSize above which a queue is said to fill, once after it was empty or emptying.",
)
.read_again();

pub(in crate::config) const QUEUE_EMPTYING_THRESHOLD: &Key = &Key::with_default(
    "QueueEmptyingThreshold",
    ValueKind::Fraction,
    "0.5",
    "The part of MaxQueueSize below which a queue is said to empty, once after it was full or filling. It must be less than QueueFillingThreshold.",
)
.read_again();

pub(in crate::config) const ALLOWED_CALLBACK_HOSTS: &Key = &Key::optional(
    "AllowedCallbackHosts",
    ValueKind::Texts(HOST_FORMS),
    "hooks.example.org,*.apps.example.org,10.1.0.0/16",
    "The hosts that a submission may name in its CallbackURL, to be told there of the end of the action. Without it none may. Names are not looked up.",
);

pub(in crate::config) const CALLBACK_HANDLER: &Key = &Key::optional(
    "CallbackHandler",
    ValueKind::Name,
    "Receiver",
    "The section of an HttpHandler whose keys hold for CallbackURL, but for URL and AllowedHosts. Without it their defaults do, with MaxInFlight=16.",
);

const LIBRARIES: &[&str] = &["HttpHandler", "TextFileHandler", "LuaHandler", "CommandHandler"];

/// `LibraryName` of any handler.
pub(in crate::config) const LIBRARY_NAME: &Key = &library("HttpHandler");

const fn library(example: &'static str) -> Key {
    Key::required(
        "LibraryName",
        ValueKind::OneOf(LIBRARIES),
        example,
        "What the handler does with an event: HttpHandler sends it to a receiver, TextFileHandler writes a line to a file, LuaHandler calls a script, and CommandHandler runs a program.",
    )
}

pub(in crate::config) const FORMAT: &Key = &Key::with_default(
    "Format",
    ValueKind::OneOf(Format::WORDS),
    "xml",
    "The form of an event. xml is what getStatus showed of the action at that moment; json and simplejson are the same as these values of ResponseFormat; cloudevents is a CloudEvent 1.0 in structured mode.",
);

pub(in crate::config) const RETRIES: &Key = &Key::with_default(
    "Retries",
    ValueKind::from_to(0, 1000),
    "10",
    "How many times the delivery of an event is tried again. After that it is kept as failed, until EventInfo has it retried or discarded.",
);

pub(in crate::config) const RETRY_INTERVAL: &Key = &Key::with_default(
    "RetryInterval",
    ValueKind::from_to(1, DAY),
    "1",
    "How many seconds lie between a delivery that failed and the next. It doubles with each, and is cut by a random part of up to half.",
);

pub(in crate::config) const MAX_RETRY_INTERVAL: &Key = &Key::with_default(
    "MaxRetryInterval",
    ValueKind::from_to(1, DAY),
    "300",
    "Up to how many seconds that time grows.",
);

pub(in crate::config) const MAX_IN_FLIGHT: &Key = &Key::with_default(
    "MaxInFlight",
    ValueKind::from_to(1, 1000),
    "4",
    "How many events are delivered at a time. Those of one action come one after the other in any case.",
);

pub(in crate::config) const MAX_PENDING: &Key = &Key::with_default(
    "MaxPending",
    ValueKind::from_to(1, BILLION),
    "100000",
    "How many events are kept for the handler, waiting or failed. Beyond that the oldest are dropped, which the log and EventInfo tell.",
);

pub(in crate::config) const TIMEOUT_SECS: &Key = &Key::with_default(
    "TimeoutSecs",
    ValueKind::from_to(1, 3600),
    "20",
    "How many seconds a delivery may take.",
);

pub(in crate::config) const FILE_PATH: &Key = &Key::required(
    "FilePath",
    ValueKind::Path,
    "./events/events.jsonl",
    "The file. It is made with its directory if it is not there.",
);

pub(in crate::config) const MAX_SIZE_KBS: &Key = &Key::with_default(
    "MaxSizeKBs",
    ValueKind::or_unlimited(1, BILLION),
    "102400",
    "The size in KB beyond which the file gets its time behind its name, is compressed, and another one is begun.",
);

pub(in crate::config) const MAX_OLD_FILES: &Key = &Key::with_default(
    "MaxOldFiles",
    ValueKind::or_unlimited(0, BILLION),
    "10",
    "How many such old files are kept; the oldest are deleted.",
);

pub(in crate::config) const LUA_SCRIPT: &Key = &Key::required(
    "LuaScript",
    ValueKind::Path,
    "./events.lua",
    "The file of the script. It defines function handler(request, xml): a table with the parameters of the action, and the event as Format=xml has it. It is read at the start.",
);

pub(in crate::config) const ALLOW_UNSAFE: &Key = &Key::with_default(
    "AllowUnsafe",
    ValueKind::Boolean,
    "false",
    "Whether the script has Lua's libraries io, os, package and coroutine, and may load other code. It can then do all that the server's user may.",
);

pub(in crate::config) const MAX_MEMORY_KBS: &Key = &Key::with_default(
    "MaxMemoryKBs",
    ValueKind::from_to(1_000, 4_000_000),
    "64000",
    "How many KB of memory the script may take for an event.",
);

pub(in crate::config) const LUA_TIMEOUT_SECS: &Key = &Key::with_default(
    "TimeoutSecs",
    ValueKind::from_to(1, 3600),
    "5",
    "How many seconds the script may take for an event.",
);

pub(in crate::config) const COMMAND: &Key = &Key::required(
    "Command",
    ValueKind::Text,
    "/usr/local/bin/tell-somebody --quiet",
    "The program and its arguments, split at spaces as a shell does it, quotes included; no shell runs it. It reads the event from its standard input.",
);

pub(in crate::config) const WORKING_DIRECTORY: &Key = &Key::optional(
    "WorkingDirectory",
    ValueKind::Path,
    "/tmp",
    "The directory in which the program works. The default is that of the server.",
);

pub(in crate::config) const SUCCESS_EXIT_CODES: &Key = &Key::with_default(
    "SuccessExitCodes",
    ValueKind::Texts("numbers from 0 to 255"),
    "0",
    "The exit codes after which an event counts as delivered.",
);

/// The section of a handler that writes events to a file.
pub(in crate::config) const TEXT_FILE_HANDLER: &Section = &Section::listed(
    "EventFile",
    "handler with LibraryName=TextFileHandler",
    ACTIONS,
    &[
        &library("TextFileHandler"),
        FILE_PATH,
        FORMAT,
        MAX_SIZE_KBS,
        MAX_OLD_FILES,
        RETRIES,
        RETRY_INTERVAL,
        MAX_RETRY_INTERVAL,
        MAX_IN_FLIGHT,
        MAX_PENDING,
    ],
);

/// The section of a handler that calls a script.
pub(in crate::config) const LUA_HANDLER: &Section = &Section::listed(
    "EventScript",
    "handler with LibraryName=LuaHandler",
    ACTIONS,
    &[
        &library("LuaHandler"),
        LUA_SCRIPT,
        ALLOW_UNSAFE,
        MAX_MEMORY_KBS,
        LUA_TIMEOUT_SECS,
        RETRIES,
        RETRY_INTERVAL,
        MAX_RETRY_INTERVAL,
        MAX_IN_FLIGHT,
        MAX_PENDING,
    ],
);

/// The section of a handler that runs a program.
pub(in crate::config) const COMMAND_HANDLER: &Section = &Section::listed(
    "EventProgram",
    "handler with LibraryName=CommandHandler",
    ACTIONS,
    &[
        &library("CommandHandler"),
        COMMAND,
        WORKING_DIRECTORY,
        FORMAT,
        SUCCESS_EXIT_CODES,
        TIMEOUT_SECS,
        RETRIES,
        RETRY_INTERVAL,
        MAX_RETRY_INTERVAL,
        MAX_IN_FLIGHT,
        MAX_PENDING,
    ],
);
