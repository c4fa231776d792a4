//! The guarantees as they read where several servers share a store.

use actiond_actors::State;
use stateright::Property;

use super::world::{Fate, Server, Setup, World, Write};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Law {
    Q2,
    Q3,
    Q4,
    Q5,
    Q6,
    Q7,
    Q8,
    Q11,
    Q12,
    Q14,
    Once,
    NeverBegun,
    Single,
    Spared,
    Leased,
    OneHere,
    AtLast,
}

impl Law {
    pub(super) const ALL: [Self; 17] = [
        Self::Q2,
        Self::Q3,
        Self::Q4,
        Self::Q5,
        Self::Q6,
        Self::Q7,
        Self::Q8,
        Self::Q11,
        Self::Q12,
        Self::Q14,
        Self::Once,
        Self::NeverBegun,
        Self::Single,
        Self::Spared,
        Self::Leased,
        Self::OneHere,
        Self::AtLast,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Q2 => "Q2: an acknowledged submission survives",
            Self::Q3 => "Q3: moves only along the table",
            Self::Q4 => "Q4: no more run than there are slots",
            Self::Q5 => "Q5: work begins only while its start is durable and stands",
            Self::Q6 => "Q6: a cancelled action never starts",
            Self::Q7 => "Q7: final is final",
            Self::Q8 => "Q8: what is first, of what is not locked, starts first",
            Self::Q11 => "Q11: who waits is answered",
            Self::Q12 => "Q12: a paused queue starts nothing",
            Self::Q14 => "Q14: at most one attempt is believed",
            Self::Once => "with Fail, work is never begun twice",
            Self::NeverBegun => "with Fail, what a living server never began is no error",
            Self::Single => "what is submitted once is one action",
            Self::Spared => "what an owner runs is recovered only after its lease",
            Self::Leased => "only an owner with a lease starts anything",
            Self::OneHere => "a server runs at most one attempt at an action",
            Self::AtLast => "at last everything ends",
        }
    }
}

/// Holds the world against the laws that can be read off it. `rests` says that nothing more comes by itself.
pub(super) fn look(setup: &Setup, world: &mut World, rests: bool) {
    if world.acknowledged.iter().any(|id| {
        let unwritten = |server: &Server| server.unwritten.contains(id);
        world.row(*id).is_none() && !world.servers.iter().flatten().any(unwritten)
    }) {
        world.broke(Law::Q2);
    }
    let slots = |server: &Server| {
        // What is resumed runs elsewhere, and is not refused.
        let own = server.runs.iter().chain(&server.starting).filter(|run| !run.resumed);
        own.count() > setup.slots
    };
    if world.servers.iter().flatten().any(slots) {
        world.broke(Law::Q4);
    }
    let submitted = usize::from(setup.actions + world.submitted);
    if world.rows.len() > submitted {
        world.broke(Law::Single);
    }
    let runs_twice = |server: &Server| {
        let runs = &server.runs;
        runs.iter().enumerate().any(|(n, run)| runs[..n].iter().any(|r| r.key.id == run.key.id))
    };
    if world.servers.iter().flatten().any(runs_twice) {
        world.broke(Law::OneHere);
    }
    if !rests {
        return;
    }
    let servers = || world.servers.iter().flatten();
    let goes_on = |id| setup.endless && servers().any(|s| s.runs.iter().any(|r| r.key.id == id));
    let unended =
        world.rows.iter().filter(|row| !(row.state == State::Queued && world.paused)).any(|row| {
            !(row.state.is_final() || row.state == State::Processing && goes_on(row.id))
        });
    let stray = servers().any(|server| {
        let stands = |key| {
            world.row(key).is_some_and(|row: &super::world::Row| {
                row.state == State::Processing && row.owner == server.owner
            })
        };
        !server.reports.is_empty() || server.runs.iter().any(|run| !stands(run.key.id))
    });
    let waits = servers()
        .any(|s| s.waits.iter().any(|id| world.row(*id).is_some_and(|row| row.state.is_final())));
    if unended || stray {
        world.broke(Law::AtLast);
    }
    if waits {
        world.broke(Law::Q11);
    }
}

/// States that a model must come by, or it shows nothing of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// An end that comes too late: another owner has recovered the attempt.
    LateReport,
    /// Two attempts at one action run at the same time.
    Overlap,
    /// Work has begun though its server had stood still past its lease.
    BegunLate,
    FoundDone,
    FoundUndone,
    UnsettledDone,
    UnsettledUndone,
    /// Somebody waits for a transaction whose answer was lost.
    Locked,
}

impl Reached {
    fn property(self) -> Property<Setup> {
        fn lost(world: &World, done: bool, unsettled: bool) -> bool {
            let mut all = world.servers.iter().flatten().filter_map(|s| s.lost.as_ref());
            all.any(|lost| {
                let fate =
                    matches!((lost.fate, done), (Fate::Done(_), true) | (Fate::Undone, false));
                fate && lost.unsettled == unsettled
            })
        }
        let holds: fn(&Setup, &World) -> bool = match self {
            Self::LateReport => |_, world| {
                let reports = world.servers.iter().flatten().flat_map(|s| &s.reports);
                let mut rows =
                    reports.filter_map(|report| Some((report, world.row(report.key.id)?)));
                rows.any(|(report, row)| row.key() != report.key || row.owner != report.owner)
            },
            Self::Overlap => |_, world| {
                let [Some(a), Some(b)] = &world.servers else { return false };
                a.runs.iter().any(|run| b.runs.iter().any(|other| other.key.id == run.key.id))
            },
            Self::BegunLate => |_, world| {
                let late = |server: &Server| server.runs.iter().any(|run| run.stood_still);
                world.servers.iter().flatten().any(late)
            },
            Self::FoundDone => |_, world| lost(world, true, false),
            Self::FoundUndone => |_, world| lost(world, false, false),
            Self::UnsettledDone => |_, world| lost(world, true, true),
            Self::UnsettledUndone => |_, world| lost(world, false, true),
            Self::Locked => |_, world| {
                let locked = |flight: &super::world::Flight| match flight.write {
                    Write::Claim(id) => Some((id, flight.owner)),
                    Write::Report(report) => Some((report.key.id, flight.owner)),
                    Write::Ask(_) | Write::Reclaim => None,
                };
                let mut locked = world.flights.iter().filter_map(locked);
                locked.any(|(id, owner)| {
                    let others = world.servers.iter().flatten().filter(|s| s.owner != owner);
                    let mut reports = others.flat_map(|server| &server.reports);
                    let waits = |row: &super::world::Row| row.state == State::Queued;
                    reports.any(|report| report.key.id == id) || world.row(id).is_some_and(waits)
                })
            },
        };
        Property::sometimes(self.name(), holds)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::LateReport => "a report comes too late",
            Self::Overlap => "two attempts at an action overlap",
            Self::BegunLate => "work begins late",
            Self::FoundDone => "what was committed is found out",
            Self::FoundUndone => "what was not committed is found out",
            Self::UnsettledDone => "what was committed is settled later",
            Self::UnsettledUndone => "what was not committed is settled later",
            Self::Locked => "somebody waits for a transaction whose answer was lost",
        }
    }
}

pub(super) fn properties(setup: &Setup) -> Vec<Property<Setup>> {
    let mut properties: Vec<Property<Setup>> = vec![
        Property::always(Law::Q2.name(), |_, w: &World| !w.broken.contains(&Law::Q2)),
        Property::always(Law::Q3.name(), |_, w: &World| !w.broken.contains(&Law::Q3)),
        Property::always(Law::Q4.name(), |_, w: &World| !w.broken.contains(&Law::Q4)),
        Property::always(Law::Q5.name(), |_, w: &World| !w.broken.contains(&Law::Q5)),
        Property::always(Law::Q6.name(), |_, w: &World| !w.broken.contains(&Law::Q6)),
        Property::always(Law::Q7.name(), |_, w: &World| !w.broken.contains(&Law::Q7)),
        Property::always(Law::Q8.name(), |_, w: &World| !w.broken.contains(&Law::Q8)),
        Property::always(Law::Q11.name(), |_, w: &World| !w.broken.contains(&Law::Q11)),
        Property::always(Law::Q12.name(), |_, w: &World| !w.broken.contains(&Law::Q12)),
        Property::always(Law::Q14.name(), |_, w: &World| !w.broken.contains(&Law::Q14)),
        Property::always(Law::Once.name(), |_, w: &World| !w.broken.contains(&Law::Once)),
        Property::always(Law::NeverBegun.name(), |_, w: &World| {
            !w.broken.contains(&Law::NeverBegun)
        }),
        Property::always(Law::Single.name(), |_, w: &World| !w.broken.contains(&Law::Single)),
        Property::always(Law::Spared.name(), |_, w: &World| !w.broken.contains(&Law::Spared)),
        Property::always(Law::Leased.name(), |_, w: &World| !w.broken.contains(&Law::Leased)),
        Property::always(Law::OneHere.name(), |_, w: &World| !w.broken.contains(&Law::OneHere)),
        Property::always(Law::AtLast.name(), |_, w: &World| !w.broken.contains(&Law::AtLast)),
    ];
    assert_eq!(properties.len(), Law::ALL.len());
    // A model in which nothing ends shows nothing.
    properties.push(Property::sometimes("everything has ended", |_, w: &World| {
        w.rows.iter().all(|row| row.state.is_final())
    }));
    properties.extend(setup.reaches.iter().map(|reached| reached.property()));
    properties
}

/// The moves that an action may make: the design's table, not the rules that the model asks.
pub(super) const fn may_move(from: State, to: State) -> bool {
    matches!(
        (from, to),
        (State::Queued, State::Processing | State::Cancelled)
            | (State::Processing, State::Stopping | State::Queued)
            | (State::Processing, State::Finished | State::Error)
            | (State::Stopping, State::Finished | State::Error | State::Stopped)
    )
}
