//! The end of a measurement: waiting for the ends of the actions, and deleting them.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::session::say;
use super::super::show::{counted, line};
use super::load::Sent;
use super::report::Ended;
use crate::aci::client::{Client, ClientError, Commanded, Fault, ManyCommand, Selection};

/// Time for which the ends are waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Waits until all that was submitted has ended, or that lasts too long.
pub(super) async fn wait(client: &Client, queue: &str, id: &str, sent: &Sent) -> Ended {
    let end = Instant::now().checked_add(PATIENCE);
    while !sent.was_interrupted && end.is_none_or(|end| Instant::now() < end) {
        let is_left = tokio::select! {
            is_left = is_left(client, queue, id) => is_left,
            _ = tokio::signal::ctrl_c() => return Ended::NotAll,
        };
        match is_left {
            Ok(true) => sleep(PAUSE).await,
            Ok(false) => return Ended::After(sent.began.elapsed()),
            Err(_) => return Ended::NotSeen,
        }
    }
    Ended::NotAll
}

/// Asks if any of the actions has not ended: one is enough to know.
async fn is_left(client: &Client, queue: &str, id: &str) -> Result<bool, ClientError> {
    let mut list =
        client.list(queue).filter("State", "queued,running").filter("ActionID", id).page_size(1);
    Ok(list.next_elements().await?.is_some_and(|page| !page.is_empty()))
}

/// Ends what has not ended, deletes all of it, and says what stays.
pub(super) async fn tidy(client: &Client, queue: &str, id: &str, is_actiond: bool, sent: &Sent) {
    if sent.accepted() == 0 {
        return;
    }
    // Another server may not know the filter, and would do it to all actions.
    if !is_actiond {
        return say(&left(queue, id, false, sent.accepted()));
    }
    let filters = [("ActionID".to_owned(), id.to_owned())];
    let selection = Selection::All { queue, filters: &filters };
    let stopped = client.command_many(ManyCommand::Stop, selection).await;
    let deleted = match stopped {
        Ok(_) => delete(client, queue, id, selection).await,
        Err(error) => Err(error),
    };
    match deleted {
        Ok(Commanded { done, .. }) if done >= sent.accepted() => {
            say(&format!("{} deleted again", counted(done, "action")));
        }
        Ok(Commanded { done, .. }) => {
            say(&left(queue, id, true, sent.accepted().saturating_sub(done)));
        }
        Err(ClientError { fault: Fault::Refused(why), .. }) => {
            say(&format!("they can't be deleted: {}", line(&why.to_string())));
            say(&left(queue, id, true, sent.accepted()));
        }
        Err(error) => {
            say(&line(&error.to_string()));
            say(&left(queue, id, true, sent.accepted()));
        }
    }
}

/// Deletes what has ended, until nothing is left: what was asked to stop ends a moment later.
async fn delete(
    client: &Client,
    queue: &str,
    id: &str,
    selection: Selection<'_>,
) -> Result<Commanded, ClientError> {
    let mut all = Commanded::default();
    let end = Instant::now().checked_add(PATIENCE);
    loop {
        let deleted = client.command_many(ManyCommand::Delete, selection).await?;
        all.done = all.done.saturating_add(deleted.done);
        let is_over = end.is_none_or(|end| Instant::now() >= end);
        if is_over || !is_left(client, queue, id).await? {
            // What has ended between the two.
            let rest = client.command_many(ManyCommand::Delete, selection).await?;
            all.done = all.done.saturating_add(rest.done);
            return Ok(all);
        }
        sleep(PAUSE).await;
    }
}

/// Writes what stays on the server, and how it is deleted.
pub(super) fn left(queue: &str, id: &str, is_actiond: bool, number: u64) -> String {
    let (actions, queue) = (counted(number, "action"), line(queue));
    let stay = if number == 1 { "stays" } else { "stay" };
    match is_actiond {
        true => format!(
            "{actions} {stay} in {queue}: `actiond delete --all --queue {queue} --action-id {id}` deletes what has ended"
        ),
        false => format!("{actions} {stay} in {queue}, until the server deletes what has ended"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_said() {
        let want = "2 actions stay in P: `actiond delete --all --queue P --action-id x` deletes what has ended";
        assert_eq!(left("P", "x", true, 2), want);
        assert!(left("P", "x", false, 1).starts_with("1 action stays in P, until"));
    }
}
