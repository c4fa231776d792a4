//! Handlers of events. The outbox of the runtime hands them one event after another and keeps what could not be delivered; they
//! deliver it, and say whether that worked.
//!
//! | module | contents |
//! |---|---|
//! | `message` | the message that is made of an event, in the form of `Format` |
//! | `settings` | the settings of all of them |
//! | `cloud` | messages as CloudEvents |
//! | [`http`] | `HttpHandler`: to a receiver, and to the `CallbackURL` of a submission |
//! | `hosts` | the hosts to which messages may go |
//! | `text_file` | `TextFileHandler`: lines of a file |
//! | `lua` | `LuaHandler`: a function of a Lua script |
//! | `requests` | the parameters of the actions, for scripts |
//! | `command` | `CommandHandler`: a program |
//!
//! The runtime's side of it is [`actiond_actors::outbox`]. The documents in the messages are written by the front ([`Documents`]), as replies are.

mod cloud;
#[cfg(unix)]
mod command;
mod hosts;
pub mod http;
mod lua;
mod message;
mod requests;
mod settings;
#[cfg(test)]
mod testing;
mod text_file;

#[cfg(unix)]
pub use command::{CommandHandler, CommandSettings};
pub use hosts::HostPattern;
pub(crate) use hosts::{HOST_FORMS, allows, is_own_port, target};
pub use lua::{LuaHandler, LuaSettings, Requests};
pub use message::{DocumentForm, Documents, Format, level_name};
pub use requests::StoredRequests;
pub use settings::{CallbackSettings, EventSettings, HandlerConfig, Library};
pub use text_file::{TextFileHandler, TextFileSettings};

/// The name of the handler that tells the ends of actions to the addresses that submissions name.
pub const CALLBACKS: &str = "CallbackURL";
