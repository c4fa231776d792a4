//! TLS to the database in each `sslmode`, with certificates made by openssl.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::cluster::Cluster;
use super::servers::{Database, programs};
use super::starting::{PASSWORD, refused};
use crate::server::{CONFIG, Home, Server, wait_until};

/// Two authorities, certificates of the server and of a client, and what PostgreSQL needs of them.
struct Place(tempfile::TempDir);

impl Place {
    /// Makes all of them.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for authority in ["ca", "other"] {
            place.openssl(&format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={authority} \
                 -keyout {authority}.key -out {authority}.crt"
            ));
        }
        place.sign("server", "/CN=db", "subjectAltName=DNS:localhost");
        place.sign("client", "/CN=cert_user", "extendedKeyUsage=clientAuth");
        // As PostgreSQL's manual makes one.
        place.openssl(
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
             -keyout self.key -out self.crt",
        );
        place
    }

    fn sign(&self, name: &str, subject: &str, extension: &str) {
        std::fs::write(self.path(&format!("{name}.ext")), extension).unwrap();
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj {subject} -keyout {name}.key -out {name}.csr"
        ));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile {name}.ext -out {name}.crt"
        ));
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        let output = command
            .args(arguments.split(' ').filter(|a| !a.is_empty()))
            .current_dir(&self.0)
            .output();
        let output = output.expect("openssl");
        assert!(
            output.status.success(),
            "{arguments}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
}

/// The rules of who may come how: each user needs the password, but for `cert_user`.
const RULES: &str = "
local all postgres trust
hostssl all tls_only 127.0.0.1/32 scram-sha-256
hostnossl all plain_only 127.0.0.1/32 scram-sha-256
host all either 127.0.0.1/32 scram-sha-256
hostssl all cert_user 127.0.0.1/32 cert
";

/// A database that is reached by a port, with TLS.
struct Tls {
    database: Database,
    place: Place,
    port: u16,
}

impl Tls {
    fn start(ssl: &str) -> Option<Self> {
        let programs = programs()?;
        let place = Place::new();
        // Free a moment ago; nobody else takes one of these.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = ["fsync=off", "listen_addresses=127.0.0.1", ssl, "ssl_ca_file=ca.crt"];
        let mut cluster = Cluster::made(&programs, &settings, port);
        cluster.write("pg_hba.conf", RULES);
        for name in ["server.crt", "server.key", "ca.crt"] {
            cluster.write(name, &place.read(name));
        }
        cluster.start();
        let database = Database::in_cluster(cluster);
        for user in ["tls_only", "plain_only", "either", "cert_user"] {
            database.query(&format!("CREATE ROLE {user} LOGIN SUPERUSER PASSWORD '{PASSWORD}'"));
        }
        Some(Self { database, place, port })
    }

    fn connection(&self, user: &str, rest: &str) -> String {
        let port = self.port;
        let host = if rest.contains("host=") { "" } else { "host=localhost hostaddr=127.0.0.1" };
        let there = |name: &str| self.place.path(name).display().to_string();
        let rest = ["ca.crt", "other.crt", "self.crt", "client.crt", "client.key", "trusted.crt"]
            .iter()
            .fold(rest.to_owned(), |rest, name| {
                rest.replace(&format!("={name}"), &format!("={}", there(name)))
            });
        format!("{host} port={port} user={user} password={PASSWORD} dbname=postgres {rest}")
    }

    fn home(&self, user: &str, rest: &str) -> Home {
        self.database.home_by(&self.connection(user, rest), "a", CONFIG)
    }

    /// Has the database show the certificate that signed itself.
    fn replace_certificate(&self) {
        let cluster = self.database.cluster();
        cluster.write("server.crt", &self.place.read("self.crt"));
        cluster.write("server.key", &self.place.read("self.key"));
        self.database.query("SELECT pg_reload_conf()");
        // It is read a moment later.
        wait_until("the other certificate", || {
            let mut client = Command::new("openssl");
            client.args(["s_client", "-starttls", "postgres", "-connect"]);
            let shown =
                client.arg(format!("127.0.0.1:{}", self.port)).stdin(Stdio::null()).output();
            let shown = String::from_utf8_lossy(&shown.expect("openssl").stdout).replace(' ', "");
            shown.contains("subject=CN=localhost")
        });
    }

    /// Starts a server that must work, all of its connections with TLS or all without.
    fn works(&self, command: Command, is_encrypted: bool, case: &str) {
        let server = Server::run(command);
        let token = server.submit("&Name=Ada");
        server.wait_for_status(&token, "Finished");
        let sql = "SELECT bool_and(ssl), bool_or(ssl), count(*) > 2 FROM pg_stat_ssl JOIN pg_stat_activity a USING (pid)
             WHERE a.application_name LIKE 'actiond%'";
        let found = self.database.query(sql);
        let [all, some, connections] = found[0].clone().try_into().unwrap();
        let wanted = Some(if is_encrypted { "t" } else { "f" }.to_owned());
        assert_eq!((&all, &some), (&wanted, &wanted), "{case}");
        assert_eq!(connections.as_deref(), Some("t"));
        server.signal("TERM");
        let (status, said) = server.wait();
        assert!(status.success(), "{said:#?}");
    }
}

/// The fate of a connection.
enum Want {
    Plain,
    Encrypted,
    Refused(&'static str),
}

#[test]
fn each_sslmode_means_what_libpq_means_by_it() {
    use Want::{Encrypted, Plain, Refused};
    let Some(tls) = Tls::start("ssl=on") else { return };
    for (user, rest, want) in [
        ("either", "sslmode=disable", Plain),
        ("either", "sslmode=allow", Plain),
        ("either", "", Encrypted),
        ("either", "sslmode=prefer", Encrypted),
        ("either", "sslmode=require channel_binding=require", Encrypted),
        ("either", "sslmode=require host=127.0.0.1", Encrypted),
        // The other way, where the rules of the database want that.
        ("tls_only", "sslmode=allow", Encrypted),
        ("plain_only", "sslmode=prefer", Plain),
        ("tls_only", "sslmode=disable", Refused("no encryption (28000)")),
        ("plain_only", "sslmode=require", Refused("SSL encryption (28000)")),
        (
            "either",
            "sslmode=disable channel_binding=require",
            Refused("server did not use channel binding"),
        ),
        // With a file of authorities the chain is verified.
        ("either", "sslmode=require sslrootcert=ca.crt", Encrypted),
        (
            "either",
            "sslmode=require sslrootcert=other.crt",
            Refused("invalid peer certificate: UnknownIssuer"),
        ),
        ("either", "sslmode=verify-ca sslrootcert=ca.crt host=127.0.0.1", Encrypted),
        (
            "either",
            "sslmode=verify-ca sslrootcert=other.crt",
            Refused("invalid peer certificate: UnknownIssuer"),
        ),
        ("either", "sslmode=verify-full sslrootcert=ca.crt", Encrypted),
        (
            "either",
            "sslmode=verify-full sslrootcert=ca.crt host=127.0.0.1",
            Refused("certificate not valid for name"),
        ),
        ("either", "sslrootcert=system", Refused("invalid peer certificate: UnknownIssuer")),
        ("cert_user", "sslmode=require sslcert=client.crt sslkey=client.key", Encrypted),
        (
            "cert_user",
            "sslmode=require",
            Refused("connection requires a valid client certificate (28000)"),
        ),
    ] {
        let (home, case) = (tls.home(user, rest), format!("{user} {rest}"));
        let command = home.command();
        match want {
            Plain => tls.works(command, false, &case),
            Encrypted => tls.works(command, true, &case),
            Refused(words) => {
                let (code, said) = refused(command);
                assert_eq!(code, 1, "{case}: {said}");
                assert!(said.contains(words), "{case}: {said}");
            }
        }
    }
}

#[test]
fn authorities_of_the_system_and_certificates_that_signed_themselves_are_known() {
    let Some(tls) = Tls::start("ssl=on") else { return };
    let home = tls.home("either", "sslrootcert=system");
    let mut with = home.command();
    with.env("SSL_CERT_FILE", tls.place.path("ca.crt")).env_remove("SSL_CERT_DIR");
    tls.works(with, true, "system");

    tls.replace_certificate();
    let rest = "sslmode=verify-full sslrootcert=self.crt";
    tls.works(tls.home("either", rest).command(), true, rest);
    let (code, said) =
        refused(tls.home("either", "sslmode=verify-full sslrootcert=ca.crt").command());
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("invalid peer certificate"), "{said}");
}

/// The files are read again for each new connection. As long as they can't be used, the earlier ones are.
#[test]
fn authorities_are_read_again_when_they_change() {
    let Some(tls) = Tls::start("ssl=on") else { return };
    let trust = |text: &str| std::fs::write(tls.place.path("trusted.crt"), text).unwrap();
    let lose_connections = || {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'actiond%'";
        tls.database.query(sql);
    };
    trust(&tls.place.read("ca.crt"));
    let home = tls.home("either", "sslmode=verify-full sslrootcert=trusted.crt");
    let server = home.start();
    let is_taken = || server.ask("Process&Name=Ada").is_success();
    assert!(is_taken());

    trust("no certificate");
    lose_connections();
    wait_until("connections with the earlier certificate", is_taken);
    server.wait_for_line(&[
        "certificates for the database are used as they were before",
        "trusted.crt",
    ]);

    tls.replace_certificate();
    lose_connections();
    wait_until("connections that are refused", || !is_taken());
    trust(&tls.place.read("self.crt"));
    wait_until("connections with the new certificate", is_taken);
}

#[test]
fn a_database_without_tls_and_files_that_can_not_be_used_are_told() {
    let Some(tls) = Tls::start("ssl=off") else { return };
    let (code, said) = refused(tls.home("either", "sslmode=require").command());
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("it has no TLS, and sslmode asks for it"), "{said}");
    tls.works(tls.home("either", "sslmode=prefer").command(), false, "prefer");
    let key = tls.place.path("client.key");
    let open = |mode| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(0o644);
    let rest = "sslmode=require sslcert=client.crt sslkey=client.key";
    let (code, said) = refused(tls.home("either", rest).command());
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("client.key: others may use this private key"), "{said}");
    open(0o600);
    let (code, said) =
        refused(tls.home("either", "sslmode=require sslcert=client.crt sslkey=ca.crt").command());
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("ca.crt: "), "{said}");
}
