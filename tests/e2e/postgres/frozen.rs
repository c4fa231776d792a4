//! A database that does not answer, and does not break its connections either: all of its processes stand still.

use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::servers::{Database, Servers};
use crate::calls::Answer;
use crate::server::{PATIENCE, Reply, Server, wait_until};

/// Maximum time for an answer: the aim is two seconds, and the machine may be busy.
const AT_ONCE: Duration = Duration::from_millis(2_500);

/// Time for which the database stands still, with several rounds of requests in it. Longer than the lease.
const FREEZE: Duration = Duration::from_secs(6);

/// Number of clients that only submit.
const SUBMITTERS: usize = 24;

const QUEUES: &str = "MaxFinishedSize=-1\n[AsyncActions]\n0=Process\n1=Once\n2=Idle\n3=Rests\n\
                      [Process]\nType=Echo\nMaximumThreads=4\n[Once]\nType=Echo\nOnRestart=Fail\n\
                      [Idle]\nType=Echo\n[Rests]\nType=Echo\n";

/// A request, how long its answer took, and whether it was begun while the database stood still.
struct Answered {
    request: String,
    took: Duration,
    in_freeze: bool,
    reply: Reply,
}

impl Answered {
    fn text(&self) -> String {
        self.reply.body_text()
    }
}

/// All that clients are told, written down apart from the server.
#[derive(Default)]
struct Ledger {
    answered: Mutex<Vec<Answered>>,
    /// Names of submissions, and the token that each was given.
    acknowledged: Mutex<Vec<(String, String)>>,
    /// Those that may have been taken.
    unknown: Mutex<Vec<String>>,
    submitted: AtomicUsize,
    is_frozen: AtomicBool,
    is_over: AtomicBool,
}

impl Ledger {
    /// Sends a request on this connection, or on another one, and writes the answer down.
    fn ask(&self, stream: &mut BufReader<TcpStream>, target: &str) -> Answer {
        let in_freeze = self.is_frozen.load(Ordering::SeqCst);
        let begun = Instant::now();
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.get_mut().write_all(request.as_bytes()).expect("the request is sent");
        let reply = Reply::try_read(stream).unwrap_or_else(|error| panic!("{target}: {error}"));
        let took = begun.elapsed();
        let answer = Answer(reply.body_text());
        let request = target.to_owned();
        let answered = Answered { request, took, in_freeze, reply };
        self.answered.lock().expect("the ledger").push(answered);
        answer
    }

    fn submit(&self, stream: &mut BufReader<TcpStream>) {
        let number = self.submitted.fetch_add(1, Ordering::SeqCst);
        let name = format!("n{number}");
        let answer = self.ask(stream, &format!("/action=Process&Name={name}"));
        if answer.is_success() {
            let token = answer.must("token");
            self.acknowledged.lock().expect("the ledger").push((name, token));
        } else {
            assert_eq!(answer.error().0, "ERRORUNAVAILABLE", "{}", answer.0);
            self.unknown.lock().expect("the ledger").push(name);
            // Only to leave the processor to others.
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }
}

fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    BufReader::new(stream)
}

/// Requests of every sort that need the database, about an action that has ended and one that runs.
fn requests(ended: &str, runs: &str, waits: &str) -> Vec<String> {
    let about = |queue: &str, token: &str, what: &str| {
        format!("/action=QueueInfo&QueueName={queue}&Token={token}&QueueAction={what}")
    };
    let of = |what: &str| format!("/action=QueueInfo&QueueName=Process&QueueAction={what}");
    vec![
        "/action=Once&Name=Ada".to_owned(),
        "/action=Process&Name=Ada&Wait=60".to_owned(),
        about("Process", ended, "getStatus"),
        about("Process", ended, "getStatus&Wait=60"),
        about("Once", runs, "getStatus"),
        about("Once", runs, "changePriority&Priority=3"),
        about("Rests", waits, "cancel"),
        about("Rests", waits, "getActionParameters"),
        about("Rests", waits, "duplicate"),
        of("getStatus"),
        of("getStatus&State=Finished&Sort=FinishedTime"),
        of("queueStatus"),
        "/action=QueueInfo&QueueName=Idle&QueueAction=pause".to_owned(),
        "/action=QueueInfo&QueueName=Idle&QueueAction=resume".to_owned(),
    ]
}

/// Requests that are answered without the database: what they say of it, and whether it is asked for.
const OTHERS: [&str; 3] = ["/health/ready", "/health/live", "/action=GetStatus"];

/// All that clients ask while the database stands still, under load, is refused within two seconds, however often they ask. What
/// was acknowledged is there afterwards, once, and no server is started again. The log has one line for the beginning and one for
/// the end.
#[test]
fn a_database_that_stands_still_holds_nobody_up() {
    let Some(database) = Database::own(&[]) else { return };
    let mut servers = Servers::start(&database, 1, QUEUES);
    let server = &servers[0];
    let ended = server.submit("&Name=Ada");
    server.wait_for_status(&ended, "Finished");
    let runs = server.submit_to("Once", "&Sleep=3");
    server.wait_in("Once", &runs, "Processing");
    server.info("Rests", "pause", "").success();
    let waits = server.submit_to("Rests", "&Name=Grace");

    let (ledger, address) = (Ledger::default(), server.address);
    let requests = requests(&ended, &runs, &waits);
    std::thread::scope(|scope| {
        for _ in 0..SUBMITTERS {
            scope.spawn(|| {
                let mut stream = connect(address);
                while !ledger.is_over() {
                    ledger.submit(&mut stream);
                }
            });
        }
        wait_until("some load", || ledger.submitted.load(Ordering::SeqCst) > 300);
        // Each sort of request is under way, again and again, from before the freeze to its end.
        for request in requests.iter().map(String::as_str).chain(OTHERS) {
            let ledger = &ledger;
            scope.spawn(move || {
                let mut stream = connect(address);
                while !ledger.is_over() {
                    // Only those of the freeze are known to fail.
                    if ledger.is_frozen.load(Ordering::SeqCst) {
                        ledger.ask(&mut stream, request);
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
            });
        }
        freeze(&database, &ledger);
        wait_until("a server that takes something again", || {
            server.ask("Idle&Name=Ada").is_success()
        });
        ledger.is_over.store(true, Ordering::SeqCst);
    });

    judge(&ledger, requests.len());
    wait_until("a server that is ready", || is_ready(server));
    all_is_there(server, &ledger);
    let last = server.outcome("Once", &runs);
    assert_eq!(last.must("status"), "Finished", "it has gone on: {}", last.0);
    one_line_each(server);
    servers.end(0);
}

/// Has all of the database stand still for a while, in the middle of a load, with connections that are kept.
fn freeze(database: &Database, ledger: &Ledger) {
    database.cluster().signal_all("-STOP");
    // What is sent from now on meets a database that stands still.
    ledger.is_frozen.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    wait_until("the end of the freeze", || begun.elapsed() > FREEZE);
    ledger.is_frozen.store(false, Ordering::SeqCst);
    // What was sent before must be answered in it, too.
    let open = |ledger: &Ledger| ledger.answered.lock().expect("the ledger").len();
    let before = open(ledger);
    let begun = Instant::now();
    wait_until("the last answers of the freeze", || begun.elapsed() > AT_ONCE);
    assert!(open(ledger) > before, "clients go on asking");
    database.cluster().signal_all("-CONT");
}

/// Each was answered soon, and as something that may succeed later.
fn judge(ledger: &Ledger, sorts: usize) {
    let answered = ledger.answered.lock().expect("the ledger");
    let slow: Vec<String> = answered
        .iter()
        .filter(|answered| answered.took > AT_ONCE)
        .map(|answered| format!("{:?}: {}", answered.took, answered.request))
        .collect();
    assert!(slow.is_empty(), "{} of {} took too long: {slow:#?}", slow.len(), answered.len());
    let longest = answered.iter().map(|answered| answered.took).max();
    println!("{} answers, the longest after {longest:?}", answered.len());
    let mut asked = std::collections::BTreeMap::<&str, usize>::new();
    for answered in answered.iter().filter(|answered| answered.in_freeze) {
        let request = answered.request.split("&Name=n").next().expect("some of it");
        *asked.entry(request).or_default() += 1;
        let (text, head) = (answered.text(), &answered.reply.head);
        match request {
            "/health/live" => assert!(head.starts_with("HTTP/1.1 200 "), "{head}"),
            "/health/ready" | "/action=GetStatus" => {}
            _ => {
                let told = "<errorcode>ERRORUNAVAILABLE</errorcode>";
                assert!(text.contains(told), "{request} after {:?}: {text}", answered.took);
                assert_eq!(answered.reply.header("retry-after"), Some("1"), "{request}");
            }
        }
    }
    assert_eq!(asked.len(), sorts + OTHERS.len() + 1, "{asked:#?}");
    assert!(asked.values().all(|times| *times > 3), "several times each: {asked:#?}");
    let of_ready = |answered: &&Answered| answered.request == "/health/ready" && answered.in_freeze;
    let last = answered.iter().rfind(of_ready).expect("it was asked");
    assert!(last.reply.head.starts_with("HTTP/1.1 503 "), "{}", last.reply.head);
}

/// What was acknowledged is there once, and what was not is there once at most.
fn all_is_there(server: &Server, ledger: &Ledger) {
    let acknowledged = ledger.acknowledged.lock().expect("the ledger");
    let unknown = ledger.unknown.lock().expect("the ledger");
    assert!(acknowledged.len() > 300, "{} and {}", acknowledged.len(), unknown.len());
    for (name, token) in acknowledged.iter() {
        server.wait_for_status(token, "Finished");
        let answer = server.about("Process", "getStatus", token).success();
        assert!(answer.0.contains(&format!("value=\"{name}\"")), "{name}: {}", answer.0);
    }
    wait_until("a queue that rests", || {
        let status = server.info("Process", "queueStatus", "").success();
        status.number("pending") + status.number("running") == 0
    });
    let finished = server.info("Process", "queueStatus", "").success().number("finished");
    let (least, most) = (acknowledged.len() as u64 + 1, acknowledged.len() + unknown.len());
    let others = ledger.answered.lock().expect("the ledger");
    let waited = others.iter().filter(|a| a.request.contains("Process&Name=Ada&Wait")).count();
    let most = (most + waited) as u64 + 1;
    assert!((least..=most).contains(&finished), "{least} <= {finished} <= {most}");
}

/// The log tells of the beginning and of the end, once each, whatever the number of queues.
fn one_line_each(server: &Server) {
    server.wait_for_line(&["INFO", "the database is back after"]);
    assert_eq!(server.log_lines("the database is away: "), 1);
    assert_eq!(server.log_lines("the database is back after"), 1);
    for other in ["queue Process:", "queue Idle:", "queue Rests:", "was not renewed"] {
        let lines = server.lines_with(other);
        assert!(lines.is_empty(), "{other} {lines:#?}");
    }
    // Of a commit that was under way it says what became of it.
    assert_eq!(server.log_lines("the answer to commit"), server.log_lines("is found "));
}

/// A commit that gets no answer, because a standby does not confirm it: the client is told that nobody knows, what is written
/// behind it is refused at once, and reads go on. Once it is known what became of it, the log says so, and the server goes on.
#[test]
fn what_became_of_a_commit_without_an_answer_is_said() {
    let Some(database) = Database::own(&[]) else { return };
    let servers = Servers::start(&database, 1, QUEUES);
    let server = &servers[0];
    server.info("Process", "pause", "").success();
    let before = server.submit("&Name=before");
    let set_standbys = |names: &str| {
        let text = format!("synchronous_standby_names = '{names}'\n");
        database.cluster().write("postgresql.auto.conf", &text);
        database.query("SELECT pg_reload_conf()");
    };
    set_standbys("nobody");
    wait_until("a commit that hangs", || {
        let begun = Instant::now();
        let answer = server.ask("Process&Name=hangs");
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        !answer.is_success()
    });
    for _ in 0..20 {
        let begun = Instant::now();
        let (code, told) = server.ask("Process&Name=refused").error();
        assert_eq!(code, "ERRORUNAVAILABLE", "{told}");
        assert!(begun.elapsed() < Duration::from_secs(1), "it is known: {:?}", begun.elapsed());
        assert_eq!(server.status(&before), "Queued", "reads go on");
    }
    let lost = server.wait_for_line(&["WARN", "the answer to commit "]);
    let (_, rest) = lost.split_once("the answer to commit ").expect("it was found");
    let number = rest.split(' ').next().expect("a number");
    server.wait_for_line(&[&format!("whether commit {number} was made")]);
    set_standbys("");
    server.wait_for_line(&["INFO", &format!("commit {number} is found made")]);
    wait_until("a server that takes something again", || {
        server.ask("Process&Name=after").is_success()
    });
    let log = |words: &str| server.log_lines(words);
    assert_eq!(
        (log("the answer to commit "), log("is found made"), log("is found not")),
        (1, 1, 0)
    );
    let names = database.query("SELECT convert_from(parameters, 'UTF8') FROM live WHERE queue > 0");
    let of = |name: &str| names.iter().filter(|row| format!("{row:?}").contains(name)).count();
    assert_eq!((of("before"), of("hangs") > 0, of("refused"), of("after")), (1, true, 0, 1));
}

fn is_ready(server: &Server) -> bool {
    let head = "Host: localhost\r\nConnection: close";
    let request = format!("GET /health/ready HTTP/1.1\r\n{head}\r\n\r\n");
    server.send(request.as_bytes()).head.starts_with("HTTP/1.1 200 ")
}
