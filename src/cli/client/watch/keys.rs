//! The keyboard, read by a thread of its own: a terminal can only be waited for by blocking.

use std::io;
use std::thread;

use crossterm::event::{Event, read};
use tokio::sync::mpsc;

/// Number of events that wait: whoever types faster than the screen is drawn is not left behind.
const EVENTS: usize = 64;

/// Begins to read keys and sizes. The thread ends with the program.
pub(super) fn listen() -> io::Result<mpsc::Receiver<Event>> {
    let (sender, events) = mpsc::channel(EVENTS);
    let each = move || {
        // An error is the end of the terminal, as which the end of the channel counts.
        while let Ok(event) = read() {
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("keys".to_owned()).spawn(each)?;
    Ok(events)
}
