//! The service port: by it programs watch the server, reload its configuration and end it, in a form of its own that is not ACI's.

mod live_config;

use crate::aci::catalog::{ActionSpec, ParamKind, ParamSpec, StandardRole};
pub(crate) use live_config::{ConfigFindings, LiveConfig, ReloadOutcome};

/// The actions of the service port (source: the pages about service actions; the parameters of `GetLogStream` are those that public
/// clients send). `ReloadConfig` is our choice, and so is that what shows the configuration, or what others have sent, needs the
/// same role as what changes something.
pub const SERVICE_ACTIONS: &[ActionSpec<'static>] = &[
    ActionSpec {
        name: "GetStatus",
        summary: "Says if the server runs.",
        asynchronous: false,
        role: StandardRole::ServiceStatus,
        params: &[],
    },
    ActionSpec {
        name: "GetStatusInfo",
        summary: "Shows the process, the version and the start of the server.",
        asynchronous: false,
        role: StandardRole::ServiceStatus,
        params: &[],
    },
    ActionSpec {
        name: "GetStatistics",
        summary: "Shows counts of requests and actions, slots in use, the database and the process.",
        asynchronous: false,
        role: StandardRole::ServiceStatus,
        params: &[],
    },
    ActionSpec {
        name: "GetLogStreamNames",
        summary: "Shows the names of the streams of the log.",
        asynchronous: false,
        role: StandardRole::ServiceStatus,
        params: &[],
    },
    ActionSpec {
        name: "GetLogStream",
        summary: "Shows the last lines of a stream of the log.",
        asynchronous: false,
        role: StandardRole::ServiceControl,
        params: &[
            ParamSpec::required(
                "Name",
                ParamKind::Text,
                "The stream, as GetLogStreamNames names it.",
            ),
            ParamSpec::optional(
                "Tail",
                ParamKind::Integer { min: 1, max: u32::MAX as i64 },
                "How many lines to show; all that are kept in memory if not set.",
            ),
            ParamSpec::optional(
                "FromDisk",
                ParamKind::Boolean,
                "Has no effect: the lines are those that are kept in memory (LogHistorySize).",
            ),
        ],
    },
    ActionSpec {
        name: "GetConfig",
        summary: "Shows the value of each key of the configuration that is in force, and where it comes from. Secrets are masked.",
        asynchronous: false,
        role: StandardRole::ServiceControl,
        params: &[],
    },
    ActionSpec {
        name: "ValidateConfig",
        summary: "Reads the configuration file again, and says what is wrong with it. Nothing of it is put in force.",
        asynchronous: false,
        role: StandardRole::ServiceControl,
        params: &[],
    },
    ActionSpec {
        name: "ReloadConfig",
        summary: "Reads the configuration file again as SIGHUP does, and says what has changed and what needs a restart. With an error nothing changes.",
        asynchronous: false,
        role: StandardRole::ServiceControl,
        params: &[],
    },
    ActionSpec {
        name: "Stop",
        summary: "Ends the server as SIGTERM does: it takes no more actions, and running ones have ShutdownGraceSecs to end.",
        asynchronous: false,
        role: StandardRole::ServiceControl,
        params: &[],
    },
];
