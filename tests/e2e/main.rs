//! End to end: the real binary, real sockets, real directories. One binary for all of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test may panic, and that is how it fails"
)]

mod access;
#[cfg(target_os = "linux")]
mod admin;
#[cfg(target_os = "linux")]
mod attempts;
#[cfg(unix)]
mod backup;
mod calls;
mod cargo;
#[cfg(unix)]
mod cli;
mod client;
#[cfg(unix)]
mod command;
mod connector;
mod draining;
mod durable;
mod embedded;
mod events;
#[cfg(unix)]
mod example;
mod forward;
#[cfg(unix)]
mod handlers;
#[cfg(target_os = "linux")]
mod hostile;
mod limits;
mod listening;
#[cfg(unix)]
mod log_streams;
mod logging;
mod metrics;
mod operating;
#[cfg(target_os = "linux")]
mod packaging;
#[cfg(target_os = "linux")]
mod pages;
#[cfg(unix)]
mod postgres;
mod program;
#[cfg(target_os = "linux")]
mod programs;
#[cfg(unix)]
mod readme;
#[cfg(unix)]
mod reload;
#[cfg(target_os = "linux")]
mod remote;
mod schedules;
mod server;
#[cfg(unix)]
mod service;
#[cfg(target_os = "linux")]
mod shop;
mod skip;
mod steering;
mod storm;
mod tidy;
mod tls;
mod wire;

mod smoke {
    use super::server::{CONFIG, Home};

    #[test]
    fn an_action_is_submitted_and_finishes() {
        let home = Home::new(CONFIG);
        let server = home.start();
        let token = server.submit("&Name=Ada");
        server.wait_for_status(&token, "Finished");
    }
}
