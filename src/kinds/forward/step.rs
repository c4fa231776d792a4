//! The steps of an attempt: one request, one note or one wait each, and what comes of it.

use std::sync::Arc;
use std::time::Duration;

use actiond_actors::{ActionContext, QueueError, Relayed, RelayedCommand};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, pending};
use tokio::time::{Instant, sleep, sleep_until};

use super::find::Found;
use super::note::Note;
use super::outgoing::Outgoing;
use super::server::{Known, Place, Server};
use super::trouble::{Asked, Trouble};
use crate::aci::client::{Action, Client, ClientError, Fault, Progress, Status};

/// What is done next.
pub(super) struct Step {
    pub(super) future: BoxFuture<'static, Event>,
    /// Nothing is lost if it is dropped before its end.
    pub(super) may_be_dropped: bool,
}

/// What came of a step.
pub(super) enum Event {
    Waited,
    /// What is known of the server.
    Greeted(Place, Result<Known, Trouble>),
    /// Whether a note was kept.
    Noted(Result<(), QueueError>),
    /// The token, if the server took the action.
    Sent(Result<String, Trouble>),
    Found(Result<Found, Trouble>),
    Seen(Result<Box<Seen>, Trouble>),
    Ordered(Order, Result<Option<Status>, Trouble>),
    /// The tokens of those that came late and were told to end.
    SoughtEarlier(Result<Vec<String>, Trouble>),
}

/// How an action stands there. Its progress is `Err` if the server does not tell it.
pub(super) struct Seen {
    pub(super) action: Action,
    pub(super) progress: Option<Result<Progress, ()>>,
}

/// A command for an action there.
pub(super) enum Order {
    Stop,
    /// Where a stop was refused.
    CancelInstead,
    Pause,
    Resume,
    Relayed(Relayed),
}

impl Step {
    fn whole(future: impl Future<Output = Event> + Send + 'static) -> Self {
        Self { future: future.boxed(), may_be_dropped: false }
    }

    fn droppable(future: impl Future<Output = Event> + Send + 'static) -> Self {
        Self { future: future.boxed(), may_be_dropped: true }
    }

    /// Waits for a wish.
    pub(super) fn nothing() -> Self {
        Self::droppable(pending())
    }

    pub(super) fn wait_until(until: Instant) -> Self {
        Self::droppable(async move {
            sleep_until(until).await;
            Event::Waited
        })
    }

    /// Asks a server what it is.
    pub(super) fn greet(place: Place) -> Self {
        Self::droppable(async move {
            let known = place.server().known().await;
            Event::Greeted(place, known)
        })
    }

    pub(super) fn note(context: &ActionContext, note: &Note) -> Self {
        let (context, note) = (context.clone(), note.write());
        Self::whole(async move { Event::Noted(context.keep_note(note).await) })
    }

    pub(super) fn submit(server: &Arc<Server>, outgoing: Outgoing, known: Known) -> Self {
        let server = Arc::clone(server);
        Self::whole(async move { Event::Sent(send(&server, &outgoing, known).await) })
    }

    /// Finds out whether a server has the action. An actiond is sent it again if `may_send`: under the same key it takes it only
    /// once.
    pub(super) fn resolve(server: &Arc<Server>, outgoing: Outgoing, may_send: bool) -> Self {
        let server = Arc::clone(server);
        Self::whole(async move {
            match server.known().await {
                Ok(known) if known.is_actiond && may_send => {
                    Event::Sent(send(&server, &outgoing, known).await)
                }
                Ok(_) => Event::Found(server.find(&outgoing).await),
                Err(trouble) => Event::Found(Err(trouble)),
            }
        })
    }

    /// Ends what came late of an earlier sending, all under its key but the one with this token.
    pub(super) fn end_earlier(server: &Arc<Server>, outgoing: Outgoing, token: &str) -> Self {
        let (server, token) = (Arc::clone(server), token.to_owned());
        Self::whole(
            async move { Event::SoughtEarlier(end_others(&server, &outgoing, &token).await) },
        )
    }

    /// Looks at the action in this time: an actiond is asked to answer then or at its end.
    pub(super) fn look(
        server: &Arc<Server>,
        action: &str,
        token: &str,
        interval: Duration,
        longest: Duration,
        tells_progress: bool,
    ) -> Self {
        let server = Arc::clone(server);
        let (action, token) = (action.to_owned(), token.to_owned());
        Self::droppable(async move {
            let seen = look(&server, &action, &token, interval, longest, tells_progress).await;
            Event::Seen(seen.map(Box::new))
        })
    }

    pub(super) fn order(server: &Arc<Server>, action: &str, token: &str, order: Order) -> Self {
        let server = Arc::clone(server);
        let (action, token) = (action.to_owned(), token.to_owned());
        Self::whole(async move {
            let request = server.order(Asked::Other, async |client| {
                let client = client.for_queue(&action);
                match &order {
                    Order::Stop => client.stop(&token).await,
                    Order::Pause => client.pause(&token).await,
                    Order::Resume => client.resume(&token).await,
                    Order::CancelInstead => client.cancel(&token).await,
                    Order::Relayed(relayed) => match relayed.command {
                        RelayedCommand::Cancel => client.cancel(&token).await,
                        RelayedCommand::ChangePriority(priority) => {
                            client.change_priority(&token, priority).await
                        }
                    },
                }
            });
            let answer = request.await;
            Event::Ordered(order, answer)
        })
    }
}

async fn send(server: &Server, outgoing: &Outgoing, known: Known) -> Result<String, Trouble> {
    let parameters = outgoing.parameters(known);
    server
        .order(Asked::Submit, async |client| client.submit(&outgoing.action, parameters).await)
        .await
}

async fn end_others(
    server: &Server,
    outgoing: &Outgoing,
    token: &str,
) -> Result<Vec<String>, Trouble> {
    let others = server.find_others(outgoing, token).await?;
    for other in &others {
        let end = async |client: &Client| {
            let client = client.for_queue(&outgoing.action);
            match client.stop(other).await {
                // What waits is not stopped but cancelled; what has ended refuses both.
                Err(ClientError { fault: Fault::Refused(_), .. }) => client.cancel(other).await,
                answer => answer,
            }
        };
        let answer = server.order(Asked::Other, end).await;
        if let Err(trouble @ Trouble::Away { .. }) = answer {
            return Err(trouble);
        }
    }
    Ok(others)
}

async fn look(
    server: &Server,
    action: &str,
    token: &str,
    interval: Duration,
    longest: Duration,
    tells_progress: bool,
) -> Result<Seen, Trouble> {
    let known = server.known().await?;
    let waits_there = known.is_actiond && server.has_room_to_wait();
    if !waits_there && !interval.is_zero() {
        let slower = server.pace(longest, known).div_duration_f64(longest);
        sleep(interval.mul_f64(slower * (0.75 + fastrand::f64() / 2.0))).await;
    }
    let wait = if waits_there { interval } else { Duration::ZERO };
    let seen = server
        .look(async |client| client.for_queue(action).status_after(token, wait).await)
        .await?;
    let is_other = |other: &str| other.trim_end_matches('=') != token.trim_end_matches('=');
    if !seen.token.is_empty() && is_other(&seen.token) {
        return Err(Trouble::Refused(format!("asked for {token}, it answered for {}", seen.token)));
    }
    let runs = matches!(seen.status, Status::Processing | Status::Paused | Status::Stopping);
    let progress = if runs && tells_progress {
        match server.look(async |client| client.for_queue(action).progress(token).await).await {
            Ok(progress) => Some(Ok(progress)),
            Err(Trouble::Away { .. } | Trouble::Busy(_)) => None,
            Err(_) => Some(Err(())),
        }
    } else {
        None
    };
    Ok(Seen { action: seen, progress })
}
