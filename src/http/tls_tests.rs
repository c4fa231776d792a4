//! A server with TLS, and real clients: rustls, reqwest, curl and openssl.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Instant,
};

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream;
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    version::{TLS12, TLS13},
};

use super::{
    tests::{Running, ask, ends, reply},
    *,
};
use crate::aci::client::{Client, Trust};
use crate::aci::request::Pairs;
use crate::tls::testing::{Authority, Pair, Place, ada, early, expired};
use crate::tls::{Tls, TlsOptions};

/// The longest time that anything here is waited for.
const BOUND: Duration = Duration::from_secs(20);

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// Says by which certificate the client came.
async fn tell(request: HttpRequest, _: web::Payload) -> HttpResponse {
    let connection = request.conn_data::<Rc<Connection>>().unwrap();
    let body = format!("{} {:?}", request.uri(), connection.certificate());
    HttpResponse::Ok().body(body)
}

fn serving(options: TlsOptions) -> Running {
    Running::with(Some(Tls::load(options).unwrap()), Timeouts::default(), tell)
}

type Secured = StreamOwned<ClientConnection, TcpStream>;

/// A client that trusts an authority, and has a certificate or none.
fn client(
    authority: &Authority,
    pair: Option<&Pair>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match pair {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let key = PrivateKeyDer::from_pem_slice(pair.key.serialize_pem().as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![pair.certificate.der().clone()], key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

impl Running {
    /// Begins a connection; its handshake is made by the first write.
    fn secured(&self, config: &Arc<ClientConfig>) -> Secured {
        let name = ServerName::try_from("localhost").unwrap();
        StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), self.connect())
    }
}

/// Sends a request and reads the body of its reply, or why there is none.
fn attempt(stream: &mut Secured) -> io::Result<String> {
    stream.write_all(GET)?;
    let mut all = Vec::new();
    while !all.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let mut piece = [0; 1024];
        let count = stream.read(&mut piece)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        all.extend_from_slice(&piece[..count]);
    }
    Ok(String::from_utf8(all).unwrap().split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// Runs a program with this input; returns its output, whatever its end.
fn run(program: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
    // One that has ended already takes none.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

#[test]
fn both_versions_serve_requests_over_one_connection() {
    let place = Place::new();
    let server = serving(place.options());
    for (version, expected) in
        [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)]
    {
        let mut stream = server.secured(&client(&place.authority, None, &[version]));
        for target in ["/a", "/b"] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!(ask(&mut stream, request.as_bytes()).1, format!("{target} None"));
        }
        assert_eq!(stream.conn.protocol_version(), Some(expected));
        assert_eq!(stream.conn.alpn_protocol(), Some(b"http/1.1".as_slice()));
        // Pipelined, and in one record with a body that is not read.
        let many = [
            GET.repeat(40),
            b"POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\n".to_vec(),
            vec![b'x'; 70_000],
        ];
        stream.write_all(&many.concat()).unwrap();
        for _ in 0..40 {
            assert_eq!(reply(&mut stream).1, "/a None");
        }
        assert_eq!(reply(&mut stream).1, "/b None");
    }
    // Whoever does not trust the authority has no connection.
    let other = client(&Authority::new("Other"), None, &VERSIONS);
    assert!(attempt(&mut server.secured(&other)).is_err());
}

#[test]
fn clients_with_certificates_and_without() {
    let place = Place::new();
    let other = Authority::new("Other");
    // The same name, and another key.
    let namesake = Authority::new("Authority");
    let good = place.authority.for_ada();
    let (late, early) = (place.authority.sign(expired), place.authority.sign(early));
    let (wrong, forged) = (other.for_ada(), namesake.sign(ada));
    let mut required = true;
    loop {
        let server = serving(place.asking(required));
        let none = if required { Err("CertificateRequired") } else { Ok("/a None") };
        for (name, pair, expected) in [
            ("none", None, none),
            ("good", Some(&good), Ok("\"CN=Ada,O=Ours\"")),
            ("expired", Some(&late), Err("CertificateExpired")),
            ("early", Some(&early), Err("CertificateExpired BadCertificate")),
            ("of another authority", Some(&wrong), Err("UnknownCA")),
            ("forged", Some(&forged), Err("DecryptError UnknownCA BadCertificate")),
        ] {
            for version in VERSIONS {
                let config = client(&place.authority, pair, &[version]);
                let told = attempt(&mut server.secured(&config));
                match (told, expected) {
                    (Ok(told), Ok(expected)) => assert!(told.contains(expected), "{name}: {told}"),
                    (Err(why), Err(alerts)) => {
                        let why = why.to_string();
                        let is_told = alerts.split(' ').any(|alert| why.ends_with(alert));
                        // TLS 1.2 has no alert for a certificate that is missing.
                        let is_missing = why.ends_with("HandshakeFailure") && name == "none";
                        assert!(is_told || is_missing, "{name}, {version:?}: {why}");
                    }
                    (told, _) => panic!("{name}, required {required}, {version:?}: {told:?}"),
                }
            }
        }
        // Without one the server has never heard of an authority.
        if !std::mem::take(&mut required) {
            break;
        }
    }
    let server = serving(place.options());
    let told = attempt(&mut server.secured(&client(&place.authority, Some(&good), &VERSIONS)));
    assert_eq!(told.unwrap(), "/a None", "it is not asked for");
}

#[test]
fn an_authority_that_has_expired_lets_nobody_in() {
    let place = Place::new();
    let old = Authority::with("Old", |ca| ca.not_after = rcgen::date_time_ymd(2020, 1, 2));
    place.write("ca.pem", place.authority.pem.clone() + &old.pem);
    let server = serving(place.asking(false));
    for (pair, is_let_in) in [(old.for_ada(), false), (place.authority.for_ada(), true)] {
        for version in VERSIONS {
            let config = client(&place.authority, Some(&pair), &[version]);
            let told = attempt(&mut server.secured(&config));
            assert_eq!(told.is_ok(), is_let_in, "{version:?}: {told:?}");
        }
    }
}

#[test]
fn a_session_that_is_resumed_keeps_the_certificate() {
    let place = Place::new();
    let server = serving(place.asking(true));
    let pair = place.authority.for_ada();
    for version in VERSIONS {
        let config = client(&place.authority, Some(&pair), &[version]);
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
            let mut stream = server.secured(&config);
            assert!(attempt(&mut stream).unwrap().contains("\"CN=Ada,O=Ours\""));
            assert_eq!(stream.conn.handshake_kind(), Some(expected));
        }
    }
}

#[test]
fn curl() {
    let place = Place::new();
    let (certificate, key) = place.client(&place.authority.for_ada());
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let authority = place.path("ca.pem");
    let authority = authority.to_str().unwrap();
    let server = serving(place.asking(true));
    let (port, secured) = (server.address.port(), ["-sS", "--cacert", authority]);
    let url = format!("https://localhost:{port}/action=A");
    for version in [&["--tls-max", "1.2"][..], &["--tlsv1.3"]] {
        let with = [&secured, version, &["--cert", certificate, "--key", key, &url, &url]].concat();
        let got = run("curl", &with, b"");
        let told = String::from_utf8(got.stdout).unwrap();
        let errors = String::from_utf8_lossy(&got.stderr);
        assert_eq!(told.matches("CN=Ada,O=Ours").count(), 2, "{told} {errors}");
        let without = [&secured, version, &[url.as_str()]].concat();
        let refused = run("curl", &without, b"");
        assert!(!refused.status.success() && refused.stdout.is_empty());
        assert!(String::from_utf8_lossy(&refused.stderr).contains("alert"), "{refused:?}");
    }
    // A body, and plain HTTP.
    let body = "x".repeat(300_000);
    let post = [&secured[..], &["--cert", certificate, "--key", key, "-d", "@-", &url]].concat();
    let got = run("curl", &post, body.as_bytes());
    assert!(String::from_utf8_lossy(&got.stdout).starts_with("/action=A "), "{got:?}");
    let plain = run("curl", &["-sS", "-i", &url.replace("https", "http")], b"");
    let told = String::from_utf8(plain.stdout).unwrap();
    assert!(told.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{told}");
    assert!(told.ends_with("this port speaks TLS: use https://\n"), "{told}");
}

#[test]
fn openssl() {
    let place = Place::new();
    let server = serving(place.asking(false));
    let address = server.address.to_string();
    let authority = place.path("ca.pem");
    let connect = ["s_client", "-connect", &address, "-CAfile", authority.to_str().unwrap()];
    let request = b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    for version in ["-tls1_2", "-tls1_3"] {
        let checked = ["-verify_return_error", "-verify_hostname", "localhost", "-quiet", version];
        let got = run("openssl", &[&connect[..], &checked].concat(), request);
        let told = String::from_utf8_lossy(&got.stdout);
        assert!(told.starts_with("HTTP/1.1 200 OK") && told.ends_with("/a None"), "{got:?}");
    }
    for version in ["-tls1_1", "-tls1"] {
        let old = [version, "-cipher", "ALL:@SECLEVEL=0"];
        let got = run("openssl", &[&connect[..], &old].concat(), b"");
        let errors = String::from_utf8_lossy(&got.stderr);
        let is_refused = ["protocol version", "handshake failure"]
            .iter()
            .any(|alert| errors.contains(&format!("alert {alert}")));
        assert!(is_refused && !got.status.success(), "{version}: {errors}");
    }
}

/// The client of this project, which is reqwest.
#[test]
fn the_aci_client() {
    async fn answer(_: HttpRequest, _: web::Payload) -> HttpResponse {
        HttpResponse::Ok().content_type("text/xml").body(
            "<autnresponse xmlns:autn='http://schemas.autonomy.com/aci/'><action>GETPID</action>\
             <response>SUCCESS</response><responsedata><autn:pid>7</autn:pid></responsedata></autnresponse>",
        )
    }
    let place = Place::new();
    let tls = Tls::load(place.options()).unwrap();
    let server = Running::with(Some(tls), Timeouts::default(), answer);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let trust = Trust::Only(place.authority.pem.clone().into_bytes());
    let client = Client::builder("localhost", server.address.port()).https(trust).build().unwrap();
    for _ in 0..2 {
        let reply = runtime.block_on(client.send("GetPid", Pairs::default())).unwrap();
        assert_eq!(reply.data[0].name, "autn:pid");
    }
}

#[test]
fn plain_http_is_told_what_to_speak_and_junk_is_not_answered() {
    let place = Place::new();
    let server = serving(place.options());
    let large = [b"POST /a HTTP/1.1\r\nHost: h\r\n\r\n".as_slice(), &[b'x'; 1 << 20]].concat();
    for request in [GET, b"GET action=A", &large] {
        let mut stream = server.connect();
        stream.write_all(request).unwrap();
        let (status, body) = reply(&mut stream);
        assert_eq!(status, "http/1.1 400 bad request");
        assert_eq!(body, "this port speaks TLS: use https://\n");
        assert!(ends(&mut stream));
    }
    for junk in [b"\x80\x2e\x01\x03".as_slice(), b"SSH-2.0-a b\r\n", b"\r\n\r\n", &[b'A'; 100]] {
        let mut stream = server.connect();
        stream.write_all(junk).unwrap();
        let mut told = Vec::new();
        // A reset is an end, too.
        let _ = stream.read_to_end(&mut told);
        assert!(told.is_empty(), "{told:?}");
    }
    // What begins as TLS, and goes on as something that is none or no beginning.
    for junk in [b"\x16\x03\x01\x00\x05hello".as_slice(), b"\x16\x03\x03\x00\x04\x14\x00\x00\x00"] {
        let mut stream = server.connect();
        stream.write_all(junk).unwrap();
        let mut told = Vec::new();
        stream.read_to_end(&mut told).unwrap();
        assert!(told.is_empty() || told[0] == 0x15, "nothing, or an alert: {told:?}");
    }
    assert!(attempt(&mut server.secured(&client(&place.authority, None, &VERSIONS))).is_ok());
}

#[test]
fn a_handshake_that_stalls_is_ended_and_keeps_nobody_out() {
    let place = Place::new();
    let timeouts = Timeouts { request: Duration::from_secs(2), ..Timeouts::default() };
    let server = Running::with(Some(Tls::load(place.options()).unwrap()), timeouts, tell);
    let stalled: Vec<_> = [b"".as_slice(), b"\x16", b"\x16\x03\x01\x02\x00\x01\x00", b"GET"]
        .iter()
        .cycle()
        .take(200)
        .map(|start| {
            let mut stream = server.connect();
            stream.write_all(start).unwrap();
            stream
        })
        .collect();
    let config = client(&place.authority, None, &VERSIONS);
    for _ in 0..20 {
        assert_eq!(attempt(&mut server.secured(&config)).unwrap(), "/a None");
    }
    for mut stream in stalled {
        let mut told = Vec::new();
        stream.read_to_end(&mut told).unwrap();
        assert!(told.is_empty(), "{told:?}");
    }
}

#[test]
fn a_graceful_stop_does_not_wait_for_a_handshake() {
    let place = Place::new();
    let server = serving(place.options());
    let mut stalled = server.connect();
    stalled.write_all(b"\x16\x03").unwrap();
    let mut idle = server.secured(&client(&place.authority, None, &VERSIONS));
    attempt(&mut idle).unwrap();
    let started = Instant::now();
    drop(server);
    assert!(started.elapsed() < Duration::from_secs(8), "waited for a handshake");
    // It was told so by TLS.
    assert_eq!(idle.read(&mut [0]).unwrap(), 0);
}

/// Answers once the client has ended its side of the connection.
async fn wait_for_the_end(request: HttpRequest, _: web::Payload) -> HttpResponse {
    let connection = Rc::clone(request.conn_data::<Rc<Connection>>().unwrap());
    while !connection.has_left() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    HttpResponse::Ok().body("noticed")
}

/// As without TLS: the end of the client's side is noticed, and it still gets its reply.
#[test]
fn a_client_that_has_ended_its_side_is_noticed() {
    let place = Place::new();
    let tls = Tls::load(place.options()).unwrap();
    let server = Running::with(Some(tls), Timeouts::default(), wait_for_the_end);
    for version in VERSIONS {
        let config = client(&place.authority, None, &[version]);
        for (requests, is_told, is_ended) in [
            (1, true, true),
            (1, true, false),
            (1, false, true),
            // So many that no more is read while the first is answered: then the socket is looked at.
            (1_500, true, true),
            (1_500, false, true),
        ] {
            let mut stream = server.secured(&config);
            stream.write_all(&GET.repeat(requests)).unwrap();
            if is_told {
                stream.conn.send_close_notify();
            }
            while stream.conn.wants_write() {
                stream.conn.write_tls(&mut stream.sock).unwrap();
            }
            if is_ended {
                stream.sock.shutdown(Shutdown::Write).unwrap();
            }
            assert_eq!(reply(&mut stream).1, "noticed", "{version:?} {requests} {is_told}");
        }
    }
}

/// A reply is held by TLS, by the system, and by the server, and none of them for ever.
#[test]
fn a_client_that_takes_nothing_of_its_reply_is_disconnected() {
    struct Ended(mpsc::Sender<()>);
    impl Drop for Ended {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let place = Place::new();
    let (sender, receiver) = mpsc::channel();
    let endless = move |_: HttpRequest, _: web::Payload| {
        let ended = Ended(sender.clone());
        async move {
            let body = stream::repeat_with(move || {
                let _ = &ended;
                Ok::<_, io::Error>(web::Bytes::from_static(&[b'x'; 10_000]))
            });
            HttpResponse::Ok().streaming(body)
        }
    };
    let timeouts = Timeouts { reply: Duration::from_secs(1), ..Timeouts::default() };
    let server = Running::with(Some(Tls::load(place.options()).unwrap()), timeouts, endless);
    let mut stream = server.secured(&client(&place.authority, None, &VERSIONS));
    stream.write_all(GET).unwrap();
    stream.read_exact(&mut [0; 100]).unwrap();
    receiver.recv_timeout(BOUND).expect("the reply is given up");
}

/// Clients on connections of either kind send requests while the files are replaced.
#[test]
fn new_certificates_are_taken_under_load_and_no_request_fails() {
    let place = Place::new();
    let server = serving(place.asking(false));
    let config = client(&place.authority, Some(&place.authority.for_ada()), &VERSIONS);
    let (is_over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    // The certificate that a new connection is shown.
    let shown = || {
        let mut stream = server.secured(&client(&place.authority, None, &VERSIONS));
        attempt(&mut stream).unwrap();
        stream.conn.peer_certificates().unwrap()[0].clone()
    };
    thread::scope(|scope| {
        for number in 0..4 {
            let (server, config, is_over, asked) = (&server, &config, &is_over, &asked);
            scope.spawn(move || {
                let keeps = number % 2 == 0;
                let mut stream = server.secured(config);
                while !is_over.load(Ordering::Relaxed) {
                    let told = attempt(&mut stream);
                    if told.as_ref().map_or(true, |told| !told.contains("CN=Ada,O=Ours")) {
                        is_over.store(true, Ordering::Relaxed);
                        panic!("request {} failed: {told:?}", asked.load(Ordering::Relaxed));
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                    if !keeps {
                        stream = server.secured(config);
                    }
                }
            });
        }
        for _ in 0..5 {
            let pair = place.authority.for_server();
            let before = asked.load(Ordering::Relaxed);
            place.renew(&pair);
            let started = Instant::now();
            while shown() != *pair.certificate.der() || asked.load(Ordering::Relaxed) < before + 50
            {
                if started.elapsed() > BOUND || is_over.load(Ordering::Relaxed) {
                    is_over.store(true, Ordering::Relaxed);
                    panic!("no new certificate, or no requests");
                }
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
}
