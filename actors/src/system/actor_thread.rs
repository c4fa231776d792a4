//! A thread on which the actors of queues live.

use tokio::sync::mpsc;

/// A closure to be run on the thread.
type Job = Box<dyn FnOnce() + Send>;

/// A thread on which actors live. It ends, and they with it, when this is dropped.
pub(super) struct ActorThread {
    jobs: mpsc::UnboundedSender<Job>,
}

impl ActorThread {
    /// Starts the thread, and returns once it is ready.
    pub(super) fn start(name: String) -> std::io::Result<Self> {
        let (jobs, mut receiver) = mpsc::unbounded_channel::<Job>();
        // A runtime may be dropped only on a thread that has none, so it is made there.
        let (made, outcome) = std::sync::mpsc::channel();
        std::thread::Builder::new().name(name).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(made.send(Err(error))),
            };
            drop(made.send(Ok(())));
            actix::System::with_tokio_rt(|| runtime).block_on(async move {
                while let Some(job) = receiver.recv().await {
                    job();
                }
            });
        })?;
        // An error is reported here: nobody would learn of it later.
        outcome.recv().unwrap_or_else(|_| Err(std::io::Error::other("it ended at once")))?;
        Ok(Self { jobs })
    }

    /// Runs something on the thread, such as the start of an actor.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) {
        // The thread only ends when this is dropped.
        let _ = self.jobs.send(Box::new(job));
    }
}
