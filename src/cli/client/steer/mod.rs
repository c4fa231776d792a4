//! The commands that steer actions and queues: `cancel`, `stop`, `priority`, `pause`, `resume`, `duplicate`, `retry`, `delete`.
//!
//! | module | what it is |
//! |---|---|
//! | here | the commands |
//! | `target` | the actions that a command is for |
//! | `many` | commands to many |

mod many;
mod target;

use clap::builder::NonEmptyStringValueParser;

use super::args::{ConnectionArgs, FormArgs, QueueArgs, WaitArgs};
use super::exit::Exit;
use super::failure::Failure;
use super::follow;
use super::session::{Form, Session, print, print_elements};
use super::show::{line, painted, style};
use super::status::print_ended;
use crate::aci::client::{About, Client, ClientError, Fault, ManyCommand, Status};
use crate::aci::element::Element;
use target::Target;
pub(crate) use target::TargetArgs;

/// The options of a command to one action or many.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct ManyArgs {
    /// Tokens of actions; with --all, filters by their parameters
    #[arg(value_name = "TOKEN|Parameter.NAME=VALUE", value_parser = super::args::token)]
    pub(crate) tokens: Vec<String>,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// The options of `actiond stop`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct StopArgs {
    /// Force them at once: what can be killed is killed, without the time in which it could end in order
    #[arg(long)]
    pub(crate) force: bool,
    /// All that run in --queue, as every ACI server knows it
    #[arg(long, requires = "queue", conflicts_with_all = ["all", "tokens_option"])]
    pub(crate) running: bool,
    #[command(flatten)]
    pub(crate) many: ManyArgs,
}

/// The options of `actiond priority`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct PriorityArgs {
    /// Tokens of actions, and behind them the new priority; higher ones start first
    #[arg(value_name = "TOKEN... PRIORITY", required = true, allow_negative_numbers = true, value_parser = super::args::token)]
    pub(crate) tokens: Vec<String>,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// The options of `actiond pause` and `actiond resume`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct PauseArgs {
    /// Tokens of actions; without any, the whole --queue
    #[arg(value_name = "TOKEN", required_unless_present = "queue", value_parser = super::args::token)]
    pub(crate) tokens: Vec<String>,
    /// Queue; with tokens, the one of those that do not tell it
    #[arg(long, value_name = "QUEUE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) queue: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// The options of `actiond duplicate`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct DuplicateArgs {
    /// Token of an action
    #[arg(value_parser = super::args::token)]
    pub(crate) token: String,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
    #[command(flatten)]
    pub(crate) form: FormArgs,
    #[command(flatten)]
    pub(crate) queue: QueueArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

pub(super) async fn cancel(args: Box<ManyArgs>) -> Result<Exit, Failure> {
    command(&args, ManyCommand::Cancel, false).await
}

pub(super) async fn retry(args: Box<ManyArgs>) -> Result<Exit, Failure> {
    command(&args, ManyCommand::Retry, false).await
}

pub(super) async fn delete(args: Box<ManyArgs>) -> Result<Exit, Failure> {
    command(&args, ManyCommand::Delete, false).await
}

pub(super) async fn stop(args: Box<StopArgs>) -> Result<Exit, Failure> {
    if !args.running {
        return command(&args.many, ManyCommand::Stop, args.force).await;
    }
    let target = &args.many.target;
    let queue = target.queue.as_deref().unwrap_or_default();
    if !args.many.tokens.is_empty() {
        return Err(Failure::Usage("--running is for all that run: it takes no tokens".to_owned()));
    }
    super::ask::confirm(&format!("stop all that run in {}", line(queue)), target.yes).await?;
    let session = Session::new(&args.many.connection, None)?;
    let times = if args.force { 2 } else { 1 };
    for time in 1..=times {
        let stopped = session.client.queue_info("stop", About::Queue(queue), Vec::new()).await?;
        if time == times {
            print_elements(
                "responsedata",
                &stopped.data,
                Form::from(FormArgs { json: target.json, xml: false }),
            )?;
        }
    }
    Ok(Exit::Success)
}

pub(super) async fn priority(args: Box<PriorityArgs>) -> Result<Exit, Failure> {
    let PriorityArgs { mut tokens, target, connection } = *args;
    let last = tokens.pop().unwrap_or_default();
    let priority = last.parse().map_err(|_| {
        let shown = super::show::cut(&last, 40);
        Failure::Usage(format!("'{shown}' is no priority: write a whole number behind the tokens"))
    })?;
    let many = ManyArgs { tokens, target, connection };
    command(&many, ManyCommand::ChangePriority(priority), false).await
}

pub(super) async fn pause(args: Box<PauseArgs>) -> Result<Exit, Failure> {
    pause_or_resume(&args, "pause").await
}

pub(super) async fn resume(args: Box<PauseArgs>) -> Result<Exit, Failure> {
    pause_or_resume(&args, "resume").await
}

async fn pause_or_resume(args: &PauseArgs, word: &'static str) -> Result<Exit, Failure> {
    let session = Session::new(&args.connection, args.queue.as_deref())?;
    if let (true, Some(queue)) = (args.tokens.is_empty(), &args.queue) {
        let reply = session.client.queue_info(word, About::Queue(queue), Vec::new()).await?;
        let form = Form::from(FormArgs { json: args.json, xml: false });
        print_elements("responsedata", &reply.data, form)?;
        return Ok(Exit::Success);
    }
    let ask = async |client: &Client, token: &str| match word {
        "pause" => client.pause(token).await,
        _ => client.resume(token).await,
    };
    each(&session, &args.tokens, args.json, ask).await
}

pub(super) async fn duplicate(args: Box<DuplicateArgs>) -> Result<Exit, Failure> {
    let session = Session::new(&args.connection, args.queue.queue.as_deref())?;
    let token = session.client.duplicate(&args.token).await?;
    finish_submission(&session, &token, args.wait, args.form).await
}

/// Prints the token of an action that was queued; or waits for its end, and prints how it has ended.
pub(super) async fn finish_submission(
    session: &Session,
    token: &str,
    wait: WaitArgs,
    form: FormArgs,
) -> Result<Exit, Failure> {
    if wait.wait {
        let followed = follow::to_end(session, token, wait.at_most).await?;
        return print_ended(session, token, &followed, Form::from(form)).await;
    }
    match Form::from(form) {
        // It alone, for `TOKEN=$(actiond send ...)`.
        Form::Text => print(&format!("{}\n", line(token)))?,
        form => print_elements("responsedata", &[Element::text("token", token)], form)?,
    }
    Ok(Exit::Success)
}

/// Gives a command to the actions that the arguments name.
async fn command(args: &ManyArgs, command: ManyCommand, force: bool) -> Result<Exit, Failure> {
    let target = Target::read(&args.tokens, &args.target)?;
    if let Target::Each(tokens) = &target {
        let session = Session::new(&args.connection, args.target.queue.as_deref())?;
        let ask = async |client: &Client, token: &str| one(client, command, token, force).await;
        return each(&session, tokens, args.target.json, ask).await;
    }
    super::ask::confirm(&target.question(command), args.target.yes).await?;
    let session = Session::new(&args.connection, args.target.queue.as_deref())?;
    many::run(&session.client, command, &target, force, args.target.json).await
}

/// Gives a command to one action.
async fn one(
    client: &Client,
    command: ManyCommand,
    token: &str,
    force: bool,
) -> Result<Option<Status>, ClientError> {
    match command {
        ManyCommand::Cancel => client.cancel(token).await,
        ManyCommand::ChangePriority(priority) => client.change_priority(token, priority).await,
        ManyCommand::Retry => client.retry(token).await,
        ManyCommand::Delete => client.delete(token).await,
        _ => {
            let status = client.stop(token).await?;
            // The second stop is the one that forces. What has ended meanwhile needs none.
            if !force || status.as_ref().is_some_and(Status::has_ended) {
                return Ok(status);
            }
            match client.stop(token).await {
                Err(ClientError { fault: Fault::Refused(_), .. }) => Ok(status),
                forced => forced,
            }
        }
    }
}

/// Gives a command to one action after another, and prints what became of each. A refusal of one does not keep it from the next.
async fn each(
    session: &Session,
    tokens: &[String],
    json: bool,
    ask: impl AsyncFn(&Client, &str) -> Result<Option<Status>, ClientError>,
) -> Result<Exit, Failure> {
    let mut exit = Exit::Success;
    for token in tokens {
        let status = match ask(&session.client, token).await {
            Ok(status) => status,
            Err(error @ ClientError { fault: Fault::Refused(_), .. }) if tokens.len() > 1 => {
                super::session::say(&painted(&line(token), super::show::BOLD));
                exit = Failure::from(error).tell();
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        print(&told(token, status.as_ref(), json))?;
    }
    Ok(exit)
}

/// Writes what became of an action.
fn told(token: &str, status: Option<&Status>, json: bool) -> String {
    let word = status.map_or_else(|| "accepted".to_owned(), ToString::to_string);
    if json {
        let elements = [Element::text("token", token), Element::text("status", word)];
        return format!("{}\n", super::session::json("responsedata", &elements));
    }
    let style = status.map(style).unwrap_or_default();
    format!("{}  {}\n", painted(&line(&word), style), line(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_an_action_is_one_line() {
        let plain = |text: String| anstream::adapter::strip_str(&text).to_string();
        assert_eq!(plain(told("MTI=", Some(&Status::Stopping), false)), "Stopping  MTI=\n");
        assert_eq!(plain(told("MTI=", None, false)), "accepted  MTI=\n");
        let json = told("MTI=", Some(&Status::Stopping), true);
        assert_eq!(json, "{\"token\":\"MTI=\",\"status\":\"Stopping\"}\n");
    }
}
