//! The batch being gathered: what arrived while another batch is in flight.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::inbox::SubmissionPort;
use crate::queue::QueueShared;
use crate::store::{Affected, Control, NewAction, Rejected, StoreError};

/// How many submissions go into one batch: control never waits behind more than these.
const MAX_SUBMISSIONS: usize = 1024;
/// How many bytes of parameters go into one batch.
const MAX_BYTES: usize = 8 << 20;

#[derive(Default)]
pub(super) struct Gathered {
    controls: Vec<(Control, Port)>,
    submissions: VecDeque<(NewAction, SubmissionPort)>,
}

/// Who gets the answer to a control.
pub(super) enum Port {
    /// A client; a client that has gone learns nothing, but the change is made.
    Client(oneshot::Sender<Result<Vec<Affected>, Rejected>>),
    /// The queue itself. The change must be made some time: it is kept if the store fails.
    Internal(Control),
}

/// The answers owed for the batch in flight, in its order.
pub(super) struct Ports {
    pub(super) controls: Vec<Port>,
    pub(super) submissions: Vec<SubmissionPort>,
}

impl Gathered {
    pub(super) fn is_empty(&self) -> bool {
        self.controls.is_empty() && self.submissions.is_empty()
    }

    pub(super) fn submission(&mut self, new: NewAction, reply: SubmissionPort) {
        self.submissions.push_back((new, reply));
    }

    pub(super) fn control(
        &mut self,
        control: Control,
        reply: oneshot::Sender<Result<Vec<Affected>, Rejected>>,
    ) {
        self.controls.push((control, Port::Client(reply)));
    }

    pub(super) fn internal(&mut self, control: Control) {
        self.controls.push((control.clone(), Port::Internal(control)));
    }

    /// Takes the next batch: every control, and as many submissions as one batch may hold.
    pub(super) fn next(&mut self) -> (Vec<Control>, Vec<NewAction>, Ports) {
        let (controls, control_ports) = std::mem::take(&mut self.controls).into_iter().unzip();
        let mut submissions = Vec::new();
        let mut submission_ports = Vec::new();
        let mut bytes = 0;
        while submissions.len() < MAX_SUBMISSIONS && bytes < MAX_BYTES {
            let Some((new, port)) = self.submissions.pop_front() else { break };
            if let NewAction::Given { parameters, .. } = &new {
                bytes += parameters.byte_len();
            }
            submissions.push(new);
            submission_ports.push(port);
        }
        let ports = Ports { controls: control_ports, submissions: submission_ports };
        (controls, submissions, ports)
    }
}

impl Ports {
    /// Tells every client that the batch failed, and puts back what must be written some time.
    pub(super) fn fail(self, error: &StoreError, gathered: &mut Gathered) {
        let mut kept = Vec::new();
        for port in self.controls {
            match port {
                Port::Client(reply) => {
                    let _ = reply.send(Err(Rejected::Store(error.clone())));
                }
                Port::Internal(control) => kept.push((control.clone(), Port::Internal(control))),
            }
        }
        for reply in self.submissions {
            let _ = reply.send(Err(Rejected::Store(error.clone())));
        }
        kept.append(&mut gathered.controls);
        gathered.controls = kept;
    }
}

impl Port {
    pub(super) fn answer(self, result: Result<Vec<Affected>, Rejected>, queue: &QueueShared) {
        match self {
            Self::Client(reply) => {
                let _ = reply.send(result);
            }
            Self::Internal(Control::End(end)) => {
                if let Err(rejected) = result {
                    log::warn!(
                        "queue {}: the end of attempt {} at action {} was dropped: {rejected:?}",
                        queue.name(),
                        end.attempt,
                        end.id
                    );
                    queue.count_dropped_report();
                }
                queue.release(end.id, end.attempt);
            }
            Self::Internal(_) => {}
        }
    }
}
