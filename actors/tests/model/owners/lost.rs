//! Transactions whose answers are lost: each ends in the store, sooner or later, committed or not, and holds its locks until
//! then. Its server writes nothing else before it knows; or it leaves that unsettled, tells the callers that nobody knows, and
//! settles it first thing once it can.

use super::fault::Fault;
use super::laws::Law;
use super::steps::{Event, Step};
use super::world::{Ask, Brought, End, Fate, Flight, Id, Lost, Owner, Report, Run, Server, Write};

impl Step<'_> {
    /// Tells whether a transaction of another owner has locked an action.
    pub(super) fn is_locked(&self, by: Owner, id: Id) -> bool {
        self.world.flights.iter().filter(|flight| flight.owner != by).any(|flight| {
            match flight.write {
                Write::Claim(locked) | Write::Ask(Ask::Stop(locked) | Ask::Cancel(locked)) => {
                    locked == id
                }
                Write::Report(report) => report.key.id == id,
                Write::Reclaim => self.world.row(id).is_some_and(|row| row.state.is_running()),
                Write::Ask(_) => false,
            }
        })
    }

    /// Tells whether an owner has a transaction that has not ended: its own row is locked.
    pub(super) fn is_in_flight(&self, owner: Owner) -> bool {
        !self.setup.has(Fault::DeclaredInFlight)
            && self.world.flights.iter().any(|flight| flight.owner == owner)
    }

    /// Tells whether somebody pauses the queue, or goes on with it: nobody claims meanwhile.
    pub(super) fn is_pausing(&self) -> bool {
        let pauses = |flight: &Flight| matches!(flight.write, Write::Ask(Ask::Pause | Ask::Resume));
        self.world.flights.iter().any(pauses)
    }

    /// Tells whether a client's request has to wait for a transaction of another owner.
    pub(super) fn has_to_wait(&self, by: Owner, ask: Ask) -> bool {
        match ask {
            Ask::Stop(id) | Ask::Cancel(id) => self.is_locked(by, id),
            Ask::Pause | Ask::Resume => {
                let claims = |flight: &Flight| matches!(flight.write, Write::Claim(_));
                !self.setup.has(Fault::PauseOvertakes)
                    && (self.world.flights.iter().any(claims) || self.is_pausing())
            }
            Ask::Submit | Ask::Wait(_) => false,
        }
    }

    /// Transactions that a server could write now, and not hear of.
    pub(super) fn unheard(&self, number: usize, server: &Server, events: &mut Vec<Event>) {
        let owner = server.owner;
        if server.lost.is_some() {
            return;
        }
        let mut lose = |write| events.push(Event::AnswerLost(number, write));
        let may_claim = self.may_claim(owner) && self.may_start() && !self.is_pausing();
        if let Some(id) = self.next_queued(owner).filter(|_| server.sealed && may_claim) {
            lose(Write::Claim(id));
        }
        for report in &server.reports {
            if !self.is_locked(owner, report.key.id) {
                lose(Write::Report(*report));
            }
        }
        if self.world.spent.asks < self.setup.most_asks {
            let asks = self.setup.asks.iter().filter(|ask| !matches!(ask, Ask::Wait(_)));
            asks.filter(|ask| !self.has_to_wait(owner, **ask))
                .for_each(|ask| lose(Write::Ask(*ask)));
        }
        if self.may_reclaim(server) {
            lose(Write::Reclaim);
        }
    }

    pub(super) fn lose_answer(&mut self, number: usize, write: Write) -> Option<()> {
        self.world.spent.answers += 1;
        match write {
            Write::Claim(id) => self.check_order(id),
            Write::Ask(ask) => {
                self.world.spent.asks += 1;
                self.world.submitted += u8::from(ask == Ask::Submit);
            }
            Write::Report(_) | Write::Reclaim => {}
        }
        let server = self.server(number)?;
        let owner = server.owner;
        if matches!(write, Write::Claim(_)) {
            server.sealed = false;
        }
        let (fate, taken, unsettled) = (Fate::InFlight, Vec::new(), false);
        server.lost = Some(Lost { owner, write, fate, taken, unsettled });
        self.world.flights.push(Flight { owner, write });
        Some(())
    }

    /// The transaction ends in the store, and gives its locks back.
    pub(super) fn end_flight(&mut self, owner: Owner, done: bool) -> Option<()> {
        let at = self.world.flights.iter().position(|flight| flight.owner == owner)?;
        let Flight { write, .. } = self.world.flights.remove(at);
        let (mut brought, mut taken) = (Brought::Nothing, Vec::new());
        if done {
            match write {
                // Its lease was looked at when it began.
                Write::Claim(id) => brought = Brought::Started(self.start_action(owner, id)?),
                Write::Report(report) => self.end(owner, report),
                Write::Ask(ask) => brought = self.write_ask(owner, ask)?,
                Write::Reclaim => taken = self.reclaim(owner, false).1,
            }
        }
        let fate = if done { Fate::Done(brought) } else { Fate::Undone };
        let servers = self.world.servers.iter_mut().flatten();
        for lost in servers.filter_map(|server| server.lost.as_mut()) {
            if lost.owner == owner {
                (lost.fate, lost.taken) = (fate, taken.clone());
            }
        }
        Some(())
    }

    /// Steps that a server may take about a transaction of which it has not heard.
    pub(super) fn of_lost(&self, number: usize, lost: &Lost, events: &mut Vec<Event>) {
        let ended = lost.fate != Fate::InFlight;
        if lost.unsettled {
            let waits = match lost.fate {
                Fate::Done(Brought::Started(run)) => self.is_locked(lost.owner, run.key.id),
                _ => lost.taken.iter().any(|run| self.is_locked(lost.owner, run.key.id)),
            };
            if ended && !waits {
                events.push(Event::Settles(number));
            }
        } else if ended || self.setup.has(Fault::FoundOutTooEarly) {
            events.push(Event::FindsOut(number));
        }
    }

    /// The number of its last transaction, in its own row, tells the server whether it was committed.
    pub(super) fn find_out(&mut self, number: usize) -> Option<()> {
        let server = self.server(number)?;
        let lost = server.lost.take()?;
        let Fate::Done(brought) = lost.fate else { return Some(()) };
        if let Write::Report(report) = lost.write {
            let at = server.reports.iter().position(|other| *other == report)?;
            server.reports.remove(at);
        }
        server.claimed.extend(lost.taken);
        if self.setup.has(Fault::RepeatedBlindly) && lost.write == Write::Ask(Ask::Submit) {
            self.write_ask(lost.owner, Ask::Submit)?;
        }
        self.tell(number, brought)
    }

    /// It can't be found out soon.
    pub(super) fn leave_unsettled(&mut self, number: usize) -> Option<()> {
        let next = self.next_id()?;
        let forgets = self.setup.has(Fault::UnsettledForgotten);
        let lost = self.server(number)?.lost.as_mut()?;
        lost.unsettled = true;
        let (write, fate) = (lost.write, lost.fate);
        if forgets {
            self.server(number)?.lost = None;
        }
        match write {
            Write::Ask(Ask::Submit)
                if self.setup.has(Fault::AcknowledgedInDoubt) && fate == Fate::Undone =>
            {
                self.world.acknowledged.insert(next);
            }
            Write::Ask(Ask::Cancel(id)) if self.setup.has(Fault::CancelledInDoubt) => {
                self.world.told_cancelled.insert(id);
            }
            _ => {}
        }
        Some(())
    }

    /// Actions that were started in vain are put back, and those that were taken over in vain are left to whoever looks next.
    pub(super) fn settle(&mut self, number: usize) -> Option<()> {
        let server = self.server(number)?;
        let (owner, lost) = (server.owner, server.lost.take()?);
        if !self.setup.has(Fault::TakenInVainKept) {
            let taken = |id| lost.taken.iter().any(|run: &Run| run.key.id == id);
            for row in self.world.rows.iter_mut() {
                if row.owner == lost.owner && row.state.is_running() && taken(row.id) {
                    row.owner = 0;
                }
            }
        }
        if let Fate::Done(Brought::Started(Run { key, owner: starter, .. })) = lost.fate {
            let ran = self.setup.has(Fault::PutBackAsInterrupted);
            let end = if ran { End::Interrupted } else { End::GivenBack };
            self.end(owner, Report { key, owner: starter, end });
        }
        Some(())
    }

    /// An action that has never begun is no failure of its own.
    pub(super) fn check_begun(&mut self, id: Id) {
        if self.world.times_begun(id) == 0 {
            self.world.broke(Law::NeverBegun);
        }
    }
}
