//! The admin page at `/admin`: queues and their actions for people, in a browser. What it shows and does are ACI requests of its user,
//! answered by the front as any other, so it may do nothing that its user may not.
//!
//! | module | contents |
//! |---|---|
//! | here | [`AdminPage`]: what an endpoint has of it |
//! | `request` | a request for a page, and the answers |
//! | `pages/` | the pages, each with its template, and what they change |
//! | `ask` | the ACI requests behind a page |
//! | `tree` | reading of their replies |
//! | `view` | what pages have in common: links, times, trees, plots |
//! | `session` | sessions of browsers, and tokens of forms |
//! | `assets` | style sheet and scripts |
//!
//! Routes, cookies and headers: `http/admin`.

mod ask;
pub(crate) mod assets;
mod pages;
mod request;
mod session;
mod tree;
mod view;

use std::fmt;

pub(crate) use ask::Asker;
pub(crate) use pages::answer;
pub(crate) use request::{Answer, PageRequest};
pub(crate) use session::{LASTS_SECS, Session, Signing};

/// The admin page of an endpoint. Cheap to clone.
///
/// Give it to the builder of the endpoint ([`EndpointBuilder::admin_page`](crate::front::EndpointBuilder::admin_page)), which then
/// has `/admin` below the path where it is mounted. It allows nobody more than the actions do.
///
/// ```
/// use actix_web::{App, test};
/// use actiond::admin::AdminPage;
/// use actiond::front::Endpoint;
/// use actiond::kinds::echo::Echo;
/// use actiond_actors::{QueueSettings, System};
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// let system = System::builder(directory.path())
///     .queue("Process", QueueSettings::default(), Echo)
///     .start()
///     .await?;
/// let page = AdminPage::new(None).ok_or("no random numbers")?;
/// let endpoint = Endpoint::builder(system.clone()).admin_page(page).build();
/// let app = test::init_service(App::new().configure(actiond::http::configure(&endpoint))).await;
/// let page = test::call_and_read_body(&app, test::TestRequest::get().uri("/admin").to_request()).await;
/// assert!(String::from_utf8_lossy(&page).contains("Process"));
/// # system.shutdown(std::time::Duration::from_secs(1)).await;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct AdminPage {
    pub(crate) signing: Signing,
}

impl fmt::Debug for AdminPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminPage").finish_non_exhaustive()
    }
}

impl AdminPage {
    /// Makes one whose users stay signed in with every server that has the same secret; without one, with this server until it
    /// ends. Returns `None` if the system has no random numbers.
    #[must_use]
    pub fn new(secret: Option<&[u8]>) -> Option<Self> {
        Signing::new(secret).map(|signing| Self { signing })
    }
}
