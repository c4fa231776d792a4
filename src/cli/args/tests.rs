//! Lines that are good, and lines that are not.

use clap::error::ErrorKind;
use proptest::prelude::*;

use super::*;

fn parse(line: &str) -> Result<Command, ErrorKind> {
    let words = std::iter::once("actiond").chain(line.split_whitespace());
    Args::parse_from(words).map(|args| args.command).map_err(|error| error.kind())
}

fn serve(config: Option<&str>, port: Option<u16>, data: Option<&str>) -> Command {
    let (config, data) = (config.map(PathBuf::from), data.map(PathBuf::from));
    Command::Serve(ServeArgs { config, port, data })
}

fn check(config: Option<&str>) -> Command {
    Command::Config(ConfigArgs { config: config.map(PathBuf::from), command: None })
}

fn config(command: ConfigCommand) -> Command {
    Command::Config(ConfigArgs { config: None, command: Some(command) })
}

fn migrate(given: impl FnOnce(&mut MigrateArgs)) -> Command {
    let mut args = MigrateArgs {
        from: "d".into(),
        to: "postgres://db".into(),
        schema: "actiond".to_owned(),
        ..MigrateArgs::default()
    };
    given(&mut args);
    Command::Migrate(args)
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn good_lines() {
    let table = [
        ("", serve(None, None, None)),
        ("serve", serve(None, None, None)),
        ("--config a.cfg", serve(Some("a.cfg"), None, None)),
        ("serve --config=a.cfg --port 0 --data d", serve(Some("a.cfg"), Some(0), Some("d"))),
        ("--port 65535 --data d", serve(None, Some(65535), Some("d"))),
        ("-configfile a.cfg", serve(Some("a.cfg"), None, None)),
        ("-ConfigFile=a=b.cfg --port 1", serve(Some("a=b.cfg"), Some(1), None)),
        ("serve -CONFIGFILE a.cfg", serve(Some("a.cfg"), None, None)),
        ("config", check(None)),
        ("key", Command::Key),
        ("compact --data d", Command::Compact(CompactArgs { data: "d".into() })),
        (
            "restore --from b.zip --data d",
            Command::Restore(RestoreArgs { from: "b.zip".into(), data: "d".into() }),
        ),
        ("config --config a.cfg", check(Some("a.cfg"))),
        ("config -configfile a.cfg", check(Some("a.cfg"))),
        ("config check a.cfg", config(ConfigCommand::Check { file: "a.cfg".into() })),
        ("config show", config(ConfigCommand::Show { file: None })),
        ("config show a.cfg", config(ConfigCommand::Show { file: Some("a.cfg".into()) })),
        ("man d", Command::Man(ManArgs { directory: "d".into() })),
        ("migrate --from d --to postgres://db", migrate(|_| {})),
        (
            "migrate --to postgres://db --schema s --host h --port 7 --config c --from d",
            migrate(|args| {
                (args.schema, args.host) = ("s".to_owned(), Some("h".to_owned()));
                (args.port, args.config) = (Some(7), Some("c".into()));
            }),
        ),
    ];
    for (line, want) in table {
        assert_eq!(parse(line), Ok(want), "{line}");
    }
}

#[test]
fn bad_lines() {
    let table = [
        ("--port 65536", ErrorKind::ValueValidation),
        ("--port x", ErrorKind::ValueValidation),
        ("--port +7001", ErrorKind::ValueValidation),
        ("-configfile", ErrorKind::InvalidValue),
        ("--config a --config b", ErrorKind::ArgumentConflict),
        ("--config a -configfile b", ErrorKind::ArgumentConflict),
        ("-configfiles a", ErrorKind::UnknownArgument),
        ("config --port 1", ErrorKind::UnknownArgument),
        ("config a.cfg", ErrorKind::InvalidSubcommand),
        ("config check", ErrorKind::MissingRequiredArgument),
        ("config --config a.cfg show", ErrorKind::ArgumentConflict),
        ("completions ksh", ErrorKind::InvalidValue),
        ("send", ErrorKind::MissingRequiredArgument),
        ("send Fetch --json --xml", ErrorKind::ArgumentConflict),
        ("send Fetch --at-most 3", ErrorKind::MissingRequiredArgument),
        ("list", ErrorKind::MissingRequiredArgument),
        ("status", ErrorKind::MissingRequiredArgument),
        ("cancel --all", ErrorKind::MissingRequiredArgument),
        ("cancel --all --queue Q --tokens a", ErrorKind::ArgumentConflict),
        ("stop --running", ErrorKind::MissingRequiredArgument),
        ("pause", ErrorKind::MissingRequiredArgument),
        ("bench --connections 0", ErrorKind::ValueValidation),
        ("queues --key a --key-file b", ErrorKind::ArgumentConflict),
        ("schedules frobnicate", ErrorKind::InvalidSubcommand),
        ("--config a.cfg config", ErrorKind::ArgumentConflict),
        ("start", ErrorKind::InvalidSubcommand),
        ("key a", ErrorKind::UnknownArgument),
        ("compact", ErrorKind::MissingRequiredArgument),
        ("compact d", ErrorKind::UnknownArgument),
        ("restore --data d", ErrorKind::MissingRequiredArgument),
        ("restore --from b.zip", ErrorKind::MissingRequiredArgument),
        ("migrate", ErrorKind::MissingRequiredArgument),
        ("migrate --from d", ErrorKind::MissingRequiredArgument),
        ("migrate --from d --to e --port 0", ErrorKind::ValueValidation),
        ("migrate --from d --to e --schema pg_x", ErrorKind::ValueValidation),
        ("migrate d e", ErrorKind::UnknownArgument),
        ("--help", ErrorKind::DisplayHelp),
        ("--version", ErrorKind::DisplayVersion),
    ];
    for (line, want) in table {
        assert_eq!(parse(line), Err(want), "{line}");
    }
}

proptest! {
    #[test]
    fn no_line_makes_it_panic(
        words in proptest::collection::vec("-{0,2}(configfile|CONFIG|port|config|serve|[a-z=]{0,5})(=.{0,5})?|\\PC{0,9}", 0..6)
    ) {
        // The words of an error are made late, so they are asked for here.
        if let Err(error) = Args::parse_from(std::iter::once("actiond".to_owned()).chain(words)) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
