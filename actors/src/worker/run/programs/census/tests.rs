//! The census of processes that are made up.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::*;

const SERVER: i32 = 100;

#[derive(Default)]
struct World {
    processes: RefCell<BTreeMap<i32, (Stat, &'static str)>>,
    looked_at: Cell<usize>,
    /// A chain of processes: when the last is about to be looked at, it starts this one and ends.
    next: Cell<Option<(i32, i32)>>,
}

impl World {
    fn new() -> Self {
        let world = Self::default();
        for (id, parent, group) in [(1, 0, 1), (2, 0, 0), (90, 1, 90), (SERVER, 1, SERVER)] {
            world.put(id, parent, group, "PATH");
        }
        world
    }

    /// Puts a process there; the same number again keeps its start.
    fn put(&self, id: i32, parent: i32, group: i32, environment: &'static str) {
        let start = u64::from(id.unsigned_abs());
        let stat = Stat {
            parent,
            group,
            session: 1,
            start,
            has_ended: environment == "ended",
            is_of_kernel: id == 2,
        };
        self.processes.borrow_mut().insert(id, (stat, environment));
    }

    fn gone(&self, id: i32) {
        self.processes.borrow_mut().remove(&id);
    }
}

impl Look for World {
    fn all(&self) -> std::io::Result<Vec<i32>> {
        Ok(self.processes.borrow().keys().copied().collect())
    }

    fn stat(&self, process: i32) -> Option<Stat> {
        self.looked_at.set(self.looked_at.get() + 1);
        if let Some((last, next)) = self.next.get().filter(|(last, _)| *last == process) {
            self.next.set(None);
            self.put(last, SERVER, last, "ended");
            self.put(next, SERVER, next, "");
        }
        self.processes.borrow().get(&process).map(|(stat, _)| *stat)
    }

    fn mark(&self, process: i32) -> Marked {
        match self.processes.borrow()[&process].1 {
            "" | "ended" => Marked::Empty,
            "PATH" => Marked::No,
            mark => Marked::By(mark.to_owned()),
        }
    }
}

/// A roster of the programs 1 and 2, led by the processes 201 and 202.
fn roster(adopts: bool) -> Roster {
    Roster {
        leaders: [(201, (201, 1)), (202, (202, 2))].into(),
        marks: [("a.1.1".to_owned(), 1), ("a.2.1".to_owned(), 2)].into(),
        server: SERVER,
        group: SERVER,
        bystanders: [301].into(),
        adopts,
    }
}

fn of(seen: &[Seen], id: i32) -> Option<Of> {
    seen.iter().find(|seen| seen.process.id == id).map(|seen| seen.of)
}

#[test]
fn a_process_belongs_to_a_program_by_group_parent_or_mark() {
    for adopts in [false, true] {
        let world = World::new();
        for leader in [201, 202] {
            world.put(leader, SERVER, leader, "");
        }
        world.put(210, 1, 201, ""); // left its parent, stayed in the group
        world.put(150, 202, 150, ""); // left the group, has its parent; of a lower number
        world.put(140, 150, 150, "");
        world.put(212, 1, 212, "a.2.1"); // left both
        world.put(213, 212, 213, ""); // a child of that
        world.put(214, 1, 214, "b.2.1"); // of somebody else
        world.put(215, SERVER, SERVER, ""); // started by something else in the server
        world.put(216, 215, 216, "");
        world.put(217, SERVER, 211, ""); // adopted, and nobody knows from whom
        world.put(218, 217, 211, "");
        let seen = Census::default().look(&world, &roster(adopts), false, Instant::now()).unwrap();
        let orphan = if adopts { Of::Orphan } else { Of::Child };
        for (id, want) in [
            (210, Some(Of::Program(1))),
            (150, Some(Of::Program(2))),
            (140, Some(Of::Program(2))),
            (212, Some(Of::Program(2))),
            (213, Some(Of::Program(2))),
            (214, None),
            (215, Some(Of::Child)),
            (216, Some(Of::Child)),
            (217, Some(orphan)),
            (218, Some(orphan)),
            (201, None),
            (SERVER, None),
            (1, None),
            (90, None),
        ] {
            assert_eq!(of(&seen, id), want, "{id}, adopts: {adopts}");
        }
    }
}

#[test]
fn what_a_process_was_found_to_be_stays_true_until_its_number_is_used_again() {
    let world = World::new();
    let now = Instant::now();
    let mut census = Census::default();
    world.put(201, SERVER, 201, "");
    world.put(210, 201, 201, "");
    let seen = census.look(&world, &roster(true), false, now).unwrap();
    assert_eq!(of(&seen, 210), Some(Of::Program(1)));
    world.put(210, SERVER, 210, "");
    world.put(211, 210, 210, "");
    let seen = census.look(&world, &roster(true), true, now).unwrap();
    assert_eq!(of(&seen, 210), Some(Of::Program(1)), "it is no orphan");
    assert_eq!(of(&seen, 211), Some(Of::Program(1)));
    world.gone(210);
    world.put(210, 1, 210, "PATH");
    world.processes.borrow_mut().get_mut(&210).unwrap().0.start += 1;
    let seen = census.look(&world, &roster(true), true, now).unwrap();
    assert_eq!(of(&seen, 210), None, "a stranger has its number");
}

#[test]
fn what_was_seen_before_its_program_was_known_is_looked_at_again() {
    let world = World::new();
    let now = Instant::now();
    let mut census = Census::default();
    world.put(201, SERVER, 201, "");
    world.put(210, 201, 201, "");
    let early = Roster { leaders: HashMap::new(), marks: HashMap::new(), ..roster(true) };
    let seen = census.look(&world, &early, false, now).unwrap();
    assert_eq!((of(&seen, 201), of(&seen, 210)), (Some(Of::Orphan), Some(Of::Orphan)));
    let seen = census.look(&world, &roster(true), true, now).unwrap();
    assert_eq!((of(&seen, 201), of(&seen, 210)), (None, Some(Of::Program(1))));
}

#[test]
fn a_stranger_is_looked_at_once_as_long_as_looks_are_quick() {
    let world = World::new();
    let now = Instant::now();
    let mut census = Census::default();
    for id in 300..400 {
        world.put(id, 90, 90, "PATH");
    }
    // What is just being started shows no environment; one whose parent is not shown may be anybody's.
    world.put(400, 90, 90, "");
    world.put(401, 999, 401, "PATH");
    let mut looks = |quickly| {
        let before = world.looked_at.get();
        census.look(&world, &roster(false), quickly, now).unwrap();
        world.looked_at.get() - before
    };
    assert_eq!(looks(true), 106);
    assert_eq!(looks(true), 3, "this process and those two");
    assert_eq!(looks(false), 106);
    assert!(census.is_unsure(now), "soon more can be told");
    world.put(400, 90, 90, "a.1.1");
    let seen = census.look(&world, &roster(false), true, now).unwrap();
    assert_eq!(of(&seen, 400), Some(Of::Program(1)));
}

#[test]
fn nothing_is_told_where_processes_are_not_shown() {
    let world = World::new();
    world.gone(SERVER);
    assert!(Census::default().look(&world, &roster(true), false, Instant::now()).is_err());
}

#[test]
fn a_look_that_can_not_tell_says_so_for_a_moment() {
    for (adopts, parent, environment, want) in [
        (false, 90, "", true),
        (false, 999, "PATH", true),
        (false, 90, "PATH", false),
        (false, 90, "ended", false),
        // Where orphans are adopted, it can only be somebody else's.
        (true, 90, "", false),
        (true, 999, "PATH", true),
    ] {
        let world = World::new();
        let mut census = Census::default();
        let now = Instant::now();
        let later = now + BEGUN_WITHIN;
        world.put(300, parent, 300, environment);
        census.look(&world, &roster(adopts), false, now).unwrap();
        assert_eq!(census.is_unsure(now), want, "{adopts} {parent} {environment}");
        census.look(&world, &roster(adopts), true, later).unwrap();
        assert!(!census.is_unsure(later), "it never tells: {adopts} {parent} {environment}");
        world.put(301, parent, 301, environment);
        census.look(&world, &roster(adopts), true, later).unwrap();
        world.gone(301);
        census.look(&world, &roster(adopts), true, later).unwrap();
        assert!(!census.is_unsure(later), "it has gone: {adopts} {parent} {environment}");
    }
}

/// Each look lists the last one of a chain, which starts another and ends before it is looked at.
#[test]
fn a_process_that_ends_during_a_look_makes_it_tell_nothing() {
    let world = World::new();
    let now = Instant::now();
    let mut census = Census::default();
    world.put(201, SERVER, 201, "");
    world.put(300, SERVER, 300, "");
    let mut look = || {
        let seen = census.look(&world, &roster(true), true, now).unwrap();
        let runs = seen.iter().filter(|seen| !seen.has_ended).count();
        let just_ended = seen.iter().filter(|seen| seen.has_just_ended).count();
        (runs, just_ended)
    };
    for last in 300..310 {
        world.next.set(Some((last, last + 1)));
        assert_eq!(look(), (0, 1), "{last}: the next one is on no list");
    }
    assert_eq!(look(), (1, 0), "the chain has an end");
    world.put(310, SERVER, 310, "ended");
    assert_eq!(look(), (0, 1));
    assert_eq!(look(), (0, 0));
}

/// Where orphans are not adopted, whoever ends is gone.
#[test]
fn a_process_of_a_program_that_is_gone_has_just_ended() {
    for (adopts, want) in [(false, vec![Of::Program(1)]), (true, vec![])] {
        let world = World::new();
        let now = Instant::now();
        let mut census = Census::default();
        world.put(201, SERVER, 201, "");
        world.put(210, 201, 201, "");
        world.put(211, 1, 211, "a.1.1");
        world.put(212, 90, 212, "PATH");
        let mut look = || {
            let seen = census.look(&world, &roster(adopts), true, now).unwrap();
            let just_ended = seen.into_iter().filter(|seen| seen.has_just_ended);
            just_ended.map(|seen| seen.of).collect::<Vec<_>>()
        };
        assert_eq!(look(), []);
        world.put(210, 201, 201, "ended");
        assert_eq!(look(), [Of::Program(1)]);
        // The first was seen to have ended, the last is nobody's.
        [210, 211, 212].into_iter().for_each(|id| world.gone(id));
        assert_eq!(look(), want, "adopts: {adopts}");
        assert_eq!(look(), []);
    }
}
