//! Two queues in an actix program of your own: one that greets, one that counts slowly.
//!
//! `cargo run -p actiond-actors --example embed`

use std::time::Duration;

use actiond_actors::{
    ActionContext, Failure, Node, OnRestart, Parameters, Progress, QueueSettings, Report,
    Submission, System, perform_fn,
};

/// Greets at once.
async fn greet(context: ActionContext) -> Result<Report, Failure> {
    let name = context.parameters().get("Name").unwrap_or("world");
    Ok(vec![Node::text("greeting", format!("Hello, {name}"))])
}

/// Counts slowly, shows its progress, and obeys pause and stop at each step.
async fn count(context: ActionContext) -> Result<Report, Failure> {
    let to = context.parameters().get("To").unwrap_or("10").parse::<u32>();
    // With `?` alone the error would not say which parameter it is about.
    let to = to.map_err(|error| Failure::failed(format!("To: {error}")))?;
    for step in 1..=to {
        context.sleep(Duration::from_millis(20)).await?;
        context.set_progress(Progress::of_percent(f64::from(step) * 100.0 / f64::from(to)));
        context.set_partial(vec![Node::text("counted", step.to_string())]);
    }
    Ok(vec![Node::text("counted", to.to_string())])
}

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::init();
    let directory = tempfile::tempdir()?;
    let two_at_once = QueueSettings { maximum_threads: 2, ..QueueSettings::default() };
    // It may count again after a crash. The default would end in Error what ran then.
    let counting = perform_fn(count).can_pause(true).on_restart(OnRestart::Requeue);
    let system = System::builder(directory.path())
        .queue("Greet", QueueSettings::default(), greet)
        .queue("Count", two_at_once, counting)
        .start()
        .await?;

    let greetings = system.queue("Greet").ok_or("no such queue")?;
    let hello = greetings.submit(Submission::new(Parameters::from_iter([("Name", "Ada")]))).await?;
    let ended = greetings.wait(hello.id, Duration::from_secs(5)).await?;
    println!("{}: {:?}", ended.record.state, ended.record.report);

    let counts = system.queue("count").ok_or("no such queue")?;
    let long = counts.submit(Submission::new(Parameters::from_iter([("To", "1000")]))).await?;
    let short = counts.submit(Submission::new(Parameters::from_iter([("To", "5")]))).await?;
    let ended = counts.wait(short.id, Duration::from_secs(5)).await?;
    println!("{}: {:?}", ended.record.state, ended.record.report);
    println!("asked the long one to stop: {}", counts.stop(long.id).await?);
    let ended = counts.wait(long.id, Duration::from_secs(5)).await?;
    println!("{}: at {:.1} %", ended.record.state, ended.progress.percent());

    system.shutdown(Duration::from_secs(1)).await;
    Ok(())
}
