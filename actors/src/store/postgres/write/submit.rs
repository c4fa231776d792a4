//! Submissions as they are written.

use super::statements::Statements;
use super::submissions::Submissions;
use crate::action::Timestamp;
use crate::store::postgres::columns::id_number;
use crate::store::postgres::errors::Failure;
use crate::store::postgres::message::{Message, values};
use crate::store::{Origin, OwnerId, StoreError};

/// The columns of origins: their identifiers, and all of each as JSON.
type Origins<'a> = (Vec<Option<&'a [u8]>>, Vec<Option<Vec<u8>>>);

/// Writes the submissions of a batch of this queue, with the attempts of those that start as they come.
pub(super) fn submit<'a>(
    message: &mut Message<'a>,
    statements: &'a Statements,
    (owner, batch, site): (OwnerId, i64, i32),
    (queue, new): (i32, &'a Submissions<'_>),
) -> Result<(), Failure> {
    let given = &new.given;
    if !given.is_empty() {
        let parameters = given
            .iter()
            .map(|new| serde_json::to_vec(new.parameters))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| StoreError::Io(error.to_string()))?;
        let keys: Vec<Option<&[u8]>> = given.iter().map(|new| new.key.map(str::as_bytes)).collect();
        let (action_ids, origins) = origins(given.iter().map(|new| new.origin))?;
        let values = values![
            queue,
            owner.0,
            batch,
            given.iter().map(|new| id_number(new.id)).collect::<Vec<_>>(),
            given.iter().map(|new| new.state).collect::<Vec<_>>(),
            given.iter().map(|new| new.priority).collect::<Vec<_>>(),
            given.iter().map(|new| new.attempt()).collect::<Vec<_>>(),
            given.iter().map(|new| new.queued_at.0).collect::<Vec<_>>(),
            given.iter().map(|new| new.started_at.map(Timestamp::millis)).collect::<Vec<_>>(),
            given.iter().map(|new| new.not_before.map(Timestamp::millis)).collect::<Vec<_>>(),
            keys,
            parameters,
            site,
            action_ids,
            origins,
        ];
        message.add(&statements.submit, values);
        let named = given.iter().filter_map(|new| Some((new.key?.as_bytes(), id_number(new.id))));
        let (keys, ids): (Vec<&[u8]>, Vec<i64>) = named.unzip();
        if !keys.is_empty() {
            message.add(&statements.name_keys, values![keys, ids, queue]);
        }
    }
    let unused = new.unused_keys();
    if !unused.is_empty() {
        message.add(&statements.give_keys_back, values![unused, queue]);
    }
    let copied = &new.copied;
    if !copied.is_empty() {
        let (action_ids, origins) = origins(copied.iter().map(|new| new.origin.as_deref()))?;
        let values = values![
            queue,
            copied.iter().map(|new| id_number(new.id)).collect::<Vec<_>>(),
            copied.iter().map(|new| id_number(new.source)).collect::<Vec<_>>(),
            copied.iter().map(|new| new.state).collect::<Vec<_>>(),
            copied.iter().map(|new| new.priority).collect::<Vec<_>>(),
            copied.iter().map(|new| new.queued_at.0).collect::<Vec<_>>(),
            copied.iter().map(|new| new.not_before.map(Timestamp::millis)).collect::<Vec<_>>(),
            site,
            action_ids,
            origins,
        ];
        message.add(&statements.copy, values);
    }
    Ok(())
}

/// Returns the identifiers and the texts of origins as columns; both are empty if there is none.
fn origins<'a>(
    origins: impl Iterator<Item = Option<&'a Origin>> + Clone,
) -> Result<Origins<'a>, Failure> {
    if origins.clone().all(|origin| origin.is_none()) {
        return Ok((Vec::new(), Vec::new()));
    }
    let ids = origins.clone().map(|origin| Some(origin?.action_id.as_ref()?.as_bytes()));
    let texts = origins.map(|origin| origin.map(serde_json::to_vec).transpose());
    let texts = texts.collect::<Result<_, _>>().map_err(|e| StoreError::Io(e.to_string()))?;
    Ok((ids.collect(), texts))
}
