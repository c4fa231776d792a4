//! A store that fails, or answers late, when the test says so.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::Gate;
use crate::action::{ActionId, Parameters, Timestamp};
use crate::store::query::{Cursor, IdPage, Page, PageLimit, Query};
use crate::store::{
    Batch, BatchAnswer, EventId, EventPage, HandlerId, NoticeSink, OutboxState, OwnerId,
    PastAttempt, QueueId, QueueState, Record, RecordWithin, Rejected, Renewal, ScheduleState, Seal,
    Store, StoreError, StoreSize,
};

/// Time after which a queue looks again whose claims failed while others of its actions wait for a time.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// A store with faults around another one. Its clones share the faults, so keep one when the other goes to a system.
///
/// A commit that fails changes nothing. A commit that is held has either not been made yet
/// ([`FaultyStore::hold_commits`]) or is durable already ([`FaultyStore::hold_answers`]): the two cases of a
/// queue actor that dies in between.
#[derive(Debug, Clone)]
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    faults: Arc<Mutex<Faults>>,
    before: Gate,
    after: Gate,
}

#[derive(Debug, Default)]
struct Faults {
    all: Option<StoreError>,
    submissions: Option<StoreError>,
    claims: bool,
    lost: Option<StoreError>,
    nth: Option<(u64, StoreError)>,
    commits: u64,
    sealed: u64,
    failures: u64,
    handed_out: u64,
}

impl FaultyStore {
    /// Wraps this store, without faults at first.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, faults: Arc::default(), before: Gate::opened(), after: Gate::opened() }
    }

    /// Makes every commit fail from now on, until [`FaultyStore::mend`].
    pub fn fail_commits(&self, error: StoreError) {
        self.faults().all = Some(error);
    }

    /// Makes every submission fail from now on while the rest of its batch is committed, as on a full disk,
    /// until [`FaultyStore::mend`].
    pub fn fail_submissions(&self, error: StoreError) {
        self.faults().submissions = Some(error);
    }

    /// Makes every claim come back empty from now on while the rest of each batch is committed, until
    /// [`FaultyStore::mend`].
    pub fn fail_claims(&self) {
        self.faults().claims = true;
    }

    /// Makes one commit fail: the `nth` from now, from 1.
    pub fn fail_nth_commit(&self, nth: u64, error: StoreError) {
        let mut faults = self.faults();
        faults.nth = Some((faults.commits + nth, error));
    }

    /// Ends all faults. Held commits and answers stay held.
    pub fn mend(&self) {
        let mut faults = self.faults();
        faults.all = None;
        faults.submissions = None;
        faults.claims = false;
        faults.nth = None;
    }

    /// Holds commits before they are made, until [`FaultyStore::release`].
    /// A commit whose caller goes away meanwhile is never made.
    pub fn hold_commits(&self) {
        self.before.close();
    }

    /// Makes commits but holds their answers, until [`FaultyStore::release`].
    pub fn hold_answers(&self) {
        self.after.close();
    }

    /// Releases all held commits and answers.
    pub fn release(&self) {
        self.before.open();
        self.after.open();
    }

    /// Returns the number of callers that wait for a held commit or answer.
    #[must_use]
    pub fn held(&self) -> usize {
        self.before.waiting() + self.after.waiting()
    }

    /// Returns the number of commits that were requested, including those that failed.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.faults().commits
    }

    /// Returns the number of batches that were sealed.
    #[must_use]
    pub fn sealed(&self) -> u64 {
        self.faults().sealed
    }

    /// Returns the number of commits that were made to fail.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.faults().failures
    }

    /// Returns the number of reads that returned the result or the parameters of one action.
    #[must_use]
    pub fn handed_out(&self) -> u64 {
        self.faults().handed_out
    }

    /// Counts the answers that have large contents.
    fn counted<T: Send + 'static>(
        &self,
        answer: BoxFuture<'static, Result<Option<T>, StoreError>>,
        is_large: fn(&T) -> bool,
    ) -> BoxFuture<'static, Result<Option<T>, StoreError>> {
        let store = self.clone();
        let counted = async move {
            let answer = answer.await;
            if matches!(&answer, Ok(Some(read)) if is_large(read)) {
                store.faults().handed_out += 1;
            }
            answer
        };
        Box::pin(counted)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the next commit, and answers it with this error.
    pub fn lose_next_answer(&self, error: StoreError) {
        self.faults().lost = Some(error);
    }

    /// Counts a commit; returns the errors of the commit and of its submissions, if they are to fail.
    fn next_fault(&self) -> (Option<StoreError>, Option<StoreError>) {
        let mut faults = self.faults();
        faults.commits += 1;
        let number = faults.commits;
        let nth = faults.nth.as_ref().filter(|(nth, _)| *nth == number).map(|(_, e)| e.clone());
        let failed = faults.all.clone().or(nth);
        if failed.is_some() {
            faults.failures += 1;
        }
        (failed, faults.submissions.clone())
    }
}

impl Store for FaultyStore {
    fn open_queue(&self, name: &str) -> BoxFuture<'static, Result<QueueState, StoreError>> {
        self.inner.open_queue(name)
    }

    fn enlist(&self, seal: Seal) {
        let (failed, no_submissions) = self.next_fault();
        let (store, after) = (self.clone(), self.after.clone());
        let seal: Seal = Box::new(move || {
            let (mut batch, answer) = seal();
            store.faults().sealed += 1;
            if let Some(error) = failed {
                let nothing = Batch {
                    max_queued: batch.max_queued,
                    wants: batch.wants,
                    ..Batch::new(batch.queue, batch.now)
                };
                return (nothing, Box::new(|_| answer(Err(error))));
            }
            if let Some(error) = store.faults().lost.take() {
                return (batch, Box::new(|_| answer(Err(error))));
            }
            let no_claims = store.faults().claims;
            if no_claims {
                batch.claim = 0;
            }
            let refused = no_submissions.map(|error| {
                let number = std::mem::take(&mut batch.submissions).len();
                vec![Err(Rejected::Store(error)); number]
            });
            let answer: BatchAnswer = Box::new(move |mut reply| {
                // On the writing thread: no batch is sealed before the one before it is answered.
                after.wait_blocking();
                if let (Ok(reply), Some(refused)) = (&mut reply, refused) {
                    reply.submissions = refused;
                }
                if let (Ok(reply), true) = (&mut reply, no_claims) {
                    // What may start is still to be started.
                    reply.next_due = reply.next_due.map(|due| due.min(LOOK_AGAIN));
                }
                answer(reply);
            });
            (batch, answer)
        });
        if self.before.is_open() {
            self.inner.enlist(seal);
        } else {
            let (inner, before) = (Arc::clone(&self.inner), self.before.clone());
            tokio::spawn(async move {
                before.wait().await;
                inner.enlist(seal);
            });
        }
    }

    fn schedules(&self) -> BoxFuture<'static, Result<Vec<ScheduleState>, StoreError>> {
        self.inner.schedules()
    }

    fn open_handler(&self, name: &str) -> BoxFuture<'static, Result<HandlerId, StoreError>> {
        self.inner.open_handler(name)
    }

    fn events(
        &self,
        handler: HandlerId,
        after: Option<EventId>,
        except: Vec<EventId>,
        limit: PageLimit,
    ) -> BoxFuture<'static, Result<EventPage, StoreError>> {
        self.inner.events(handler, after, except, limit)
    }

    fn outbox_state(
        &self,
        handler: HandlerId,
    ) -> BoxFuture<'static, Result<OutboxState, StoreError>> {
        self.inner.outbox_state(handler)
    }

    fn lead(&self, handler: HandlerId) -> BoxFuture<'static, Result<bool, StoreError>> {
        self.inner.lead(handler)
    }

    fn queue_state(&self, queue: QueueId) -> BoxFuture<'static, Result<QueueState, StoreError>> {
        self.inner.queue_state(queue)
    }

    fn record(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Option<Record>, StoreError>> {
        self.counted(self.inner.record(queue, id), |record| !record.report.is_empty())
    }

    fn history(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Vec<PastAttempt>, StoreError>> {
        self.inner.history(queue, id)
    }

    fn parameters(
        &self,
        queue: QueueId,
        id: ActionId,
    ) -> BoxFuture<'static, Result<Option<Parameters>, StoreError>> {
        self.counted(self.inner.parameters(queue, id), |_| true)
    }

    fn record_within(
        &self,
        queue: QueueId,
        id: ActionId,
        most: usize,
    ) -> BoxFuture<'static, Result<Option<RecordWithin>, StoreError>> {
        self.counted(self.inner.record_within(queue, id, most), |read| {
            !read.record.report.is_empty()
        })
    }

    fn parameters_within(
        &self,
        queue: QueueId,
        id: ActionId,
        most: usize,
    ) -> BoxFuture<'static, Result<Option<Result<Parameters, usize>>, StoreError>> {
        self.counted(self.inner.parameters_within(queue, id, most), Result::is_ok)
    }

    fn page(
        &self,
        queue: QueueId,
        query: Query,
        cursor: Cursor,
        limit: PageLimit,
    ) -> BoxFuture<'static, Result<Page, StoreError>> {
        self.inner.page(queue, query, cursor, limit)
    }

    fn page_of_ids(
        &self,
        queue: QueueId,
        query: Query,
        cursor: Cursor,
        actions: usize,
    ) -> BoxFuture<'static, Result<IdPage, StoreError>> {
        self.inner.page_of_ids(queue, query, cursor, actions)
    }

    fn owner(&self) -> OwnerId {
        self.inner.owner()
    }

    fn lease(&self) -> Option<Duration> {
        self.inner.lease()
    }

    fn renew(&self) -> BoxFuture<'static, Result<Renewal, StoreError>> {
        self.inner.renew()
    }

    fn new_owner(&self) -> BoxFuture<'static, Result<OwnerId, StoreError>> {
        self.inner.new_owner()
    }

    fn notices(&self, sink: NoticeSink) {
        self.inner.notices(sink);
    }

    fn size(&self) -> BoxFuture<'static, Result<Option<StoreSize>, StoreError>> {
        self.inner.size()
    }

    fn oldest_waiting(
        &self,
        queues: Vec<QueueId>,
    ) -> BoxFuture<'static, Result<Option<Vec<Option<Timestamp>>>, StoreError>> {
        self.inner.oldest_waiting(queues)
    }

    fn limit_bytes(&self, limit: Option<u64>) {
        self.inner.limit_bytes(limit);
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.inner.close()
    }

    fn durability(&self) -> &'static str {
        self.inner.durability()
    }
}
