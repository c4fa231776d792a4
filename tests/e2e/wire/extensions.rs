//! What is our own: `Priority` and `Wait` on submit, `Wait` on `getStatus`, running at once,
//! `Idempotency-Key`, `position`, and the strict check of parameters.

use std::time::{Duration, Instant};

use super::super::calls::{form, id_of};
use super::*;

/// One slot, so that the order in which actions run can be seen.
const ONE_SLOT: &str =
    "[Actions]\nDurability=normal\n[AsyncActions]\n0=Process\n[Process]\nType=Echo\n";

#[test]
fn priority_on_submit_decides_who_is_first() {
    let home = Home::new(ONE_SLOT);
    let server = home.start();
    let client = Client::of(&server);
    client.queue_info("Process", "QueueAction=pause");
    // Each in another second when it runs would take long: the order is seen by who runs at all.
    let low = client.submit("Process&Sleep=600&Priority=-5");
    let first = client.submit("Process&Sleep=600&priority=7");
    let middle = client.submit("Process&Sleep=600");
    let second = client.submit("Process&Sleep=600&Priority=%207%20");
    let expected =
        [(&low, "-5", "4"), (&first, "7", "1"), (&middle, "0", "3"), (&second, "7", "2")];
    for (token, priority, position) in expected {
        let status = client.status("Process", token);
        assert_eq!((status.text("priority"), status.text("position")), (priority, position));
    }
    client.queue_info("Process", "QueueAction=resume");
    for token in [&first, &second, &middle, &low] {
        client.wait_for("Process", token, "Processing");
        assert!(!client.status("Process", token).has("position"));
        let waiting = client.queue_info("Process", "QueueAction=queueStatus");
        assert_eq!(waiting.text("responsedata/running"), "1");
        client.queue_info("Process", &format!("QueueAction=stop&Token={token}"));
        client.wait_for("Process", token, "Stopped");
    }
}

#[test]
fn wait_on_submit_answers_with_the_result() {
    let home = Home::new(ONE_SLOT);
    let server = home.start();
    let client = Client::of(&server);
    let began = Instant::now();
    let reply = client.get("/action=Process&n=1&Sleep=0.2&Wait=60");
    assert!(began.elapsed() < Duration::from_secs(20), "it answers when the action ends");
    assert!(began.elapsed() >= Duration::from_millis(200));
    let data = reply.one("responsedata");
    assert_eq!(data.names(), ["token", "status", "parameters"]);
    assert_eq!(data.text("status"), "Finished");
    assert_eq!(data.all("parameters/parameter")[0].attribute("value"), "1");
    assert_eq!(client.status("Process", data.text("token")).text("status"), "Finished");

    let reply = client.get("/action=Process&Fail=no%20luck&Wait=60");
    // It was queued, so that is a success.
    assert_eq!(reply.text("response"), "SUCCESS");
    assert_eq!(reply.one("responsedata").names(), ["token", "status", "error"]);
    assert_eq!(reply.text("responsedata/status"), "Error");
    assert_eq!(reply.text("responsedata/error"), "no luck");
}

#[test]
fn wait_on_submit_answers_with_the_token_when_the_time_is_over() {
    let home = Home::new(ONE_SLOT);
    let server = home.start();
    let client = Client::of(&server);
    let began = Instant::now();
    let reply = client.get("/action=Process&Sleep=600&Wait=0.3");
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(reply.one("responsedata").names(), ["token"]);
    assert_eq!(client.status("Process", &token(&reply)).text("status"), "Processing");
    for wait in ["0", "", "0.0"] {
        let reply = client.get(&format!("/action=Process&Wait={wait}"));
        assert_eq!(reply.one("responsedata").names(), ["token"]);
    }
}

#[test]
fn wait_on_get_status_answers_at_the_end_of_the_action_or_of_the_time() {
    let home = Home::new(ONE_SLOT);
    let server = home.start();
    let client = Client::of(&server);
    let token = client.submit("Process&Sleep=600");
    client.wait_for("Process", &token, "Processing");
    let ask = |wait: &str| {
        let target = format!("QueueAction=getStatus&Token={token}&Wait={wait}");
        let reply = client.queue_info("Process", &target);
        reply.text("responsedata/actions/action/status").to_owned()
    };
    let began = Instant::now();
    assert_eq!(ask("0.3"), "Processing");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(20), "{took:?}");

    let began = Instant::now();
    let ended = std::thread::scope(|scope| {
        let waiters: Vec<_> = (0..20).map(|_| scope.spawn(|| ask("3600"))).collect();
        // They wait, and the server still answers.
        assert_eq!(ask("0"), "Processing");
        client.queue_info("Process", &format!("QueueAction=stop&Token={token}"));
        waiters.into_iter().map(|waiter| waiter.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(ended, ["Stopped"; 20]);
    assert!(began.elapsed() < Duration::from_secs(20));
    // One that has ended is shown at once.
    assert_eq!(ask("3600"), "Stopped");
}

/// The same id, but another time: a token of another data directory.
fn of_another_directory(token: &str) -> String {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD;
    let plain = String::from_utf8(base64.decode(token).unwrap()).unwrap();
    let (start, number) = plain.rsplit_once(':').unwrap();
    let time: u64 = number[..13].parse().unwrap();
    base64.encode(format!("{start}:{}{}", time - 1, &number[13..]))
}

/// A command looks at nothing before; the time in its token is held against the action's all the same.
#[test]
fn a_command_by_a_token_of_another_data_directory_steers_nothing() {
    let home = Home::new(ONE_SLOT);
    let server = home.start();
    let client = Client::of(&server);
    let runs = client.submit("Process&Sleep=600");
    client.wait_for("Process", &runs, "Processing");
    let waits = client.submit("Process&Sleep=600");
    for (token, state) in [(runs, "Processing"), (waits, "Queued")] {
        let other = of_another_directory(&token);
        let ask = |action: &str, token: &str| {
            client.queue_info("Process", &format!("QueueAction={action}&Token={token}"))
        };
        let unknown = fault(&ask("getStatus", &other));
        let commands = ["stop", "cancel", "pause", "resume", "changePriority&Priority=3"];
        let others = ["duplicate", "retry", "progress", "getActionParameters"];
        for command in commands.into_iter().chain(others) {
            let refused = fault(&ask(command, &other));
            assert_eq!((refused.number, &refused.string), (502, &unknown.string), "{command}");
            assert_eq!(refused.description, unknown.description, "{command}");
        }
        client.wait_for("Process", &token, state);
    }
}

#[test]
fn a_wait_for_a_token_of_no_action_does_not_wait() {
    let home = Home::new(ONE_SLOT);
    let server = home.start();
    let client = Client::of(&server);
    let token = client.submit("Process&Sleep=600");
    client.wait_for("Process", &token, "Processing");
    let other = of_another_directory(&token);
    let began = Instant::now();
    let reply =
        client.queue_info("Process", &format!("QueueAction=getStatus&Token={other}&Wait=5"));
    assert_eq!(fault(&reply).number, 502);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[test]
fn synchronous_answers_with_the_result_and_keeps_nothing() {
    let home = Home::new(ONE_SLOT);
    let server = home.start();
    let client = Client::of(&server);
    // It needs no slot: it runs although the queue does not.
    client.queue_info("Process", "QueueAction=pause");
    for name in ["Synchronous", "synchronous", "Sync", "SYNC"] {
        for value in ["true", "True", "1", "yes"] {
            let reply = client.get(&format!("/action=Process&n=%26&{name}={value}"));
            assert_eq!(reply.one("responsedata").names(), ["parameters"]);
            let echoed = reply.all("responsedata/parameters/parameter");
            assert_eq!(echoed[0].attribute("value"), "&");
        }
        let reply = client.get(&format!("/action=Process&Fail=no%20luck&{name}=true"));
        assert_eq!(reply.text("action"), "PROCESS");
        let fault = fault(&reply);
        assert_eq!((fault.number, fault.code.as_str()), (510, "ERRORACTIONFAILED"));
        assert_eq!(fault.string, "The action failed");
        assert_eq!(fault.description.matches("no luck").count(), 1, "{fault:?}");
    }
    server.nothing_was_queued("Process");
    // A no is a no, and on QueueInfo the word means nothing.
    for value in ["false", "False", "0", "no", ""] {
        let token = client.submit(&format!("Process&Synchronous={value}&Sync={value}"));
        let rest = format!("QueueAction=getStatus&Token={token}&Synchronous=True");
        let status = client.queue_info("Process", &rest);
        assert_eq!(status.text("responsedata/actions/action/status"), "Queued");
    }
}

/// As many as can run at once leave, and then others: each makes room, and stands in the log.
#[test]
fn a_client_that_leaves_ends_what_runs_or_waits_for_it_alone() {
    let home = Home::new(&format!("[Server]\nReplyTimeout=1\n{ONE_SLOT}"));
    let server = home.start();
    let client = Client::of(&server);
    let token = client.submit("Process&Sleep=600");
    let waits = format!("QueueInfo&QueueName=Process&QueueAction=getStatus&Wait=600&Token={token}");
    for left in ["Process&Synchronous=true&Sleep=600", &waits] {
        let streams = [(); 20].map(|()| {
            let mut stream = client.connect();
            stream.write_all(&get(&format!("/action={left}"))).unwrap();
            stream
        });
        drop(streams);
        wait_until("all of them stand in the log", || {
            let log = client.get("/action=GetRequestLog");
            let entries = log.all("responsedata/logentry");
            let has_left = |entry: &&&Node| entry.text("autn:request").ends_with(left);
            entries.iter().filter(has_left).count() == 20
        });
    }
    let reply = client.get("/action=Process&Synchronous=true&n=1");
    assert_eq!(reply.one("responsedata").names(), ["parameters"]);
}

fn with_key(client: Client, key: &str, parameters: &str) -> String {
    let request = format!(
        "GET /action=Process{parameters} HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: {key}\r\n\r\n"
    );
    token(&aci(&client.send(request.as_bytes())))
}

#[test]
fn the_same_idempotency_key_gets_the_same_token() {
    let home = Home::new(ONE_SLOT);
    let server = home.start();
    let client = Client::of(&server);
    let first = with_key(client, "k-1", "&n=1");
    assert_eq!(with_key(client, "k-1", "&n=1"), first);
    // As a parameter it is the same key.
    assert_eq!(client.submit("Process&n=1&Idempotency-Key=k-1"), first);
    assert_eq!(client.submit("Process&n=1&idempotency-key=k-1"), first);
    let second = client.submit("Process&n=1&Idempotency-Key=k%202");
    assert_ne!(second, first);
    assert_ne!(with_key(client, "k-3", "&n=1"), first);
    client.wait_for("Process", &first, "Finished");
    // It has ended, and is still that one; a wait shows its result.
    assert_eq!(with_key(client, "k-1", "&n=1"), first);
    let reply = client.get("/action=Process&n=1&Idempotency-Key=k-1&Wait=30");
    assert_eq!(token(&reply), first);
    assert_eq!(reply.text("responsedata/status"), "Finished");
    server.kill();
    let server = home.start();
    let again = with_key(Client::of(&server), "k-1", "&n=1");
    let number = |token: &str| {
        use base64::Engine as _;
        let plain = base64::engine::general_purpose::STANDARD.decode(token).unwrap();
        String::from_utf8(plain).unwrap().rsplit_once(':').unwrap().1.to_owned()
    };
    assert_eq!(number(&again), number(&first), "it lasts longer than the process");
}

/// Sends a request with a key that was sent with another one before.
fn is_refused(client: Client, parameters: &str) {
    let reply = client.get(&format!("/action=Process{parameters}"));
    assert_eq!(reply.text("response"), "ERROR", "{parameters}");
    assert_eq!(reply.text("responsedata/error/errorcode"), "ERRORPARAMINVALID");
    assert_eq!(reply.text("responsedata/error/errorid"), "ACTIONDPROCESS502");
    let description = reply.text("responsedata/error/errordescription");
    assert!(
        description.contains("Idempotency-Key") && description.contains("'k'"),
        "{description}"
    );
}

#[test]
fn an_idempotency_key_that_comes_with_another_request_is_refused() {
    let home = Home::new(ONE_SLOT);
    let server = home.start();
    let client = Client::of(&server);
    let first = client.submit("Process&Name=Ada&Size=1&Idempotency-Key=k");
    let same = [
        "Size=1&Name=Ada&Idempotency-Key=k",
        "IDEMPOTENCY-KEY=k&name=Ada&SIZE=1",
        "Name=%41da&Size=1&ActionID=second&ResponseFormat=xml&Wait=0&Idempotency-Key=k",
    ];
    let others = [
        "&Name=Bob&Size=1",
        "&Name=ada&Size=1",
        "&Name=Ada",
        "&Name=Ada&Size=1&More=1",
        "&Name=Ada&Size=1&Priority=1",
        "&Name=Ada&Size=1&Size=1",
    ];
    let check = |client: Client, first: &str| {
        for parameters in same {
            assert_eq!(id_of(&client.submit(&format!("Process&{parameters}"))), id_of(first));
        }
        for parameters in others {
            is_refused(client, &format!("{parameters}&Idempotency-Key=k"));
        }
        let counts = client.get("/action=QueueInfo&QueueName=Process&QueueAction=queueStatus");
        assert_eq!(counts.text("responsedata/finished"), "1", "more than one action was queued");
    };
    client.wait_for("Process", &first, "Finished");
    check(client, &first);
    // In a form it is the same request.
    let form = form("Process", &[("Name", "Ada"), ("Size", "1"), ("Idempotency-Key", "k")]);
    assert_eq!(token(&aci(&client.send(&form))), first);
    server.kill();
    let server = home.start();
    check(Client::of(&server), &first);
}

#[test]
fn twenty_clients_with_one_key_and_twenty_requests_queue_one_action() {
    let home = Home::new(ONE_SLOT);
    let server = home.start();
    let client = Client::of(&server);
    let replies: Vec<_> = std::thread::scope(|scope| {
        let send = |n| client.get(&format!("/action=Process&n={n}&Idempotency-Key=one"));
        let threads: Vec<_> = (0..20).map(|n| scope.spawn(move || send(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let taken = replies.iter().filter(|reply| reply.text("response") == "SUCCESS");
    assert_eq!(taken.count(), 1);
    let list = client.get("/action=QueueInfo&QueueName=Process&QueueAction=getStatus");
    assert_eq!(list.one("responsedata/actions").names(), ["action"]);
}

#[test]
fn twenty_clients_with_one_key_queue_one_action() {
    let home = Home::new(ONE_SLOT);
    let server = home.start();
    let client = Client::of(&server);
    let mut tokens: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..20).map(|_| scope.spawn(move || with_key(client, "one", ""))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    tokens.dedup();
    assert_eq!(tokens.len(), 1);
}

#[test]
fn an_empty_idempotency_key_is_none() {
    let home = Home::new(ONE_SLOT);
    let server = home.start();
    let client = Client::of(&server);
    for key in ["", "  "] {
        assert_ne!(with_key(client, key, "&n=1"), with_key(client, key, "&n=2"), "{key:?}");
    }
    let submit = || client.submit("Process&Idempotency-Key=%20");
    assert_ne!(submit(), submit());
}

/// Whoever sends a key relies on it: where it has no effect, or there are two, nothing is done.
#[test]
fn no_idempotency_key_is_passed_over() {
    let home = Home::new(ONE_SLOT);
    let server = home.start();
    let client = Client::of(&server);
    let waits = client.submit("Process&Sleep=600");
    let copies = format!("QueueInfo&QueueName=Process&QueueAction=duplicate&Token={waits}");
    for (action, headers) in [
        ("Process&Synchronous=true", "Idempotency-Key: k\r\n"),
        ("Process&Sync=true&Idempotency-Key=k", ""),
        (&copies, "Idempotency-Key: k\r\n"),
        ("Process", "Idempotency-Key: k\r\nIdempotency-Key: l\r\n"),
        ("Process&Idempotency-Key=l", "Idempotency-Key: k\r\n"),
    ] {
        let request = format!("GET /action={action} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        let reply = aci(&client.send(request.as_bytes()));
        assert_eq!(reply.text("responsedata/error/errorcode"), "ERRORPARAMINVALID", "{request}");
        let description = reply.text("responsedata/error/errordescription");
        assert!(description.contains("Idempotency-Key"), "{description}");
    }
    let counts = client.queue_info("Process", "QueueAction=queueStatus");
    let all = ["pending", "running", "finished"]
        .map(|count| counts.text(&format!("responsedata/{count}")));
    assert_eq!(all, ["0", "1", "0"]);
    // Twice the same is one, and a command that changes nothing may carry one.
    let twice = "GET /action=Process HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: k\r\nIdempotency-Key: k\r\n\r\n";
    let first = token(&aci(&client.send(twice.as_bytes())));
    assert_eq!(with_key(client, "k", "&Idempotency-Key=k"), first);
}

#[test]
fn an_idempotency_key_of_any_letters_is_a_key() {
    let home = Home::new(ONE_SLOT);
    let server = home.start();
    let client = Client::of(&server);
    let token = with_key(client, "clé-é", "");
    assert_eq!(with_key(client, "clé-é", ""), token, "in the header");
    assert_ne!(with_key(client, "clé-è", ""), token);
    let token = client.submit("Process&Idempotency-Key=cl%C3%A9");
    assert_eq!(client.submit("Process&Idempotency-Key=cl%C3%A9"), token, "as a parameter");
}

const STRICT: &str = "[Server]\nStrictActionValidation=true\n[AsyncActions]\n0=Fetch\n1=Ingest\n2=Process\n\
    [Fetch]\nType=FileSystemConnector\n[Ingest]\nType=Ingest\n[Process]\nType=Echo\n";

#[test]
fn strict_servers_refuse_unknown_parameters_and_name_the_nearest() {
    let home = Home::new(STRICT);
    let server = home.start();
    let client = Client::of(&server);
    for (target, unknown, nearest) in [
        ("/action=QueueInfo&QueueAction=getStatus&QueueName=Process&Tokn=x", "Tokn", Some("Token")),
        (
            "/action=QueueInfo&QueueAction=getStatus&QueueName=Process&SortBy=x",
            "SortBy",
            Some("Sort-By"),
        ),
        ("/action=QueueInfo&QueueAction=getStatus&QueuName=Process", "QueuName", Some("QueueName")),
        ("/action=GetVersion&Responseformt=json", "Responseformt", Some("ResponseFormat")),
        (
            "/action=Fetch&FetchAction=Synchronize&TaskSection=x",
            "TaskSection",
            Some("TaskSections"),
        ),
        ("/action=Ingest&add=%3Cadds/%3E", "add", Some("Adds")),
        ("/action=GetPid&wholly_unknown=1", "wholly_unknown", None),
        ("/action=GetPid&=1", "", None),
    ] {
        let fault = fault(&client.get(target));
        assert_eq!((fault.number, fault.code.as_str()), (502, "ERRORPARAMINVALID"), "{target}");
        assert_eq!(fault.string, "Unknown parameter", "{target}");
        let says = format!("The action has no parameter '{unknown}'");
        assert!(fault.description.starts_with(&says), "{target}: {fault:?}");
        match nearest {
            Some(nearest) => {
                let hint = format!("Is {nearest} meant?").to_lowercase();
                assert!(fault.description.to_lowercase().contains(&hint), "{target}: {fault:?}");
            }
            None => assert!(!fault.description.contains("meant?"), "{target}: {fault:?}"),
        }
    }
    // What every action takes is known, and Echo takes anything.
    client.get("/action=GetPid&ActionID=me&ResponseFormat=xml").one("responsedata/autn:pid");
    client.submit("Process&anything=goes&Priority=1&Wait=0&Idempotency-Key=k");
    let missing = fault(&client.get("/action=Fetch"));
    assert_eq!((missing.number, missing.string.as_str()), (501, "Missing required parameter"));
    assert!(missing.description.contains("parameter FetchAction"), "{missing:?}");
    let bad = fault(&client.get("/action=Fetch&FetchAction=Collect"));
    assert!(bad.description.contains("'Collect'") && bad.description.contains("Synchronize"));
}

#[test]
fn other_servers_ignore_unknown_parameters() {
    let home = Home::new(&STRICT.replace("true", "false"));
    let server = home.start();
    let client = Client::of(&server);
    client.get("/action=GetPid&wholly_unknown=1").one("responsedata/autn:pid");
    let reply = client.queue_info("Process", "QueueAction=getStatus&Tokn=x&DREDbName=y");
    assert_eq!(reply.text("response"), "SUCCESS");
    // What is wrong with the action's own parameters is said when it runs.
    let token = client.submit("Fetch&FetchAction=Collect");
    client.wait_for("Fetch", &token, "Error");
    let error = client.status("Fetch", &token);
    let error = error.text("error");
    assert!(
        error.contains("FetchAction") && error.contains("Collect") && error.contains("Synchronize")
    );
}

/// It would silently become a parameter of the action.
#[test]
fn a_submission_that_waits_waits_for_nothing_but_the_end() {
    let home = Home::new(ONE_SLOT);
    let server = home.start();
    let refused = server.ask("Process&Wait=1&WaitFor=start").error();
    assert_eq!(refused.0, "ERRORPARAMINVALID");
    assert!(refused.1.contains("WaitFor") && refused.1.contains("getStatus"), "{}", refused.1);
    server.nothing_was_queued("Process");
    // Without Wait it is whatever the action makes of it.
    server.ask("Process&WaitFor=start").success();
}
