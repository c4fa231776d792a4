//! Every server knows what another one takes, runs and shows: tokens, figures, commands, waits, and the list of servers.

use std::time::{Duration, Instant};

use super::servers::{Database, LEASE};
use crate::calls::Answer;
use crate::remote::{Begun, Work, take};
use crate::server::{Home, Server, wait_until};

/// Time within which a change is seen on every server, and as much again for a machine that is busy.
const SOON: Duration = Duration::from_secs(5);

/// A queue in which only servers with slots start something, and one for workers elsewhere.
fn queues(slots: usize) -> String {
    format!(
        "[AsyncActions]\n0=Process\n1=Render\n[Process]\nType=Echo\nMaximumThreads={slots}\n\
         [Render]\nType=Remote\nMaximumThreads=4\n"
    )
}

/// Two servers of which one slot of `first` is busy for good, so that what is sent runs on `second`.
struct Pair {
    first: Server,
    second: Server,
    _homes: [Home; 2],
}

impl Pair {
    fn start(database: &Database) -> Self {
        let homes = ["first", "second"].map(|name| database.home(name, &queues(1)));
        let first = homes[0].start();
        let busy = first.submit("&Sleep=6000");
        first.wait_for_status(&busy, "Processing");
        let second = homes[1].start();
        // What the first one takes, the other is told of from now on.
        wait_until("two servers", || first.ask("GetStatus").values("state").len() == 2);
        Self { first, second, _homes: homes }
    }

    /// Submits to the first server what runs on the second.
    fn runs_elsewhere(&self, parameters: &str) -> String {
        let token = self.first.submit(parameters);
        self.first.wait_for_status(&token, "Processing");
        assert_eq!(self.first.about("Process", "getStatus", &token).must("server"), "second");
        token
    }
}

/// A token names the server that took the action, whichever shows it, runs it, or is asked by it.
#[test]
fn a_token_is_the_same_everywhere() {
    let Some(database) = Database::shared() else { return };
    let Pair { first, second, .. } = &Pair::start(&database);
    let token = first.submit("&Idempotency-Key=once&Name=Ada");
    assert_eq!(second.submit("&Idempotency-Key=once&Name=Ada"), token, "under the same key");
    let ended = second.outcome("Process", &token);
    assert_eq!(ended.must("token"), token);
    assert_eq!(ended.must("server"), "second");
    for server in [first, second] {
        let listed = server.info("Process", "getStatus", "&State=finished").success();
        assert_eq!(listed.values("token"), std::slice::from_ref(&token));
        assert_eq!(server.about("Process", "getStatus", &token).must("token"), token);
        assert_eq!(server.about("Process", "cancel", &token).error().0, "ERRORPARAMINVALID");
    }
    // Its text says where it was taken; that it is asked for elsewhere, through another host's name say, does not matter.
    let port = first.address.port().to_string();
    let plain = crate::calls::plain(&token);
    assert!(plain.starts_with(&format!("127.0.0.1:{port}:PROCESS:")), "{plain}");
    let other = crate::calls::token_of(&plain.replacen("127.0.0.1", "elsewhere", 1));
    assert_eq!(second.about("Process", "getStatus", &other).success().must("status"), "Finished");
    let waits = second.submit("&Sleep=6000");
    let paused = second.about("Process", "stop", &waits).success();
    assert_eq!(paused.must("token"), waits);
    let listed = first.info("Process", "getStatus", "").success();
    assert!(listed.values("token").contains(&waits), "{}", listed.0);
}

/// Progress and the partial result of what runs elsewhere are seen within a second, and its time goes on.
#[test]
fn what_runs_elsewhere_is_seen_live() {
    let Some(database) = Database::shared() else { return };
    let pair = Pair::start(&database);
    let token = pair.runs_elsewhere("&Sleep=50");
    let percent = || {
        let progress = pair.first.about("Process", "progress", &token).success();
        progress.must("percent").parse::<f64>().expect("a number")
    };
    let slept = |server: &Server| {
        let status = server.about("Process", "getStatus", &token).success();
        status.value("slept_ms").map_or(0, |ms| ms.parse::<u64>().expect("a number"))
    };
    wait_until("progress", || percent() > 0.0);
    let since = Instant::now();
    let seen = slept(&pair.first);
    wait_until("more of the partial result", || slept(&pair.first) > seen);
    assert!(since.elapsed() < SOON, "it took {:?}", since.elapsed());
    let there = slept(&pair.second);
    wait_until("what was seen there", || slept(&pair.first) >= there);
    let worked =
        || pair.first.about("Process", "getStatus", &token).success().number("time_processing");
    wait_until("time that goes on", || worked() >= 2);
    pair.first.about("Process", "pause", &token).success();
    pair.second.wait_for_status(&token, "Paused");
    pair.first.about("Process", "stop", &token).success();
    let ended = pair.first.outcome("Process", &token);
    assert_eq!(ended.must("status"), "Stopped");
    assert!(ended.number("slept_ms") >= there, "its partial result is kept: {}", ended.0);
}

/// A command reaches the server that runs the action, and who waits on another hears of the end.
#[test]
fn commands_and_waits_reach_across_servers() {
    let Some(database) = Database::shared() else { return };
    let pair = Pair::start(&database);
    let token = pair.runs_elsewhere("&Sleep=600");
    let slept = || pair.second.about("Process", "getStatus", &token).success().must("slept_ms");
    pair.first.about("Process", "pause", &token).success();
    // The work itself has heard of it: it does not go on.
    let mut last = slept();
    wait_until("work that pauses", || {
        std::thread::sleep(Duration::from_millis(200));
        std::mem::replace(&mut last, slept()) == last
    });
    pair.first.about("Process", "resume", &token).success();
    wait_until("work that goes on", || slept() != last);
    let waits = Begun::ask(
        &pair.first,
        &format!("QueueInfo&QueueName=Process&QueueAction=getStatus&Token={token}&Wait=60"),
    );
    let since = Instant::now();
    pair.first.about("Process", "stop", &token).success();
    assert_eq!(waits.answer().success().must("status"), "Stopped");
    assert!(since.elapsed() < SOON, "it took {:?}", since.elapsed());

    // What waits is commanded from anywhere, too.
    let busy = pair.runs_elsewhere("&Sleep=600");
    let [low, high] = ["&Sleep=0", "&Sleep=0"].map(|rest| pair.first.submit(rest));
    let change = format!("&Token={high}&Priority=9");
    pair.second.info("Process", "changePriority", &change).success();
    assert_eq!(pair.first.about("Process", "getStatus", &high).must("position"), "1");
    pair.second.about("Process", "cancel", &low).success();
    assert_eq!(pair.first.status(&low), "Cancelled");
    pair.first.info("Process", "pause", "").success();
    pair.second.about("Process", "stop", &busy).success();
    pair.first.wait_for_status(&busy, "Stopped");
    assert_eq!(pair.second.info("Process", "queueStatus", "").must("paused"), "true");
    assert_eq!(pair.second.status(&high), "Queued", "a paused queue starts nothing");
    pair.first.info("Process", "resume", "").success();
    assert_eq!(pair.first.outcome("Process", &high).must("status"), "Finished");
}

/// A worker may take an action from one server and speak of it to another: that one has it from then on.
#[test]
fn a_worker_may_talk_to_any_server() {
    let Some(database) = Database::shared() else { return };
    let Pair { first, second, .. } = &Pair::start(&database);
    let token = first.submit_to("Render", "&File=a");
    let work = take(second, "Render", "").remove(0);
    assert_eq!(work.token, token);
    let [heard, partial] = [("Log", "begun"), ("Partial", "{\"pages\":3}")];
    work.must(second, "heartbeat", &[("Progress", "40"), heard, partial]);
    let seen = |server: &Server| {
        server.info("Render", "getStatus", &format!("&Token={token}&Log=true")).success()
    };
    wait_until("what the worker has said", || seen(first).value("pages").is_some());
    let shown = seen(first);
    assert_eq!((shown.must("line"), shown.must("worker")), ("begun".into(), "tester".into()));
    let wish = work.must(first, "heartbeat", &[]);
    assert_eq!(wish.must("wish"), "run");
    let shown = seen(first);
    assert_eq!(shown.must("server"), "first", "it has it now");
    assert_eq!((shown.must("pages"), shown.must("worker")), ("3".into(), "tester".into()));
    let progress = first.about("Render", "progress", &token).success();
    assert_eq!(progress.must("percent"), "40");
    // A word to one server, while another word waits at the other: that one is told to come again.
    let waits = work.begin(second, "heartbeat", &[("Wait", "20")]);
    wait_until("an action that is back", || seen(first).must("server") == "second");
    // Until it has heard that it lost it, the first one would answer for it.
    wait_until("a server that let go of it", || first.ask("GetStatus").values("working")[0] == "0");
    work.must(first, "heartbeat", &[]);
    let since = Instant::now();
    let (code, why) = waits.answer().error();
    assert_eq!(code, "ERRORUNAVAILABLE", "{why}");
    assert!(since.elapsed() < SOON, "it took {:?}", since.elapsed());
    // A stop by one server, while the worker waits at the other.
    let waits = work.begin(second, "heartbeat", &[("Wait", "20")]);
    wait_until("an action that is back", || seen(first).must("server") == "second");
    first.about("Render", "stop", &token).success();
    assert_eq!(waits.answer().success().must("wish"), "stop");
    wait_until("a server that let go of it", || first.ask("GetStatus").values("working")[0] == "0");
    let ended = work.must(first, "finish", &[("Result", "half")]);
    assert_eq!(ended.must("status"), "Finished");
    // The same word again, to whichever.
    assert_eq!(work.must(second, "finish", &[("Result", "half")]).must("status"), "Finished");
    assert!(work.has_lost(second, "fail").contains("Finished"));
    assert_eq!(seen(second).must("output"), "half");
}

/// Lease and attempts of a worker hold over all servers: where it is silent for too long, another one gets its action.
#[test]
fn a_lease_of_a_worker_holds_over_all_servers() {
    let Some(database) = Database::shared() else { return };
    let config = queues(1)
        .replace("Type=Remote", "Type=Remote\nLeaseSecs=1\nMaxAttempts=3\nRetryDelaySecs=0");
    let homes = ["first", "second"].map(|name| database.home(name, &config));
    let [first, second] = [homes[0].start(), homes[1].start()];
    let token = first.submit_to("Render", "");
    let work = take(&first, "Render", "").remove(0);
    work.must(&second, "heartbeat", &[]);
    let mut again = Vec::new();
    wait_until("another attempt", || {
        again = take(&first, "Render", "");
        !again.is_empty()
    });
    assert_eq!((&again[0].token, again[0].attempt.as_str()), (&token, "2"));
    for server in [&first, &second] {
        assert!(work.has_lost(server, "heartbeat").contains("attempt 1 is over"));
    }
    again[0].must(&second, "finish", &[]);
    assert_eq!(first.outcome("Render", &token).must("status"), "Finished");
}

/// Words that nobody could hear because the database was away are no silence.
#[test]
fn a_worker_keeps_its_lease_while_the_database_is_away() {
    let Some(mut database) = Database::own(&[]) else { return };
    let config = queues(1).replace("Type=Remote", "Type=Remote\nLeaseSecs=4");
    let homes = ["first", "second"].map(|name| database.home(name, &config));
    let [first, second] = [homes[0].start(), homes[1].start()];
    let token = first.submit_to("Render", "");
    let work = take(&first, "Render", "").remove(0);
    database.cluster_mut().kill();
    let away = Instant::now();
    wait_until("longer than the lease of the worker", || {
        let (code, why) = work.begin(&second, "heartbeat", &[]).answer().error();
        assert_eq!(code, "ERRORUNAVAILABLE", "{why}");
        away.elapsed() > Duration::from_secs(6)
    });
    database.cluster_mut().start();
    // Each word may be told to be said again, until the action is back at the server that hears it.
    let said = |server, word| work.begin(server, word, &[]).answer().is_success();
    wait_until("a word that is heard", || said(&second, "heartbeat"));
    wait_until("an end that is heard", || said(&first, "finish"));
    assert_eq!(second.outcome("Render", &token).must("status"), "Finished");
}

/// A worker's action survives the server that it was taken from, with its attempt.
#[test]
fn a_worker_goes_on_when_its_server_dies() {
    let Some(database) = Database::shared() else { return };
    let Pair { first, second, .. } = Pair::start(&database);
    let token = first.submit_to("Render", "");
    let work: Work = take(&first, "Render", "").remove(0);
    first.kill();
    // Even before the lease of the dead one is over.
    assert_eq!(work.must(&second, "heartbeat", &[]).must("wish"), "run");
    work.must(&second, "finish", &[("Result", "all")]);
    let ended = second.outcome("Render", &token);
    assert_eq!((ended.must("status"), ended.must("server")), ("Finished".into(), "second".into()));
}

/// Status shows every server with its lease and slots; one that has died for as long as it is remembered, as expired.
#[test]
fn status_shows_all_servers() {
    let Some(database) = Database::shared() else { return };
    let Pair { first, second, .. } = Pair::start(&database);
    let of = |answer: &Answer, name: &str| {
        answer.with(|document| {
            let servers = document.descendants().filter(|node| node.has_tag_name("server"));
            let text = |node: roxmltree::Node<'_, '_>, name: &str| {
                let child = node.children().find(|child| child.has_tag_name(name));
                child.and_then(|child| child.text()).unwrap_or_default().to_owned()
            };
            let shown = servers.map(|node| (text(node, "name"), text(node, name)));
            shown.collect::<Vec<_>>()
        })
    };
    let both = |a: &str, b: &str| [("first".into(), a.into()), ("second".into(), b.into())];
    let status = second.ask("GetStatus").success();
    assert_eq!(status.must("servername"), "second");
    assert_eq!(of(&status, "self"), both("false", "true"));
    assert_eq!(of(&status, "slots"), both("5", "5"));
    assert_eq!(of(&status, "running"), both("1", "0"));
    assert_eq!(of(&status, "state"), both("alive", "alive"));
    let ports = [&first, &second].map(|server| server.address.port().to_string());
    assert_eq!(of(&status, "port"), both(&ports[0], &ports[1]));
    for (_, left) in of(&status, "lease") {
        assert!(left.parse::<u64>().is_ok_and(|left| left <= LEASE.as_secs()), "{left}");
    }
    assert_eq!(status.values("ready"), ["true"]);
    first.kill();
    let since = Instant::now();
    wait_until("a server that has expired", || {
        of(&second.ask("GetStatus"), "state") == both("expired", "alive")
    });
    assert!(since.elapsed() < LEASE + SOON, "it took {:?}", since.elapsed());
    wait_until("what it ran", || of(&second.ask("GetStatus"), "running") == both("0", "1"));
}

/// A forwarded action is commanded from any server, and goes on with another one when its own dies.
#[test]
fn a_forwarded_action_is_commanded_from_anywhere() {
    let Some(database) = Database::shared() else { return };
    let there = Home::new("[AsyncActions]\n0=Process\n[Process]\nType=Echo\nMaximumThreads=1\n");
    let other = there.start();
    let config = format!(
        "[AsyncActions]\n0=Process\n[Process]\nType=Forward\nMaximumThreads=100\nStopGraceSecs=20\n\
         ForwardTo=http://{}\nForwardPollMinMs=20\nForwardPollMaxMs=200\n",
        other.address
    );
    let homes = ["first", "second"].map(|name| database.home(name, &config));
    let [first, second] = [homes[0].start(), homes[1].start()];
    wait_until("two servers", || first.ask("GetStatus").values("state").len() == 2);
    let busy = first.submit("&Sleep=600");
    second.wait_for_status(&busy, "Processing");
    let waits = first.submit("&Sleep=0");
    let theirs = || other.info("Process", "getStatus", "&State=queued").success();
    wait_until("one that waits there", || theirs().value("token").is_some());
    let by = second.about("Process", "getStatus", &waits).success().must("server");
    let not_by = if by == "first" { &second } else { &first };
    let change = format!("&Token={waits}&Priority=7");
    not_by.info("Process", "changePriority", &change).success();
    assert_eq!(theirs().must("priority"), "7");
    let taken_over = not_by.about("Process", "getStatus", &waits).success().must("server");
    assert_ne!(taken_over, by, "where it is done was asked by the server that was asked");
    let cancelled = not_by.about("Process", "cancel", &waits).success();
    assert_eq!(cancelled.must("status"), "Cancelled");
    for server in [&first, &second] {
        assert_eq!(server.status(&waits), "Cancelled");
    }
    assert_eq!(theirs().values("token"), [""; 0]);
    assert_eq!(other.info("Process", "queueStatus", "").success().number("running"), 1);

    let by = second.about("Process", "getStatus", &busy).success().must("server");
    let [dies, lives] = if by == "first" { [first, second] } else { [second, first] };
    dies.kill();
    wait_until("another server that has it", || {
        lives.about("Process", "getStatus", &busy).success().must("server") != by
    });
    lives.about("Process", "stop", &busy).success();
    assert_eq!(lives.outcome("Process", &busy).must("status"), "Stopped");
    let all = other.info("Process", "getStatus", "").success();
    assert_eq!(all.values("status"), ["Cancelled", "Stopped"], "each was sent once");
}

/// An action that waits for a time, or for its next attempt, starts on whichever server is there then.
#[test]
fn what_waits_for_a_time_starts_anywhere() {
    let Some(database) = Database::shared() else { return };
    let config = queues(1).replace("Type=Echo", "Type=Echo\nMaxAttempts=2\nRetryDelaySecs=4");
    let homes = ["first", "second"].map(|name| database.home(name, &config));
    let [first, second] = [homes[0].start(), homes[1].start()];
    let later = first.submit("&NotBefore=%2B4&Name=Ada");
    let retried = first.submit("&Fail=no");
    wait_until("a first attempt that has failed", || {
        first.about("Process", "getStatus", &retried).success().value("next_attempt_time").is_some()
    });
    assert_eq!(second.status(&later), "Queued");
    first.kill();
    let ended = second.outcome("Process", &later);
    assert_eq!((ended.must("status"), ended.must("server")), ("Finished".into(), "second".into()));
    let ended = second.outcome("Process", &retried);
    assert_eq!((ended.must("status"), ended.must("attempt")), ("Error".into(), "2".into()));
}

/// A server that is ended in order is no longer among the servers; one that was killed is, for a while.
#[test]
fn a_server_that_was_ended_is_no_longer_shown() {
    let Some(database) = Database::shared() else { return };
    let homes = ["first", "second"].map(|name| database.home(name, &queues(1)));
    let [first, second] = [homes[0].start(), homes[1].start()];
    assert_eq!(second.ask("GetStatus").success().values("state"), ["alive", "alive"]);
    first.signal("TERM");
    let (status, said) = first.wait();
    assert!(status.success(), "{said:#?}");
    assert_eq!(second.ask("GetStatus").success().values("state"), ["alive"]);
    assert!(said.iter().all(|line| !line.contains("WARN")), "{said:#?}");
}

/// A server whose tables a newer version has changed takes nothing more, and says so to whoever looks.
#[test]
fn a_server_with_newer_tables_is_not_ready() {
    let Some(database) = Database::shared() else { return };
    let home = database.home("old", &queues(1));
    let server = home.start();
    assert_eq!(server.get("/health/ready"), "ready");
    database.query("UPDATE meta SET version = version + 1");
    assert_eq!(server.ask("Process").error().0, "ERRORUNAVAILABLE");
    assert_eq!(server.get("/health/ready"), "not ready");
}

/// A worker is not told that there is nothing to do where nobody could look, and two servers of one name are told apart in the log.
#[test]
fn what_nobody_could_look_for_is_no_answer() {
    let Some(mut database) = Database::own(&[]) else { return };
    let homes = ["same", "same"].map(|name| database.home(name, &queues(1)));
    let [first, second] = [homes[0].start(), homes[1].start()];
    second.wait_for_line(&["WARN", "another server is named same"]);
    assert_eq!(first.log_lines("another server"), 0);
    assert_eq!(first.log_lines("this server is same; its actions are in the database"), 1);
    let action = "QueueWork&WorkAction=take&QueueName=Render";
    assert_eq!(first.ask(action).success().values("work").len(), 0);
    database.cluster_mut().kill();
    for rest in ["", "&Wait=1"] {
        assert_eq!(first.ask(&format!("{action}{rest}")).error().0, "ERRORUNAVAILABLE");
    }
}

/// A server that was killed and started again is shown once.
#[test]
fn a_server_that_starts_again_is_shown_once() {
    let Some(database) = Database::shared() else { return };
    let home = database.home("again", &queues(1));
    let port = {
        let server = home.start();
        let port = server.address.port();
        server.kill();
        port
    };
    let server = home.start_on(port);
    wait_until("the end of the first one's lease", || {
        server.ask("GetStatus").success().values("state") == ["alive"]
    });
}
