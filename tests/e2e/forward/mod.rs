//! `Type=Forward`: one server in front of others, which are a second actiond or one that behaves as the vendor's.

mod commands;
mod crashes;
mod failures;
mod results;
mod several;
mod vendor;

use super::server::{Home, Server, wait_until};

/// The configuration of a server that forwards its queue `Process` there, with these further lines.
fn to(urls: &str, more: &str) -> String {
    format!(
        "[AsyncActions]\n0=Process\n[Process]\nType=Forward\nMaximumThreads=100\nStopGraceSecs=20\n\
         ForwardTo={urls}\nForwardPollMinMs=20\nForwardPollMaxMs=200\n{more}\n"
    )
}

/// A second actiond with a queue of Echo.
fn there(more: &str) -> (Home, Server) {
    let home = Home::new(&format!("[AsyncActions]\n0=Process\n[Process]\nType=Echo\n{more}\n"));
    let server = home.start();
    (home, server)
}

fn url_of(server: &Server) -> String {
    format!("http://127.0.0.1:{}", server.address.port())
}

/// Waits until the queue of a server has one action, and returns its token.
fn only_one(server: &Server) -> String {
    let mut tokens = Vec::new();
    wait_until("an action over there", || {
        tokens = server.info("Process", "getStatus", "").success().values("token");
        !tokens.is_empty()
    });
    assert_eq!(tokens.len(), 1, "it is there more than once");
    tokens.remove(0)
}

/// Waits until the progress of an action says this.
fn wait_for_progress(server: &Server, token: &str, words: &str) {
    let mut last = String::new();
    let is_so = || {
        last = server.about("Process", "progress", token).success().0;
        last.contains(words)
    };
    wait_until(&format!("a progress with {words}"), is_so);
}
