//! Tokens of the actions of an endpoint, and the actions that tokens name.

use actiond_actors::store::Record;
use actiond_actors::{ActionId, QueueError, QueueHandle, Submitted, Timestamp};

use super::super::served_queue::ServedQueue;
use super::Endpoint;
use crate::aci::token::{self, Token};

impl Endpoint {
    /// Returns the token by which clients know an action of this queue, as a reply to its submission has it; `None` if there is
    /// no such queue. [`token_for_id`](Self::token_for_id) is for an action of which only the id is known.
    #[must_use]
    pub fn token_for(&self, queue: &str, action: Submitted) -> Option<String> {
        Some(self.token(self.queue(queue)?, action))
    }

    /// Returns the token of the action of this id, for which it reads when that was queued; `None` if the queue has no such
    /// action or there is no such queue.
    ///
    /// # Errors
    ///
    /// Those of [`QueueHandle::status`].
    pub async fn token_for_id(
        &self,
        queue: &str,
        id: ActionId,
    ) -> Result<Option<String>, QueueError> {
        let Some(served) = self.queue(queue) else { return Ok(None) };
        // Its result is not needed, and may be large.
        let record = match served.queue.status_within(id, 0).await {
            Ok(within) => within.status.record,
            Err(QueueError::UnknownAction { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Record { queued_at, taken_by, .. } = record;
        Ok(Some(self.token(served, Submitted { id, queued_at, taken_by })))
    }

    /// Returns the queue and the action that a token names, for the calls of [`QueueHandle`]; `None` if it is no token of a
    /// queue of this endpoint. Commands to such an action are refused if it is another one than the token was given for
    /// ([`Target`](actiond_actors::Target)).
    ///
    /// ```
    /// # use actiond::{ActionContext, Endpoint, QueueSettings, Submission, System};
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let greet = async |_: ActionContext| Ok(Vec::new());
    /// # let system = System::builder(directory.path()).queue("Greet", QueueSettings::default(), greet).start().await?;
    /// # let endpoint = Endpoint::builder(system.clone()).build();
    /// # let submitted = system.queue("Greet").ok_or("no queue")?.submit(Submission::default()).await?;
    /// let token = endpoint.token_for("Greet", submitted).ok_or("no such queue")?;
    /// assert_eq!(endpoint.token_for_id("Greet", submitted.id).await?.as_ref(), Some(&token));
    ///
    /// let (queue, action) = endpoint.action_for(&token).ok_or("no token of this server")?;
    /// assert_eq!((queue.name(), action), ("Greet", submitted));
    /// queue.stop(action).await.ok();
    /// # system.shutdown(std::time::Duration::from_secs(1)).await;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn action_for(&self, token: &str) -> Option<(QueueHandle, Submitted)> {
        let token = Token::parse(token).ok()?;
        let served = self.queues().iter().find(|served| served.upper == token.queue)?;
        let queued_at = Timestamp(token.queued_ms);
        let action = Submitted { id: ActionId::new(token.id)?, queued_at, taken_by: None };
        Some((served.queue.clone(), action))
    }

    pub(in crate::front) fn token(&self, served: &ServedQueue, action: Submitted) -> String {
        let Submitted { id, queued_at, taken_by } = action;
        let site = taken_by.and_then(|site| self.inner.system.site(site));
        let (host, port) = match &site {
            Some(site) => (site.host.as_str(), site.port),
            None => (self.inner.host.as_str(), self.inner.port),
        };
        token::encode(host, port, &served.upper, queued_at.millis(), id.get())
    }

    /// Makes the token of an action that a client has named by this one. Where servers share the store, it is still that of the
    /// server which took the action.
    pub(in crate::front) fn token_again(
        &self,
        served: &ServedQueue,
        given: &Token,
        action: Submitted,
    ) -> String {
        match self.inner.system.is_shared() {
            true => given.encode(),
            false => self.token(served, action),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actiond_actors::{QueueSettings, Submission, System};

    use super::*;
    use crate::kinds::echo::Echo;

    #[actix_web::test]
    async fn ids_and_tokens_lead_to_each_other_and_others_to_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let building = System::builder(directory.path());
        let system =
            building.queue("Process", QueueSettings::default(), Echo).start().await.unwrap();
        let endpoint = Endpoint::builder(system.clone()).build();
        let queue = system.queue("Process").unwrap();
        let submitted = queue.submit(Submission::default()).await.unwrap();

        let token = endpoint.token_for("process", submitted).unwrap();
        let by_id = endpoint.token_for_id("PROCESS", submitted.id).await.unwrap();
        assert_eq!(by_id.as_deref(), Some(&*token));
        let (named, action) = endpoint.action_for(&token).unwrap();
        assert_eq!((named.name(), action), ("Process", submitted));

        let other = ActionId::new(submitted.id.get() + 1).unwrap();
        assert_eq!(endpoint.token_for_id("Process", other).await, Ok(None));
        assert_eq!(endpoint.token_for_id("Other", submitted.id).await, Ok(None));
        assert_eq!(endpoint.token_for("Other", submitted), None);
        let of_other_queue = token::encode("h", 1, "OTHER", submitted.queued_at.millis(), 1);
        for no_token in ["", "no token", &of_other_queue] {
            assert!(endpoint.action_for(no_token).is_none(), "{no_token}");
        }
        let shown = format!("{endpoint:?}");
        assert!(
            shown.contains(r#"address: 127.0.0.1:7000, mounted_at: "", queues: ["Process"]"#),
            "{shown}"
        );
        system.shutdown(Duration::ZERO).await;
    }
}
