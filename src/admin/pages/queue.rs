//! The page of a queue: its actions, with filters, page by page.

use askama::Template;

use super::filters::{Field, Filters, SIZES, state_words};
use super::queues::{StateCount, state_counts};
use super::{Frame, rendered};
use crate::aci::client::Status;
use crate::aci::element::Element;
use crate::aci::request::{PairValue, Pairs};
use crate::admin::ask::Refused;
use crate::admin::request::{Answer, PageRequest};
use crate::admin::tree::{all, children, first, number, text};
use crate::admin::view::{encoded, grouped, query, short, span};

#[derive(Template)]
#[template(path = "queue.html")]
struct QueuePage {
    frame: Frame,
    name: String,
    encoded: String,
    paused: bool,
    tabs: Vec<Tab>,
    fields: Vec<Field>,
    states: Vec<(&'static str, bool)>,
    sort_by: String,
    ascending: bool,
    sizes: Vec<(usize, bool)>,
    rows: Vec<Row>,
    /// The filters as a query, without a place.
    filters: String,
    filters_said: String,
    has_filters: bool,
    newer: Option<String>,
    older: Option<String>,
    /// The address of this page, for forms that lead back.
    here: String,
}

#[derive(Template)]
#[template(path = "rows_part.html")]
struct RowsPart {
    frame: Frame,
    rows: Vec<Row>,
}

/// A choice of states above the list.
struct Tab {
    label: &'static str,
    /// The state whose number is shown; empty for all.
    state: String,
    number: String,
    query: String,
    chosen: bool,
}

/// A row of the list.
pub(super) struct Row {
    pub(super) token: String,
    pub(super) token_query: String,
    pub(super) id: String,
    pub(super) status: String,
    pub(super) queued: String,
    pub(super) started: String,
    pub(super) ended: String,
    pub(super) waited: String,
    pub(super) took: String,
    pub(super) priority: String,
    pub(super) attempt: String,
    pub(super) percent: Option<String>,
    pub(super) error: String,
    pub(super) is_running: bool,
    pub(super) is_final: bool,
}

/// Largest number of bytes of an error in a list.
const MOST_ERROR: usize = 160;

pub(super) async fn show(page: &PageRequest) -> Result<Answer, Refused> {
    let name = page.given("QueueName").to_owned();
    let filters = Filters::of(page);
    let pairs = [("QueueAction", "queueStatus"), ("QueueName", &*name), ("Statistics", "true")];
    let status = page.asker.ask("QueueInfo", pairs).await?;
    let statistics = first(&status, "statistics").map(children).unwrap_or_default();
    let Listed { rows, newer, older } = list(page, &name, &filters).await?;
    let place = |way: &str, token: &String| filters.query(&name, None, &[(way, token)]);
    let frame = Frame::of(page, "queues", &name).live(live(&name, &rows));
    let chosen = filters.states();
    let sort_by = filters.order_of("Sort-By").to_owned();
    let here = format!("{}/queue?{}", page.base, filters.query(&name, None, &place_of(page)));
    Ok(rendered(
        200,
        &QueuePage {
            frame,
            encoded: encoded(&name),
            paused: text(&status, "paused") == "true",
            tabs: tabs(&name, &filters, &state_counts(statistics)),
            fields: filters.fields(),
            states: state_words().map(|word| (word, chosen.contains(&word))).collect(),
            sort_by: if sort_by.is_empty() { "queue-time".to_owned() } else { sort_by },
            ascending: !filters.is_descending(),
            sizes: SIZES.into_iter().map(|size| (size, size == filters.size)).collect(),
            rows,
            filters: filters.query(&name, None, &[]),
            filters_said: filters.said(),
            has_filters: !filters.is_empty(),
            newer: newer.as_ref().map(|token| place("Before", token)),
            older: older.as_ref().map(|token| place("After", token)),
            here,
            name,
        },
    ))
}

/// Returns the place of the page in the list, as its address has it.
fn place_of(page: &PageRequest) -> Vec<(&str, &str)> {
    let places = ["After", "Before"].map(|way| (way, page.given(way)));
    places.into_iter().filter(|(_, token)| !token.is_empty()).collect()
}

/// Returns the live events that a page listens to: counts of the queue, and its rows as long as they may change.
fn live(queue: &str, rows: &[Row]) -> String {
    let tokens: Vec<_> = rows.iter().filter(|row| !row.is_final).map(|row| &*row.token).collect();
    let types =
        "counts,queue,queued,started,progress,paused,resumed,finished,error,cancelled,stopped";
    let (tokens, only) = (tokens.join(","), "counts,queue");
    match tokens.is_empty() {
        true => query([("Queue", queue), ("Types", only)]),
        false => query([("Queue", queue), ("Types", types), ("Token", &tokens)]),
    }
}

fn tabs(name: &str, filters: &Filters, counts: &[StateCount]) -> Vec<Tab> {
    let chosen = filters.states().join(",");
    let all = counts.iter().fold(0, |sum: u64, count| sum.saturating_add(count.number));
    let tab = |label, state: &str, number: u64| Tab {
        label,
        state: state.to_owned(),
        number: grouped(number),
        query: filters.query(name, Some(state), &[]),
        chosen: chosen == *state,
    };
    let of_states = counts.iter().map(|count| tab(count.label, &count.word, count.number));
    std::iter::once(tab("All", "", all)).chain(of_states).collect()
}

/// A page of a list.
struct Listed {
    rows: Vec<Row>,
    /// The token of the first row, if there is something before it.
    newer: Option<String>,
    /// The token of the last row, if there is something behind it.
    older: Option<String>,
}

async fn list(page: &PageRequest, name: &str, filters: &Filters) -> Result<Listed, Refused> {
    let (after, before) = (page.given("After"), page.given("Before"));
    // What comes before an action is what comes after it in the other direction.
    let is_back = after.is_empty() && !before.is_empty();
    let descending = filters.is_descending() != is_back;
    let place = if is_back { before } else { after };
    let mut pairs = filters.asked(name, "getStatus");
    let most = filters.size.saturating_add(1).to_string();
    let order = if descending { "descending" } else { "ascending" };
    let sort_by = filters.order_of("Sort-By");
    for (name, value) in [
        ("Sort-By", sort_by),
        ("Sort-Order", order),
        ("MaxResults", &most),
        ("Results", "false"),
        ("After", place),
    ] {
        if !value.is_empty() {
            pairs.push(name, PairValue::Text(value.to_owned()));
        }
    }
    let reply = page.asker.perform("QueueInfo", pairs).await?;
    let actions = first(&reply, "actions").map(children).unwrap_or_default();
    let mut rows: Vec<Row> = all(actions, "action").map(row).collect();
    let has_more = rows.len() > filters.size;
    rows.truncate(filters.size);
    if is_back {
        rows.reverse();
    }
    for row in &mut rows {
        add_progress(page, row).await;
    }
    let (first, last) = (rows.first(), rows.last());
    let is_somewhere = !place.is_empty();
    let newer = first.filter(|_| if is_back { has_more } else { is_somewhere });
    let older = last.filter(|_| if is_back { is_somewhere } else { has_more });
    let token = |row: &Row| row.token.clone();
    Ok(Listed { newer: newer.map(token), older: older.map(token), rows })
}

/// Reads an action.
pub(super) fn row(action: &Element) -> Row {
    let told = children(action);
    let get = |name: &str| text(told, name);
    let seconds = |name: &str| first(told, name).map(|_| span(number(told, name)));
    let status = get("status");
    let state = Status::read(&status);
    let token = get("token");
    let error = get("error");
    let line = error.lines().next().unwrap_or_default();
    Row {
        token_query: encoded(&token),
        id: id_of(&token),
        is_running: !state.has_ended() && state != Status::Queued,
        is_final: state.has_ended(),
        queued: get("queued_time"),
        started: get("process_start_time"),
        ended: get("process_end_time"),
        waited: seconds("time_in_queue").unwrap_or_default(),
        took: seconds("time_processing").unwrap_or_default(),
        priority: get("priority"),
        attempt: get("attempt"),
        percent: None,
        error: short(line, MOST_ERROR),
        status,
        token,
    }
}

/// Returns the end of a token, by which people tell actions apart.
pub(super) fn id_of(token: &str) -> String {
    match crate::aci::token::Token::parse(token) {
        Ok(token) => token.id.to_string(),
        Err(_) => short(token, 12),
    }
}

/// Asks for the progress of an action that runs.
async fn add_progress(page: &PageRequest, row: &mut Row) {
    if !row.is_running {
        return;
    }
    let pairs = [("QueueAction", "progress"), ("Token", &*row.token), ("MaxDepth", "0")];
    let Ok(reply) = page.asker.ask("QueueInfo", pairs).await else { return };
    let action = first(&reply, "action").map(children).unwrap_or_default();
    let progress = first(action, "progress").map(children).unwrap_or_default();
    row.percent = Some(text(progress, "percent")).filter(|percent| !percent.is_empty());
}

/// Largest number of rows that are asked for again at once.
const MOST_ROWS: usize = 200;

/// Shows some rows again, of which a page has heard that they have changed.
pub(super) async fn rows(page: &PageRequest) -> Result<Answer, Refused> {
    let tokens = page.given("Tokens").split(',').filter(|token| !token.is_empty());
    let mut rows = Vec::new();
    for token in tokens.take(MOST_ROWS) {
        let mut pairs = Pairs::from([("QueueAction", "getStatus"), ("Token", token)]);
        pairs.push("Results", PairValue::Text("false".to_owned()));
        // One that was deleted stays as it was.
        let Ok(reply) = page.asker.perform("QueueInfo", pairs).await else { continue };
        let actions = first(&reply, "actions").map(children).unwrap_or_default();
        for action in all(actions, "action") {
            let mut row = row(action);
            add_progress(page, &mut row).await;
            rows.push(row);
        }
    }
    Ok(rendered(200, &RowsPart { frame: Frame::of(page, "queues", ""), rows }))
}
