//! The actions that clients send first: what the server is, and what it takes.

use super::*;
use crate::server::{CONFIG, between};

fn texts<'a>(node: &'a Node, path: &str) -> Vec<&'a str> {
    node.all(path).into_iter().map(|node| node.text.as_str()).collect()
}

#[test]
fn get_version_has_all_elements_in_order_with_their_prefix() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let client = Client::of(&server);
    let reply = client.get("/action=GetVersion");
    let data = reply.one("responsedata");
    let names = [
        "version",
        "aciversion",
        "productname",
        "commonname",
        "producttypecsv",
        "productUID",
        "build",
        "wordsize",
        "operatingsystem",
        "compiler",
        "directory",
        "configpath",
        "servertime",
        "performance",
        "uptime",
    ];
    assert_eq!(data.names(), names.map(|name| format!("autn:{name}")));
    assert_eq!(data.text("autn:productname"), "actiond");
    assert_eq!(data.text("autn:producttypecsv"), "ACTIOND");
    assert_eq!(data.text("autn:version"), env!("CARGO_PKG_VERSION"));
    // What the vendor's typed readers take for numbers, `int` the narrowest, has to be one.
    let number =
        |path: &str| data.text(path).parse::<i32>().unwrap_or_else(|e| panic!("{path}: {e}"));
    assert!(number("autn:build") > 0 && number("autn:productUID") > 0);
    for path in ["wordsize", "performance/autn:qps/autn:queries", "uptime/autn:seconds"] {
        number(&format!("autn:{path}"));
    }
    let real = |path: &std::path::Path| path.canonicalize().unwrap().display().to_string();
    assert_eq!(data.text("autn:directory"), real(home.path()));
    assert!(data.text("autn:configpath").ends_with("test.cfg"));
    assert_eq!(data.one("autn:servertime").names(), ["autn:epoch", "autn:string"]);
    let epoch: i64 = data.text("autn:servertime/autn:epoch").parse().unwrap();
    assert!(epoch.abs_diff(now()) < 60);
    assert!(GENERAL_TIME.is_match(data.text("autn:servertime/autn:string")));
    assert_eq!(data.one("autn:performance").names(), ["autn:qps"]);
    let qps = data.one("autn:performance/autn:qps");
    assert_eq!(qps.names(), ["autn:qps", "autn:queries", "autn:period"]);
    assert!(Regex::new(r"^\d+\.\d\d$").unwrap().is_match(qps.text("autn:qps")));
    assert_eq!(data.one("autn:uptime").names(), ["autn:uptime", "autn:seconds", "autn:starttime"]);
    let uptime = Regex::new(r"^(\d+ (days|hours|mins), )*\d+ secs$").unwrap();
    assert!(uptime.is_match(data.text("autn:uptime/autn:uptime")));
    assert!(GENERAL_TIME.is_match(data.text("autn:uptime/autn:starttime")));
    // The count of requests grows.
    let queries = |reply: &Node| -> u64 {
        reply.text("responsedata/autn:performance/autn:qps/autn:queries").parse().unwrap()
    };
    let before = queries(&reply);
    assert_eq!(queries(&client.get("/a=GETVERSION")), before + 1);

    // The prefix is spelled so, for readers that do not parse, and dropped in JSON.
    assert!(server.get("/a=getversion").contains("<autn:version>"));
    let json = client.send(&get("/a=getversion&responseformat=simplejson")).body_text();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["autnresponse"]["responsedata"]["productname"], "actiond");
    let json = client.send(&get("/a=getversion&responseformat=JSON")).body_text();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["autnresponse"]["responsedata"]["productname"]["$"], "actiond");
}

#[test]
fn get_status_begins_as_real_servers_do_and_shows_the_queues() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let client = Client::of(&server);
    client.queue_info("Process", "QueueAction=pause");
    client.submit("Process");
    let reply = client.get("/a=getstatus");
    let data = reply.one("responsedata");
    let start =
        ["product", "version", "build", "aciport", "serviceport", "directory", "acithreads"];
    assert_eq!(data.names()[..7], start);
    assert_eq!(data.text("aciport"), server.address.port().to_string());
    assert!(data.text("acithreads").parse::<u32>().unwrap() > 0);
    let build: i32 = data.text("build").parse().unwrap();
    assert_eq!(client.get("/a=getversion").text("responsedata/autn:build"), build.to_string());
    assert_eq!(data.text("serviceport"), "0");
    assert_eq!(texts(data, "queues/queue/name"), ["Fetch", "Ingest", "Process"]);
    assert_eq!(texts(data, "queues/queue/paused"), ["false", "false", "true"]);
    assert_eq!(texts(data, "queues/queue/pending"), ["0", "0", "1"]);
    assert_eq!(texts(data, "queues/queue/maximumthreads"), ["1", "1", "2"]);
}

/// Whoever relies on what was acknowledged can see whether a power cut may take it.
#[test]
fn get_status_tells_how_durable_actions_are() {
    for (setting, shown) in
        [("", "full"), ("Durability=full", "full"), ("Durability=normal", "normal")]
    {
        let config =
            format!("[Actions]\n{setting}\n[AsyncActions]\n0=Process\n[Process]\nType=Echo\n");
        let home = Home::new(&config);
        let server = home.start();
        let reply = Client::of(&server).get("/action=GetStatus");
        assert_eq!(reply.text("responsedata/durability"), shown, "{setting}");
    }
}

#[test]
fn get_pid_and_get_children_and_get_license_info() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let client = Client::of(&server);
    let reply = client.get("/a=getpid");
    assert_eq!(reply.text("responsedata/autn:pid"), server.pid().to_string());
    assert!(server.get("/a=getpid").contains("<autn:pid>"));

    let reply = client.get("/action=GetChildren");
    let data = reply.one("responsedata");
    let names = ["name", "host", "port", "serviceport", "serviceport_ssl_enabled", "children"];
    assert_eq!(data.names(), names.map(|name| format!("autn:{name}")));
    assert_eq!(data.text("autn:host"), "127.0.0.1");
    assert_eq!(data.text("autn:port"), server.address.port().to_string());
    assert_eq!(data.text("autn:serviceport"), "0");
    assert_eq!(data.text("autn:serviceport_ssl_enabled"), "false");
    assert_eq!(data.text("autn:children/autn:num_children"), "0");
    assert_eq!(data.text("autn:children/autn:controlled"), "false");

    let reply = client.get("/action=GetLicenseInfo");
    assert_eq!(reply.text("responsedata/autn:license/autn:validlicense"), "true");
    let names = texts(&reply, "responsedata/autn:actions/autn:section/autn:action/autn:name");
    for name in ["Fetch", "Ingest", "Process", "QueueInfo", "GetVersion"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let licensed =
        texts(&reply, "responsedata/autn:actions/autn:section/autn:action/autn:licensed");
    assert!(licensed.len() == names.len() && licensed.iter().all(|word| *word == "true"));
}

#[test]
fn get_request_log_shows_what_was_sent_before() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let client = Client::of(&server);
    client.get("/action=Process&Name=Ada%20L&&x=1");
    client.get("/?action=Wobble&ActionID=me");
    client.get("/a=getpid");
    let reply = client.get("/action=GetRequestLog");
    let entries = reply.all("responsedata/logentry");
    assert_eq!(entries.len(), 3);
    let names = ["action", "request", "client", "time", "duration", "status", "thread"];
    let duration = Regex::new(r"^\d+\.\d\d ms$").unwrap();
    for entry in &entries {
        assert_eq!(entry.names(), names.map(|name| format!("autn:{name}")));
        assert_eq!(entry.text("autn:client"), "127.0.0.1");
        assert!(GENERAL_TIME.is_match(entry.text("autn:time")));
        assert!(duration.is_match(entry.text("autn:duration")));
    }
    // The newest first.
    assert_eq!(texts(&reply, "responsedata/logentry/autn:action"), ["GETPID", "WOBBLE", "PROCESS"]);
    let requests = ["a=getpid", "action=Wobble&ActionID=me", "action=Process&Name=Ada%20L&&x=1"];
    assert_eq!(texts(&reply, "responsedata/logentry/autn:request"), requests);
    assert_eq!(texts(&reply, "responsedata/logentry/autn:status"), ["success", "error", "success"]);

    // What came in a body is shown as if it had come in the target.
    let body = "action=Process&Name=Ada+L&n=1";
    let post = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    client.send(post.as_bytes());
    let posted = client.get("/action=GetRequestLog&Tail=1");
    let shown = texts(&posted, "responsedata/logentry/autn:request");
    assert_eq!(shown, ["action=Process&Name=Ada%20L&n=1"]);

    client.get("/a=getpid");
    let tail = client.get("/action=GetRequestLog&Tail=2");
    assert_eq!(texts(&tail, "responsedata/logentry/autn:action"), ["GETPID", "GETREQUESTLOG"]);
    // It is a list in JSON, with one entry too; a long request is cut, and the log has an end.
    client.get(&format!("/action=GetPid&n={}", "x".repeat(50_000)));
    let json = client.send(&get("/a=GetRequestLog&Tail=1&ResponseFormat=simplejson")).body_text();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let entries = json["autnresponse"]["responsedata"]["logentry"].as_array().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["action"], "GETPID");
    assert!(entries[0]["request"].as_str().unwrap().len() <= 1_000);
    let mut stream = server.connect();
    for _ in 0..600 {
        exchange(&mut stream, &get("/a=getpid"));
    }
    let log = client.get("/action=GetRequestLog");
    assert_eq!(log.all("responsedata/logentry").len(), 500);
}

#[test]
fn show_permissions_tells_of_the_caller_or_of_an_address() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let client = Client::of(&server);
    for (given, shown) in [("", "127.0.0.1"), ("&IP=10.2.3.4", "10.2.3.4"), ("&ip=%3A%3A1", "::1")]
    {
        let reply = client.get(&format!("/action=ShowPermissions{given}"));
        let data = reply.one("responsedata");
        assert_eq!(data.names(), ["autn:rules", "autn:requested"]);
        assert_eq!(data.text("autn:requested/autn:ip"), shown);
        assert_eq!(data.text("autn:requested/autn:ipvalid"), "true");
        assert_eq!(data.text("autn:requested/autn:queryclient"), "true");
        // By default that is for this machine.
        let is_local = (shown != "10.2.3.4").to_string();
        assert_eq!(data.text("autn:requested/autn:adminclient"), is_local, "{shown}");
    }
}

/// Actions with some of their parameters, as the documentation has them.
const KNOWN: &[(&str, &[&str])] = &[
    ("BackupServer", &["Path"]),
    ("RestoreServer", &["FileName"]),
    ("EventInfo", &["EventAction", "Handler"]),
    (
        "ScheduleInfo",
        &[
            "ScheduleAction",
            "ScheduleName",
            "QueueName",
            "Parameters",
            "Cron",
            "RepeatSecs",
            "StartTime",
            "Cycles",
            "TimeZone",
            "Overlap",
            "CatchUp",
            "Jitter",
            "Enabled",
        ],
    ),
    (
        "QueueInfo",
        &[
            "QueueAction",
            "QueueName",
            "Token",
            "Priority",
            "State",
            "Sort-By",
            "Sort-Order",
            "MaxResults",
            "Start",
            "Min-Priority",
            "Max-Priority",
            "Queued-After",
            "Queued-Before",
            "Started-After",
            "Started-Before",
            "Finished-After",
            "Finished-Before",
            "AllStages",
            "MaxDepth",
            "Wait",
            "ActionID",
            "ResponseFormat",
        ],
    ),
    (
        "Fetch",
        &[
            "FetchAction",
            "TaskSections",
            "ConfigSection",
            "Priority",
            "Wait",
            "Synchronous",
            "Sync",
            "Idempotency-Key",
        ],
    ),
    ("Ingest", &["Adds", "Updates", "Removes", "Priority", "ActionID"]),
    ("Process", &["Sleep", "Fail", "Priority", "Wait", "ResponseFormat"]),
    ("QueueWork", &["WorkAction", "QueueName", "Token", "Attempt", "Worker", "Result", "Wait"]),
    ("GetVersion", &["ActionID", "ResponseFormat"]),
    ("GetStatus", &["ActionID"]),
    ("GetPid", &[]),
    ("GetChildren", &[]),
    ("GetLicenseInfo", &[]),
    ("GetRequestLog", &["Tail"]),
    ("ShowPermissions", &["IP"]),
    ("Admin", &[]),
    ("Help", &["HelpAction"]),
];

#[test]
fn help_lists_every_action_with_every_parameter() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let client = Client::of(&server);
    let reply = client.get("/action=Help");
    let actions = reply.all("responsedata/actions/action");
    assert_eq!(actions.len(), KNOWN.len());
    for (name, parameters) in KNOWN {
        let found = actions.iter().find(|action| action.text("name") == *name);
        let action = found.unwrap_or_else(|| panic!("{name} is not in the help"));
        assert!(!action.text("summary").is_empty());
        let asynchronous = ["Fetch", "Ingest", "Process"].contains(name);
        assert_eq!(action.text("asynchronous"), asynchronous.to_string());
        let all = action.all("parameters/parameter");
        for parameter in *parameters {
            let found = all.iter().find(|p| p.attribute("name").eq_ignore_ascii_case(parameter));
            let found = found.unwrap_or_else(|| panic!("{name} has no {parameter}"));
            assert!(!found.text.is_empty() && !found.attribute("allowed").is_empty());
        }
        // One action alone is shown just so.
        let alone = client.get(&format!("/action=Help&HelpAction={}", name.to_uppercase()));
        assert_eq!(alone.all("responsedata/actions/action"), [*action]);
        // No action that the help names is unknown to the server.
        let tried = client.get(&format!("/action={name}&Synchronous=true"));
        if tried.text("response") == "ERROR" {
            assert_ne!(fault(&tried).number, 1, "{name}");
        }
    }
}

#[test]
fn help_is_a_page_for_browsers() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let client = Client::of(&server);
    let browse = |target: &str| {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: text/html,application/xhtml+xml,*/*;q=0.8\r\n\r\n"
        );
        client.send(request.as_bytes())
    };
    for target in ["/action=Help", "/", "/?a=help"] {
        let reply = browse(target);
        assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"), "{target}");
        let page = reply.body_text();
        assert!(page.starts_with("<!DOCTYPE html>"));
        for (name, parameters) in KNOWN {
            let start = format!("<h2 id=\"{name}\">");
            let section =
                between(&page, &start, "<h2").or_else(|| between(&page, &start, "</html>"));
            let section =
                section.unwrap_or_else(|| panic!("{name} is not on the page")).to_lowercase();
            for parameter in *parameters {
                let parameter = format!("<code>{}</code>", parameter.to_lowercase());
                assert!(section.contains(&parameter), "{name}: {parameter}");
            }
        }
    }
    // Its links lead to something.
    let page = browse("/").body_text();
    let links: Vec<_> = page.split("<a href=\"/").skip(1).collect();
    assert!(links.len() > 5, "{page}");
    for link in links {
        let target = link.split('"').next().unwrap().replace("&amp;", "&");
        let reply = client.get(&format!("/{target}"));
        // No queue here has workers elsewhere.
        let is_work = target.starts_with("action=QueueWork");
        assert_eq!(reply.text("response"), if is_work { "ERROR" } else { "SUCCESS" }, "{target}");
    }
    // A browser gets XML everywhere else, and where it asks for it.
    assert_eq!(browse("/a=getpid").header("content-type"), Some("text/xml"));
    assert_eq!(browse("/a=help&ResponseFormat=xml").header("content-type"), Some("text/xml"));
    assert_eq!(browse("/?a=help").header("content-type"), Some("text/html; charset=utf-8"));
    fault(&client.get("/"));
}

/// What is refused is an ACI error, also for clients that would take HTML, as those written in Java say by default.
#[test]
fn a_refused_request_is_never_answered_by_the_help() {
    let home = Home::new(&format!("{CONFIG}\n[Server]\nMaxFileUploadSize=1000\n"));
    let server = home.start();
    let client = Client::of(&server);
    let accept = "Host: localhost\r\nAccept: text/html, image/gif, image/jpeg, */*; q=.2";
    let long = "x".repeat(70_000);
    let raw = "é".repeat(30_000);
    let body = "x".repeat(2_000);
    for (start, rest, number) in [
        (format!("GET /{long}"), String::new(), 505),
        (format!("GET /{raw}"), String::new(), 501),
        ("GET /n=1".to_owned(), String::new(), 501),
        ("GET /favicon.ico".to_owned(), String::new(), 501),
        ("GET /?ResponseFormat=x".to_owned(), String::new(), 502),
        ("GET /%FF=%FF".to_owned(), String::new(), 502),
        ("GET /".to_owned(), "A: b\nc: d\r\n\r\n".to_owned(), 502),
        ("GET /".to_owned(), "Content-Length: 3\r\n\r\nn=1".to_owned(), 501),
        ("GET /".to_owned(), "Content-Encoding: gzip\r\n\r\n".to_owned(), 502),
        ("PUT /".to_owned(), String::new(), 502),
        ("POST /".to_owned(), "Content-Length: 0\r\n\r\n".to_owned(), 501),
        ("POST /".to_owned(), format!("Content-Length: 2000\r\n\r\n{body}"), 505),
        ("GET /action=Wobble".to_owned(), String::new(), 1),
        ("GET /action=Help&HelpAction=Wobble".to_owned(), String::new(), 502),
    ] {
        let rest = if rest.is_empty() { "\r\n" } else { &rest };
        let request = format!("{start} HTTP/1.1\r\n{accept}\r\n{rest}");
        let reply = client.send(request.as_bytes());
        let shown: String = request.chars().take(100).collect();
        assert_eq!(reply.header("content-type"), Some("text/xml"), "{shown}");
        assert_eq!(fault(&aci(&reply)).number, number, "{shown}");
    }
    // Of a whole address, and of one with an empty query, too.
    for target in ["/", "/?", "http://x/", "http://x"] {
        let request = format!("GET {target} HTTP/1.1\r\n{accept}\r\n\r\n");
        let reply = client.send(request.as_bytes());
        assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"), "{target}");
    }
}
