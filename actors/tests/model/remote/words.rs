//! What the server says to workers.

use actiond_actors::State;

use super::laws::Law;
use super::steps::Step;
use super::world::{End, Fault, Key, Name, Worker};

/// What the server makes of a word about an attempt that it does not know of here.
#[derive(PartialEq, Eq)]
enum Judged {
    /// That is what was written.
    Ok,
    /// The attempt was over before.
    Lost,
    /// It should be said again.
    Again,
}

impl Step<'_> {
    /// A worker says how its attempt ended.
    pub(super) fn says(&mut self, name: Name, key: Key, end: End) -> Option<()> {
        let unfenced = self.setup.has(Fault::WordsUnfenced);
        let early = self.setup.has(Fault::AckBeforeDurable);
        self.world.workers[name] = Worker::Says(key, end);
        let server = self.world.server.as_mut()?;
        if let Some(job) = server.jobs.iter_mut().find(|job| job.key == key) {
            let is_first = job.end.is_none();
            job.end.get_or_insert(end);
            server.tellers.push(name);
            server.tellers.sort_unstable();
            if early && is_first {
                self.tell(name, key, end, &Judged::Ok);
            }
            return Some(());
        }
        if unfenced {
            server.ends.push((key, 0, end));
        }
        let judged = self.judge(key, end);
        self.tell(name, key, end, &judged);
        Some(())
    }

    /// Would a word about this attempt change anything?
    pub(super) fn is_in_vain(&self, key: Key, end: End) -> bool {
        let Some(server) = &self.world.server else { return true };
        let here = server.jobs.iter().any(|job| job.key == key);
        !here && self.judge(key, end) == Judged::Again
    }

    fn judge(&self, key: Key, end: End) -> Judged {
        let Some(row) = self.world.row(key.id) else { return Judged::Lost };
        let is_latest = row.key() == key;
        if is_latest && row.state.is_running() {
            // It is not back here yet.
            let refused = self.setup.has(Fault::RefusedTooEarly);
            return if refused { Judged::Lost } else { Judged::Again };
        }
        let written = match end {
            End::Finished if self.setup.has(Fault::RepeatBelieved) => row.state.is_final(),
            End::Finished => is_latest && row.state == State::Finished,
            end => is_latest && row.ended == Some(end),
        };
        if written && !self.setup.has(Fault::RepeatRefused) { Judged::Ok } else { Judged::Lost }
    }

    /// Answers those who wait for the end of this attempt, which was written, or had been before, or did not count.
    pub(super) fn settle(&mut self, key: Key, believed: bool) {
        for (name, end) in self.tellers(key) {
            let refused = !believed && self.setup.has(Fault::WrittenTwiceRefused);
            let judged = if refused { Judged::Lost } else { self.judge(key, end) };
            self.tell(name, key, end, &judged);
        }
    }

    /// Tells those who wait for the end of this attempt that it will not be written here.
    pub(super) fn unsettled(&mut self, key: Key) {
        for (name, end) in self.tellers(key) {
            self.tell(name, key, end, &Judged::Again);
        }
    }

    fn tellers(&mut self, key: Key) -> Vec<(Name, End)> {
        let says = |name: Name| match self.world.workers[name] {
            Worker::Says(of, end) if of == key => Some((name, end)),
            _ => None,
        };
        let waiting = self.world.server.iter().flat_map(|server| &server.tellers);
        waiting.filter_map(|name| says(*name)).collect()
    }

    fn tell(&mut self, name: Name, key: Key, end: End, judged: &Judged) {
        if let Some(server) = &mut self.world.server {
            server.tellers.retain(|other| *other != name);
        }
        self.world.workers[name] = match judged {
            Judged::Ok | Judged::Lost => Worker::Idle,
            Judged::Again => Worker::Repeats(key, end),
        };
        if end != End::Finished {
            return;
        }
        match judged {
            Judged::Ok => drop(self.world.acknowledged.insert(key)),
            Judged::Lost => {
                let row = self.world.row(key.id);
                let written = row.is_some_and(|r| r.key() == key && r.state == State::Finished);
                // One that runs has not lost it.
                let runs = row.is_some_and(|r| r.key() == key && r.state.is_running());
                if written || runs {
                    self.world.broke(Law::Refused);
                }
            }
            Judged::Again => {}
        }
    }
}
