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
        assert!(fault.description.contains(&length.to_string()), "{length}: {fault:?}");
        let allowed = if length < 64_950 { "64000" } else { "65000" };
        assert!(fault.description.contains(&format!("at most {allowed} ")), "{length}: {fault:?}");
        others_are_served(client);
    }
}

#[test]
fn a_target_without_end_is_cut_off_and_others_are_served() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    let mut stream = server.connect();
    let piece = [b'x'; 65_536];
    let mut sent = 0;
    stream.write_all(b"GET /action=GetPid&n=").unwrap();
    // The server hangs up long before that.
    while sent < 64 << 20 && stream.write_all(&piece).is_ok() {
        sent += piece.len();
    }
    assert!(sent < 64 << 20, "it read {sent} bytes of a target");
    others_are_served(client);
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

#[test]
fn what_is_no_http_is_answered_by_a_hang_up() {
    let home = Home::new(ECHOES);
    let server = home.start();
    let client = Client::of(&server);
    let every_byte: Vec<u8> = (0..=255).collect();
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"hello\r\n\r\n",
        b"GET /action=Process HTTP/9.9\r\n\r\n",
        b"GET /action=Process HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /action=Process HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"POST /action=Process HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        &every_byte,
        &vec![b'A'; 300_000],
    ] {
        let mut stream = server.connect();
        // The server may have hung up before it was sent all of it.
        let _ = stream.write_all(garbage).and_then(|()| stream.shutdown(Shutdown::Write));
        let answer = rest_of(&mut stream);
        let is_large = garbage.len() > 100_000;
        let status = if is_large { "HTTP/1.1 431 " } else { "HTTP/1.1 400 " };
        let is_refused = answer.starts_with(status) && answer.ends_with("\r\n\r\n");
        // The reset of what was not read may overtake the answer.
        let is_reset = is_large && answer.is_empty();
        assert!(is_refused || is_reset, "{}: {answer}", String::from_utf8_lossy(garbage));
        others_are_served(client);
    }
    server.nothing_was_queued("Process");
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
