//! The wire: ACI requests and replies as plain data. No actor, no HTTP library, no I/O and no clock is known here.
//!
//! Data flows one way in and one way out:
//!
//! ```text
//! request line + body -> request (multipart) -> Pairs -> catalog::validate -> queue_info -> what is asked for
//! reply bytes         <- response            <- element trees (json)      <- token, time <- what is to be told
//! ```
//!
//! | module | what it knows |
//! |---|---|
//! | [`request`] | the ten forms of a request, merged into one action with ordered pairs |
//! | [`multipart`] | bodies of `multipart/form-data` |
//! | [`catalog`] | every action with its parameters: checks them, and writes the help from the same table |
//! | [`queue_info`] | the commands of the `QueueInfo` action |
//! | [`token`] | the text by which a client names one action |
//! | [`time`] | how times are written and read |
//! | [`element`] | the tree that a reply is made of, and its XML |
//! | [`json`] | the same tree as `json` and `simplejson` |
//! | [`response`] | the envelope around replies, whole or as a stream |
//! | [`shown`] | how a parameter is shown as it was sent |
//! | [`words`] | how words and lists are read, and how what was sent is repeated in messages |
//! | [`error`] | what a reply says when something went wrong |

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
