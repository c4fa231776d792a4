//! The registry of the kinds of action.

use std::sync::Arc;

use super::kind::Kind;
use super::{echo, fetch, forward, ingest, remote};
use crate::config::{QUEUE_KEYS, fixed_section};

/// The kinds of action that a server knows: those that ship, and those of a program that embeds it.
///
/// The first one is that of the default queue, which there is without a configuration.
#[derive(Debug, Clone)]
pub struct Kinds(Vec<Arc<dyn Kind>>);

/// The reason for which a kind can't be added to others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KindRefused {
    /// There is a kind of that word.
    #[error("there is a kind of action with Type={0} already")]
    Word(&'static str),
    /// There is a section of that name.
    #[error(
        "the kind of action with Type={word} has a section [{section}], which has its own meaning already"
    )]
    Section {
        /// The kind's word.
        word: &'static str,
        /// The section's name.
        section: &'static str,
    },
    /// Every queue has a key of that name.
    #[error("the kind of action with Type={word} has a key {key}, which every queue has already")]
    Key {
        /// The kind's word.
        word: &'static str,
        /// The key's name.
        key: &'static str,
    },
}

impl Kinds {
    /// Returns the kinds that ship with the server: `Echo`, `Ingest`, `FileSystemConnector`, `Remote` and `Forward`, and on
    /// Unix `Command`.
    #[must_use]
    pub fn shipped() -> Self {
        Self(vec![
            Arc::new(echo::EchoKind),
            Arc::new(ingest::IngestKind),
            Arc::new(fetch::FileSystemConnector),
            #[cfg(unix)]
            Arc::new(super::command::CommandKind),
            Arc::new(remote::RemoteKind),
            Arc::new(forward::ForwardKind),
        ])
    }

    /// Adds a kind.
    ///
    /// # Errors
    ///
    /// [`KindRefused`]: its word, one of its sections or one of its keys has a meaning already.
    pub fn with(mut self, kind: impl Kind) -> Result<Self, KindRefused> {
        let word = kind.word();
        if self.find(word).is_some() {
            return Err(KindRefused::Word(word));
        }
        for section in kind.sections() {
            if let Some(name) = section.fixed_name()
                && fixed_section(&self, name).is_some()
            {
                return Err(KindRefused::Section { word, section: name });
            }
        }
        for key in kind.keys() {
            if QUEUE_KEYS.iter().any(|own| own.name().eq_ignore_ascii_case(key.name())) {
                return Err(KindRefused::Key { word, key: key.name() });
            }
        }
        self.0.push(Arc::new(kind));
        Ok(self)
    }

    /// Returns the kind with this word.
    #[must_use]
    pub fn find(&self, word: &str) -> Option<&Arc<dyn Kind>> {
        self.0.iter().find(|kind| kind.word().eq_ignore_ascii_case(word))
    }

    /// Goes through the kinds, those that ship first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Kind>> {
        self.0.iter()
    }

    /// Returns a list of the words that can follow "must be".
    pub(crate) fn allowed(&self) -> String {
        let words: Vec<_> = self.iter().map(|kind| kind.word()).collect();
        format!("one of {}", words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::kind::ConfiguredQueues;
    use super::*;
    use crate::aci::catalog::ParamSpec;
    use crate::config::{Key, KindReader, Section, ValueKind};

    #[derive(Debug)]
    struct Other(&'static str, &'static [&'static Key], &'static [&'static Section]);

    impl Kind for Other {
        fn word(&self) -> &'static str {
            self.0
        }

        fn summary(&self) -> &'static str {
            "Does something else."
        }

        fn params(&self) -> &'static [ParamSpec] {
            &[]
        }

        fn keys(&self) -> &'static [&'static Key] {
            self.1
        }

        fn sections(&self) -> &'static [&'static Section] {
            self.2
        }

        fn read(&self, config: &mut KindReader<'_, '_>) -> ConfiguredQueues {
            config.each_queue(|_| Arc::new(echo::Echo))
        }
    }

    #[test]
    fn nothing_is_taken_twice() {
        const THREADS: &Key = &Key::optional("maximumthreads", ValueKind::Name, "a", "None.");
        const PATHS: &Section = &Section::fixed("PATHS", "", &[]);
        const OURS: &Section = &Section::fixed("Ours", "", &[]);
        let with = |kinds: &Kinds, kind| kinds.clone().with(kind);
        let kinds = Kinds::shipped();
        let refused = |kinds: &Kinds, kind| with(kinds, kind).map(drop).unwrap_err();
        for word in ["echo", "INGEST", "FileSystemConnector", "remote", "forward"] {
            assert_eq!(refused(&kinds, Other(word, &[], &[])), KindRefused::Word(word));
        }
        let key = KindRefused::Key { word: "Other", key: "maximumthreads" };
        assert_eq!(refused(&kinds, Other("Other", &[THREADS], &[])), key);
        let section = KindRefused::Section { word: "Other", section: "PATHS" };
        assert_eq!(refused(&kinds, Other("Other", &[], &[PATHS])), section);

        let kinds = with(&kinds, Other("Other", &[], &[OURS])).unwrap();
        assert!(kinds.find("OTHER").is_some());
        assert!(kinds.allowed().ends_with(", Forward, Other"), "{}", kinds.allowed());
        assert_eq!(refused(&kinds, Other("other", &[], &[])), KindRefused::Word("other"));
        let section = KindRefused::Section { word: "More", section: "Ours" };
        assert_eq!(refused(&kinds, Other("More", &[], &[OURS])), section);
        // The shipped ones keep to it as well.
        let again = Kinds(Vec::new()).with(echo::EchoKind).unwrap().with(ingest::IngestKind);
        let again = again.unwrap().with(fetch::FileSystemConnector).unwrap();
        assert!(again.with(remote::RemoteKind).is_ok());
    }
}
