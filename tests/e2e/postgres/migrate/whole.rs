//! Moves that arrive, and servers that go on with them.

use rusqlite::Connection;

use super::{CONFIG, Database, back, contents, home_with, there};
use crate::calls::{Answer, id_of};
use crate::postgres::servers::Servers;
use crate::server::{Home, Server, wait_until};

/// Actions of a server, by what is to become of them.
struct Actions {
    port: u16,
    /// Queue and token of those that have ended.
    ended: Vec<(&'static str, String)>,
    /// Those that wait in a paused queue, in the order in which they will start.
    held: Vec<String>,
    deferred: String,
    running: Vec<String>,
    /// The one that was submitted under a key.
    keyed: String,
}

const KEYED: &str = "&n=1&Idempotency-Key=order%2017";

impl Actions {
    /// Makes actions in every state.
    fn of(server: &Server) -> Self {
        let keyed = server.submit_to("mixedCASE", KEYED);
        server.wait_in("MixedCase", &keyed, "Finished");
        let mut ended = vec![("MixedCase", keyed.clone())];
        let failed = server.submit("&Name=Grace&Fail=no%20way");
        server.wait_for_status(&failed, "Error");
        ended.push(("Process", failed));
        let tried = server.submit_to("Again", "&Fail=not%20yet");
        server.wait_in("Again", &tried, "Error");
        ended.push(("Again", tried));
        let binary = binary(server);
        server.wait_for_status(&binary, "Finished");
        ended.push(("Process", binary));
        let stopped = server.submit("&Sleep=600");
        server.wait_for_status(&stopped, "Processing");
        server.about("Process", "stop", &stopped).success();
        server.wait_for_status(&stopped, "Stopped");
        ended.push(("Process", stopped));

        let schedule = [
            ("ScheduleAction", "add"),
            ("ScheduleName", "Moved"),
            ("QueueName", "Held"),
            ("Cron", "@yearly"),
            ("Name", "Ada"),
        ];
        server.post("ScheduleInfo", &schedule).success();
        let pause = [("ScheduleAction", "pause"), ("ScheduleName", "Moved")];
        server.post("ScheduleInfo", &pause).success();
        server.info("Held", "pause", "").success();
        let mut held: Vec<_> = (0..3)
            .map(|n| server.submit_to("Held", &format!("&n={n}&Priority={}", n % 2)))
            .collect();
        let cancelled = server.submit_to("Held", "&n=9");
        server.about("Held", "cancel", &cancelled).success();
        ended.push(("Held", cancelled));
        // The one with a higher priority first.
        held.swap(0, 1);
        let deferred = server.submit("&Later=yes&NotBefore=%2B864000");
        let running: Vec<_> = (0..2).map(|_| server.submit("&Sleep=600")).collect();
        running.iter().for_each(|token| server.wait_for_status(token, "Processing"));
        server.about("Process", "pause", &running[0]).success();
        server.wait_for_status(&running[0], "Paused");
        Self { port: server.address.port(), ended, held, deferred, running, keyed }
    }

    /// The server's words for all of them that have ended.
    fn told(&self, server: &Server) -> Vec<String> {
        let ask = |what: &str, rest: &str| {
            let ended = self.ended.iter();
            ended
                .map(|(queue, token)| server.about(queue, what, &format!("{token}{rest}")).0)
                .collect::<Vec<_>>()
        };
        let statuses = ask("getStatus", "&History=true");
        let given = ask("getActionParameters", "");
        [statuses, given].concat()
    }

    /// The server's words for those that wait, but for the time for which they do.
    fn told_of_waiting(&self, server: &Server) -> Vec<String> {
        let held = self.held.iter().map(|token| ("Held", token));
        let all = held.chain([("Process", &self.deferred)]);
        all.map(|(queue, token)| without_wait(&server.about(queue, "getStatus", token).success()))
            .collect()
    }

    /// Checks that a server goes on with them.
    fn go_on(&self, server: &Server) {
        // Those that ran were lost with their server, and are tried again.
        self.running.iter().for_each(|token| {
            server.wait_for_status(token, "Processing");
            let history = server.about("Process", "getStatus", &format!("{token}&History=true"));
            assert!(history.0.contains("<attempt>"), "{}", history.0);
        });
        let positions: Vec<_> = self
            .held
            .iter()
            .map(|token| server.about("Held", "getStatus", token).success().number("position"))
            .collect();
        assert_eq!(positions, [1, 2, 3]);
        let schedule = server.ask("ScheduleInfo").success();
        let told = ["name", "source", "paused", "cron"].map(|name| schedule.must(name));
        assert_eq!(told, ["Moved", "added", "true", "@yearly"]);
        assert!(schedule.0.contains("\"Ada\""), "{}", schedule.0);
        server.info("Held", "resume", "").success();
        self.held.iter().for_each(|token| server.wait_in("Held", token, "Finished"));
        let status = server.about("Process", "getStatus", &self.deferred).success();
        assert_eq!(status.must("status"), "Queued");
        server.about("Process", "cancel", &self.deferred).success();
    }

    /// The highest id of them.
    fn last_id(&self) -> u64 {
        let all = self.ended.iter().map(|(_, token)| token).chain(&self.running).chain(&self.held);
        all.map(|token| id_of(token)).max().expect("actions")
    }
}

/// Submits bytes that are no text.
fn binary(server: &Server) -> String {
    let body = [
        b"--B\r\nContent-Disposition: form-data; name=\"action\"\r\n\r\nProcess\r\n".as_slice(),
        b"--B\r\nContent-Disposition: form-data; name=\"File\"; filename=\"f\"\r\n\r\n",
        b"\x00\xFF\x80\r\n\x01",
        b"\r\n--B--\r\n",
    ]
    .concat();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: multipart/form-data; boundary=B\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let reply = server.send(&[head.as_bytes(), &body].concat());
    Answer(reply.body_text()).success().must("token")
}

fn without_wait(answer: &Answer) -> String {
    let text = &answer.0;
    let (before, rest) = text.split_once("<time_in_queue>").expect("it waits");
    let (_, after) = rest.split_once("</time_in_queue>").expect("an end");
    format!("{before}{after}")
}

/// Actions in every state: they arrive as they were, and servers go on with them; and so they do on the way back.
#[test]
fn all_is_moved_there_and_back() {
    let Some(database) = Database::shared() else { return };
    let home = Home::new(CONFIG);
    let server = home.start();
    let actions = Actions::of(&server);
    let (told, waiting) = (actions.told(&server), actions.told_of_waiting(&server));
    server.kill();

    let port = actions.port.to_string();
    let table = there(&database, &home.data(), &["--port", &port]).success();
    let lines: Vec<String> =
        table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "queues 4 4",
        "actions 12 12",
        "past attempts 2 2",
        "submission keys 1 1",
        "Held, paused 4 4",
        "Processing 1 1",
        "Paused 1 1",
    ] {
        assert!(lines.iter().any(|known| known == line), "no {line} in\n{table}");
    }

    // Before any server has it: it is the same in another directory.
    let second = tempfile::tempdir().expect("a directory");
    back(&database, second.path()).success();
    assert_eq!(contents(second.path()), contents(&home.data()));
    // The source was left as it was, so a server goes on with it, too.
    there(&database, &home.data(), &[]).failed(1, &["it holds actions or events already"]);

    let mut servers = Servers::start(&database, 1, CONFIG);
    let server = &servers[0];
    assert_eq!(actions.told(server), told);
    assert_eq!(actions.told_of_waiting(server), waiting);
    assert_eq!(server.submit_to("MixedCase", KEYED), actions.keyed, "the same key");
    let other = server.ask("MixedCase&n=2&Idempotency-Key=order%2017");
    assert!(!other.is_success(), "{}", other.0);
    let new = server.submit("&Name=new");
    assert!(id_of(&new) > actions.last_id(), "an id was used again");
    actions.go_on(server);
    actions.running.iter().for_each(|token| {
        server.about("Process", "stop", token).success();
        server.wait_for_status(token, "Stopped");
    });
    server.wait_for_status(&new, "Finished");
    counts_are_right(&database);
    let now = actions.told(server);
    servers.end(0);

    // And back, with two servers in its tokens.
    let third = Home::new(CONFIG);
    let said = back(&database, &third.data());
    assert!(said.error.contains("name several servers"), "{}", said.error);
    said.success();
    let server = third.start();
    let again = actions.told(&server);
    for (before, after) in now.iter().zip(&again) {
        assert_eq!(without_token(before), without_token(after));
    }
    assert_eq!(id_of(&server.submit_to("MixedCase", KEYED)), id_of(&actions.keyed));
    server.wait_for_status(&new, "Finished");
    let newest = server.submit("&Name=newest");
    assert!(id_of(&newest) > id_of(&new));
    server.wait_for_status(&newest, "Finished");
}

/// The counts of the database, as servers read them, equal its rows (Q10).
fn counts_are_right(database: &Database) {
    let sums = "SELECT queue, sum(queued), sum(processing), sum(paused), sum(stopping), sum(finished), sum(error),
        sum(cancelled), sum(stopped), sum(deferred) FROM tally GROUP BY queue ORDER BY queue";
    let rows = "SELECT queue, count(*) FILTER (WHERE state IN (0, 8)), count(*) FILTER (WHERE state = 1),
        count(*) FILTER (WHERE state = 2), count(*) FILTER (WHERE state = 3), count(*) FILTER (WHERE state = 4),
        count(*) FILTER (WHERE state = 5), count(*) FILTER (WHERE state = 6), count(*) FILTER (WHERE state = 7),
        count(*) FILTER (WHERE state = 8)
        FROM (SELECT queue, state FROM live UNION ALL SELECT queue, state FROM done) a WHERE queue > 0 GROUP BY queue ORDER BY queue";
    wait_until("the counts to equal the rows", || database.query(sums) == database.query(rows));
}

/// The reply without the token in it: that names the server that is asked.
fn without_token(reply: &str) -> String {
    let Some((before, rest)) = reply.split_once("<token>") else { return reply.to_owned() };
    let (_, after) = rest.split_once("</token>").expect("an end");
    format!("{before}{after}")
}

/// Each column of each state arrives as it was, whatever is in it.
#[test]
fn every_column_arrives() {
    let Some(database) = Database::shared() else { return };
    let home = home_with(90, 20);
    let connection = Connection::open(home.data().join("actions.db")).expect("the database");
    connection
        .execute_batch(
            "UPDATE action SET state = id % 9, priority = id - 20, attempt = 1 + id % 4, failures = id % 3,
                restarts = id % 2, worker = 'wörker ' || id, error = 'bad ' || char(0) || id;
             UPDATE action SET finished_at = NULL, processing_ms = 0, percent = 0, report = NULL, note = 'note ' || id
             WHERE state NOT BETWEEN 4 AND 7;
             UPDATE action SET percent = id / 3.0 WHERE state BETWEEN 5 AND 7;
             UPDATE action SET started_at = NULL WHERE state IN (0, 8);
             UPDATE action SET not_before = 4000000000000 + id WHERE state = 8;
             UPDATE parameters SET value = '[[\"f\",{\"base64\":\"AP+A\"}]]' WHERE id % 5 = 0;
             UPDATE history SET ended = '\"Failed\"', worker = 'h' WHERE id % 2 = 0;
             UPDATE queue SET counts = (SELECT json_array(
                sum(state IN (0, 8)), sum(state = 1), sum(state = 2), sum(state = 3), sum(state = 4), sum(state = 5),
                sum(state = 6), sum(state = 7), sum(state = 8)) FROM action)
             WHERE name = 'Process';
             UPDATE meta SET last_id = 99999999990;",
        )
        .expect("the rows");
    drop(connection);
    there(&database, &home.data(), &[]).success();
    counts_are_right(&database);
    let second = tempfile::tempdir().expect("a directory");
    back(&database, second.path()).success();
    let (before, after) = (contents(&home.data()), contents(second.path()));
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after);
    }
    let servers = Servers::start(&database, 1, CONFIG);
    assert_eq!(id_of(&servers[0].submit("&Name=next")), 99_999_999_991);
}

/// A store with nothing in it is moved, too, with its queues and the ids that it has given out.
#[test]
fn an_empty_store_is_moved() {
    let Some(database) = Database::shared() else { return };
    let home = Home::new(CONFIG);
    let server = home.start();
    server.info("Held", "pause", "").success();
    server.signal("TERM");
    assert!(server.wait().0.success());
    let table =
        there(&database, &home.data(), &["--host", "db.example", "--port", "7000"]).success();
    assert!(table.contains("Held, paused"), "{table}");
    let second = tempfile::tempdir().expect("a directory");
    back(&database, second.path()).success();
    assert_eq!(contents(second.path()), contents(&home.data()));
    let servers = Servers::start(&database, 1, CONFIG);
    let waits = servers[0].submit_to("Held", "&n=1");
    assert_eq!(id_of(&waits), 1);
    assert_eq!(servers[0].status_in("Held", &waits), "Queued");
}

/// Host and port come from the configuration of the server that has used the directory.
#[test]
fn tokens_are_as_the_configuration_says() {
    let Some(database) = Database::shared() else { return };
    let config = format!("[Server]\nPort=7123\nTokenHost=queue.example\n{CONFIG}");
    let home = Home::new(&config);
    let server = home.start();
    let token = server.submit("&Name=Ada");
    server.wait_for_status(&token, "Finished");
    server.signal("TERM");
    assert!(server.wait().0.success());
    let file = home.path().join("test.cfg");
    let file = file.to_str().expect("text");
    there(&database, &home.data(), &["--config", file]).success();
    let servers = Servers::start(&database, 1, CONFIG);
    let list = servers[0].info("Process", "getStatus", "").success();
    let plain = {
        use base64::Engine as _;
        let engine = base64::engine::general_purpose::STANDARD;
        String::from_utf8(engine.decode(list.must("token")).expect("base64")).expect("text")
    };
    assert!(plain.starts_with("queue.example:7123:PROCESS:"), "{plain}");
}
