//! Any action, with a form that is made of the help.

use askama::Template;

use super::action::{Given, given, quoted};
use super::{Frame, rendered};
use crate::aci::client::Reply;
use crate::aci::element::Element;
use crate::aci::request::{PairValue, Pairs};
use crate::admin::ask::{Refused, Sent};
use crate::admin::request::{Answer, PageRequest, texts};
use crate::admin::tree::{all, attribute, children, first, text, text_of};
use crate::admin::view::{Line, encoded, lines, query};
use crate::front::Port;

#[derive(Template)]
#[template(path = "console.html")]
struct ConsolePage {
    frame: Frame,
    actions: Vec<Choice>,
    chosen: Option<Form>,
    sent: Option<Shown>,
}

/// An action to choose.
struct Choice {
    name: String,
    query: String,
    asynchronous: bool,
    chosen: bool,
}

/// The form of an action.
struct Form {
    name: String,
    summary: String,
    asynchronous: bool,
    role: String,
    fields: Vec<Field>,
    /// Lines `NAME=VALUE` of parameters that have no field.
    more: String,
    takes_more: bool,
}

struct Field {
    name: String,
    summary: String,
    allowed: String,
    required: bool,
    /// Words to choose from.
    words: Vec<String>,
    value: String,
    /// True for one that every action has.
    common: bool,
}

/// A request that was sent, and the reply.
struct Shown {
    url: String,
    curl: String,
    /// The reply as a tree, if it is one.
    lines: Vec<Line>,
    /// Else its text.
    text: String,
    error: bool,
    is_cut: bool,
}

/// Largest number of bytes of a reply that are shown.
const MOST: usize = 1 << 20;

/// Parameters that every action has and a form of the console need not.
const UNUSUAL: &[&str] = &["ActionID", "ResponseFormat"];

pub(super) async fn show(page: &PageRequest) -> Result<Answer, Refused> {
    let mut values = Pairs::default();
    // The parameters of an action of which another is to be made.
    let from = page.given("From");
    if !from.is_empty() {
        let copied = given(page, from).await.ok_or_else(|| {
            Refused::Error("The parameters of this action are not kept any more.".to_owned())
        })?;
        for (name, value) in copied {
            match value {
                Given::Text(text) => values.push(name, PairValue::Text(text)),
                Given::Hidden(note) => {
                    let what = format!("The parameter {name} has {note}; use Duplicate instead.");
                    return Err(Refused::Error(what));
                }
            }
        }
    }
    render(page, page.given("Action"), &values, None).await
}

/// Sends the request of a form.
pub(super) async fn send(page: &PageRequest) -> Answer {
    let action = page.field("console-action").to_owned();
    let pairs = pairs(page.form.as_ref());
    let sent = page.asker.send(Port::Aci, &action, pairs.clone(), MOST).await;
    let shown = shown(page, &action, &pairs, sent);
    match render(page, &action, &pairs, Some(shown)).await {
        Ok(answer) => answer,
        Err(refused) => super::refusal(page, &refused),
    }
}

/// Returns the parameters of a form: its fields, and the lines of further ones.
fn pairs(form: Option<&Pairs>) -> Pairs {
    let mut pairs = Pairs::default();
    for (name, value) in form.into_iter().flat_map(Pairs::iter) {
        let own = name.strip_prefix("p-");
        match (own, value) {
            (Some(name), PairValue::Text(text)) if !text.is_empty() => {
                // A browser ends lines in its own way.
                pairs.push(name, PairValue::Text(text.replace("\r\n", "\n")));
            }
            (Some(name), PairValue::Bytes(bytes)) => {
                pairs.push(name, PairValue::Bytes(bytes.clone()));
            }
            (None, PairValue::Text(text)) if name == "console-more" => {
                let lines = text.lines().filter_map(|line| line.split_once('='));
                for (name, value) in lines.filter(|(name, _)| !name.trim().is_empty()) {
                    pairs.push(name.trim(), PairValue::Text(value.to_owned()));
                }
            }
            _ => {}
        }
    }
    pairs
}

fn shown(page: &PageRequest, action: &str, pairs: &Pairs, sent: Sent) -> Shown {
    let all: Vec<_> = std::iter::once(("action", action)).chain(texts(pairs)).collect();
    let address = format!("{}/", page.server);
    let curl = all.iter().fold(format!("curl {}", quoted(&address)), |curl, (name, value)| {
        format!("{curl} \\\n  --data-urlencode {}", quoted(&format!("{name}={value}")))
    });
    let text = String::from_utf8_lossy(&sent.body).into_owned();
    let read = Reply::read(&text);
    let lines = match &read {
        Ok(reply) if !sent.is_cut => lines(&reply.data),
        _ => Vec::new(),
    };
    let error = read.as_ref().err().map(ToString::to_string).filter(|_| !sent.is_cut);
    Shown {
        url: format!("{address}{}", query(all)),
        curl,
        text: match (&error, lines.is_empty()) {
            (Some(error), _) => error.clone(),
            (None, true) => text,
            (None, false) => String::new(),
        },
        lines,
        error: error.is_some(),
        is_cut: sent.is_cut,
    }
}

async fn render(
    page: &PageRequest,
    action: &str,
    values: &Pairs,
    sent: Option<Shown>,
) -> Result<Answer, Refused> {
    let help = page.asker.ask("Help", []).await?;
    let actions = first(&help, "actions").map(children).unwrap_or_default();
    let is_chosen = |of: &&Element| text(children(of), "name").eq_ignore_ascii_case(action);
    let chosen = all(actions, "action").find(is_chosen).map(|of| form(children(of), values));
    let choices = all(actions, "action").map(|of| {
        let name = text(children(of), "name");
        Choice {
            query: format!("Action={}", encoded(&name)),
            asynchronous: text(children(of), "asynchronous") == "true",
            chosen: name.eq_ignore_ascii_case(action),
            name,
        }
    });
    let title = chosen.as_ref().map_or_else(|| "Console".to_owned(), |form| form.name.clone());
    let frame = Frame::of(page, "console", title);
    Ok(rendered(200, &ConsolePage { frame, actions: choices.collect(), chosen, sent }))
}

fn form(told: &[Element], values: &Pairs) -> Form {
    let parameters = first(told, "parameters").map(children).unwrap_or_default();
    let name_of = |parameter: &Element| attribute(parameter, "name").to_owned();
    let known: Vec<_> = all(parameters, "parameter").map(name_of).collect();
    let is_known = |name: &str| known.iter().any(|known| known.eq_ignore_ascii_case(name));
    let fields = all(parameters, "parameter").filter(|parameter| {
        let name = attribute(parameter, "name");
        name != "*" && !name.ends_with(".NAME")
    });
    let fields = fields.map(|parameter| {
        let name = name_of(parameter);
        let allowed = attribute(parameter, "allowed").to_owned();
        Field {
            value: values.given(&name).unwrap_or_default().to_owned(),
            summary: text_of(parameter).to_owned(),
            required: attribute(parameter, "required") == "true",
            words: words(&allowed),
            common: UNUSUAL.contains(&&*name),
            allowed,
            name,
        }
    });
    let more = texts(values).filter(|(name, _)| !is_known(name));
    let more: Vec<_> = more.map(|(name, value)| format!("{name}={value}")).collect();
    Form {
        name: text(told, "name"),
        summary: text(told, "summary"),
        asynchronous: text(told, "asynchronous") == "true",
        role: text(told, "role"),
        fields: fields.collect(),
        takes_more: known.iter().any(|name| name == "*" || name.ends_with(".NAME")),
        more: more.join("\n"),
    }
}

/// Returns the words of a parameter that takes one of a few.
fn words(allowed: &str) -> Vec<String> {
    if allowed == "true or false" {
        return vec!["true".to_owned(), "false".to_owned()];
    }
    let words: Vec<_> = allowed.split(", ").map(ToOwned::to_owned).collect();
    let is_word = |word: &String| !word.is_empty() && !word.contains(' ');
    if words.len() > 1 && words.iter().all(is_word) { words } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_by_table() {
        for (allowed, expected) in [
            ("true or false", &["true", "false"][..]),
            ("ascending, descending", &["ascending", "descending"]),
            ("any text", &[]),
            ("seconds from 0 to 3600, such as 1.5", &[]),
            ("one or more of queued, running, with commas between them", &[]),
        ] {
            assert_eq!(words(allowed), expected, "{allowed}");
        }
    }

    #[test]
    fn a_form_is_a_request() {
        let form = Pairs::from([
            ("form-token", "secret"),
            ("console-action", "Process"),
            ("p-Name", "Ada"),
            ("p-Empty", ""),
            ("p-Lines", "a\r\nb"),
            ("console-more", "X=1=2\n\nno\n = 3\n Y=\n"),
        ]);
        let expected = Pairs::from([("Name", "Ada"), ("Lines", "a\nb"), ("X", "1=2"), ("Y", "")]);
        assert_eq!(pairs(Some(&form)), expected);
    }
}
