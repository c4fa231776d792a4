//! The last lines of the log. Requests of others are among them.

use super::super::dispatch::Call;
use super::{SUCCESS, reply_of_lines};
use crate::aci::catalog::parse_integer;
use crate::aci::error::AciError;

pub(super) fn get_log_stream_names(call: &Call<'_>, action: &str) -> String {
    reply_of_lines(action, SUCCESS, &call.endpoint.log_streams().names())
}

pub(super) fn get_log_stream(call: &Call<'_>, action: &str) -> Result<String, AciError> {
    let name = call.pairs.given("Name").unwrap_or_default();
    let tail = call.pairs.given("Tail").and_then(parse_integer);
    let number = tail.and_then(|tail| usize::try_from(tail).ok()).unwrap_or(usize::MAX);
    let streams = call.endpoint.log_streams();
    let lines = streams.tail(name, number).ok_or_else(|| {
        let names = streams.names();
        let allowed = match names.is_empty() {
            true => "none, since the log has no streams".to_owned(),
            false => format!("one of {}", names.join(", ")),
        };
        AciError::invalid("Name", name, &allowed)
    })?;
    Ok(reply_of_lines(action, SUCCESS, &lines))
}
