//! The actions of a queue, page by page.

use std::collections::HashSet;

use super::commands::About;
use super::queue_info::Action;
use super::tree::{child, children, into_children, is, take, text_of, value};
use super::{Client, ClientError, Fault};
use crate::element::Element;
use crate::queue_info::DELETE;

/// Number of actions on a page, unless it is set.
const PAGE: usize = 100;

/// A list of the actions of a queue, the latest first unless it is sorted otherwise.
///
/// ```no_run
/// # async fn example(client: actiond_aci::client::Client) -> Result<(), actiond_aci::client::ClientError> {
/// let mut list = client.list("Process").filter("State", "finished").page_size(50);
/// while let Some(actions) = list.next_page().await? {
///     for action in actions {
///         println!("{} {}", action.token, action.status);
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// Each page is read when it is asked for, and the list may change in between. An action that moved from one page to the next
/// is returned once; one that moved to an earlier page may be missing.
#[derive(Debug)]
pub struct List<'a> {
    client: &'a Client,
    queue: String,
    filters: Vec<(String, String)>,
    page_size: usize,
    /// The position of the next action, from 1; `None` once there is no further page.
    start: Option<usize>,
    /// The tokens of the page before.
    last: HashSet<String>,
}

impl<'a> List<'a> {
    pub(super) fn new(client: &'a Client, queue: String) -> Self {
        let (filters, last) = (Vec::new(), HashSet::new());
        Self { client, queue, filters, page_size: PAGE, start: Some(1), last }
    }

    /// Adds a parameter of `getStatus`, such as `State`, `Sort-By` or `Queued-After`.
    #[must_use]
    pub fn filter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.filters.push((name.into(), value.into()));
        self
    }

    /// Sets the number of actions on a page, at least one; 100 if not set.
    #[must_use]
    pub fn page_size(mut self, actions: usize) -> Self {
        self.page_size = actions.max(1);
        self
    }

    /// Sets the place of the first action, from 1.
    #[must_use]
    pub fn from(mut self, place: usize) -> Self {
        self.start = Some(place.max(1));
        self
    }

    /// Deletes all actions of the list that have ended, and returns their number. There must be a filter: the server refuses to
    /// delete without any. Servers other than actiond do not know this command.
    ///
    /// A server deletes for some time and then says that there are more; then this asks again, unless a filter is `MaxResults`.
    ///
    /// # Errors
    /// [`ClientError`]: some of them may have been deleted. [`Fault::Lacks`] if the reply has no number; [`Fault::Incomplete`] if
    /// the server can't go on now.
    pub async fn delete(self) -> Result<u64, ClientError> {
        let is_limited =
            self.filters.iter().any(|(name, _)| name.eq_ignore_ascii_case("MaxResults"));
        let mut deleted = 0_u64;
        loop {
            let filters = self.filters.iter().map(|(name, value)| (name.as_str(), value.clone()));
            let reply =
                self.client.ask(DELETE, &About::Queue(&self.queue), filters.collect()).await?;
            let number: Option<u64> = value(&reply.data, "deleted");
            let number = number.ok_or(Fault::Lacks("the number of deleted actions"));
            let number = number.map_err(|fault| self.client.error(fault))?;
            deleted = deleted.saturating_add(number);
            let more: Option<bool> = value(&reply.data, "more");
            if is_limited || more != Some(true) {
                return Ok(deleted);
            }
            if number == 0 {
                let reason = format!("it has deleted {deleted} of them, and no more now");
                return Err(self.client.error(Fault::Incomplete(reason)));
            }
        }
    }

    /// Returns the next page; `None` after the last.
    ///
    /// # Errors
    /// [`ClientError`], with [`Fault::Incomplete`] if the server could not read its list to the end. The same page can
    /// be asked for again.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Action>>, ClientError> {
        let Some(elements) = self.next_elements().await? else { return Ok(None) };
        let actions = elements.into_iter().map(Action::read).collect::<Result<_, _>>();
        actions.map(Some).map_err(|fault| self.client.error(fault))
    }

    /// Returns the next page as elements `action`, with all that the server tells; `None` after the last.
    ///
    /// # Errors
    /// As for [`next_page`](Self::next_page).
    pub async fn next_elements(&mut self) -> Result<Option<Vec<Element>>, ClientError> {
        let Some(start) = self.start else { return Ok(None) };
        let filters = self.filters.iter().map(|(name, value)| (name.as_str(), value.clone()));
        let place = [("Start", start.to_string()), ("MaxResults", self.page_size.to_string())];
        let more = filters.chain(place).collect();
        let reply = self.client.ask("getStatus", &About::Queue(&self.queue), more).await?;
        let read = || {
            let list = take(reply.data, "actions").ok_or(Fault::Lacks("a list of actions"))?;
            if let Some(error) = child(&list, "error") {
                return Err(Fault::Incomplete(text_of(error).to_owned()));
            }
            let actions = into_children(list).into_iter().filter(|element| is(element, "action"));
            Ok(actions.collect::<Vec<_>>())
        };
        let mut actions = read().map_err(|fault| self.client.error(fault))?;
        let count = actions.len();
        let tokens: Vec<_> = actions.iter().map(token).collect();
        let before = std::mem::replace(&mut self.last, tokens.iter().cloned().collect());
        // A server that knows no pages sends the whole list at once, or the same page again.
        let is_paged = count <= self.page_size && self.last != before;
        let is_full = count >= self.page_size;
        self.start = (is_full && is_paged).then(|| start.saturating_add(count));
        let mut tokens = tokens.into_iter();
        actions.retain(|_| {
            tokens.next().is_none_or(|token| token.is_empty() || !before.contains(&token))
        });
        Ok((count > 0).then_some(actions))
    }
}

/// Returns the token of an element `action`: the last element of that name, since results may be called so.
fn token(action: &Element) -> String {
    let token = children(action).iter().rfind(|element| is(element, "token"));
    token.map(text_of).unwrap_or_default().trim().to_owned()
}
