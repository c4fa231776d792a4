//! `actiond events`: what happens in the queues of a server, as it happens.

use serde_json::{Map, Value};

use super::args::ConnectionArgs;
use super::exit::Exit;
use super::failure::Failure;
use super::session::{Session, print, say};
use super::show::{DIM, cut, line, painted, style};
use crate::aci::client::{ClientError, Fault, LiveEvent, Status};

/// Number of characters to which an error is cut in a line.
const ERROR: usize = 100;

/// The options of `actiond events`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct EventsArgs {
    /// Only these queues, with commas or the option given again
    #[arg(long, value_name = "QUEUES")]
    pub(crate) queue: Vec<String>,
    /// Only these actions
    #[arg(long, value_name = "TOKENS")]
    pub(crate) token: Vec<String>,
    /// Only these types: queued, started, progress, finished, error, cancelled, stopped, paused, resumed, queue
    #[arg(long = "type", value_name = "TYPES")]
    pub(crate) types: Vec<String>,
    /// Begin behind the event with this id, if the server still has what came after it
    #[arg(long, value_name = "ID")]
    pub(crate) last_event_id: Option<String>,
    /// End after so many events
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Print a JSON object for each event, on a line of its own
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

pub(super) async fn run(args: Box<EventsArgs>) -> Result<Exit, Failure> {
    let session = Session::new(&args.connection, None)?;
    let filters = [("Queue", &args.queue), ("Token", &args.token), ("Types", &args.types)];
    let filters = filters.into_iter().filter(|(_, values)| !values.is_empty());
    let filters = filters.map(|(name, values)| (name.to_owned(), values.join(",")));
    let mut listener = session.client.events(filters.collect());
    if let Some(id) = args.last_event_id {
        listener = listener.after(id);
    }
    let mut left = args.limit.unwrap_or(u64::MAX);
    while left > 0 {
        let event = listener.next().await.map_err(without_events)?;
        if event.kind == "reset" && !args.json {
            say(
                "reset: some events were missed, so `actiond list` knows more than what was told here",
            );
            continue;
        }
        print(&if args.json { as_json(&event) } else { as_line(&event) })?;
        left = left.saturating_sub(1);
    }
    Ok(Exit::Success)
}

/// Says in plain words that a server has no live events.
pub(super) fn without_events(error: ClientError) -> Failure {
    match error.fault {
        Fault::Status(404) => Failure::Lacking(format!(
            "{} has no live events; `actiond watch` and `actiond status --wait` work without them",
            error.server
        )),
        _ => error.into(),
    }
}

/// Reads the data of an event: an object of texts.
pub(super) fn data_of(event: &LiveEvent) -> Map<String, Value> {
    match serde_json::from_str(&event.data) {
        Ok(Value::Object(data)) => data,
        _ => Map::new(),
    }
}

/// Returns a member that is text; empty if there is none.
pub(super) fn text<'a>(data: &'a Map<String, Value>, name: &str) -> &'a str {
    data.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn as_json(event: &LiveEvent) -> String {
    let data: Value =
        serde_json::from_str(&event.data).unwrap_or_else(|_| Value::String(event.data.clone()));
    let object = serde_json::json!({ "id": event.id, "event": event.kind, "data": data });
    format!("{object}\n")
}

/// Writes an event for people: its type, the queue, the token, and what is special about it.
fn as_line(event: &LiveEvent) -> String {
    let data = data_of(event);
    let told = details(&event.kind, &data).join(", ");
    let kind = format!("{:<9}", cut(&event.kind, 20));
    let queue = format!("{:<12}", cut(text(&data, "queue"), 40));
    let token = line(text(&data, "token"));
    let style = style(&Status::read(text(&data, "status")));
    let words = [painted(&kind, style), queue, token.into_owned(), painted(&line(&told), DIM)];
    let words: Vec<_> = words.into_iter().filter(|word| !word.trim().is_empty()).collect();
    format!("{}\n", words.join("  ").trim_end())
}

fn details(kind: &str, data: &Map<String, Value>) -> Vec<String> {
    let mut told = Vec::new();
    let mut add = |before: &str, name: &str, after: &str| {
        let text = text(data, name);
        if !text.is_empty() {
            told.push(format!("{before}{}{after}", cut(text, ERROR)));
        }
    };
    match kind {
        "queue" => {
            add("", "change", "");
            add("", "pending", " waiting");
        }
        "started" => add("waited ", "time_in_queue", " s"),
        "progress" => {}
        _ => {
            add("ran ", "time_processing", " s");
            add("", "cause", "");
            add("next attempt in ", "next_attempt_in", " s");
        }
    }
    add("attempt ", "attempt", "");
    add("", "error", "");
    if let Some(Value::Object(progress)) = data.get("progress") {
        let percent = text(progress, "percent");
        if !percent.is_empty() {
            told.push(format!("{} %", cut(percent, 10)));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, data: &str) -> LiveEvent {
        LiveEvent { kind: kind.to_owned(), data: data.to_owned(), id: "a-1".to_owned() }
    }

    #[test]
    fn an_event_is_one_line() {
        let table = [
            (
                "started",
                r#"{"queue":"Process","status":"Processing","time_in_queue":"3","token":"MTI="}"#,
                "started    Process       MTI=  waited 3 s",
            ),
            (
                "error",
                r#"{"queue":"P","status":"Error","time_processing":"2","error":"no\u001b","token":"MTI="}"#,
                "error      P             MTI=  ran 2 s, no\\u{1b}",
            ),
            (
                "progress",
                r#"{"queue":"P","status":"Processing","progress":{"percent":"42.0"},"token":"MTI="}"#,
                "progress   P             MTI=  42.0 %",
            ),
            (
                "queue",
                r#"{"queue":"P","change":"full","pending":"7"}"#,
                "queue      P             full, 7 waiting",
            ),
            ("odd", "no json", "odd"),
        ];
        for (kind, data, want) in table {
            let line = as_line(&event(kind, data));
            assert_eq!(anstream::adapter::strip_str(&line).to_string().trim_end(), want);
        }
        let json: Value =
            serde_json::from_str(&as_json(&event("started", r#"{"queue":"P"}"#))).unwrap();
        assert_eq!((&json["event"], &json["data"]["queue"]), (&"started".into(), &"P".into()));
    }
}
