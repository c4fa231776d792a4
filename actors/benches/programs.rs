//! How fast programs run: `cargo bench -p actiond-actors --bench programs [PROGRAMS]`.
//!
//! It runs `true` that often through queues of 2, 8 and 32 slots, each durable, and beside that by `xargs`.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use actiond_actors::{ActionContext, Failure, Perform, QueueSettings, Submission, System, Work};

struct True;

impl Perform for True {
    fn perform(&self, _: ActionContext) -> Work {
        let mut command = tokio::process::Command::new("true");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Work::process(command, |mut child| async move {
            match child.exited().await? {
                status if status.success() => Ok(Vec::new()),
                status => Err(Failure::failed(format!("true failed: {status}"))),
            }
        })
    }
}

/// Runs that many programs through a queue, and returns the time it took.
#[expect(
    clippy::field_reassign_with_default,
    reason = "the settings may grow: no other crate can name all"
)]
async fn through_a_queue(
    programs: u64,
    slots: usize,
) -> Result<Duration, Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let mut settings = QueueSettings::default();
    settings.maximum_threads = slots;
    let builder = System::builder(directory.path()).adopt_orphans(true);
    let system = builder.queue("True", settings, True).start().await?;
    let queue = system.queue("True").ok_or("no such queue")?;
    queue.pause_queue().await?;
    for _ in 0..programs {
        queue.submit(Submission::default()).await?;
    }
    let since = Instant::now();
    queue.resume_queue().await?;
    while queue.summary().counts.finished() < programs {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = since.elapsed();
    system.shutdown(Duration::from_secs(10)).await;
    Ok(took)
}

fn by_xargs(programs: u64, at_once: usize) -> std::io::Result<Duration> {
    let since = Instant::now();
    let run = format!("seq {programs} | xargs -P{at_once} -n1 true");
    Command::new("sh").arg("-c").arg(run).status()?;
    Ok(since.elapsed())
}

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Cargo adds arguments of its own.
    let programs = std::env::args().find_map(|number| number.parse().ok()).unwrap_or(500);
    let per_second = |took: Duration| programs as f64 / took.as_secs_f64();
    for slots in [2, 8, 32] {
        let xargs = per_second(by_xargs(programs, slots)?);
        let queue = per_second(through_a_queue(programs, slots).await?);
        println!(
            "{slots:3} at once: {queue:6.0} a second, xargs {xargs:6.0}, {:.2} of it",
            queue / xargs
        );
    }
    Ok(())
}
