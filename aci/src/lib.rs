//! ACI, the HTTP protocol of Autonomy, HPE and OpenText servers, as plain data: for servers, for clients, and for what
//! stands between them.
//!
//! A client sends an *action* with parameters, in the path, in the query or in a body, and gets a reply in XML or JSON:
//! an envelope `autnresponse` with the action's name, `SUCCESS` or `ERROR`, and the data. An asynchronous action replies
//! with a *token*; by it the action `QueueInfo` tells how things stand, and steers them.
//!
//! This package reads and writes all of that. It is pure: no actor, no HTTP library, no I/O, and the time of day always
//! comes from the caller. Only the module `client`, which is behind a feature, does I/O.
//!
//! # A request and its reply
//!
//! ```text
//! request line + body -> request (multipart) -> Pairs -> catalog::validate -> queue_info -> what is asked for
//! reply bytes         <- response            <- element trees (json)      <- token, time <- what is to be told
//! ```
//!
//! ```
//! use actiond_aci::catalog::{ActionSpec, ParamKind, ParamSpec, validate};
//! use actiond_aci::element::Element;
//! use actiond_aci::request::{RawRequest, parse};
//! use actiond_aci::response;
//!
//! const GREET: ActionSpec<'static> = ActionSpec {
//!     name: "Greet",
//!     summary: "Greets somebody.",
//!     asynchronous: false,
//!     params: &[ParamSpec { name: "Name", kind: ParamKind::Text, required: true, summary: "Who." }],
//! };
//!
//! fn answer(target: &str) -> Vec<u8> {
//!     let raw = RawRequest { target, content_type: None, body: b"", max_input_string: 64_000, max_upload: 1_000 };
//!     let request = match parse(&raw) {
//!         Ok(request) => request,
//!         Err(no) => return response::error(&no.action, &no.error, "06 Feb 06 17:03:54", no.format),
//!     };
//!     let checked = validate(&GREET, GREET.common(), &request.pairs, false);
//!     match (checked, request.pairs.get("name")) {
//!         (Ok(()), Some(name)) => {
//!             let data = [Element::text("greeting", format!("Hello {name}"))];
//!             response::success(&request.action, &data, request.format)
//!         }
//!         (Err(error), _) => response::error(&request.action, &error, "06 Feb 06 17:03:54", request.format),
//!         (Ok(()), None) => Vec::new(),
//!     }
//! }
//!
//! let reply = String::from_utf8(answer("/action=greet&Name=Ada+%26+Bob")).unwrap();
//! assert!(reply.contains("<action>GREET</action><response>SUCCESS</response>"));
//! assert!(reply.contains("<greeting>Hello Ada &amp; Bob</greeting>"));
//!
//! let json = String::from_utf8(answer("/?action=Greet&ResponseFormat=json")).unwrap();
//! assert!(json.contains("\"errorcode\":{\"$\":\"ERRORPARAMMISSING\"}"));
//! ```
//!
//! # The map
//!
//! In the order in which a request meets them:
//!
//! | module | what it knows |
//! |---|---|
//! | [`request`] | the ten forms of a request, merged into one action with ordered pairs |
//! | [`multipart`] | bodies of `multipart/form-data` |
//! | [`catalog`] | every action with its parameters: checks them, and writes the help from the same table |
//! | [`words`] | how words and lists are read, and how what was sent is repeated in messages |
//! | [`queue_info`] | the commands of the `QueueInfo` action |
//! | [`token`] | the text by which a client names one action |
//! | [`time`] | how times are written and read |
//! | [`error`] | what a reply says when something went wrong |
//! | [`shown`] | how a parameter is shown as it was sent |
//! | [`element`] | the tree that a reply is made of, and its XML |
//! | [`json`] | the same tree as `json` and `simplejson` |
//! | [`response`] | the envelope around replies, whole or as a stream |
//!
//! "Observed" in the comments means: seen in replies of real servers or in the source of real clients. "Our choice" means
//! that nothing was to be seen.
//!
//! # Features
//!
//! - `client`: the module `client`, an asynchronous client of any ACI server.
//! - `client-tls`: the same over HTTPS.

pub mod catalog;
#[cfg(feature = "client")]
pub mod client;
pub mod element;
pub mod error;
pub mod json;
pub mod multipart;
pub mod queue_info;
pub mod request;
pub mod response;
pub mod shown;
pub mod time;
pub mod token;
pub mod words;
