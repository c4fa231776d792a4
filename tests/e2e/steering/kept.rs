//! Parameters are kept with actions that have ended, so that they can be duplicated and tried again.

use super::super::calls::{Answer, Caller};
use super::super::server::{Home, Server};

const CONFIG: &str = "
[AsyncActions]
0=Work
1=Private
[Work]
Type=Echo
[Private]
Type=Echo
KeepParameters=false
";

fn ended(server: &Server, queue: &str) -> [String; 4] {
    let finished = server.submit_to(queue, "&Name=Ada&Priority=3");
    let failed = server.submit_to(queue, "&Name=Ada&Fail=no");
    for token in [&finished, &failed] {
        server.outcome(queue, token);
    }
    let stopped = server.submit_to(queue, "&Name=Ada&Sleep=600");
    server.wait_in(queue, &stopped, "Processing");
    let cancelled = server.submit_to(queue, "&Name=Ada");
    for (command, token) in [("cancel", &cancelled), ("stop", &stopped)] {
        server.about(queue, command, token).success();
    }
    server.wait_in(queue, &stopped, "Stopped");
    [finished, failed, cancelled, stopped]
}

/// Returns the value of the parameter `Name`, if parameters are shown.
fn name(answer: &Answer) -> Option<String> {
    answer.with(|document| {
        let mut parameters = document.descendants().filter(|node| node.has_tag_name("parameter"));
        let name = parameters.find(|node| node.attribute("name") == Some("Name"));
        name.and_then(|node| node.attribute("value")).map(str::to_owned)
    })
}

#[test]
fn what_has_ended_is_duplicated() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let tokens = ended(&server, "Work");
    for token in &tokens {
        let left_out = server.about("Work", "getActionParameters", token).success();
        assert_eq!(name(&left_out), None);
        let rest = format!("&Final=true&Token={token}");
        let shown = server.info("Work", "getActionParameters", &rest).success();
        assert_eq!(name(&shown).as_deref(), Some("Ada"));
        assert_eq!(shown.must("status"), server.status_in("Work", token));
    }
    let listed = server.info("Work", "getActionParameters", "").success();
    assert_eq!(listed.values("token").len(), 0);
    let listed = server.info("Work", "getActionParameters", "&Final=true").success();
    assert_eq!(listed.values("token").len(), 4);
    let copies: Vec<String> = tokens[..3]
        .iter()
        .map(|token| server.about("Work", "duplicate", token).success().must("token"))
        .collect();
    let outcomes: Vec<String> = copies
        .iter()
        .map(|copy| {
            server.outcome("Work", copy);
            server.status_in("Work", copy)
        })
        .collect();
    assert_eq!(outcomes, ["Finished", "Error", "Finished"]);
    let [finished, failed, cancelled, stopped] = &tokens;
    server.about("Work", "retry", failed).success();
    for token in [finished, cancelled, stopped] {
        let (_, description) = server.about("Work", "retry", token).error();
        assert!(description.contains("duplicate it instead"), "{description}");
    }
}

#[test]
fn what_is_not_kept_is_neither_duplicated_nor_tried_again() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let tokens = ended(&server, "Private");
    let kept = server.submit_to("Private", "&Name=Ada&Fail=no&Idempotency-Key=once");
    server.outcome("Private", &kept);
    for token in &tokens {
        let rest = format!("&Final=true&Token={token}");
        let shown = server.info("Private", "getActionParameters", &rest).success();
        assert_eq!(name(&shown), None);
        let (_, description) = server.about("Private", "duplicate", token).error();
        assert!(description.contains("not kept (KeepParameters=false)"), "{description}");
    }
    let (_, description) = server.about("Private", "retry", &tokens[1]).error();
    assert!(description.contains("not kept (KeepParameters=false)"), "{description}");
    let all = server.info("Private", "retry", "&State=error&All=true").success();
    assert_eq!((all.number("done"), all.number("refused")), (1, 1), "{}", all.0);
    server.outcome("Private", &kept);
    assert_eq!(server.submit_to("Private", "&Name=Ada&Fail=no&Idempotency-Key=once"), kept);
    // Where the key is changed, what ends from then on is kept.
    home.configure(&CONFIG.replace("KeepParameters=false", "KeepParameters=true"));
    server.reload();
    let token = server.submit_to("Private", "&Name=Ada");
    server.outcome("Private", &token);
    server.about("Private", "duplicate", &token).success();
}

/// A full queue says when there may be room, by how fast actions have left it.
#[test]
fn a_full_queue_says_when_to_come_again() {
    let home = Home::new(&CONFIG.replace("[Work]", "[Work]\nMaxQueueSize=100"));
    let server = home.start();
    let fill = || {
        server.info("Work", "pause", "").success();
        let mut caller = Caller::new(server.address).unwrap();
        for _ in 0..100 {
            caller.ask("Work").unwrap().success();
        }
        let request = "GET /action=Work HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let refused = server.send(request.as_bytes());
        assert!(refused.body_text().contains("ERRORQUEUEFULL"));
        refused.header("retry-after").map(str::to_owned)
    };
    assert_eq!(fill().as_deref(), Some("60"), "nothing has left");
    let cancelled = server.info("Work", "cancel", "&State=queued&All=true").success();
    assert_eq!(cancelled.number("done"), 100);
    assert_eq!(fill().as_deref(), Some("1"), "a hundred have left");
}
