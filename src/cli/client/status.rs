//! `actiond status`: an action, with what the server tells of it.

use std::time::Duration;

use super::args::{ConnectionArgs, FormArgs, QueueArgs, WaitArgs};
use super::exit::Exit;
use super::failure::Failure;
use super::follow::{self, Followed};
use super::session::{Form, Session, json, print, print_elements, xml};
use crate::aci::client::tree::children;
use crate::aci::client::{Client, Status};
use crate::aci::element::Element;

/// The options of `actiond status`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct StatusArgs {
    /// Tokens of actions
    #[arg(value_name = "TOKEN", required = true, value_parser = super::args::token)]
    pub(crate) tokens: Vec<String>,
    /// Show each attempt, too
    #[arg(long)]
    pub(crate) history: bool,
    /// Show the last lines that running actions have logged, too
    #[arg(long)]
    pub(crate) log: bool,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
    #[command(flatten)]
    pub(crate) form: FormArgs,
    #[command(flatten)]
    pub(crate) queue: QueueArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

pub(super) async fn run(args: Box<StatusArgs>) -> Result<Exit, Failure> {
    let session = Session::new(&args.connection, args.queue.queue.as_deref())?;
    let form = Form::from(args.form);
    let mut exit = Exit::Success;
    let mut shown = Vec::new();
    for token in &args.tokens {
        if args.wait.wait {
            let followed = follow::to_end(&session, token, args.wait.at_most).await?;
            let code = match &followed {
                Followed::Ended(status) => Exit::of(status),
                Followed::Left => Exit::NotEnded,
            };
            // The first one that did not go well decides.
            exit = if exit == Exit::Success { code } else { exit };
        }
        shown.push(fetch(&session.client, token, args.history, args.log).await?);
    }
    print_actions(shown, form)?;
    Ok(exit)
}

/// Asks for an action, with all that the server tells.
async fn fetch(client: &Client, token: &str, history: bool, log: bool) -> Result<Element, Failure> {
    let mut more = Vec::new();
    if history {
        more.push(("History", "true".to_owned()));
    }
    if log {
        more.push(("Log", "true".to_owned()));
    }
    Ok(client.status_element(token, Duration::ZERO, more).await?)
}

/// Prints actions: one as it is, several as a list.
fn print_actions(actions: Vec<Element>, form: Form) -> Result<(), Failure> {
    match form {
        Form::Text => {
            for (at, action) in actions.iter().enumerate() {
                if at > 0 {
                    print("\n")?;
                }
                print_elements("action", children(action), form)?;
            }
            Ok(())
        }
        Form::Json => match actions.as_slice() {
            [action] => print_elements("action", children(action), form),
            actions => {
                let actions: Vec<_> =
                    actions.iter().map(|action| json("action", children(action))).collect();
                print(&format!("[\n{}\n]\n", actions.join(",\n")))
            }
        },
        Form::Xml => print(&format!("{}\n", xml(Element::new("actions").children(actions)))),
    }
}

/// Prints an action that was waited for: its state to people, all of it to programs. Returns the exit code for its state.
pub(super) async fn print_ended(
    session: &Session,
    token: &str,
    followed: &Followed,
    form: Form,
) -> Result<Exit, Failure> {
    let exit = match followed {
        Followed::Ended(status) => Exit::of(status),
        Followed::Left => return Ok(Exit::NotEnded),
    };
    let action = fetch(&session.client, token, false, false).await?;
    print_actions(vec![action], form)?;
    if let Followed::Ended(Status::Other(word)) = followed
        && exit == Exit::Failed
    {
        let word = super::show::line(word);
        super::session::say(&format!("the server calls its end {word}, which is not known here"));
    }
    Ok(exit)
}
