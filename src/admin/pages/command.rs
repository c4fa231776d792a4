//! Changes that are made from a page: the question before each, and its outcome. The names of its fields are those of `QueueInfo`.

use askama::Template;

use super::filters::Filters;
use super::queue::id_of;
use super::{Frame, back, rendered};
use crate::aci::request::{PairValue, Pairs};
use crate::admin::ask::Refused;
use crate::admin::request::{Answer, PageRequest, texts};
use crate::admin::tree::{all, children, first, number, text};
use crate::admin::view::{encoded, grouped};

/// A question before something is changed.
#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage {
    frame: Frame,
    /// The form that does it.
    target: &'static str,
    question: String,
    /// The consequences, in a sentence or two.
    meaning: &'static str,
    label: &'static str,
    is_dangerous: bool,
    asks_for_priority: bool,
    /// The fields of the form.
    fields: Vec<(String, String)>,
    back: String,
}

/// A command, for people.
struct Words {
    word: &'static str,
    label: &'static str,
    one: &'static str,
    many: &'static str,
    is_dangerous: bool,
}

const fn words(
    word: &'static str,
    label: &'static str,
    meaning: [&'static str; 2],
    is_dangerous: bool,
) -> Words {
    let [one, many] = meaning;
    Words { word, label, one, many, is_dangerous }
}

const COMMANDS: &[Words] = &[
    words(
        "cancel",
        "Cancel",
        [
            "It has not started and never will. It ends as Cancelled.",
            "Those that wait end as Cancelled and never start. Those that run or have ended are left alone.",
        ],
        true,
    ),
    words(
        "stop",
        "Stop",
        [
            "Its work is asked to end and keeps its partial result. If it has not ended after the grace time of its queue (StopGraceSecs), or is stopped a second time, it is ended by force: what it was doing may be left half done.",
            "Those that run are asked to end and keep their partial results; after the grace time of their queue they are ended by force. Those that wait end as Cancelled.",
        ],
        true,
    ),
    words(
        "delete",
        "Delete",
        [
            "It goes for good, with its result, its parameters and its history.",
            "Those that have ended go for good, with their results, parameters and histories. Those that wait or run are left alone.",
        ],
        true,
    ),
    words(
        "retry",
        "Retry",
        [
            "Its next attempt starts as soon as a slot is free.",
            "Those that have ended in Error, or wait for their next attempt, start again as soon as a slot is free.",
        ],
        false,
    ),
    words(
        "changePriority",
        "Change priority",
        [
            "It starts before all that wait with a lower priority.",
            "Those that wait get this priority. Those that run or have ended are left alone.",
        ],
        false,
    ),
    words("duplicate", "Duplicate", ["A copy with the same parameters is queued.", ""], false),
    words("pause", "Pause", ["It keeps its slot and does nothing until it is resumed.", ""], false),
    words("resume", "Resume", ["It goes on.", ""], false),
];

/// The actions that a command is for.
enum Meant {
    One(String),
    Some(Vec<String>),
    /// All that the filters select.
    All(Filters),
}

impl Meant {
    /// Reads it; `None` if nothing was chosen.
    fn of(given: &Pairs) -> Option<Self> {
        let get = |name: &str| given.given(name).unwrap_or_default();
        if get("All") == "true" {
            return Some(Self::All(Filters::of_pairs(given)));
        }
        if !get("Token").is_empty() {
            return Some(Self::One(get("Token").to_owned()));
        }
        // Each row that is chosen has a field of its own.
        let chosen = texts(given).filter(|(name, _)| name.eq_ignore_ascii_case("Tokens"));
        let tokens = chosen.flat_map(|(_, value)| value.split(',').map(str::trim));
        let tokens: Vec<_> =
            tokens.filter(|token| !token.is_empty()).map(ToOwned::to_owned).collect();
        (!tokens.is_empty()).then_some(Self::Some(tokens))
    }
}

/// Asks before something is changed.
pub(super) fn confirm(page: &PageRequest) -> Result<Answer, Refused> {
    let given = |name: &str| page.given(name).to_owned();
    let (schedule, handler) = (page.given("ScheduleName"), page.given("Handler"));
    if !schedule.is_empty() {
        let fields = [("ScheduleAction", "remove"), ("ScheduleName", schedule)];
        let meaning = "It runs no more, and its definition goes. What it has queued stays.";
        return Ok(other(
            page,
            "schedule",
            format!("Remove the schedule {schedule}?"),
            meaning,
            fields,
        ));
    }
    if !handler.is_empty() {
        let fields = [("EventAction", "discard"), ("Handler", handler)];
        let question = format!("Discard the failed events of {handler}?");
        return Ok(other(page, "handler", question, "They are never delivered.", fields));
    }
    let words = command(page.given("QueueAction"))?;
    let queue = given("QueueName");
    let meant =
        Meant::of(&page.query).ok_or_else(|| Refused::Error("No action is chosen.".to_owned()))?;
    let mut fields = vec![("QueueAction".to_owned(), words.word.to_owned())];
    if !queue.is_empty() {
        fields.push(("QueueName".to_owned(), queue.clone()));
    }
    let (whom, meaning) = match &meant {
        Meant::One(token) => {
            fields.push(("Token".to_owned(), token.clone()));
            (format!("action {}", id_of(token)), words.one)
        }
        Meant::Some(tokens) => {
            fields.push(("Tokens".to_owned(), tokens.join(",")));
            let number = tokens.len();
            let actions = if number == 1 { "action" } else { "actions" };
            (format!("{} {actions} of {queue}", grouped(number as u64)), words.many)
        }
        Meant::All(filters) => {
            fields.push(("All".to_owned(), "true".to_owned()));
            let pairs = filters.pairs().map(|(name, value)| (name.to_owned(), value.to_owned()));
            fields.extend(pairs);
            let whom = match filters.is_empty() {
                true => format!("all actions of {queue}"),
                false => format!("all actions of {queue} with {}", filters.said()),
            };
            (whom, words.many)
        }
    };
    let question = format!("{} {whom}?", words.label);
    let back = given("back");
    let back = if back.is_empty() { page.base.clone() } else { back };
    let frame = Frame::of(page, "queues", question.clone());
    Ok(rendered(
        200,
        &ConfirmPage {
            frame,
            target: "command",
            question,
            meaning,
            label: words.label,
            is_dangerous: words.is_dangerous,
            asks_for_priority: words.word == "changePriority",
            fields,
            back,
        },
    ))
}

/// Asks before something else than actions is changed.
fn other(
    page: &PageRequest,
    target: &'static str,
    question: String,
    meaning: &'static str,
    fields: [(&str, &str); 2],
) -> Answer {
    let label = if target == "schedule" { "Remove" } else { "Discard" };
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let back = page.given("back");
    let confirm = ConfirmPage {
        frame: Frame::of(page, "server", question.clone()),
        target,
        question,
        meaning,
        label,
        is_dangerous: true,
        asks_for_priority: false,
        fields: fields.into(),
        back: if back.is_empty() { page.base.clone() } else { back.to_owned() },
    };
    rendered(200, &confirm)
}

fn command(word: &str) -> Result<&'static Words, Refused> {
    let found = COMMANDS.iter().find(|words| words.word.eq_ignore_ascii_case(word));
    found.ok_or_else(|| Refused::Error(format!("There is no command {word:?} here.")))
}

/// Seconds for which a page waits for a command to many; the rest goes on without it.
const PATIENCE: &str = "5";

/// Gives the command that a form asks for, and leads back with what came of it.
pub(super) async fn perform(page: &PageRequest) -> Answer {
    match performed(page).await {
        Ok(answer) => answer,
        Err(refused) if page.should_sign_in(&refused) => Answer::SignIn,
        Err(refused) => {
            let said = Some(format!("Refused: {}", refused.text()));
            Answer::SeeOther { path: back(page), said }
        }
    }
}

async fn performed(page: &PageRequest) -> Result<Answer, Refused> {
    let given = page.form.clone().unwrap_or_default();
    let (word, queue) = (page.field("QueueAction").to_owned(), page.field("QueueName"));
    let is_of_queue = page.field("Whole") == "true";
    if is_of_queue && matches!(&*word, "pause" | "resume") {
        page.asker.ask("QueueInfo", [("QueueAction", &*word), ("QueueName", queue)]).await?;
        let done = if word == "pause" { "is paused: it starts nothing new" } else { "goes on" };
        return Ok(Answer::SeeOther { path: back(page), said: Some(format!("{queue} {done}.")) });
    }
    let words = command(&word)?;
    let meant =
        Meant::of(&given).ok_or_else(|| Refused::Error("No action is chosen.".to_owned()))?;
    let is_one = matches!(meant, Meant::One(_));
    let mut pairs = match meant {
        Meant::One(token) => Pairs::from([("QueueAction", words.word), ("Token", &*token)]),
        Meant::Some(tokens) => {
            Pairs::from([("QueueAction", words.word), ("Tokens", &*tokens.join(","))])
        }
        Meant::All(filters) => {
            let mut pairs = filters.asked(queue, words.word);
            pairs.push("All", PairValue::Text("true".to_owned()));
            pairs
        }
    };
    if !is_one {
        pairs.push("Wait", PairValue::Text(PATIENCE.to_owned()));
    }
    if words.word == "changePriority" {
        pairs.push("Priority", PairValue::Text(page.field("Priority").to_owned()));
    }
    let reply = page.asker.perform("QueueInfo", pairs).await?;
    if words.word == "duplicate" {
        let token = text(&reply, "token");
        let path = format!("{}/action?Token={}", page.base, encoded(&token));
        return Ok(Answer::SeeOther { path, said: Some("This is the copy.".to_owned()) });
    }
    if is_one {
        let deleted = words.word == "delete";
        let said = match deleted {
            true => "The action is deleted.".to_owned(),
            false => format!("The action is now {}.", text(&reply, "status")),
        };
        // A page of what is deleted is none.
        let path = match deleted && back(page).contains("/action?") {
            true => format!("{}/queue?QueueName={}", page.base, encoded(queue)),
            false => back(page),
        };
        return Ok(Answer::SeeOther { path, said: Some(said) });
    }
    let mut said = format!(
        "{}: {} done, {} refused",
        words.label,
        grouped(number(&reply, "done")),
        grouped(number(&reply, "refused"))
    );
    let reasons = first(&reply, "reasons").map(children).unwrap_or_default();
    for reason in all(reasons, "reason") {
        let told = children(reason);
        said.push_str(&format!(" ({}: {})", number(told, "count"), text(told, "text")));
    }
    said.push('.');
    if text(&reply, "more") == "true" {
        said.push_str(" The rest goes on in the background.");
    }
    Ok(Answer::SeeOther { path: back(page), said: Some(said) })
}
