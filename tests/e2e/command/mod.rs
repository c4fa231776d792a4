//! `Type=Command`: real programs, run by the real server.

mod ends;
mod input;
mod places;
mod results;
mod steering;

use super::calls::Answer;
use super::server::{Home, Server};

/// A server with one queue, `Run`, whose command is a shell that runs this script, with these further lines in its section.
/// The script may name parameters.
fn shell(script: &str, lines: &str) -> (Home, Server) {
    let home = home(script, lines);
    let server = home.start();
    (home, server)
}

fn home(script: &str, lines: &str) -> Home {
    assert!(!script.contains('\''), "it stands in single quotes");
    let config = format!(
        "[AsyncActions]\n0=Run\n[Run]\nType=Command\nMaximumThreads=2\nCommand=sh -c '{script}' sh\n{lines}\n"
    );
    Home::new(&config)
}

/// Runs an action to its end.
fn run(server: &Server, parameters: &str) -> Answer {
    let token = server.submit_to("Run", parameters);
    server.outcome("Run", &token)
}
