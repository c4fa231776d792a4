//! `Type=Remote`: workers elsewhere take actions and report, over real sockets. Where the test itself is the worker, it speaks
//! the protocol as `docs/workers.md` tells it.
//!
//! | file | what it is about |
//! |---|---|
//! | `taking` | who gets what, and when: order, several queues, waits, limits |
//! | `ends` | finish, fail and release: their states, results and repetition |
//! | `leases` | silence, late words, and servers that die with work out |
//! | `steering` | stop, pause and force, as the worker hears of them |
//! | `asked` | roles, and requests that are wrong |
//! | `examples` | the workers of `examples/workers`, as they are |

mod asked;
mod ends;
mod examples;

mod leases;
mod steering;
mod taking;

use std::io::Write as _;
use std::net::TcpStream;

use super::calls::{Answer, form};
use super::server::{Reply, Server, wait_until};

/// Two queues of this kind and one of another.
pub(super) const CONFIG: &str = "
[AsyncActions]
0=Render
1=Print
2=Process
[Render]
Type=Remote
MaximumThreads=4
[Print]
Type=Remote
[Process]
Type=Echo
";

/// An action that this worker has.
#[derive(Debug, Clone)]
pub(super) struct Work {
    pub(super) token: String,
    pub(super) attempt: String,
    pub(super) queue: String,
}

impl Work {
    /// The works of a reply to `take`.
    pub(super) fn all(answer: &Answer) -> Vec<Self> {
        let of = |name| answer.values(name);
        let (tokens, attempts, queues) = (of("token"), of("attempt"), of("queue"));
        tokens
            .into_iter()
            .zip(attempts)
            .zip(queues)
            .map(|((token, attempt), queue)| Self { token, attempt, queue })
            .collect()
    }

    /// Says something about it.
    pub(super) fn say(&self, server: &Server, word: &str, rest: &[(&str, &str)]) -> Answer {
        let mut parameters =
            vec![("WorkAction", word), ("Token", &self.token), ("Attempt", &self.attempt)];
        parameters.extend_from_slice(rest);
        server.post("QueueWork", &parameters)
    }

    /// Begins to say something, and waits for no reply.
    pub(super) fn begin(&self, server: &Server, word: &str, rest: &[(&str, &str)]) -> Begun {
        let mut parameters =
            vec![("WorkAction", word), ("Token", &self.token), ("Attempt", &self.attempt)];
        parameters.extend_from_slice(rest);
        Begun::new(server, &form("QueueWork", &parameters))
    }

    /// Says something that must be accepted; returns the reply.
    pub(super) fn must(&self, server: &Server, word: &str, rest: &[(&str, &str)]) -> Answer {
        self.say(server, word, rest).success()
    }

    /// Says something that must be refused because the work is no longer this worker's; returns the reason.
    pub(super) fn has_lost(&self, server: &Server, word: &str) -> String {
        let (code, why) = self.say(server, word, &[("Error", "late")]).error();
        assert_eq!(code, "ERRORWORKLOST", "{word}: {why}");
        why
    }
}

/// A request whose reply was not read yet.
pub(super) struct Begun(TcpStream);

impl Begun {
    pub(super) fn new(server: &Server, request: &[u8]) -> Self {
        let mut stream = server.connect();
        stream.write_all(request).expect("it is sent");
        Self(stream)
    }

    pub(super) fn ask(server: &Server, action: &str) -> Self {
        let head = "Host: localhost\r\nConnection: close";
        Self::new(server, format!("GET /action={action} HTTP/1.1\r\n{head}\r\n\r\n").as_bytes())
    }

    pub(super) fn answer(mut self) -> Answer {
        Answer(Reply::read(&mut self.0).body_text())
    }
}

/// Waits until so many workers wait at the first queue.
pub(super) fn wait_for_workers(server: &Server, number: u64) {
    wait_until(&format!("{number} workers that wait"), || {
        server.ask("GetStatus").values("waiting")[0] == number.to_string()
    });
}

/// Takes from these queues, without waiting.
pub(super) fn take(server: &Server, queues: &str, rest: &str) -> Vec<Work> {
    let action = format!("QueueWork&WorkAction=take&QueueName={queues}&Worker=tester{rest}");
    Work::all(&server.ask(&action).success())
}

/// Takes one action, for which it waits.
pub(super) fn take_one(server: &Server, queues: &str) -> Work {
    let mut works = take(server, queues, "&Wait=20");
    assert_eq!(works.len(), 1, "{works:?}");
    works.remove(0)
}
