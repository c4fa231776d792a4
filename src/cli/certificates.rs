//! The certificates of the ports, at the start and when the configuration is read again.

use std::io;

use crate::config::Settings;
use crate::tls::{Tls, TlsError, TlsOptions};

/// The reason for which certificates could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Thread(#[from] io::Error),
}

/// The certificates of both ports. Each port has its own, for they may part when the configuration is read again.
pub(super) struct Certificates {
    pub(super) aci: Option<Tls>,
    pub(super) service: Option<Tls>,
    has_service_port: bool,
}

impl Certificates {
    pub(super) async fn load(settings: &Settings) -> Result<Self, LoadError> {
        let [aci, service] = options(settings).map(Option::<&TlsOptions>::cloned);
        let has_service_port = settings.service.port.is_some();
        let load = move || -> Result<Self, TlsError> {
            let aci = aci.map(Tls::load).transpose()?;
            let service = service.map(Tls::load).transpose()?;
            Ok(Self { aci, service, has_service_port })
        };
        let loaded = actix_web::rt::task::spawn_blocking(load);
        Ok(loaded.await.map_err(io::Error::other)??)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Tls> {
        self.aci.iter().chain(&self.service)
    }

    /// Returns an error that says so if a configuration can't be put in force while the server runs, because what it says of ports
    /// is another than at the start. Its files were checked when it was read.
    pub(super) fn check(&self, settings: &Settings) -> Result<(), String> {
        let needs_restart = |what: &str| Err(what.to_owned());
        match (self.has_service_port, settings.service.port) {
            (false, Some(_)) => return needs_restart("[Service] ServicePort is new"),
            (true, None) => return needs_restart("[Service] ServicePort has gone"),
            _ => {}
        }
        let ports = [("Server", &self.aci), ("Service", &self.service)];
        for ((section, tls), fresh) in ports.into_iter().zip(options(settings)) {
            match (tls, fresh) {
                (None, Some(_)) => {
                    return needs_restart(&format!("[{section}] SSLConfig was switched on"));
                }
                (Some(_), None) => {
                    return needs_restart(&format!("[{section}] SSLConfig was switched off"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes the certificates of a configuration that was checked.
    pub(super) async fn reload(&self, settings: &Settings) {
        for (tls, fresh) in [&self.aci, &self.service].into_iter().zip(options(settings)) {
            if let Some((tls, fresh)) = tls.as_ref().zip(fresh) {
                tls.reload_and_log(fresh.clone()).await;
            }
        }
    }
}

/// Returns what the configuration says of the certificates of the ACI port and the service port.
fn options(settings: &Settings) -> [Option<&TlsOptions>; 2] {
    let service = settings.service.tls.as_ref().filter(|_| settings.service.port.is_some());
    [settings.server.tls.as_ref(), service]
}
