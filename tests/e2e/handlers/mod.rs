//! Handlers of events: the real server, and real receivers, files, scripts and programs.
//!
//! | file | what it is about |
//! |---|---|
//! | `receiver` | a receiver that does as it is told |
//! | `messages` | what is told of what, and in which form |
//! | `failures` | receivers that fail, hang, break off and redirect; a server that is killed |
//! | `callbacks` | addresses that submissions name |
//! | `libraries` | files, scripts and programs |
//! | `bounds` | what is kept for a receiver that takes nothing |
//! | `storm` | a storm of events, over kills |

mod bounds;
mod callbacks;
mod failures;
mod libraries;
mod messages;
mod receiver;
#[cfg(target_os = "linux")]
pub(crate) mod storm;

use super::calls::Answer;
use super::server::{Server, wait_until};

/// A queue that tells this handler of all that becomes of its actions; the rest is for the section of the handler.
fn config(rest: &str) -> String {
    format!(
        "[AsyncActions]\n0=Process\n[Process]\nType=Echo\nOnFinish=H\nOnError=H\nOnCancel=H\nOnStop=H\n\
         [H]\n{rest}\nRetryInterval=1\nMaxRetryInterval=1\n"
    )
}

/// The section of a handler that sends to this address.
fn http(url: &str) -> String {
    config(&format!("LibraryName=HttpHandler\nURL={url}"))
}

/// Waits until the only handler shows this number of such events, and returns what it shows.
fn wait_for_events(server: &Server, what: &str, number: u64) -> Answer {
    let mut shown = Answer(String::new());
    wait_until(&format!("{number} {what}"), || {
        shown = server.ask("EventInfo").success();
        shown.number(what) == number
    });
    shown
}
