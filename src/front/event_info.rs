//! `EventInfo`: the handlers of events, and what each has not delivered.

use actiond_actors::QueueError;
use actiond_actors::outbox::{HandlerStatus, OutboxError};

use super::dispatch::Call;
use super::errors::{no_such, queue_error};
use super::render::time;
use crate::aci::catalog::builtin::{EVENT_ACTIONS, EVENT_INFO};
use crate::aci::catalog::{refuse_unknown, warn_of_unknown};
use crate::aci::element::Element;
use crate::aci::error::AciError;
use crate::aci::words::find_word;

/// Shows the handlers, after doing with their failed events what is asked for.
pub(super) async fn event_info(call: &Call<'_>) -> Result<Vec<Element>, AciError> {
    let wanted = call.pairs.given("EventAction").and_then(|word| find_word(EVENT_ACTIONS, word));
    if let Some(word) = wanted {
        refuse_unknown(&EVENT_INFO, &call.pairs, &format!("EventAction={word}"))?;
    }
    let outbox = call.endpoint.system().outbox();
    let names: Vec<_> = outbox.names().map(str::to_owned).collect();
    let names = match call.pairs.given("Handler") {
        None => names,
        Some(given) => {
            let is = |name: &&String| name.eq_ignore_ascii_case(given);
            let Some(name) = names.iter().find(is) else {
                let none = "none: this server has no handlers";
                return Err(match names.is_empty() {
                    true => AciError::invalid("Handler", given, none),
                    false => no_such("Handler", given, &names),
                });
            };
            vec![name.clone()]
        }
    };
    let mut handlers = Vec::new();
    for name in names {
        let done = match wanted {
            Some("retry") => Some(("retried", outbox.retry(&name).await.map_err(error)?)),
            Some(_) => Some(("discarded", outbox.discard(&name).await.map_err(error)?)),
            None => None,
        };
        let status = outbox.status(&name).await.map_err(error)?;
        let library = call.endpoint.inner.handlers.iter().find(|(known, _)| *known == name);
        let done = done.map(|(name, number)| Element::text(name, number.to_string()));
        handlers.push(handler(status, library.map(|(_, library)| *library)).children(done));
    }
    let warning = warn_of_unknown(&EVENT_INFO, &call.pairs);
    let warning = warning.map(|warning| Element::text("warning", warning));
    Ok(std::iter::once(Element::new("handlers").children(handlers)).chain(warning).collect())
}

fn handler(status: HandlerStatus, library: Option<&'static str>) -> Element {
    let number = |name: &'static str, number: u64| Element::text(name, number.to_string());
    let error = status
        .last_error
        .map(|(at, error)| [Element::text("last_error", error), time("last_error_time", at)]);
    Element::new("handler")
        .child(Element::text("name", status.name))
        .children(library.map(|library| Element::text("library", library)))
        .child(number("pending", status.pending))
        .child(number("failed", status.failed))
        .child(number("dropped", status.dropped))
        .child(number("delivered", status.delivered))
        .child(number("redelivered", status.retried))
        .children(status.oldest.map(|at| time("oldest_time", at)))
        .children(error.into_iter().flatten())
        .child(Element::text("leads", status.leads.to_string()))
}

fn error(error: OutboxError) -> AciError {
    match error {
        OutboxError::Store(told) => queue_error(&QueueError::Store(told), "", None),
        other => AciError::unavailable(&other.to_string()),
    }
}
