//! Conditions of listings beside the columns of the indexes: the parameters of an action, its name, and its error.

use std::collections::HashSet;

use deadpool_postgres::Object;
use tokio_postgres::types::ToSql;

use crate::action::ActionId;
use crate::store::postgres::columns::{action_id as read_id, id_number, text};
use crate::store::postgres::errors::Failure;
use crate::store::query::Details;

/// Number of bytes of parameters and errors that a page may look at at a time. The first action of them may have more.
const BYTES: i64 = 4 << 20;

/// The parameters and errors of actions, as far as they are wanted, and as long as all of them fit.
const DETAILS: &str = "SELECT id, at, parameters, error, coalesce(named, false) FROM (
        SELECT *, (sum(bytes) OVER (ORDER BY at))::int8 AS total FROM (
            SELECT e.of_id AS id, e.at, $6::bytea IS NULL OR x.action_id = $6 AS named, CASE WHEN $4 THEN x.parameters END AS parameters, CASE WHEN $5 THEN x.error END AS error,
                (CASE WHEN $4 THEN octet_length(x.parameters) ELSE 0 END
                    + CASE WHEN $5 THEN coalesce(octet_length(x.error), 0) ELSE 0 END)::int8 AS bytes
            FROM unnest($2::int8[]) WITH ORDINALITY AS e(of_id, at)
            CROSS JOIN LATERAL (
                SELECT l.parameters, l.error, l.action_id FROM live l WHERE l.id = e.of_id AND l.queue = $1
                UNION ALL SELECT d.parameters, d.error, d.action_id FROM done d WHERE d.queue = $1 AND d.id = e.of_id
            ) AS x) AS sized) AS added
    WHERE total <= $3 OR at = 1 ORDER BY at";

/// The actions among some that have the details that are asked for.
pub(super) struct Having {
    pub(super) ids: HashSet<ActionId>,
    /// Number of the actions that were looked at, from the first one on.
    pub(super) looked_at: usize,
}

/// Looks which of these actions have the details that are asked for. Those behind the first ones may be left out.
pub(super) async fn having(
    client: &Object,
    queue: i32,
    details: &Details,
    actions: &[ActionId],
) -> Result<Having, Failure> {
    let mut having = Having { ids: HashSet::new(), looked_at: 0 };
    if actions.is_empty() {
        return Ok(having);
    }
    let (with_parameters, with_error) = (!details.parameters.is_empty(), details.error.is_some());
    let action_id = details.action_id.as_deref().map(str::as_bytes);
    let ids: Vec<i64> = actions.iter().copied().map(id_number).collect();
    let statement = client.prepare_cached(DETAILS).await?;
    let values: [&(dyn ToSql + Sync); 6] =
        [&queue, &ids, &BYTES, &with_parameters, &with_error, &action_id];
    let rows = client.query(&statement, &values).await?;
    for row in &rows {
        let (id, at) = (read_id(row, 0)?, row.try_get::<_, i64>(1)?);
        having.looked_at = usize::try_from(at).unwrap_or_default();
        if !row.try_get::<_, bool>(4)? || !details.admit_error(text(row, 3)?.as_deref()) {
            continue;
        }
        let given: Option<&[u8]> = row.try_get(2)?;
        let has = match given {
            None => true,
            // They were not kept.
            Some([]) => false,
            Some(json) => details.admit_json(json).unwrap_or_else(|error| {
                // Only this action is missing from the list.
                log::warn!("the parameters of action {id} are unreadable: {error}");
                false
            }),
        };
        if has {
            having.ids.insert(id);
        }
    }
    if rows.is_empty() {
        // All of them are gone.
        having.looked_at = actions.len();
    }
    Ok(having)
}
