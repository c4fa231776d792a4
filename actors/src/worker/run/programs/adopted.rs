//! Processes that have left their programs, or lost their parents: which programs may have started each, and where it is
//! written down.
//!
//! The next start finds a process by its group, by its parent or by its mark. One that has left its group, or that was
//! adopted, may lose all of that, so it is written into the records as soon as it is seen.

use std::collections::HashMap;
use std::sync::Weak;
use std::time::Instant;

use super::Programs;
use super::census::Serial;
use super::proc::{Process, Stat};
use super::records::Record;

/// The attempt for which a program runs.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub(super) system: Weak<Programs>,
    pub(super) action: u64,
    pub(super) number: u64,
    pub(super) queue: String,
}

/// A process, and the attempts of which it may be.
pub(super) type Note = (Process, Vec<Owner>);

/// A program that may have started others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Starter {
    pub(super) serial: Serial,
    /// Time at which it was started; `None` while it is being started.
    pub(super) start: Option<u64>,
    /// True once its leader has ended.
    pub(super) ends: bool,
}

/// Judgement on who started an orphan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A program that goes on may have started it.
    Somebodys,
    /// It may be a program that is just being started, or of one.
    Unclear,
    /// No program that goes on can have started it.
    Nobodys,
}

/// All programs that may have started others, in the order of their serial numbers.
#[derive(Debug, Default)]
pub(super) struct Starters(Vec<(Starter, Before)>);

/// Of a program and those before it, without those that end.
#[derive(Debug, Clone, Copy)]
struct Before {
    /// The earliest start.
    first: Option<u64>,
    /// True if one is being started.
    is_starting: bool,
}

impl Starters {
    /// Takes the programs in the order of their serial numbers.
    pub(super) fn of(programs: impl Iterator<Item = Starter>) -> Self {
        let sum = |before: &mut Before, starter: Starter| {
            if !starter.ends {
                match (starter.start, before.first) {
                    (None, _) => before.is_starting = true,
                    (Some(start), None) => before.first = Some(start),
                    (Some(start), Some(first)) => before.first = Some(first.min(start)),
                }
            }
            Some((starter, *before))
        };
        Self(programs.scan(Before { first: None, is_starting: false }, sum).collect())
    }

    /// Judges an orphan with this time of start, which was first seen before the program of that number was taken in. That
    /// tells more than times alone, which have ticks.
    pub(super) fn verdict(&self, start: u64, before: Serial) -> Verdict {
        match self.until(before).last() {
            Some((_, Before { first: Some(first), .. })) if *first <= start => Verdict::Somebodys,
            Some((_, Before { is_starting: true, .. })) => Verdict::Unclear,
            _ => Verdict::Nobodys,
        }
    }

    /// Returns those that may have started it, also those that end.
    pub(super) fn may_be_of(&self, start: u64, before: Serial) -> impl Iterator<Item = Serial> {
        let may = move |starter: &Starter| starter.start.is_none_or(|first| first <= start);
        self.until(before).iter().map(|(starter, _)| *starter).filter(may).map(|s| s.serial)
    }

    fn until(&self, before: Serial) -> &[(Starter, Before)] {
        let length = self.0.partition_point(|(starter, _)| starter.serial < before);
        self.0.get(..length).unwrap_or_default()
    }
}

/// A process that has left its program, or was adopted.
#[derive(Debug)]
pub(super) struct Leaver {
    start: u64,
    /// Number of the program that was to be taken in next when this was first seen.
    pub(super) before: Serial,
    pub(super) seen: Instant,
    pub(super) was_noted: bool,
    /// The lines that tell of it.
    lines: Vec<Line>,
}

/// A line in the records of a system.
type Line = (Weak<Programs>, u64);

/// Those that have left their programs.
#[derive(Debug, Default)]
pub(super) struct Leavers {
    /// By number.
    known: HashMap<i32, Leaver>,
    /// Lines that are to be deleted.
    struck: Vec<Line>,
}

impl Leavers {
    pub(super) fn has(&self, id: i32) -> bool {
        self.known.contains_key(&id)
    }

    /// Takes all out that are known.
    pub(super) fn take_all(&mut self) -> HashMap<i32, Leaver> {
        std::mem::take(&mut self.known)
    }

    /// Keeps one that is known, or a new one that is seen first now.
    pub(super) fn keep(
        &mut self,
        process: Process,
        known: Option<Leaver>,
        next: Serial,
    ) -> &mut Leaver {
        let Process { id, start } = process;
        let same = match known {
            Some(leaver) if leaver.start == start => Some(leaver),
            other => {
                self.strike_out(other);
                None
            }
        };
        let new = || Leaver {
            start,
            before: next,
            seen: Instant::now(),
            was_noted: false,
            lines: Vec::new(),
        };
        self.known.entry(id).insert_entry(same.unwrap_or_else(new)).into_mut()
    }

    pub(super) fn forget(&mut self, id: i32) {
        let known = self.known.remove(&id);
        self.strike_out(known);
    }

    /// Takes these out of the records, at the next [`write`](Self::write).
    pub(super) fn strike_out(&mut self, leavers: impl IntoIterator<Item = Leaver>) {
        self.struck.extend(leavers.into_iter().flat_map(|leaver| leaver.lines));
    }

    /// Writes these down in the records of their owners, and deletes what was struck out.
    pub(super) fn write(&mut self, notes: Vec<Note>) {
        for (system, line) in self.struck.drain(..) {
            if let Some(system) = system.upgrade() {
                system.strike_out(line);
            }
        }
        for (process, owners) in notes {
            self.note(process, &owners);
        }
    }

    fn note(&mut self, process: Process, owners: &[Owner]) {
        let Some(leaver) = self.known.get_mut(&process.id) else { return };
        leaver.was_noted = true;
        let Some(stat) = Stat::of(process.id).filter(|stat| stat.start == process.start) else {
            return;
        };
        let sole = match owners {
            [owner] => Some(owner),
            _ => None,
        };
        let record = Record {
            process,
            session: stat.session,
            action: sole.map_or(0, |owner| owner.action),
            attempt: sole.map_or(0, |owner| owner.number),
            cgroup: None,
            queue: sole.map(|owner| owner.queue.clone()).unwrap_or_default(),
        };
        for Owner { system, .. } in owners {
            let is_there = leaver.lines.iter().any(|(other, _)| other.ptr_eq(system));
            if !is_there
                && let Some(line) = system.upgrade().and_then(|system| system.note(&record))
            {
                leaver.lines.push((system.clone(), line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::Arc;

    use super::*;
    use crate::worker::run::programs::proc::tests::Kept;

    fn starters(of: &[(Serial, Option<u64>, bool)]) -> Starters {
        Starters::of(of.iter().map(|&(serial, start, ends)| Starter { serial, start, ends }))
    }

    #[test]
    fn an_orphan_is_of_a_program_that_ran_when_it_was_born() {
        use Verdict::{Nobodys, Somebodys, Unclear};
        let first = (1, Some(100), false);
        let ended = (1, Some(100), true);
        let second = (2, Some(200), false);
        let starting = (3, None, false);
        for (programs, start, before, verdict, of) in [
            (&[][..], 150, 1, Nobodys, &[][..]),
            (&[first], 99, 2, Nobodys, &[]),
            (&[first], 100, 2, Somebodys, &[1]),
            // It was there before that program.
            (&[first], 100, 1, Nobodys, &[]),
            (&[ended], 150, 2, Nobodys, &[1]),
            (&[ended, second], 150, 3, Nobodys, &[1]),
            (&[ended, second], 200, 3, Somebodys, &[1, 2]),
            (&[ended, second], 200, 2, Nobodys, &[1]),
            (&[first, second], 150, 3, Somebodys, &[1]),
            (&[second, starting], 150, 4, Unclear, &[3]),
            (&[second, starting], 150, 3, Nobodys, &[]),
            (&[second, starting], 250, 4, Somebodys, &[2, 3]),
            (&[ended, starting], 150, 4, Unclear, &[1, 3]),
            // The earliest start is not that of the first number.
            (&[(1, Some(300), false), second], 250, 3, Somebodys, &[2]),
        ] {
            let what = format!("{programs:?} {start} {before}");
            let starters = starters(programs);
            assert_eq!(starters.verdict(start, before), verdict, "{what}");
            assert_eq!(starters.may_be_of(start, before).collect::<Vec<_>>(), of, "{what}");
        }
    }

    #[test]
    fn one_is_noted_in_all_systems_of_which_it_may_be_and_in_none_later() {
        let directories = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let systems = directories.each_ref().map(|directory| {
            std::fs::create_dir(directory.path().join("processes")).unwrap();
            let programs = Arc::new(Programs::new(directory.path()));
            // Opens the records.
            programs.end_survivors();
            programs
        });
        let written = || {
            directories.each_ref().map(|directory| {
                let text = std::fs::read(directory.path().join("processes/running")).unwrap();
                String::from_utf8(text).unwrap().lines().map(str::trim).collect::<Vec<_>>().join("")
            })
        };
        let sleeps = Kept(Command::new("sleep").arg("1000").spawn().unwrap());
        let id = sleeps.id().cast_signed();
        let process = Process { id, start: Stat::of(id).unwrap().start };
        let owner = |system: usize, action| Owner {
            system: Arc::downgrade(&systems[system]),
            action,
            number: 1,
            queue: "Convert".to_owned(),
        };
        let mut leavers = Leavers::default();
        let several = vec![owner(0, 17), owner(0, 18), owner(1, 17)];
        for (owners, counts, is_known) in
            [(several, [1, 1], false), (vec![owner(1, 17)], [0, 1], true), (vec![], [0, 0], false)]
        {
            assert!(!leavers.keep(process, None, 1).was_noted);
            leavers.write(vec![(process, owners)]);
            let found = written();
            for (text, count) in found.iter().zip(counts) {
                assert_eq!(text.matches(&format!("{id} {} ", process.start)).count(), count);
                assert_eq!(text.contains(" 17 1 - Convert #"), is_known && count > 0, "{text}");
            }
            // Another one that gets the number is not this one.
            let known = leavers.take_all().remove(&id);
            let other = Process { start: process.start + 1, ..process };
            assert!(!leavers.keep(other, known, 2).was_noted);
            leavers.write(vec![(other, vec![owner(0, 17)])]);
            assert_eq!(written(), ["", ""], "one has gone, the other was never there");
            leavers.forget(id);
        }
    }
}
