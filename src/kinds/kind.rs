//! A kind of action, as the rest of the server knows it: its word in the configuration, its parameters, its keys, and its
//! performers.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actiond_actors::{ActionRef, OnRestart, Perform};

use crate::aci::catalog::ParamSpec;
use crate::config::{Key, KindReader, QueueLimits, Section};
use crate::desk::Desk;
use crate::schedules::Schedule;

/// A kind of action: what `Type` of a queue's section names.
///
/// The configuration, its printed reference, the warnings, Help and the start of the queues know kinds by this trait only.
/// It is pure data but for [`read`](Self::read), which makes a [`ConfiguredQueue`] of the section of each queue of the kind.
/// `examples/own_kind.rs` is a program with a kind of its own.
pub trait Kind: fmt::Debug + Send + Sync + 'static {
    /// Returns the value of `Type` that stands for it. It is compared without regard to case.
    fn word(&self) -> &'static str;

    /// Returns a summary of its actions, in a sentence, for Help.
    fn summary(&self) -> &'static str;

    /// Returns the parameters of its actions, for Help, and for the check of submissions where that is strict
    /// ([`EndpointBuilder::strict`](crate::front::EndpointBuilder::strict)). Where they depend on the configuration of a queue,
    /// [`ConfiguredQueue::params`] returns them.
    fn params(&self) -> &'static [ParamSpec];

    /// Returns the fate of an action that was running when the server died, unless the key `OnRestart` sets it. By default it
    /// ends in Error, since nobody knows how much of it was done.
    fn on_restart(&self) -> OnRestart {
        OnRestart::Fail
    }

    /// Returns true if its actions take documents in, by parameters `adds`, `updates` and `removes` as Ingest has them. A kind
    /// that finds documents may hand them to such a queue.
    fn takes_documents(&self) -> bool {
        false
    }

    /// Returns what its actions remember in the data directory, if they do: other servers know nothing of it, so where servers share
    /// their queues, one alone should have such a queue.
    fn remembers(&self) -> Option<&'static str> {
        None
    }

    /// Returns the types of the log lines that its actions cause, as `LogTypeCSVs` of a log stream names them in any case. By
    /// default it is its word.
    fn log_types(&self) -> Vec<&'static str> {
        vec![self.word()]
    }

    /// Returns the keys of a queue's section, beside those that every queue has.
    fn keys(&self) -> &'static [&'static Key] {
        &[]
    }

    /// Returns further sections, which all of its queues share.
    fn sections(&self) -> &'static [&'static Section] {
        &[]
    }

    /// Returns the name of the queue that the printed reference shows, and its comment.
    fn example(&self) -> (&'static str, &'static str) {
        (self.word(), self.summary())
    }

    /// Reads the configuration of the queues of this kind. It is called once, even if there is no such queue, so that its
    /// sections are always checked.
    ///
    /// It reports problems to the reader, and returns something usable all the same.
    fn read(&self, config: &mut KindReader<'_, '_>) -> ConfiguredQueues;
}

/// A configured queue, which can build its performer.
pub trait ConfiguredQueue: Any + fmt::Debug + Send + Sync {
    /// Returns the directories into which its actions write, each with its key. No other kind finds documents there, and none
    /// reads files there for a client.
    fn writes_to(&self) -> Vec<(&'static Key, PathBuf)> {
        Vec::new()
    }

    /// Returns the parameters of its actions, where they are others than those of the kind. Each submission is checked against
    /// them.
    fn params(&self) -> Option<Vec<ParamSpec>> {
        None
    }

    /// Changes the settings that every queue has, where the keys of the kind are about them.
    fn adjust(&self, _limits: &mut QueueLimits) {}

    /// Returns true if its actions are programs, which end by force when their server has died, and tell in their results how
    /// they were stopped (`stopped_by`).
    fn runs_programs(&self) -> bool {
        false
    }

    /// Returns the number of open files of the server that each of its running actions takes for long, where that is worth
    /// counting.
    fn open_files(&self) -> u32 {
        0
    }

    /// Checks the directories into which all queues write, once all queues have been read.
    fn check(&self, _config: &mut KindReader<'_, '_>, _written: &[WrittenDirectory]) {}

    /// Returns the desk at which workers elsewhere take the queue's actions (`QueueWork`), if they do.
    fn desk(&self) -> Option<Desk> {
        None
    }

    /// Returns the schedules on which its actions are queued because its kind has keys for that, beside those of `[Schedules]`.
    fn schedules(&self) -> Vec<Schedule> {
        Vec::new()
    }

    /// Builds the performer of the queue's actions; called once at each start of the server.
    fn performer(&self, site: &Site<'_>) -> Arc<dyn Perform>;

    /// Hears that the queues have started: from now on the data directory belongs to this server alone. Nothing of an earlier
    /// one runs any more.
    fn started(&self, _site: &Site<'_>) {}
}

/// The queues of a kind; made by [`KindReader::each_queue`], which knows them.
#[derive(Debug)]
pub struct ConfiguredQueues(pub(crate) Vec<Arc<dyn ConfiguredQueue>>);

/// A directory into which the actions of a queue write.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WrittenDirectory {
    /// The queue's name.
    pub queue: String,
    /// The key of its section that sets the directory.
    pub key: &'static Key,
    /// The directory.
    pub path: PathBuf,
}

/// Makes the token by which clients know an action of the queue of this name.
pub type MakeToken = Arc<dyn Fn(&str, ActionRef) -> String + Send + Sync>;

/// The server around the performers that are being built.
pub struct Site<'a> {
    data_directory: &'a Path,
    written: &'a [PathBuf],
    token: MakeToken,
    shared: RefCell<HashMap<TypeId, Box<dyn Any>>>,
}

impl fmt::Debug for Site<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("data_directory", &self.data_directory)
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

impl<'a> Site<'a> {
    /// Makes a site of the server's data directory and the directories into which queues write. Its tokens are the ids of
    /// actions; [`with_tokens`](Self::with_tokens) sets others.
    #[must_use]
    pub fn new(data_directory: &'a Path, written: &'a [PathBuf]) -> Self {
        let token: MakeToken = Arc::new(|_, action| action.id.to_string());
        Self { data_directory, written, token, shared: RefCell::default() }
    }

    /// Sets the tokens by which clients know actions.
    #[must_use]
    pub fn with_tokens(mut self, token: MakeToken) -> Self {
        self.token = token;
        self
    }

    /// Returns what makes the tokens by which clients know actions.
    #[must_use]
    pub fn tokens(&self) -> MakeToken {
        Arc::clone(&self.token)
    }

    /// Returns the server's data directory.
    #[must_use]
    pub const fn data_directory(&self) -> &'a Path {
        self.data_directory
    }

    /// Returns the directories into which the actions of all queues write, of whatever kind.
    #[must_use]
    pub const fn written(&self) -> &'a [PathBuf] {
        self.written
    }

    /// Returns the value of this type that several queues share; the first one makes it.
    pub fn shared<T: Clone + 'static>(&self, make: impl FnOnce() -> T) -> T {
        let there =
            self.shared.borrow().get(&TypeId::of::<T>()).and_then(|s| s.downcast_ref().cloned());
        there.unwrap_or_else(|| {
            let made = make();
            self.shared.borrow_mut().insert(TypeId::of::<T>(), Box::new(made.clone()));
            made
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_is_made_once_for_each_type() {
        let site = Site::new(Path::new("data"), &[]);
        let first = site.shared(|| Arc::new(1_u8));
        assert!(Arc::ptr_eq(&first, &site.shared(|| Arc::new(2_u8))));
        assert_eq!(*site.shared(|| Arc::new(3_u16)), 3);
        assert!(!Arc::ptr_eq(&first, &Site::new(Path::new("data"), &[]).shared(|| Arc::new(1_u8))));
    }
}
