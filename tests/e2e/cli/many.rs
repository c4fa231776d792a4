//! Commands to many, and the questions before them.

use serde_json::Value;

use super::super::server::wait_until;
use super::{Served, command, run};

#[test]
fn many_actions_are_reached_by_tokens_and_by_filters() {
    let served = Served::start();
    served.ok("pause --queue Process");
    let tokens: Vec<_> =
        (0..6).map(|number| served.send(&format!("Name={}", number % 2))).collect();
    // Without a terminal nobody can be asked.
    let line = "cancel --all --queue Process Parameter.Name=0";
    let unasked = served.run(line).failed(2);
    assert!(unasked.contains("cancel all actions of Process with Parameter.Name=0"), "{unasked}");
    assert!(unasked.contains("--yes"), "{unasked}");
    assert_eq!(served.status(&tokens[0]), "Queued");

    let told = served.ok("priority --all --queue Process --state queued --yes 9");
    assert_eq!(told, "6 actions done, 0 refused");
    assert_eq!(served.ok(&format!("{line} --limit 1 --yes")), "1 action done, 0 refused");
    assert_eq!(served.ok(&format!("{line} -y")), "2 actions done, 0 refused");
    let json: Value =
        serde_json::from_str(&served.ok(&format!("{line} --yes --json"))).expect("JSON");
    assert_eq!(json["done"], "0");

    let named = format!("stop --tokens {},{} --yes", tokens[1], tokens[3]);
    assert_eq!(served.ok(&named), "2 actions done, 0 refused");
    let lines = tokens.join("\n");
    let deleted = run(command(&served.url(), "delete --tokens @- --yes"), lines.as_bytes());
    assert!(deleted.out.starts_with("5 actions done, 1 refused\n  1: "), "{deleted:?}");
    assert_eq!(deleted.code, Some(6));
    assert_eq!(served.status(&tokens[5]), "Queued");

    served.ok("resume --queue Process");
    served.server.wait_for_status(&tokens[5], "Finished");
    let all = served.ok("delete --all --queue Process --state finished --yes");
    assert_eq!(all, "1 action done, 0 refused");
    assert_eq!(served.ok("list Process --json"), "[]");
}

#[test]
fn many_are_stopped_by_force_and_tried_again() {
    let served = Served::start();
    let tokens = [served.send_running(), served.send_running()];
    served.ok("stop --force --all --queue Process --state running --yes");
    for token in &tokens {
        served.server.wait_for_status(token, "Stopped");
    }
    let failed: Vec<_> = (0..2).map(|_| served.send("Fail=no")).collect();
    for token in &failed {
        served.server.wait_for_status(token, "Error");
    }
    let told = served.ok("retry --all --queue Process --state error --yes");
    assert_eq!(told, "2 actions done, 0 refused");
    wait_until("their next attempts", || {
        let shown = served.ok(&format!("status {}", failed[0]));
        shown.contains("status: Error") && shown.contains("attempt: 2")
    });
}

#[test]
fn what_may_reach_more_than_was_meant_is_refused() {
    let served = Served::start();
    for line in [
        "cancel",
        "cancel --state queued",
        "cancel Parameter.Name=Ada",
        "cancel --all",
        "cancel --all --queue Process TOKEN",
        "cancel --all --queue Process --state \"\" --yes",
        "delete --tokens \"\" --yes",
        "stop --running --queue Process TOKEN --yes",
        "stop --queue Process \"\"",
        "pause --queue Process \" \"",
        "stop --running --queue \"\" --yes",
        "status \"\"",
        "params --queue Process \"\"",
        "priority TOKEN high",
        "priority --all --queue Process --yes",
    ] {
        served.run(line).failed(2);
    }
}
