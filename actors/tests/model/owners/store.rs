//! What the store does in one transaction. Each change of a row asks the real rules.

use actiond_actors::State;
use actiond_actors::lifecycle::{Command, OnRestart, Verdict, decide, is_current};

use super::fault::Fault;
use super::laws::{self, Law};
use super::steps::Step;
use super::world::{Ask, Brought, Id, Key, Lease, Notice, Owner, Report, Row, Run, Wish};

impl Step<'_> {
    /// The store's own fence: an owner whose lease is over starts nothing.
    pub(super) fn may_claim(&self, owner: Owner) -> bool {
        self.world.lease(owner) == Lease::Holds || self.setup.has(Fault::ClaimWithoutLease)
    }

    /// Nothing starts in a queue that is paused.
    pub(super) fn may_start(&self) -> bool {
        !self.world.paused || self.setup.has(Fault::ClaimIgnoresPause)
    }

    /// The first that waits, of those that no other transaction has locked.
    pub(super) fn next_queued(&self, by: Owner) -> Option<Id> {
        let rows = self.world.rows.iter().filter(|row| row.state == State::Queued);
        let mut free = rows.map(|row| row.id).filter(|id| !self.is_locked(by, *id));
        if self.setup.has(Fault::ClaimsLast) { free.next_back() } else { free.next() }
    }

    /// Asks whether an action is the first that may be taken.
    pub(super) fn check_order(&mut self, id: Id) {
        let before = self.world.rows.iter().filter(|row| row.id < id);
        let mut waits = before.filter(|row| row.state == State::Queued);
        // A transaction that was sent has its locks.
        let locked = |id| self.is_locked(0, id);
        if waits.any(|row| !locked(row.id)) {
            self.world.broke(Law::Q8);
        }
    }

    /// Starts the next action for this owner.
    pub(super) fn claim(&mut self, owner: Owner, picked: Option<Id>) -> Option<Run> {
        if !self.may_claim(owner) || !self.may_start() {
            return None;
        }
        if self.world.lease(owner) != Lease::Holds {
            self.world.broke(Law::Leased);
        }
        let id = picked.or_else(|| self.next_queued(owner))?;
        if picked.is_none() {
            self.check_order(id);
        } else if self.world.row(id)?.state != State::Queued {
            let row = *self.world.row(id)?;
            self.move_to(&row, State::Processing);
            return self.started(owner, id);
        }
        self.start_action(owner, id)
    }

    /// Starts an action for this owner, whose lease held when the transaction began.
    pub(super) fn start_action(&mut self, owner: Owner, id: Id) -> Option<Run> {
        let row = *self.world.row(id)?;
        let Ok(Verdict::Move(state)) = decide(row.state, Command::Start) else { return None };
        if self.world.lease(owner) == Lease::Dead {
            self.world.broke(Law::Leased);
        }
        if self.world.paused {
            self.world.broke(Law::Q12);
        }
        self.move_to(&row, state);
        self.started(owner, id)
    }

    fn started(&mut self, owner: Owner, id: Id) -> Option<Run> {
        let row = self.world.rows.iter_mut().find(|row| row.id == id)?;
        row.attempt += 1;
        row.owner = owner;
        Some(Run::new(row.key(), owner))
    }

    /// Writes what a client asks for.
    pub(super) fn write_ask(&mut self, by: Owner, ask: Ask) -> Option<Brought> {
        match ask {
            Ask::Submit => {
                let id = self.next_id()?;
                self.world.rows.push(Row { id, state: State::Queued, attempt: 0, owner: 0 });
                return Some(Brought::Submitted(id));
            }
            Ask::Stop(id) => drop(self.command(by, id, Command::Stop)),
            Ask::Cancel(id) => {
                if self.command(by, id, Command::Cancel) == Some(State::Cancelled) {
                    return Some(Brought::Cancelled(id));
                }
            }
            Ask::Pause => self.world.paused = true,
            Ask::Resume => self.world.paused = false,
            Ask::Wait(_) => {}
        }
        Some(Brought::Nothing)
    }

    /// Takes the end of an attempt from this owner, or drops it as stale.
    pub(super) fn end(&mut self, from: Owner, report: Report) {
        let Key { id, attempt } = report.key;
        let Some(row) = self.world.row(id).copied() else { return };
        let current = is_current(row.state, row.attempt.into(), attempt.into());
        let believed = match self.setup.fault {
            Some(Fault::EndUnfenced) => row.state.is_running(),
            Some(Fault::EndByOwnerOnly) => row.state.is_running() && row.owner == from,
            Some(Fault::EndByAttemptOnly) => current,
            _ => current && row.owner == from,
        };
        if !believed {
            return;
        }
        let ended = Command::End(report.end.ended(self.setup.on_restart));
        let Ok(Verdict::Move(state)) = decide(row.state, ended) else { return };
        if row.key() != report.key || row.owner != report.owner {
            self.world.broke(Law::Q14);
        }
        if self.world.believed.contains(&report.key) {
            self.world.broke(Law::Q14);
        }
        self.world.believed.push(report.key);
        if state == State::Error {
            self.check_begun(id);
        }
        self.move_to(&row, state);
    }

    /// Recovers what owners ran whose lease is over. Names to this owner what it runs itself, and what it has taken over.
    pub(super) fn reclaim(&mut self, owner: Owner, start: bool) -> (Vec<(Key, State)>, Vec<Run>) {
        let early = self.setup.has(Fault::RecoverBeforeExpiry);
        let alone = start && self.setup.has(Fault::RecoverIgnoresOwner);
        let (mut own, mut taken) = (Vec::new(), Vec::new());
        if !self.setup.has(Fault::NoReclaim) {
            for other in (1..).take(self.world.leases.len()).filter(|other| *other != owner) {
                if self.world.lease(other) == Lease::Over && !self.is_in_flight(other) {
                    self.world.set_lease(other, Lease::Dead);
                }
            }
        }
        for row in self.world.rows.clone() {
            if !row.state.is_running() {
                continue;
            }
            if row.owner == owner {
                own.push((row.key(), row.state));
                continue;
            }
            let dead = self.is_nobodys(row.owner);
            if dead || early || alone {
                if !dead {
                    self.world.broke(Law::Spared);
                }
                let how = match self.setup.fault {
                    Some(Fault::FailRunsAgain) => OnRestart::Requeue,
                    _ => self.setup.on_restart,
                };
                match decide(row.state, Command::Recover(how)) {
                    Ok(Verdict::Move(_)) if self.setup.has(Fault::StopLostWithServer) => {
                        self.move_to(&row, State::Queued);
                    }
                    Ok(Verdict::Move(state)) => self.move_to(&row, state),
                    Ok(Verdict::Stay) => taken.push(self.take_over(&row, owner)),
                    _ => {}
                }
            }
        }
        (own, taken)
    }

    /// Attempts of a dead owner, and those that were let go of, are anybody's.
    fn is_nobodys(&self, owner: Owner) -> bool {
        owner == 0 || self.world.lease(owner) == Lease::Dead
    }

    /// The attempt goes on under this owner.
    fn take_over(&mut self, row: &Row, owner: Owner) -> Run {
        let wish = if row.state == State::Stopping { Wish::Stop } else { Wish::Run };
        for row in self.world.rows.iter_mut().filter(|other| other.id == row.id) {
            row.owner = owner;
        }
        Run { wish, resumed: true, ..Run::new(row.key(), owner) }
    }

    /// Tells whether a recovery has to wait for the transaction of another owner.
    pub(super) fn is_recovery_locked(&self, owner: Owner) -> bool {
        let mut running = self.world.rows.iter().filter(|row| row.state.is_running());
        running.any(|row| self.is_locked(owner, row.id))
    }

    /// Whether [`Step::reclaim`] would change a row or a lease.
    pub(super) fn has_to_reclaim(&self, owner: Owner) -> bool {
        if self.setup.has(Fault::NoReclaim) {
            return false;
        }
        let over = (1..)
            .take(self.world.leases.len())
            .filter(|other| *other != owner && !self.is_in_flight(*other))
            .any(|other| self.world.lease(other) == Lease::Over);
        let early = self.setup.has(Fault::RecoverBeforeExpiry);
        let lost = |row: &Row| {
            let other = row.state.is_running() && row.owner != owner;
            other && (early || self.is_nobodys(row.owner))
        };
        over || self.world.rows.iter().any(lost)
    }

    /// Carries out a client's command and tells the owner of what runs.
    pub(super) fn command(&mut self, by: Owner, id: Id, command: Command) -> Option<State> {
        let row = *self.world.row(id)?;
        let (state, wish) = match decide(row.state, command).ok()? {
            Verdict::Move(state) => {
                self.move_to(&row, state);
                (state, Wish::Stop)
            }
            Verdict::Force => (row.state, Wish::Force),
            Verdict::Stay | Verdict::StatusOnly | Verdict::Delete | Verdict::Refused => {
                return Some(row.state);
            }
        };
        if state == State::Stopping {
            if row.owner == by {
                self.steer(by, row.key(), wish);
            } else {
                let notice = Notice::Steer { to: row.owner, key: row.key(), wish };
                self.world.notices.insert(notice);
            }
        }
        Some(state)
    }

    fn move_to(&mut self, row: &Row, state: State) {
        if row.state.is_final() {
            self.world.broke(Law::Q7);
        }
        if !laws::may_move(row.state, state) {
            self.world.broke(Law::Q3);
        }
        if state.is_final() {
            // Whoever asks later sees the row.
            let servers = self.world.servers.iter().flatten();
            let waiting: Vec<Owner> =
                servers.filter(|s| s.waits.contains(&row.id)).map(|s| s.owner).collect();
            for to in waiting {
                self.world.notices.insert(Notice::Ended { to, id: row.id });
            }
        }
        let id = row.id;
        if let Some(row) = self.world.rows.iter_mut().find(|row| row.id == id) {
            row.state = state;
            if !state.is_running() {
                row.owner = 0;
            }
        }
    }
}
