//! Two queues in an actix program of your own: one that greets, one that counts slowly.
//!
//! `cargo run -p actiond-actors --example embed`

use std::time::Duration;

use actiond_actors::{
    ActionContext, Failure, Node, Parameters, Perform, Progress, QueueSettings, Submission, System,
    Work,
};

/// Greets at once.
struct Greet;

impl Perform for Greet {
    fn perform(&self, context: ActionContext) -> Work {
        let name = context.parameters().get("Name").unwrap_or("world").to_owned();
        Work::done(Ok(vec![Node::text("greeting", format!("Hello, {name}"))]))
    }
}

/// Counts slowly, shows its progress, and obeys pause and stop at each step.
struct Count;

impl Perform for Count {
    fn perform(&self, context: ActionContext) -> Work {
        Work::task(async move {
            let to: u32 = match context.parameters().get("To").unwrap_or("10").parse() {
                Ok(to) => to,
                Err(error) => return Err(Failure::failed(format!("To: {error}"))),
            };
            for step in 1..=to {
                context.sleep(Duration::from_millis(20)).await?;
                context.set_progress(Progress::of_percent(f64::from(step) * 100.0 / f64::from(to)));
                context.set_partial(vec![Node::text("counted", step.to_string())]);
            }
            Ok(vec![Node::text("counted", to.to_string())])
        })
    }

    fn can_pause(&self) -> bool {
        true
    }
}

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::init();
    let directory = tempfile::tempdir()?;
    let two_at_once = QueueSettings { maximum_threads: 2, ..QueueSettings::default() };
    let system = System::builder(directory.path())
        .queue("Greet", QueueSettings::default(), Greet)
        .queue("Count", two_at_once, Count)
        .start()
        .await?;

    let greet = system.queue("Greet").ok_or("no such queue")?;
    let hello = greet.submit(Submission::new(Parameters::from_iter([("Name", "Ada")]))).await?;
    let ended = greet.wait(hello.id, Duration::from_secs(5)).await?;
    println!("{}: {:?}", ended.record.state, ended.record.report);

    let count = system.queue("count").ok_or("no such queue")?;
    let long = count.submit(Submission::new(Parameters::from_iter([("To", "1000")]))).await?;
    let short = count.submit(Submission::new(Parameters::from_iter([("To", "5")]))).await?;
    let ended = count.wait(short.id, Duration::from_secs(5)).await?;
    println!("{}: {:?}", ended.record.state, ended.record.report);
    println!("asked the long one to stop: {}", count.stop(long.id).await?);
    let ended = count.wait(long.id, Duration::from_secs(5)).await?;
    println!("{}: at {:.1} %", ended.record.state, ended.progress.percent());

    system.shutdown(Duration::from_secs(1)).await;
    Ok(())
}
