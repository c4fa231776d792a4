//! What is asked between the end of a program and that of its group.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::*;
use crate::action::Parameters;
use crate::lifecycle::{Came, OnRestart};
use crate::worker::outcome;

fn attempt() -> Arc<Attempt> {
    Arc::new(Attempt::new(None, "work".into(), Parameters::default(), OnRestart::Fail))
}

/// Lets a program end when this wish had reached it last, with what is asked until its group has gone, and what is asked
/// after that. Returns what its work, which notes these, ended with and how the attempt came to its end.
async fn ended(
    wish: Wish,
    meanwhile: fn(&Attempt),
    afterwards: fn(&Attempt),
    output: WorkResult,
) -> (WorkResult, Came) {
    let attempt = attempt();
    attempt.ask(wish);
    let has_gone = Mutex::new(false);
    let gone = async {
        meanwhile(&attempt);
        tokio::task::yield_now().await;
        *has_gone.lock().unwrap() = true;
    };
    let work = async {
        // The first look is while the program's group goes.
        while !*has_gone.lock().unwrap() {
            tokio::task::yield_now().await;
        }
        afterwards(&attempt);
        output
    };
    let came = came_of(wish, attempt.has_timed_out());
    let ended = Ended { wish, came, work: Box::pin(work), result: None };
    let result = ended.work_to_its_end(gone, &attempt).await;
    (result, outcome::came(&attempt, false))
}

fn nothing(_: &Attempt) {}

#[tokio::test]
async fn a_program_ends_as_it_was_asked_before_its_end() {
    let asks: [fn(&Attempt); 5] = [
        nothing,
        |a| a.ask(Wish::Stop),
        |a| a.ask(Wish::Pause),
        Attempt::interrupt,
        Attempt::time_out,
    ];
    for meanwhile in asks {
        let done = ended(Wish::Run, meanwhile, nothing, Ok(Vec::new())).await;
        assert_eq!(done, (Ok(Vec::new()), Came::ByItself));
        let failed = || Err(Failure::failed("as planned"));
        assert_eq!(
            ended(Wish::Run, meanwhile, nothing, failed()).await,
            (failed(), Came::ByItself)
        );
        // Most programs fail when they are asked to end.
        let stopped = ended(Wish::Stop, meanwhile, nothing, failed()).await;
        assert_eq!(stopped, (Err(Failure::Stopped), Came::Asked));
    }
}

#[tokio::test]
async fn work_that_goes_on_after_its_program_ends_as_it_is_asked_then() {
    let failed = || Err(Failure::failed("as planned"));
    for (afterwards, came) in [
        ((|a| a.ask(Wish::Stop)) as fn(&Attempt), Came::Asked),
        (Attempt::time_out, Came::TimedOut),
        (|a| a.ask(Wish::Force), Came::Forced),
    ] {
        let (result, is) = ended(Wish::Run, nothing, afterwards, failed()).await;
        assert_eq!((result, is), (failed(), came));
    }
    // It obeys what was asked meanwhile.
    let obeys = ended(Wish::Run, |a| a.ask(Wish::Stop), nothing, Err(Failure::Stopped)).await;
    assert_eq!(obeys, (Err(Failure::Stopped), Came::Asked));
}

#[tokio::test]
async fn work_that_waits_for_something_else_is_given_up() {
    let attempt = attempt();
    let work = Box::pin(std::future::pending::<WorkResult>());
    let gone = async { attempt.ask(Wish::Force) };
    let ended = Ended { wish: Wish::Stop, came: Came::Asked, work, result: None };
    assert_eq!(ended.work_to_its_end(gone, &attempt).await, Err(Failure::Stopped));
    assert_eq!(outcome::came(&attempt, false), Came::Forced);
}

#[tokio::test]
async fn the_wait_for_the_group_is_no_time_of_work() {
    let attempt = attempt();
    let mut before = Duration::ZERO;
    let gone = async {
        before = attempt.progress().1;
        tokio::time::sleep(Duration::from_millis(30)).await;
        attempt.ask(Wish::Pause);
        attempt.ask(Wish::Stop);
        assert_eq!(attempt.progress().1, before);
    };
    let ended = Ended {
        wish: Wish::Run,
        came: Came::ByItself,
        work: std::future::pending(),
        result: Some(Ok(Vec::new())),
    };
    assert_eq!(ended.work_to_its_end(gone, &attempt).await, Ok(Vec::new()));
    let since = Instant::now();
    while attempt.progress().1 == before {
        assert!(since.elapsed() < Duration::from_secs(10), "it counts again");
    }
}
