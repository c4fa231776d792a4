//! A queue as clients see it.

use std::sync::Arc;

use actiond_actors::secrets::SecretNames;
use actiond_actors::{ActionStatus, QueueHandle, Timestamp};

use super::render::{self, More};
use super::run_permits::RunPermits;
use super::{attempts, work};
use crate::aci::catalog::{ActionSpec, ParamSpec, StandardRole};
use crate::aci::element::Element;
use crate::desk::Desk;

/// An asynchronous action as the help shows it: a queue, and what its actions take.
#[derive(Debug, Clone)]
pub(super) struct ServedQueue {
    pub(super) queue: QueueHandle,
    /// As tokens have it.
    pub(super) upper: String,
    /// For its actions that run at once (`Synchronous=true`).
    pub(super) permits: RunPermits,
    pub(super) summary: String,
    pub(super) params: Arc<[ParamSpec]>,
    /// Submissions are checked against them.
    pub(super) is_checked: bool,
    pub(super) role: StandardRole,
    /// The desk at which workers elsewhere take its actions, if they do.
    pub(super) desk: Option<Desk>,
    /// Its actions are programs.
    pub(super) runs_programs: bool,
    /// The parameters that no log shows.
    pub(super) secret_names: SecretNames,
}

impl ServedQueue {
    /// Makes the element of an action of this queue, as `getStatus` shows it.
    pub(super) fn show(
        &self,
        mut status: ActionStatus,
        token: String,
        now: Timestamp,
        more: More,
    ) -> Element {
        let holder = work::holder(self, &mut status.record);
        attempts::tell_who_stopped(self.runs_programs, &mut status.record);
        let server = status.record.run_by.and_then(|site| self.queue.site(site));
        let server = server.map(|site| Element::text("server", site.name.as_str()));
        render::action(status, token, now, more).children(holder).children(server)
    }

    pub(super) fn spec(&self) -> ActionSpec<'_> {
        ActionSpec {
            name: self.queue.name(),
            summary: &self.summary,
            asynchronous: true,
            role: self.role,
            params: &self.params,
        }
    }
}
