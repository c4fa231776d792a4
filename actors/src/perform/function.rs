//! Functions and closures as performers.

use std::fmt;
use std::sync::Arc;

use super::{ActionContext, Failure, Perform, Work};
use crate::lifecycle::OnRestart;
use crate::report::Report;

/// Makes a performer of an async function or closure, which is called once for each attempt: the work is its future
/// ([`Work::task`]). It can be handed to [`Builder::queue`](crate::Builder::queue) as it is; this is for one that
/// [pauses](PerformFn::can_pause) or may [run again](PerformFn::on_restart), and for closures whose types are not written out.
///
/// ```
/// use actiond_actors::{ActionContext, Failure, Node, OnRestart, QueueSettings, Report, System, perform_fn};
///
/// async fn greet(context: ActionContext) -> Result<Report, Failure> {
///     let name = context.parameters().get("Name").unwrap_or("world");
///     Ok(vec![Node::text("greeting", format!("Hello, {name}"))])
/// }
///
/// # let directory = "unused";
/// System::builder(directory)
///     .queue("Greet", QueueSettings::default(), greet)
///     .queue("Rest", QueueSettings::default(), perform_fn(async |context| {
///         let seconds = context.parameters().get("Seconds").unwrap_or("1").parse()?;
///         context.sleep(std::time::Duration::from_secs(seconds)).await?;
///         Ok(Vec::new())
///     }).can_pause(true).on_restart(OnRestart::Requeue));
/// ```
///
/// A future that borrows from its closure is none that can run on a thread of its own. A closure that holds something therefore
/// gives each future its own handle:
///
/// ```
/// # use actiond_actors::{Node, perform_fn};
/// # use std::sync::Arc;
/// let salutation: Arc<str> = "Good morning".into();
/// perform_fn(move |_context| {
///     let salutation = Arc::clone(&salutation);
///     async move { Ok(vec![Node::text("greeting", salutation.to_string())]) }
/// });
/// ```
pub fn perform_fn<F, Fut>(function: F) -> PerformFn
where
    F: Fn(ActionContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Report, Failure>> + Send + 'static,
{
    PerformFn::new(move |context| Work::task(function(context)))
}

/// Makes a performer of a function or closure that blocks: each call has a thread of its own ([`Work::blocking`]).
///
/// ```
/// use actiond_actors::{Node, QueueSettings, System, perform_blocking};
///
/// # let directory = "unused";
/// System::builder(directory).queue("Count", QueueSettings::default(), perform_blocking(|context| {
///     for step in 0..1_000_u32 {
///         context.checkpoint_blocking()?; // pauses and stops take effect here
///         context.log(&step.to_string());
///     }
///     Ok(vec![Node::text("counted", "1000")])
/// }).can_pause(true));
/// ```
pub fn perform_blocking<F>(function: F) -> PerformFn
where
    F: Fn(ActionContext) -> Result<Report, Failure> + Send + Sync + 'static,
{
    let function = Arc::new(function);
    PerformFn::new(move |context| {
        let function = Arc::clone(&function);
        Work::blocking(move || function(context))
    })
}

/// A function as a performer. Made by [`perform_fn`] and [`perform_blocking`].
pub struct PerformFn {
    start: Box<dyn Fn(ActionContext) -> Work + Send + Sync>,
    can_pause: bool,
    on_restart: OnRestart,
}

impl PerformFn {
    fn new(start: impl Fn(ActionContext) -> Work + Send + Sync + 'static) -> Self {
        Self { start: Box::new(start), can_pause: false, on_restart: OnRestart::Fail }
    }

    /// Says that the work can pause, or not (default: not): see [`Perform::can_pause`].
    #[must_use]
    pub const fn can_pause(mut self, can_pause: bool) -> Self {
        self.can_pause = can_pause;
        self
    }

    /// Sets the fate of an action that was running when the server went down. **The default is [`OnRestart::Fail`]: it ends in Error
    /// and does not run again.** See [`Perform::on_restart`].
    #[must_use]
    pub const fn on_restart(mut self, on_restart: OnRestart) -> Self {
        self.on_restart = on_restart;
        self
    }
}

impl fmt::Debug for PerformFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerformFn")
            .field("can_pause", &self.can_pause)
            .field("on_restart", &self.on_restart)
            .finish_non_exhaustive()
    }
}

impl Perform for PerformFn {
    fn perform(&self, context: ActionContext) -> Work {
        (self.start)(context)
    }

    fn can_pause(&self) -> bool {
        self.can_pause
    }

    fn on_restart(&self) -> OnRestart {
        self.on_restart
    }
}

impl<F, Fut> Perform for F
where
    F: Fn(ActionContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Report, Failure>> + Send + 'static,
{
    fn perform(&self, context: ActionContext) -> Work {
        Work::task(self(context))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::action::{Parameters, State};
    use crate::queue::{QueueSettings, Submission};
    use crate::report::Node;
    use crate::system::System;

    async fn half(context: ActionContext) -> Result<Report, Failure> {
        let number: u32 = context.parameters().get("Of").unwrap_or_default().parse()?;
        Ok(vec![Node::text("half", (number / 2).to_string())])
    }

    #[actix::test]
    async fn functions_and_closures_do_the_work() {
        let directory = tempfile::tempdir().unwrap();
        let shared: Arc<str> = "held".into();
        let settings = QueueSettings::default;
        let system = System::builder(directory.path())
            .queue("Named", settings(), half)
            .queue("Closure", settings(), async |context: ActionContext| half(context).await)
            .queue("Wrapped", settings(), perform_fn(async |context| half(context).await))
            .queue(
                "Blocking",
                settings(),
                perform_blocking(|context| {
                    context.checkpoint_blocking()?;
                    let number: u32 = context.parameters().get("Of").unwrap_or_default().parse()?;
                    Ok(vec![Node::text("half", (number / 2).to_string())])
                }),
            )
            .queue(
                "Holding",
                settings(),
                perform_fn(move |context| {
                    let shared = Arc::clone(&shared);
                    async move {
                        assert_eq!(&*shared, "held");
                        half(context).await
                    }
                }),
            )
            .start()
            .await
            .unwrap();
        for queue in system.queues() {
            for (of, state, report, error) in [
                ("8", State::Finished, vec![Node::text("half", "4")], None),
                ("x", State::Error, vec![], Some("invalid digit found in string")),
            ] {
                let parameters = Parameters::from_iter([("Of", of)]);
                let submitted = queue.submit(Submission::new(parameters)).await.unwrap();
                let ended = queue.wait(submitted.id, Duration::from_secs(20)).await.unwrap().record;
                let found = (ended.state, ended.report, ended.error.as_deref());
                assert_eq!(found, (state, report, error), "{queue:?}");
            }
        }
        system.shutdown(Duration::from_secs(1)).await;
    }

    #[test]
    fn what_a_function_does_not_say_is_as_for_every_performer() {
        let plain = perform_fn(half);
        assert_eq!(
            (Perform::can_pause(&plain), Perform::on_restart(&plain)),
            (false, OnRestart::Fail)
        );
        assert_eq!(
            (Perform::can_pause(&half), Perform::on_restart(&half)),
            (false, OnRestart::Fail)
        );
        let told = plain.can_pause(true).on_restart(OnRestart::Requeue);
        let said = (Perform::can_pause(&told), Perform::on_restart(&told));
        assert_eq!(said, (true, OnRestart::Requeue));
    }
}
