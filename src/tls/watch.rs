//! Notices changed files, and certificates that are about to expire.
//!
//! Certificate and key are two files, and whoever renews them writes one after the other. So an error is told once it is there
//! at two looks, and the files are read at each look until they are good.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::error::date;
use super::files::Seen;
use super::{Tls, TlsError, TlsOptions, now};

/// Interval at which [`Tls::watch`] usually looks at the files.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Time before the end of a certificate from which on it is warned of.
const WARN_BEFORE: TimeDelta = TimeDelta::days(14);

/// Interval of those warnings.
const WARN_EVERY: TimeDelta = TimeDelta::days(1);

impl Tls {
    /// Looks at the files at this interval (usually [`LOOK_EVERY`]), reads them again when they have changed, and tells the log.
    /// Warns, too, once a day, when the certificate in use is about to expire. Never ends; drop it to end it. It needs
    /// a tokio runtime, and blocks nothing.
    pub async fn watch(self, every: Duration) {
        let mut watcher = Watcher::new(self);
        loop {
            let looked = tokio::task::spawn_blocking(move || {
                watcher.look(now()).iter().for_each(Notice::log);
                watcher
            });
            // Elsewhere than in a look nothing fails, and there it was told.
            let Ok(same) = looked.await else { return };
            watcher = same;
            tokio::time::sleep(every).await;
        }
    }

    /// Takes these options because somebody asks for it (SIGHUP), and tells the log what came of it. It is as
    /// [`reload_with`](Self::reload_with), without blocking.
    pub async fn reload_and_log(&self, options: TlsOptions) {
        let tls = self.clone();
        let read = tokio::task::spawn_blocking(move || match tls.reload_with(options) {
            Ok(true) => Notice::Taken(tls.describe()),
            Ok(false) => Notice::Same(tls.describe()),
            Err(error) => Notice::Refused(error),
        });
        if let Ok(notice) = read.await {
            notice.log();
        }
    }

    fn describe(&self) -> String {
        let certificate = self.certificate();
        let subject = certificate.subject();
        let options = self.options();
        let path = options.certificate.display();
        format!("{path}: the certificate of {subject}, good until {}", date(&certificate.not_after))
    }
}

/// A message for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// Changed files are in use from now on.
    Taken(String),
    /// The files are those that are in use.
    Same(String),
    /// Changed files can't be used.
    Refused(TlsError),
    /// The certificate in use expires soon.
    Expires(String),
    /// The certificate in use has expired.
    Expired(String),
}

impl Notice {
    fn log(&self) {
        match self {
            Self::Taken(what) => log::info!("TLS: new connections use {what}"),
            Self::Same(what) => log::info!("TLS: nothing has changed: {what}"),
            Self::Refused(why) => {
                log::error!("TLS: {why}; the certificate that was read before stays in use");
            }
            Self::Expires(what) => log::warn!("TLS: about to expire: {what}"),
            Self::Expired(what) => log::error!("TLS: has expired, so clients refuse it: {what}"),
        }
    }
}

/// The state of the files at the last look, and of the messages.
#[derive(Debug)]
pub(super) struct Watcher {
    tls: Tls,
    /// The files that can't be used.
    refused: Option<Refused>,
    /// When it was last warned of the end of which certificate.
    warned: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

#[derive(Debug)]
struct Refused {
    seen: Seen,
    error: TlsError,
    is_told: bool,
}

impl Watcher {
    pub(super) const fn new(tls: Tls) -> Self {
        Self { tls, refused: None, warned: None }
    }

    /// Looks at the files and at the certificate in use; returns what the log is to be told.
    pub(super) fn look(&mut self, now: DateTime<Utc>) -> Vec<Notice> {
        let mut notices = Vec::new();
        let seen = Seen::look(&self.tls.options());
        if seen != self.tls.seen() || self.tls.has_outdated_authorities(now) {
            notices.extend(self.read(seen));
        } else {
            self.refused = None;
        }
        notices.extend(self.expires(now));
        notices
    }

    fn read(&mut self, seen: Seen) -> Option<Notice> {
        let was_refused = self.refused.take();
        match self.tls.reload() {
            Ok(true) => Some(Notice::Taken(self.tls.describe())),
            // Files that were put back are told of if those between were.
            Ok(false) => was_refused
                .filter(|refused| refused.is_told)
                .map(|_| Notice::Same(self.tls.describe())),
            Err(error) => {
                let same = was_refused.filter(|was| was.seen == seen && was.error == error);
                let notice = same
                    .as_ref()
                    .is_some_and(|refused| !refused.is_told)
                    .then(|| Notice::Refused(error.clone()));
                self.refused = Some(Refused { seen, error, is_told: same.is_some() });
                notice
            }
        }
    }

    fn expires(&mut self, now: DateTime<Utc>) -> Option<Notice> {
        let end = self.tls.expires_at();
        let left = end.signed_duration_since(now);
        let is_told = |(at, of): (DateTime<Utc>, DateTime<Utc>)| {
            of == end && now.signed_duration_since(at) < WARN_EVERY
        };
        if left > WARN_BEFORE || self.warned.is_some_and(is_told) {
            return None;
        }
        self.warned = Some((now, end));
        let what = self.tls.describe();
        Some(if left < TimeDelta::zero() { Notice::Expired(what) } else { Notice::Expires(what) })
    }
}
