//! A client of a storm over programs and workers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::super::calls::{Answer, Caller};
use super::super::super::shop::Shop;
use super::super::client::Dice;
use super::ledger::{Entry, Ledger};
use super::{QUEUES, Queue, diary, pace, programs};

/// More are not submitted while so many have not ended.
const MOST_OPEN: usize = 40;

/// A connection to the server in one of its lives.
pub(super) struct Talk<'a> {
    caller: Caller,
    ledger: &'a Ledger,
    shop: &'a Shop,
    /// Set before the server is killed: from then on replies may be missing.
    dying: &'a AtomicBool,
}

impl<'a> Talk<'a> {
    pub(super) fn new(
        shop: &'a Shop,
        ledger: &'a Ledger,
        address: SocketAddr,
        dying: &'a AtomicBool,
    ) -> Option<Self> {
        let caller = Caller::new(address).ok()?;
        Some(Self { caller, ledger, shop, dying })
    }

    /// Sends a request; none is returned once the server is gone.
    pub(super) fn ask(&mut self, request: &str) -> Option<Answer> {
        match self.caller.ask(request) {
            Ok(answer) => {
                self.ledger.books().requests += 1;
                Some(answer)
            }
            Err(error) => {
                if !self.dying.load(Ordering::SeqCst) {
                    self.ledger.found("no reply", format!("{request}: {error}"));
                }
                None
            }
        }
    }

    /// Sends a `QueueInfo` request about an action that has a token.
    pub(super) fn about(&mut self, index: usize, what: &str) -> Option<Answer> {
        let (queue, token) = {
            let entry = &self.ledger.books().entries[index];
            (QUEUES[entry.queue].name, entry.token.clone().expect("a token"))
        };
        self.ask(&format!("QueueInfo&QueueName={queue}&QueueAction={what}&Token={token}"))
    }

    /// Submits this action, for the first time or again.
    pub(super) fn submit(&mut self, index: usize) -> Option<()> {
        let request = self.ledger.books().entries[index].request.clone();
        let answer = self.ask(&request)?;
        match answer.value("token").filter(|_| answer.is_success()) {
            Some(token) => self.ledger.books().entries[index].token = Some(token),
            None => {
                self.ledger.found("a submission was refused", format!("{request}: {}", answer.0));
            }
        }
        Some(())
    }

    /// Asks how an action stands; returns the word for it.
    pub(super) fn status(&mut self, index: usize) -> Option<String> {
        let before = self.ledger.books().entries[index].clone();
        let answer = self.about(index, "getStatus")?;
        let Some(status) = answer.value("status").filter(|_| answer.is_success()) else {
            self.ledger.found("an action was lost", format!("{before:?}: {}", answer.0));
            return Some(String::new());
        };
        self.ledger.books().entries[index].seen.clone_from(&status);
        if !is_final(&status) {
            // An Error may be retried, also while this was on its way.
            let retries_now = self.ledger.books().entries[index].retries;
            if let Some((ended, retries)) = &before.ended
                && (ended != "Error" || *retries == retries_now)
            {
                self.ledger.found("an end was taken back", format!("{before:?}: {}", answer.0));
            }
            return Some(status);
        }
        let left = diary::alive(&self.shop.path(""), &before.mark);
        let mut books = self.ledger.books();
        let entry = &mut books.entries[index];
        entry.ended = Some((status.clone(), before.retries));
        let may_run = entry.retries > before.retries;
        drop(books);
        if !left.is_empty() && !may_run {
            let what = format!("{left:?} of {before:?}: {}", answer.0);
            self.ledger.found("a program outlived its action", what);
        }
        Some(status)
    }

    /// Gives a command to an action.
    pub(super) fn command(&mut self, index: usize, what: &str) -> Option<()> {
        let mark = {
            let entry = &mut self.ledger.books().entries[index];
            match what {
                "stop" => entry.stop = true,
                "cancel" => entry.cancel = true,
                "retry" => entry.retries += 1,
                _ => {}
            }
            entry.mark.clone()
        };
        let answer = self.about(index, what)?;
        let word = what.split('&').next().unwrap_or_default();
        let status = answer.value("status").unwrap_or_default();
        if answer.is_success() {
            if status == "Cancelled" {
                diary::note(&self.shop.path(""), &mark, "cancelled");
            }
            self.ledger.happened(format!("{word} accepted"));
        } else if answer.error().0 == "ERRORUNAVAILABLE" {
            self.ledger.found("a command was refused", format!("{what} of {mark}: {}", answer.0));
        }
        Some(())
    }

    /// Gives a command to a queue, which tells how many run.
    fn steer(&mut self, queue: &Queue, what: &str) -> Option<()> {
        let request = format!("QueueInfo&QueueName={}&QueueAction={what}", queue.name);
        let answer = self.ask(&request)?.success();
        if answer.number("running") > queue.threads {
            self.ledger.found("more run than MaximumThreads", answer.0);
        }
        Some(())
    }
}

pub(super) fn is_final(status: &str) -> bool {
    ["Finished", "Error", "Cancelled", "Stopped"].contains(&status)
}

/// Submits and steers until the server is gone.
pub(super) fn play(
    shop: &Shop,
    ledger: &Ledger,
    address: SocketAddr,
    dice: &mut Dice,
    dying: &AtomicBool,
) {
    let Some(mut talk) = Talk::new(shop, ledger, address, dying) else { return };
    while !dying.load(Ordering::SeqCst) && step(&mut talk, dice).is_some() {
        pace(15, dice);
    }
}

fn step(talk: &mut Talk<'_>, dice: &mut Dice) -> Option<()> {
    let known: Vec<(usize, bool)> = {
        let books = talk.ledger.books();
        let told = books.entries.iter().enumerate().filter(|(_, entry)| entry.token.is_some());
        told.map(|(index, entry)| (index, entry.ended.is_some())).collect()
    };
    let open: Vec<usize> =
        known.iter().filter(|(_, ended)| !ended).map(|(index, _)| *index).collect();
    if known.is_empty() || (open.len() < MOST_OPEN && dice.percent(35)) {
        let index = plan(talk.ledger, dice);
        return talk.submit(index);
    }
    let index = match open.is_empty() || dice.percent(15) {
        true => known[dice.below(known.len())].0,
        false => dice.one_of(&open),
    };
    // What runs is stopped and paused more often than what waits, or little would ever be.
    let running: Vec<usize> = {
        let books = talk.ledger.books();
        let runs = |index: &usize| ["Processing", "Paused"].contains(&&*books.entries[*index].seen);
        open.into_iter().filter(runs).collect()
    };
    let runs = match running.is_empty() || dice.percent(20) {
        true => index,
        false => dice.one_of(&running),
    };
    let once = QUEUES[talk.ledger.books().entries[index].queue].once;
    match dice.below(100) {
        0..=65 => talk.status(index).map(drop),
        66..=68 => talk.command(runs, "stop"),
        69..=70 => {
            talk.command(runs, "stop")?;
            talk.command(runs, "stop")
        }
        71..=73 => talk.command(index, "cancel"),
        74..=77 => talk.command(runs, "pause"),
        78..=87 => talk.command(runs, "resume"),
        88..=91 => {
            let priority = dice.one_of(&[-7, 0, 2, 5, 9]);
            talk.command(index, &format!("changePriority&Priority={priority}"))
        }
        92..=97 if !once => talk.command(index, "retry"),
        98 => {
            let queue = dice.one_of(&QUEUES.each_ref());
            talk.steer(queue, "pause")?;
            pace(200, dice);
            talk.steer(queue, "resume")
        }
        _ => talk.about(index, "getStatus&History=true&Log=true").map(drop),
    }
}

/// Notes an action that is new; returns its place.
fn plan(ledger: &Ledger, dice: &mut Dice) -> usize {
    let queue = dice.one_of(&[0, 0, 0, 1, 1, 2, 2, 2, 3, 3]);
    let kind = dice.one_of(&programs::KINDS);
    let mut books = ledger.books();
    let index = books.entries.len();
    let mark = format!("m{index}z");
    let name = QUEUES[queue].name;
    let mut request = format!("{name}&Mark={mark}&Kind={kind}&Idempotency-Key={mark}");
    if dice.percent(40) {
        request.push_str(&format!("&Priority={}", dice.one_of(&[-3, 1, 5, 9])));
    }
    if dice.percent(15) {
        request.push_str(&format!("&NotBefore=%2B{}", 1 + dice.below(2)));
    }
    books.entries.push(Entry {
        mark,
        queue,
        request,
        is_deaf: kind == "deaf" && QUEUES[queue].programs,
        token: None,
        stop: false,
        cancel: false,
        seen: String::new(),
        retries: 0,
        ended: None,
    });
    index
}
