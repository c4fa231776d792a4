//! Which events are possible, and what a server does in each.

use actiond_actors::State;
use actiond_actors::lifecycle::{Command, OnRestart};
use stateright::{Model, Property};

use super::laws::{self, Law};
use super::world::{
    Ask, End, Fault, Key, Lease, Notice, Owner, Report, Row, Run, Server, Setup, Spent, Standing,
    Wish, World,
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
        runs: Vec::new(),
        reports: Vec::new(),
        waits: Default::default(),
        unwritten: Vec::new(),
        sealed: false,
        picked: None,
    }
}

impl Step<'_> {
    fn server(&mut self, number: usize) -> Option<&mut Server> {
        self.world.servers[number].as_mut()
    }

    /// Passes a wish on to an attempt that runs here, or is about to.
    pub(super) fn steer(&mut self, owner: Owner, key: Key, wish: Wish) {
        let servers = self.world.servers.iter_mut().flatten();
        for server in servers.filter(|server| server.owner == owner) {
            let runs = server.runs.iter_mut().chain(&mut server.claimed);
            for run in runs.filter(|run| run.key == key) {
                run.wish = run.wish.max(wish);
            }
        }
    }

    fn ask(&mut self, number: usize, ask: Ask) -> Option<()> {
        self.world.spent.asks += 1;
        let by = self.server(number)?.owner;
        match ask {
            Ask::Submit => {
                let written = self.world.rows.iter().map(|row| row.id);
                let id = written.chain(self.world.acknowledged.iter().copied()).max()? + 1;
                self.world.acknowledged.insert(id);
                if self.setup.has(Fault::AckBeforeDurable) {
                    self.server(number)?.unwritten.push(id);
                } else {
                    self.world.rows.push(Row { id, state: State::Queued, attempt: 0, owner: 0 });
                }
            }
            Ask::Stop(id) => drop(self.command(by, id, Command::Stop)),
            Ask::Cancel(id) => {
                if self.command(by, id, Command::Cancel) == Some(State::Cancelled) {
                    self.world.told_cancelled.insert(id);
                }
            }
            Ask::Wait(id) => {
                if !self.world.row(id)?.state.is_final() {
                    self.server(number)?.waits.insert(id);
                }
            }
        }
        Some(())
    }

    fn hear_of_claim(&mut self, number: usize) -> Option<()> {
        let late = self.setup.has(Fault::LateClaimBegun);
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
        server.runs.push(run);
        self.begin(run)
    }

    /// Work begins: the one step that nothing can undo.
    fn begin(&mut self, run: Run) -> Option<()> {
        let row = *self.world.row(run.key.id)?;
        if !row.state.is_running() || row.key() != run.key || row.owner != run.owner {
            self.world.broke(Law::Q5);
        }
        if self.world.told_cancelled.contains(&run.key.id) {
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
        let own = self.reclaim(owner, false);
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
        self.reclaim(owner, true);
        Some(())
    }

    /// What comes by itself: no client's, no accident.
    fn by_itself(&self, events: &mut Vec<Event>) {
        let Self { setup, world } = self;
        for (number, server) in world.servers.iter().enumerate() {
            let Some(server) = server else {
                events.push(Event::Starts(number));
                continue;
            };
            self.of_server(number, server, events);
        }
        for notice in &world.notices {
            let to = world
                .servers
                .iter()
                .position(|s| s.as_ref().is_some_and(|server| server.owner == notice.to()));
            // To one that is gone it is lost at no cost.
            events.push(to.map_or(Event::NoticeLost(*notice), |to| Event::Hears(to, *notice)));
        }
        let late = setup.has(Fault::LeaseMeasuredLate) && world.spent.cut_offs < setup.cut_offs;
        for owner in (1..).take(world.leases.len()) {
            let held =
                world.server_of(owner).is_some_and(|server| server.standing == Standing::Held);
            if world.lease(owner) == Lease::Holds && (!held || late) {
                events.push(Event::LeaseOver(owner));
            }
        }
    }

    fn of_server(&self, number: usize, server: &Server, events: &mut Vec<Event>) {
        let Self { setup, world } = self;
        let Server { owner, standing, .. } = *server;
        if !server.unwritten.is_empty() {
            events.push(Event::Writes(number));
        }
        // A server asks for nothing while it does not know its lease to hold.
        let free = server.runs.len() + server.claimed.len() < setup.slots;
        if server.sealed {
            events.push(Event::Claims(number));
        } else if free && standing == Standing::Held && self.next_queued().is_some() {
            events.push(Event::Seals(number));
        }
        if !server.claimed.is_empty() {
            events.push(Event::HearsOfClaim(number));
        }
        for run in &server.runs {
            if !setup.endless {
                events.push(Event::WorkFinishes(number, run.key));
            }
            if run.wish >= Wish::Stop {
                events.push(Event::WorkObeys(number, run.key));
            }
        }
        events.extend((0..server.reports.len()).map(|index| Event::Reports(number, index)));
        if standing != Standing::Lost
            && (standing == Standing::InDoubt || world.lease(owner) != Lease::Holds)
        {
            events.push(Event::Renews(number));
        }
        let holds = standing == Standing::Held && world.lease(owner) == Lease::Holds;
        // What was to be reported under a former owner comes first: an attempt that this server takes over may be the same.
        let former = server.reports.iter().any(|report| report.owner != owner);
        let in_order = !former || setup.has(Fault::RecoversFirst);
        if holds && in_order && (self.has_to_reclaim(owner) || self.has_to_look(server)) {
            events.push(Event::Reclaims(number));
        }
        // What runs only once need not be forced while nothing is known: nobody starts it anew.
        let in_doubt = standing == Standing::InDoubt && setup.on_restart == OnRestart::Requeue;
        let unforced = server.runs.iter().any(|run| run.wish < Wish::Force);
        if unforced && (in_doubt || standing == Standing::Lost) {
            events.push(Event::ForcesAll(number));
        }
        let over = server.runs.is_empty() || setup.has(Fault::NewOwnerAtOnce);
        if standing == Standing::Lost && over {
            events.push(Event::BeginsAnew(number));
        }
    }

    fn has_to_look(&self, server: &Server) -> bool {
        let row = |id| self.world.row(id);
        let behind = |run: &Run| {
            let stopping = row(run.key.id).is_some_and(|row| {
                row.state == State::Stopping && row.key() == run.key && row.owner == run.owner
            });
            stopping && run.wish == Wish::Run
        };
        let ended = |id: &u8| row(*id).is_some_and(|row| row.state.is_final());
        !self.setup.has(Fault::NeverRepeated)
            && (server.runs.iter().any(behind) || server.waits.iter().any(ended))
    }

    fn all(&self, events: &mut Vec<Event>) {
        let Self { setup, world } = self;
        let spent = &world.spent;
        self.by_itself(events);
        for (number, server) in world.servers.iter().enumerate() {
            let Some(server) = server else { continue };
            if spent.crashes < setup.crashes {
                events.push(Event::Crashes(number));
            }
            if spent.cut_offs < setup.cut_offs && server.standing == Standing::Held {
                events.push(Event::CutOff(number));
            }
            if spent.asks < setup.most_asks {
                events.extend(setup.asks.iter().map(|ask| Event::Asks(number, *ask)));
            }
            if spent.repeats < setup.repeats {
                let reports = 0..server.reports.len();
                events.extend(reports.map(|index| Event::ReportsInVain(number, index)));
            }
        }
        if spent.lost < setup.lost {
            let alive = |notice: &&Notice| world.server_of(notice.to()).is_some();
            events.extend(world.notices.iter().filter(alive).map(|n| Event::NoticeLost(*n)));
        }
    }

    fn take(&mut self, event: Event) -> Option<()> {
        match event {
            Event::Asks(number, ask) => self.ask(number, ask)?,
            Event::Writes(number) => {
                let id = self.server(number)?.unwritten.remove(0);
                self.world.rows.push(Row { id, state: State::Queued, attempt: 0, owner: 0 });
            }
            Event::Seals(number) => {
                let next = self.next_queued().filter(|_| self.setup.has(Fault::ClaimNotAtomic));
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
            spent: Spent::default(),
            acknowledged: Default::default(),
            told_cancelled: Default::default(),
            begun: Vec::new(),
            believed: Vec::new(),
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
        laws::properties()
    }
}
