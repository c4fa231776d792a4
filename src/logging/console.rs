//! The console, as streams know it: where lines of the streams come too, and what is wrong with them.

use std::fmt;
use std::sync::Arc;

type Say = dyn Fn(log::Level, &str, fmt::Arguments<'_>) + Send + Sync;

/// A function that says a line on the console: its level, its module and its text. It must not wait, nor use the streams.
#[derive(Clone)]
pub(crate) struct Console(Arc<Say>);

impl Console {
    pub(crate) fn new(
        say: impl Fn(log::Level, &str, fmt::Arguments<'_>) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(say))
    }

    /// Says something about the streams themselves.
    pub(super) fn say(&self, level: log::Level, said: fmt::Arguments<'_>) {
        self.say_of(level, "actiond::logging", said);
    }

    pub(super) fn say_of(&self, level: log::Level, target: &str, said: fmt::Arguments<'_>) {
        (self.0)(level, target, said);
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Console")
    }
}
