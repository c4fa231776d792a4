//! What is too large, too short or broken off gets its error, and everybody else is served meanwhile.

use std::net::Shutdown;

use super::*;
use crate::server::rest_of;

const SMALL_BODIES: &str =
    "[Server]\nMaxFileUploadSize=1000\n[AsyncActions]\n0=Process\n[Process]\nType=Echo\n";

/// A target of exactly this many bytes.
fn target(length: usize) -> String {
    let start = "/action=Process&Synchronous=true&n=";
    format!("{start}{}", "x".repeat(length - start.len()))
}

/// Somebody else is answered.
fn others_are_served(client: Client) {
    assert!(client.get("/a=getpid").has("responsedata/autn:pid"));
}

#[test]
fn a_target_may_have_max_input_string_bytes_and_no_more() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    assert_eq!(client.get(&target(64_000)).text("response"), "SUCCESS");
    for length in [64_001, 64_900, 65_000, 65_534, 65_535, 66_000, 131_072, 200_000, 1_000_000] {
        let mut stream = server.connect();
        let fault = fault(&aci(&exchange(&mut stream, &get(&target(length)))));
        assert_eq!((fault.number, fault.code.as_str()), (505, "ERRORREQUESTTOOLARGE"), "{length}");
        // Of the line with the method and the version, or of the target.
        let (size, allowed) =
            if length + 15 > 65_000 { (length + 15, 65_000) } else { (length, 64_000) };
        let said = format!("It is {size}, at most {allowed} ");
        assert!(fault.description.contains(&said), "{length}: {fault:?}");
        others_are_served(client);
    }
}

#[test]
fn a_target_without_end_is_answered_and_others_are_served() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    let mut stream = server.connect();
    stream.write_all(b"GET /action=Process&n=").unwrap();
    stream.write_all(&[b'x'; 3 << 20]).unwrap();
    let fault = fault(&aci(&Reply::read(&mut stream)));
    assert_eq!(fault.number, 505);
    assert!(fault.description.contains("the request line. It is 1"), "{fault:?}");
    assert_eq!(rest_of(&mut stream), "");
    others_are_served(client);
    server.nothing_was_queued("Process");
}

#[test]
fn a_small_max_input_string_is_a_limit_too() {
    let home = Home::new(
        "[Server]\nMaxInputString=100\n[AsyncActions]\n0=Process\n[Process]\nType=Echo\n",
    );
    let server = home.start();
    let client = Client::of(&server);
    assert_eq!(client.get(&target(100)).text("response"), "SUCCESS");
    let fault = fault(&client.get(&target(101)));
    assert!(fault.description.contains("MaxInputString"), "{fault:?}");
    assert!(fault.description.contains("It is 101, at most 100 is allowed"), "{fault:?}");
}

fn with_length(body: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

fn in_chunks(body: &str, size: usize) -> Vec<u8> {
    let mut out =
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for piece in body.as_bytes().chunks(size) {
        out.extend(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend([piece, b"\r\n"].concat());
    }
    out.extend(b"0\r\n\r\n");
    out
}

#[test]
fn a_body_may_have_max_file_upload_size_bytes_and_no_more() {
    let home = Home::new(SMALL_BODIES);
    let server = home.start();
    let client = Client::of(&server);
    let body = |length: usize| target(length + 1)[1..].to_owned();
    for write in [with_length as fn(&str) -> _, |body| in_chunks(body, 300)] {
        assert_eq!(aci(&client.send(&write(&body(1_000)))).text("response"), "SUCCESS");
        for length in [1_001, 5_000, 5_000_000] {
            let fault = fault(&aci(&client.send(&write(&body(length)))));
            assert_eq!((fault.number, fault.code.as_str()), (505, "ERRORREQUESTTOOLARGE"));
            let says = format!("It is {length}, at most 1000 is allowed");
            assert!(fault.description.contains(&says), "{fault:?}");
            others_are_served(client);
        }
    }
    server.nothing_was_queued("Process");
}

#[test]
fn an_oversized_body_answers_in_the_form_of_its_target() {
    let home = Home::new(SMALL_BODIES);
    let server = home.start();
    let body = "x".repeat(2_000);
    let request = format!(
        "POST /action=Process&ResponseFormat=simplejson HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000\r\n\r\n{body}"
    );
    let reply = Client::of(&server).send(request.as_bytes());
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let reply: serde_json::Value = serde_json::from_str(&reply.body_text()).unwrap();
    assert_eq!(reply["autnresponse"]["responsedata"]["error"]["errorid"], "ACTIONDPROCESS505");
}

/// Requests that end too early; the client then only listens.
#[test]
fn what_breaks_off_is_never_performed() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    for (request, is_told) in [
        (
            "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n20\r\naction=Process&n=1",
            true,
        ),
        (
            "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n10\r\naction=Process&n\r\n",
            true,
        ),
        (
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\naction=Process&n=1",
            true,
        ),
        (
            "POST /action=Process HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nn=1",
            true,
        ),
        (
            "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\naction=Process\r\n0\r\n\r\n",
            true,
        ),
        ("POST /action=Process HTTP/1.1\r\nHost: localhost\r\nContent-Le", false),
        ("GET /action=Process HTTP/1.1\r\nHost: localhost\r\n", false),
        ("GET /action=Process", false),
    ] {
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        if is_told {
            let fault = fault(&aci(&Reply::read(&mut stream)));
            assert_eq!(
                (fault.number, fault.code.as_str()),
                (502, "ERRORPARAMINVALID"),
                "{request}"
            );
            assert!(fault.description.contains("the body broke off"), "{request}: {fault:?}");
        }
        assert_eq!(rest_of(&mut stream), "", "{request}");
        others_are_served(client);
    }
    server.nothing_was_queued("Process");
}

/// What HTTP parsers answer with a bare status: the client reads why, and the connection ends.
#[test]
fn what_is_no_http_gets_an_error_and_a_hang_up() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    let every_byte: Vec<u8> = (0..=255).collect();
    let head = |headers: &str| {
        format!("POST /action=Process HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
    };
    let many = "a: b\r\n".repeat(200);
    let long = format!("a: {}\r\n", "b".repeat(300_000));
    let cases: [(&[u8], u16, &str); 16] = [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 502, "HTTP/1.0 or HTTP/1.1"),
        (b"hello\r\n\r\n", 502, "HTTP/1.0 or HTTP/1.1"),
        (&every_byte, 502, "HTTP/1.0 or HTTP/1.1"),
        (&vec![b'A'; 300_000], 502, "HTTP/1.0 or HTTP/1.1"),
        (b"GET /action=Process HTTP/9.9\r\n\r\n", 502, "HTTP/1.0 or HTTP/1.1"),
        (b"GET http://[x/action=Process HTTP/1.1\r\nHost: localhost\r\n\r\n", 502, "address"),
        (b"GET /action=Process HTTP/1.1\r\n\r\n", 502, "Host"),
        (&head("no colon\r\n").into_bytes(), 502, "no colon"),
        (&head("a: b\0\r\n").into_bytes(), 502, "control character"),
        (&head("a: b\nContent-Length: 40\r\n").into_bytes(), 502, "line feed alone"),
        (&head("Content-Length: x\r\n").into_bytes(), 502, "digits only"),
        (&head("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n").into_bytes(), 502, "both"),
        (&head("Transfer-Encoding: gzip\r\n").into_bytes(), 502, "not just chunked"),
        (b"POST /action=Process HTTP/1.0\r\n\r\nn=1", 502, "without the header Content-Length"),
        (&head(&many).into_bytes(), 505, "It is 201, at most 96"),
        (&head(&long).into_bytes(), 505, "65000 bytes together"),
    ];
    for (sent, number, says) in cases {
        let shown = String::from_utf8_lossy(&sent[..sent.len().min(200)]);
        let mut stream = server.connect();
        stream.write_all(sent).unwrap();
        let reply = Reply::read(&mut stream);
        assert_eq!(reply.header("connection"), Some("close"), "{shown}: {}", reply.head);
        let fault = fault(&aci(&reply));
        assert_eq!(fault.number, number, "{shown}: {fault:?}");
        assert!(fault.description.contains(says), "{shown}: {fault:?}");
        // Where the target is known, the reply belongs to its action.
        let is_known = sent.starts_with(b"POST");
        assert_eq!(fault.id.contains("PROCESS"), is_known || says == "Host", "{shown}: {fault:?}");
        assert_eq!(rest_of(&mut stream), "", "{shown}");
        others_are_served(client);
    }
    server.nothing_was_queued("Process");
}

/// The request that a header with a bare line feed would have swallowed, or that would have been hidden in it.
#[test]
fn a_bare_line_feed_hides_no_request() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let hidden = get("/action=Process&n=hidden");
    let first = b"GET /action=GetPid&ResponseFormat=simplejson HTTP/1.1\r\nHost: localhost\r\nA: b\nContent-Length: 40\r\n\r\n";
    let mut stream = server.connect();
    stream.write_all(&[&get("/action=GetPid"), first.as_slice(), &hidden].concat()).unwrap();
    assert!(aci(&Reply::read(&mut stream)).has("responsedata/autn:pid"));
    // In the form that was asked for.
    let reply = Reply::read(&mut stream);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let error: serde_json::Value = serde_json::from_str(&reply.body_text()).unwrap();
    assert_eq!(error["autnresponse"]["responsedata"]["error"]["errorid"], "ACTIONDGETPID502");
    assert_eq!(rest_of(&mut stream), "");
    server.nothing_was_queued("Process");
}

/// Characters that clients send raw count as they were sent, also where the parser takes no target of that length.
#[test]
fn raw_characters_count_once() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    let raw =
        |bytes: usize| format!("/action=Process&Synchronous=true&n={}", "é".repeat(bytes / 2));
    for bytes in [21_600, 40_000, 63_900] {
        let reply = client.get(&raw(bytes));
        let sent = reply.all("responsedata/parameters/parameter");
        assert_eq!(sent[1].attribute("value"), "é".repeat(bytes / 2));
    }
    let fault_of = |bytes: usize| fault(&aci(&client.send(&get(&raw(bytes)))));
    let too_long = fault_of(64_500);
    assert_eq!(too_long.number, 505);
    assert!(too_long.description.contains("It is 64535, at most 64000"), "{too_long:?}");
    assert!(fault_of(70_000).description.contains("It is 70050, at most 65000"));
    // Each has its own, also where they come together with others.
    let mut stream = server.connect();
    let sizes = [24_000, 10, 30_000, 22_000];
    let all: Vec<u8> = sizes.iter().flat_map(|bytes| get(&raw(*bytes))).collect();
    stream.write_all(&all).unwrap();
    for bytes in sizes {
        let reply = aci(&Reply::read(&mut stream));
        let sent = reply.all("responsedata/parameters/parameter");
        assert_eq!(sent[1].attribute("value"), "é".repeat(bytes / 2), "{bytes}");
    }
    // Nobody has one that was not sent.
    assert_eq!(fault(&client.get("/%00kept=1")).number, 501);

    let home = Home::new(
        "[Server]\nMaxInputString=100\n[AsyncActions]\n0=Process\n[Process]\nType=Echo\n",
    );
    let server = home.start();
    let client = Client::of(&server);
    assert_eq!(client.get(&raw(64)).text("response"), "SUCCESS");
    let reply = client.get(&raw(66));
    assert!(fault(&reply).description.contains("It is 101, at most 100"), "{reply:?}");
}

#[test]
fn a_slow_client_holds_up_nobody() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    // Many connections in the middle of a request, and many that do not read.
    let stuck: Vec<_> = (0..100)
        .map(|n| {
            let mut stream = server.connect();
            let part: &[u8] = if n % 2 == 0 {
                b"GET /action=Pro"
            } else {
                b"POST /action=Process HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nn="
            };
            stream.write_all(part).unwrap();
            stream
        })
        .collect();
    others_are_served(client);
    // And the slow ones are answered once they are done.
    for (n, mut stream) in stuck.into_iter().enumerate() {
        let rest: &[u8] =
            if n % 2 == 0 { b"cess&n=1 HTTP/1.1\r\nHost: localhost\r\n\r\n" } else { b"12345678" };
        token(&aci(&exchange(&mut stream, rest)));
    }
}

#[test]
fn malformed_multipart_bodies() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let good = "--B\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\nv\r\n--B--\r\n";
    let bad = [
        ("multipart/form-data", good),
        ("multipart/form-data; boundary=", good),
        ("multipart/form-data; boundary=B", "rubbish"),
        ("multipart/form-data; boundary=B", "--B\r\n"),
        ("multipart/form-data; boundary=B", &good[..good.len() - 9]),
        ("multipart/form-data; boundary=other", good),
        ("multipart/form-data; boundary=B", "--B\r\n\r\nv\r\n--B--\r\n"),
        (
            "multipart/form-data; boundary=B",
            "--B\r\nContent-Disposition: form-data\r\n\r\nv\r\n--B--\r\n",
        ),
    ];
    for (kind, body) in bad {
        let request = format!(
            "POST /action=Process HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = server.connect();
        let fault = fault(&aci(&exchange(&mut stream, request.as_bytes())));
        assert_eq!(
            (fault.number, fault.code.as_str()),
            (502, "ERRORPARAMINVALID"),
            "{kind} {body}"
        );
        assert_eq!(fault.id, "ACTIONDPROCESS502");
        assert_eq!(fault.string, "The request cannot be read");
        assert!(fault.description.contains("multipart"), "{fault:?}");
        // The connection is still good.
        aci(&exchange(&mut stream, &get("/a=getpid")));
    }
    server.nothing_was_queued("Process");
}

#[test]
fn too_many_parameters() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    let body =
        |count: usize| format!("action=Process&Synchronous=true{}", "&n=1".repeat(count - 2));
    assert_eq!(aci(&client.send(&with_length(&body(10_000)))).text("response"), "SUCCESS");
    let fault = fault(&aci(&client.send(&with_length(&body(10_001)))));
    assert_eq!(fault.number, 505);
    assert!(fault.description.contains("at most 10000"), "{fault:?}");
}
