//! The descriptor on which programs tell their progress, with a server that could reserve it, and with one that could not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::super::server::{PATIENCE, Server};
use super::super::shop::{Shop, ended};

/// Names no interpreter, so that only the shell can run it. Its only descriptor beside the standard three is its pipe.
const PLAIN: &str = r#"
echo "told by $1" >&3
for each in 3 4 5 6 7 8 9; do
    case $(readlink /proc/$$/fd/$each) in *socket:*|*/data/*|/dev/zero) echo "has $each" >&3;; esac
done
exit 1
"#;

fn each_tells_its_own(server: Command, shop: &Shop, behind: &str) {
    let server = Server::run(server);
    let queues = ["Script", "Shell"];
    let submitted: Vec<_> = (0..30)
        .map(|number| {
            let queue = queues[number % 2];
            (queue, number, server.submit_to(queue, &format!("&Name={queue}-{number}")))
        })
        .collect();
    for (queue, number, token) in submitted {
        let answer = ended(&server, queue, &token, PATIENCE);
        assert_eq!(answer.must("status"), "Error", "{}", answer.0);
        assert!(answer.0.contains("exit code 1"), "{}", answer.0);
        // In its log and in the reason why it failed.
        let told: Vec<_> = answer.0.split("told by ").skip(1).collect();
        let own = format!("{queue}-{number}<");
        assert!(!told.is_empty() && told.iter().all(|by| by.starts_with(&own)), "{}", answer.0);
        assert!(!answer.0.contains("has "), "{}", answer.0);
    }
    let third = fs::read_link(format!("/proc/{}/fd/3", server.pid())).unwrap();
    assert_eq!(third.to_str(), Some(behind));
    drop(server);
    fs::remove_dir_all(shop.data()).unwrap();
}

#[test]
fn each_of_many_programs_at_once_tells_its_own() {
    let shop = Shop::with(&[
        ("Script", "%HOME%/plain {Name}", "MaximumThreads=4"),
        ("Shell", "/bin/sh %HOME%/plain {Name}", "MaximumThreads=4"),
    ])
    .script("plain", PLAIN);
    fs::set_permissions(shop.path("plain"), fs::Permissions::from_mode(0o755)).unwrap();
    each_tells_its_own(shop.command_after("exec 3>&-"), &shop, "/dev/null");
    each_tells_its_own(shop.command_after("exec 3</dev/zero"), &shop, "/dev/zero");
}

/// Programs get nothing of what whoever started the server has left open in it.
#[test]
fn what_the_server_inherited_is_not_passed_on() {
    let shop =
        Shop::with(&[("Direct", "/bin/sh %HOME%/files.sh", ""), ("Script", "%HOME%/files.sh", "")])
            .script(
                "files.sh",
                "for each in 3 4 5 6 7 8 9; do readlink /proc/$$/fd/$each; done; exit 0",
            )
            .file("left", "open");
    fs::set_permissions(shop.path("files.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    for opened in ["exec 7<left", "exec 3<left 7<left", "exec 3>&- 7<left 9<left"] {
        let server = Server::run(shop.command_after(opened));
        let seventh = fs::read_link(format!("/proc/{}/fd/7", server.pid())).unwrap();
        assert!(seventh.ends_with("left"), "the server itself has it: {}", seventh.display());
        // One is started without a fork, the other with one: it names no interpreter.
        for queue in ["Direct", "Script"] {
            let answer = shop.run_to(&server, queue, &[], "Finished");
            let output = answer.must("output");
            assert!(!output.contains("left") && output.contains("pipe:"), "{opened}: {output}");
        }
    }
}

/// Whoever starts the server may ignore the signal by which it hears of the ends of programs.
#[test]
fn the_end_of_the_first_program_is_known_whatever_signals_are_ignored() {
    let shop = Shop::with(&[("Work", "/bin/sh %HOME%/ends.sh", "")])
        .script("ends.sh", "sleep 0.2; echo done");
    let server = Server::run(shop.command_after("trap '' CHLD"));
    assert_eq!(shop.run_to(&server, "Work", &[], "Finished").must("output"), "done");
}
