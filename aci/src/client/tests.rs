//! The client against a server that says what it is told to: whatever is odd about replies and connections.

#[cfg(feature = "client-tls")]
mod https;
mod queues;
mod replies;
mod whole;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::{Client, Fault};
use crate::request::Pairs;

/// A request as the server got it.
struct Got {
    head: String,
    body: Vec<u8>,
}

impl Got {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Answers one request after another with these texts, each on a connection of its own; gives what was asked.
fn server<R: Into<Vec<u8>>>(
    replies: impl IntoIterator<Item = R>,
) -> (u16, thread::JoinHandle<Vec<Got>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let replies: Vec<Vec<u8>> = replies.into_iter().map(Into::into).collect();
    let served = thread::spawn(move || {
        let answer = |reply: Vec<u8>| {
            let mut reader = BufReader::new(listener.accept().unwrap().0);
            let got = read(&mut reader);
            // A client that has had enough is gone.
            let _ = reader.get_mut().write_all(&reply);
            got
        };
        replies.into_iter().map(answer).collect()
    });
    (port, served)
}

fn read(reader: &mut BufReader<TcpStream>) -> Got {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Got { head, body }
}

fn http(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn success(data: &str) -> String {
    http(
        "200 OK",
        &format!(
            "<?xml version='1.0' encoding='UTF-8' ?><autnresponse xmlns:autn='http://schemas.autonomy.com/aci/'>\
             <action>INGEST</action><response>SUCCESS</response><responsedata>{data}</responsedata></autnresponse>"
        ),
    )
}

fn refused(data: &str) -> String {
    http(
        "200 OK",
        &format!(
            "<autnresponse><action>INGEST</action><response>ERROR</response><responsedata>{data}</responsedata></autnresponse>"
        ),
    )
}

fn client(port: u16) -> Client {
    Client::builder("127.0.0.1", port).build().unwrap()
}

/// Submits, and gives what went wrong.
async fn fault(port: u16) -> Fault {
    let error = client(port).submit("Ingest", [("removes", "a")]).await.unwrap_err();
    assert_eq!(error.to_string(), format!("127.0.0.1:{port}: {}", error.fault));
    error.fault
}

#[tokio::test]
async fn parameters_are_posted_as_a_form() {
    let (port, served) = server([success("<token>MTI3</token>")]);
    let client = Client::builder("127.0.0.1", port).header("X-Key", "s3cret").build().unwrap();
    assert!(!format!("{client:?}").contains("s3cret"));
    let token = client.submit("Ingest", [("adds", "<adds a='ä&+ '/>")]).await.unwrap();
    assert_eq!(token, "MTI3");
    let got = served.join().unwrap().remove(0);
    assert_eq!(got.text(), "action=Ingest&adds=%3Cadds%20a%3D%27%C3%A4%26%2B%20%27%2F%3E");
    let head = got.head.to_lowercase();
    assert!(head.starts_with("post / http/1.1"), "{head}");
    assert!(head.contains("content-type: application/x-www-form-urlencoded\r\n"), "{head}");
    assert!(head.contains("x-key: s3cret\r\n"), "{head}");
}

#[tokio::test]
async fn bytes_are_posted_as_a_multipart_form() {
    let (port, served) = server([success("<token>MTI3</token>")]);
    let mut pairs = Pairs::from([("name", "ä")]);
    pairs.push("file", vec![0xFF, 0, b'\r', b'\n'].into());
    client(port).submit("Ingest", pairs).await.unwrap();
    let got = served.join().unwrap().remove(0);
    assert!(got.head.to_lowercase().contains("content-type: multipart/form-data; boundary="));
    let part = b"name=\"file\"\r\nContent-Type: application/octet-stream\r\n\r\n\xFF\0\r\n\r\n--";
    assert!(got.body.windows(part.len()).any(|window| window == part));
    assert!(got.body.starts_with(b"--actiond-aci-part-"));
}

#[tokio::test]
async fn refusals_and_failures_are_told_apart() {
    let error = "<autnresponse><response>ERROR</response><responsedata><error><errorstring>S</errorstring>\
                 <errordescription>The queue &lt;Ingest&gt; is full</errordescription></error></responsedata></autnresponse>";
    let full = "The queue &lt;Ingest&gt; is full";
    for (reply, is_refused, what) in [
        (http("200 OK", error), true, "The queue <Ingest> is full"),
        (http("200 OK", &error.replace(full, "")), true, "S"),
        (
            http("200 OK", &error.replace(full, "").replace('S', "")),
            true,
            "an error that says nothing",
        ),
        (success("<token/>"), false, "it answered without a token"),
        (success(""), false, "it answered without a token"),
        (http("200 OK", "hello"), false, "it did not answer as an ACI server: hello"),
        (http("200 OK", "<a></b>"), false, "it did not answer as an ACI server: <a></b>"),
        (http("200 OK", ""), false, "it did not answer as an ACI server: "),
        (
            success("<token>MTI3</token>").replace("200 OK", "403 No"),
            false,
            "it answered with HTTP status 403",
        ),
        (http("302 Found\r\nLocation: /", ""), false, "it answered with HTTP status 302"),
        (String::new(), false, "connection closed before message completed"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello".to_owned(),
            false,
            "end of file before message length reached",
        ),
        ("SSH-2.0-OpenSSH\r\n".to_owned(), false, "invalid HTTP version parsed"),
    ] {
        let (port, served) = server([reply.clone()]);
        let fault = fault(port).await;
        // The word would be one less without the letter.
        let reply_is_odd = reply.contains("<response>ERROR</response>") || !is_refused;
        assert_eq!(matches!(fault, Fault::Refused(_)), is_refused, "{reply}: {fault}");
        assert!(reply_is_odd && fault.to_string().contains(what), "{reply}: {fault}");
        served.join().unwrap();
    }
}

#[tokio::test]
async fn a_refusal_says_which_it_is() {
    for (id, raw, number) in [
        ("ACTIONDX503", "0x1F7", Some(503)),
        ("AXEQUERY502", "", Some(502)),
        ("7", "?", Some(7)),
        ("AXE", "", None),
        ("AXÉ", "", None),
        ("", "", None),
    ] {
        let error = format!(
            "<autnresponse><response>ERROR</response><responsedata><error><errorid>{id}</errorid><rawerrorid>{raw}</rawerrorid>\
             <errorstring>S</errorstring><errorcode>ERRORX</errorcode></error></responsedata></autnresponse>"
        );
        let (port, _served) = server([http("200 OK", &error)]);
        let Fault::Refused(refusal) = fault(port).await else { panic!("{error}") };
        assert_eq!((refusal.number, refusal.id.as_str()), (number, id));
        assert_eq!((refusal.code.as_str(), refusal.string.as_str()), ("ERRORX", "S"));
    }
}

#[tokio::test]
async fn a_time_out_says_how_long_was_waited() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let client =
        Client::builder("127.0.0.1", port).timeout(Duration::from_millis(20)).build().unwrap();
    let error = client.status("MTI3").await.unwrap_err();
    assert_eq!(error.fault, Fault::TimedOut(Duration::from_millis(20)));
    assert_eq!(error.fault.to_string(), "it did not answer to the end within 0.02 s");
    let ten = Fault::TimedOut(Duration::from_secs(10));
    assert_eq!(ten.to_string(), "it did not answer to the end within 10 s");

    // The same for a reply that has begun. The connection of the request above may come first, or may never have come.
    thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // Whoever has given up is not there any more. A reply before its request would be another error.
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel");
            kept.push(stream);
        }
    });
    let error = client.status("MTI3").await.unwrap_err();
    assert_eq!(error.fault, Fault::TimedOut(Duration::from_millis(20)));
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let Fault::NotConnected(why) = fault(port).await else { panic!("there is somebody") };
    assert!(why.contains("refused"), "{why}");
}

#[tokio::test]
async fn long_replies_are_not_read_to_the_end() {
    let long = format!("<token>{}</token>", "x".repeat(5_000));
    for reply in [
        success(&long),
        // Without a length, and without an end.
        success(&long).replace("Content-Length", "X-Length"),
    ] {
        let (port, _served) = server([reply]);
        let client = Client::builder("127.0.0.1", port).max_reply_bytes(1_000).build().unwrap();
        let error = client.submit("Ingest", Pairs::default()).await.unwrap_err();
        assert_eq!(error.fault, Fault::TooLong(1_000));
    }
}

/// Whoever drops a request ends it: the server sees its connection close.
#[tokio::test]
async fn a_request_that_is_dropped_is_over() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let closed = tokio::task::spawn_blocking(move || {
        let mut reader = BufReader::new(listener.accept().unwrap().0);
        reader.get_ref().set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        read(&mut reader);
        reader.read(&mut [0]).unwrap()
    });
    let client = client(port);
    tokio::select! {
        reply = client.send("GetPid", Pairs::default()) => panic!("{reply:?}"),
        () = tokio::time::sleep(Duration::from_millis(100)) => {}
    }
    assert_eq!(closed.await.unwrap(), 0);
}

#[test]
fn what_cannot_be_sent_makes_no_client() {
    for host in ["", "a b", "a/b", "u@h", "h?x", "[::1"] {
        let error = Client::builder(host, 1).build().unwrap_err();
        assert_eq!(error.to_string(), format!("{host}:1: the host is no name or address"));
    }
    for (host, server) in [
        ("h", "h:65535"),
        ("a-b_c.example.org", "a-b_c.example.org:65535"),
        ("127.0.0.1", "127.0.0.1:65535"),
        ("::1", "[::1]:65535"),
        ("[::1]", "[::1]:65535"),
    ] {
        assert_eq!(Client::builder(host, 65_535).build().unwrap().server(), server);
    }
    for (name, value) in [("a b", "x"), ("a", "x\r\ny"), ("", "")] {
        let error = Client::builder("h", 1).header(name, value).build().unwrap_err();
        assert!(error.to_string().contains("is no header that can be sent"), "{error}");
        assert!(!error.to_string().contains('\n'));
    }
}

#[cfg(feature = "client-tls")]
#[test]
fn no_certificates_make_no_client() {
    use super::Trust;
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in ["", "nothing", bad] {
        let builder = Client::builder("h", 1).https(Trust::Only(pem.into()));
        let error = builder.build().unwrap_err();
        assert!(error.to_string().contains("certificate to trust"), "{error}");
    }
}
