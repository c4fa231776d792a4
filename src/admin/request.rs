//! A request for a page, and the answers to one.

use bytes::Bytes;

use super::ask::{Asker, Refused};
use super::session::Session;
use crate::aci::request::{PairValue, Pairs};

/// A request for a page of a user.
#[derive(Debug)]
pub(crate) struct PageRequest {
    pub(crate) asker: Asker,
    /// Path under which the page is mounted, such as `/admin`.
    pub(crate) base: String,
    /// The part of the path behind that.
    pub(crate) path: String,
    /// The parameters of the target.
    pub(crate) query: Pairs,
    /// The fields of a form that was sent; its token has been checked.
    pub(crate) form: Option<Pairs>,
    pub(crate) session: Session,
    /// The token that forms of this session carry.
    pub(crate) form_token: String,
    /// True if there are keys with which a user may sign in.
    pub(crate) has_keys: bool,
    /// True if the key in the form is one of this server.
    pub(crate) is_key_known: bool,
    /// The names of the queues that the user may see.
    pub(crate) queues: Vec<String>,
    /// The address of the server, as the browser knows it: `http://localhost:7000`, with the path of the endpoint.
    pub(crate) server: String,
    /// The words of the last request for this page.
    pub(crate) said: Option<String>,
}

/// The answer to a request for a page.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A page, or a part of one.
    Page {
        /// The HTTP status.
        status: u16,
        html: String,
    },
    /// Another page is to be shown; it says this.
    SeeOther { path: String, said: Option<String> },
    /// A key was given, which is to be kept in the session; then another page is to be shown.
    SignedIn { key: crate::access::KeyHash, path: String },
    /// The session is to be forgotten.
    SignedOut { path: String },
    /// A file.
    Download { name: String, content_type: &'static str, body: Bytes },
    /// The user has to sign in to see this.
    SignIn,
}

impl PageRequest {
    /// Returns a parameter of the target, or an empty text.
    pub(crate) fn given(&self, name: &str) -> &str {
        self.query.given(name).unwrap_or_default()
    }

    /// Returns a field of the form, or an empty text.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.form.as_ref().and_then(|form| form.given(name)).unwrap_or_default()
    }

    /// Returns true if a user without a key might see more with one.
    pub(crate) fn should_sign_in(&self, refused: &Refused) -> bool {
        matches!(refused, Refused::Permission(_)) && self.has_keys && self.asker.key().is_none()
    }
}

/// Returns the parameters that are text.
pub(crate) fn texts(pairs: &Pairs) -> impl Iterator<Item = (&str, &str)> {
    pairs.iter().filter_map(|(name, value)| match value {
        PairValue::Text(text) => Some((name, text.as_str())),
        PairValue::Bytes(_) => None,
    })
}
