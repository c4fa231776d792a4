//! Metrics, as far as they are requests: who may see them, the memory for them, and what counts as refused.

use super::authorize::refused_metrics;
use super::endpoint::Endpoint;
use super::message::{AciReply, Caller};
use super::reply_memory::ReplyMemory;
use crate::aci::catalog::StandardRole;
use crate::aci::error::AciError;
use crate::metrics::{Counted, Format, Reason};

impl Endpoint {
    /// Writes the metrics for a caller who may see them, once there is memory for as many bytes as they have. An endpoint without
    /// metrics has nothing to write.
    ///
    /// # Errors
    ///
    /// [`AciError::permission`] for other callers, [`AciError::unavailable`] if there is no memory. Either is counted.
    pub(crate) async fn scrape(
        &self,
        caller: &Caller,
        format: Format,
    ) -> Result<AciReply, AciError> {
        let written = self.written(caller, format).await;
        if let Err(error) = &written {
            count_refusal(self, None, error);
        }
        written
    }

    async fn written(&self, caller: &Caller, format: Format) -> Result<AciReply, AciError> {
        if !self.access().has_standard(caller, StandardRole::ServiceStatus) {
            return Err(refused_metrics(&self.access(), caller));
        }
        let mut memory = ReplyMemory::default();
        self.inner.replies.reserve(Counted::expected(self.system()), &mut memory).await?;
        let text = match self.counted() {
            Some(counted) => counted.scrape(self.system(), format).await,
            None => String::new(),
        };
        let reply = AciReply::whole(format.content_type(), text.into_bytes());
        self.inner.replies.fit(reply.len(), &mut memory).await?;
        Ok(AciReply { memory, ..reply })
    }
}

/// Counts a refusal. `reason` is what HTTP knows of it.
pub(super) fn count_refusal(endpoint: &Endpoint, reason: Option<Reason>, error: &AciError) {
    if let Some(counted) = endpoint.counted()
        && let Some(reason) = reason.or_else(|| reason_of(error))
    {
        counted.requests.refuse(reason);
    }
}

/// Returns the reason that an error tells; `None` if nothing was refused: the action was performed, and failed.
fn reason_of(error: &AciError) -> Option<Reason> {
    Some(match error.code {
        "ERRORPERMISSION" => Reason::Permission,
        "ERRORQUEUEFULL" => Reason::QueueFull,
        "ERRORREQUESTTOOLARGE" => Reason::TooLarge,
        "ERRORPARAMMISSING" | "ERRORPARAMINVALID" => Reason::Invalid,
        "ERRORNOTIMPLEMENTED" => Reason::UnknownAction,
        "ERRORUNAVAILABLE" => Reason::Unavailable,
        "ERRORWORKLOST" => Reason::WorkLost,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_refusals_but_for_those_of_the_work_and_our_own() {
        let table = [
            (AciError::permission("x"), Some(Reason::Permission)),
            (AciError::queue_full("q", 1, 1), Some(Reason::QueueFull)),
            (AciError::too_large("x", 2, 1), Some(Reason::TooLarge)),
            (AciError::missing("p", "x"), Some(Reason::Invalid)),
            (AciError::invalid("p", "v", "x"), Some(Reason::Invalid)),
            (AciError::malformed("x"), Some(Reason::Invalid)),
            (AciError::refused("t", "x"), Some(Reason::Invalid)),
            (AciError::unknown_action("x"), Some(Reason::UnknownAction)),
            (AciError::unavailable("x"), Some(Reason::Unavailable)),
            (AciError::work_lost("t", "x"), Some(Reason::WorkLost)),
            (AciError::failed("a", "x"), None),
            (AciError::internal("x"), None),
        ];
        for (error, reason) in table {
            assert_eq!(reason_of(&error), reason, "{error}");
        }
    }
}
