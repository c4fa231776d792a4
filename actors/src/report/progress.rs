//! The progress of a running action, as a percentage or in stages.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Progress of a running action.
///
/// With stages, the percentage is their weighted mean; without, it is the figure that was set.
///
/// ```
/// use actiond_actors::{Progress, Stage, StageStatus};
/// let progress = Progress::of_stages(vec![
///     Stage::new("DIR1").weight(3.0).at(StageStatus::Finished),
///     Stage::new("DIR2").at(StageStatus::Processing).percent(20.0),
/// ]);
/// assert_eq!(progress.percent(), 80.0);
/// ```
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// True while the amount of work is still being measured, so that the figures may jump.
    pub measuring: bool,
    /// The stages, in the order in which they are worked through.
    pub stages: Vec<Stage>,
    percent: f64,
}

/// The percentage, and what else there is.
impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} %", self.percent())?;
        if self.measuring {
            f.write_str(", measuring")?;
        }
        if !self.stages.is_empty() {
            f.write_str(" ")?;
            self.stages.fmt(f)?;
        }
        Ok(())
    }
}

impl Progress {
    /// Makes a progress without stages. A `percent` outside of 0 to 100 is brought into that range.
    #[must_use]
    pub fn of_percent(percent: f64) -> Self {
        Self { measuring: false, stages: Vec::new(), percent: clamp(percent) }
    }

    /// Makes a progress of these stages.
    #[must_use]
    pub const fn of_stages(stages: Vec<Stage>) -> Self {
        Self { measuring: false, stages, percent: 0.0 }
    }

    /// Returns the percentage done, from 0 to 100.
    #[must_use]
    pub fn percent(&self) -> f64 {
        clamp(weighted(&self.stages).unwrap_or(self.percent))
    }
}

/// One stage of an action's work; stages nest.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// The stage's title.
    pub title: String,
    /// Its share of the whole, relative to the stages beside it; above 0.
    pub weight: f64,
    /// The stage's status: still to come, under way or over.
    pub status: StageStatus,
    /// Number of units done and of units in all, where they can be counted.
    pub counted: Option<(u64, u64)>,
    /// Its own stages.
    pub stages: Vec<Self>,
    percent: f64,
}

/// Status of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StageStatus {
    /// Still to come.
    Pending,
    /// Under way.
    Processing,
    /// Over.
    Finished,
}

impl StageStatus {
    /// Returns its name, which is also its word on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Processing => "Processing",
            Self::Finished => "Finished",
        }
    }
}

/// The title, the status and how far it is.
impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {} {:.1} %", self.title, self.status.name(), self.percentage())?;
        if let Some((done, of)) = self.counted {
            write!(f, " ({done} of {of})")?;
        }
        if !self.stages.is_empty() {
            f.write_str(" ")?;
            self.stages.fmt(f)?;
        }
        Ok(())
    }
}

impl Stage {
    /// Makes a pending stage of weight 1.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            weight: 1.0,
            status: StageStatus::Pending,
            counted: None,
            stages: Vec::new(),
            percent: 0.0,
        }
    }

    /// Sets the weight; a weight that is not above 0 counts as 0.
    #[must_use]
    pub const fn weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }

    /// Sets the status.
    #[must_use]
    pub const fn at(mut self, status: StageStatus) -> Self {
        self.status = status;
        self
    }

    /// Sets the percentage done, from 0 to 100.
    #[must_use]
    pub fn percent(mut self, percent: f64) -> Self {
        self.percent = clamp(percent);
        self
    }

    /// Sets the numbers of units done and of units in all; the percentage follows from them.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than 53 bits")]
    pub fn counted(mut self, done: u64, all: u64) -> Self {
        self.counted = Some((done, all));
        self.percent = if all == 0 { 0.0 } else { clamp(done as f64 * 100.0 / all as f64) };
        self
    }

    /// Returns the percentage done, from 0 to 100: 0 while pending, 100 once finished, else that of
    /// its own stages or, without stages, the figure that was set.
    #[must_use]
    pub fn percentage(&self) -> f64 {
        match self.status {
            StageStatus::Pending => 0.0,
            StageStatus::Finished => 100.0,
            StageStatus::Processing => weighted(&self.stages).unwrap_or(self.percent),
        }
    }
}

fn weighted(stages: &[Stage]) -> Option<f64> {
    let all: f64 = stages.iter().map(|s| s.weight.max(0.0)).sum();
    (all > 0.0)
        .then(|| stages.iter().map(|s| s.weight.max(0.0) * s.percentage()).sum::<f64>() / all)
}

const fn clamp(percent: f64) -> f64 {
    if percent.is_nan() { 0.0 } else { percent.clamp(0.0, 100.0) }
}
