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
    let after = |script: &str| {
        let plain = shop.command();
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{script}; exec \"$0\" \"$@\""));
        command.arg(plain.get_program()).args(plain.get_args()).current_dir(shop.path(""));
        command
    };
    each_tells_its_own(after("exec 3>&-"), &shop, "/dev/null");
    each_tells_its_own(after("exec 3</dev/zero"), &shop, "/dev/zero");
}
