//! Takers without sockets: what each gets, whoever comes and goes meanwhile.

use actiond_actors::events::{self, QueueEvent};
use actiond_actors::lifecycle::Came;
use actiond_actors::testing::Script;
use actiond_actors::{
    ActionContext, ActionId, Interest, Parameters, Perform, QueueSettings, State, Submission,
    System, Work,
};
use futures_util::FutureExt as _;
use tempfile::TempDir;
use tokio::sync::watch;

use super::*;

fn waiting_at(desks: &[&Desk], places: usize) -> Place {
    let taker = Arc::new(Taker::new("w".into(), places));
    let mut place = Place { taker, joined: Vec::new() };
    desks.iter().for_each(|desk| place.join(desk));
    place
}

#[test]
fn each_place_is_reserved_once_at_whatever_desk() {
    let [a, b] = [1, 2].map(|secs| Desk::new(Duration::from_secs(secs)));
    assert_eq!((a.demand(), a.reserve(3)), (0, 0));
    let both = waiting_at(&[&a, &b], 2);
    let one = waiting_at(&[&a], 1);
    assert_eq!((b.reserve(1), a.reserve(9)), (1, 2));
    assert_eq!((a.demand(), b.demand(), b.reserve(1)), (0, 0, 0));
    // The one that came last gives its place back first.
    a.give_back(1);
    assert_eq!((a.demand(), b.demand()), (1, 0));
    a.give_back(9);
    assert_eq!((a.demand(), b.demand(), b.reserve(9)), (1, 1, 1));
    drop(one);
    assert_eq!((a.demand(), a.waiting(), b.waiting()), (0, 1, 1));
    drop(both);
    assert_eq!((a.waiting(), b.waiting(), b.reserve(1)), (0, 0, 0));
    // What is given back after that is nobody's.
    b.give_back(2);
    assert_eq!(b.demand(), 0);
}

#[tokio::test]
async fn whoever_leaves_waits_for_what_is_reserved_and_takes_no_more() {
    let desk = Desk::new(Duration::from_secs(1));
    let mut place = waiting_at(&[&desk], 2);
    assert_eq!(desk.reserve(1), 1);
    // It waits at one desk.
    place.taker.lock().minds_giving_back = false;
    let mut closing = Box::pin(place.close_decided());
    assert!(closing.as_mut().now_or_never().is_none());
    assert_eq!(desk.reserve(1), 0);
    desk.give_back(1);
    assert!(closing.now_or_never().expect("it is decided").is_empty());
    assert_eq!(desk.waiting(), 0);
}

async fn attempts<const N: usize>() -> (System, TempDir, [ActionContext; N]) {
    attempts_at("").await
}

/// Starts so many attempts with this parameter, whose work is what the test does with their contexts.
async fn attempts_at<const N: usize>(with: &str) -> (System, TempDir, [ActionContext; N]) {
    let (send, mut contexts) = tokio::sync::mpsc::unbounded_channel();
    let script = Script::new(move |context| {
        send.send(context).unwrap();
        Work::task(std::future::pending())
    });
    let directory = tempfile::tempdir().unwrap();
    let settings = QueueSettings { maximum_threads: N, ..QueueSettings::default() };
    let builder = System::builder(directory.path()).queue("Work", settings, script);
    let system = builder.start().await.unwrap();
    let queue = system.queue("Work").unwrap();
    let mut all = Vec::new();
    for _ in 0..N {
        let parameters = Parameters::from_iter([("Scene", with)]);
        queue.submit(Submission::new(parameters)).await.unwrap();
        all.push(contexts.recv().await.unwrap());
    }
    (system, directory, all.try_into().unwrap())
}

fn hour() -> Desk {
    Desk::new(Duration::from_secs(3_600))
}

#[tokio::test]
async fn a_job_goes_past_a_worker_that_has_left() {
    let (_system, _directory, [context]) = attempts().await;
    let desk = hour();
    let mut gone = waiting_at(&[&desk], 1);
    assert_eq!(desk.reserve(1), 1);
    let mut next = waiting_at(&[&desk], 1);
    assert!(gone.close().is_empty() && !gone.taker.has_room());
    let _work = desk.work(context);
    assert_eq!(next.close().len(), 1);
}

#[tokio::test]
async fn a_worker_gets_no_more_than_it_has_places_for() {
    let (_system, _directory, contexts) = attempts::<2>().await;
    let desk = hour();
    let mut place = waiting_at(&[&desk], 1);
    let _works = contexts.map(|context| desk.work(context));
    assert_eq!(desk.holders(9).1, 1, "the other one goes back to its queue");
    assert_eq!(place.close().len(), 1);
}

#[tokio::test]
async fn all_that_is_reserved_comes_in_one_reply_and_nothing_else() {
    let (_system, _directory, [first, second]) = attempts().await;
    let desk = hour();
    let place = waiting_at(&[&desk], 3);
    assert_eq!(desk.reserve(2), 2);
    let _first = desk.work(first);
    assert!(place.taker.served().now_or_never().is_none(), "another one is to come");
    let _second = desk.work(second);
    assert!(place.taker.served().now_or_never().is_some());
    assert_eq!((desk.demand(), desk.reserve(1)), (0, 0), "its reply is under way");
}

#[tokio::test]
async fn a_worker_gets_no_more_than_a_reply_should_carry() {
    let large = "x".repeat(MOST_BYTES / 2);
    let (_system, _directory, contexts) = attempts_at::<3>(&large).await;
    let desk = hour();
    let mut place = waiting_at(&[&desk], 3);
    assert_eq!(desk.reserve(3), 3);
    let _works = contexts.map(|context| desk.work(context));
    assert_eq!(place.close().len(), 2);
}

#[tokio::test]
async fn the_oldest_that_are_out_are_shown() {
    let (_system, _directory, contexts) = attempts::<9>().await;
    let desk = hour();
    let _place = waiting_at(&[&desk], 9);
    assert_eq!(desk.reserve(9), 9);
    let ids = contexts.each_ref().map(|context| context.id().unwrap());
    let _works = contexts.map(|context| desk.work(context));
    let (shown, all) = desk.holders(8);
    let shown: Vec<_> = shown.iter().map(|holder| holder.action.id).collect();
    assert_eq!((shown.as_slice(), all), (&ids[..8], 9));
}

/// The work of an attempt may be dropped once the next attempt has begun.
#[tokio::test]
async fn the_end_of_a_job_leaves_a_later_one_where_it_is() {
    let (_system, _directory, [context]) = attempts().await;
    let desk = hour();
    let _place = waiting_at(&[&desk], 2);
    assert_eq!(desk.reserve(2), 2);
    let id = context.id().unwrap();
    let [earlier, later] = [context.clone(), context].map(|context| desk.work(context));
    drop(earlier);
    let job = desk.job(id, 1).unwrap();
    let waits = job.wish(Duration::from_secs(3_600));
    drop(later);
    assert!(desk.job(id, 1).is_none());
    assert_eq!(waits.now_or_never(), Some(None));
    assert!(!job.release(), "it is over");
}

/// Does what the desk says, and counts how often its queue asks whether a worker waits.
struct Counting(Desk, watch::Sender<usize>);

impl Perform for Counting {
    fn perform(&self, context: ActionContext) -> Work {
        self.0.work(context)
    }

    fn demand(&self) -> usize {
        let demand = self.0.demand();
        self.1.send_modify(|asked| *asked += 1);
        demand
    }

    fn reserve(&self, most: usize) -> usize {
        self.0.reserve(most)
    }

    fn give_back(&self, unused: usize) {
        self.0.give_back(unused);
    }
}

#[tokio::test]
async fn a_place_that_is_given_back_is_for_whoever_passed_it_over() {
    let desks = [hour(), hour()];
    let directory = tempfile::tempdir().unwrap();
    let (asked, mut asks) = watch::channel(0);
    let counting = |desk: &Desk| Counting(desk.clone(), asked.clone());
    let settings = QueueSettings::default;
    let builder = System::builder(directory.path())
        .queue("A", settings(), counting(&desks[0]))
        .queue("B", settings(), Script::new(|_| Work::task(std::future::pending())));
    let system = builder.start().await.unwrap();
    let queues = ["A", "B"].map(|name| system.queue(name).unwrap());
    let waits_at = [(&desks[0], &queues[0]), (&desks[1], &queues[1])];
    let hour = Duration::from_secs(3_600);
    let mut taking = std::pin::pin!(take(&waits_at, "w", 1, hour, std::future::pending()));
    let action = async {
        while desks[1].waiting() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(desks[1].reserve(1), 1);
        asks.mark_unchanged();
        queues[0].submit(Submission::default()).await.unwrap();
        asks.changed().await.unwrap();
        desks[1].give_back(1);
    };
    let both = async { tokio::join!(&mut taking, action).0 };
    let got = tokio::time::timeout(Duration::from_secs(30), both).await.expect("it is offered");
    assert_eq!(got.len(), 1);
}

#[tokio::test]
async fn what_a_silent_worker_was_to_stop_counts_as_given_up() {
    let desk = Desk::new(Duration::from_secs(2));
    let directory = tempfile::tempdir().unwrap();
    let (tell, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let observer = events::observer(Interest::ENDED, move |_, event| {
        if let QueueEvent::Ended { state, came, .. } = event {
            tell.send((*state, *came)).unwrap();
        }
    });
    let performer = Counting(desk.clone(), watch::Sender::new(0));
    let system = System::builder(directory.path())
        .observer(observer)
        .queue("Work", QueueSettings::default(), performer)
        .start()
        .await
        .unwrap();
    let queue = system.queue("Work").unwrap();
    for (is_stopped, expected) in
        [(true, (State::Stopped, Came::Forced)), (false, (State::Error, Came::ByItself))]
    {
        let id = queue.submit(Submission::default()).await.unwrap().id;
        let hour = Duration::from_secs(3_600);
        let got = take(&[(&desk, &queue)], "w", 1, hour, std::future::pending()).await;
        got.into_iter().for_each(Handed::sent);
        if is_stopped {
            queue.stop(id).await.unwrap();
        }
        let ended =
            tokio::time::timeout(Duration::from_secs(30), ends.recv()).await.expect("an end");
        let (state, came) = ended.unwrap();
        assert_eq!((state, came), (expected.0, Some(expected.1)));
    }
}

#[test]
fn the_last_that_were_told_to_drop_their_work_are_known() {
    let desk = hour();
    let last = crate::desk::MAX_FORCED as u64;
    let mut tell = |id| desk.tell_force(ActionId::new(id).unwrap(), 1);
    assert!((1..=last).all(&mut tell));
    assert!(!tell(1) && !tell(last));
    assert!(tell(last + 1) && !tell(2), "the first one is forgotten");
    assert!(tell(1));
}
