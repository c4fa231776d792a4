//! What a refusal looks like, what `ShowPermissions` and `GetVersion` tell to whom, and who is at which address.

use super::*;

/// `Process` for whoever has the key, everything for this machine, Query for one network.
fn config(key: &Key) -> String {
    format!(
        "
[Server]
{PROXY}
[AuthorizationRoles]
0=Administrators
1=Viewers
2=Submitters
[Administrators]
StandardRoles=*
Clients=localhost
[Viewers]
StandardRoles=Query,ServiceStatus
Clients=192.0.2.0/24
[Submitters]
Actions=Process,QueueInfo.getStatus,ShowPermissions
Keys={}
[AsyncActions]
0=Process
[Process]
Type=Echo
",
        key.hash
    )
}

const STRANGER: &str = "198.51.100.4";

#[test]
fn a_refusal_is_an_aci_error_in_xml_and_json() {
    let home = Home::new(&config(&Key::make()));
    let server = home.start();
    let stranger = Who::at(STRANGER);
    let reply = send_to(server.address, &stranger.get("/action=Process&Name=x"));
    assert!(reply.head.starts_with("HTTP/1.1 200 "), "{}", reply.head);
    assert_eq!(reply.header("content-type"), Some("text/xml"));
    assert_eq!(reply.header("www-authenticate"), None);
    let answer = Answer(reply.body_text());
    assert_eq!(answer.must("action"), "PROCESS");
    assert_eq!(answer.must("errorcode"), "ERRORPERMISSION");
    assert_eq!(answer.must("errorid"), "ACTIONDPROCESS504");
    assert_eq!(answer.must("rawerrorid"), "0x1F8");
    assert_eq!(answer.must("errorstring"), "Permission denied");

    let target = "/action=QueueInfo&QueueName=Process&QueueAction=pause&ResponseFormat=simplejson";
    let reply = send_to(server.address, &stranger.get(target));
    assert!(reply.head.starts_with("HTTP/1.1 200 "), "{}", reply.head);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let json: serde_json::Value = serde_json::from_str(&reply.body_text()).expect("JSON");
    let error = &json["autnresponse"]["responsedata"]["error"];
    let error = if error.is_array() { &error[0] } else { error };
    assert_eq!(error["errorcode"], "ERRORPERMISSION", "{json}");
    assert_eq!(error["errorid"], "ACTIONDQUEUEINFO504", "{json}");
    server.nothing_was_queued("Process");
    assert_eq!(server.info("Process", "queueStatus", "").must("paused"), "false");
}

/// One line each, that says who.
#[test]
fn each_refused_request_is_one_line_of_the_log() {
    let home = Home::new(&config(&Key::make()));
    let server = home.start();
    let stranger = Who::at(STRANGER);
    let asked = ["Process&Name=x", "GetStatus", "QueueInfo&QueueName=Process&QueueAction=pause"];
    for action in asked {
        stranger.may_not(&server, action);
    }
    Who::at("192.0.2.7").may(&server, "GetPid");
    let log = end(server);
    let lines: Vec<_> = log.iter().filter(|line| line.contains(STRANGER)).collect();
    assert_eq!(lines.len(), asked.len(), "{log:#?}");
    assert!(
        !log.iter().any(|line| line.contains("192.0.2.7")),
        "what is done is no line: {log:#?}"
    );
}

/// Whoever sends a line break in what it asks for makes no line of its own in the log.
#[test]
fn a_refused_request_makes_no_lines_of_its_own() {
    let home = Home::new(&config(&Key::make()));
    let server = home.start();
    Who::at(STRANGER).may_not(&server, "Process%0A[2026]%20forged&ActionID=a%0D%0Aforged");
    Who::at(STRANGER).may_not(&server, "GetStatus&ActionID=a%0D%0Aforged");
    let log = end(server);
    assert!(
        !log.iter().any(|line| line.starts_with("forged") || line.starts_with("[2026] f")),
        "{log:#?}"
    );
    assert_eq!(log.iter().filter(|line| line.contains(STRANGER)).count(), 2, "{log:#?}");
}

/// An action that there is none of is told to nobody who may not even look.
#[test]
fn who_has_no_role_gets_no_further_than_the_refusal() {
    let home = Home::new(&config(&Key::make()));
    let server = home.start();
    let stranger = Who::at(STRANGER);
    // A bad value and a missing one: what the request lacks is not told before who may ask is known.
    stranger.may_not(&server, "Process&Priority=high");
    stranger.may_not(&server, "GetRequestLog&Tail=x");
    stranger.may_not(&server, "QueueInfo&QueueName=Process&QueueAction=cancel");
}

/// The number of actions that a command has reached tells what its filters compared.
#[test]
fn a_filter_of_a_command_to_many_needs_what_would_show_it() {
    let keys = [Key::make(), Key::make(), Key::make()];
    let commands = "QueueInfo.cancel,QueueInfo.stop,QueueInfo.delete";
    let home = Home::new(&format!(
        "[AuthorizationRoles]\n0=Blind\n1=Lists\n2=Sees\n3=All\n[All]\nStandardRoles=*\nClients=192.0.2.1\n\
         [Blind]\nActions={commands}\nKeys={}\n\
         [Lists]\nActions={commands},QueueInfo.getStatus\nKeys={}\n\
         [Sees]\nActions=Process,{commands},QueueInfo.getStatus,QueueInfo.getActionParameters\nKeys={}\n\
         [AsyncActions]\n0=Process\n[Process]\nType=Echo\n",
        keys[0].hash, keys[1].hash, keys[2].hash
    ));
    let server = home.start();
    let [blind, lists, sees] = keys.map(|key| Who::here().with(&key.text));
    for (command, state) in [("cancel", "&All=true"), ("stop", "&All=true"), ("delete", "")] {
        let about =
            format!("QueueInfo&QueueName=Process&QueueAction={command}{state}&State=finished");
        blind.may(&server, &about);
        for (filter, by_list) in [
            ("Text=a", true),
            ("ActionID=a", true),
            ("Parameter.Password=a", false),
            ("PARAMETER.Password=", false),
        ] {
            let ask = format!("{about}&{filter}");
            blind.may_not(&server, &ask);
            match by_list {
                true => drop(lists.may(&server, &ask)),
                false => lists.may_not(&server, &ask),
            }
            if !filter.ends_with('=') {
                sees.may(&server, &ask);
            }
        }
    }
    // With a token, it is the name of the request.
    let token = sees.may(&server, "Process&Sleep=600").must("token");
    blind.may(&server, &format!("QueueInfo&QueueAction=stop&Token={token}&ActionID=a"));
    blind.may(&server, &format!("QueueInfo&QueueAction=stop&Tokens={token}&ActionID=a"));
}

#[test]
fn show_permissions_tells_what_the_caller_may() {
    let key = Key::make();
    let home = Home::new(&config(&key));
    let server = home.start();
    let shown = |who: &Who, rest: &str| {
        let answer = who.may(&server, &format!("ShowPermissions{rest}"));
        let is = |name: &str| answer.must(name) == "true";
        (answer.must("ip"), is("queryclient"), is("adminclient"))
    };
    let here = Who::here();
    let viewer = Who::at("192.0.2.7");
    assert_eq!(shown(&here, ""), ("127.0.0.1".to_owned(), true, true));
    assert_eq!(shown(&viewer, ""), ("192.0.2.7".to_owned(), true, false));
    let submitter = Who::at(STRANGER).with(&key.text);
    assert_eq!(shown(&submitter, ""), (STRANGER.to_owned(), false, false));
    // Roles add up.
    assert!(shown(&viewer.clone().with(&key.text), "").1);
    Who::at(STRANGER).may_not(&server, "ShowPermissions");
    Who::at(STRANGER).with(WRONG).may_not(&server, "ShowPermissions");

    // Of other addresses, to administrators.
    for (address, query, admin) in
        [("192.0.2.7", true, false), (STRANGER, false, false), ("127.0.0.1", true, true)]
    {
        let expected = (address.to_owned(), query, admin);
        assert_eq!(shown(&here, &format!("&IP={address}")), expected);
    }
    // What the caller's own key allows says nothing of another address.
    let with_key = here.with(&key.text);
    assert_eq!(shown(&with_key, &format!("&IP={STRANGER}")), (STRANGER.to_owned(), false, false));
    // Others learn nothing of addresses but their own, and no pattern of any role.
    for address in ["127.0.0.1", STRANGER] {
        let reply =
            send_to(server.address, &viewer.get(&format!("/action=ShowPermissions&IP={address}")));
        if !is_refused(&reply) {
            assert_eq!(Answer(reply.body_text()).must("ip"), "192.0.2.7");
        }
    }
    for who in [&viewer, &submitter] {
        let text = who.may(&server, "ShowPermissions").0;
        assert!(!text.contains("192.0.2.0"), "{text}");
    }
}

/// The roles of the service port too, wherever `ShowPermissions` names them.
#[test]
fn show_permissions_tells_the_truth_about_every_standard_role() {
    let roles = [
        ("queryclient", "Query"),
        ("adminclient", "Admin"),
        ("indexclient", "Index"),
        ("servicestatusclient", "ServiceStatus"),
        ("servicecontrolclient", "ServiceControl"),
    ];
    for (_, role) in roles {
        let home = Home::new(&format!(
            "
[Server]
{PROXY}
[AuthorizationRoles]
0=One
1=None
2=Any
[One]
StandardRoles={role}
Clients=192.0.2.7
[None]
StandardRoles=*
Clients=
[Any]
Actions=ShowPermissions
Clients=*
"
        ));
        let server = home.start();
        let one = Who::at("192.0.2.7").may(&server, "ShowPermissions");
        let other = Who::at(STRANGER).may(&server, "ShowPermissions");
        for (element, name) in roles {
            if let Some(told) = one.value(element) {
                assert_eq!(told, (role == name).to_string(), "{element} with {role}: {}", one.0);
                assert_eq!(other.must(element), "false", "{}", other.0);
            }
        }
        for element in ["queryclient", "adminclient"] {
            one.must(element);
        }
    }
}

#[test]
fn paths_of_the_disk_are_told_to_administrators_alone() {
    let home = Home::new(&config(&Key::make()));
    let server = home.start();
    let path = home.path().canonicalize().expect("its path").display().to_string();
    let version = Who::here().may(&server, "GetVersion");
    assert_eq!(version.must("directory"), path);
    assert!(version.must("configpath").ends_with("test.cfg"));
    let viewer = Who::at("192.0.2.7");
    for action in ["GetVersion", "GetVersion&ResponseFormat=simplejson", "GetChildren", "Help"] {
        let reply = send_to(server.address, &viewer.get(&format!("/action={action}")));
        assert!(!is_refused(&reply), "{action}");
        let text = reply.body_text();
        assert!(!text.contains(&path) && !text.contains("test.cfg"), "{action}: {text}");
    }
    // What else is there stays, so that clients find it.
    let version = viewer.may(&server, "GetVersion");
    for element in ["version", "productname", "producttypecsv", "build"] {
        assert!(!version.must(element).is_empty());
    }
}

/// Of addresses that a proxy adds, the last counts that is no proxy's; all before it says who sends them.
#[test]
fn only_a_trusted_proxy_says_for_whom_it_asks() {
    let roles = "
[AuthorizationRoles]
0=One
1=None
[One]
StandardRoles=Query
Clients=192.0.2.7
[None]
StandardRoles=*
Clients=
";
    let home = Home::new(&format!("[Server]\n{PROXY}{roles}"));
    let server = home.start();
    Who::at("192.0.2.7").may(&server, "GetPid");
    Who::at("198.51.100.4, 192.0.2.7").may(&server, "GetPid");
    for addresses in ["192.0.2.7, 198.51.100.4", "198.51.100.4", "192.0.2.7, x", "", "192.0.2.77"] {
        Who::at(addresses).may_not(&server, "GetPid");
    }
    // A proxy that adds a line of its own, as some do, instead of adding to what is there.
    let twice = "GET /action=GetPid HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.7\r\n\
                 X-Forwarded-For: 198.51.100.4\r\n\r\n";
    assert!(is_refused(&send_to(server.address, twice.as_bytes())));
    // The form of IPv6 in which an address of IPv4 may come is the same address.
    Who::at("::ffff:192.0.2.7").may(&server, "GetPid");
    Who::here().may_not(&server, "GetPid");

    // Without the setting, the header helps nobody.
    let home = Home::new(roles);
    let server = home.start();
    for addresses in ["192.0.2.7", "127.0.0.1", "localhost"] {
        Who::at(addresses).may_not(&server, "GetPid");
    }
}

/// Everything that may stand in `Clients`, with an address that it is for and one that it is not.
#[test]
fn every_form_of_a_client() {
    for (pattern, has, has_not) in [
        ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
        ("192.0.2.0/28", "192.0.2.15", "192.0.2.16"),
        ("0.0.0.0/0", "192.0.2.7", ""),
        ("192.0.*.*", "192.0.77.8", "192.1.0.8"),
        ("*.*.*.*", "192.0.2.7", ""),
        ("*", "2001:db8::1", ""),
        ("2001:db8::7", "2001:DB8:0:0::7", "2001:db8::8"),
        ("2001:db8:1::/48", "2001:db8:1:ffff::1", "2001:db8:2::1"),
        ("::1", "::1", "2001:db8::1"),
        ("192.0.2.1, 198.51.100.0/24 ,203.0.113.9", "198.51.100.200", "203.0.113.1"),
    ] {
        let home = Home::new(&format!(
            "[Server]\n{PROXY}[AuthorizationRoles]\n0=One\n[One]\nStandardRoles=*\nClients={pattern}\n"
        ));
        let server = home.start();
        Who::at(has).may(&server, "GetPid");
        if !has_not.is_empty() {
            Who::at(has_not).may_not(&server, "GetPid");
        }
    }
    // `localhost` is this machine.
    let home = Home::new(&format!(
        "[Server]\n{PROXY}[AuthorizationRoles]\n0=One\n[One]\nStandardRoles=*\nClients=localhost\n"
    ));
    let server = home.start();
    Who::here().may(&server, "GetStatus");
    Who::at("::1").may(&server, "GetStatus");
    Who::at("192.0.2.7").may_not(&server, "GetStatus");
}

/// Names of sections, keys, roles, actions and queues are compared without regard to case, as everywhere else.
#[test]
fn a_role_is_read_in_any_case() {
    let home = Home::new(&format!(
        "[server]\n{PROXY}[authorizationroles]\n0=ONE\n1=Two\n[one]\nstandardroles=admin, QUERY\nclients=LOCALHOST\n\
         [TWO]\nACTIONS=process,queueinfo.GETSTATUS\nqueues=PROCESS\nclients=192.0.2.7\n\
         [AsyncActions]\n0=Process\n1=Other\n[Process]\nType=Echo\n[Other]\nType=Echo\n"
    ));
    let server = home.start();
    Who::here().may(&server, "GetStatus");
    let limited = Who::at("192.0.2.7");
    let token = limited.may(&server, "PROCESS&Name=x").must("token");
    limited
        .may(&server, &format!("queueinfo&queuename=process&queueaction=GetStatus&token={token}"));
    limited.may(&server, &format!("QueueInfo&QueueAction=getstatus&Token={token}"));
    limited.may_not(&server, "Other&Name=x");
    limited.may_not(&server, "QueueInfo&QueueName=OTHER&QueueAction=getStatus");
    limited.may_not(&server, "QueueInfo&QueueName=Process&QueueAction=PAUSE");
}

/// Of many tokens each names its queue, and the caller must be allowed in all of them.
#[test]
fn a_command_to_many_needs_the_role_in_each_queue() {
    let home = Home::new(&format!(
        "[Server]\n{PROXY}[AuthorizationRoles]\n0=One\n1=Two\n[One]\nStandardRoles=Admin,Query\nClients=localhost\n\
         [Two]\nActions=QueueInfo.cancel\nQueues=Process\nClients=192.0.2.7\n\
         [AsyncActions]\n0=Process\n1=Other\n[Process]\nType=Echo\n[Other]\nType=Echo\n"
    ));
    let server = home.start();
    let submit = |queue: &str| {
        server.info(queue, "pause", "").success();
        server.submit_to(queue, "")
    };
    let (own, other) = (submit("Process"), submit("Other"));
    let limited = Who::at("192.0.2.7");
    for tokens in [format!("{own},{other}"), format!("{other},{own}"), other.clone()] {
        limited.may_not(&server, &format!("QueueInfo&QueueAction=cancel&Tokens={tokens}"));
    }
    limited.may_not(&server, &format!("QueueInfo&QueueAction=stop&Tokens={own}"));
    limited.may_not(&server, "QueueInfo&QueueAction=cancel&QueueName=Other&All=true");
    let here = format!("QueueInfo&QueueAction=cancel&QueueName=Process&Tokens={other}");
    assert_eq!(limited.may(&server, &here).number("done"), 0);
    for (queue, token) in [("Process", &own), ("Other", &other)] {
        assert_eq!(server.status_in(queue, token), "Queued");
    }
    let own_alone = format!("QueueInfo&QueueAction=cancel&Tokens={own}");
    assert_eq!(limited.may(&server, &own_alone).number("done"), 1);
}

/// A running action that somebody may not stop runs on.
#[test]
fn what_runs_is_not_stopped_by_who_may_only_look() {
    let home =
        Home::new(&config(&Key::make()).replace("Query,ServiceStatus", "ServiceStatus").replace(
            "[Viewers]",
            "[Viewers]\nActions=QueueInfo.getStatus,QueueInfo.progress,QueueInfo.queueStatus",
        ));
    let server = home.start();
    let token = server.submit("&Sleep=600");
    server.wait_for_status(&token, "Processing");
    let viewer = Who::at("192.0.2.7");
    let commands = ["stop", "pause", "cancel", "changePriority&Priority=1", "duplicate", "retry"];
    for command in commands.into_iter().chain(["resume"]) {
        for of in [format!("&Token={token}"), String::new()] {
            viewer.may_not(
                &server,
                &format!("QueueInfo&QueueName=Process&QueueAction={command}{of}"),
            );
        }
    }
    viewer.may_not(
        &server,
        &format!("QueueInfo&QueueName=Process&QueueAction=getActionParameters&Token={token}"),
    );
    let status = viewer
        .may(&server, &format!("QueueInfo&QueueName=Process&QueueAction=getStatus&Token={token}"));
    assert_eq!((status.must("status"), status.must("priority")), ("Processing".into(), "0".into()));
    let queue = viewer.may(&server, "QueueInfo&QueueName=Process&QueueAction=queueStatus");
    assert_eq!((queue.must("paused"), queue.number("running")), ("false".into(), 1));
    assert_eq!(queue.number("pending"), 0, "a copy was made: {}", queue.0);
}

/// Without any proxy: the address is that of the connection, also where it comes in the form of IPv6.
#[cfg(target_os = "linux")]
#[test]
fn the_address_of_the_connection_counts() {
    let ask = |server: &Server, from: &str| {
        use socket2::{Domain, Socket, Type};
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let from: SocketAddr = format!("{from}:0").parse().expect("an address");
        socket.bind(&from.into()).expect("it is free");
        let to = SocketAddr::from(([127, 0, 0, 1], server.address.port()));
        socket.connect(&to.into()).expect("a connection");
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.write_all(&Who::here().get("/action=GetPid")).expect("sent");
        !is_refused(&Reply::read(&mut stream))
    };
    for bind in ["127.0.0.1", "0.0.0.0", "::"] {
        let home = Home::new(&format!(
            "[Server]\nBindAddress={bind}\n[AuthorizationRoles]\n0=One\n[One]\nStandardRoles=*\nClients=127.0.0.3\n"
        ));
        let server = home.start();
        assert!(ask(&server, "127.0.0.3"), "at {bind}");
        assert!(!ask(&server, "127.0.0.4"), "at {bind}");
        // This machine in its usual form, which no role names here.
        assert!(!ask(&server, "127.0.0.1"), "at {bind}");
    }
    let home = Home::new("[Server]\nBindAddress=::\nQueryClients=localhost\n");
    assert!(ask(&home.start(), "127.0.0.1"), "this machine is not known in the form of IPv6");
}
