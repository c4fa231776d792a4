//! Commands to actions and queues while they are watched.

use super::super::show::{cut, line};
use crate::aci::client::{Client, ClientError};

/// Number of characters of a token that are shown: its end tells actions apart.
const TOKEN: usize = 10;

/// A command to an action or a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Stop { token: String, force: bool },
    Cancel { token: String },
    Pause { token: String },
    Resume { token: String },
    Retry { token: String },
    Priority { token: String, priority: i32 },
    PauseQueue { queue: String },
    ResumeQueue { queue: String },
    StopQueue { queue: String },
}

impl Command {
    /// Returns the question to ask before, if it destroys something.
    pub(super) fn question(&self) -> Option<String> {
        Some(match self {
            Self::Stop { token, force: false } => {
                format!(
                    "Stop the action {}? What it has done so far stays its result.",
                    short(token)
                )
            }
            Self::Stop { token, force: true } => {
                format!(
                    "Force the action {}? It is ended at once, in the middle of its work.",
                    short(token)
                )
            }
            Self::Cancel { token } => {
                format!("Cancel the action {}? It will never start.", short(token))
            }
            Self::StopQueue { queue } => {
                format!(
                    "Stop all that run in {}? What they have done so far stays their result.",
                    cut(queue, 40)
                )
            }
            Self::Pause { .. }
            | Self::Resume { .. }
            | Self::Retry { .. }
            | Self::Priority { .. }
            | Self::PauseQueue { .. }
            | Self::ResumeQueue { .. } => return None,
        })
    }

    /// Gives the command, and returns what to tell of it.
    pub(super) async fn run(&self, client: &Client) -> Result<String, ClientError> {
        let (token, status) = match self {
            Self::Stop { token, force } => {
                let status = client.stop(token).await?;
                let status = match force {
                    // The second stop is the one that forces; what has ended meanwhile needs none.
                    true => client.stop(token).await.unwrap_or(status),
                    false => status,
                };
                (token, status)
            }
            Self::Cancel { token } => (token, client.cancel(token).await?),
            Self::Pause { token } => (token, client.pause(token).await?),
            Self::Resume { token } => (token, client.resume(token).await?),
            Self::Retry { token } => (token, client.retry(token).await?),
            Self::Priority { token, priority } => {
                client.change_priority(token, *priority).await?;
                return Ok(format!("{}: priority {priority}", short(token)));
            }
            Self::PauseQueue { queue } => {
                client.pause_queue(queue).await?;
                return Ok(format!("{} is paused", line(queue)));
            }
            Self::ResumeQueue { queue } => {
                client.resume_queue(queue).await?;
                return Ok(format!("{} goes on", line(queue)));
            }
            Self::StopQueue { queue } => {
                client.stop_all(queue).await?;
                return Ok(format!("all that run in {} are asked to stop", line(queue)));
            }
        };
        let status = status.map_or_else(|| "accepted".to_owned(), |status| status.to_string());
        Ok(format!("{}: {}", short(token), line(&status)))
    }
}

/// Returns the end of a token.
pub(super) fn short(token: &str) -> String {
    let token = line(token.trim_end_matches('='));
    match token.char_indices().rev().nth(TOKEN) {
        Some((at, c)) => format!("…{}", token.get(at + c.len_utf8()..).unwrap_or_default()),
        None => token.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_destroys_is_asked_about() {
        let token = "MTI3LjAuMC4xOjcwMDA6UFJPQ0VTUzoxNzk1MzY3NjYxMTAzMDAwMDAwMDAwMDE=".to_owned();
        let asked = Command::Stop { token: token.clone(), force: true }.question().unwrap();
        assert!(asked.starts_with("Force the action …DAwMDAwMDE?"), "{asked}");
        assert!(Command::Cancel { token: token.clone() }.question().is_some());
        assert!(Command::StopQueue { queue: "Q".to_owned() }.question().is_some());
        assert!(Command::Pause { token: token.clone() }.question().is_none());
        assert!(Command::Priority { token, priority: 1 }.question().is_none());
        assert_eq!(short("MTI="), "MTI");
        assert_eq!(short(""), "");
    }
}
