//! The actions that a command is for: those that are named one by one, many tokens, or all that filters select.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use clap::builder::NonEmptyStringValueParser;

use super::super::connection::unread;
use super::super::failure::Failure;
use super::super::filters::{FilterArgs, OrderArgs, Pairs, is_filter};
use super::super::show::{counted, line};
use crate::aci::client::ManyCommand;
use crate::aci::words::list;

/// The options that say for which actions a command is.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Many actions")]
pub(crate) struct TargetArgs {
    /// Many actions in one request: tokens with commas between them, or `@FILE` or `@-` (the standard input) with one on each line
    #[arg(long = "tokens", id = "tokens_option", value_name = "TOKENS", conflicts_with = "all")]
    pub(crate) many: Option<String>,
    /// All actions of --queue that the filters select, and without a filter the whole queue
    #[arg(long, requires = "queue")]
    pub(crate) all: bool,
    /// Queue; with tokens, the one of those that do not tell it
    #[arg(long, value_name = "QUEUE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) queue: Option<String>,
    /// Do it to so many actions at most
    #[arg(long, value_name = "N", requires = "all")]
    pub(crate) limit: Option<u64>,
    /// Say yes to the question that comes before a command to many
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) order: OrderArgs,
    #[command(flatten)]
    pub(crate) filters: FilterArgs,
}

/// The actions that a command is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// These, one by one.
    Each(Vec<String>),
    /// These, in one request.
    Tokens(Vec<String>),
    /// All of a queue that these parameters select.
    All { queue: String, filters: Pairs },
}

impl Target {
    /// Reads what the arguments name. A filter without `--all`, and nothing at all, are refused: either may be meant to be less.
    pub(super) fn read(arguments: &[String], args: &TargetArgs) -> Result<Self, Failure> {
        let (filters, tokens): (Vec<_>, Vec<_>) =
            arguments.iter().cloned().partition(|argument| is_filter(argument));
        let refused = |why: &str| Err(Failure::Usage(why.to_owned()));
        let mut pairs = args.filters.pairs(&filters)?;
        pairs.extend(args.order.pairs());
        if !args.all && !pairs.is_empty() {
            return refused("filters select actions together with --all only");
        }
        match (&args.many, tokens.is_empty()) {
            (_, false) if args.all => refused("--all takes filters, and no tokens"),
            (Some(_), false) => refused("tokens are given by --tokens or one by one, not both"),
            (None, true) if !args.all => {
                refused("which actions? Name their tokens, or --queue QUEUE --all with filters")
            }
            (None, false) => Ok(Self::Each(tokens)),
            (Some(text), true) => Ok(Self::Tokens(read_tokens(text)?)),
            (None, true) => {
                pairs.extend(args.limit.map(|most| ("MaxResults".to_owned(), most.to_string())));
                let queue = args.queue.clone().unwrap_or_default();
                Ok(Self::All { queue, filters: pairs })
            }
        }
    }

    /// Returns the words for what a command would do, as a question has them.
    pub(super) fn question(&self, command: ManyCommand) -> String {
        let (word, end) = match command {
            ManyCommand::Cancel => ("cancel", String::new()),
            ManyCommand::Stop => ("stop", String::new()),
            ManyCommand::Retry => ("try again", String::new()),
            ManyCommand::Delete => ("delete", " for good".to_owned()),
            ManyCommand::ChangePriority(priority) => {
                ("change the priority of", format!(" to {priority}"))
            }
            _ => ("change", String::new()),
        };
        let which = match self {
            Self::Each(tokens) | Self::Tokens(tokens) => {
                counted(u64::try_from(tokens.len()).unwrap_or(u64::MAX), "action")
            }
            Self::All { queue, filters } if filters.is_empty() => {
                format!("all actions of {}", line(queue))
            }
            Self::All { queue, filters } => {
                let filters = filters.iter().map(|(name, value)| format!("{name}={value}"));
                let filters = filters.collect::<Vec<_>>().join(", ");
                format!("all actions of {} with {}", line(queue), line(&filters))
            }
        };
        format!("{word} {which}{end}")
    }
}

fn read_tokens(text: &str) -> Result<Vec<String>, Failure> {
    let content = match text.strip_prefix('@') {
        None => text.to_owned(),
        Some("-") => {
            let mut content = String::new();
            io::stdin().lock().read_to_string(&mut content).map_err(|error| {
                Failure::Local(format!("the standard input can't be read: {error}"))
            })?;
            content
        }
        Some(file) => {
            let file = Path::new(file);
            fs::read_to_string(file).map_err(|error| unread(file, &error))?
        }
    };
    let tokens: Vec<_> = content.lines().flat_map(list).map(ToOwned::to_owned).collect();
    match tokens.is_empty() {
        true => Err(Failure::Usage("--tokens names no token".to_owned())),
        false => Ok(tokens),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(ToOwned::to_owned).collect()
    }

    fn all(state: Option<&str>) -> TargetArgs {
        let filters = FilterArgs { state: state.map(ToOwned::to_owned), ..FilterArgs::default() };
        TargetArgs { all: true, queue: Some("Q".to_owned()), filters, ..TargetArgs::default() }
    }

    #[test]
    fn targets_are_read_and_asked_about() {
        let tokens =
            |text: &str| TargetArgs { many: Some(text.to_owned()), ..TargetArgs::default() };
        let table = [
            ("a= b=", TargetArgs::default(), ManyCommand::Stop, "stop 2 actions"),
            ("", tokens("a=,b=\n c="), ManyCommand::Delete, "delete 3 actions for good"),
            ("", all(None), ManyCommand::Cancel, "cancel all actions of Q"),
            (
                "Parameter.x=1",
                all(Some("error")),
                ManyCommand::ChangePriority(-2),
                "change the priority of all actions of Q with State=error, Parameter.x=1 to -2",
            ),
        ];
        for (arguments, args, command, want) in table {
            let target = Target::read(&words(arguments), &args).unwrap();
            assert_eq!(target.question(command), want, "{arguments}");
        }
    }

    #[test]
    fn what_may_reach_more_than_was_meant_is_refused() {
        let filter = FilterArgs { state: Some("error".to_owned()), ..FilterArgs::default() };
        let filtered = TargetArgs { filters: filter, ..TargetArgs::default() };
        let empty = TargetArgs { many: Some(" , ".to_owned()), ..TargetArgs::default() };
        let named = TargetArgs { many: Some("a".to_owned()), ..TargetArgs::default() };
        for (arguments, args) in [
            ("", TargetArgs::default()),
            ("", filtered.clone()),
            ("a=", filtered),
            ("Parameter.x=1", TargetArgs::default()),
            ("a=", all(None)),
            ("", empty),
            ("b", named),
            ("", all(Some(""))),
        ] {
            let read = Target::read(&words(arguments), &args);
            assert!(matches!(read, Err(Failure::Usage(_))), "{arguments} {read:?}");
        }
    }
}
