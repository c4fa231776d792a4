//! Addresses that submissions name.

use super::super::calls::Answer;
use super::super::server::{Home, Server};
use super::receiver::{Does, Receiver};
use super::wait_for_events;

const QUEUE: &str = "[AsyncActions]\n0=Process\n[Process]\nType=Echo\n";

fn submit(server: &Server, url: &str, rest: &[(&str, &str)]) -> Answer {
    server.post("Process", &[&[("CallbackURL", url)], rest].concat())
}

#[test]
fn the_end_is_told_where_the_submission_wants_it() {
    let (mine, other) = (Receiver::new(&[]), Receiver::new(&[Does::Answers(404)]));
    let handler = "CallbackHandler=Back\n[Back]\nLibraryName=HttpHandler\nFormat=simplejson\n";
    let config = format!("{QUEUE}[Actions]\nAllowedCallbackHosts=127.0.0.0/8\n{handler}");
    let server = Home::new(&config);
    let server = server.start();
    let token = submit(&server, &mine.url(), &[("Name", "Ada")]).success().must("token");
    let came = mine.wait_for(1).remove(0);
    assert!(came.head.starts_with("POST /hook HTTP/1.1"), "{}", came.head);
    assert_eq!(came.header("actiond-token"), token);
    let body: serde_json::Value = serde_json::from_str(&came.body).expect("JSON");
    let action = &body["autnresponse"]["responsedata"]["actions"]["action"][0];
    assert_eq!((&action["status"], &action["token"]), (&"Finished".into(), &token.into()));
    // Its copy tells the same address, whatever becomes of the others.
    submit(&server, &other.url(), &[("Fail", "no luck")]).success();
    assert_eq!(other.wait_for(1).remove(0).header("actiond-event"), "OnError");
    let shown = wait_for_events(&server, "failed", 1);
    assert_eq!(shown.must("name"), "CallbackURL");
    assert!(shown.must("last_error").contains("status 404"), "{}", shown.0);
    server.submit("");
    assert_eq!(mine.came().len(), 1, "nobody asked for it");
}

#[test]
fn a_host_that_is_away_holds_up_its_own_callbacks_alone() {
    let live = Receiver::new(&[]);
    let away = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}/hook", listener.local_addr().expect("its address"))
    };
    let handler =
        "CallbackHandler=Back\n[Back]\nLibraryName=HttpHandler\nMaxInFlight=1\nRetries=3\n";
    let config = format!("{QUEUE}[Actions]\nAllowedCallbackHosts=127.0.0.1\n{handler}");
    let server = Home::new(&config);
    let server = server.start();
    for _ in 0..20 {
        submit(&server, &away, &[]).success();
    }
    wait_for_events(&server, "redelivered", 1);
    let token = submit(&server, &live.url(), &[]).success().must("token");
    assert_eq!(live.wait_for(1).remove(0).header("actiond-token"), token);
    let shown = wait_for_events(&server, "pending", 20);
    assert!(shown.number("redelivered") < 10 && shown.number("failed") == 0, "{}", shown.0);
    let line = server.wait_for_line(&["handler CallbackURL", "takes nothing for now"]);
    assert!(line.contains(&away.replace("/hook", "")), "{line}");
}

#[test]
fn no_other_address_may_be_named() {
    let receiver = Receiver::new(&[]);
    let port = receiver.address.port();
    let config = format!("{QUEUE}[Actions]\nAllowedCallbackHosts=localhost,*.example.org\n");
    let server = Home::new(&config).start();
    for (url, words) in [
        ("http://127.0.0.1.example.com/", "on one of the hosts that this server allows"),
        ("http://example.org/", "on one of the hosts"),
        ("http://10.0.0.1/", "on one of the hosts"),
        ("http://169.254.169.254/latest/meta-data", "on one of the hosts"),
        ("http://[::ffff:10.0.0.1]/", "on one of the hosts"),
        ("http://user@localhost/", "without user and password"),
        ("file:///etc/passwd", "http:// or https://"),
        ("localhost", "an address such as"),
        ("http://evil.test\\@localhost/", "backslashes"),
    ] {
        let (code, why) = submit(&server, url, &[]).error();
        assert_eq!(code, "ERRORPARAMINVALID");
        assert!(why.contains("CallbackURL") && why.contains(words), "{url}: {why}");
    }
    let (_, why) = submit(&server, &receiver.url(), &[("Synchronous", "true")]).error();
    assert!(why.contains("none with Synchronous"), "{why}");
    server.nothing_was_queued("Process");
    assert_eq!(receiver.came().len(), 0);
    submit(&server, &format!("http://localhost:{port}/"), &[]).success();
    assert_eq!(receiver.wait_for(1).len(), 1);
}

#[test]
fn without_the_key_no_address_may_be_named() {
    let server = Home::new(QUEUE).start();
    let (code, why) = submit(&server, "http://127.0.0.1:1/", &[]).error();
    assert_eq!(code, "ERRORPARAMINVALID");
    assert!(why.contains("[Actions] AllowedCallbackHosts"), "{why}");
    server.nothing_was_queued("Process");
}

#[test]
fn an_address_is_judged_again_when_it_is_sent() {
    let receiver = Receiver::new(&[]);
    let allowed = |hosts: &str| format!("{QUEUE}[Actions]\nAllowedCallbackHosts={hosts}\n");
    let home = Home::new(&allowed("127.0.0.1"));
    let server = home.start();
    server.info("Process", "pause", "").success();
    let token = submit(&server, &receiver.url(), &[]).success().must("token");
    server.kill();
    home.configure(&allowed("10.0.0.1"));
    let server = home.start();
    server.info("Process", "resume", "").success();
    server.wait_for_status(&token, "Finished");
    let shown = wait_for_events(&server, "failed", 1);
    assert!(shown.must("last_error").contains("none of [Actions] Allowed"), "{}", shown.0);
    assert_eq!(receiver.came().len(), 0);
}
