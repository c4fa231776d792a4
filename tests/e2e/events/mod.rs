//! `/events` of the real program: what a listener hears, from where it goes on, and who may listen.
//!
//! - `stream`: a client of server-sent events over a raw socket;
//! - `opened`: without a word in the configuration, and from the first listener on;
//! - `heard`: each type of event, and the filters;
//! - `resumed`: after a break, within what is kept and beyond it;
//! - `refused`: bad parameters, roles, limits, and a server without events;
//! - `many`: hundreds that listen, those who don't read, and a shutdown;
//! - `browser`: a real `EventSource`.

#[cfg(target_os = "linux")]
mod browser;
mod heard;
mod many;
mod opened;
mod refused;
mod resumed;
mod stream;

/// A server with live events, two queues, and this in its section `[Server]`.
fn config(server: &str) -> String {
    format!(
        "[Server]\nEventHistory=1000\n{server}\n[AsyncActions]\n0=Process\n1=Other\n[Process]\nType=Echo\nMaximumThreads=2\n\
         [Other]\nType=Echo\nMaxQueueSize=3\n"
    )
}
