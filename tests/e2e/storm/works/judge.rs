//! The judge: do the end of an action, the history that the server shows of it and its diary fit?

use std::collections::BTreeMap;

use super::super::super::calls::Answer;
use super::ledger::{Entry, Ledger};
use super::{MAX_RESTARTS, QUEUES, Queue};

const RESTART: &str = "interrupted by server restart";
const GIVEN_UP: &str = "it was running each time when the server died";
/// So many attempts that have not ended their action are shown.
const SHOWN: usize = 20;

/// An attempt as the server shows it.
#[derive(Debug)]
struct Attempt {
    number: u32,
    outcome: String,
    error: String,
}

impl Attempt {
    fn all(answer: &Answer) -> Vec<Self> {
        answer.with(|document| {
            let history = document.descendants().find(|node| node.has_tag_name("history"));
            let attempts = history.into_iter().flat_map(|node| node.children());
            let shown = attempts.filter(|node| node.is_element()).map(|node| {
                let text = |name: &str| {
                    let found = node.children().find(|child| child.has_tag_name(name));
                    found.and_then(|child| child.text()).unwrap_or_default().to_owned()
                };
                Self {
                    number: text("number").parse().expect("a number"),
                    outcome: text("outcome"),
                    error: text("error"),
                }
            });
            shown.collect()
        })
    }

    /// True if its server died with it.
    fn was_lost(&self) -> bool {
        self.outcome == "Lost"
    }

    fn has_failed(&self) -> bool {
        self.outcome == "Error"
    }

    /// A word for what happened to it.
    fn sort(&self) -> &str {
        let error = self.error.as_str();
        match () {
            () if self.was_lost() => "Lost",
            () if error.starts_with("exit code 3") => "exit code 3",
            () if error.starts_with("signal 9") => "signal 9",
            () if error.contains("not heard of") => "lease",
            () if error.starts_with("as planned") => error,
            () => &self.outcome,
        }
    }
}

/// A line of a diary about an attempt.
struct Line<'a> {
    what: &'a str,
    attempt: u32,
    rest: &'a [String],
}

/// Looks at an action that has ended.
pub(super) fn judge(ledger: &Ledger, entry: &Entry, shown: &Answer, diary: &[Vec<String>]) {
    let queue = &QUEUES[entry.queue];
    let status = shown.must("status");
    let history = Attempt::all(shown);
    let who = if queue.programs { "programs" } else { "workers" };
    ledger.happened(format!("{who}: {status}"));
    ledger.happened(&*status);
    for attempt in &history {
        ledger.happened(format!("attempt of {who}: {}", attempt.sort()));
    }
    for (attempt, what) in [(RESTART, RESTART), (GIVEN_UP, "given up")] {
        if history.iter().any(|one| one.error.starts_with(attempt)) {
            ledger.happened(what);
        }
    }
    let case = Case { ledger, entry, queue, status: &status, history: &history, diary };
    case.what_was_done();
    case.attempts();
    case.end();
}

struct Case<'a> {
    ledger: &'a Ledger,
    entry: &'a Entry,
    queue: &'static Queue,
    status: &'a str,
    history: &'a [Attempt],
    diary: &'a [Vec<String>],
}

impl Case<'_> {
    fn wrong(&self, wrong: &'static str) {
        let Self { entry, status, history, diary, .. } = self;
        let diary: Vec<_> = diary.iter().map(|line| line.join(" ")).collect();
        let what = format!("{entry:?} is {status}; attempts {history:?}; diary {diary:?}");
        self.ledger.found(wrong, what);
    }

    fn must(&self, is_so: bool, wrong: &'static str) {
        if !is_so {
            self.wrong(wrong);
        }
    }

    /// The lines about attempts, in order.
    fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.diary.iter().filter_map(|line| {
            let attempt = line.get(1)?.parse().ok()?;
            (line[0] != "shot").then(|| Line { what: &line[0], attempt, rest: &line[2..] })
        })
    }

    fn has(&self, what: &str, attempt: u32, rest: &str) -> bool {
        self.lines().any(|line| {
            line.what == what
                && line.attempt == attempt
                && line.rest.first().is_some_and(|r| r == rest)
        })
    }

    fn is_shot(&self) -> bool {
        self.diary.iter().any(|line| line[0] == "shot")
    }

    fn shown(&self, number: u32) -> Option<&Attempt> {
        self.history.iter().find(|attempt| attempt.number == number)
    }

    /// The diary alone, and whether the history knows all of it.
    fn what_was_done(&self) {
        for line in self.diary {
            self.must(line[0] != "twice", "a program ran beside an earlier one of its action");
            self.must(line[0] != "wrong", "a worker got a wrong answer");
        }
        let mut begun: BTreeMap<u32, usize> = BTreeMap::new();
        let mut latest = 0;
        for line in self.lines() {
            match line.what {
                "begin" | "take" => {
                    *begun.entry(line.attempt).or_default() += 1;
                    latest = latest.max(line.attempt);
                }
                "end" | "lurk" => {
                    self.must(line.attempt >= latest, "an attempt went on beside the next one");
                }
                "done" | "lost" => {
                    let word = line.rest.first().map_or("", String::as_str);
                    self.ledger.happened(format!("{} {word}", line.what));
                }
                _ => {}
            }
        }
        if begun.len() > 1 {
            self.ledger.happened("begun again");
        }
        self.must(begun.values().all(|times| *times == 1), "an attempt began twice");
        let complete = self.history.len() < SHOWN;
        let known = begun.keys().all(|number| self.shown(*number).is_some());
        self.must(known || !complete, "an attempt ran that the history does not know");
        self.words_late(latest);
    }

    /// A worker's word that began after the next attempt was taken must not count.
    fn words_late(&self, latest: u32) {
        let mut taken = 0;
        let mut late = Vec::new();
        for line in self.lines() {
            match line.what {
                "take" => taken = taken.max(line.attempt),
                "say" if line.attempt < taken => late.push(line.attempt),
                "done" if late.contains(&line.attempt) && line.attempt < latest => {
                    // What it says is no news if the attempt has ended so.
                    let repeated =
                        self.shown(line.attempt).is_some_and(|shown| shown.outcome == "Released");
                    self.must(repeated, "a late word was accepted");
                }
                _ => {}
            }
        }
    }

    /// Tells whether a worker got this attempt.
    fn was_taken(&self, number: u32) -> bool {
        self.lines().any(|line| line.what == "take" && line.attempt == number)
    }

    fn attempts(&self) {
        let rising = self.history.windows(2).all(|two| two[0].number < two[1].number);
        self.must(rising, "the numbers of attempts do not rise");
        for attempt in self.history {
            let number = attempt.number;
            let error = attempt.error.as_str();
            let fits = match (attempt.outcome.as_str(), self.queue.programs) {
                ("Finished", true) => self.has("end", number, "0"),
                ("Finished", false) => self.has("say", number, "finish"),
                ("Lost", _) => self.ledger.books().lives > 1,
                // By its worker, or by the server: the worker that asked had gone.
                ("Released", programs) => {
                    !programs && (self.has("say", number, "release") || !self.was_taken(number))
                }
                ("Stopped", _) => self.entry.stop,
                ("Error", true) if error.starts_with("exit code 3") => self.has("end", number, "3"),
                ("Error", true) if error.starts_with("signal 9") => self.is_shot(),
                ("Error", false) if error == "as planned" => self.has("say", number, "fail"),
                ("Error", false) if error == "as planned, final" => {
                    self.has("say", number, "final")
                }
                ("Error", false) => error.contains("not heard of"),
                _ => false,
            };
            self.must(fits, "an attempt ended as nobody let it end");
        }
        let count =
            |is_so: fn(&Attempt) -> bool| self.history.iter().filter(|one| is_so(one)).count();
        let (failures, deaths) = (count(Attempt::has_failed), count(Attempt::was_lost));
        let rounds = 1 + self.entry.retries;
        self.must(failures <= self.queue.max_attempts * rounds, "more failures than MaxAttempts");
        self.must(deaths <= MAX_RESTARTS * rounds, "more deaths than MaxRestarts");
        if self.queue.once {
            let begun = self.lines().filter(|line| line.what == "begin").count();
            self.must(
                begun <= 1 && self.history.len() <= 1,
                "it began twice in spite of OnRestart=Fail",
            );
        }
        let is_first_round = self.entry.retries == 0 && !self.entry.stop;
        if let ("Error", true, Some(last)) = (self.status, is_first_round, self.history.last()) {
            let given_up = last.error.starts_with(GIVEN_UP);
            self.must(!given_up || deaths == MAX_RESTARTS, "given up too early");
            let is_final = last.was_lost() || last.error == "as planned, final";
            let tried = is_final || failures == self.queue.max_attempts;
            self.must(tried, "not tried as often as MaxAttempts");
        }
    }

    fn end(&self) {
        let Self { entry, status, history, .. } = self;
        let last = history.last();
        let ends_with_it = last
            .is_some_and(|last| last.outcome == *status || (*status == "Error" && last.was_lost()));
        match *status {
            "Cancelled" => {
                self.must(entry.cancel || entry.stop, "cancelled unasked");
                let over =
                    history.iter().all(|one| !["Finished", "Stopped"].contains(&&*one.outcome));
                self.must(over, "what has ended was cancelled");
                let after = self.diary.iter().skip_while(|line| line[0] != "cancelled");
                let ran = self.queue.programs && after.into_iter().any(|line| line[0] == "begin");
                self.must(!ran, "what was cancelled ran");
            }
            _ => self.must(ends_with_it, "it has another end than its last attempt"),
        }
        let early = history
            .iter()
            .rev()
            .skip(1)
            .any(|one| ["Finished", "Stopped"].contains(&&*one.outcome));
        self.must(!early, "it went on after its end");
        if let Some((ended, retries)) = &entry.ended {
            let retried = ended == "Error" && entry.retries > *retries;
            self.must(ended == status || retried, "an end was changed");
        }
        for line in self.lines() {
            let outcome = self.shown(line.attempt).map_or("", |shown| shown.outcome.as_str());
            let word = line.rest.first().map_or("", String::as_str);
            let fits = match (line.what, word) {
                ("done", "finish") => *status == "Finished" && outcome == "Finished",
                ("done", "fail") => ["Error", "Stopped"].contains(&outcome),
                ("done", "release") => ["Released", "Stopped"].contains(&outcome),
                ("lost", "finish") => ["Error", "Stopped", "Lost"].contains(&outcome),
                ("lost", "fail" | "release") => ["Error", "Stopped", "Lost"].contains(&outcome),
                _ => true,
            };
            self.must(fits || self.history.len() >= SHOWN, "an answer to a worker does not fit");
        }
    }
}
