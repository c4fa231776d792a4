//! A client of a storm: it submits and steers at random on one connection and writes down what it is
//! told.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actiond_actors::State;
use actiond_actors::lifecycle::{Command, Verdict, decide};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::RngExt as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::super::calls::{Answer, Caller, id_of};
use super::ledger::{Change, LONG_MS, Ledger, Plan, Span};
use super::seen::{Seen, Wrong, mark, word};
use super::{QUEUES, Queue};

/// Chance, the same for the same seed.
pub(crate) struct Dice(TestRng);

impl Dice {
    /// The dice of this player in a storm of this seed.
    pub(crate) fn new(seed: u64, player: u64) -> Self {
        let bytes: Vec<u8> = [seed, player, 0, 0].iter().flat_map(|n| n.to_le_bytes()).collect();
        Self(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(0..bound)
    }

    pub(crate) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// A connection to the server in one of its lives.
pub(crate) struct Talk<'a> {
    caller: Caller,
    pub(crate) ledger: &'a Ledger,
    /// Set before the server is killed: from then on replies may be missing.
    dying: &'a AtomicBool,
    life: usize,
}

impl<'a> Talk<'a> {
    pub(crate) fn new(
        address: SocketAddr,
        ledger: &'a Ledger,
        dying: &'a AtomicBool,
    ) -> Option<Self> {
        let life = ledger.books().life;
        match Caller::new(address) {
            Ok(caller) => Some(Self { caller, ledger, dying, life }),
            Err(error) => {
                if !dying.load(Ordering::SeqCst) {
                    ledger.found(Wrong::NoReply, format!("no connection: {error}"));
                }
                None
            }
        }
    }

    /// Sends a request; none is returned once the server is gone.
    pub(crate) fn ask(&mut self, request: &str) -> Option<(Answer, Span)> {
        let sent = self.ledger.now();
        let answer = self.caller.ask(request);
        let span = Span { sent, received: self.ledger.now(), life: self.life };
        match answer {
            Ok(answer) => {
                self.ledger.books().requests += 1;
                Some((answer, span))
            }
            Err(error) => {
                if !self.dying.load(Ordering::SeqCst) {
                    self.ledger.found(Wrong::NoReply, format!("{request}: {error}"));
                }
                None
            }
        }
    }

    /// Sends a `QueueInfo` request about a queue.
    pub(crate) fn info(&mut self, queue: usize, what: &str) -> Option<(Answer, Span)> {
        let name = QUEUES[queue].name;
        self.ask(&format!("QueueInfo&QueueName={name}&QueueAction={what}"))
    }

    /// Sends a `QueueInfo` request about an action.
    fn about(&mut self, index: usize, what: &str) -> Option<(Answer, Span)> {
        let (queue, token) = {
            let books = self.ledger.books();
            (books.entries[index].plan.queue, books.entries[index].token.clone())
        };
        self.info(queue, &format!("{what}&Token={token}"))
    }

    /// Submits this action, or submits it again where the reply was lost with the server.
    pub(crate) fn submit(
        &mut self,
        plan: &Plan,
        first_sent: Option<Duration>,
        wait: Option<f64>,
    ) -> Option<()> {
        let queue = &QUEUES[plan.queue];
        let mut request = format!("{}&Mark={}&Idempotency-Key={0}-{1}", queue.name, plan.mark);
        if plan.priority != 0 {
            request.push_str(&format!("&Priority={}", plan.priority));
        }
        if plan.sleep_ms > 0 {
            request.push_str(&format!(
                "&Sleep={}.{:03}",
                plan.sleep_ms / 1000,
                plan.sleep_ms % 1000
            ));
        }
        if plan.fails {
            request.push_str("&Fail=as%20planned");
        }
        if let Some(source) = &plan.source {
            let adds = format!(
                "<adds><add><document><reference>{}</reference></document>\
                 <source filename=\"{}\" lifetime=\"temporary\"/></add></adds>",
                plan.mark,
                source.display()
            );
            request.push_str(&format!("&adds={}", utf8_percent_encode(&adds, NON_ALPHANUMERIC)));
        }
        if let Some(seconds) = wait {
            request.push_str(&format!("&Wait={seconds}"));
        }
        if first_sent.is_none() {
            self.ledger.books().queues[plan.queue].submissions += 1;
        }
        let now = self.ledger.now();
        let Some((answer, mut span)) = self.ask(&request) else {
            let unanswered = (plan.clone(), first_sent.unwrap_or(now));
            self.ledger.books().unanswered.push(unanswered);
            return None;
        };
        let took = span.received.saturating_sub(span.sent);
        span.sent = first_sent.unwrap_or(span.sent);
        let Some(token) = answer.value("token").filter(|_| answer.is_success()) else {
            self.ledger.found(Wrong::Reply, format!("{request}: {}", answer.0));
            return Some(());
        };
        let ended = answer.value("status").map(|text| word(&text));
        let shown = answer.with(|document| mark(document.root()));
        let mut books = self.ledger.books();
        let index = books.entries.len();
        books.submitted(token, plan, false, span);
        if shown.is_some_and(|shown| shown != plan.mark.to_string()) {
            books.found(Wrong::Reply, format!("{request}: {}", answer.0));
        }
        match (ended, wait) {
            (Some(state), _) => books.observe(index, span, Seen::state(state)),
            (None, Some(seconds)) if took < Duration::from_secs_f64(seconds) => {
                books.found(Wrong::Reply, format!("back after {took:?}: {request}"));
            }
            _ => {}
        }
        Some(())
    }

    /// Asks how an action stands.
    pub(crate) fn status(&mut self, index: usize, wait: Option<f64>) -> Option<()> {
        let wait = wait.map(|seconds| format!("&Wait={seconds}")).unwrap_or_default();
        let (answer, span) = self.about(index, &format!("getStatus{wait}"))?;
        self.take_status(index, &answer, span);
        Some(())
    }

    fn take_status(&self, index: usize, answer: &Answer, span: Span) {
        let shown = answer.with(|document| {
            document
                .descendants()
                .find(|node| {
                    node.has_tag_name("action")
                        && node.has_children()
                        && node.children().any(|child| child.has_tag_name("token"))
                })
                .map(Seen::read)
        });
        let mut books = self.ledger.books();
        let asked = books.entries[index].id;
        match shown {
            Some((id, seen)) if id == asked => books.observe(index, span, seen),
            _ => books.found(unknown(answer), format!("status of {asked}: {}", answer.0)),
        }
    }

    /// Gives a command to an action and checks what is answered against the rules.
    pub(crate) fn command(&mut self, index: usize, what: &str, command: Command) -> Option<()> {
        {
            let now = self.ledger.now();
            let entry = &mut self.ledger.books().entries[index];
            entry.end_asked |= matches!(command, Command::Cancel | Command::Stop);
            if let Command::ChangePriority(priority) = command {
                let change = Change { priority, sent: now, received: None, done: false };
                entry.changes.push(change);
            }
        }
        let (answer, span) = self.about(index, what)?;
        let mut books = self.ledger.books();
        let asked = books.entries[index].id;
        let whose = format!("{what} of {asked}: {}", answer.0);
        let done = answer.is_success();
        let state = if done {
            if answer.value("token").map(|token| id_of(&token)) != Some(asked) {
                books.found(Wrong::Reply, whose.clone());
            }
            answer.value("status").map(|text| word(&text))
        } else {
            refused_in(&answer)
        };
        let Some(state) = state else {
            books.found(unknown(&answer), whose);
            return Some(());
        };
        let fits = if done {
            State::ALL.into_iter().any(|from| match decide(from, command) {
                Ok(Verdict::Move(to)) => to == state,
                Ok(_) => from == state,
                Err(_) => false,
            })
        } else {
            decide(state, command).is_err()
        };
        if !fits {
            books.found(Wrong::Reply, whose);
        }
        if matches!(command, Command::Pause { .. }) && done && state == State::Paused {
            books.pauses += 1;
        }
        if let Command::ChangePriority(priority) = command {
            let mut changes = books.entries[index].changes.iter_mut();
            let mine = changes
                .find(|c| c.priority == priority && c.received.is_none() && c.sent <= span.sent);
            if let Some(change) = mine {
                (change.received, change.done) = (Some(span.received), done);
            }
        }
        books.observe(index, span, Seen::state(state));
        Some(())
    }

    /// Queues a copy of an action.
    fn duplicate(&mut self, index: usize) -> Option<()> {
        let plan = {
            let mut books = self.ledger.books();
            let plan = books.entries[index].plan.clone();
            let book = &mut books.queues[plan.queue];
            book.submissions += 1;
            // Until its reply has come.
            book.lost_copies += 1;
            plan
        };
        let (answer, span) = self.about(index, "duplicate")?;
        let mut books = self.ledger.books();
        books.queues[plan.queue].lost_copies -= 1;
        match (answer.value("token").filter(|_| answer.is_success()), refused_in(&answer)) {
            (Some(token), _) => books.submitted(token, &plan, true, span),
            (None, Some(state)) => {
                books.queues[plan.queue].submissions -= 1;
                if !state.is_final() {
                    books.found(Wrong::Reply, format!("no copy: {}", answer.0));
                }
                books.observe(index, span, Seen::state(state));
            }
            (None, None) => books.found(unknown(&answer), format!("no copy: {}", answer.0)),
        }
        Some(())
    }

    /// Asks for an action's parameters or its progress: both show its state.
    fn look(&mut self, index: usize, what: &str) -> Option<()> {
        let (answer, span) = self.about(index, what)?;
        let mut books = self.ledger.books();
        let entry = &books.entries[index];
        let (asked, expected) = (entry.id, entry.plan.mark.to_string());
        let shown = answer.value("token").map(|token| id_of(&token));
        let of = answer.with(|document| mark(document.root()));
        if shown != Some(asked) || of.is_some_and(|of| of != expected) {
            books.found(unknown(&answer), format!("{what} of {asked}: {}", answer.0));
        } else {
            books.observe(index, span, Seen::state(word(&answer.must("status"))));
        }
        Some(())
    }
}

/// The state that a refusal names.
fn refused_in(answer: &Answer) -> Option<State> {
    let description = answer.value("errordescription")?;
    let (_, rest) = description.split_once("an action that is ")?;
    rest.split_once(" can't be ").map(|(state, _)| word(state))
}

/// What an error is that is no refusal: the action is known no more, or the reply makes no sense.
fn unknown(answer: &Answer) -> Wrong {
    let description = answer.value("errordescription").unwrap_or_default();
    let lost = description.contains("the token of an action that was sent to the queue");
    if lost { Wrong::Lost } else { Wrong::Reply }
}

/// Submits and steers at random until `over` says so, or the server is gone.
pub(crate) fn play(
    talk: &mut Talk<'_>,
    dice: &mut Dice,
    sources: &Path,
    mut over: impl FnMut() -> bool,
) -> Option<()> {
    while !over() {
        let unanswered = talk.ledger.books().unanswered.pop();
        if let Some((plan, sent)) = unanswered {
            talk.submit(&plan, Some(sent), None)?;
            continue;
        }
        let Some(index) = pick(talk.ledger, dice).filter(|_| !dice.percent(35)) else {
            let plan = plan(talk.ledger, dice, sources);
            let wait = dice.percent(10).then(|| dice.one_of(&[0.01, 0.05, 0.1]));
            talk.submit(&plan, None, wait)?;
            continue;
        };
        match dice.below(70) {
            0..=17 => talk.status(index, None)?,
            18..=20 => talk.status(index, Some(dice.one_of(&[0.01, 0.05])))?,
            21..=28 => talk.command(index, "cancel", Command::Cancel)?,
            29..=35 => talk.command(index, "stop", Command::Stop)?,
            36..=38 => {
                talk.command(index, "stop", Command::Stop)?;
                talk.command(index, "stop", Command::Stop)?;
            }
            39..=44 => {
                let supported = can_pause(talk.ledger, index);
                talk.command(index, "pause", Command::Pause { supported })?;
            }
            45..=51 => talk.command(index, "resume", Command::Resume)?,
            52..=57 => {
                let priority = dice.one_of(&[-7, 0, 2, 5, 9]);
                let what = format!("changePriority&Priority={priority}");
                talk.command(index, &what, Command::ChangePriority(priority))?;
            }
            58..=64 if may_be_copied(talk.ledger, index) => talk.duplicate(index)?,
            58..=67 => talk.look(index, "getActionParameters")?,
            _ => talk.look(index, "progress")?,
        }
    }
    Some(())
}

fn can_pause(ledger: &Ledger, index: usize) -> bool {
    QUEUES[ledger.books().entries[index].plan.queue].echo
}

/// Copies of an Ingest would find its file gone, and nobody knows a long sleeper whose token is lost.
fn may_be_copied(ledger: &Ledger, index: usize) -> bool {
    let plan = &ledger.books().entries[index].plan;
    plan.source.is_none() && plan.sleep_ms < LONG_MS
}

/// An action to do something to: most often one that is not known to have ended, of whichever client.
fn pick(ledger: &Ledger, dice: &mut Dice) -> Option<usize> {
    let books = ledger.books();
    let all = books.entries.len();
    if dice.percent(80) {
        let open = (0..all).rev().filter(|index| books.entries[*index].end().is_none());
        let open: Vec<usize> = open.take(40).collect();
        if !open.is_empty() {
            return Some(dice.one_of(&open));
        }
    }
    (all > 0).then(|| all - 1 - dice.below(all))
}

/// An action that is new.
fn plan(ledger: &Ledger, dice: &mut Dice, sources: &Path) -> Plan {
    let mark = ledger.books().next_mark();
    let queue = dice.one_of(&[0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 5]);
    let Queue { sleeps, long, echo, .. } = QUEUES[queue];
    let sleep_ms = match sleeps {
        _ if dice.percent(long) => LONG_MS,
        (_, 0) => 0,
        (from, to) if dice.percent(60) => (from + dice.below(to - from)) as u64,
        _ => 0,
    };
    let source = (!echo).then(|| {
        let source = sources.join(mark.to_string());
        // Those that take a while make others wait, so that some of them are cancelled in time.
        let text = "text ".repeat(if dice.percent(25) { 150_000 } else { 1 });
        std::fs::write(&source, text).expect("a file to take in");
        source
    });
    let priority = dice.one_of(&[0, 0, 0, 0, 1, 5, 9, -3]);
    let fails = echo && sleep_ms < LONG_MS && dice.percent(10);
    Plan { queue, mark, priority, sleep_ms, fails, source }
}
