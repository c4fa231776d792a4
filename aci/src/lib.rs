//! ACI, the HTTP protocol of Autonomy, HPE and OpenText servers, as plain data: for servers, for clients, and for proxies
//! between them.
//!
//! A client sends an *action* with parameters, in the path, in the query or in a body, and gets a reply in XML or JSON:
//! an envelope `autnresponse` with the action's name, `SUCCESS` or `ERROR`, and the data. An asynchronous action is queued,
//! and its reply has a *token*; with that token the action `QueueInfo` polls it, cancels it, stops it, and so on.
//!
//! This crate reads and writes all of that. It is pure: no actors, no HTTP library, no I/O, and the time of day always comes
//! from the caller. The one exception is the module `client`, which is behind a feature.
//!
//! # From a request to its reply
//!
//! A server reads the request with [`request::parse`], validates its parameters with [`catalog::validate`] against a table
//! of its own, does the work, and writes the reply with [`response::success`] or [`response::error`]:
//!
//! ```
//! use actiond_aci::catalog::{ActionSpec, ParamKind, ParamSpec, StandardRole, validate};
//! use actiond_aci::element::Element;
//! use actiond_aci::error::AciError;
//! use actiond_aci::request::{Pairs, RawRequest, parse};
//! use actiond_aci::response;
//!
//! /// The table of this server: one action with one parameter.
//! const GREET: ActionSpec<'static> = ActionSpec {
//!     name: "Greet",
//!     summary: "Greets somebody.",
//!     asynchronous: false,
//!     role: StandardRole::Query,
//!     params: &[ParamSpec::required("Name", ParamKind::Text, "A name.")],
//! };
//!
//! /// The work of the action.
//! fn greet(parameters: &Pairs) -> Result<Vec<Element>, AciError> {
//!     validate(&GREET, GREET.common(), parameters, false)?;
//!     let name = parameters.get("name").unwrap_or_default();
//!     Ok(vec![Element::text("greeting", format!("Hello {name}"))])
//! }
//!
//! /// Answers the request with this target. A real server fills in the body, the limits and the time.
//! fn answer(target: &str) -> String {
//!     let raw = RawRequest { target, content_type: None, body: b"", max_input_string: 64_000, max_upload: 1_000 };
//!     let now = "06 Feb 06 17:03:54";
//!     let reply = match parse(&raw) {
//!         Ok(request) => match greet(&request.pairs) {
//!             Ok(data) => response::success(&request.action, &data, request.format),
//!             Err(error) => response::error(&request.action, &error, now, request.format),
//!         },
//!         Err(rejected) => response::error(&rejected.action, &rejected.error, now, rejected.format),
//!     };
//!     String::from_utf8(reply).unwrap()
//! }
//!
//! let reply = answer("/action=greet&Name=Ada+%26+Bob");
//! assert!(reply.contains("<action>GREET</action><response>SUCCESS</response>"));
//! assert!(reply.contains("<greeting>Hello Ada &amp; Bob</greeting>"));
//!
//! // The same by the query, as JSON, and with an error.
//! let reply = answer("/?action=Greet&ResponseFormat=json");
//! assert!(reply.contains("\"errorcode\":{\"$\":\"ERRORPARAMMISSING\"}"));
//! ```
//!
//! # The map
//!
//! In the order in which a request and its reply meet the modules:
//!
//! | module | contents |
//! |---|---|
//! | [`request`] | the ten forms of a request, read into one action with ordered parameters ([`request::Pairs`]) |
//! | [`multipart`] | bodies of `multipart/form-data` |
//! | [`catalog`] | the table of actions and parameters, by which requests are validated and the help is written |
//! | [`words`] | truth values, lists, the nearest known name, and the shortening of what a message repeats |
//! | [`queue_info`] | the commands of the action `QueueInfo` |
//! | [`queue_work`] | the commands of the action `QueueWork`, by which workers take actions and report |
//! | [`token`] | the token, by which a client names one action |
//! | [`time`] | times in replies and in filters |
//! | [`error`] | errors, with the texts that clients and the log get |
//! | [`element`] | the tree of a reply, and its XML |
//! | [`json`] | the same tree as `json` and `simplejson` |
//! | [`shown`] | parameters that a reply repeats |
//! | [`response`] | the envelope of a reply, as a whole or as a stream of list items |
//! | `client` | an asynchronous client of any ACI server |
//!
//! To learn the protocol, read [`request`], [`response`] and [`queue_info`] first. "Observed" in the comments means: seen in
//! replies of real servers or in the source of real clients. "Our choice" means that neither showed anything.
//!
//! # Features
//!
//! - `client`: the module `client`, over plain HTTP.
//! - `client-tls`: the same over HTTPS.

pub mod catalog;
#[cfg(feature = "client")]
pub mod client;
pub mod element;
pub mod error;
pub mod json;
pub mod multipart;
pub mod queue_info;
pub mod queue_work;
pub mod request;
pub mod response;
pub mod shown;
pub mod time;
pub mod token;
pub mod words;
