//! The levels of log lines, as the configuration and the lines name them.

/// A level of a line, the least first. A stream takes the lines of its own level and above.
///
/// Their numbers in lines are those of other ACI servers (observed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Lines that help to find a mistake: `debug` of the program's own code.
    Full,
    /// Lines about what happens.
    Normal,
    /// Lines that somebody should look at.
    Warning,
    /// Lines about what has failed.
    Error,
    /// Lines that every stream takes: each request, and the first line of each file.
    Always,
}

impl Level {
    /// All of them, the least first.
    pub const ALL: [Self; 5] = [Self::Full, Self::Normal, Self::Warning, Self::Error, Self::Always];

    /// Returns its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Full => "Full",
            Self::Normal => "Normal",
            Self::Warning => "Warning",
            Self::Error => "Error",
            Self::Always => "Always",
        }
    }

    /// Returns its number and word, as a line has them.
    #[must_use]
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Full => "10-Full",
            Self::Normal => "30-Normal",
            Self::Warning => "50-Warning",
            Self::Error => "70-Error",
            Self::Always => "00-Always",
        }
    }

    /// Returns the level of this word, in any case.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.word().eq_ignore_ascii_case(word))
    }
}

impl From<Level> for log::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Full => Self::Debug,
            Level::Normal | Level::Always => Self::Info,
            Level::Warning => Self::Warn,
            Level::Error => Self::Error,
        }
    }
}

/// Returns the filter of records that a stream of this level takes.
pub(super) const fn filter(level: Level) -> log::LevelFilter {
    match level {
        Level::Full => log::LevelFilter::Debug,
        Level::Normal => log::LevelFilter::Info,
        Level::Warning => log::LevelFilter::Warn,
        Level::Error => log::LevelFilter::Error,
        Level::Always => log::LevelFilter::Off,
    }
}

impl From<log::Level> for Level {
    fn from(level: log::Level) -> Self {
        match level {
            log::Level::Error => Self::Error,
            log::Level::Warn => Self::Warning,
            log::Level::Info => Self::Normal,
            log::Level::Debug | log::Level::Trace => Self::Full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_takes_its_level_and_those_above() {
        assert!(Level::ALL.is_sorted());
        assert_eq!(Level::of_word("warning"), Some(Level::Warning));
        assert_eq!(Level::of_word("info"), None);
        for level in Level::ALL {
            assert!(level.label().ends_with(&format!("-{}", level.word())), "{level:?}");
        }
    }
}
