//! Notices to other servers: NOTIFY, once a batch is committed, on a connection of its own.
//!
//! They are never sent in the transaction of the batch: a commit that notifies takes a lock that all writers of the database
//! share. Those that wait are sent together, and the ends of actions in one text. Nothing is sent to all where nobody else is
//! there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::connection::{Link, Prepare, Role, within};
use super::errors::Failure;
use super::message::statements;
use super::setup::Setup;
use crate::action::ActionId;
use crate::store::{Notice, OwnerId, QueueId};
use crate::worker::Wish;

/// The receivers of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum To {
    Owner(OwnerId),
    /// All owners but that of the batch.
    Others,
}

/// The notices of a transaction.
pub(super) struct Outgoing {
    pub(super) from: OwnerId,
    pub(super) notices: Vec<(To, Notice)>,
}

/// Maximum number of ids in one text: PostgreSQL takes up to 8,000 bytes.
const MAX_IDS: usize = 500;

/// The names of the channels of a schema.
#[derive(Debug, Clone)]
pub(super) struct Channels {
    schema: u32,
}

impl Channels {
    pub(super) async fn of(client: &Client) -> Result<Self, Failure> {
        let sql = "SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = current_schema()";
        Ok(Self { schema: client.query_one(sql, &[]).await?.try_get(0)? })
    }

    pub(super) fn of_owner(&self, owner: OwnerId) -> String {
        format!("actiond_{}_{owner}", self.schema)
    }

    pub(super) fn of_all(&self) -> String {
        format!("actiond_{}", self.schema)
    }

    fn to(&self, to: To) -> String {
        match to {
            To::Owner(owner) => self.of_owner(owner),
            To::Others => self.of_all(),
        }
    }
}

/// A text that is said on a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    Notices(Vec<Notice>),
    /// A server is there that was not there before.
    Hello,
    /// The text by which a connection is tested.
    Test(u64),
}

/// Writes down what an owner says.
pub(super) fn write(from: OwnerId, said: &Said) -> Vec<String> {
    let notices = match said {
        Said::Hello => return vec![format!("{from} hello")],
        Said::Test(number) => return vec![format!("{from} test {number}")],
        Said::Notices(notices) => notices,
    };
    let mut texts = Vec::new();
    let mut ended: BTreeMap<QueueId, Vec<ActionId>> = BTreeMap::new();
    for notice in notices {
        match notice {
            Notice::Work(queue) => texts.push(format!("{from} work {}", queue.0)),
            Notice::Steer { queue, id, attempt, wish } => {
                let wish = match wish {
                    Wish::Run => "run",
                    Wish::Pause => "pause",
                    Wish::Stop => "stop",
                    Wish::Force => "force",
                };
                texts.push(format!("{from} steer {} {id} {attempt} {wish}", queue.0));
            }
            Notice::Moved { queue, id, attempt } => {
                texts.push(format!("{from} moved {} {id} {attempt}", queue.0));
            }
            Notice::Ended { queue, id } => ended.entry(*queue).or_default().push(*id),
            Notice::Paused { queue, paused } => {
                let what = if *paused { "paused" } else { "resumed" };
                texts.push(format!("{from} {what} {}", queue.0));
            }
        }
    }
    for (queue, ids) in ended {
        for ids in ids.chunks(MAX_IDS) {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            texts.push(format!("{from} ended {} {}", queue.0, ids.join(" ")));
        }
    }
    texts
}

/// Reads what another owner has written; `None` if it is of this owner, or of a newer version.
pub(super) fn read(text: &str, own: OwnerId) -> Option<Said> {
    let mut words = text.split(' ');
    let from = OwnerId(words.next()?.parse().ok()?);
    let what = words.next()?;
    if what == "test" {
        return Some(Said::Test(words.next()?.parse().ok()?));
    }
    if from == own {
        return None;
    }
    if what == "hello" {
        return Some(Said::Hello);
    }
    let queue = QueueId(words.next()?.parse().ok()?);
    let notices = match what {
        "work" => vec![Notice::Work(queue)],
        "paused" => vec![Notice::Paused { queue, paused: true }],
        "resumed" => vec![Notice::Paused { queue, paused: false }],
        "ended" => words
            .map(|word| Some(Notice::Ended { queue, id: ActionId::new(word.parse().ok()?)? }))
            .collect::<Option<_>>()?,
        "moved" => {
            let id = ActionId::new(words.next()?.parse().ok()?)?;
            vec![Notice::Moved { queue, id, attempt: words.next()?.parse().ok()? }]
        }
        "steer" => {
            let id = ActionId::new(words.next()?.parse().ok()?)?;
            let attempt = words.next()?.parse().ok()?;
            let wish = match words.next()? {
                "run" => Wish::Run,
                "pause" => Wish::Pause,
                "stop" => Wish::Stop,
                "force" => Wish::Force,
                _ => return None,
            };
            vec![Notice::Steer { queue, id, attempt, wish }]
        }
        _ => return None,
    };
    Some(Said::Notices(notices))
}

statements! {
    /// Statements of the connection that notifies.
    Notify {
        notify: "SELECT pg_notify(e.channel, e.said) FROM unnest($1::text[], $2::text[]) AS e(channel, said)",
    }
}

/// The connection, and the names of the channels.
struct Prepared {
    notify: Notify,
    channels: Channels,
}

impl Prepare for Prepared {
    async fn prepare(client: &Client) -> Result<Self, Failure> {
        // A notice may get lost.
        client.batch_execute("SET synchronous_commit = off").await?;
        let channels = Channels::of(client).await?;
        Ok(Self { notify: Notify::prepare(client).await?, channels })
    }
}

/// True if there are other servers, as far as this one knows.
#[derive(Debug, Default)]
pub(super) struct Peers(AtomicBool);

impl Peers {
    pub(super) fn are_there(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn note(&self, are_there: bool) {
        self.0.store(are_there, Ordering::Relaxed);
    }
}

/// Sends notices as long as the store is open: all that wait at once.
pub(super) async fn send(
    setup: Arc<Setup>,
    peers: Arc<Peers>,
    mut outgoing: mpsc::UnboundedReceiver<Outgoing>,
) {
    let patience = setup.patience;
    let mut link: Link<Prepared> = Link::new(setup, Role::Notifies);
    while let Some(first) = outgoing.recv().await {
        let mut gathered: BTreeMap<(To, OwnerId), Vec<Notice>> = BTreeMap::new();
        let mut next = Some(first);
        while let Some(Outgoing { from, notices }) = next {
            for (to, notice) in notices {
                if to != To::Others || peers.are_there() {
                    gathered.entry((to, from)).or_default().push(notice);
                }
            }
            next = outgoing.try_recv().ok();
        }
        if gathered.is_empty() {
            continue;
        }
        let sent = async {
            let open = link.get().await?;
            let (channels, texts) = texts(&open.prepared.channels, gathered);
            let values: [&(dyn ToSql + Sync); 2] = [&channels, &texts];
            within(patience, open.client.query(&open.prepared.notify.notify, &values)).await
        };
        let sent = sent.await;
        if let Err(failure) = sent {
            // The receivers look for themselves after each renewal of their leases.
            log::debug!("notices to other servers were lost: {failure}");
            link.give_up();
        }
    }
}

/// Returns the channels and what is said on each, once.
fn texts(
    channels: &Channels,
    gathered: BTreeMap<(To, OwnerId), Vec<Notice>>,
) -> (Vec<String>, Vec<String>) {
    let mut said = Vec::new();
    let mut known = BTreeSet::new();
    for ((to, from), notices) in gathered {
        for text in write(from, &Said::Notices(notices)) {
            if known.insert((to, text.clone())) {
                said.push((channels.to(to), text));
            }
        }
    }
    said.into_iter().unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_by_others() {
        let queue = QueueId(3);
        let id = |number| ActionId::new(number).unwrap();
        let steer = |wish| Notice::Steer { queue, id: id(ActionId::MAX), attempt: 9, wish };
        for notice in [
            Notice::Work(queue),
            Notice::Ended { queue, id: id(5) },
            Notice::Moved { queue, id: id(6), attempt: 7 },
            Notice::Paused { queue, paused: true },
            Notice::Paused { queue, paused: false },
            steer(Wish::Run),
            steer(Wish::Pause),
            steer(Wish::Stop),
            steer(Wish::Force),
        ] {
            let said = Said::Notices(vec![notice]);
            let texts = write(OwnerId(7), &said);
            assert_eq!(read(&texts[0], OwnerId(8)), Some(said), "{texts:?}");
            assert_eq!(read(&texts[0], OwnerId(7)), None, "it is its own");
        }
        for said in [Said::Test(77), Said::Hello] {
            assert_eq!(read(&write(OwnerId(7), &said)[0], OwnerId(8)), Some(said));
        }
        for text in
            ["", "7", "x work 1", "7 work", "7 dance 1", "7 steer 1 0 1 stop", "7 ended 1 x"]
        {
            assert_eq!(read(text, OwnerId(8)), None, "{text}");
        }
    }

    #[test]
    fn many_ends_are_few_texts_that_are_short_enough() {
        let queue = QueueId(i32::MAX.into());
        let end = |n| Notice::Ended { queue, id: ActionId::new(ActionId::MAX - n).unwrap() };
        let ends: Vec<_> = (0..1_200).map(end).collect();
        let texts = write(OwnerId(i64::MAX), &Said::Notices(ends.clone()));
        assert_eq!(texts.len(), 3);
        assert!(texts.iter().all(|text| text.len() < 8_000));
        let read = texts.iter().flat_map(|text| match read(text, OwnerId(1)) {
            Some(Said::Notices(notices)) => notices,
            other => panic!("{other:?}"),
        });
        assert_eq!(read.collect::<Vec<_>>(), ends);
    }
}
