//! The addresses on which a server listens: all with one port, in the log, with and without TLS.

use std::io::Write as _;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use super::calls::plain;
use super::server::{CONFIG, Home, PATIENCE, Reply, Server};

const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

fn has_ipv6() -> bool {
    TcpListener::bind((V6, 0)).is_ok()
}

fn ask(address: SocketAddr, host: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request =
        format!("GET /action=GetStatus HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    Reply::read(&mut stream).body_text()
}

fn is_up_on(server: &Server, ip: IpAddr) -> bool {
    TcpStream::connect((ip, server.address.port())).is_ok()
}

#[test]
fn by_default_this_machine_reaches_it_by_both_loopback_addresses() {
    let home = Home::new(&format!("[Service]\nServicePort=0\n{CONFIG}"));
    let server = home.start();
    let port = server.address.port();
    assert_eq!(server.address.ip().to_string(), "127.0.0.1", "the first line has this one");
    let token = server.submit("&Name=Ada");
    if !has_ipv6() {
        server.wait_for_line(&["this machine has no ::1, so nothing listens there"]);
        return;
    }
    server.wait_for_line(&[&format!(
        "actiond {} also answers on http://[::1]:{port}/",
        env!("CARGO_PKG_VERSION")
    )]);
    let service = server.wait_for_line(&["the service port also answers on http://[::1]:"]);
    let service: SocketAddr =
        service.split_once("http://").unwrap().1.trim_end_matches('/').parse().unwrap();
    assert!(ask(service, "localhost").contains("<RESPONSE>Running</RESPONSE>"));
    for host in ["localhost", &format!("[::1]:{port}")] {
        let status = ask(SocketAddr::new(V6, port), host);
        // It is this machine: administrative actions are for it.
        assert!(status.contains("<response>SUCCESS</response>"), "{status}");
    }
    // Tokens are the same, wherever one asks.
    assert!(plain(&token).starts_with(&format!("127.0.0.1:{port}:")));
}

#[test]
fn a_list_of_addresses_is_listened_on_and_nothing_else() {
    let home = Home::new(&format!("[Server]\nBindAddress=127.0.0.2, 127.0.0.3\n{CONFIG}"));
    let server = home.start();
    for (last, is_up) in [(2, true), (3, true), (1, false)] {
        let ip = IpAddr::from([127, 0, 0, last]);
        assert_eq!(is_up_on(&server, ip), is_up, "{ip}");
    }
    assert!(!is_up_on(&server, V6));
    let port = server.address.port();
    server.wait_for_line(&[&format!("also answers on http://127.0.0.3:{port}/")]);
}

#[test]
fn a_port_that_another_server_has_at_one_of_the_addresses_stops_the_start() {
    let taken = TcpListener::bind("127.0.0.3:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let home = Home::new(&format!("[Server]\nBindAddress=127.0.0.2,127.0.0.3\n{CONFIG}"));
    let mut plain = std::process::Command::new(home.command().get_program());
    plain.arg("--config").arg(home.path().join("test.cfg")).arg("--data").arg(home.data());
    plain.args(["--port", &port.to_string()]).current_dir(home.path());
    let said = Server::try_run(plain).err().unwrap().join("\n");
    assert!(said.contains(&format!("can't listen on 127.0.0.3:{port}: ")), "{said}");
}
