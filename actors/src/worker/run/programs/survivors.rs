//! The end of programs that outlived an earlier server of this data directory.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Signal, getpid};

use super::census::BEGUN_WITHIN;
use super::cgroup;
use super::proc::{self, Marked, Process, Stat};
use super::records::{Action, Record};

/// Time between two looks at what was killed.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What is known of the programs of the earlier server.
pub(super) struct Left<'a> {
    pub(super) records: &'a [Record],
    /// The beginning of their marks.
    pub(super) id: &'a str,
    pub(super) cgroup: Option<&'a Path>,
}

/// The survivors that were found.
#[derive(Debug, Default)]
pub(super) struct Survivors {
    /// The number of processes of each action. Action 0 without a queue stands for those of which it is not known.
    pub(super) of: BTreeMap<Action, usize>,
    /// Those that can't be ended.
    pub(super) remain: Vec<i32>,
}

impl Survivors {
    pub(super) fn number(&self) -> usize {
        self.of.values().sum()
    }
}

/// Most actions that are named in the log.
const MOST_NAMED: usize = 20;

impl fmt::Display for Survivors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, ((action, queue), processes)) in self.of.iter().take(MOST_NAMED).enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            let several = if *processes == 1 { "" } else { "es" };
            match action {
                0 if queue.is_none() => write!(f, "{comma}an action that is not known")?,
                0 => write!(f, "{comma}an action that ran at once")?,
                action => write!(f, "{comma}action {action}")?,
            }
            if let Some(queue) = queue {
                write!(f, " of queue {queue}")?;
            }
            write!(f, " ({processes} process{several})")?;
        }
        match self.of.len().saturating_sub(MOST_NAMED) {
            0 => Ok(()),
            more => write!(f, " and {more} more actions"),
        }
    }
}

/// Ends them, and returns once they have ended or the time is over.
pub(super) fn end(left: &Left<'_>, until: Instant) -> Survivors {
    let mut found = BTreeMap::new();
    let mut survivors = Survivors::default();
    let mut looked_again = false;
    loop {
        // Held first, so that none of them starts another one while they are collected, and the death of a parent takes
        // no child out of reach. What has passed from one process to the next meanwhile is found by the next look.
        while collect(left, &mut found) > 0 && Instant::now() < until {}
        let live: Vec<_> = found.keys().copied().filter(|process| process.lives()).collect();
        if live.is_empty() {
            if std::mem::replace(&mut looked_again, true) {
                break;
            }
            // One that is just beginning a program shows its environment after that.
            std::thread::sleep(BEGUN_WITHIN);
            continue;
        }
        for process in &live {
            let _ = process.signal(Signal::KILL);
        }
        if Instant::now() >= until {
            survivors.remain = live.iter().map(|process| process.id).collect();
            break;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    for of in found.into_values() {
        *survivors.of.entry(of).or_default() += 1;
    }
    survivors
}

/// Adds the survivors that are not found yet, stops them and returns their number.
fn collect(left: &Left<'_>, found: &mut BTreeMap<Process, Action>) -> usize {
    let own = getpid().as_raw_pid();
    let all: BTreeMap<i32, Stat> = proc::all()
        .unwrap_or_default()
        .into_iter()
        .filter_map(|id| Some((id, Stat::of(id)?)))
        .filter(|(id, stat)| *id != own && *id > 1 && !stat.has_ended && !stat.is_of_kernel)
        .collect();
    let in_cgroup = left.cgroup.map(cgroup::members_by_number).unwrap_or_default();
    let mut fresh = Vec::new();
    for (&id, stat) in &all {
        let process = Process { id, start: stat.start };
        if let Entry::Vacant(entry) = found.entry(process)
            && let Some(of) = left.owner_of(process, stat, &all, &in_cgroup)
        {
            entry.insert(of);
            fresh.push(process);
        }
    }
    // And all that descends from them.
    loop {
        let before = fresh.len();
        for (&id, stat) in &all {
            let Some(parent) = all.get(&stat.parent) else { continue };
            let parent = Process { id: stat.parent, start: parent.start };
            let process = Process { id, start: stat.start };
            if let Some(of) = found.get(&parent).cloned()
                && let Entry::Vacant(entry) = found.entry(process)
            {
                entry.insert(of);
                fresh.push(process);
            }
        }
        if fresh.len() == before {
            break;
        }
    }
    for process in &fresh {
        let _ = process.signal(Signal::STOP);
    }
    fresh.len()
}

impl Left<'_> {
    /// Returns the action that started a process, or `None` if that is not known to be one of them.
    fn owner_of(
        &self,
        process: Process,
        stat: &Stat,
        all: &BTreeMap<i32, Stat>,
        in_cgroup: &BTreeMap<Process, u64>,
    ) -> Option<Action> {
        let is_of = |record: &&Record| {
            // A number is not used again while a group has it, so the group is another one if its first process is.
            let has_first =
                all.get(&record.process.id).is_none_or(|s| s.start == record.process.start);
            record.process == process
                || (stat.group == record.process.id
                    && has_first
                    && stat.session == record.session
                    && stat.start >= record.process.start)
        };
        let mut recorded = self.records.iter().filter(is_of).peekable();
        let is_recorded = recorded.peek().is_some();
        if let Some(action) = recorded.find_map(Record::action) {
            return Some(action);
        }
        if let Marked::By(mark) = proc::mark_of(process.id)
            && let Some(rest) = mark.strip_prefix(self.id).and_then(|rest| rest.strip_prefix('.'))
        {
            let mut numbers = rest.split('.').map(|number| number.parse().unwrap_or(0));
            let (action, attempt) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
            let is_of = |record: &&Record| (record.action, record.attempt) == (action, attempt);
            let known = self.records.iter().filter(is_of).find_map(Record::action);
            return Some(known.unwrap_or((action, None)));
        }
        if let Some(cgroup) = in_cgroup.get(&process) {
            let mut of_cgroup = self.records.iter().filter(|r| r.cgroup == Some(*cgroup));
            return Some(of_cgroup.find_map(Record::action).unwrap_or((0, None)));
        }
        // One that this process has adopted may be of another system in it, which looks after it.
        let is_adopted = stat.parent == getpid().as_raw_pid();
        (is_recorded && !is_adopted).then_some((0, None))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;
    use crate::worker::run::programs::proc::MARK;
    use crate::worker::run::programs::proc::tests::Kept;

    /// Runs something in a shell, in a group of its own.
    fn shell(run: &str, mark: &str) -> (Kept, Process, Stat) {
        let child =
            Command::new("sh").arg("-c").arg(run).env(MARK, mark).process_group(0).spawn().unwrap();
        let id = child.id().cast_signed();
        let stat = Stat::of(id).unwrap();
        (Kept(child), Process { id, start: stat.start }, stat)
    }

    fn record(process: Process, session: i32, action: u64) -> Record {
        let queue = "Convert".to_owned();
        Record { process, session, action, attempt: 1, cgroup: None, queue }
    }

    /// Waits until the process has this number of children, and returns them.
    fn children_of(parent: Process, number: usize) -> Vec<Process> {
        loop {
            let children = proc::all().unwrap().into_iter().filter_map(|id| {
                let stat = Stat::of(id)?;
                (stat.parent == parent.id).then_some(Process { id, start: stat.start })
            });
            let children: Vec<_> = children.collect();
            if children.len() == number {
                return children;
            }
            std::thread::yield_now();
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[test]
    fn those_of_the_records_end_with_their_descendants_and_nothing_else_does() {
        // Its child is in a session of its own, and has no mark.
        let run = "env -i setsid sleep 1000 & trap '' TERM; wait";
        let (_recorded, leader, stat) = shell(run, "x");
        let child = children_of(leader, 1)[0];
        let (_reused, other, _) = shell("exec sleep 1000", "x");
        let records = [
            record(leader, stat.session, 17),
            // Each names a process that is somebody else's by now.
            record(Process { start: other.start - 1, ..other }, stat.session, 18),
            record(Process { id: i32::MAX, start: 1 }, stat.session, 19),
        ];
        let left = Left { records: &records, id: "0123456789abcdef", cgroup: None };
        let survivors = end(&left, soon());
        assert!(!leader.lives() && !child.lives());
        assert!(other.lives(), "it only has a number that was used before");
        assert_eq!(survivors.to_string(), "action 17 of queue Convert (2 processes)");
        assert_eq!((survivors.number(), survivors.remain.len()), (2, 0));
    }

    #[test]
    fn a_group_ends_whose_leader_has_gone() {
        let (mut leader, process, stat) = shell("sleep 1000 & exit 0", "x");
        leader.wait().unwrap();
        let member = |all: Vec<i32>| {
            let of = |id: &i32| Stat::of(*id).is_some_and(|stat| stat.group == process.id);
            all.into_iter().find(of)
        };
        let member = member(proc::all().unwrap()).unwrap();
        let member = Process { id: member, start: Stat::of(member).unwrap().start };
        for (session, ends) in [(stat.session + 1, false), (stat.session, true)] {
            let records = [record(process, session, 17)];
            end(&Left { records: &records, id: "0123456789abcdef", cgroup: None }, soon());
            assert_eq!(!member.lives(), ends, "of another session it is another group");
        }
    }

    #[test]
    fn what_has_the_mark_of_the_directory_ends() {
        let id = "00000000000000aa";
        let (_marked, process, _) = shell("exec sleep 1000", "00000000000000aa.17.2");
        let (_other, kept, _) = shell("exec sleep 1000", "00000000000000ab.17.2");
        let survivors = end(&Left { records: &[], id, cgroup: None }, soon());
        assert_eq!(survivors.to_string(), "action 17 (1 process)");
        assert!(!process.lives());
        assert!(kept.lives(), "it is of another directory");
    }

    #[test]
    fn a_survivor_is_of_the_action_that_is_known_best() {
        // Numbers that no process has: nothing is read of them.
        let [leader, orphan, other] =
            [1, 2, 3].map(|n| Process { id: i32::MAX - n, start: n.unsigned_abs().into() });
        let unknown = |process| Record { queue: String::new(), ..record(process, 7, 0) };
        let of_cgroup = |process, number| Record { cgroup: Some(number), ..record(process, 7, 17) };
        // A leader that was taken for an orphan just before it was recorded.
        let records = [unknown(leader), of_cgroup(leader, 3), unknown(orphan)];
        let left = Left { records: &records, id: "0123456789abcdef", cgroup: None };
        let known = Some((17, Some("Convert".to_owned())));
        let own = getpid().as_raw_pid();
        for (process, parent, cgroup, want) in [
            (leader, 1, None, &known),
            (orphan, 1, Some(3), &known),
            (orphan, 1, Some(4), &Some((0, None))),
            (orphan, 1, None, &Some((0, None))),
            // Another system of this process may look after it.
            (orphan, own, None, &None),
            (other, 1, Some(3), &known),
            (other, 1, None, &None),
        ] {
            let stat = Stat {
                parent,
                group: process.id,
                session: process.id,
                start: process.start,
                has_ended: false,
                is_of_kernel: false,
            };
            let in_cgroup = cgroup.map(|number| (process, number)).into_iter().collect();
            let found = left.owner_of(process, &stat, &BTreeMap::new(), &in_cgroup);
            assert_eq!(found, *want, "{process:?} {parent} {cgroup:?}");
        }
        let mut survivors = Survivors::default();
        for of in [(0, None), (0, Some("Convert".to_owned())), (17, None)] {
            survivors.of.insert(of, 1);
        }
        assert_eq!(
            survivors.to_string(),
            "an action that is not known (1 process), an action that ran at once of queue Convert (1 process), \
             action 17 (1 process)"
        );
    }
}
