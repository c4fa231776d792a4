//! The service port: its own few actions in their own form, each behind a role.

use std::time::{Duration, Instant};

use super::*;

const OPEN: &str = "
[Server]
TrustedProxies=127.0.0.1
[Service]
ServicePort=0
[AsyncActions]
0=Process
[Process]
Type=Echo
";

fn body(port: SocketAddr, target: &str) -> String {
    let reply = ask_service(port, &Who::here(), target);
    assert!(reply.head.starts_with("HTTP/1.1 200 "), "{target}: {}", reply.head);
    reply.body_text()
}

fn post(port: SocketAddr, who: &Who, target: &str, body: &str) -> Reply {
    let request = format!(
        "POST {target} HTTP/1.1\r\nHost: localhost\r\n{}Content-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        who.lines(),
        body.len()
    );
    send_to(port, request.as_bytes())
}

const RUNNING: &str =
    "<ACTION>GETSTATUS</ACTION>\n<RESPONSE>Running</RESPONSE>\n<RESPONSEDATA></RESPONSEDATA>";

#[test]
fn get_status_says_that_it_runs() {
    let home = Home::new(OPEN);
    let server = home.start();
    let port = service_port(&server, &Who::here());
    assert_ne!(port, server.address);
    for target in ["/action=GetStatus", "/?action=getstatus", "/a=GETSTATUS"] {
        assert_eq!(body(port, target).trim(), RUNNING, "{target}");
    }
    assert_eq!(post(port, &Who::here(), "/", "action=GetStatus").body_text().trim(), RUNNING);
    // The ACI port says where it is.
    assert_eq!(server.ask("GetStatus").number("serviceport"), u64::from(port.port()));
    assert_eq!(server.ask("GetChildren").must("serviceport_ssl_enabled"), "false");
}

#[test]
fn get_status_info_has_its_keys() {
    let home = Home::new(OPEN);
    let server = home.start();
    let port = service_port(&server, &Who::here());
    let text = body(port, "/action=GetStatusInfo");
    let (_, below) = text.split_once("[StatusInfo]").unwrap_or_else(|| panic!("{text}"));
    let value = |key: &str| {
        let line = below.lines().find_map(|line| line.trim().strip_prefix(&format!("{key}=")));
        line.unwrap_or_else(|| panic!("no {key} in {text}")).trim().to_owned()
    };
    for key in
        ["ServiceUtilsVersion", "ServiceName", "ProductVersion", "ProductBuild", "ProductUID"]
    {
        assert!(!value(key).is_empty(), "{key}");
    }
    assert_eq!(value("ProductName"), "actiond");
    for key in ["ServicePID", "ProcessID"] {
        assert_eq!(value(key), server.pid().to_string());
    }
    assert_eq!(value("ServiceStatus"), "Running");
    let real = home.path().canonicalize().expect("its path");
    assert_eq!(value("Directory"), real.display().to_string());
    let started: i64 = value("ServiceStartTime").parse().expect("seconds since 1970");
    let version = server.ask("GetVersion");
    let now = i64::try_from(version.number("epoch")).expect("a time");
    assert!((now - started).abs() <= 60, "{started}, and now it is {now}");
}

#[test]
fn each_port_has_actions_of_its_own() {
    let home = Home::new(OPEN);
    let server = home.start();
    let port = service_port(&server, &Who::here());
    for action in ["Stop", "GetStatusInfo"] {
        let (code, _) = server.ask(action).error();
        assert_eq!(code, "ERRORNOTIMPLEMENTED", "{action}");
    }
    for action in [
        "Process&Name=x",
        "Process&Sync=true",
        "QueueInfo&QueueName=Process&QueueAction=pause",
        "GetPid",
        "Help",
        "GetVersion",
        "Wobble",
    ] {
        let text = body(port, &format!("/action={action}"));
        assert_eq!(told(&text, "RESPONSE"), "ERROR", "{action}: {text}");
        let name = action.split('&').next().expect("a name").to_ascii_uppercase();
        assert_eq!(told(&text, "ACTION"), name, "{text}");
        assert!(!text.contains("autnresponse"), "{text}");
    }
    for target in ["/", "/x", "/action="] {
        let text = ask_service(port, &Who::here(), target).body_text();
        assert_eq!(told(&text, "RESPONSE"), "ERROR", "{target}: {text}");
    }
    server.nothing_was_queued("Process");
    assert_eq!(server.info("Process", "queueStatus", "").must("paused"), "false");
    // What is sent to it is shown as what it is, not as what it pretends to be.
    let text = body(port, "/action=%3CACTION%3E%26");
    assert!(!text.contains("<ACTION><ACTION>"), "{text}");
    assert_eq!(body(port, "/action=GetStatus").trim(), RUNNING);
}

#[test]
fn without_its_setting_there_is_none() {
    // One address, so that a port is a socket.
    let open = format!("[Server]\nBindAddress=127.0.0.1\n{OPEN}");
    for config in [open.replace("ServicePort=0", ""), open.replace("[Service]\nServicePort=0", "")]
    {
        let home = Home::new(&config);
        let server = home.start();
        assert_eq!(server.ask("GetChildren").number("serviceport"), 0);
        assert_eq!(server.ask("GetStatus").number("serviceport"), 0);
        assert_eq!(server.log_lines("service port answers"), 0);
        if cfg!(target_os = "linux") {
            assert_eq!(listeners(&server), 1);
        }
    }
    if cfg!(target_os = "linux") {
        let home = Home::new(&open);
        assert_eq!(listeners(&home.start()), 2);
    }
}

/// How many sockets of the server listen.
fn listeners(server: &Server) -> usize {
    let folder = format!("/proc/{}/fd", server.pid());
    let entries = std::fs::read_dir(folder).expect("its descriptors");
    let open: Vec<_> = entries
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| Some(between(link.to_str()?, "socket:[", "]")?.to_owned()))
        .collect();
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"]
        .map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    // State 0A is LISTEN; the tenth field is the number of the socket.
    let listening = lines.filter_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        (fields.get(3) == Some(&"0A")).then(|| fields.get(9).copied()).flatten()
    });
    let mut found: Vec<_> = listening.filter(|number| open.iter().any(|o| o == number)).collect();
    found.sort_unstable();
    found.dedup();
    found.len()
}

#[test]
fn a_port_in_use_stops_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port();
    let home = Home::new(&OPEN.replace("ServicePort=0", &format!("ServicePort={port}")));
    let output = home.command().output().expect("it runs");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{port}")), "{said}");
}

fn draining(grace: u32) -> String {
    format!("[Actions]\nShutdownGraceSecs={grace}\nStopGraceSecs=1\n{OPEN}OnRestart=Requeue\n")
}

/// As SIGTERM does: what runs may end, nothing new is taken, and the exit code is 0.
#[test]
fn stop_lets_what_runs_end() {
    for by_post in [false, true] {
        let home = Home::new(&draining(600));
        let server = home.start();
        let port = service_port(&server, &Who::here());
        let token = server.submit("&Sleep=3&Name=runs");
        server.wait_for_status(&token, "Processing");
        let waiting = server.submit("&Name=waits&Priority=-1");
        let text = if by_post {
            post(port, &Who::here(), "/", "action=Stop").body_text()
        } else {
            body(port, "/action=Stop")
        };
        assert_eq!(told(&text, "ACTION"), "STOP", "{text}");
        assert_ne!(told(&text, "RESPONSE"), "ERROR", "{text}");
        server.wait_for_draining();
        assert_eq!(server.ask("Process&Name=late").error().0, "ERRORUNAVAILABLE");
        assert!(["Processing", "Finished"].contains(&server.status(&token).as_str()));
        let (status, log) = server.wait();
        assert_eq!(status.code(), Some(0), "{log:#?}");
        assert!(log.iter().any(|line| line.ends_with("] ended")), "{log:#?}");
        let server = home.start();
        assert_eq!(server.status(&token), "Finished");
        assert!(["Queued", "Processing", "Finished"].contains(&server.status(&waiting).as_str()));
    }
}

#[test]
fn stop_interrupts_what_takes_too_long() {
    let home = Home::new(&draining(1));
    let server = home.start();
    let port = service_port(&server, &Who::here());
    let token = server.submit("&Sleep=600");
    server.wait_for_status(&token, "Processing");
    let began = Instant::now();
    body(port, "/action=Stop");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log:#?}");
    assert!(
        began.elapsed() >= Duration::from_millis(900),
        "it had a second: {:?}",
        began.elapsed()
    );
    let server = home.start();
    server.wait_for_status(&token, "Processing");
}

/// A stop and a SIGTERM are two wishes, as two signals are.
#[test]
fn a_signal_after_a_stop_ends_all_patience() {
    let home = Home::new(&draining(600));
    let server = home.start();
    let port = service_port(&server, &Who::here());
    let token = server.submit("&Sleep=600");
    server.wait_for_status(&token, "Processing");
    body(port, "/action=Stop");
    server.wait_for_draining();
    server.signal_again();
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log:#?}");
}

/// Who may end the server, and who may only look, in each way to say who one is.
#[test]
fn stop_needs_service_control() {
    let (control, status) = (Key::make(), Key::make());
    let roles = format!(
        "[AuthorizationRoles]\n0=Control\n1=Status\n2=Stop\n3=Everything\n[Control]\nStandardRoles=ServiceControl\nKeys={}\n\
         [Status]\nStandardRoles=ServiceStatus,Query\nKeys={}\n[Stop]\nServiceActions=Stop\nClients=192.0.2.7\n\
         [Everything]\nStandardRoles=Admin,Query,Index\nClients=*\n",
        control.hash, status.hash
    );
    let home = Home::new(&format!("{OPEN}{roles}"));
    let held = |who: &Who, port: SocketAddr, action: &str| {
        is_done(&ask_service(port, who, &format!("/action={action}")))
    };
    let start = || {
        let server = home.start();
        let port = service_port(&server, &Who::here().with(&status.text));
        (server, port)
    };
    let (server, port) = start();
    for who in
        [Who::here(), Who::here().with(&status.text), Who::here().with(WRONG), Who::at("192.0.2.8")]
    {
        assert!(!held(&who, port, "Stop"), "{who:?}");
        let reply = post(port, &who, "/", "action=Stop");
        assert_eq!(told(&reply.body_text(), "RESPONSE"), "ERROR", "{who:?}");
    }
    assert!(held(&Who::here().with(&status.text), port, "GetStatus"));
    assert!(held(&Who::here().with(&status.text), port, "GetStatusInfo"));
    for who in [Who::here(), Who::here().with(&control.text), Who::at("192.0.2.7")] {
        for action in ["GetStatus", "GetStatusInfo"] {
            assert!(!held(&who, port, action), "{who:?}: {action}");
        }
    }
    assert_eq!(server.ask("GetStatus").success().must("draining"), "false");
    end(server);
    for who in [Who::here().with(&control.text), Who::at("192.0.2.7")] {
        let (server, port) = start();
        assert!(held(&who, port, "Stop"), "{who:?}");
        assert_eq!(server.wait().0.code(), Some(0));
    }
}

/// A refusal there is a line of the log, too.
#[test]
fn a_refusal_is_a_line_of_the_log() {
    let home = Home::new(OPEN);
    let server = home.start();
    let port = service_port(&server, &Who::here());
    let text = ask_service(port, &Who::at("192.0.2.7"), "/action=Stop").body_text();
    assert_eq!(told(&text, "RESPONSE"), "ERROR", "{text}");
    server.wait_for_line(&["192.0.2.7"]);
    let log = end(server);
    assert_eq!(log.iter().filter(|line| line.contains("192.0.2.7")).count(), 1, "{log:#?}");
}

/// Only GET and POST do something, and not what a browser fetches before anybody has asked for it.
#[test]
fn other_methods_and_what_is_fetched_ahead_stop_nothing() {
    let home = Home::new(OPEN);
    let server = home.start();
    let port = service_port(&server, &Who::here());
    for method in ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"] {
        let mut stream = connect(port);
        let request = format!(
            "{method} /action=Stop HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("sent");
        super::super::server::rest_of(&mut stream);
    }
    for ahead in ["Sec-Purpose: prefetch", "Purpose: prefetch", "X-Moz: prefetch"] {
        let request = format!("GET /action=Stop HTTP/1.1\r\nHost: localhost\r\n{ahead}\r\n\r\n");
        send_to(port, request.as_bytes());
    }
    assert_eq!(body(port, "/action=GetStatus").trim(), RUNNING);
    assert_eq!(server.ask("GetStatus").success().must("draining"), "false");
}

/// The limits of the ACI port hold there as well.
#[cfg(target_os = "linux")]
#[test]
fn slow_and_large_requests_have_their_end() {
    let home = Home::new(
        &OPEN.replace("[Service]", "RequestTimeout=1\nMaxFileUploadSize=1000\n[Service]"),
    );
    let server = home.start();
    let port = service_port(&server, &Who::here());
    // A head that never ends, and a body that does not.
    for begun in [
        "GET /action=GetStatus HTTP/1.1\r\nHost: local",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\nact",
    ] {
        let mut stream = connect(port);
        stream.write_all(begun.as_bytes()).expect("sent");
        let began = Instant::now();
        super::super::server::rest_of(&mut stream);
        assert!(began.elapsed() < PATIENCE / 2, "{begun}: {:?}", began.elapsed());
    }
    let large = format!("action=Stop&x={}", "x".repeat(2_000));
    assert!(!is_done(&post(port, &Who::here(), "/", &large)));
    // One that would be larger than any memory, as far as the server takes it.
    let mut stream = connect(port);
    let head =
        "POST /action=GetStatus HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("sent");
    let piece = [b"10000\r\n".as_slice(), &[b'x'; 65536], b"\r\n"].concat();
    let began = Instant::now();
    while stream.write_all(&piece).is_ok() {
        assert!(began.elapsed() < PATIENCE, "it takes whatever comes");
    }
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it runs");
    let peak = between(&status, "VmHWM:", "kB")
        .expect("its peak")
        .trim()
        .parse::<u64>()
        .expect("kilobytes");
    assert!(peak < 100_000, "it took {peak} KB");
    assert_eq!(body(port, "/action=GetStatus").trim(), RUNNING);
}
