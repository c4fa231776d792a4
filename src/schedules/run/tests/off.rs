//! Times that were due shortly before a start, or while a schedule was off.

use super::*;

#[actix_web::test]
async fn what_was_due_in_the_minute_before_a_start_has_its_action_the_latest_alone() {
    for (away, expected) in [
        // It died before it had queued what was due.
        (12, vec![0, 10]),
        (59, vec![0, 50]),
        (72, vec![0, 70]),
        (3_601, vec![0, 3_600]),
    ] {
        let bench = Bench::finishing(NOW).await;
        let definition = Definition { overlap: Overlap::Queue, ..every(10) };
        look(&bench.runner(&definition)).await;
        bench.advance(away);
        // Of several that start, one does it.
        let (one, two) = (bench.runner(&definition), bench.runner(&definition));
        tokio::join!(look(&one), look(&two));
        look(&bench.runner(&definition)).await;
        assert_eq!(bench.seconds(NOW).await, expected, "after {away} s");
    }
}

#[actix_web::test]
async fn a_delay_does_not_multiply_what_was_due_before_a_start() {
    let bench = Bench::finishing(NOW).await;
    let definition = Definition { jitter_secs: 30, overlap: Overlap::Queue, ..every(10) };
    let runner = bench.runner(&definition);
    let mut next = look(&runner).await.unwrap();
    while bench.seconds(NOW).await.is_empty() {
        bench.clock.set(next);
        next = look(&runner).await.unwrap();
    }
    let before = bench.seconds(NOW).await.len();
    bench.advance(3_600);
    look(&bench.runner(&definition)).await;
    assert_eq!(bench.seconds(NOW).await.len(), before + 1);
}

/// A schedule that is off, or not there, is like a paused one: it begins from the moment when it is on again.
#[actix_web::test]
async fn what_was_due_while_a_schedule_was_off_is_left_out() {
    let on = Definition { overlap: Overlap::Queue, ..every(10) };
    let off = Definition { enabled: false, ..on.clone() };
    for catch_up in [CatchUp::None, CatchUp::Once] {
        let define =
            |it: &Definition| [named("Nightly", Definition { catch_up, ..it.clone() })].to_vec();
        for meanwhile in [define(&off), Vec::new(), define(&every(7_000))] {
            let bench = Bench::finishing(NOW).await;
            let runner = Runner::new(bench.system.clone(), &[], &define(&on));
            look(&runner).await;
            runner.replace(&meanwhile);
            look(&runner).await;
            bench.advance(35);
            look(&runner).await;
            runner.replace(&define(&on));
            let next = look(&runner).await;
            assert_eq!(next, Some(Timestamp(at(NOW).0 + 40_000)), "{catch_up:?} {meanwhile:?}");
            assert_eq!(bench.seconds(NOW).await, [0], "{catch_up:?} {meanwhile:?}");
            // Other parameters are no other times: what is due stays so.
            let given = vec![("Name".to_owned(), "Ada".to_owned())];
            bench.advance(5);
            runner.replace(&define(&Definition { parameters: given, ..on.clone() }));
            look(&runner).await;
            assert_eq!(bench.seconds(NOW).await, [0, 40], "{catch_up:?} {meanwhile:?}");
        }
        // Over restarts it is the same.
        let bench = Bench::finishing(NOW).await;
        look(&Runner::new(bench.system.clone(), &[], &define(&on))).await;
        look(&Runner::new(bench.system.clone(), &[], &define(&off))).await;
        bench.advance(3_605);
        look(&Runner::new(bench.system.clone(), &[], &define(&on))).await;
        assert_eq!(bench.seconds(NOW).await, [0], "{catch_up:?}");
    }
}

#[actix_web::test]
async fn one_that_is_off_stays_paused_and_begins_when_it_is_both_on_and_resumed() {
    let bench = Bench::finishing(NOW).await;
    let on = [named("Nightly", every(10))];
    let off = [named("Nightly", Definition { enabled: false, ..every(10) })];
    let schedules = crate::schedules::Schedules::start(bench.system.clone(), &[], &on);
    let next = || async { schedules.list().await.unwrap().pop().unwrap().next };
    // It is known before anybody has looked.
    assert!(next().await.is_some());
    let runner = Runner::new(bench.system.clone(), &[], &on);
    look(&runner).await;
    schedules.pause("Nightly").await.unwrap();
    runner.replace(&off);
    look(&runner).await;
    bench.advance(35);
    runner.replace(&on);
    look(&runner).await;
    assert_eq!(next().await, None, "it is paused");
    schedules.resume("Nightly").await.unwrap();
    look(&runner).await;
    assert_eq!(next().await, Some(Timestamp(at(NOW).0 + 40_000)));
    assert_eq!(bench.seconds(NOW).await, [0]);
    schedules.end();
}
