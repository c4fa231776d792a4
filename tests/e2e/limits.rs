//! What one client may ask for: `MaxRequestsPerSecondPerClient` and `MaxConnectionsPerClient`.

use std::io::{BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use actiond::front::Endpoint;
use actiond::http::{configure, configure_port};
use actiond::kinds::echo::Echo;
use actiond_actors::{QueueSettings, System};
use actix_web::App;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::test::{TestRequest, call_service, init_service};
use socket2::SockRef;

use super::server::{Home, PATIENCE, Reply, Server, rest_of, wait_until};

/// What a client of the test is called by the proxy, which is the test itself.
type Forwarded<'a> = Option<&'a str>;

const ADA: Forwarded<'_> = Some("192.0.2.7");
const BOB: Forwarded<'_> = Some("192.0.2.8");
/// The way to ask that each port has an answer for.
const TARGET: &str = "/action=GetStatus";

/// Starts a server with these lines in `[Server]`; it has a service port. Returns the addresses of both ports.
fn start(lines: &str) -> (Home, Server, [SocketAddr; 2]) {
    let home = Home::new(&format!("[Server]\n{lines}\n[Service]\nServicePort=0\n"));
    let server = home.start();
    let of = |words: &str| -> SocketAddr {
        let line = server.wait_for_line(&[words, "http://"]);
        let (_, rest) = line.split_once("http://").unwrap();
        rest.trim_end_matches('/').parse().unwrap()
    };
    let ports =
        [of(&format!("actiond {} ", env!("CARGO_PKG_VERSION"))), of("the service port answers")];
    (home, server, ports)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn head(method: &str, client: Forwarded<'_>) -> String {
    let forwarded = client.map(|client| format!("X-Forwarded-For: {client}\r\n"));
    let forwarded = forwarded.unwrap_or_default();
    format!("{method} {TARGET} HTTP/1.1\r\nHost: localhost\r\n{forwarded}")
}

fn ask(stream: &mut TcpStream, client: Forwarded<'_>) -> Reply {
    stream.write_all(format!("{}\r\n", head("GET", client)).as_bytes()).unwrap();
    Reply::read(stream)
}

/// Returns true if a reply is a refusal, which must be by this limit.
fn is_refused(reply: &Reply, limit: &str) -> bool {
    let Some(seconds) = reply.header("retry-after") else { return false };
    assert_eq!(seconds, "1");
    assert!(reply.head.starts_with("HTTP/1.1 200 "), "{}", reply.head);
    let text = reply.body_text();
    // The replies of the service port have no codes.
    let is_plain = reply.header("content-type").is_some_and(|it| it.starts_with("text/plain"));
    let said = if is_plain { "Not available now: " } else { "ERRORUNAVAILABLE" };
    assert!(text.contains(said) && text.contains(limit), "{text}");
    true
}

const RATE: &str = "MaxRequestsPerSecondPerClient=1";

/// Asks until the client is beyond its limit.
fn go_beyond(stream: &mut TcpStream, client: Forwarded<'_>) {
    wait_until("a refusal", || is_refused(&ask(stream, client), RATE));
}

#[test]
fn a_client_beyond_the_rate_is_refused_and_gets_in_again() {
    let (_home, server, ports) = start(RATE);
    for port in ports {
        let mut stream = connect(port);
        let mut let_in = None;
        // Until it was let in and then refused: where this machine is slow, it is let in several times.
        wait_until("a refusal", || {
            let asked = Instant::now();
            let refused = is_refused(&ask(&mut stream, None), RATE);
            if !refused {
                let_in = Some(asked);
            }
            refused && let_in.is_some()
        });
        let let_in = let_in.unwrap();
        // The same connection goes on, and what was refused did not count.
        let refused = Instant::now();
        wait_until("the next token", || !is_refused(&ask(&mut stream, None), RATE));
        assert!(let_in.elapsed() >= Duration::from_secs(1), "{:?}", let_in.elapsed());
        assert!(refused.elapsed() < Duration::from_secs(6), "{:?}", refused.elapsed());
    }
    server.wait_for_line(&["WARN", "requests of 127.0.0.1 were refused: ", RATE]);
}

#[test]
fn clients_behind_a_trusted_proxy_have_a_limit_each() {
    let (_home, server, [port, _]) = start(&format!("{RATE}\nTrustedProxies=127.0.0.1"));
    let mut stream = connect(port);
    for (client, other) in [
        (ADA, BOB),
        (Some("2001:db8:1::1"), Some("2001:db8:2::1")),
        (Some("198.51.100.2"), Some("198.51.100.3, 127.0.0.1")),
    ] {
        go_beyond(&mut stream, client);
        assert!(!is_refused(&ask(&mut stream, other), RATE), "{other:?} is affected");
    }
    // One client under two names; a slow machine needs another try, with names that nobody had yet.
    let mut number = 0;
    for (one, other) in [("2001:db8:N::1", "2001:db8:N::2"), ("10.0.0.N", "::ffff:10.0.0.N")] {
        wait_until(other, || {
            number += 1;
            let [one, other] = [one, other].map(|name| name.replace('N', &number.to_string()));
            go_beyond(&mut stream, Some(&one));
            is_refused(&ask(&mut stream, Some(&other)), RATE)
        });
    }
    // One line for each client, not for each refusal.
    for _ in 0..100 {
        ask(&mut stream, ADA);
    }
    server.wait_for_line(&["WARN", "requests of 192.0.2.7 were refused: "]);
    server.wait_for_line(&["WARN", "requests of 2001:db8:1::/64 were refused: "]);
    let lines = server.log_lines("were refused: ");
    assert!(lines < 30, "{lines} lines");
}

/// Without `TrustedProxies` nobody gets another bucket by a header.
#[test]
fn a_header_alone_makes_no_other_client() {
    let (_home, _server, [port, _]) = start(RATE);
    let mut stream = connect(port);
    let mut number = 0;
    wait_until("a refusal of a new name", || {
        number += 1;
        go_beyond(&mut stream, None);
        is_refused(&ask(&mut stream, Some(&format!("10.0.0.{number}"))), RATE)
    });
}

#[test]
fn every_method_counts_and_what_is_no_request_too() {
    let (_home, _server, [port, _]) = start(&format!("{RATE}\nTrustedProxies=127.0.0.1"));
    for (method, client) in [("HEAD", ADA), ("OPTIONS", BOB), ("DELETE", Some("192.0.2.9"))] {
        wait_until(method, || {
            let mut stream = connect(port);
            let requests = format!("{}\r\n", head(method, client)).repeat(5);
            stream.write_all(requests.as_bytes()).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            rest_of(&mut stream).to_ascii_lowercase().contains("retry-after: 1\r\n")
        });
    }
    // A head that the parser is not given, for which only the peer is known.
    wait_until("a head that is none", || {
        let mut stream = connect(port);
        stream.write_all(b"GET /a=GetPid HTTP/1.1\r\nNo colon\r\n\r\n").unwrap();
        rest_of(&mut stream).contains("ERRORUNAVAILABLE")
    });
}

#[test]
fn the_body_of_a_refused_request_is_not_read() {
    let (_home, _server, [port, _]) = start(&format!("{RATE}\nRequestTimeout=2"));
    for framing in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        // All at once, so that only a machine that stands still lets the last one in.
        wait_until(framing, || {
            let mut stream = connect(port);
            let get = format!("{}\r\n", head("GET", None));
            let post = format!("{}{framing}\r\n\r\n", head("POST", None));
            let asked = Instant::now();
            stream.write_all(format!("{get}{get}{post}").as_bytes()).unwrap();
            // Whoever came just before the next second is refused the first and let in for the second.
            let [first, second] = [(); 2].map(|()| is_refused(&Reply::read(&mut stream), RATE));
            assert!(first || second || asked.elapsed().as_secs() > 0);
            let last = Reply::read(&mut stream);
            let is_refused = last.header("retry-after").is_some();
            if is_refused {
                assert_eq!(last.header("connection"), Some("close"), "{}", last.head);
                assert_eq!(rest_of(&mut stream), "");
            }
            is_refused
        });
    }
}

#[actix_web::test]
async fn all_workers_and_ports_of_an_embedded_endpoint_count_together() {
    let directory = tempfile::tempdir().unwrap();
    let building = System::builder(directory.path());
    let system = building.queue("Process", QueueSettings::default(), Echo).start().await.unwrap();
    let endpoint = Endpoint::builder(system.clone()).max_requests_per_second_per_client(2).build();
    let first = init_service(App::new().configure(configure(&endpoint))).await;
    let second = init_service(App::new().configure(configure(&endpoint))).await;
    let service = configure_port(&endpoint, actiond::front::Port::Service);
    let service = init_service(App::new().configure(service)).await;
    async fn is_refused<S, B>(app: &S, peer: Option<&str>) -> bool
    where
        S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
        B: MessageBody,
    {
        let request = TestRequest::get().uri(TARGET);
        let request = match peer {
            Some(peer) => request.peer_addr(peer.parse().unwrap()),
            None => request,
        };
        call_service(app, request.to_request()).await.headers().contains_key("retry-after")
    }
    let ada = Some("192.0.2.7:1");
    let began = Instant::now();
    let refused = [
        is_refused(&first, ada).await,
        is_refused(&second, Some("[::ffff:192.0.2.7]:2")).await,
        is_refused(&service, ada).await,
        is_refused(&first, ada).await,
    ];
    if began.elapsed() < Duration::from_millis(500) {
        assert_eq!(refused, [false, false, true, true]);
    }
    assert!(!is_refused(&first, Some("192.0.2.8:1")).await);
    // A socket of Unix has no address.
    for _ in 0..20 {
        assert!(!is_refused(&second, None).await);
    }
    system.shutdown(Duration::ZERO).await;
}

const CONNECTIONS: &str = "MaxConnectionsPerClient=2";

/// Asks on a new connection. Returns it if it is let in; if not, it must end.
fn enter(port: SocketAddr, client: Forwarded<'_>) -> Option<TcpStream> {
    let mut stream = connect(port);
    let reply = ask(&mut stream, client);
    if is_refused(&reply, CONNECTIONS) {
        assert_eq!(reply.header("connection"), Some("close"), "{}", reply.head);
        assert_eq!(rest_of(&mut stream), "");
        return None;
    }
    Some(stream)
}

/// Waits for a place, as a client that was refused before.
fn wait_for_place(port: SocketAddr, why: &str) -> TcpStream {
    let mut place = None;
    wait_until(why, || {
        place = enter(port, None);
        place.is_some()
    });
    place.unwrap()
}

#[test]
fn a_connection_beyond_the_limit_is_answered_and_closed() {
    let (_home, server, ports) = start(CONNECTIONS);
    for (port, other) in [(ports[0], ports[1]), (ports[1], ports[0])] {
        let mut first = wait_for_place(port, "a first place");
        let mut second = wait_for_place(port, "a second place");
        for _ in 0..3 {
            assert!(enter(port, None).is_none());
            assert!(enter(other, None).is_none(), "the ports don't count together");
        }
        // Whatever it is that it sends first.
        for request in
            ["HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n", "POST / HTTP/1.0\r\n\r\n", "x\r\n\r\n"]
        {
            let mut stream = connect(port);
            stream.write_all(request.as_bytes()).unwrap();
            let all = rest_of(&mut stream).to_ascii_lowercase();
            assert!(all.contains("retry-after: 1\r\n"), "{request}: {all}");
        }
        // Those that are in go on.
        for stream in [&mut first, &mut second] {
            assert!(!is_refused(&ask(stream, None), CONNECTIONS));
        }
    }
    server.wait_for_line(&["WARN", "connections of 127.0.0.1 were refused: ", CONNECTIONS]);
}

#[test]
fn a_place_is_given_back_however_a_connection_ends() {
    let lines = format!("{CONNECTIONS}\nIdleTimeout=2\nRequestTimeout=1");
    for index in [0, 1] {
        let (_home, _server, ports) = start(&format!("{lines}\nThreads=2"));
        let port = ports[index];
        let full = || [wait_for_place(port, "a place"), wait_for_place(port, "another")];

        drop(full());
        let [first, second] = full();
        let half = first.try_clone().unwrap();
        half.shutdown(std::net::Shutdown::Write).unwrap();
        let third = wait_for_place(port, "the place of one that ended its side");
        drop((first, second, half, third));

        let held = full();
        for stream in &held {
            SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
        drop(held);
        let held = full();

        let [first, second] = held;
        let idle = (wait_for_place(port, "the place of one that is idle"), first, second);
        drop(idle);

        // One that never sends anything, one in the middle of a head, and one in the middle of a body.
        for sent in [
            "",
            "GET /a=GetPid HTTP/1.1\r\n",
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx",
        ] {
            let mut silent = [connect(port), connect(port)];
            for stream in &mut silent {
                stream.write_all(sent.as_bytes()).unwrap();
            }
            drop(wait_for_place(port, "the place of a silent one"));
            drop(silent);
        }
        // One that is answered for the last time.
        let mut last = wait_for_place(port, "a place");
        last.write_all(format!("{}Connection: close\r\n\r\n", head("GET", None)).as_bytes())
            .unwrap();
        rest_of(&mut last);
        drop(full());
    }
}

#[test]
fn one_beyond_has_a_second_and_no_more() {
    let (_home, _server, [port, _]) = start(CONNECTIONS);
    let _held = [wait_for_place(port, "a place"), wait_for_place(port, "another")];
    let began = Instant::now();
    let mut silent: Vec<_> = (0..10).map(|_| connect(port)).collect();
    for (stream, sent) in silent.iter_mut().zip(["GET /a=GetPid HTTP/1.1\r\n", "G", ""]) {
        stream.write_all(sent.as_bytes()).unwrap();
    }
    // Nor does it help to send something all the time.
    let mut slow = connect(port);
    slow.write_all(b"GET /").unwrap();
    while slow.write_all(b"a").is_ok() && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(50));
    }
    for stream in &mut silent {
        assert_eq!(rest_of(stream), "");
    }
    // RequestTimeout is 30 s.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[test]
fn whoever_opens_far_more_than_it_may_is_not_answered() {
    let (_home, server, [port, _]) = start(CONNECTIONS);
    let began = Instant::now();
    let mut silent: Vec<_> = (0..200).map(|_| connect(port)).collect();
    let is_open = |stream: &mut TcpStream| {
        stream.set_nonblocking(true).unwrap();
        matches!(stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    };
    let open =
        |all: &mut [TcpStream]| all.iter_mut().map(is_open).filter(|is_open| *is_open).count();
    // The two that it may have stay; sixteen more, and two, would stay for a second.
    wait_until("the end of all but those that it may have", || open(&mut silent) <= 2);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(open(&mut silent), 2);
    server.wait_for_line(&["WARN", "connections of 127.0.0.1 were refused: ", CONNECTIONS]);
    drop(silent);
    wait_for_place(port, "a place");
}

#[test]
fn connections_of_trusted_proxies_do_not_count() {
    let (home, server, [port, _]) = start(&format!("{CONNECTIONS}\nTrustedProxies=127.0.0.1"));
    let held: Vec<_> = (0..20).map(|n| enter(port, [ADA, None][n % 2]).unwrap()).collect();
    // The rules are read again: those that come now count.
    let config = home.path().join("test.cfg");
    std::fs::write(config, format!("[Server]\n{CONNECTIONS}\n[Service]\nServicePort=0\n")).unwrap();
    server.signal("HUP");
    server.wait_for_line(&["SIGHUP: "]);
    let counted = [enter(port, ADA).unwrap(), enter(port, BOB).unwrap()];
    assert!(enter(port, Some("192.0.2.9")).is_none());
    drop(held);
    assert!(enter(port, None).is_none(), "they gave back places that they did not take");
    drop(counted);
    wait_for_place(port, "a place");
}

#[test]
fn nought_is_no_limit() {
    let nought = "MaxRequestsPerSecondPerClient=0\nMaxConnectionsPerClient=0";
    for lines in ["", nought] {
        let (_home, _server, ports) = start(lines);
        for port in ports {
            let _held: Vec<_> = (0..100).map(|_| enter(port, None).expect("no limit")).collect();
            let mut stream = connect(port);
            stream.write_all(format!("{}\r\n", head("GET", None)).repeat(500).as_bytes()).unwrap();
            let mut replies = BufReader::new(stream);
            for _ in 0..500 {
                assert!(!is_refused(&Reply::try_read(&mut replies).unwrap(), "no limit"));
            }
        }
    }
}
