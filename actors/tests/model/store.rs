//! The store: one batch, one transaction. Each change of a row asks the real rules.

use actiond_actors::State;
use actiond_actors::Timestamp;
use actiond_actors::lifecycle::{
    Command, Ended, OnRestart, Recovery, Verdict, decide, is_current, not_before,
};

use crate::inbox::Batch;
use crate::laws::Happened;
use crate::moves::Cause;
use crate::retries;
use crate::setup::{Fault, Setup};
use crate::steps::Step;
use crate::world::{Affected, Control, End, Id, Key, New, Reply, ReplyTo, Row, Said, Time};

impl Step<'_> {
    /// Writes the sealed batch: controls in their order, then submissions, then claims, or, where
    /// those can't be written, all but the claims.
    pub(crate) fn store_writes(&mut self, now: Time, claims: bool) {
        let late = self.setup.has(Fault::SlotsReadLate).then(|| self.may_claim());
        let Some(batch) = self.take_writing() else { return };
        let may = late.unwrap_or(batch.claim);
        let mut controls = Vec::new();
        for (control, reply_to) in batch.controls {
            let answer = self.control(&control, now);
            if let (Some(_), ReplyTo::Client(request)) = (&answer, reply_to) {
                self.applied(request);
            }
            controls.push((control, reply_to, answer));
        }
        let mut submissions = Vec::new();
        for new in batch.submissions {
            let id = self.submit(new);
            if id.is_some() {
                self.applied(new.request);
            }
            submissions.push((new.request, id));
        }
        let most = if claims { may } else { 0 };
        let claimed = self.claim(most, &batch.picked, now);
        let counts = self.world.durable.counts;
        let seen = (self.world.durable.paused, counts[State::Queued as usize]);
        let not_due = self.world.durable.not_due();
        let reply = Reply::Durable { controls, submissions, claimed, claim: may, seen, not_due };
        self.written(batch.generation, reply);
    }

    /// Fails the sealed batch; nothing of it is changed.
    pub(crate) fn store_fails(&mut self) {
        if let Some(batch) = self.take_writing() {
            self.failed(batch);
        }
    }

    fn take_writing(&mut self) -> Option<Batch> {
        self.world.server.as_mut()?.writing.take()
    }

    fn applied(&mut self, request: u8) {
        if !self.world.clients.closed.contains(request) {
            self.world.durable.applied.insert(request);
        }
    }

    fn control(&mut self, control: &Control, now: Time) -> Option<Vec<Affected>> {
        let cause = Cause::of(control);
        match control {
            Control::Command(id, ask) => {
                let row = *self.world.durable.row(*id)?;
                let (_, command) = ask.command(self.setup.can_pause)?;
                Some(vec![self.command(&row, command, cause, now)?])
            }
            Control::End(key, end) => self.end(*key, *end, now),
            Control::PauseQueue => {
                self.world.durable.paused = !self.setup.has(Fault::PauseInMemory);
                let pause = Command::Pause { supported: self.setup.can_pause };
                Some(self.command_running(pause, cause, now))
            }
            Control::ResumeQueue => {
                self.world.durable.paused = false;
                Some(self.command_running(Command::Resume, cause, now))
            }
            Control::StopAll => Some(self.command_running(Command::Stop, cause, now)),
            Control::Recover(live, unbegun) => Some(self.recover(live, *unbegun, now)),
        }
    }

    fn command(
        &mut self,
        row: &Row,
        mut command: Command,
        cause: Cause,
        now: Time,
    ) -> Option<Affected> {
        if cause == Cause::Cancel && self.setup.has(Fault::CancelStops) && row.state.is_running() {
            command = Command::Stop;
        }
        let verdict = match decide(row.state, command) {
            Err(_) if cause == Cause::Retry && row.state.is_final() => {
                self.setup.has(Fault::RetryOfAny).then_some(Verdict::Move(State::Queued))?
            }
            decided => decided.ok()?,
        };
        if let (Command::ChangePriority(priority), Some(row)) =
            (command, self.world.durable.row_mut(row.id))
        {
            row.priority = priority as i8;
        }
        let (state, said) = match verdict {
            Verdict::Move(state) => {
                self.move_to(row, state, cause, now);
                (state, Said::Moved)
            }
            Verdict::Force => (row.state, Said::Forced),
            // Nobody deletes anything here.
            Verdict::Stay | Verdict::StatusOnly | Verdict::Delete | Verdict::Refused => {
                (row.state, Said::Stayed)
            }
        };
        if cause == Cause::Retry {
            self.retry(row.id, said);
        }
        Some(Affected { key: row.key(), state, said })
    }

    fn command_running(&mut self, command: Command, cause: Cause, now: Time) -> Vec<Affected> {
        let running: Vec<Row> =
            self.world.durable.rows.iter().filter(|row| row.state.is_running()).copied().collect();
        running.iter().filter_map(|row| self.command(row, command, cause, now)).collect()
    }

    /// What counts as running and is not alive runs nowhere. Of what is alive, it says how it stands.
    fn recover(&mut self, live: &[Key], unbegun: bool, now: Time) -> Vec<Affected> {
        let mut affected = Vec::new();
        let counts = self.world.durable.counts;
        for row in self.world.durable.rows.clone() {
            let lives = live.contains(&row.key()) && !self.setup.has(Fault::LiveForgotten);
            if self.setup.has(Fault::RecoveryOverwrites) && row.state == State::Finished {
                self.move_to(&row, State::Queued, Cause::Recovery, now);
            } else if row.state.is_running() && lives {
                affected.push(Affected { key: row.key(), state: row.state, said: Said::Stayed });
            } else if row.state.is_running() && unbegun {
                let release = Command::End(Ended::Released);
                affected.extend(self.command(&row, release, Cause::Unbegun, now));
            } else if row.state.is_running() {
                let Setup { on_restart, max_restarts, .. } = *self.setup;
                let recovery = Recovery { on_restart, max_restarts: max_restarts.into() };
                let recover = match recovery.command(row.restarts.into()) {
                    Command::Recover(_) if self.setup.has(Fault::GivenUpAtOnce) => Command::GiveUp,
                    command => command,
                };
                affected.extend(self.command(&row, recover, Cause::Recovery, now));
                let counted = max_restarts > 0 && !self.setup.has(Fault::RestartsForgotten);
                if let Some(row) = self.world.durable.row_mut(row.id) {
                    row.restarts += u8::from(counted && row.state == State::Queued);
                }
            }
        }
        if self.setup.has(Fault::CountsForgotten) {
            self.world.durable.counts = counts;
        }
        affected
    }

    /// A client wants the next attempt now, of an action that waits or that has failed for good.
    fn retry(&mut self, id: Id, said: Said) {
        let (kept, waits) = (Fault::FailuresKept, Fault::RetryWaits);
        let (kept, waits) = (self.setup.has(kept), self.setup.has(waits));
        if said == Said::Moved {
            self.world.clients.told_stopping.remove(id);
        }
        let Some(row) = self.world.durable.row_mut(id) else { return };
        row.waits &= waits;
        if said == Said::Moved {
            row.restarts = 0;
            row.failures = if kept { row.failures } else { 0 };
        }
        let row = *row;
        self.happened(&Happened::Retried { row });
    }

    fn end(&mut self, key: Key, end: End, now: Time) -> Option<Vec<Affected>> {
        let row = *self.world.durable.row(key.id)?;
        let current = is_current(row.state, row.attempt.into(), key.number.into());
        let taken = self.setup.has(Fault::LateReportTaken) && row.state.is_running();
        if !current && !taken {
            return None;
        }
        let state = match decide(row.state, Command::End(end.ended(self.setup.on_restart))) {
            Ok(Verdict::Move(State::Stopped)) if self.setup.has(Fault::RetryAfterStop) => {
                State::Queued
            }
            Ok(Verdict::Move(State::Finished))
                if row.state == State::Stopping && self.setup.has(Fault::StopOverwritesFinish) =>
            {
                State::Stopped
            }
            Ok(Verdict::Move(State::Error))
                if end == End::Retry && self.setup.has(Fault::StopForgotten) =>
            {
                State::Queued
            }
            Ok(Verdict::Move(state)) => state,
            _ => return None,
        };
        self.happened(&Happened::Ended { reported: key, end, row, to: state });
        self.move_to(&row, state, Cause::End, now);
        let counted = !self.setup.has(Fault::FailuresForgotten);
        let delays = self.setup.delays;
        if let (End::Retry, State::Queued, Some(row)) =
            (end, state, self.world.durable.row_mut(key.id))
        {
            row.failures += u8::from(counted);
            row.counted.0 += 1;
            row.waits = delays;
        }
        Some(vec![Affected { key, state, said: Said::Moved }])
    }

    fn submit(&mut self, new: New) -> Option<u8> {
        let (priority, waits) = match new.copy_of {
            None => (0, new.waits),
            Some(id) => {
                let row = self.world.durable.row(id)?;
                decide(row.state, Command::Duplicate).ok()?;
                (row.priority, row.waits)
            }
        };
        let durable = &mut self.world.durable;
        let id = if self.setup.has(Fault::IdsFromMemory) {
            durable.next().iter().map(|row| row.id).max().unwrap_or(0) + 1
        } else {
            durable.last_id + 1
        };
        durable.last_id = id;
        durable.rows.push(Row { waits, ..Row::queued(id, priority, new.queued_at) });
        durable.counts[State::Queued as usize] += 1;
        Some(id)
    }

    fn claim(&mut self, claim: usize, picked: &[Key], now: Time) -> Vec<Key> {
        let durable = &self.world.durable;
        let mut next = durable.next();
        if self.setup.has(Fault::ClaimNotAtomic) {
            next = picked.iter().filter_map(|key| durable.row(key.id)).copied().collect();
        }
        if self.setup.has(Fault::StartsEarly) || self.setup.has(Fault::NotDueBlocks) {
            let queued = durable.rows.iter().filter(|row| row.state == State::Queued);
            next = queued.copied().collect();
            next.sort_by_key(|row| (-row.priority, row.id));
        }
        if self.setup.has(Fault::NotDueBlocks) {
            next = next.into_iter().take_while(|row| !row.waits).collect();
        }
        if self.setup.has(Fault::LatestFirst) {
            next.reverse();
        }
        if self.setup.has(Fault::PriorityIgnored) {
            next.sort_by_key(|row| row.id);
        }
        if durable.paused {
            return Vec::new();
        }
        let mut claimed = Vec::new();
        for row in next.into_iter().take(claim) {
            let state = match decide(row.state, Command::Start) {
                Ok(Verdict::Move(state)) => state,
                _ if self.setup.has(Fault::ClaimNotAtomic) => State::Processing,
                _ => continue,
            };
            self.happened(&Happened::Claimed { row });
            self.move_to(&row, state, Cause::Start, now);
            let started_at = self.not_before(now, row.queued_at);
            if let Some(row) = self.world.durable.row_mut(row.id) {
                row.attempt += 1;
                row.started_at = Some(started_at);
                claimed.push(row.key());
            }
        }
        self.happened(&Happened::Served { short: claimed.len() < claim });
        claimed
    }

    fn move_to(&mut self, row: &Row, state: State, cause: Cause, now: Time) {
        self.happened(&Happened::Moved { row: *row, to: state, cause });
        let counts = &mut self.world.durable.counts;
        let left = &mut counts[row.state as usize];
        *left = left.saturating_sub(1);
        counts[state as usize] += 1;
        let finished_at = self.not_before(now, row.started_at.unwrap_or(row.queued_at));
        let counted = retries::count(self.setup, row, state, cause);
        if let Some(row) = self.world.durable.row_mut(row.id) {
            row.state = state;
            if state == State::Queued {
                (row.started_at, row.finished_at) = (None, None);
            }
            row.waits = false;
            row.counted = counted;
            if state.is_final() {
                row.finished_at = Some(finished_at);
            }
        }
    }

    fn not_before(&self, now: Time, earlier: Time) -> Time {
        if self.setup.has(Fault::ClockTrusted) {
            return now;
        }
        not_before(Timestamp(now.into()), Timestamp(earlier.into())).0 as Time
    }

    /// Whether each action may run only once.
    pub(crate) fn runs_once(&self) -> bool {
        self.setup.on_restart == OnRestart::Fail
    }
}
