//! The picture of a state. It fits a terminal of any size; with 80 columns and 24 lines nothing of weight is cut.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row as TableRow, Table, TableState, Wrap};

use super::super::show::{clock, counted, cut, grouped, line};
use super::command::short;
use super::state::{Focus, Mode, Row, State, runs};
use crate::aci::client::Status;

/// Number of queues that are seen at once, before the list moves.
const QUEUES: u16 = 8;

/// Number of columns of a progress bar.
const BAR: usize = 10;

/// Number of characters of a time that are shown: without the year.
const TIME: usize = 15;

const KEYS: &[(&str, &str)] = &[
    ("Tab, Enter", "go to the other half"),
    ("Up, Down, j, k", "select; PageUp, PageDown, Home, End"),
    ("e", "show what runs and waits, or what has ended"),
    ("Enter, d", "show an action in full, with its log"),
    ("s", "stop an action, or all that run in a queue"),
    ("S", "force an action to stop"),
    ("c", "cancel a queued action"),
    ("p, r", "pause, resume an action or a queue"),
    ("+, -, P", "raise, lower, set the priority of a queued action"),
    ("t", "try again: an action that waits for its next attempt, or has ended in Error"),
    ("q, Esc", "quit"),
];

/// Draws all of it.
pub(super) fn draw(state: &mut State, frame: &mut Frame<'_>) {
    let queues = u16::try_from(state.queues.len()).unwrap_or(QUEUES).clamp(1, QUEUES);
    let [head, above, below, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(queues.saturating_add(3)),
        Constraint::Min(4),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(headline(state), head);
    draw_queues(state, frame, above);
    draw_actions(state, frame, below);
    frame.render_widget(footline(state), foot);
    match &state.mode {
        Mode::Normal | Mode::Priority { .. } => {}
        Mode::Ask(command) => {
            let question = command.question().unwrap_or_default();
            let lines = vec![Line::from(question), Line::default(), Line::from("y yes   n no")];
            popup(frame, "Are you sure?", lines, 0);
        }
        Mode::Details { lines, from } => {
            let lines = lines.iter().map(|text| Line::from(line(text).into_owned())).collect();
            popup(frame, "Up, Down; any other key goes back", lines, *from);
        }
        Mode::Help => {
            let key = |(key, meaning): &(&'static str, &'static str)| {
                let key = Span::styled(format!("{key:<16}"), Modifier::BOLD);
                Line::from(vec![key, Span::raw(*meaning)])
            };
            popup(frame, "Keys", KEYS.iter().map(key).collect(), 0);
        }
    }
}

fn headline(state: &State) -> Line<'static> {
    let (running, pending) = state.totals();
    let bold = |text: String| Span::styled(text, Modifier::BOLD);
    let queues = counted(u64::try_from(state.queues.len()).unwrap_or_default(), "queue");
    let numbers =
        format!("  {queues}, {} running, {} waiting  ", grouped(running), grouped(pending));
    let how = match (&state.away, state.is_live) {
        (Some(why), _) => Span::styled(format!("no answer: {why}"), Color::Red),
        (None, true) => Span::styled("live", Color::Green),
        (None, false) => Span::raw("each second"),
    };
    Line::from(vec![bold(format!(" {}", line(&state.server))), Span::raw(numbers), how])
}

fn footline(state: &State) -> Line<'static> {
    if let Mode::Priority { text, .. } = &state.mode {
        return Line::from(format!(" new priority: {text}_   Enter sets it, Esc leaves it"));
    }
    if let Some((text, went_well)) = &state.note {
        let style = if *went_well { Style::new() } else { Style::new().fg(Color::Red) };
        return Line::styled(format!(" {}", line(text)), style);
    }
    Line::from(match state.focus {
        Focus::Queues => {
            " Tab actions  p pause  r resume  s stop all that run  e ended  ? keys  q quit"
        }
        Focus::Actions => {
            " s stop  c cancel  p pause  r resume  +/- priority  d details  ? keys  q quit"
        }
    })
}

/// Returns the frame of a half, which shows if keys are for it.
fn half(title: String, has_focus: bool) -> Block<'static> {
    let style = if has_focus { Style::new().bold() } else { Style::new() };
    Block::bordered().title(format!(" {title} ")).border_style(style).title_style(style)
}

fn heading(names: &[&'static str]) -> TableRow<'static> {
    TableRow::new(names.iter().map(|name| Cell::from(*name))).style(Modifier::DIM)
}

fn draw_queues(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let rows = state.queues.iter().map(|queue| {
        let style = if queue.status.paused { Style::new().fg(Color::Yellow) } else { Style::new() };
        let word = if queue.status.paused { "paused" } else { "open" };
        TableRow::new([
            Cell::from(line(&queue.name).into_owned()),
            Cell::from(word).style(style),
            right(grouped(queue.status.pending), 11),
            right(grouped(queue.status.running), 7),
            right(queue.slots.map(grouped).unwrap_or_default(), 5),
            right(grouped(queue.status.finished), 11),
        ])
    });
    let widths = [
        Constraint::Min(12),
        Constraint::Length(6),
        Constraint::Length(11),
        Constraint::Length(7),
        Constraint::Length(5),
        Constraint::Length(11),
    ];
    let names = ["QUEUE", "STATE", "    WAITING", "RUNNING", "SLOTS", "      ENDED"];
    let has_focus = state.focus == Focus::Queues;
    let table = Table::new(rows, widths)
        .header(heading(&names))
        .block(half("Queues".to_owned(), has_focus))
        .row_highlight_style(Modifier::REVERSED);
    let mut selected = TableState::new().with_selected(state.queue_at());
    frame.render_stateful_widget(table, area, &mut selected);
}

fn draw_actions(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let widths = [
        Constraint::Length(10),
        Constraint::Length(16),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(4),
        Constraint::Length(11),
        Constraint::Min(8),
    ];
    let names = ["STATUS", "PROGRESS", "  WAITED", "     RAN", " PRI", "TOKEN", "QUEUED"];
    let has_focus = state.focus == Focus::Actions;
    let table = Table::new(state.rows.iter().map(action), widths)
        .header(heading(&names))
        .block(half(cut(&state.title(), 60), has_focus))
        .row_highlight_style(if has_focus { Modifier::REVERSED } else { Modifier::empty() });
    let mut selected = TableState::new().with_selected(state.row_at());
    frame.render_stateful_widget(table, area, &mut selected);
}

fn action(row: &Row) -> TableRow<'static> {
    let action = &row.action;
    let time = |time: Option<std::time::Duration>| time.map(clock).unwrap_or_default();
    let progress = match (row.percent, &action.error) {
        (Some(percent), _) if runs(&action.status) => bar(percent),
        (_, Some(error)) => cut(error, 16),
        _ => String::new(),
    };
    let queued = action.queued.as_ref().map(|time| line(&time.text).into_owned());
    let queued: String = queued.unwrap_or_default().chars().rev().take(TIME).collect();
    TableRow::new([
        Cell::from(cut(&action.status.to_string(), 10)).style(colour(&action.status)),
        Cell::from(progress),
        right(time(action.in_queue), 8),
        right(time(action.processing), 8),
        right(action.priority.map(|priority| priority.to_string()).unwrap_or_default(), 4),
        Cell::from(short(&action.token)),
        Cell::from(queued.chars().rev().collect::<String>()),
    ])
}

fn colour(status: &Status) -> Style {
    let style = Style::new();
    match status {
        Status::Finished => style.fg(Color::Green),
        Status::Error => style.fg(Color::Red),
        Status::Processing => style.fg(Color::Cyan),
        Status::Paused | Status::Stopping | Status::Stopped | Status::Cancelled => {
            style.fg(Color::Yellow)
        }
        _ => style,
    }
}

fn right(text: String, width: usize) -> Cell<'static> {
    Cell::from(format!("{text:>width$}"))
}

/// Writes progress as a bar and a number.
fn bar(percent: f64) -> String {
    let percent = percent.clamp(0.0, 100.0);
    let full = (0..BAR).filter(|step| percent >= (*step as f64 + 1.0) * 100.0 / BAR as f64).count();
    format!("{}{} {percent:>3.0} %", "█".repeat(full), "░".repeat(BAR.saturating_sub(full)))
}

/// Draws lines above the rest, in the middle.
fn popup(frame: &mut Frame<'_>, title: &str, lines: Vec<Line<'static>>, from: usize) {
    let area = frame.area();
    let width = area.width.min(90).saturating_sub(4);
    let inner = usize::from(width.saturating_sub(2).max(1));
    let height: usize = lines.iter().map(|line| line.width().div_ceil(inner).max(1)).sum();
    let height = u16::try_from(height.saturating_add(2)).unwrap_or(u16::MAX);
    let area = area.centered(
        Constraint::Length(width),
        Constraint::Length(height.min(area.height.saturating_sub(2))),
    );
    let block = Block::bordered().title(format!(" {title} "));
    let text = Paragraph::new(lines).wrap(Wrap { trim: false }).block(block);
    frame.render_widget(Clear, area);
    frame.render_widget(text.scroll((u16::try_from(from).unwrap_or(u16::MAX), 0)), area);
}
