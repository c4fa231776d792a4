//! An open server for asynchronous actions that speaks ACI, the HTTP protocol of Autonomy, HPE and OpenText servers; and the
//! same endpoint for any actix-web application.
//!
//! A client sends an action and gets a token at once; with the action `QueueInfo` and that token it polls, cancels, stops,
//! pauses, reprioritises and collects it. The queues themselves are in the package `actiond-actors`, which knows nothing of
//! HTTP.
//!
//! # Three ways to use it
//!
//! - The program `actiond` is [`cli::run_with`] with the [kinds of action](kinds::Kinds) that ship.
//! - A program with kinds of action of your own adds them with [`Kinds::with`](kinds::Kinds::with); they are then configured
//!   like the others (`examples/own_kind.rs`).
//! - An application of your own mounts the endpoint beside its routes with [`http::configure`] (`examples/aci_app.rs`):
//!
//! ```
//! use actiond::aci::client::Reply;
//! use actiond::front::Endpoint;
//! use actiond_actors::{ActionContext, Node, Perform, QueueSettings, System, Work};
//! use actix_web::{App, test};
//!
//! /// The work of an action.
//! struct Greet;
//!
//! impl Perform for Greet {
//!     fn perform(&self, context: ActionContext) -> Work {
//!         Work::task(async move {
//!             let name = context.parameters().get("Name").unwrap_or("world").to_owned();
//!             Ok(vec![Node::text("greeting", format!("Hello, {name}"))])
//!         })
//!     }
//! }
//!
//! # #[actix_web::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! // The queue, the endpoint over it, and an application that serves the endpoint.
//! let system = System::builder(directory.path()).queue("Greet", QueueSettings::default(), Greet).start().await?;
//! let endpoint = Endpoint::builder(system.clone()).build();
//! let app = test::init_service(App::new().configure(actiond::http::configure(&endpoint))).await;
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
//! # system.shutdown(std::time::Duration::from_secs(1)).await;
//! # Ok(()) }
//! ```
//!
//! # The map
//!
//! In the order in which a request meets the modules:
//!
//! | module | contents |
//! |---|---|
//! | [`tls`] | certificates, and the handshake with clients of a port that speaks TLS |
//! | [`http`] | the HTTP server and the actix-web service |
//! | [`front`] | the endpoint: turns requests into calls to the queues, and their answers into replies |
//! | [`access`] | the rules about who may do what |
//! | [`aci`] | the wire, requests and replies as plain data: the package `actiond-aci` |
//! | [`kinds`] | the kinds of action: Echo, Ingest and Fetch, and the trait for your own |
//! | [`schedules`] | actions that are queued at their times |
//! | `documents` | what kinds share: documents, references, and files below a directory |
//! | `files` | files and directories for the user of the server alone |
//! | [`events`] | events told to others: handlers, and whoever listens |
//! | [`metrics`] | counts of all of it, for Prometheus |
//! | [`logging`] | the streams of the log: files of lines by their types |
//! | [`config`] | the configuration file |
//! | [`backup`] | archives of all that a server keeps |
//! | [`cli`] | the program: command line, log, signals |
//!
//! Each module begins with a map of its own. The path of a request is in `front/dispatch.rs`.

pub use actiond_aci as aci;

pub mod access;
pub mod backup;
pub mod cli;
pub mod config;
pub mod desk;
mod documents;
pub mod events;
mod files;
pub mod front;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod kinds;
pub mod logging;
pub mod metrics;
pub mod schedules;
pub mod service;
pub mod tls;
