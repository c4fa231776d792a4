//! The outcome of an attempt: made of what became of its work, and recorded in the attempt.

use std::any::Any;

use tokio::task::JoinError;

use super::{Attempt, Wish};
use crate::lifecycle::{Came, Ended, GIVEN_UP};
use crate::perform::Failure;
use crate::report::{MAX_BYTES, Report, Written, dismantle};
use crate::store::AttemptEnd;
use crate::supervision::drop_quietly;

/// Outcome of an attempt: how it ended, its error text, and its result unless that is the partial one.
pub(super) type Outcome<R> = (Ended, Option<String>, Option<R>);

/// Turns a result into its stored form.
pub(super) fn written(report: Report) -> Result<Written, Failure> {
    let written = Written::of(&report);
    if written.is_err() {
        dismantle(report);
    }
    Ok(written?)
}

/// Cuts a text to at most `max_bytes`, between two characters.
fn cut_text(text: &mut String, max_bytes: usize) {
    if text.len() > max_bytes {
        text.truncate(text.floor_char_boundary(max_bytes));
    }
}

/// Records the end in the attempt, with all that is stored of it.
pub(super) fn record_end(
    attempt: &Attempt,
    came: Came,
    (mut ended, mut error, report): Outcome<Written>,
) {
    let Some(id) = attempt.id() else { return };
    if let Some(text) = &mut error {
        cut_text(text, MAX_BYTES);
    }
    let view = attempt.view();
    let report =
        report.map_or_else(|| Written::of(&view.partial), Ok).unwrap_or_else(|unwritable| {
            match ended {
                // A stop is one without its partial result, too, and says why that is missing.
                Ended::Stopped => error = Some(unwritable.to_string()),
                // What is to run again must not end for lack of a partial result.
                Ended::Interrupted(_)
                | Ended::Retry
                | Ended::Released
                | Ended::Lost
                | Ended::Cancelled => {}
                Ended::Finished | Ended::Failed => {
                    attempt.set_fatal();
                    (ended, error) = (Ended::Failed, Some(unwritable.to_string()));
                }
            }
            Written::default()
        });
    if ended == Ended::Lost && attempt.gives_up() {
        attempt.set_fatal();
        (ended, error) = (Ended::Failed, Some(GIVEN_UP.to_owned()));
    }
    let retry_after = if ended == Ended::Failed { attempt.retry_after() } else { None };
    if retry_after.is_some() {
        ended = Ended::Retry;
    }
    attempt.set_ended(AttemptEnd {
        id,
        attempt: attempt.number(),
        ended,
        came,
        error,
        retry_after,
        worker: attempt.worker(),
        report,
        percent: view.progress.percent(),
        processing_ms: i64::try_from(view.processing.as_millis()).unwrap_or(i64::MAX),
    });
}

/// Returns the outcome of an attempt whose worker has died.
pub(super) fn worker_died() -> Outcome<Written> {
    (Ended::Failed, Some("the worker that ran the action died".to_owned()), None)
}

/// Records the end of an attempt whose worker died before it could.
pub(crate) fn record_loss(attempt: &Attempt) {
    record_end(attempt, Came::Forced, worker_died());
}

/// Returns the outcome of work that has come back or was cut off.
pub(crate) fn outcome<R>(
    attempt: &Attempt,
    result: Result<Result<R, Failure>, JoinError>,
) -> Outcome<R> {
    let hidden = |text: String| attempt.hide(&text).into_owned();
    match result {
        Ok(Ok(report)) => (Ended::Finished, None, Some(report)),
        Ok(Err(Failure::Stopped)) if attempt.wish() >= Wish::Stop => without_result(attempt),
        Ok(Err(Failure::Stopped)) => {
            (Ended::Failed, Some("the work stopped without being asked to".to_owned()), None)
        }
        Ok(Err(Failure::Failed(text))) => (Ended::Failed, Some(hidden(text)), None),
        Ok(Err(Failure::Fatal(text))) => {
            attempt.set_fatal();
            (Ended::Failed, Some(hidden(text)), None)
        }
        Ok(Err(Failure::Released)) => (Ended::Released, None, None),
        Ok(Err(Failure::Lost(text))) => (Ended::Lost, Some(hidden(text)), None),
        Ok(Err(Failure::Cancelled)) => (Ended::Cancelled, None, None),
        Err(error) if error.is_cancelled() => without_result(attempt),
        Err(error) => (Ended::Failed, Some(hidden(panic_text(error))), None),
    }
}

/// Returns the way in which an attempt came to its end.
pub(super) fn came(attempt: &Attempt, cut_off: bool) -> Came {
    match attempt.came() {
        Some(came) if !cut_off => came,
        None if !cut_off => came_of(attempt.wish(), attempt.has_timed_out()),
        _ if attempt.has_timed_out() => Came::TimedOut,
        _ => Came::Forced,
    }
}

/// Returns the way in which work came to its end that was asked for this last.
pub(super) const fn came_of(wish: Wish, has_timed_out: bool) -> Came {
    match wish {
        Wish::Run | Wish::Pause => Came::ByItself,
        _ if has_timed_out => Came::TimedOut,
        Wish::Stop => Came::Asked,
        Wish::Force => Came::Forced,
    }
}

/// Returns the outcome of an attempt that was asked to stop, or forced.
fn without_result<R>(attempt: &Attempt) -> Outcome<R> {
    let (ended, error) = stopped(attempt);
    (ended, error, None)
}

/// Returns the meaning of a stop, which depends on its reason: the time limit, a shutdown or a client.
pub(super) fn stopped(attempt: &Attempt) -> (Ended, Option<String>) {
    if let Some(limit) = attempt.time_limit_exceeded() {
        (Ended::Failed, Some(format!("timed out after {} s", limit.as_secs_f64())))
    } else if attempt.is_interrupted() {
        (Ended::Interrupted(attempt.on_restart()), None)
    } else {
        (Ended::Stopped, None)
    }
}

/// Returns the text of a panic, for the client. A panic in an action ends the action, not the queue.
pub(super) fn panic_text(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(payload) => panicked(payload),
        Err(_) => "the action was dropped".to_owned(),
    }
}

/// Returns the text of a panic with this payload.
pub(super) fn panicked(payload: Box<dyn Any + Send>) -> String {
    let said = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    drop_quietly(payload);
    format!("the action panicked: {said}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_two_characters() {
        for (max, left) in [(9, "größe"), (7, "größe"), (6, "größ"), (5, "grö"), (0, "")] {
            let mut text = "größe".to_owned();
            cut_text(&mut text, max);
            assert_eq!(text, left, "{max}");
        }
    }
}
