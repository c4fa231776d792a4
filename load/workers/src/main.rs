//! Workers that take actions of a queue with `Type=Remote` one at a time over HTTP and finish them at once, and submitters that
//! queue them meanwhile: how many actions a second go from submission to a durable end.
//!
//!     actiond-workers ADDRESS QUEUE [ACTIONS] [WORKERS] [SUBMITTERS] [ahead]
//!
//! With `ahead`, all actions are queued before the workers begin, and only those are timed. Otherwise no more are submitted while
//! 1,000 wait. One thread does all of it, so that most of the machine is left to the server.

use std::cell::Cell;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};

/// Number of actions that may be submitted and not finished while workers work.
const MOST_WAITING: usize = 1_000;

/// A connection that stays open.
struct Caller {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Caller {
    async fn new(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends a request and returns the reply's body, which must be a success.
    async fn ask(&mut self, target: &str) -> io::Result<String> {
        let request = format!("GET /action={target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        let broken = || io::Error::other("the reply can't be read");
        let (start, length) = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(end) = self.buffer.windows(4).position(|part| part == b"\r\n\r\n") {
                let head = self.buffer.get(..end).unwrap_or_default();
                let head = String::from_utf8_lossy(head).to_ascii_lowercase();
                let length = between(&format!("{head}\r\n"), "content-length: ", "\r\n")
                    .and_then(|length| length.parse::<usize>().ok());
                break (end + 4, length.ok_or_else(broken)?);
            }
        };
        while self.buffer.len() < start + length {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let body = String::from_utf8_lossy(self.buffer.get(start..).unwrap_or_default());
        match body.contains("<response>SUCCESS</response>") {
            true => Ok(body.into_owned()),
            false => Err(io::Error::other(body.into_owned())),
        }
    }
}

fn between(text: &str, from: &str, to: &str) -> Option<String> {
    let (_, rest) = text.split_once(from)?;
    Some(rest.split_once(to)?.0.to_owned())
}

/// The numbers of actions that are still to be submitted, and to be finished.
#[derive(Debug)]
struct Left {
    to_submit: Cell<usize>,
    to_finish: Cell<usize>,
    /// Room for actions that wait.
    room: Semaphore,
}

/// Takes one from a number, if there is any.
fn take_one(left: &Cell<usize>) -> bool {
    let is_left = left.get() > 0;
    left.set(left.get().saturating_sub(1));
    is_left
}

async fn submit(mut caller: Caller, queue: String, left: Rc<Left>) -> io::Result<()> {
    let parameters = "Reference=http%3A%2F%2Fwww.example.com%2Freport.pdf&Database=News&Note=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    while take_one(&left.to_submit) {
        left.room.acquire().await.map_err(io::Error::other)?.forget();
        caller.ask(&format!("{queue}&{parameters}")).await?;
    }
    Ok(())
}

async fn work(mut caller: Caller, queue: String, name: usize, left: Rc<Left>) -> io::Result<()> {
    let take = format!("QueueWork&WorkAction=take&QueueName={queue}&Worker=w{name}&Wait=1");
    while left.to_finish.get() > 0 {
        let taken = caller.ask(&take).await?;
        let token = between(&taken, "<token>", "</token>");
        let attempt = between(&taken, "<attempt>", "</attempt>");
        let (Some(token), Some(attempt)) = (token, attempt) else { continue };
        let token = token.replace('=', "%3D").replace('+', "%2B").replace('/', "%2F");
        let finish = format!(
            "QueueWork&WorkAction=finish&Token={token}&Attempt={attempt}&Result=%7B%22pages%22%3A12%7D"
        );
        caller.ask(&finish).await?;
        left.to_finish.set(left.to_finish.get().saturating_sub(1));
        left.room.add_permits(1);
    }
    Ok(())
}

async fn join(mut tasks: JoinSet<io::Result<()>>) -> io::Result<()> {
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(io::Error::other)??;
    }
    Ok(())
}

/// Runs all of it, and returns the seconds that it took.
async fn run(
    address: &str,
    queue: &str,
    actions: usize,
    workers: usize,
    submitters: usize,
    ahead: bool,
) -> io::Result<f64> {
    let room = Semaphore::new(if ahead { actions } else { MOST_WAITING });
    let (to_submit, to_finish) = (Cell::new(actions), Cell::new(actions));
    let left = Rc::new(Left { to_submit, to_finish, room });
    let mut submitting = JoinSet::new();
    for _ in 0..submitters {
        let caller = Caller::new(address).await?;
        submitting.spawn_local(submit(caller, queue.to_owned(), Rc::clone(&left)));
    }
    let mut began = Instant::now();
    if ahead {
        join(submitting).await?;
        submitting = JoinSet::new();
        began = Instant::now();
    }
    let mut working = JoinSet::new();
    for name in 0..workers {
        let caller = Caller::new(address).await?;
        working.spawn_local(work(caller, queue.to_owned(), name, Rc::clone(&left)));
    }
    join(submitting).await?;
    join(working).await?;
    Ok(began.elapsed().as_secs_f64())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default| {
        arguments.get(at).and_then(|text| text.parse::<usize>().ok()).unwrap_or(default)
    };
    let [address, queue, ..] = arguments.as_slice() else {
        let usage = "usage: actiond-workers ADDRESS QUEUE [ACTIONS] [WORKERS] [SUBMITTERS] [ahead]";
        let _ = writeln!(io::stderr(), "{usage}");
        return ExitCode::from(2);
    };
    let (actions, workers, submitters) = (number(2, 100_000), number(3, 64), number(4, 16));
    let ahead = arguments.iter().any(|word| word == "ahead");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let took = runtime.and_then(|runtime| {
        let all = run(address, queue, actions, workers, submitters, ahead);
        LocalSet::new().block_on(&runtime, all)
    });
    match took {
        Ok(seconds) => {
            #[expect(clippy::cast_precision_loss, reason = "a rate")]
            let rate = actions as f64 / seconds;
            let _ =
                writeln!(io::stdout(), "{actions} actions, {workers} workers: {rate:.0} a second");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}
