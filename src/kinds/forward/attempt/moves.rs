//! What moves an attempt on: the events of its steps.

use std::sync::Arc;
use std::time::Duration;

use actiond_actors::clock::{Clock as _, SystemClock};
use actiond_actors::{Failure, Progress, QueueError, Relayed, RelayedCommand, Report, State, Wish};
use tokio::time::Instant;

use super::super::find::Found;
use super::super::last_stop::Where;
use super::super::server::{Known, Place};
use super::super::step::{Event, Order, Seen};
use super::super::translate;
use super::super::trouble::Trouble;
use super::{Doubt, Earlier, FIRST_RETRY, Forwarding, PassedOn, Phase, Sending, Stop, unclear};
use crate::aci::client::{Action, Progress as Told, Status};

/// The longest time to the next try where a server answers and yet does not do what it should.
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// Time to the next try to keep a note.
const NOTE_RETRY: Duration = Duration::from_secs(1);
/// Time within which the other server shows that it does what it was told; then it is told again.
const OBEYED_WITHIN: Duration = Duration::from_secs(5);
/// Time within which the end of a cancelled action must be durable for its client to hear of it.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

impl Forwarding {
    /// Moves on by what came of a step. Returns the result once there is one.
    pub(super) fn on(&mut self, event: Event) -> Result<Option<Report>, Failure> {
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
            Event::SoughtEarlier(ended) => self.on_sought_earlier(ended),
        }
        Ok(None)
    }

    /// Begins to send it to a server: the key first, which is kept before anything is sent. What is sent again keeps its key,
    /// so that the first is known if it is there after all.
    fn begin(&mut self, place: Place, known: Known) {
        let now = SystemClock.now().millis();
        let (key, since) = match &self.earlier {
            Some(earlier) => (earlier.key().to_owned(), earlier.since_at(place.server(), now)),
            None => (self.way.key(&self.options.sender), now),
        };
        self.context.set_worker(place.server().url.clone());
        let sending = Sending { key, since, known: Some(known) };
        self.phase = Phase::Sending { place, sending, is_noted: false, in_doubt: None };
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
                self.arrive(doubt(in_doubt), token);
            }
            Err(Trouble::Away { maybe: false, .. }) if in_doubt.is_none() => {}
            Err(Trouble::Away { lasts, .. }) => {
                if lasts {
                    self.hopeless_since.get_or_insert_with(Instant::now);
                }
                self.phase = doubt(Some(Doubt::new(self.options.doubt)));
            }
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
            // It may still be on its way.
            Ok(Found::Nothing | Found::Unclear(_))
                if self.doubt().is_some_and(|d| !d.is_over()) =>
            {
                self.seek_later();
            }
            Ok(Found::Nothing) => {
                self.give_up_sending();
                let is_hopeless = self
                    .hopeless_since
                    .is_some_and(|since| since.elapsed() >= self.options.patience);
                if let (true, Some(earlier)) = (is_hopeless, &self.earlier) {
                    let what = "it does not have the action, and answers it with no reply of an ACI server";
                    return Err(Failure::failed(format!("{}: {what}", earlier.url())));
                }
            }
            Ok(Found::Unclear(why)) => {
                let url = self.url();
                self.last_stop.set(Where::Nowhere);
                return Err(unclear(&url, why));
            }
            // It is left alone for a while, if it is away.
            Err(Trouble::Away { .. }) => {}
            Err(trouble) => self.try_later(&trouble),
        }
        Ok(())
    }

    const fn doubt(&self) -> Option<Doubt> {
        match self.phase {
            Phase::Sending { in_doubt, .. } => in_doubt,
            Phase::Choosing { .. } | Phase::There { .. } => None,
        }
    }

    /// Searches again later, and for the last time when nothing can be on its way any more.
    fn seek_later(&mut self) {
        let what = "whether it has the action is not known";
        self.show(format!("waiting for {}: {what}", self.url()));
        let next = Instant::now() + self.retry_after;
        let last = self.doubt().map_or(next, |doubt| doubt.until);
        self.retry_at = Some(next.min(last));
        self.retry_after = self.retry_after.saturating_mul(2).min(LONGEST_RETRY);
    }

    /// Takes what was sent for lost.
    fn give_up_sending(&mut self) {
        self.retry_after = FIRST_RETRY;
        self.retry_at = None;
        let phase = std::mem::replace(&mut self.phase, Phase::Choosing { told: true });
        if let Phase::Sending { place, sending, .. } = phase {
            let outgoing = self.outgoing(&sending);
            self.earlier = Some(Earlier::new(place.server(), outgoing));
        }
    }

    /// Notes that a server has the action.
    fn arrive(&mut self, phase: Phase, token: String) {
        self.hopeless_since = None;
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
            self.pass_on_again(&status);
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

    /// Notes that a wish has to be passed on again: the server has forgotten it, as one does that was killed, or the action has
    /// begun to run there since it was refused.
    fn pass_on_again(&mut self, status: &Status) {
        let has_begun = *status == Status::Processing && self.seen == Some(Status::Queued);
        if has_begun && self.passed_on.no_pause.take().is_some() {
            self.passed_on.pause = false;
        }
        let is_soon = self.passed_on.at.is_some_and(|at| at.elapsed() < OBEYED_WITHIN);
        if is_soon {
            return;
        }
        let may_run = matches!(status, Status::Processing | Status::Queued | Status::Paused);
        match self.wish {
            Wish::Pause if *status == Status::Processing && self.passed_on.no_pause.is_none() => {
                self.passed_on.pause = false;
            }
            Wish::Stop | Wish::Force if may_run && self.passed_on.stop == Stop::Yes => {
                self.passed_on.stop = Stop::No;
            }
            _ => {}
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

    fn show_held(&self, status: &Status, url: &str, so_far: Option<&Told>) {
        match self.title(status, url) {
            Some(title) => self.context.set_progress(translate::waiting(title, so_far)),
            // It tells no progress, so there is none; what was waited for before is over.
            None => self.context.set_progress(Progress::default()),
        }
    }

    fn on_unseen(&mut self, trouble: Trouble) -> Result<(), Failure> {
        let url = self.url();
        match trouble {
            Trouble::Away { .. } => self.passed_on.at = None,
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
        self.passed_on.at = Some(Instant::now());
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
                // A full stop follows here.
                let text = trouble.text().trim_end().trim_end_matches('.');
                relayed.answer(Err(format!("{}: {text}", self.url())));
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
    pub(super) fn cancelled(&self, relayed: Relayed) -> Failure {
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

    /// Waits longer and longer where a server answers, and not as it should.
    fn try_later(&mut self, trouble: &Trouble) {
        self.show(format!("waiting for {}: {}", self.url(), trouble.text()));
        self.retry_at = Some(Instant::now() + self.retry_after);
        self.retry_after = self.retry_after.saturating_mul(2).min(LONGEST_RETRY);
    }
}
