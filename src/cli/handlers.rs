//! The handlers of events that the configuration names, as handlers of the system.

use std::sync::Arc;

use actiond_actors::Builder;
use actiond_actors::outbox::Deliver;
use actiond_actors::store::Store;

use crate::config::Settings;
use crate::events::handlers::http::{HttpHandler, HttpSettings};
use crate::events::handlers::{
    CALLBACKS, CallbackSettings, Documents, HandlerConfig, Library, LuaHandler, Requests,
    TextFileHandler,
};
use crate::front::{EndpointBuilder, EventDocuments};

/// The reason for which a handler can't be made.
#[derive(Debug, thiserror::Error)]
#[error("the handler {name} can't be made: {why}")]
pub(super) struct HandlerError {
    name: String,
    why: String,
}

/// Adds the handlers to a system that is to be built.
pub(super) fn add(
    mut builder: Builder,
    settings: &Settings,
    port: u16,
    shared: Option<Arc<dyn Store>>,
    requests: &Arc<dyn Requests>,
) -> Result<Builder, HandlerError> {
    let programs = settings.queues.iter().filter(|queue| queue.settings.runs_programs());
    let programs = programs.map(|queue| queue.name.clone()).collect();
    let host = settings.server.token_host.clone();
    let documents: Arc<dyn Documents> = Arc::new(EventDocuments::new(host, port, shared, programs));
    for handler in &settings.events.handlers {
        let HandlerConfig { name, delivery, .. } = handler;
        let made = make(handler, &documents, requests)
            .map_err(|why| HandlerError { name: name.clone(), why })?;
        builder = builder.handler(name.clone(), *delivery, made);
    }
    if let Some(CallbackSettings { http, delivery, .. }) = &settings.events.callbacks {
        let made = HttpHandler::new(HttpSettings::clone(http), Arc::clone(&documents))
            .map_err(|why| HandlerError { name: CALLBACKS.to_owned(), why })?;
        builder = builder.handler(CALLBACKS, *delivery, Arc::new(made));
    }
    Ok(builder)
}

fn make(
    HandlerConfig { name, library, .. }: &HandlerConfig,
    documents: &Arc<dyn Documents>,
    requests: &Arc<dyn Requests>,
) -> Result<Arc<dyn Deliver>, String> {
    let documents = Arc::clone(documents);
    Ok(match library {
        Library::Http(settings) => {
            Arc::new(HttpHandler::new(HttpSettings::clone(settings), documents)?)
        }
        Library::TextFile(settings) => {
            let made = TextFileHandler::new(name, settings, documents);
            Arc::new(made.map_err(|error| error.to_string())?)
        }
        Library::Lua(settings) => {
            Arc::new(LuaHandler::new(name, settings.clone(), documents, Arc::clone(requests)))
        }
        #[cfg(unix)]
        Library::Command(settings) => {
            Arc::new(crate::events::handlers::CommandHandler::new(settings.clone(), documents))
        }
    })
}

/// Describes the handlers to the endpoint.
pub(super) fn describe(settings: &Settings, builder: EndpointBuilder) -> EndpointBuilder {
    let events = &settings.events;
    let described = events.handlers.iter().fold(builder, |builder, handler| {
        builder.handler(handler.name.clone(), handler.library.name())
    });
    match &events.callbacks {
        Some(callbacks) => described
            .handler(CALLBACKS, "HttpHandler")
            .callback_hosts(callbacks.allowed_hosts.iter().cloned()),
        None => described,
    }
}
