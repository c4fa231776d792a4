//! Error texts for clients, which name no files.

use std::borrow::Cow;

use super::StoreError;

impl StoreError {
    /// Returns the error's text without anything that may name a file, for clients: they need not know where a server
    /// keeps its data. The log gets the full text.
    ///
    /// ```
    /// use actiond_actors::StoreError;
    /// let error = StoreError::Io("/var/lib/actions.db was deleted".to_owned());
    /// assert_eq!(error.without_paths(), "the action database can't be read or written");
    /// ```
    #[must_use]
    pub fn without_paths(&self) -> Cow<'static, str> {
        match self {
            Self::Full | Self::SizeLimit { .. } | Self::Closed => self.to_string().into(),
            Self::Corrupt { .. } => {
                "the action database is damaged or is not one of actiond's".into()
            }
            Self::TooNew { .. } => "the action database has a newer format than is known".into(),
            Self::InUse { owner, .. } => {
                format!("the data directory is in use by another server{owner}").into()
            }
            Self::Unavailable(_) => "the action database is not available now".into(),
            Self::OutcomeUnknown(_) => {
                "the action database did not say whether it has made the change".into()
            }
            // Its text comes from the system and may name any file.
            _ => "the action database can't be read or written".into(),
        }
    }
}
