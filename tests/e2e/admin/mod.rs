//! The admin page of the real program.
//!
//! - `browser`: a real Chromium, driven over `WebDriver`;
//! - `pages`: what its user sees and does there;
//! - `sessions`: keys, cookies, forms of others, headers, and the way to the page, over raw sockets;
//! - `looks`: accessibility by axe-core, on a phone and in the dark, and hostile names in each place.

mod browser;
mod looks;
mod pages;
mod sessions;

/// A server with two queues, and this in its section `[Server]`.
fn config(server: &str) -> String {
    format!(
        "[Server]\n{server}\n[Actions]\n[AsyncActions]\n0=Process\n1=Other\n[Process]\nType=Echo\nMaximumThreads=2\n\
         [Other]\nType=Echo\nMaxQueueSize=1000\n"
    )
}
