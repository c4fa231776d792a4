//! The pages, and what their forms change. Each has a template in `src/admin/templates`, which escapes by type.
//!
//! | module | contents |
//! |---|---|
//! | here | which request is for which page; the frame around each |
//! | `queues` | all queues |
//! | `queue` | the actions of a queue, with filters |
//! | `action` | one action |
//! | `console` | any action, with a form |
//! | `server` | the server, its schedules, handlers of events and log |
//! | `command` | what is changed: the question before it, and what came of it |
//! | `sign_in` | sessions |

mod action;
mod command;
mod console;
mod filters;
mod queue;
mod queues;
mod server;
mod sign_in;

use askama::Template;

use super::ask::Refused;
use super::request::{Answer, PageRequest};

/// The frame around each page.
#[derive(Debug)]
pub(super) struct Frame {
    base: String,
    title: String,
    /// The part of the navigation that is marked.
    part: &'static str,
    form_token: String,
    /// True if the user has signed in.
    is_signed_in: bool,
    has_keys: bool,
    said: Option<String>,
    /// The parameters with which the page listens to live events; empty if it does not.
    live: String,
    version: &'static str,
}

impl Frame {
    fn of(page: &PageRequest, part: &'static str, title: impl Into<String>) -> Self {
        Self {
            base: page.base.clone(),
            title: title.into(),
            part,
            form_token: page.form_token.clone(),
            is_signed_in: page.session.key.is_some(),
            has_keys: page.has_keys,
            said: page.said.clone(),
            live: String::new(),
            version: super::assets::version(),
        }
    }

    fn live(self, live: String) -> Self {
        Self { live, ..self }
    }
}

/// Answers a request for a page.
pub(crate) async fn answer(page: &PageRequest) -> Answer {
    let path = page.path.trim_matches('/');
    if page.form.is_some() {
        return match path {
            "command" => command::perform(page).await,
            "send" => console::send(page).await,
            "schedule" => server::command_schedule(page).await,
            "handler" => server::command_handler(page).await,
            "sign-in" => sign_in::sign_in(page),
            "sign-out" => sign_in::sign_out(page),
            _ => nothing_here(page),
        };
    }
    let answer = match path {
        "" => queues::show(page).await,
        "card" => queues::card(page).await,
        "queue" => queue::show(page).await,
        "rows" => queue::rows(page).await,
        "action" => action::show(page).await,
        "download" => action::download(page).await,
        "confirm" => command::confirm(page),
        "console" => console::show(page).await,
        "server" => server::show(page).await,
        "sign-in" => Ok(sign_in::show(page, None)),
        _ => Ok(nothing_here(page)),
    };
    answer.unwrap_or_else(|refused| refusal(page, &refused))
}

/// The page about a request that was refused.
#[derive(Template)]
#[template(path = "refused.html")]
struct RefusedPage {
    frame: Frame,
    text: String,
}

/// Returns the page about a request that was refused; a user who may get further with a key is asked for one.
fn refusal(page: &PageRequest, refused: &Refused) -> Answer {
    if page.should_sign_in(refused) {
        return Answer::SignIn;
    }
    let status = if matches!(refused, Refused::Permission(_)) { 403 } else { 400 };
    let frame = Frame::of(page, "", "Refused");
    rendered(status, &RefusedPage { frame, text: refused.text().to_owned() })
}

fn nothing_here(page: &PageRequest) -> Answer {
    let frame = Frame::of(page, "", "Not found");
    rendered(404, &RefusedPage { frame, text: "There is no such page.".to_owned() })
}

fn rendered(status: u16, template: &impl Template) -> Answer {
    match template.render() {
        Ok(html) => Answer::Page { status, html },
        // Writing to a string can't fail, and nothing else in a template can.
        Err(error) => Answer::Page { status: 500, html: format!("This page failed: {error}") },
    }
}

/// Returns where a form wants to lead back to, if that is a page here; else the first one.
fn back(page: &PageRequest) -> String {
    let back = page.field("back");
    let is_here = back
        .strip_prefix(&page.base)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest.starts_with('?'));
    if is_here && !back.contains(['\\', '\r', '\n']) && !back.contains("//") {
        back.to_owned()
    } else {
        page.base.clone()
    }
}
