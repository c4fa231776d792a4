//! `actiond bench`: submits actions over many connections, and tells how fast that was. What it has queued it deletes, or says what
//! stays.
//!
//! | module | what it is |
//! |---|---|
//! | here | the command |
//! | `load` | the connections |
//! | `rest` | waiting for the ends, and tidying up |
//! | `report` | what is printed, as pure functions |

mod load;
mod report;
mod rest;

use std::time::Duration;

use super::args::ConnectionArgs;
use super::connection::seconds;
use super::exit::Exit;
use super::failure::Failure;
use super::session::{Session, print, say};
use super::values;
use crate::aci::client::{Client, ClientError, Fault, ServerStatus};
use crate::aci::request::PairValue;
use load::{Load, Until};
use report::{Ended, Report};

/// The time for which it submits, if nothing says another.
const TIME: Duration = Duration::from_secs(10);

/// The parameters by which an action of `Type=Echo` is known in the help.
const ECHO: [&str; 2] = ["Sleep", "Fail"];

/// The options of `actiond bench`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct BenchArgs {
    /// Action to submit [default: the first queue with Type=Echo]
    pub(crate) action: Option<String>,
    /// Parameters of the action
    #[arg(value_name = "Name=Value")]
    pub(crate) parameters: Vec<String>,
    /// Number of connections, each with one request at a time
    #[arg(long, short, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) connections: u16,
    /// Submit for so many seconds [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, conflicts_with = "number")]
    pub(crate) seconds: Option<Duration>,
    /// Submit so many actions
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) number: Option<u64>,
    /// Leave the actions where they are
    #[arg(long)]
    pub(crate) keep: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

pub(super) async fn run(args: Box<BenchArgs>) -> Result<Exit, Failure> {
    let session = Session::new(&args.connection, None)?;
    let client = &session.client;
    let status = status_of(client).await?;
    // What looks like a parameter is one: the action may be left out.
    let (action, first) = match &args.action {
        Some(text) if text.contains('=') => (None, Some(text.clone())),
        action => (action.clone(), None),
    };
    let action = match action {
        Some(action) => action,
        None => echo_of(client).await?,
    };
    let arguments: Vec<_> = first.into_iter().chain(args.parameters.iter().cloned()).collect();
    let mut parameters = values::read(&arguments)?;
    let id = format!("actiond-bench-{:012x}", fastrand::u64(..1 << 48));
    parameters.push("ActionID", PairValue::Text(id.clone()));
    let until = match (args.number, args.seconds) {
        (Some(number), _) => Until::Number(number),
        (None, time) => Until::Time(time.unwrap_or(TIME)),
    };
    say(&format!("submitting {} to {}", super::show::line(&action), client.server()));
    let load = Load { client, action: &action, parameters, connections: args.connections, until };
    let sent = load.run().await?;
    // Another server may not know the filter by which they are found.
    let ended = match status.is_actiond() && sent.accepted() > 0 {
        true => rest::wait(client, &action, &id, &sent).await,
        false => Ended::NotSeen,
    };
    let report = Report { sent: &sent, ended, status: &status, connections: args.connections };
    print(&if args.json { report.json() } else { report.text() })?;
    if args.keep {
        say(&rest::left(&action, &id, status.is_actiond(), sent.accepted()));
    } else {
        rest::tidy(client, &action, &id, status.is_actiond(), &sent).await;
    }
    match sent.failure {
        Some(failure) => Err(failure.into()),
        None if sent.accepted() == 0 => Ok(Exit::Refused),
        None => Ok(Exit::Success),
    }
}

/// Returns what the server tells of itself: nothing if it tells this caller nothing.
async fn status_of(client: &Client) -> Result<ServerStatus, Failure> {
    match client.server_status().await {
        Err(ClientError { fault: Fault::Refused(_), .. }) => Ok(ServerStatus::default()),
        status => Ok(status?),
    }
}

/// Finds an action that does nothing.
async fn echo_of(client: &Client) -> Result<String, Failure> {
    let help = match client.help().await {
        Err(ClientError { fault: Fault::Refused(_), .. }) => Vec::new(),
        help => help?,
    };
    let has = |names: &[String], wanted: &str| names.iter().any(|name| name == wanted);
    let echo = help
        .into_iter()
        .find(|it| it.asynchronous && ECHO.iter().all(|name| has(&it.parameters, name)));
    echo.map(|it| it.name).ok_or_else(|| {
        Failure::Usage(format!(
            "{} tells of no queue with Type=Echo: name an action that does no harm, such as `actiond bench Process`",
            client.server()
        ))
    })
}
