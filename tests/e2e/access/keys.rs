//! Keys: how they are made, written down and sent, what a wrong one costs, and that none is ever told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;

use super::super::server::wait_until;
use super::*;

/// Whoever has one of these keys may do everything; nobody else may do anything.
fn config(keys: &str) -> String {
    format!(
        "
[Server]
{PROXY}
[AuthorizationRoles]
0=Holders
[Holders]
StandardRoles=*
Keys={keys}
[AsyncActions]
0=Process
[Process]
Type=Echo
"
    )
}

/// How much slower a wrong key is at least.
const SLOW: Duration = Duration::from_millis(200);

fn sha256(text: &str) -> String {
    let digest = sha2::Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_program_makes_a_key_that_lets_in() {
    let key = Key::make();
    assert_eq!(key.hash, format!("sha256:{}", sha256(&key.text)));
    // It can be sent as it is, by curl -u as well, and nobody guesses it: 128 bits at least, four or more in a character.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    assert!(key.text.chars().all(is_plain) && key.text.len() >= 32, "{key:?}");
    assert_ne!(Key::make().text, key.text);

    let home = Home::new(&config(&key.hash));
    let server = home.start();
    let holder = Who::here().with(&key.text);
    let token = holder.may(&server, "Process&Name=Ada&Wait=20");
    assert_eq!(token.must("status"), "Finished");
    Who::here().may_not(&server, "GetPid");
    // The hash is no key.
    Who::here().with(&key.hash).may_not(&server, "GetPid");
    Who::here().with(key.hash.trim_start_matches("sha256:")).may_not(&server, "GetPid");
}

#[test]
fn a_key_is_sent_as_a_bearer_or_as_a_password() {
    let key = Key::make();
    let home = Home::new(&config(&key.hash));
    let server = home.start();
    let basic = |user: &str| STANDARD.encode(format!("{user}:{}", key.text));
    for value in [
        format!("Bearer {}", key.text),
        format!("bearer {}", key.text),
        format!("BEARER {}", key.text),
        format!("Basic {}", basic("ada")),
        format!("basic {}", basic("")),
        format!("BASIC {}", basic("Ada Lovelace, é")),
        format!("bAsIc {}", basic("x")),
    ] {
        Who::here().authorized(&value).may(&server, "GetStatus");
        Who::at("192.0.2.7").authorized(&value).may(&server, "GetStatus");
    }
    for value in [
        key.text.clone(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Digest {}", key.text),
        format!("Bearer {}x", key.text),
        format!("Bearer {}", &key.text[..key.text.len() - 1]),
        format!("Bearer {}", key.text.to_lowercase()),
        format!("Basic {}", key.text),
        format!("Basic {}", STANDARD.encode(&key.text)),
        // A key is no name of a user.
        format!("Basic {}", STANDARD.encode(format!("{}:", key.text))),
        format!("Basic {}", STANDARD.encode(format!("{}:x", key.text))),
        "Basic !!!".to_owned(),
        "Basic".to_owned(),
        "Basic ÿþ".to_owned(),
    ] {
        Who::here().authorized(&value).may_not(&server, "GetStatus");
    }
    // Where there are two, a good one is not enough to say which is meant: either way, no error of the server.
    let both = format!("Bearer {WRONG}\r\nAuthorization: Bearer {}", key.text);
    Who::here().authorized(&both).ask(&server, "GetPid");
    Who::here().with(&key.text).may(&server, "GetPid");
}

/// An old client of Java or curl, with its own words.
#[cfg(unix)]
#[test]
fn curl_sends_a_key_in_both_ways() {
    let key = Key::make();
    let home = Home::new(&config(&key.hash));
    let server = home.start();
    let url = format!("http://{}/action=GetPid", server.address);
    let bearer = format!("Authorization: Bearer {}", key.text);
    let user = format!("anything:{}", key.text);
    for arguments in [["-H", &bearer], ["-u", &user]] {
        let output =
            Command::new("curl").args(["-sS", "--noproxy", "*"]).args(arguments).arg(&url).output();
        let Ok(output) = output else {
            return super::super::skip::skipped("keys by curl", "there is no curl");
        };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("<autn:pid>"), "{arguments:?}: {said}");
    }
}

#[test]
fn several_keys_and_files_of_them() {
    let keys = [(); 6].map(|()| Key::make());
    let [one, two, three, four, five, none] = &keys;
    let home = Home::new(&config(&format!("{}, keys.txt,{} ,more.txt", one.hash, two.hash)));
    std::fs::write(
        home.path().join("keys.txt"),
        format!(
            "# of the submitters\r\n{}\r\n\r\n// and\n; of Ada\n  {}  \n",
            three.hash, four.hash
        ),
    )
    .expect("a file");
    // In capitals, as other tools write digits, and without an end of its last line.
    let capitals = five.hash.trim_start_matches("sha256:").to_uppercase();
    std::fs::write(home.path().join("more.txt"), format!("sha256:{capitals}")).expect("a file");
    let server = home.start();
    for key in [one, two, three, four, five] {
        Who::here().with(&key.text).may(&server, "GetPid");
    }
    Who::here().with(&none.text).may_not(&server, "GetPid");
}

/// A role with a key and one without add up for who has the key; an address alone never has the first.
#[test]
fn where_a_role_has_keys_an_address_is_not_enough() {
    let (admin, submit) = (Key::make(), Key::make());
    let home = Home::new(&format!(
        "[Server]\n{PROXY}[AuthorizationRoles]\n0=A\n1=S\n2=V\n[A]\nStandardRoles=Admin\nClients=*\nKeys={}\n\
         [S]\nActions=Process\nClients=192.0.2.7\nKeys={}\n[V]\nStandardRoles=Query\nQueues=Other\nClients=10.0.0.0/8\n\
         [AsyncActions]\n0=Process\n1=Other\n[Process]\nType=Echo\n[Other]\nType=Echo\n",
        admin.hash, submit.hash
    ));
    let server = home.start();
    for address in ["127.0.0.1", "192.0.2.7", "10.1.2.3"] {
        let who = if address == "127.0.0.1" { Who::here() } else { Who::at(address) };
        who.may_not(&server, "GetStatus");
        who.may_not(&server, "Process&Name=x");
        who.clone().with(&admin.text).may(&server, "GetStatus");
        who.clone().with(&admin.text).may_not(&server, "Process&Name=x");
        who.clone().with(&submit.text).may(&server, "Process&Name=x");
        who.with(&submit.text).may_not(&server, "GetStatus");
    }
    let both = Who::at("10.1.2.3").with(&submit.text);
    both.may(&server, "Process&Name=x");
    both.may(&server, "Other&Name=x");
    // A wrong key takes nothing away that the address allows.
    let wrong = Who::at("10.1.2.3").with(WRONG);
    wrong.may(&server, "Other&Name=x");
    wrong.may_not(&server, "Process&Name=x");
}

#[test]
fn a_wrong_key_is_slow_and_logged_and_never_told() {
    let key = Key::make();
    let home = Home::new(&config(&key.hash));
    for filter in ["info", "debug", "trace"] {
        let mut command = home.command();
        command.env("RUST_LOG", filter);
        let server = Server::run(command);
        let address = "198.51.100.4";
        for scheme in ["Bearer", "Basic"] {
            let basic = STANDARD.encode(format!("ada:{WRONG}"));
            let value = if scheme == "Basic" { &basic } else { WRONG };
            let began = Instant::now();
            let reply = send_to(
                server.address,
                &Who::at(address).authorized(&format!("{scheme} {value}")).get("/action=GetPid"),
            );
            let took = began.elapsed();
            assert!(is_refused(&reply) && took >= SLOW, "{scheme} took {took:?}");
            for text in [&reply.head, &reply.body_text()] {
                assert!(!text.contains(WRONG) && !text.contains(&basic), "{text}");
            }
        }
        let good = Who::here().with(&key.text);
        good.may(&server, "GetPid");
        let basic = STANDARD.encode(format!("ada:{}", key.text));
        Who::here().authorized(&format!("Basic {basic}")).may(&server, "GetPid");
        let requests = good.may(&server, "GetRequestLog").0;
        assert!(!requests.contains(WRONG) && !requests.contains(&key.text), "{requests}");
        let log = end(server);
        let wrong = STANDARD.encode(format!("ada:{WRONG}"));
        for text in [WRONG, &wrong, &key.text, &basic] {
            let found: Vec<_> = log.iter().filter(|line| line.contains(text)).collect();
            assert!(found.is_empty(), "with {filter} a key is in the log: {found:#?}");
        }
    }
}

/// Also where it takes nothing away, since the address alone has a role: it may be somebody who tries keys.
#[test]
fn a_wrong_key_is_logged_with_the_address_of_who_sent_it() {
    let key = Key::make();
    let home = Home::new(&config(&key.hash).replace("0=Holders", "0=Holders\n1=Viewers").replace(
        "[AsyncActions]",
        "[Viewers]\nStandardRoles=Query\nClients=198.51.100.4\n[AsyncActions]",
    ));
    let server = home.start();
    let began = Instant::now();
    Who::at("198.51.100.4").with(WRONG).may(&server, "GetPid");
    assert!(began.elapsed() >= SLOW);
    Who::at("198.51.100.4").may(&server, "GetPid");
    let log = end(server);
    let lines: Vec<_> = log.iter().filter(|line| line.contains("198.51.100.4")).collect();
    assert!(
        lines.len() == 1 && lines[0].contains("key"),
        "one line that names the client: {log:#?}"
    );
}

/// Sends `GetPid` with this header for `count` times on one connection; returns how long each took.
fn again_and_again(address: SocketAddr, who: &Who, count: usize) -> Vec<Duration> {
    let mut talk = Talk::with(address);
    let mut one = || {
        let began = Instant::now();
        let reply = talk.say(&who.get("/action=GetPid"));
        assert_eq!(
            is_refused(&reply),
            who.authorization.as_ref().is_none_or(|a| a.contains(WRONG))
        );
        began.elapsed()
    };
    (0..count).map(|_| one()).collect()
}

/// The time that a wrong key takes is no time in which others wait.
#[test]
fn good_keys_are_not_slowed_by_wrong_ones() {
    let key = Key::make();
    let home = Home::new(&config(&key.hash));
    let server = home.start();
    let good = Who::here().with(&key.text);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let took =
                        again_and_again(server.address, &Who::at("198.51.100.4").with(WRONG), 1);
                    assert!(took[0] >= SLOW, "{took:?}");
                }
            });
        }
        let mut took = again_and_again(server.address, &good, 200);
        // Also of who comes from where the wrong ones come from.
        took.extend(again_and_again(server.address, &Who::at("198.51.100.4").with(&key.text), 200));
        is_over.store(true, Ordering::Relaxed);
        took.sort();
        assert!(took[took.len() / 2] < SLOW / 4, "half of them took longer than {:?}", took[200]);
    });
}

/// Two thousand of them, from fifty connections that stay open.
#[cfg(target_os = "linux")]
#[test]
fn many_wrong_keys_cost_little_memory_and_nobody_else_waits() {
    let key = Key::make();
    let home = Home::new(&config(&key.hash));
    let server = home.start();
    let peak = || {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it runs");
        let line = between(&status, "VmHWM:", "kB").expect("its peak");
        line.trim().parse::<u64>().expect("kilobytes")
    };
    let good = Who::here().with(&key.text);
    // What fifty connections cost is had before.
    let streams: Vec<_> = (0..50).map(|_| connect(server.address)).collect();
    again_and_again(server.address, &good, 200);
    drop(streams);
    let before = peak();
    std::thread::scope(|scope| {
        let floods: Vec<_> = (0..50)
            .map(|n| {
                let who = Who::at(&format!("198.51.100.{n}")).with(&format!("{WRONG}{n}"));
                let address = server.address;
                scope.spawn(move || again_and_again(address, &who, 40))
            })
            .collect();
        let (mut took, mut submitted) = (Vec::new(), 0);
        while floods.iter().any(|flood| !flood.is_finished()) {
            took.extend(again_and_again(server.address, &good, 1));
            let token = good.may(&server, "Process&Name=x&Wait=20");
            assert_eq!(token.must("status"), "Finished");
            submitted += 1;
        }
        took.sort();
        assert!(submitted > 10, "only {submitted} others were served meanwhile");
        assert!(
            took[took.len() / 2] < SLOW / 2,
            "half of the others took over {:?}",
            took[took.len() / 2]
        );
        for flood in floods {
            let took = flood.join().expect("all were answered");
            assert!(took.iter().all(|took| *took >= SLOW), "{took:?}");
        }
    });
    let grown = peak().saturating_sub(before);
    assert!(grown < 12_000, "it grew by {grown} KB");
}

/// As slow at the service port, and no way to the rights of nobody there.
#[test]
fn a_wrong_key_is_slow_at_the_service_port_too() {
    let key = Key::make();
    let home = Home::new(
        &config(&key.hash).replace("[Authorization", "[Service]\nServicePort=0\n[Authorization"),
    );
    let server = home.start();
    let port = service_port(&server, &Who::here().with(&key.text));
    for action in ["GetStatus", "Stop"] {
        let began = Instant::now();
        let reply = ask_service(port, &Who::here().with(WRONG), &format!("/action={action}"));
        assert!(began.elapsed() >= SLOW, "{action} took {:?}", began.elapsed());
        assert!(!is_done(&reply), "{action}");
        assert!(
            !is_done(&ask_service(port, &Who::here(), &format!("/action={action}"))),
            "{action}"
        );
    }
    assert!(is_done(&ask_service(port, &Who::here().with(&key.text), "/action=GetStatus")));
    let log = end(server);
    assert!(!log.iter().any(|line| line.contains(WRONG)), "{log:#?}");
    assert!(log.iter().any(|line| line.contains("key")), "a wrong key is logged: {log:#?}");
}

/// However long a wrong key is, the log and the reply stay short, and without it.
#[test]
fn a_long_wrong_key_is_one_wrong_key() {
    let key = Key::make();
    let home = Home::new(&config(&key.hash));
    let server = home.start();
    let long = "secret".repeat(1000);
    let began = Instant::now();
    let reply = send_to(server.address, &Who::here().with(&long).get("/action=GetPid"));
    assert!(is_refused(&reply) && began.elapsed() >= SLOW);
    assert!(!reply.body_text().contains("secret"), "{}", reply.body_text());
    let log = end(server);
    assert!(!log.iter().any(|line| line.contains("secret")), "{log:#?}");
}

/// One key in two roles has both.
#[test]
fn a_key_in_two_roles_adds_them_up() {
    let key = Key::make();
    let home = Home::new(&format!(
        "[AuthorizationRoles]\n0=A\n1=Q\n[A]\nStandardRoles=Admin\nKeys={0}\n[Q]\nStandardRoles=Query\nKeys={0}\n",
        key.hash
    ));
    let server = home.start();
    for action in ["GetStatus", "GetPid", "Process&Name=x"] {
        Who::here().with(&key.text).may(&server, action);
        Who::here().may_not(&server, action);
    }
}

/// A role whose last key was taken away has nobody: it is still a role with keys, and an address is not enough.
#[test]
fn a_role_without_a_key_left_is_open_to_nobody() {
    let key = Key::make();
    let home = Home::new(&config("keys.txt").replace("[Holders]", "[Holders]\nClients=*"));
    let file = home.path().join("keys.txt");
    for nothing in ["", "\n", "# nobody any more\n"] {
        std::fs::write(&file, nothing).expect("a file");
        let server = home.start();
        for who in [Who::here(), Who::at("192.0.2.7"), Who::here().with(&key.text)] {
            who.may_not(&server, "GetPid");
            who.may_not(&server, "Process&Name=x");
        }
        // The same where it happens while the server runs.
        std::fs::write(&file, &key.hash).expect("a file");
        server.signal("HUP");
        wait_until("the key", || Who::here().with(&key.text).ask(&server, "GetPid").is_success());
        std::fs::write(&file, nothing).expect("a file");
        server.signal("HUP");
        wait_until("that the key is gone", || {
            !Who::here().with(&key.text).ask(&server, "Help").is_success()
        });
        Who::here().may_not(&server, "GetPid");
    }
}

/// Nor is one in which a list was left empty: it names no key, or no queue, and never all.
#[test]
fn an_empty_list_is_not_everything() {
    for line in ["Keys=", "Keys=\"\"", "Queues=", "Queues=\"\""] {
        let text = format!(
            "[Server]\n{PROXY}[AuthorizationRoles]\n0=One\n[One]\nStandardRoles=Query\nClients=*\n{line}\n\
             [AsyncActions]\n0=Process\n[Process]\nType=Echo\n"
        );
        let home = Home::new(&text);
        let mut check = Command::new(env!("CARGO_BIN_EXE_actiond"));
        check.args(["config", "--config", "test.cfg"]).current_dir(home.path());
        let is_taken = check.output().expect("it runs").status.success();
        // A start that is refused lets in nobody either.
        if is_taken {
            let server = home.start();
            for action in ["Process&Name=x", "QueueInfo&QueueName=Process&QueueAction=pause"] {
                let reply = send_to(
                    server.address,
                    &Who::at("192.0.2.7").get(&format!("/action={action}")),
                );
                assert!(
                    is_refused(&reply),
                    "{line} lets in everybody: {action}: {}",
                    reply.body_text()
                );
            }
        }
    }
}
