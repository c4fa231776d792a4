//! One attempt: where its action is, and what is to be done next.
//!
//! One thing is done at a time ([`step`](super::step)); what comes of it moves the attempt on. A wish or a command interrupts
//! what only waits or looks.
//!
//! ```text
//! Choosing ──► Sending ──► There ──► its end
//!     ▲           │ ▲
//!     │           ▼ │
//!     └──────── in doubt: it may have been taken
//! ```

mod earlier;
mod moves;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actiond_actors::{ActionContext, Failure, Relayed, RelayedCommand, Report, Wish};
use futures_util::StreamExt as _;
use tokio::time::Instant;

use self::earlier::Earlier;
use super::last_stop::{LastStop, Where};
use super::note::{Note, Way};
use super::outgoing::Outgoing;
use super::server::{Known, Place, Server};
use super::servers::NoneNow;
use super::step::{Order, Step};
use super::translate;
use super::{Options, way_of};
use crate::aci::client::Status;
use crate::aci::element::Element;

/// First time to the next try where a server answers and yet does not do what it should.
const FIRST_RETRY: Duration = Duration::from_millis(500);

/// Where the action is.
enum Phase {
    /// At no server. `told` is true if a note says otherwise.
    Choosing { told: bool },
    /// On its way to a server under a key. `is_noted` once that is kept, `in_doubt` if it may have been taken.
    Sending { place: Place, sending: Sending, is_noted: bool, in_doubt: Option<Doubt> },
    /// At a server. `is_noted` once its token is kept.
    There { place: Place, sending: Sending, token: String, is_noted: bool },
}

#[derive(Debug, Clone)]
struct Sending {
    key: String,
    since: i64,
    /// What is known of the server; nothing yet in an attempt that was resumed.
    known: Option<Known>,
}

/// Whether a server has taken an action is not known.
#[derive(Debug, Clone, Copy)]
struct Doubt {
    /// Time until which it may still take it: a search that began earlier and does not find it says nothing.
    until: Instant,
    /// Start of the latest search.
    searched_at: Instant,
}

impl Doubt {
    fn new(time: Duration) -> Self {
        let now = Instant::now();
        Self { until: now + time, searched_at: now }
    }

    /// Tells whether the latest search would have seen it, had it been taken.
    fn is_over(&self) -> bool {
        self.searched_at >= self.until
    }
}

/// One attempt.
pub(super) struct Forwarding {
    context: ActionContext,
    options: Arc<Options>,
    way: Way,
    phase: Phase,
    /// What the attempt is asked to do here.
    wish: Wish,
    /// Whether that was passed on.
    passed_on: PassedOn,
    /// Commands of clients for the action there.
    relayed: VecDeque<Relayed>,
    /// Time to the next look.
    interval: Duration,
    /// The time before which nothing is tried again, and how long it was.
    retry_at: Option<Instant>,
    retry_after: Duration,
    /// The last that was seen there.
    seen: Option<Status>,
    partial: Vec<Element>,
    tells_progress: bool,
    /// Time since when nothing but answers came that waiting alone does not mend.
    hopeless_since: Option<Instant>,
    /// A sending that came to nothing, as far as is known.
    earlier: Option<Earlier>,
    last_stop: LastStop,
}

#[derive(Debug, Default)]
struct PassedOn {
    pause: bool,
    /// The answer to a pause that was refused.
    no_pause: Option<String>,
    stop: Stop,
    /// Time of the latest, unless the server was away since: then it may have forgotten what it was told.
    at: Option<Instant>,
}

/// Whether a stop was passed on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stop {
    #[default]
    No,
    /// It was refused: other servers stop only what runs, and cancel what waits.
    Refused,
    Yes,
}

impl Forwarding {
    /// Makes an attempt, or takes up one that an earlier server began.
    pub(super) fn new(context: ActionContext, options: &Arc<Options>) -> Result<Self, Failure> {
        let way = way_of(context.parameters());
        let mut forwarding = Self {
            way,
            phase: Phase::Choosing { told: false },
            wish: Wish::Run,
            passed_on: PassedOn::default(),
            relayed: VecDeque::new(),
            interval: options.first_look,
            retry_at: None,
            retry_after: FIRST_RETRY,
            seen: None,
            partial: Vec::new(),
            tells_progress: true,
            hopeless_since: None,
            earlier: None,
            last_stop: LastStop::new(context.clone()),
            options: Arc::clone(options),
            context,
        };
        let note = forwarding.context.note().filter(|_| forwarding.context.is_resumed());
        if let Some(note) = note {
            let note = Note::read(&note);
            let note =
                note.ok_or_else(|| Failure::failed("the note of an earlier server can't be read"))?;
            forwarding.take_up(note)?;
        }
        Ok(forwarding)
    }

    /// Goes on where an earlier server has left off.
    fn take_up(&mut self, note: Note) -> Result<(), Failure> {
        let Note { to: Some(url), since, key, token } = note else { return Ok(()) };
        let Some(server) = self.options.servers.named(&url) else {
            let token = token.map(|token| format!(", under the token {token}")).unwrap_or_default();
            let what = format!(
                "it was sent to {url}{token}, which ForwardTo does not name any more; what became of it there is not known"
            );
            return Err(Failure::failed(what));
        };
        let place = Place::at(server);
        let sending = Sending { key, since, known: None };
        self.context.set_worker(url);
        self.phase = match token {
            Some(token) => Phase::There { place, sending, token, is_noted: true },
            // It may have been on its way until now.
            None => {
                let in_doubt = Some(Doubt::new(self.options.doubt));
                Phase::Sending { place, sending, is_noted: true, in_doubt }
            }
        };
        self.tell_last_stop();
        Ok(())
    }

    /// Does the work.
    pub(super) async fn run(mut self) -> Result<Report, Failure> {
        let outcome = self.go_through().await;
        self.last_stop.set(Where::Nowhere);
        outcome
    }

    async fn go_through(&mut self) -> Result<Report, Failure> {
        if let Some(why) = self.way.refusal(&self.options.sender) {
            return Err(Failure::fatal(why));
        }
        let mut wishes = self.context.wishes();
        let mut commands = self.context.relayed();
        let mut step = self.next()?;
        loop {
            tokio::select! {
                biased;
                Some(wish) = wishes.next() => {
                    if wish != self.wish {
                        self.wish = wish;
                        if wish == Wish::Run && self.passed_on.no_pause.take().is_some() {
                            self.passed_on.pause = false;
                        }
                        self.interval = self.options.first_look;
                        if step.may_be_dropped {
                            step = self.next()?;
                        }
                    }
                }
                Some(command) = commands.next() => {
                    self.relayed.push_back(command);
                    if step.may_be_dropped {
                        step = self.next()?;
                    }
                }
                event = &mut step.future => {
                    if let Some(report) = self.on(event)? {
                        return Ok(report);
                    }
                    step = self.next()?;
                }
            }
        }
    }

    /// Returns what is to be done next.
    fn next(&mut self) -> Result<Step, Failure> {
        if self.context.is_detached() {
            return Ok(Step::nothing());
        }
        self.answer_early()?;
        self.tell_last_stop();
        let now = Instant::now();
        let retry_at = self.retry_at.filter(|retry_at| *retry_at > now);
        match &mut self.phase {
            Phase::Sending { in_doubt: Some(doubt), .. } => doubt.searched_at = now,
            Phase::Choosing { .. } | Phase::Sending { .. } | Phase::There { .. } => {}
        }
        match &self.phase {
            Phase::Choosing { .. } if self.wish >= Wish::Stop => Err(Failure::Stopped),
            Phase::Choosing { .. } if self.wish == Wish::Pause => Ok(Step::nothing()),
            Phase::Choosing { told } => match self.options.servers.choose(&self.options.action) {
                Ok(place) => Ok(Step::greet(place)),
                Err(_) if *told => Ok(Step::note(&self.context, &Note::nowhere())),
                Err(NoneNow { until, url, why, lasts }) => {
                    self.show(format!("waiting for {url}: {why}"));
                    match self.end_of_patience(lasts) {
                        Some(end) if end <= now => Err(Failure::failed(format!("{url}: {why}"))),
                        end => Ok(Step::wait_until(end.map_or(until, |end| until.min(end)))),
                    }
                }
            },
            Phase::Sending { is_noted: false, .. } | Phase::There { is_noted: false, .. } => {
                Ok(match retry_at {
                    Some(retry_at) => Step::wait_until(retry_at),
                    None => Step::note(&self.context, &self.note()),
                })
            }
            Phase::Sending { in_doubt: None, .. } if self.wish >= Wish::Stop => {
                Err(Failure::Stopped)
            }
            Phase::Sending { in_doubt: None, .. } if self.wish == Wish::Pause => {
                Ok(Step::nothing())
            }
            Phase::Sending { place, in_doubt, sending, .. } => {
                let server = place.server();
                if let Some((until, why)) = server.away().filter(|_| in_doubt.is_some()) {
                    let url = server.url.clone();
                    let lasts = server.absence_lasts();
                    self.show(format!(
                        "waiting for {url}: {why}; whether it has the action is not known"
                    ));
                    return match self.end_of_patience(lasts) {
                        Some(end) if end <= now => Err(unclear(&url, &why)),
                        end => Ok(Step::wait_until(end.map_or(until, |end| until.min(end)))),
                    };
                }
                if let Some(retry_at) = retry_at {
                    return Ok(Step::wait_until(retry_at));
                }
                let outgoing = self.outgoing(sending);
                let known = sending.known.filter(|_| in_doubt.is_none());
                let perhaps =
                    Where::Perhaps { server: Arc::clone(server), outgoing: outgoing.clone() };
                self.last_stop.set(perhaps);
                Ok(match known {
                    Some(known) => Step::submit(server, outgoing, known),
                    None => Step::resolve(server, outgoing, self.wish < Wish::Stop),
                })
            }
            Phase::There { place, token, .. } => {
                let server = place.server();
                if let Some(relayed) = self.relayed.pop_front() {
                    return Ok(Step::order(
                        server,
                        &self.options.action,
                        token,
                        Order::Relayed(relayed),
                    ));
                }
                if let Some((until, why)) = server.away() {
                    self.show(format!("waiting for {}: {why}", server.url));
                    return Ok(Step::wait_until(until));
                }
                if let Some(order) = self.order() {
                    return Ok(Step::order(server, &self.options.action, token, order));
                }
                if let Some(step) = self.seek_earlier(token) {
                    return Ok(step);
                }
                if let Some(retry_at) = retry_at {
                    return Ok(Step::wait_until(retry_at));
                }
                Ok(self.look(server, token))
            }
        }
    }

    /// Makes the next look at the action there. The first one does not wait.
    fn look(&self, server: &Arc<Server>, token: &str) -> Step {
        let is_first = self.seen.is_none();
        let waits = !(is_first && (self.context.is_resumed() || self.wish >= Wish::Stop));
        let interval = if waits { self.interval } else { Duration::ZERO };
        let longest = self.options.longest_look;
        Step::look(server, &self.options.action, token, interval, longest, self.tells_progress)
    }

    /// Returns what the action there has to be told. A stop waits for a look: it may have been passed on by an earlier server.
    fn order(&self) -> Option<Order> {
        let has_seen = self.seen.is_some();
        match self.wish {
            Wish::Stop | Wish::Force if has_seen => match self.passed_on.stop {
                Stop::No => Some(Order::Stop),
                Stop::Refused => Some(Order::CancelInstead),
                Stop::Yes => None,
            },
            Wish::Pause if !self.passed_on.pause && has_seen => Some(Order::Pause),
            Wish::Run if self.passed_on.pause && self.passed_on.no_pause.is_none() => {
                Some(Order::Resume)
            }
            _ => None,
        }
    }

    /// Answers commands for an action that no server has.
    fn answer_early(&mut self) -> Result<(), Failure> {
        if matches!(self.phase, Phase::There { .. }) {
            return Ok(());
        }
        let is_nowhere = !matches!(self.phase, Phase::Sending { in_doubt: Some(_), .. });
        while let Some(relayed) = self.relayed.pop_front() {
            match relayed.command {
                RelayedCommand::Cancel if is_nowhere => return Err(self.cancelled(relayed)),
                RelayedCommand::Cancel => {
                    let what = format!(
                        "whether {} has it is not known yet; send this again later, or stop it",
                        self.url()
                    );
                    relayed.answer(Err(what));
                }
                RelayedCommand::ChangePriority(_) => {
                    relayed.answer(Err(
                        "it is on its way to another server; send this again later".to_owned(),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Returns the time at which the attempt ends unless servers answer in another way, after an answer that waiting alone does
    /// not mend.
    fn end_of_patience(&mut self, lasts: bool) -> Option<Instant> {
        if !lasts {
            self.hopeless_since = None;
            return None;
        }
        let since = self.hopeless_since.get_or_insert_with(Instant::now);
        since.checked_add(self.options.patience)
    }

    fn show(&self, title: String) {
        self.context.set_progress(translate::waiting(title, None));
    }

    /// Returns the address of the server that it is at, or on its way to.
    fn url(&self) -> String {
        match &self.phase {
            Phase::Choosing { .. } => String::new(),
            Phase::Sending { place, .. } | Phase::There { place, .. } => place.server().url.clone(),
        }
    }

    fn outgoing(&self, sending: &Sending) -> Outgoing {
        Outgoing {
            action: self.options.action.clone(),
            came: self.context.parameters().clone(),
            marker: self.options.marker,
            key: sending.key.clone(),
            since: sending.since,
        }
    }

    /// Returns the note to be kept.
    fn note(&self) -> Note {
        let note = |place: &Place, sending: &Sending, token: Option<&String>| Note {
            to: Some(place.server().url.clone()),
            since: sending.since,
            key: sending.key.clone(),
            token: token.cloned(),
        };
        match &self.phase {
            Phase::Choosing { .. } => Note::nowhere(),
            Phase::Sending { place, sending, .. } => note(place, sending, None),
            Phase::There { place, sending, token, .. } => note(place, sending, Some(token)),
        }
    }

    fn tell_last_stop(&self) {
        self.last_stop.set(match &self.phase {
            Phase::Choosing { .. } | Phase::Sending { in_doubt: None, .. } => Where::Nowhere,
            Phase::Sending { place, sending, .. } => Where::Perhaps {
                server: Arc::clone(place.server()),
                outgoing: self.outgoing(sending),
            },
            Phase::There { place, token, .. } => Where::There {
                server: Arc::clone(place.server()),
                token: token.clone(),
                action: self.options.action.clone(),
                asked: self.passed_on.stop == Stop::Yes,
            },
        });
    }
}

/// The end of an attempt of which nobody can say whether a server has done it.
fn unclear(url: &str, why: &str) -> Failure {
    Failure::fatal(format!(
        "whether {url} has done it is not known: {why}. It is not sent again by itself; QueueAction=retry sends it again"
    ))
}
