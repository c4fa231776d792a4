//! What failed is tried again, as often and as late as its queue says.

use std::time::{Duration, Instant};

use super::super::server::wait_until;
use super::super::shop::{Shop, ended, let_pass, now, seconds};
use super::{flaky, numbers, submit, tries, until_it_waits};

const AT_ONCE: &str = "MaxAttempts=3\nRetryDelaySecs=0\nRetryBackoff=fixed";

#[test]
fn an_action_is_tried_until_it_succeeds() {
    let shop = flaky(AT_ONCE);
    let server = shop.start();
    for fails in 0..3 {
        let name = format!("n{fails}");
        let token = submit(&server, &name, fails);
        let answer = ended(&server, "Work", &token, Duration::from_secs(25));
        assert_eq!(answer.must("status"), "Finished", "{}", answer.0);
        assert_eq!(answer.number("tries"), u64::from(fails) + 1, "{}", answer.0);
        let expected: Vec<u64> = (1..=u64::from(fails) + 1).collect();
        assert_eq!(numbers(&shop, &name), expected, "each attempt has its own number");
        // What failed before is history: the action itself has succeeded.
        assert_eq!(answer.value("error"), None, "{}", answer.0);
        assert_eq!(answer.value("next_attempt_time"), None, "{}", answer.0);
        assert_eq!(answer.value("exit_code").filter(|code| code != "0"), None, "{}", answer.0);
    }
}

#[test]
fn after_the_last_attempt_it_has_failed() {
    let shop = flaky(AT_ONCE);
    let server = shop.start();
    let token = submit(&server, "always", 1_000);
    let answer = ended(&server, "Work", &token, Duration::from_secs(25));
    assert_eq!(answer.must("status"), "Error");
    assert!(answer.must("error").contains("exit code 3"), "{}", answer.0);
    assert!(answer.0.contains("try 3 of always"), "the last one's words: {}", answer.0);
    assert_eq!(answer.value("next_attempt_time"), None, "{}", answer.0);
    let_pass(&server, "0.3");
    assert_eq!(numbers(&shop, "always"), [1, 2, 3]);
}

#[test]
fn there_is_one_attempt_by_default() {
    let shop = flaky("");
    let server = shop.start();
    let token = submit(&server, "once", 1);
    let answer = ended(&server, "Work", &token, Duration::from_secs(25));
    assert_eq!((answer.must("status").as_str(), tries(&shop, "once")), ("Error", 1));
}

/// Who waits for the result is told the end, not the first failure.
#[test]
fn who_waits_waits_for_the_last_attempt() {
    let shop = flaky("MaxAttempts=3\nRetryDelaySecs=1\nRetryBackoff=fixed");
    let server = shop.start();
    let answer = server.ask("Work&Name=a&Fails=2&Wait=25").success();
    assert_eq!(answer.must("status"), "Finished", "{}", answer.0);
    assert_eq!(answer.number("tries"), 3);
    let answer = server.ask("Work&Name=b&Fails=9&Wait=25").success();
    assert_eq!((answer.must("status").as_str(), tries(&shop, "b")), ("Error", 3));
}

#[test]
fn what_is_stopped_is_not_tried_again() {
    let shop = Shop::with(&[
        ("Work", "/bin/sh %HOME%/work.sh", "MaxAttempts=5\nRetryDelaySecs=0\nStopGraceSecs=600"),
        ("Other", "", ""),
    ])
    .script(
        "work.sh",
        "echo x >> \"$H/starts\"; [ -e \"$H/deaf\" ] && trap '' TERM; say up; wait_for never",
    );
    let server = shop.start();
    for (begun, deaf) in [(1, false), (2, true)] {
        if deaf {
            shop.say("deaf");
        }
        let token = server.submit_to("Work", "");
        shop.wait_for("up");
        shop.unsay("up");
        server.about("Work", "stop", &token).success();
        if deaf {
            server.about("Work", "stop", &token).success();
        }
        server.wait_in("Work", &token, "Stopped");
        let_pass(&server, "0.3");
        assert_eq!(
            (shop.lines("starts").len(), server.status_in("Work", &token).as_str()),
            (begun, "Stopped")
        );
    }
}

#[test]
fn a_fixed_delay_lies_between_attempts() {
    let shop = flaky("MaxAttempts=3\nRetryDelaySecs=2\nRetryBackoff=fixed");
    let server = shop.start();
    let began = Instant::now();
    let token = submit(&server, "a", 2);
    let answer = ended(&server, "Work", &token, Duration::from_secs(25));
    assert_eq!(answer.must("status"), "Finished");
    // Two of them, each with what jitter may take of it.
    let took = began.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(15)).contains(&took), "{took:?}");
}

/// With far longer delays than a test lasts, each cut short by `retry`: what is planned is what is looked at.
#[test]
fn delays_grow_to_their_bound_and_are_not_all_alike() {
    const ACTIONS: usize = 20;
    let settings = "MaxAttempts=10\nRetryDelaySecs=1000\nRetryMaxDelaySecs=3000\nMaximumThreads=4\nRetryBackoff=";
    for (backoff, expected) in
        [("fixed", [1000, 1000, 1000, 1000]), ("exponential", [1000, 2000, 3000, 3000])]
    {
        let shop = flaky(&format!("{settings}{backoff}"));
        let server = shop.start();
        let names: Vec<String> = (0..ACTIONS).map(|number| format!("n{number}")).collect();
        let tokens: Vec<String> = names.iter().map(|name| submit(&server, name, 1_000)).collect();
        for (round, expected) in expected.into_iter().enumerate() {
            let began = Instant::now();
            if round > 0 {
                for token in &tokens {
                    server.about("Work", "retry", token).success();
                }
            }
            let mut delays = Vec::new();
            for (token, name) in tokens.iter().zip(&names) {
                let answer = until_it_waits(&shop, &server, token, name, round + 1);
                delays.push(seconds(&answer.must("next_attempt_time")) - now());
            }
            let took = 1 + began.elapsed().as_secs() as i64;
            let (least, most) = (*delays.iter().min().unwrap(), *delays.iter().max().unwrap());
            // Jitter may take all of it, or add a half; of so many, one has more than half of it left.
            assert!(least >= -1, "{backoff} {round}: {delays:?}");
            assert!(most > expected / 2 - took, "{backoff} {round}: {delays:?}");
            assert!(most <= expected * 3 / 2 + 1, "{backoff} {round}: {delays:?}");
            assert!(most <= 3001, "more than RetryMaxDelaySecs: {delays:?}");
            // What is cut to the bound may be alike again.
            if backoff == "exponential" && round < 2 {
                assert!(most - least > took + 5, "no jitter: {delays:?} within {took} s");
            }
        }
    }
}

#[test]
fn settings_that_make_no_sense_stop_the_start() {
    for (line, words) in [
        ("RetryBackoff=sometimes", &["fixed", "exponential"][..]),
        ("MaxAttempts=many", &["whole number"]),
        ("RetryDelaySecs=soon", &["RetryDelaySecs"]),
        ("RetryMaxDelaySecs=x", &["RetryMaxDelaySecs"]),
        ("MaxRestarts=-7", &["MaxRestarts"]),
    ] {
        let shop = Shop::new(&format!("[AsyncActions]\n0=Work\n[Work]\nType=Echo\n{line}\n"));
        let (code, said) = shop.refused();
        assert_eq!(code, Some(2), "{line}: {said}");
        assert!(said.contains("test.cfg:5:") && said.contains(line), "{line}: {said}");
        for word in words {
            assert!(said.contains(word), "{word} for {line}: {said}");
        }
    }
    // They may be set for all queues at once, as other settings of queues may.
    let text = "[Actions]\nMaxAttempts=2\nRetryDelaySecs=0\nRetryBackoff=fixed\nRetryMaxDelaySecs=60\nMaxRestarts=5\n";
    let shop = Shop::new(&format!(
        "{text}{}",
        super::super::shop::config(&[("Work", "/bin/sh %HOME%/flaky.sh {Name} {Fails}", "")])
    ))
    .script("flaky.sh", super::FLAKY);
    let server = shop.start();
    let token = submit(&server, "a", 1);
    server.wait_in("Work", &token, "Finished");
    assert_eq!(tries(&shop, "a"), 2);
}

/// Many that fail and are tried again at once: each as often as it may, none lost, no slot lost.
#[test]
fn many_fail_at_once() {
    let shop = flaky("MaxAttempts=4\nRetryDelaySecs=0\nRetryBackoff=exponential\nMaximumThreads=6");
    let server = shop.start();
    let all: Vec<(String, u32, String)> = (0..60_u32)
        .map(|number| {
            let name = format!("n{number}");
            let token = submit(&server, &name, number % 6);
            (name, number % 6, token)
        })
        .collect();
    for (name, fails, token) in &all {
        let answer = ended(&server, "Work", token, Duration::from_secs(60));
        let (status, begun) =
            if *fails < 4 { ("Finished", *fails as usize + 1) } else { ("Error", 4) };
        assert_eq!(
            (answer.must("status").as_str(), tries(&shop, name)),
            (status, begun),
            "{}",
            answer.0
        );
    }
    assert_eq!(super::counts(&server, "Work"), [0, 0, 60]);
    wait_until("no program left", || shop.programs().is_empty());
}
