//! The service port: by it programs watch the server and end it, in a form of its own that is not ACI's.

use crate::aci::catalog::{ActionSpec, StandardRole};

/// The actions of the service port.
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
        name: "Stop",
        summary: "Ends the server as SIGTERM does: it takes no more actions, and running ones have ShutdownGraceSecs to end.",
        asynchronous: false,
        role: StandardRole::ServiceControl,
        params: &[],
    },
];
