//! The lines of the program's log on the console: local time with its offset, level, module and message. Streams take them, too.

use std::fmt;
use std::io::Write as _;
use std::panic::PanicHookInfo;
use std::time::Duration;

use actiond_actors::clock::{Clock as _, SystemClock};
use actiond_actors::subject::ACTION_LOG;
use anstream::{AutoStream, ColorChoice};
use chrono::{Local, TimeZone};
use env_logger::fmt::style::{AnsiColor, Effects, Style};
use env_logger::{Target, WriteStyle};
use log::{Level, LevelFilter};

use crate::config::Settings;
use crate::logging::channel::Channel;
use crate::logging::console::Console;
use crate::logging::{Echo, POOL, QUIET, Streams};

/// The crate that logs, at debug, what is sent to a database: parameters and results of actions.
const TELLTALE: &str = "tokio_postgres";
/// Time that the end of the process waits for a reader of the log that takes nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// The log of the whole process. When this is dropped, what was said and not written yet is, if it can be.
pub(super) struct Log {
    /// `None` if the system gives no thread: then each line is written by the thread that logs it.
    channel: Option<Channel>,
    colours: bool,
    streams: LogStreams,
}

/// The streams of the log of this process.
#[derive(Clone)]
pub(super) struct LogStreams {
    pub(super) streams: Streams,
    /// The least level that comes to the console.
    console: LevelFilter,
}

impl LogStreams {
    /// Opens the streams of a configuration in place of those that are open.
    pub(super) fn open(&self, settings: &Settings) {
        let queues = settings.queues.iter();
        let queues = queues.map(|queue| (queue.name.as_str(), queue.kind.log_types()));
        self.streams.open(&settings.log_streams, queues);
        log::set_max_level(self.console.max(self.streams.max_level()));
    }
}

/// The receiver of all records of the crate `log`.
struct Logger {
    console: env_logger::Logger,
    colours: bool,
    channel: Option<Channel>,
    streams: Streams,
}

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        self.console.enabled(metadata) || metadata.level() <= self.streams.max_level()
    }

    fn log(&self, record: &log::Record<'_>) {
        match self.streams.take(record) {
            Echo::Never => {}
            Echo::Always => {
                let said = self.streams.with_ids(*record.args());
                let said = format_args!("{said}");
                let line = line(self.colours, record.level(), record.target(), said);
                put(self.channel.as_ref(), line);
            }
            // It is for streams: before there were any, nobody saw it.
            Echo::AsUsual if record.target() == ACTION_LOG => {}
            Echo::AsUsual => self.console.log(record),
        }
    }

    fn flush(&self) {}
}

fn put(channel: Option<&Channel>, line: Vec<u8>) {
    match channel {
        Some(channel) => channel.put(line),
        // Nothing is left to be done if it can't be written.
        None => drop(std::io::stderr().write_all(&line)),
    }
}

/// Sets up the log for the whole process, on the standard error.
pub(super) fn begin() -> Log {
    let colours = colours();
    // What comes there has colours only where they are wanted.
    let channel = Channel::start(AutoStream::always_ansi(std::io::stderr()), move |lost| {
        let lines = if lost == 1 {
            "1 line of the log was".to_owned()
        } else {
            format!("{lost} lines of the log were")
        };
        line(colours, Level::Warn, module_path!(), format_args!("{lines} lost"))
    })
    .ok();

    let filter = std::env::var("RUST_LOG").unwrap_or_default();
    let filter = if filter.trim().is_empty() { "info" } else { filter.as_str() };
    let mut builder = env_logger::Builder::new();
    builder
        .parse_filters(filter)
        .write_style(if colours { WriteStyle::Always } else { WriteStyle::Never })
        .format(move |out, record| {
            out.write_all(&line(colours, record.level(), record.target(), *record.args()))
        });
    if is_quiet(filter) {
        builder.filter_module(QUIET, LevelFilter::Warn);
        builder.filter_module(POOL, LevelFilter::Error);
    }
    if is_telltale(filter) {
        builder.filter_module(TELLTALE, LevelFilter::Info);
    }
    let of_console = channel.clone();
    let streams = Streams::with_console(Console::new(move |level, target, said| {
        put(of_console.as_ref(), line(colours, level, target, said));
    }));
    if let Some(channel) = &channel {
        builder.target(Target::Pipe(Box::new(channel.clone())));
    }
    // The standard library would write where a panic happens, in an action or in a queue.
    let (of_panics, streams_of_panics) = (channel.clone(), streams.clone());
    std::panic::set_hook(Box::new(move |info| {
        let panic = Panic(info);
        let said = format_args!("{panic}");
        put(of_panics.as_ref(), line(colours, Level::Error, module_path!(), said));
        streams_of_panics.say(Level::Error.into(), module_path!(), said);
    }));
    let console = builder.build();
    let streams = LogStreams { streams, console: console.filter() };
    log::set_max_level(streams.console);
    let of_streams = streams.streams.clone();
    let logger = Logger { console, colours, channel: channel.clone(), streams: of_streams };
    // It is set once, at the beginning of the process.
    let _ = log::set_boxed_logger(Box::new(logger));
    Log { channel, colours, streams }
}

impl Log {
    /// Returns the streams.
    pub(super) fn streams(&self) -> LogStreams {
        self.streams.clone()
    }

    /// Logs the reason for which the process ends, whatever the filter lets through.
    pub(super) fn fatal(&self, target: &str, said: fmt::Arguments<'_>) {
        self.streams.streams.say(Level::Error.into(), target, said);
        let line = line(self.colours, Level::Error, target, said);
        match &self.channel {
            Some(channel) => channel.put_anyway(line),
            // Nothing is left to be done if it can't be written.
            None => drop(std::io::stderr().write_all(&line)),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.streams.streams.finish(PATIENCE);
        if let Some(channel) = &self.channel {
            channel.finish(PATIENCE);
        }
    }
}

/// Returns true if there are colours: as `RUST_LOG_STYLE` says, else if the standard error is a terminal that has them.
fn colours() -> bool {
    match std::env::var("RUST_LOG_STYLE").as_deref() {
        Ok("always") => true,
        Ok("never") => false,
        _ => AutoStream::choice(&std::io::stderr()) != ColorChoice::Never,
    }
}

/// Returns true if a filter lets lines at info through in general, and those of [`QUIET`] not by name.
fn is_quiet(filter: &str) -> bool {
    let mut bare = None;
    for (name, level) in directives(filter) {
        if let (Ok(level), "") = (name.parse::<LevelFilter>(), level) {
            bare = Some(level);
        } else if name.starts_with("actix") && (QUIET.starts_with(name) || name.starts_with(QUIET))
        {
            return false;
        }
    }
    bare == Some(LevelFilter::Info)
}

/// Returns true if a filter lets lines of [`TELLTALE`] below info through without naming it.
fn is_telltale(filter: &str) -> bool {
    let mut lets_through = false;
    let mut length = 0;
    for (name, level) in directives(filter) {
        let (name, level) = match (name.parse(), level) {
            (Ok(level), "") => ("", level),
            // Without a good level it is all of them.
            _ => (name, level.parse().unwrap_or(LevelFilter::Trace)),
        };
        if name.starts_with(TELLTALE) {
            return false;
        }
        // The longest name that fits decides, and of two the later one.
        if TELLTALE.starts_with(name) && name.len() >= length {
            (lets_through, length) = (level > LevelFilter::Info, name.len());
        }
    }
    lets_through
}

/// Returns the directives of a filter: a name or a level alone, or both.
fn directives(filter: &str) -> impl Iterator<Item = (&str, &str)> {
    let directives = filter.split('/').next().unwrap_or_default().split(',').map(str::trim);
    let some = directives.filter(|directive| !directive.is_empty());
    some.map(|directive| directive.split_once('=').unwrap_or((directive, "")))
}

/// Makes a whole line of the log.
fn line(colours: bool, level: Level, target: &str, said: fmt::Arguments<'_>) -> Vec<u8> {
    let style = if colours { style(level) } else { Style::new() };
    let time = time(SystemClock.now().millis(), &Local);
    format!("[{time} {style}{level:<5}{style:#} {target}] {said}\n").into_bytes()
}

/// The colours of `env_logger`.
fn style(level: Level) -> Style {
    match level {
        Level::Error => AnsiColor::Red.on_default().effects(Effects::BOLD),
        Level::Warn => AnsiColor::Yellow.on_default(),
        Level::Info => AnsiColor::Green.on_default(),
        Level::Debug => AnsiColor::Blue.on_default(),
        Level::Trace => AnsiColor::Cyan.on_default(),
    }
}

/// A panic as the standard library tells it, with a backtrace where `RUST_BACKTRACE` asks for one.
struct Panic<'a, 'b>(&'a PanicHookInfo<'b>);

impl fmt::Display for Panic<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thread = std::thread::current();
        write!(f, "thread '{}' {}", thread.name().unwrap_or("<unnamed>"), self.0)?;
        let backtrace = std::backtrace::Backtrace::capture();
        if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
            write!(f, "\n{backtrace}")?;
        }
        Ok(())
    }
}

/// Writes a time in milliseconds since 1970 as people of this zone read it, with the zone's offset then.
pub(super) fn time<Z: TimeZone>(millis: i64, zone: &Z) -> String
where
    Z::Offset: fmt::Display,
{
    let time = zone.timestamp_millis_opt(millis).single();
    time.map_or_else(String::new, |t| t.format("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string())
}

#[cfg(test)]
mod tests {
    use chrono::{FixedOffset, Utc};

    use super::*;

    #[test]
    fn times_have_milliseconds_and_offset() {
        let east = FixedOffset::east_opt(5 * 3600 + 45 * 60).unwrap();
        let west = FixedOffset::west_opt(3 * 3600).unwrap();
        assert_eq!(time(0, &Utc), "1970-01-01T00:00:00.000+00:00");
        assert_eq!(time(1_700_000_000_007, &east), "2023-11-15T03:58:20.007+05:45");
        assert_eq!(time(1_700_000_000_007, &west), "2023-11-14T19:13:20.007-03:00");
        assert_eq!(time(i64::MAX, &west), "");
    }

    #[test]
    fn the_starts_and_stops_of_threads_are_for_who_asks_for_them() {
        let table = [
            ("info", true),
            (" INFO ,", true),
            ("actiond=debug,info", true),
            ("debug,info", true),
            ("info/text", true),
            ("info=debug,info", true),
            ("info,debug", false),
            ("debug", false),
            ("trace", false),
            ("warn", false),
            ("off", false),
            ("foo", false),
            ("info,actix_server", false),
            ("info,actix_server=info", false),
            ("actix_server::builder=debug,info", false),
            ("info,actix=info", false),
            ("info,actix_web=debug,actiond=debug", true),
        ];
        for (filter, quiet) in table {
            assert_eq!(is_quiet(filter), quiet, "{filter}");
        }
    }

    #[test]
    fn what_is_sent_to_a_database_is_for_who_asks_for_that_by_name() {
        let table = [
            ("info", false),
            ("debug", true),
            ("TRACE", true),
            ("warn", false),
            ("off", false),
            ("actiond=debug", false),
            ("actiond=debug,info", false),
            ("tokio=debug", true),
            ("tokio", true),
            ("tokio=warn,debug", false),
            ("debug,tokio=debug", true),
            ("debug,info", false),
            ("info,tokio_postgres=debug", false),
            ("debug,tokio_postgres", false),
            ("debug,tokio_postgres::query=debug", false),
            ("debug/text", true),
        ];
        for (filter, is) in table {
            assert_eq!(is_telltale(filter), is, "{filter}");
        }
    }

    #[test]
    fn a_line_has_time_level_target_and_text_and_colours_where_they_are_wanted() {
        let said = |colours| {
            let line = line(colours, Level::Warn, "a::b", format_args!("said"));
            let line = String::from_utf8(line).unwrap();
            line.split_once(' ').unwrap().1.to_owned()
        };
        assert_eq!(said(false), "WARN  a::b] said\n");
        assert_eq!(said(true), "\u{1b}[33mWARN \u{1b}[0m a::b] said\n");
    }
}
