//! Pages of listings.
//!
//! A listing walks the index of its sort key through both tables at once, and what its filters do not admit is left out. If its
//! filters match few actions, those are read by them instead, and sorted. Both end as soon as the page is full; a walk also ends
//! when it has looked at so many actions that others would wait too long for it: then the page is short, and the next one goes
//! on from there. The two ways are in `walk`.

mod details;
mod walk;

use deadpool_postgres::Object;

use super::columns::id_number;
use super::errors::Failure;
use super::read::{Reader, bytes, done_columns, from_live, live_columns, queue_number, record};
use super::sites::Sites;
use crate::action::{ActionId, State};
use crate::store::query::{Cursor, IdPage, Page, PageLimit, Query, SortKey, States};
use crate::store::{QueueId, StoreError};
use details::having;
use walk::{Seen, Walk, few, ranges};

/// Number of actions that a page may look at: some ten milliseconds.
const BUDGET: usize = 10_000;

/// Number of actions that the first look of a walk is for, where some may be left out; later ones are for more.
const FIRST_LOOK: usize = 64;

/// Number of index entries that are skipped at the cost of one action, if all of them are listed.
const SKIPS_FOR_ONE: usize = 16;

/// Actions in the order in which they were found, each with its error and result as long as all of them fit.
const RECORDS: &str = concat!(
    "SELECT id, state, priority, attempt, queued_at, started_at, finished_at, processing_ms, percent, not_before, worker,
        CASE WHEN total <= $3 THEN error END, CASE WHEN total <= $3 THEN report END, bytes, total, at,
        taken_by, run_by, figures, ago, origin
     FROM (SELECT *, (sum(bytes) OVER (ORDER BY at))::int8 AS total
        FROM (SELECT *, (", bytes!(), ")::int8 AS bytes
            FROM unnest($2::int8[]) WITH ORDINALITY AS e(of_id, at)
            JOIN LATERAL (
                SELECT ", live_columns!(), " ", from_live!(), " WHERE l.id = e.of_id AND l.queue = $1
                UNION ALL
                SELECT ", done_columns!(), " FROM done d WHERE d.queue = $1 AND d.id = e.of_id
            ) AS action ON true) AS sized) AS added ORDER BY at"
);

/// The search for one page.
struct Search {
    cursor: Cursor,
    /// The actions that are listed, each with the cursor after it.
    found: Vec<(ActionId, Cursor)>,
    limit: usize,
    budget: usize,
}

impl Search {
    /// Adds the action at the cursor to the page, or skips it if the listing begins later.
    fn take(&mut self, id: ActionId) {
        if self.cursor.skip > 0 {
            self.cursor.skip -= 1;
        } else {
            self.found.push((id, self.cursor));
        }
    }

    const fn is_over(&self) -> bool {
        self.found.len() >= self.limit || self.budget == 0
    }
}

impl Reader {
    /// Reads a page of a listing, on a snapshot of its own.
    pub(super) async fn page(
        &self,
        queue: QueueId,
        query: &Query,
        cursor: Cursor,
        limit: PageLimit,
    ) -> Result<Page, StoreError> {
        self.with(async |client: &Object| {
            client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
            let sites = self.sites();
            let page = page(client, sites, queue_number(queue), query, cursor, limit).await;
            let ended = client.batch_execute("COMMIT").await;
            let page = page?;
            ended?;
            sites.learn(client).await?;
            Ok(page)
        })
        .await
    }
}

impl Reader {
    /// Reads the ids of a page of a listing.
    pub(super) async fn page_of_ids(
        &self,
        queue: QueueId,
        query: &Query,
        cursor: Cursor,
        limit: usize,
    ) -> Result<IdPage, StoreError> {
        self.with(async |client: &Object| {
            let mut search = Search { cursor, found: Vec::new(), limit, budget: BUDGET };
            let next = search_all(client, queue_number(queue), query, &mut search).await?;
            let begun = cursor.begun || !search.found.is_empty();
            let ids = search.found.into_iter().map(|(id, _)| id).collect();
            Ok(IdPage { ids, next: next.map(|next| Cursor { begun, ..next }) })
        })
        .await
    }
}

async fn page(
    client: &Object,
    sites: &Sites,
    queue: i32,
    query: &Query,
    start: Cursor,
    limit: PageLimit,
) -> Result<Page, Failure> {
    let mut search =
        Search { cursor: start, found: Vec::new(), limit: limit.actions, budget: BUDGET };
    let next = search_all(client, queue, query, &mut search).await?;
    let mut page = Page { records: Vec::new(), next, bytes: 0, damage: None, too_large: None };
    let begun = start.begun || !search.found.is_empty();
    page.next = page.next.map(|next| Cursor { begun, ..next });
    if search.found.is_empty() {
        return Ok(page);
    }
    let ids: Vec<i64> = search.found.iter().map(|(id, _)| id_number(*id)).collect();
    let most = i64::try_from(limit.bytes).unwrap_or(i64::MAX);
    let statement = client.prepare_cached(RECORDS).await?;
    let rows = client.query(&statement, &[&queue, &ids, &most]).await?;
    let mut read_up_to = start;
    for row in &rows {
        let bytes: i64 = row.try_get(13)?;
        let bytes = usize::try_from(bytes).unwrap_or_default();
        if page.bytes + bytes > limit.bytes {
            return Ok(Page { next: Some(read_up_to), too_large: Some(bytes), ..page });
        }
        page.records.push(record(row, sites)?);
        page.bytes += bytes;
        let at = usize::try_from(row.try_get::<_, i64>(15)?).unwrap_or_default();
        if let Some((_, behind)) = at.checked_sub(1).and_then(|at| search.found.get(at)) {
            read_up_to = Cursor { begun: true, ..*behind };
        }
    }
    Ok(page)
}

/// Finds the actions of a page; returns the cursor of the next one.
async fn search_all(
    client: &Object,
    queue: i32,
    query: &Query,
    search: &mut Search,
) -> Result<Option<Cursor>, Failure> {
    loop {
        let lacking = query.sort.lacking();
        let segment = if search.cursor.lacking {
            let states = query.states.and(lacking);
            Query { sort: SortKey::Queued, states, ..query.clone() }
        } else {
            query.clone()
        };
        if search.is_over() {
            return Ok(Some(search.cursor));
        }
        // Without the time of the sort key no action is in a limited range of it.
        let has_any = segment.states != States::NONE;
        if has_any && !search_segment(client, queue, &segment, search).await? {
            return Ok(Some(search.cursor));
        }
        if search.cursor.lacking || lacking == States::NONE {
            return Ok(None);
        }
        search.cursor = Cursor { lacking: true, after: None, ..search.cursor };
    }
}

/// Goes on with a search among the actions that have the sort key's time; returns true if it has come to their end.
async fn search_segment(
    client: &Object,
    queue: i32,
    query: &Query,
    search: &mut Search,
) -> Result<bool, Failure> {
    let all = lists_all(query);
    if !all && let Some(few) = few(client, queue, query).await? {
        return list_few(client, queue, few, query, search).await;
    }
    let walk = Walk::of(query);
    let mut look = FIRST_LOOK;
    while !search.is_over() {
        let skip = if all {
            let most = search.budget.saturating_sub(1).saturating_mul(SKIPS_FOR_ONE);
            search.cursor.skip.min(u64::try_from(most).unwrap_or(u64::MAX))
        } else {
            0
        };
        let skipped = usize::try_from(skip).unwrap_or_default().div_ceil(SKIPS_FOR_ONE);
        search.budget = search.budget.saturating_sub(skipped);
        let wanted = search.limit - search.found.len();
        let number = if all { wanted } else { look.max(wanted) }.min(search.budget.max(1));
        let rows = walk.look(client, queue, query, &search.cursor, skip, number).await?;
        if rows.is_empty() && skip > 0 {
            // Nothing is left behind the skipped ones: their number must be known to go on.
            let there = walk.count(client, queue, query, &search.cursor, skip).await?;
            search.cursor.skip -= there.min(search.cursor.skip);
            return Ok(true);
        }
        search.cursor.skip -= skip;
        search.budget = search.budget.saturating_sub(rows.len());
        let seen = rows.iter().map(Seen::read).collect::<Result<Vec<_>, _>>()?;
        if !list_seen(client, queue, seen, query, search).await? {
            return Ok(false);
        }
        if rows.len() < number {
            return Ok(true);
        }
        look = look.saturating_mul(4);
    }
    Ok(false)
}

/// Goes on among actions that are looked at, in this order; returns false if the page ends before the last of them.
async fn list_seen(
    client: &Object,
    queue: i32,
    seen: Vec<Seen>,
    query: &Query,
    search: &mut Search,
) -> Result<bool, Failure> {
    let having = match &query.details {
        None => None,
        Some(details) => {
            let admitted = seen.iter().filter(|seen| seen.is_admitted(query));
            let admitted: Vec<ActionId> = admitted.map(|seen| seen.id).collect();
            Some(having(client, queue, details, &admitted).await?)
        }
    };
    let mut admitted = 0;
    for seen in seen {
        let mut is_listed = seen.is_admitted(query);
        if let Some(having) = having.as_ref().filter(|_| is_listed) {
            if admitted == having.looked_at {
                // The rest did not fit: the next page begins with it.
                search.budget = 0;
                return Ok(false);
            }
            admitted += 1;
            is_listed = having.ids.contains(&seen.id);
        }
        search.cursor.after = seen.key(query.sort);
        if is_listed {
            search.take(seen.id);
        }
        if search.found.len() >= search.limit {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Goes on among few actions; returns true if it has come to their end.
async fn list_few(
    client: &Object,
    queue: i32,
    mut few: Vec<Seen>,
    query: &Query,
    search: &mut Search,
) -> Result<bool, Failure> {
    few.retain(|seen| seen.key(query.sort).is_some() && seen.is_admitted(query));
    few.sort_by_key(|seen| seen.key(query.sort));
    if query.descending {
        few.reverse();
    }
    let after = search.cursor.after;
    few.retain(|seen| {
        after.is_none_or(|after| {
            let key = seen.key(query.sort);
            key.is_some_and(|key| if query.descending { key < after } else { key > after })
        })
    });
    list_seen(client, queue, few, query, search).await
}

/// Tells whether all actions are listed that have the sort key's time in its range.
fn lists_all(query: &Query) -> bool {
    let without = query.sort.lacking();
    State::ALL.into_iter().all(|state| query.states.contains(state) || without.contains(state))
        && query.min_priority.is_none()
        && query.max_priority.is_none()
        && query.details.is_none()
        && ranges(query).into_iter().all(|(key, range)| key == query.sort || range.is_open())
}
