//! The definition of a schedule, in the words of the configuration, of a request and of the store.

use serde::{Deserialize, Serialize};

/// The keys of a schedule. All others are parameters of its action.
pub mod keys {
    /// The action that is due: the name of its queue.
    pub const ACTION: &str = "Action";
    /// Parameters of the action, as a query string.
    pub const PARAMETERS: &str = "Parameters";
    /// The times at which it is due, as cron has them.
    pub const CRON: &str = "Cron";
    /// The seconds from one due time to the next.
    pub const REPEAT_SECS: &str = "RepeatSecs";
    /// The time before which it is not due.
    pub const START_TIME: &str = "StartTime";
    /// The number of actions after which it ends.
    pub const CYCLES: &str = "Cycles";
    /// The time zone.
    pub const TIME_ZONE: &str = "TimeZone";
    /// The fate of an action that is due while the one before it has not ended.
    pub const OVERLAP: &str = "Overlap";
    /// The treatment of due times at which no server was there.
    pub const CATCH_UP: &str = "CatchUp";
    /// The longest random delay, in seconds.
    pub const JITTER: &str = "Jitter";
    /// False if it is never due by itself.
    pub const ENABLED: &str = "Enabled";

    /// All of them.
    pub const ALL: [&str; 11] = [
        ACTION,
        PARAMETERS,
        CRON,
        REPEAT_SECS,
        START_TIME,
        CYCLES,
        TIME_ZONE,
        OVERLAP,
        CATCH_UP,
        JITTER,
        ENABLED,
    ];
}

/// The largest value of `RepeatSecs`: ten years (our choice).
pub const MAX_REPEAT_SECS: u32 = 315_576_000;

/// The largest value of `Jitter`: a day (our choice).
pub const MAX_JITTER_SECS: u32 = 86_400;

/// The fate of an action that is due while the one before it has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// It is left out.
    #[default]
    Skip,
    /// It is queued all the same.
    Queue,
    /// It is queued, and the one before it is stopped.
    Replace,
}

impl Overlap {
    /// The words of the configuration.
    pub const WORDS: &[&str] = &["skip", "queue", "replace"];

    /// Finds one by its word, in any case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Skip, Self::Queue, Self::Replace]
            .into_iter()
            .find(|overlap| overlap.word().eq_ignore_ascii_case(word))
    }

    /// Returns its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Queue => "queue",
            Self::Replace => "replace",
        }
    }
}

/// The treatment of due times at which no server was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatchUp {
    /// They are left out.
    #[default]
    None,
    /// There is one action for all of them, that of the latest.
    Once,
}

impl CatchUp {
    /// The words of the configuration.
    pub const WORDS: &[&str] = &["none", "once"];

    /// Finds one by its word, in any case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::None, Self::Once].into_iter().find(|it| it.word().eq_ignore_ascii_case(word))
    }

    /// Returns its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Once => "once",
        }
    }
}

/// The action that is due, and its times. [`Timing`](super::Timing) is the part about times, checked.
///
/// It is stored as JSON for schedules that were added while the server ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Definition {
    /// The name of the action's queue.
    pub action: String,
    /// The action's parameters.
    pub parameters: Vec<(String, String)>,
    /// The due times, as cron has them: five fields, six with seconds in front, or a nickname such as `@daily`.
    pub cron: Option<String>,
    /// The seconds from one due time to the next, at least 1.
    pub repeat_secs: Option<u32>,
    /// The time before which it is not due, in the forms of `NotBefore`; `now` or `None`: from when it is first known.
    pub start_time: Option<String>,
    /// The number of actions after which it ends; `None` = no end.
    pub cycles: Option<u64>,
    /// The time zone; `None` = that of the server.
    pub time_zone: Option<String>,
    /// The fate of an action that is due while the one before it has not ended.
    pub overlap: Overlap,
    /// The treatment of due times at which no server was there.
    pub catch_up: CatchUp,
    /// The longest random delay after a due time, in seconds.
    pub jitter_secs: u32,
    /// False if it is never due by itself.
    pub enabled: bool,
}

impl Default for Definition {
    fn default() -> Self {
        Self {
            action: String::new(),
            parameters: Vec::new(),
            cron: None,
            repeat_secs: None,
            start_time: None,
            cycles: None,
            time_zone: None,
            overlap: Overlap::default(),
            catch_up: CatchUp::default(),
            jitter_secs: 0,
            enabled: true,
        }
    }
}

impl Definition {
    /// Returns all that was said, beside the action's own parameters: the keys and their values, without those that have their
    /// defaults.
    #[must_use]
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let default = Self::default();
        let mut pairs = vec![(keys::ACTION, self.action.clone())];
        let mut add = |key, value: Option<String>| pairs.extend(value.map(|value| (key, value)));
        let unless = |is_default: bool, value: String| (!is_default).then_some(value);
        add(keys::CRON, self.cron.clone());
        add(keys::REPEAT_SECS, self.repeat_secs.map(|seconds| seconds.to_string()));
        add(keys::START_TIME, self.start_time.clone());
        add(keys::CYCLES, self.cycles.map(|cycles| cycles.to_string()));
        add(keys::TIME_ZONE, self.time_zone.clone());
        let word = self.overlap.word().to_owned();
        add(keys::OVERLAP, unless(self.overlap == default.overlap, word));
        let word = self.catch_up.word().to_owned();
        add(keys::CATCH_UP, unless(self.catch_up == default.catch_up, word));
        add(keys::JITTER, unless(self.jitter_secs == 0, self.jitter_secs.to_string()));
        add(keys::ENABLED, unless(self.enabled, self.enabled.to_string()));
        pairs
    }
}

/// A schedule: a definition under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Its name. Case does not matter.
    pub name: String,
    /// Its definition.
    pub definition: Definition,
}

/// A definition that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} must be {allowed}")]
pub struct Fault {
    /// The key that is to blame.
    pub key: &'static str,
    /// The values that it may have, as a phrase.
    pub allowed: String,
}

impl Fault {
    pub(super) fn of(key: &'static str, allowed: impl Into<String>) -> Self {
        Self { key, allowed: allowed.into() }
    }
}
