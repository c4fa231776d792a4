//! The settings of handlers, as the configuration gives them.

use super::hosts::HostPattern;
use super::http::HttpSettings;
use super::lua::LuaSettings;
use super::text_file::TextFileSettings;
use actiond_actors::outbox::HandlerSettings;

/// The handlers of a server, and the addresses that submissions may name.
#[derive(Debug, Clone, Default)]
pub struct EventSettings {
    /// Each handler that a queue names, once.
    pub handlers: Vec<HandlerConfig>,
    /// `AllowedCallbackHosts`; without it no submission may name an address.
    pub callbacks: Option<CallbackSettings>,
}

/// One handler: its section.
#[derive(Debug, Clone)]
pub struct HandlerConfig {
    /// The name of the section.
    pub name: String,
    /// `LibraryName`, with the keys of that.
    pub library: Library,
    /// The keys about delivery.
    pub delivery: HandlerSettings,
}

/// `LibraryName`: what a handler does with an event.
#[derive(Debug, Clone)]
pub enum Library {
    /// `HttpHandler`.
    Http(Box<HttpSettings>),
    /// `TextFileHandler`.
    TextFile(TextFileSettings),
    /// `LuaHandler`.
    Lua(LuaSettings),
    /// `CommandHandler`.
    #[cfg(unix)]
    Command(super::command::CommandSettings),
}

impl Library {
    /// Returns the value of `LibraryName`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Http(_) => "HttpHandler",
            Self::TextFile(_) => "TextFileHandler",
            Self::Lua(_) => "LuaHandler",
            #[cfg(unix)]
            Self::Command(_) => "CommandHandler",
        }
    }
}

/// The delivery to addresses that submissions name.
#[derive(Debug, Clone)]
pub struct CallbackSettings {
    /// `AllowedCallbackHosts`: never empty.
    pub allowed_hosts: Vec<HostPattern>,
    /// The keys of the handler that `CallbackHandler` names.
    pub http: Box<HttpSettings>,
    /// The keys of that about delivery.
    pub delivery: HandlerSettings,
}
