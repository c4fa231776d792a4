//! The commands to queues and to their actions, one method each.

use std::time::Duration;

use super::queue_info::{Action, Attempt, Progress, QueueStatus, Status};
use super::tree::{child, children, first, into_children, is, take, text_of, value};
use super::{Client, ClientError, Fault, List, Reply};
use crate::element::Element;
use crate::queue_info::DELETE;
use crate::request::{PairValue, Pairs};
use crate::shown::ShownParameter;
use crate::token::queue_of;

/// The action or the queue that a command of `QueueInfo` is about.
#[derive(Debug, Clone, Copy)]
pub enum About<'a> {
    /// The action of this token.
    Token(&'a str),
    /// The queue of this name.
    Queue(&'a str),
    /// The actions that the other parameters select.
    Parameters,
}

impl Client {
    /// Queues an action and returns its token, which is opaque: its content is the server's business.
    ///
    /// # Errors
    /// [`ClientError`]; [`Fault::Lacks`] if the reply has no token.
    pub async fn submit(
        &self,
        action: &str,
        parameters: impl Into<Pairs>,
    ) -> Result<String, ClientError> {
        let reply = self.send(action, parameters).await?;
        self.token_in(&reply)
    }

    /// Returns the state of an action.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status(&self, token: &str) -> Result<Action, ClientError> {
        self.status_after(token, Duration::ZERO).await
    }

    /// Returns the state of an action once it has ended or this time has passed, if the server knows `Wait`; others reply at
    /// once. [`wait`](Self::wait) asks again.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status_after(&self, token: &str, wait: Duration) -> Result<Action, ClientError> {
        let action = self.status_element(token, wait, Vec::new()).await?;
        Action::read(action).map_err(|fault| self.error(fault))
    }

    /// Does the same with further parameters, and returns the element `action` with all that the server tells.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status_element(
        &self,
        token: &str,
        wait: Duration,
        mut more: Vec<(&str, String)>,
    ) -> Result<Element, ClientError> {
        if !wait.is_zero() {
            more.push(("Wait", format!("{:.3}", wait.as_secs_f64())));
        }
        let pairs = self.pairs("getStatus", &About::Token(token), more);
        let reply = self.send_and_wait("QueueInfo", pairs, wait).await?;
        let actions = take(reply.data, "actions").map(into_children).unwrap_or_default();
        take(actions, "action").ok_or_else(|| self.error(Fault::Lacks("the action")))
    }

    /// Cancels a queued action. Returns its state, if the server tells it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn cancel(&self, token: &str) -> Result<Option<Status>, ClientError> {
        self.steer("cancel", token, Vec::new()).await
    }

    /// Asks a running action to stop. Returns its state, if the server tells it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn stop(&self, token: &str) -> Result<Option<Status>, ClientError> {
        self.steer("stop", token, Vec::new()).await
    }

    /// Pauses a running action. Returns its state, if the server tells it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn pause(&self, token: &str) -> Result<Option<Status>, ClientError> {
        self.steer("pause", token, Vec::new()).await
    }

    /// Resumes a paused action. Returns its state, if the server tells it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn resume(&self, token: &str) -> Result<Option<Status>, ClientError> {
        self.steer("resume", token, Vec::new()).await
    }

    /// Changes the priority of a queued action; higher ones start first. Returns its state, if the server tells it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn change_priority(
        &self,
        token: &str,
        priority: i32,
    ) -> Result<Option<Status>, ClientError> {
        self.steer("changePriority", token, vec![("Priority", priority.to_string())]).await
    }

    /// Starts the next attempt at an action at once, also at one that has ended in an error. Returns its state, if the server
    /// tells it. Servers other than actiond do not know this command.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn retry(&self, token: &str) -> Result<Option<Status>, ClientError> {
        self.steer("retry", token, Vec::new()).await
    }

    /// Deletes an action that has ended. Returns the state in which it was, if the server tells it.
    /// [`List::delete`] deletes many. Servers other than actiond do not know this command.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delete(&self, token: &str) -> Result<Option<Status>, ClientError> {
        self.steer(DELETE, token, Vec::new()).await
    }

    /// Returns each attempt at an action that the server still keeps, the first one first; none if the server tells none.
    ///
    /// # Errors
    /// [`ClientError`]; [`Fault::Lacks`] if an attempt has no number or outcome.
    pub async fn history(&self, token: &str) -> Result<Vec<Attempt>, ClientError> {
        let more = vec![("History", "true".to_owned())];
        let reply = self.ask("getStatus", &About::Token(token), more).await?;
        let actions = take(reply.data, "actions").map(into_children).unwrap_or_default();
        let action =
            take(actions, "action").ok_or_else(|| self.error(Fault::Lacks("the action")))?;
        Attempt::read_all(&action).map_err(|fault| self.error(fault))
    }

    /// Queues a copy of an action and returns its token.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn duplicate(&self, token: &str) -> Result<String, ClientError> {
        let reply = self.ask("duplicate", &About::Token(token), Vec::new()).await?;
        self.token_in(&reply)
    }

    /// Returns the progress of an action, with all stages of its work.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn progress(&self, token: &str) -> Result<Progress, ClientError> {
        let all = vec![("AllStages", "true".to_owned())];
        let reply = self.ask("progress", &About::Token(token), all).await?;
        Progress::read(&reply.data).map_err(|fault| self.error(fault))
    }

    /// Returns the last lines that a running action has logged, the oldest first; none of one that does not run, or where the
    /// server does not know `Log`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn log(&self, token: &str) -> Result<Vec<String>, ClientError> {
        let more = vec![("Log", "true".to_owned())];
        let reply = self.ask("getStatus", &About::Token(token), more).await?;
        let action = first(&reply.data, "actions").and_then(|actions| child(actions, "action"));
        let action = action.ok_or_else(|| self.error(Fault::Lacks("the action")))?;
        let status = child(action, "status").map(text_of).unwrap_or_default();
        if Status::read(status.trim()).has_ended() {
            // What an ended one calls so is its result.
            return Ok(Vec::new());
        }
        // A partial result of that name would stand before it.
        let log = children(action).iter().rfind(|element| is(element, "log"));
        let lines = log.map(children).unwrap_or_default();
        Ok(lines.iter().filter(|line| is(line, "line")).map(|l| text_of(l).to_owned()).collect())
    }

    /// Returns the parameters of an action; `None` if the server no longer has them, as for actions that have ended.
    ///
    /// # Errors
    /// [`ClientError`]; [`Fault::Lacks`] if the server left a value out because it is too long to be shown.
    pub async fn parameters(&self, token: &str) -> Result<Option<Pairs>, ClientError> {
        let reply = self.ask("getActionParameters", &About::Token(token), Vec::new()).await?;
        let request = first(&reply.data, "request").map(children).unwrap_or_default();
        parameters_in(request).map_err(|fault| self.error(fault))
    }

    /// Returns the tokens and the parameters of all actions of a queue that have not ended. A value that the server left out is
    /// missing among them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn all_parameters(&self, queue: &str) -> Result<Vec<(String, Pairs)>, ClientError> {
        let reply = self.whole("getActionParameters", queue).await?;
        let requests = reply.data.iter().filter(|element| is(element, "request")).map(children);
        let read = |request: &[Element]| {
            let token = first(request, "token").map(text_of).unwrap_or_default().trim().to_owned();
            let parameters = first(request, "parameters").map(children).unwrap_or_default();
            let given: Vec<_> = parameters.iter().filter_map(parameter).collect();
            (token, Pairs::from(given))
        };
        Ok(requests.map(read).collect())
    }

    /// Returns the state of a queue.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn queue_status(&self, queue: &str) -> Result<QueueStatus, ClientError> {
        self.whole("queueStatus", queue)
            .await
            .and_then(|reply| QueueStatus::read(&reply.data).map_err(|fault| self.error(fault)))
    }

    /// Asks all running actions of a queue to stop.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn stop_all(&self, queue: &str) -> Result<(), ClientError> {
        self.whole("stop", queue).await.map(drop)
    }

    /// Pauses a queue: no further action starts, and running ones are paused if they can be.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn pause_queue(&self, queue: &str) -> Result<(), ClientError> {
        self.whole("pause", queue).await.map(drop)
    }

    /// Resumes a paused queue and the paused actions in it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn resume_queue(&self, queue: &str) -> Result<(), ClientError> {
        self.whole("resume", queue).await.map(drop)
    }

    /// Begins to list the actions of a queue, page by page.
    #[must_use]
    pub fn list(&self, queue: impl Into<String>) -> List<'_> {
        List::new(self, queue.into())
    }

    async fn steer(
        &self,
        queue_action: &str,
        token: &str,
        more: Vec<(&str, String)>,
    ) -> Result<Option<Status>, ClientError> {
        let reply = self.ask(queue_action, &About::Token(token), more).await?;
        Ok(value(&reply.data, "status").map(|word: String| Status::read(&word)))
    }

    async fn whole(&self, queue_action: &str, queue: &str) -> Result<Reply, ClientError> {
        self.ask(queue_action, &About::Queue(queue), Vec::new()).await
    }

    /// Sends a command of `QueueInfo` with further parameters, and returns the reply as it is: for what the other methods do not
    /// read.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn queue_info(
        &self,
        queue_action: &str,
        about: About<'_>,
        more: Vec<(&str, String)>,
    ) -> Result<Reply, ClientError> {
        self.ask(queue_action, &about, more).await
    }

    pub(super) async fn ask(
        &self,
        queue_action: &str,
        about: &About<'_>,
        more: Vec<(&str, String)>,
    ) -> Result<Reply, ClientError> {
        self.send("QueueInfo", self.pairs(queue_action, about, more)).await
    }

    fn token_in(&self, reply: &Reply) -> Result<String, ClientError> {
        let token = first(&reply.data, "token").map(text_of).unwrap_or_default().trim();
        match token {
            "" => Err(self.error(Fault::Lacks("a token"))),
            token => Ok(token.to_owned()),
        }
    }

    /// Makes the parameters of a `QueueInfo` request. Other servers want the name of the queue beside a token.
    fn pairs(&self, queue_action: &str, about: &About<'_>, more: Vec<(&str, String)>) -> Pairs {
        let mut pairs = Pairs::default();
        let mut push = |name: &str, value: String| pairs.push(name, PairValue::Text(value));
        push("QueueAction", queue_action.to_owned());
        match about {
            About::Queue(queue) => push("QueueName", (*queue).to_owned()),
            About::Parameters => {}
            About::Token(token) => {
                if let Some(queue) =
                    queue_of(token).or_else(|| Some((**self.queue.as_ref()?).to_owned()))
                {
                    push("QueueName", queue);
                }
                push("Token", (*token).to_owned());
            }
        }
        more.into_iter().for_each(|(name, value)| push(name, value));
        pairs
    }
}

/// Reads the parameters in an element `request`; `None` if the server no longer has them.
fn parameters_in(request: &[Element]) -> Result<Option<Pairs>, Fault> {
    let Some(parameters) = first(request, "parameters") else { return Ok(None) };
    let read = |element| parameter(element).ok_or(Fault::Lacks("the value of a parameter"));
    let given = children(parameters).iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(given.into()))
}

fn parameter(element: &Element) -> Option<(String, PairValue)> {
    let shown = ShownParameter {
        attributes: element.attributes.clone(),
        text: Some(text_of(element).to_owned()).filter(|text| !text.is_empty()),
    };
    shown.read()
}
