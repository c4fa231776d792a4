//! SIGHUP reads roles and files of keys again: nobody notices but who has more or less than before, and a configuration with
//! an error changes nothing.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::super::server::wait_until;
use super::*;

fn config(keys: &str, viewers: &str) -> String {
    format!(
        "
[Server]
{PROXY}
[Service]
ServicePort=0
[AuthorizationRoles]
0=Administrators
1=Viewers
[Administrators]
StandardRoles=Admin,ServiceControl
Keys={keys}
[Viewers]
StandardRoles=Query,ServiceStatus
Clients={viewers}
[AsyncActions]
0=Process
[Process]
Type=Echo
"
    )
}

fn is_held(server: &Server, who: &Who, action: &str) -> bool {
    !is_refused(&send_to(server.address, &who.get(&format!("/action={action}"))))
}

#[test]
fn roles_are_read_again() {
    let (first, second) = (Key::make(), Key::make());
    let home = Home::new(&config(&first.hash, "192.0.2.7"));
    let server = home.start();
    let (old, new) = (Who::here().with(&first.text), Who::here().with(&second.text));
    let (was, is) = (Who::at("192.0.2.7"), Who::at("10.1.2.3"));
    old.may(&server, "GetStatus");
    new.may_not(&server, "GetStatus");
    was.may(&server, "GetPid");
    is.may_not(&server, "GetPid");
    let port = service_port(&server, &was);
    let pid = was.may(&server, "GetPid").must("pid");

    configure(&home, &config(&second.hash, "10.0.0.0/8"));
    // Before the signal nothing of it counts.
    old.may(&server, "GetStatus");
    is.may_not(&server, "GetPid");
    server.signal("HUP");
    wait_until("the new roles", || is_held(&server, &is, "GetPid"));
    old.may_not(&server, "GetStatus");
    new.may(&server, "GetStatus");
    was.may_not(&server, "GetPid");
    assert_eq!(is.may(&server, "GetPid").must("pid"), pid);
    // At the service port as well.
    let response = |who: &Who| {
        told(&ask_service(port, who, "/action=GetStatus").body_text(), "RESPONSE").to_owned()
    };
    assert_eq!((response(&is), response(&was)), ("Running".to_owned(), "ERROR".to_owned()));
    server.wait_for_line(&["SIGHUP"]);
    // An open connection is no way to keep a role.
    let mut talk = Talk::with(server.address);
    let mut ask = |who: &Who| is_refused(&talk.say(&who.get("/action=GetStatus")));
    assert!(!ask(&new));
    configure(&home, &config(&first.hash, "10.0.0.0/8"));
    server.signal("HUP");
    wait_until("the old key", || is_held(&server, &old, "GetStatus"));
    assert!(ask(&new), "the connection kept its role");
    assert!(!ask(&old));
    end(server);
}

#[test]
fn a_file_of_keys_is_read_again() {
    let (first, second) = (Key::make(), Key::make());
    let home = Home::new(&config("keys.txt", "*"));
    let file = home.path().join("keys.txt");
    std::fs::write(&file, format!("{}\n", first.hash)).expect("a file");
    let server = home.start();
    let (old, new) = (Who::here().with(&first.text), Who::here().with(&second.text));
    old.may(&server, "GetStatus");
    new.may_not(&server, "GetStatus");
    std::fs::write(&file, format!("# a new one\n{}\n", second.hash)).expect("a file");
    server.signal("HUP");
    wait_until("the new key", || is_held(&server, &new, "GetStatus"));
    old.may_not(&server, "GetStatus");

    // A file that can't be used, or is gone, leaves the keys as they were, and says so.
    for text in [Some("sha256:abc\n"), None] {
        match text {
            Some(text) => std::fs::write(&file, text).expect("a file"),
            None => std::fs::remove_file(&file).expect("it is gone"),
        }
        let before = server.log_lines("keys.txt");
        server.signal("HUP");
        wait_until("what is wrong with the keys", || server.log_lines("keys.txt") > before);
        new.may(&server, "GetStatus");
        old.may_not(&server, "GetStatus");
    }
}

#[test]
fn a_configuration_with_an_error_changes_nothing_and_says_so() {
    let key = Key::make();
    let good = config(&key.hash, "192.0.2.7");
    let home = Home::new(&good);
    let server = home.start();
    let (admin, viewer, other) =
        (Who::here().with(&key.text), Who::at("192.0.2.7"), Who::at("10.1.2.3"));
    let as_before = || {
        admin.may(&server, "GetStatus");
        viewer.may(&server, "GetPid");
        other.may_not(&server, "GetPid");
        viewer.may_not(&server, "GetStatus");
        Who::here().may_not(&server, "GetStatus");
    };
    as_before();
    let clients = |line: &str| good.replace("Clients=192.0.2.7", line);
    let open = good.replace("192.0.2.7", "*");
    for (bad, line) in [
        (clients("Clients=10.0.0.0/8,10.0.0.0/99"), "Clients=10"),
        (clients("Client=10.0.0.0/8"), "Client=10"),
        (good.replace("Query,ServiceStatus", "Query,Statuses"), "StandardRoles=Query,Statuses"),
        (clients("Clients=10.0.0.0/8\nQueues=Wobble"), "Queues=Wobble"),
        (clients("Clients=10.0.0.0/8,nowhere.invalid"), "Clients=10"),
        (good.replace("[Viewers]", "[Wiewers]"), "[Wiewers]"),
        // An error elsewhere in the file is one, too.
        (open.replace("Type=Echo", "Type=Ehco"), "Type=Ehco"),
        (open.replace("[AsyncActions]", "[AsyncActions"), "[AsyncActions"),
        // Nor is one that is only begun a file without roles, with which everybody may look.
        ("[AuthorizationRoles\n".to_owned(), "[AuthorizationRoles"),
    ] {
        configure(&home, &bad);
        let before = server.log_lines("nothing was changed");
        server.signal("HUP");
        wait_until(&format!("what is wrong in:\n{bad}"), || {
            server.log_lines("nothing was changed") > before
        });
        let line = bad.lines().position(|l| l.starts_with(line)).expect("a line") + 1;
        server.wait_for_line(&[&format!("test.cfg:{line}:")]);
        as_before();
    }
    std::fs::remove_file(home.path().join("test.cfg")).expect("it is gone");
    let before = server.log_lines("nothing was changed");
    server.signal("HUP");
    wait_until("that the file is gone", || server.log_lines("nothing was changed") > before);
    as_before();
    // It goes on from there once the file is right again.
    configure(&home, &config(&key.hash, "10.0.0.0/8"));
    server.signal("HUP");
    wait_until("the new roles", || is_held(&server, &other, "GetPid"));
    viewer.may_not(&server, "GetPid");
    end(server);
}

/// Clients that ask all the time see only what they may, and no failed request, whatever is read meanwhile.
#[test]
fn nobody_notices_under_load() {
    let (stays, other) = (Key::make(), Key::make());
    // The key that is asked with stays; the other comes and goes, in the configuration and in a file.
    let home = Home::new(&config("keys.txt", "192.0.2.7"));
    let file = home.path().join("keys.txt");
    let write = |keys: &[&Key]| {
        let hashes: Vec<_> = keys.iter().map(|key| key.hash.clone()).collect();
        // At once, as who does it while the server runs should.
        std::fs::write(home.path().join("new.txt"), hashes.join("\n")).expect("a file");
        std::fs::rename(home.path().join("new.txt"), &file).expect("in its place");
    };
    write(&[&stays]);
    let server = home.start();
    let is_over = AtomicBool::new(false);
    let asked = AtomicUsize::new(0);
    let address = server.address;
    let clients = [
        (Who::here().with(&stays.text), "GetStatus", false),
        (Who::here().with(&stays.text), "Process&Name=x", true),
        (Who::at("192.0.2.7"), "Process&Name=x", false),
        (Who::at("192.0.2.7"), "QueueInfo&QueueName=Process&QueueAction=queueStatus", false),
        (Who::at("198.51.100.4"), "Process&Name=x", true),
        (Who::at("192.0.2.7"), "GetStatus", true),
    ];
    std::thread::scope(|scope| {
        for (who, action, must_be_refused) in &clients {
            let (is_over, asked) = (&is_over, &asked);
            scope.spawn(move || {
                let mut talk = Talk::with(address);
                while !is_over.load(Ordering::Relaxed) {
                    let reply = talk.say(&who.get(&format!("/action={action}")));
                    assert_eq!(
                        is_refused(&reply),
                        *must_be_refused,
                        "{who:?}: {action}: {}",
                        reply.body_text()
                    );
                    assert_eq!(
                        Answer(reply.body_text()).is_success(),
                        !must_be_refused,
                        "{}",
                        reply.body_text()
                    );
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let with_other = Who::here().with(&other.text);
        let turns = || {
            for turn in 0..12 {
                let viewers = format!("192.0.2.7,192.0.2.{}", 100 + turn);
                let last = Who::at(&format!("192.0.2.{}", 100 + turn));
                match turn % 2 {
                    0 => write(&[&other, &stays]),
                    _ => write(&[&stays]),
                }
                configure(&home, &config("keys.txt", &viewers));
                server.signal("HUP");
                wait_until("the new roles", || is_held(&server, &last, "GetPid"));
                let is_there = turn % 2 == 0;
                assert_eq!(is_held(&server, &with_other, "GetStatus"), is_there, "turn {turn}");
                // Some that are asked meanwhile.
                let before = asked.load(Ordering::Relaxed);
                wait_until("some requests", || asked.load(Ordering::Relaxed) > before + 20);
                if turn % 3 == 0 {
                    configure(&home, "[Server\n");
                    let said = server.log_lines("nothing was changed");
                    server.signal("HUP");
                    wait_until("the error", || server.log_lines("nothing was changed") > said);
                }
            }
        };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(turns));
        is_over.store(true, Ordering::Relaxed);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
    assert!(asked.load(Ordering::Relaxed) > 240);
    end(server);
}

/// Many signals at once are one wish or several; either way the last configuration counts.
#[test]
fn many_signals_end_with_the_last_configuration() {
    let key = Key::make();
    let home = Home::new(&config(&key.hash, "192.0.2.1"));
    let server = home.start();
    for n in 2..30 {
        configure(&home, &config(&key.hash, &format!("192.0.2.{n}")));
        server.signal("HUP");
    }
    wait_until("the last roles", || is_held(&server, &Who::at("192.0.2.29"), "GetPid"));
    Who::at("192.0.2.28").may_not(&server, "GetPid");
    Who::here().with(&key.text).may(&server, "GetStatus");
    end(server);
}

/// What runs and what waits is not touched.
#[test]
fn actions_go_on() {
    let key = Key::make();
    let home = Home::new(&config(&key.hash, "localhost"));
    let server = home.start();
    let token = server.submit("&Sleep=600");
    server.wait_for_status(&token, "Processing");
    let waiting = server.submit("&Name=waits");
    configure(&home, &config(&key.hash, "localhost,192.0.2.7"));
    server.signal("HUP");
    wait_until("the new roles", || is_held(&server, &Who::at("192.0.2.7"), "GetPid"));
    assert_eq!(server.status(&token), "Processing");
    server.about("Process", "stop", &token).success();
    server.wait_for_status(&waiting, "Finished");
}

/// Whoever replaces a file may have it away for a moment, or empty, just when the signal comes.
#[test]
fn a_file_that_is_gone_or_empty_opens_nothing() {
    let key = Key::make();
    let home = Home::new("");
    let text = config(&key.hash, "192.0.2.7");
    let (named, default) = (home.path().join("test.cfg"), home.path().join("actiond.cfg"));
    std::fs::write(&default, &text).expect("the configuration");
    configure(&home, &text);
    let mut unnamed = Command::new(env!("CARGO_BIN_EXE_actiond"));
    unnamed.arg("--data").arg(home.path().join("other")).args(["--port", "0"]);
    unnamed.current_dir(home.path());
    for (file, server) in [(&named, home.start()), (&default, Server::run(unnamed))] {
        let is_locked = || {
            Who::here().may_not(&server, "GetPid");
            Who::here().may_not(&server, "GetStatus");
        };
        is_locked();
        std::fs::remove_file(file).expect("it goes");
        server.signal("HUP");
        server.wait_for_line(&["ERROR", "SIGHUP: nothing was changed", "is gone"]);
        is_locked();
        std::fs::write(file, "[Server]\n").expect("it is empty");
        server.signal("HUP");
        server.wait_for_line(&["ERROR", "SIGHUP: nothing was changed", "no role is left"]);
        is_locked();
        std::fs::write(file, &text).expect("it is there again");
        server.signal("HUP");
        server.wait_for_line(&["INFO", "SIGHUP: 2 roles are in force"]);
        is_locked();
        end(server);
    }
}
