//! What was acknowledged is there again: on a full disk, beside a damaged file, where files went away, and
//! while space is given back. After `kill -9`:
//! `storm::kills`.

mod alone;
mod damage;
pub(crate) mod disk;
mod gone;
mod in_memory;
mod limits;
mod reserve;
mod shrinking;

use std::time::{Duration, Instant};

use super::calls::Answer;
use super::server::{Home, Server, wait_until};

/// Whoever may send requests need not know where the server keeps its data.
pub(crate) fn names_no_path(home: &Home, answer: &Answer) {
    let path = home.path().to_str().expect("a path");
    assert!(!answer.0.contains(path) && !answer.0.contains("actions.db"), "{}", answer.0);
}

/// Submits this text to the queue `Held` until that is taken, and adds the token.
fn until_taken(server: &Server, text: &str, tokens: &mut Vec<String>) {
    wait_until("a submission that is taken", || {
        let answer = server.post("Held", &[("Text", text)]);
        answer.is_success().then(|| tokens.push(answer.must("token"))).is_some()
    });
}

/// Lets a server that can't do what it should be for this long, and ends it: it complained less often than this.
fn is_quiet(server: Server, time: Duration, complaints: usize) {
    let began = Instant::now();
    // Who is well does next to nothing meanwhile.
    wait_until("time in which it could complain", || {
        assert!(server.ask("GetStatus").is_success());
        began.elapsed() > time
    });
    server.signal("KILL");
    let (_, log) = server.wait();
    let count = log.iter().filter(|line| line.contains("ERROR") || line.contains("WARN")).count();
    assert!(count < complaints, "{count} complaints in {time:?}, such as {:?}", log.last());
}
