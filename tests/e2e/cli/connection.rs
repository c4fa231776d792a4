//! Finding a server, keys, certificates; what failures say and with which code they end.

use std::net::TcpListener;

use super::super::server::Home;
use super::{Served, command, run};

fn ran(server: &str, line: &str) -> super::Ran {
    run(command(server, line), b"")
}

#[test]
fn what_can_not_be_reached_is_told_with_what_to_do() {
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = nobody.local_addr().expect("its address");
    drop(nobody);
    let said = ran(&format!("http://{address}"), "queues").failed(7);
    assert!(said.contains(&format!("no connection to {address}")), "{said}");
    assert!(said.contains("--server") && said.contains("ACTIOND_SERVER"), "{said}");
    // It takes a connection, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("its address");
    let said = ran(&format!("http://{address}"), "status MTI= --timeout 0.2").failed(7);
    assert!(said.contains("did not answer within 0.2 s"), "{said}");
    for (server, words) in [
        ("ftp://host", "http://"),
        ("http://", "no address"),
        ("http://name:secret@host", "--key-file"),
    ] {
        let said = ran(server, "queues").failed(2);
        assert!(said.contains(words) && !said.contains("secret"), "{said}");
    }
    // The option counts more than the variable.
    let served = Served::start();
    ran("ftp://host", &format!("queues --server {}", served.server.address)).ok();
}

#[test]
fn what_is_no_aci_server_is_told_so() {
    let served = Served::start();
    let answered = |reply: &'static str| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        std::thread::spawn(move || {
            use std::io::{Read as _, Write as _};
            let (mut stream, _) = listener.accept().expect("a client");
            let mut bytes = [0; 4096];
            let _ = stream.read(&mut bytes);
            let _ = stream.write_all(reply.as_bytes());
        });
        ran(&format!("http://{address}"), "send GetVersion")
    };
    let said = answered("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>").failed(8);
    assert!(said.contains("did not answer as an ACI server: <html>"), "{said}");
    let said = answered("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").failed(8);
    assert!(said.contains("HTTP status 404"), "{said}");
    let said = served.run("send Frobnicate").failed(6);
    assert!(said.contains("Frobnicate") && said.contains("send Help"), "{said}");
}

#[test]
fn a_key_says_who_one_is_and_is_shown_nowhere() {
    let key = ran("", "key").ok();
    let value = |name: &str| {
        let line = key.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        line.trim().to_owned()
    };
    let (key, hash) = (value("key:"), value("hash:"));
    let config = format!(
        "{}\n[AuthorizationRoles]\n0=All\n[All]\nStandardRoles=*\nKeys={hash}\n",
        super::CONFIG
    );
    let served = Served::with(&config);
    let refused = served.run("send GetVersion");
    assert!(refused.err.contains("does not allow"), "{refused:?}");
    assert!(refused.failed(6).contains("--key-file"));
    let file = served.home.path().join("key");
    std::fs::write(&file, format!("{key}\n")).expect("a file");
    served.ok(&format!("send GetVersion --key {key}"));
    served.ok(&format!("send GetVersion --key-file {}", file.display()));
    let mut by_variable = command(&served.url(), "list Process");
    by_variable.env("ACTIOND_KEY", &key);
    run(by_variable, b"").ok();
    // A wrong key, and one that is none.
    let wrong = key.replace(|c: char| c.is_ascii_lowercase(), "x");
    let said = served.run(&format!("send GetVersion --key {wrong}")).failed(6);
    assert!(said.contains("does not allow") && !said.contains(&wrong), "{said}");
    let said = served.run("send GetVersion --key \"two words\"").failed(2);
    assert!(!said.contains("two words"), "{said}");
    let said = served.run(&format!("send GetVersion --key {key} --key-file x")).failed(2);
    assert!(!said.contains(&key), "{said}");
}

#[test]
fn certificates_are_verified() {
    let certified =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])
            .expect("a certificate");
    let home = Home::new("");
    let file = |name: &str, text: String| {
        let path = home.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let certificate = file("server.crt", certified.cert.pem());
    let key = file("server.key", certified.signing_key.serialize_pem());
    home.configure(&format!(
        "[Server]\nSSLConfig=T\n[T]\nSSLMethod=Negotiate\nSSLCertificate={certificate}\nSSLPrivateKey={key}\n{}",
        super::CONFIG
    ));
    let server = home.start();
    let url = format!("https://localhost:{}", server.address.port());
    let said = ran(&url, "queues").failed(7);
    assert!(said.contains("certificate") && said.contains("--ca FILE"), "{said}");
    ran(&url, &format!("queues --ca {certificate}")).ok();
    // The wrong scheme, both ways.
    let said = ran(&url.replace("https", "http"), "queues").failed(8);
    assert!(said.contains("https://"), "{said}");
    let plain = Served::start();
    let said = ran(&plain.url().replace("http", "https"), "queues").failed(7);
    assert!(said.contains("http://"), "{said}");
    let said = ran(&plain.url(), &format!("queues --ca {certificate}")).failed(2);
    assert!(said.contains("--ca is for https://"), "{said}");
    let said = ran(&url, "queues --ca /no/such/file").failed(1);
    assert!(said.contains("/no/such/file"), "{said}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let served = Served::start();
    let line = format!("{} send Help | head -n 1", env!("CARGO_BIN_EXE_actiond"));
    let mut shell = std::process::Command::new("bash");
    shell.args(["-o", "pipefail", "-c", &line]).env("ACTIOND_SERVER", served.url());
    let ran = run(shell, b"");
    assert!(ran.err.is_empty(), "{ran:?}");
    ran.ok();
}
