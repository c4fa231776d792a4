//! What the store does in one transaction. Each change of a row asks the real rules.

use actiond_actors::State;
use actiond_actors::lifecycle::{Command, OnRestart, Verdict, decide, is_current};

use super::laws::Law;
use super::steps::Step;
use super::world::{Fault, Id, Key, Lease, Notice, Owner, Report, Row, Run, Wish};

impl Step<'_> {
    /// The store's own fence: an owner whose lease is over starts nothing.
    pub(super) fn may_claim(&self, owner: Owner) -> bool {
        self.world.lease(owner) == Lease::Holds || self.setup.has(Fault::ClaimWithoutLease)
    }

    pub(super) fn next_queued(&self) -> Option<Id> {
        self.world.rows.iter().find(|row| row.state == State::Queued).map(|row| row.id)
    }

    /// Starts the next action for this owner.
    pub(super) fn claim(&mut self, owner: Owner, picked: Option<Id>) -> Option<Run> {
        if !self.may_claim(owner) {
            return None;
        }
        if self.world.lease(owner) != Lease::Holds {
            self.world.broke(Law::Leased);
        }
        let id = picked.or_else(|| self.next_queued())?;
        let row = *self.world.row(id)?;
        match decide(row.state, Command::Start) {
            Ok(Verdict::Move(state)) => self.move_to(&row, state),
            _ if picked.is_some() => self.move_to(&row, State::Processing),
            _ => return None,
        }
        let row = self.world.rows.iter_mut().find(|row| row.id == id)?;
        row.attempt += 1;
        row.owner = owner;
        Some(Run { key: row.key(), owner, wish: Wish::Run, interrupted: false, resumed: false })
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
        self.move_to(&row, state);
    }

    /// Recovers what owners ran whose lease is over, and names to this owner what it runs itself.
    pub(super) fn reclaim(&mut self, owner: Owner, start: bool) -> Vec<(Key, State)> {
        let early = self.setup.has(Fault::RecoverBeforeExpiry);
        let alone = start && self.setup.has(Fault::RecoverIgnoresOwner);
        let mut own = Vec::new();
        if !self.setup.has(Fault::NoReclaim) {
            for other in (1..).take(self.world.leases.len()).filter(|other| *other != owner) {
                if self.world.lease(other) == Lease::Over {
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
            let dead = self.world.lease(row.owner) == Lease::Dead;
            if dead || early || alone {
                if !dead {
                    self.world.broke(Law::Spared);
                }
                let how = match self.setup.fault {
                    Some(Fault::FailRunsAgain) => OnRestart::Requeue,
                    _ => self.setup.on_restart,
                };
                match decide(row.state, Command::Recover(how)) {
                    Ok(Verdict::Move(state)) => self.move_to(&row, state),
                    Ok(Verdict::Stay) => self.take_over(&row, owner),
                    _ => {}
                }
            }
        }
        own
    }

    /// The attempt goes on under this owner, which hears of it.
    fn take_over(&mut self, row: &Row, owner: Owner) {
        let (key, id) = (row.key(), row.id);
        let wish = if row.state == State::Stopping { Wish::Stop } else { Wish::Run };
        for row in self.world.rows.iter_mut().filter(|row| row.id == id) {
            row.owner = owner;
        }
        let servers = self.world.servers.iter_mut().flatten();
        for server in servers.filter(|server| server.owner == owner) {
            server.claimed.push(Run { key, owner, wish, interrupted: false, resumed: true });
        }
    }

    /// Whether [`Step::reclaim`] would change a row or a lease.
    pub(super) fn has_to_reclaim(&self, owner: Owner) -> bool {
        if self.setup.has(Fault::NoReclaim) {
            return false;
        }
        let over = (1..)
            .take(self.world.leases.len())
            .any(|other| other != owner && self.world.lease(other) == Lease::Over);
        let early = self.setup.has(Fault::RecoverBeforeExpiry);
        let lost = |row: &Row| {
            let other = row.state.is_running() && row.owner != owner;
            other && (early || self.world.lease(row.owner) == Lease::Dead)
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
            Verdict::Stay | Verdict::StatusOnly => return Some(row.state),
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
