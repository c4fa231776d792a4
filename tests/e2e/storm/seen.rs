//! What one reply shows of one action, and what it may show after another.

use actiond_actors::State;
use chrono::NaiveDateTime;
use roxmltree::Node;

use super::super::calls::id_of;

/// How an action stood when the server answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) state: State,
    /// What only a status shows; the reply to a command has no more than the state.
    pub(crate) details: Option<Details>,
}

/// The elements of an action in a status.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Details {
    queued: NaiveDateTime,
    pub(crate) started: Option<NaiveDateTime>,
    ended: Option<NaiveDateTime>,
    pub(crate) error: Option<String>,
    pub(crate) priority: i32,
    /// The mark that Echo's result repeats: only what ran to its end has one.
    pub(crate) mark: Option<String>,
    /// A partial result: only what ran has one.
    partial: bool,
}

impl Seen {
    /// What the reply to a command shows.
    pub(crate) const fn state(state: State) -> Self {
        Self { state, details: None }
    }

    /// Reads an `action` of a status; returns it with the action's id.
    pub(crate) fn read(action: Node<'_, '_>) -> (u64, Self) {
        let text = |name: &str| {
            let found = action.children().find(|node| node.has_tag_name(name))?;
            Some(found.text().unwrap_or_default())
        };
        let must = |name: &str| text(name).unwrap_or_else(|| panic!("no {name} in an action"));
        let time = |text: &str| {
            let parsed = NaiveDateTime::parse_from_str(text, "%Y-%b-%d %H:%M:%S");
            parsed.unwrap_or_else(|error| panic!("{text}: {error}"))
        };
        let details = Details {
            queued: time(must("queued_time")),
            started: text("process_start_time").map(time),
            ended: text("process_end_time").map(time),
            error: text("error").map(str::to_owned),
            priority: must("priority").parse().expect("a priority"),
            mark: mark(action),
            partial: text("slept_ms").is_some(),
        };
        (id_of(must("token")), Self { state: word(must("status")), details: Some(details) })
    }

    /// Whether anything here shows that the action ran.
    fn shows_a_run(&self) -> bool {
        let told = self.details.as_ref();
        self.state.is_running()
            || self.state == State::Finished
            || told.is_some_and(|d| d.started.is_some() || d.mark.is_some() || d.partial)
    }

    /// Says what is wrong with this by itself.
    pub(crate) fn wrong(&self) -> Option<Wrong> {
        let details = self.details.as_ref()?;
        let Details { queued, started, ended, error, .. } = details;
        if self.state == State::Cancelled && self.shows_a_run() {
            return Some(Wrong::RanAfterCancel);
        }
        let runs = !matches!(self.state, State::Queued | State::Cancelled);
        let in_order = started.is_none_or(|started| *queued <= started)
            && ended.is_none_or(|ended| started.unwrap_or(*queued) <= ended);
        if !in_order || started.is_some() != runs || ended.is_some() != self.state.is_final() {
            return Some(Wrong::Times);
        }
        // A thread that did not stop when it was forced to is given up, and its action says so.
        let given_up = self.state == State::Stopped
            && error.as_ref().is_some_and(|text| text.contains("was abandoned"));
        let fits = (given_up || error.is_some() == (self.state == State::Error))
            && (details.mark.is_none() || self.state == State::Finished);
        (!fits).then_some(Wrong::Reply)
    }

    /// Says what is wrong if a reply showed `self` and a request that was sent after it `later`.
    /// `between` tells whether the server died in between, and whether it then runs actions again.
    pub(crate) fn wrong_before(&self, later: &Self, between: Between) -> Option<Wrong> {
        if self.state == State::Cancelled && later.shows_a_run() {
            return Some(Wrong::RanAfterCancel);
        }
        if let Some(wrong) = self.wrong_beside(later) {
            return Some(wrong);
        }
        let may_come = match between {
            Between::Nothing => follows(self.state, later.state),
            Between::Kill { requeues: true } => {
                !self.state.is_final() && self.state != State::Stopping
                    || follows(self.state, later.state)
            }
            // It ran, so it has ended: it is not run again.
            Between::Kill { requeues: false } => {
                follows(self.state, later.state)
                    && (!self.state.is_running() || later.state.is_final())
            }
        };
        if !may_come {
            return Some(match between {
                Between::Nothing => Wrong::WentBack,
                Between::Kill { .. } => Wrong::Recovery,
            });
        }
        let (Some(first), Some(second)) = (&self.details, &later.details) else { return None };
        let again = matches!(between, Between::Kill { requeues: true });
        if first.started.is_some() && first.started != second.started && !again {
            return Some(Wrong::RanTwice);
        }
        (first.ended.is_some() && first.ended != second.ended).then_some(Wrong::Times)
    }

    /// Says what is wrong if both were shown, in whatever order.
    pub(crate) fn wrong_beside(&self, other: &Self) -> Option<Wrong> {
        if self.state.is_final() && other.state.is_final() && self.state != other.state {
            return Some(Wrong::TwoEnds);
        }
        let (Some(one), Some(two)) = (&self.details, &other.details) else { return None };
        (one.queued != two.queued).then_some(Wrong::Times)
    }
}

/// What lies between two replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Between {
    Nothing,
    /// The server was killed, once or several times.
    Kill {
        requeues: bool,
    },
}

/// Whether an action may be seen in the second state after the first, while the server lives.
const fn follows(first: State, second: State) -> bool {
    use State::{Error, Finished, Paused, Processing, Queued, Stopped, Stopping};
    match (first, second) {
        (Queued, _) => true,
        (Processing | Paused, Processing | Paused | Stopping | Finished | Error | Stopped) => true,
        (Stopping, Stopping | Finished | Error | Stopped) => true,
        (first, second) => first as u8 == second as u8,
    }
}

/// The illegal outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Wrong {
    RanAfterCancel,
    RanTwice,
    TwoEnds,
    EndUnasked,
    Lost,
    Stuck,
    WentBack,
    Recovery,
    TooManyRun,
    Counts,
    Order,
    StartedWhilePaused,
    Times,
    TokenTwice,
    NoReply,
    Reply,
}

impl Wrong {
    pub(crate) const ALL: [Self; 16] = [
        Self::RanAfterCancel,
        Self::RanTwice,
        Self::TwoEnds,
        Self::EndUnasked,
        Self::Lost,
        Self::Stuck,
        Self::WentBack,
        Self::Recovery,
        Self::TooManyRun,
        Self::Counts,
        Self::Order,
        Self::StartedWhilePaused,
        Self::Times,
        Self::TokenTwice,
        Self::NoReply,
        Self::Reply,
    ];

    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::RanAfterCancel => "ran after a confirmed cancel (Q6)",
            Self::RanTwice => "ran twice",
            Self::TwoEnds => "two different final states (Q7)",
            Self::EndUnasked => "ended in a way that nobody asked for",
            Self::Lost => "acknowledged and lost (Q2)",
            Self::Stuck => "never came to an end (Q13)",
            Self::WentBack => "the state went back (Q3)",
            Self::Recovery => "recovered against OnRestart",
            Self::TooManyRun => "more run than MaximumThreads (Q4)",
            Self::Counts => "counts are not those of the listing (Q10)",
            Self::Order => "started before one of higher priority (Q8)",
            Self::StartedWhilePaused => "started while the queue was paused (Q12)",
            Self::Times => "not queued <= started <= finished (Q9)",
            Self::TokenTwice => "a token was given or listed twice (Q1)",
            Self::NoReply => "no reply (Q11)",
            Self::Reply => "not the reply to what was asked",
        }
    }
}

/// Reads the word of a state.
pub(crate) fn word(text: &str) -> State {
    let found = State::ALL.into_iter().find(|state| state.name() == text);
    found.unwrap_or_else(|| panic!("{text} is no state"))
}

/// The mark in the parameters that Echo repeats below this node.
pub(crate) fn mark(node: Node<'_, '_>) -> Option<String> {
    let mut all = node.descendants().filter(|node| node.has_tag_name("parameter"));
    let mark = all.find(|node| node.attribute("name") == Some("Mark"))?;
    mark.attribute("value").map(str::to_owned)
}

#[test]
fn what_may_be_seen_after_what() {
    use State::{Cancelled, Finished, Paused, Processing, Queued, Stopped, Stopping};
    const KILL: Between = Between::Kill { requeues: false };
    const AGAIN: Between = Between::Kill { requeues: true };
    for (first, later, between, expected) in [
        (Queued, Cancelled, Between::Nothing, None),
        (Paused, Processing, Between::Nothing, None),
        (Processing, Queued, Between::Nothing, Some(Wrong::WentBack)),
        (Stopping, Paused, Between::Nothing, Some(Wrong::WentBack)),
        (Processing, Cancelled, Between::Nothing, Some(Wrong::WentBack)),
        (Cancelled, Processing, Between::Nothing, Some(Wrong::RanAfterCancel)),
        (Cancelled, Queued, Between::Nothing, Some(Wrong::WentBack)),
        (Finished, Stopped, Between::Nothing, Some(Wrong::TwoEnds)),
        (Finished, Stopped, AGAIN, Some(Wrong::TwoEnds)),
        (Processing, Cancelled, AGAIN, None),
        (Processing, Queued, AGAIN, None),
        (Processing, Queued, KILL, Some(Wrong::Recovery)),
        (Processing, Processing, KILL, Some(Wrong::Recovery)),
        (Queued, Processing, KILL, None),
        (Stopping, Stopped, KILL, None),
        (Stopping, Queued, AGAIN, Some(Wrong::Recovery)),
        (Finished, Queued, AGAIN, Some(Wrong::Recovery)),
    ] {
        let found = Seen::state(first).wrong_before(&Seen::state(later), between);
        assert_eq!(found, expected, "{first} then {later}, {between:?}");
    }
}
