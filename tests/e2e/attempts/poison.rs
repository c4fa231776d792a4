//! An action that was running each time its server died does not get another chance for ever, and keeps no other from
//! running.

use super::super::calls::{Caller, id_of};
use super::super::server::{Server, wait_until};
use super::super::shop::{Shop, ended, let_pass};
use super::{counts, history_of};

/// Kills the server whose number stands in the file `pid`, as soon as there is one.
const POISON: &str = r#"
echo "$ACTIOND_ATTEMPT" >> "$H/starts"
[ -e "$H/calm" ] && exit 0
wait_for pid
kill -KILL "$(cat "$H/pid")"
wait_for never
"#;

fn shop(settings: &str) -> Shop {
    Shop::with(&[
        ("Work", "/bin/sh %HOME%/{Script}.sh", &format!("OnRestart=Requeue\n{settings}")),
        ("Other", "", "OnRestart=Requeue\nMaximumThreads=4"),
    ])
    .script("poison.sh", POISON)
    .script("good.sh", "echo ran")
}

fn tell_its_number(shop: &Shop, server: &Server) {
    std::fs::write(shop.path("new"), server.pid().to_string()).unwrap();
    std::fs::rename(shop.path("new"), shop.path("pid")).unwrap();
}

/// Starts servers until the action has ended; returns the last one, and how many died of it.
fn until_it_ended(shop: &Shop, first: Server, token: &str) -> (Server, usize) {
    let mut server = first;
    for deaths in 1..10 {
        tell_its_number(shop, &server);
        let (status, _) = server.wait();
        assert!(!status.success(), "it was killed");
        shop.unsay("pid");
        server = shop.start();
        let mut status = String::new();
        wait_until("what becomes of it", || {
            status = server.status_in("Work", token);
            status == "Error" || shop.lines("starts").len() > deaths
        });
        if status == "Error" {
            return (server, deaths);
        }
    }
    panic!("it kills one server after the other");
}

#[test]
fn an_action_that_kills_its_server_ends_in_error() {
    for (settings, expected) in
        [("", 3), ("MaxRestarts=1", 1), ("MaxRestarts=2\nMaxAttempts=9\nRetryDelaySecs=0", 2)]
    {
        let shop = shop(settings);
        let server = shop.start();
        let poison = server.submit_to("Work", "&Script=poison&Priority=9");
        let others: Vec<_> = (0..5).map(|_| server.submit_to("Work", "&Script=good")).collect();
        let (server, deaths) = until_it_ended(&shop, server, &poison);
        assert_eq!((deaths, shop.lines("starts").len()), (expected, expected), "{settings}");
        let answer = server.about("Work", "getStatus", &poison).success();
        let error = answer.must("error").to_lowercase();
        assert!(error.contains("restart") || error.contains("died"), "{error}");
        for token in &others {
            server.wait_in("Work", token, "Finished");
        }
        assert_eq!(counts(&server, "Work"), [0, 0, 6]);
        let shown = history_of(&server, "Work", &poison);
        assert_eq!(shown.len(), expected, "{shown:#?}");
        let numbers: Vec<u64> =
            shop.lines("starts").iter().map(|line| line.parse().unwrap()).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        shop.all_gone();

        // It is final: another restart changes nothing.
        server.kill();
        let server = shop.start();
        assert_eq!(server.status_in("Work", &poison), "Error");
        // But who has mended it may try again.
        shop.say("calm");
        server.about("Work", "retry", &poison).success();
        server.wait_in("Work", &poison, "Finished");
    }
}

/// Whether the server dies before all in its queue has ended.
fn dies(server: &Server) -> bool {
    let mut died = false;
    wait_until("the end of all, or of the server", || {
        let asked = Caller::new(server.address)
            .and_then(|mut caller| caller.ask("QueueInfo&QueueName=Work&QueueAction=queueStatus"));
        died = asked.is_err();
        asked.map_or(true, |counts| counts.number("pending") + counts.number("running") == 0)
    });
    died
}

/// Several of them, with slots enough for all: the others come through, but for what ran beside them too often.
#[test]
fn a_few_of_them_keep_nobody_from_running() {
    let shop = shop("MaxRestarts=2\nMaximumThreads=2");
    let server = shop.start();
    let poisons: Vec<_> =
        (0..3).map(|_| server.submit_to("Work", "&Script=poison&Priority=9")).collect();
    let others: Vec<_> = (0..5).map(|_| server.submit_to("Work", "&Script=good")).collect();
    let mut server = server;
    let mut deaths = 0;
    while {
        tell_its_number(&shop, &server);
        dies(&server)
    } {
        server.wait();
        deaths += 1;
        assert!(deaths <= 6, "three of them may kill two servers each");
        shop.unsay("pid");
        server = shop.start();
    }
    assert!(deaths >= 2, "{deaths}");
    for token in &poisons {
        assert_eq!(server.status_in("Work", token), "Error");
    }
    let ends: Vec<_> = others.iter().map(|token| server.status_in("Work", token)).collect();
    // One ran beside the last of them each time.
    assert!(ends.iter().filter(|end| *end == "Finished").count() >= others.len() - 1, "{ends:?}");
    assert!(ends.iter().all(|end| end == "Finished" || end == "Error"), "{ends:?}");
}

/// It need not be the cause: whatever ran each time, of any kind.
#[test]
fn whatever_ran_each_time_ends_in_error() {
    let shop = shop("");
    let mut server = shop.start();
    let long = server.submit_to("Other", "&Sleep=600");
    for _ in 0..3 {
        server.wait_in("Other", &long, "Processing");
        // One that runs for the first time has all its chances still.
        server.kill();
        server = shop.start();
    }
    server.wait_in("Other", &long, "Error");
    let answer = server.outcome("Other", &long);
    let error = answer.must("error").to_lowercase();
    assert!(error.contains("restart") || error.contains("died"), "{error}");
    // A clean end of the server is not its death: what ran is requeued, and that is not counted.
    let patient = server.submit_to("Other", "&Sleep=600");
    for _ in 0..4 {
        server.wait_in("Other", &patient, "Processing");
        server.signal("TERM");
        server.wait_for_draining();
        server.signal_again();
        assert!(server.wait().0.success());
        server = shop.start();
    }
    server.wait_in("Other", &patient, "Processing");
}

/// Two deaths are forgiven, and so is what ended well in between.
#[test]
fn fewer_deaths_are_forgiven() {
    let shop = shop("");
    let mut server = shop.start();
    let token = server.submit_to("Work", "&Script=poison");
    for begun in 1..3 {
        wait_until("its program", || shop.lines("starts").len() == begun);
        server.kill();
        if begun == 2 {
            shop.say("calm");
        }
        server = shop.start();
    }
    let answer = ended(&server, "Work", &token, std::time::Duration::from_secs(25));
    assert_eq!(answer.must("status"), "Finished", "{}", answer.0);
    assert_eq!(shop.lines("starts").len(), 3);
    assert_eq!(id_of(&answer.must("token")), id_of(&token));
}

/// With `OnRestart=Fail` once is enough, whatever `MaxRestarts` says.
#[test]
fn what_may_not_run_twice_fails_at_the_first_death() {
    let shop = shop("OnRestart=Fail\nMaxRestarts=9");
    let text = shop.read("test.cfg").replace("OnRestart=Requeue\nOnRestart=Fail", "OnRestart=Fail");
    std::fs::write(shop.path("test.cfg"), text).unwrap();
    let server = shop.start();
    let token = server.submit_to("Work", "&Script=poison");
    tell_its_number(&shop, &server);
    server.wait();
    shop.unsay("pid");
    let server = shop.start();
    server.wait_in("Work", &token, "Error");
    let_pass(&server, "0.2");
    assert_eq!(shop.lines("starts").len(), 1);
}
