//! The methods about the server itself: its actions, its state, backups.

use super::queue_info::QueueStatus;
use super::tree::{attribute, child, children, first, is, text_of, value};
use super::{Client, ClientError, Fault};
use crate::element::Element;
use crate::request::Pairs;

/// An action of a server, as its help describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionHelp {
    /// The name.
    pub name: String,
    /// The summary.
    pub summary: String,
    /// True if it is queued; then there is a queue of its name.
    pub asynchronous: bool,
    /// The names of its parameters.
    pub parameters: Vec<String>,
}

/// The state of a server. What other servers than actiond leave out is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerStatus {
    /// The product.
    pub product: String,
    /// The version.
    pub version: String,
    /// The promise behind an acknowledgement: `full`, `normal` or `memory`.
    pub durability: Option<String>,
    /// The type of the file system on which the actions are.
    pub file_system: Option<String>,
    /// The queues.
    pub queues: Vec<QueueCounts>,
}

/// A queue as the state of its server shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueCounts {
    /// The name.
    pub name: String,
    /// The state.
    pub status: QueueStatus,
    /// Number of actions that may run at once, if it is told.
    pub slots: Option<u64>,
}

impl Client {
    /// Returns the actions that the server's help describes; none if it describes them in another way.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn help(&self) -> Result<Vec<ActionHelp>, ClientError> {
        let reply = self.send("Help", Pairs::default()).await?;
        let actions = first(&reply.data, "actions").map(children).unwrap_or_default();
        Ok(actions.iter().filter(|element| is(element, "action")).map(ActionHelp::read).collect())
    }

    /// Returns the state of the server.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn server_status(&self) -> Result<ServerStatus, ClientError> {
        let reply = self.send("GetStatus", Pairs::default()).await?;
        let text = |name| first(&reply.data, name).map(|element| text_of(element).trim());
        let queues = first(&reply.data, "queues").map(children).unwrap_or_default();
        let queues = queues.iter().filter(|element| is(element, "queue"));
        Ok(ServerStatus {
            product: text("product").unwrap_or_default().to_owned(),
            version: text("version").unwrap_or_default().to_owned(),
            durability: text("durability").map(ToOwned::to_owned),
            file_system: text("filesystem").map(ToOwned::to_owned),
            queues: queues.filter_map(QueueCounts::read).collect(),
        })
    }

    /// Returns the state of each queue: of all that the server names, or of these.
    ///
    /// The state of the server tells all at once, to those who may see it. Others learn the names from the help, and ask for each.
    ///
    /// # Errors
    /// [`ClientError`]; [`Fault::Lacks`] if the server names no queues and none were given.
    pub async fn queues(&self, names: &[String]) -> Result<Vec<QueueCounts>, ClientError> {
        let mut queues = match self.server_status().await {
            Ok(status) => status.queues,
            // Another server may not know the action, or keep it for administrators.
            Err(ClientError { fault: Fault::Refused(_), .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        if !names.is_empty() {
            let is_named = |name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
            queues.retain(|queue| is_named(&queue.name));
            if queues.len() >= names.len() {
                return Ok(queues);
            }
            return self.each_queue(names).await;
        }
        if !queues.is_empty() {
            return Ok(queues);
        }
        let help = match self.help().await {
            Ok(help) => help,
            Err(ClientError { fault: Fault::Refused(_), .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        let named: Vec<_> =
            help.into_iter().filter(|it| it.asynchronous).map(|it| it.name).collect();
        if named.is_empty() {
            return Err(self.error(Fault::Lacks("the names of its queues")));
        }
        self.each_queue(&named).await
    }

    async fn each_queue(&self, names: &[String]) -> Result<Vec<QueueCounts>, ClientError> {
        let mut queues = Vec::with_capacity(names.len());
        for name in names {
            let status = self.queue_status(name).await?;
            queues.push(QueueCounts { name: name.clone(), status, slots: None });
        }
        Ok(queues)
    }
}

impl ServerStatus {
    /// Returns true if the server is actiond, which knows more than others.
    #[must_use]
    pub fn is_actiond(&self) -> bool {
        self.product == "actiond"
    }
}

impl ActionHelp {
    fn read(action: &Element) -> Self {
        let text = |name| child(action, name).map(text_of).unwrap_or_default().trim().to_owned();
        let parameters = child(action, "parameters").map(children).unwrap_or_default();
        let name = |parameter| attribute(parameter, "name").map(ToOwned::to_owned);
        Self {
            name: text("name"),
            summary: text("summary"),
            asynchronous: text("asynchronous").eq_ignore_ascii_case("true"),
            parameters: parameters.iter().filter_map(name).collect(),
        }
    }
}

impl QueueCounts {
    fn read(queue: &Element) -> Option<Self> {
        let told = children(queue);
        let name = first(told, "name").map(|name| text_of(name).trim().to_owned())?;
        let status = QueueStatus::read(told).ok()?;
        Some(Self { name, status, slots: value(told, "maximumthreads") })
    }
}
