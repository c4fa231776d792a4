//! The password by each of the ways in which libpq takes one.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::cluster::Cluster;
use super::servers::{Database, programs};
use super::starting::{PASSWORD, refused};
use crate::server::{CONFIG, Home, Server};
use crate::service::ServicePort;

/// A cluster in which the user `app` needs a password, and an administrator none.
fn database() -> Option<Database> {
    let mut cluster = Cluster::made(&programs()?, &["fsync=off"], 5432);
    cluster.write("pg_hba.conf", "local all postgres trust\nlocal all app scram-sha-256\n");
    cluster.start();
    let database = Database::in_cluster(cluster);
    let password = format!(
        "SET password_encryption = 'scram-sha-256'; CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'"
    );
    database.query(&password);
    database.query(&format!("CREATE SCHEMA \"{}\" AUTHORIZATION app", database.schema));
    Some(database)
}

fn file(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Makes the command of a server whose environment holds none of the variables that are looked at.
fn command(home: &Home) -> Command {
    let mut command = home.command();
    command.env_remove("PGPASSWORD").env_remove("PGPASSFILE").env("HOME", home.path());
    // Whatever is logged, the password is not.
    command.env("RUST_LOG", "trace");
    command
}

/// Queues, and the port by which the configuration is shown.
fn config() -> String {
    format!("[Service]\nServicePort=0\n{CONFIG}")
}

fn works(command: Command) {
    let server = Server::run(command);
    let shown = ServicePort::of(&server).text("GetConfig");
    assert!(shown.contains("AsyncStoreLibraryName=postgres\n"), "{shown}");
    assert!(!shown.contains(PASSWORD), "{shown}");
    let token = server.submit("&Name=Parameter");
    server.wait_for_status(&token, "Finished");
    server.signal("TERM");
    let (status, said) = server.wait();
    assert!(status.success(), "{said:#?}");
    for word in [PASSWORD, "executing statement", "Parameter"] {
        // Requests are logged; what is sent to the database is not.
        let found = said.iter().find(|line| line.contains(word) && line.contains("postgres"));
        assert_eq!(found, None, "{word}");
    }
    assert!(!said.iter().any(|line| line.contains(PASSWORD)), "{said:#?}");
}

#[test]
fn the_password_comes_from_the_string_the_environment_or_a_file() {
    let Some(database) = database() else { return };
    let socket = database.cluster().directory().display().to_string();
    let encoded = socket.replace('/', "%2F");
    let plain = format!("host={socket} user=app dbname=postgres");

    // In the string, in both forms.
    for connection in [
        format!("postgres://app:{PASSWORD}@{encoded}/postgres"),
        format!("postgresql:///postgres?host={socket}&user=app&password={PASSWORD}"),
        format!("{plain} password='{PASSWORD}'"),
    ] {
        works(command(&database.home_by(&connection, "a", &config())));
    }

    // In the environment.
    let home = database.home_by(&plain, "a", &config());
    let mut with = command(&home);
    with.env("PGPASSWORD", PASSWORD);
    works(with);

    // In a password file: the usual one, and one that is named.
    let line =
        format!("# some\nlocalhost:*:other:*:wrong\nlocalhost:5432:postgres:app:{PASSWORD}\n");
    file(&home.path().join(".pgpass"), &line, 0o600);
    works(command(&home));
    std::fs::rename(home.path().join(".pgpass"), home.path().join("pass")).unwrap();
    let mut with = command(&home);
    with.env("PGPASSFILE", home.path().join("pass"));
    works(with);
    let named = format!("{plain} passfile={}", home.path().join("pass").display());
    works(command(&database.home_by(&named, "a", &config())));

    // The whole string in a file.
    let whole = home.path().join("database.txt");
    file(&whole, &format!("{plain} password={PASSWORD}\n"), 0o600);
    let keys =
        database.keys("x").replace("ConnectionString=x", "ConnectionStringFile=database.txt");
    home.configure(&format!("{keys}\n{}", config()));
    works(command(&home));
}

#[test]
fn a_password_that_is_wrong_or_lacking_is_told_and_a_file_that_others_read_is_not_used() {
    let Some(database) = database() else { return };
    let socket = database.cluster().directory().display().to_string();
    let plain = format!("host={socket} user=app dbname=postgres");
    let (code, said) = refused(command(&database.home_by(&plain, "a", &config())));
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains(&format!(
            "{socket}/.s.PGSQL.5432: it asks for a password, and there is none"
        )),
        "{said}"
    );

    let wrong = format!("{plain} password=wr0ng");
    let (code, said) = refused(command(&database.home_by(&wrong, "a", &config())));
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("password authentication failed for user \"app\" (28P01)"), "{said}");
    assert!(!said.contains("wr0ng"), "{said}");

    let home = database.home_by(&plain, "a", &config());
    let pass = home.path().join(".pgpass");
    file(&pass, &format!("*:*:*:*:{PASSWORD}\n"), 0o640);
    let (code, said) = refused(command(&home));
    assert_eq!(code, 1, "{said}");
    let warning = format!(
        "the password file {} is not used: others than its owner may use it",
        pass.display()
    );
    assert!(said.contains("WARN") && said.contains(&warning), "{said}");
    // One that is put right, or another that has the right password now, needs no restart of anything else.
    file(&pass, &format!("*:*:*:*:{PASSWORD}\n"), 0o600);
    works(command(&home));
}

/// The configuration as it is shown has no password in it, and is as good a configuration otherwise.
#[test]
fn the_password_is_not_shown() {
    let connection = format!("postgres://app:{PASSWORD}@db.example.org/d?sslmode=require");
    let home = Home::new(&format!(
        "[Actions]\nAsyncStoreLibraryName=postgres\nConnectionString={connection}\n"
    ));
    let mut command = Command::new(env!("CARGO_BIN_EXE_actiond"));
    let output =
        command.args(["config", "--config", "test.cfg"]).current_dir(home.path()).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}");
    let line =
        "\nConnectionString=user=app password=*** host=db.example.org dbname=d sslmode=require\n";
    assert!(shown.contains(line), "{shown}");
    assert!(!shown.contains(PASSWORD) && output.stderr.is_empty(), "{shown}");
}
