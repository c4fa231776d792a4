//! No reply holds a character that XML forbids, nor anything else that would make it unreadable,
//! whatever was sent. Every reply is parsed by [`aci`].

use super::*;

/// Where a client's text can come back: in parameters, errors, the name of the action, the log.
const PLACES: &[&str] = &[
    "/action=Process&Synchronous=true&n={}",
    "/action=Process&Synchronous=true&n{}n=v",
    "/action=Process&Synchronous=true&Fail={}",
    "/action=Process&Synchronous=true&Sleep=x{}",
    "/action={}",
    "/action=x{}x",
    "/action=QueueInfo&QueueAction=getStatus&QueueName={}",
    "/action=QueueInfo&QueueAction={}",
    "/action=QueueInfo&QueueAction=getStatus&QueueName=Process&Token={}",
    "/action=QueueInfo&QueueAction=getStatus&QueueName=Process&Finished-After={}",
    "/action=Help&HelpAction={}",
    "/action=ShowPermissions&IP={}",
    "/action=GetPid&ResponseFormat={}",
    "/action=GetPid&ActionID={}",
    "/{}",
    "/{}=v",
    "/?{}",
];

#[test]
fn every_byte_in_every_place() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let mut stream = server.connect();
    for place in PLACES {
        for byte in 0..=255_u8 {
            for sequence in
                [format!("%{byte:02X}"), format!("%C3%{byte:02x}"), format!("%{byte:02X}=&<>")]
            {
                let target = place.replace("{}", &sequence);
                let reply = aci(&exchange(&mut stream, &get(&target)));
                if reply.text("response") == "ERROR" {
                    fault(&reply);
                }
            }
        }
    }
    // What was sent is in the log, as it came.
    let log = aci(&exchange(&mut stream, &get("/action=GetRequestLog")));
    assert!(log.all("responsedata/logentry").len() >= 500);
}

#[test]
fn raw_bytes_in_the_target() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let mut stream = server.connect();
    for place in PLACES {
        for byte in (0..=255_u8).filter(|byte| !matches!(byte, b'\r' | b'\n')) {
            let (before, after) = place.split_once("{}").unwrap();
            let mut request = format!("GET {before}").into_bytes();
            request.push(byte);
            request.extend(format!("{after} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
            let reply = aci(&exchange(&mut stream, &request));
            if reply.text("response") == "ERROR" {
                fault(&reply);
            }
        }
    }
}

#[test]
fn every_byte_in_json_as_well() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let mut stream = server.connect();
    for format in ["json", "simplejson"] {
        for place in PLACES.iter().filter(|place| !place.contains("ResponseFormat")) {
            for byte in 0..=255_u8 {
                // In front, because the last part of a target may be nothing but the byte.
                let target = place.replace("{}", &format!("%{byte:02X}"));
                let target = format!("{target}&ResponseFormat={format}");
                let reply = exchange(&mut stream, &get(&target));
                let body = reply.body_text();
                if reply.header("content-type") == Some("text/xml") {
                    // The byte hid the form of the reply.
                    assert!(["/{}", "/?{}"].contains(place), "{target}: {body}");
                    fault(&aci(&reply));
                    continue;
                }
                assert_eq!(reply.header("content-type"), Some("application/json"), "{target}");
                let value: serde_json::Value = serde_json::from_str(&body).expect("JSON");
                assert!(value["autnresponse"]["responsedata"].is_object(), "{body}");
                assert!(!body.chars().any(|c| c < ' '), "{body}");
            }
        }
    }
}

#[test]
fn texts_of_a_result_and_of_an_error_are_readable_after_the_end() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    let nasty: String = (0..=255_u8).filter(|b| *b < 0x80).map(|b| format!("%{b:02X}")).collect();
    let reply = client.get(&format!("/action=Process&Wait=30&Fail={nasty}"));
    let wanted: String = (0..128_u8)
        .map(|b| match b {
            b'\t' | b'\n' | b'\r' | 32.. => char::from(b),
            _ => '\u{FFFD}',
        })
        .collect();
    assert_eq!(reply.text("responsedata/status"), "Error");
    assert_eq!(reply.text("responsedata/error"), wanted);
    assert_eq!(client.status("Process", &token(&reply)).text("error"), wanted);
    let reply = client.get(&format!("/action=Process&Wait=30&n{nasty}n={nasty}"));
    // The first `=` ends the name.
    let echoed = reply.all("responsedata/parameters/parameter");
    // What a client sent is not changed without a sign, unlike a text for people.
    let sent: String = (0..128_u8).map(char::from).collect();
    assert_eq!(
        shown_pair(|name| echoed[1].attribute_if(name), &echoed[1].text),
        (marked(&format!("n{sent}n")), marked(&sent))
    );
}
