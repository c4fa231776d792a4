//! Waiting for the end of an action.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::queue_info::Action;
use super::{Client, ClientError};

/// The longest time that one request waits: a proxy or firewall on the way may drop a silent connection.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Time between the first two polls of a server that does not wait, and the longest to which it grows.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Client {
    /// Waits at most this long for the end of an action, and returns it as it is then: see [`Status::has_ended`].
    ///
    /// It asks with `Wait`, so that a server that knows it replies at the end. Others reply at once; they are polled, in
    /// intervals that grow from a tenth of a second to five.
    ///
    /// [`Status::has_ended`]: super::Status::has_ended
    ///
    /// # Errors
    /// [`ClientError`], of the first request that fails.
    pub async fn wait(&self, token: &str, patience: Duration) -> Result<Action, ClientError> {
        let end = Instant::now().checked_add(patience);
        let left = || end.map_or(LONGEST_WAIT, |end| end.saturating_duration_since(Instant::now()));
        let mut pause = FIRST_PAUSE;
        loop {
            let (asked_at, wait) = (Instant::now(), left().min(LONGEST_WAIT));
            let action = self.status_after(token, wait).await?;
            if action.status.has_ended() || left().is_zero() {
                return Ok(action);
            }
            if asked_at.elapsed() >= wait / 2 {
                pause = FIRST_PAUSE;
                continue;
            }
            sleep(pause.min(left())).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }
}
