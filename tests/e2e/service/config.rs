//! The configuration as it is shown and checked.

use std::fs;
use std::process::Command;

use super::ServicePort;
use crate::server::{Home, Server};

/// Secrets for every place where one may be, and one of the environment.
const SECRETS: [&str; 8] = [
    "of-a-tls-key",
    "of-the-environment",
    "of-a-file",
    "of-a-program",
    "of-a-list",
    "of-an-unknown-key",
    "of-an-unknown-section",
    "of-a-comment",
];

/// The hash of a key is no secret, but nobody has to see all of it.
const HASH: &str = "sha256:ae58a61b79a9972a6df95531f20098e34c8c260b19511530943a46053a43bd3c";

const CONFIG: &str = "
[Server]
// of-a-comment
SSLConfig=Options
BackupDirectories=${ACTIOND_TEST_DIRECTORY}
[Options]
SSLMethod=Negotiate
SSLCertificate=server.pem
SSLPrivateKey=server.key
SSLPrivateKeyPassword=of-a-tls-key
[Service]
ServicePort=0
[Paswords]
BasicPassword=of-an-unknown-section
[AuthorizationRoles]
0=Keys
[Keys]
Actions=GetPid
Keys=sha256:ae58a61b79a9972a6df95531f20098e34c8c260b19511530943a46053a43bd3c
[AsyncActions]
0=Run
1=Pass
2=Next
3=Process
[Run]
Type=Command
Command=true {Name}
Environment=PGPASSWORD=of-a-program
0=TOKEN=of-a-list
[Pass]
Type=Forward
ForwardTo=http://127.0.0.1:1
ForwardKeyFile=forward.key
BasicPassword=of-an-unknown-key
[Next]
Type=Forward
ForwardTo=http://127.0.0.1:1
ForwardKey=${ACTIOND_TEST_SECRET}
[Process]
Type=Echo
MaximumThreads=< \"shared.cfg\" [Limits] Threads
";

/// Starts a server whose configuration has secrets everywhere.
fn start(home: &Home) -> Server {
    let made = Command::new("openssl")
        .args(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 2 -subj /CN=localhost"
                .split(' '),
        )
        .args("-keyout server.key -out server.pem -passout pass:of-a-tls-key".split(' '))
        .current_dir(home.path())
        .output()
        .expect("openssl");
    assert!(made.status.success(), "{made:?}");
    fs::write(home.path().join("forward.key"), "of-a-file\n").expect("a file");
    fs::write(home.path().join("shared.cfg"), "[Limits]\nThreads=3\n").expect("a file");
    Server::run(command(home))
}

fn command(home: &Home) -> Command {
    let mut command = home.command();
    command.env("ACTIOND_TEST_SECRET", "of-the-environment");
    command.env("ACTIOND_TEST_DIRECTORY", home.path().join("backups"));
    command
}

fn no_secret(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert!(!text.contains(HASH), "{text}");
}

#[test]
fn what_is_in_force_is_shown_and_no_secret() {
    let home = Home::new(CONFIG);
    let server = start(&home);
    let port = ServicePort::of(&server);
    let text = port.text("GetConfig");
    no_secret(&text);
    let directory = home.path().display();
    for (section, line) in [
        ("Server", "Port=7000".to_owned()),
        ("Server", format!("BackupDirectories={directory}/backups")),
        ("Service", "ServicePort=0".to_owned()),
        ("Options", "SSLPrivateKeyPassword=***".to_owned()),
        ("Keys", "Keys=sha256:ae58a61b...".to_owned()),
        ("Run", "Environment=PGPASSWORD=***".to_owned()),
        ("Run", "0=TOKEN=***".to_owned()),
        ("Run", "Command=true {Name}".to_owned()),
        ("Pass", "ForwardKeyFile=forward.key".to_owned()),
        ("Next", "ForwardKey=***".to_owned()),
        ("Process", format!("// {directory}/shared.cfg:2\nMaximumThreads=3")),
        ("Process", "// default\nMaxAttempts=1".to_owned()),
    ] {
        let (_, rest) = text
            .split_once(&format!("[{section}]\n"))
            .unwrap_or_else(|| panic!("no {section} in {text}"));
        let own = rest.split("\n\n").next().expect("its keys");
        assert!(format!("{own}\n").contains(&format!("{line}\n")), "{line} in {section}: {text}");
    }

    // Nor does what comes of another one, good or bad, say any of them.
    let changed = CONFIG
        .replace("ForwardKey=$", "ForwardKey=other-$")
        .replace("PGPASSWORD=of-a", "PGPASSWORD=other-of-a")
        .replace("MaximumThreads=<", "MaxAttempts=2\nMaximumThreads=<");
    let bad = changed.replace("ServicePort=0", "ServicePort=x").replace("PGPASSWORD=", "=");
    for config in [&changed, &bad] {
        home.configure(config);
        for action in ["ValidateConfig", "ReloadConfig", "GetConfig"] {
            no_secret(&port.text(action));
        }
    }
    home.configure(&changed);
    let shown = port.text("GetConfig");
    assert!(shown.contains("MaxAttempts=2\n"), "{shown}");
    server.signal("TERM");
    let (status, log) = server.wait();
    assert!(status.success(), "{log:#?}");
    no_secret(&log.join("\n"));
}

/// The text that is shown is a configuration that means the same, and can be checked as one.
#[test]
fn what_is_shown_is_a_configuration() {
    let plain = "[Service]\nServicePort=0\n[AsyncActions]\n0=Process\n[Process]\nType=Echo\nMaximumThreads=3\n";
    let home = Home::new(plain);
    let server = home.start();
    let shown = ServicePort::of(&server).text("GetConfig");
    server.kill();
    home.configure(&shown);
    let again = home.start();
    let origins = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with("//"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(origins(&ServicePort::of(&again).text("GetConfig")), origins(&shown));
}

#[test]
fn a_configuration_is_checked_and_changes_nothing() {
    let good = "[Service]\nServicePort=0\n[Actions]\nMaxAttempts=2\n[AsyncActions]\n0=Process\n[Process]\nType=Echo\nMaximumThreads=1\n";
    let home = Home::new(good);
    let server = home.start();
    let port = ServicePort::of(&server);
    let file = home.path().join("test.cfg");
    let place = |rest: &str| format!("{}{rest}", file.display());
    let check = |config: &str| {
        home.configure(config);
        let told = port.ask("ValidateConfig");
        assert_eq!(told.action, "VALIDATECONFIG");
        let lines = |word| told.lines(word).into_iter().map(str::to_owned).collect::<Vec<_>>();
        (told.response.clone(), lines("error"), lines("warning"))
    };
    let none = Vec::<String>::new;
    assert_eq!(check(good), ("Valid".to_owned(), none(), none()));

    // A key that nothing reads is no reason to refuse the rest, and each is named with its file and line.
    let (response, errors, warnings) =
        check(&good.replace("MaximumThreads=1", "MaximumThreads=4\nMaximumTreads=2"));
    assert_eq!((response.as_str(), errors), ("Valid", none()));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with(&place(":10: [Process] MaximumTreads ")), "{warnings:?}");

    let (response, errors, warnings) = check(
        &good
            .replace("MaximumThreads=1", "MaximumThreads=none\nMaximumTreads=2")
            .replace("MaxAttempts=2", "MaxAttempts=<&>"),
    );
    assert_eq!((response.as_str(), errors.len()), ("Invalid", 2), "{errors:?}");
    assert!(errors[0].starts_with(&place(":4: [Actions] MaxAttempts=<&>: must be")), "{errors:?}");
    assert!(errors[1].starts_with(&place(":9: [Process] MaximumThreads=none: ")), "{errors:?}");
    assert_eq!(warnings.len(), 1, "{warnings:?}");

    // What a reload would be refused for beside: the file is good, and this server can't take it.
    let (response, errors, _) = check(&good.replace("[Service]\nServicePort=0\n", ""));
    assert_eq!(response, "Invalid");
    assert!(
        errors[0].contains("[Service] ServicePort has gone; that needs a restart"),
        "{errors:?}"
    );
    fs::remove_file(&file).expect("removed");
    let told = port.ask("ValidateConfig");
    assert_eq!(
        (told.response.as_str(), told.lines("error")),
        ("Invalid", vec![place(" is gone").as_str()])
    );
    // Much nonsense is told to a bound.
    let queues: String =
        (1..=300).map(|n| format!("[AsyncActions]\n{n}=Q{n}\n[Q{n}]\nType=none\n")).collect();
    let (_, errors, _) = check(&format!("{good}{queues}"));
    assert_eq!(errors.len(), 101, "{errors:?}");
    assert!(
        errors[100].starts_with("and ") && errors[100].ends_with(" more problems"),
        "{errors:?}"
    );

    // Nothing of all that was put in force.
    assert_eq!(server.ask("GetStatus").success().must("maximumthreads"), "1");
    assert_eq!(server.log_lines("in force"), 0);
}
