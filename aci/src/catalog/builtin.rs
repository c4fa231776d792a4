//! The actions that answer at once, and the parameters that every action or every asynchronous action has.

use super::{ANY, ActionSpec, MAX_START_SECS, ParamKind, ParamSpec, StandardRole};
use crate::queue_info::{QUEUE_ACTIONS, StateFilter, WaitFor};
use crate::queue_work::{MAX_TAKEN, WORK_ACTIONS};
use crate::response::ResponseFormat;

/// The longest time in seconds that a request may wait for an action to end (our choice).
pub const MAX_WAIT_SECS: u32 = 3600;

/// Every priority that an action can have (no range is documented, so this is our choice).
pub const PRIORITY: ParamKind = ParamKind::Integer { min: i32::MIN as i64, max: i32::MAX as i64 };

/// Parameters of every action (source: the documentation of standard ACI parameters).
pub const COMMON: &[ParamSpec] = &[
    ParamSpec::optional(
        "ActionID",
        ParamKind::Text,
        "Your name for this request; the server repeats it in its log.",
    ),
    ParamSpec::optional(
        "ResponseFormat",
        ParamKind::OneOf(ResponseFormat::NAMES),
        "The form of the reply; xml if not set.",
    ),
];

/// Parameters of every asynchronous action. `Synchronous` and `Sync` are documented, the rest is our choice.
pub const ASYNC_COMMON: &[ParamSpec] = &[
    ParamSpec::optional(
        "Priority",
        PRIORITY,
        "Actions of higher priority start first; 0 if not set.",
    ),
    ParamSpec::optional(
        "NotBefore",
        ParamKind::EarliestStart,
        "The action does not start before this time; until then it waits in the queue.",
    ),
    ParamSpec::optional(
        "Wait",
        ParamKind::Seconds { max: MAX_WAIT_SECS },
        "Waits that long for the action to end and replies with its result; with the token if the time is over.",
    ),
    ParamSpec::optional(
        "Synchronous",
        ParamKind::Boolean,
        "Set to true to run the action at once and reply with its result.",
    ),
    ParamSpec::optional("Sync", ParamKind::Boolean, "The same as Synchronous."),
    ParamSpec::optional(
        "CallbackURL",
        ParamKind::Text,
        "An address to which the end of the action is told; it must be on a host that the server allows.",
    ),
    ParamSpec::optional(
        "Idempotency-Key",
        ParamKind::Text,
        "A text of your choice: the same request with the same key returns the token of the first instead of queuing the action again; another request with it is refused.",
    ),
];

/// `QueueInfo`. Sources: the pages "QueueInfo" and "Use Asynchronous Actions"; `AllStages` and `MaxDepth` from later
/// pages; `Wait` and the state words beyond queued, running and finished are our choice.
pub const QUEUE_INFO: ActionSpec<'static> = ActionSpec {
    name: "QueueInfo",
    summary: "Shows the actions that the server has queued, is processing or has finished, and steers them.",
    asynchronous: false,
    // For each of its commands but `delete`: none is marked as administrative in the pages seen.
    role: StandardRole::Query,
    params: &[
        ParamSpec::required(
            "QueueAction",
            ParamKind::OneOf(QUEUE_ACTIONS),
            "What to do with the queue or with one action in it. A stop that comes too late changes nothing: the action ends Finished. retry starts the next attempt at once, also of an action that has ended in Error. delete deletes actions that have ended; it needs the role Admin.",
        ),
        ParamSpec::optional(
            "QueueName",
            ParamKind::Queue,
            "The queue; there is one for each asynchronous action. May be left out if Token is set.",
        ),
        ParamSpec::optional(
            "Token",
            ParamKind::Token,
            "One action in the queue; required for progress and duplicate, and for cancel, changePriority, retry and delete unless they are for many.",
        ),
        ParamSpec::optional(
            "Tokens",
            ParamKind::Tokens,
            "For cancel, stop, changePriority, retry and delete: many actions, with commas between the tokens. Those of other queues than QueueName are refused; without QueueName each token names its own.",
        ),
        ParamSpec::optional(
            "All",
            ParamKind::Boolean,
            "For cancel, stop, changePriority, retry and delete: true gives the command to all actions that the filters of getStatus select, and to the whole queue without a filter.",
        ),
        ParamSpec::optional(
            "Priority",
            PRIORITY,
            "For changePriority, which requires it: the new priority. Higher ones start first.",
        ),
        ParamSpec::optional(
            "State",
            ParamKind::ListOf(StateFilter::WORDS),
            "For getStatus and commands to many: only actions in these states; all if not set.",
        ),
        ParamSpec::optional(
            "Sort-By",
            ParamKind::OneOf(&["queue-time", "start-time", "finish-time"]),
            "For getStatus and commands to many: the time to sort by; queue-time if not set.",
        ),
        ParamSpec::optional(
            "Sort-Order",
            ParamKind::OneOf(&["ascending", "descending"]),
            "For getStatus and commands to many: descending, the newest first, if not set.",
        ),
        ParamSpec::optional(
            "Start",
            ParamKind::Integer { min: 1, max: i64::MAX },
            "For getStatus and commands to many: the place of the first action; 1 if not set.",
        ),
        ParamSpec::optional(
            "MaxResults",
            ParamKind::Integer { min: 0, max: i64::MAX },
            "For getStatus and commands to many: how many actions to return, or to give the command to, at most; all if not set.",
        ),
        ParamSpec::optional(
            "After",
            ParamKind::Token,
            "For getStatus without a token: only actions that come after this one in the order of the list, whether it is in the list or not; Start counts from there. The token of the last action of a page begins the next.",
        ),
        ParamSpec::optional(
            "Min-Priority",
            PRIORITY,
            "For getStatus and commands to many: only actions of this priority or a higher one.",
        ),
        ParamSpec::optional(
            "Max-Priority",
            PRIORITY,
            "For getStatus and commands to many: only actions of this priority or a lower one.",
        ),
        ParamSpec::optional(
            "Queued-After",
            ParamKind::Time,
            "For getStatus and commands to many: only actions queued after this second.",
        ),
        ParamSpec::optional(
            "Queued-Before",
            ParamKind::Time,
            "For getStatus and commands to many: only actions queued before this second.",
        ),
        ParamSpec::optional(
            "Started-After",
            ParamKind::Time,
            "For getStatus and commands to many: only actions started after this second.",
        ),
        ParamSpec::optional(
            "Started-Before",
            ParamKind::Time,
            "For getStatus and commands to many: only actions started before this second.",
        ),
        ParamSpec::optional(
            "Finished-After",
            ParamKind::Time,
            "For getStatus and commands to many: only actions that ended after this second.",
        ),
        ParamSpec::optional(
            "Finished-Before",
            ParamKind::Time,
            "For getStatus and commands to many: only actions that ended before this second.",
        ),
        ParamSpec::optional(
            "Parameter.NAME",
            ParamKind::Text,
            "For getStatus and commands to many: only actions that were given the parameter NAME with exactly this value.",
        ),
        ParamSpec::optional(
            "ActionID",
            ParamKind::Text,
            "For getStatus and commands to many: only actions that were sent with this ActionID. With a token, your name for this request.",
        ),
        ParamSpec::optional(
            "Text",
            ParamKind::Text,
            "For getStatus and commands to many: only actions whose error has this text in it, in any case.",
        ),
        ParamSpec::optional(
            "Wait",
            ParamKind::Seconds { max: MAX_WAIT_SECS },
            "For getStatus with a token: waits that long for the action to end, or for what WaitFor names. For commands to many: replies after that long with what was done until then.",
        ),
        ParamSpec::optional(
            "WaitFor",
            ParamKind::OneOf(WaitFor::WORDS),
            "For getStatus with a token and Wait: start waits until the action waits in its queue no more, change until its state, its progress or its partial result is another, end until it has ended; end if not set.",
        ),
        ParamSpec::optional(
            "Final",
            ParamKind::Boolean,
            "For getActionParameters: true shows the parameters of an action that has ended, too; false if not set.",
        ),
        ParamSpec::optional(
            "History",
            ParamKind::Boolean,
            "For getStatus: true shows each attempt at an action; false if not set.",
        ),
        ParamSpec::optional(
            "Log",
            ParamKind::Boolean,
            "For getStatus: true shows the last lines that running actions have logged; false if not set.",
        ),
        ParamSpec::optional(
            "Results",
            ParamKind::Boolean,
            "For getStatus: false leaves out what actions have returned; true if not set.",
        ),
        ParamSpec::optional(
            "Statistics",
            ParamKind::Boolean,
            "For queueStatus: true adds the number of actions in each state, slots, the oldest action that waits, and what the last hour was like; false if not set.",
        ),
        ParamSpec::optional(
            "AllStages",
            ParamKind::Boolean,
            "For progress: true shows finished and pending stages in full; false if not set.",
        ),
        ParamSpec::optional(
            "MaxDepth",
            ParamKind::Integer { min: 0, max: u32::MAX as i64 },
            "For progress: levels of stages to show; 0 for none, all if not set.",
        ),
        ParamSpec::optional(
            "Synchronous",
            ParamKind::Boolean,
            "Has no effect: QueueInfo always answers at once.",
        ),
    ],
};

/// `QueueWork` (our choice): the protocol of workers that do the actions of queues elsewhere.
pub const QUEUE_WORK: ActionSpec<'static> = ActionSpec {
    name: "QueueWork",
    summary: "Hands the actions of queues with Type=Remote to workers, and takes their progress and results.",
    asynchronous: false,
    role: StandardRole::Query,
    params: &[
        ParamSpec::required(
            "WorkAction",
            ParamKind::OneOf(WORK_ACTIONS),
            "What the worker wants: work, or to say something of work that it has.",
        ),
        ParamSpec::optional(
            "QueueName",
            ParamKind::Queue,
            "For take, which requires it: the queues to take from, with commas between them. The first that has something is taken from.",
        ),
        ParamSpec::optional(
            "Worker",
            ParamKind::Text,
            "For take and heartbeat: your name for the worker, which others are shown.",
        ),
        ParamSpec::optional(
            "Max",
            ParamKind::Integer { min: 1, max: MAX_TAKEN },
            "For take: how many actions to take at most; 1 if not set.",
        ),
        ParamSpec::optional(
            "Wait",
            ParamKind::Seconds { max: MAX_WAIT_SECS },
            "For take: waits that long for something to do. For heartbeat: waits that long for another wish, at most a third of the lease.",
        ),
        ParamSpec::optional(
            "Token",
            ParamKind::Token,
            "For all but take, which require it: the action, as take replied.",
        ),
        ParamSpec::optional(
            "Attempt",
            ParamKind::Integer { min: 1, max: u32::MAX as i64 },
            "For all but take, which require it: the attempt, as take replied.",
        ),
        ParamSpec::optional(
            "Progress",
            ParamKind::Text,
            "For heartbeat: percent done, from 0 to 100.",
        ),
        ParamSpec::optional(
            "Stage",
            ParamKind::Text,
            "For heartbeat: what is being done, in a few words.",
        ),
        ParamSpec::optional(
            "Partial",
            ParamKind::Text,
            "For heartbeat: the result so far, in the same forms as Result.",
        ),
        ParamSpec::optional(
            "Log",
            ParamKind::Text,
            "For heartbeat: lines to show with the action.",
        ),
        ParamSpec::optional(
            "Result",
            ParamKind::Text,
            "For finish: the result: XML elements, a JSON object, or any text.",
        ),
        ParamSpec::optional("Error", ParamKind::Text, "For fail: why it failed."),
        ParamSpec::optional(
            "Retry",
            ParamKind::Boolean,
            "For fail: false if another attempt would only fail again; true if not set.",
        ),
    ],
};

/// `ScheduleInfo` (our choice, after `QueueInfo`).
pub const SCHEDULE_INFO: ActionSpec<'static> = ActionSpec {
    name: "ScheduleInfo",
    summary: "Shows the schedules by which the server queues actions itself, and steers them. Without ScheduleAction it lists them.",
    asynchronous: false,
    role: StandardRole::Admin,
    params: &[
        ParamSpec::optional(
            "ScheduleAction",
            ParamKind::OneOf(&["run", "pause", "resume", "add", "remove"]),
            "run queues an action now; pause and resume hold a schedule and go on with it; add makes a new one, which is kept over restarts; remove removes one that was added.",
        ),
        ParamSpec::optional(
            "ScheduleName",
            ParamKind::Text,
            "The schedule; required with ScheduleAction. Without it only this one is listed.",
        ),
        ParamSpec::optional(
            "QueueName",
            ParamKind::Queue,
            "For add, which requires it: the action, by the name of its queue.",
        ),
        ParamSpec::optional(
            "Parameters",
            ParamKind::Text,
            "For add: parameters of the action as a query string, encoded once more. Any other parameter of this request is one of the action's, too.",
        ),
        ParamSpec::optional(
            "Cron",
            ParamKind::Text,
            "For add: when the action is due, as five or six fields of cron, or @daily and the like. Add needs this or RepeatSecs.",
        ),
        ParamSpec::optional(
            "RepeatSecs",
            ParamKind::Integer { min: 1, max: MAX_START_SECS as i64 },
            "For add: in place of Cron, the seconds from one due time to the next.",
        ),
        ParamSpec::optional(
            "StartTime",
            ParamKind::Text,
            "For add: the time before which it is not due; now if not set.",
        ),
        ParamSpec::optional(
            "Cycles",
            ParamKind::Integer { min: -1, max: 1_000_000_000 },
            "For add: the number of actions after which it ends; -1, no end, if not set.",
        ),
        ParamSpec::optional(
            "TimeZone",
            ParamKind::Text,
            "For add: the time zone, such as Europe/Berlin; the server's if not set.",
        ),
        ParamSpec::optional(
            "Overlap",
            ParamKind::OneOf(&["skip", "queue", "replace"]),
            "For add: what happens while its last action has not ended; skip if not set.",
        ),
        ParamSpec::optional(
            "CatchUp",
            ParamKind::OneOf(&["none", "once"]),
            "For add: what happens about times at which no server was there; none if not set.",
        ),
        ParamSpec::optional(
            "Jitter",
            ParamKind::Integer { min: 0, max: 86_400 },
            "For add: the longest random delay in seconds; 0 if not set.",
        ),
        ParamSpec::optional(
            "Enabled",
            ParamKind::Boolean,
            "For add: false if it only runs when asked; true if not set.",
        ),
        ParamSpec::optional(ANY, ParamKind::Text, "For add: a parameter of the action."),
    ],
};

/// `Admin`: the way to the page for people (source: it is an action of real servers).
pub const ADMIN: ActionSpec<'static> =
    plain("Admin", "Leads a browser to the admin page, and tells others its path.");

/// `Help`: this table.
pub const HELP: ActionSpec<'static> = ActionSpec {
    name: "Help",
    summary: "Lists the actions of this server with their parameters.",
    asynchronous: false,
    role: StandardRole::Query,
    params: &[ParamSpec::optional(
        "HelpAction",
        ParamKind::Text,
        "The name of one action, to show only that.",
    )],
};

/// Finds an action that answers at once, in any case.
#[must_use]
pub fn builtin(name: &str) -> Option<&'static ActionSpec<'static>> {
    BUILTIN.iter().find(|spec| spec.name.eq_ignore_ascii_case(name))
}

/// `BackupServer` (source: the pages about backups; the rest of the reply beside `filename` is our choice).
pub const BACKUP_SERVER: ActionSpec<'static> = ActionSpec {
    name: "BackupServer",
    summary: "Writes all actions, with what Fetch remembers and the configuration file, to a zip file on the server, while work goes on, and checks it.",
    asynchronous: false,
    role: StandardRole::Admin,
    params: &[ParamSpec::required(
        "Path",
        ParamKind::Text,
        "The directory for the file, below the data directory or one of [Server] BackupDirectories; a relative one begins in the data directory. It is made if it is missing.",
    )],
};

/// `RestoreServer` (source: the pages about backups).
pub const RESTORE_SERVER: ActionSpec<'static> = ActionSpec {
    name: "RestoreServer",
    summary: "Puts a file of BackupServer's in the place of all actions. What was there is kept aside. Refused while actions run.",
    asynchronous: false,
    role: StandardRole::Admin,
    params: &[ParamSpec::required(
        "FileName",
        ParamKind::Text,
        "The file, below the data directory or one of [Server] BackupDirectories; a relative one begins in the data directory.",
    )],
};

/// The words of `EventAction`.
pub const EVENT_ACTIONS: &[&str] = &["retry", "discard"];

/// `EventInfo` (our choice).
pub const EVENT_INFO: ActionSpec<'static> = ActionSpec {
    name: "EventInfo",
    summary: "Shows the handlers of events, and what each has not delivered.",
    asynchronous: false,
    role: StandardRole::Admin,
    params: &[
        ParamSpec::optional(
            "EventAction",
            ParamKind::OneOf(EVENT_ACTIONS),
            "What to do with events that could not be delivered: retry has them delivered again, discard deletes them. If not set they are only counted.",
        ),
        ParamSpec::optional(
            "Handler",
            ParamKind::Text,
            "The handler, by the name of its section; all if not set.",
        ),
    ],
};

/// Every action that answers at once on the ACI port. `GetStatus` is administrative (source: its page); so is
/// `GetRequestLog`, which shows what others sent (our choice).
pub const BUILTIN: &[ActionSpec<'static>] = &[
    QUEUE_INFO,
    QUEUE_WORK,
    SCHEDULE_INFO,
    plain("GetVersion", "Shows version, build, time and uptime of the server."),
    ActionSpec {
        role: StandardRole::Admin,
        ..plain("GetStatus", "Shows how the server is set up and what its queues do.")
    },
    plain("GetPid", "Shows the number of the server's process."),
    plain("GetChildren", "Shows name, host and ports of the server and the servers behind it."),
    plain("GetLicenseInfo", "Shows that the server needs no license, and its actions."),
    ActionSpec {
        name: "GetRequestLog",
        summary: "Shows the latest requests.",
        asynchronous: false,
        role: StandardRole::Admin,
        params: &[ParamSpec::optional(
            "Tail",
            ParamKind::Integer { min: 1, max: u32::MAX as i64 },
            "How many entries to show; all that are kept if not set.",
        )],
    },
    ActionSpec {
        name: "ShowPermissions",
        summary: "Shows what a client may do.",
        asynchronous: false,
        role: StandardRole::Query,
        params: &[ParamSpec::optional(
            "IP",
            ParamKind::Text,
            "The client's address; that of the caller if not set.",
        )],
    },
    BACKUP_SERVER,
    RESTORE_SERVER,
    EVENT_INFO,
    ADMIN,
    HELP,
];

const fn plain(name: &'static str, summary: &'static str) -> ActionSpec<'static> {
    ActionSpec { name, summary, asynchronous: false, role: StandardRole::Query, params: &[] }
}
