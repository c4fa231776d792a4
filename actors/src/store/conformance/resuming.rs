//! Cases about attempts that go on after a restart, and the notes that are kept with them.

use super::{Bench, StoreFactory, an_end};
use crate::action::{ActionId, State};
use crate::lifecycle::{Command, Ended, OnRestart, Recovery, Verdict};
use crate::store::{AttemptEnd, Batch, BatchReply, Control, Rejected, Resumed};

const RESUME: Recovery = Recovery { on_restart: OnRestart::Resume, max_restarts: 0 };

impl Bench {
    async fn note(&self, id: ActionId, attempt: u32, note: &str) -> Result<State, Rejected> {
        let affected = self.control(Control::Note { id, attempt, note: note.to_owned() }).await?;
        assert_eq!((affected.len(), affected[0].id), (1, id));
        assert_eq!(affected[0].verdict, Verdict::Stay);
        Ok(affected[0].state)
    }
}

/// Returns id, attempt, state, failures and note of each attempt that goes on.
fn going_on(reply: &BatchReply) -> Vec<(ActionId, u32, State, u32, Option<&str>)> {
    let mut all = Vec::new();
    for Resumed { claimed, state, note, .. } in &reply.resumed {
        all.push((claimed.id, claimed.attempt, *state, claimed.failures, note.as_deref()));
    }
    all.sort_unstable_by_key(|(id, ..)| *id);
    all
}

/// Attempts whose work is done elsewhere go on after a restart, in their state, with their parameters and the note that was kept
/// last. Those that are live are not named, and nothing is changed.
pub async fn attempts_go_on_after_a_restart(factory: &impl StoreFactory) {
    let mut bench = Bench::open(factory).await;
    let mut ids = Vec::new();
    for priority in [5, 4, 3, 2] {
        ids.push(bench.submit(priority).await);
    }
    bench.claim(1).await;
    let again = AttemptEnd { retry_after: None, ..an_end(ids[0], 1, Ended::Retry) };
    bench.control(Control::End(again.into())).await.unwrap();
    bench.now += 3;
    assert_eq!(bench.claim(3).await.len(), 3);
    assert_eq!(bench.note(ids[0], 2, "first").await, Ok(State::Processing));
    assert_eq!(bench.note(ids[0], 2, "token \0 'of' it").await, Ok(State::Processing));
    bench.command(ids[1], Command::Pause { supported: true }).await.unwrap();
    bench.command(ids[2], Command::Stop).await.unwrap();
    let mut before = Vec::new();
    for id in &ids {
        before.push(bench.record(*id).await);
    }
    bench = bench.reopen(factory).await;
    bench.now += 50;
    let all = [
        (ids[0], 2, State::Processing, 1, Some("token \0 'of' it")),
        (ids[1], 1, State::Paused, 0, None),
        (ids[2], 1, State::Stopping, 0, None),
    ];
    let reply = bench.recover(&[], RESUME).await;
    assert_eq!(going_on(&reply), all);
    assert!(reply.unread.is_empty() && reply.claimed.is_empty());
    for resumed in &reply.resumed {
        let record = before.iter().find(|record| record.id == resumed.claimed.id).unwrap();
        assert_eq!(resumed.claimed.queued_at, record.queued_at);
        assert_eq!(Some(resumed.claimed.started_at), record.started_at);
        let given = resumed.claimed.parameters.get("Priority");
        assert_eq!(given, Some(&*record.priority.to_string()));
    }
    let reply = bench.recover(&[(ids[0], 2), (ids[2], 1)], RESUME).await;
    assert_eq!(going_on(&reply), all[1..2], "the others are known");
    for (id, before) in ids.iter().zip(&before) {
        assert_eq!(bench.record(*id).await, *before);
        assert_eq!(bench.history(*id).await.len(), usize::from(*id == ids[0]));
    }
    // A recovery that looks at other owners names nothing that is this one's.
    let reclaim = vec![Control::Reclaim { recovery: RESUME }];
    let reply = bench.commit(Batch { controls: reclaim, ..bench.batch() }).await;
    assert_eq!(going_on(&reply), []);
    assert_eq!(bench.end(ids[0], 2, Ended::Finished).await, Ok(State::Finished));
    assert_eq!(bench.end(ids[2], 1, Ended::Stopped).await, Ok(State::Stopped));
}

/// A note belongs to one attempt: none of another is kept, and the next attempt begins without.
pub async fn a_note_belongs_to_its_attempt(factory: &impl StoreFactory) {
    let bench = Bench::open(factory).await;
    let id = bench.submit(0).await;
    assert_eq!(bench.note(id, 0, "early").await, Err(Rejected::Stale));
    for (attempt, ended) in (1..).zip([
        Some(Ended::Retry),
        Some(Ended::Released),
        Some(Ended::Interrupted(OnRestart::Requeue)),
        None,
        Some(Ended::Failed),
    ]) {
        bench.control(Control::command(id, Command::Retry)).await.unwrap();
        bench.claim(1).await;
        let reply = bench.recover(&[], RESUME).await;
        assert_eq!(going_on(&reply)[0].4, None, "attempt {attempt} has none yet");
        for other in [attempt - 1, attempt + 1] {
            assert_eq!(bench.note(id, other, "late").await, Err(Rejected::Stale));
        }
        bench.note(id, attempt, &format!("of {attempt}")).await.unwrap();
        let reply = bench.recover(&[], RESUME).await;
        assert_eq!(going_on(&reply)[0].4, Some(&*format!("of {attempt}")));
        match ended {
            Some(ended) => drop(bench.end(id, attempt, ended).await.unwrap()),
            None => drop(bench.recover(&[], OnRestart::Requeue.into()).await),
        }
        assert_eq!(bench.note(id, attempt, "late").await, Err(Rejected::Stale));
    }
    bench.command(id, Command::Retry).await.unwrap();
    bench.claim(1).await;
    assert_eq!(going_on(&bench.recover(&[], RESUME).await)[0].4, None);
    let unknown = ActionId::new(ActionId::MAX).unwrap();
    assert_eq!(bench.note(unknown, 1, "x").await, Err(Rejected::Unknown));
    let large = "x".repeat(64 << 10);
    bench.note(id, 6, &large).await.unwrap();
    assert_eq!(going_on(&bench.recover(&[], RESUME).await)[0].4, Some(&*large));
}
