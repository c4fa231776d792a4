//! The census: which processes belong to which program.
//!
//! A process belongs to a program if it is in the group of its leader, if its parent belongs to the program, or if its
//! environment has the program's mark. What it was found to be stays true: neither leaving the group nor the death of its
//! parent changes that. What has done all of that, and has cleared its environment, before it was seen first, is an
//! *orphan*: it is known for one only where this process adopts orphans.
//!
//! A look takes its time: it lists the processes first, and then looks at each. One that ends in between may have started
//! another that is not on the list. So a look that saw a process of a program end says nothing of what that may have started:
//! the next one does.
//!
//! Most processes are strangers. They are looked at once, as long as looks follow one another quickly: in between numbers
//! are not used again, and a stranger never becomes anything else.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::proc::{Marked, Process, Stat};

/// Serial number of a program in this process.
pub(super) type Serial = u64;

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// This process.
    Server,
    /// A process that something else in this process started: it is in the group of this process.
    Child,
    /// The first process of a program.
    Leader(Serial),
    /// A process that a program has started.
    Program(Serial),
    /// An adopted process, or a descendant of one, of which it is not known who started it.
    Orphan,
    /// A process that shows no environment: it has cleared it, or is just beginning a program.
    Silent,
    Stranger,
}

/// The programs that run when a look begins.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// Their leaders, for which nobody has waited, by number.
    pub(super) leaders: HashMap<i32, (u64, Serial)>,
    pub(super) marks: HashMap<String, Serial>,
    pub(super) server: i32,
    /// The group of this process.
    pub(super) group: i32,
    /// The groups of programs that are nobody's work.
    pub(super) bystanders: HashSet<i32>,
    /// True if this process adopts orphans.
    pub(super) adopts: bool,
}

/// Source of what is known of a process.
pub(super) trait Look {
    fn all(&self) -> std::io::Result<Vec<i32>>;
    fn stat(&self, process: i32) -> Option<Stat>;
    fn mark(&self, process: i32) -> Marked;
}

/// A process that was seen, and is no stranger.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) process: Process,
    pub(super) of: Of,
    pub(super) has_ended: bool,
    /// True if it had not ended at the last look: what it may have started since may be on no list yet.
    pub(super) has_just_ended: bool,
    pub(super) is_own_child: bool,
    /// True if it is in the group of a program.
    pub(super) is_in_group: bool,
}

/// Time within which a process that begins a program shows its environment.
pub(super) const BEGUN_WITHIN: Duration = Duration::from_millis(20);

/// The processes that were seen, from one look to the next.
#[derive(Debug, Default)]
pub(super) struct Census {
    known: HashMap<i32, (u64, Of)>,
    /// Those that are no strangers, had ended, and were not waited for.
    ended: HashSet<Process>,
    /// Those of which nothing could be told yet, and when they were first seen so.
    unsure: HashMap<Process, Instant>,
}

impl Census {
    /// Looks at all processes, and returns those that are no strangers, without leaders and this process. `quickly` says
    /// that the last look was a short time ago.
    ///
    /// # Errors
    ///
    /// If processes are not shown here.
    pub(super) fn look(
        &mut self,
        at: &impl Look,
        roster: &Roster,
        quickly: bool,
        now: Instant,
    ) -> std::io::Result<Vec<Seen>> {
        let before = std::mem::take(&mut self.known);
        let ended_before = std::mem::take(&mut self.ended);
        let all = at.all()?;
        self.known.reserve(all.len());
        let still_there: HashSet<i32> = match self.unsure.is_empty() {
            true => HashSet::new(),
            false => all.iter().copied().collect(),
        };
        self.unsure.retain(|process, _| still_there.contains(&process.id));
        let (mut seen, mut rest) = (Vec::new(), Vec::new());
        for id in all {
            if let Some((start, serial)) = roster.leaders.get(&id) {
                self.known.insert(id, (*start, Of::Leader(*serial)));
                continue;
            }
            let earlier = before.get(&id);
            if let Some(known @ (_, Of::Stranger)) = earlier
                && quickly
            {
                self.known.insert(id, *known);
                continue;
            }
            // One that is not there has gone meanwhile.
            let Some(stat) = at.stat(id) else { continue };
            match earlier {
                _ if id == roster.server => {
                    self.known.insert(id, (stat.start, Of::Server));
                }
                Some((start, of @ Of::Program(_))) if *start == stat.start => {
                    self.known.insert(id, (stat.start, *of));
                    seen.push((id, stat));
                }
                // Others may prove to belong to a program that was just being started.
                _ => rest.push((id, stat)),
            }
        }
        if !self.known.contains_key(&roster.server) {
            return Err(std::io::ErrorKind::NotFound.into());
        }
        // Parents first. Where no parent is known of any, those are next whose parents are not shown.
        let mut parents_are_shown = true;
        while !rest.is_empty() {
            let waiting = rest.len();
            let shown: HashSet<i32> = match parents_are_shown {
                true => HashSet::new(),
                false => rest.iter().map(|(id, _)| *id).collect(),
            };
            let mut later = Vec::new();
            for (id, stat) in rest {
                let parent = self.known.get(&stat.parent).map(|(_, of)| *of);
                let is_next =
                    stat.parent == 0 || !parents_are_shown && !shown.contains(&stat.parent);
                if parent.is_some() || is_next {
                    let of = settle(id, &stat, parent, roster, at);
                    let process = Process { id, start: stat.start };
                    // Where orphans are adopted, no stranger is their parent.
                    let is_anothers = parent.is_some() && roster.adopts;
                    let is_clear = !matches!(of, None | Some(Of::Silent)) || is_anothers;
                    let since = match is_clear {
                        true => self.unsure.remove(&process).unwrap_or(now),
                        false => *self.unsure.entry(process).or_insert(now),
                    };
                    // A parent that is never shown is a stranger.
                    let is_old = now.duration_since(since) >= BEGUN_WITHIN;
                    if let Some(of) = of.or(is_old.then_some(Of::Stranger)) {
                        self.known.insert(id, (stat.start, of));
                        seen.push((id, stat));
                    }
                } else {
                    later.push((id, stat));
                }
            }
            rest = later;
            if rest.len() == waiting && !std::mem::replace(&mut parents_are_shown, false) {
                // They are one another's parents: numbers were used again during the look.
                break;
            }
        }
        let (known, ended) = (&self.known, &mut self.ended);
        let seen = seen.into_iter().filter_map(|(id, stat)| {
            let (start, of) = *known.get(&id)?;
            if matches!(of, Of::Stranger | Of::Silent | Of::Server) {
                return None;
            }
            let process = Process { id, start };
            if stat.has_ended {
                ended.insert(process);
            }
            Some(Seen {
                process,
                of,
                has_ended: stat.has_ended,
                has_just_ended: stat.has_ended && !ended_before.contains(&process),
                is_own_child: stat.parent == roster.server,
                is_in_group: roster.leaders.contains_key(&stat.group),
            })
        });
        let mut seen: Vec<_> = seen.collect();
        if !roster.adopts {
            // Their parents may have waited for them. Where orphans are adopted, the last of those is a child of this process.
            let is_known = |id, start| known.get(&id).is_some_and(|(known, _)| *known == start);
            let gone = before.into_iter().filter(|(id, (start, of))| {
                matches!(of, Of::Program(_))
                    && !is_known(*id, *start)
                    && !ended_before.contains(&Process { id: *id, start: *start })
            });
            seen.extend(gone.map(|(id, (start, of))| Seen {
                process: Process { id, start },
                of,
                has_ended: true,
                has_just_ended: true,
                is_own_child: false,
                is_in_group: true,
            }));
        }
        Ok(seen)
    }

    /// Tells whether there are processes of which nothing could be told, and the next look may tell it.
    pub(super) fn is_unsure(&self, now: Instant) -> bool {
        self.unsure.values().any(|since| now.duration_since(*since) < BEGUN_WITHIN)
    }
}

/// Finds out what a process is whose parent is this. `None` if that can't be told yet.
fn settle(id: i32, stat: &Stat, parent: Option<Of>, roster: &Roster, at: &impl Look) -> Option<Of> {
    if let Some((_, serial)) = roster.leaders.get(&stat.group) {
        return Some(Of::Program(*serial));
    }
    if let Some(Of::Leader(serial) | Of::Program(serial)) = parent {
        return Some(Of::Program(serial));
    }
    let marked = if stat.is_of_kernel { Marked::No } else { at.mark(id) };
    if let Marked::By(mark) = &marked
        && let Some(serial) = roster.marks.get(mark)
    {
        return Some(Of::Program(*serial));
    }
    match parent {
        Some(Of::Server)
            if roster.adopts
                && stat.group != roster.group
                && !roster.bystanders.contains(&stat.group) =>
        {
            Some(Of::Orphan)
        }
        Some(Of::Server | Of::Child) => Some(Of::Child),
        Some(Of::Orphan) => Some(Of::Orphan),
        // Its parent has gone meanwhile.
        None if stat.parent != 0 => None,
        _ if marked == Marked::Empty && !stat.has_ended => Some(Of::Silent),
        _ => Some(Of::Stranger),
    }
}

#[cfg(test)]
mod tests;
