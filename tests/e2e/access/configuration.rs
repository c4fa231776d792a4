//! Restrictions of access that can't be honoured stop the start; where, and what would be right, is told.

use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use super::super::server::wait_until;
use super::*;

const HASH: &str = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

/// A configuration with a role of these lines, the first of which is line 4 of the file.
fn role(lines: &str) -> String {
    format!(
        "[AuthorizationRoles]\n0=Some\n[Some]\n{lines}\n[AsyncActions]\n0=Process\n[Process]\nType=Echo\n"
    )
}

/// Runs what must end by itself; returns its exit code and what it said.
fn run(mut command: Command, config: &str) -> (Option<i32>, String) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut has_ended = false;
    let began = Instant::now();
    while !has_ended && began.elapsed() < PATIENCE / 3 {
        has_ended = child.try_wait().expect("its status").is_some();
        std::thread::sleep(Duration::from_millis(5));
    }
    // A server that came up goes on until it is ended.
    let _ = child.kill();
    let Output { status, stderr, .. } = child.wait_with_output().expect("its output");
    let said = String::from_utf8(stderr).expect("UTF-8");
    assert!(has_ended, "it came up with:\n{config}\nand said:\n{said}");
    assert!(!said.contains("panicked"), "{said}");
    (status.code(), said)
}

/// Runs this; it must not come up, nor pass the check. Returns what it said.
fn refused(home: &Home) -> String {
    let mut check = Command::new(env!("CARGO_BIN_EXE_actiond"));
    check.args(["config", "--config", "test.cfg"]).current_dir(home.path());
    let config = std::fs::read_to_string(home.path().join("test.cfg")).expect("its configuration");
    let said_by = |command| {
        let (code, said) = run(command, &config);
        assert_eq!(code, Some(2), "{config}\n{said}");
        said
    };
    let checked = said_by(check);
    let said = said_by(home.command());
    assert!(!home.data().exists(), "it made its data directory all the same");
    for line in checked.lines().filter(|line| line.contains("test.cfg:")) {
        let line = line.split_once("test.cfg:").expect("it is there").1;
        assert!(said.contains(line), "the check says {line:?}, the start:\n{said}");
    }
    said
}

/// Checks that the start is stopped with this line and these words.
fn stops(config: &str, line: usize, words: &[&str]) {
    let said = refused(&Home::new(config));
    assert!(said.contains(&format!("test.cfg:{line}:")), "line {line} of:\n{config}\n{said}");
    for word in words {
        assert!(said.contains(word), "{word} for:\n{config}\n{said}");
    }
}

#[test]
fn keys_of_a_role_that_are_not_known() {
    stops(&role("StandardRoles=Admin\nClient=localhost"), 5, &["Client", "Clients"]);
    stops(&role("StandardRole=Admin\nClients=localhost"), 4, &["StandardRole", "StandardRoles"]);
    stops(&role("StandardRoles=Admin\nClients=localhost\nQueue=Process"), 6, &["Queue", "Queues"]);
    stops(&role("StandardRoles=Admin\nClients=localhost\nKey=x"), 6, &["Key", "Keys"]);
    let known_elsewhere =
        role("StandardRoles=Admin\nClients=localhost\nGSSPrincipals=ada@EXAMPLE.ORG");
    stops(&known_elsewhere, 6, &["GSSPrincipals"]);
    let alone = role("StandardRoles=Admin\nGSSPrincipals=ada@EXAMPLE.ORG");
    stops(&alone, 5, &["GSSPrincipals"]);
}

#[test]
fn roles_and_their_sections() {
    stops("[AuthorizationRoles]\n0=Some\n", 2, &["Some"]);
    stops(
        "[AuthorizationRoles]\n0=Some\n2=Other\n[Some]\nClients=*\n[Other]\nClients=*\n",
        1,
        &["AuthorizationRoles", "1="],
    );
    // One that has the form of a role and is in no list.
    stops(
        &format!("{}[Submitters]\nStandardRoles=Query\nClients=localhost\n", role("Clients=*")),
        9,
        &["Submitters"],
    );
    stops("[Submitters]\nStandardRoles=Query\nClients=localhost\n", 1, &["Submitters"]);
    stops("[AuthorisationRoles]\n0=Some\n[Some]\nStandardRoles=*\nClients=\n", 3, &["Some"]);
    let beyond =
        "[AuthorizationRoles]\nNumber=1\n0=Some\n1=More\n[Some]\nClients=*\n[More]\nClients=\n";
    let said = refused(&Home::new(beyond));
    assert!(said.contains("test.cfg:") && said.contains("More"), "{said}");
    // One that names nobody.
    for lines in ["StandardRoles=Admin", "Actions=GetPid", "StandardRoles=*\nQueues=Process"] {
        let said = refused(&Home::new(&role(lines)));
        assert!(said.contains("test.cfg:") && said.contains("Some"), "{lines}: {said}");
        for allowed in ["Clients", "Keys", "SSLIdentities"] {
            assert!(said.contains(allowed), "{allowed} for {lines}: {said}");
        }
    }
}

/// Any key of a role makes a section one, whichever it has.
#[test]
fn a_section_with_keys_alone_is_built_like_a_role() {
    stops(&format!("[Submitters]\nActions=Process\nKeys={HASH}\n"), 1, &["Submitters"]);
    stops(&format!("[Submitters]\nKeys={HASH}\n"), 1, &["Submitters"]);
    stops("[Submitters]\nClients=localhost\n", 1, &["Submitters"]);
}

#[test]
fn addresses_that_are_none() {
    for clients in [
        "10.0.0.0/33",
        "10.0.0.0/x",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "10.0.0.0/8/8",
        "2001:db8::/129",
        "2001:db8::1::2",
        "10.0.*.3.*",
        "10.0.0.*.*",
        "10.0.0.300",
        "localhost,10.0.0.0/99",
        "http://localhost/",
        "a host",
    ] {
        let bad = clients.rsplit(',').next().expect("an item");
        stops(&role(&format!("StandardRoles=Admin\nClients={clients}")), 5, &["Clients", bad]);
        for key in ["AdminClients", "QueryClients", "TrustedProxies"] {
            stops(&format!("[Server]\n{key}={clients}\n"), 2, &[key, bad]);
        }
        for key in ["ServiceStatusClients", "ServiceControlClients"] {
            stops(&format!("[Service]\n{key}={clients}\n"), 2, &[key, bad]);
        }
    }
    // What would be right is told.
    stops(&role("StandardRoles=Admin\nClients=10.0.0.0/33"), 5, &["10.0.0.0/8", "localhost"]);
}

/// Only a start looks hosts up, so a check of the file may pass.
#[test]
fn a_host_that_nobody_knows() {
    let host = "nowhere.invalid";
    for (config, line) in [
        (role(&format!("StandardRoles=Admin\nClients=localhost,{host}")), 5),
        (format!("[Server]\nAdminClients={host}\n"), 2),
        (format!("[Service]\nServicePort=0\nServiceControlClients={host}\n"), 3),
    ] {
        let home = Home::new(&config);
        let (code, said) = run(home.command(), &config);
        assert!(matches!(code, Some(1 | 2)), "{code:?}: {said}");
        assert!(said.contains(host), "{said}");
        assert!(said.contains(&format!("test.cfg:{line}:")), "line {line} of:\n{config}\n{said}");
    }
}

#[test]
fn standard_roles_and_commands_that_do_not_exist() {
    let names = ["Admin", "Query", "Index", "ServiceControl", "ServiceStatus"];
    stops(&role("StandardRoles=Query,Admn\nClients=*"), 4, &[&["Admn"], &names[..]].concat());
    stops(&role("StandardRoles=Everything\nClients=*"), 4, &[&["Everything"], &names[..]].concat());
    stops(
        &role("Actions=GetPid,QueueInfo.getStaus\nClients=*"),
        4,
        &["QueueInfo.getStaus", "getStatus"],
    );
    stops(&role("Actions=QueueInfo.\nClients=*"), 4, &["QueueInfo."]);
    stops(&role("StandardRoles=Query\nQueues=Proces\nClients=*"), 5, &["Proces", "Process"]);
    stops(
        &role("StandardRoles=Query\nQueues=Process,Wobble\nClients=*"),
        5,
        &["Wobble", "Process"],
    );
}

#[test]
fn hashes_that_are_none() {
    let digits = HASH.trim_start_matches("sha256:");
    for bad in [
        "sha256:abc".to_owned(),
        "sha256:".to_owned(),
        format!("{HASH}0"),
        format!("sha256:{}g", &digits[1..]),
    ] {
        stops(&role(&format!("StandardRoles=Admin\nKeys={bad}")), 5, &["Keys", "sha256:", "64"]);
        stops(
            &role(&format!("StandardRoles=Admin\nKeys={HASH},{bad}")),
            5,
            &["Keys", "sha256:", "64"],
        );
    }
    // Other kinds of hash, and what is none at all, would have to be files.
    for bad in [digits.to_owned(), format!("md5:{digits}"), format!("sha512:{digits}")] {
        stops(&role(&format!("StandardRoles=Admin\nKeys={bad}")), 5, &["Keys"]);
    }
}

fn tells_line(said: &str, line: usize) -> bool {
    let named = said.lines().filter(|told| told.contains("keys.txt"));
    let forms = [format!("keys.txt:{line}"), format!("line {line} ")];
    named.into_iter().any(|told| forms.iter().any(|form| told.contains(form)))
}

#[test]
fn files_of_keys_that_cannot_be_used() {
    let config = role("StandardRoles=Admin\nKeys=keys.txt");
    stops(&config, 5, &["Keys", "keys.txt"]);
    let with = |text: &str| {
        let home = Home::new(&config);
        std::fs::write(home.path().join("keys.txt"), text).expect("a file");
        refused(&home)
    };
    for (text, line) in [
        (format!("# keys\n{HASH}\nsha256:abc\n"), 3),
        (format!("{HASH}\n\n\nadmin={HASH}\n"), 4),
        (HASH.trim_start_matches("sha256:").to_owned(), 1),
        ("secret".to_owned(), 1),
    ] {
        let said = with(&text);
        assert!(tells_line(&said, line), "line {line} of:\n{text}\n{said}");
        assert!(said.contains("sha256:"), "what is allowed for:\n{text}\n{said}");
    }
    // A key that somebody wrote there in place of its hash is not told.
    let key = Key::make().text;
    let said = with(&format!("{HASH}\n{key}\n"));
    assert!(tells_line(&said, 2) && !said.contains(&key), "{said}");
    // A directory is no file of keys.
    let home = Home::new(&config);
    std::fs::create_dir(home.path().join("keys.txt")).expect("a directory");
    assert!(refused(&home).contains("test.cfg:5:"));
}

#[test]
fn restrictions_that_are_misspelt_or_in_the_wrong_section() {
    for (config, line, meant) in [
        ("[Server]\nQueryClient=localhost\n", 2, "QueryClients"),
        ("[Server]\nAdminClient=localhost\n", 2, "AdminClients"),
        ("[Server]\nPort=1\nQuerryClients=localhost\n", 3, "QueryClients"),
        ("[Service]\nServiceStatusClient=localhost\n", 2, "ServiceStatusClients"),
        ("[Service]\nServiceControlClient=localhost\n", 2, "ServiceControlClients"),
        ("[Server]\nTrustedProxy=localhost\n", 2, "TrustedProxies"),
        ("[Service]\nQueryClients=localhost\n", 2, "Server"),
        ("[Server]\nServiceControlClients=localhost\n", 2, "Service"),
        ("[Actions]\nAdminClients=localhost\n", 2, "Server"),
        ("[Server]\nClients=localhost\n", 2, "Clients"),
        ("[AsyncActions]\n0=Process\n[Process]\nType=Echo\nClients=localhost\n", 5, "Clients"),
        ("[AuthorizationRoles]\nClients=localhost\n", 2, "Clients"),
    ] {
        stops(config, line, &[meant]);
    }
}

/// The key is right, and the section is not: what it would keep out is let in all the same.
#[test]
fn restrictions_in_a_misspelt_section() {
    for (config, meant) in [
        ("[Sever]\nQueryClients=localhost\n", "[Server]"),
        ("[Services]\nServiceStatusClients=localhost\n", "[Service]"),
        ("[Sever]\nTrustedProxies=localhost\n", "[Server]"),
    ] {
        let said = refused(&Home::new(config));
        assert!(said.contains("test.cfg:") && said.contains(meant), "{config}: {said}");
    }
}

/// Sections are often shared by servers, in a file of their own; what is wrong there is told there.
#[test]
fn roles_from_another_file() {
    let home = Home::new(
        "[Server]\nTrustedProxies=127.0.0.1\n[AuthorizationRoles]\n0=AdminRole\n1=QueryRole\n\
         [AdminRole] < \"common.cfg\" [AdminRole]\n[QueryRole] < \"common.cfg\" [Viewers]\nQueues=Process\n",
    );
    let common = |clients: &str| {
        let text = format!(
            "[AdminRole]\nStandardRoles=Admin,ServiceControl,Query,ServiceStatus\nClients=localhost\n\
             [Viewers]\nStandardRoles=query\nClients={clients}\n"
        );
        std::fs::write(home.path().join("common.cfg"), text).expect("a file");
    };
    common("192.0.2.*.*");
    let (_, said) = run(home.command(), "a bad pattern in another file");
    assert!(said.contains("common.cfg:6:"), "{said}");
    common("192.0.*.*");
    let server = home.start();
    Who::here().may(&server, "GetStatus");
    let viewer = Who::at("192.0.2.7");
    viewer.may(&server, "Process&Name=x");
    viewer.may_not(&server, "GetStatus");
    Who::at("198.51.100.4").may_not(&server, "GetPid");
    common("198.51.*.*");
    server.signal("HUP");
    wait_until("the roles of the other file", || {
        Who::at("198.51.100.4").ask(&server, "GetPid").is_success()
    });
    viewer.may_not(&server, "Process&Name=x");
}

/// All that is wrong is told at once.
#[test]
fn several_at_once() {
    let config = role("StandardRoles=Admn\nClients=10.0.0.0/33\nKeys=sha256:x\nQueues=Wobble");
    stops(&config, 4, &["test.cfg:5:", "test.cfg:6:", "Admn", "10.0.0.0/33"]);
}

/// What is right comes up, without a warning.
#[test]
fn roles_that_can_be_honoured() {
    for lines in [
        "StandardRoles=*\nClients=\"\"".to_owned(),
        "StandardRoles=*\nClients=".to_owned(),
        "StandardRoles=admin,query,index,servicecontrol,servicestatus\nClients=*".to_owned(),
        "Actions=GetPid,Process,QueueInfo,QueueInfo.getStatus\nServiceActions=Stop,GetStatusInfo\nClients=::1".to_owned(),
        format!("StandardRoles=Query\nQueues=Process\nKeys={HASH}\nClients=10.0.0.0/8"),
    ] {
        let home = Home::new(&role(&lines));
        let log = end(home.start());
        assert!(!log.iter().any(|line| line.contains(" WARN ")), "{lines}: {log:#?}");
    }
}
