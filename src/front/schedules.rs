//! `ScheduleInfo`: shows schedules, and steers them. The work is done in [`crate::schedules`].

use actiond_actors::secrets::MASK;

use super::dispatch::Call;
use super::errors::{no_such, queue_error};
use super::queues;
use super::render::time;
use crate::aci::catalog::builtin::SCHEDULE_INFO;
use crate::aci::catalog::{is_known, parse_integer, refuse_unknown, warn_of_unknown};
use crate::aci::element::{Content, Element};
use crate::aci::error::AciError;
use crate::aci::request::{PairValue, parse_query};
use crate::aci::shown::ShownParameter;
use crate::aci::words::{parse_bool, shorten};
use crate::config::is_name;
use crate::schedules::{
    BadParameter, CatchUp, Definition, Fault, Overlap, Schedule, ScheduleError, ScheduleStatus,
    Schedules, Timing, check_parameters, keys, meant,
};

const ACTION: &str = "ScheduleAction";
/// The change for which all that is no parameter of `ScheduleInfo` is one of the action.
const ADD: &str = "add";
const NAME: &str = "ScheduleName";
const QUEUE: &str = "QueueName";

/// Performs `ScheduleInfo`.
pub(super) async fn schedule_info(call: &Call<'_>) -> Result<Vec<Element>, AciError> {
    let Some(schedules) = call.endpoint.schedules() else {
        return Err(AciError::unavailable("this server has no schedules."));
    };
    let action = call.pairs.given(ACTION).map(str::to_ascii_lowercase);
    let name = call.pairs.given(NAME);
    let Some(action) = action else {
        refuse_where_strict(call)?;
        let warning = warn_of_unknown(&SCHEDULE_INFO, &call.pairs);
        let warning = warning.map(|warning| Element::text("warning", warning));
        return Ok(list(call, schedules, name).await?.into_iter().chain(warning).collect());
    };
    let name = name.ok_or_else(|| AciError::missing(NAME, "the name of a schedule"))?;
    if action != ADD {
        refuse_unknown(&SCHEDULE_INFO, &call.pairs, &format!("ScheduleAction={action}"))?;
    }
    let failed = |error: ScheduleError| told(call, name, &error);
    // Of the form that a list has, where there may be several.
    let mut reply = vec![Element::new("schedule").child(Element::text("name", name))];
    match action.as_str() {
        "run" => {
            let (queue, submitted) = schedules.run(name).await.map_err(failed)?;
            let served = call.endpoint.queue(queue.name());
            let token = served.map(|served| call.endpoint.token(served, submitted));
            reply.extend(token.map(|token| Element::text("token", token)));
        }
        "pause" => schedules.pause(name).await.map_err(failed)?,
        "resume" => schedules.resume(name).await.map_err(failed)?,
        "remove" => schedules.remove(name).await.map_err(failed)?,
        // The catalog lets nothing else through.
        _ => {
            let (schedule, warning) = new_schedule(call, name)?;
            schedules.add(schedule).await.map_err(failed)?;
            reply.extend(warning.map(|warning| Element::text("warning", warning)));
        }
    }
    log::info!("schedule {name}: {action} was asked for {}", call.caller);
    Ok(reply)
}

/// Refuses parameters of a list that mean something only to `add`, where unknown ones are refused.
fn refuse_where_strict(call: &Call<'_>) -> Result<(), AciError> {
    if !call.endpoint.limits().strict {
        return Ok(());
    }
    match call.pairs.iter().find(|(name, _)| !is_known(&SCHEDULE_INFO, name)) {
        Some((name, _)) => Err(AciError::unknown_parameter(name, "StrictActionValidation", None)),
        None => Ok(()),
    }
}

async fn list(
    call: &Call<'_>,
    schedules: &Schedules,
    name: Option<&str>,
) -> Result<Vec<Element>, AciError> {
    let all = schedules.list().await;
    let all = all.map_err(|error| told(call, name.unwrap_or_default(), &error.into()))?;
    let is_meant =
        |status: &&ScheduleStatus| name.is_none_or(|name| status.name.eq_ignore_ascii_case(name));
    let shown: Vec<_> = all.iter().filter(is_meant).map(|status| show(call, status)).collect();
    match name {
        Some(name) if shown.is_empty() => {
            let known = all.into_iter().map(|status| status.name).collect();
            Err(told(call, name, &ScheduleError::Unknown { known }))
        }
        _ => Ok(shown),
    }
}

/// A schedule as the list shows it.
fn show(call: &Call<'_>, status: &ScheduleStatus) -> Element {
    let definition = &status.definition;
    let source = if status.is_added { "added" } else { "configuration" };
    let mut children = vec![
        Element::text("name", status.name.as_str()),
        Element::text("action", definition.action.as_str()),
        Element::text("source", source),
        Element::text("enabled", definition.enabled.to_string()),
        Element::text("paused", status.paused.to_string()),
        Element::text("cycles_done", status.cycles.to_string()),
    ];
    children.extend(status.last.map(|last| time("last", last)));
    if let Some((queue, submitted, state)) = &status.last_action {
        children.push(Element::text("last_outcome", state.name()));
        let served = call.endpoint.queue(queue.name());
        let token = served.map(|served| call.endpoint.token(served, *submitted));
        children.extend(token.map(|token| Element::text("last_token", token)));
    }
    children.extend(status.next.map(|next| time("next", next)));
    let pairs = definition.pairs().into_iter().filter(|(key, _)| *key != keys::ACTION);
    let pairs = pairs.map(|(key, value)| Element::text(key.to_ascii_lowercase(), value));
    children.push(Element::new("definition").children(pairs));
    children.push(parameters(call, definition));
    Element::new("schedule").children(children)
}

/// The parameters of a schedule's actions, without secrets: whoever lists them need not have given them.
fn parameters(call: &Call<'_>, definition: &Definition) -> Element {
    let served = call.endpoint.queue(&definition.action);
    let each = definition.parameters.iter().map(|(name, value)| {
        let is_secret = served.is_none_or(|served| served.secret_names.has(name));
        let ShownParameter { attributes, text } =
            ShownParameter::of_text(name, if is_secret { MASK } else { value });
        let content = text.map_or_else(|| Content::Elements(Vec::new()), Content::Text);
        Element { attributes, content, ..Element::new("parameter") }
    });
    Element::new("parameters").children(each)
}

/// Makes the schedule that a request wants to add, with all of it checked; and a warning, if a parameter of the action may have been
/// meant as one of the schedule.
fn new_schedule(call: &Call<'_>, name: &str) -> Result<(Schedule, Option<String>), AciError> {
    let pairs = &call.pairs;
    if !is_name(name) {
        let allowed = "a name of 1 to 64 characters out of letters, digits, `_` and `-`";
        return Err(AciError::invalid(NAME, name, allowed));
    }
    let queues = || queues::names(call.endpoint).collect::<Vec<_>>();
    let action = pairs
        .given(QUEUE)
        .ok_or_else(|| AciError::missing(QUEUE, &format!("one of {}", queues().join(", "))))?;
    let served = call.endpoint.queue(action);
    let served = served.ok_or_else(|| no_such(QUEUE, action, &queues()))?;
    let mut parameters = Vec::new();
    let text = |(name, value): (&str, &PairValue)| match value {
        PairValue::Text(value) => Ok((name.to_owned(), value.clone())),
        PairValue::Bytes(_) => Err(AciError::invalid(name, "(bytes)", "text")),
    };
    if let Some(query) = pairs.given(keys::PARAMETERS) {
        for pair in parse_query(query)?.iter() {
            parameters.push(text(pair)?);
        }
    }
    for pair in pairs.iter().filter(|(name, _)| !is_known(&SCHEDULE_INFO, name)) {
        parameters.push(text(pair)?);
    }
    let strict = call.endpoint.limits().strict;
    check_parameters(&served.params, &parameters, strict)
        .map_err(|BadParameter { error, .. }| error)?;
    let own = |key: &str| pairs.given(key).map(str::to_owned);
    let number = |key: &str| pairs.given(key).and_then(parse_integer);
    let cycles = number(keys::CYCLES).unwrap_or(-1);
    if cycles == 0 {
        return Err(AciError::invalid(keys::CYCLES, "0", "-1, or a whole number from 1 on"));
    }
    let definition = Definition {
        action: served.queue.name().to_owned(),
        parameters,
        cron: own(keys::CRON),
        repeat_secs: number(keys::REPEAT_SECS).and_then(|number| u32::try_from(number).ok()),
        // A `+` may have become a space, which counts there.
        start_time: pairs.get(keys::START_TIME).filter(|it| !it.trim().is_empty()).map(Into::into),
        cycles: u64::try_from(cycles).ok(),
        time_zone: own(keys::TIME_ZONE),
        overlap: pairs.given(keys::OVERLAP).and_then(Overlap::parse).unwrap_or_default(),
        catch_up: pairs.given(keys::CATCH_UP).and_then(CatchUp::parse).unwrap_or_default(),
        jitter_secs: number(keys::JITTER)
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or_default(),
        enabled: pairs.given(keys::ENABLED).and_then(parse_bool).unwrap_or(true),
    };
    let own = || pairs.iter().map(|(name, _)| name).filter(|name| !is_known(&SCHEDULE_INFO, name));
    let keys = || SCHEDULE_INFO.params.iter().map(|param| &*param.name);
    let misspelt = own().find_map(|own| Some((own, meant(&served.params, own, keys())?)));
    let warning = misspelt.map(|(own, near)| {
        format!("{} is a parameter of the action. Is {near} meant?", shorten(own))
    });
    let now = call.endpoint.system().clock().now();
    match Timing::of(&definition).and_then(|timing| timing.check_due(now)) {
        Ok(()) => Ok((Schedule { name: name.to_owned(), definition }, warning)),
        Err(Fault { key, allowed }) => Err(match pairs.given(key) {
            Some(value) => AciError::invalid(key, value, &allowed),
            None => AciError::missing(key, &allowed),
        }),
    }
}

/// Returns the error for a client.
fn told(call: &Call<'_>, name: &str, error: &ScheduleError) -> AciError {
    match error {
        ScheduleError::Queue(error) => {
            let queue = call.pairs.given(QUEUE).unwrap_or("the schedule");
            queue_error(error, queue, None)
        }
        ScheduleError::Unknown { known } if known.is_empty() => {
            AciError::invalid(NAME, name, "none: there are no schedules")
        }
        ScheduleError::Unknown { known } => no_such(NAME, name, known),
        ScheduleError::Exists => {
            AciError::invalid(NAME, name, "a name that no schedule has: remove the other one first")
        }
        ScheduleError::Configured => AciError::invalid(
            NAME,
            name,
            "the name of a schedule that was added: this one stands in the configuration, to be taken out there",
        ),
        error @ (ScheduleError::TooMany { .. } | ScheduleError::TooLong { .. }) => {
            AciError::invalid(NAME, name, &format!("no more: {error}"))
        }
    }
}
