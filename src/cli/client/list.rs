//! `actiond list`: the actions of a queue, as a table, CSV, JSON or XML. It goes page by page, so memory is bounded.

use clap::builder::styling::Style;

use super::args::ConnectionArgs;
use super::exit::Exit;
use super::failure::Failure;
use super::filters::{FilterArgs, OrderArgs, is_filter};
use super::session::{Session, json, print, shows_to_user, xml};
use super::show::{Column, DIM, Table, clock, cut, style};
use crate::aci::client::tree::children;
use crate::aci::client::{Action, Time};
use crate::aci::element::Element;

/// Number of actions of a page. A result may be large, and the reply to a page must fit into memory.
const PAGE: usize = 250;

/// Number of characters to which an error is cut in a table.
const ERROR: usize = 80;

/// The options of `actiond list`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct ListArgs {
    /// Queue
    pub(crate) queue: String,
    /// Filters by parameters of the actions
    #[arg(value_name = "Parameter.NAME=VALUE")]
    pub(crate) more: Vec<String>,
    /// Show so many actions at most
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Place of the first action to show, from 1
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) start: usize,
    /// Print a JSON array
    #[arg(long, group = "form")]
    pub(crate) json: bool,
    /// Print CSV
    #[arg(long, group = "form")]
    pub(crate) csv: bool,
    /// Print XML
    #[arg(long, group = "form")]
    pub(crate) xml: bool,
    /// Leave out the line with the names of the columns
    #[arg(long)]
    pub(crate) no_header: bool,
    #[command(flatten)]
    pub(crate) order: OrderArgs,
    #[command(flatten)]
    pub(crate) filters: FilterArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

const COLUMNS: &[Column] = &[
    Column::words("STATUS"),
    Column::words("QUEUED"),
    Column::numbers("WAITED"),
    Column::numbers("RAN"),
    Column::numbers("PRIORITY"),
    Column::words("TOKEN"),
    Column::words("ERROR"),
];

const CSV: [&str; 12] = [
    "token",
    "status",
    "queued_time",
    "time_in_queue",
    "process_start_time",
    "time_processing",
    "process_end_time",
    "priority",
    "position",
    "attempt",
    "next_attempt_time",
    "error",
];

/// Writes the pages of a list in one form.
enum Writer {
    Table(Table<'static>),
    Csv,
    Json { has_begun: bool },
    Xml,
}

pub(super) async fn run(args: Box<ListArgs>) -> Result<Exit, Failure> {
    if let Some(other) = args.more.iter().find(|argument| !is_filter(argument)) {
        let shown = cut(other, 100);
        return Err(Failure::Usage(format!("'{shown}' is no filter: write Parameter.NAME=VALUE")));
    }
    let filters = args.filters.pairs(&args.more)?;
    let session = Session::new(&args.connection, None)?;
    let most = args.limit.unwrap_or(usize::MAX);
    let mut list =
        session.client.list(args.queue.clone()).page_size(PAGE.min(most)).from(args.start);
    for (name, value) in filters.into_iter().chain(args.order.pairs()) {
        list = list.filter(name, value);
    }
    let mut writer = Writer::new(&args);
    print(&writer.begin(args.no_header))?;
    let mut left = most;
    while left > 0 {
        let Some(mut page) = list.next_elements().await? else { break };
        page.truncate(left);
        left = left.saturating_sub(page.len());
        print(&writer.page(page)?)?;
    }
    print(writer.end())?;
    Ok(Exit::Success)
}

impl Writer {
    fn new(args: &ListArgs) -> Self {
        match args {
            ListArgs { json: true, .. } => Self::Json { has_begun: false },
            ListArgs { csv: true, .. } => Self::Csv,
            ListArgs { xml: true, .. } => Self::Xml,
            ListArgs { no_header, .. } if *no_header => {
                Self::Table(Table::without_headings(COLUMNS))
            }
            ListArgs { .. } => Self::Table(Table::new(COLUMNS)),
        }
    }

    fn begin(&self, no_header: bool) -> String {
        match self {
            Self::Csv if !no_header => csv([CSV.map(ToOwned::to_owned)]),
            Self::Xml => "<actions>\n".to_owned(),
            _ => String::new(),
        }
    }

    fn page(&mut self, page: Vec<Element>) -> Result<String, Failure> {
        let read = |page: Vec<Element>| -> Result<Vec<Action>, Failure> {
            let actions = page.into_iter().map(Action::read).collect::<Result<_, _>>();
            actions.map_err(|fault| Failure::Lacking(format!("the list can't be read: {fault}")))
        };
        Ok(match self {
            Self::Table(table) => table.rows(&read(page)?.iter().map(row).collect::<Vec<_>>()),
            Self::Csv => csv(read(page)?.iter().map(record)),
            Self::Xml => page.into_iter().map(|action| xml(action) + "\n").collect(),
            Self::Json { has_begun } => {
                let mut text = String::new();
                for action in &page {
                    text.push_str(if std::mem::replace(has_begun, true) { ",\n" } else { "[\n" });
                    text.push_str(&json("action", children(action)));
                }
                text
            }
        })
    }

    const fn end(&self) -> &'static str {
        match self {
            Self::Xml => "</actions>\n",
            Self::Json { has_begun: true } => "\n]\n",
            Self::Json { has_begun: false } => "[]\n",
            Self::Table(_) | Self::Csv => "",
        }
    }
}

/// Returns the cells of an action.
pub(super) fn row(action: &Action) -> Vec<(String, Style)> {
    let plain = |text: String| (text, Style::new());
    let time =
        |time: &Option<Time>| time.as_ref().map(|time| time.text.clone()).unwrap_or_default();
    let waits_until = action.next_attempt.as_ref().or(action.not_before.as_ref());
    let error = match (&action.error, waits_until) {
        (Some(error), Some(next)) => format!("next attempt {}: {error}", next.text),
        (Some(error), None) => error.clone(),
        (None, Some(next)) => format!("not before {}", next.text),
        (None, None) => String::new(),
    };
    vec![
        (action.status.to_string(), style(&action.status)),
        plain(time(&action.queued)),
        plain(action.in_queue.map(clock).unwrap_or_default()),
        plain(action.processing.map(clock).unwrap_or_default()),
        plain(action.priority.map(|priority| priority.to_string()).unwrap_or_default()),
        plain(action.token.clone()),
        (cut(&error, ERROR), DIM),
    ]
}

/// Returns the fields of an action, as the server wrote them.
fn record(action: &Action) -> [String; CSV.len()] {
    let time =
        |time: &Option<Time>| time.as_ref().map(|time| time.text.clone()).unwrap_or_default();
    let secs = |time: Option<std::time::Duration>| {
        time.map(|time| time.as_secs_f64().to_string()).unwrap_or_default()
    };
    [
        action.token.clone(),
        action.status.to_string(),
        time(&action.queued),
        secs(action.in_queue),
        time(&action.started),
        secs(action.processing),
        time(&action.ended),
        action.priority.map(|number| number.to_string()).unwrap_or_default(),
        action.position.map(|number| number.to_string()).unwrap_or_default(),
        action.attempt.map(|number| number.to_string()).unwrap_or_default(),
        time(&action.next_attempt),
        action.error.clone().unwrap_or_default(),
    ]
}

/// Writes records as CSV. On a terminal nothing in them may steer it.
pub(super) fn csv<const N: usize>(records: impl IntoIterator<Item = [String; N]>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let is_shown = shows_to_user();
    for record in records {
        let record = record.map(|field| if is_shown { super::show::block(&field) } else { field });
        // Writing to memory cannot fail, and all records are of one length.
        let _ = writer.write_record(&record);
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action() -> Element {
        Element::new("action")
            .child(Element::text("status", "Error"))
            .child(Element::text("queued_time", "2026-Nov-30 12:00:00"))
            .child(Element::text("time_in_queue", "3"))
            .child(Element::text("error", "no, \"never\"\nagain"))
            .child(Element::text("priority", "-5"))
            .child(Element::text("token", "MTI="))
    }

    fn written(mut writer: Writer, pages: Vec<Vec<Element>>) -> String {
        let mut text = writer.begin(false);
        for page in pages {
            text.push_str(&writer.page(page).unwrap());
        }
        text.push_str(writer.end());
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn a_list_has_four_forms() {
        let one = || vec![vec![action()], Vec::new()];
        assert_eq!(
            written(Writer::Table(Table::new(COLUMNS)), one()),
            "STATUS  QUEUED                WAITED  RAN  PRIORITY  TOKEN  ERROR\n\
             Error   2026-Nov-30 12:00:00    0:03             -5  MTI=   no, \"never\" again\n"
        );
        assert_eq!(
            written(Writer::Csv, one()),
            "token,status,queued_time,time_in_queue,process_start_time,time_processing,process_end_time,priority,position,attempt,\
             next_attempt_time,error\nMTI=,Error,2026-Nov-30 12:00:00,3,,,,-5,,,,\"no, \"\"never\"\"\nagain\"\n"
        );
        let two = vec![vec![action()], vec![action()]];
        let json = written(Writer::Json { has_begun: false }, two.clone());
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read[1]["status"], "Error", "{json}");
        assert_eq!(written(Writer::Json { has_begun: false }, vec![]), "[]\n");
        let xml = written(Writer::Xml, two);
        assert!(roxmltree::Document::parse(&xml).is_ok(), "{xml}");
    }
}
