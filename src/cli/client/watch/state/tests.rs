//! Keys and news, one after another; and the picture of what comes of them.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::command::Command;
use super::super::feed::News;
use super::super::view;
use super::*;
use crate::aci::client::QueueStatus;
use crate::aci::element::Element;

fn queue(name: &str) -> QueueCounts {
    let status = QueueStatus { paused: false, pending: 1_234_567, running: 2, finished: 3 };
    QueueCounts { name: name.to_owned(), status, slots: Some(2) }
}

fn row(token: &str, status: &str) -> Row {
    let text = |name: &'static str, text: &str| Element::text(name, text);
    let element = Element::new("action")
        .child(text("status", status))
        .child(text("queued_time", "2026-Nov-30 12:00:00"))
        .child(text("time_in_queue", "3"))
        .child(text("priority", "7"))
        .child(text("token", token));
    Row { action: Action::read(element).unwrap(), percent: Some(42.0) }
}

fn now(state: &State, rows: Vec<Row>) -> News {
    News::Now { queues: vec![queue("Fetch"), queue("Process")], sight: state.sight(), rows }
}

fn state() -> State {
    let mut state = State::new("host:7000");
    let news = now(&state, Vec::new());
    state.hear(news);
    let news = now(&state, vec![row("a=", "Processing"), row("b=", "Queued")]);
    state.hear(news);
    state
}

fn press(state: &mut State, code: KeyCode) -> Effect {
    state.key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn picture(state: &mut State, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::draw(state, frame)).unwrap();
    terminal.backend().to_string()
}

#[test]
fn keys_steer_the_selected_action() {
    let token = || "b=".to_owned();
    let table = [
        ('p', Effect::Do(Command::Pause { token: token() })),
        ('r', Effect::Do(Command::Resume { token: token() })),
        ('t', Effect::Do(Command::Retry { token: token() })),
        ('+', Effect::Do(Command::Priority { token: token(), priority: 8 })),
        ('-', Effect::Do(Command::Priority { token: token(), priority: 6 })),
        ('d', Effect::Details(token())),
        ('q', Effect::Quit),
        ('x', Effect::None),
    ];
    for (key, want) in table {
        let mut state = state();
        press(&mut state, KeyCode::Tab);
        press(&mut state, KeyCode::Down);
        assert_eq!(press(&mut state, KeyCode::Char(key)), want, "{key}");
    }
    let table = [
        ('s', Command::Stop { token: token(), force: false }),
        ('S', Command::Stop { token: token(), force: true }),
        ('c', Command::Cancel { token: token() }),
    ];
    for (key, command) in table {
        let mut state = state();
        press(&mut state, KeyCode::Tab);
        press(&mut state, KeyCode::Down);
        assert_eq!(press(&mut state, KeyCode::Char(key)), Effect::None, "{key} asks");
        assert_eq!(press(&mut state, KeyCode::Enter), Effect::None, "Enter is no answer");
        assert_eq!(state.mode, Mode::Ask(command.clone()));
        assert_eq!(press(&mut state, KeyCode::Char('y')), Effect::Do(command));
        press(&mut state, KeyCode::Char(key));
        assert_eq!(press(&mut state, KeyCode::Char('n')), Effect::None);
        assert_eq!(state.mode, Mode::Normal);
    }
}

#[test]
fn keys_steer_the_selected_queue() {
    let mut state = state();
    let queue = || "Process".to_owned();
    assert_eq!(press(&mut state, KeyCode::Down), Effect::Look);
    assert_eq!(state.sight().queue, Some(queue()));
    assert!(state.rows.is_empty(), "those of another queue are not shown");
    assert_eq!(press(&mut state, KeyCode::Down), Effect::None, "it is the last");
    let pause = Effect::Do(Command::PauseQueue { queue: queue() });
    assert_eq!(press(&mut state, KeyCode::Char('p')), pause);
    press(&mut state, KeyCode::Char('s'));
    let stop = Effect::Do(Command::StopQueue { queue: queue() });
    assert_eq!(press(&mut state, KeyCode::Char('y')), stop);
    assert_eq!(press(&mut state, KeyCode::Char('e')), Effect::Look);
    assert_eq!(state.sight().view, View::Ended);
}

#[test]
fn a_priority_is_typed() {
    let mut state = state();
    press(&mut state, KeyCode::Tab);
    press(&mut state, KeyCode::Char('P'));
    for key in ['-', '1', 'x', '2', '3'] {
        press(&mut state, KeyCode::Char(key));
    }
    press(&mut state, KeyCode::Backspace);
    assert!(picture(&mut state, 80, 24).contains("new priority: -12_"));
    let want = Command::Priority { token: "a=".to_owned(), priority: -12 };
    assert_eq!(press(&mut state, KeyCode::Enter), Effect::Do(want));
    press(&mut state, KeyCode::Char('P'));
    assert_eq!(press(&mut state, KeyCode::Enter), Effect::None);
    assert!(state.note.is_some(), "an empty one is none");
}

#[test]
fn the_selection_stays_with_its_action() {
    let mut state = state();
    press(&mut state, KeyCode::Tab);
    press(&mut state, KeyCode::Down);
    let news = now(&state, vec![row("c=", "Processing"), row("a=", "Queued"), row("b=", "Queued")]);
    state.hear(news);
    assert_eq!(state.row_at(), Some(2));
    let news = now(&state, vec![row("c=", "Processing")]);
    state.hear(news);
    assert_eq!(state.row_at(), Some(0), "it has gone, and the last is next to it");
    // What was asked for before another queue was selected comes too late.
    let late = now(&state, vec![row("z=", "Queued")]);
    press(&mut state, KeyCode::Tab);
    press(&mut state, KeyCode::Down);
    state.hear(late);
    assert!(state.rows.is_empty());
}

#[test]
fn all_of_weight_is_seen_on_eighty_columns() {
    let mut state = state();
    state.hear(News::Live(true));
    state.hear(News::Progress("a=".to_owned(), 57.0));
    let shown = picture(&mut state, 80, 24);
    for words in [
        "host:7000",
        "2 queues, 4 running, 2,469,134 waiting",
        "live",
        "Process",
        "1,234,567",
        "Fetch: running and queued",
        "Processing",
        "█████░░░░░  57 %",
        "0:03",
        "Nov-30 12:00:00",
        "q quit",
    ] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
    state.hear(News::Away("no connection".to_owned()));
    assert!(picture(&mut state, 80, 24).contains("no answer: no connection"));
    state.hear(News::Done(Err("not allowed\u{1b}".to_owned())));
    assert!(picture(&mut state, 80, 24).contains("not allowed\\u{1b}"));
    press(&mut state, KeyCode::Char('?'));
    let shown = picture(&mut state, 80, 24);
    assert!(shown.contains("force an action to stop") && shown.contains("q, Esc"), "{shown}");
    press(&mut state, KeyCode::Char('x'));
    state.hear(News::Details((0..50).map(|line| format!("line {line}")).collect()));
    press(&mut state, KeyCode::PageDown);
    let shown = picture(&mut state, 80, 24);
    assert!(shown.contains("line 10") && !shown.contains("line 9 "), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_key_and_no_size_is_too_odd(
        keys in proptest::collection::vec(prop_oneof![
            any::<char>().prop_map(KeyCode::Char),
            proptest::sample::select(vec![
                KeyCode::Up, KeyCode::Down, KeyCode::Tab, KeyCode::Enter, KeyCode::PageUp, KeyCode::PageDown, KeyCode::Home,
                KeyCode::End, KeyCode::Backspace,
            ]),
            proptest::sample::select(vec!['s', 'S', 'c', 'p', 'P', 'e', 'd', '?', '+', '-', 'y', 'n']).prop_map(KeyCode::Char),
        ], 0..12),
        width in 1_u16..120,
        height in 1_u16..40,
    ) {
        let mut state = state();
        for key in keys {
            if let Effect::Details(token) = press(&mut state, key) {
                state.hear(News::Details(vec![token; 30]));
            }
        }
        picture(&mut state, width, height);
    }
}
