//! `actiond queues`: the queues of a server.

use clap::builder::styling::Style;

use super::args::ConnectionArgs;
use super::exit::Exit;
use super::failure::Failure;
use super::list::csv;
use super::session::{Session, json, print};
use super::show::{Column, Table, grouped, style};
use crate::aci::client::{QueueCounts, Status};
use crate::aci::element::Element;

/// The options of `actiond queues`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct QueuesArgs {
    /// Only these queues; servers other than actiond have to be told which ones there are
    #[arg(value_name = "QUEUE")]
    pub(crate) names: Vec<String>,
    /// Print a JSON array
    #[arg(long, conflicts_with = "csv")]
    pub(crate) json: bool,
    /// Print CSV
    #[arg(long)]
    pub(crate) csv: bool,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

const COLUMNS: &[Column] = &[
    Column::words("QUEUE"),
    Column::words("STATE"),
    Column::numbers("PENDING"),
    Column::numbers("RUNNING"),
    Column::numbers("SLOTS"),
    Column::numbers("FINISHED"),
];

pub(super) async fn run(args: Box<QueuesArgs>) -> Result<Exit, Failure> {
    let session = Session::new(&args.connection, None)?;
    let queues = session.client.queues(&args.names).await?;
    print(&match *args {
        QueuesArgs { json: true, .. } => as_json(&queues),
        QueuesArgs { csv: true, .. } => as_csv(&queues),
        QueuesArgs { .. } => Table::new(COLUMNS).rows(&queues.iter().map(row).collect::<Vec<_>>()),
    })?;
    Ok(Exit::Success)
}

fn state(queue: &QueueCounts) -> (String, Style) {
    match queue.status.paused {
        true => ("paused".to_owned(), style(&Status::Paused)),
        false => ("open".to_owned(), Style::new()),
    }
}

fn row(queue: &QueueCounts) -> Vec<(String, Style)> {
    let plain = |text: String| (text, Style::new());
    let QueueCounts { name, status, slots } = queue;
    vec![
        plain(name.clone()),
        state(queue),
        plain(grouped(status.pending)),
        plain(grouped(status.running)),
        plain(slots.map(grouped).unwrap_or_default()),
        plain(grouped(status.finished)),
    ]
}

/// Returns the fields of a queue by their names on the wire.
fn fields(queue: &QueueCounts) -> [(&'static str, String); 6] {
    let QueueCounts { name, status, slots } = queue;
    [
        ("name", name.clone()),
        ("paused", status.paused.to_string()),
        ("pending", status.pending.to_string()),
        ("running", status.running.to_string()),
        ("maximumthreads", slots.map(|slots| slots.to_string()).unwrap_or_default()),
        ("finished", status.finished.to_string()),
    ]
}

fn as_csv(queues: &[QueueCounts]) -> String {
    let heading = ["name", "paused", "pending", "running", "maximumthreads", "finished"];
    let records = queues.iter().map(|queue| fields(queue).map(|(_, text)| text));
    csv(std::iter::once(heading.map(ToOwned::to_owned)).chain(records))
}

fn as_json(queues: &[QueueCounts]) -> String {
    let object = |queue: &QueueCounts| {
        let fields = fields(queue).into_iter().filter(|(_, text)| !text.is_empty());
        json("queue", &fields.map(|(name, text)| Element::text(name, text)).collect::<Vec<_>>())
    };
    let objects: Vec<_> = queues.iter().map(object).collect();
    match objects.as_slice() {
        [] => "[]\n".to_owned(),
        objects => format!("[\n{}\n]\n", objects.join(",\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aci::client::QueueStatus;

    #[test]
    fn queues_have_three_forms() {
        let status = QueueStatus { paused: true, pending: 12_345, running: 2, finished: 0 };
        let queue = |slots| QueueCounts { name: "Process".to_owned(), status, slots };
        let rows: Vec<_> = [queue(Some(2)), queue(None)].iter().map(row).collect();
        let table = Table::new(COLUMNS).rows(&rows);
        assert_eq!(
            anstream::adapter::strip_str(&table).to_string(),
            "QUEUE    STATE   PENDING  RUNNING  SLOTS  FINISHED\n\
             Process  paused   12,345        2      2         0\n\
             Process  paused   12,345        2                0\n"
        );
        assert_eq!(
            as_csv(&[queue(Some(2))]),
            "name,paused,pending,running,maximumthreads,finished\nProcess,true,12345,2,2,0\n"
        );
        let read: serde_json::Value = serde_json::from_str(&as_json(&[queue(None)])).unwrap();
        assert_eq!(read[0]["pending"], "12345");
        assert_eq!(as_json(&[]), "[]\n");
    }
}
