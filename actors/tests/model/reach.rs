//! States that a model must reach: one that never gets there proves nothing.

use actiond_actors::State;

use crate::inbox::Batch;
use crate::laws::Holds;
use crate::world::{Actor, Reply, Row, Server, ToQueue, Wish, Worker, World};

/// Something that a model must come to at some time: its name, and how it is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach(pub(crate) &'static str, pub(crate) Holds);

fn any_row(world: &World, is: impl Fn(&Row) -> bool) -> bool {
    world.durable.rows.iter().any(is)
}

fn server(world: &World, is: impl Fn(&Server) -> bool) -> bool {
    world.server.as_ref().is_some_and(is)
}

impl Reach {
    pub(crate) const STOP_LOSES: Self =
        Self("a finish wins against an acknowledged stop", |_, w| {
            any_row(w, |r| r.state == State::Finished && w.clients.told_stopping.contains(r.id))
        });
    pub(crate) const STOP_WINS: Self = Self("a stop wins", |_, w| {
        any_row(w, |r| r.state == State::Stopped && w.clients.told_stopping.contains(r.id))
    });
    pub(crate) const FORCED: Self = Self("an attempt is forced", |_, w| {
        server(w, |s| s.attempts.iter().any(|attempt| attempt.wish == Wish::Force))
    });
    pub(crate) const REQUEUED: Self = Self("an action waits again", |_, w| {
        any_row(w, |r| r.state == State::Queued && r.attempt > 0)
    });
    pub(crate) const RUNS_AGAIN: Self =
        Self("a second attempt runs", |_, w| server(w, |s| s.works().any(|key| key.number > 1)));
    pub(crate) const FAILED_BY_CRASH: Self = Self("an action that ran ends in Error", |_, w| {
        w.spent.server_crashes > 0 && any_row(w, |r| r.state == State::Error)
    });
    pub(crate) const REPORT_DROPPED: Self =
        Self("a late report is dropped", |_, w| server(w, |s| s.dropped));
    pub(crate) const ABANDONED: Self = Self("a thread outlives its action", |_, w| {
        let stopped = any_row(w, |r| r.state == State::Stopped);
        stopped && server(w, |s| s.slots.iter().any(|slot| slot.abandoned))
    });
    pub(crate) const PAUSED_ADOPTED: Self = Self("a paused action is adopted", |_, w| {
        let held = |s: &Server| s.attempts.iter().any(|a| a.wish == Wish::Pause);
        let up = |s: &Server| matches!(s.actor, Actor::Up(_));
        w.spent.actor_crashes > 0 && server(w, |s| up(s) && held(s))
    });
    pub(crate) const PAUSE_SURVIVES: Self = Self("the queue's pause survives a crash", |_, w| {
        w.spent.server_crashes > 0 && w.durable.paused && server(w, |s| s.seen.0)
    });
    pub(crate) const BOTH_BUSY: Self =
        Self("two actions run", |_, w| server(w, |s| s.works().count() == 2));
    pub(crate) const BOTH_CUT_OFF: Self =
        Self("a server is cut off while two actions run", |m, w| {
            let ahead = w.spent.server_crashes < m.server_crashes;
            ahead && server(w, |s| s.works().count() == 2)
        });
    pub(crate) const AGAIN_BESIDE: Self = Self("an action runs again beside another", |_, w| {
        server(w, |s| s.works().count() == 2 && s.works().any(|key| key.number > 1))
    });
    pub(crate) const BOTH_AGAIN: Self = Self("both actions run again", |_, w| {
        server(w, |s| s.works().filter(|key| key.number > 1).count() == 2)
    });
    pub(crate) const BOTH_FAILED: Self = Self("two actions that ran end in Error", |_, w| {
        let failed = w.durable.rows.iter().filter(|r| r.state == State::Error).count();
        w.spent.server_crashes > 0 && failed == 2
    });
    pub(crate) const DIES_BESIDE: Self = Self("a worker dies while another works", |_, w| {
        server(w, |s| {
            let dead = s.slots.iter().any(|slot| slot.worker == Worker::Dead);
            dead && s.works().count() == 1
        })
    });
    pub(crate) const ORPHAN: Self = Self("a dead actor's batch is still to be written", |_, w| {
        server(w, |s| {
            let takes = |batch: &&Batch| !batch.void && !s.inbox.is_of(batch.generation);
            s.inbox.open && s.writing.iter().any(|batch| takes(&batch)) && !s.enlisted.is_empty()
        })
    });
    pub(crate) const VOID: Self = Self("a dead actor's batch is sealed to nothing", |_, w| {
        server(w, |s| s.inbox.open && s.writing.as_ref().is_some_and(|batch| batch.void))
    });
    pub(crate) const TWO_ON_THE_WAY: Self = Self("two batches are on their way", |_, w| {
        server(w, |s| {
            let written = s.writing.as_ref().is_some_and(|b| s.inbox.is_of(b.generation));
            written && s.inbox.asked
        })
    });
    pub(crate) const LEFT_OVER: Self = Self("a batch leaves submissions behind", |_, w| {
        server(w, |s| {
            let full = |batch: &Batch| s.inbox.is_of(batch.generation) && !s.inbox.asked;
            s.writing.as_ref().is_some_and(full) && !s.inbox.submissions.is_empty()
        })
    });
    pub(crate) const CLAIMS_AHEAD: Self =
        Self("claims are sealed before the actor knows of the last ones", |_, w| {
            server(w, |s| {
                let claims = s.writing.as_ref().is_some_and(|batch| batch.claim > 0);
                let started = |message: &ToQueue| match message {
                    ToQueue::Committed(Reply::Durable { claimed, .. }) => !claimed.is_empty(),
                    _ => false,
                };
                claims && s.mailbox.iter().any(started)
            })
        });
    pub(crate) const BACKING_OFF: Self = Self("a queue waits for its store to recover", |_, w| {
        server(w, |s| s.queue().is_some_and(|queue| queue.backing_off))
    });
    pub(crate) const CUT_OFF: Self = Self("a server ends while work runs", |_, w| {
        w.server.is_none() && any_row(w, |r| r.state.is_running())
    });
    pub(crate) const WAITS_FOR_TIME: Self = Self("an action waits for its next attempt", |_, w| {
        any_row(w, |r| r.waits && r.attempt > 0)
    });
    pub(crate) const CANCELLED_AGAIN: Self =
        Self("an action is cancelled between two attempts", |_, w| {
            any_row(w, |r| r.state == State::Cancelled && r.attempt > 0)
        });
    pub(crate) const FAILED_FOR_GOOD: Self = Self("the last attempt fails", |m, w| {
        any_row(w, |r| r.state == State::Error && r.attempt >= m.attempts)
    });
    pub(crate) const BEGUN_ANEW: Self = Self("a client begins anew", |m, w| {
        let most = m.attempts + m.max_restarts;
        any_row(w, |r| r.state.is_running() && r.attempt >= most && r.counted == (0, 0))
    });
    pub(crate) const PASSED_BY: Self = Self("an action starts past one that may not", |_, w| {
        any_row(w, |r| r.waits) && any_row(w, |r| r.state.is_running())
    });
    pub(crate) const GIVEN_UP_THREAD: Self =
        Self("a thread outlives its action, whose time was over", |_, w| {
            let failed = any_row(w, |r| r.state == State::Error && r.attempt == 1);
            failed && server(w, |s| s.slots.iter().any(|slot| slot.abandoned))
        });
    pub(crate) const WAITS: Self =
        Self("somebody waits for an end", |_, w| server(w, |s| !s.waiters.is_empty()));
    pub(crate) const DUPLICATED: Self = Self("a copy runs beside its source", |_, w| {
        server(w, |s| s.works().count() == 2) && w.durable.last_id == 2
    });
}
