//! The page of all queues: a card for each.

use askama::Template;

use super::{Frame, rendered};
use crate::aci::element::Element;
use crate::admin::ask::Refused;
use crate::admin::request::{Answer, PageRequest};
use crate::admin::tree::{all, attribute, children, first, number, text};
use crate::admin::view::{Bar, PLOT, bars, encoded, grouped, query, span, span_of};

#[derive(Template)]
#[template(path = "queues.html")]
struct QueuesPage {
    frame: Frame,
    cards: Vec<Card>,
    width: usize,
    height: u64,
}

#[derive(Template)]
#[template(path = "card_part.html")]
struct CardPart {
    frame: Frame,
    card: Card,
    width: usize,
    height: u64,
}

/// A queue.
struct Card {
    name: String,
    /// Its name in a query.
    encoded: String,
    paused: bool,
    states: Vec<StateCount>,
    slots: u64,
    slots_used: u64,
    limit: Option<u64>,
    oldest: Option<String>,
    last_hour: Option<LastHour>,
}

/// The number of actions in a state.
pub(super) struct StateCount {
    /// The word by which a list of them is asked for.
    pub(super) word: String,
    pub(super) label: &'static str,
    pub(super) number: u64,
    pub(super) shown: String,
}

struct LastHour {
    ended: String,
    failed: String,
    failed_some: bool,
    bars: Vec<Bar>,
    times: Vec<Times>,
}

/// Percentiles of a time.
struct Times {
    label: &'static str,
    half: String,
    ninety: String,
    ninety_nine: String,
}

/// The states, as they are shown; in lower case they are the words of filters.
const STATES: [&str; 8] =
    ["Queued", "Processing", "Paused", "Stopping", "Finished", "Error", "Cancelled", "Stopped"];

pub(super) async fn show(page: &PageRequest) -> Result<Answer, Refused> {
    let mut cards = Vec::new();
    for name in &page.queues {
        cards.push(card_of(page, name).await?);
    }
    if cards.is_empty() {
        // Says why, in the words of the server.
        page.asker.ask("QueueInfo", [("QueueAction", "queueStatus"), ("QueueName", "?")]).await?;
    }
    let frame = Frame::of(page, "queues", "Queues").live(query([("Types", "counts,queue")]));
    let (width, height) = PLOT;
    Ok(rendered(200, &QueuesPage { frame, cards, width, height }))
}

pub(super) async fn card(page: &PageRequest) -> Result<Answer, Refused> {
    let card = card_of(page, page.given("QueueName")).await?;
    let frame = Frame::of(page, "queues", "Queues");
    let (width, height) = PLOT;
    Ok(rendered(200, &CardPart { frame, card, width, height }))
}

async fn card_of(page: &PageRequest, name: &str) -> Result<Card, Refused> {
    let pairs = [("QueueAction", "queueStatus"), ("QueueName", name), ("Statistics", "true")];
    let status = page.asker.ask("QueueInfo", pairs).await?;
    let statistics = first(&status, "statistics").map(children).unwrap_or_default();
    let oldest = text(statistics, "oldest_time_in_queue").parse().ok().map(span);
    Ok(Card {
        name: name.to_owned(),
        encoded: encoded(name),
        paused: text(&status, "paused") == "true",
        states: state_counts(statistics),
        slots: number(statistics, "slots"),
        slots_used: number(statistics, "slots_used"),
        limit: first(statistics, "limit").map(|_| number(statistics, "limit")),
        oldest,
        last_hour: first(statistics, "last_hour").map(last_hour),
    })
}

/// Returns the number of actions in each state.
pub(super) fn state_counts(statistics: &[Element]) -> Vec<StateCount> {
    let states = first(statistics, "states").map(children).unwrap_or_default();
    let count = |label: &'static str| {
        let word = label.to_lowercase();
        let number = number(states, &word);
        StateCount { word, label, number, shown: grouped(number) }
    };
    STATES.into_iter().map(count).collect()
}

fn last_hour(last_hour: &Element) -> LastHour {
    let told = children(last_hour);
    let of = |minute: &Element, name: &str| attribute(minute, name).parse().unwrap_or(0);
    let minutes: Vec<_> =
        all(told, "minute").map(|minute| (of(minute, "ended"), of(minute, "failed"))).collect();
    let times = [("time_in_queue", "Waited"), ("time_processing", "Ran")];
    let times = times.into_iter().filter_map(|(name, label)| {
        let of = first(told, name)?;
        let at = |name: &str| span_of(attribute(of, name));
        Some(Times { label, half: at("p50"), ninety: at("p90"), ninety_nine: at("p99") })
    });
    LastHour {
        ended: grouped(number(told, "ended")),
        failed: grouped(number(told, "failed")),
        failed_some: number(told, "failed") > 0,
        bars: bars(&minutes),
        times: times.collect(),
    }
}
