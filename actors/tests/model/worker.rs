//! One slot: its worker, and the work that the worker watches.

use crate::laws::Happened;
use crate::setup::Fault;
use crate::steps::Step;
use crate::world::{Attempt, End, Key, Slot, ToQueue, ToWorker, Wish, Worker};

impl Step<'_> {
    pub(crate) fn attempt_mut(&mut self, key: Key) -> Option<&mut Attempt> {
        self.world.server.as_mut()?.attempt_mut(key)
    }

    fn slot_mut(&mut self, slot: u8) -> Option<&mut Slot> {
        self.world.server.as_mut()?.slots.get_mut(usize::from(slot))
    }

    /// The worker takes the next message from its mailbox.
    pub(crate) fn worker_hears(&mut self, number: u8) {
        let Some(slot) = self.slot_mut(number) else { return };
        let running = slot.running;
        match slot.inbox.remove(0) {
            ToWorker::Run(key) => {
                self.happened(&Happened::Ran { key, crowded: running.is_some() });
                if self.runs_once() {
                    self.world.ran.insert(key.id);
                }
                if let Some(slot) = self.slot_mut(number) {
                    slot.running = Some(key);
                    slot.abandoned = false;
                }
            }
            ToWorker::Steer(key, wish) => {
                let to_slot = self.setup.has(Fault::StopToSlot);
                let Some(key) = running.filter(|running| *running == key || to_slot) else {
                    return;
                };
                if wish == Wish::Force {
                    return self.force(number, key);
                }
                // The queue has asked already; the worker only watches the time.
                if to_slot || self.setup.has(Fault::SteeredTwice) {
                    self.set_wish(key, wish);
                }
                if wish == Wish::Stop {
                    self.begin_grace(number, key);
                }
            }
            ToWorker::Interrupt => {
                let Some(key) = running else { return };
                if let Some(attempt) = self.attempt_mut(key) {
                    attempt.interrupted = true;
                }
                self.set_wish(key, Wish::Stop);
                self.begin_grace(number, key);
            }
        }
    }

    pub(crate) fn begin_grace(&mut self, slot: u8, key: Key) {
        if let Some(slot) = self.slot_mut(slot)
            && !slot.timers.contains(&key)
        {
            slot.timers.push(key);
        }
    }

    /// Asks something of the attempt. After a stop, only a harder stop is heard.
    pub(crate) fn set_wish(&mut self, key: Key, wish: Wish) {
        if wish >= Wish::Stop {
            self.happened(&Happened::Stopped { key });
        }
        if let Some(attempt) = self.attempt_mut(key)
            && (attempt.wish < Wish::Stop || wish > attempt.wish)
        {
            attempt.wish = wish;
        }
    }

    /// The grace period of an attempt is over.
    pub(crate) fn grace_ends(&mut self, number: u8, key: Key) {
        let to_slot = self.setup.has(Fault::StopToSlot);
        let Some(slot) = self.slot_mut(number) else { return };
        slot.timers.retain(|timer| *timer != key);
        match slot.running {
            Some(running) if running == key || to_slot => self.force(number, running),
            _ => {}
        }
    }

    /// Work that is a task is dropped, which ends it; a thread is only given up.
    fn force(&mut self, number: u8, key: Key) {
        if self.slot_mut(number).is_none_or(|slot| slot.running != Some(key)) {
            return;
        }
        self.set_wish(key, Wish::Force);
        let on_thread = self.setup.on_thread;
        let Some(slot) = self.slot_mut(number) else { return };
        if !on_thread || slot.abandoned {
            return;
        }
        slot.abandoned = true;
        let end = match self.stopped(key) {
            // Not again beside itself.
            End::Retry if !self.setup.has(Fault::AbandonedRetried) => End::Failed,
            end => end,
        };
        self.report(key, None, end, None);
    }

    fn stopped(&mut self, key: Key) -> End {
        match self.attempt_mut(key) {
            Some(attempt) if attempt.timed_out => self.failure(key),
            Some(attempt) if attempt.interrupted => End::Interrupted,
            _ => End::Stopped,
        }
    }

    /// Tells how the attempt ended, whose work came back as `returned` if it did, and the slot that it frees.
    fn report(&mut self, key: Key, returned: Option<End>, end: End, freed: Option<u8>) {
        self.happened(&Happened::Reported { key, returned, end });
        let Some(attempt) = self.attempt_mut(key) else { return };
        let end = *attempt.ended.get_or_insert(end);
        if let Some(server) = &mut self.world.server {
            server.tell(ToQueue::AttemptEnded(key, end, freed));
        }
    }

    /// The work comes back; it can only come back as stopped if it was asked to stop.
    pub(crate) fn work_returns(&mut self, number: u8, end: End) {
        let Some(slot) = self.slot_mut(number) else { return };
        let Some(key) = slot.running.take() else { return };
        let abandoned = std::mem::take(&mut slot.abandoned);
        slot.idle = true;
        let first = self.setup.has(Fault::SlotFreedFirst);
        if let (true, Some(server)) = (abandoned || first, &mut self.world.server) {
            server.tell(ToQueue::SlotFreed(number));
        }
        if !abandoned {
            let returned = Some(end);
            let asked = self.attempt_mut(key).is_some_and(|attempt| attempt.wish >= Wish::Stop);
            let taken = asked && self.setup.has(Fault::FinishTakenForStop);
            let end = match end {
                _ if end == End::Stopped || taken => self.stopped(key),
                End::Failed => self.failure(key),
                end => end,
            };
            self.report(key, returned, end, (!first).then_some(number));
        }
    }

    /// The worker dies, and tells of it while it is dropped.
    pub(crate) fn worker_dies(&mut self, number: u8) {
        let Some(slot) = self.slot_mut(number) else { return };
        slot.worker = Worker::Dead;
        slot.inbox.clear();
        slot.timers.clear();
        let abandoned = std::mem::take(&mut slot.abandoned);
        if let (Some(key), false) = (slot.running.take(), abandoned) {
            let end = self.failure(key);
            self.report(key, None, end, None);
        }
        if let Some(server) = &mut self.world.server {
            server.tell(ToQueue::WorkerLost(number));
        }
    }
}
