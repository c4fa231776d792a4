//! Web pages of others that send requests to a server on this machine through somebody's browser.

use super::super::server::Home;
use super::*;

fn get(target: &str, headers: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\n{headers}\r\n\r\n").into_bytes()
}

/// What pages can make a browser send, each without the server's consent.
const FOREIGN: [&str; 4] = [
    "Host: evil.example\r\nOrigin: http://evil.example\r\nSec-Fetch-Site: cross-site",
    "Host: localhost\r\nSec-Fetch-Site: cross-site",
    "Host: localhost\r\nOrigin: http://evil.example",
    "Host: evil.example",
];

#[test]
fn no_page_of_another_server_steers_this_one() {
    let home = Home::new(&config(""));
    let server = home.start();
    for headers in FOREIGN {
        for target in ["/action=Process&Name=x", "/?action=Process", "/", "/action=Help"] {
            let reply = server.send(&get(target, &format!("{headers}\r\nAccept: text/html")));
            let (number, description) = error_in(&reply.body_text());
            assert_eq!(number, "504", "{headers}");
            assert!(description.starts_with("Permission denied"), "{description}");
            assert!(reply.head.starts_with("HTTP/1.1 200"), "{}", reply.head);
            assert_eq!(reply.header("access-control-allow-origin"), None);
        }
        // A form of a page may send text/plain without being asked before.
        let lines = format!("{headers}\r\nContent-Type: text/plain\r\nContent-Length: 14");
        let request = format!("POST / HTTP/1.1\r\n{lines}\r\n\r\naction=Process");
        assert_eq!(error_in(&server.send(request.as_bytes()).body_text()).0, "504");
        let asking = format!("OPTIONS / HTTP/1.1\r\n{headers}\r\n\r\n");
        let reply = server.send(asking.as_bytes());
        assert_eq!(reply.header("access-control-allow-origin"), None, "{}", reply.head);
    }
    let json = server.send(&get("/action=Process&ResponseFormat=simplejson", FOREIGN[3]));
    assert!(json.body_text().contains(r#""errorcode":"ERRORPERMISSION""#), "{}", json.body_text());
    server.nothing_was_queued("Process");
    server.signal("TERM");
    let (_, log) = server.wait();
    let refused = log.iter().filter(|line| line.contains("was refused")).count();
    assert_eq!(refused, FOREIGN.len() * 5 + 1, "one line each: {log:#?}");
}

/// What a page has its browser fetch before anybody asks for it (speculation rules) looks as if a user had typed the address.
#[test]
fn what_is_fetched_ahead_does_nothing_and_is_asked_for_again() {
    let home = Home::new(&config("AllowedOrigins=*\nAllowedHosts=*"));
    let server = home.start();
    let ahead = "Host: localhost\r\nSec-Fetch-Site: none\r\nSec-Purpose: prefetch";
    for request in [
        get("/action=Process&Name=x", ahead),
        get("/action=Process&Name=x", "Host: localhost\r\nPurpose: prefetch"),
        get("/", &format!("{ahead}\r\nAccept: text/html")),
    ] {
        let reply = server.send(&request);
        assert!(reply.head.starts_with("HTTP/1.1 503"), "{}", reply.head);
        assert_eq!(error_in(&reply.body_text()).0, "504");
    }
    let typed = "Host: localhost\r\nSec-Fetch-Site: none\r\nAccept: text/html";
    assert!(server.send(&get("/", typed)).head.contains("text/html"));
    server.nothing_was_queued("Process");
}

/// An address that reaches a loopback socket and for which browsers send no `Sec-Fetch-Site`.
#[test]
fn a_loopback_address_in_the_form_of_ipv6_is_no_name_of_this_machine() {
    let home = Home::new(&config(""));
    let server = home.start();
    let reply = server.send(&get("/action=Process", "Host: [::ffff:127.0.0.1]:7000"));
    assert_eq!(error_in(&reply.body_text()).0, "504");
    server.nothing_was_queued("Process");
}

#[test]
fn listed_pages_and_names_are_served() {
    let home = Home::new(&config(
        "AllowedOrigins=https://tools.example\nAllowedHosts=actions.example.org",
    ));
    let server = home.start();
    let headers =
        "Host: actions.example.org\r\nOrigin: https://tools.example\r\nSec-Fetch-Site: cross-site";
    let reply = server.send(&get("/action=Process&Name=x", headers));
    assert!(reply.body_text().contains("<token>"), "{}", reply.body_text());
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://tools.example"));
    let asking = format!(
        "OPTIONS /action=Process HTTP/1.1\r\n{headers}\r\nAccess-Control-Request-Method: POST\r\n\r\n"
    );
    let reply = server.send(asking.as_bytes());
    assert!(reply.head.starts_with("HTTP/1.1 200"), "{}", reply.head);
    assert_eq!(reply.header("access-control-allow-methods"), Some("GET, POST"));
    let other =
        server.send(&get("/action=GetPid", "Host: localhost\r\nOrigin: https://other.example"));
    assert_eq!(error_in(&other.body_text()).0, "504");
}

/// Whoever listens on a network is reached by names that it can't know; pages of others are refused there, too.
#[test]
fn a_server_on_a_network_takes_any_name() {
    let home = Home::new(&config("BindAddress=0.0.0.0"));
    let mut server = home.start();
    server.address.set_ip([127, 0, 0, 1].into());
    let reply = server.send(&get("/action=GetPid", "Host: any.example"));
    assert!(reply.body_text().contains("<autn:pid>"), "{}", reply.body_text());
    let reply = server.send(&get("/action=GetPid", FOREIGN[2]));
    assert_eq!(error_in(&reply.body_text()).0, "504");
}

#[test]
fn replies_are_kept_by_nobody_and_taken_for_nothing_else() {
    let home = Home::new(&config(""));
    let server = home.start();
    let host = "Host: localhost";
    for request in [
        get("/action=GetPid", host),
        get("/action=Wobble", host),
        get("/action=Help", &format!("{host}\r\nAccept: text/html")),
        get("/action=QueueInfo&QueueName=Process&QueueAction=getStatus", host),
        format!("HEAD / HTTP/1.1\r\n{host}\r\nConnection: close\r\n\r\n").into_bytes(),
    ] {
        let reply = sending_and_head(&server, &request);
        assert!(reply.contains("\r\ncache-control: no-store\r\n"), "{reply}");
        assert!(reply.contains("\r\nx-content-type-options: nosniff\r\n"), "{reply}");
        let is_page = reply.contains("text/html");
        assert_eq!(reply.contains("\r\ncontent-security-policy: default-src 'none';"), is_page);
    }
}

/// The head of the reply, in lower case: one to HEAD has a length and no body.
fn sending_and_head(server: &Server, request: &[u8]) -> String {
    let mut stream = sending(server, request);
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}
