//! A handler against receivers over real sockets.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use actiond_actors::store::Origin;

use super::super::testing::{Plain, event};
use super::*;
use crate::tls::{ClientIdentity, ClientTls};
use actiond_actors::store::About;

/// A request as it came.
struct Came {
    head: String,
    body: String,
}

impl Came {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn read(stream: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let came = Self { head, body: String::new() };
        let length: usize =
            came.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        Some(Self { body: String::from_utf8(body).unwrap(), ..came })
    }
}

/// A receiver that answers each connection with the next of these texts, and hands out the requests.
fn receiver(answers: &[&str]) -> (u16, mpsc::Receiver<Came>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answers: Vec<_> = answers.iter().map(|answer| (*answer).to_owned()).collect();
    let (sender, came) = mpsc::channel();
    thread::spawn(move || {
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept() else { return };
            if let Some(read) = Came::read(&stream) {
                let _ = sender.send(read);
            }
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (port, came)
}

const OK: &str = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";

fn settings(url: &str) -> HttpSettings {
    HttpSettings {
        receiver: Receiver::One(Url::parse(url).unwrap()),
        method: Method::POST,
        format: Format::Xml,
        timeout: Duration::from_secs(20),
        headers: HeaderMap::new(),
        proxy: None,
        trust: Trust::default(),
        keys: Vec::new(),
        connections: 4,
    }
}

async fn send(settings: HttpSettings) -> Result<(), Undelivered> {
    HttpHandler::new(settings, Arc::new(Plain)).unwrap().deliver(event(7)).await
}

#[tokio::test]
async fn a_receiver_gets_the_event_and_what_it_needs_to_know_of_it() {
    let (port, came) = receiver(&[OK]);
    let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("x-mine", HeaderValue::from_static("1"));
    let url = format!("http://127.0.0.1:{port}/hook?key=1");
    send(HttpSettings { keys: vec![key.clone()], headers, ..settings(&url) }).await.unwrap();
    let came = came.recv().unwrap();
    assert!(came.head.starts_with("POST /hook?key=1 HTTP/1.1\r\n"), "{}", came.head);
    assert_eq!(came.body, "<event>7</event>");
    let id = event(7).message_id();
    let expected = [
        ("content-type", "text/xml"),
        ("actiond-event", "OnFinish"),
        ("actiond-queue", "Process"),
        ("actiond-token", "token7"),
        ("webhook-id", &id),
        ("x-mine", "1"),
    ];
    for (name, value) in expected {
        assert_eq!(came.header(name), Some(value), "{name}");
    }
    let time = came.header("webhook-timestamp").unwrap().parse().unwrap();
    let signed = signature::signatures(&[key], &id, time, came.body.as_bytes());
    assert_eq!(came.header("webhook-signature"), signed.as_deref());
}

#[tokio::test]
async fn each_form_has_its_content_type() {
    for (format, content_type, start) in [
        (Format::Json, "application/json", "{\"event\":"),
        (Format::SimpleJson, "application/json", "{\"event\":"),
        (Format::CloudEvents, "application/cloudevents+json", "{"),
    ] {
        let (port, came) = receiver(&[OK]);
        let url = format!("http://127.0.0.1:{port}/");
        send(HttpSettings { format, method: Method::PUT, ..settings(&url) }).await.unwrap();
        let came = came.recv().unwrap();
        assert_eq!(came.header("content-type"), Some(content_type));
        assert!(came.head.starts_with("PUT / ") && came.body.starts_with(start), "{}", came.body);
        assert_eq!(came.header("webhook-signature"), None);
    }
}

#[tokio::test]
async fn a_cloud_event_has_all_that_it_must_have() {
    let (port, came) = receiver(&[OK]);
    let url = format!("http://127.0.0.1:{port}/");
    send(HttpSettings { format: Format::CloudEvents, ..settings(&url) }).await.unwrap();
    let sent: serde_json::Value = serde_json::from_str(&came.recv().unwrap().body).unwrap();
    let expected = serde_json::json!({
        "specversion": "1.0",
        "id": event(7).message_id(),
        "source": "actiond://localhost:7000/Process",
        "type": "actiond.action.finished",
        "subject": "token7",
        "time": "2023-11-14T22:13:20.500Z",
        "datacontenttype": "application/json",
        "data": { "event": "7" },
    });
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn what_goes_wrong_is_told_and_judged() {
    let closes = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    for (answer, may_retry, is_down, words) in [
        ("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", true, false, "with status 500"),
        ("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", true, true, "with status 503"),
        ("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", false, false, "with status 404"),
        (
            "HTTP/1.1 307 No\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            false,
            false,
            "redirects are not followed",
        ),
        ("HTTP/1.1 2", true, true, "gave no whole answer"),
        ("", true, true, "gave no whole answer"),
        ("no HTTP\r\n\r\n", true, true, "gave no whole answer"),
        (closes, true, false, "gave no whole answer"),
    ] {
        let (port, _came) = receiver(&[answer]);
        let failed = send(settings(&format!("http://127.0.0.1:{port}/"))).await.unwrap_err();
        assert_eq!(
            (failed.may_retry, failed.is_down),
            (may_retry, is_down),
            "{answer}: {failed:?}"
        );
        assert!(failed.error.contains(words), "{answer}: {failed:?}");
    }
    // Nothing listens there.
    let failed = send(settings("http://127.0.0.1:1/")).await.unwrap_err();
    assert!(failed.is_down, "{failed:?}");
    assert!(failed.may_retry && failed.error.contains("no connection"), "{failed:?}");
}

#[tokio::test]
async fn a_receiver_that_hangs_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let settings = HttpSettings { timeout: Duration::from_millis(100), ..settings(&url) };
    let failed = send(settings).await.unwrap_err();
    assert!(failed.is_down && failed.error.contains("did not answer within"), "{failed:?}");
}

#[tokio::test]
async fn a_callback_goes_only_where_it_may() {
    let (port, came) = receiver(&[OK]);
    let allowed = ["127.0.0.1", "*.example.org"].map(|text| HostPattern::parse(text).unwrap());
    let of_event = HttpSettings {
        receiver: Receiver::OfEvent(allowed.to_vec()),
        ..settings("http://unused.example/")
    };
    let handler = HttpHandler::new(of_event, Arc::new(Plain)).unwrap();
    let to = |target: Option<String>| {
        let mut event = OutboxEvent::clone(&event(7));
        let About::Action(record) = &mut event.about else { panic!() };
        record.origin = Some(Box::new(Origin { callback: target, ..Origin::default() }));
        (handler.receiver(&event), handler.deliver(Arc::new(event)))
    };
    let (receiver, delivered) = to(Some(format!("http://127.0.0.1:{port}/mine?key=s3cret")));
    assert_eq!(receiver, Some(format!("http://127.0.0.1:{port}")));
    delivered.await.unwrap();
    for (target, receiver) in [
        ("https://Hooks.example.org/a", Some("https://hooks.example.org")),
        ("https://hooks.example.org:443/b", Some("https://hooks.example.org")),
        ("http://[::1]:80/", Some("http://[::1]")),
        ("ftp://hooks.example.org/", None),
    ] {
        assert_eq!(to(Some(target.to_owned())).0.as_deref(), receiver, "{target}");
    }
    assert!(came.recv().unwrap().head.starts_with("POST /mine?"));
    for (target, words) in [
        (Some("http://127.0.0.2/"), "127.0.0.2, is none of [Actions] AllowedCallbackHosts"),
        (Some("http://example.org/?key=s3cret"), "example.org, is none of"),
        (Some("http://u:p@a.example.org/"), "without user and password"),
        (Some("file:///etc/passwd"), "with http:// or https://"),
        (None, "must be"),
    ] {
        let failed = to(target.map(str::to_owned)).1.await.unwrap_err();
        assert!(!failed.may_retry && failed.error.contains(words), "{target:?}: {failed:?}");
        assert!(!failed.error.contains("s3cret"), "{failed:?}");
    }
}

#[tokio::test]
async fn a_proxy_gets_the_whole_address_and_its_own_login() {
    let (port, came) = receiver(&[OK]);
    let login = Some(("ada".to_owned(), "s3cret".to_owned()));
    let proxy = Proxy { host: "127.0.0.1".to_owned(), port, login };
    assert!(!format!("{proxy:?}").contains("s3cret"));
    send(HttpSettings { proxy: Some(proxy), ..settings("http://hooks.invalid/a") }).await.unwrap();
    let came = came.recv().unwrap();
    assert!(came.head.starts_with("POST http://hooks.invalid/a HTTP/1.1"), "{}", came.head);
    assert_eq!(came.header("proxy-authorization"), Some("Basic YWRhOnMzY3JldA=="));
}

#[tokio::test]
async fn a_receiver_with_tls_must_be_trusted() {
    let place = crate::tls::testing::Place::new();
    let own = place.options();
    let (url, _server) = tls_receiver(&own);
    let trusting = |ca_certificate| {
        let tls = ClientTls { ca_certificate, identity: None };
        HttpSettings { trust: Trust(Some(tls)), ..settings(&url) }
    };
    send(trusting(Some(place.path("ca.pem")))).await.unwrap();
    let other = crate::tls::testing::Place::new();
    let failed = send(trusting(Some(other.path("ca.pem")))).await.unwrap_err();
    assert!(failed.may_retry && failed.error.contains("certificate"), "{failed:?}");
}

#[tokio::test]
async fn a_receiver_that_wants_a_certificate_is_shown_one() {
    let place = crate::tls::testing::Place::new();
    let ada = place.authority.for_ada();
    let own = crate::tls::TlsOptions {
        ca_certificate: Some(place.path("ca.pem")),
        check_certificate: true,
        ..place.options()
    };
    let (url, _server) = tls_receiver(&own);
    let identity = ClientIdentity {
        certificate: place.write("ada.pem", ada.pem()),
        private_key: place.write("ada.key", ada.key.serialize_pem()),
        private_key_password: None,
    };
    let showing = |identity| {
        let tls = ClientTls { ca_certificate: Some(place.path("ca.pem")), identity };
        HttpSettings { trust: Trust(Some(tls)), ..settings(&url) }
    };
    send(showing(Some(identity.clone()))).await.unwrap();
    assert!(send(showing(None)).await.unwrap_err().may_retry);
    let other = ClientIdentity { private_key: place.path("server.key"), ..identity };
    let made = HttpHandler::new(showing(Some(other)), Arc::new(Plain)).map(drop);
    assert!(made.unwrap_err().contains("server.key"));
}

/// A receiver with this certificate, which answers each request well.
fn tls_receiver(own: &crate::tls::TlsOptions) -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let config = crate::tls::testing::server_config(own);
    let server = thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            let Ok(connection) = rustls::ServerConnection::new(Arc::clone(&config)) else { return };
            let Ok(stream) = stream else { return };
            let mut stream = rustls::StreamOwned::new(connection, stream);
            let mut head = Vec::new();
            while !head.ends_with(b"</event>") {
                let mut byte = [0];
                if !matches!(stream.read(&mut byte), Ok(1)) {
                    break;
                }
                head.push(byte[0]);
            }
            let _ = stream.write_all(OK.as_bytes());
            let _ = stream.flush();
        }
    });
    (url, server)
}
