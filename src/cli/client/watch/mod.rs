//! `actiond watch`: queues and actions on the whole screen, live, with keys to steer them.
//!
//! | module | what it is |
//! |---|---|
//! | here | the command: it joins the others |
//! | `state` | what is shown and selected, and what keys do: pure |
//! | `command` | what can be done to actions and queues |
//! | `view` | the picture of a state |
//! | `feed` | asks the server, when events say that there is news, or once a second |
//! | `keys` | reads the keyboard |
//! | `screen` | takes the terminal, and gives it back whatever happens |

mod command;
mod feed;
mod keys;
mod screen;
mod state;
mod view;

use std::io::{self, IsTerminal as _};

use crossterm::event::{Event, KeyEventKind};
use tokio::sync::mpsc;

use super::args::ConnectionArgs;
use super::exit::Exit;
use super::failure::Failure;
use super::session::Session;
use super::show;
use crate::aci::client::Client;
use feed::{Feed, News};
use screen::{Screen, Signals};
use state::{Effect, State};

/// Number of news that wait to be shown.
const NEWS: usize = 64;

/// The options of `actiond watch`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct WatchArgs {
    /// Only these queues; servers other than actiond have to be told which ones there are
    #[arg(value_name = "QUEUE")]
    pub(crate) queues: Vec<String>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

pub(super) async fn run(args: Box<WatchArgs>) -> Result<Exit, Failure> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        let why = "watch needs a terminal; `actiond queues`, `list` and `events` do without one";
        return Err(Failure::Usage(why.to_owned()));
    }
    let session = Session::new(&args.connection, None)?;
    // What can't be reached or may not be seen is said on a terminal that is as it was.
    let queues = session.client.queues(&args.queues).await?;
    let mut state = State::new(session.client.server());
    state.take_queues(queues);
    watch(session.client, args.queues, state).await
}

async fn watch(client: Client, names: Vec<String>, mut state: State) -> Result<Exit, Failure> {
    let failed = |error: io::Error| Failure::Local(format!("the terminal can't be used: {error}"));
    let mut signals = Signals::listen().map_err(failed)?;
    let mut screen = Screen::take().map_err(failed)?;
    let (news, mut heard) = mpsc::channel(NEWS);
    let mut feed = Feed::begin(client.clone(), names, news.clone());
    feed.look(state.sight());
    let mut keys = keys::listen().map_err(failed)?;
    loop {
        screen.draw(|frame| view::draw(&mut state, frame)).map_err(failed)?;
        let effect = tokio::select! {
            event = keys.recv() => match event {
                Some(Event::Key(key)) if key.kind != KeyEventKind::Release => state.key(key),
                // A resize, for which the picture is drawn again.
                Some(_) => Effect::None,
                // The terminal has gone.
                None => return Ok(Exit::Failed),
            },
            Some(heard) = heard.recv() => {
                state.hear(heard);
                Effect::None
            }
            () = signals.next() => return Ok(Exit::Failed),
            // Its message stands on the terminal, which the panic has given back.
            () = feed.ended() => return Ok(Exit::Failed),
        };
        match effect {
            Effect::None => {}
            Effect::Quit => return Ok(Exit::Success),
            Effect::Look => feed.look(state.sight()),
            Effect::Do(command) => {
                let (client, news, feed) = (client.clone(), news.clone(), feed.handle());
                tokio::spawn(async move {
                    let told = command.run(&client).await;
                    let told = told.map_err(|error| show::line(&error.to_string()).into_owned());
                    // The program may have ended meanwhile.
                    let _ = news.send(News::Done(told)).await;
                    feed.again();
                });
            }
            Effect::Details(token) => {
                let (client, news) = (client.clone(), news.clone());
                tokio::spawn(async move {
                    let details = feed::details(&client, &token).await;
                    let _ = news.send(News::Details(details)).await;
                });
            }
        }
    }
}
