//! The configuration, as the service port tells of it.

use std::sync::Arc;

use super::super::dispatch::Call;
use super::{SUCCESS, reply_of_lines};
use crate::aci::error::AciError;
use crate::service::{ConfigFindings, LiveConfig, ReloadOutcome};

/// Shows the value of each key (our choice: a real server sends the text of its file). What nothing reads, which may be a secret
/// under a name that nobody knows, is not among them.
pub(super) async fn get_config(call: &Call<'_>) -> Result<String, AciError> {
    Ok(config(call)?.show().await)
}

pub(super) async fn validate_config(call: &Call<'_>, action: &str) -> Result<String, AciError> {
    let ConfigFindings { problems, warnings } = config(call)?.validate().await;
    let response = if problems.is_empty() { "Valid" } else { "Invalid" };
    let lines = told([("error", problems), ("warning", warnings)]);
    Ok(reply_of_lines(action, response, &lines))
}

pub(super) async fn reload_config(call: &Call<'_>, action: &str) -> Result<String, AciError> {
    match config(call)?.reload_now().await {
        Ok(ReloadOutcome { changed, needs_restart, warnings }) => {
            let lists = [("changed", changed), ("restart", needs_restart), ("warning", warnings)];
            Ok(reply_of_lines(action, SUCCESS, &told(lists)))
        }
        Err(why) => Err(AciError::failed(action, &format!("nothing was changed: {why}"))),
    }
}

fn config(call: &Call<'_>) -> Result<Arc<dyn LiveConfig>, AciError> {
    call.endpoint.config().ok_or_else(|| {
        AciError::not_taken(
            call.action,
            "this server has no configuration file: it is part of a program that has set it up",
        )
    })
}

/// Returns a line for each item of these lists, which begins with the word for its list.
fn told<const N: usize>(lists: [(&str, Vec<String>); N]) -> Vec<String> {
    let each = |(word, list): (&str, Vec<String>)| {
        list.into_iter().map(|line| format!("{word}: {line}")).collect::<Vec<_>>()
    };
    lists.into_iter().flat_map(each).collect()
}
