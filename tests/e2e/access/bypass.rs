//! Requests that say something twice, or in another form than the plain one, so that who is asked whether it may be done
//! could look at one half and who does it at the other. Whatever becomes of each, nothing may have changed that the caller
//! may not change.

use super::*;

const CONFIG: &str = "
[Server]
TrustedProxies=127.0.0.1
[AuthorizationRoles]
0=Administrators
1=Limited
2=Viewers
[Administrators]
StandardRoles=*
Clients=localhost
[Limited]
StandardRoles=Query
Queues=Process
Clients=192.0.2.7
[Viewers]
Actions=QueueInfo.getStatus,GetPid
Clients=203.0.113.5
[AsyncActions]
0=Process
1=Other
[Process]
Type=Echo
[Other]
Type=Echo
";

/// The commands that change something.
const CHANGES: [&str; 7] =
    ["cancel", "stop", "pause", "resume", "changePriority", "duplicate", "retry"];

/// Both queues paused, with a waiting action each. Nothing may change in these queues.
fn with_waiting(untouched: &[&str], test: impl FnOnce(&Server, &str, &str)) {
    let home = Home::new(CONFIG);
    let server = home.start();
    let [own, other] = ["Process", "Other"].map(|queue| {
        server.info(queue, "pause", "").success();
        server.submit_to(queue, "&Name=waits&Priority=3")
    });
    let before = standing(&server, untouched);
    test(&server, &own, &other);
    assert_eq!(standing(&server, untouched), before, "something was changed");
}

fn post(who: &Who, target: &str, kind: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {target} HTTP/1.1\r\nHost: localhost\r\n{}Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        who.lines(),
        body.len()
    )
    .into_bytes()
}

const FORM: &str = "application/x-www-form-urlencoded";

/// Every form in which a request may come is held to the same roles.
#[test]
fn whatever_form_a_request_has() {
    with_waiting(&["Process", "Other"], |server, own, _| {
        let viewer = Who::at("203.0.113.5");
        let what = format!("QueueInfo&QueueName=Process&QueueAction=cancel&Token={own}");
        let multipart = [
            "action=QueueInfo",
            "QueueName=Process",
            "QueueAction=cancel",
            &format!("Token={own}"),
        ]
        .map(|pair| {
            let (name, value) = pair.split_once('=').expect("a pair");
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        })
        .concat()
            + "--b--\r\n";
        let lines = format!("action={}", what.replace('&', "\r\n"));
        for request in [
            viewer.get(&format!("/action={what}")),
            viewer.get(&format!("/?action={what}")),
            viewer.get(&format!("/?a={what}")),
            viewer.get(&format!("/ACTION={}", what.replace("QueueInfo", "qUEUEiNFO"))),
            viewer.get(&format!("/action={}", what.replace("cancel", "CANCEL"))),
            viewer.get(&format!("/action={}", what.replace("cancel", "%63ancel"))),
            viewer.get(&format!("/action={}", what.replace("QueueInfo", "Queue%49nfo"))),
            viewer.get(&format!("/action={}", what.replace("cancel", "cancel%20"))),
            viewer.get(&format!("/action={}", what.replace("QueueInfo&", "QueueInfo?"))),
            viewer.get(&format!("http://localhost/action={what}")),
            post(&viewer, "/", FORM, &format!("action={what}")),
            post(&viewer, "/", "text/plain", &format!("action={what}")),
            post(&viewer, "/", "text/plain", &lines),
            post(&viewer, "/action=QueueInfo", FORM, &what.replace("QueueInfo&", "")),
            post(&viewer, "/", "multipart/form-data; boundary=b", &multipart),
        ] {
            let reply = send_to(server.address, &request);
            assert!(
                is_refused(&reply),
                "{}: {}",
                String::from_utf8_lossy(&request),
                reply.body_text()
            );
        }
    });
}

#[test]
fn a_command_that_is_named_twice() {
    with_waiting(&["Process", "Other"], |server, own, other| {
        let viewer = Who::at("203.0.113.5");
        for command in CHANGES {
            for (queue, token) in [("Process", own), ("Other", other)] {
                let about = format!("QueueInfo&QueueName={queue}&Token={token}&Priority=9");
                for (first, second) in [("getStatus", command), (command, "getStatus")] {
                    let twice = format!("{about}&QueueAction={first}&QueueAction={second}");
                    viewer.ask(server, &twice);
                    viewer.ask(server, &twice.replace("&QueueAction", "&queueaction"));
                    viewer
                        .ask(server, &format!("{about}&QueueAction={first}&queueaction={second}"));
                    let body = format!("QueueAction={second}");
                    let target = format!("/action={about}&QueueAction={first}");
                    send_to(server.address, &post(&viewer, &target, FORM, &body));
                    viewer.ask(server, &format!("{about}&QueueAction={first},{second}"));
                }
                viewer.ask(server, &format!("GetPid&action={about}&QueueAction={command}"));
                viewer.ask(server, &format!("{about}&QueueAction={command}&action=GetPid"));
                viewer.ask(server, &format!("GetPid&a={about}&QueueAction={command}"));
            }
        }
        viewer.ask(server, "GetPid&action=Process&Name=x");
        viewer.ask(server, "Process&action=GetPid&a=Process");
    });
}

/// A role for one queue touches nothing in another, whichever of queue and token the request names first, or twice.
#[test]
fn a_queue_and_a_token_of_another() {
    with_waiting(&["Other"], |server, own, other| {
        let limited = Who::at("192.0.2.7");
        let mine = format!("QueueInfo&QueueName=Process&QueueAction=getStatus&Token={own}");
        limited.may(server, &mine);
        limited.may(server, &mine.replace("&QueueName=Process", ""));
        for command in CHANGES {
            let about = format!("QueueInfo&QueueAction={command}&Priority=9");
            limited.may_not(server, &format!("{about}&Token={other}"));
            for queues in [
                format!("&QueueName=Process&Token={other}"),
                format!("&Token={other}&QueueName=Process"),
                format!("&QueueName=&Token={other}"),
                format!("&QueueName=%20&Token={other}"),
                format!("&QueueName=Process&QueueName=Other&Token={other}"),
                format!("&QueueName=Other&QueueName=Process&Token={other}"),
                format!("&QueueName=Process&QueueName=&Token={other}"),
                format!("&Token={own}&Token={other}"),
                format!("&Token={own}&Token={other}&QueueName=Other"),
                format!("&Token={other}&Token=&QueueName=Process"),
                format!("&Token={own}&QueueName=Other"),
            ] {
                limited.ask(server, &format!("{about}{queues}"));
            }
        }
        // What can be read is limited, too.
        for command in ["getStatus", "getActionParameters", "progress", "queueStatus"] {
            let about = format!("QueueInfo&QueueAction={command}");
            for queues in
                [format!("&Token={other}"), "&QueueName=Other".into(), "&QueueName=oTHER".into()]
            {
                limited.may_not(server, &format!("{about}{queues}"));
            }
            let crossed = limited.ask(server, &format!("{about}&QueueName=Process&Token={other}"));
            assert!(!crossed.0.contains("waits"), "{}", crossed.0);
        }
        // There is no way around it by the queue's own action either.
        for rest in ["&Name=x", "&Sync=true", "&Synchronous=true", "&QueueName=Process", "&Wait=1"]
        {
            limited.may_not(server, &format!("Other{rest}"));
            limited.may_not(server, &format!("oTHER{rest}"));
        }
        limited.ask(server, "GetPid&action=Other");
        limited.ask(server, "Other&action=GetPid&a=Other");
    });
}

/// The same key again is a way to learn a token; who may not submit learns none.
#[test]
fn a_request_that_was_sent_before_is_told_to_nobody_without_the_role() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let token = server.submit("&Name=x&Idempotency-Key=once");
    let reply = send_to(
        server.address,
        &Who::at("203.0.113.5").get("/action=Process&Name=x&Idempotency-Key=once"),
    );
    assert!(is_refused(&reply));
    assert!(!reply.body_text().contains(&token));
}

/// On a connection that others used before, each request is judged by its own head.
#[test]
fn a_connection_has_no_memory() {
    let key = Key::make();
    let config = CONFIG.replace("Clients=localhost", &format!("Keys={}", key.hash));
    let home = Home::new(&config);
    let server = home.start();
    let mut talk = Talk::with(server.address);
    let here = Who::here();
    for _ in 0..3 {
        for (who, refused) in [
            (here.clone().with(&key.text), false),
            (here.clone(), true),
            (Who::at("203.0.113.5").with(&key.text), false),
            (Who::at("203.0.113.5"), true),
        ] {
            let reply = talk.say(&who.get("/action=GetStatus"));
            assert_eq!(is_refused(&reply), refused, "{who:?}: {}", reply.body_text());
        }
    }
    // Sent at once, before any is answered.
    let both =
        [here.clone().with(&key.text).get("/action=GetStatus"), here.get("/action=GetStatus")];
    let mut stream = BufReader::new(connect(server.address));
    stream.get_mut().write_all(&both.concat()).expect("sent");
    for refused in [false, true] {
        let reply = Reply::try_read(&mut stream).expect("a reply");
        assert_eq!(is_refused(&reply), refused, "{}", reply.body_text());
    }
}

/// At the service port the same: who may look does not end the server by saying two things at once.
#[test]
fn an_action_of_the_service_port_that_is_named_twice() {
    let roles = CONFIG
        .replace("[AuthorizationRoles]", "[Service]\nServicePort=0\n[AuthorizationRoles]")
        .replace(
            "Actions=QueueInfo.getStatus,GetPid",
            "StandardRoles=ServiceStatus\nServiceActions=GetStatusInfo\nActions=GetChildren",
        );
    let home = Home::new(&roles);
    let server = home.start();
    let viewer = Who::at("203.0.113.5");
    let port = service_port(&server, &viewer);
    assert!(is_done(&ask_service(port, &viewer, "/action=GetStatus")));
    for (first, second) in [("GetStatus", "Stop"), ("Stop", "GetStatus"), ("GetStatusInfo", "sToP")]
    {
        for target in [
            format!("/action={first}&action={second}"),
            format!("/?action={first}&action={second}"),
            format!("/action={first}&a={second}"),
            format!("/a={first}&action={second}"),
            format!("/?ACTION={first}&action={second}"),
            format!("/action={first}?action={second}"),
            format!("/{first}?action={second}"),
            format!("/{first}/action={second}"),
            format!("/action={first}%26action={second}"),
            format!("/action={second}%20"),
            "/action=%53top".to_owned(),
        ] {
            ask_service(port, &viewer, &target);
        }
        for (target, body) in [
            (format!("/action={first}"), format!("action={second}")),
            ("/".to_owned(), format!("action={first}&action={second}")),
            ("/".to_owned(), format!("action={first}\r\naction={second}")),
        ] {
            for kind in [FORM, "text/plain"] {
                send_to(port, &post(&viewer, &target, kind, &body));
            }
        }
        let parts = [first, second].map(|action| {
            format!("--b\r\nContent-Disposition: form-data; name=\"action\"\r\n\r\n{action}\r\n")
        });
        let body = parts.concat() + "--b--\r\n";
        send_to(port, &post(&viewer, "/", "multipart/form-data; boundary=b", &body));
    }
    assert!(is_done(&ask_service(port, &viewer, "/action=GetStatus")));
    assert_eq!(server.ask("GetStatus").success().must("draining"), "false");
    end(server);
}

/// A name that is nearly right is told only to whom it is no secret.
#[test]
fn a_queue_that_a_caller_may_not_see_is_not_named() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let limited = Who::at("192.0.2.7");
    for (target, told, untold) in [
        ("/action=Proces", "Is Process meant?", "Other"),
        ("/action=Othr", "was not recognised", "Other"),
        ("/action=QueueInfo&QueueAction=getStatus&QueueName=Othr", "Permission denied", "Other"),
        (
            "/action=QueueInfo&QueueAction=getStatus&QueueName=Proces",
            "Permission denied",
            "Process",
        ),
    ] {
        let reply = send_to(server.address, &limited.get(target)).body_text();
        assert!(reply.contains(told) && !reply.contains(untold), "{target}: {reply}");
    }
    // Who may see all queues is helped with all of them.
    let viewer = Who::at("203.0.113.5");
    let reply = send_to(server.address, &viewer.get("/action=Othr")).body_text();
    assert!(reply.contains("Is Other meant?"), "{reply}");
}
