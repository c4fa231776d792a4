//! `QueueAction=delete`: of one action, and of all that the filters of getStatus select.

use super::super::calls::{Answer, id_of};
use super::super::server::{Home, Server, wait_until};
use super::{command_beside_others, submit_many};

const CONFIG: &str = "
[AsyncActions]
0=Work
1=Other
[Work]
Type=Echo
MaximumThreads=100
[Other]
Type=Echo
";

fn delete(server: &Server, rest: &str) -> Answer {
    server.info("Work", "delete", rest)
}

fn ended(server: &Server, parameters: &str) -> String {
    let token = server.submit_to("Work", parameters);
    server.outcome("Work", &token);
    token
}

fn count(server: &Server, rest: &str) -> usize {
    let listed = server.info("Work", "getStatus", &format!("{rest}&MaxResults=100000")).success();
    listed.values("token").len()
}

/// It is gone, as if it had never been.
fn is_gone(server: &Server, token: &str) {
    for command in ["getStatus", "delete", "progress", "getActionParameters"] {
        let (code, description) = server.about("Work", command, token).error();
        assert_eq!(code, "ERRORPARAMINVALID", "{command}: {description}");
        assert!(description.contains("Token"), "{description}");
    }
}

#[test]
fn an_action_that_has_ended_is_deleted_for_good() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let runs = server.submit_to("Work", "&Sleep=600");
    server.wait_in("Work", &runs, "Processing");
    let (_, description) = server.about("Work", "delete", &runs).error();
    let refused = "an action that is Processing can't be deleted: it has not ended, stop it first";
    assert!(description.contains(refused), "{description}");
    server.info("Work", "pause", "").success();
    let waits = server.submit_to("Work", "");
    let (_, description) = server.about("Work", "delete", &waits).error();
    assert!(description.contains("is Queued can't be deleted: it has not ended, cancel it first"));
    server.info("Work", "resume", "").success();
    server.outcome("Work", &waits);

    let body = "action=Work&Name=Ada&Idempotency-Key=once";
    let post = |body: &str| {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Answer(server.send(request.as_bytes()).body_text())
    };
    let token = post(body).success().must("token");
    server.outcome("Work", &token);
    assert_eq!(post(body).success().must("token"), token, "it repeats the first");
    let deleted =
        post(&format!("action=QueueInfo&QueueName=Work&QueueAction=DELETE&Token={token}"));
    let deleted = deleted.success();
    assert_eq!(deleted.must("token"), token);
    assert_eq!((deleted.must("status"), deleted.number("deleted")), ("Finished".to_owned(), 1));
    is_gone(&server, &token);
    let again = post(body).success().must("token");
    assert!(id_of(&again) > id_of(&token), "the key is free, the id is not (Q1)");
    server.outcome("Work", &again);
    server.about("Work", "delete", &again).success();

    // What was acknowledged is on the disk.
    server.kill();
    let server = home.start();
    for token in [&token, &again] {
        is_gone(&server, token);
    }
    let status = server.info("Work", "queueStatus", "").success();
    assert_eq!(status.number("finished"), 1, "{}", status.0);
    let last = ended(&server, "");
    assert!(id_of(&last) > id_of(&again));
}

#[test]
fn what_filters_select_is_deleted_and_nothing_else() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for n in 0..20 {
        good.push(ended(&server, &format!("&Priority={n}")));
        bad.push(ended(&server, &format!("&Priority={n}&Fail=no")));
    }
    let runs = server.submit_to("Work", "&Sleep=600&Priority=19");
    server.wait_in("Work", &runs, "Processing");
    for nothing in ["", "&MaxResults=5", "&Sort-By=finish-time"] {
        let (_, description) = delete(&server, nothing).error();
        assert!(description.contains("The parameter Token is required"), "{description}");
        assert!(description.contains("State=finished"), "{description}");
    }
    for (rest, named) in [
        (format!("&State=error&Token={}", bad[0]), "State"),
        ("&State=error,queued".to_owned(), "State"),
        ("&State=wobble".to_owned(), "State"),
        ("&Queued-Before=soon".to_owned(), "Queued-Before"),
        // A variable that a script has lost.
        ("&State=error&Token=".to_owned(), "Token"),
        ("&State=".to_owned(), "State"),
        ("&State=,".to_owned(), "State"),
    ] {
        let (code, description) = delete(&server, &rest).error();
        assert_eq!(code, "ERRORPARAMINVALID");
        assert!(description.contains(&format!("The parameter {named} has")), "{description}");
    }
    assert_eq!(count(&server, ""), 41);
    let check = |rest: &str, deleted: usize, left: usize| {
        let answer = delete(&server, rest).success();
        assert_eq!(answer.number("deleted"), deleted as u64, "{rest}");
        assert_eq!(answer.must("more"), "false", "{rest}");
        assert_eq!(count(&server, ""), left, "{rest}");
    };
    check("&State=stopped", 0, 41);
    check("&State=error&Min-Priority=15", 5, 36);
    // As getStatus lists them: the newest first.
    check("&State=finished&Max-Priority=9&MaxResults=2&Start=3", 2, 34);
    assert_eq!(server.status_in("Work", &bad[9]), "Error");
    assert_eq!(server.status_in("Work", &good[9]), "Finished");
    is_gone(&server, &bad[8]);
    is_gone(&server, &good[8]);
    check("&State=error&Sort-Order=ascending&MaxResults=1", 1, 33);
    is_gone(&server, &bad[0]);
    check("&Finished-Before=-3600", 0, 33);
    check("&Finished-Before=2030-Jan-01%2000:00:00&Max-Priority=2", 5, 28);
    check("&Started-After=2020-Jan-01%2000:00:00", 27, 1);
    assert_eq!(server.status_in("Work", &runs), "Processing");
    let status = server.info("Work", "queueStatus", "").success();
    assert_eq!((status.number("running"), status.number("finished")), (1, 0));
    // Another queue is another queue.
    let other = server.submit_to("Other", "");
    server.outcome("Other", &other);
    check("&State=finished", 0, 1);
    assert_eq!(server.status_in("Other", &other), "Finished");
}

/// While many are deleted, others submit, poll and steer as ever.
#[test]
fn many_are_deleted_in_small_steps() {
    let home = Home::new(
        &CONFIG.replace("MaximumThreads=100", "MaximumThreads=100\nMaxFinishedSize=1000000"),
    );
    let server = home.start();
    let number = 4_000;
    submit_many(&server, number);
    let finished =
        |server: &Server| server.info("Work", "queueStatus", "").success().number("finished");
    wait_until("the end of all", || finished(&server) == number);
    let about = "QueueInfo&QueueName=Work&QueueAction=delete";
    let filters = "&State=finished&Sort-Order=ascending&Min-Priority=0";
    let answer = command_beside_others(&server, &format!("{about}{filters}"));
    assert_eq!(answer.must("more"), "false");
    assert_eq!(answer.number("deleted"), number);
    assert_eq!(finished(&server), 0);
    assert_eq!(count(&server, ""), 0);
}
