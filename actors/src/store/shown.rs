//! What of an error may be shown to anybody.

use std::borrow::Cow;

use super::StoreError;

impl StoreError {
    /// Says what went wrong without a word that may name a file: for clients, who need not know where a server keeps its
    /// data. The whole of it is for the log.
    ///
    /// ```
    /// use actiond_actors::StoreError;
    /// let error = StoreError::Io("/var/lib/actions.db was deleted".to_owned());
    /// assert_eq!(error.without_paths(), "the action database can't be read or written");
    /// ```
    #[must_use]
    pub fn without_paths(&self) -> Cow<'static, str> {
        match self {
            Self::Full | Self::Closed => self.to_string().into(),
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
            // Its text is the system's, and may name anything.
            _ => "the action database can't be read or written".into(),
        }
    }
}
