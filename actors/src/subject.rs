//! The subject of lines of the log: the request or the action that code works on while it says something.
//!
//! Whoever writes a log asks for it ([`Subject::with_current`]), whichever crate the line comes from: a performer, or a library
//! that it calls, need not know of it. It is set for each attempt while its work is polled or its thread runs. Nothing is made of
//! all this until [`observe`] is called once.

use std::cell::RefCell;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::events::ActionRef;

/// The target of the lines that the work of an action says by [`ActionContext::log`](crate::ActionContext::log). There are such
/// lines only after [`observe`].
pub const ACTION_LOG: &str = "actiond::action";

/// True once there is anybody who asks for subjects.
static IS_OBSERVED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static CURRENT: RefCell<Option<Arc<Subject>>> = const { RefCell::new(None) };
}

/// Has subjects made from now on, and lines of what the work of actions says. For a program that writes its log by them.
pub fn observe() {
    IS_OBSERVED.store(true, Ordering::Relaxed);
}

/// Returns true if anybody asks for subjects.
#[must_use]
pub fn is_observed() -> bool {
    IS_OBSERVED.load(Ordering::Relaxed)
}

/// The subject of lines: a request, an action, or both.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    request: Option<Arc<str>>,
    client: Option<IpAddr>,
    queue: Option<Arc<str>>,
    action: Option<ActionRef>,
    token: OnceLock<Box<str>>,
}

impl Subject {
    /// Makes the subject of a request of this id, sent by this client.
    #[must_use]
    pub fn of_request(id: impl Into<Arc<str>>, client: Option<IpAddr>) -> Self {
        Self { request: Some(id.into()), client, ..Self::default() }
    }

    /// Makes the subject of an action of this queue; `None` if nobody asks for subjects. Without an action, of one that runs at once for the request that is the
    /// current subject.
    #[must_use]
    pub fn of_action<Q>(queue: Q, action: Option<ActionRef>) -> Option<Arc<Self>>
    where
        Q: Into<Arc<str>>,
    {
        if !is_observed() {
            return None;
        }
        let queue = Some(queue.into());
        Some(Arc::new(match action {
            Some(_) => Self { queue, action, ..Self::default() },
            None => Self { queue, ..Self::with_current(|now| now.cloned().unwrap_or_default()) },
        }))
    }

    /// Returns the id of the request.
    #[must_use]
    pub fn request(&self) -> Option<&str> {
        self.request.as_deref()
    }

    /// Returns the address of the client that sent the request.
    #[must_use]
    pub const fn client(&self) -> Option<IpAddr> {
        self.client
    }

    /// Returns the name of the queue.
    #[must_use]
    pub fn queue(&self) -> Option<&str> {
        self.queue.as_deref()
    }

    /// Returns the action.
    #[must_use]
    pub const fn action(&self) -> Option<ActionRef> {
        self.action
    }

    /// Returns the token by which clients know the action, if it was [set](Self::set_token).
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.get().map(|token| &**token)
    }

    /// Sets the token by which clients know the action; the first one counts.
    pub fn set_token(&self, token: &str) {
        self.token.get_or_init(|| token.into());
    }

    /// Makes it the current subject of this thread, until what is returned is dropped.
    #[must_use]
    pub fn enter(self: &Arc<Self>) -> Entered {
        let before = CURRENT.try_with(|current| current.replace(Some(Arc::clone(self))));
        Entered { before: before.ok().flatten() }
    }

    /// Calls a function with the current subject of this thread.
    pub fn with_current<T>(ask: impl FnOnce(Option<&Self>) -> T) -> T {
        let current = CURRENT.try_with(|current| current.borrow().clone());
        ask(current.ok().flatten().as_deref())
    }
}

/// A subject that is the current one of a thread.
#[derive(Debug)]
pub struct Entered {
    before: Option<Arc<Subject>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let before = self.before.take();
        // The thread may be about to end.
        let _ = CURRENT.try_with(|current| current.replace(before));
    }
}

/// Has a future be about a subject, whenever it is polled.
pub async fn about<F: Future>(subject: Option<Arc<Subject>>, future: F) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        let _entered = subject.as_ref().map(Subject::enter);
        future.as_mut().poll(context)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn current() -> Option<String> {
        Subject::with_current(|subject| Some(subject?.request()?.to_owned()))
    }

    #[test]
    fn a_subject_is_the_current_one_while_its_future_is_polled() {
        let subject = |id: &str| Some(Arc::new(Subject::of_request(id, None)));
        let waits = async {
            let first = current();
            tokio::task::yield_now().await;
            (first, current())
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let both = async {
            let outer = about(subject("outer"), async {
                let inner = about(subject("inner"), waits).await;
                (inner, current(), about(None, async { current() }).await)
            });
            tokio::join!(outer, async { current() })
        };
        let ((inner, outer, none), beside) = runtime.block_on(both);
        let some = |id: &str| Some(id.to_owned());
        assert_eq!(inner, (some("inner"), some("inner")));
        assert_eq!((outer, none, beside), (some("outer"), some("outer"), None));
    }

    #[test]
    fn the_earlier_subject_comes_back_also_after_a_panic() {
        let subject = Arc::new(Subject::of_request("a", None));
        let _entered = subject.enter();
        let panicked = std::panic::catch_unwind(|| {
            let other = Arc::new(Subject::of_request("b", None));
            let _entered = other.enter();
            panic!("{:?}", current());
        });
        assert!(panicked.is_err());
        assert_eq!(current().as_deref(), Some("a"));
        subject.set_token("first");
        subject.set_token("second");
        assert_eq!(subject.token(), Some("first"));
    }
}
