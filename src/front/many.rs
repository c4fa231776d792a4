//! Commands of `QueueInfo` to many actions.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use actiond_actors::{ActionId, Commanded, ManyCommand, Refused, Target, Timestamp};
use tokio::time::Instant;

use super::dispatch::Call;
use super::endpoint::Endpoint;
use super::errors::queue_error;
use super::queues::{find_queue, store_query};
use super::served_queue::ServedQueue;
use crate::aci::element::Element;
use crate::aci::error::AciError;
use crate::aci::queue_info::{Many, ManyActions, QueueCommand, QueueInfo};
use crate::aci::token::Token;

/// The reason for which a command does not reach an action, where the queue has none of that token.
const UNKNOWN: &str = "the queue has no such action, or no longer keeps it";

/// Gives a command to many actions, and replies how many of them have accepted it.
pub(super) async fn command_many(
    call: &Call<'_>,
    info: &QueueInfo,
    many: &Many,
) -> Result<Vec<Element>, AciError> {
    let (endpoint, client) = (call.endpoint, call.client);
    let Some(command) = command_of(&info.command) else { return Ok(Vec::new()) };
    // Without a limit it goes on until all is done, or the client leaves: one that has ended its side may have gone.
    let is_wanted = || !client.is_gone();
    let patience = many.wait_secs.map(|secs| Duration::try_from_secs_f64(secs).unwrap_or_default());
    let until = patience.and_then(|patience| Instant::now().checked_add(patience));
    let left =
        || until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
    let commanded = match &many.actions {
        ManyActions::Listed(query) => {
            let served = find_queue(endpoint, info)?;
            let start = query.start.saturating_sub(1);
            let most = query.max_results.unwrap_or(u64::MAX);
            let many = served.queue.command_listed(command, store_query(query), start, most);
            many.run_while(left(), is_wanted).await.map_err(|error| failed(&error, served))?
        }
        ManyActions::Tokens(tokens) => {
            let (queues, unknown) = by_queue(endpoint, info, tokens)?;
            let mut all = Commanded::default();
            all.refuse(Refused::Unknown, unknown);
            let mut has_begun = false;
            for (served, actions) in queues {
                let many = served.queue.command_named(command, actions);
                let commanded = match many.run_while(left(), is_wanted).await {
                    Ok(commanded) => commanded,
                    Err(error) if has_begun => {
                        let name = served.queue.name();
                        log::warn!("queue {name}: a command to many actions failed: {error}");
                        Commanded { more: true, ..Commanded::default() }
                    }
                    Err(error) => return Err(failed(&error, served)),
                };
                has_begun = true;
                all.done = all.done.saturating_add(commanded.done);
                all.more |= commanded.more;
                commanded.refused.into_iter().for_each(|(why, number)| all.refuse(why, number));
            }
            all
        }
    };
    Ok(reply(command, &commanded))
}

const fn command_of(command: &QueueCommand) -> Option<ManyCommand> {
    Some(match command {
        QueueCommand::Cancel => ManyCommand::Cancel,
        QueueCommand::Stop => ManyCommand::Stop,
        QueueCommand::ChangePriority { priority } => ManyCommand::ChangePriority(*priority),
        QueueCommand::Retry => ManyCommand::Retry,
        QueueCommand::Delete => ManyCommand::Delete,
        // These are for one action, or for a whole queue: the parser saw to that.
        QueueCommand::GetStatus(_)
        | QueueCommand::GetActionParameters { .. }
        | QueueCommand::QueueStatus { .. }
        | QueueCommand::Progress { .. }
        | QueueCommand::Pause
        | QueueCommand::Resume
        | QueueCommand::Duplicate => return None,
    })
}

/// The actions of some tokens, with their queues.
type ByQueue<'a> = Vec<(&'a ServedQueue, Vec<Target>)>;

/// Sorts tokens by their queues, each once; returns the number of those that name no action of the queue that is meant. Without a
/// queue, each token names its own.
fn by_queue<'a>(
    endpoint: &'a Endpoint,
    info: &QueueInfo,
    tokens: &[Token],
) -> Result<(ByQueue<'a>, u64), AciError> {
    let named = match &info.queue {
        Some(_) => Some(find_queue(endpoint, info)?),
        None => None,
    };
    let mut queues: ByQueue<'a> = Vec::new();
    let mut places = HashMap::new();
    let (mut unknown, mut seen) = (0, HashSet::new());
    for token in
        tokens.iter().filter(|token| seen.insert((&token.queue, token.queued_ms, token.id)))
    {
        let served = named.or_else(|| endpoint.queue(&token.queue));
        let served = served.filter(|served| served.upper == token.queue);
        let (Some(served), Some(id)) = (served, ActionId::new(token.id)) else {
            unknown += 1;
            continue;
        };
        let place = *places.entry(&token.queue).or_insert_with(|| {
            queues.push((served, Vec::new()));
            queues.len() - 1
        });
        let target = Target { id, queued_at: Some(Timestamp(token.queued_ms)) };
        if let Some((_, actions)) = queues.get_mut(place) {
            actions.push(target);
        }
    }
    Ok((queues, unknown))
}

fn failed(error: &actiond_actors::QueueError, served: &ServedQueue) -> AciError {
    queue_error(error, served.queue.name(), None)
}

fn reply(command: ManyCommand, commanded: &Commanded) -> Vec<Element> {
    let number = |name, number: u64| Element::text(name, number.to_string());
    let mut reply = Vec::new();
    if command == ManyCommand::Delete {
        reply.push(number("deleted", commanded.done));
    }
    reply.push(Element::text("more", commanded.more.to_string()));
    reply.push(number("done", commanded.done));
    reply.push(number("refused", commanded.refusals()));
    if !commanded.refused.is_empty() {
        let reasons = commanded.refused.iter().map(|(why, count)| {
            let reason = Element::new("reason").child(number("count", *count));
            match why {
                Refused::Unknown => reason.child(Element::text("text", UNKNOWN)),
                Refused::State(refusal) => reason
                    .child(Element::text("status", refusal.state.name()))
                    .child(Element::text("text", refusal.to_string())),
                Refused::Elsewhere(why) => reason.child(Element::text("text", why.as_str())),
            }
        });
        reply.push(Element::new("reasons").children(reasons));
    }
    reply
}
