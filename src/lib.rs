//! An open server for asynchronous actions that speaks ACI, the HTTP protocol of Autonomy, HPE and
//! OpenText servers; and the same endpoint for any actix-web application.
//!
//! A client sends an action and gets a token at once; with the action `QueueInfo` and that token it
//! polls, cancels, stops, pauses, reprioritises and collects it. The queues themselves are in the
//! package `actiond-actors`, which knows nothing of HTTP.
//!
//! | module | what it is |
//! |---|---|
//! | [`aci`] | the wire: requests and replies as plain data; the package `actiond-aci` |
//! | [`front`] | the translator between the wire and the queues |
//! | [`http`] | the actix-web service; start here to mount the endpoint in an application of yours |
//! | [`kinds`] | the kinds of action |
//! | [`config`] | the configuration file |
//! | [`cli`] | the program |

pub use actiond_aci as aci;

pub mod cli;
pub mod config;
mod documents;
pub mod front;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod kinds;
