//! Asynchronous actions: queued with a token, run at once, or queued and waited for.

use std::sync::Arc;
use std::time::Duration;

use actiond_actors::{
    OneLine, Parameters, QueueError, State, Subject, Submission, SubmissionKey, Submitted,
    Timestamp, Value,
};
use chrono::Local;

use super::attempts;
use super::dispatch::{Call, Patience};
use super::errors::queue_error;
use super::render;
use super::served_queue::ServedQueue;
use crate::aci::catalog::{parse_integer, parse_seconds, parse_start, plain_start};
use crate::aci::element::Element;
use crate::aci::error::AciError;
use crate::aci::request::{PairValue, RESERVED, is_reserved};
use crate::aci::words::parse_bool;
use crate::aci::words::shorten;
use crate::events::handlers::{allows, is_own_port, target};

const ACTION_ID: &str = "ActionID";
const KEY: &str = "Idempotency-Key";
const NOT_BEFORE: &str = "NotBefore";
const CALLBACK: &str = "CallbackURL";

/// The longest address to which an end is told, in bytes.
const MAX_CALLBACK: usize = 4_000;

/// Parameters that are not part of the action: a repeated submission may differ in them.
const NOT_MEANT: &[&str] = &[ACTION_ID, "ResponseFormat", "Wait", KEY];

const FREE_KEY: &str = "a key that no action was sent with that is still kept, or the same parameters as that one, \
     apart from ActionID, ResponseFormat and Wait";

/// The reason for which an action that runs at once takes no key.
const NO_KEY: &str =
    "none with Synchronous: nothing is kept of an action that runs at once, so it would run again";

/// The reason for which an action that runs at once waits for no time.
const NO_WAIT: &str = "none with Synchronous: such an action runs at once, and waits for nothing";
/// The reason for which the end of an action that runs at once is told nowhere.
const NO_CALLBACK: &str = "none with Synchronous: nothing is kept of an action that runs at once, and its client is told anyway";
/// The reason for which no address may be named.
const NO_CALLBACKS: &str = "none: this server tells the end of an action to no address that a client names ([Actions] AllowedCallbackHosts)";
/// The reason for which this address may not be named.
const OTHER_HOST: &str =
    "an address on one of the hosts that this server allows ([Actions] AllowedCallbackHosts)";
/// The reason for which a port of the server itself may not be named: it would be asked by this machine, which may do more than most.
const OWN_PORT: &str = "an address that is not one of this server's own ports";
/// The reason for which an action that a worker elsewhere does is not run at once.
/// The parameter of `getStatus` that says what is waited for, and what is said of it here: it would silently be one of the action.
const WAIT_FOR: &str = "WaitFor";
const NO_WAIT_FOR: &str = "none beside the Wait of a submission, which waits for the end; QueueAction=getStatus with Wait and WaitFor waits for others";
const NOT_AT_ONCE: &str = "false: a worker elsewhere does this action, so it is queued until one takes it; Wait waits for its result";

pub(super) async fn submit(
    call: &mut Call<'_>,
    served: &ServedQueue,
) -> Result<Vec<Element>, AciError> {
    let pairs = &call.pairs;
    if let Some((name, _)) = pairs.iter().find(|(name, _)| is_reserved(name)) {
        return Err(AciError::reserved(name, RESERVED));
    }
    let is_set = |name: &str| pairs.given(name).and_then(parse_bool) == Some(true);
    let at_once = is_set("Synchronous") || is_set("Sync");
    let priority = pairs.given("Priority").and_then(parse_integer).unwrap_or_default();
    let priority = i32::try_from(priority).unwrap_or_default();
    let wait = pairs.given("Wait").and_then(parse_seconds).unwrap_or_default();
    if wait > 0.0
        && let Some(word) = pairs.given(WAIT_FOR)
        && !served.params.iter().any(|param| param.is_for(WAIT_FOR))
    {
        return Err(AciError::invalid(WAIT_FOR, word, NO_WAIT_FOR));
    }
    let (header, parameter) = (call.idempotency_key, pairs.given(KEY));
    let key = header.or(parameter).map(ToOwned::to_owned);
    if let (Some(header), Some(parameter)) = (header, parameter)
        && header != parameter
    {
        let allowed = format!("the same as in the header, '{}'", shorten(header));
        return Err(AciError::invalid(KEY, parameter, &allowed));
    }
    if let (true, Some(key)) = (at_once, &key) {
        return Err(AciError::invalid(KEY, key, NO_KEY));
    }
    if at_once && served.desk.is_some() {
        let name = if is_set("Synchronous") { "Synchronous" } else { "Sync" };
        return Err(AciError::invalid(name, "true", NOT_AT_ONCE));
    }
    let not_before = not_before(call, at_once)?;
    let callback = callback(call, at_once)?;
    let shown = key.clone();
    let action_id = pairs.given(ACTION_ID).map(ToOwned::to_owned);
    // All parameters but the action itself (observed), so that an action can be passed on as it came.
    let parameters: Parameters = std::mem::take(&mut call.pairs)
        .into_iter()
        .map(|(name, value)| {
            let value = match value {
                // However its `+` was written, it is the same submission under a key.
                PairValue::Text(text) if name.eq_ignore_ascii_case(NOT_BEFORE) => {
                    Value::Text(plain_start(&text))
                }
                PairValue::Text(text) => Value::Text(text),
                PairValue::Bytes(bytes) => Value::Bytes(bytes),
            };
            (name, value)
        })
        .collect();
    if at_once {
        return run_now(call, served, parameters).await;
    }

    let mut submission = Submission::new(parameters).priority(priority);
    if let Some(id) = action_id {
        submission = submission.action_id(id);
    }
    if let Some(start) = not_before {
        submission = submission.not_before(start);
    }
    if let Some(url) = callback {
        submission = submission.callback(url);
    }
    if let Some(key) = key {
        submission = submission.key(SubmissionKey::from(key).apart_from(NOT_MEANT));
    }
    let failed = |error: QueueError| match (error, &shown) {
        (QueueError::KeyTaken, Some(key)) => AciError::invalid(KEY, key, FREE_KEY),
        (error, _) => queue_error(&error, served.queue.name(), None),
    };
    let submitted = served.queue.submit(submission).await.map_err(failed)?;
    let token = call.endpoint.token(served, submitted);
    Subject::with_current(|subject| {
        if let Some(subject) = subject {
            subject.set_token(&token);
        }
    });
    let token = Element::text("token", token);
    if wait <= 0.0 {
        return Ok(vec![token]);
    }
    call.token = Some(token.clone());
    let patience = Duration::try_from_secs_f64(wait).unwrap_or_default();
    let mut reply = vec![token];
    reply.extend(outcome(call, served, submitted, patience).await);
    Ok(reply)
}

/// Returns the time before which the action must not start, unless that has passed.
fn not_before(call: &Call<'_>, at_once: bool) -> Result<Option<Timestamp>, AciError> {
    let pairs = &call.pairs;
    let (Some(_), Some(text)) = (pairs.given(NOT_BEFORE), pairs.get(NOT_BEFORE)) else {
        return Ok(None);
    };
    if at_once {
        return Err(AciError::invalid(NOT_BEFORE, text, NO_WAIT));
    }
    let now = call.endpoint.now_ms();
    let start = parse_start(text, now, &Local);
    let start = start.map_err(|allowed| AciError::invalid(NOT_BEFORE, text, &allowed))?;
    Ok((start > now).then_some(Timestamp(start)))
}

/// Returns the address to which the end of the action is to be told.
fn callback(call: &Call<'_>, at_once: bool) -> Result<Option<String>, AciError> {
    let Some(text) = call.pairs.given(CALLBACK) else { return Ok(None) };
    let refused = |must_be: &str| Err(AciError::invalid(CALLBACK, text, must_be));
    let allowed = &call.endpoint.inner.callback_hosts;
    if at_once {
        return refused(NO_CALLBACK);
    }
    if allowed.is_empty() {
        return refused(NO_CALLBACKS);
    }
    if text.len() > MAX_CALLBACK {
        return refused(&format!("an address of at most {MAX_CALLBACK} bytes"));
    }
    let inner = &call.endpoint.inner;
    let ports: Vec<u16> = [Some(inner.port), inner.service_port].into_iter().flatten().collect();
    match target(text) {
        // As it is sent: its host was judged by that.
        Ok(url) if is_own_port(&url, &inner.host, &ports) => refused(OWN_PORT),
        Ok(url) if allows(allowed, &url) => Ok(Some(url.into())),
        Ok(_) => refused(OTHER_HOST),
        Err(must_be) => refused(must_be),
    }
}

/// Waits for an action that was queued, and returns its outcome: empty if it has not ended, or there is no memory for its
/// result.
async fn outcome(
    call: &mut Call<'_>,
    served: &ServedQueue,
    submitted: Submitted,
    patience: Duration,
) -> Vec<Element> {
    let mut outcome = Vec::new();
    if let Ok(mut status) = call
        .status(
            &served.queue,
            submitted.id,
            Patience { time: patience, ..Patience::default() },
            None,
        )
        .await
        && status.record.state.is_final()
    {
        attempts::tell_who_stopped(served.runs_programs, &mut status.record);
        outcome.push(Element::text("status", status.record.state.name()));
        outcome.extend(status.record.error.map(|error| Element::text("error", error)));
        outcome.extend(render::report(status.record.report));
    }
    outcome
}

/// Runs the action without the queue; the reply is its result, and a failure an ACI error. It is stopped if its client
/// leaves, and its permit is taken until it has ended.
async fn run_now(
    call: &mut Call<'_>,
    served: &ServedQueue,
    parameters: Parameters,
) -> Result<Vec<Element>, AciError> {
    let name = served.queue.name();
    let system = call.endpoint.system();
    let failed = |error: QueueError| queue_error(&error, name, None);
    let permit = tokio::select! {
        biased;
        permit = served.permits.one(system) => permit,
        () = call.client.gone() => return Err(AciError::failed(name, CLIENT_LEFT)),
    };
    let Some(permit) = permit else {
        return Err(if system.is_draining() {
            failed(QueueError::ShuttingDown)
        } else {
            AciError::unavailable(&format!(
                "as many actions of {name} as may run at once (Synchronous) do so; send it again later, or without Synchronous."
            ))
        });
    };
    let mut has_left = false;
    let gone = async {
        call.client.gone().await;
        has_left = true;
    };
    let outcome = served.queue.run_now_until(parameters, gone, Arc::clone(&permit)).await;
    let outcome = outcome.map_err(failed)?;
    call.permit = Some(permit);
    let otherwise = match outcome.state {
        State::Stopped if has_left => CLIENT_LEFT,
        State::Stopped => "it was stopped",
        State::Error => "it gave no reason",
        State::Cancelled => "it was cancelled where it was to be done",
        _ => return Ok(render::report(outcome.report).collect()),
    };
    let why = outcome.error.as_deref().unwrap_or(otherwise);
    log::info!("queue {name}: an action that ran at once: {}: {}", outcome.state, OneLine(why));
    Err(AciError::failed(name, why))
}

/// The reason for which an action that ran at once ends early; a shutdown gives a reason of its own.
const CLIENT_LEFT: &str = "it was stopped, because its client ended the connection";
