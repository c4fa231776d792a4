//! The clients of a storm, and what they were told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::calls::{Answer, Caller};
use crate::storm::Dice;

/// An action that was submitted.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) queue: &'static str,
    request: String,
    /// `None` until an answer came.
    pub(super) token: Option<String>,
    /// The final state that was shown.
    pub(super) ended: Option<String>,
}

impl Entry {
    /// An action that somebody else has submitted.
    pub(super) fn found(queue: &'static str, token: String) -> Self {
        Self { queue, request: String::new(), token: Some(token), ended: None }
    }
}

#[derive(Default)]
pub(crate) struct Ledger(Mutex<Vec<Entry>>);

/// More are not submitted while so many have not ended.
const MOST_OPEN: usize = 40;

impl Ledger {
    pub(super) fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plan(&self, dice: &mut Dice) -> usize {
        let mut entries = self.entries();
        let (queue, mark) = (dice.one_of(&["Again", "Once"]), entries.len());
        let sleep = dice.one_of(&["0", "0", "0", "0.02", "0.02", "0.1", "0.1", "0.3", "600"]);
        let fails = if dice.percent(15) { "&Fail=as%20planned" } else { "" };
        let request = format!("{queue}&Sleep={sleep}&Idempotency-Key=m{mark}{fails}");
        entries.push(Entry { queue, request, token: None, ended: None });
        mark
    }

    /// Submits an action, or submits it again if no answer came; `None` if none came.
    fn submit(&self, address: SocketAddr, index: usize) -> Option<()> {
        let request = self.entries()[index].request.clone();
        let token = ask(address, &request)?.success().must("token");
        self.entries()[index].token = Some(token);
        Some(())
    }

    /// Sends a command to an action, or asks how it stands; `None` if no answer came.
    pub(super) fn about(&self, address: SocketAddr, index: usize, what: &str) -> Option<()> {
        let (queue, token) = {
            let entry = &self.entries()[index];
            (entry.queue, entry.token.clone()?)
        };
        let request = format!("QueueInfo&QueueName={queue}&QueueAction={what}&Token={token}");
        let answer = ask(address, &request)?;
        // A command may be refused, since it has ended.
        let status = answer.value("status").filter(|_| answer.is_success());
        let ended = ["Finished", "Error", "Cancelled", "Stopped"];
        if let Some(status) = status.filter(|status| ended.contains(&status.as_str())) {
            let before = self.entries()[index].ended.replace(status.clone());
            assert!(before.is_none_or(|before| before == status), "{what}: {}", answer.0);
        }
        Some(())
    }

    fn step(&self, address: SocketAddr, dice: &mut Dice) -> Option<()> {
        let open: Vec<_> = {
            let entries = self.entries();
            let all = entries.iter().enumerate().filter(|(_, entry)| entry.ended.is_none());
            all.map(|(index, entry)| (index, entry.token.is_some())).collect()
        };
        if open.is_empty() || open.len() < MOST_OPEN && dice.percent(50) {
            let index = self.plan(dice);
            self.submit(address, index)?;
            return if dice.percent(20) { self.about(address, index, "cancel") } else { Some(()) };
        }
        match dice.one_of(&open) {
            (index, false) => self.submit(address, index),
            (index, true) => {
                let what = dice.one_of(&["getStatus", "getStatus", "cancel", "stop"]);
                self.about(address, index, what)
            }
        }
    }

    /// Submits and steers on one server, until that is gone.
    pub(super) fn play(&self, address: SocketAddr, dice: &mut Dice, dying: &AtomicBool) {
        while !dying.load(Ordering::SeqCst) {
            let done = self.step(address, dice);
            assert!(done.is_some() || dying.load(Ordering::SeqCst), "it lives, and did not answer");
        }
    }

    /// Brings all that was submitted to its end.
    pub(super) fn come_to_rest(&self, address: SocketAddr) {
        let number = self.entries().len();
        for index in 0..number {
            if self.entries()[index].token.is_none() {
                self.submit(address, index).expect("an answer");
            }
            self.about(address, index, "stop").expect("an answer");
        }
        for index in 0..number {
            let entry = || self.entries()[index].clone();
            crate::server::wait_until(&format!("the end of {:?}", entry()), || {
                self.about(address, index, "getStatus&Wait=1").expect("an answer");
                entry().ended.is_some()
            });
        }
    }
}

/// Sends one request on a connection of its own; `None` if no whole reply came.
fn ask(address: SocketAddr, action: &str) -> Option<Answer> {
    Caller::new(address).ok()?.ask(action).ok()
}
