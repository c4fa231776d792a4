//! The guarantees as they read where several servers share a store.

use actiond_actors::State;
use stateright::Property;

use super::world::{Setup, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Law {
    Q2,
    Q5,
    Q6,
    Q7,
    Q11,
    Q14,
    Once,
    Spared,
    Leased,
    OneHere,
    AtLast,
}

impl Law {
    pub(super) const ALL: [Self; 11] = [
        Self::Q2,
        Self::Q5,
        Self::Q6,
        Self::Q7,
        Self::Q11,
        Self::Q14,
        Self::Once,
        Self::Spared,
        Self::Leased,
        Self::OneHere,
        Self::AtLast,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Q2 => "Q2: an acknowledged submission survives",
            Self::Q5 => "Q5: work begins only while its start is durable and stands",
            Self::Q6 => "Q6: a cancelled action never starts",
            Self::Q7 => "Q7: final is final",
            Self::Q11 => "Q11: who waits is answered",
            Self::Q14 => "Q14: at most one attempt is believed",
            Self::Once => "with Fail, work is never begun twice",
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
        let unwritten = |server: &super::world::Server| server.unwritten.contains(id);
        world.row(*id).is_none() && !world.servers.iter().flatten().any(unwritten)
    }) {
        world.broke(Law::Q2);
    }
    let runs_twice = |server: &super::world::Server| {
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
    let unended = world
        .rows
        .iter()
        .any(|row| !(row.state.is_final() || row.state == State::Processing && goes_on(row.id)));
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

pub(super) fn properties() -> Vec<Property<Setup>> {
    let mut properties: Vec<Property<Setup>> = vec![
        Property::always(Law::Q2.name(), |_, w: &World| !w.broken.contains(&Law::Q2)),
        Property::always(Law::Q5.name(), |_, w: &World| !w.broken.contains(&Law::Q5)),
        Property::always(Law::Q6.name(), |_, w: &World| !w.broken.contains(&Law::Q6)),
        Property::always(Law::Q7.name(), |_, w: &World| !w.broken.contains(&Law::Q7)),
        Property::always(Law::Q11.name(), |_, w: &World| !w.broken.contains(&Law::Q11)),
        Property::always(Law::Q14.name(), |_, w: &World| !w.broken.contains(&Law::Q14)),
        Property::always(Law::Once.name(), |_, w: &World| !w.broken.contains(&Law::Once)),
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
    properties
}
