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

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actiond_actors::clock::{Clock as _, SystemClock};
use actiond_actors::{
    ActionContext, Failure, QueueError, Relayed, RelayedCommand, Report, State, Wish,
};
use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::find::Found;
use super::last_stop::{LastStop, Where};
use super::note::{Note, Way};
use super::outgoing::Outgoing;
use super::server::{Known, Place, Server};
use super::step::{Event, Order, Seen, Step};
use super::translate;
use super::trouble::Trouble;
use super::{Options, way_of};
use crate::aci::client::{Action, Status};
use crate::aci::element::Element;

/// Time to the next try where a server answers and yet does not do what it should, and the longest to which it grows.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// Time to the next try to keep a note.
const NOTE_RETRY: Duration = Duration::from_secs(1);

/// Time within which the end of a cancelled action must be durable for its client to hear of it.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Where the action is.
enum Phase {
    /// At no server. `told` is true if a note says otherwise.
    Choosing { told: bool },
    /// On its way to a server under a key. `is_noted` once that is kept, `in_doubt` if it may have been taken.
    Sending { place: Place, sending: Sending, is_noted: bool, in_doubt: bool },
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
    last_stop: LastStop,
}

#[derive(Debug, Default)]
struct PassedOn {
    pause: bool,
    /// The answer to a pause that was refused.
    no_pause: Option<String>,
    stop: Stop,
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
            None => Phase::Sending { place, sending, is_noted: true, in_doubt: true },
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
        match &self.phase {
            Phase::Choosing { .. } if self.wish >= Wish::Stop => Err(Failure::Stopped),
            Phase::Choosing { .. } if self.wish == Wish::Pause => Ok(Step::nothing()),
            Phase::Choosing { told } => match self.options.servers.choose(&self.options.action) {
                Ok(place) => Ok(Step::greet(place)),
                Err(_) if *told => Ok(Step::note(&self.context, &Note::nowhere())),
                Err(none_now) => {
                    self.show(format!("waiting for {}: {}", none_now.url, none_now.why));
                    Ok(Step::wait_until(none_now.until))
                }
            },
            Phase::Sending { is_noted: false, .. } | Phase::There { is_noted: false, .. } => {
                Ok(match retry_at {
                    Some(retry_at) => Step::wait_until(retry_at),
                    None => Step::note(&self.context, &self.note()),
                })
            }
            Phase::Sending { in_doubt: false, .. } if self.wish >= Wish::Stop => {
                Err(Failure::Stopped)
            }
            Phase::Sending { in_doubt: false, .. } if self.wish == Wish::Pause => {
                Ok(Step::nothing())
            }
            Phase::Sending { place, in_doubt, sending, .. } => {
                let server = place.server();
                if let Some((until, why)) = server.away().filter(|_| *in_doubt) {
                    self.show(format!(
                        "waiting for {}: {why}; whether it has the action is not known",
                        server.url
                    ));
                    return Ok(Step::wait_until(until));
                }
                if let Some(retry_at) = retry_at {
                    return Ok(Step::wait_until(retry_at));
                }
                let outgoing = self.outgoing(sending);
                let known = sending.known.filter(|_| !*in_doubt);
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

    /// Moves on by what came of a step. Returns the result once there is one.
    fn on(&mut self, event: Event) -> Result<Option<Report>, Failure> {
        match event {
            Event::Waited => {}
            Event::Greeted(place, Ok(known)) => self.begin(place, known),
            // It is left alone for a while; another may take it.
            Event::Greeted(_, Err(_)) => {}
            Event::Noted(kept) => self.on_noted(kept)?,
            Event::Sent(sent) => self.on_sent(sent)?,
            Event::Found(found) => self.on_found(found)?,
            Event::Seen(Ok(seen)) => return self.on_seen(*seen),
            Event::Seen(Err(trouble)) => self.on_unseen(trouble)?,
            Event::Ordered(order, answer) => self.on_ordered(order, answer)?,
        }
        Ok(None)
    }

    /// Begins to send it to a server: the key first, which is kept before anything is sent.
    fn begin(&mut self, place: Place, known: Known) {
        let key = self.way.key(&self.options.sender);
        let since = SystemClock.now().millis();
        self.context.set_worker(place.server().url.clone());
        let sending = Sending { key, since, known: Some(known) };
        self.phase = Phase::Sending { place, sending, is_noted: false, in_doubt: false };
    }

    fn on_noted(&mut self, kept: Result<(), QueueError>) -> Result<(), Failure> {
        match kept {
            Ok(()) => {
                self.retry_at = None;
                match &mut self.phase {
                    Phase::Choosing { told } => *told = false,
                    Phase::Sending { is_noted, .. } | Phase::There { is_noted, .. } => {
                        *is_noted = true;
                    }
                }
                Ok(())
            }
            // It does not run any more, for the store.
            Err(error @ QueueError::UnknownAction { .. }) => Err(error.into()),
            Err(error) => {
                log::warn!("queue {}: {error}", self.context.queue_name());
                self.retry_at = Some(Instant::now() + NOTE_RETRY);
                Ok(())
            }
        }
    }

    fn on_sent(&mut self, sent: Result<String, Trouble>) -> Result<(), Failure> {
        let phase = std::mem::replace(&mut self.phase, Phase::Choosing { told: true });
        let Phase::Sending { place, sending, in_doubt, .. } = phase else {
            self.phase = phase;
            return Ok(());
        };
        let server = Arc::clone(place.server());
        let doubt = |in_doubt| Phase::Sending { place, sending, is_noted: true, in_doubt };
        match sent {
            Ok(token) => {
                server.note_full(&self.options.action, None);
                self.arrive(doubt(true), token);
            }
            Err(Trouble::Away { maybe: false, .. }) if !in_doubt => {}
            Err(Trouble::Away { .. }) => self.phase = doubt(true),
            Err(Trouble::Busy(why)) => server.note_full(&self.options.action, Some(&why)),
            Err(trouble) => {
                let what = format!("{}: {}", server.url, trouble.text());
                return Err(match trouble {
                    Trouble::Failed(_) => Failure::failed(what),
                    _ => Failure::fatal(what),
                });
            }
        }
        Ok(())
    }

    fn on_found(&mut self, found: Result<Found, Trouble>) -> Result<(), Failure> {
        match found {
            Ok(Found::Token(token)) => {
                let phase = std::mem::replace(&mut self.phase, Phase::Choosing { told: true });
                self.arrive(phase, token);
            }
            Ok(Found::Nothing) => self.phase = Phase::Choosing { told: true },
            Ok(Found::Unclear(why)) => {
                let url = self.url();
                self.last_stop.set(Where::Nowhere);
                return Err(Failure::fatal(format!(
                    "whether {url} has done it is not known: {why}. It is not sent again by itself; QueueAction=retry sends it again"
                )));
            }
            // It is left alone for a while, if it is away.
            Err(Trouble::Away { .. }) => {}
            Err(trouble) => self.try_later(&trouble),
        }
        Ok(())
    }

    /// Notes that a server has the action.
    fn arrive(&mut self, phase: Phase, token: String) {
        self.retry_after = FIRST_RETRY;
        self.retry_at = None;
        self.phase = match phase {
            Phase::Sending { place, sending, .. } => {
                Phase::There { place, sending, token, is_noted: false }
            }
            other => other,
        };
    }

    /// Returns how the action stands there: its result once it has one.
    fn on_seen(&mut self, Seen { action, progress }: Seen) -> Result<Option<Report>, Failure> {
        let Action { status, error, results, ended, .. } = action;
        self.retry_after = FIRST_RETRY;
        self.interval = self.interval.saturating_mul(2).min(self.options.longest_look);
        let url = self.url();
        let has_ended =
            status.has_ended() && (!matches!(status, Status::Other(_)) || ended.is_some());
        if status != Status::Finished && results != self.partial {
            self.context.set_partial(translate::report(results.clone()));
            self.partial.clone_from(&results);
        }
        if !has_ended {
            let is_first = self.seen.is_none();
            if is_first && status == Status::Stopping && self.wish >= Wish::Stop {
                self.passed_on.stop = Stop::Yes;
            }
            if is_first && status == Status::Paused {
                self.passed_on.pause = self.wish == Wish::Pause;
            }
            match progress {
                Some(Ok(progress)) if self.title(&status, &url).is_none() => {
                    self.context.set_progress(translate::progress(&progress));
                }
                Some(Err(())) => {
                    self.tells_progress = false;
                    self.show_held(&status, &url, None);
                }
                other => self.show_held(&status, &url, other.and_then(Result::ok).as_ref()),
            }
            self.seen = Some(status);
            return Ok(None);
        }
        self.last_stop.set(Where::Nowhere);
        let is_asked = self.wish >= Wish::Stop;
        match status {
            Status::Finished => Ok(Some(translate::report(results))),
            Status::Stopped | Status::Cancelled if is_asked => Err(Failure::Stopped),
            Status::Cancelled => Err(Failure::Cancelled),
            Status::Stopped => {
                Err(Failure::fatal(format!("it was stopped at {url}, and not by this server")))
            }
            Status::Error => Err(Failure::failed(
                error.unwrap_or_else(|| format!("it failed at {url}, which gave no reason")),
            )),
            other => Err(Failure::failed(
                error.unwrap_or_else(|| format!("it ended at {url} as {other}")),
            )),
        }
    }

    /// Returns the title of what holds the action there, if it is not simply at work.
    fn title(&self, status: &Status, url: &str) -> Option<String> {
        if let Some(why) = &self.passed_on.no_pause {
            return Some(format!("not paused, because {url} refused it: {why}"));
        }
        match status {
            Status::Queued => Some(format!("queued at {url}")),
            Status::Paused if self.wish != Wish::Pause => Some(format!("paused at {url}")),
            Status::Other(word) => Some(format!("{word} at {url}")),
            _ => None,
        }
    }

    fn show_held(&self, status: &Status, url: &str, so_far: Option<&crate::aci::client::Progress>) {
        match self.title(status, url) {
            Some(title) => self.context.set_progress(translate::waiting(title, so_far)),
            // It tells no progress, so there is none; what was waited for before is over.
            None => self.context.set_progress(actiond_actors::Progress::default()),
        }
    }

    fn on_unseen(&mut self, trouble: Trouble) -> Result<(), Failure> {
        let url = self.url();
        match trouble {
            Trouble::Away { .. } => {}
            Trouble::Unknown => {
                self.last_stop.set(Where::Nowhere);
                let token = match &self.phase {
                    Phase::There { token, .. } => token.as_str(),
                    Phase::Choosing { .. } | Phase::Sending { .. } => "",
                };
                return Err(Failure::failed(format!(
                    "{url} does not know the action any more, whose token there was {token}; what became of it is not known"
                )));
            }
            Trouble::Refused(why) => return Err(Failure::fatal(format!("{url}: {why}"))),
            trouble @ (Trouble::Busy(_) | Trouble::Failed(_)) => self.try_later(&trouble),
        }
        Ok(())
    }

    fn on_ordered(
        &mut self,
        order: Order,
        answer: Result<Option<Status>, Trouble>,
    ) -> Result<(), Failure> {
        self.interval = self.options.first_look;
        let is_away = matches!(answer, Err(Trouble::Away { .. } | Trouble::Busy(_)));
        match order {
            // They are sent again.
            Order::Stop | Order::CancelInstead | Order::Pause | Order::Resume if is_away => {}
            Order::Stop if answer.is_err() => self.passed_on.stop = Stop::Refused,
            // If that was refused, too, it has ended meanwhile, which the next look shows.
            Order::Stop | Order::CancelInstead => self.passed_on.stop = Stop::Yes,
            Order::Pause => {
                self.passed_on.pause = true;
                self.passed_on.no_pause = answer.err().map(|trouble| trouble.text().to_owned());
            }
            Order::Resume => {
                self.passed_on = PassedOn { stop: self.passed_on.stop, ..PassedOn::default() }
            }
            Order::Relayed(relayed) => return self.on_relayed(relayed, answer),
        }
        if self.wish == Wish::Run {
            self.passed_on.no_pause = None;
        }
        Ok(())
    }

    /// Answers a command that was passed on.
    fn on_relayed(
        &mut self,
        relayed: Relayed,
        answer: Result<Option<Status>, Trouble>,
    ) -> Result<(), Failure> {
        match (relayed.command, answer) {
            (_, Err(trouble)) => {
                relayed.answer(Err(format!("{}: {}", self.url(), trouble.text())));
                Ok(())
            }
            (RelayedCommand::ChangePriority(_), Ok(_)) => {
                relayed.answer(Ok(State::Processing));
                Ok(())
            }
            (RelayedCommand::Cancel, Ok(_)) => Err(self.cancelled(relayed)),
        }
    }

    /// Ends the attempt as cancelled, and answers the command once that is durable.
    fn cancelled(&self, relayed: Relayed) -> Failure {
        let context = self.context.clone();
        self.last_stop.set(Where::Nowhere);
        tokio::spawn(async move {
            // Without an answer the command counts as refused.
            if let Ok(state) = tokio::time::timeout(ANSWER_WITHIN, context.settled()).await {
                relayed.answer(state.ok_or_else(|| "another server has the action".to_owned()));
            }
        });
        Failure::Cancelled
    }

    /// Answers commands for an action that no server has.
    fn answer_early(&mut self) -> Result<(), Failure> {
        if matches!(self.phase, Phase::There { .. }) {
            return Ok(());
        }
        let is_nowhere = !matches!(self.phase, Phase::Sending { in_doubt: true, .. });
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

    /// Waits longer and longer where a server answers, and not as it should.
    fn try_later(&mut self, trouble: &Trouble) {
        self.show(format!("waiting for {}: {}", self.url(), trouble.text()));
        self.retry_at = Some(Instant::now() + self.retry_after);
        self.retry_after = self.retry_after.saturating_mul(2).min(LONGEST_RETRY);
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
            Phase::Choosing { .. } | Phase::Sending { in_doubt: false, .. } => Where::Nowhere,
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
