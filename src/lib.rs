//! An open server for asynchronous actions that speaks ACI, the HTTP protocol of Autonomy, HPE and OpenText servers; and the
//! same endpoint for any actix-web application.
//!
//! A client sends an action and gets a token at once; with the action `QueueInfo` and that token it polls, cancels, stops,
//! pauses, reprioritises and collects it. A token is only sent once its action would survive a crash. The queues themselves are
//! in the package `actiond-actors`, which knows nothing of HTTP.
//!
//! # Three ways to use it
//!
//! - The program `actiond` is [`run_with`] with the [kinds of action](Kinds) that ship.
//! - A program with kinds of action of your own adds them with [`Kinds::with`]; they are then configured
//!   like the others (`examples/own_kind.rs`).
//! - An application of your own mounts the endpoint beside its routes with [`configure`] (`examples/aci_app.rs`):
//!
//! ```
//! use actiond::aci::client::Reply;
//! use actiond::{ActionContext, Endpoint, Failure, Node, QueueSettings, Report, System};
//! use actix_web::{App, test};
//!
//! /// The work of an action. Any error ends it in Error, with a text for the client.
//! async fn greet(context: ActionContext) -> Result<Report, Failure> {
//!     let name = context.parameters().get("Name").unwrap_or("world");
//!     Ok(vec![Node::text("greeting", format!("Hello, {name}"))])
//! }
//!
//! # #[actix_web::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! // The queue, the endpoint over it, and an application that serves the endpoint.
//! let system = System::builder(directory.path()).queue("Greet", QueueSettings::default(), greet).start().await?;
//! let endpoint = Endpoint::builder(system.clone()).build();
//! let app = test::init_service(App::new().configure(actiond::configure(&endpoint))).await;
//! let send = async |target: String| {
//!     let request = test::TestRequest::get().uri(&target).to_request();
//!     String::from_utf8_lossy(&test::call_and_read_body(&app, request).await).into_owned()
//! };
//!
//! // The reply to a submission is a token, once the action is on disk.
//! let reply = send("/action=Greet&Name=Ada".to_owned()).await;
//! assert_eq!(Reply::read(&reply)?.data[0].name, "token");
//! let token = reply.split(['<', '>']).skip_while(|part| *part != "token").nth(1).unwrap_or_default();
//!
//! // By the token the client learns the state, here once the action has ended.
//! let reply = send(format!("/action=QueueInfo&QueueAction=getStatus&Token={token}&Wait=60")).await;
//! assert!(reply.contains("<status>Finished</status>") && reply.contains("<greeting>Hello, Ada</greeting>"));
//!
//! // The application reaches the same action by its own handle.
//! let (queue, action) = endpoint.action_for(token).ok_or("no such token")?;
//! assert_eq!(queue.status(action.id).await?.record.report, [Node::text("greeting", "Hello, Ada")]);
//! # system.shutdown(std::time::Duration::from_secs(1)).await;
//! # Ok(()) }
//! ```
//!
//! **An action that was running when the server went down ends in Error and is not run again**, unless its work or its queue says
//! that it may run twice: see [`Perform`].
//!
//! # Where things are
//!
//! Whatever an application or a kind of action needs is at the root: the [endpoint](Endpoint) and what
//! [mounts](configure) it, the [work](Perform) and the [queues](System) of `actiond-actors`, and the traits of a
//! [kind](Kind). The modules hold the rest, in the order in which a request meets them:
//!
//! | module | contents |
//! |---|---|
//! | [`tls`] | certificates, and the handshake with clients of a port that speaks TLS |
//! | [`http`] | the HTTP server and the actix-web service |
//! | [`front`] | the endpoint: turns requests into calls to the queues, and their answers into replies |
//! | [`access`] | the rules about who may do what |
//! | [`aci`] | the wire, requests and replies as plain data: the package `actiond-aci` |
//! | [`service`] | the actions of the service port |
//! | [`kinds`] | the kinds of action that ship, and the trait for your own |
//! | [`desk`] | where workers elsewhere and attempts meet |
//! | [`schedules`] | actions that are queued at their times |
//! | `documents` | what kinds share: documents, references, and files below a directory |
//! | `figures` | figures as people read them |
//! | `files` | files and directories for the user of the server alone |
//! | [`events`] | events told to others: handlers, and whoever listens |
//! | [`metrics`] | counts of all of it, for Prometheus |
//! | [`logging`] | the streams of the log: files of lines by their types |
//! | [`config`] | the configuration file |
//! | [`backup`] | archives of all that a server keeps |
//! | [`cli`] | the program: command line, log, signals |
//!
//! Each module begins with a map of its own. The path of a request is in `front/dispatch.rs`.

/// The examples of pages for people.
#[cfg(doctest)]
pub mod pages {
    #[doc = include_str!("../README.md")]
    pub mod readme {}
    #[doc = include_str!("../docs/embedding.md")]
    pub mod embedding {}
}

pub use actiond_aci as aci;
pub use actiond_actors as actors;

pub mod access;
pub mod admin;
pub mod backup;
pub mod cli;
pub mod config;
pub mod desk;
mod documents;
pub mod events;
mod figures;
mod files;
pub mod front;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod kinds;
pub mod logging;
pub mod metrics;
#[cfg(test)]
mod reference_tests;
pub mod schedules;
pub mod service;
pub mod tls;

// Names for those who embed it. What an application needs:
pub use access::Access;
pub use front::{Endpoint, EndpointBuilder};
pub use http::{BrowserPolicy, configure, let_in};
// its queues and their work:
#[doc(no_inline)]
pub use actiond_actors::{
    ActionContext, ActionId, ActionStatus, Failure, Node, OnRestart, Parameters, Perform, Progress,
    QueueError, QueueHandle, QueueSettings, Report, RetryPolicy, Stage, StageStatus, State,
    StopRequested, Submission, Submitted, System, Work, perform_blocking, perform_fn,
};
// and a program with kinds of action of its own:
#[doc(no_inline)]
pub use actiond_aci::catalog::{ParamKind, ParamSpec};
pub use cli::run_with;
pub use config::{Key, KindReader, SectionReader, ValueKind};
pub use kinds::{ConfiguredQueue, ConfiguredQueues, Kind, Kinds, Site};
