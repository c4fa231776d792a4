//! Waiting for the end of an action, with its progress.
//!
//! A server that knows `Wait` replies as soon as the action ends; others are polled, more and more seldom. A connection that breaks
//! meanwhile is made again for a while: the action goes on without it, also over a restart of the server.
//!
//! | module | what it is |
//! |---|---|
//! | here | the loop, and Ctrl-C |
//! | `shown` | progress as words, as pure functions |
//! | `display` | a bar on a terminal, lines elsewhere |

mod display;
mod shown;

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::ask::choose;
use super::failure::Failure;
use super::session::{Session, has_user, say};
use super::show::line;
use crate::aci::client::{Action, Client, ClientError, Fault, Progress, Status};
use display::Display;
use shown::Shown;

/// Time for which one request waits: so often is progress shown.
const STEP: Duration = Duration::from_secs(1);

/// Time between the first two polls of a server that does not wait, and the longest to which it grows.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Time for which a server that has gone is tried again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Errors after which the same may succeed a moment later: unavailable.
const UNAVAILABLE: u32 = 506;

/// The end of waiting.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Followed {
    /// The action has ended in this state.
    Ended(Status),
    /// It has not: the time is over, or the user did not want to wait any longer.
    Left,
}

/// Waits for the end of an action, at most so long.
pub(super) async fn to_end(
    session: &Session,
    token: &str,
    at_most: Option<Duration>,
) -> Result<Followed, Failure> {
    let end = at_most.and_then(|time| Instant::now().checked_add(time));
    let display = Display::new();
    let mut following = Following {
        client: &session.client,
        token,
        end,
        pause: FIRST_PAUSE,
        has_progress: true,
        has_looked: !display.is_terminal(),
        display,
        lost: None,
    };
    let followed = following.run().await;
    following.display.end();
    if let Ok(Followed::Left) = followed {
        say(&format!("not ended: `actiond status --wait {}` waits for it again", line(token)));
    }
    followed
}

/// The state of a wait for an action.
struct Following<'a> {
    client: &'a Client,
    token: &'a str,
    end: Option<Instant>,
    display: Display,
    pause: Duration,
    /// False once the server has said that it tells no progress.
    has_progress: bool,
    /// False before the first look of a user, which does not wait: whoever has sent something wants to see it.
    has_looked: bool,
    /// The time since when there is no answer.
    lost: Option<Instant>,
}

/// The answer of the user after Ctrl-C.
enum Wish {
    GoOn,
    Leave,
}

impl Following<'_> {
    async fn run(&mut self) -> Result<Followed, Failure> {
        let mut was_asked_to_stop = false;
        let asks = has_user();
        // One for all steps, so that none comes between two of them.
        let mut interrupt = Box::pin(tokio::signal::ctrl_c());
        loop {
            let left = self.end.map(|end| end.saturating_duration_since(Instant::now()));
            let wait =
                if self.has_looked { left.unwrap_or(STEP).min(STEP) } else { Duration::ZERO };
            self.has_looked = true;
            let step = async { self.step(wait).await };
            let status = if asks {
                tokio::select! {
                    status = step => status?,
                    _ = &mut interrupt => {
                        interrupt = Box::pin(tokio::signal::ctrl_c());
                        match self.ask(&mut was_asked_to_stop).await? {
                            Wish::GoOn => continue,
                            Wish::Leave => return Ok(Followed::Left),
                        }
                    }
                }
            } else {
                step.await?
            };
            match status {
                Some(status) if status.has_ended() => return Ok(Followed::Ended(status)),
                _ if self.end.is_some_and(|end| Instant::now() >= end) => {
                    return Ok(Followed::Left);
                }
                _ => {}
            }
        }
    }

    /// Waits for the end of the action, and shows how far it is. Returns its state, or `None` while there is no connection.
    async fn step(&mut self, wait: Duration) -> Result<Option<Status>, Failure> {
        let asked = Instant::now();
        let action = match self.client.status_after(self.token, wait).await {
            Ok(action) => action,
            Err(error) => {
                self.may_pass(error)?;
                sleep(STEP).await;
                return Ok(None);
            }
        };
        if self.lost.take().is_some() {
            self.display.note("the server answers again");
        }
        let progress = self.progress(&action).await?;
        self.display.show(&Shown::of(&action, progress.as_ref()));
        if action.status.has_ended() {
            return Ok(Some(action.status));
        }
        if asked.elapsed() < wait / 2 {
            // It does not wait.
            sleep(self.pause).await;
            self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
        Ok(Some(action.status))
    }

    async fn progress(&mut self, action: &Action) -> Result<Option<Progress>, Failure> {
        let runs = matches!(action.status, Status::Processing | Status::Paused | Status::Stopping);
        if !runs || !self.has_progress {
            return Ok(None);
        }
        match self.client.progress(self.token).await {
            Ok(progress) => Ok(Some(progress)),
            Err(ClientError { fault: Fault::Refused(_) | Fault::Lacks(_), .. }) => {
                self.has_progress = false;
                Ok(None)
            }
            Err(error) => self.may_pass(error).map(|()| None),
        }
    }

    /// Returns nothing if an error may pass, and the failure if it will not, or has lasted too long.
    fn may_pass(&mut self, error: ClientError) -> Result<(), Failure> {
        let passes = match &error.fault {
            Fault::NotConnected(_) | Fault::Unreachable(_) | Fault::TimedOut(_) => true,
            Fault::Status(status) => matches!(status, 429 | 502..=504),
            Fault::Refused(refusal) => refusal.number == Some(UNAVAILABLE),
            _ => false,
        };
        if !passes {
            return Err(error.into());
        }
        let now = Instant::now();
        match self.lost {
            None => {
                self.lost = Some(now);
                let why = line(&error.to_string()).into_owned();
                self.display
                    .note(&format!("{why}; it is asked again for {} s", PATIENCE.as_secs()));
                Ok(())
            }
            Some(since) if now.saturating_duration_since(since) < PATIENCE => Ok(()),
            Some(_) => {
                self.display.note(&format!("its token is {}", line(self.token)));
                Err(error.into())
            }
        }
    }

    /// Asks what to do after Ctrl-C, and does it.
    async fn ask(&mut self, was_asked_to_stop: &mut bool) -> Result<Wish, Failure> {
        self.display.end();
        let (question, stop) = match was_asked_to_stop {
            false => ("\nThe action goes on.", ('s', "stop it")),
            true => ("\nThe action was asked to stop, and has not ended.", ('f', "force it")),
        };
        let choices = [stop, ('l', "leave it"), ('g', "go on waiting")];
        match choose(question, &choices).await {
            Some('s' | 'f') => match self.client.stop(self.token).await {
                Ok(_) => {
                    *was_asked_to_stop = true;
                    Ok(Wish::GoOn)
                }
                // Such as one that has ended meanwhile, which is seen next.
                Err(ClientError { fault: Fault::Refused(why), .. }) => {
                    say(&line(&why.to_string()));
                    Ok(Wish::GoOn)
                }
                Err(error) => Err(error.into()),
            },
            Some('g') => Ok(Wish::GoOn),
            _ => Ok(Wish::Leave),
        }
    }
}
