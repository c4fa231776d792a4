//! Two servers on one database: an action that is sent to one may run on either.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actiond_actors::{
    ActionContext, Node, Parameters, Perform, QueueSettings, Submission, System, Work,
};

use super::store::Database;

/// Greets, and names the server on which it ran.
struct Greet(&'static str);

impl Perform for Greet {
    fn perform(&self, context: ActionContext) -> Work {
        let server = self.0;
        Work::task(async move {
            context.sleep(Duration::from_millis(20)).await?;
            let name = context.parameters().get("Name").unwrap_or("world");
            Ok(vec![Node::text("greeting", format!("Hello, {name}, from {server}"))])
        })
    }
}

async fn server(
    database: &Database,
    name: &'static str,
) -> Result<System, Box<dyn std::error::Error>> {
    // The directory is not used, since a store is set.
    let system = System::builder("unused")
        .store(Arc::new(database.open()?))
        .queue("Greet", QueueSettings::default(), Greet(name))
        .start();
    Ok(system.await?)
}

pub(crate) async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let since = Instant::now();
    let database = Database::new(Duration::from_secs(2), move || since.elapsed());
    let (first, second) = (server(&database, "A").await?, server(&database, "B").await?);

    let greet = first.queue("Greet").ok_or("no such queue")?;
    let mut submitted = Vec::new();
    for name in ["Ada", "Grace", "Mary", "Rózsa"] {
        let parameters = Parameters::from_iter([("Name", name)]);
        submitted.push(greet.submit(Submission::new(parameters)).await?);
    }
    // Each server knows all actions, wherever they run.
    let greet = second.queue("Greet").ok_or("no such queue")?;
    for action in submitted {
        let ended = greet.wait(action.id, Duration::from_secs(5)).await?;
        println!("{}: {:?}", ended.record.state, ended.record.report);
    }

    first.shutdown(Duration::from_secs(1)).await;
    second.shutdown(Duration::from_secs(1)).await;
    Ok(())
}
