//! Asks the server for what is shown: when live events say that there is news, and where it has none, once a second.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::super::events::{data_of, text};
use super::super::show;
use super::state::{Row, Sight, View};
use crate::aci::client::tree::children;
use crate::aci::client::{Action, Client, ClientError, Fault, LiveEvent, QueueCounts};
use crate::aci::element::Element;

/// Time between two looks at a server without live events.
const POLL: Duration = Duration::from_secs(1);

/// Time after which a server with live events is asked all the same: several servers may share the queues.
const SELDOM: Duration = Duration::from_secs(10);

/// Time that lies between two looks at least, however many events there are.
const REST: Duration = Duration::from_millis(300);

/// Number of actions of a group that are shown.
const MOST: usize = 200;

/// Number of running actions whose progress is asked for at once.
const WITH_PROGRESS: usize = 32;

/// News for the picture.
#[derive(Debug)]
pub(super) enum News {
    /// The queues, and the actions of the one that is looked at.
    Now { queues: Vec<QueueCounts>, sight: Sight, rows: Vec<Row> },
    /// The server can't be asked, for this reason.
    Away(String),
    /// News come by events (true), or by asking.
    Live(bool),
    /// The progress of an action in percent, by its token.
    Progress(String, f64),
    /// A command was given: what to tell of it, or why not.
    Done(Result<String, String>),
    /// An action in full, as lines.
    Details(Vec<String>),
}

/// Whoever asks. Dropping it ends that.
#[derive(Debug)]
pub(super) struct Feed {
    handle: Handle,
    tasks: [JoinHandle<()>; 2],
}

/// The way to have it ask again.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    sight: watch::Sender<Sight>,
    again: Arc<Notify>,
}

impl Handle {
    pub(super) fn again(&self) {
        self.again.notify_one();
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Feed {
    /// Begins to ask; `names` are the queues, or none for all.
    pub(super) fn begin(client: Client, names: Vec<String>, news: mpsc::Sender<News>) -> Self {
        let (sight, looked_at) = watch::channel(Sight::default());
        let handle = Handle { sight, again: Arc::new(Notify::new()) };
        let (is_live, pace) = watch::channel(false);
        let asking = Asking {
            client: client.clone(),
            names: names.clone(),
            news: news.clone(),
            looked_at,
            pace,
            again: Arc::clone(&handle.again),
        };
        let again = Arc::clone(&handle.again);
        let listening = listen(client, names, news, is_live, again);
        Self { handle, tasks: [tokio::spawn(asking.run()), tokio::spawn(listening)] }
    }

    /// Says what is looked at now.
    pub(super) fn look(&self, sight: Sight) {
        self.handle.sight.send_replace(sight);
        self.handle.again();
    }

    /// Waits for the end of asking, which comes by a fault of the program alone.
    pub(super) async fn ended(&mut self) {
        let [asking, _] = &mut self.tasks;
        let _ = asking.await;
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

struct Asking {
    client: Client,
    names: Vec<String>,
    news: mpsc::Sender<News>,
    looked_at: watch::Receiver<Sight>,
    pace: watch::Receiver<bool>,
    again: Arc<Notify>,
}

impl Asking {
    async fn run(self) {
        loop {
            let begun = Instant::now();
            let sight = self.looked_at.borrow().clone();
            let told = match self.ask(sight).await {
                Ok(now) => now,
                Err(error) => News::Away(show::line(&error.to_string()).into_owned()),
            };
            if self.news.send(told).await.is_err() {
                return;
            }
            let most = if *self.pace.borrow() { SELDOM } else { POLL };
            // Whoever does not come is not waited for.
            let _ = timeout(most, self.again.notified()).await;
            sleep(REST.saturating_sub(begun.elapsed())).await;
        }
    }

    async fn ask(&self, sight: Sight) -> Result<News, ClientError> {
        let queues = self.client.queues(&self.names).await?;
        let mut rows = Vec::new();
        if let Some(queue) = &sight.queue {
            match sight.view {
                View::Active => {
                    rows.extend(self.list(queue, "running", "start-time").await?);
                    self.add_progress(&mut rows).await?;
                    rows.extend(self.list(queue, "queued", "queue-time").await?);
                }
                View::Ended => rows.extend(self.list(queue, "finished", "finish-time").await?),
            }
        }
        Ok(News::Now { queues, sight, rows })
    }

    async fn list(&self, queue: &str, state: &str, key: &str) -> Result<Vec<Row>, ClientError> {
        let order = if state == "finished" { "descending" } else { "ascending" };
        let list = self.client.list(queue).filter("State", state).filter("Sort-By", key);
        let mut list = list.filter("Sort-Order", order).page_size(MOST);
        let mut page = list.next_page().await?.unwrap_or_default();
        page.truncate(MOST);
        let row = |action: Action| Row {
            action: Action { results: Vec::new(), ..action },
            percent: None,
        };
        Ok(page.into_iter().map(row).collect())
    }

    async fn add_progress(&self, rows: &mut [Row]) -> Result<(), ClientError> {
        for row in rows.iter_mut().take(WITH_PROGRESS) {
            match self.client.progress(&row.action.token).await {
                Ok(progress) => row.percent = Some(progress.percent),
                // It has ended meanwhile, or the server tells no progress.
                Err(ClientError { fault: Fault::Refused(_) | Fault::Lacks(_), .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Hears live events, and has the server asked when one says that something is new.
async fn listen(
    client: Client,
    names: Vec<String>,
    news: mpsc::Sender<News>,
    is_live: watch::Sender<bool>,
    again: Arc<Notify>,
) {
    let filters = match names.is_empty() {
        true => Vec::new(),
        false => vec![("Queue".to_owned(), names.join(","))],
    };
    let mut listener = client.events(filters);
    if listener.connect_now().await.is_err() {
        // It has none, or shows them to others.
        return;
    }
    is_live.send_replace(true);
    let _ = news.send(News::Live(true)).await;
    while let Ok(event) = listener.next().await {
        match progress_of(&event) {
            Some((token, percent)) => {
                // The next one tells the same better.
                let _ = news.try_send(News::Progress(token, percent));
            }
            None => again.notify_one(),
        }
    }
    is_live.send_replace(false);
    let _ = news.send(News::Live(false)).await;
    again.notify_one();
}

fn progress_of(event: &LiveEvent) -> Option<(String, f64)> {
    if event.kind != "progress" {
        return None;
    }
    let data = data_of(event);
    let progress = data.get("progress")?.as_object()?;
    Some((text(&data, "token").to_owned(), text(progress, "percent").parse().ok()?))
}

/// Asks for an action in full, and returns it as lines without colours.
pub(super) async fn details(client: &Client, token: &str) -> Vec<String> {
    let more = vec![("Log", "true".to_owned()), ("History", "true".to_owned())];
    let action = match client.status_element(token, Duration::ZERO, more).await {
        Ok(action) => action,
        Err(error) => return vec![show::line(&error.to_string()).into_owned()],
    };
    let has_ended = Action::read(action.clone()).is_ok_and(|action| action.status.has_ended());
    let given = client.queue_info(
        "getActionParameters",
        crate::aci::client::About::Token(token),
        if has_ended { vec![("Final", "true".to_owned())] } else { Vec::new() },
    );
    let mut shown: Vec<Element> = children(&action).to_vec();
    if let Ok(reply) = given.await {
        shown.extend(reply.data);
    }
    let text = show::tree(&shown);
    anstream::adapter::strip_str(&text).to_string().lines().map(ToOwned::to_owned).collect()
}
