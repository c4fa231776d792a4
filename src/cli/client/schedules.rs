//! `actiond schedules`: what a server queues by itself, and when.

use clap::builder::styling::Style;

use super::args::{ConnectionArgs, FormArgs};
use super::exit::Exit;
use super::failure::Failure;
use super::session::{Form, Session, print, print_elements};
use super::show::{Column, Table, line, style};
use super::values;
use crate::aci::client::Status;
use crate::aci::client::tree::{child, children, first, is, text_of};
use crate::aci::element::Element;
use crate::aci::request::{PairValue, Pairs};

/// The options of `actiond schedules`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct SchedulesArgs {
    /// What to do; without it, the schedules are listed
    #[command(subcommand)]
    pub(crate) command: Option<ScheduleCommand>,
    #[command(flatten)]
    pub(crate) form: FormArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// A command about schedules.
#[derive(Debug, Clone, PartialEq, Eq, clap::Subcommand)]
pub(crate) enum ScheduleCommand {
    /// List the schedules (this is the default)
    List {
        /// Schedule; all without it
        name: Option<String>,
    },
    /// Queue the action of a schedule now
    Run {
        /// Schedule
        name: String,
    },
    /// Queue nothing for a schedule until it is resumed
    Pause {
        /// Schedule
        name: String,
    },
    /// Go on with a schedule that was paused
    Resume {
        /// Schedule
        name: String,
    },
    /// Make a new schedule, which is kept over restarts
    Add(Box<AddArgs>),
    /// Remove a schedule that was added
    Remove {
        /// Schedule
        name: String,
    },
}

/// The options of `actiond schedules add`: docs/schedules.md says what they mean.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct AddArgs {
    /// Name of the schedule
    pub(crate) name: String,
    /// Action that it queues
    pub(crate) action: String,
    /// Parameters of the action
    #[arg(value_name = "Name=Value")]
    pub(crate) parameters: Vec<String>,
    /// When it is due: five fields as cron has them, or @hourly, @daily, @weekly, @monthly, @yearly
    #[arg(long, value_name = "PATTERN")]
    pub(crate) cron: Option<String>,
    /// Or: each time that so many seconds have passed
    #[arg(long, value_name = "SECONDS", conflicts_with = "cron")]
    pub(crate) repeat_secs: Option<u32>,
    /// Time before which it is not due [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) start_time: Option<String>,
    /// Number of actions after which it ends [default: -1, never]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) cycles: Option<i64>,
    /// Time zone of the pattern, such as Europe/Berlin [default: that of the server]
    #[arg(long, value_name = "ZONE")]
    pub(crate) time_zone: Option<String>,
    /// What happens if its last action has not ended: skip, queue or replace [default: skip]
    #[arg(long, value_name = "WORD")]
    pub(crate) overlap: Option<String>,
    /// What happens about times while no server was there: none or once [default: none]
    #[arg(long, value_name = "WORD")]
    pub(crate) catch_up: Option<String>,
    /// Delay each action by up to so many seconds, by chance
    #[arg(long, value_name = "SECONDS")]
    pub(crate) jitter: Option<u32>,
    /// It runs only when somebody asks for it
    #[arg(long)]
    pub(crate) disabled: bool,
}

const ACTION: &str = "ScheduleInfo";

const COLUMNS: &[Column] = &[
    Column::words("SCHEDULE"),
    Column::words("STATE"),
    Column::words("ACTION"),
    Column::words("DUE"),
    Column::words("LAST"),
    Column::words("OUTCOME"),
    Column::words("NEXT"),
];

pub(super) async fn run(args: Box<SchedulesArgs>) -> Result<Exit, Failure> {
    let SchedulesArgs { command, form, connection } = *args;
    let command = command.unwrap_or(ScheduleCommand::List { name: None });
    let form = Form::from(form);
    let session = Session::new(&connection, None)?;
    let is_list = matches!(command, ScheduleCommand::List { .. });
    let reply = session.client.send(ACTION, request(command)?).await?;
    match form {
        Form::Text if is_list => print(&list(&reply.data))?,
        Form::Text => print(&done(&reply.data))?,
        form => print_elements("responsedata", &reply.data, form)?,
    }
    Ok(Exit::Success)
}

/// Makes the parameters of the request for a command.
fn request(command: ScheduleCommand) -> Result<Pairs, Failure> {
    let (word, name) = match command {
        ScheduleCommand::List { name: None } => return Ok(Pairs::default()),
        ScheduleCommand::List { name: Some(name) } => {
            return Ok(Pairs::from([("ScheduleName", name)]));
        }
        ScheduleCommand::Run { name } => ("run", name),
        ScheduleCommand::Pause { name } => ("pause", name),
        ScheduleCommand::Resume { name } => ("resume", name),
        ScheduleCommand::Remove { name } => ("remove", name),
        ScheduleCommand::Add(args) => return add(*args),
    };
    Ok(Pairs::from([("ScheduleAction", word.to_owned()), ("ScheduleName", name)]))
}

fn add(args: AddArgs) -> Result<Pairs, Failure> {
    let mut pairs = Pairs::from([
        ("ScheduleAction", "add".to_owned()),
        ("ScheduleName", args.name),
        ("QueueName", args.action),
    ]);
    let number = |number: Option<u32>| number.map(|number| number.to_string());
    let own = [
        ("Cron", args.cron),
        ("RepeatSecs", number(args.repeat_secs)),
        ("StartTime", args.start_time),
        ("Cycles", args.cycles.map(|cycles| cycles.to_string())),
        ("TimeZone", args.time_zone),
        ("Overlap", args.overlap),
        ("CatchUp", args.catch_up),
        ("Jitter", number(args.jitter)),
        ("Enabled", args.disabled.then(|| "false".to_owned())),
    ];
    for (name, value) in own {
        if let Some(value) = value {
            pairs.push(name, PairValue::Text(value));
        }
    }
    for (name, value) in values::read(&args.parameters)?.iter() {
        pairs.push(name, value.clone());
    }
    Ok(pairs)
}

fn list(data: &[Element]) -> String {
    let schedules = data.iter().filter(|element| is(element, "schedule"));
    let rows: Vec<_> = schedules.map(row).collect();
    match rows.is_empty() {
        true => "no schedules\n".to_owned(),
        false => Table::new(COLUMNS).rows(&rows),
    }
}

fn row(schedule: &Element) -> Vec<(String, Style)> {
    let plain = |text: String| (text, Style::new());
    let text = |name| child(schedule, name).map(text_of).unwrap_or_default().to_owned();
    let is_true = |name| text(name) == "true";
    let state = match (is_true("enabled"), is_true("paused")) {
        (_, true) => ("paused".to_owned(), style(&Status::Paused)),
        (false, false) => ("disabled".to_owned(), style(&Status::Paused)),
        (true, false) => plain("on".to_owned()),
    };
    let definition = child(schedule, "definition").map(children).unwrap_or_default();
    let key = |name| first(definition, name).map(|element| text_of(element).to_owned());
    let due = match (key("cron"), key("repeatsecs")) {
        (Some(cron), _) => cron,
        (None, Some(seconds)) => format!("every {seconds} s"),
        (None, None) => key("starttime").unwrap_or_default(),
    };
    let outcome = text("last_outcome");
    let outcome_style = style(&Status::read(&outcome));
    vec![
        plain(text("name")),
        state,
        plain(text("action")),
        plain(due),
        plain(text("last")),
        (outcome, outcome_style),
        plain(text("next")),
    ]
}

/// Writes the reply to a command: the token of what was queued, or that it was done.
fn done(data: &[Element]) -> String {
    let token = first(data, "token").map(|token| text_of(token).trim()).unwrap_or_default();
    if token.is_empty() { "done\n".to_owned() } else { format!("{}\n", line(token)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_words_of_the_server() {
        let add = AddArgs {
            name: "Hourly".to_owned(),
            action: "Process".to_owned(),
            parameters: vec!["Name=Ada".to_owned()],
            cron: Some("@hourly".to_owned()),
            disabled: true,
            ..AddArgs::default()
        };
        let table = [
            (ScheduleCommand::List { name: None }, ""),
            (ScheduleCommand::Run { name: "N".to_owned() }, "ScheduleAction=run&ScheduleName=N"),
            (
                ScheduleCommand::Add(Box::new(add)),
                "ScheduleAction=add&ScheduleName=Hourly&QueueName=Process&Cron=@hourly&Enabled=false&Name=Ada",
            ),
        ];
        for (command, want) in table {
            let pairs = request(command).unwrap();
            let pairs =
                pairs.iter().map(|(name, _)| format!("{name}={}", pairs.get(name).unwrap()));
            assert_eq!(pairs.collect::<Vec<_>>().join("&"), want);
        }
    }

    #[test]
    fn schedules_are_a_table() {
        let text = |name: &'static str, text: &str| Element::text(name, text);
        let schedule = Element::new("schedule")
            .child(text("name", "Nightly"))
            .child(text("action", "Process"))
            .child(text("enabled", "true"))
            .child(text("paused", "true"))
            .child(text("last_outcome", "Finished"))
            .child(text("next", "2026-Dec-01 02:00:00"))
            .child(Element::new("definition").child(text("cron", "0 2 * * *")));
        let shown = list(&[schedule]);
        assert_eq!(
            anstream::adapter::strip_str(&shown).to_string(),
            "SCHEDULE  STATE   ACTION   DUE        LAST  OUTCOME   NEXT\n\
             Nightly   paused  Process  0 2 * * *        Finished  2026-Dec-01 02:00:00\n"
        );
        assert_eq!(list(&[]), "no schedules\n");
        assert_eq!(done(&[text("token", "MTI=")]), "MTI=\n");
    }
}
