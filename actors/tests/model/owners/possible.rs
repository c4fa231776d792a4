//! Which events are possible.

use actiond_actors::State;
use actiond_actors::lifecycle::OnRestart;

use super::fault::Fault;
use super::steps::{Event, Step};
use super::world::{Ask, Lease, Notice, Run, Server, Standing, Wish};

impl Step<'_> {
    /// Events that come by themselves: no client's, no accident.
    pub(super) fn by_itself(&self, events: &mut Vec<Event>) {
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
        for flight in &world.flights {
            events.extend([true, false].map(|done| Event::FlightEnds(flight.owner, done)));
        }
        let late = setup.has(Fault::LeaseMeasuredLate) && world.spent.cut_offs < setup.cut_offs
            || setup.has(Fault::FreezeNotMeasured) && world.spent.freezes > 0;
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
        let taken = server.runs.len() + server.starting.len() + server.claimed.len();
        let writes = server.lost.is_none();
        let seals = writes || setup.has(Fault::SealsBeforeFoundOut);
        let waits = self.may_start() && self.next_queued(owner).is_some();
        if server.sealed {
            if writes && !self.is_pausing() {
                events.push(Event::Claims(number));
            }
        } else if taken < setup.slots && seals && standing == Standing::Held && waits {
            events.push(Event::Seals(number));
        }
        if let Some(lost) = &server.lost {
            self.of_lost(number, lost, events);
        }
        if !server.starting.is_empty() {
            events.push(Event::Begins(number));
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
        let reports = server.reports.iter().enumerate();
        let unlocked = reports.filter(|(_, r)| writes && !self.is_locked(owner, r.key.id));
        events.extend(unlocked.map(|(index, _)| Event::Reports(number, index)));
        if standing != Standing::Lost
            && (standing == Standing::InDoubt || world.lease(owner) != Lease::Holds)
        {
            events.push(Event::Renews(number));
        }
        if writes && self.may_reclaim(server) {
            events.push(Event::Reclaims(number));
        }
        // What runs only once need not be forced while nothing is known: nobody starts it anew.
        let in_doubt = standing == Standing::InDoubt && setup.on_restart == OnRestart::Requeue;
        let unforced = server.runs.iter().any(|run| run.wish < Wish::Force);
        if unforced && (in_doubt || standing == Standing::Lost) {
            events.push(Event::ForcesAll(number));
        }
        let ended = server.runs.is_empty() && server.starting.is_empty();
        let over = ended || setup.has(Fault::NewOwnerAtOnce);
        if standing == Standing::Lost && over {
            events.push(Event::BeginsAnew(number));
        }
    }

    /// Tells whether a server recovers, or looks, and has a reason to.
    pub(super) fn may_reclaim(&self, server: &Server) -> bool {
        let owner = server.owner;
        let leased = self.world.lease(owner) == Lease::Holds;
        let holds = server.standing == Standing::Held && leased;
        // What was to be reported under a former owner comes first: an attempt that this server takes over may be the same.
        let former = server.reports.iter().any(|report| report.owner != owner);
        let in_order = !former || self.setup.has(Fault::RecoversFirst);
        holds
            && in_order
            && !self.is_recovery_locked(owner)
            && (self.has_to_reclaim(owner) || self.has_to_look(server))
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

    pub(super) fn all(&self, events: &mut Vec<Event>) {
        let Self { setup, world } = self;
        let spent = &world.spent;
        self.by_itself(events);
        for (number, server) in world.servers.iter().enumerate() {
            let Some(server) = server else { continue };
            if spent.crashes < setup.crashes {
                events.push(Event::Crashes(number));
            }
            if spent.cut_offs < setup.cut_offs
                && server.standing == Standing::Held
                // Only who stands still comes so late.
                && server.starting.is_empty()
            {
                events.push(Event::CutOff(number));
            }
            if spent.asks < setup.most_asks {
                let reads = |ask: &&Ask| matches!(ask, Ask::Wait(_)) || server.lost.is_none();
                let asks = setup.asks.iter().filter(reads);
                let free = asks.filter(|ask| !self.has_to_wait(server.owner, **ask));
                events.extend(free.map(|ask| Event::Asks(number, *ask)));
            }
            if spent.freezes < setup.freezes && server.standing == Standing::Held {
                events.push(Event::StandsStill(number));
            }
            if spent.answers < setup.answers {
                self.unheard(number, server, events);
            }
            if server.lost.as_ref().is_some_and(|lost| !lost.unsettled) {
                events.push(Event::LeavesUnsettled(number));
            }
            if spent.repeats < setup.repeats && server.lost.is_none() {
                let reports = 0..server.reports.len();
                events.extend(reports.map(|index| Event::ReportsInVain(number, index)));
            }
        }
        if spent.lost < setup.lost {
            let alive = |notice: &&Notice| world.server_of(notice.to()).is_some();
            events.extend(world.notices.iter().filter(alive).map(|n| Event::NoticeLost(*n)));
        }
    }
}
