//! The words of a server that can't use its database, and hosts of which one will do.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::proxy;
use super::servers::{Database, Servers};
use crate::server::{CONFIG, Home, PATIENCE, Server, wait_until};

/// Maximum time for the end of a server that can't use its database, on a machine that is busy.
const SOON: Duration = Duration::from_secs(10);

/// The password in all that is tried here. Nothing may say it.
pub(super) const PASSWORD: &str = "s3cret";

/// Runs a server that must end by itself soon; returns its exit code and what it said.
pub(super) fn refused(mut command: Command) -> (i32, String) {
    let begun = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("it starts");
    while child.try_wait().expect("its status").is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().expect("killed");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let took = begun.elapsed();
    let output = child.wait_with_output().expect("what it said");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(took < SOON, "it took {took:?}: {said}");
    assert!(!said.contains(PASSWORD) && !said.contains("panicked"), "{said}");
    (output.status.code().unwrap_or(-1), said)
}

/// Starts a server with this connection string, which must end soon and say all of these words.
fn must_refuse(database: &Database, connection: &str, words: &[&str]) {
    let home = database.home_by(connection, "a", CONFIG);
    let (code, said) = refused(home.command());
    assert_eq!(code, 1, "{said}");
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
}

/// What programs use is in the data directory, whatever the store is: who comes second there is refused before anything is
/// touched, the database too.
#[test]
fn a_data_directory_has_one_server() {
    let (Some(database), Some(other)) = (Database::shared(), Database::shared()) else { return };
    // A schema that is there, and that no server uses.
    Servers::start(&other, 1, CONFIG).end(0);
    let home = database.home("first", "");
    let path = |name: &str| home.path().join(name);
    let script = format!(
        "pwd > {0}/where; : > kept; until [ -e {0}/end ]; do sleep 0.02; done; [ -e kept ]",
        home.path().display()
    );
    fs::write(path("work.sh"), script).unwrap();
    let config = |name| {
        let keys = database.keys(&database.connection());
        let work = path("work.sh");
        let queue = format!("[Work]\nType=Command\nCommand=/bin/sh {}\n", work.display());
        format!("[Server]\nServerName={name}\n{keys}\n[AsyncActions]\n0=Work\n{queue}")
    };
    home.configure(&config("first"));
    let first = home.start();
    let token = first.submit_to("Work", "");
    wait_until("its program", || path("where").exists());
    let servers = || database.query("SELECT count(*) FROM server");
    let before = servers();

    let (data, pid) = (home.data(), first.pid());
    let at = |home: &Home| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_actiond"));
        command.arg("--config").arg(home.path().join("test.cfg")).arg("--data").arg(&data);
        command.args(["--port", "0"]).current_dir(home.path());
        command
    };
    let must_refuse = |command, more: &[&str]| {
        let (code, said) = refused(command);
        assert_eq!(code, 1, "{said}");
        let in_use = format!("{} is in use by another server (process {pid})", data.display());
        for words in more.iter().chain(&[&*in_use]) {
            assert!(said.contains(words), "{words}: {said}");
        }
    };
    let second = Home::new(&config("second"));
    let alone = Home::new(CONFIG);
    let advice = "a DataDirectory of its own, by [Paths] DataDirectory or --data";
    must_refuse(at(&second), &[advice]);
    must_refuse(at(&alone), &[advice]);
    let mut migrate = Command::new(env!("CARGO_BIN_EXE_actiond"));
    migrate.args(["migrate", "--from", &other.connection(), "--schema", &other.schema]);
    migrate.arg("--to").arg(&data);
    must_refuse(migrate, &[]);

    fs::remove_file(data.join("actiond.lock")).unwrap();
    wait_until("the lock file", || {
        let text = fs::read_to_string(data.join("actiond.lock"));
        text.is_ok_and(|text| text.trim() == pid.to_string())
    });
    must_refuse(at(&second), &[advice]);
    assert_eq!(servers(), before, "the database was touched");
    assert!(!data.join("actions.db").exists(), "a file was made");

    fs::write(path("end"), "").unwrap();
    assert_eq!(first.outcome("Work", &token).must("status"), "Finished", "what it had is gone");
    first.kill();
    drop(Server::run(at(&second)));
}

#[test]
fn a_database_that_can_not_be_reached_is_told_with_host_port_and_reason() {
    let Some(database) = Database::shared() else { return };
    // Bound, and not listening: nobody else gets the port.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = closed.local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    let socket = database.cluster().directory().display();
    for (connection, words) in [
        (
            format!("postgres://u:{PASSWORD}@{closed}/d"),
            [format!("can't be reached: {closed}: Connection refused"), String::new()],
        ),
        (
            format!("postgres://u:{PASSWORD}@{silent}/d"),
            [format!("can't be reached: {silent}: it did not answer within 1.5 s"), String::new()],
        ),
        (
            format!("postgres://u:{PASSWORD}@{silent},{closed}/d"),
            [
                format!("{silent}: it did not answer within 0."),
                format!("; {closed}: Connection refused"),
            ],
        ),
        (
            format!("postgres://u:{PASSWORD}@nowhere.invalid/d"),
            ["can't be reached: nowhere.invalid:5432: ".to_owned(), String::new()],
        ),
        (
            format!("host=/nowhere password={PASSWORD}"),
            ["/nowhere/.s.PGSQL.5432: No such file".to_owned(), String::new()],
        ),
        (
            format!("host={socket} user=postgres dbname=absent"),
            [
                format!("{socket}/.s.PGSQL.5432: database \"absent\" does not exist (3D000)"),
                String::new(),
            ],
        ),
        (
            format!("host={socket} user=nobody_here dbname=postgres"),
            ["role \"nobody_here\" does not exist".to_owned(), String::new()],
        ),
    ] {
        must_refuse(&database, &connection, &[&words[0], &words[1]]);
    }
}

/// The first host that takes writes will do, whatever is wrong with those before it.
#[test]
fn hosts_that_are_dead_silent_or_read_only_are_passed_over() {
    let Some(database) = Database::shared() else { return };
    let Some(standby) = Database::own(&["default_transaction_read_only=on"]) else { return };
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().port();
    let good = database.cluster().directory().display();
    let read_only = standby.cluster().directory().display();
    let rest = "user=postgres dbname=postgres";
    for hosts in [
        format!("host=/nowhere,{good}"),
        format!("host=127.0.0.1,{good} port={silent},5432"),
        format!("host={read_only},{good}"),
        format!("host={good},/nowhere target_session_attrs=any load_balance_hosts=random"),
    ] {
        let servers = Servers::start_by(&database, &[format!("{hosts} {rest}")], CONFIG);
        let token = servers[0].submit("&Name=Ada");
        servers[0].wait_for_status(&token, "Finished");
    }
    let connection = format!("host={read_only} {rest}");
    must_refuse(&standby, &connection, &["it takes no writes; it may be a standby"]);
}

#[test]
fn rights_that_are_lacking_are_told_with_the_grants() {
    let Some(database) = Database::shared() else { return };
    let (schema, user) = (&database.schema, format!("app{}", fastrand::u64(..)));
    let admin = |sql: &str| drop(database.query(sql));
    let connection =
        format!("host={} user={user} dbname=postgres", database.cluster().directory().display());
    admin(&format!("CREATE ROLE \"{user}\" LOGIN"));
    let create = format!("CREATE SCHEMA \"{schema}\" AUTHORIZATION \"{user}\"");
    must_refuse(&database, &connection, &["may not create the schema", &create]);

    admin(&format!("CREATE SCHEMA \"{schema}\""));
    let grant = format!("GRANT USAGE, CREATE ON SCHEMA \"{schema}\" TO \"{user}\"");
    must_refuse(&database, &connection, &["may not create tables in the schema", &grant]);
    admin(&format!("GRANT USAGE ON SCHEMA \"{schema}\" TO \"{user}\""));
    must_refuse(&database, &connection, &["may not create tables in the schema", &grant]);

    // Another user has made the tables.
    drop(Servers::start(&database, 1, CONFIG));
    let words =
        ["may not use all of the schema", "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES"];
    must_refuse(&database, &connection, &words);
    let (code, said) = refused(database.home_by(&connection, "a", CONFIG).command());
    assert_eq!(code, 1);
    let grants = said.split("can allow it: ").nth(1).expect("the grants").trim();
    admin(grants);
    let servers = Servers::start_by(&database, &[connection], CONFIG);
    let token = servers[0].submit("&Name=Ada");
    servers[0].wait_for_status(&token, "Finished");
}

#[test]
fn tables_of_a_newer_version_are_left_alone() {
    let Some(database) = Database::shared() else { return };
    Servers::start(&database, 1, CONFIG).end(0);
    database.query("UPDATE meta SET version = 9999");
    let words = ["can't be used: a newer actiond has made its tables (version 9999;"];
    must_refuse(&database, &database.connection(), &words);
}

#[test]
fn a_pooler_in_transaction_mode_is_told() {
    let Some(database) = Database::shared() else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _guard = runtime.enter();
    let directory = proxy::deaf(database.cluster().socket());
    let connection = format!("host={} user=postgres", directory.path().display());
    let words = ["can't be used", "Is there a pooler in transaction mode between?"];
    must_refuse(&database, &connection, &words);

    // PgBouncer gives a session in which the one before has prepared statements under the same names.
    let again = Database::shared().expect("there is one");
    again.query(&format!(
        "CREATE SCHEMA \"{}\"; CREATE FUNCTION pooled() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION 'prepared statement \"s3\" already exists' USING ERRCODE = '42P05';
         END $$; CREATE VIEW meta AS SELECT pooled() AS version",
        again.schema
    ));
    must_refuse(&again, &again.connection(), &words);
}

/// Faults of the keys themselves are told as for any key, and stops the start before anything is reached.
#[test]
fn keys_that_do_not_go_together_are_told() {
    let postgres = "[Actions]\nAsyncStoreLibraryName=Postgres\n";
    for (text, want) in [
        (
            postgres.to_owned(),
            "test.cfg:2: [Actions] AsyncStoreLibraryName=Postgres: needs ConnectionString or",
        ),
        (
            format!("[Actions]\nConnectionString=host=h password={PASSWORD}\n"),
            "test.cfg:2: [Actions] ConnectionString=host=h password=***: needs AsyncStoreLibraryName=postgres",
        ),
        (
            format!("{postgres}ConnectionString=postgres://u:{PASSWORD}@h/d?sslmod=require\n"),
            "test.cfg:3: [Actions] ConnectionString=***: can't be used: the parameter sslmod is not known here; there are host,",
        ),
        (
            format!(
                "{postgres}ConnectionString=host=h sslmode=verify-ca sslrootcert=/nowhere password={PASSWORD}\n"
            ),
            "can't be used: /nowhere: ",
        ),
    ] {
        let (code, said) = refused(Home::new(&text).command());
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(want), "{want}: {said}");
    }
}

/// A database server has means of its own for backups.
#[test]
fn a_backup_is_left_to_the_tools_of_the_database() {
    let Some(database) = Database::shared() else { return };
    let home = database.home("a", CONFIG);
    let server = home.start();
    let (code, text) = server.post("BackupServer", &[("Path", "backups")]).error();
    assert_eq!(code, "ERRORUNAVAILABLE");
    assert!(text.contains("pg_dump"), "{text}");
    let (code, text) = server.post("RestoreServer", &[("FileName", "backups/x.zip")]).error();
    assert_eq!(code, "ERRORUNAVAILABLE");
    assert!(text.contains("pg_dump"), "{text}");
}
