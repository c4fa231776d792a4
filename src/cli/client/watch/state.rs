//! The state of the screen: what is shown and selected, and what keys do. It knows neither terminal nor server.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::command::Command;
use super::feed::News;
use crate::aci::client::{Action, QueueCounts, Status};

/// The queue that is looked at, and which of its actions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) queue: Option<String>,
    pub(super) view: View,
}

/// The actions of a queue that are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum View {
    /// Actions that run, and those that wait.
    #[default]
    Active,
    /// Actions that have ended, the latest first.
    Ended,
}

/// An action that is shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) action: Action,
    pub(super) percent: Option<f64>,
}

/// The half of the screen that keys are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Focus {
    Queues,
    Actions,
}

/// The meaning of keys at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    Normal,
    /// A question waits for its answer.
    Ask(Command),
    /// A priority is being typed.
    Priority {
        token: String,
        text: String,
    },
    /// An action is shown in full, from this line on.
    Details {
        lines: Vec<String>,
        from: usize,
    },
    /// The keys are shown.
    Help,
}

/// The effect of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    Quit,
    /// Something else is looked at.
    Look,
    Do(Command),
    Details(String),
}

/// All that is shown.
#[derive(Debug)]
pub(super) struct State {
    pub(super) server: String,
    pub(super) is_live: bool,
    /// The reason for which the server can't be asked.
    pub(super) away: Option<String>,
    pub(super) queues: Vec<QueueCounts>,
    pub(super) rows: Vec<Row>,
    pub(super) focus: Focus,
    pub(super) mode: Mode,
    /// The outcome of the last command in words, and true if it went well.
    pub(super) note: Option<(String, bool)>,
    sight: Sight,
    /// The token of the selected action: the list moves, and the selection stays with its action.
    token: Option<String>,
    /// The place that it had, for when it has gone.
    place: usize,
}

impl State {
    pub(super) fn new(server: &str) -> Self {
        Self {
            server: server.to_owned(),
            is_live: false,
            away: None,
            queues: Vec::new(),
            rows: Vec::new(),
            focus: Focus::Queues,
            mode: Mode::Normal,
            note: None,
            sight: Sight::default(),
            token: None,
            place: 0,
        }
    }

    pub(super) fn sight(&self) -> Sight {
        self.sight.clone()
    }

    /// Returns the place of the selected queue.
    pub(super) fn queue_at(&self) -> Option<usize> {
        let name = self.sight.queue.as_deref()?;
        self.queues.iter().position(|queue| queue.name == name)
    }

    /// Returns the place of the selected action.
    pub(super) fn row_at(&self) -> Option<usize> {
        let by_token =
            self.rows.iter().position(|row| Some(&row.action.token) == self.token.as_ref());
        by_token.or_else(|| self.rows.len().checked_sub(1).map(|last| self.place.min(last)))
    }

    pub(super) fn take_queues(&mut self, queues: Vec<QueueCounts>) {
        self.queues = queues;
        if self.queue_at().is_none() {
            self.sight.queue = self.queues.first().map(|queue| queue.name.clone());
        }
    }

    /// Takes news.
    pub(super) fn hear(&mut self, news: News) {
        match news {
            News::Now { queues, sight, rows } => {
                self.away = None;
                self.take_queues(queues);
                // What was asked for before the sight changed is of no use.
                if sight == self.sight {
                    self.rows = rows;
                    self.select_row(self.row_at().unwrap_or_default());
                }
            }
            News::Away(why) => self.away = Some(why),
            News::Live(is_live) => self.is_live = is_live,
            News::Progress(token, percent) => {
                let row = self.rows.iter_mut().find(|row| row.action.token == token);
                if let Some(row) = row {
                    row.percent = Some(percent);
                }
            }
            News::Done(Ok(told)) => self.note = Some((told, true)),
            News::Done(Err(why)) => self.note = Some((why, false)),
            News::Details(lines) => self.mode = Mode::Details { lines, from: 0 },
        }
    }

    /// Does what a key means.
    pub(super) fn key(&mut self, key: KeyEvent) -> Effect {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Effect::Quit,
                _ => Effect::None,
            };
        }
        match std::mem::replace(&mut self.mode, Mode::Normal) {
            Mode::Normal => self.normal_key(key.code),
            Mode::Ask(command) => match key.code {
                KeyCode::Char('y' | 'Y') => Effect::Do(command),
                KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => Effect::None,
                // Whoever hits another key has not answered.
                _ => {
                    self.mode = Mode::Ask(command);
                    Effect::None
                }
            },
            Mode::Priority { token, text } => self.priority_key(key.code, token, text),
            Mode::Details { lines, from } => {
                let last = lines.len().saturating_sub(1);
                let from = match key.code {
                    KeyCode::Down | KeyCode::Char('j') => from.saturating_add(1).min(last),
                    KeyCode::Up | KeyCode::Char('k') => from.saturating_sub(1),
                    KeyCode::PageDown | KeyCode::Char(' ') => from.saturating_add(10).min(last),
                    KeyCode::PageUp => from.saturating_sub(10),
                    _ => return Effect::None,
                };
                self.mode = Mode::Details { lines, from };
                Effect::None
            }
            Mode::Help => Effect::None,
        }
    }

    fn normal_key(&mut self, code: KeyCode) -> Effect {
        self.note = None;
        match code {
            KeyCode::Char('q') | KeyCode::Esc => return Effect::Quit,
            KeyCode::Char('?' | 'h') => self.mode = Mode::Help,
            KeyCode::Tab | KeyCode::BackTab => {
                self.focus = match self.focus {
                    Focus::Queues => Focus::Actions,
                    Focus::Actions => Focus::Queues,
                };
            }
            KeyCode::Down | KeyCode::Char('j') => return self.step(1),
            KeyCode::Up | KeyCode::Char('k') => return self.step(-1),
            KeyCode::PageDown => return self.step(10),
            KeyCode::PageUp => return self.step(-10),
            KeyCode::Home => return self.step(isize::MIN),
            KeyCode::End => return self.step(isize::MAX),
            KeyCode::Char('e') => {
                self.sight.view = match self.sight.view {
                    View::Active => View::Ended,
                    View::Ended => View::Active,
                };
                self.forget_rows();
                return Effect::Look;
            }
            KeyCode::Enter if self.focus == Focus::Queues => self.focus = Focus::Actions,
            code if self.focus == Focus::Queues => return self.queue_key(code),
            code => return self.action_key(code),
        }
        Effect::None
    }

    fn queue_key(&mut self, code: KeyCode) -> Effect {
        let Some(queue) = self.sight.queue.clone() else { return Effect::None };
        match code {
            KeyCode::Char('p') => self.give(Command::PauseQueue { queue }),
            KeyCode::Char('r') => self.give(Command::ResumeQueue { queue }),
            KeyCode::Char('s') => self.give(Command::StopQueue { queue }),
            _ => Effect::None,
        }
    }

    fn action_key(&mut self, code: KeyCode) -> Effect {
        let Some(row) = self.row_at().and_then(|at| self.rows.get(at)) else { return Effect::None };
        let token = row.action.token.clone();
        let priority = row.action.priority.unwrap_or_default();
        match code {
            KeyCode::Enter | KeyCode::Char('d') => Effect::Details(token),
            KeyCode::Char('s') => self.give(Command::Stop { token, force: false }),
            KeyCode::Char('S') => self.give(Command::Stop { token, force: true }),
            KeyCode::Char('c') => self.give(Command::Cancel { token }),
            KeyCode::Char('p') => self.give(Command::Pause { token }),
            KeyCode::Char('r') => self.give(Command::Resume { token }),
            KeyCode::Char('t') => self.give(Command::Retry { token }),
            KeyCode::Char('+') => {
                self.give(Command::Priority { token, priority: priority.saturating_add(1) })
            }
            KeyCode::Char('-') => {
                self.give(Command::Priority { token, priority: priority.saturating_sub(1) })
            }
            KeyCode::Char('P') => {
                self.mode = Mode::Priority { token, text: String::new() };
                Effect::None
            }
            _ => Effect::None,
        }
    }

    fn priority_key(&mut self, code: KeyCode, token: String, mut text: String) -> Effect {
        match code {
            KeyCode::Esc => return Effect::None,
            KeyCode::Enter => match text.parse() {
                Ok(priority) => return Effect::Do(Command::Priority { token, priority }),
                Err(_) => {
                    self.note = Some((format!("'{text}' is no priority"), false));
                    return Effect::None;
                }
            },
            KeyCode::Backspace => drop(text.pop()),
            KeyCode::Char(c) if c.is_ascii_digit() && text.len() < 11 => text.push(c),
            KeyCode::Char('-') if text.is_empty() => text.push('-'),
            _ => {}
        }
        self.mode = Mode::Priority { token, text };
        Effect::None
    }

    /// Has a command given, after a question if it destroys something.
    fn give(&mut self, command: Command) -> Effect {
        if command.question().is_none() {
            return Effect::Do(command);
        }
        self.mode = Mode::Ask(command);
        Effect::None
    }

    /// Moves the selection.
    fn step(&mut self, by: isize) -> Effect {
        let moved = |at: Option<usize>, length: usize| {
            at.unwrap_or_default().saturating_add_signed(by).min(length.saturating_sub(1))
        };
        match self.focus {
            Focus::Actions => {
                self.select_row(moved(self.row_at(), self.rows.len()));
                Effect::None
            }
            Focus::Queues => {
                let at = moved(self.queue_at(), self.queues.len());
                let queue = self.queues.get(at).map(|queue| queue.name.clone());
                if queue == self.sight.queue {
                    return Effect::None;
                }
                self.sight.queue = queue;
                self.forget_rows();
                Effect::Look
            }
        }
    }

    fn select_row(&mut self, at: usize) {
        self.place = at;
        self.token = self.rows.get(at).map(|row| row.action.token.clone());
    }

    fn forget_rows(&mut self) {
        self.rows.clear();
        (self.token, self.place) = (None, 0);
    }

    /// Returns the number of actions that run, and of those that wait, in all queues.
    pub(super) fn totals(&self) -> (u64, u64) {
        let sum = |of: fn(&QueueCounts) -> u64| self.queues.iter().map(of).sum();
        (sum(|queue| queue.status.running), sum(|queue| queue.status.pending))
    }

    /// Returns the words for what the list of actions shows.
    pub(super) fn title(&self) -> String {
        let queue = self.sight.queue.as_deref().unwrap_or_default();
        let what = match self.sight.view {
            View::Active => "running and queued",
            View::Ended => "ended",
        };
        format!("{queue}: {what}")
    }
}

/// Returns true if an action in this state has a progress to show.
pub(super) const fn runs(status: &Status) -> bool {
    matches!(status, Status::Processing | Status::Paused | Status::Stopping)
}

#[cfg(test)]
mod tests;
