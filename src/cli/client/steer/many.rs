//! Commands to many actions, on any server: actiond takes them in one request, and others get one for each action.
//!
//! Another server would pass over parameters that it does not know, and `stop` without a token stops a whole queue. So who the
//! server is must be known before `All` or `Tokens` is sent.

use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::filters::Pairs;
use super::super::session::{json, print, say};
use super::super::show::{counted, line};
use super::one;
use super::target::Target;
use crate::aci::client::tree::{first, text_of};
use crate::aci::client::{Client, ClientError, Commanded, Fault, ManyCommand, Reason, Selection};
use crate::aci::element::Element;
use crate::aci::queue_info::FILTERS;
use crate::aci::request::Pairs as Parameters;

/// The parameters beside [`FILTERS`] that every server has for a list (source: the page "QueueInfo").
const ORDER: &[&str] = &["Sort-By", "Sort-Order", "MaxResults"];

/// Gives a command to many actions, and prints what became of it.
pub(super) async fn run(
    client: &Client,
    command: ManyCommand,
    target: &Target,
    force: bool,
    json: bool,
) -> Result<Exit, Failure> {
    let commanded = if is_actiond(client).await? {
        let selection = match target {
            Target::Each(tokens) | Target::Tokens(tokens) => Selection::Tokens(tokens),
            Target::All { queue, filters } => Selection::All { queue, filters },
        };
        let commanded = client.command_many(command, selection).await?;
        if force { client.command_many(command, selection).await? } else { commanded }
    } else {
        let tokens = match target {
            Target::Each(tokens) | Target::Tokens(tokens) => tokens.clone(),
            Target::All { queue, filters } => listed(client, command, queue, filters).await?,
        };
        one_by_one(client, command, &tokens, force).await?
    };
    print(&if json { as_json(&commanded) } else { as_text(&commanded) })?;
    Ok(if commanded.refused > 0 { Exit::Refused } else { Exit::Success })
}

/// Returns true if the server is one that takes commands to many.
async fn is_actiond(client: &Client) -> Result<bool, Failure> {
    match client.send("GetVersion", Parameters::default()).await {
        Ok(reply) => {
            let name = first(&reply.data, "productname").map(text_of).unwrap_or_default();
            Ok(name.trim() == "actiond")
        }
        // Whoever may not ask has the command given one by one, as to a server that does not know the action.
        Err(ClientError { fault: Fault::Refused(_), .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Returns the tokens that another server lists.
async fn listed(
    client: &Client,
    command: ManyCommand,
    queue: &str,
    filters: &Pairs,
) -> Result<Vec<String>, Failure> {
    let is_standard =
        |name: &str| FILTERS.iter().chain(ORDER).any(|known| known.eq_ignore_ascii_case(name));
    if let Some((name, _)) = filters.iter().find(|(name, _)| !is_standard(name)) {
        let why = format!(
            "this server may not know the filter {name}, so it might reach more actions than are meant"
        );
        return Err(Failure::Lacking(why));
    }
    let most = filters.iter().find(|(name, _)| name == "MaxResults");
    let most = most.and_then(|(_, number)| number.parse().ok()).unwrap_or(usize::MAX);
    let mut list = client.list(queue);
    for (name, value) in filters.iter().filter(|(name, _)| name != "MaxResults") {
        list = list.filter(name.as_str(), value.as_str());
    }
    if !filters.iter().any(|(name, _)| name == "State") {
        list = list.filter("State", states_for(command));
    }
    let mut tokens = Vec::new();
    while tokens.len() < most {
        let Some(page) = list.next_page().await? else { break };
        tokens.extend(page.into_iter().map(|action| action.token));
    }
    tokens.truncate(most);
    Ok(tokens)
}

/// Returns the states in which a command finds something to do.
const fn states_for(command: ManyCommand) -> &'static str {
    match command {
        ManyCommand::Stop => "queued,running",
        ManyCommand::Retry | ManyCommand::Delete => "finished",
        _ => "queued",
    }
}

async fn one_by_one(
    client: &Client,
    command: ManyCommand,
    tokens: &[String],
    force: bool,
) -> Result<Commanded, Failure> {
    let mut commanded = Commanded::default();
    for token in tokens {
        match one(client, command, token, force).await {
            Ok(_) => commanded.done = commanded.done.saturating_add(1),
            Err(ClientError { fault: Fault::Refused(refusal), .. }) => {
                commanded.refused = commanded.refused.saturating_add(1);
                let text = refusal.to_string();
                match commanded.reasons.iter_mut().find(|reason| reason.text == text) {
                    Some(reason) => reason.count = reason.count.saturating_add(1),
                    None => commanded.reasons.push(Reason { count: 1, status: None, text }),
                }
            }
            Err(error) => {
                say(&format!("{} had it before this:", counted(commanded.done, "action")));
                return Err(error.into());
            }
        }
    }
    Ok(commanded)
}

fn as_text(commanded: &Commanded) -> String {
    let mut text =
        format!("{} done, {} refused\n", counted(commanded.done, "action"), commanded.refused);
    for Reason { count, text: why, .. } in &commanded.reasons {
        text.push_str(&format!("  {count}: {}\n", line(why)));
    }
    text
}

fn as_json(commanded: &Commanded) -> String {
    let number = |name, number: u64| Element::text(name, number.to_string());
    let reasons = commanded.reasons.iter().map(|reason| {
        let element = Element::new("reason").child(number("count", reason.count));
        let status =
            reason.status.as_ref().map(|status| Element::text("status", status.to_string()));
        element.children(status).child(Element::text("text", reason.text.clone()))
    });
    let elements = [
        number("done", commanded.done),
        number("refused", commanded.refused),
        Element::new("reasons").children(reasons),
    ];
    format!("{}\n", json("responsedata", &elements))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_is_told() {
        let text = "an action that is Processing can't be cancelled".to_owned();
        let reason =
            Reason { count: 2, status: Some(crate::aci::client::Status::Processing), text };
        let commanded = Commanded { done: 1998, refused: 2, reasons: vec![reason] };
        assert_eq!(
            as_text(&commanded),
            "1,998 actions done, 2 refused\n  2: an action that is Processing can't be cancelled\n"
        );
        let read: serde_json::Value = serde_json::from_str(&as_json(&commanded)).unwrap();
        assert_eq!(read["done"], "1998");
        assert_eq!(read["reasons"]["reason"][0]["status"], "Processing");
    }
}
