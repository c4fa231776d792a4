//! Roles, and requests that are wrong.

use super::super::calls::form;
use super::super::server::{Home, Server};
use super::{CONFIG, take_one};

#[test]
fn what_is_wrong_is_named_and_changes_nothing() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let echo = server.submit("&Sleep=20");
    let token = server.submit_to("Render", "");
    let work = take_one(&server, "Render");
    let of = |rest: &str| format!("Token={}&Attempt={}{rest}", work.token, work.attempt);
    let table = [
        ("".to_owned(), "ERRORPARAMMISSING", "WorkAction"),
        ("WorkAction=steal".to_owned(), "ERRORPARAMINVALID", "take, heartbeat"),
        ("WorkAction=take".to_owned(), "ERRORPARAMMISSING", "QueueName"),
        ("WorkAction=take&QueueName=Nowhere".to_owned(), "ERRORPARAMINVALID", "Render, Print"),
        ("WorkAction=take&QueueName=Process".to_owned(), "ERRORPARAMINVALID", "Type=Remote"),
        ("WorkAction=take&QueueName=Render,Nowhere".to_owned(), "ERRORPARAMINVALID", "Nowhere"),
        ("WorkAction=take&QueueName=Render&Max=0".to_owned(), "ERRORPARAMINVALID", "Max"),
        ("WorkAction=take&QueueName=Render&Max=101".to_owned(), "ERRORPARAMINVALID", "Max"),
        ("WorkAction=take&QueueName=Render&Wait=-1".to_owned(), "ERRORPARAMINVALID", "Wait"),
        (
            format!("WorkAction=finish&Token={echo}&Attempt=1"),
            "ERRORPARAMINVALID",
            "a token that take replied",
        ),
        ("WorkAction=finish&Token=x&Attempt=1".to_owned(), "ERRORPARAMINVALID", "Token"),
        (format!("WorkAction=finish&Token={}", work.token), "ERRORPARAMMISSING", "Attempt"),
        (
            format!("WorkAction=finish&Token={}&Attempt=2", work.token),
            "ERRORPARAMINVALID",
            "Attempt",
        ),
        (format!("WorkAction=heartbeat&{}", of("&Progress=101")), "ERRORPARAMINVALID", "Progress"),
        (format!("WorkAction=fail&{}", of("&Retry=perhaps")), "ERRORPARAMINVALID", "Retry"),
    ];
    for (parameters, code, named) in table {
        let answer = server.ask(&format!("QueueWork&{parameters}"));
        let (given, why) = answer.error();
        assert_eq!(given, code, "{parameters}: {why}");
        assert!(why.contains(named), "{parameters}: {why}");
    }
    assert_eq!(server.status_in("Render", &token), "Processing");
    let (code, why) = server.ask("Render&Synchronous=true").error();
    assert_eq!(code, "ERRORPARAMINVALID");
    assert!(why.contains("a worker elsewhere does this action"), "{why}");
    let lost = server.ask(&format!("QueueWork&WorkAction=finish&{}", of(""))).success();
    assert_eq!(lost.must("status"), "Finished");
    let late = server.ask(&format!("QueueWork&WorkAction=heartbeat&{}", of("")));
    assert!(late.must("errorid").starts_with("ACTIONDQUEUEWORK507"), "{}", late.0);
}

#[test]
fn without_such_a_queue_there_is_nothing_to_take() {
    let home = Home::new(super::super::server::CONFIG);
    let server = home.start();
    let (code, why) = server.ask("QueueWork&WorkAction=take&QueueName=Process").error();
    assert_eq!(code, "ERRORPARAMINVALID");
    assert!(why.contains("no queue of this server has Type=Remote"), "{why}");
}

#[test]
fn all_forms_of_a_request_say_the_same() {
    let home = Home::new(CONFIG);
    let server = home.start();
    for form_of in ["query", "form", "multipart", "json"] {
        let token = server.submit_to("Render", "");
        let work = take_one(&server, "Render");
        let finish = format!("WorkAction=finish&Token={}&Attempt={}", work.token, work.attempt);
        let result = "<a>b</a>";
        let reply = match form_of {
            "query" => server.get(&format!("/?action=QueueWork&{finish}&Result=%3Ca%3Eb%3C/a%3E")),
            "json" => server.get(&format!(
                "/action=QueueWork&{finish}&Result=%3Ca%3Eb%3C/a%3E&ResponseFormat=json"
            )),
            "form" => {
                let (token, attempt) = (work.token.as_str(), work.attempt.as_str());
                let request = form(
                    "QueueWork",
                    &[
                        ("WorkAction", "finish"),
                        ("Token", token),
                        ("Attempt", attempt),
                        ("Result", result),
                    ],
                );
                server.send(&request).body_text()
            }
            _ => {
                let body = format!(
                    "--B\r\nContent-Disposition: form-data; name=\"Result\"; filename=\"r.xml\"\r\nContent-Type: text/xml\r\n\r\n{result}\r\n--B--\r\n"
                );
                let request = format!(
                    "POST /action=QueueWork&{finish} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                server.send(request.as_bytes()).body_text()
            }
        };
        assert!(reply.contains("SUCCESS"), "{form_of}: {reply}");
        assert_eq!(server.about("Render", "getStatus", &token).must("a"), "b", "{form_of}");
    }
}

fn refused(server: &Server, action: &str) -> bool {
    let answer = server.ask(action);
    answer.value("errorcode").as_deref() == Some("ERRORPERMISSION")
}

#[test]
fn a_role_may_be_for_single_words_and_queues() {
    let roles = "
[AuthorizationRoles]
0=Everybody
1=Renderers
2=Nobody
[Nobody]
StandardRoles=Query
Clients=
[Everybody]
StandardRoles=Admin
Actions=Render,Print,QueueInfo
Clients=*
[Renderers]
Actions=QueueWork.take,QueueWork.finish
Queues=Render
Clients=*
";
    let home = Home::new(&format!("{CONFIG}{roles}"));
    let server = home.start();
    server.submit_to("Render", "");
    let work = take_one(&server, "Render");
    for forbidden in ["Print", "Render,Print", "Print,Render", "Nowhere", ""] {
        let take = format!("QueueWork&WorkAction=take&QueueName={forbidden}");
        assert!(refused(&server, &take), "{forbidden}");
    }
    let of = format!("Token={}&Attempt=1", work.token);
    for forbidden in ["heartbeat", "fail", "release"] {
        assert!(refused(&server, &format!("QueueWork&WorkAction={forbidden}&{of}")), "{forbidden}");
        let named = format!("QueueWork&WorkAction={forbidden}&QueueName=Render&{of}");
        assert!(refused(&server, &named), "{forbidden}");
    }
    let print = server.submit_to("Print", "");
    let other = format!("QueueWork&WorkAction=finish&QueueName=Render&Token={print}&Attempt=1");
    assert!(refused(&server, &other), "the token says which queue it is");
    work.must(&server, "finish", &[]);
}
