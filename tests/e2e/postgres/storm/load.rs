//! The clients of a storm: each sends every request to any server, which may be dead, stand still, or be cut off.

use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::ledger::{Entry, Ledger, is_final};
use super::{Place, QUEUES, diary};
use crate::calls::Answer;
use crate::server::Reply;
use crate::storm::Dice;

/// Maximum time that a client waits for an answer: the server may stand still.
const ANSWER: Duration = Duration::from_secs(3);

/// More are not submitted while so many have not ended.
const MOST_OPEN: usize = 60;

/// Sends one request on a connection of its own; `None` if no whole reply came.
pub(super) fn ask(address: SocketAddr, action: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER).ok()?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    let request =
        format!("GET /action={action} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let reply = Reply::try_read(&mut BufReader::new(stream)).ok()?;
    Some(Answer(String::from_utf8(reply.body).ok()?))
}

/// The outcome of a request.
pub(super) enum Outcome {
    Done(Answer),
    Refused(Answer),
    /// No answer came, or the server could not tell.
    Unknown,
}

pub(super) struct Client<'a> {
    pub(super) place: &'a Place,
    pub(super) ledger: &'a Ledger,
}

impl Client<'_> {
    /// Sends a request to this server.
    fn ask(&self, server: usize, action: &str) -> Outcome {
        let Some(address) = self.place.address(server) else { return Outcome::Unknown };
        let Some(answer) = ask(address, action) else {
            self.ledger.happened("no answer came");
            return Outcome::Unknown;
        };
        if answer.is_success() {
            return Outcome::Done(answer);
        }
        if answer.error().0 == "ERRORUNAVAILABLE" {
            self.ledger.happened("unavailable");
            return Outcome::Unknown;
        }
        Outcome::Refused(answer)
    }

    fn about(&self, server: usize, index: usize, what: &str) -> Option<Outcome> {
        let (queue, token) = {
            let entry = &self.ledger.books().entries[index];
            (QUEUES[entry.queue].name, entry.token.clone()?)
        };
        let action = format!("QueueInfo&QueueName={queue}&QueueAction={what}&Token={token}");
        Some(self.ask(server, &action))
    }

    /// Submits an action, for the first time or again, until it is known to be there.
    pub(super) fn submit(&self, server: usize, index: usize) -> bool {
        let request = self.ledger.books().entries[index].request.clone();
        match self.ask(server, &request) {
            Outcome::Done(answer) => {
                let token = answer.must("token");
                let first = self.ledger.books().entries[index].token.replace(token.clone());
                if first.is_some_and(|first| first != token) {
                    self.ledger.found("one key was given two tokens", request);
                }
                true
            }
            Outcome::Refused(answer) => {
                self.ledger.found("a submission was refused", format!("{request}: {}", answer.0));
                false
            }
            Outcome::Unknown => false,
        }
    }

    /// Asks how an action stands; returns the word for it.
    pub(super) fn status(&self, server: usize, index: usize, wait: &str) -> Option<String> {
        let before = self.ledger.books().entries[index].clone();
        match self.about(server, index, &format!("getStatus{wait}"))? {
            Outcome::Done(answer) => {
                let state = answer.must("status");
                // An answer that was on its way when the end was shown says nothing against it.
                if is_final(&state) || before.ended.is_some() {
                    self.ledger.shown(index, &state, &format!("server {server}"));
                }
                Some(state)
            }
            Outcome::Refused(answer) => {
                let what = format!("server {server}: {before:?}: {}", answer.0);
                self.ledger.found("an acknowledged action was lost", what);
                None
            }
            Outcome::Unknown => None,
        }
    }

    fn end(&self, server: usize, index: usize, what: &str) -> Option<()> {
        self.ledger.books().entries[index].end_asked = true;
        let mark = self.ledger.books().entries[index].mark.clone();
        match self.about(server, index, what)? {
            Outcome::Done(answer) => {
                let state = answer.must("status");
                if state == "Cancelled" {
                    diary::note(self.place, &mark, "cancelled");
                }
                if is_final(&state) {
                    self.ledger.shown(index, &state, &format!("{what} at server {server}"));
                }
                self.ledger.happened(format!("{what}: {state}"));
            }
            Outcome::Refused(_) => self.ledger.happened(format!("{what} refused")),
            Outcome::Unknown => self.ledger.happened(format!("{what} without an answer")),
        }
        Some(())
    }

    fn plan(&self, dice: &mut Dice) -> usize {
        let queue = dice.below(QUEUES.len());
        let slow = dice.percent(40);
        let mut books = self.ledger.books();
        let index = books.entries.len();
        let mark = format!("m{index}z");
        let name = QUEUES[queue].name;
        let seconds = if slow { 1 + dice.below(3) } else { 0 };
        let sleep = format!("{seconds}.{:02}", dice.below(100));
        let mut request = format!("{name}&Mark={mark}&Sleep={sleep}&Idempotency-Key={mark}");
        if dice.percent(30) {
            request.push_str(&format!("&Priority={}", dice.one_of(&[-3, 1, 5, 9])));
        }
        let (token, end_asked, ended) = (None, false, None);
        books.entries.push(Entry { mark, queue, request, token, end_asked, ended });
        index
    }

    fn step(&self, dice: &mut Dice) {
        let server = dice.below(super::SERVERS);
        let (open, unanswered): (Vec<usize>, Vec<usize>) = {
            let books = self.ledger.books();
            let all = books.entries.iter().enumerate();
            let open = all.filter(|(_, entry)| entry.ended.is_none());
            let places = |(index, entry): (usize, &Entry)| (index, entry.token.is_some());
            let (told, untold): (Vec<_>, Vec<_>) = open.map(places).partition(|(_, told)| *told);
            let indexes =
                |all: Vec<(usize, bool)>| all.into_iter().map(|(index, _)| index).collect();
            (indexes(told), indexes(untold))
        };
        if open.len() + unanswered.len() < MOST_OPEN && dice.percent(40) || open.is_empty() {
            let index = self.plan(dice);
            self.submit(server, index);
            return;
        }
        if !unanswered.is_empty() && dice.percent(30) {
            self.submit(server, dice.one_of(&unanswered));
            return;
        }
        // Also those that have ended: nobody may take that back.
        let index = match dice.percent(15) {
            true => dice.below(self.ledger.books().entries.len()),
            false => dice.one_of(&open),
        };
        match dice.below(100) {
            0..=55 => drop(self.status(server, index, "")),
            56..=75 => drop(self.status(server, index, "&Wait=1")),
            76..=84 => drop(self.end(server, index, "cancel")),
            85..=91 => drop(self.end(server, index, "stop")),
            _ => {
                let priority = dice.one_of(&[-7, 0, 2, 9]);
                drop(self.about(server, index, &format!("changePriority&Priority={priority}")));
            }
        }
    }

    /// Submits and steers until it is told to rest.
    pub(super) fn play(&self, dice: &mut Dice, resting: &AtomicBool) {
        while !resting.load(Ordering::SeqCst) {
            self.step(dice);
            std::thread::sleep(Duration::from_millis(1 + dice.below(30) as u64));
        }
    }
}
