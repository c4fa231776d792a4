//! TLS of the real program: its configuration, both ports, certificates of clients, and files that change. The handshake itself
//! is tested in `src/tls` and `src/http`.

use std::fs;
use std::io::Read as _;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    date_time_ymd,
};

use super::server::{Home, Server, between, wait_until};

/// A home with an authority, whose certificate is `ca.pem`, and the files of a server, `server.pem` and `server.key`.
struct Secure {
    home: Home,
    issuer: Issuer<'static, KeyPair>,
}

impl Secure {
    /// Makes it with these lines of `[Server]`, and of what follows the SSL option.
    fn new(server: &str, rest: &str) -> Self {
        let home = Home::new(&format!(
            "[Server]\nSSLConfig=SSLOption0\n{server}\n[SSLOption0]\nSSLMethod=Negotiate\nSSLCertificate=server.pem\n\
             SSLPrivateKey=server.key\n{rest}"
        ));
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        fs::write(home.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let secure = Self { home, issuer: Issuer::new(params, key) };
        secure.sign("server", "localhost", |_| {});
        secure
    }

    /// Writes a certificate and its key for this common name.
    fn sign(&self, file: &str, name: &str, describe: impl FnOnce(&mut CertificateParams)) {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        describe(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        // As programs do that renew certificates: at once.
        for (end, text) in [("key", key.serialize_pem()), ("pem", certificate.pem())] {
            let fresh = self.path("fresh");
            fs::write(&fresh, text).unwrap();
            fs::rename(fresh, self.path(&format!("{file}.{end}"))).unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Asks a port by `curl`, with these arguments beside.
    fn curl(&self, port: u16, target: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new("curl");
        command.args(["-s", "-S", "-m", "30", "--cacert", "ca.pem"]).args(arguments);
        command.arg(format!("https://localhost:{port}{target}")).current_dir(self.home.path());
        command.output().expect("curl")
    }

    fn get(&self, port: u16, target: &str, arguments: &[&str]) -> String {
        let output = self.curl(port, target, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{target} {arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a server says that can't be started, and its exit code.
    fn refused(&self) -> (Option<i32>, String) {
        let output = self.home.command().output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Returns the service port, as `GetChildren` says it.
fn service_port(secure: &Secure, server: &Server, arguments: &[&str]) -> u16 {
    let reply = secure.get(server.address.port(), "/action=GetChildren", arguments);
    between(&reply, "<autn:serviceport>", "<").unwrap().parse().unwrap()
}

#[test]
fn both_ports_speak_tls_and_say_so() {
    let secure = Secure::new("", "[Service]\nServicePort=0\nSSLConfig=SSLOption0\n");
    let server = secure.home.start();
    let port = server.address.port();
    let reply = secure.get(port, "/action=Process&Wait=30&Name=Ada", &[]);
    assert!(reply.contains("<status>Finished</status>"), "{reply}");
    let children = secure.get(port, "/action=GetChildren", &[]);
    assert!(children.contains("<autn:serviceport_ssl_enabled>true<"), "{children}");
    let service = service_port(&secure, &server, &[]);
    let status = secure.get(service, "/action=GetStatus", &[]);
    assert_eq!(
        status,
        "<ACTION>GETSTATUS</ACTION>\n<RESPONSE>Running</RESPONSE>\n<RESPONSEDATA></RESPONSEDATA>\n"
    );
    let plain = server.get("/action=GetStatus");
    assert!(plain.contains("https://"), "{plain}");
    // The whole drain is over TLS, too.
    assert!(secure.get(service, "/action=Stop", &[]).contains("SUCCESS"));
    let (status, _) = server.wait();
    assert!(status.success());
}

/// The metrics over TLS, for a certificate that has their role.
#[test]
fn a_certificate_lets_its_owner_see_the_metrics() {
    let secure = Secure::new(
        "",
        "SSLCACertificate=ca.pem\n[AuthorizationRoles]\n0=Watchers\n[Watchers]\nStandardRoles=ServiceStatus\nSSLIdentities=ada\n",
    );
    secure.sign("ada", "Ada", |_| {});
    let server = secure.home.start();
    let port = server.address.port();
    let seen = secure.get(port, "/metrics", &["--cert", "ada.pem", "--key", "ada.key"]);
    assert!(seen.contains("actiond_http_connections 1\n"), "{seen}");
    let refused = secure.get(port, "/metrics", &["-i"]);
    assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
}

#[test]
fn the_service_port_can_be_plain_and_says_so() {
    let secure = Secure::new("", "[Service]\nServicePort=0\n");
    let server = secure.home.start();
    let children = secure.get(server.address.port(), "/action=GetChildren", &[]);
    assert!(children.contains("<autn:serviceport_ssl_enabled>false<"), "{children}");
}

#[test]
fn a_certificate_gives_its_owner_a_role() {
    let secure = Secure::new(
        "",
        "SSLCACertificate=ca.pem\n[AuthorizationRoles]\n0=Ours\n[Ours]\nStandardRoles=Query\nSSLIdentities=ada\n",
    );
    secure.sign("ada", "Ada", |_| {});
    secure.sign("bob", "Bob", |_| {});
    let server = secure.home.start();
    let port = server.address.port();
    let with = |name: &str| {
        let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
        secure.get(port, "/action=Process&Wait=30", &["--cert", &certificate, "--key", &key])
    };
    assert!(with("ada").contains("<status>Finished</status>"));
    for refused in [with("bob"), secure.get(port, "/action=Process&Wait=30", &[])] {
        assert!(refused.contains("ERRORPERMISSION"), "{refused}");
    }
    // One of another authority, and one that has expired, do not even get as far.
    let other = Secure::new("", "");
    other.sign("ada", "Ada", |_| {});
    for end in ["pem", "key"] {
        fs::copy(other.path(&format!("ada.{end}")), secure.path(&format!("other.{end}"))).unwrap();
    }
    secure.sign("old", "Ada", |params| params.not_after = date_time_ymd(2020, 1, 2));
    for name in ["other", "old"] {
        let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
        let output = secure.curl(port, "/action=Process", &["--cert", &certificate, "--key", &key]);
        assert!(!output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn a_certificate_can_be_required() {
    let secure = Secure::new("", "SSLCACertificate=ca.pem\nSSLCheckCertificate=true\n");
    secure.sign("ada", "Ada", |_| {});
    let server = secure.home.start();
    let port = server.address.port();
    assert!(!secure.curl(port, "/action=GetVersion", &[]).status.success());
    let reply = secure.get(port, "/action=GetVersion", &["--cert", "ada.pem", "--key", "ada.key"]);
    assert!(reply.contains("SUCCESS"), "{reply}");
}

#[test]
fn files_that_can_not_be_used_stop_the_start() {
    let secure = Secure::new("", "");
    secure.sign("other", "localhost", |_| {});
    let break_by = |what: &str| match what {
        "missing" => fs::remove_file(secure.path("server.key")).unwrap(),
        "mismatched" => {
            fs::copy(secure.path("other.key"), secure.path("server.key")).unwrap();
        }
        "expired" => secure.sign("server", "localhost", |params| {
            params.not_after = date_time_ymd(2020, 1, 2);
        }),
        _ => fs::write(secure.path("server.pem"), "no certificate").unwrap(),
    };
    for (what, file, why) in [
        ("missing", "server.key", "No such file"),
        ("mismatched", "server.key", "certificate"),
        ("expired", "server.pem", "expired"),
        ("junk", "server.pem", "certificate"),
    ] {
        secure.sign("server", "localhost", |_| {});
        break_by(what);
        let (code, said) = secure.refused();
        assert_eq!(code, Some(2), "{what}: {said}");
        let line = said.lines().find(|line| line.contains(file) && line.contains(why));
        assert!(line.is_some(), "{what}: {said}");
        assert!(!said.contains("answers on"), "{what}: {said}");
    }
}

#[test]
fn files_that_change_are_taken_and_bad_ones_are_not() {
    let secure = Secure::new("", "[Service]\nServicePort=0\nSSLConfig=SSLOption0\n");
    let server = secure.home.start();
    let port = server.address.port();
    let service = service_port(&secure, &server, &[]);
    let subject = |port: u16| {
        let output = secure.curl(port, "/action=GetStatus", &["-v"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        between(&said, "subject: CN=", "\n").unwrap_or_else(|| panic!("{said}")).trim().to_owned()
    };
    assert_eq!(subject(port), "localhost");
    // By itself, for both ports.
    secure.sign("server", "second", |_| {});
    server.wait_for_line(&["TLS: new connections use ", "CN=second"]);
    for port in [port, service] {
        wait_until("the second certificate", || subject(port) == "second");
    }
    // Asked for by a signal.
    secure.sign("server", "third", |_| {});
    server.signal("HUP");
    wait_until("the third certificate", || subject(port) == "third");
    // A key that is not its own: the pair of before stays.
    let key = fs::read(secure.path("server.key")).unwrap();
    secure.sign("other", "other", |_| {});
    fs::copy(secure.path("other.key"), secure.path("server.key")).unwrap();
    server.signal("HUP");
    server.wait_for_line(&["ERROR", "SIGHUP: nothing was changed: ", "server.key: "]);
    assert_eq!(subject(port), "third");
    fs::write(secure.path("server.key"), key).unwrap();
    assert!(secure.get(port, "/action=GetStatus", &[]).contains("SUCCESS"));
}

#[test]
fn a_signal_takes_other_files_and_options_for_each_port() {
    let roles =
        "[AuthorizationRoles]\n0=All\n[All]\nStandardRoles=Query,ServiceStatus,Admin\nClients=*\n";
    let secure =
        Secure::new("", &format!("[Service]\nServicePort=0\nSSLConfig=SSLOption0\n{roles}"));
    let server = secure.home.start();
    let port = server.address.port();
    let service = service_port(&secure, &server, &[]);
    secure.sign("ada", "Ada", |_| {});
    let subject = |port: u16| {
        let with = ["-v", "--cert", "ada.pem", "--key", "ada.key"];
        let said = secure.curl(port, "/action=GetStatus", &with);
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        between(&said, "subject: CN=", "\n").unwrap_or_else(|| panic!("{said}")).trim().to_owned()
    };
    let config = fs::read_to_string(secure.path("test.cfg")).unwrap();
    let reload = |config: &str| {
        fs::write(secure.path("test.cfg"), config).unwrap();
        server.reload();
    };

    // The service port gets files of its own, and the other one asks for certificates.
    secure.sign("other", "other", |_| {});
    let apart = config
        .replace("ServicePort=0\nSSLConfig=SSLOption0", "ServicePort=0\nSSLConfig=SSLOption1")
        .replace("[Service]\n", "SSLCACertificate=ca.pem\nSSLCheckCertificate=true\n[Service]\n");
    let apart = format!(
        "{apart}[SSLOption1]\nSSLMethod=Negotiate\nSSLCertificate=other.pem\nSSLPrivateKey=other.key\n"
    );
    reload(&apart);
    assert_eq!((subject(port), subject(service)), ("localhost".to_owned(), "other".to_owned()));
    assert!(!secure.curl(port, "/action=GetVersion", &[]).status.success(), "none is required");
    assert!(secure.curl(service, "/action=GetStatus", &[]).status.success());

    // What can't be put in force changes nothing, neither certificates nor roles.
    secure.sign("third", "third", |_| {});
    let closed = apart.replace("Clients=*", "Clients=192.0.2.7").replace("=other.", "=third.");
    // Options that no port names would be an error by themselves.
    let drop_from = |text: String, from: &str, to: &str| {
        let (head, rest) = text.split_once(from).expect("the options");
        let tail = rest.split_once(to).map(|(_, tail)| format!("{to}{tail}"));
        format!("{head}{}", tail.unwrap_or_default())
    };
    let server_off = closed.replace("[Server]\nSSLConfig=SSLOption0\n", "[Server]\n");
    let service_off = closed.replace("ServicePort=0\nSSLConfig=SSLOption1", "ServicePort=0");
    let port_off = closed.replace("ServicePort=0\nSSLConfig=SSLOption1", "");
    for (bad, why) in [
        (closed.replace("SSLPrivateKey=third.key", "SSLPrivateKey=none.key"), "none.key"),
        (drop_from(server_off, "[SSLOption0]", "[Service]"), "[Server] SSLConfig"),
        (drop_from(service_off, "[SSLOption1]", "\0"), "[Service] SSLConfig"),
        (drop_from(port_off, "[SSLOption1]", "\0"), "[Service] ServicePort"),
    ] {
        assert_ne!(bad, closed);
        reload(&bad);
        server.wait_for_line(&["ERROR", "SIGHUP: nothing was changed: ", why]);
        assert_eq!((subject(port), subject(service)), ("localhost".to_owned(), "other".to_owned()));
        let reply = secure.get(service, "/action=GetStatus", &[]);
        assert!(reply.contains("SUCCESS") || reply.contains("Running"), "{why}: {reply}");
    }
    reload(&closed);
    assert_eq!(subject(service), "third");
    let reply = secure.get(service, "/action=GetStatus", &[]);
    assert!(reply.contains("ERROR"), "{reply}");
}

#[test]
fn the_handshake_of_a_connection_beyond_the_limit_has_a_second() {
    let secure = Secure::new("MaxConnectionsPerClient=1", "");
    let server = secure.home.start();
    let began = Instant::now();
    let silent = [(); 2].map(|()| TcpStream::connect(server.address).unwrap());
    silent.iter().for_each(|stream| stream.set_nonblocking(true).unwrap());
    // Whichever of them came first to its worker.
    wait_until("the end of one", || {
        silent.iter().any(|mut stream| matches!(stream.read(&mut [0]), Ok(0)))
    });
    // All others have ten.
    assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
    let reply = secure.get(server.address.port(), "/action=GetVersion", &[]);
    assert!(reply.contains("MaxConnectionsPerClient=1"), "{reply}");
}

#[test]
fn a_key_that_can_not_be_honoured_is_told_on_a_signal() {
    let secure = Secure::new("", "");
    let server = secure.home.start();
    let config = fs::read_to_string(secure.path("test.cfg")).unwrap();
    fs::write(secure.path("test.cfg"), format!("{config}SSLVersion=3\n")).unwrap();
    server.signal("HUP");
    server.wait_for_line(&["ERROR", "SIGHUP: nothing was changed", "SSLVersion"]);
}
