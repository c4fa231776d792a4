//! The action `QueueInfo`: shows a queue and steers its actions.

use std::time::Duration;

use actiond_actors::store::query::{Query, Range, SortKey, States};
use actiond_actors::{ActionId, ActionStatus, QueueError, State, Submitted, Timestamp};
use chrono::Local;

use super::endpoint::Kind;
use super::list::{List, Shows};
use super::{Answer, Asked, Done, queue_error, render, unknown_token, waited};
use crate::aci::element::Element;
use crate::aci::error::AciError;
use crate::aci::queue_info::{QueueCommand, QueueInfo, SortBy, StatusQuery, TimeRange};
use crate::aci::token::Token;

pub(super) async fn queue_info(asked: &Asked<'_>) -> Result<Answer, AciError> {
    let info = QueueInfo::parse(&asked.pairs, asked.endpoint.now_ms(), &Local)?;
    let kind = find_queue(asked, &info)?;
    match &info.token {
        Some(token) => {
            let target = Target::find(asked, kind, token)?;
            one_action(&target, info.command).await.map(Answer::Data)
        }
        None => whole_queue(kind, info.command).await,
    }
}

fn find_queue<'a>(asked: &Asked<'a>, info: &QueueInfo) -> Result<&'a Kind, AciError> {
    let name = info.queue_name();
    asked.endpoint.kind(name).ok_or_else(|| {
        let known: Vec<&str> = asked.endpoint.kinds().iter().map(|k| k.queue.name()).collect();
        AciError::invalid("QueueName", name, &format!("one of {}", known.join(", ")))
    })
}

/// One action that a client named by its token.
struct Target<'a> {
    asked: &'a Asked<'a>,
    kind: &'a Kind,
    id: ActionId,
    queued_at: Timestamp,
    /// As the client wrote it, for errors.
    given: &'a str,
}

impl<'a> Target<'a> {
    fn find(asked: &'a Asked<'a>, kind: &'a Kind, token: &Token) -> Result<Self, AciError> {
        let given = asked.pairs.given("Token").unwrap_or_default();
        let id = ActionId::new(token.id).filter(|_| token.queue == kind.upper);
        let id = id.ok_or_else(|| unknown_token(kind.queue.name(), given))?;
        Ok(Self { asked, kind, id, queued_at: Timestamp(token.queued_ms), given })
    }

    fn error(&self, error: &QueueError) -> AciError {
        queue_error(error, self.kind.queue.name(), Some(self.given))
    }

    /// The action by all that the token says of it.
    const fn action(&self) -> Submitted {
        Submitted { id: self.id, queued_at: self.queued_at }
    }

    fn token(&self) -> String {
        self.asked.endpoint.token(self.kind, self.action())
    }

    /// Reads the action, waiting for its end if asked to, while its client is there. The token must be that action's own: one
    /// of another data directory may hold the same id, never the same time (Q1).
    async fn status(&self, wait: Duration) -> Result<ActionStatus, AciError> {
        let queue = &self.kind.queue;
        let status = queue.status(self.id).await.map_err(|e| self.error(&e))?;
        if status.record.queued_at != self.queued_at {
            return Err(unknown_token(queue.name(), self.given));
        }
        if wait.is_zero() || status.record.state.is_final() {
            return Ok(status);
        }
        waited(self.asked, queue, self.id, wait).await.map_err(|e| self.error(&e))
    }
}

async fn one_action(target: &Target<'_>, command: QueueCommand) -> Result<Vec<Element>, AciError> {
    let Target { kind, id, .. } = target;
    let queue = &kind.queue;
    let done = match command {
        QueueCommand::GetStatus(query) => {
            // Waited for once, however often the reply has to be made.
            let wait = query.wait_secs.filter(|_| matches!(target.asked.done, Done::Nothing));
            let wait = Duration::try_from_secs_f64(wait.unwrap_or_default());
            let status = target.status(wait.unwrap_or_default()).await?;
            let now = target.asked.endpoint.system().clock().now();
            let action = render::action(status, target.token(), now);
            return Ok(vec![Element::new("actions").child(action)]);
        }
        QueueCommand::QueueStatus => return queue_status(kind).await,
        QueueCommand::Progress { all_stages, max_depth } => {
            let status = target.status(Duration::ZERO).await?;
            let depth = max_depth.unwrap_or(u32::MAX);
            return Ok(vec![render::progress(&status, target.token(), all_stages, depth)]);
        }
        QueueCommand::GetActionParameters => {
            target.status(Duration::ZERO).await?;
            let (state, parameters) = queue.parameters(*id).await.map_err(|e| target.error(&e))?;
            return Ok(vec![render::request(target.token(), state, parameters.as_ref())]);
        }
        QueueCommand::Duplicate => {
            target.status(Duration::ZERO).await?;
            let copy = queue.duplicate(*id).await.map_err(|e| target.error(&e))?;
            let token = target.asked.endpoint.token(kind, copy);
            return Ok(vec![Element::text("token", token)]);
        }
        // One transaction without a look before it: the queue time keeps a token that is not this action's from
        // steering anything.
        QueueCommand::Cancel => queue.cancel(target.action()).await,
        QueueCommand::Pause => queue.pause(target.action()).await,
        QueueCommand::Resume => queue.resume(target.action()).await,
        QueueCommand::ChangePriority { priority } => {
            queue.change_priority(target.action(), priority).await
        }
        QueueCommand::Stop => queue.stop(target.action()).await,
    };
    let state = done.map_err(|e| target.error(&e))?;
    Ok(vec![Element::text("token", target.token()), Element::text("status", state.name())])
}

async fn whole_queue(kind: &Kind, command: QueueCommand) -> Result<Answer, AciError> {
    let queue = &kind.queue;
    let done = match command {
        QueueCommand::GetStatus(query) => {
            return Ok(Answer::List(Box::new(List {
                kind: kind.clone(),
                query: store_query(&query),
                start: query.start.saturating_sub(1),
                max_results: query.max_results.unwrap_or(u64::MAX),
                shows: Shows::Status,
            })));
        }
        QueueCommand::GetActionParameters => {
            let states = State::ALL.into_iter().filter(|state| !state.is_final()).collect();
            return Ok(Answer::List(Box::new(List {
                kind: kind.clone(),
                query: Query { states, ..Query::default() },
                start: 0,
                max_results: u64::MAX,
                shows: Shows::Parameters,
            })));
        }
        QueueCommand::Stop => queue.stop_all().await,
        QueueCommand::Pause => queue.pause_queue().await,
        QueueCommand::Resume => queue.resume_queue().await,
        // The others have a token: the parser saw to that.
        _ => Ok(Vec::new()),
    };
    done.map_err(|e| queue_error(&e, queue.name(), None))?;
    queue_status(kind).await.map(Answer::Data)
}

/// What `queueStatus` replies, and commands to a whole queue as well (our choice).
async fn queue_status(kind: &Kind) -> Result<Vec<Element>, AciError> {
    let summary = kind.queue.read_summary().await;
    let summary = summary.map_err(|e| queue_error(&e, kind.queue.name(), None))?;
    Ok(vec![
        Element::text("paused", summary.paused.to_string()),
        Element::text("pending", summary.counts.queued().to_string()),
        Element::text("running", summary.counts.running().to_string()),
        Element::text("finished", summary.counts.finished().to_string()),
    ])
}

fn store_query(query: &StatusQuery) -> Query {
    let range = |range: TimeRange| Range {
        from: range.from_ms.map(Timestamp),
        until: range.until_ms.map(Timestamp),
    };
    let states = query.states.as_ref().map_or(States::ALL, |filters| {
        let words = filters.iter().flat_map(|filter| filter.statuses());
        words.filter_map(|word| State::ALL.into_iter().find(|s| s.name() == *word)).collect()
    });
    Query {
        states,
        min_priority: query.min_priority,
        max_priority: query.max_priority,
        queued: range(query.queued),
        started: range(query.started),
        finished: range(query.finished),
        sort: match query.sort_by {
            SortBy::QueueTime => SortKey::Queued,
            SortBy::StartTime => SortKey::Started,
            SortBy::FinishTime => SortKey::Finished,
        },
        descending: query.descending,
    }
}
