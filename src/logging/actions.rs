//! The lines of the start and the end of asynchronous actions.

use std::fmt;

use actiond_actors::events::{Interest, Observer, QueueEvent, observer};
use actiond_actors::{ActionRef, OneLine, Requeue, State};

use super::level::Level;
use super::line::{About, Line};
use super::routes::ACTION;
use super::{ACTION_TYPE, Streams};

const TARGET: &str = "actiond::actions";

/// Makes an [observer](actiond_actors::Builder::observer) that writes a line of type `action`, and of the type of its kind, when an
/// attempt at an action starts and when it ends. It needs [`Streams::set_tokens`].
pub fn log_actions(streams: Streams) -> impl Observer {
    let interest = Interest::STARTED | Interest::ENDED;
    observer(interest, move |queue, event| {
        if streams.is_open() {
            log_event(&streams, queue, event);
        }
    })
}

fn log_event(streams: &Streams, queue: &str, event: &QueueEvent<'_>) {
    let name = Upper(queue);
    let error = |error: Option<&str>| {
        error.map(|error| format!(": {}", OneLine(error))).unwrap_or_default()
    };
    match *event {
        QueueEvent::Started { action, .. } => {
            let say =
                |message: fmt::Arguments<'_>| put(streams, queue, action, Level::Always, message);
            match action.attempt {
                0 | 1 => say(format_args!("Starting {name}")),
                number => say(format_args!("Starting {name}, attempt {number}")),
            }
        }
        QueueEvent::Ended { action, state: State::Finished, .. } => {
            put(streams, queue, action, Level::Always, format_args!("Finished {name}"));
        }
        QueueEvent::Ended { action, state, error: why, .. } => {
            let level = if state == State::Error { Level::Error } else { Level::Warning };
            let why = error(why);
            put(streams, queue, action, level, format_args!("{name} has ended: {state}{why}"));
        }
        QueueEvent::Requeued { action, why, .. } => {
            let why = match why {
                Requeue::Interrupted => "its attempt was interrupted".to_owned(),
                Requeue::Failed { error: why, .. } => {
                    format!("its attempt has failed{}", error(why))
                }
                Requeue::Released => "its attempt was given back undone".to_owned(),
                Requeue::Asked => "a client wants another attempt".to_owned(),
                _ => "for another attempt".to_owned(),
            };
            put(
                streams,
                queue,
                action,
                Level::Warning,
                format_args!("{name} is queued again: {why}"),
            );
        }
        _ => {}
    }
}

fn put(streams: &Streams, queue: &str, action: ActionRef, level: Level, said: fmt::Arguments<'_>) {
    let open = streams.0.open.load();
    let own = open.routes.queue(queue).map_or(0, |queue| queue.own());
    let to = ACTION | own;
    if open.routes.taken & to == 0 {
        return;
    }
    let tokens = streams.0.tokens.load();
    let token = tokens.as_ref().map(|tokens| tokens(queue, action));
    let about = About { token: token.as_deref(), queue: Some(queue), ..About::default() };
    let lines = [Line { level, kind: ACTION_TYPE, target: TARGET, message: said, about }];
    let echo = streams.put(&open, to, &lines);
    streams.echo(echo, &lines);
}

/// A name in capital letters, as tokens have it.
struct Upper<'a>(&'a str);

impl fmt::Display for Upper<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| fmt::Write::write_char(f, c.to_ascii_uppercase()))
    }
}
