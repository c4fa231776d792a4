//! The action `QueueWork`: hands the actions of queues that have a desk to workers elsewhere, and takes what they say of them.
//!
//! A word of a worker counts for the attempt that it names. While that is at the desk the job takes it; after that the stored
//! row tells what became of it, so a repeated word has the same answer also in another process, and a late one of a worker
//! that has lost its action changes nothing.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use actiond_actors::lifecycle::Ended;
use actiond_actors::store::{PastAttempt, Record};
use actiond_actors::{
    ActionId, ActionRef, Failure, QueueError, QueueHandle, State, Submitted, Timestamp, Wish,
};

use super::dispatch::Call;
use super::endpoint::Endpoint;
use super::errors::{queue_error, unknown_token};
use super::handover::Handover;
use super::render;
use super::served_queue::ServedQueue;
use crate::aci::element::Element;
use crate::aci::error::AciError;
use crate::aci::queue_work::{Heartbeat, QueueWork, Take, Word, WorkReport};
use crate::aci::request::PairValue;
use crate::aci::token::Token;
use crate::aci::words::nearest;
use crate::desk::job::{Job, News, Settled};
use crate::desk::{self, Desk, Handed};
use crate::kinds::results::{self, Form};

/// Time for which a word about an attempt that is to be here is held until it is: after a start it takes a moment until all are.
const HERE_WITHIN: Duration = Duration::from_secs(3);

/// Time between two looks for it.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Told of an attempt that goes from one server to another, or is not back yet after a start.
const SAY_AGAIN: &str = "the action is not back here yet; say it again";

/// Largest error text of a worker that is kept, in bytes.
const MAX_ERROR: usize = 100_000;

/// Number of workers of a queue that `GetStatus` shows.
const MAX_SHOWN: usize = 100;

pub(super) async fn queue_work(call: &mut Call<'_>) -> Result<Vec<Element>, AciError> {
    // `dispatch` has validated them.
    let mut pairs = std::mem::take(&mut call.pairs);
    let given = pairs.given("Token").unwrap_or_default().to_owned();
    match QueueWork::parse_validated(&mut pairs)? {
        QueueWork::Take(take) => self::take(call, take).await,
        QueueWork::Report(report) => {
            Attempted::find(call, &report, &given)?.report(report.word).await
        }
    }
}

/// Returns the queue of this name and its desk.
fn find_desk<'a>(
    endpoint: &'a Endpoint,
    name: &str,
) -> Result<(&'a ServedQueue, &'a Desk), AciError> {
    desk_of(endpoint, name).ok_or_else(|| {
        let all = endpoint.queues().iter().filter(|served| served.desk.is_some());
        let names: Vec<_> = all.map(|served| served.queue.name()).collect();
        let allowed = match names.is_empty() {
            true => "none: no queue of this server has Type=Remote".to_owned(),
            false => format!("a queue with Type=Remote: {}", names.join(", ")),
        };
        AciError::invalid("QueueName", name, &allowed).meant(nearest(name, names))
    })
}

fn desk_of<'a>(endpoint: &'a Endpoint, name: &str) -> Option<(&'a ServedQueue, &'a Desk)> {
    endpoint.queue(name).and_then(|served| Some((served, served.desk.as_ref()?)))
}

/// Waits for actions, and replies with those that the worker gets.
async fn take(call: &mut Call<'_>, take: Take) -> Result<Vec<Element>, AciError> {
    let Take { queues, worker, max, wait_secs } = take;
    let endpoint = call.endpoint;
    let served: Vec<_> =
        queues.iter().map(|name| find_desk(endpoint, name)).collect::<Result<_, _>>()?;
    let system = endpoint.system();
    if system.is_draining() {
        return Err(AciError::unavailable(&QueueError::ShuttingDown.to_string()));
    }
    let waits: Vec<(&Desk, &QueueHandle)> =
        served.iter().map(|(served, desk)| (*desk, &served.queue)).collect();
    let worker = worker.or_else(|| Some(call.caller.address?.to_string()));
    let worker = worker.as_deref().unwrap_or("unnamed");
    let patience = Duration::try_from_secs_f64(wait_secs).unwrap_or_default();
    let client = call.client;
    let waits_long = !patience.is_zero();
    let until = async {
        tokio::select! {
            // At once: an action that reaches nobody is missing until its lease ends.
            () = client.left(), if waits_long => {}
            () = client.waits_no_more() => {}
            () = system.drained() => {}
        }
    };
    // What the reply does not reach goes back to its queue, wherever this ends.
    let mut got = desk::take(&waits, worker, max, patience, until).await;
    let bytes = got.iter().map(Handed::byte_len).sum();
    call.reserve_memory(bytes).await?;
    if got.is_empty() && system.is_shared() && !system.is_ready() {
        // Nobody could look whether there is something to do.
        return Err(AciError::unavailable("the action database is not available now"));
    }
    if waits_long && client.has_left() {
        // What came in the same moment goes back, too.
        return Ok(Vec::new());
    }
    // They began beside one another.
    got.sort_by_key(|handed| (Reverse(handed.job().priority()), handed.job().action().id));
    let works = got.iter().filter_map(|handed| work(endpoint, handed.job())).collect();
    call.handover = Handover::of(got);
    Ok(works)
}

/// An action as its worker gets it.
fn work(endpoint: &Endpoint, job: &Job) -> Option<Element> {
    let ActionRef { id, queued_at, attempt, taken_by } = job.action();
    let served = endpoint.queue(job.queue_name())?;
    let token = endpoint.token(served, Submitted { id, queued_at, taken_by });
    Some(
        Element::new("work")
            .child(Element::text("token", token))
            .child(Element::text("queue", served.queue.name()))
            .child(Element::text("attempt", attempt.to_string()))
            .child(Element::text("leasesecs", job.lease().as_secs().to_string()))
            .child(Element::text("priority", job.priority().to_string()))
            .child(render::parameters(job.parameters())),
    )
}

/// The attempt that a worker speaks of.
struct Attempted<'a> {
    endpoint: &'a Endpoint,
    served: &'a ServedQueue,
    desk: &'a Desk,
    id: ActionId,
    queued_at: Timestamp,
    attempt: u32,
    token: Token,
    /// The token as the worker wrote it, for errors.
    given: &'a str,
    /// Ready once the worker waits for its reply no more.
    client: &'a super::Client,
}

/// Whereabouts of an attempt.
enum Whereabouts {
    /// A worker has it.
    Here(Arc<Job>),
    /// It is over; the action's row tells how.
    Past(Box<Record>),
}

impl<'a> Attempted<'a> {
    fn find(call: &Call<'a>, report: &WorkReport, given: &'a str) -> Result<Self, AciError> {
        let endpoint = call.endpoint;
        let token = &report.token;
        let (served, desk) = desk_of(endpoint, &token.queue)
            .ok_or_else(|| AciError::invalid("Token", given, "a token that take replied"))?;
        let id = ActionId::new(token.id).filter(|_| token.queue == served.upper);
        let id = id.ok_or_else(|| unknown_token(served.queue.name(), given))?;
        let queued_at = Timestamp(token.queued_ms);
        let (attempt, client, token) = (report.attempt, call.client, token.clone());
        Ok(Self { endpoint, served, desk, id, queued_at, attempt, token, given, client })
    }

    async fn report(&self, word: Word) -> Result<Vec<Element>, AciError> {
        match word {
            Word::Heartbeat(heartbeat) => self.heartbeat(heartbeat).await,
            Word::Finish { result } => {
                let report = result.map(|result| results::read(bytes_of(&result), Form::Any));
                self.end(&End::Finish, |job| job.finish(report.unwrap_or_default())).await
            }
            Word::Fail { mut error, retry } => {
                error.truncate(error.floor_char_boundary(MAX_ERROR));
                if error.is_empty() {
                    error.push_str("its worker gave no reason");
                }
                let failure = match retry {
                    true => Failure::failed(error.clone()),
                    false => Failure::fatal(error.clone()),
                };
                self.end(&End::Fail(error), |job| job.fail(failure)).await
            }
            Word::Release => self.end(&End::Release, Job::release).await,
        }
    }

    /// Renews the lease, and replies with what the worker is to do.
    async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<Vec<Element>, AciError> {
        let Heartbeat { worker, progress, stage, partial, log, wait_secs } = heartbeat;
        let partial = partial.map(|partial| results::read(bytes_of(&partial), Form::Any));
        // So that the lease is never lost while it waits.
        let patience = Duration::try_from_secs_f64(wait_secs).unwrap_or_default();
        let patience = patience.min(self.desk.lease() / 3);
        if let Whereabouts::Here(job) = self.whereabouts(true).await?
            && job.hear(News { worker, percent: progress, stage, partial, log })
        {
            let wish = job.wish(patience);
            let wish = tokio::select! {
                biased;
                wish = wish => wish,
                () = self.client.waits_no_more() => job.wish(Duration::ZERO).await,
            };
            if let Some(wish) = wish {
                if wish == Wish::Force {
                    self.desk.tell_force(self.id, self.attempt);
                }
                return Ok(self.wished(wish));
            }
        }
        match self.past().await? {
            // It did not obey in time, and learns of it now.
            record if self.is_latest(&record) && record.state == State::Stopped => {
                if !self.desk.tell_force(self.id, self.attempt) {
                    // Nor may it ask in circles.
                    let pause = patience.min(desk::job::TELL_AGAIN);
                    let _ = tokio::time::timeout(pause, self.client.waits_no_more()).await;
                }
                Ok(self.wished(Wish::Force))
            }
            record => Err(self.lost(&record)),
        }
    }

    fn wished(&self, wish: Wish) -> Vec<Element> {
        let wish = match wish {
            Wish::Run => "run",
            Wish::Pause => "pause",
            Wish::Stop => "stop",
            Wish::Force => "force",
        };
        vec![
            Element::text("token", self.token()),
            Element::text("attempt", self.attempt.to_string()),
            Element::text("wish", wish),
            Element::text("leasesecs", self.desk.lease().as_secs().to_string()),
        ]
    }

    /// Ends the attempt, and replies once that is durable; a repeated word has the same answer.
    async fn end(
        &self,
        end: &End,
        tell: impl FnOnce(&Job) -> bool,
    ) -> Result<Vec<Element>, AciError> {
        if let Whereabouts::Here(job) = self.whereabouts(true).await? {
            let is_first = tell(&job);
            match job.settled().await {
                // Whether this or another word ended it, its row tells.
                Settled::As(state) if is_first && end.fits(state) => return Ok(self.status(state)),
                // An end that was written twice, because the queue's actor died in between, does not count the second time.
                Settled::As(_) | Settled::Elsewhere => {}
                Settled::Unknown => {
                    let why = "the end of the action is not written yet; say it again";
                    return Err(AciError::unavailable(why));
                }
            }
        }
        let record = self.past().await?;
        if self.ended_so(end, &record).await? {
            return Ok(self.status(record.state));
        }
        Err(self.lost(&record))
    }

    /// Tells whether this attempt has ended as its worker says.
    async fn ended_so(&self, end: &End, record: &Record) -> Result<bool, AciError> {
        if self.is_latest(record) {
            match (end, record.state) {
                (End::Finish, State::Finished) => return Ok(true),
                (End::Fail(_) | End::Release, State::Stopped) => return Ok(true),
                (End::Fail(error), State::Error) => {
                    return Ok(is_same(error, record.error.as_deref()));
                }
                _ => {}
            }
        }
        if matches!(end, End::Finish) {
            return Ok(false);
        }
        let past = self.served.queue.history(self.id).await.map_err(|e| self.error(&e))?;
        let this = past.iter().rev().find(|past| past.attempt == self.attempt);
        Ok(match (end, this) {
            (End::Fail(error), Some(PastAttempt { ended, error: told, .. })) => {
                let has_failed = matches!(ended, Some(Ended::Retry | Ended::Failed));
                has_failed && is_same(error, told.as_deref())
            }
            (End::Release, Some(PastAttempt { ended, .. })) => *ended == Some(Ended::Released),
            _ => false,
        })
    }

    /// Returns the row of the action once this attempt is over.
    async fn past(&self) -> Result<Record, AciError> {
        match self.whereabouts(false).await? {
            Whereabouts::Past(record) => Ok(*record),
            // Another server had it since the word came here, and it is back.
            Whereabouts::Here(job) if !job.is_ending() => Err(AciError::unavailable(SAY_AGAIN)),
            // It has ended, and that is not written yet.
            Whereabouts::Here(job) => match job.settled().await {
                Settled::Unknown => Err(AciError::unavailable("its end is not written yet")),
                Settled::As(_) | Settled::Elsewhere => self.record().await,
            },
        }
    }

    /// Finds the attempt. If another server has it, it is taken over to be here, if that is wished.
    async fn whereabouts(&self, takes_over: bool) -> Result<Whereabouts, AciError> {
        let until = tokio::time::Instant::now() + HERE_WITHIN;
        let mut is_asked_for = !takes_over;
        loop {
            if let Some(job) = self.desk.job(self.id, self.attempt) {
                if job.action().queued_at != self.queued_at {
                    return Err(unknown_token(self.served.queue.name(), self.given));
                }
                return Ok(Whereabouts::Here(job));
            }
            let record = self.record().await?;
            if record.attempt < self.attempt {
                let attempt = self.attempt.to_string();
                return Err(AciError::invalid("Attempt", &attempt, "the one that take replied"));
            }
            if !(self.is_latest(&record) && record.state.is_running()) {
                return Ok(Whereabouts::Past(Box::new(record)));
            }
            // Another server has it, or it has just ended, or the server has just started, or is about to end.
            if self.endpoint.system().is_draining() {
                return Err(self.error(&QueueError::ShuttingDown));
            }
            if tokio::time::Instant::now() >= until {
                return Err(AciError::unavailable(SAY_AGAIN));
            }
            if !std::mem::replace(&mut is_asked_for, true) {
                let taken = self.served.queue.take_over(self.id, self.attempt).await;
                taken.map_err(|error| self.error(&error))?;
                continue;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn record(&self) -> Result<Record, AciError> {
        let queue = &self.served.queue;
        let within = queue.status_within(self.id, MAX_ERROR).await.map_err(|e| self.error(&e))?;
        let record = within.status.record;
        if record.queued_at != self.queued_at {
            return Err(unknown_token(queue.name(), self.given));
        }
        Ok(record)
    }

    const fn is_latest(&self, record: &Record) -> bool {
        record.attempt == self.attempt
    }

    /// The refusal of a word about an attempt that its worker has lost.
    fn lost(&self, record: &Record) -> AciError {
        let attempt = self.attempt;
        let now = match record.state {
            State::Queued => "waits for another attempt".to_owned(),
            state if state.is_running() => format!("is being done by attempt {}", record.attempt),
            state => format!("has ended as {}", state.name()),
        };
        let why = match &record.error {
            Some(error) => format!(" ({})", crate::aci::words::shorten(error)),
            None => String::new(),
        };
        AciError::work_lost(self.given, &format!("attempt {attempt} is over, and it {now}{why}"))
    }

    fn status(&self, state: State) -> Vec<Element> {
        vec![Element::text("token", self.token()), Element::text("status", state.name())]
    }

    fn token(&self) -> String {
        let action = Submitted { id: self.id, queued_at: self.queued_at, taken_by: None };
        self.endpoint.token_again(self.served, &self.token, action)
    }

    fn error(&self, error: &QueueError) -> AciError {
        queue_error(error, self.served.queue.name(), Some(self.given))
    }
}

/// An end that a worker tells.
enum End {
    Finish,
    Fail(String),
    Release,
}

impl End {
    /// Tells whether an action can be in this state because of it. A result that can't be kept is an error; whoever obeys a stop may
    /// say so by failing or by giving the action back.
    const fn fits(&self, state: State) -> bool {
        match self {
            Self::Finish => matches!(state, State::Finished | State::Error),
            Self::Fail(_) => matches!(state, State::Error | State::Queued | State::Stopped),
            Self::Release => matches!(state, State::Queued | State::Stopped),
        }
    }
}

/// Tells whether the kept text is that of this error. A long one is cut where it is kept.
fn is_same(error: &str, kept: Option<&str>) -> bool {
    kept.is_some_and(|kept| error == kept || (!kept.is_empty() && error.starts_with(kept)))
}

const fn bytes_of(value: &PairValue) -> &[u8] {
    match value {
        PairValue::Text(text) => text.as_bytes(),
        PairValue::Bytes(bytes) => bytes.as_slice(),
    }
}

/// Returns who has a running action, and of a worker for how long there was no word of it: for `getStatus`. Also notes it in the
/// record, whose history shows it.
pub(super) fn holder(served: &ServedQueue, record: &mut Record) -> Vec<Element> {
    let desk = served.desk.as_ref();
    let holder = desk.and_then(|desk| desk.holder(record.id, record.attempt));
    let heard = holder.map(|holder| {
        record.worker = holder.worker.as_deref().map(str::to_owned);
        Element::text("last_word", holder.silence.as_secs().to_string())
    });
    let worker = record.worker.as_deref().filter(|_| record.state.is_running());
    worker.map(|worker| Element::text("worker", worker)).into_iter().chain(heard).collect()
}

/// The workers of a queue: for `GetStatus`.
pub(super) fn workers(endpoint: &Endpoint, served: &ServedQueue) -> Option<Element> {
    let desk = served.desk.as_ref()?;
    let (holders, all) = desk.holders(MAX_SHOWN);
    let each = holders.into_iter().map(|holder| {
        let ActionRef { id, queued_at, attempt, taken_by } = holder.action;
        let name = holder.worker.map(|worker| Element::text("name", &*worker));
        Element::new("worker").children(name).children([
            Element::text("token", endpoint.token(served, Submitted { id, queued_at, taken_by })),
            Element::text("attempt", attempt.to_string()),
            Element::text("last_word", holder.silence.as_secs().to_string()),
        ])
    });
    Some(
        Element::new("workers")
            .child(Element::text("leasesecs", desk.lease().as_secs().to_string()))
            .child(Element::text("waiting", desk.waiting().to_string()))
            .child(Element::text("working", all.to_string()))
            .children(each),
    )
}
