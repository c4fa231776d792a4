//! One action of the model.

use crate::action::{Parameters, State, Timestamp};
use crate::key::SubmissionKey;
use crate::lifecycle::{Command, Ended, OnRestart, Verdict, decide_kept, error_of, not_before};
use crate::store::{Affected, AttemptEnd, Claimed, PastAttempt, Record, Rejected, Resumed};

#[derive(Debug, Clone)]
pub(in super::super) struct Row {
    pub(in super::super) record: Record,
    /// `None` once it has ended and they are not kept.
    pub(in super::super) parameters: Option<Parameters>,
    pub(super) key: Option<SubmissionKey>,
    /// True if its parameters stay when it ends in the batch that is applied.
    pub(super) keeps_parameters: bool,
    failures: u32,
    pub(super) restarts: u32,
    pub(super) note: Option<String>,
    pub(in super::super) past: Vec<PastAttempt>,
}

impl Row {
    pub(super) const fn new(
        record: Record,
        parameters: Parameters,
        key: Option<SubmissionKey>,
    ) -> Self {
        Self {
            record,
            parameters: Some(parameters),
            key,
            keeps_parameters: true,
            failures: 0,
            restarts: 0,
            note: None,
            past: Vec::new(),
        }
    }

    /// Gives the action a command and writes what the rules say, with the times (Q9).
    pub(super) fn command(
        &mut self,
        now: Timestamp,
        command: Command,
    ) -> Result<Affected, Rejected> {
        let verdict = decide_kept(self.record.state, command, self.parameters.is_some());
        let verdict = verdict.map_err(Rejected::Refused)?;
        if let Command::ChangePriority(priority) = command {
            self.record.priority = priority;
        }
        if command == Command::Retry {
            self.record.not_before = None;
        }
        if let Verdict::Move(state) = verdict {
            self.move_to(state, now, command);
        }
        Ok(self.affected(verdict))
    }

    /// Ends the attempt that runs.
    pub(super) fn end(&mut self, now: Timestamp, end: &AttemptEnd) -> Result<Affected, Rejected> {
        let error = self.record.error.clone();
        let affected = self.command(now, Command::End(end.ended))?;
        self.record.worker = end.worker.clone();
        if affected.state == State::Queued {
            self.record.error = end.error.clone().or(error);
            let past = self.past.last_mut().unwrap();
            past.error = end.error.as_deref().map(|error| PastAttempt::cut(error).to_owned());
            past.worker = end.worker.clone();
            self.restarts += u32::from(end.ended == Ended::Lost);
            if end.ended == Ended::Retry {
                self.failures += 1;
                let wait = end.retry_after.unwrap_or_default().as_millis();
                let time = Timestamp(now.0 + i64::try_from(wait).unwrap());
                self.record.not_before = Some(time).filter(|time| *time > now);
            }
        } else {
            self.record.processing_ms = end.processing_ms;
            let is_finished = affected.state == State::Finished;
            self.record.percent = if is_finished { 100.0 } else { end.percent };
            self.record.error = end.error.clone().or(self.record.error.take());
            self.record.report = end.report.nodes().unwrap();
        }
        Ok(affected)
    }

    fn move_to(&mut self, state: State, now: Timestamp, command: Command) {
        let Record { started_at, queued_at, .. } = self.record;
        let from = std::mem::replace(&mut self.record.state, state);
        match state {
            State::Queued => self.queue_again(from, now, command),
            _ if state.is_final() => {
                let ended_at = not_before(now, started_at.unwrap_or(queued_at));
                self.record.finished_at = Some(ended_at);
                self.record.not_before = None;
                self.record.error = error_of(command, state).map(str::to_owned);
                if state == State::Cancelled {
                    self.record.started_at = None;
                }
                if !self.keeps_parameters && self.key.is_none() {
                    self.parameters = None;
                }
                self.note = None;
            }
            _ => {}
        }
        if command == Command::Start {
            self.record.attempt += 1;
            self.record.started_at = Some(not_before(now, queued_at));
            self.record.worker = None;
        }
    }

    /// Keeps the attempt that has ended, and lets the action wait for the next.
    fn queue_again(&mut self, from: State, now: Timestamp, command: Command) {
        let record = &mut self.record;
        let started_at = record.started_at.take().unwrap();
        let finished_at = record.finished_at.take();
        let mut past = PastAttempt {
            attempt: record.attempt,
            started_at,
            ended_at: finished_at.unwrap_or_else(|| not_before(now, started_at)),
            ended: None,
            worker: None,
            error: None,
        };
        match command {
            Command::End(ended) => past.ended = Some(ended),
            Command::Retry => {
                assert_eq!(from, State::Error);
                past.worker = record.worker.clone();
                past.error = record.error.as_deref().map(|e| PastAttempt::cut(e).to_owned());
                past.ended = match past.error.as_deref().unwrap_or_default() {
                    "interrupted by server restart" => None,
                    "interrupted by server shutdown" => Some(Ended::Interrupted(OnRestart::Fail)),
                    text if text.contains("MaxRestarts") => None,
                    _ => Some(Ended::Failed),
                };
                (record.processing_ms, record.percent) = (0, 0.0);
                record.report.clear();
                (self.failures, self.restarts) = (0, 0);
            }
            _ => {
                record.worker = None;
                self.restarts += 1;
            }
        }
        self.note = None;
        self.past.push(past);
        if self.past.len() > PastAttempt::KEPT {
            self.past.remove(0);
        }
    }

    pub(super) fn affected(&self, verdict: Verdict) -> Affected {
        let Record { id, attempt, queued_at, started_at, state, .. } = self.record;
        let ends = state.is_final() && verdict == Verdict::Move(state);
        let finished_at = self.record.finished_at.filter(|_| ends);
        let taken_by = None;
        Affected { id, attempt, queued_at, started_at, finished_at, state, verdict, taken_by }
    }

    pub(super) fn claimed(&self) -> Claimed {
        let Record { id, attempt, queued_at, started_at, priority, .. } = self.record;
        let (started_at, parameters) = (started_at.unwrap(), self.parameters.clone().unwrap());
        let Self { failures, restarts, .. } = *self;
        Claimed {
            id,
            attempt,
            queued_at,
            started_at,
            priority,
            parameters,
            failures,
            restarts,
            taken_by: None,
        }
    }

    pub(super) fn resumed(&self) -> Resumed {
        let (state, note) = (self.record.state, self.note.clone());
        let (figures, partial) = (None, Vec::new());
        Resumed { claimed: self.claimed(), state, note, figures, partial }
    }
}
