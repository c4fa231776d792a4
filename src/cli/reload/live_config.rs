//! The configuration as the service port asks for it.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{MAX_LINES, ReloadError, Reloaded, Reloader};
use crate::service::{ConfigFindings, LiveConfig, ReloadOutcome};

impl LiveConfig for Reloader {
    fn show(self: Arc<Self>) -> BoxFuture<'static, String> {
        Box::pin(async move { self.state.lock().await.in_force.show() })
    }

    fn validate(self: Arc<Self>) -> BoxFuture<'static, ConfigFindings> {
        Box::pin(async move {
            // One after the other, however many ask. Problems and warnings are bounded already.
            let state = self.state.lock().await;
            match self.read().await {
                Ok(parsed) => {
                    let warnings = each(&parsed.warnings);
                    let checked = self.check(parsed, state.has_roles);
                    let problems = checked.err().iter().map(ToString::to_string).collect();
                    ConfigFindings { problems, warnings }
                }
                Err(ReloadError::Config(error)) => ConfigFindings {
                    problems: error.to_string().lines().map(str::to_owned).collect(),
                    warnings: each(error.warnings()),
                },
                Err(error) => ConfigFindings {
                    problems: vec![error.to_string()],
                    ..ConfigFindings::default()
                },
            }
        })
    }

    fn reload_now(self: Arc<Self>) -> BoxFuture<'static, Result<ReloadOutcome, String>> {
        Box::pin(async move {
            // A client that leaves must not leave half of it in force.
            let reload = async move { self.reload("ReloadConfig").await };
            match actix_web::rt::spawn(reload).await {
                Ok(Ok(Reloaded { changed, needs_restart, warnings, .. })) => Ok(ReloadOutcome {
                    changed: first(&changed),
                    needs_restart: first(&needs_restart),
                    warnings: each(&warnings),
                }),
                Ok(Err(error)) => Err(error.to_string()),
                Err(error) => Err(error.to_string()),
            }
        })
    }
}

/// Returns a line for each.
fn each(all: &[impl ToString]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

/// Returns a line for each of the first ones, and the number of the others.
fn first(all: &[impl ToString]) -> Vec<String> {
    let more = all.len().saturating_sub(MAX_LINES);
    let first = all.iter().take(MAX_LINES).map(ToString::to_string);
    first.chain((more > 0).then(|| format!("and {more} more"))).collect()
}
