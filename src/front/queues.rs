//! The action `QueueInfo`: shows a queue and steers its actions.

use std::sync::Arc;
use std::time::Duration;

use actiond_actors::store::Record;
use actiond_actors::store::query::{Details, Query, Range, SortKey, States};
use actiond_actors::{ActionId, QueueError, State, StatusWithin, Submitted, Timestamp};
use chrono::Local;

use super::dispatch::{Call, Patience, ReplyData};
use super::endpoint::Endpoint;
use super::errors::{no_such, queue_error, unknown_token};
use super::list::{List, Shows};
use super::many::command_many;
use super::render;
use super::reply_memory::SMALL;
use super::served_queue::ServedQueue;
use super::statistics;
use crate::aci::element::Element;
use crate::aci::error::AciError;
use crate::aci::queue_info::{QueueCommand, QueueInfo, SortBy, StatusQuery, TimeRange, WaitFor};
use crate::aci::token::Token;

pub(super) async fn queue_info(call: &mut Call<'_>) -> Result<ReplyData, AciError> {
    let pairs = std::mem::take(&mut call.pairs);
    // `dispatch` has validated them.
    let info = QueueInfo::parse_validated(&pairs, call.endpoint.now_ms(), &Local)?;
    if let Some(many) = &info.many {
        return command_many(call, &info, many).await.map(ReplyData::Elements);
    }
    let served = find_queue(call.endpoint, &info)?;
    match &info.token {
        Some(token) => {
            let given = pairs.given("Token").unwrap_or_default();
            let target = TargetAction::find(call.endpoint, served, token, given)?;
            one_action(call, &target, info.command).await.map(ReplyData::Elements)
        }
        None => whole_queue(call.endpoint, served, info.command, info.warning).await,
    }
}

pub(super) fn find_queue<'a>(
    endpoint: &'a Endpoint,
    info: &QueueInfo,
) -> Result<&'a ServedQueue, AciError> {
    let name = info.queue_name();
    endpoint.queue(name).ok_or_else(|| {
        let names: Vec<_> = names(endpoint).collect();
        no_such("QueueName", name, &names)
    })
}

/// Returns the names of all queues.
pub(super) fn names(endpoint: &Endpoint) -> impl Iterator<Item = &str> {
    endpoint.queues().iter().map(|served| served.queue.name())
}

/// One action that a client named by its token.
struct TargetAction<'a> {
    endpoint: &'a Endpoint,
    served: &'a ServedQueue,
    id: ActionId,
    queued_at: Timestamp,
    token: &'a Token,
    /// The token as the client wrote it, for errors.
    given: &'a str,
}

impl<'a> TargetAction<'a> {
    fn find(
        endpoint: &'a Endpoint,
        served: &'a ServedQueue,
        token: &'a Token,
        given: &'a str,
    ) -> Result<Self, AciError> {
        let id = ActionId::new(token.id).filter(|_| token.queue == served.upper);
        let id = id.ok_or_else(|| unknown_token(served.queue.name(), given))?;
        Ok(Self { endpoint, served, id, queued_at: Timestamp(token.queued_ms), token, given })
    }

    fn error(&self, error: &QueueError) -> AciError {
        queue_error(error, self.served.queue.name(), Some(self.given))
    }

    /// Returns the action with all that the token says of it.
    const fn action(&self) -> Submitted {
        Submitted { id: self.id, queued_at: self.queued_at, taken_by: None }
    }

    fn token(&self) -> String {
        self.endpoint.token_again(self.served, self.token, self.action())
    }

    /// Looks at the action, at its result only if that is small. The token must be that action's own: one of another data
    /// directory may hold the same id, never the same time (Q1).
    async fn look(&self, most: usize) -> Result<StatusWithin, AciError> {
        let queue = &self.served.queue;
        let look = queue.status_within(self.id, most).await.map_err(|e| self.error(&e))?;
        if look.status.record.queued_at != self.queued_at {
            return Err(unknown_token(queue.name(), self.given));
        }
        Ok(look)
    }
}

async fn one_action(
    call: &mut Call<'_>,
    target: &TargetAction<'_>,
    command: QueueCommand,
) -> Result<Vec<Element>, AciError> {
    let TargetAction { served, id, .. } = target;
    let queue = &served.queue;
    let done = match command {
        QueueCommand::GetStatus(query) => {
            let wait = Duration::try_from_secs_f64(query.wait_secs.unwrap_or_default());
            let patience =
                Patience { what: wait_for(query.wait_for), time: wait.unwrap_or_default() };
            let look = target.look(SMALL).await?;
            let status = call.status(queue, *id, patience, Some(look)).await;
            let status = status.map_err(|e| target.error(&e))?;
            // After the status: the attempt that this shows is never missing.
            let past = if query.history {
                Some(queue.history(*id).await.map_err(|e| target.error(&e))?)
            } else {
                None
            };
            let now = target.endpoint.system().clock().now();
            let shows_log = query.log && status.record.state.is_running();
            let log = shows_log.then(|| queue.log_of(&status));
            let more = render::More { past, log, leaves_results_out: !query.results };
            let action = served.show(status, target.token(), now, more);
            return Ok(vec![Element::new("actions").child(action)]);
        }
        QueueCommand::QueueStatus { statistics } => {
            return queue_status(target.endpoint, served, statistics).await;
        }
        QueueCommand::Progress { all_stages, max_depth } => {
            let status = target.look(0).await?.status;
            let depth = max_depth.unwrap_or(u32::MAX);
            return Ok(vec![render::progress(&status, target.token(), all_stages, depth)]);
        }
        QueueCommand::GetActionParameters { of_ended } => {
            target.look(0).await?;
            let (state, parameters) =
                call.parameters(queue, *id, of_ended).await.map_err(|e| target.error(&e))?;
            return Ok(vec![render::request(target.token(), state, parameters.as_ref())]);
        }
        QueueCommand::Duplicate => {
            if let Some(key) = call.idempotency_key {
                let allowed = "none with duplicate: each one queues another action";
                return Err(AciError::invalid("Idempotency-Key", key, allowed));
            }
            target.look(0).await?;
            let copy = queue.duplicate(*id).await.map_err(|e| target.error(&e))?;
            let token = target.endpoint.token(served, copy);
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
        QueueCommand::Retry => queue.retry(target.action()).await,
        QueueCommand::Delete => {
            let was = queue.delete(target.action()).await.map_err(|e| target.error(&e))?;
            return Ok(vec![
                Element::text("token", target.token()),
                Element::text("status", was.name()),
                Element::text("deleted", "1"),
            ]);
        }
    };
    let state = done.map_err(|e| target.error(&e))?;
    Ok(vec![Element::text("token", target.token()), Element::text("status", state.name())])
}

async fn whole_queue(
    endpoint: &Endpoint,
    served: &ServedQueue,
    command: QueueCommand,
    warning: Option<String>,
) -> Result<ReplyData, AciError> {
    let queue = &served.queue;
    let is_with_statistics = matches!(command, QueueCommand::QueueStatus { statistics: true });
    let done = match command {
        QueueCommand::GetStatus(query) => {
            return Ok(ReplyData::List(Box::new(List {
                served: served.clone(),
                query: store_query(&query),
                start: query.start.saturating_sub(1),
                after: after(served, &query).await?,
                max_results: query.max_results.unwrap_or(u64::MAX),
                shows: Shows::Status {
                    log: query.log,
                    history: query.history,
                    results: query.results,
                },
                warning,
            })));
        }
        QueueCommand::GetActionParameters { of_ended } => {
            let is_listed = |state: &State| of_ended || !state.is_final();
            let states = State::ALL.into_iter().filter(is_listed).collect();
            return Ok(ReplyData::List(Box::new(List {
                served: served.clone(),
                query: Query { states, ..Query::default() },
                start: 0,
                after: None,
                max_results: u64::MAX,
                shows: Shows::Parameters { of_ended },
                warning,
            })));
        }
        QueueCommand::Stop => queue.stop_all().await,
        QueueCommand::Pause => queue.pause_queue().await,
        QueueCommand::Resume => queue.resume_queue().await,
        QueueCommand::QueueStatus { .. } => Ok(Vec::new()),
        // These have a token, or are for many: the parser saw to that.
        QueueCommand::Progress { .. }
        | QueueCommand::Cancel
        | QueueCommand::ChangePriority { .. }
        | QueueCommand::Duplicate
        | QueueCommand::Retry
        | QueueCommand::Delete => Ok(Vec::new()),
    };
    done.map_err(|e| queue_error(&e, queue.name(), None))?;
    queue_status(endpoint, served, is_with_statistics).await.map(ReplyData::Elements)
}

/// Replies as `queueStatus` does, and commands to a whole queue as well (our choice).
async fn queue_status(
    endpoint: &Endpoint,
    served: &ServedQueue,
    is_with_statistics: bool,
) -> Result<Vec<Element>, AciError> {
    let summary = served.queue.read_summary().await;
    let summary = summary.map_err(|e| queue_error(&e, served.queue.name(), None))?;
    let statistics = match is_with_statistics {
        true => Some(statistics::of_queue(endpoint, served, &summary).await?),
        false => None,
    };
    Ok(render::summary(&summary).into_iter().chain(statistics).collect())
}

/// Returns the action after which a list begins. In the order of queuing the token says enough, also of an action that is deleted
/// meanwhile.
async fn after(served: &ServedQueue, query: &StatusQuery) -> Result<Option<Record>, AciError> {
    let Some(token) = &query.after else { return Ok(None) };
    let given = token.encode();
    let unknown = || unknown_token(served.queue.name(), &given);
    let id = ActionId::new(token.id).filter(|_| token.queue == served.upper);
    let id = id.ok_or_else(unknown)?;
    let queued_at = Timestamp(token.queued_ms);
    if query.sort_by == SortBy::QueueTime {
        return Ok(Some(Record::queued(id, 0, queued_at)));
    }
    let look = served.queue.status_within(id, 0).await;
    let record =
        look.map_err(|e| queue_error(&e, served.queue.name(), Some(&given)))?.status.record;
    if record.queued_at == queued_at { Ok(Some(record)) } else { Err(unknown()) }
}

const fn wait_for(what: WaitFor) -> actiond_actors::WaitFor {
    match what {
        WaitFor::Start => actiond_actors::WaitFor::Start,
        WaitFor::Change => actiond_actors::WaitFor::Change,
        WaitFor::End => actiond_actors::WaitFor::End,
    }
}

/// Returns what the actions must have been given, and what their errors must say, if that matters.
fn details(query: &StatusQuery) -> Option<Arc<Details>> {
    let details = Details {
        parameters: query.parameters.clone(),
        action_id: query.action_id.clone(),
        error: query.text.clone(),
    };
    (details != Details::default()).then(|| Arc::new(details))
}

pub(super) fn store_query(query: &StatusQuery) -> Query {
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
        details: details(query),
        sort: match query.sort_by {
            SortBy::QueueTime => SortKey::Queued,
            SortBy::StartTime => SortKey::Started,
            SortBy::FinishTime => SortKey::Finished,
        },
        descending: query.descending,
    }
}
