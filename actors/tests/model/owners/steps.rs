//! The events, and what a server does in each.

use actiond_actors::State;
use actiond_actors::lifecycle::OnRestart;
use stateright::{Model, Property};

use super::fault::Fault;
use super::laws::{self, Law};
use super::world::{
    Ask, Brought, End, Id, Key, Lease, Notice, Owner, Report, Row, Run, Server, Setup, Spent,
    Standing, Wish, World, Write,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Event {
    Asks(usize, Ask),
    /// A mistake's only: what was acknowledged is written.
    Writes(usize),
    /// It asks for a start; by mistake it picks which one.
    Seals(usize),
    /// The store takes that up.
    Claims(usize),
    HearsOfClaim(usize),
    /// Work begins of which the lease was looked at.
    Begins(usize),
    /// It stands still for longer than its lease.
    StandsStill(usize),
    /// It writes something, and the answer is lost.
    AnswerLost(usize, Write),
    /// That transaction has ended, and was committed or not.
    FlightEnds(Owner, bool),
    FindsOut(usize),
    LeavesUnsettled(usize),
    Settles(usize),
    WorkFinishes(usize, Key),
    /// Work that was asked to end has ended.
    WorkObeys(usize, Key),
    Reports(usize, usize),
    /// A report is written, and the server does not hear of it: it will send it again.
    ReportsInVain(usize, usize),
    Hears(usize, Notice),
    NoticeLost(Notice),
    /// The server has not been heard by the store for its lease, by its own measure.
    CutOff(usize),
    /// A lease is over by the store's clock.
    LeaseOver(Owner),
    Renews(usize),
    /// It recovers what others ran, and looks how stand what it runs and what its clients wait for.
    Reclaims(usize),
    ForcesAll(usize),
    BeginsAnew(usize),
    Crashes(usize),
    Starts(usize),
}

pub(super) struct Step<'m> {
    pub(super) setup: &'m Setup,
    pub(super) world: World,
}

fn new_server(owner: Owner) -> Server {
    Server {
        owner,
        standing: Standing::Held,
        claimed: Vec::new(),
        starting: Vec::new(),
        runs: Vec::new(),
        reports: Vec::new(),
        waits: Default::default(),
        unwritten: Vec::new(),
        sealed: false,
        picked: None,
        lost: None,
    }
}

impl Step<'_> {
    pub(super) fn server(&mut self, number: usize) -> Option<&mut Server> {
        self.world.servers[number].as_mut()
    }

    /// Passes a wish on to an attempt that runs here, or is about to.
    pub(super) fn steer(&mut self, owner: Owner, key: Key, wish: Wish) {
        let servers = self.world.servers.iter_mut().flatten();
        for server in servers.filter(|server| server.owner == owner) {
            let begun = server.runs.iter_mut().chain(&mut server.starting);
            let runs = begun.chain(&mut server.claimed);
            for run in runs.filter(|run| run.key == key) {
                run.wish = run.wish.max(wish);
            }
        }
    }

    fn ask(&mut self, number: usize, ask: Ask) -> Option<()> {
        self.world.spent.asks += 1;
        self.world.submitted += u8::from(ask == Ask::Submit);
        let by = self.server(number)?.owner;
        if let Ask::Wait(id) = ask {
            if !self.world.row(id)?.state.is_final() {
                self.server(number)?.waits.insert(id);
            }
            return Some(());
        }
        if ask == Ask::Submit && self.setup.has(Fault::AckBeforeDurable) {
            let id = self.next_id()?;
            self.world.acknowledged.insert(id);
            self.server(number)?.unwritten.push(id);
            return Some(());
        }
        let brought = self.write_ask(by, ask)?;
        self.tell(number, brought)
    }

    pub(super) fn next_id(&self) -> Option<Id> {
        let written = self.world.rows.iter().map(|row| row.id);
        Some(written.chain(self.world.acknowledged.iter().copied()).max()? + 1)
    }

    /// Tells callers and slots what a transaction has brought.
    pub(super) fn tell(&mut self, number: usize, brought: Brought) -> Option<()> {
        match brought {
            Brought::Nothing => {}
            Brought::Started(run) => self.server(number)?.claimed.push(run),
            Brought::Submitted(id) => drop(self.world.acknowledged.insert(id)),
            Brought::Cancelled(id) => drop(self.world.told_cancelled.insert(id)),
        }
        Some(())
    }

    fn hear_of_claim(&mut self, number: usize) -> Option<()> {
        let late = self.setup.has(Fault::LateClaimBegun);
        let may_stand_still = self.setup.freezes > 0;
        let server = self.server(number)?;
        let run = server.claimed.remove(0);
        let is_over = run.owner != server.owner || server.standing == Standing::Lost;
        if run.resumed {
            // In doubt it goes on: work elsewhere is spared until the lease is known to be lost.
            if !is_over || self.setup.has(Fault::ResumedOver) {
                self.server(number)?.runs.push(run);
            }
            return Some(());
        }
        if run.owner != server.owner || (server.standing == Standing::Lost && !late) {
            // Others have recovered it.
            return Some(());
        }
        if server.standing == Standing::InDoubt && !late {
            let Run { key, owner, .. } = run;
            server.reports.push(Report { key, owner, end: End::GivenBack });
            return Some(());
        }
        if may_stand_still {
            server.starting.push(run);
            return Some(());
        }
        server.runs.push(run);
        self.begin(run)
    }

    fn begin_next(&mut self, number: usize) -> Option<()> {
        let server = self.server(number)?;
        let run = server.starting.remove(0);
        server.runs.push(run);
        self.begin(run)
    }

    /// Nothing can be done about what was about to begin: it begins when the server goes on.
    fn stand_still(&mut self, number: usize) -> Option<()> {
        self.world.spent.freezes += 1;
        let unnoticed = self.setup.has(Fault::FreezeNotMeasured);
        let server = self.server(number)?;
        if !unnoticed {
            server.standing = Standing::InDoubt;
        }
        server.starting.iter_mut().for_each(|run| run.stood_still = true);
        Some(())
    }

    /// Work begins: the one step that nothing can undo.
    fn begin(&mut self, run: Run) -> Option<()> {
        let row = *self.world.row(run.key.id)?;
        let stands = row.state.is_running() && row.key() == run.key && row.owner == run.owner;
        if !stands && !run.stood_still {
            self.world.broke(Law::Q5);
        }
        if !run.stood_still && self.world.told_cancelled.contains(&run.key.id) {
            self.world.broke(Law::Q6);
        }
        let times = self.world.times_begun(run.key.id) + 1;
        self.world.begun.retain(|(id, _)| *id != run.key.id);
        self.world.begun.push((run.key.id, times));
        self.world.begun.sort_unstable();
        if times > 1 && self.setup.on_restart == OnRestart::Fail {
            self.world.broke(Law::Once);
        }
        Some(())
    }

    fn work_ends(&mut self, number: usize, key: Key, by_itself: bool) -> Option<()> {
        let server = self.server(number)?;
        let at = server.runs.iter().position(|run| run.key == key)?;
        let run = server.runs.remove(at);
        let end = match run {
            _ if by_itself => End::Finished,
            Run { interrupted: true, .. } => End::Interrupted,
            _ => End::Stopped,
        };
        server.reports.push(Report { key, owner: run.owner, end });
        Some(())
    }

    fn report(&mut self, number: usize, index: usize, heard: bool) -> Option<()> {
        let server = self.server(number)?;
        let (owner, report) = (server.owner, server.reports[index]);
        if heard {
            server.reports.remove(index);
        } else {
            self.world.spent.repeats += 1;
        }
        self.end(owner, report);
        Some(())
    }

    fn hear(&mut self, number: usize, notice: Notice) -> Option<()> {
        self.world.notices.remove(&notice);
        match notice {
            Notice::Steer { to, key, wish } => {
                let server = self.server(number)?;
                // One that is not begun yet is not found; the next look makes up for it.
                for run in server.runs.iter_mut().filter(|r| r.key == key && r.owner == to) {
                    run.wish = run.wish.max(wish);
                }
            }
            Notice::Ended { id, .. } => {
                self.server(number)?.waits.remove(&id);
            }
        }
        Some(())
    }

    fn renew(&mut self, number: usize) -> Option<()> {
        let owner = self.server(number)?.owner;
        let dead = self.world.lease(owner) == Lease::Dead;
        let standing = if dead && !self.setup.has(Fault::DeadRenewed) {
            Standing::Lost
        } else {
            self.world.set_lease(owner, Lease::Holds);
            Standing::Held
        };
        self.server(number)?.standing = standing;
        Some(())
    }

    fn look(&mut self, number: usize) -> Option<()> {
        let owner = self.server(number)?.owner;
        let (own, taken) = self.reclaim(owner, false);
        self.server(number)?.claimed.extend(taken);
        if self.setup.has(Fault::NeverRepeated) {
            return Some(());
        }
        for (key, state) in own {
            if state == State::Stopping {
                self.steer(owner, key, Wish::Stop);
            }
        }
        let rows = self.world.rows.clone();
        let ended = |id| rows.iter().any(|row| row.id == id && row.state.is_final());
        self.server(number)?.waits.retain(|id| !ended(*id));
        Some(())
    }

    fn force_all(&mut self, number: usize) -> Option<()> {
        if self.setup.on_restart == OnRestart::Resume {
            // It is let go: it goes on with another owner.
            self.server(number)?.runs.clear();
            return Some(());
        }
        for run in &mut self.server(number)?.runs {
            if run.wish < Wish::Force {
                (run.wish, run.interrupted) = (Wish::Force, true);
            }
        }
        Some(())
    }

    fn begin_anew(&mut self, number: usize) -> Option<()> {
        let owner = self.server(number)?.owner;
        let owner = if self.setup.has(Fault::IncarnationReused) {
            self.world.set_lease(owner, Lease::Holds);
            owner
        } else {
            self.new_owner()
        };
        let server = self.server(number)?;
        (server.owner, server.standing) = (owner, Standing::Held);
        Some(())
    }

    fn new_owner(&mut self) -> Owner {
        self.world.leases.push(Lease::Holds);
        self.world.leases.len() as Owner
    }

    fn crash(&mut self, number: usize) -> Option<()> {
        self.world.spent.crashes += 1;
        self.world.servers[number] = None;
        Some(())
    }

    fn start(&mut self, number: usize) -> Option<()> {
        let owner = self.new_owner();
        self.world.servers[number] = Some(new_server(owner));
        // Where rows are locked, it waits.
        if !self.is_recovery_locked(owner) {
            let (_, taken) = self.reclaim(owner, true);
            self.server(number)?.claimed.extend(taken);
        }
        Some(())
    }

    fn take(&mut self, event: Event) -> Option<()> {
        match event {
            Event::Asks(number, ask) => self.ask(number, ask)?,
            Event::Writes(number) => {
                let id = self.server(number)?.unwritten.remove(0);
                self.world.rows.push(Row { id, state: State::Queued, attempt: 0, owner: 0 });
            }
            Event::Seals(number) => {
                let owner = self.server(number)?.owner;
                let picks = self.setup.has(Fault::ClaimNotAtomic);
                let next = self.next_queued(owner).filter(|_| picks);
                let server = self.server(number)?;
                (server.sealed, server.picked) = (true, next);
            }
            Event::Claims(number) => {
                let server = self.server(number)?;
                server.sealed = false;
                let (owner, picked) = (server.owner, server.picked.take());
                let run = self.claim(owner, picked);
                self.server(number)?.claimed.extend(run);
            }
            Event::HearsOfClaim(number) => self.hear_of_claim(number)?,
            Event::Begins(number) => self.begin_next(number)?,
            Event::StandsStill(number) => self.stand_still(number)?,
            Event::AnswerLost(number, write) => self.lose_answer(number, write)?,
            Event::FlightEnds(owner, done) => self.end_flight(owner, done)?,
            Event::FindsOut(number) => self.find_out(number)?,
            Event::LeavesUnsettled(number) => self.leave_unsettled(number)?,
            Event::Settles(number) => self.settle(number)?,
            Event::WorkFinishes(number, key) => self.work_ends(number, key, true)?,
            Event::WorkObeys(number, key) => self.work_ends(number, key, false)?,
            Event::Reports(number, index) => self.report(number, index, true)?,
            Event::ReportsInVain(number, index) => self.report(number, index, false)?,
            Event::Hears(number, notice) => self.hear(number, notice)?,
            Event::NoticeLost(notice) => {
                self.world.spent.lost += u8::from(self.world.server_of(notice.to()).is_some());
                self.world.notices.remove(&notice);
            }
            Event::CutOff(number) => {
                self.world.spent.cut_offs += 1;
                self.server(number)?.standing = Standing::InDoubt;
            }
            Event::LeaseOver(owner) => {
                if self.world.server_of(owner).is_some_and(|s| s.standing == Standing::Held) {
                    self.world.spent.cut_offs += 1;
                }
                self.world.set_lease(owner, Lease::Over);
            }
            Event::Renews(number) => self.renew(number)?,
            Event::Reclaims(number) => self.look(number)?,
            Event::ForcesAll(number) => self.force_all(number)?,
            Event::BeginsAnew(number) => self.begin_anew(number)?,
            Event::Crashes(number) => self.crash(number)?,
            Event::Starts(number) => self.start(number)?,
        }
        Some(())
    }
}

impl Model for Setup {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        let row = |id| Row { id, state: State::Queued, attempt: 0, owner: 0 };
        vec![World {
            rows: (1..=self.actions).map(row).collect(),
            leases: vec![Lease::Holds; 2],
            servers: [1, 2].map(|owner| Some(new_server(owner))),
            notices: Default::default(),
            flights: Vec::new(),
            paused: false,
            spent: Spent::default(),
            acknowledged: Default::default(),
            told_cancelled: Default::default(),
            begun: Vec::new(),
            believed: Vec::new(),
            submitted: 0,
            broken: Vec::new(),
        }]
    }

    fn actions(&self, world: &World, events: &mut Vec<Event>) {
        // What comes after a broken law shows nothing.
        let decisive = |law: &Law| self.fault.is_none_or(|fault| fault.breaks() == *law);
        if !world.broken.iter().any(decisive) {
            Step { setup: self, world: world.clone() }.all(events);
        }
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        let mut step = Step { setup: self, world: world.clone() };
        step.take(event)?;
        let mut left = Vec::new();
        step.by_itself(&mut left);
        laws::look(self, &mut step.world, left.is_empty());
        Some(step.world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        laws::properties(self)
    }
}
