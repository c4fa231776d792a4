//! Whatever is wrong with a request, the reply is an ERROR that names the parameter, its value and
//! what is allowed, with HTTP status 200.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::*;

/// A parameter that may not have this value, and what may be found among what is allowed.
type Bad = (&'static str, &'static str, &'static str);

/// Sent with a `getStatus` of the queue `Process`.
const BAD_FILTERS: &[Bad] = &[
    ("State", "odd", "queued, running, finished"),
    ("State", "queued,odd,finished", "queued, running, finished"),
    ("Sort-By", "colour", "queue-time, start-time, finish-time"),
    ("Sort-Order", "up", "ascending, descending"),
    ("MaxResults", "-1", "0 or more"),
    ("MaxResults", "ten", "a whole number"),
    ("MaxResults", "1.5", "a whole number"),
    ("MaxResults", "9223372036854775808", "a whole number"),
    ("Start", "0", "1 or more"),
    ("Start", "-1", "1 or more"),
    ("Start", "x", "1 or more"),
    ("Min-Priority", "high", "from -2147483648 to 2147483647"),
    ("Max-Priority", "2147483648", "from -2147483648 to 2147483647"),
    ("Queued-After", "yesterday", "2014-07-17 15:00:00"),
    ("Queued-Before", "2014-13-01", "2014-07-17 15:00:00"),
    ("Started-After", "2014-02-30 10:00:00", "2014-07-17 15:00:00"),
    ("Started-Before", "17/07/2014", "2014-07-17 15:00:00"),
    ("Finished-After", "2014-07-17 25:00:00", "2014-07-17 15:00:00"),
    ("Finished-Before", "2014-07-17 15:00:00 Mars", "2014-07-17 15:00:00"),
    ("Wait", "soon", "seconds from 0 to 3600"),
    ("Wait", "-1", "seconds from 0 to 3600"),
    ("Wait", "3601", "seconds from 0 to 3600"),
    ("AllStages", "maybe", "true or false"),
    ("MaxDepth", "-1", "a whole number from 0"),
    ("History", "all", "true or false"),
    ("Token", "rubbish", "a token that this server returned"),
    ("Token", "MTAuMi4xMDUuMzQ6MTIzNDpGRVRDSDoxNDAyOTU3MzY4", "a token that this server"),
    ("ResponseFormat", "yaml", "xml, json, simplejson"),
];

/// Sent alone.
const BAD_ELSEWHERE: &[(&str, Bad)] = &[
    (
        "QueueInfo&QueueName=Process",
        (
            "QueueAction",
            "explode",
            "getStatus, getActionParameters, queueStatus, progress, cancel, stop, pause, resume, changePriority, duplicate, retry, delete",
        ),
    ),
    ("QueueInfo&QueueAction=getStatus", ("QueueName", "Nope", "one of Fetch, Ingest, Process")),
    (
        "QueueInfo&QueueName=Process&QueueAction=changePriority",
        ("Priority", "high", "from -2147483648 to 2147483647"),
    ),
    ("Process", ("Priority", "high", "from -2147483648 to 2147483647")),
    ("Process", ("Priority", "2147483648", "from -2147483648 to 2147483647")),
    ("Process", ("Wait", "1e3", "seconds from 0 to 3600")),
    (
        "Process",
        ("NotBefore", "tomorrow", "+ and seconds from now, such as +90, or a time such as"),
    ),
    ("Process", ("NotBefore", "90", "+ and seconds from now")),
    ("Process", ("NotBefore", "+315576001", "at most ten years from now")),
    ("Process", ("NotBefore", "9999-12-30", "at most ten years from now")),
    ("Process&Synchronous=true", ("NotBefore", "+1", "none with Synchronous")),
    ("Process", ("Synchronous", "maybe", "true or false")),
    ("Process", ("Sync", "2", "true or false")),
    ("GetRequestLog", ("Tail", "0", "a whole number from 1")),
    (
        "Help",
        (
            "HelpAction",
            "Wobble",
            "one of Fetch, Ingest, Process, QueueInfo, QueueWork, ScheduleInfo, GetVersion",
        ),
    ),
    ("ShowPermissions", ("IP", "localhost", "an IPv4 or IPv6 address")),
    ("GetPid", ("ResponseFormat", "html", "xml, json, simplejson")),
];

/// Required parameters, and what may be found among what is allowed.
const MISSING: &[(&str, &str, &str)] = &[
    ("/", "action", "action=GetVersion"),
    ("/action=", "action", "action=GetVersion"),
    ("/?n=1", "action", "action=GetVersion"),
    ("/action=QueueInfo&QueueName=Process", "QueueAction", "getStatus, getActionParameters"),
    ("/action=QueueInfo&QueueName=Process&QueueAction=%20", "QueueAction", "getStatus"),
    ("/action=QueueInfo&QueueAction=getStatus", "QueueName", "the name of a queue"),
    ("/action=QueueInfo&QueueAction=cancel&QueueName=Process", "Token", "for cancel"),
    ("/action=QueueInfo&QueueAction=Cancel&QueueName=Process&Token=", "Token", "for cancel"),
    ("/action=QueueInfo&QueueAction=progress&QueueName=Process", "Token", "for progress"),
    ("/action=QueueInfo&QueueAction=duplicate&QueueName=Process", "Token", "for duplicate"),
    (
        "/action=QueueInfo&QueueAction=changepriority&QueueName=Process&Priority=1",
        "Token",
        "for changePriority",
    ),
    ("/action=QueueInfo&QueueAction=retry&QueueName=Process", "Token", "for retry"),
];

fn check_bad(client: Client, before: &str, (name, value, allowed): Bad) {
    let target = format!("/action={before}&{}={}", name.to_lowercase(), encoded(value));
    let fault = fault(&client.get(&target));
    assert_eq!((fault.number, fault.code.as_str()), (502, "ERRORPARAMINVALID"), "{target}");
    assert_eq!(fault.string, "Invalid parameter value", "{target}");
    for said in [format!("parameter {name} "), format!("'{value}'")] {
        assert_eq!(fault.description.matches(&said).count(), 1, "{target}: {fault:?}");
    }
    assert!(fault.description.contains(allowed), "{target}: {fault:?}");
}

#[test]
fn bad_values() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    for bad in BAD_FILTERS {
        check_bad(client, "QueueInfo&QueueAction=getStatus&QueueName=Process", *bad);
    }
    for (before, bad) in BAD_ELSEWHERE {
        check_bad(client, before, *bad);
    }
    server.nothing_was_queued("Process");
}

#[test]
fn missing_parameters() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    for (target, name, allowed) in MISSING {
        let fault = fault(&client.get(target));
        assert_eq!((fault.number, fault.code.as_str()), (501, "ERRORPARAMMISSING"), "{target}");
        assert_eq!(fault.string, "Missing required parameter", "{target}");
        let begins = format!("The parameter {name} is required");
        assert!(fault.description.starts_with(&begins), "{target}: {fault:?}");
        assert!(fault.description.contains(allowed), "{target}: {fault:?}");
    }
    client.queue_info("Process", "QueueAction=pause");
    let token = client.submit("Process");
    let target =
        format!("/action=QueueInfo&QueueAction=changePriority&QueueName=Process&Token={token}");
    let fault = fault(&client.get(&target));
    assert_eq!((fault.number, fault.string.as_str()), (501, "Missing required parameter"));
    assert!(fault.description.contains("parameter Priority"), "{fault:?}");
}

#[test]
fn an_unknown_action() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let reply = Client::of(&server).get("/action=Wobble&x=1");
    assert_eq!(reply.text("action"), "WOBBLE");
    let fault = fault(&reply);
    assert_eq!(fault.id, "ACTIONDWOBBLE1");
    assert_eq!((fault.number, fault.code.as_str()), (1, "ERRORNOTIMPLEMENTED"));
    assert_eq!(fault.string, "ERROR");
    assert!(fault.description.starts_with("The requested action was not recognised"), "{fault:?}");
    assert!(fault.description.contains("'Wobble'") && fault.description.contains("action=Help"));
}

/// Every `QueueAction` with a token that names no action of the queue.
#[test]
fn tokens_of_no_action_are_refused_and_change_nothing() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    client.queue_info("Process", "QueueAction=pause");
    let token = client.submit("Process&n=1");
    let plain = String::from_utf8(BASE64.decode(&token).unwrap()).unwrap();
    let (address, number) = plain.rsplit_once(":PROCESS:").unwrap();
    let (time, id) = number.split_at(13);
    let other_time = time.parse::<u64>().unwrap() - 1;
    let unknown = [
        format!("{address}:PROCESS:{time}00000099999"),
        format!("{address}:PROCESS:{other_time}{id}"),
        format!("{address}:FETCH:{time}{id}"),
    ];
    for plain in unknown {
        let unknown = BASE64.encode(&plain);
        for action in [
            "getStatus",
            "getActionParameters",
            "progress",
            "cancel",
            "stop",
            "pause",
            "resume",
            "changePriority&Priority=9",
            "duplicate",
            "retry",
        ] {
            let reply =
                client.queue_info("Process", &format!("QueueAction={action}&Token={unknown}"));
            let fault = fault(&reply);
            assert_eq!((fault.number, fault.code.as_str()), (502, "ERRORPARAMINVALID"), "{action}");
            assert_eq!(fault.string, "Invalid parameter value", "{action}");
            for said in [unknown.as_str(), "sent to the queue Process"] {
                assert_eq!(fault.description.matches(said).count(), 1, "{fault:?}");
            }
        }
    }
    let status = client.status("Process", &token);
    assert_eq!((status.text("status"), status.text("priority")), ("Queued", "0"));
    let counts = client.queue_info("Process", "QueueAction=queueStatus");
    assert_eq!(counts.text("responsedata/pending"), "1");
    // The token of one queue in another one.
    fault(&client.queue_info("Fetch", &format!("QueueAction=cancel&Token={token}")));
    assert_eq!(client.status("Process", &token).text("status"), "Queued");
}

#[test]
fn commands_that_the_state_does_not_allow_say_what_to_do_instead() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    let refuse = |action: &str, token: &str, state: &str, says: &str| {
        let reply = client.queue_info("Process", &format!("QueueAction={action}&Token={token}"));
        let fault = fault(&reply);
        assert_eq!((fault.number, fault.code.as_str()), (502, "ERRORPARAMINVALID"), "{action}");
        // The same whatever action it is, so that clients can group by it.
        assert_eq!(fault.string, "Not possible in the present state", "{action}");
        for said in [token, state, says] {
            assert_eq!(fault.description.matches(said).count(), 1, "{action}: {fault:?}");
        }
        assert_eq!(client.status("Process", token).text("status"), state, "{action}");
    };
    let running = client.submit("Process&Sleep=600");
    client.wait_for("Process", &running, "Processing");
    refuse("cancel", &running, "Processing", "stop it instead");
    refuse("changePriority&Priority=1", &running, "Processing", "only an action that waits");
    client.queue_info("Process", "QueueAction=pause");
    client.wait_for("Process", &running, "Paused");
    refuse("cancel", &running, "Paused", "stop it instead");
    let queued = client.submit("Process");
    refuse("pause", &queued, "Queued", "pause the queue");
    refuse("resume", &queued, "Queued", "resume the queue");
    client.queue_info("Process", "QueueAction=resume");
    client.wait_for("Process", &queued, "Finished");
    for action in ["cancel", "stop", "pause", "resume", "changePriority&Priority=1"] {
        refuse(action, &queued, "Finished", "it has ended");
    }
    refuse("retry", &queued, "Finished", "duplicate it instead");
    let stopped = client.submit("Process&Sleep=600");
    client.wait_for("Process", &stopped, "Processing");
    refuse("retry", &stopped, "Processing", "it is running");
}

#[test]
fn names_and_values_that_are_too_long_or_no_text_are_cut() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    let long = "x".repeat(5_000);
    for target in [
        format!("/action={long}"),
        format!("/action=QueueInfo&QueueAction={long}"),
        format!("/action=QueueInfo&QueueAction=getStatus&QueueName={long}"),
        format!("/action=QueueInfo&QueueAction=getStatus&QueueName=Process&Token={long}"),
        format!("/action=QueueInfo&QueueAction=getStatus&QueueName=Process&Started-After={long}"),
        format!("/action=Help&HelpAction={long}"),
        format!("/action=GetPid&{long}=%FF"),
    ] {
        let fault = fault(&client.get(&target));
        let shown = format!("{}...", "x".repeat(90));
        assert!(fault.description.contains(&shown[..80]), "{fault:?}");
        assert!(!fault.description.contains(&"x".repeat(101)), "{fault:?}");
        assert!(fault.string.len() < 50 && fault.id.len() < 60, "{fault:?}");
    }
    let fault = fault(&client.get("/action=Process&Name=a%FFb"));
    assert_eq!(fault.number, 502);
    let told = "The parameter Name has the value '(not UTF-8)'. Allowed: percent-encoded UTF-8.";
    assert_eq!(fault.description, told, "what is left of a value may be a secret");
}

#[test]
fn an_error_has_the_form_that_the_client_asked_for() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    for (target, id) in [
        ("/action=Wobble&ResponseFormat=simplejson", "ACTIONDWOBBLE1"),
        ("/ResponseFormat=SimpleJSON", "ACTIOND501"),
        ("/action=GetPid&ResponseFormat=simplejson&n=%FF", "ACTIONDGETPID502"),
    ] {
        let reply = client.send(&get(target));
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert!(reply.head.starts_with("HTTP/1.1 200 OK"));
        let reply: serde_json::Value = serde_json::from_str(&reply.body_text()).unwrap();
        assert_eq!(reply["autnresponse"]["response"], "ERROR");
        assert_eq!(reply["autnresponse"]["responsedata"]["error"]["errorid"], id);
    }
}

#[test]
fn a_full_queue_says_so_and_takes_control() {
    let home = Home::new("[AsyncActions]\n0=Process\n[Process]\nType=Echo\nMaxQueueSize=2\n");
    let server = home.start();
    let client = Client::of(&server);
    client.queue_info("Process", "QueueAction=pause");
    let [token, _] = [(); 2].map(|()| client.submit("Process"));
    for target in [
        "/action=Process".to_owned(),
        format!("/action=QueueInfo&QueueName=Process&QueueAction=duplicate&Token={token}"),
    ] {
        let fault = fault(&client.get(&target));
        assert_eq!((fault.number, fault.code.as_str()), (503, "ERRORQUEUEFULL"));
        assert_eq!(fault.string, "Action queue is full");
        assert!(fault.description.contains("already holds 2 queued actions"), "{fault:?}");
    }
    client.queue_info("Process", &format!("QueueAction=cancel&Token={token}"));
    client.submit("Process");
}
