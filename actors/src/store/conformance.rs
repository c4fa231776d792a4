//! The suite that every store must pass.
//!
//! A store's own tests say how it is opened, and get one test for each case:
//!
//! ```
//! use actiond_actors::store::{Store, conformance::StoreFactory, sqlite::{Durability, SqliteStore}};
//! use std::sync::Arc;
//!
//! struct Directory(tempfile::TempDir);
//!
//! impl StoreFactory for Directory {
//!     fn open(&self) -> Arc<dyn Store> {
//!         Arc::new(SqliteStore::open(self.0.path(), Durability::Full).expect("it opens"))
//!     }
//! }
//!
//! actiond_actors::store_conformance!(Directory(tempfile::tempdir().expect("a directory")));
//! # fn main() {}
//! ```
//!
//! - `model`: a plain store in memory, with which answers are compared;
//! - `commands`: one case for each rule of commands, starts, ends and recovery;
//! - `batches`: when batches are sealed and answered, and concurrent callers;
//! - `submissions`: ids, keys and copies of new actions;
//! - `attempts`: retries, releases, restarts, and past attempts;
//! - `resuming`: attempts that go on after a restart, and their notes;
//! - `deferred`: actions that may not start before a time;
//! - `schedules`: actions that are queued for due times;
//! - `retention`: deletion of old final actions;
//! - `deletion`: deletion of those that clients name;
//! - `many`: commands to several actions at once;
//! - `keeping`: exact storage, and opening the store again;
//! - `outbox`, `delivery`: events for handlers, and what becomes of them;
//! - `owners`: several owners on one store; these pass where only one may open it. Of the notices only
//!   [`Notice::Steer`](crate::store::Notice::Steer) is checked: a store that sends the others needs tests of its own for them;
//! - `sizes`: reads that are bounded by size;
//! - `histories`: random batches, then random listings;
//! - `witness`: for stores that die in the middle of such a history.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a case of the suite fails by a panic"
)]

mod attempts;
mod batches;
mod commands;
mod deferred;
mod deletion;
mod delivery;
mod histories;
mod keeping;
mod many;
mod model;
mod outbox;
mod owners;
mod resuming;
mod retention;
mod schedules;
mod sizes;
mod submissions;
mod witness;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::action::{ActionId, Parameters, State, Timestamp};
use crate::lifecycle::{Came, Command, Ended};
use crate::report::{Node, Written};
use crate::store::query::{Cursor, Query};
use crate::store::{
    Affected, AttemptEnd, Batch, BatchReply, Claimed, Control, NewAction, QueueId, Record,
    Rejected, Store, Submitted,
};
pub use attempts::*;
pub use batches::*;
pub use commands::*;
pub use deferred::*;
pub use deletion::*;
pub use delivery::*;
pub use histories::*;
pub use keeping::*;
pub use many::*;
pub use outbox::*;
pub use owners::*;
pub use resuming::*;
pub use retention::*;
pub use schedules::*;
pub use sizes::*;
pub use submissions::*;
pub use witness::{Damage, Found, Witness};

/// Opens a store, each time on the same data; empty at first.
pub trait StoreFactory {
    /// Opens the store. The suite closes it before it opens it again, and then finds the same data.
    fn open(&self) -> Arc<dyn Store>;

    /// Opens the store once more, as another owner, beside those that have it open: `None` where only one may.
    fn open_beside(&self) -> Option<Arc<dyn Store>> {
        None
    }

    /// Lets this much time pass by the store's clock, which decides when leases expire: in real time, unless the factory can do it
    /// faster.
    fn pass(&self, time: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(time).boxed()
    }
}

/// Makes one test for each case of the suite; the expression makes a new [`StoreFactory`].
///
/// [`StoreFactory`]: crate::store::conformance::StoreFactory
#[macro_export]
macro_rules! store_conformance {
    ($factory:expr) => {
        $crate::store_conformance! { $factory =>
            a_queue_is_found_in_any_case,
            a_name_may_hold_anything,
            a_name_does_not_end_at_nul,
            every_cell_of_the_table,
            controls_then_submissions_then_claims,
            the_highest_priority_starts_first,
            a_paused_queue_starts_nothing,
            no_more_start_than_asked_for,
            only_the_latest_attempt_can_end,
            recovery_spares_what_runs,
            commands_to_all_that_runs,
            a_full_queue_refuses,
            times_never_go_back,
            queues_do_not_see_each_other,
            callers_at_the_same_time,
            batches_are_sealed_when_their_turn_comes,
            a_batch_that_is_late_is_answered,
            an_id_is_never_used_again,
            a_key_names_one_action,
            a_repeated_key_changes_nothing,
            a_taken_key_is_refused,
            copies_carry_parameters_and_priority,
            a_failure_that_is_tried_again_waits,
            a_stop_ends_all_attempts,
            what_is_given_back_counts_no_failure,
            what_is_lost_elsewhere_counts_as_a_restart,
            what_never_began_counts_as_nothing,
            an_error_is_tried_again_when_asked,
            the_history_tells_how_an_error_came,
            an_action_that_runs_at_each_death_is_given_up,
            attempts_go_on_after_a_restart,
            a_note_belongs_to_its_attempt,
            the_latest_past_attempts_are_kept,
            what_is_cancelled_elsewhere_never_started,
            an_action_waits_for_its_time,
            what_is_deleted_as_its_time_comes_counts_once,
            a_time_in_the_past_is_none,
            what_is_due_starts_in_order_of_priority,
            what_waits_for_a_time_is_in_nobodys_way,
            many_are_due_at_once,
            a_clock_that_is_set_lets_no_time_go_back,
            commands_reach_what_waits_for_a_time,
            a_copy_waits_for_the_same_time,
            a_due_time_has_one_action,
            a_schedule_that_is_paused_or_unknown_has_none,
            a_schedule_is_kept,
            a_refused_action_leaves_its_due_time,
            owners_queue_one_action_for_a_due_time,
            retention_by_number,
            retention_by_number_after_the_clock_was_set_back,
            retention_by_age,
            what_has_ended_is_deleted_when_asked,
            what_a_filter_lists_is_deleted,
            what_is_listed_no_more_is_not_deleted,
            deletion_and_retention_count_each_once,
            a_deleted_action_frees_its_key,
            many_get_a_command_each_as_it_is,
            a_command_to_many_is_judged_in_their_order,
            who_is_not_listed_any_more_gets_no_command,
            many_are_commanded_as_one_by_one,
            a_place_in_the_queue,
            parameters_are_kept_to_the_letter,
            any_parameters_are_kept_to_the_letter,
            parameters_are_kept_after_the_end_or_not,
            reports_are_kept_to_the_letter,
            large_results_are_listed_once_and_in_order,
            what_is_too_large_is_told_by_its_size,
            reopening_gives_the_same,
            a_closed_store_says_so,
            random_histories,
            a_long_history,
            a_command_means_the_action_of_that_time,
            what_runs_is_named_to_its_owner,
            only_expired_leases_are_recovered,
            an_end_of_a_former_owner_is_stale,
            a_dead_owner_is_dead_in_every_queue,
            an_expired_owner_does_not_end_itself,
            an_owner_without_a_lease_starts_nothing,
            a_closed_owner_gives_its_lease_up,
            a_wish_reaches_the_owner_as_a_notice,
            counts_and_pause_are_seen_by_both,
            no_two_owners_start_the_same,
            ids_and_keys_are_one_for_all_owners,
            who_recovers_an_attempt_runs_it,
            an_attempt_is_taken_over,
            each_change_is_told_as_it_is_made,
            changes_of_one_batch_are_told_one_by_one,
            an_event_outlives_its_action,
            nothing_is_told_to_who_wants_nothing,
            each_handler_gets_its_own,
            a_callback_is_told_of_ends_alone,
            an_error_report_is_of_the_attempt_that_runs,
            levels_are_told_as_they_are,
            origins_are_kept_and_copied,
            a_handler_is_found_in_any_case,
            events_are_read_in_pages,
            large_events_are_read_in_pages,
            a_page_of_events_begins_after_one,
            what_is_settled_is_pending_no_more,
            failed_events_are_retried_or_discarded,
            the_oldest_events_are_dropped,
            an_event_number_is_never_used_again,
            one_owner_leads_at_a_time,
            events_are_seen_by_both,
        }
    };
    ($factory:expr => $($case:ident),+ $(,)?) => { $(
        #[test]
        fn $case() {
            let factory = $factory;
            $crate::store::conformance::run($crate::store::conformance::$case(&factory));
        }
    )+ };
}

/// Runs one case to its end.
pub fn run<T>(case: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(case)
}

/// One queue of an open store, and short ways to change it.
struct Bench {
    store: Arc<dyn Store>,
    queue: QueueId,
    now: i64,
}

impl Bench {
    async fn open(factory: &impl StoreFactory) -> Self {
        Self::open_queue(factory.open(), "Fetch").await
    }

    async fn open_queue(store: Arc<dyn Store>, name: &str) -> Self {
        let queue = store.open_queue(name).await.unwrap().id;
        Self { store, queue, now: 1_000_000 }
    }

    async fn reopen(self, factory: &impl StoreFactory) -> Self {
        self.store.close().await;
        Self { now: self.now, ..Self::open(factory).await }
    }

    fn batch(&self) -> Batch {
        Batch::new(self.queue, Timestamp(self.now))
    }

    async fn commit(&self, batch: Batch) -> BatchReply {
        self.store.commit(batch).await.unwrap()
    }

    async fn control(&self, control: Control) -> Result<Vec<Affected>, Rejected> {
        let mut reply = self.commit(Batch { controls: vec![control], ..self.batch() }).await;
        reply.controls.pop().unwrap()
    }

    async fn command(&self, id: ActionId, command: Command) -> Result<State, Rejected> {
        let affected = self.control(Control::command(id, command)).await?;
        assert_eq!(affected.len(), 1);
        assert_eq!(affected[0].id, id);
        Ok(affected[0].state)
    }

    fn new_action(&self, priority: i32) -> NewAction {
        NewAction::Given {
            not_before: None,
            parameters: Parameters::from_iter([("Priority", priority.to_string())]),
            priority,
            key: None,
            queued_at: Timestamp(self.now),
            origin: None,
        }
    }

    async fn try_submit(&self, new: NewAction) -> Result<Submitted, Rejected> {
        let mut reply = self.commit(Batch { submissions: vec![new], ..self.batch() }).await;
        reply.submissions.pop().unwrap()
    }

    async fn submit(&self, priority: i32) -> ActionId {
        self.try_submit(self.new_action(priority)).await.unwrap().id
    }

    async fn claim(&self, number: usize) -> Vec<Claimed> {
        self.commit(Batch { claim: number, ..self.batch() }).await.claimed
    }

    async fn end(&self, id: ActionId, attempt: u32, ended: Ended) -> Result<State, Rejected> {
        let affected = self.control(Control::End(an_end(id, attempt, ended).into())).await?;
        Ok(affected[0].state)
    }

    /// Submits this number of actions and ends each, one millisecond after the other.
    async fn finish(&mut self, number: usize) -> Vec<ActionId> {
        let submissions = (0..number).map(|_| self.new_action(0)).collect();
        let claimed =
            self.commit(Batch { submissions, claim: number, ..self.batch() }).await.claimed;
        let ids: Vec<_> = claimed.iter().map(|c| c.id).collect();
        for claimed in claimed {
            self.now += 1;
            self.end(claimed.id, claimed.attempt, Ended::Finished).await.unwrap();
        }
        ids
    }

    async fn record(&self, id: ActionId) -> Record {
        self.find(id).await.unwrap()
    }

    async fn find(&self, id: ActionId) -> Option<Record> {
        self.store.record(self.queue, id).await.unwrap()
    }

    /// Reads a listing from its first action to its last.
    async fn list(&self, query: &Query) -> Vec<Record> {
        let (mut listed, mut next) = (Vec::new(), Some(Cursor::start(0)));
        while let Some(cursor) = next {
            let page =
                self.store.page(self.queue, query.clone(), cursor, 100.into()).await.unwrap();
            assert_ne!(page.next, next, "a page that comes no nearer to the end");
            listed.extend(page.records);
            next = page.next;
        }
        listed
    }

    /// Returns this queue's state, by opening it again.
    async fn state(&self) -> crate::store::QueueState {
        self.store.open_queue("Fetch").await.unwrap()
    }
}

fn written(report: &[Node]) -> Written {
    Written::of(report).unwrap()
}

/// An end with something in each of its fields.
fn an_end(id: ActionId, attempt: u32, ended: Ended) -> AttemptEnd {
    AttemptEnd {
        retry_after: (ended == Ended::Retry).then_some(Duration::from_millis(40)),
        worker: Some(format!("worker {attempt}")),
        id,
        attempt,
        ended,
        came: Came::Asked,
        error: matches!(ended, Ended::Failed | Ended::Retry | Ended::Lost)
            .then(|| format!("the disk said \"no\" to attempt {attempt}")),
        report: written(&[Node::text("done", format!("attempt {attempt}"))]),
        percent: 37.5,
        processing_ms: 1_234,
    }
}

/// Configuration of a property with this number of cases, or that of `PROPTEST_CASES` if it is set.
fn cases(number: u32) -> proptest::test_runner::Config {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    proptest::test_runner::Config {
        cases: asked.unwrap_or(number),
        failure_persistence: None,
        ..Default::default()
    }
}
