//! The guarantees as they read for workers elsewhere.

use actiond_actors::State;
use stateright::Property;

use super::world::{Setup, Worker, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Law {
    Q2,
    Q4,
    Q11,
    Q14,
    Refused,
    Kept,
    Blamed,
    Bounded,
    Counted,
    Demand,
    Takers,
    AtLast,
}

impl Law {
    const ALL: [(Self, &'static str); 12] = [
        (Self::Q2, "Q2: a finish that was acknowledged survives"),
        (Self::Q4, "Q4: no more actions run than there are slots"),
        (Self::Q11, "Q11: each word is answered"),
        (Self::Q14, "Q14: the end of one attempt is believed, once, and it is the latest"),
        (Self::Refused, "a finish that was refused is not written"),
        (Self::Kept, "what a worker has is not given to another while it speaks"),
        (Self::Blamed, "silence is a failure only of a worker that had the action"),
        (Self::Bounded, "an action is started no more after so many restarts"),
        (Self::Counted, "only the death of a server counts as a restart"),
        (Self::Demand, "no more is claimed than workers wait"),
        (Self::Takers, "no worker that asks is forgotten"),
        (Self::AtLast, "at last everything ends"),
    ];

    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(law, _)| *law == self).map_or("", |(_, name)| name)
    }
}

/// Holds the world against the laws that can be read off it. `rests` says that nothing more comes by itself.
pub(super) fn look(setup: &Setup, world: &mut World, rests: bool) {
    let finished = |key: &super::world::Key| {
        let row = world.row(key.id);
        row.is_some_and(|row| row.state == State::Finished && row.key() == *key)
    };
    let kept = world.acknowledged.iter().all(finished);
    let enough = world.running() <= setup.slots;
    let server = world.server.as_ref();
    let at_rest = server.filter(|s| s.batch.is_none() && !s.recovers && s.ends.is_empty());
    let unanswered = at_rest.is_some_and(|server| {
        let here = |key| server.jobs.iter().any(|job| job.key == key);
        world.workers.iter().any(|worker| matches!(worker, Worker::Says(key, _) if !here(*key)))
    });
    let forgotten = at_rest.is_some_and(|server| {
        let asks = |name: &usize| world.workers[*name] == Worker::Asks;
        (0..world.workers.len()).filter(asks).any(|name| !server.takers.contains(&name))
    });
    let unended = rests && world.rows.iter().any(|row| !row.state.is_final());
    for (law, is_broken) in [
        (Law::Q2, !kept),
        (Law::Q4, !enough),
        (Law::Q11, unanswered),
        (Law::Takers, forgotten),
        (Law::AtLast, unended),
    ] {
        if is_broken {
            world.broke(law);
        }
    }
}

/// Makes a property of each law.
macro_rules! always {
    ($($law:ident),*) => {
        vec![$(Property::always(Law::$law.name(), |_: &Setup, world: &World| {
            !world.broken.contains(&Law::$law)
        })),*]
    };
}

pub(super) fn properties() -> Vec<Property<Setup>> {
    let mut properties =
        always![Q2, Q4, Q11, Q14, Refused, Kept, Blamed, Bounded, Counted, Demand, Takers, AtLast];
    assert_eq!(properties.len(), Law::ALL.len());
    // A model in which nothing ends shows nothing.
    properties.push(Property::sometimes("everything has ended", |_, world: &World| {
        world.rows.iter().all(|row| row.state.is_final())
    }));
    properties
}
