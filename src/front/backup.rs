//! `BackupServer` and `RestoreServer`: what clients may ask for, and what they are told. The work is done in [`crate::backup`].

use actiond_actors::OneLine;

use super::dispatch::Call;
use crate::aci::catalog::builtin::{BACKUP_SERVER, RESTORE_SERVER};
use crate::aci::element::Element;
use crate::aci::error::AciError;
use crate::aci::words::shorten;
use crate::backup::{BackupError, Backups};

/// Makes a backup, and tells where it is.
pub(super) async fn backup(call: &Call<'_>) -> Result<Vec<Element>, AciError> {
    let inner = &call.endpoint.inner;
    let backups = offered(call, BACKUP_SERVER.name)?;
    let path = call.pairs.given("Path").unwrap_or_default();
    let made = backups.make(&inner.system, path, (&inner.host, inner.port)).await;
    if let Some(counted) = call.endpoint.counted() {
        counted.backups.note(made.is_ok(), inner.system.clock().now());
    }
    let made = made.map_err(|error| {
        log::warn!("no backup was written to {:?}: {}", shorten(path), OneLine(&error.to_string()));
        refused("Path", path, &error)
    })?;
    log::info!("a backup of {} actions was written to {:?}", made.content.actions, made.path);
    Ok(vec![
        Element::text("filename", made.path.display().to_string()),
        Element::text("size", made.size.to_string()),
        Element::text("actions", made.content.actions.to_string()),
    ])
}

/// Prepares a backup to take the place of the data, and has the system built again.
pub(super) async fn restore(call: &Call<'_>) -> Result<Vec<Element>, AciError> {
    let backups = offered(call, RESTORE_SERVER.name)?;
    if !backups.may_restore() {
        return Err(AciError::permission("this server does not offer RestoreServer"));
    }
    nothing_runs(call)?;
    let path = call.pairs.given("FileName").unwrap_or_default();
    let prepared = backups.prepare(&call.endpoint.inner.system, path).await;
    let prepared = prepared.map_err(|error| {
        log::warn!("{:?} was not restored: {}", shorten(path), OneLine(&error.to_string()));
        refused("FileName", path, &error)
    })?;
    log::warn!(
        "the backup {:?} with {} actions takes the place of the data, which is kept in {}",
        prepared.path,
        prepared.content.actions,
        prepared.aside.display()
    );
    call.endpoint.request_restart();
    Ok(vec![
        Element::text("filename", prepared.path.display().to_string()),
        Element::text("actions", prepared.content.actions.to_string()),
        Element::text("running", prepared.content.running.to_string()),
        Element::text("kept", prepared.aside.display().to_string()),
    ])
}

fn offered<'c>(call: &'c Call<'_>, action: &str) -> Result<&'c Backups, AciError> {
    let backups = call.endpoint.inner.backups.as_ref();
    backups.ok_or_else(|| AciError::permission(&format!("this server does not offer {action}")))
}

/// Refuses while actions run: their work would go on under the actions of another time.
fn nothing_runs(call: &Call<'_>) -> Result<(), AciError> {
    let running = call.endpoint.queues().iter().filter_map(|served| {
        let running = served.queue.summary().counts.running();
        (running > 0).then(|| format!("{running} in {}", served.queue.name()))
    });
    let running: Vec<_> = running.collect();
    match running.is_empty() {
        true => Ok(()),
        false => Err(AciError::unavailable(&format!(
            "actions run ({}): pause the queues, let the actions end or stop them, and restore then",
            running.join(", ")
        ))),
    }
}

fn refused(parameter: &str, value: &str, error: &BackupError) -> AciError {
    let text = error.without_paths();
    match error {
        BackupError::Place(_) => AciError::invalid(
            parameter,
            value,
            &format!(
                "a path below the data directory or one of [Server] BackupDirectories, without links ({text})"
            ),
        ),
        BackupError::Archive(_) => AciError::invalid(
            parameter,
            value,
            &format!(
                "a whole archive that BackupServer has made, by this version or an older one ({text})"
            ),
        ),
        BackupError::Busy
        | BackupError::OtherMeans
        | BackupError::Store(_)
        | BackupError::BrokenOff
        | BackupError::Io { .. } => AciError::unavailable(&text),
    }
}
